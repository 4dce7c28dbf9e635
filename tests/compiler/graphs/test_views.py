"""Views: chains of view primitives lie in their base as NumPy's do."""

import math

import numpy as np
import pytest
from hypothesis import given as hypothesis_given
from hypothesis import settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import as_strided, sliding_window_view

from diagrad.compiler.graph import Node
from diagrad.compiler.graphs.views import (
    View,
    apply_view,
    contiguous,
    mergeable,
    merged_axis,
    reshaped_strides,
    resolve,
    squeeze,
    view_of,
)
from diagrad.compiler.sizes import Dim, evaluate, floor_divide, named

from ..building import Array, b, given, shape_of

B = named("B")


def step_of(data: st.DataObject, node: Node, array: Array) -> tuple[Node, Array]:
    """One random view of a node, and NumPy's of an array."""
    kinds = ["transpose", "broadcast", "slice", "flip", "windows", "reshape"]
    kind = data.draw(st.sampled_from(kinds))
    rank = array.ndim
    if kind == "windows" and array.size:
        axis = data.draw(st.integers(0, max(rank - 1, 0)))
        node, array = (node, array) if rank else (b.reshape(node, shape=(1,)), array.reshape(1))
        return window_of(data, node, array, axis)
    if kind == "transpose":
        axes = tuple(data.draw(st.permutations(range(rank))))
        return b.transpose(node, axes=axes), array.transpose(axes)
    if kind == "flip":
        axes = tuple(sorted(data.draw(st.sets(st.integers(0, rank - 1))))) if rank else ()
        return b.flip(node, axes=axes), np.flip(array, axes)
    if kind == "slice":
        start, stop, step = [], [], []
        for extent in array.shape:
            low = data.draw(st.integers(0, extent))
            start.append(low)
            stop.append(data.draw(st.integers(low, extent)))
            step.append(data.draw(st.integers(1, 3)))
        chosen = tuple(map(slice, start, stop, step))
        attrs = {"start": tuple(start), "stop": tuple(stop), "step": tuple(step)}
        return b.slice(node, **attrs), array[chosen]
    if kind == "broadcast":
        place, extent = data.draw(st.integers(0, rank)), data.draw(st.integers(0, 3))
        shape = (*array.shape[:place], extent, *array.shape[place:])
        axes = tuple(a for a in range(rank + 1) if a != place)
        wide = np.broadcast_to(np.expand_dims(array, place), shape)
        return b.broadcast(node, shape=shape, axes=axes), wide
    shape = data.draw(st.sampled_from(factored(array.size)))
    return b.reshape(node, shape=shape), array.reshape(shape)


