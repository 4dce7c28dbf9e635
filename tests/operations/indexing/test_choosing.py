"""Indexing with arrays against NumPy: pairs, masks that are fixed, and indices out of range."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ...frontend.evaluating import TARGETS
from ...frontend.source import draw

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
    "apart": lambda x: x[[0, 1], :, [1, -2]],
    "apart and broadcast": lambda x: x[:, [[0], [2]], 1:, [1, -2, 0]],
    "three apart": lambda x: x[[[1], [0]], :, [3, 1], [-1, 0]],
    "an integer before": lambda x: x[1, :, [0, 3]],
    "an integer behind all": lambda x: x[:, [2, 0], :, -1],
    "a new axis between": lambda x: x[:, [0, 2], None, [1, 3]],
    "a new axis behind one": lambda x: x[:, [0, 2], None, 1],
    "dots between": lambda x: x[[1, 0], ..., [4, 3]],
    "dots of no axes": lambda x: x[:, [0, 2], ..., [1, 3], [2, 2]],
    "none apart": lambda x: x[[], :, []],
    "an array of one number": lambda x: x[:, np.array(1), :, [0, 2]],
    "a mask apart": lambda x: x[[True, False], :, [0]],
}
OBSERVED: dict[str, Any] = {
    "one": lambda x, i, j: x[i],
    "behind a slice": lambda x, i, j: x[:, j],
    "at the end": lambda x, i, j: x[..., j],
    "beside a slice": lambda x, i, j: x[i, 1:3],
    "pairs": lambda x, i, j: x[i, j],
    "behind": lambda x, i, j: x[:, j, i],
    "apart": lambda x, i, j: x[i, :, j],
    "far apart": lambda x, i, j: x[i, 1:, ::2, j],
    "three": lambda x, i, j: x[i, j, :, i],
    "broadcast": lambda x, i, j: x[i[:, None], :, j],
    "a new axis": lambda x, i, j: x[:, i, None, j],
    "with a list": lambda x, i, j: x[:, i, [1, -1, 0], :],
    "with an integer": lambda x, i, j: x[1, :, i],
    "of one number": lambda x, i, j: x[:, i[0], :, j[1]],
    "a number alone": lambda x, i, j: x[j[2]],
}


def places_in(case: Any, a: Any, *indices: Any) -> Any:
    """Which elements of an array a case chooses, as places in the flat one."""
    return case(np.arange(a.size).reshape(a.shape), *indices)


def compare(cases: dict[str, Any], shape: Any, target: Any, **indices: Any) -> None:
    """Values and gradients of all cases in one program, against NumPy's."""
    x = dg.observed("x", shape, "float64")
    given = [dg.observed(name, i.shape, i.dtype) for name, i in indices.items()]
    outputs, wanted = {}, {}
    for name, case in cases.items():
        places = places_in(case, A, *indices.values())
        y = case(x, *given)
        outputs[name] = y
        outputs[f"slope of {name}"] = dg.gradient(dg.sum(y * y), x)
        wanted[name] = A.reshape(-1)[places]
        slope = wanted[f"slope of {name}"] = np.zeros(A.shape)
        np.add.at(slope.reshape(-1), places, 2 * wanted[name])
    found = dg.Diagram("d", outputs).compile(target=target).run(x=A, **indices)
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-12, err_msg=name)


@pytest.mark.parametrize("target", TARGETS)
def test_as_in_numpy(target: Any) -> None:
    compare(CASES, A.shape, target)


@pytest.mark.parametrize("target", TARGETS)
def test_observed_indices_are_as_numpys_also_from_the_end(target: Any) -> None:
    i, j = np.array([1, -1, 0], np.int32), np.array([2, -3, 0])
    for shape in (A.shape, ("K", "L", "M", "N")):
        compare(OBSERVED, shape, target, i=i, j=j)


@pytest.mark.parametrize("target", TARGETS)
def test_second_derivatives_count_repeated_indices(target: Any) -> None:
    x, i = dg.observed("x", (3, 2, 4), "float64"), dg.observed("i", (3,), "int64")
    slope = dg.gradient(dg.sum(x[i, :, i] ** 3), x)
    curvature = dg.gradient(dg.sum(slope), x)
    a, at = np.random.default_rng(0).normal(size=(3, 2, 4)), np.array([1, -1, 1])
    (found,) = dg.Diagram("d", curvature).compile(target=target).run(x=a, i=at).values()
    often = np.zeros((3, 2, 4))
    often[1, :, 1], often[2, :, 3] = 2, 1
    np.testing.assert_allclose(found, 6 * a * often)


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
    found = program.run(x=a, i=np.array([0, -4, -1], "i4"), j=np.array([4, 2, 3], "i4"))
    np.testing.assert_array_equal(found["y"], [np.nan, np.nan, 11.0])
    np.testing.assert_array_equal(found["slope"], np.eye(12)[11].reshape(3, 4))


