"""The operations of random diagrams: elementwise, sums, products, convolutions, views, gathers.

Each takes a drawing and returns what it has drawn: a variable, or None where nothing fits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import diagrad as dg

from .drawing import Drawing, named

UNARY: tuple[Callable[[Any], Any], ...] = (
    dg.tanh,
    dg.sigmoid,
    dg.sin,
    dg.absolute,
    lambda x: x * x,
    lambda x: dg.exp(dg.tanh(x)),
    lambda x: dg.log(dg.absolute(x) + 1.0),
    lambda x: dg.sqrt(x * x + 0.5),
    dg.relu,
    lambda x: -x,
    dg.gelu,
    lambda x: x * 0.7 - 0.3,
    dg.softplus,
    lambda x: (x * x + 0.5) ** 1.5,
    lambda x: dg.erf(x) / (dg.absolute(x) + 2.0),
)
BINARY: tuple[Callable[[Any, Any], Any], ...] = (
    lambda x, y: x + y,
    lambda x, y: x - y,
    lambda x, y: x * y,
    lambda x, y: x / (y * y + 1.0),
    dg.maximum,
    dg.minimum,
    lambda x, y: dg.where(x > y, x, y * 0.5),
)


def unary(d: Drawing) -> Any:
    """A function of one variable."""
    return d.choose(UNARY)(d.pick())


def binary(d: Drawing) -> Any:
    """A function of two variables that broadcast."""
    x = d.pick()

    def fits(y: Any) -> bool:
        pairs = zip(reversed(x.shape), reversed(y.shape), strict=False)
        return all(a == b or a == 1 or b == 1 for a, b in pairs)

    return d.choose(BINARY)(x, d.pick(fits))


def reduction(d: Drawing) -> Any:
    """A sum, mean or extremum over some axes."""
    x = d.pick(lambda v: v.ndim > 0)
    if x is None:
        return None
    chosen = d.number()
    axes = [a for a in range(x.ndim) if chosen >> a & 1] or [d.number() % x.ndim]
    name = d.choose(("sum", "mean", "max", "min", "variance", "logsumexp"))
    if name != "sum" and any(named(x.shape[a]) for a in axes):
        name = "sum"  # over an empty batch the others give infinities and NaN
    last, masked = x.shape[-1], d.number() % 4 == 0
    if masked and name == "sum" and not named(last):
        return dg.sum(x, axes, d.flag(), where=d.weight((last,)) < 0.1)
    return getattr(dg, name)(x, axes, keepdims=d.flag())


def row(d: Drawing) -> Any:
    """A softmax or a normalisation of rows."""
    x = d.pick(lambda v: v.ndim > 0 and not named(v.shape[-1]))
    if x is None:
        return None
    kind = d.number() % 3
    if kind == 0:
        return dg.softmax(x)
    if kind == 1:
        return dg.log_softmax(x)
    centred = x - x.mean(-1, keepdims=True)
    return centred * dg.rsqrt((centred * centred).mean(-1, keepdims=True) + 0.1)


def operand(d: Drawing, depth: int) -> Any:
    """A right operand with so many rows: plain, transposed, strided, flipped, or one column."""
    columns = d.choose((1, 2, 5, 16, 17))
    kind = d.number() % 6
    if kind == 0:
        return d.weight((depth, columns))
    if kind == 1:
        return d.weight((columns, depth)).T
    if kind == 2:
        return d.weight((depth, 2 * columns))[:, ::2]
    if kind == 3:
        return d.weight((depth, columns))[::-1]
    if kind == 4:
        return d.weight((depth, 2))[:, 1]
    return d.weight((2 * depth, columns))[1::2, ::-1]


def product(d: Drawing) -> Any:
    """A matrix product with a new weight, whichever way it lies in memory."""
    x = d.pick(lambda v: v.ndim > 0 and not named(v.shape[-1]))
    if x is None:
        return None
    kind = d.number() % 4
    if kind == 1 and x.shape[-1] > 1:
        x = x[..., ::-1]
    if kind == 2 and x.ndim > 1 and not named(x.shape[0]) and x.shape[0] > 0:
        x = x[-1]
    return x @ operand(d, x.shape[-1]) * (0.7 / (1 + x.shape[-1]) ** 0.5)


def einsum(d: Drawing) -> Any:
    """A product of two variables that share an axis."""
    x = d.pick(lambda v: v.ndim == 2)
    if x is None:
        return None
    y = d.pick(lambda v: v.ndim == 2 and v.shape[1] == x.shape[1])
    made = dg.einsum(d.choose(("ij,kj->ik", "ij,kj->ki", "ij,kj->j", "ij,kj->k")), x, y)
    return dg.tanh(made * 0.3)


def view(d: Drawing) -> Any:
    """Another view of a variable's elements."""
    x = d.pick(lambda v: v.ndim > 0)
    if x is None:
        return None
    kind = d.number() % 7
    axis = d.number() % x.ndim
    if kind == 0:
        return dg.transpose(x)
    if kind == 1:
        return x.reshape(-1)
    if kind == 2:
        return dg.flip(x, axis)
    if kind == 3 and not named(x.shape[-1]) and x.shape[-1] > 1:
        return x[..., 1::2] if d.flag() else x[..., ::-1]
    if kind == 4:
        return dg.broadcast_to(dg.expand_dims(x, 0), (d.choose((1, 2, 3)), *x.shape))
    if kind == 5 and not named(x.shape[axis]) and x.shape[axis] > 0:
        return dg.take(x, int(d.number() % x.shape[axis]), axis)
    return dg.expand_dims(x, d.number() % (x.ndim + 1))


