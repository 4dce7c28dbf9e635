"""What programs on a simulated device hold, share and give back, and what interrupts them."""

import gc
import os
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from diagrad.runtime.cuda.device import DeviceError, ForkedError
from diagrad.runtime.cuda.executor import Executor
from diagrad.runtime.cuda.memory import SMALL, Memory, Workspace, state_array

from .executors import executor, there, values
from .programs import bound, execution, inputs
from .running import on_device
from .simulated import SimulatedDevice

Array = Any


def test_sizes_share_one_arena_that_moves() -> None:
    device = SimulatedDevice()
    graph = execution("mlp")
    states = on_device(device, graph.states)
    workspace = Workspace(device)
    alone = executor(sizes={"B": 1})
    small = Executor(bound("mlp", {"B": 1}), states, workspace)
    given = inputs("mlp", {"B": 1})
    small(given), alone(given)
    before = workspace.arena.address
    large = Executor(bound("mlp", {"B": 9000}), states, workspace)
    assert workspace.arena.address != before
    assert workspace.arena_bytes >= bound("mlp", {"B": 9000}).arena_bytes > SMALL
    small(given), alone(given)
    assert values(small) == values(alone)
    kept = large._own.nbytes
    del large
    gc.collect()
    held = device.held
    third = Executor(bound("mlp", {"B": 2}), states, workspace)
    assert workspace.arena_bytes <= SMALL
    assert device.held < held + third._own.nbytes + kept
    small(given), alone(given)
    assert values(small) == values(alone)


def test_calls_of_threads_do_not_mix() -> None:
    """Each of many calls gives what it gives alone, also beside those of another workspace."""
    device, name = SimulatedDevice(), "attentions float32"
    shared, other = Workspace(device), Workspace(device)
    spaces = (shared, shared, other)
    executors = [Executor(bound(name, {}), {}, workspace) for workspace in spaces]
    plain = inputs(name, {})
    scales = [np.float32(1 + 0.1 * number) for number in range(4)]
    given = [[a * scale if a.dtype == np.float32 else a for a in plain] for scale in scales]
    wanted = [[out.tobytes() for out in executors[0](item)] for item in given]
    assert len({tuple(outs) for outs in wanted}) == 4
    mistakes: list[int] = []

    def work(number: int) -> None:
        for turn in range(20):
            which = (number + turn) % 4
            found = executors[number % 3](given[which])
            if [out.tobytes() for out in found] != wanted[which]:
                mistakes.append(which)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not mistakes


class Interrupted(SimulatedDevice):
    """A device whose user presses Ctrl-C once, in some method, before or behind what it does."""

    where = ""
    before = True

    def launch(self, graph: Any) -> None:
        self._maybe("launch", lambda: super(Interrupted, self).launch(graph))

    def synchronize(self) -> None:
        self._maybe("synchronize", super().synchronize)

    def copy(self, target: int, source: int, nbytes: int) -> None:
        self._maybe("copy", lambda: super(Interrupted, self).copy(target, source, nbytes))

    def _maybe(self, name: str, work: Callable[[], None]) -> None:
        now, self.where = self.where == name, "" if self.where == name else self.where
        if now and self.before:
            raise KeyboardInterrupt
        work()
        if now:
            raise KeyboardInterrupt


@pytest.mark.parametrize("moved", [True, False])
@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("where", ["launch", "synchronize", "copy"])
def test_an_interrupt_leaves_no_half_of_a_step(where: str, before: bool, moved: bool) -> None:
    """The step is made or not, and the next one is right."""
    device, plain = Interrupted(), SimulatedDevice()
    one, other = executor("gru", {"T": 5, "B": 2}, device), executor("gru", {"T": 5, "B": 2}, plain)
    first, second = (inputs("gru", {"T": 5, "B": 2}, seed) for seed in range(2))
    given: list[Any] = [there(device, first[0]), first[1]] if moved else first
    if where != "copy":
        one(first), other(first)
    device.where, device.before = where, before
    try:
        one(given)
        interrupted = False
    except KeyboardInterrupt:
        interrupted = True
    assert interrupted
    device.where = ""
    one.workspace.hold(one.workspace.settle)
    if values(one) != values(other):
        other(first)
    assert values(one) == values(other)
    np.testing.assert_array_equal(one(second)[0], other(second)[0])
    assert values(one) == values(other)


def test_everything_is_given_back() -> None:
    device = SimulatedDevice()
    one = executor(device=device)
    found = one(inputs("mlp", {"B": 2}), on_device=True)
    state = next(iter(one._states.values()))[..., :1]
    del one
    gc.collect()
    assert device.held == sum(a.nbytes for a in found) + state.base.nbytes  # type: ignore[union-attr]
    del found, state
    gc.collect()
    assert device.held == 0


def test_a_device_without_memory_says_so() -> None:
    device = SimulatedDevice()
    one = executor(device=device)
    given = inputs("mlp", {"B": 2})
    before = values(one)
    device.limit = device.held
    with pytest.raises(
        DeviceError, match="refuses to allocate 4 bytes of device memory: CUDA_ERROR_OUT_OF_MEMORY"
    ) as caught:
        one(given, on_device=True)
    assert caught.value.name == "CUDA_ERROR_OUT_OF_MEMORY"
    assert values(one) == before
    one(given)
    assert values(one) != before


def test_states_must_be_there_for_the_device() -> None:
    device = SimulatedDevice()
    program = bound("regression", {"B": 7})
    states = on_device(device, execution("regression").states)
    name = next(iter(states))
    with pytest.raises(ValueError, match=f"no array for the state '{name}'"):
        Executor(program, {}, Workspace(device))
    shape = rf"state '{name}' needs a contiguous float32 array of shape"
    with pytest.raises(ValueError, match=shape):
        Executor(program, {**states, name: states[name].astype(np.float64)}, Workspace(device))
    with pytest.raises(ValueError, match=f"state '{name}' needs an array in memory that device 0"):
        Executor(program, {**states, name: states[name].copy()}, Workspace(device))


def test_state_arrays() -> None:
    device = SimulatedDevice()
    count, weight, nothing = (
        state_array(device, shape, dtype)
        for shape, dtype in (((), "int64"), ((3, 4), "float32"), ((0, 4), "float64"))
    )
    assert [device._piece(a.ctypes.data, 0).kind for a in (count, weight)] == ["pinned", "managed"]
    assert nothing.shape == (0, 4) and nothing.dtype == np.float64
    weight[...] = 1.0
    part = weight[1:]
    del weight
    gc.collect()
    np.testing.assert_array_equal(part, np.ones((2, 4)))
    assert count.flags.writeable and part.flags.writeable


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_is_refused() -> None:
    device = SimulatedDevice()
    one = executor(device=device)
    given = inputs("mlp", {"B": 2})
    one(given)
    kept = Memory(device, "device", 8)
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            for call in (lambda: one(given), lambda: state_array(device, (3,), "float32")):
                try:
                    call()
                    os.write(write, b"called")
                except ForkedError as error:
                    os.write(write, b"." if "spawn" in str(error) else b"?")
            device.free = lambda *_: os.write(write, b"freed")  # type: ignore[method-assign, assignment]
            del kept
            gc.collect()  # gives back nothing of its parent's
            os.write(write, b"end")
        finally:
            os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    assert os.read(read, 100) == b"..end"
    os.close(read)
    one(given)