@pytest.mark.parametrize("target", TARGETS)
def test_each_sample_and_each_step_has_indices_of_its_own(target: Any) -> None:
    class Chosen(dg.Block):
        def __init__(self) -> None:
            self.w = dg.parameter("w", (4, 3, 2))
            self.i = dg.parameter("i", (2,))

        def forward(self, x: Any) -> Any:
            at = dg.astype(self.i, "int64")
            return self.w[at, :, at % 2] + 0.0 * x

    rng = np.random.default_rng(0)
    w, i = rng.normal(size=(5, 4, 3, 2)).astype("f4"), rng.integers(-4, 4, (5, 2))
    given = {"w": dg.observed("w", ("T", 4, 3, 2)), "i": dg.observed("i", ("T", 2))}
    y = dg.bind(Chosen(), given)(dg.observed("x", ("T", 2, 3)))
    t = dg.loop("t")
    each, place = t.each(given["w"]), t.each(dg.observed("j", ("T", 2), "int64"))
    z = t.delay("z", dg.zeros((2, 3)))
    new = 0.5 * z + each[place, :, 1]
    t.close(z, new)
    program = dg.Diagram("d", {"y": y, "z": t.last(new)}).compile(target=target)
    arrays = {"w": w, "i": i.astype("f4"), "x": np.zeros((5, 2, 3), "f4"), "j": i}
    found = program.run(**arrays)
    last = np.zeros((2, 3))
    for sample, at in zip(w, i, strict=True):
        last = 0.5 * last + sample[at, :, 1]
    wanted = [sample[at, :, at % 2] for sample, at in zip(w, i, strict=True)]
    np.testing.assert_array_equal(found["y"], wanted)
    np.testing.assert_allclose(found["z"], last, rtol=1e-5)
    with pytest.raises(
        dg.InputError, match=r"expects values in \[-4, 4\), got 4 at index \(2, 1\)"
    ):
        program.run(**{**arrays, "j": np.where(np.arange(10).reshape(5, 2) == 5, 4, i)})


@pytest.mark.parametrize("target", TARGETS)
def test_fixed_indices_of_named_sizes_count_from_the_end(target: Any) -> None:
    x = dg.observed("x", ("N", "M"), "float64")
    program = dg.Diagram("d", x[[0, -1, 5], [-1, 1, 0]]).compile(target=target)
    a = np.arange(12.0).reshape(3, 4)
    (value,) = program.run(x=a).values()
    np.testing.assert_array_equal(value, [3.0, 9.0, np.nan])


def test_observed_indices_are_checked_before_a_step() -> None:
    x, i = dg.observed("x", (3, "N")), dg.observed("i", (2,), "int32")
    program = dg.Diagram("d", {"both": x[i, i], "apart": x[i, None, i]}).compile()
    for wrong, of, bad in ([0, 3], 4, 3), ([0, -4], 4, -4), ([0, 2], 2, 2):
        least = min(3, of)
        with pytest.raises(dg.InputError) as error:
            program.run(x=np.zeros((3, of), "f4"), i=np.array(wrong, "i4"))
        assert f"expects values in [-{least}, {least}), got {bad} at index (1,)" in str(error.value)


@pytest.mark.parametrize("target", TARGETS)
def test_a_slice_has_sizes_for_bounds(target: Any) -> None:
    """As of a table of positions, of which a sequence takes as many as it has steps."""
    x, table = dg.observed("x", ("T", 2), "float64"), dg.observed("t", (7, 2), "float64")
    steps = x.shape[0]
    y = {
        "first": x + table[:"T"], "rest": table[steps:], "last": table[-1] + x[steps - 1],
        "even": table[: steps - 1 : 2], "one": table[steps - 1], "turned": x + table[:steps][::-1],
        "slope": dg.gradient(dg.sum(table[: steps - 1] ** 2), table),
    }  # fmt: skip
    program = dg.Diagram("d", y).compile(target=target)
    t = np.random.default_rng(0).normal(size=(7, 2))
    for count in (1, 4, 7):
        a = np.ones((count, 2))
        found = program.run(x=a, t=t)
        slope = np.where(np.arange(7)[:, None] < count - 1, 2 * t, 0)
        wanted = {
            "first": a + t[:count], "rest": t[count:], "last": t[-1] + 1, "one": t[count - 1],
            "even": t[: count - 1 : 2], "turned": a + t[:count][::-1], "slope": slope,
        }  # fmt: skip
        for name, value in wanted.items():
            np.testing.assert_array_equal(found[name], value, err_msg=name)
    with pytest.raises(dg.InputError, match="8 of axis 0, which has 7 elements for T = 8"):
        program.run(x=np.ones((8, 2)), t=t)


X = 'x, m = dg.observed("x", (4, 3)), dg.observed("m", (4, 3))\n'
GOT = "(4, 3) float32 from observed 'x' (model.py:1)"
ERRORS = {
    "y = x[m > 0.0]": "index (model.py:2) expects indices of dtype int32 or int64, not a mask of "
    f"bools, whose choice has no known size; given {GOT} and (4, 3) bool from greater (model.py:2):"
    " use dg.where(mask, x, 0.0), which keeps the shape, or dg.sum(x, where=mask), as dg.mean, "
    "dg.max and the others over axes have it",
    "y = x[[0, 1], [3, 0]]": "index (model.py:2) expects places in [-3, 3) of an axis of 3 "
    "elements, not 3 at (0,) of the index",
    "y = x[[0, 1], [0, 1], [0, 1]]": "index (model.py:2) expects at most 2 indices, not 3",
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
