"""Every operation's values against NumPy's, for every dtype, odd shapes, and both targets."""

import numpy as np
import pytest

from .rows.operation import BINDINGS
from .rows.running import (
    TARGETS,
    Application,
    Batch,
    Target,
    applications,
    difference,
    explained,
    value_alone,
)
from .rows.table import TABLE

DTYPES = ("float32", "float64", "int32", "int64", "uint32", "bool")
TOLERANCE = {"float32": (2e-5, 2e-5), "float64": (1e-12, 1e-12)}
ROUNDING = 4e-7
"""What each of the many terms that a float32 sum may have adds to the error, each about 1."""


def wrong_values(
    batch: Batch, arrays: dict[str, np.ndarray], values: dict[str, np.ndarray], note: str = ""
) -> list[str]:
    """A line for every application whose value is not NumPy's."""
    found = []
    for number, case in enumerate(batch.cases):
        operands = [arrays[name] for name in case.operands()]
        wanted = case.row.expected(case.dtype, operands)
        tolerance = TOLERANCE["float64" if wanted.dtype == "float64" == case.dtype else "float32"]
        relative, absolute = tolerance
        if wanted.dtype == "float32":
            absolute += ROUNDING * max((max(item.shape, default=1) for item in operands), default=1)
        text = difference(values[f"y{number}"], wanted, relative, absolute)
        if text:
            found.append(f"{case}{note}: {text}")
    return found


GROUPS = [
    (group, dtype) for group in TABLE for dtype in DTYPES if applications(TABLE[group], dtype)
]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(("group", "dtype"), GROUPS)
def test_values_are_numpys(group: str, dtype: str, target: Target) -> None:
    def check(cases: list[Application]) -> list[str]:
        batch = Batch(cases, value_alone)
        arrays = batch.arrays()
        return wrong_values(batch, arrays, batch.compile(target)(**arrays))

    explained(applications(TABLE[group], dtype), check)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    ("group", "dtype"), [g for g in GROUPS if applications(TABLE[g[0]], g[1], named=True)]
)
def test_values_with_named_sizes(group: str, dtype: str, target: Target) -> None:
    def check(cases: list[Application]) -> list[str]:
        batch = Batch(cases, value_alone)
        run = batch.compile(target)
        found = []
        for binding in BINDINGS:
            arrays = batch.arrays(binding)
            found += wrong_values(batch, arrays, run(**arrays), f" at {binding}")
        return found

    explained(applications(TABLE[group], dtype, named=True), check)
