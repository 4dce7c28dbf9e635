"""`dg.attention`: against PyTorch and finite differences, what masks hide, blind rows."""

import re
from typing import Any

import numpy as np
import pytest

import diagrad as dg
from diagrad.runtime.cpu.stepping.workspace import Workspace

from ...evaluating import TARGETS, Target, apply, assert_close, check_derivatives, gradients, text

TOLERANCE = {"float32": (2e-5, 2e-6), "float64": (1e-12, 1e-12)}
SHAPES = [  # leading axes, Tq, Tk, D, Dv
    ((2, 3), 5, 7, 4, 6), ((1, 1), 1, 1, 1, 1), ((), 3, 2, 5, 1), ((2,), 1, 11, 3, 3),
    ((2, 1), 11, 1, 3, 2), ((0,), 3, 4, 2, 2), ((2,), 0, 4, 2, 2), ((2,), 3, 4, 2, 0),
]  # fmt: skip


def made(lead: tuple[int, ...], tq: int, tk: int, d: int, dv: int) -> tuple[Any, Any, Any]:
    """Queries, keys and values."""
    rng = np.random.default_rng(tq + 10 * tk)
    shapes = ((*lead, tq, d), (*lead, tk, d), (*lead, tk, dv))
    q, k, v = (rng.normal(size=shape) for shape in shapes)
    return q, k, v


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("how", ["plain", "causal", "bool", "float", "scale"])
@pytest.mark.parametrize("shape", SHAPES)
def test_values_and_gradients_are_pytorchs(
    shape: Any, how: str, dtype: str, target: Target
) -> None:
    torch = pytest.importorskip("torch")
    arrays = [item.astype(dtype) for item in made(*shape)]
    rng = np.random.default_rng(1)
    tq, tk = shape[1:3]
    ours: dict[str, Any] = {}
    theirs: dict[str, Any] = {}
    if how == "causal":
        ours, theirs = {"causal": True}, {"is_causal": True}
    elif how == "scale":
        ours = theirs = {"scale": -0.3}
    elif how != "plain":
        mask = rng.random((tq, tk)) > 0.4 if how == "bool" else rng.normal(size=(tq, tk))
        if how == "bool":
            mask[:, :1] = True
        mask = mask.astype("bool" if how == "bool" else dtype)
        ours, theirs = {"mask": dg.constant(mask)}, {"attn_mask": torch.tensor(mask)}
    tensors = [torch.tensor(a, requires_grad=True) for a in arrays]
    value = torch.nn.functional.scaled_dot_product_attention(*tensors, **theirs)
    found = apply(lambda *x: dg.attention(*x, **ours), *arrays, target=target)
    assert found.dtype == dtype
    assert_close(found, value.detach().numpy(), *TOLERANCE[dtype])
    weights = rng.normal(size=value.shape)
    (value * torch.tensor(weights)).sum().backward()
    scale = dg.constant(weights, dtype)
    slopes = gradients(lambda *x: dg.attention(*x, **ours) * scale, *arrays, target=target)
    for slope, tensor in zip(slopes, tensors, strict=True):
        assert_close(slope, tensor.grad.numpy(), *TOLERANCE[dtype])


@pytest.mark.parametrize("target", TARGETS)
def test_lengths_and_masks_hide_together(target: Target) -> None:
    torch = pytest.importorskip("torch")
    arrays = made((4, 2), 5, 6, 3, 3)
    lengths = np.array([0, 1, 4, 6])
    mask = np.random.default_rng(3).random((4, 1, 5, 6)) > 0.3
    seen = mask & np.tri(5, 6, dtype=bool) & (np.arange(6) < lengths[:, None, None, None])
    tensors = [torch.tensor(a, requires_grad=True) for a in arrays]
    value = torch.nn.functional.scaled_dot_product_attention(*tensors, attn_mask=torch.tensor(seen))
    value.square().sum().backward()

    def ours(*x: Any) -> Any:
        return dg.attention(*x, mask=mask, causal=True, lengths=lengths)

    blind = ~seen.any(-1)
    found = apply(ours, *arrays, target=target)
    assert blind[1:].any()
    assert (found[np.broadcast_to(blind, found.shape[:3])] == 0).all()
    assert_close(found, value.detach().numpy(), 1e-12, 1e-12)
    slopes = gradients(lambda *x: ours(*x) ** 2, *arrays, target=target)
    for slope, tensor in zip(slopes, tensors, strict=True):
        assert_close(slope, tensor.grad.numpy(), 1e-12, 1e-12)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("how", ["int32", "int64", "causal", "mask"])
