"""A diagram while it is drawn at random: its variables, and the numbers that choose among them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

import diagrad as dg
from diagrad.compiler.sizes import Size, evaluate

from .plan import Plan

Array = npt.NDArray[Any]
Item = TypeVar("Item")
LARGEST = 6000
"""Elements that a variable may have at the largest sizes of the plan."""


class Drawing:
    """What has been drawn, in a diagram, a block or a loop.

    Attributes:
        pool: float variables, the newest last.
        whole: integer variables that lie in [0, min(n, m)).
        loop: the loop whose body is being drawn, and how deep it stands in others.
    """

    def __init__(self, plan: Plan, root: Drawing | None = None) -> None:
        self.plan = plan
        self.root: Drawing = root.root if root else self
        self.numbers: Iterator[int] = root.numbers if root else iter(())
        self.pool: list[Any] = []
        self.whole: list[Any] = []
        self.depth: int = root.depth + 1 if root else 0
        if root is None:
            self.count = 0
            self.values: dict[str, Callable[[int, np.random.Generator], Array]] = {}
            self.weights: list[Any] = []
            self.states: list[Any] = []
            self.lengths: Any = None
            self.truncated = False  # then gradients are not derivatives

    # The numbers of the operation that is being drawn.

    def number(self) -> int:
        """The next one; 0 after the last."""
        return next(self.root.numbers, 0)

    def flag(self) -> bool:
        return self.number() % 2 == 1

    def choose(self, options: Sequence[Item]) -> Item:
        return options[self.number() % len(options)]

    def name(self, kind: str) -> str:
        """A new name."""
        self.root.count += 1
        return f"{kind}{self.root.count}"

    # What there is.

    def pick(self, fits: Callable[[Any], bool] = lambda _: True) -> Any:
        """One of the float variables that fit, the newest for the number 0; or None."""
        found = [v for v in self.pool if fits(v)]
        return found[-1 - self.number() % len(found)] if found else None

    def sizes(self, batch: int) -> dict[str, int]:
        return {"B": batch, "T": self.plan.steps}

    def count_of(self, v: Any) -> int:
        """Elements at the largest sizes."""
        sizes = self.sizes(max(self.plan.batches))
        return math.prod(int(evaluate(extent, sizes)) for extent in v.shape)

    def add(self, *made: Any) -> None:
        """Take variables into the pool, unless they are too large."""
        for v in made:
            if v is None or v.mistakes or self.count_of(v) > LARGEST:
                continue
            if v.dtype == self.plan.dtype:
                self.pool.append(v)

    # What is given.

    def observed(self, shape: Sequence[Any]) -> Any:
        """A float input."""
        name = self.name("x")

        def value(batch: int, rng: np.random.Generator) -> Array:
            bound = [int(evaluate(extent, self.sizes(batch))) for extent in v.shape]
            return np.asarray(rng.normal(size=bound), self.plan.dtype)

        v = dg.observed(name, tuple(shape), self.plan.dtype)
        self.root.values[name] = value
        return v

    def index(self, shape: Sequence[Any]) -> Any:
        """An integer input in [0, min(n, m))."""
        name = self.name("i")
        dtype = np.int64 if self.root.count % 2 else np.int32
        highest = min(self.plan.extents)

        def value(batch: int, rng: np.random.Generator) -> Array:
            bound = [int(evaluate(extent, self.sizes(batch))) for extent in v.shape]
            return np.asarray(rng.integers(0, highest, bound), dtype)

        v = dg.observed(name, tuple(shape), dtype)
        self.root.values[name] = value
        return v

    def lengths_of_samples(self) -> Any:
        """An input of shape (B,), the lengths of samples in steps of T."""
        if self.root.lengths is None:
            steps = self.plan.steps

            def value(batch: int, rng: np.random.Generator) -> Array:
                return np.asarray(rng.integers(0, steps + 1, (batch,)), np.int32)

            self.root.lengths = dg.observed("lengths", ("B",), dg.int32)
            self.root.values["lengths"] = value
        return self.root.lengths

    def weight(self, shape: Sequence[int]) -> Any:
        """A parameter of the diagram, as large as keeps sums of its products near 1."""
        v = dg.parameter(self.name("w"), tuple(shape), dg.init.normal(0, 0.5), self.plan.dtype)
        self.root.weights.append(v)
        return v


def named(extent: Any) -> bool:
    """Whether an extent has a name."""
    return isinstance(extent, Size)


def small(v: Any) -> Any:
    """A bounded scalar of a variable."""
    return dg.sum(dg.tanh(v * 0.1))