def move(d: Drawing) -> Any:
    """Elements moved: joined, padded, summed up, chosen by a fixed index."""
    x = d.pick(lambda v: 0 < v.ndim < 4)
    if x is None:
        return None
    kind = d.number() % 5
    axis = d.number() % x.ndim
    if kind == 0:
        return dg.concatenate([x, dg.tanh(x), x], axis)
    if kind == 1:
        return dg.pad(x, [(1, 2) if a == axis else (0, 0) for a in range(x.ndim)])
    if kind == 2:
        return dg.cumsum(x, axis, d.flag()) * 0.3
    if kind == 3:
        return dg.stack([x, x * 0.5], axis)
    extent = x.shape[axis]
    if named(extent) or extent == 0:
        return None
    index = [d.number() % extent for _ in range(1 + d.number() % 4)]
    return dg.take(x, np.array(index, np.int32), axis)


def windows(d: Drawing) -> Any:
    """Overlapping windows, alone, averaged over their positions or multiplied with a weight."""
    x = d.pick(lambda v: 0 < v.ndim < 4 and not named(v.shape[-1]) and v.shape[-1] > 1)
    if x is None:
        return None
    size, stride, dilation = 1 + d.number() % 4, 1 + d.number() % 2, 1 + d.number() % 2
    if x.shape[-1] < dilation * (size - 1) + 1:
        size, dilation = 2, 1
    w = dg.windows(x, size, stride, dilation)
    kind = d.number() % 4
    if kind == 0:
        return w
    if kind == 1:
        return dg.mean(w, axis=-2)
    if kind == 2:
        return w @ d.weight((size,))
    return w @ operand(d, size)


