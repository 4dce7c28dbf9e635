"""The kernel of `cholesky`: one matrix after another, several rows of the factor at a time.

    for row in range(lo, hi):           a matrix of the batch
        held <- (a + a') / 2            its upper triangle, in panels: columns of one vector
        for k in range(0, n, 8):        eight rows of U, a = U' U
            for each panel right of k:
                u[k:k+8] <- held[k:k+8] - U[:k, k:k+8]' U[:k]      in registers
                solved with the triangle that the first panel found on its way
        result <- U'

(Golub and Van Loan, Matrix Computations, 4.2.5 to 4.2.7.)  A pivot that is not a positive number
becomes NaN; that spreads to all rows below, so that the last pivot says whether there was one.
Rows that are missing in the last eight are those of the identity.
"""

from __future__ import annotations

from ....runtime.program import Target
from ...graph import Node
from ...primitives.elementwise import LANE_TYPES
from ...sizes import ceil_divide, product
from ..nest import Places
from ..writer import Emitted, Writer
from .matrices import RESERVED, block_of, enter_batch, whole, write

_READ = """\
for p in range({panels}):
    top = (p + 1) * {lanes}
    if top > {n}:
        top = {n}
    m = lanes_below({n} - p * {lanes})
    for j in range(top):
        store(held, (p * {rows} + j) * {lanes}, {above} * {half} + {below} * {half})
for j in range({n}, {rows}):
    own = to_{kind}(select(lane() == i64(j % {lanes}), i64(1), i64(0)))
    store(held, (j // {lanes} * {rows} + j) * {lanes}, own)
"""

_WRITE = """\
for i in range({n}):
    far = {n} - 1
    last = load_splat(held, (far // {lanes} * {rows} + far) * {lanes} + far % {lanes})
    for j in range(0, i + 1, {lanes}):
        m = lanes_below(i + 1 - j)
        value = load_strided(held, (i // {lanes} * {rows} + j) * {lanes} + i % {lanes}, {lanes}, m)
        value = select(m, select(last == last, value, {nan}), {kind}(0))
        store({out}, (row * {n} + i) * {n} + j, value, lanes_below({n} - j))
    for j in range((i // {lanes} + 1) * {lanes}, {n}, {lanes}):
        store({out}, (row * {n} + i) * {n} + j, {kind}(0), lanes_below({n} - j))
"""


def emit_cholesky(node: Node, buffers: Places, target: Target) -> Emitted:
    """The kernel of one node; its range are the matrices of the batch."""
    *lead, extent, _ = node.shape
    lanes, kind = target.lanes, LANE_TYPES[node.dtype]
    block = min(block_of(extent, lanes), lanes)  # the columns of a block lie in one panel
    rows = whole(extent, block)
    writer = Writer(lanes)
    n, padded = writer.integer(extent, "n"), writer.integer(rows, "n")
    panels = writer.integer(ceil_divide(extent, lanes), "n")
    writer.prologue.append(f"    held = {kind}_in(space, {RESERVED})")
    place = buffers[node]
    out = writer.pointer(place.buffer, place.offset, node.dtype, writes=True)
    (a,), _ = enter_batch(writer, buffers, node.inputs)
    column = f"p * {lanes}"
    names = {
        "n": n, "rows": padded, "panels": panels, "lanes": lanes, "kind": kind, "out": out,
        "half": f"{kind}(0.5)", "nan": f"({kind}(0) / {kind}(0))",
        "above": a.along_row("j", column, "m"), "below": a.along_column(column, "j", "m"),
    }  # fmt: skip
    write(writer, _READ, **names)
    writer.enter(f"for k in range(0, {padded}, {block}):")
    writer.line(f"begin = (k // {lanes} * {padded} + k) * {lanes} + k % {lanes}")
    writer.line(f"above = k // {lanes} * {padded} * {lanes} + k % {lanes}")
    writer.line(f"at = (k // {lanes} * {padded} + k) * {lanes}")
    _rows(writer, block, f"k // {lanes} * {padded} * {lanes}", kind, first=True)
    writer.enter(f"for p in range(k // {lanes} + 1, {panels}):")
    writer.line(f"at = (p * {padded} + k) * {lanes}")
    _rows(writer, block, f"p * {padded} * {lanes}", kind, first=False)
    writer.indent -= 2
    write(writer, _WRITE, **names)
    space = RESERVED + ceil_divide(extent, lanes) * lanes * rows * node.type.item_bytes
    return writer.emitted(product(lead), ", space", space)


def _rows(writer: Writer, block: int, panel: str, kind: str, first: bool) -> None:
    """Rows k on of a panel; in the panel that holds their own columns, their triangle too.

    Element (k + r, k + s) of the factor lies at begin + r * lanes + s.
    """
    lanes = writer.lanes
    for r in range(block):
        writer.line(f"u{r} = load(held, at + {r * lanes})")
    writer.enter("for j in range(k):")
    writer.line(f"each = load(held, {panel} + j * {lanes})")
    for r in range(block):
        writer.line(f"u{r} = fma(-load_splat(held, above + j * {lanes} + {r}), each, u{r})")
    writer.indent -= 1
    for r in range(block):
        if first:
            writer.line(f"store(held, at + {r * lanes}, u{r})")
        writer.line(f"pivot = load_splat(held, begin + {r * lanes + r})")
        if first:
            writer.line(f"fine = (pivot > {kind}(0)) & (pivot < {kind}(1) / {kind}(0))")
            writer.line(f"pivot = select(fine, sqrt(pivot), {kind}(0) / {kind}(0))")
        writer.line(f"u{r} = u{r} / pivot")
        writer.line(f"store(held, at + {r * lanes}, u{r})")
        for s in range(r + 1, block):
            factor = f"-load_splat(held, begin + {r * lanes + s})"
            writer.line(f"u{s} = fma({factor}, u{r}, u{s})")
