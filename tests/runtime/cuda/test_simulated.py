"""The simulated device itself: it finds what a wrong kernel, plan or executor would do."""

import ctypes
from typing import Any

import numpy as np
import pytest

from diagrad.runtime.cuda.code import Code
from diagrad.runtime.cuda.device import Call, Copy, DeviceError
from diagrad.runtime.cuda.memory import Memory
from diagrad.runtime.outcomes import HOLDS
from diagrad.runtime.program import Kernel

from .simulated import SimulatedDevice

COUNT = """def kernel(args, lo, hi, space, warp, warps):
    out = i64_at(args[0])
    shared = i64_in(space, 0)
    one = lanes_below(1)
    for row in range(lo, hi):
        for turn in range(0, args[1]):
            store(shared, warp, lane() * i64(0) + i64(warp + turn), one)
            meet(space, warps)
            total = i64(0)
            for other in range(0, warps):
                total = total + load_splat(shared, other)
            store(out, (row * args[1] + turn) * warps + warp, total, one)
            meet(space, warps)
"""
"""Every warp adds up what all have written, again and again."""

WRITE = """def kernel(args, lo, hi):
    out = i64_at(args[0])
    for row in range(lo, hi):
        store(out, row + args[1], i64(7) + lane(), lanes_below(1))
"""
SPILL = """def kernel(args, lo, hi, space):
    shared = i64_in(space, 0)
    for row in range(lo, hi):
        store(shared, args[1], lane(), lanes_below(1))
"""


def call(
    device: SimulatedDevice, source: str, words: list[int], hi: int, space: int = 0, **guards: Any
) -> Call:
    (loaded,) = device.load([Code(((Kernel("test", source, 32), True),))])
    row = Memory(device, "pinned", 8 * len(words))
    row.array((len(words),), np.int64)[:] = words
    KEPT.append(row)
    given = (row.address, 0, hi, guards.get("at", 0), guards.get("count", 0), 0, space)
    return Call(loaded.function, 2, 128, space, given)


KEPT: list[Any] = []


@pytest.mark.parametrize("team", [1, 2, 8])
def test_warps_of_a_team_meet(team: int) -> None:
    device = SimulatedDevice(team=team)
    out = Memory(device, "pinned", 8 * 5 * 40 * team)
    device.launch(device.graph([call(device, COUNT, [out.address, 40], 5, 64)]))
    device.synchronize()
    found = out.array((5, 40, team), np.int64)
    wanted = sum(range(team)) + team * np.arange(40)
    np.testing.assert_array_equal(found, np.broadcast_to(wanted[:, None], found.shape))


def test_nothing_is_done_before_somebody_waits() -> None:
    device = SimulatedDevice()
    out = Memory(device, "pinned", 8 * 9)
    array = out.array((9,), np.int64)
    device.launch(device.graph([call(device, WRITE, [out.address, 0], 9)]))
    assert (array == -1).all()
    device.synchronize()
    assert (array == 7).all()


@pytest.mark.parametrize("fails", [None, 0, 1])
def test_a_launch_whose_flags_do_not_all_hold_does_nothing(fails: int | None) -> None:
    device = SimulatedDevice()
    out, flags, lists = (Memory(device, "pinned", 16) for _ in range(3))
    flags.array((2,), np.int64)[:] = HOLDS
    if fails is not None:
        flags.array((2,), np.int64)[fails] = 0
    lists.array((2,), np.int64)[:] = flags.address, flags.address + 8
    made = call(device, WRITE, [out.address, 0], 2, at=lists.address, count=2)
    device.launch(device.graph([made]))
    device.synchronize()
    assert (out.array((2,), np.int64) == (7 if fails is None else -1)).all()


@pytest.mark.parametrize(("source", "word", "text"), [
    (WRITE, 4, "written beside pinned memory"), (WRITE, -1, "written beside pinned memory"),
    (SPILL, 8, "written behind the memory of a worker"),
])  # fmt: skip
def test_what_is_written_beside_memory_is_found(source: str, word: int, text: str) -> None:
    device = SimulatedDevice()
    out = Memory(device, "pinned", 8 * 4)
    device.launch(device.graph([call(device, source, [out.address, word], 1, 64)]))
    with pytest.raises(AssertionError, match=text):
        device.synchronize()


def test_fresh_memory_is_no_number() -> None:
    device = SimulatedDevice()
    memory = Memory(device, "managed", 64)
    assert np.isnan(memory.array((8,), np.float64)).all()
    assert np.isnan(memory.array((16,), np.float32)).all()
    assert memory.address % 256 == 0


def test_orders_differ_with_the_seed_and_edges_are_kept() -> None:
    """Of launches that write to one place, the last one in the order wins."""
    last = set()
    for seed in range(20):
        device = SimulatedDevice(seed)
        kernel = Kernel("test", WRITE.replace("i64(7)", "i64(args[2])"), 32)
        (loaded,) = device.load([Code(((kernel, True),))])
        out = Memory(device, "pinned", 16)
        nodes = []
        for number in range(4):
            row = Memory(device, "pinned", 24)
            row.array((3,), np.int64)[:] = out.address, 0, number
            KEPT.append(row)
            given = (row.address, 0, 1, 0, 0, 0, 0)
            nodes.append(Call(loaded.function, 1, 128, 0, given, (0,) if number == 1 else ()))
        device.launch(device.graph(nodes))
        device.synchronize()
        last.add(ctypes.c_int64.from_address(out.address).value)
    assert last == {1, 2, 3}


def test_copies_stay_in_memory() -> None:
    device = SimulatedDevice()
    one, two = Memory(device, "device", 64), Memory(device, "pinned", 32)
    two.array((32,), np.uint8)[:] = 3
    device.launch(device.graph([Copy(one.address, two.address, 32)]))
    device.synchronize()
    assert (one.array((32,), np.uint8) == 3).all()
    device.copy(one.address, two.address, 64)
    with pytest.raises(DeviceError, match="CUDA_ERROR_INVALID_VALUE"):
        device.synchronize()
    with pytest.raises(DeviceError):
        device.number_of(5)
