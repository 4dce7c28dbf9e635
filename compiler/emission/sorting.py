"""The kernel of `argsort`: one line after another, in whole numbers that are in the same order.

    for row in range(lo, hi):          a line
        keys <- its elements           in memory of the worker: a float's bits, so that NaN is last
        short: the place of an element is how many come before it, counted for a vector at a time
        long:  a stable sort by the digits of the keys, 8 bits at a time, the lowest first

(Knuth, The Art of Computer Programming, volume 3, 5.2 algorithm C and 5.2.5 algorithm R.)  All
equal digits are left as they are.
"""

from __future__ import annotations

from ...runtime.program import Target
from ..graph import Node
from ..graphs.views import contiguous, resolve
from ..primitives.elementwise import LANE_TYPES
from ..primitives.sorting import RANKED
from ..scheduling.fusion import Group
from ..sizes import Dim, ceil_divide, product
from .nest import Places
from .writer import Emitted, Writer, decode

RESERVED = 64
"""Bytes at the start of a thread's memory that are not the kernel's: see `GEMM_LEFT`."""

DIGITS = 256

_FLOATS = {"float32": ("int32", 2139095040, 31), "float64": ("int64", 9218868437227405312, 63)}
"""How a float's bits are read, those of infinity, and the place of the sign."""

_RANKED = """\
for i in range(0, {n}, {lanes}):
    mine = load(keys, i)
    own = i64(i) + lane()
    rank = i64(0)
    for j in range({n}):
        other = load_splat(keys, j)
        before = (other < mine) | ((other == mine) & (i64(j) < own))
        rank = rank + select(before, i64(1), i64(0))
    scatter({out}, i64(begin) + rank * i64({apart}), own, lanes_below({n} - i))
"""

_BY_DIGITS = f"""\
front = 0
back = {{whole}}
for j in range(0, {{n}}, {{lanes}}):
    store(order, j, i64(j) + lane())
for digit in range({{digits}}):
    shift = digit * 8
    sign = (digit + 1) // {{digits}} * {DIGITS // 2}
    for j in range(0, {DIGITS}, {{lanes}}):
        store(starts, j, i64(0))
    at = 0
    for j in range({{n}}):
        at = ((first(load_splat(keys, front + j)) >> shift) & {DIGITS - 1}) ^ sign
        store_first(starts, at, load_splat(starts, at) + i64(1))
    if first(load_splat(starts, at)) < {{n}}:
        total = 0
        for j in range({DIGITS}):
            more = first(load_splat(starts, j))
            store_first(starts, j, i64(total))
            total = total + more
        for j in range({{n}}):
            key = load_splat(keys, front + j)
            at = ((first(key) >> shift) & {DIGITS - 1}) ^ sign
            place = first(load_splat(starts, at))
            store_first(starts, at, i64(place + 1))
            store_first(keys, back + place, key)
            store_first(order, back + place, load_splat(order, front + j))
        front = back
        back = {{whole}} - front
for j in range(0, {{n}}, {{lanes}}):
    m = lanes_below({{n}} - j)
    store_strided({{out}}, begin + j * {{apart}}, {{apart}}, load(order, front + j), m)
"""


def emit_argsort(group: Group, buffers: Places, target: Target) -> Emitted:
    """The kernel of one node; its range are the lines along the sorted axis."""
    (node,) = group.members
    axis, extent = node.attrs["axis"], _extent(node)
    view, place = resolve(node.inputs[0]), buffers[node]
    lanes = target.lanes
    writer = Writer(lanes)
    n = writer.integer(extent, "n")
    steps = contiguous(node.shape)
    others = [a for a, size in enumerate(node.shape) if a != axis and size != 1]
    lines = [(writer.integer(node.shape[a], "n"), node.shape[a]) for a in others]
    bits, _, _ = _FLOATS.get(node.inputs[0].dtype, (node.inputs[0].dtype, 0, 0))
    source = buffers[view.base]
    read = writer.pointer(source.buffer, source.offset + view.offset, bits)
    write = writer.pointer(place.buffer, place.offset, "int64", writes=True)
    apart, along = writer.integer(steps[axis], "s"), writer.integer(view.strides[axis], "s")
    load = f"load_strided({read}, source + j * {along}, {along}, m)"
    if view.strides[axis] == 1:
        load = f"load({read}, source + j, m)"
    writer.prologue.append(f"    keys = i64_in(space, {RESERVED})")
    long, whole = _is_long(extent), ""
    if long is not False:
        whole = writer.integer(_whole(extent, lanes), "n")
        writer.prologue.append(f"    order = i64_in(space, {RESERVED} + {whole} * 16)")
        writer.prologue.append(f"    starts = i64_in(space, {RESERVED} + {whole} * 32)")
    writer.enter("for row in range(lo, hi):")
    indices = decode(writer, "row", lines) if lines else []
    for name, strides in (("source", view.strides), ("begin", steps)):
        pairs = zip(indices, others, strict=True)
        terms = [f"{index} * {writer.integer(strides[a], 's')}" for index, a in pairs]
        writer.line(f"{name} = {' + '.join(terms) or '0'}")
    writer.enter(f"for j in range(0, {n}, {lanes}):")
    writer.line(f"m = lanes_below({n} - j)")
    writer.line(f"bits = {load}")
    _store_keys(writer, node)
    writer.indent -= 1
    names = {"n": n, "apart": apart, "whole": whole, "lanes": lanes}
    names |= {"digits": "8" if node.inputs[0].dtype.endswith("64") else "4"}
    for text, chosen, test in ((_RANKED, False, "<="), (_BY_DIGITS, True, ">")):
        if long is not None and long != chosen:
            continue
        if long is None:
            writer.enter(f"if {n} {test} {RANKED}:")
        for line in text.format(out=write, **names).splitlines():
            writer.line(line)
        writer.indent = 2
    count = product(node.shape[a] for a in others)
    return writer.emitted(count, ", space", _space(node, lanes))


def _store_keys(writer: Writer, node: Node) -> None:
    """A vector of elements as keys: whole numbers of 64 bits in the order that is asked for."""
    dtype = node.inputs[0].dtype
    if dtype in _FLOATS:
        kind, infinity, sign = _FLOATS[dtype]
        kind, most = LANE_TYPES[kind], 2**sign - 1
        writer.line(f"size = bits & {kind}({most})")
        writer.line(f"low = bits ^ ((bits >> {kind}({sign})) & {kind}({most}))")
        writer.line(f"low = select(size == {kind}(0), size, low)")
        writer.line(f"key = to_i64(select(size > {kind}({infinity}), {kind}({most}), low))")
    else:
        less = " - i64(2147483648)" if dtype == "uint32" else ""
        writer.line(f"key = to_i64(bits){less}")
    writer.line("store(keys, j, ~key)" if node.attrs["descending"] else "store(keys, j, key)")


def _space(node: Node, lanes: int) -> Dim:
    """Bytes that a thread needs for itself."""
    whole = _whole(_extent(node), lanes)
    if _is_long(_extent(node)) is False:
        return RESERVED + whole * 8
    return RESERVED + whole * 32 + DIGITS * 8


def _extent(node: Node) -> Dim:
    extent: Dim = node.inputs[0].shape[node.attrs["axis"]]
    return extent


def _is_long(extent: Dim) -> bool | None:
    """Whether lines are sorted by their digits, None where only the call says how long they are."""
    return extent > RANKED if isinstance(extent, int) else None


def _whole(extent: Dim, lanes: int) -> Dim:
    """As many elements in whole vectors."""
    return ceil_divide(extent, lanes) * lanes
