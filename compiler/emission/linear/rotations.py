"""The kernels of `eigh` and `svd`: Jacobi's rotations, one pair after another, in sweeps.

    eigh    held <- a, v' <- 1                     rows are divided by the largest element of a
            for pairs p < q: rows and columns p and q of held, and rows of v', are turned so that
            held[p, q] = 0
            values are on the diagonal
    svd     held <- a', v' <- 1
            for pairs p < q: rows p and q of held, and of v', are turned until they are orthogonal
            values are the lengths of the rows, u' the rows over their lengths

(Golub and Van Loan, Matrix Computations, 8.5 and 8.6.3; Demmel and Veselic, Jacobi's method is more
accurate than QR, 1992.)  A pair is left alone where the turn would change nothing; sweeps end when
all are.  A row of u' whose length is 0 is the unit vector that is farthest from the others, made
orthogonal to them, twice.  Then the values are put in order.
"""

from __future__ import annotations

import numpy as np

from ....runtime.program import Target
from ...graph import Node
from ...primitives.linear.orthogonal import SWEEPS
from ...sizes import Dim, ceil_divide, floor_divide
from ..nest import Places
from ..writer import Emitted
from .frame import Frame
from .matrices import whole

_SCALED = """\
most = {kind}(0)
for i in range({n}):
    for j in range(0, {m}, {lanes}):
        most = maximum(most, absolute(load(held, i * {width} + j)))
most = reduce_max(most)
scale = select(most == {kind}(0), {kind}(1), most)
poison = {kind}(0)
for i in range({n}):
    for j in range(0, {m}, {lanes}):
        value = load(held, i * {width} + j) / scale
        poison = poison + (value - value)
        store(held, i * {width} + j, value)
    for j in range(0, {n}, {lanes}):
        same = i64(j) + lane() == i64(i)
        store(v, i * {side} + j, select(same, {kind}(1), {kind}(0)))
poison = reduce_add(poison)
"""

_TURN = """\
                    root = sqrt(fma(ratio, ratio, {kind}(1)))
                    slope = {kind}(1) / (absolute(ratio) + root)
                    slope = select(ratio < {kind}(0), -slope, slope)
                    cosine = {kind}(1) / sqrt(fma(slope, slope, {kind}(1)))
                    sine = slope * cosine
                    for j in range(0, {m}, {lanes}):
                        one = load(held, p * {width} + j)
                        two = load(held, q * {width} + j)
                        store(held, p * {width} + j, cosine * one - sine * two)
                        store(held, q * {width} + j, fma(sine, one, cosine * two))
                    for j in range(0, {n}, {lanes}):
                        one = load(v, p * {side} + j)
                        two = load(v, q * {side} + j)
                        store(v, p * {side} + j, cosine * one - sine * two)
                        store(v, q * {side} + j, fma(sine, one, cosine * two))
"""

_EIGH = (
    """\
active = 1
for sweep in range({sweeps}):
    if active > 0:
        active = 0
        for p in range({n}):
            for q in range(p + 1, {n}):
                first_one = load_splat(held, p * ({width} + 1))
                other_one = load_splat(held, q * ({width} + 1))
                beside = load_splat(held, p * {width} + q)
                size = absolute(beside)
                level = {kind}({epsilon}) * sqrt(absolute(first_one) * absolute(other_one))
                large = (size > level) & (size > {kind}({floor}))
                if first(select(large, i64(1), i64(0))) > 0:
                    active = 1
                    ratio = (other_one - first_one) / (beside + beside)
"""
    + _TURN
    + """\
                    for j in range(0, {n}, {lanes}):
                        m = lanes_below({n} - j)
                        one = load(held, p * {width} + j)
                        two = load(held, q * {width} + j)
                        store_strided(held, j * {width} + p, {width}, one, m)
                        store_strided(held, j * {width} + q, {width}, two, m)
                    store_first(held, p * ({width} + 1), first_one - slope * beside)
                    store_first(held, q * ({width} + 1), fma(slope, beside, other_one))
                    store_first(held, p * {width} + q, {kind}(0))
                    store_first(held, q * {width} + p, {kind}(0))
for i in range({n}):
    store_first(values, i, load_splat(held, i * ({width} + 1)))
"""
)

