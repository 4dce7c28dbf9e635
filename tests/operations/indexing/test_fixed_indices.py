"""Indices that are known when the diagram is drawn: from the end as in NumPy, or a mistake."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ...frontend.evaluating import gradients, text
from ..rows.running import TARGETS, Target


def run(value: Any, target: Target = "reference", **arrays: Any) -> Any:
    return dg.Diagram("indices", {"y": value}).compile(target=target).run(**arrays)["y"]


def indices(extent: int, seed: int) -> list[Any]:
    """Indices in [-extent, extent) of several shapes, as arrays, lists and constants."""
    rng = np.random.default_rng(seed)
    drawn = [rng.integers(-extent, extent, shape) for shape in ((), (1,), (5,), (2, 3), (0,))]
    small = rng.integers(0, extent, 4).astype(np.uint8)
    return [*drawn, drawn[2].tolist(), drawn[3].astype(np.int16), small, -1, []]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("extent", [1, 2, 7])
def test_they_are_numpys(extent: int, target: Target) -> None:
    x = np.random.default_rng(0).normal(size=(3, extent, 2))
    outputs, wanted = {}, {}
    for shape in ((3, extent, 2), ("B", "N", "C")):
        v = dg.observed("x", shape, "float64")
        for place, index in enumerate(indices(extent, extent)):
            array = np.asarray(index, np.int64)
            for word, given in (("", index), ("constant", dg.constant(array))):
                outputs[f"take{place}{word}"] = dg.take(v, given, 1)
                wanted[f"take{place}{word}"] = np.take(x, array, 1)
        outputs["rows"], wanted["rows"] = v[[0, -1]], x[[0, -1]]
        outputs["last"], wanted["last"] = v[np.array([-1])], x[np.array([-1])]
        found = dict(dg.Diagram("indices", outputs).compile(target=target).run(x=x))
        for name, value in wanted.items():
            np.testing.assert_array_equal(found[name], value, err_msg=f"{name} of {shape}")


@pytest.mark.parametrize("target", TARGETS)
def test_gradients_and_sums_go_to_the_same_places(target: Target) -> None:
    index = np.array([0, -1, -3, -1])
    (slope,) = gradients(lambda w: w[index] * dg.constant([1.0, 2.0, 4.0, 8.0]),
                         np.ones(3), target=target)  # fmt: skip
    assert slope.tolist() == [5, 0, 10]
    for given in (3, "N"):
        w = dg.observed("w", (given,))
        both = dg.gradient(dg.sum(dg.take(w, index) * [1.0, 2.0, 4.0, 8.0]) + dg.sum(w * w), w)
        assert run(both, target, w=np.ones(3, np.float32)).tolist() == [7, 2, 12]
    added = dg.scatter_add(index, dg.observed("u", (4,)), 3)
    u = np.array([1, 2, 4, 8], np.float32)
    assert run(added, target, u=u).tolist() == [5, 0, 10]


OUTSIDE: list[tuple[Callable[[], Any], str]] = [
    (lambda: dg.observed("w", (3,))[np.array([3])],
     "take (m.py:1) expects places in [-3, 3) of an axis of 3 elements, not 3 at (0,) of the "
     "index; given (3,) float32 from observed 'w' (m.py:1) and (1,) int64 from constant (m.py:1)"),
    (lambda: dg.take(dg.observed("n", (3,), "int32"), [0, 5]),
     "take (m.py:1) expects places in [-3, 3) of an axis of 3 elements, not 5 at (1,) of the "
     "index; given (3,) int32 from observed 'n' (m.py:1) and (2,) int32 from constant (m.py:1)"),
    (lambda: dg.take(dg.observed("w", (3,)), -4),
     "take (m.py:1) expects places in [-3, 3) of an axis of 3 elements, not -4; given (3,) float32 "
     "from observed 'w' (m.py:1) and () int32 from constant (m.py:1)"),
    (lambda: dg.take(dg.observed("w", (0, 2)), [0]),
     "take (m.py:1) expects places in [0, 0) of an axis of 0 elements, not 0 at (0,) of the index; "
     "given (0, 2) float32 from observed 'w' (m.py:1) and (1,) int32 from constant (m.py:1)"),
    (lambda: dg.scatter_add([7], [1.0], 3),
     "scatter_add (m.py:1) expects places in [-3, 3) of an axis of 3 elements, not 7 at (0,) of "
     "the index; given (1,) int32 from constant (m.py:1) and (1,) float32 from constant (m.py:1)"),
    (lambda: dg.scatter_add([-1], [1.0], "N"),
     "scatter_add (m.py:1) expects places counted from the front of an axis whose size has a name, "
     "N, not -1; given (1,) int32 from constant (m.py:1) and (1,) float32 from constant (m.py:1)"),
    (lambda: dg.one_hot([0, -1], 3),
     "one_hot (m.py:1) expects class numbers in [0, 3), not -1 at (1,) of the index; given (2,) "
     "int32 from constant (m.py:1)"),
    (lambda: dg.share(dg.observed("w", (3,)), [3]),
     "share (m.py:1) expects places in [-3, 3) of an axis of 3 elements, not 3 at (0,) of the "
     "index; given (3,) float32 from observed 'w' (m.py:1)"),
    (lambda: dg.cross_entropy(dg.observed("s", (2, 3)), dg.constant([0, 3])),
     "labels (m.py:1) in cross_entropy (m.py:1) expects labels in [0, 3), not 3 at (1,) of the "
     "labels; given (2,) int32 from constant (m.py:1)"),
    (lambda: dg.RNN(3, 2)(dg.observed("x", (4, 2, 3)), lengths=dg.constant([4, 5]))[0],
     "lasts (m.py:1) in RNN (m.py:1) expects lengths in [0, 5), not 5 at (1,) of the lengths; "
     "given (2,) int32 from constant (m.py:1)"),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(OUTSIDE)))
def test_one_outside_is_a_mistake_of_the_diagram(number: int) -> None:
    draw, message = OUTSIDE[number]
    with pytest.raises(dg.ShapeError) as error:
        dg.Diagram("indices", {"y": draw()})
    assert text(error.value) == message


@pytest.mark.parametrize("target", TARGETS)
def test_with_a_named_size_they_are_compared_when_it_is_bound(target: Target) -> None:
    x = dg.observed("x", ("B", "N"))
    for index, least in (([0, 2], 3), ([-3, -1], 3), ([1, -4], 4)):
        program = dg.Diagram("indices", {"y": dg.take(x, index, 1)}).compile(target=target)
        given = np.arange(2 * least, dtype=np.float32).reshape(2, least)
        np.testing.assert_array_equal(program.run(x=given)["y"], given[:, index])
        with pytest.raises(dg.InputError) as error:
            program.run(x=given[:, 1:])
        assert text(error.value) == (
            f"run of 'indices': slice (m.py:1) takes 0:{least} of axis 1, which has {least - 1} "
            f"elements for B = 2, N = {least - 1}"
        )
    u, like = dg.observed("u", (2,)), dg.observed("like", ("N",))
    added = dg.scatter_add([2, 0], u, "N") + like
    program = dg.Diagram("indices", {"y": added}).compile(target=target)
    given = np.array([1, 2], np.float32)
    for size in (3, 5):
        found = program.run(u=given, like=np.zeros(size, np.float32))["y"]
        assert found.tolist() == [2, 0, 1, 0, 0][:size]
    with pytest.raises(dg.InputError, match="is negative for N = 2"):
        program.run(u=given, like=np.zeros(2, np.float32))


@pytest.mark.parametrize("target", TARGETS)
def test_observed_ones_are_checked_and_computed_ones_are_not(target: Target) -> None:
    w, i = dg.observed("w", (3,)), dg.observed("i", (2,), "int64")
    array = np.array([1, 2, 4], np.float32)
    functions: list[tuple[Callable[[Any], Any], int]] = [
        (lambda i: dg.take(w, i), -3), (lambda i: w[i], -3),
        (lambda i: dg.scatter_add(i, dg.sum(w) * dg.fill(1.0, (2,)), 3), 0),
        (lambda i: dg.one_hot(i, 3) + dg.sum(w), 0),
    ]  # fmt: skip
    for function, low in functions:
        program = dg.Diagram("indices", {"y": function(i)}).compile(target=target)
        for wrong in ([0, 3], [low - 1, 0]):
            with pytest.raises(dg.InputError, match=rf"expects values in \[{low}, 3\), got"):
                program.run(w=array, i=np.array(wrong))
    found = run(dg.take(w, i + 0), target, w=array, i=np.array([2, 3]))
    np.testing.assert_array_equal(found, [4, np.nan])
    found = run(dg.take(w, i + 0), target, w=array, i=np.array([-4, -1]))
    np.testing.assert_array_equal(found, [np.nan, 4])
    hot = run(dg.one_hot(i + 0, 3) + 0 * dg.sum(w), target, w=array, i=np.array([2, 3]))
    assert hot.tolist() == [[0, 0, 1], [0, 0, 0]]
