"""Every operation's values where kernels are written for one lane, and for those of a warp.

They run natively on the processor, at sizes at which loops over vectors have another end.
"""

import pytest

from diagrad.runtime.program import CUDA, Target

from ..lanes import OnLanes
from .rows.running import Application, Batch, applications, explained, value_alone
from .rows.table import TABLE
from .test_values import wrong_values

KINDS = ("float32", "int64", "bool")
TARGETS = [Target("cpu", 1), Target("cpu", CUDA.lanes)]
ENDS = [(0, 33), (1, 1), (2, 32), (31, 5), (33, 31), (64, 2), (5, 70)]
"""Values of the named sizes M and N."""


def compare(cases: list[Application], target: Target, sizes: list[dict[str, int]]) -> list[str]:
    """A line for every application whose value is not NumPy's."""
    batch = Batch(cases, value_alone)
    execution = batch.program("reference").execution("run", batch.arrays(sizes[0]))
    run, found = OnLanes(execution, target), []
    assert {kernel.lanes for kernel in run.template.kernels} == {target.lanes}
    for binding in sizes:
        arrays = batch.arrays(binding)
        found += wrong_values(batch, arrays, run(arrays), f" at {binding}")
    return found


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: f"{target.lanes} lanes")
@pytest.mark.parametrize("group", [g for g in TABLE if applications(TABLE[g], "float32", True)])
def test_the_ends_of_rows(group: str, target: Target) -> None:
    sizes = [{"M": m, "N": n} for m, n in ENDS]
    named = applications(TABLE[group], "float32", named=True)
    explained(named, lambda cases: compare(cases, target, sizes))


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: f"{target.lanes} lanes")
@pytest.mark.parametrize(
    ("group", "dtype"), [(g, d) for g in TABLE for d in KINDS if applications(TABLE[g], d)]
)
def test_kinds_of_elements(group: str, dtype: str, target: Target) -> None:
    few = applications(TABLE[group], dtype, few=True)
    explained(few, lambda cases: compare(cases, target, [{}]))