_SVD = (
    """\
level = {kind}({epsilon}) * sqrt({kind}({m}))
active = 1
for sweep in range({sweeps}):
    if active > 0:
        active = 0
        for p in range({n}):
            for q in range(p + 1, {n}):
                square_one = {kind}(0)
                square_two = {kind}(0)
                product = {kind}(0)
                for j in range(0, {m}, {lanes}):
                    one = load(held, p * {width} + j)
                    two = load(held, q * {width} + j)
                    square_one = fma(one, one, square_one)
                    square_two = fma(two, two, square_two)
                    product = fma(one, two, product)
                square_one = reduce_add(square_one)
                square_two = reduce_add(square_two)
                product = reduce_add(product)
                large = absolute(product) > level * sqrt(square_one) * sqrt(square_two)
                some = minimum(square_one, square_two) > {kind}({floor})
                if first(select(large & some, i64(1), i64(0))) > 0:
                    active = 1
                    ratio = (square_two - square_one) / (product + product)
"""
    + _TURN
    + """\
for i in range({n}):
    square = {kind}(0)
    for j in range(0, {m}, {lanes}):
        value = load(held, i * {width} + j)
        square = fma(value, value, square)
    square = reduce_add(square)
    length = sqrt(square)
    store_first(values, i, length)
    some = square > {kind}({floor})
    for j in range(0, {m}, {lanes}):
        value = load(held, i * {width} + j) / length
        store(held, i * {width} + j, select(some, value, {kind}(0)))
for i in range({n}):
    some = absolute(load_splat(values, i)) > sqrt({kind}({floor}))
    if first(select(some, i64(0), i64(1))) > 0:
        best = {kind}(-1)
        place = i64(0)
        for j in range(0, {m}, {lanes}):
            left = {kind}(1)
            for r in range({n}):
                value = load(held, r * {width} + j)
                left = fma(-value, value, left)
            more = (left > best) & lanes_below({m} - j)
            best = select(more, left, best)
            place = select(more, i64(j) + lane(), place)
        chosen = first(reduce_min(select(best == reduce_max(best), place, i64({m}))))
        store_first(held, i * {width} + chosen, {kind}(1))
        for again in range(2):
            for r in range({n}):
                if r != i:
                    product = {kind}(0)
                    for j in range(0, {m}, {lanes}):
                        value = load(held, r * {width} + j)
                        product = fma(value, load(held, i * {width} + j), product)
                    factor = -reduce_add(product)
                    for j in range(0, {m}, {lanes}):
                        value = load(held, r * {width} + j)
                        value = fma(factor, value, load(held, i * {width} + j))
                        store(held, i * {width} + j, value)
            square = {kind}(0)
            for j in range(0, {m}, {lanes}):
                value = load(held, i * {width} + j)
                square = fma(value, value, square)
            length = sqrt(reduce_add(square))
            for j in range(0, {m}, {lanes}):
                store(held, i * {width} + j, load(held, i * {width} + j) / length)
"""
)

# Of numbers that are not finite there is no order: all are NaN in the end.
_ORDERED = """\
for j in range(0, {n}, {lanes}):
    value = load(values, j)
    store(values, j, select(poison == poison, value, {kind}(0)))
for i in range(0, {n}, {lanes}):
    mine = load(values, i)
    own = i64(i) + lane()
    rank = i64(0)
    for j in range({n}):
        other = load_splat(values, j)
        before = ({before}) | ((other == mine) & (i64(j) < own))
        rank = rank + select(before, i64(1), i64(0))
    scatter(order, rank, own, lanes_below({n} - i))
"""

_WRITTEN = """\
for j in range(0, {n}, {lanes}):
    m = lanes_below({n} - j)
    place = load(order, j, m)
    value = gather(values, place, m) * scale + poison
    store({out}, {begin} + j, value, m)
"""

_VECTORS = """\
for i in range({count}):
    for j in range(0, {n}, {lanes}):
        m = lanes_below({n} - j)
        place = load(order, j, m)
        value = gather({source}, place * i64({apart}) + i64(i), m) + poison
        store({out}, {begin} + ({above} + i) * {n} + j, value, m)
"""


def _odd(extent: Dim, lanes: int) -> Dim:
    """As many elements in an odd number of vectors.

    So elements of a column, to which `eigh` writes, are never a power of two apart: such ones
    would share few places of the cache, which at n = 512 takes ten times as long.
    """
    return floor_divide(ceil_divide(extent, lanes), 2) * (2 * lanes) + lanes


def emit_eigh(node: Node, buffers: Places, target: Target) -> Emitted:
    """The kernel of an `eigh`."""
    return _emit(node, buffers, target, turned=False)


def emit_svd(node: Node, buffers: Places, target: Target) -> Emitted:
    """The kernel of an `svd`."""
    return _emit(node, buffers, target, turned=True)


def _emit(node: Node, buffers: Places, target: Target, turned: bool) -> Emitted:
    frame, lanes = Frame(node, buffers, target), target.lanes
    rows, columns = node.inputs[0].shape[-2:]
    m, n = frame.integer(rows), frame.integer(columns)
    across = whole(columns, lanes)
    down = whole(rows, lanes) if turned else _odd(columns, lanes)
    width, side = frame.integer(down), frame.integer(across)
    limits = np.finfo(node.dtype)
    epsilon = float(limits.eps) / 2
    floor = float(limits.tiny) * 100 if turned else epsilon**2
    begin = f"row * ({m} + {n} + 1) * {n}" if turned else f"row * ({n} + 1) * {n}"
    names: dict[str, str | int] = {
        "m": m, "n": n, "width": width, "side": side, "sweeps": SWEEPS, "begin": begin,
        "epsilon": repr(epsilon), "floor": repr(floor),
        "before": "other > mine" if turned else "other < mine",
    }  # fmt: skip
    frame.memory("v", columns * down)
    frame.memory("values", columns * (down + across))
    frame.memory("order", columns * (down + across) + across, kind="i64")
    frame.read(0, n, m, f"i * {width} + j", turned=turned)
    out = frame.result()
    frame.text(_SCALED + (_SVD if turned else _EIGH), **names)
    frame.text(_ORDERED + _WRITTEN, out=out, **names)
    if turned:
        frame.text(_VECTORS, count=m, source="held", apart=width, above="1", out=out, **names)
    above = f"1 + {m}" if turned else "1"
    frame.text(_VECTORS, count=n, source="v", apart=side, above=above, out=out, **names)
    # An index has eight bytes: two elements of float32.
    return frame.emitted(columns * (down + across) + across * 3)
