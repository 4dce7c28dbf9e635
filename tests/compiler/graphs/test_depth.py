"""How the operands of contractions lie: roles, one depth or segments, what reads where it lies."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from diagrad.compiler.graph import Node
from diagrad.compiler.graphs.depth import (
    FEWEST_STEPS,
    columns_last,
    columns_lie,
    depth_axes,
    merge_neighbours,
    one_depth,
    operands_of,
    reads_segments,
)
from diagrad.compiler.graphs.views import View
from diagrad.compiler.primitives.contraction import summed_labels

from ..building import b, given

IMAGE, ROW, COLUMN, TAP, ACROSS, CHANNEL, RESULT = range(7)


def conv(
    channels: int = 8, results: int = 32, taps: tuple[int, int] = (3, 3), stride: int = 1
) -> Node:
    """Windows over images (N, 9, 9, C) times weights (3, 3, C, J)."""
    x, w = given("x", 2, 9, 9, channels), given("w", *taps, channels, results)
    seen = b.windows(x, axis=1, size=taps[0], stride=stride, dilation=1)
    seen = b.windows(seen, axis=3, size=taps[1], stride=stride, dilation=1)
    return b.contract(
        seen, w, a=(IMAGE, ROW, TAP, COLUMN, ACROSS, CHANNEL), b=(TAP, ACROSS, CHANNEL, RESULT),
        out=(IMAGE, ROW, COLUMN, RESULT),
    )  # fmt: skip


def summed(node: Node) -> list[Any]:
    """The axes of the depth of a contraction: extents, and strides in both operands."""
    return depth_axes(operands_of(node), summed_labels(node))


def test_a_row_of_a_window_is_a_segment() -> None:
    """Columns and channels of a window lie side by side, rows of it a row of the image apart."""
    assert summed(conv()) == [(3, 9 * 8, 3 * 8 * 32), (3 * 8, 1, 32)]
    assert summed(conv(taps=(3, 1))) == [(3, 9 * 8, 8 * 32), (8, 1, 32)]
    assert summed(conv(taps=(1, 3))) == [(24, 1, 32)]
    assert summed(conv(channels=1, taps=(2, 2))) == [(2, 9, 64), (2, 1, 32)]
    x, w = given("x", 5, 7), given("w", 7, 3)
    assert summed(b.contract(x, w, a=(0, 1), b=(1, 2), out=(0, 2))) == [(7, 1, 3)]


def test_one_depth() -> None:
    """As the axes stand in either operand, or lie in one; none where windows overlap."""
    x, w, turned = given("x", 5, 4, 6), given("w", 4, 6, 3), given("t", 6, 4, 3)
    node = b.contract(x, w, a=(0, 1, 2), b=(1, 2, 3), out=(0, 3))
    assert one_depth(operands_of(node), (1, 2)) == (24, 1, 3)
    lying = b.contract(
        b.transpose(x, axes=(0, 2, 1)), b.transpose(w, axes=(1, 0, 2)), a=(0, 2, 1), b=(2, 1, 3),
        out=(0, 3),
    )  # fmt: skip
    assert one_depth(operands_of(lying), (1, 2)) == (24, 1, 3)
    apart = b.contract(x, turned, a=(0, 1, 2), b=(2, 1, 3), out=(0, 3))
    assert one_depth(operands_of(apart), (1, 2)) is None
    whole = conv()
    assert one_depth(operands_of(whole), summed_labels(whole)) is None


def test_what_reads_segments() -> None:
    assert reads_segments(conv())
    assert not reads_segments(conv(taps=(1, 3))), "this has one depth"
    assert not reads_segments(conv(channels=1, taps=(3, FEWEST_STEPS - 1))), "too short segments"
    assert reads_segments(conv(channels=1, taps=(3, FEWEST_STEPS)))
    x = given("x", 5, 4, 6)
    line = b.contract(x, given("v", 6, 4), a=(0, 1, 2), b=(2, 1), out=(0,))
    assert not reads_segments(b.contract(x, x, a=(0, 1, 2), b=(0, 1, 2), out=())), "no columns"
    assert operands_of(line).swapped, "the rows are the columns where there are no others"


def test_columns_lie_side_by_side_or_their_operand_is_small_enough_to_copy() -> None:
    x = given("x", 20, 9, 5)
    seen = b.windows(x, axis=1, size=3, stride=1, dilation=1)  # (20, 7, 3, 5)
    for shape, axes, lie, reads in (
        ((3, 5, 4), (0, 1, 2), True, True),
        ((4, 3, 5), (1, 2, 0), False, True),  # 60 elements beside 2100
        ((100, 3, 5), (1, 2, 0), False, False),
    ):
        w = b.transpose(given("w", *shape), axes=axes)
        node = b.contract(
            b.transpose(seen, axes=(0, 1, 3, 2)), w, a=(0, 1, 3, 2), b=(2, 3, 4), out=(0, 1, 4)
        )
        operands = operands_of(node)
        assert columns_lie(operands) == lie
        if one_depth(operands, summed_labels(node)) is None:
            assert reads_segments(node) == reads


@pytest.mark.parametrize("swapped", [False, True])
def test_columns_last(swapped: bool) -> None:
    """Batch axes, the depth as it lies in the left operand, and the columns as in the result."""
    a, w = given("a", 3, 4, 5, 6), given("w", 7, 5, 3, 4, 2)
    labels_a, labels_w = (0, 1, 2, 9), (4, 2, 0, 1, 5)
    pair = ((w, labels_w), (a, labels_a)) if swapped else ((a, labels_a), (w, labels_w))
    node = b.contract(pair[0][0], pair[1][0], a=pair[0][1], b=pair[1][1], out=(0, 9, 4, 5))
    x = operands_of(node)
    assert x.swapped == swapped and x.b == labels_w
    assert columns_last(x, summed_labels(node)) == (0, 1, 2, 4, 5)


def test_merge_neighbours() -> None:
    assert merge_neighbours([(3, 20, 10), (4, 5, 2), (5, 1, 1)]) == [
        (3, 20, 10),
        (4, 5, 2),
        (5, 1, 1),
    ]
    assert merge_neighbours([(3, 20, 8), (4, 5, 2), (5, 1, 1)]) == [(12, 5, 2), (5, 1, 1)]
    assert merge_neighbours([(3, 20), (4, 5), (5, 1)]) == [(60, 1)]
    assert merge_neighbours([]) == []


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("channels", [1, 3, 8])
def test_all_terms_are_gone_through_once(channels: int, stride: int) -> None:
    """The places of the axes of the depth are those of the terms of a sum, in both operands."""
    node = conv(channels, 4, (3, 2), stride)
    x, labels = operands_of(node), summed_labels(node)
    found = (
        places([axis[:2] for axis in summed(node)]),
        places([(extent, there) for extent, _, there in summed(node)]),
    )
    wanted = tuple(
        places([(view.shape[text.index(k)], view.strides[text.index(k)]) for k in labels])
        for view, text in ((x.left, x.a), (x.right, x.b))
    )
    pairs = [sorted(zip(*both, strict=True)) for both in (found, wanted)]
    assert pairs[0] == pairs[1]
    ways = [abs(int(str(axis[1]))) for axis in summed(node)]
    assert all(outer >= inner for outer, inner in pairwise(ways))


def places(axes: Any) -> list[int]:
    """Offsets for each index of axes (extent, stride), row-major."""
    offsets = np.zeros((), int)
    for extent, stride in axes:
        offsets = offsets[..., None] + stride * np.arange(extent)
    return [int(place) for place in offsets.ravel()]


def test_views_have_their_strides() -> None:
    x = operands_of(conv(stride=2))
    assert isinstance(x.left, View) and x.left.strides == (648, 144, 72, 16, 8, 1)
