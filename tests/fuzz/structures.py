"""The structures of random diagrams: blocks, bound weights, inner gradients, loops, states.

What stands inside of them is drawn by the same operations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import diagrad as dg
from diagrad.frontend.variables.dependencies import ordered

from .drawing import Drawing, named, small

APART = ("unary", "binary", "product", "row", "windows", "pool")
"""Operations that keep the samples of an axis apart."""

Growth = Mapping[str, Callable[[Drawing], Any]]


def grow_inside(d: Drawing, growth: Growth, names: list[str]) -> None:
    """One or two operations of the table in a block or in a loop."""
    for _ in range(1 + d.number() % 2):
        made = growth[names[d.number() % len(names)]](d)
        d.add(*(made if isinstance(made, tuple) else (made,)))


def inner_gradient(d: Drawing) -> Any:
    """The gradient of a scalar by one of the variables, as a variable."""
    x, y = d.pick(lambda v: v.ndim > 0), d.pick()
    if x is None:
        return None
    cost = small(y) + small(x * x)
    return dg.gradient(cost, x)


def drawn_block(d: Drawing, growth: Growth) -> dg.Block:
    """A block with a weight, whose inside is drawn at random; some take an inner gradient."""
    names = [name for name in growth if name not in ("bind", "block", "loop", "state", "share")]
    captured = d.weight((min(d.plan.extents),)) if d.flag() else None
    width = d.plan.extents[0]

    class Drawn(dg.Block):
        def __init__(self) -> None:
            super().__init__()
            self.w = dg.parameter("w", (width, 3), dg.init.normal(0, 0.5), d.plan.dtype)

        def forward(self, x: Any) -> Any:
            inside = Drawing(d.plan, d)
            first = dg.tanh(x @ self.w)
            inside.add(x, first)
            if captured is not None:
                inside.add(captured)
            if d.flag():
                cost = small(first * first)
                inside.add(dg.gradient(cost, self.w if d.flag() else x))
            grow_inside(inside, growth, names)
            return first + small(inside.pool[-1])

    return Drawn()


def applied_block(d: Drawing, growth: Growth) -> Any:
    """A block on one or two variables; its parameter is shared where it is applied again."""
    x = d.pick(lambda v: v.ndim == 2 and v.shape[-1] == d.plan.extents[0])
    if x is None:
        return None
    made = drawn_block(d, growth)
    y = made(x)
    return made(dg.tanh(x)) * y if d.flag() else y


def bound_block(d: Drawing, growth: Growth) -> Any:
    """A block on weights that are computed: one set for all samples, or one for each."""
    width = d.plan.extents[0]
    x = d.pick(lambda v: v.ndim == 2 and v.shape[-1] == width)
    if x is None:
        return None
    made = drawn_block(d, growth)
    count = width * 3
    if d.flag() and named(x.shape[0]) and str(x.shape[0]) == "B":
        flat = dg.tanh(x @ d.weight((width, count)))
    else:
        flat = dg.tanh(d.weight((count,)))
    return dg.bind(made, flat)(x)


def state(d: Drawing) -> Any:
    """A state of the diagram, whose next value follows what has been drawn."""
    x = d.pick()
    if d.root is not d:
        return None
    shape = d.choose(((), (3,), (2, 5)))
    kept = dg.state(d.name("s"), shape, 0.5, d.plan.dtype)
    dg.update(kept, kept * 0.9 + 0.1 * small(x))
    d.root.states.append(kept)
    return kept


def loop(d: Drawing, growth: Growth) -> Any:
    """A loop over the first axis of a sequence: its stack, a sum and a final value."""
    if d.depth > 1:
        return None
    x = d.pick(lambda v: v.ndim == 3 and str(v.shape[0]) == "T" and str(v.shape[1]) == "B")
    if x is None or d.root is not d:
        x = d.pick(lambda v: v.ndim == 3 and not named(v.shape[0]) and v.shape[0] < 6)
    if x is None or named(x.shape[2]):
        return None
    options = d.number()
    samples = x.shape[1]
    over_time = str(x.shape[0]) == "T" and str(samples) == "B" and d.root is d
    d.root.truncated |= bool(options & 4)
    t = dg.loop(
        d.name("t"),
        reverse=bool(options & 1),
        lengths=d.lengths_of_samples() if over_time and options & 2 else None,
        truncate=2 if options & 4 else None,
        checkpoint=2 if options & 8 else None,
    )
    width = d.choose((1, 3, 4))
    x_t = t.each(x)
    if d.root is d and not named(samples) and options & 2:
        kept = dg.state(d.name("s"), (samples, width), 0.1, d.plan.dtype)
        d.states.append(kept)
        z = t.delay(d.name("z"), state=kept)
    else:
        many, shape = 1 + d.number() % 2, (samples, width)
        z = t.delay(d.name("z"), 0.1, many, shape=shape, dtype=d.plan.dtype)
    inside = Drawing(d.plan, d)
    entering = x_t @ d.weight((x.shape[2], width))
    mixed = dg.tanh(entering * 0.5 + z @ d.weight((width, width)))
    inside.add(x_t, z, mixed)
    # With lengths, samples must not meet: what one computes behind its end means nothing.
    apart = over_time and bool(options & 2)
    grow_inside(inside, growth, [*APART] if apart else [name for name in growth if name != "state"])
    extra = inside.pool[-1]
    if not apart:
        following = dg.tanh(mixed + small(extra) * 0.3)
    elif extra.ndim == 2 and extra.shape[0] == samples:
        following = dg.tanh(mixed + dg.tanh(dg.mean(extra, 1, keepdims=True)) * 0.3)
    else:
        following = dg.tanh(mixed)
    t.close(z, following)
    if options & 16 and not apart:
        # It stops by integers alone, which neither rounding nor differences change.
        made = t.delay(d.name("n"), 0, shape=(), dtype=dg.int32)
        t.close(made, made + 1)
        t.until(made >= d.index(()).astype(dg.int32))
    inner = any(item is x_t or item is z for item in ordered([extra], {}))
    fits = inner and extra.ndim > 0 and extra.shape[0] == samples
    shown = extra if fits else following
    return t.stack(following), t.sum(shown), t.last(following)
