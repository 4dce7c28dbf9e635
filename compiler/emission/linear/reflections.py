"""The kernel of `qr`: Householder's reflections, of columns that lie in memory as rows.

    held <- a'
    for k ...:                         v[k], from column k below the diagonal: h = 1 - tau v v'
        for columns r after k: held[r] <- h held[r]
        r' <- row k, above the diagonal
    q' <- the first rows of the identity
    for k backwards ...: q'[j] <- h q'[j]  for j from k on

(Golub and Van Loan, Matrix Computations, algorithms 5.2.1 and 5.1.5.)  A column is divided by its
largest element before it is squared.  Where the diagonal of r is negative, the row of r and the
column of q change their signs.
"""

from __future__ import annotations

from ....runtime.program import Target
from ...graph import Node
from ..nest import Places
from ..writer import Emitted
from .frame import Frame
from .matrices import whole

_DOWN = """\
for k in range({n}):
    start = k // {lanes} * {lanes}
    most = {kind}(0)
    for j in range(start, {m}, {lanes}):
        size = absolute(load(held, k * {width} + j))
        most = maximum(most, select(i64(j) + lane() >= i64(k), size, {kind}(0)))
    most = reduce_max(most)
    scale = select(most == {kind}(0), {kind}(1), most)
    total = {kind}(0)
    for j in range(start, {m}, {lanes}):
        value = load(held, k * {width} + j) / scale
        value = select(i64(j) + lane() >= i64(k), value, {kind}(0))
        total = fma(value, value, total)
    length = sqrt(reduce_add(total))
    corner = load_splat(held, k * {width} + k) / scale
    turned = select(corner < {kind}(0), length, -length)
    tau = {kind}(1) / (length * (length + absolute(corner)))
    tau = select(most == {kind}(0), {kind}(0), tau)
    for j in range(0, k + 1, {lanes}):
        store(r, k * {side} + j, load(held, k * {width} + j))
        store(held, k * {width} + j, {kind}(0), i64(j) + lane() < i64(k))
    store_first(r, k * {side} + k, turned * most)
    store_first(taus, k, tau)
    for j in range(start, {m}, {lanes}):
        store(held, k * {width} + j, load(held, k * {width} + j) / scale)
    store_first(held, k * {width} + k, corner - turned)
    for i in range(k + 1, {n}):
        total = {kind}(0)
        for j in range(start, {m}, {lanes}):
            total = fma(load(held, k * {width} + j), load(held, i * {width} + j), total)
        factor = -(reduce_add(total) * tau)
        for j in range(start, {m}, {lanes}):
            value = fma(factor, load(held, k * {width} + j), load(held, i * {width} + j))
            store(held, i * {width} + j, value)
"""

_BACK = """\
for i in range({n}):
    for j in range(0, {m}, {lanes}):
        one = i64(j) + lane() == i64(i)
        store(q, i * {width} + j, select(one, {kind}(1), {kind}(0)))
for back in range({n}):
    k = {n} - 1 - back
    start = k // {lanes} * {lanes}
    tau = load_splat(taus, k)
    for i in range(k, {n}):
        total = {kind}(0)
        for j in range(start, {m}, {lanes}):
            total = fma(load(held, k * {width} + j), load(q, i * {width} + j), total)
        factor = -(reduce_add(total) * tau)
        for j in range(start, {m}, {lanes}):
            value = fma(factor, load(held, k * {width} + j), load(q, i * {width} + j))
            store(q, i * {width} + j, value)
"""


def emit_qr(node: Node, buffers: Places, target: Target) -> Emitted:
    """The kernel of a `qr`."""
    frame, lanes = Frame(node, buffers, target), target.lanes
    rows, columns = node.inputs[0].shape[-2:]
    m, n = frame.integer(rows), frame.integer(columns)
    down, across = whole(rows, lanes), whole(columns, lanes)
    width, side = frame.integer(down), frame.integer(across)
    frame.memory("q", columns * down)
    frame.memory("r", columns * down * 2)
    frame.memory("taus", columns * down * 2 + columns * across)
    frame.read(0, n, m, f"i * {width} + j", turned=True)
    frame.text("poison = {kind}(0)")
    frame.rows(n, m)
    frame.writer.line(f"value = load(held, i * {width} + j)")
    frame.writer.line("poison = poison + (value - value)")
    frame.leave()
    frame.text("poison = reduce_add(poison)")
    frame.text(_DOWN + _BACK, m=m, n=n, width=width, side=side)
    out = frame.result()
    begin = f"row * ({m} + {n}) * {n}"
    frame.rows(m, n)
    frame.writer.line(f"value = load_strided(q, j * {width} + i, {width}, m)")
    frame.writer.line(f"corner = load_strided(r, j * ({side} + 1), {side} + 1, m)")
    frame.writer.line(f"value = select(corner < {frame.kind}(0), -value, value) + poison")
    frame.writer.line(f"store({out}, {begin} + i * {n} + j, value, m)")
    frame.leave()
    frame.rows(n, n)
    frame.writer.line(f"value = load_strided(r, j * {side} + i, {side}, m)")
    frame.writer.line(f"corner = load_splat(r, i * ({side} + 1))")
    frame.writer.line(f"value = select(corner < {frame.kind}(0), -value, value)")
    frame.writer.line(f"value = select(i64(j) + lane() >= i64(i), value, {frame.kind}(0)) + poison")
    frame.writer.line(f"store({out}, {begin} + ({m} + i) * {n} + j, value, m)")
    return frame.emitted(columns * down * 2 + columns * across + across)
