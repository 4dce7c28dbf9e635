"""Deep nets: no work grows faster than the layers, and equal layers have one kernel."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from types import FrameType
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

import diagrad as dg

FEW, MANY = 12, 48
MOST = 1.15 * MANY / FEW
"""How often more lines may run for MANY layers than for FEW: some grow with the logarithm too."""
HOT = 800
"""Lines of a function from which on it is looked at: in shorter ones, constants tell more."""


def plain(x: dg.Variable, layers: int) -> dg.Variable:
    net = dg.Chain([item for _ in range(layers) for item in (dg.Linear(8, 8), dg.relu)])
    return net(x)


def residual(x: dg.Variable, layers: int) -> dg.Variable:
    for _ in range(layers // 2):
        x = x + dg.Chain(dg.Linear(8, 8), dg.relu, dg.Linear(8, 8))(x)
    return x


def normalised(x: dg.Variable, layers: int) -> dg.Variable:
    for _ in range(layers):
        x = dg.Linear(8, 8, bias=False)(x)
        x = x - dg.mean(x, axis=0, keepdims=True)
        x = dg.relu(x * dg.rsqrt(dg.mean(x * x, axis=0, keepdims=True) + 1e-5))
    return x


def from_the_input(x: dg.Variable, layers: int) -> dg.Variable:
    """Each layer reads the input too."""
    h = x
    for _ in range(layers):
        h = dg.tanh(dg.Linear(8, 8)(h) + x)
    return h


def many_widths(x: dg.Variable, layers: int) -> dg.Variable:
    """Values of different bytes, which do not lie in each other's places."""
    widths = [8 + 8 * (layer % 3) for layer in range(layers)]
    for inputs, outputs in pairwise((8, *widths, 8)):
        x = dg.tanh(dg.Linear(inputs, outputs)(x))
    return x


NETS = (plain, residual, normalised, from_the_input, many_widths)
Net = Callable[[dg.Variable, int], dg.Variable]


def started(net: Net, layers: int) -> dg.Program:
    """A program of that many layers, after its first steps, with batches of two sizes.

    The first time its template is compiled, the second time it is found in the cache.
    """
    x = dg.observed("x", ("B", 8))
    cost = dg.mean(net(x, layers) ** 2)
    d = dg.Diagram(f"deep {uuid4()}", cost=cost)
    str(d.lower({"cost": cost}))
    for _ in range(2):
        program = d.compile(optimizer=dg.SGD(1e-3))
        for batch in (4, 2):
            program.step(x=np.ones((batch, 8), np.float32))
    return program


def lines_run(function: Callable[..., Any], *arguments: Any) -> Counter[str]:
    """How many lines of each function of diagrad ran."""
    found: Counter[str] = Counter()

    def inner(frame: FrameType, event: str, _: Any) -> Any:
        if event == "line":
            code = frame.f_code
            found[f"{code.co_filename}:{code.co_firstlineno} {code.co_qualname}"] += 1
        return inner

    def outer(frame: FrameType, event: str, _: Any) -> Any:
        return inner if frame.f_globals.get("__name__", "").startswith("diagrad.") else None

    before = sys.gettrace()
    sys.settrace(outer)
    try:
        function(*arguments)
    finally:
        sys.settrace(before)
    return found


@pytest.mark.parametrize("net", NETS)
def test_no_function_grows_faster_than_the_layers(net: Net) -> None:
    started(net, FEW)  # What is done once in a process is done.
    few, many = (lines_run(started, net, layers) for layers in (FEW, MANY))
    grown = {
        name: (few[name], lines)
        for name, lines in many.items()
        if lines > HOT and lines > MOST * few[name]
    }
    assert grown == {}


@pytest.mark.parametrize("net", NETS)
def test_equal_layers_are_equal_kernels(net: Net) -> None:
    few, many = (started(net, layers).kernels for layers in (FEW, 2 * FEW))
    assert few == many