def window_of(data: st.DataObject, node: Node, array: Array, axis: int) -> tuple[Node, Array]:
    """Random windows along an axis."""
    extent = array.shape[axis]
    size, stride = data.draw(st.integers(1, extent)), data.draw(st.integers(1, 3))
    dilation = data.draw(st.integers(1, max(1, (extent - 1) // max(1, size - 1))))
    every = sliding_window_view(array, dilation * (size - 1) + 1, axis)
    key = (slice(None),) * axis + (slice(None, None, stride),)
    found = np.moveaxis(every[key][..., ::dilation], -1, axis + 1)
    return b.windows(node, axis=axis, size=size, stride=stride, dilation=dilation), found


def factored(count: int) -> list[tuple[int, ...]]:
    """Some shapes of so many elements."""
    if count == 0:
        return [(0,), (3, 0), (0, 2)]
    pairs = [(i, count // i) for i in range(1, count + 1) if count % i == 0]
    return [(count,), *pairs, *((1, i, j) for i, j in pairs), *((2, i // 2, j) for i, j in pairs
            if i % 2 == 0)]  # fmt: skip


def seen(view: View, base: Array) -> Array:
    """What a view shows of an array."""
    shape = tuple(evaluate(n, {}) for n in view.shape)
    if 0 in shape:
        return np.zeros(shape, base.dtype)
    strides = [base.itemsize * evaluate(n, {}) for n in view.strides]
    return as_strided(base.reshape(-1)[evaluate(view.offset, {}) :], shape, strides)


@settings(max_examples=300, deadline=None)
@hypothesis_given(st.data(), st.lists(st.integers(0, 4), max_size=3))
def test_random_chains_are_numpys(data: st.DataObject, shape: list[int]) -> None:
    base = np.arange(math.prod(shape)).reshape(shape)
    node: Node = given("x", *shape, dtype="int64")
    array = base
    for _ in range(data.draw(st.integers(0, 5))):
        if array.size > 200:
            break
        node, array = step_of(data, node, array)
    assert node.shape == array.shape
    try:
        view = resolve(node)
    except ValueError:
        assert not np.shares_memory(array, base), "NumPy found a view"
        return
    assert view.shape == array.shape
    np.testing.assert_array_equal(seen(view, base), array)
    if array.size and np.shares_memory(array, base):
        axes = [axis for axis, extent in enumerate(array.shape) if extent > 1]
        strides = tuple(array.strides[axis] // array.itemsize for axis in axes)
        assert tuple(view.strides[axis] for axis in axes) == strides
    same = array.size == base.size and np.array_equal(array.ravel(), base.ravel())
    assert same or not view.is_identity()


@pytest.mark.parametrize(
    ("old", "strides", "new", "expected"),
    [
        ((B, 10), (10, 1), (B * 10,), (1,)),
        ((B, 10), (10, 1), (B, 2, 5), (10, 5, 1)),
        ((B, 10), (1, B), (B, 10), (1, B)),
        ((B, 10), (1, B), (B * 10,), None),
        ((B, 2, 5), (20, 11, 2), (B, 10), None),
        ((B, 2, 5), (20, 10, 2), (B, 10), (20, 2)),
        ((B, 2, 5), (20, 10, 2), (B * 2, 5), (10, 2)),
        ((B, 4, 5), (40, 5, 1), (B, 20), (40, 1)),
        ((B, 4, 5), (40, 5, 1), (B * 20,), None),
        ((3, B), (0, 1), (3, B, 1), (0, 1, 0)),
        ((6,), (2,), (2, 3), (6, 2)),
        ((1, 6, 1), (9, 2, 9), (3, 2), (4, 2)),
        ((4, 3), (-3, -1), (12,), (-1,)),
        ((4, 3), (3, -1), (2, 2, 3), (6, 3, -1)),
        ((4, 0), (5, 1), (0, 7), (7, 1)),
        ((2, 2), (0, 0), (4,), (0,)),
        ((3, 1, 2), (2, 6, 1), (2, 3), (3, 1)),
        ((4, 6), (12, 2), (3, 8), (16, 2)),
        ((4, 6), (13, 2), (3, 8), None),
    ],
)
def test_reshaped_strides(
    old: tuple[Dim, ...],
    strides: tuple[Dim, ...],
    new: tuple[Dim, ...],
    expected: tuple[Dim, ...] | None,
) -> None:
    assert reshaped_strides(old, strides, new) == expected


def test_views_with_named_sizes() -> None:
    x = given("x", "B", 6)
    view = resolve(b.reshape(b.flip(x, axes=(0,)), shape=shape_of("B", 2, 3)))
    assert (view.base, view.offset, view.strides) == (x, (B - 1) * 6, (-6, 3, 1))
    view = resolve(b.slice(x, start=(1, 2), stop=(B, 6), step=(1, 2)))
    assert (view.offset, view.shape, view.strides) == (8, (B - 1, 2), (6, 2))
    view = resolve(b.transpose(x, axes=(1, 0)))
    assert not view.is_identity() and view.strides == (1, 6)
    view = resolve(b.windows(x, axis=0, size=3, stride=2, dilation=4))
    assert (view.shape, view.strides) == ((floor_divide(B - 9, 2) + 1, 3, 6), (12, 24, 1))
    assert resolve(b.reshape(x, shape=(B * 6,))).strides == (1,)


def test_what_has_no_strides() -> None:
    turned = b.transpose(given("x", "B", 6), axes=(1, 0))
    line = b.reshape(turned, shape=(B * 6,))
    assert apply_view(resolve(turned), line) is None
    assert view_of(line) is None and view_of(b.reshape(line, shape=(B, 6))) is None
    with pytest.raises(ValueError, match=r"^<reshape: float32\[6\*B\]> is not a view$"):
        resolve(line)


def test_axes_of_one_element_do_not_count() -> None:
    x = given("x", 1, "B", 1, 3)
    view = resolve(b.reshape(x, shape=shape_of("B", 3, 1)))
    assert view.is_identity() and view.squeezed().shape == shape_of("B", 3)
    assert squeeze((1, B, 1)) == (B,)
    assert contiguous(shape_of(2, "B", 3)) == (B * 3, 3, 1)


def test_mergeable() -> None:
    assert mergeable((2, 15), (5, 3)) and not mergeable((2, 15), (5, 2))
    assert mergeable((2, B * 3), (B, 3)) and mergeable((2, 0), (7, 0))


def test_merged_axes() -> None:
    view = View(given("x"), 0, (B, 2, 1, 3), (6, 3, 9, 1))
    labels = (0, 1, 2, 3)
    assert merged_axis(view, labels, ()) == (1, 0)
    assert merged_axis(view, labels, (1, 3)) == (6, 1)
    assert merged_axis(view, labels, (1, 2, 3)) == (6, 1)
    assert merged_axis(view, labels, (0, 1, 3)) == (B * 6, 1)
    assert merged_axis(view, labels, (3, 1)) is None
    assert merged_axis(view, labels, (2,)) == (1, 0)
