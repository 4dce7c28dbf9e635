"""The axes of a loop kernel's nest: merged, turned so that short rows lie in lanes, grouped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...runtime.program import CUDA, Target
from ..dtypes import COMPUTED
from ..graph import Node
from ..graphs.views import mergeable
from ..scheduling.fusion import Group
from ..sizes import Dim, floor_divide, nominal, product
from .nest import Memory, Operand

FEWEST = 64
"""Elements that are worth finding where they begin; such stretches that are enough for threads."""

PIECE = 128
"""Elements of a row that one index covers on a GPU."""


def piece_on(target: Target) -> int | None:
    """Elements of a long row that one index covers where nothing is summed; None for all of them.

    A thread of the processor takes stretches; a GPU has warps for every few vectors of an array.
    """
    return PIECE if target.name == CUDA.name else None


@dataclass(frozen=True)
class Axis:
    """An axis of the nest: an extent, and the domain's axes that it merges."""

    extent: Dim
    last: int
    reduced: bool


def is_whole(extent: Dim, lanes: int) -> bool:
    """Whether an axis is a number of whole vectors for all sizes."""
    return extent == floor_divide(extent, lanes) * lanes


def is_short(extent: Dim, piece: int) -> bool:
    """Whether a row is at most one piece long for all sizes."""
    return isinstance(extent, int) and extent <= piece


def rows_in_lanes(axes: list[Axis], lanes: int) -> list[Axis]:
    """The axes, a short reduced one at the end in front, so that a lane has a row of its own.

    A row that does not fill the lanes takes as long as one that does, and what is found of it goes
    from lane to lane; so as many rows at once take little longer, though each element is fetched
    by itself.
    """
    if sum(axis.reduced for axis in axes) != 1 or not axes[-1].reduced or len(axes) < 2:
        return axes
    extent, rows = axes[-1].extent, nominal(axes[-2].extent)
    if not isinstance(extent, int) or extent >= lanes or rows < lanes:
        return axes
    return [axes[-1], *axes[:-1]]


def moves_bytes(operands: Sequence[Operand], stores: Mapping[Node, Memory]) -> bool:
    """Whether something in memory is smaller than what instructions fetch one by one."""
    places = [*(item for item in operands if isinstance(item, Memory)), *stores.values()]
    return any(place.dtype == "bool" or place.dtype in COMPUTED for place in places)


def short_rows(axes: Sequence[Axis]) -> list[Axis]:
    """The axes before the last that one index of the parallel axis goes through.

    Finding where a short row begins takes longer than the row.
    """
    first = max(len(axes) - 1, 0)
    while first > 0:
        length = product(axis.extent for axis in axes[first:])
        others = nominal(product(axis.extent for axis in axes[: first - 1]))
        if not isinstance(length, int) or length >= FEWEST or others < FEWEST:
            break
        first -= 1
    return list(axes[first:-1])


def merged_axes(group: Group, strides: Sequence[tuple[Dim, ...]]) -> list[Axis]:
    """The domain's axes, neighbours merged where every operand steps through both as one."""
    axes: list[Axis] = []
    for index, extent in enumerate(group.domain):
        reduced = index in group.reduced
        # Over no elements any strides read as one, those of column sums and their terms too.
        if axes and axes[-1].reduced == reduced and 0 not in (axes[-1].extent, extent):
            outer = axes[-1]
            if all(mergeable((outer.extent, s[outer.last]), (extent, s[index])) for s in strides):
                axes[-1] = Axis(outer.extent * extent, index, reduced)
                continue
        axes.append(Axis(extent, index, reduced))
    return axes
