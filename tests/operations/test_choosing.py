"""Indexing with arrays against NumPy: pairs, masks that are fixed, and indices out of range."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ..frontend.evaluating import TARGETS
from ..frontend.source import draw

A = np.arange(2 * 3 * 4 * 5, dtype=np.float64).reshape(2, 3, 4, 5)
ROWS, COLUMNS = np.array([1, 0, 1]), np.array([[2], [0]])
MASK = A[0, :, :, 0] % 3 == 0

CASES: dict[str, Any] = {
    "pairs of lists": lambda x: x[[0, 1], [1, 2]],
    "negative": lambda x: x[[0, -1], [-1, 2]],
    "broadcast": lambda x: x[ROWS, COLUMNS],
    "three": lambda x: x[ROWS, COLUMNS, [3]],
    "all": lambda x: x[[1, 0], [2, 1], [3, 0], [4, 4]],
    "behind a slice": lambda x: x[:, [0, 2], [1, 3]],
    "between slices": lambda x: x[1:, [0, 2], [1, 3], ::2],
    "one behind a slice": lambda x: x[:, [0, 2]],
    "one at the end": lambda x: x[..., [4, -1, 0]],
    "one beside an integer": lambda x: x[1, [0, 2]],
    "an integer behind": lambda x: x[[1, 0], 2],
    "new axis": lambda x: x[None, :, [0, 2], [1, 3]],
    "new axis behind": lambda x: x[[0, 1], [1, 2], None],
    "dots": lambda x: x[..., [0, 2], [1, 3]],
    "mask of one axis": lambda x: x[[True, False]],
    "mask of the second": lambda x: x[:, [True, False, True]],
    "mask of two axes": lambda x: x[:, MASK],
    "mask of nothing": lambda x: x[[False, False]],
    "an empty list": lambda x: x[[], []],
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("target", TARGETS)
def test_as_in_numpy(name: str, target: Any) -> None:
    expected = CASES[name](A)
    x = dg.observed("x", A.shape, "float64")
    y = CASES[name](x)
    weights = np.random.default_rng(0).normal(size=expected.shape)
    slope = dg.gradient(dg.sum(y * dg.constant(weights)), x)
    program = dg.Diagram("d", {"y": y, "slope": slope}).compile(target=target)
    found = program.run(x=A)
    np.testing.assert_array_equal(found["y"], expected)
    where = CASES[name](np.arange(A.size).reshape(A.shape))
    wanted = np.zeros(A.size)
    np.add.at(wanted, where, weights)
    np.testing.assert_allclose(found["slope"], wanted.reshape(A.shape), rtol=1e-12)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", ["int32", "int64"])
@pytest.mark.parametrize("shape", [(1, 1), (4, 3), (0, 3), (7, 5)])
def test_the_score_of_each_label(shape: tuple[int, int], dtype: str, target: Any) -> None:
    rng = np.random.default_rng(1)
    rows, columns = shape
    scores, labels = rng.normal(size=shape), rng.integers(0, columns, rows).astype(dtype)
    s, y = dg.observed("s", ("B", columns), "float64"), dg.observed("y", ("B",), dtype)
    chosen = s[dg.arange("B"), y]
    program = dg.Diagram("d", chosen).compile(target=target)
    (value,) = program.run(s=scores, y=labels).values()
    np.testing.assert_array_equal(value, scores[np.arange(rows), labels])


@pytest.mark.parametrize("target", TARGETS)
def test_computed_indices_outside_of_their_axis_give_nan(target: Any) -> None:
    """(0, 4) of (3, 4) is no element, though it is the place of (1, 0) in the joined axes."""
    x, i = dg.observed("x", (3, 4), "float64"), dg.observed("i", (3,), "int32")
    j = dg.observed("j", (3,), "int32")
    y = x[i + 0, j + 0]
    slope = dg.gradient(dg.sum(dg.where(y == y, y, 0.0)), x)
    program = dg.Diagram("d", {"y": y, "slope": slope}).compile(target=target)
    a = np.arange(12.0).reshape(3, 4)
    found = program.run(x=a, i=np.array([0, -1, 2], "i4"), j=np.array([4, 2, 3], "i4"))
    np.testing.assert_array_equal(found["y"], [np.nan, np.nan, 11.0])
    np.testing.assert_array_equal(found["slope"], np.eye(12)[11].reshape(3, 4))


@pytest.mark.parametrize("target", TARGETS)
def test_fixed_indices_of_named_sizes_count_from_the_end(target: Any) -> None:
    x = dg.observed("x", ("N", "M"), "float64")
    program = dg.Diagram("d", x[[0, -1, 5], [-1, 1, 0]]).compile(target=target)
    a = np.arange(12.0).reshape(3, 4)
    (value,) = program.run(x=a).values()
    np.testing.assert_array_equal(value, [3.0, 9.0, np.nan])


def test_observed_indices_are_checked_before_a_step() -> None:
    x, i = dg.observed("x", (3, 4)), dg.observed("i", (2,), "int32")
    program = dg.Diagram("d", x[i, i]).compile()
    with pytest.raises(dg.InputError):
        program.run(x=np.zeros((3, 4), "f4"), i=np.array([0, 3], "i4"))


X = 'x, m = dg.observed("x", (4, 3)), dg.observed("m", (4, 3))\n'
GOT = "(4, 3) float32 from observed 'x' (model.py:1)"
ERRORS = {
    "y = x[m > 0.0]": "index (model.py:2) expects indices of dtype int32 or int64, not a mask of "
    f"bools, whose choice has no known size; given {GOT} and (4, 3) bool from greater (model.py:2):"
    " use dg.where(mask, x, 0.0), which keeps the shape",
    "y = x[[0, 1], [3, 0]]": "index (model.py:2) expects places in [-3, 3) of an axis of 3 "
    "elements, not 3 at (0,) of the index",
    "y = x[[0, 1], [0, 1], [0, 1]]": "index (model.py:2) expects at most 2 indices, not 3",
    "y = x[None][[0], :, [1]]": "index (model.py:2) expects arrays of indices and integers side by "
    "side, not apart",
    "y = x[[True, False]]": "index (model.py:2) expects a mask of the shape of its axes, (4,), not "
    "(2,)",
    "y = x[[0, 1], m]": "index (model.py:2) expects indices of dtype int32 or int64, not float32",
    "y = x[[0, 1], [0, 1, 2]]": "index (model.py:2) expects shapes that broadcast, got (4, 3) "
    "float32 from observed 'x' (model.py:1) and (2,) int32 from constant (model.py:2) and (3,) "
    "int32 from constant (model.py:2): axis -1 has 2 and 3 elements",
}


@pytest.mark.parametrize("source", ERRORS)
def test_what_is_refused(source: str) -> None:
    with pytest.raises(dg.DiagradError) as error:
        draw(f"{X}{source}\ny.shape")
    assert str(error.value).startswith(ERRORS[source])