def test_what_is_behind_the_lengths_is_not_read(how: str, target: Target) -> None:
    """Nor what a mask hides from all queries, by values or derivatives."""
    arrays = made((3,), 2, 4, 3, 3)
    lengths = np.array([0, 1, 3], "int64" if how == "int64" else "int32")
    hidden = np.arange(4) >= np.minimum(lengths, 2 if how == "causal" else 4)[:, None]
    options: dict[str, Any] = {"lengths": lengths, "causal": how == "causal"}
    if how == "mask":
        options = {"mask": ~hidden[:, None]}
    spoilt = [a.copy() for a in arrays]
    spoilt[1][hidden] = np.nan
    spoilt[2][hidden] = np.inf

    def orders(*x: Any) -> Any:
        y = dg.attention(*x, **options)
        first = dg.gradient(dg.sum(y * y), list(x))
        total = dg.sum(dg.stack([dg.sum(item * item) for item in first]))
        second = dg.gradient(total, list(x))
        return dg.concatenate([dg.flatten(item, 0) for item in (y, *first, *second)])

    found = apply(orders, *spoilt, target=target)
    assert np.isfinite(found).all()
    assert_close(found, apply(orders, *arrays, target=target), 1e-11, 1e-12)


@pytest.mark.parametrize("how", ["lengths", "bool", "float", "none"])
@pytest.mark.parametrize("target", TARGETS)
def test_a_row_that_sees_nothing_is_0_to_any_order(how: str, target: Target) -> None:
    arrays = made((2,), 3, 0 if how == "none" else 4, 2, 2)
    cases: dict[str, dict[str, Any]] = {
        "lengths": {"lengths": [0, 0]},
        "bool": {"mask": np.zeros((3, 4), bool)},
        "float": {"mask": dg.fill(-np.inf, (4,))},
        "none": {},
    }
    options = cases[how]

    def orders(*x: Any) -> Any:
        y = dg.attention(*x, **options)
        first = dg.gradient(dg.sum(y * y), list(x))
        total = dg.sum(first[0])
        for item in first[1:]:
            total = total + dg.sum(item * item)
        second = dg.gradient(total, list(x))
        third = dg.gradient(dg.sum(second[0]), list(x))
        return dg.concatenate([dg.flatten(item, 0) for item in (y, *first, *second, *third)])

    assert (apply(orders, *arrays, target=target) == 0).all()


@pytest.mark.parametrize("how", ["plain", "causal", "lengths", "mask"])
def test_derivatives_to_second_order(how: str) -> None:
    arrays = list(made((2,), 3, 4, 2, 3))
    cases: dict[str, dict[str, Any]] = {
        "plain": {}, "causal": {"causal": True}, "lengths": {"lengths": [1, 3]}, "mask": {},
    }  # fmt: skip
    options = cases[how]
    if how == "mask":
        arrays.append(np.random.default_rng(2).normal(size=(3, 4)))
    check_derivatives(lambda *x: dg.attention(*x, **options), *arrays)


@pytest.mark.parametrize("target", TARGETS)
def test_great_scores_do_not_overflow(target: Target) -> None:
    q = np.array([[1e4], [-1e4]], np.float32)
    k = np.array([[1.0], [2.0], [2.0]], np.float32)
    v = np.array([[3.0], [5.0], [7.0]], np.float32)
    assert apply(dg.attention, q, k, v, target=target).tolist() == [[6.0], [3.0]]


def test_the_weights_are_those_of_the_mean() -> None:
    q, k, v = made((2, 2), 3, 4, 2, 5)
    options: dict[str, Any] = {"causal": True, "lengths": [0, 3], "scale": 0.7}
    weights = apply(lambda q, k: dg.attention_weights(q, k, **options), q, k)
    assert_close(weights @ v, apply(lambda *x: dg.attention(*x, **options), q, k, v), 1e-12)
    assert_close(weights.sum(-1), np.broadcast_to([[[0.0]], [[1.0]]], (2, 2, 3)), 1e-12)


def test_named_sizes_and_observed_lengths() -> None:
    q = dg.observed("q", ("B", "T", 3))
    lengths = dg.observed("lengths", ("B",), dtype=dg.int32)
    program = dg.Diagram("test", dg.attention(q, q, q, lengths=lengths, causal=True)).compile()
    for samples, steps in ((3, 5), (1, 1), (0, 2), (2, 0)):
        x = np.random.default_rng(steps).normal(size=(samples, steps, 3)).astype(np.float32)
        ends = np.full(samples, steps, np.int32)
        assert_close(program.run(q=x, lengths=ends)["output"], masked(x), 2e-5, 2e-6)
    with pytest.raises(dg.InputError, match=r"lengths.* in \[0, "):
        program.run(q=np.zeros((1, 2, 3), np.float32), lengths=np.array([3], np.int32))


