"""Many operations in one program: few programs are compiled, and failures still name the row.

A batch draws every application of some rows in one diagram.  Applications share their operands,
so that the compiler may fuse across rows, as it does in a model.
"""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

import diagrad as dg

from .operation import Array, Operation, Shapes, bound, draw, dtypes_of

Target = Literal["reference", "cpu"]
TARGETS: tuple[Target, ...] = ("reference", "cpu")
Values = dict[str, Array]


@dataclass(frozen=True)
class Application:
    """A row used for a dtype on operands of given shapes."""

    row: Operation
    dtype: str
    shapes: Shapes

    def __str__(self) -> str:
        return f"{self.row.name} of {self.dtype} {' '.join(map(str, self.shapes))}"

    def operands(self) -> list[str]:
        """The name of every operand: equal for operands that applications share."""
        return [
            "_".join(
                [f"x{i}", self.row.operand_dtype(i, self.dtype), *self.row.domain(i).split()]
                + [str(n) for n in shape]
            )
            for i, shape in enumerate(self.shapes)
        ]


FEW = 5
"""More shapes than these are shared out among the dtypes of a row."""


def applications(
    rows: Sequence[Operation],
    dtype: str,
    named: bool = False,
    smooth: bool = False,
    few: bool = False,
) -> list[Application]:
    """The applications of rows for a dtype: of fixed shapes, or of those with names.

    The first row has all of its shapes; another one with many shapes has some for each dtype,
    for every pair of an operation and a pattern of strides is a kernel to compile.  With `few`
    every row has one shape.
    """
    found = []
    for number, row in enumerate(rows):
        if dtype not in dtypes_of(row.kinds) or (smooth and not row.smooth):
            continue
        shapes = row.shapes if not named else () if row.named is None else (row.named,)
        if few or (number and len(shapes) > FEW):
            start = zlib.crc32(f"{row.name} {dtype}".encode())
            count = min(len(shapes), 2 if "32" in dtype and not few else 1)
            shapes = tuple(shapes[(start + 4 * i) % len(shapes)] for i in range(count))
        found += [Application(row, dtype, item) for item in shapes]
    return found


class Batch:
    """Applications and their operands, as variables and as arrays.

    Args:
        cases: what to apply.
        outputs: from an application, its operands and its value to the named outputs of it.
    """

    def __init__(
        self,
        cases: list[Application],
        outputs: Callable[[Application, list[Any], Any], dict[str, Any]],
    ) -> None:
        self.cases = cases
        self.variables: dict[str, Any] = {}
        self.outputs: dict[str, Any] = {}
        self.domains: dict[str, tuple[str, Shapes, str]] = {}
        for number, case in enumerate(cases):
            for index, name in enumerate(case.operands()):
                if name not in self.variables:
                    shape, dtype = case.shapes[index], case.row.operand_dtype(index, case.dtype)
                    self.variables[name] = dg.observed(name, shape, dtype)
                    self.domains[name] = case.row.domain(index), (shape,), dtype
            operands = [self.variables[name] for name in case.operands()]
            for word, value in outputs(case, operands, case.row.ours(*operands)).items():
                self.outputs[f"{word}{number}"] = value

    def arrays(self, binding: dict[str, int] | None = None) -> Values:
        """An array for every operand, where named sizes are bound so; the same every time."""
        found = {}
        for name, (domain, shapes, dtype) in self.domains.items():
            seed = np.frombuffer(name.encode(), np.uint8)
            (shape,) = bound(shapes, binding or {})
            found[name] = draw(domain, shape, dtype, np.random.default_rng(seed))
        return found

    def program(self, target: Target) -> dg.Program:
        """The program of all applications."""
        return dg.Diagram("batch", self.outputs).compile(target=target)

    def compile(self, target: Target) -> Callable[..., Values]:
        """The program's `run`."""
        run: Callable[..., Values] = self.program(target).run
        return run


def value_alone(case: Application, operands: list[Any], value: Any) -> dict[str, Any]:
    """The outputs of a batch that looks at values."""
    return {"y": value}


def explained(cases: list[Application], check: Callable[[list[Application]], list[str]]) -> None:
    """Fail with every complaint of `check`; where it raises, name the applications that do."""
    try:
        wrong = check(cases)
    except Exception:
        wrong = []
        for case in cases:
            try:
                check([case])
            except Exception as error:
                wrong.append(f"{case}: {type(error).__name__}: {str(error).splitlines()[0]}")
        if not wrong:
            raise
    assert not wrong, f"{len(wrong)} of {len(cases)} are wrong\n" + "\n".join(wrong[:12])


def difference(got: Array, wanted: Array, rtol: float, atol: float) -> str:
    """How a result differs in dtype, shape or value; empty where it does not."""
    if got.dtype != wanted.dtype or got.shape != wanted.shape:
        return f"{got.dtype} {got.shape}, expected {wanted.dtype} {wanted.shape}"
    with np.errstate(all="ignore"):
        close = np.isclose(got, wanted, rtol, atol, equal_nan=True)
    if wanted.dtype.kind != "f":
        close = got == wanted
    if close.all():
        return ""
    place = tuple(int(i) for i in np.argwhere(~close)[0])
    return (
        f"{np.count_nonzero(~close)} of {close.size} elements: {got[place]!r} at {place}, "
        f"expected {wanted[place]!r}"
    )
