"""Diagrams with weights that are shared or computed, which the tests of pictures look at."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import diagrad as dg


def net(before: int, after: int, name: str | None = None) -> dg.Chain:
    """Two layers."""
    return dg.Chain(dg.Linear(before, 8), dg.tanh, dg.Linear(8, after), name=name)


def bound() -> dg.Diagram:
    """w = H(z, u): one set of weights."""
    x, y, z = dg.observed("x", ("B", 4)), dg.observed("y", ("B", 3)), dg.observed("z", (5,))
    main = net(4, 3, "G")
    out = dg.bind(main, net(5, main.parameter_count, "H")(z))(x)
    return dg.Diagram("bound", {"out": out}, dg.squared_error(out, y))


def of_the_input() -> dg.Diagram:
    """w = H(x, u): a set for each sample."""
    x, y = dg.observed("x", ("B", 4)), dg.observed("y", ("B", 3))
    main = net(4, 3, "G")
    out = dg.bind(main, net(4, main.parameter_count, "H")(x))(x)
    return dg.Diagram("w = H(x, u)", {"out": out}, dg.squared_error(out, y))


def hypernetwork_block() -> dg.Diagram:
    """The same as one block."""
    x, y, z = dg.observed("x", ("B", 4)), dg.observed("y", ("B", 3)), dg.observed("z", (5,))
    main = net(4, 3)
    out = dg.Hypernetwork(net(5, main.parameter_count), main, name="net")(x, context=z)
    return dg.Diagram("hypernetwork", {"out": out}, dg.squared_error(out, y))


def deep() -> dg.Diagram:
    """A hypernetwork whose weights are computed."""
    x, y, z = dg.observed("x", ("B", 4)), dg.observed("y", ("B", 3)), dg.observed("z", (5,))
    main = net(4, 3, "G")
    outer = net(5, main.parameter_count, "H")
    vector = dg.Linear(2, outer.parameter_count, name="K")(dg.observed("s", (2,)))
    out = dg.bind(main, dg.bind(outer, vector)(z))(x)
    return dg.Diagram("deep", {"out": out}, dg.squared_error(out, y))


def in_two_layers() -> dg.Diagram:
    """w = u[index], read twice."""
    x, y = dg.observed("x", ("B", 4)), dg.observed("y", ("B", 4))
    w = dg.share(dg.parameter("u", (7,)), np.arange(4)[:, None] + np.arange(4))
    f, g = (dg.Linear(4, 4, weight=w, bias=False, name=name) for name in "fg")
    out = g(dg.tanh(f(x)))
    return dg.Diagram("in two layers", {"out": out}, dg.squared_error(out, y))


def low_rank() -> dg.Diagram:
    """w = A @ B."""
    x, y = dg.observed("x", ("B", 4)), dg.observed("y", ("B", 3))
    w = dg.parameter("A", (4, 2)) @ dg.parameter("B", (2, 3))
    out = dg.Linear(4, 3, weight=w, name="f")(x)
    return dg.Diagram("low rank", {"out": out}, dg.squared_error(out, y))


def in_a_loop() -> dg.Diagram:
    """A recurrent net with computed weights."""
    x, y = dg.observed("x", ("T", "B", 4)), dg.observed("y", ("T", "B", 3))
    cell = dg.Linear(7, 3, name="G")
    w = dg.Linear(5, cell.parameter_count, name="H")(dg.observed("z", (5,)))
    t = dg.loop("t")
    h = t.delay("h", 0.0, shape=("B", 3))
    following = dg.tanh(dg.bind(cell, w)(dg.concatenate([t.each(x), h], axis=1)))
    t.close(h, following)
    out = t.stack(following)
    return dg.Diagram("in a loop", {"out": out}, dg.squared_error(out, y))


TRANSFORMS: tuple[Callable[[], dg.Diagram], ...] = (
    bound,
    of_the_input,
    hypernetwork_block,
    deep,
    in_two_layers,
    low_rank,
    in_a_loop,
)
