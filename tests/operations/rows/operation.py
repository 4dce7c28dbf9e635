"""What a row of the table of operations is: a function of variables, NumPy's, and its operands."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Shape = tuple[int | str, ...]
Shapes = tuple[Shape, ...]
"""The shapes of the operands of one application."""

BINDINGS = ({"M": 0, "N": 5}, {"M": 1, "N": 1}, {"M": 7, "N": 13}, {"M": 17, "N": 2})
"""What the named sizes of the table are bound to."""


@dataclass(frozen=True)
class Operation:
    """A row of the table.

    name      the public function's name, then what is special about this use of it
    ours      on variables
    numpys    on arrays, the definition of what is right
    shapes    shapes of the operands, one tuple for each application
    domains   of the operands, see `draw`; the last one is that of all further operands
    kinds     dtypes: f(loat32, float64), i(nt32, int64), u(int32), b(ool)
    smooth    whether first and second derivatives are compared with differences
    named     shapes with named sizes
    dtype     of the result, where it is neither NumPy's nor that of the float operands
    """

    name: str
    ours: Callable[..., Any]
    numpys: Callable[..., Any]
    shapes: tuple[Shapes, ...]
    domains: tuple[str, ...] = ("real",)
    kinds: str = "f"
    smooth: bool = True
    named: Shapes | None = None
    dtype: str | None = None

    @property
    def public(self) -> str:
        """The public function that the row is about."""
        return self.name.split()[0]

    def domain(self, index: int) -> str:
        """The domain of an operand."""
        return self.domains[min(index, len(self.domains) - 1)]

    def operand_dtype(self, index: int, dtype: str) -> str:
        """The dtype of an operand where the row is used for `dtype`."""
        kind = self.domain(index).split()[0]
        found = {"index": "int32", "signed": "int32", "anywhere": "int64", "mask": "bool"}
        return found.get(kind, dtype)

    def expected(self, dtype: str, arrays: list[Array]) -> Array:
        """NumPy's result, computed in float64 where operands are floats."""
        wide = [a.astype(np.float64) if a.dtype.kind == "f" else a for a in arrays]
        with np.errstate(all="ignore"):
            value = np.asarray(self.numpys(*wide))
        given = self.dtype or (dtype if value.dtype.kind == "f" else None)
        return value.astype(given) if given else value


def dtypes_of(kinds: str) -> list[str]:
    """The dtypes of the kinds f, i, u and b."""
    names = {"f": ["float32", "float64"], "i": ["int32", "int64"], "u": ["uint32"], "b": ["bool"]}
    return [name for kind in kinds for name in names[kind]]


def draw(domain: str, shape: tuple[int, ...], dtype: str, rng: np.random.Generator) -> Array:
    """Operands out of a domain.

    real      in (-3, 3), different from each other and away from multiples of 1/2, where the
              functions of the table have their kinks; integers in [-9, 9]
    positive  in (0.25, 3); integers in [1, 9]
    share     in (0, 1)
    sign      -1 or 1
    level     0 or 1, so that there are ties
    regular   square matrices: real, with the largest elements from corner to corner, so that an
              elimination exchanges rows
    mask      bools
    index n   integers in [0, n);  signed n: in [-n, n);  anywhere n: in [-2, n + 2)
    """
    kind, _, limit = domain.partition(" ")
    count = int(np.prod(shape))
    if kind == "index":
        return rng.integers(0, int(limit), shape).astype(dtype)
    if kind == "signed":
        return rng.integers(-int(limit), int(limit), shape).astype(dtype)
    if kind == "anywhere":
        return rng.integers(-2, int(limit) + 2, shape).astype(dtype)
    if kind == "mask" or dtype == "bool":
        return rng.integers(0, 2, shape).astype(dtype)
    if kind == "level":
        return rng.integers(0, 2, shape).astype(dtype)
    if kind == "sign":
        return (2 * rng.integers(0, 2, shape) - 1).astype(dtype)
    if not dtype.startswith("float"):
        low = 1 if kind == "positive" else 0 if dtype == "uint32" else -9
        return rng.integers(low, 10, shape).astype(dtype)
    rungs = 12 * (rng.permutation(count) + rng.uniform(0.1, 0.9)) / max(count, 1)
    value = (np.floor(rungs) + 0.1 + 0.8 * (rungs % 1)) / 2 - 3
    if kind == "positive":
        value = 0.25 + np.abs(value) * 0.9
    elif kind == "share":
        value = 0.5 + value / 7
    elif kind == "regular":
        value = value.reshape(shape) + 4 * shape[-1] * np.eye(shape[-1])[::-1]
    elif kind != "real":
        raise ValueError(f"no domain {domain!r}")
    return value.reshape(shape).astype(dtype)


def bound(shapes: Shapes, binding: dict[str, int]) -> list[tuple[int, ...]]:
    """Shapes with their names replaced."""
    return [tuple(binding[n] if isinstance(n, str) else n for n in shape) for shape in shapes]
