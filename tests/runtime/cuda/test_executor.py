"""Calls of one program on a simulated device: what they take and give, and what they refuse."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from diagrad.runtime.cuda.arrays import DeviceArray
from diagrad.runtime.cuda.executor import Executor
from diagrad.runtime.cuda.memory import Workspace
from diagrad.runtime.outcomes import HOLDS, CheckFailedError
from diagrad.runtime.program import Address, BoundProgram

from ..cpu.tables import random_table
from ..cpu.test_skips import program as skipping
from .executors import executor, there, values
from .programs import bound, inputs
from .running import Both, on_device
from .simulated import SimulatedDevice

Array = Any
NAMES = ["x", "y"]


def test_a_step_is_one_launch_of_one_graph() -> None:
    device = SimulatedDevice()
    one = executor(device=device)
    device.done.clear()
    for seed in range(3):
        one(inputs("mlp", {"B": 2}, seed))
    assert device.done["launch"] == 3 and device.done["graph"] == 1
    # The table once; inputs with checks, and checks with outputs, at every step.
    assert device.done["copy"] == 1 + 3 * 2
    assert device.done["call"] == 3 * len(one.plan.launches)
    assert device.done["allocate"] <= 2  # the arena and scratch


def test_native_answers_by_name() -> None:
    one, two = executor(), executor(scalar=True)
    x, y = inputs("mlp", {"B": 2})
    answer = one.native({"y": y, "x": x})
    assert list(answer) == ["cost"] and answer["cost"].shape == ()
    number = two.native({"x": x, "y": y})
    assert type(number) is float and number == answer["cost"]


def test_native_refuses_what_is_not_as_it_must_be() -> None:
    device = SimulatedDevice()
    one = executor(device=device)
    x, y = inputs("mlp", {"B": 2})
    before, launches = values(one), device.done["launch"]
    wrong: list[dict[str, Any]] = [
        {"x": x}, {"x": x, "z": y}, {"x": x, "y": y, "z": y}, {"x": x.astype(np.float64), "y": y},
        {"x": x[:1], "y": y}, {"x": np.asfortranarray(x), "y": y}, {"x": x.tolist(), "y": y},
        {"x": x.astype(">f4"), "y": y}, {"x": x, "y": y + 5},
        {"x": there(device, x[:1]), "y": y},
    ]  # fmt: skip
    for given in wrong[:-2]:
        assert one.native(given) is None
        assert device.done["launch"] == launches
    for given in wrong[-2:]:
        assert one.native(given) is None
    assert values(one) == before
    assert one.native({"x": x, "y": y}) is not None
    assert values(one) != before


def test_wrong_inputs_are_explained() -> None:
    one = executor()
    x, y = inputs("mlp", {"B": 2})
    with pytest.raises(ValueError, match="expected 2 inputs, got 1"):
        one([x])
    text = r"input 'x' needs a contiguous float32 array of shape \(2, 7\), got float64 of shape"
    with pytest.raises(ValueError, match=text):
        one([x.astype(np.float64), y])


def test_a_check_that_fails_changes_nothing() -> None:
    x, y = inputs("mlp", {"B": 2})
    for seed in range(5):
        one = executor(device=SimulatedDevice(seed))
        before = values(one)
        with pytest.raises(CheckFailedError) as caught:
            one([x, np.array([1, 5], np.int32)])
        assert (caught.value.check, caught.value.index) == (0, 1)
        assert values(one) == before
    one([x, y])
    assert values(one) != before


def test_of_two_checks_the_first_is_named() -> None:
    device = SimulatedDevice()
    one = executor("transformer", {"B": 2, "T": 7}, device)
    words, y = inputs("transformer", {"B": 2, "T": 7})
    found = []
    for wrong_words, wrong_label in ((True, False), (False, True), (True, True)):
        given = [words.copy(), y.copy()]
        given[0][1, 3] = 11 if wrong_words else 0
        given[1][1] = -1 if wrong_label else 0
        with pytest.raises(CheckFailedError) as caught:
            one(given)
        found.append((caught.value.check, caught.value.index))
    # The order of the checks is the compiler's.
    assert {*found[:2]} in ({(0, 10), (1, 1)}, {(0, 1), (1, 10)})
    assert found[2] == min(found[:2])


def test_the_first_turn_that_fails_is_named() -> None:
    """Of two checks in a loop, each turn has a place; the first that fails is told, as ever."""
    device = SimulatedDevice()
    program = skipping(2, 3, "turn", True)
    look, *rest = program.instructions
    check, flags = look.check, len(program.buffers)
    assert check is not None
    buffers = (
        *program.buffers, replace(program.buffers[0], name="others"),
        replace(program.buffers[check], name="other flag"),
    )  # fmt: skip
    at, _ = look.words
    assert isinstance(at, Address)
    first = replace(look, skips="", wait=None)
    second = replace(
        first, words=(replace(at, buffer=flags), Address(flags + 1)), check=flags + 1,
        reads=(flags,), writes=(flags + 1,),
    )  # fmt: skip
    plain = [replace(i, reads=tuple(b for b in i.reads if b != check), wait=None) for i in rest]
    turns = tuple(replace(loop, last=loop.last + 1) for loop in program.turns)
    states = on_device(device, {"w": np.ones(999, np.float32)})
    made = replace(program, instructions=(first, second, *plain), buffers=buffers, turns=turns)
    one = Executor(made, states, Workspace(device))
    given = [np.full((2, 3), HOLDS), np.full((2, 3), HOLDS)]
    one(given)
    for number, turn, found in ((0, (1, 2), 17), (1, (1, 1), 18), (0, (0, 2), 19), (1, (0, 2), 20)):
        given[number][turn] = found
        with pytest.raises(CheckFailedError) as caught:
            one(given)
        wanted = (0, 19) if found == 20 else (number, found)
        assert (caught.value.check, caught.value.index) == wanted


def test_states_are_read_and_written_like_any_array() -> None:
    device = SimulatedDevice()
    both = Both("regression", {"B": 7}, bound("regression", {"B": 7}), device)
    given = inputs("regression", {"B": 7})
    both.step(given)
    for arrays in (both.states, both.wanted):
        for name in arrays:
            arrays[name][...] = arrays[name] * 0.5
    both.step(given)


def _late(program: BoundProgram) -> BoundProgram:
    """w = x, then y = (x + w) / 2: the input is read when the state is updated already."""
    x, w, y = range(3)
    first, rest = program.instructions[0], program.buffers[:3]
    n = program.buffers[x].shape[0]
    rows = tuple(
        replace(
            first, words=(Address(one), Address(two), Address(out), n, turns), reads=(one, two),
            writes=(out,), wait=None,
        )
        for one, two, out, turns in ((x, x, w, 0), (w, w, w, 1), (x, w, y, 1))
    )  # fmt: skip
    kernels = tuple(
        replace(k, source=k.source.replace("v * f32(0.5) + w * f32(0.5)", "v * f32(0.5) + w"))
        for k in program.kernels
    )
    return replace(program, instructions=rows, buffers=rest, kernels=kernels, arena_bytes=0)


@pytest.mark.parametrize("kind", ["apart", "host", "device"])
def test_an_input_may_lie_in_a_state(kind: str) -> None:
    """It has the values of the beginning, whenever the state is written: w = x; w *= 1.5; y."""
    device = SimulatedDevice()
    x = np.linspace(-1, 1, 999, dtype=np.float32)
    states = on_device(device, {"w": x})
    one = Executor(_late(random_table(0)), states, Workspace(device))
    w = states["w"]
    given: dict[str, Any] = {
        "apart": x, "host": w, "device": DeviceArray(device, w.ctypes.data, w.shape, w.dtype, w),
    }  # fmt: skip
    (y,) = one([given[kind]])
    np.testing.assert_array_equal(w, x * np.float32(1.5))
    np.testing.assert_array_equal(y, x * np.float32(0.5) + w)


def test_arrays_of_the_device_are_read_where_they_lie() -> None:
    device = SimulatedDevice()
    one, other = executor(device=device), executor()
    for seed in range(4):
        x, y = inputs("mlp", {"B": 2}, seed)
        wanted = other([x, y])[0]
        mixed: list[list[Any]] = [
            [there(device, x), y], [x, there(device, y)], [there(device, x), there(device, y)],
        ]  # fmt: skip
        given = mixed[seed % 3]
        device.done.clear()
        np.testing.assert_array_equal(one(given)[0], wanted)
        copied = device.done["bytes"] - one.plan.layout.table.nbytes
        host = sum(-(-item.nbytes // 256) * 256 for item in given if isinstance(item, np.ndarray))
        checks, outputs = one.plan.layout.checks.nbytes, one.plan.layout.outputs.nbytes
        assert copied <= host + 2 * checks + outputs
    assert values(one) == values(other)


def test_an_array_of_the_device_that_stays_needs_no_new_table() -> None:
    device = SimulatedDevice()
    one = executor(device=device)
    x, y = inputs("mlp", {"B": 2})
    given = [there(device, x), there(device, y)]
    one(given)
    device.done.clear()
    one(given)
    assert device.done["copy"] == 2  # the checks, there and back


def test_outputs_stay_on_the_device_where_that_is_asked() -> None:
    device = SimulatedDevice()
    one = executor("gru", {"T": 5, "B": 2}, device)
    other = executor("gru", {"T": 5, "B": 2})
    kept = []
    for seed in range(3):
        given = inputs("gru", {"T": 5, "B": 2}, seed)
        wanted = other(given)
        found = one(given, on_device=True)
        kept.append((found, wanted))
        np.testing.assert_array_equal(
            one.native(dict(zip("xy", given, strict=True)))["cost"], other(given)[0]
        )
    for found, wanted in kept:
        for got, right in zip(found, wanted, strict=True):
            assert isinstance(got, DeviceArray) and got.shape == right.shape
            np.testing.assert_array_equal(got.numpy(), right)
    assert device.done["graph"] == 2


def test_a_check_that_fails_gives_no_outputs_on_the_device() -> None:
    one = executor()
    x, _ = inputs("mlp", {"B": 2})
    with pytest.raises(CheckFailedError):
        one([x, np.array([7, 0], np.int32)], on_device=True)


def test_empty_batches_and_loops_of_no_steps() -> None:
    for name, sizes in (("distances", {"B": 0}), ("state", {"T": 0})):
        device = SimulatedDevice()
        both = Both(name, sizes, bound(name, sizes), device)
        both.step(inputs(name, sizes))


def test_the_report_names_every_kernel() -> None:
    one = executor()
    names = {kernel.name for kernel in one.program.kernels}
    assert {name for name, *_ in one.report} <= names
    assert all(origin in ("compiled", "cache", "memory") for _, origin, _, _ in one.report)
    assert one.nbytes > one.plan.layout.nbytes
