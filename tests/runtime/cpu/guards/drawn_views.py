"""Random diagrams of views and of what reads them, each value beside a NumPy formula for it.

A chain of views is drawn together with the index that each of its elements has in the array that
it looks at.  So a view's value is `x.ravel()[index]`, and a gradient is a count of the indices,
weighed; nothing here knows how views, windows or their adjoints are made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

import diagrad as dg

Array = npt.NDArray[Any]
EXTENTS = (0, 1, 2, 3, 5, 7, 11, 16, 17, 33)
MOST = 3000
"""Elements of a view."""


@dataclass
class View:
    """A variable, and for each element its place in the array that the view looks at."""

    variable: dg.Variable
    index: Array
    base: dg.Variable
    data: Array

    @property
    def value(self) -> Array:
        """The elements, in float64 if they are floats."""
        flat = self.data.ravel()
        return (flat.astype(np.float64) if flat.dtype.kind == "f" else flat)[self.index]

    @property
    def shape(self) -> tuple[int, ...]:
        """The extents."""
        return self.index.shape


@dataclass
class Drawing:
    """A diagram while it is drawn: its inputs, and its outputs with what they are to be."""

    draw: Random
    dtype: str
    arrays: dict[str, Array] = field(default_factory=dict)
    outputs: dict[str, dg.Variable] = field(default_factory=dict)
    wanted: dict[str, Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.numbers = np.random.default_rng(self.draw.randrange(2**32))

    def observe(self, data: Array, named: float = 0.0, rows: bool = False) -> View:
        """An input whose sizes have names with a probability, the last but one if `rows`."""
        name = f"x{len(self.arrays)}"
        shape = [
            f"{name}_{axis}"
            if self.draw.random() < named or (rows and axis == data.ndim - 2)
            else n
            for axis, n in enumerate(data.shape)
        ]
        self.arrays[name] = data
        variable = dg.observed(name, tuple(shape), data.dtype)
        return View(variable, np.arange(data.size).reshape(data.shape), variable, data)

    def floats(self, *shape: int, named: float = 0.0) -> View:
        """An input of normal numbers."""
        return self.observe(self.numbers.normal(size=shape).astype(self.dtype), named)

    def some(self, least: int = 0, most: int = 4, smallest: int = 0) -> tuple[int, ...]:
        """A random shape."""
        allowed = [n for n in EXTENTS if n >= smallest]
        while True:
            rank = self.draw.randint(least, most)
            shape = tuple(self.draw.choice(allowed) for _ in range(rank))
            if np.prod(shape, dtype=np.int64) <= MOST:
                return shape

    def give(self, variable: dg.Variable, value: Array) -> None:
        """One more output, and what it is to be."""
        assert not variable.mistakes, variable.mistakes
        name = f"y{len(self.outputs)}"
        self.outputs[name], self.wanted[name] = variable, value

    def axis(self, view: View) -> int:
        """One of its axes."""
        return self.draw.randrange(len(view.shape))


def changed(view: View, variable: dg.Variable, index: Array) -> View:
    """Another view of the same array."""
    assert not variable.mistakes, variable.mistakes
    return View(variable, index, view.base, view.data)


def flipped(d: Drawing, view: View) -> View:
    """Backwards along an axis."""
    axis = d.axis(view)
    return changed(view, dg.flip(view.variable, axis), np.flip(view.index, axis))


def sliced(d: Drawing, view: View) -> View:
    """Every second or third element of an axis, from the first or the second on, or backwards."""
    axis = d.axis(view)
    start = d.draw.choice([None, 1]) if view.shape[axis] > 1 else None
    named = not isinstance(view.variable.shape[axis], int)
    step = d.draw.choice([1, 2, 3]) if start or named else d.draw.choice([-2, -1, 2, 3])
    key = (slice(None),) * axis + (slice(start, None, step),)
    return changed(view, view.variable[key], view.index[key])


def transposed(d: Drawing, view: View) -> View:
    """Axes in another order."""
    axes = d.draw.sample(range(len(view.shape)), len(view.shape))
    return changed(view, dg.transpose(view.variable, axes), view.index.transpose(axes))


def windowed(d: Drawing, view: View, axis: int | None = None) -> View:
    """Windows along an axis, now and then one that takes all of it."""
    axis = d.axis(view) if axis is None else axis
    stride, dilation = d.draw.choice([1, 1, 2, 3]), d.draw.choice([1, 1, 2])
    extent = view.shape[axis]
    fitting = [n for n in (1, 2, 3, 4, extent) if n > 0 and dilation * (n - 1) + 1 <= extent]
    if not fitting or len(view.shape) > 4:
        return view
    size = d.draw.choice(fitting)
    cut = sliding_window_view(view.index, dilation * (size - 1) + 1, axis)
    cut = cut[(slice(None),) * axis + (slice(None, None, stride),)][..., ::dilation]
    return changed(view, dg.windows(view.variable, size, stride, dilation, axis), cut)


def spread(d: Drawing, view: View) -> View:
    """The same again along a new axis in front, or an axis of one element somewhere."""
    if d.draw.random() < 0.3:
        place = d.draw.randint(0, len(view.shape))
        return changed(
            view, dg.expand_dims(view.variable, place), np.expand_dims(view.index, place)
        )
    count = d.draw.choice(EXTENTS)
    wide = dg.broadcast_to(view.variable, (count, *view.variable.shape))
    return changed(view, wide, np.broadcast_to(view.index, (count, *view.shape)))


def part(d: Drawing, view: View) -> View:
    """What stands at one place of an axis."""
    axis = d.axis(view)
    if not view.shape[axis]:
        return view
    place = d.draw.choice([0, view.shape[axis] - 1, -1])
    key = (slice(None),) * axis + (place,)
    return changed(view, view.variable[key], view.index[key])


VIEWS: list[Callable[[Drawing, View], View]] = [
    flipped, sliced, transposed, windowed, windowed, spread, part,
]  # fmt: skip


def chain(d: Drawing, view: View, most: int = 4) -> View:
    """A view of a view of a view."""
    for _ in range(d.draw.randint(0, most)):
        change = d.draw.choice(VIEWS)
        if not view.shape and change is not spread:
            continue
        further = change(d, view)
        if further.index.size <= MOST and further.index.ndim < 7:
            view = further
    return view


def laid(d: Drawing, value: Array) -> dg.Variable:
    """An input under a view whose elements are these."""
    data, keys = value, []
    turned = d.draw.random() < 0.4
    data = np.array(value.T if turned else value)
    for axis in range(data.ndim):
        kind = d.draw.choice(["plain", "plain", "spread", "flipped", "part"])
        if kind == "spread":
            data, key = np.repeat(data, 2, axis), slice(None, None, 2)
        elif kind == "flipped":
            data, key = np.flip(data, axis), slice(None, None, -1)
        elif kind == "part":
            widths = [(1, 1) if a == axis else (0, 0) for a in range(data.ndim)]
            data, key = np.pad(data, widths), slice(1, 1 + data.shape[axis])
        else:
            key = slice(None)
        keys.append(key)
    seen = d.observe(np.ascontiguousarray(data)).variable
    seen = seen[tuple(keys)] if keys else seen
    return dg.transpose(seen) if turned else seen


def copied(d: Drawing) -> None:
    """A view, and a function of it."""
    view = chain(d, d.floats(*d.some(), named=0.3))
    d.give(view.variable, view.value)
    d.give(dg.tanh(view.variable), np.tanh(view.value))


def summed(d: Drawing) -> None:
    """Sums over some axes, and their gradient: the cotangent is spread over what is summed."""
    weighed = d.draw.random() < 0.5
    view = chain(d, d.floats(*d.some(1), named=0.0 if weighed else 0.3))
    rank = len(view.shape)
    _summed(d, view, tuple(sorted(d.draw.sample(range(rank), d.draw.randint(0, rank)))), weighed)


def averaged(d: Drawing) -> None:
    """Sums over the places of windows along one axis or two, and their gradient."""
    view = d.floats(*(d.draw.choice([3, 7, 16, 17, 40]) for _ in range(d.draw.randint(1, 2))))
    axes = list(range(len(view.shape)))
    for axis in axes:
        view = windowed(d, view, axis)
    _summed(d, view, tuple(d.draw.sample(axes, d.draw.randint(1, len(axes)))), True)


def _summed(d: Drawing, view: View, axes: tuple[int, ...], weighed: bool) -> None:
    total = dg.sum(view.variable, axes) if axes else view.variable
    value = view.value.sum(axes)
    d.give(total, value)
    if weighed:
        weights = d.numbers.normal(size=value.shape).astype(d.dtype)
        slope = dg.gradient(dg.sum(total * laid(d, weights)), view.base)
    else:
        weights = np.ones(value.shape)
        slope = dg.gradient(dg.sum(total), view.base)
    spread_out = np.broadcast_to(np.expand_dims(weights, axes), view.shape)
    d.give(slope, _counted(view, spread_out))


def _counted(view: View, weights: Array) -> Array:
    found = np.bincount(
        view.index.ravel(), weights.ravel().astype(np.float64), minlength=view.data.size
    )
    return found[: view.data.size].reshape(view.data.shape)


def softened(d: Drawing) -> None:
    """A softmax along an axis: two loops over the same values."""
    view = chain(d, d.floats(*d.some(1, 3, smallest=1), named=0.3))
    if not view.shape or 0 in view.shape:
        return
    axis = d.axis(view)
    power = np.exp(view.value - view.value.max(axis, keepdims=True))
    d.give(dg.softmax(view.variable, axis), power / power.sum(axis, keepdims=True))


def moved(d: Drawing) -> None:
    """Running sums, what is joined, and what is padded."""
    view = chain(d, d.floats(*d.some(1), named=0.3))
    if not view.shape:
        return
    axis = d.axis(view)
    x, value = view.variable, view.value
    back = np.flip(np.cumsum(np.flip(value, axis), axis), axis)
    d.give(dg.cumsum(x, axis, reverse=True), back)
    d.give(dg.cumsum(x, axis), np.cumsum(value, axis))
    joined = dg.concatenate([x, dg.flip(x, axis), dg.sin(x)], axis)
    d.give(joined, np.concatenate([value, np.flip(value, axis), np.sin(value)], axis))
    widths = [(2, 1) if a == axis else (0, d.draw.choice([0, 1])) for a in range(value.ndim)]
    d.give(dg.pad(x, widths), np.pad(value, widths))


def taken(d: Drawing) -> None:
    """Elements at one index that is spread, and at indices that are spread, strided or turned."""
    for shape in ((), d.some(1, 1)):
        table = chain(d, d.floats(*d.some(1, 3)))
        if table.shape:
            _taken(d, table, d.axis(table), shape)


def _taken(d: Drawing, table: View, axis: int, shape: tuple[int, ...]) -> None:
    extent = table.shape[axis]
    kind = d.draw.choice(["int32", "int64"])
    anywhere = not extent or d.draw.random() < 0.4
    low, high = (-extent - 2, extent + 3) if anywhere else (-extent, extent)
    index = d.observe(d.numbers.integers(low, high, size=shape).astype(kind))
    if anywhere:  # A sum is not checked beforehand, as observed indices are.
        index = changed(index, index.variable + 0, index.index)
    index = chain(d, index if shape else spread(d, index), 3)
    rest = table.index.size // max(extent, 1)
    if index.index.ndim > 3 or index.index.size * rest > MOST:
        return
    where = np.where(index.value < 0, index.value + extent, index.value)
    x = table.variable
    elements, missing = table.value, np.asarray(np.nan)
    if d.draw.random() < 0.3:
        x, elements, missing = x > 0.0, elements > 0, np.asarray(False)
    inside = (where >= 0) & (where < extent)
    chosen = (
        np.take(elements, np.where(inside, where, 0), axis)
        if extent
        else np.zeros(
            (*elements.shape[:axis], *where.shape, *elements.shape[axis + 1 :]), elements.dtype
        )
    )
    outside = np.expand_dims(~inside, [*range(axis), *range(axis + where.ndim, chosen.ndim)])
    found = dg.take(x, index.variable, axis)
    d.give(found, np.where(outside, missing, chosen))
    # The way back: every element's weight goes to where it was taken from.
    if x is table.variable:
        weights = d.numbers.normal(size=chosen.shape).astype(d.dtype)
        slope = dg.gradient(dg.sum(found * laid(d, weights)), table.base)
        places = np.take(table.index, np.where(inside, where, 0), axis) if extent else None
        count = np.zeros(table.data.size)
        if places is not None:
            np.add.at(count, places, np.where(outside, 0, weights))
        d.give(slope, count.reshape(table.data.shape))


def scattered(d: Drawing) -> None:
    """Updates, spread ones too, added at indices that are spread, strided or turned."""
    index = chain(d, d.observe(d.numbers.integers(0, 5, size=d.some(0, 2)).astype("int64")), 3)
    if index.index.ndim > 3 or index.index.size > 300:
        return
    behind = d.some(0 if index.shape else 1, 1)
    weights = d.numbers.normal(size=(*index.shape, *behind)).astype(d.dtype)
    updates = laid(d, weights)
    where = index.value
    total = np.zeros((5, *behind))
    np.add.at(total, where, weights.astype(np.float64))
    d.give(dg.scatter_add(index.variable, updates, 5), total)
    one = dg.broadcast_to(d.floats().variable, weights.shape)
    number = next(reversed(d.arrays.values()))
    total = np.zeros((5, *behind))
    np.add.at(total, where, np.full(weights.shape, float(number)))
    d.give(dg.scatter_add(index.variable, one, 5), total)


def multiplied(d: Drawing) -> None:
    """A product of views, alone or with what follows, with batch axes or without."""
    sizes = (0, 1, 2, 3, 5, 13, 16, 17, 33, 40, 65, 130, 400)
    while True:
        m, n, k = (d.draw.choice(sizes) for _ in range(3))
        if m * n + n * k + m * k <= 40_000:
            break
    batch = d.draw.choice([(), (), (1,), (2,), (0,)])
    a = d.numbers.normal(size=(*batch, m, k)).astype(d.dtype)
    b = d.numbers.normal(size=(*d.draw.choice([(), batch]), k, n)).astype(d.dtype)
    if d.draw.random() < 0.2:
        b = d.numbers.normal(size=k).astype(d.dtype)
    named = d.draw.random() < 0.3  # a number of rows that turns out to be 1, or 0
    product = (d.observe(a, rows=True).variable if named else laid(d, a)) @ laid(d, b)
    value = np.matmul(a.astype(np.float64), b.astype(np.float64))
    if d.draw.random() < 0.5:
        product, value = dg.tanh(product * 0.1) + 1.0, np.tanh(value * 0.1) + 1
    d.give(product, value)
    # One row times a matrix that lies contiguously along no axis.
    wide, row = d.floats(2 * k + 6, 2 * n + 2), d.floats(1, k + 3)
    found = row.variable @ wide.variable[::2, ::2]
    d.give(found, row.value @ wide.value[::2, ::2])


def convolved(d: Drawing) -> None:
    """Windows of rows times weights, and the gradients for both."""
    stride, dilation = d.draw.choice([(1, 1), (2, 2), (2, 1), (1, 3)])
    size, channels = d.draw.choice([1, 3, 5, 40]), d.draw.choice([(), (), (1,), (3,), (17,)])
    places, rows = d.draw.choice([1, 2, 16, 33]), d.draw.choice([0, 1, 2, 5])
    reach = dilation * (size - 1) + 1
    line = d.floats(rows, (places - 1) * stride + reach)
    cut = sliding_window_view(line.index, reach, 1)[:, ::stride, ::dilation]
    view = changed(line, dg.windows(line.variable, size, stride, dilation), cut)
    taps = d.observe(d.numbers.normal(size=(size, *channels)).astype(d.dtype))
    found, value = view.variable @ taps.variable, view.value @ taps.value
    d.give(found, value)
    summed = d.draw.choice([(), (1,), (0, 1)])  # over rows and places: the same slope for all
    shape = tuple(n for axis, n in enumerate(value.shape) if axis not in summed)
    weights = d.numbers.normal(size=shape).astype(d.dtype)
    total = dg.sum(found, summed) if summed else found
    slopes = dg.gradient(dg.sum(total * laid(d, weights)), [line.base, taps.variable])
    back = np.broadcast_to(np.expand_dims(weights.astype(np.float64), summed), value.shape)
    back = back.reshape(rows, places, *(channels or (1,)))
    d.give(slopes[0], _counted(view, back @ taps.value.reshape(size, -1).T))
    wanted = np.einsum("ipt,ipc->tc", view.value, back)
    d.give(slopes[1], wanted.reshape(taps.value.shape))


def solved(d: Drawing) -> None:
    """Systems of equations under views."""
    n, columns = d.draw.choice([0, 1, 2, 5, 16, 17]), d.draw.choice([0, 1, 3, 17])
    batch = d.draw.choice([(), (1,), (3,)])
    a = d.numbers.normal(size=(*batch, n, n)) + 4 * np.sqrt(n + 1) * np.eye(n)
    b = d.numbers.normal(size=(*batch, n, columns))
    a, b = a.astype(d.dtype), b.astype(d.dtype)
    found = dg.solve(laid(d, a), laid(d, b))
    d.give(found, np.linalg.solve(a.astype(np.float64), b.astype(np.float64)))


def factored(d: Drawing) -> None:
    """Factors with orthonormal columns, of matrices under views."""
    n, more = d.draw.choice([0, 1, 2, 5, 16, 17]), d.draw.choice([0, 1, 17])
    batch = d.draw.choice([(), (1,), (3,)])
    a = d.numbers.normal(size=(*batch, n + more, n)).astype(d.dtype)
    wide = a.astype(np.float64)
    q, r = dg.qr(laid(d, a))
    d.give(q @ r, wide)
    u, s, vh = dg.svd(laid(d, a))
    d.give((u * s[..., None, :]) @ vh, wide)
    symmetric = a[..., :n, :] + np.swapaxes(a[..., :n, :], -1, -2)
    d.give(dg.eigvalsh(laid(d, symmetric)), np.linalg.eigvalsh(symmetric.astype(np.float64)))


def looped(d: Drawing) -> None:
    """A loop over a sequence under views, and one whose gradient is a sum of powers."""
    steps, rows = d.draw.choice([0, 1, 2, 5]), d.draw.choice([0, 1, 2, 17])
    width, units = d.draw.choice([1, 3, 16]), d.draw.choice([1, 2, 17])
    x = 0.5 * d.numbers.normal(size=(steps, rows, width)).astype(d.dtype)
    u, w = (0.3 * d.numbers.normal(size=(k, units)).astype(d.dtype) for k in (width, units))
    sequence = d.observe(x)
    reverse, place = d.draw.random() < 0.5, len(d.outputs)
    loop = dg.loop(f"t{place}", reverse=reverse)
    z = loop.delay("z", 0.0, shape=(rows, units), dtype=d.dtype)
    following = dg.tanh(loop.each(laid(d, x)) @ laid(d, u) + z @ laid(d, w)[:, ::-1])
    loop.close(z, following)
    value, values = np.zeros((rows, units)), np.zeros((steps, rows, units))
    order = list(range(steps))[:: -1 if reverse else 1]
    for t in order:
        value = np.tanh(x[t].astype(np.float64) @ u + value @ w[:, ::-1].astype(np.float64))
        values[t] = value
    d.give(loop.stack(following), values)
    d.give(loop.last(following), value)
    d.give(loop.sum(following), values.sum(0))
    linear = dg.loop(f"s{place}", reverse=reverse)
    z = linear.delay("z", 0.0, shape=(rows, units), dtype=d.dtype)
    following = z * 0.5 + linear.each(sequence.variable) @ laid(d, u)
    linear.close(z, following)
    weights = d.numbers.normal(size=(steps, rows, units)).astype(d.dtype)
    slope = dg.gradient(dg.sum(linear.stack(following) * laid(d, weights)), sequence.variable)
    wanted, back = np.zeros(x.shape), np.zeros((rows, units))
    for t in reversed(order):
        back = back * 0.5 + weights[t]
        wanted[t] = back @ u.T.astype(np.float64)
    d.give(slope, wanted)


PARTS: list[Callable[[Drawing], None]] = [
    copied, summed, averaged, softened, moved, taken, scattered, multiplied, convolved, solved,
    looped,
]  # fmt: skip


def drawn(seed: int) -> Drawing:
    """One of the diagrams."""
    draw = Random(seed)
    drawing = Drawing(draw, draw.choice(["float32", "float64"]))
    PARTS[seed % len(PARTS)](drawing)
    while len(drawing.outputs) < 5:
        draw.choice(PARTS)(drawing)
    return drawing


def drawn_factors(seed: int) -> Drawing:
    """A diagram of factors alone."""
    draw = Random(seed)
    drawing = Drawing(draw, draw.choice(["float32", "float64"]))
    for _ in range(2):
        factored(drawing)
    return drawing
