"""Connectionist temporal classification: beside PyTorch's, and beside all alignments."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ...evaluating import TARGETS, Array, Target, check_derivatives, run, text
from ..comparing import Case, same_as_torch

LABELS = np.array([[1, 1, 2], [3, 2, 0], [4, 0, 0], [2, 3, 4], [1, 2, 1]])
LENGTHS = np.array([7, 5, 4, 2, 6])
LABEL_LENGTHS = np.array([3, 2, 0, 3, 3])  # the fourth has too few steps
REDUCTIONS = ("mean", "sum", "none")


def scores(*shape: int) -> Array:
    return np.random.default_rng(0).normal(size=shape) * 2


def of_lengths(blank: int, reduction: str, keep: slice, zero: bool) -> Case:
    labels = (LABELS + blank * (blank <= LABELS)) % 5 if blank else LABELS
    given = scores(7, 5, 5)[:, keep], labels[keep], LENGTHS[keep], LABEL_LENGTHS[keep]
    return Case(
        lambda x, y, n, m: dg.ctc(
            dg.log_softmax(x), y, n, m, blank, reduction, zero_infinity=zero
        ),
        lambda torch, x, y, n, m: torch.ctc_loss(
            torch.log_softmax(x, -1), y, n, m, blank, reduction, zero
        ),
        given,
    )  # fmt: skip


def whole(shape: tuple[int, int, int], count: int) -> Case:
    """All steps and all labels."""
    steps, samples, classes = shape
    y = np.random.default_rng(1).integers(0, classes - 1, (samples, count))

    def theirs(torch: Any, x: Any, y: Any) -> Any:
        lengths = [steps] * samples, [count] * samples
        return torch.ctc_loss(torch.log_softmax(x, -1), y, *lengths, classes - 1, "sum")

    return Case(
        lambda x, y: dg.ctc(dg.log_softmax(x), y, blank=classes - 1, reduction="sum"),
        theirs, (scores(*shape), y),
    )  # fmt: skip


CASES = {
    **{f"{r} {blank}": of_lengths(blank, r, slice(0, 3), False)
       for r, blank in itertools.product(REDUCTIONS, (0, 4))},
    **{f"{r} zero": of_lengths(0, r, slice(None), True) for r in REDUCTIONS},
    "one sample": whole((5, 1, 4), 2), "one label": whole((3, 2, 4), 1),
    "one step": whole((1, 2, 3), 1), "no labels": whole((4, 2, 3), 0),
}  # fmt: skip


def test_it_is_pytorchs() -> None:
    same_as_torch(CASES, targets=("reference",))


def test_compiled_it_is_pytorchs() -> None:
    same_as_torch({k: CASES[k] for k in ("mean zero", "none 4")}, "float32", ("cpu",))


def test_derivatives_to_second_order() -> None:
    """By the log-probabilities themselves, whether or not they are any."""
    check_derivatives(lambda x: dg.ctc(x, LABELS[:3], reduction="none"), scores(6, 3, 5))


def test_it_is_the_sum_over_all_alignments() -> None:
    log_p = scores(4, 1, 3)
    log_p -= np.log(np.exp(log_p).sum(-1, keepdims=True))
    for labels in ([1, 2], [1, 1], [2], []):
        total = 0.0
        for path in itertools.product(range(3), repeat=4):
            merged = [c for c, _ in itertools.groupby(path) if c != 0]
            total += np.exp(sum(log_p[t, 0, c] for t, c in enumerate(path))) * (merged == labels)
        y = np.array([labels], np.int64)
        (found,) = run({"c": dg.ctc(dg.constant(log_p), y)}).values()
        assert found == pytest.approx(-np.log(total) / max(len(labels), 1), rel=1e-12)


@pytest.mark.parametrize("target", TARGETS)
def test_too_few_steps_cost_infinity_without_a_gradient(target: Target) -> None:
    x = dg.observed("x", (2, 2, 5), "float64")
    y = np.array([[2, 2], [2, 3]])
    each = dg.ctc(dg.log_softmax(x), y, reduction="none")
    outputs = {"c": each, "g": dg.gradient(dg.sum(each), x)}
    found = run(outputs, target, x=scores(2, 2, 5))
    assert np.isinf(found["c"]).tolist() == [True, False]
    assert np.isfinite(found["g"]).all() and not found["g"][:, 0].any() and found["g"][:, 1].any()


@pytest.mark.parametrize("target", TARGETS)
def test_named_sizes_and_labels_that_are_checked_unless_they_are_padding(target: Target) -> None:
    x = dg.observed("x", ("T", "B", "C"))
    y, n = dg.observed("y", ("B", "S"), "int32"), dg.observed("n", ("B",), "int32")
    cost = dg.ctc(dg.log_softmax(x), y, label_lengths=n, reduction="sum")
    program = dg.Diagram("test", cost=cost).compile(target=target)
    inputs = {"x": scores(6, 2, 4).astype(np.float32), "n": np.array([2, 1], np.int32)}
    found = program.run(**inputs, y=np.array([[1, 2], [3, -1]], np.int32))["cost"]
    padded = program.run(**inputs, y=np.array([[1, 2, 0], [3, 99, 99]], np.int32))["cost"]
    assert found == padded
    with pytest.raises(dg.InputError, match=r"input 'y' .* got 4 at index \(0, 1\)"):
        program.run(**inputs, y=np.array([[1, 4], [3, 0]], np.int32))
    with pytest.raises(dg.InputError, match=r"input 'n' .* got 3 at index \(0,\)"):
        inputs["n"] = np.array([3, 1], np.int32)
        program.run(**inputs, y=np.array([[1, 2], [3, 0]], np.int32))


def test_mistakes_are_explained() -> None:
    x, y = dg.observed("x", ("T", "B", 4)), dg.observed("y", ("B", "S"), "int32")
    cases: dict[str, Callable[[], Any]] = {
        "ctc (m.py:1) expects log-probabilities of shape (T, B, classes), got (B, 4) from index "
        "(m.py:1)": lambda: dg.ctc(x[0], y),
        "ctc (m.py:1) expects labels of shape (B, S), got (S,) from index (m.py:1)":
            lambda: dg.ctc(x, y[0]),
        "ctc (m.py:1) expects labels of dtype int32 or int64, got float32 from astype float32 "
        "(m.py:1)": lambda: dg.ctc(x, y.astype("float32")),
        "ctc (m.py:1) expects lengths of shape (B,), got (B, S) from observed 'y' (m.py:1)":
            lambda: dg.ctc(x, y, y),
        "ctc (m.py:1) expects a blank that is one of 4 classes, got 4":
            lambda: dg.ctc(x, y, blank=4),
    }  # fmt: skip
    for expected, make in cases.items():
        with pytest.raises(dg.DiagramError) as error:
            dg.Diagram("test", cost=make())
        assert text(error.value) == expected
