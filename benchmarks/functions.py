"""Single functions of NumPy's and PyTorch's vocabulary: along lines of floats, and of matrices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .arrays import Arrays, seeded

KINDS = {
    "sort": "np.sort along the last axis",
    "topk": "the 8 greatest along the last axis, falling",
    "median": "the median along the last axis",
    "cumprod": "the running product along the last axis",
    "take_along_axis": "elements along the last axis, as many as there are, at random places",
    "cholesky": "the triangle of a symmetric positive definite matrix",
}
"""What each is."""

SMALL = {"cholesky": (16, 16)}
"""Below 1,000 elements; of the others (4, 200)."""

LARGE_SHAPES = {"cholesky": (400, 400)}
"""Of the others (500, 2000)."""


@dataclass(frozen=True)
class Function:
    """A function of arrays of a shape."""

    kind: str
    shape: tuple[int, int]

    @property
    def text(self) -> str:
        """What it is."""
        return f"{KINDS[self.kind]}, {self.shape[0]}x{self.shape[1]}"

    @property
    def meant(self) -> float:
        """How many times as fast as the fastest of NumPy and PyTorch it is meant to be."""
        return 5.0 if np.prod(self.shape) < 1000 else 1.0

    def make(self) -> Arrays:
        """The array x, and the places i where there are some."""
        rng = seeded()
        if self.kind == "cholesky":
            x = rng.normal(size=self.shape)
            return {"x": (x @ x.T + self.shape[0] * np.eye(self.shape[0])).astype(np.float32)}
        if self.kind == "cumprod":
            return {"x": rng.uniform(0.99, 1.01, self.shape).astype(np.float32)}
        arrays: Arrays = {"x": rng.normal(size=self.shape).astype(np.float32)}
        if self.kind == "take_along_axis":
            arrays["i"] = rng.integers(0, self.shape[1], self.shape)
        return arrays


FUNCTIONS: dict[str, Function] = {
    f"function_{kind}{end}": Function(kind, shapes.get(kind, default))
    for kind in KINDS
    for end, shapes, default in (("_small", SMALL, (4, 200)), ("", LARGE_SHAPES, (500, 2000)))
}


def placed(value: object) -> list[float]:
    """What the peers must agree on: a sum in which every place counts otherwise."""
    line = np.ravel(np.asarray(value, dtype=np.float64))
    return [float(np.square(line) @ np.linspace(1, 2, line.size))]
