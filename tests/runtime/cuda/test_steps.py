"""Every program of the table on a simulated device against the reference: values and states."""

from functools import cache

import numpy as np
import pytest

from diagrad.compiler.memory.plan_memory import plan_memory
from diagrad.compiler.pipeline import compile_kernels
from diagrad.compiler.scheduling.template import Template
from diagrad.runtime.cuda.processor import Processor
from diagrad.runtime.program import Target

from .programs import CASES, EVER, NETS, NEVER, bound, execution, inputs
from .running import Both
from .simulated import SimulatedDevice

TINY = Processor(1, 2 << 10, NEVER)
"""One multiprocessor with little shared memory: workers have several indices, and use scratch."""
WALKING = Processor(1, 2 << 10, EVER)
"""The same, with a block for every loop."""

SIZES = [(name, sizes) for name, case in CASES.items() for sizes in case.sizes]
OF_NETS = [(name, sizes) for name, sizes in SIZES if name in NETS]


@pytest.mark.parametrize(("name", "sizes"), SIZES)
def test_steps_are_those_of_the_reference(name: str, sizes: dict[str, int]) -> None:
    both = Both(name, sizes, bound(name, sizes), SimulatedDevice(seed=len(name)))
    for seed in range(3):
        both.step(inputs(name, sizes, seed))


@pytest.mark.parametrize(("team", "processor"), [(1, TINY), (2, Processor()), (8, WALKING)])
@pytest.mark.parametrize(("name", "sizes"), OF_NETS)
def test_teams_orders_and_small_devices(
    name: str, sizes: dict[str, int], team: int, processor: Processor
) -> None:
    found = []
    for seed in range(2):
        both = Both(name, sizes, bound(name, sizes), SimulatedDevice(seed, team, processor))
        for step in range(2):
            both.step(inputs(name, sizes, step))
        found.append([array.tobytes() for array in both.states.values()])
    assert found[0] == found[1]  # whatever the order, bit for bit


@cache
def single(name: str) -> Template:
    """The kernels for one lane."""
    return compile_kernels(execution(name).graph, target=Target("cuda", 1))


@pytest.mark.parametrize(("name", "sizes"), OF_NETS)
def test_one_lane_computes_the_same(name: str, sizes: dict[str, int]) -> None:
    both = Both(name, sizes, plan_memory(single(name), sizes), SimulatedDevice())
    for seed in range(2):
        both.step(inputs(name, sizes, seed))


def test_a_program_that_is_wrong_is_noticed() -> None:
    """The comparison sees one wrong element of a state."""
    both = Both("regression", {"B": 7}, bound("regression", {"B": 7}), SimulatedDevice())
    both.step(inputs("regression", {"B": 7}))
    next(iter(both.states.values()))[0] += np.float32(0.01)
    with pytest.raises(AssertionError):
        both.step(inputs("regression", {"B": 7}))