@pytest.mark.parametrize("options", [{}, {"causal": True}, {"lengths": [300]}])
def test_memory_grows_with_the_steps_and_not_with_their_square(options: Any) -> None:
    """Of a step that trains too; with the weights whole it would be 4 T**2 bytes and more."""
    taken = []
    for steps in (512, 1024):
        x = dg.parameter("x", (1, 2, steps, 8), init=0.1)
        cost = dg.sum(dg.attention(x, x, x, **options) ** 2)
        program = dg.Diagram("test", cost=cost).compile(dg.SGD(0.1))
        program.step()
        assert isinstance(program.workspace, Workspace)
        taken.append(program.workspace.arena_bytes)
    assert taken[1] < 2.5 * taken[0]


def masked(x: Any) -> Any:
    """Causal attention of x upon itself, by NumPy."""
    scores = np.einsum("bqd,bkd->bqk", x, x, dtype=np.float64) / np.sqrt(x.shape[-1])
    terms = np.exp(scores) * np.tri(x.shape[1])
    return np.einsum("bqk,bkd->bqd", terms / terms.sum(-1, keepdims=True), x)


Q, K, V = "float32 (2, 3, 4)", "float32 (2, 5, 4)", "float32 (2, 5, 6)"
MISTAKES: list[tuple[dict[str, str], dict[str, Any], str]] = [
    ({"q": "float32 (4,)"}, {}, "queries of shape (..., T, D), got (4,) from observed 'q'"),
    (
        {"q": "int32 (2, 3, 4)"}, {},
        "queries of dtype float32, got int32 from observed 'q' (m.py:1): convert them with "
        '.astype("float32")',
    ),
    (
        {"v": "float64 (2, 5, 6)"}, {},
        "values of dtype float32 like its queries, got float64 from observed 'v' (m.py:1): convert "
        'them with .astype("float32")',
    ),
    (
        {"k": "float32 (2, 5, 3)"}, {},
        "keys of shape (2, Tk, 4), with the leading axes and the features of its queries "
        "(2, 3, 4), got (2, 5, 3) from observed 'k' (m.py:1)",
    ),
    (
        {"v": "float32 (2, 4, 6)"}, {},
        "values of shape (2, 5, Dv), one for each of its keys (2, 5, 4), got (2, 4, 6) from "
        "observed 'v' (m.py:1)",
    ),
    (
        {}, {"mask": np.zeros((2, 5), bool)},
        "a mask that broadcasts to (2, 3, 5), got (2, 5) from constant (m.py:1): one of each "
        "sample, (B, Tk), is mask[:, None, None] beside heads",
    ),
    (
        {}, {"mask": np.zeros((3, 2, 3, 5), bool)},
        "a mask that broadcasts to (2, 3, 5), got (3, 2, 3, 5) from constant (m.py:1)",
    ),
    (
        {}, {"mask": np.zeros((3, 5), np.int32)},
        "a mask of bools, True where a key takes part, or of float32, which is added to the "
        "scores, got int32 from constant (m.py:1): compare it, as in mask != 0, or convert it with "
        '.astype("float32")',
    ),
    (
        {}, {"lengths": [1, 2, 3]},
        "lengths of shape (2,), one for each sample, got (3,) from constant (m.py:1)",
    ),
    ({}, {"lengths": [1, 6]}, "lengths in [0, 6), not 6 at (1,) of the lengths"),
    (
        {}, {"lengths": [1.0, 2.0]},
        "lengths of dtype int32 or int64, got float32 from constant (m.py:1): convert them with "
        ".astype",
    ),
    (
        {"q": "float32 (3, 4)", "k": "float32 (5, 4)", "v": "float32 (5, 4)"}, {"lengths": [1]},
        "queries with an axis of samples, got (3, 4) from observed 'q' (m.py:1)",
    ),
    (
        {"q": "float32 (2, 3, D)", "k": "float32 (2, 5, D)"}, {},
        "a scale where the number of features has a name, D, got none for observed 'q' (m.py:1)",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("changed", "options", "message"), MISTAKES)
def test_mistakes(changed: dict[str, str], options: dict[str, Any], message: str) -> None:
    types = {"q": Q, "k": K, "v": V} | changed
    variables = []
    for name, type in types.items():
        dtype, shape = type.split(" ", 1)
        extents = [int(n) if n.isdigit() else n for n in re.findall(r"\w+", shape)]
        variables.append(dg.observed(name, extents, dtype=dtype))
    with pytest.raises(dg.DiagramError) as error:
        dg.Diagram("test", dg.attention(*variables, **options))
    assert f" (m.py:1) expects {message}" in text(error.value)


def test_wrong_options() -> None:
    q = dg.observed("q", (2, 3))
    with pytest.raises(TypeError, match=r"attention \(.*\) expects causal to be True or False"):
        dg.attention(q, q, q, causal=1)
    with pytest.raises(ValueError, match=r"attention \(.*\) expects scale to be a number, got nan"):
        dg.attention(q, q, q, scale=float("nan"))
