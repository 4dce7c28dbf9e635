"""The kernel of `solve`: Gaussian elimination with partial pivoting, one matrix after another.

    for row in range(lo, hi):          a matrix of the batch
        held <- [a | b]                in memory of the worker, each part in whole vectors
        for k ...:                     down: the largest element left in column k becomes the pivot
            for i below k: held[i] <- held[i] - held[i, k] / pivot * held[k]
        for k backwards ...:           up, in the columns of b alone
            held[k] <- held[k] / pivot
            for i above k: held[i] <- held[i] - held[i, k] * held[k]
        x <- the columns of b

(Golub and Van Loan, Matrix Computations, algorithms 3.4.1 and 3.1.4.)  What lies in columns that
are done is not read again.  A pivot of 0 becomes NaN, which then spreads to all rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import indent

from ....runtime.program import Target
from ...graph import Node
from ...graphs.views import View, resolve
from ...primitives.elementwise import LANE_TYPES
from ...scheduling.template import Place
from ...sizes import Dim, product
from ..nest import Places
from ..writer import Emitted, Writer, decode
from .matrices import RESERVED, batch_axes, whole

_DOWN = """\
for k in range({n}):
    most = {kind}(-1)
    place = i64(k)
    for i in range(k, {n}, {lanes}):
        m = lanes_below({n} - i)
        size = absolute(load_strided(held, i * {width} + k, {width}, m))
        more = (size > most) & m
        most = select(more, size, most)
        place = select(more, i64(i) + lane(), place)
    chosen = first(reduce_min(select(most == reduce_max(most), place, i64({n}))))
    start = k // {lanes} * {lanes}
    if chosen > k:
        for j in range(start, {width}, {lanes}):
            upper = load(held, k * {width} + j)
            store(held, k * {width} + j, load(held, chosen * {width} + j))
            store(held, chosen * {width} + j, upper)
    pivot = load_splat(held, k * {width} + k)
{pivots}
    for i in range(k + 1, {n}):
        factor = -(load_splat(held, i * {width} + k) / pivot)
        for j in range(start, {width}, {lanes}):
            value = fma(factor, load(held, k * {width} + j), load(held, i * {width} + j))
            store(held, i * {width} + j, value)
"""

_NAN = """\
pivot = select(pivot == {kind}(0), {kind}(0) / {kind}(0), pivot)
store_first(held, k * {width} + k, pivot)
"""

_UP = """\
for back in range({n}):
    k = {n} - 1 - back
    pivot = load_splat(held, k * {width} + k)
    for j in range({side}, {width}, {lanes}):
        store(held, k * {width} + j, load(held, k * {width} + j) / pivot)
    for i in range(k):
        factor = -load_splat(held, i * {width} + k)
        for j in range({side}, {width}, {lanes}):
            value = fma(factor, load(held, k * {width} + j), load(held, i * {width} + j))
            store(held, i * {width} + j, value)
"""


def eliminated(pivots: str) -> str:
    """The text of the way down; what becomes of each pivot, that of row k, is told by lines.

    Where i64(chosen) is above i64(k), two rows were exchanged for it.
    """
    return _DOWN.replace("{pivots}\n", indent(pivots, " " * 4))


def emit_solve(node: Node, buffers: Places, target: Target) -> Emitted:
    """The kernel of one node; its range are the matrices of the batch.

    Which strides are 0 makes no difference to the text, so that most systems share it.
    """
    *lead, rows, columns = node.shape
    lanes = target.lanes
    writer = Writer(lanes)
    kind = LANE_TYPES[node.dtype]
    n, side = writer.integer(rows, "n"), writer.integer(whole(rows, lanes), "n")
    c, width = writer.integer(columns, "n"), writer.integer(_width(node, lanes), "n")
    writer.prologue.append(f"    held = {kind}_in(space, {RESERVED})")
    views = [resolve(item) for item in node.inputs]
    axes = batch_axes(lead, [view.strides for view in views])
    matrices = [(writer.integer(extent, "n"), extent) for extent, _ in axes]
    writer.line("for row in range(lo, hi):")
    writer.indent += 1
    indices = [*decode(writer, "row", matrices), "i"]
    for k, (view, extent, start) in enumerate(zip(views, (n, c), ("0", side), strict=True)):
        steps = [strides[k] for _, strides in axes]
        value = _read(writer, view, buffers[view.base], indices, steps)
        _over_rows(writer, n, extent)
        writer.line(f"store(held, {start} + i * {width} + j, {value})")
        writer.indent -= 2
    names = {"n": n, "side": side, "width": width, "kind": kind, "lanes": lanes}
    for line in (eliminated(_NAN) + _UP).format(**names).splitlines():
        writer.line(line)
    _over_rows(writer, n, c)
    place = buffers[node]
    out = writer.pointer(place.buffer, place.offset, node.dtype, writes=True)
    value = f"load(held, {side} + i * {width} + j)"
    writer.line(f"store({out}, (row * {n} + i) * {c} + j, {value}, m)")
    return writer.emitted(product(lead), ", space", _space(node, lanes))


def _read(
    writer: Writer, view: View, place: Place, indices: Sequence[str], steps: Sequence[Dim]
) -> str:
    """A vector of elements of row i from column j on."""
    pointer = writer.pointer(place.buffer, place.offset + view.offset, view.base.dtype)
    terms = zip(indices, [*steps, view.strides[-2]], strict=True)
    begin = " + ".join(f"{index} * {writer.integer(step, 's')}" for index, step in terms)
    if view.strides[-1] == 1 or view.shape[-1] == 1:
        return f"load({pointer}, {begin} + j, m)"
    apart = writer.integer(view.strides[-1], "s")
    return f"load_strided({pointer}, {begin} + j * {apart}, {apart}, m)"


def _over_rows(writer: Writer, rows: str, columns: str) -> None:
    """The beginning of loops over rows, and over columns a vector at a time."""
    writer.line(f"for i in range({rows}):")
    writer.indent += 1
    writer.line(f"for j in range(0, {columns}, {writer.lanes}):")
    writer.indent += 1
    writer.line(f"m = lanes_below({columns} - j)")


def _width(node: Node, lanes: int) -> Dim:
    """The elements of a row of the matrix beside its right-hand sides."""
    return whole(node.shape[-2], lanes) + whole(node.shape[-1], lanes)


def _space(node: Node, lanes: int) -> Dim:
    """Bytes that a thread needs for itself."""
    return RESERVED + node.shape[-2] * _width(node, lanes) * node.type.item_bytes
