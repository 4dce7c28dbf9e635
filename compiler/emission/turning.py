"""Copies that turn a matrix, as from channels before space to channels last.

    for row in range(lo, hi):
        turn_f32(routine, c, ...)     some rows of one matrix, in squares of a vector's lanes

Read along the rows of the one, or written along those of the other, every element would come from
a cache line of its own.  The native routine turns squares in registers.
"""

from __future__ import annotations

from ...runtime.program import Routine, Target
from ..graphs.views import View
from ..scheduling.template import Place
from ..sizes import Dim, ceil_divide, nominal, product
from .axes import piece_on
from .nest import Memory, Places
from .writer import Emitted, Writer, decode

VECTORS = 4
"""Vectors of rows of the result that are made at a time."""


def turned_axis(view: View, place: Memory, lanes: int) -> int | None:
    """The axis along which a squeezed view lies side by side, if another one is last in memory.

    None unless both have enough elements for a square.
    """
    last = len(view.shape) - 1
    if view.base.type.item_bytes not in (4, 8) or last < 1 or place.strides[last] != 1:
        return None
    if view.strides[last] in (0, 1) or nominal(view.shape[last]) < lanes:
        return None
    for axis in range(last):
        if view.strides[axis] == 1 and nominal(view.shape[axis]) >= lanes:
            return axis
    return None


def emit_turn(view: View, axis: int, buffers: Places, target: Target, to: Memory) -> Emitted:
    """The copy of a squeezed view, with `axis` and its last axis as the sides of the matrices."""
    writer, last = Writer(target.lanes), len(view.shape) - 1
    piece = piece_on(target)
    most = VECTORS * target.lanes if piece is None else target.lanes
    size = view.base.type.item_bytes
    turn = f"turn_f{8 * size}"
    routine = writer.integer(Routine(turn), "routine")
    place = buffers[view.base]
    writer.reads[place.buffer] = None
    writer.writes[to.buffer] = None
    source = writer.integer(Place(place.buffer, place.offset + view.offset), "a")
    out = writer.integer(Place(to.buffer, to.offset), "a")
    columns, rows = (writer.integer(view.shape[k], "n") for k in (last, axis))
    apart, down = (writer.integer(stride, "s") for stride in (view.strides[last], to.strides[axis]))
    others = [k for k in range(last) if k != axis]
    blocks: Dim = ceil_divide(view.shape[axis], most)
    pairs = [(writer.integer(view.shape[k], "n"), view.shape[k]) for k in others]
    pairs.append((writer.integer(blocks, "n"), blocks))
    if piece is not None:
        pieces = ceil_divide(view.shape[last], piece)
        pairs.append((writer.integer(pieces, "n"), pieces))
    writer.enter("for row in range(lo, hi):")
    indices = decode(writer, "row", pairs)
    to_left, from_left, width = "", "", columns
    if piece is not None:
        _part(writer, "left", "width", indices.pop(), columns, piece)
        to_left, from_left, width = " + left", f" + left * {apart}", "width"
    _part(writer, "top", "some", indices.pop(), rows, most)
    reading, writing = (
        " + ".join(
            f"{index} * {writer.integer(strides[k], 's')}"
            for index, k in zip(indices, others, strict=True)
        )
        or "0"
        for strides in (view.strides, to.strides)
    )
    writer.line(
        f"{turn}({routine}, {out} + ({writing} + top * {down}{to_left}) * {size}, {down}, "
        f"{source} + ({reading} + top{from_left}) * {size}, {apart}, {width}, some, 0, 1)"
    )
    return writer.emitted(product(extent for _, extent in pairs))


def _part(writer: Writer, first: str, count: str, block: str, extent: str, most: int) -> None:
    """Lines that name the first row or column of a block, and how many it has."""
    writer.line(f"{first} = {block} * {most}")
    writer.line(f"{count} = {extent} - {first}")
    writer.line(f"if {count} > {most}:")
    writer.line(f"    {count} = {most}")
