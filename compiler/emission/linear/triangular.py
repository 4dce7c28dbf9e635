"""The kernel of `triangular_solve`: right-hand sides a vector of columns at a time.

    for row in range(lo, hi):           a matrix of the batch, and columns of one vector
        held <- those columns of b
        for k in range(0, n, 8):        eight rows of x
            x[k:k+8] <- held[k:k+8] - a[k:k+8, :k] held[:k]        in registers
            solved with the triangle a[k:k+8, k:k+8]
        x <- held

(Golub and Van Loan, Matrix Computations, 3.1.5.)  An upper triangle is read from its last row and
column on: that is a lower one.  What is missing in the last eight rows is the last row once more.
"""

from __future__ import annotations

from dataclasses import replace

from ....runtime.program import Target
from ...graph import Node
from ...primitives.elementwise import LANE_TYPES
from ...sizes import ceil_divide, product
from ..nest import Places
from ..writer import Emitted, Writer
from .matrices import RESERVED, Matrix, block_of, enter_batch, whole, write

_READ = """\
m = lanes_below({c} - {panel} * {lanes})
for i in range({n}):
    store(held, i * {lanes}, {value})
for i in range({n}, {rows}):
    store(held, i * {lanes}, {kind}(0))
"""

_WRITE = """\
for i in range({n}):
    store({out}, ({matrix} * {n} + {place}) * {c} + {panel} * {lanes}, load(held, i * {lanes}), m)
"""


def emit_triangular(node: Node, buffers: Places, target: Target) -> Emitted:
    """The kernel of one node; its range are the vectors of columns of all matrices."""
    *lead, extent, columns = node.shape
    lanes, kind = target.lanes, LANE_TYPES[node.dtype]
    block = block_of(extent, lanes)
    rows, panels = whole(extent, block), ceil_divide(columns, lanes)
    writer = Writer(lanes)
    n, c = writer.integer(extent, "n"), writer.integer(columns, "n")
    padded, count = writer.integer(rows, "n"), writer.integer(panels, "n")
    writer.prologue.append(f"    held = {kind}_in(space, {RESERVED})")
    result = buffers[node]
    out = writer.pointer(result.buffer, result.offset, node.dtype, writes=True)
    (a, b), panel = enter_batch(writer, buffers, node.inputs, panels)
    place = "i"
    if not node.attrs["lower"]:
        place = f"({n} - 1 - i)"
        writer.line(f"corner = {a.begin} + ({n} - 1) * ({a.down} + {a.across})")
        writer.line(f"up = -{a.down}")
        writer.line(f"back = -{a.across}")
        a = replace(a, begin="corner", down="up", across="back")
    names = {
        "n": n, "c": c, "rows": padded, "lanes": lanes, "kind": kind, "out": out,
        "panel": panel, "matrix": f"(row // {count})", "place": place,
        "value": b.along_row(place, f"{panel} * {lanes}", "m"),
    }  # fmt: skip
    write(writer, _READ, **names)
    writer.enter(f"for k in range(0, {padded}, {block}):")
    _rows(writer, a, n, block, node.attrs["unit_diagonal"])
    writer.indent -= 1
    write(writer, _WRITE, **names)
    space = RESERVED + rows * lanes * node.type.item_bytes
    return writer.emitted(product([*lead, panels]), ", space", space)


def _rows(writer: Writer, a: Matrix, n: str, block: int, unit: bool) -> None:
    """Rows k on of the solution."""
    lanes = writer.lanes
    for r in range(block):
        writer.line(f"at{r} = k + {r}")
        if r:
            writer.line(f"if at{r} >= {n}:")
            writer.line(f"    at{r} = {n} - 1")
        writer.line(f"x{r} = load(held, (k + {r}) * {lanes})")
    writer.enter("for j in range(k):")
    writer.line(f"each = load(held, j * {lanes})")
    for r in range(block):
        writer.line(f"x{r} = fma(-{a.one(f'at{r}', 'j')}, each, x{r})")
    writer.indent -= 1
    for r in range(block):
        if not unit:
            writer.line(f"x{r} = x{r} / {a.one(f'at{r}', f'at{r}')}")
        writer.line(f"store(held, (k + {r}) * {lanes}, x{r})")
        for s in range(r + 1, block):
            writer.line(f"x{s} = fma(-{a.one(f'at{s}', f'at{r}')}, x{r}, x{s})")
