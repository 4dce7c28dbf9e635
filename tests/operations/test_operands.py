"""How operands lie in memory makes no difference, and results belong to the caller."""

import numpy as np
import pytest

import diagrad as dg

from .rows.operation import Array
from .rows.running import TARGETS, Batch, Target, applications, value_alone
from .rows.table import TABLE

GROUPS = (
    "arithmetic", "reductions", "moves", "choices", "products", "windows", "convolutions",
    "attentions",
)  # fmt: skip


def turned(array: Array) -> Array:
    """The same elements, columns first."""
    return np.array(array, order="F")


def strided(array: Array) -> Array:
    """The same elements, every second one of a larger array, backwards."""
    if array.ndim == 0:
        return array
    wide = np.zeros([2 * n for n in array.shape], array.dtype)
    view = wide[(slice(None, None, -2),) * array.ndim]
    view[...] = array
    return view


def read_only(array: Array) -> Array:
    """The same elements, not to be written."""
    array = array.copy()
    array.flags.writeable = False
    return array


def unaligned(array: Array) -> Array:
    """The same elements at an odd address."""
    raw = np.zeros(array.nbytes + 1, np.uint8)[1:]
    moved = raw.view(array.dtype).reshape(array.shape)
    moved[...] = array
    return moved


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("group", GROUPS)
def test_any_layout_gives_the_same(group: str, target: Target) -> None:
    batch = Batch(applications(TABLE[group], "float32"), value_alone)
    run = batch.compile(target)
    arrays = batch.arrays()
    wanted = run(**arrays)
    for layout in (turned, strided, read_only, unaligned):
        given = {name: layout(array) for name, array in arrays.items()}
        before = {name: array.copy() for name, array in given.items()}
        for name, value in run(**given).items():
            np.testing.assert_array_equal(value, wanted[name], err_msg=layout.__name__)
        for name, array in given.items():
            np.testing.assert_array_equal(array, before[name], err_msg=f"{name} was changed")


@pytest.mark.parametrize("target", TARGETS)
def test_results_stay_as_they_are(target: Target) -> None:
    x = dg.observed("x", ("B",))
    outputs = {"given": x, "double": x + x, "total": dg.sum(x), "one": dg.size("B")}
    program = dg.Diagram("test", outputs).compile(target=target)
    first = program.run(x=np.ones(3, np.float32))
    kept = {name: value.copy() for name, value in first.items()}
    second = program.run(x=np.zeros(5, np.float32))
    third = program.run(x=np.full(3, 7, np.float32))
    for name, value in kept.items():
        np.testing.assert_array_equal(first[name], value, err_msg=name)
        values = (first[name], second[name], third[name])
        assert not any(np.shares_memory(values[i], values[j]) for i, j in ((0, 1), (0, 2), (1, 2)))
        assert all(value.flags.writeable for value in values)


@pytest.mark.parametrize("target", TARGETS)
def test_results_share_no_memory_with_operands(target: Target) -> None:
    x = dg.observed("x", (3, 4))
    outputs = {
        "same": x, "turned": x.T, "line": x.reshape(-1), "part": x[1:], "one": dg.reshape(x, 12),
        "wide": dg.broadcast_to(x, (2, 3, 4)),
    }  # fmt: skip
    given = np.arange(12, dtype=np.float32).reshape(3, 4)
    values = dg.Diagram("test", outputs).compile(target=target).run(x=given)
    for name, value in values.items():
        assert not np.shares_memory(value, given), name
        assert value.flags.writeable, name
