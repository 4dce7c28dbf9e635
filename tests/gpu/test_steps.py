"""Every program of the table on a real device against the reference: `python -m pytest -m gpu`."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from diagrad.runtime.cuda.arrays import DeviceArray
from diagrad.runtime.cuda.executor import Executor
from diagrad.runtime.cuda.memory import Workspace
from diagrad.runtime.cuda.trace import TracingExecutor

from ..runtime.cuda.programs import (
    CASES,
    EVER,
    LOOPS,
    NETS,
    NEVER,
    bound,
    execution,
    inputs,
)
from ..runtime.cuda.running import Both, on_device

pytestmark = pytest.mark.gpu
SIZES = [(name, sizes) for name, case in CASES.items() for sizes in case.sizes]


@pytest.mark.parametrize(("name", "sizes"), SIZES)
def test_steps_are_those_of_the_reference(device: Any, name: str, sizes: dict[str, int]) -> None:
    both = Both(name, sizes, bound(name, sizes), device)
    for seed in range(3):
        both.step(inputs(name, sizes, seed))


@pytest.mark.parametrize("name", NETS)
def test_a_step_gives_the_same_bits_again(device: Any, name: str) -> None:
    """Whatever order the device takes launches, blocks and warps in."""
    sizes = CASES[name].sizes[-1]
    found = []
    for _ in range(3):
        both = Both(name, sizes, bound(name, sizes), device)
        for seed in range(2):
            both.step(inputs(name, sizes, seed))
        found.append([array.tobytes() for array in both.states.values()])
    assert found[0] == found[1] == found[2]


def test_arrays_stay_on_the_device(device: Any) -> None:
    """An output that stays there is an input of the next run, and NumPy reads it."""
    name, sizes = "state", {"T": 6}
    runs = []
    for stays in (False, True):
        states = on_device(device, execution(name).states)
        executor = Executor(bound(name, sizes), states, Workspace(device))
        (x,) = inputs(name, sizes)
        (first,) = executor([x], on_device=stays)
        assert isinstance(first, DeviceArray if stays else np.ndarray)
        (second,) = executor([first], on_device=stays)
        runs.append(np.asarray(second))
    np.testing.assert_array_equal(runs[0], runs[1])


@pytest.mark.parametrize(("name", "sizes"), [(name, NETS[name].sizes[-1]) for name in LOOPS])
def test_a_block_that_walks_a_loop_computes_what_launches_do(
    device: Any, name: str, sizes: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bit by bit, for every step of some."""
    found = []
    for rates in (NEVER, EVER):
        monkeypatch.setattr(device, "processor", replace(device.processor, rates=rates))
        both = Both(name, sizes, bound(name, sizes), device)
        for seed in range(3):
            both.step(inputs(name, sizes, seed))
        found.append([array.tobytes() for array in both.states.values()])
    assert found[0] == found[1]


@pytest.mark.parametrize(("name", "sizes"), [("regression", {"B": 7}), ("gru", {"T": 5, "B": 2})])
def test_a_trace_has_the_runs_in_their_order(device: Any, name: str, sizes: dict[str, int]) -> None:
    """How long one takes is no matter of a test, but events do not go back."""
    states = on_device(device, execution(name).states)
    executor = TracingExecutor(bound(name, sizes), states, Workspace(device))
    for trace in executor.trace(inputs(name, sizes), 2):
        assert trace.rows.tolist() == [run.row for run in executor.plan.runs]
        assert (trace.ends >= trace.begins).all() and trace.span > 0
