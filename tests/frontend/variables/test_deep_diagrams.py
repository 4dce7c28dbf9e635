"""Deep diagrams: no step from drawing to running goes as deep into Python's stack as they are.

Each is built, compiled and run with a stack that has room for fewer frames than it has layers.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ..evaluating import run

ROOM = 250
"""Frames: enough for Numba's own."""


@contextmanager
def little_room() -> Iterator[None]:
    """Room for few more frames than there are."""
    frame, depth = sys._getframe(), 0
    while frame is not None:
        frame, depth = frame.f_back, depth + 1  # type: ignore[assignment]
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(depth + ROOM)
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


@pytest.fixture(scope="module", autouse=True)
def imported() -> None:
    """What is imported late is imported before, and so is what Numba does once."""
    x = dg.observed("x", (2,))
    run({"y": dg.exp(x)}, "cpu", x=np.ones(2, np.float32))


def chain(count: int, x: Any, w: Any) -> Any:
    for _ in range(count):
        x = dg.tanh(x * w + 0.1)
    return x


def layers(count: int, x: Any, w: Any) -> Any:
    u = dg.parameter("u", (2, 2), dg.init.identity(), dtype="float64")
    for _ in range(count):
        x = dg.relu(x @ u) + w
    return x


def total(count: int, x: Any, w: Any) -> Any:
    found = x * w
    for number in range(count):
        found = found + x * (w * float(number))
    return found


def costs(count: int, x: Any, w: Any) -> Any:
    found = dg.sum(x) * w
    for number in range(count):
        found = found + dg.sum(x * w) * float(number)
    return x * found


def numbers(count: int, x: Any, w: Any) -> Any:
    size = dg.size("B", "float64")
    for _ in range(count):
        size, w = dg.sqrt(size + 1.0), dg.tanh(w * 1.01)
    return x * w * size


def choices(count: int, x: Any, w: Any) -> Any:
    found = x * w
    for number in range(count):
        found = dg.where(x > number / count, found, x * w + 1.0)
    return found


def views(count: int, x: Any, w: Any) -> Any:
    x = x * w
    for number in range(count):
        x = dg.flip(dg.transpose(x, (1, 0)), number % 2)
    return x


def loops(count: int, x: Any, w: Any) -> Any:
    """One after another."""
    for number in range(count // 50):
        t = dg.loop(f"t{number}", steps=2)
        z = t.delay("z", x)
        t.close(z, dg.tanh(z * w))
        x = t.last(z) if number % 2 else t.sum(z)
    return x


class Around(dg.Block):
    """A block around another one."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.gain = dg.parameter("gain", (), 1.001, "float64")

    def forward(self, x: Any) -> Any:
        return self.inner(x) * self.gain


def nest(depth: int) -> Any:
    block: Any = dg.Linear(2, 2, weight_init=dg.init.identity(), dtype="float64")
    for _ in range(depth):
        block = Around(block)
    return block


def blocks(count: int, x: Any, w: Any) -> Any:
    return nest(150)(x * w)


def loop_in_loop(count: int, x: Any, w: Any) -> Any:
    """Loops in loops; each step of an outer one is a loop."""

    def level(depth: int, z: Any) -> Any:
        if depth == 0:
            return dg.tanh(z * w)
        t = dg.loop(f"t{depth}", steps=1)
        inside = t.delay("z", z)
        t.close(inside, level(depth - 1, inside) + inside)
        return t.last(inside)

    return level(20, x)


Deep = Callable[[int, Any, Any], Any]
KINDS: tuple[Deep, ...] = (
    chain, layers, total, costs, numbers, choices, views, loops, blocks, loop_in_loop,
)  # fmt: skip
COUNT = 200


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_stage_has_room(kind: Deep, tmp_path: Path) -> None:
    """Values and gradients are those of both targets, and of differences."""
    x, w = dg.observed("x", ("B", 2), "float64"), dg.parameter("w", (), 0.9, "float64")
    y = kind(COUNT, x, w)
    given = np.random.default_rng(0).uniform(0.2, 0.8, size=(3, 2))
    with little_room():
        cost = dg.mean(y * y)
        slope = dg.gradient(cost, w)
        curve = dg.gradient(slope, w)
        diagram = dg.Diagram("deep", {"y": y}, cost=cost)
        assert repr(diagram)
        assert str(diagram.summary(B=3))
        trained = diagram.compile(dg.SGD(0.1))
        before = {name: value.copy() for name, value in trained.parameters.items()}
        trained.step(x=given)
        trained.save(tmp_path / "deep.safetensors")
        trained.load(tmp_path / "deep.safetensors")
        assert str(trained.explain())
        derived = dg.Diagram("deep", {"y": y, "slope": slope, "curve": curve}, cost=cost)
        program = derived.compile(target="reference")
        found = program.run(x=given)
    moved = (before["w"] - trained.parameters["w"]) / 0.1
    np.testing.assert_allclose(moved, found["slope"], rtol=1e-6, atol=1e-9)
    points: list[dict[str, Any]] = []
    for move in (1e-5, -1e-5):
        program.parameters["w"][...] = 0.9 + move
        points.append(program.run(x=given))
    for name, derivative in (("cost", "slope"), ("slope", "curve")):
        difference = (points[0][name] - points[1][name]) / 2e-5
        scale = 1e-6 * (1 + abs(difference))
        np.testing.assert_allclose(found[derivative], difference, rtol=1e-4, atol=scale)


@pytest.mark.parametrize("stage", ["drawn", "graph", "kernels"])
def test_pictures_have_room(stage: str, tmp_path: Path) -> None:
    x, w = dg.observed("x", ("B", 2), "float64"), dg.parameter("w", (), 0.9, "float64")
    y = blocks(0, x, w)
    diagram = dg.Diagram("deep", {"y": y}, cost=dg.mean(y * y))
    with little_room():
        diagram.render(tmp_path / "deep.svg", stage=stage)


def test_blocks_in_blocks() -> None:
    """Their parameters, names and copies."""
    block = nest(400)
    with little_room():
        names = list(block.parameters())
        twin = copy.deepcopy(block)
        assert list(twin.parameters()) == names
        assert block.flatten().shape == (406,)
    assert names[0].endswith("inner/weight") and len(names) == 402


def test_from_a_deep_stack() -> None:
    def below(depth: int) -> Any:
        if depth:
            return below(depth - 1)
        x = dg.observed("x", ("B", 2))
        y = chain(400, x, dg.parameter("w", (), 0.9))
        program = dg.Diagram("deep", {"y": y}, cost=dg.mean(y)).compile(dg.SGD(0.1))
        return program.step(x=np.ones((2, 2), np.float32))

    assert np.isfinite(below(600))


def test_work_grows_with_the_depth() -> None:
    """Four times as deep takes less than five times as many calls of functions."""

    def calls(count: int) -> int:
        x, w = dg.observed("x", ("B", 2)), dg.parameter("w", (), 0.9)
        diagram = dg.Diagram("deep", cost=dg.mean(total(count, chain(count, x, w), w)))
        made = 0

        def note(frame: FrameType, event: str, given: Any) -> None:
            nonlocal made
            made += event in ("call", "c_call")

        before = sys.getprofile()
        sys.setprofile(note)
        try:
            step = diagram.compile(dg.SGD(0.1))._step
            assert step is not None
            step.template()
        finally:
            sys.setprofile(before)
        return made

    calls(20)
    assert calls(200) < 5 * calls(50)
