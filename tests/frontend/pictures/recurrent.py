"""Diagrams with loops that the tests of pictures look at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import diagrad as dg


def power() -> dg.Diagram:
    """z(t) = z(t-1) w."""
    start, w = dg.observed("z0", ("B", 3)), dg.parameter("w", (3, 3))
    t = dg.loop("t", steps="T")
    z = t.delay("z", start)
    following = z @ w
    t.close(z, following)
    last = t.last(following)
    return dg.Diagram("power", {"Z": t.stack(following), "last": last}, dg.mean(last**2))


def elman(delay: int = 1, **options: Any) -> dg.Diagram:
    """A cost at every step."""
    x, y = dg.observed("x", ("T", "B", 4)), dg.observed("y", ("T", "B", 2))
    w, u, v = dg.parameter("w", (4, 5)), dg.parameter("u", (5, 5)), dg.parameter("v", (5, 2))
    t = dg.loop("t", **options)
    h = t.delay("h", 0.0, shape=("B", 5), steps=delay)
    following = dg.tanh(t.each(x) @ w + h @ u)
    t.close(h, following)
    out = following @ v
    return dg.Diagram("Elman net", {"Y": t.stack(out)}, t.sum(dg.squared_error(out, t.each(y))))


def masked() -> dg.Diagram:
    """Lengths of samples, truncation and a delay of two steps: masks that are not drawn."""
    x, n = dg.observed("x", ("T", "B", 4)), dg.observed("n", ("B",), dtype=dg.int32)
    u = dg.parameter("u", (4, 4))
    t = dg.loop("t", lengths=n, truncate=2)
    h = t.delay("h", 0.0, shape=("B", 4), steps=2)
    following = dg.tanh(t.each(x) + h @ u)
    t.close(h, following)
    return dg.Diagram("masked", {"Y": t.stack(following)}, dg.mean(t.last(following) ** 2))


class Cell(dg.Block):
    """A step of an LSTM."""

    def __init__(self) -> None:
        self.gates = dg.Linear(9, 20)

    def forward(
        self, x: dg.Variable, h: dg.Variable, c: dg.Variable
    ) -> tuple[dg.Variable, dg.Variable]:
        """(B, 4), (B, 5), (B, 5) -> (B, 5), (B, 5)."""
        gates = self.gates(dg.concatenate([x, h], axis=1))
        i, f, o, g = (gates[:, 5 * k : 5 * k + 5] for k in range(4))
        cell = dg.sigmoid(f) * c + dg.sigmoid(i) * dg.tanh(g)
        return dg.sigmoid(o) * dg.tanh(cell), cell


def lstm() -> dg.Diagram:
    """Two delays, and a block."""
    x, y = dg.observed("x", ("T", "B", 4)), dg.observed("y", ("T", "B", 5))
    t = dg.loop("t")
    h, c = (t.delay(name, 0.0, shape=("B", 5)) for name in "hc")
    following, cell = Cell()(t.each(x), h, c)
    t.close(h, following)
    t.close(c, cell)
    out = t.stack(following)
    return dg.Diagram("LSTM", {"Y": out}, dg.squared_error(out, y))


def translator() -> dg.Diagram:
    """One loop starts where another has stopped."""
    x, y = dg.observed("x", ("T", "B", 4)), dg.observed("y", ("S", "B", 3))
    read, write = dg.loop("encoder"), dg.loop("decoder")
    h = read.delay("h", 0.0, shape=("B", 5))
    inner = dg.tanh(dg.Linear(4, 5, name="E")(read.each(x)) + dg.Linear(5, 5, name="R")(h))
    read.close(h, inner)
    s = write.delay("s", read.last(inner))
    target = write.each(y)
    outer = dg.tanh(dg.Linear(5, 5, name="Q")(s))
    write.close(s, outer)
    out = dg.Linear(5, 3, name="D")(outer)
    cost = write.sum(dg.squared_error(out, target))
    return dg.Diagram("translator", {"out": write.stack(out)}, cost)


def nested() -> dg.Diagram:
    """A loop in a loop."""
    x, y = dg.observed("x", ("T", "K", "B", 4)), dg.observed("y", ("B", 5))
    t, k = dg.loop("t"), dg.loop("k")
    outer = t.delay("H", 0.0, shape=("B", 5))
    inner = k.delay("h", outer)
    element = k.each(t.each(x))
    step = dg.tanh(dg.Linear(4, 5, name="f")(element) + dg.Linear(5, 5, name="g")(inner))
    k.close(inner, step)
    result = dg.tanh(dg.Linear(5, 5, name="r")(k.last(step)))
    t.close(outer, result)
    out = t.last(result)
    return dg.Diagram("nested", {"out": out}, dg.squared_error(out, y))


def both_ways() -> dg.Diagram:
    """A loop forth and a loop back."""
    x, y = dg.observed("x", ("T", "B", 4)), dg.observed("y", ("T", "B", 3))
    outputs = []
    for name, reverse in (("forth", False), ("back", True)):
        t = dg.loop(name, reverse=reverse)
        h = t.delay(name[0], 0.0, shape=("B", 5))
        element = dg.Linear(4, 5, name=f"E{name[0]}")(t.each(x))
        step = dg.tanh(element + dg.Linear(5, 5, name=f"R{name[0]}")(h))
        t.close(h, step)
        outputs.append(t.stack(step))
    out = dg.Linear(10, 3, name="D")(dg.concatenate(outputs, axis=2))
    return dg.Diagram("both ways", {"out": out}, dg.squared_error(out, y))


RECURRENT: tuple[Callable[[], dg.Diagram], ...] = (
    power,
    elman,
    masked,
    lstm,
    translator,
    nested,
    both_ways,
)