def convolution(d: Drawing) -> Any:
    """A convolution, also transposed, strided, with groups, or by weights that are computed."""
    space = 1 + d.number() % 2
    x = d.pick(
        lambda v: space <= v.ndim < 4 and not any(named(n) or n == 0 for n in v.shape[-space:])
    )
    if x is None:
        return None
    channels = x.shape[-space - 1] if x.ndim > space else None
    if channels is None or named(channels) or channels == 0:
        x, channels = dg.expand_dims(x, x.ndim - space), 1
    groups = channels if d.flag() else 1
    each = d.choose((1, 2, 3))
    taps = tuple(1 + d.number() % 3 for _ in range(space))
    stride, dilation = 1 + d.number() % 3, 1 + d.number() % 2
    low, high = d.number() % 3, d.number() % 3
    kind = d.number() % 4
    if kind == 0:
        w = d.weight((channels, each, *taps)) * 0.5
        return dg.conv_transpose(x, w, stride, 0, d.number() % stride, dilation, groups)
    reach = dilation * (max(taps) - 1) + 1
    sides = [(low, max(high, reach - low - n)) for n in x.shape[-space:]]
    w = d.weight((each * groups, channels // groups, *taps))
    if kind == 1:
        w = dg.tanh(w + dg.mean(w))
    function = dg.convolve if kind == 2 else dg.correlate
    return function(x, w, stride, sides, dilation, groups) * (0.7 / channels**0.5)


def pool(d: Drawing) -> Any:
    """One number for each window along one or two of the last axes, padded or not."""
    x = d.pick(lambda v: 0 < v.ndim < 5 and not named(v.shape[-1]) and v.shape[-1] > 0)
    if x is None:
        return None
    several = x.ndim > 1 and not named(x.shape[-2]) and x.shape[-2] > 0
    space = 1 + (several and d.flag())
    below = (1 + d.number() % 4, 1 + d.number() % 3)
    sizes = [min(n, x.shape[a]) for n, a in zip(below, (-1, -2), strict=True) if -a <= space][::-1]
    stride, ceil, kind = 1 + d.number() % 3, d.flag(), d.number() % 7
    sides = [(d.number() % n, d.number() % n) for n in sizes]
    if kind == 0 and space == x.ndim - 2:
        return dg.max_pool(x, "global")
    if kind == 1 and 2 * sizes[-1] - 1 <= x.shape[-1]:
        return dg.max_pool(x, sizes, stride, dilation=[*(1,) * (space - 1), 2], ceil_mode=ceil)
    if kind < 4:
        return dg.max_pool(x, sizes, stride, sides, ceil_mode=ceil)
    if kind == 4:
        return dg.avg_pool(x, sizes, stride, sides, ceil, d.flag())
    if kind == 5:
        return dg.logsumexp_pool(x * 0.3, sizes, 1.5, d.flag(), stride, sides, ceil)
    return dg.lp_pool(dg.tanh(x) + 1.5, 2 + d.number() % 2, sizes, stride, sides, ceil)


def gather(d: Drawing) -> Any:
    """Elements chosen by computed and observed integers, spread ones among them."""
    x = d.pick(lambda v: any(extent in d.plan.extents for extent in v.shape))
    if x is None:
        return None
    axes = [a for a, extent in enumerate(x.shape) if extent in d.plan.extents]
    axis = axes[d.number() % len(axes)]
    kind = d.number() % 7
    if kind == 5 and len(axes) > 1:
        return x[_apart(d, x, axes)]
    if kind == 6:
        if any(named(n) for n in x.shape):
            return None
        i = d.index((*x.shape[:axis], 2, *x.shape[axis + 1 :]))
        values = d.weight((2, *(1,) * (x.ndim - 1 - axis)))
        return dg.put_along_axis(x, i if d.flag() else -1 - i, values, axis)
    if kind == 0:
        return dg.take(x, d.index(("B",)), axis)
    if kind == 1:
        return dg.take(x, d.index(()), axis)
    if kind == 2:
        return dg.take(x, dg.broadcast_to(d.index(()), (d.choose((1, 2, 3)),)), axis)
    if kind == 3:
        best = dg.argmax(d.weight((d.plan.extents[0], min(d.plan.extents))), axis=1)
        return dg.take(x, dg.transpose(dg.expand_dims(best, 0)), axis)
    size = min(d.plan.extents) + 2
    i = d.index((x.shape[axis],))
    word = d.choose(("add", "mul", "max", "min"))
    if word == "add":
        return dg.scatter_add(i, x, size, axis)
    if word == "mul":
        return dg.scatter_mul(i, dg.cos(x), size, axis)
    # Places that nothing goes to are infinite: with a number at each, they are none.
    least = dg.zeros_like(dg.take(x, [0] * size, axis)) - 0.3
    ends = dg.concatenate([i, dg.arange(size, dtype=i.dtype)])
    return getattr(dg, f"scatter_{word}")(ends, dg.concatenate([x, least], axis), size, axis)


def _apart(d: Drawing, x: Any, axes: list[int]) -> tuple[Any, ...]:
    """Arrays at the first and the last of some axes: from the front, and from the end."""
    keys: list[Any] = [slice(None)] * x.ndim
    i = d.index((3,))
    keys[axes[0]], keys[axes[-1]] = i, -1 - i
    return tuple(keys)


def integer(d: Drawing) -> Any:
    """Numbers made of integers: computed places of extrema, and observed ones."""
    kind = d.number() % 4
    if kind == 0:
        x = d.pick(lambda v: v.ndim > 0 and not named(v.shape[-1]) and v.shape[-1] > 0)
        if x is None:
            return None
        # Of a row: whole rows may be equal but for rounding, as softmax makes them.
        return dg.one_hot(dg.argmax(x, axis=-1), x.shape[-1], d.plan.dtype)
    i = d.index(d.choose(((), ("B",), ("B", 2))))
    if kind == 1:
        return dg.one_hot(i, min(d.plan.extents), d.plan.dtype)
    if kind == 2:
        return (i * 2 - 1).astype(d.plan.dtype) * 0.1
    zero, one = (dg.constant(np.asarray(value, d.plan.dtype)) for value in (0, 1))
    return dg.where(i > 1, one, zero)


def share(d: Drawing) -> Any:
    """A matrix of shared elements: Toeplitz, Hankel, circulant, or all one row."""
    n = d.choose(d.plan.extents)
    rows, columns = d.choose((1, 2, 5)), d.choose((1, 3, 4))
    i, j = np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij")
    u = d.weight((max(n, rows + columns),))
    index = d.choose((i + j, i - j + columns - 1, (i - j) % (rows + 1), 0 * i + j))
    return dg.share(u, index)


def noise(d: Drawing) -> Any:
    """Elements dropped at random, or moved by normal numbers."""
    x = d.pick()
    if d.flag():
        return dg.where(dg.random_uniform(x.shape) < 0.5, x * 2.0, x * 0.25)
    return x + dg.random_normal(x.shape, dtype=d.plan.dtype) * 0.1


def linear_system(d: Drawing) -> Any:
    """The solution of a well-conditioned system."""
    x = d.pick(lambda v: v.ndim == 2 and not named(v.shape[0]) and 0 < v.shape[0] < 6)
    if x is None:
        return None
    n = x.shape[0]
    noise = dg.tanh(d.weight((n, n))) * (0.5 / n)
    return dg.solve(noise + np.eye(n, dtype=d.plan.dtype) * 2, x)


def factor(d: Drawing) -> Any:
    """What does not depend on the signs in factors of a well-conditioned matrix."""
    x = d.pick(lambda v: v.ndim == 2 and not named(v.shape[0]) and 0 < v.shape[0] < 6)
    if x is None:
        return None
    n = x.shape[0]
    apart = np.diag(np.arange(2, n + 2)).astype(d.plan.dtype)
    matrix = dg.tanh(d.weight((n, n))) * (0.5 / n) + apart
    kind = d.number() % 4
    if kind == 0:
        return dg.qr(matrix)[0] @ x
    if kind == 1:
        return dg.lstsq(dg.concatenate([matrix, apart]), dg.concatenate([x, x]))
    if kind == 2:
        values, vectors = dg.eigh(matrix)
        return vectors @ (dg.tanh(values)[:, None] * (vectors.T @ x))
    return dg.pinv(matrix) @ x * dg.svdvals(matrix)[:, None]


def triangular_system(d: Drawing) -> Any:
    """The solution of a system with a factor of Cholesky."""
    x = d.pick(lambda v: v.ndim == 2 and not named(v.shape[0]) and 0 < v.shape[0] < 6)
    if x is None:
        return None
    n = x.shape[0]
    noise = dg.tanh(d.weight((n, n))) * (0.5 / n)
    factor = dg.cholesky(noise + np.eye(n, dtype=d.plan.dtype) * 2, upper=d.flag())
    return dg.triangular_solve(factor, x, lower=d.flag(), unit_diagonal=d.flag())


def log_product(d: Drawing) -> Any:
    """A product in logarithms with a new weight, some of whose rows are as good as absent."""
    x = d.pick(lambda v: v.ndim > 1 and not named(v.shape[-1]) and v.shape[-1] > 0)
    if x is None:
        return None
    weight = d.weight((x.shape[-1], 1 + d.number() % 5))
    if d.flag():
        far = np.where(np.arange(x.shape[-1]) % 2, -300.0, 0.0)
        weight = weight + far.astype(d.plan.dtype)[:, None]
    return dg.logmatmulexp(x, weight)


def mask(d: Drawing) -> Any:
    """A choice by a comparison of places, such as of a causal mask."""
    x = d.pick(lambda v: v.ndim > 0)
    if x is None:
        return None
    extent = x.shape[-1]
    place = dg.arange(extent, dtype=d.plan.dtype)
    return dg.where(place < float(d.number() % 5), x, x * 0.25)
