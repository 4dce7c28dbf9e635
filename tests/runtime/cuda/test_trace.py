"""Launches one after another: they do what a step does, and each has a time of its own."""

import numpy as np

from diagrad.runtime.cuda.memory import Workspace
from diagrad.runtime.cuda.trace import TracingExecutor

from .programs import bound, execution, inputs
from .running import Both, on_device
from .simulated import SimulatedDevice


def test_a_traced_step_is_a_step() -> None:
    """For loops with conditions too, whose launches look at flags."""
    for name, sizes in (("mlp", {"B": 2}), ("halving", {"B": 5})):
        device = SimulatedDevice()
        states = on_device(device, execution(name).states)
        one = TracingExecutor(bound(name, sizes), states, Workspace(device))
        both = Both(name, sizes, bound(name, sizes), SimulatedDevice())
        for seed in range(2):
            given = inputs(name, sizes, seed)
            both.step(given)
            (trace,) = one.trace(given, 1)
        for key, array in both.states.items():
            np.testing.assert_array_equal(states[key], array)
        assert device.done["graph"] == device.done["launch"] == 0
        assert trace.wall > 0


def test_every_launch_has_its_time() -> None:
    """The simulated device says 1, 2, 3, ... milliseconds for the nodes, the first a copy."""
    device = SimulatedDevice()
    states = on_device(device, execution("mlp").states)
    one = TracingExecutor(bound("mlp", {"B": 2}), states, Workspace(device))
    traces = one.trace(inputs("mlp", {"B": 2}), 3)
    assert len(traces) == 3
    for trace in traces:
        count = len(one.plan.runs)
        assert trace.rows.tolist() == [run.row for run in one.plan.runs]
        np.testing.assert_allclose(trace.ends - trace.begins, 1e6 * np.arange(2, count + 2))
        np.testing.assert_allclose(trace.begins[1:], trace.ends[:-1])
        assert not trace.chunks.any() and not trace.threads.any()
        assert trace.times(len(one.program.instructions)).sum() == trace.span
