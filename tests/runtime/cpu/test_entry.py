"""The native entry: what it takes, whose memory its results are, and what lies in a state."""

import gc
import sys
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import diagrad as dg
from diagrad.frontend.errors import InputError
from diagrad.runtime.cpu import Executor, executor
from diagrad.runtime.cpu.stepping import objects

from .test_executor import counter, dot, vectors

Array = npt.NDArray[Any]

pytestmark = pytest.mark.skipif(
    not objects.readable(), reason="this interpreter's objects cannot be read natively"
)


def native(n: int, scalar: bool = False) -> Callable[..., Any]:
    return Executor(dot(n), {}, scalar=scalar).native


@pytest.mark.parametrize("n", [0, 1, 16, 37])
def test_a_dict_of_new_arrays_or_a_float(n: int) -> None:
    x, y = vectors(n)
    wanted = float((x * y).sum())
    made = native(n)({"x": x, "y": y})
    assert list(made) == ["s"]
    assert type(made["s"]) is np.ndarray
    assert (made["s"].shape, made["s"].dtype) == ((), np.float32)
    assert float(made["s"]) == wanted
    number = native(n, scalar=True)({"y": y, "x": x})
    assert type(number) is float
    assert number == wanted


def test_whatever_is_not_exactly_as_expected_is_refused() -> None:
    x, y = vectors(8)
    call = native(8)

    class Sub(np.ndarray[Any, Any]):
        pass

    unaligned = np.zeros(33, np.uint8)[1:].view(np.float32)
    assert not unaligned.flags.aligned
    wrong: list[Any] = [
        x.astype(np.float64), x.astype(">f4"), x[:7], x.reshape(8, 1), x.reshape(1, 8),
        np.zeros(16, np.float32)[::2], np.float32(1), list(x), None, "x", x.view(Sub), unaligned,
        np.zeros((), np.float32),
    ]  # fmt: skip
    for value in wrong:
        assert call({"x": value, "y": y}) is None
        assert call({"x": x, "y": value}) is None
    assert call({"x": x}) is None
    assert call({"x": x, "z": y}) is None
    assert call({"x": x, "y": y, "z": y}) is None
    assert float(call({"x": x, "y": y})["s"]) == float((x * y).sum())


def test_one_call_at_a_time() -> None:
    x, y = vectors(8)
    running = Executor(dot(8), {})
    call = running.native
    begun, seen = threading.Event(), []

    def other() -> None:
        begun.set()
        time.sleep(0.05)
        seen.append(call({"x": x, "y": y}))

    thread = threading.Thread(target=running.workspace.hold, args=[other])
    thread.start()
    begun.wait()
    assert call({"x": x, "y": y}) is None
    assert float(running([x, y])[0]) == float((x * y).sum())
    thread.join()
    assert seen == [None]
    assert float(call({"x": x, "y": y})["s"]) == float((x * y).sum())


def test_a_dtype_that_is_only_equal_is_taken() -> None:
    x, y = vectors(8)
    other = x.view(np.dtype(np.float32, metadata={"unit": "m"}))
    assert other.dtype is not x.dtype
    assert float(Executor(dot(8), {})([other, y])[0]) == float((x * y).sum())


def add_one(n: int) -> Callable[[Array], Array]:
    """x + 1, through `Program.run`."""
    x = dg.observed("x", (n,))
    program = dg.Diagram("one", {"y": x + 1}).compile()
    return lambda value: program.run(x=value)["y"]


def address(array: Array) -> int:
    return int(array.ctypes.data)


def test_memory_that_was_let_go_is_used_again() -> None:
    run = add_one(1009)
    value = np.arange(1009, dtype=np.float32)
    seen = set()
    held = None
    for _ in range(10):
        held = run(value)
        seen.add(address(held))
        np.testing.assert_array_equal(held, value + 1)
    assert len(seen) <= 2


def test_what_is_converted_goes_to_native_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise AssertionError("called in Python")

    monkeypatch.setattr(Executor, "__call__", fail)
    run = add_one(3)
    strided = np.arange(1, 4, dtype=np.float32).repeat(2)[::2]
    ways: list[Any] = [[1, 2, 3], strided, np.array([1, 2, 3], ">f4")]
    for value in ways:
        assert list(run(value)) == [2, 3, 4]


HOLDERS: dict[str, Callable[[Array], Any]] = {
    "itself": lambda a: a,
    "a view": lambda a: a[3:5],
    "a view of a view": lambda a: a[1:].reshape(2, -1)[:, :2],
    "a transpose": lambda a: a.T,
    "a memoryview": lambda a: memoryview(a),  # type: ignore[arg-type]  # known to 3.12's typing
    "its iterator": lambda a: a.flat,
    "a list": lambda a: [a],
    "a capsule": lambda a: a.__dlpack__(),
    "another's array": lambda a: np.from_dlpack(a),
    "its interface": lambda a: np.asarray(a.__array_interface__ and _Interface(a)),
    "ctypes": lambda a: a.ctypes,
}


class _Interface:
    def __init__(self, array: Array) -> None:
        self.array = array
        self.__array_interface__ = array.__array_interface__


@pytest.mark.parametrize("kind", HOLDERS)
def test_memory_that_anyone_can_see_is_not_used_again(kind: str) -> None:
    run = add_one(1009)
    made = run(np.zeros(1009, np.float32))
    taken = address(made)
    holder = HOLDERS[kind](made)
    del made
    later = [run(np.full(1009, i, np.float32)) for i in range(4)]
    assert taken not in map(address, later)
    assert len({address(a) for a in later}) == 4
    for i, array in enumerate(later):
        assert (array == i + 1).all()
    del holder


def test_results_of_torch_stay_apart() -> None:
    torch = pytest.importorskip("torch")
    run = add_one(7)
    tensors = [torch.from_numpy(run(np.full(7, i, np.float32))) for i in range(5)]
    assert [float(t[0]) for t in tensors] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("change", ["shape", "dtype", "flags", "weak"])
def test_a_result_that_was_changed_is_not_given_out_again(change: str) -> None:
    run = add_one(6)
    value = np.arange(6, dtype=np.float32)
    made = run(value)
    taken = address(made)
    keeper = None
    if change == "shape":
        made.shape = (2, 3)
    elif change == "dtype":
        made.dtype = np.dtype(np.int32)  # type: ignore[misc]
    elif change == "flags":
        made.flags.writeable = False
    else:
        keeper = weakref.ref(made)
    del made
    again = run(value)
    assert address(again) != taken
    assert again.shape == (6,) and again.dtype == np.float32 and again.flags.writeable
    np.testing.assert_array_equal(again, value + 1)
    del keeper


def test_an_output_may_be_the_next_input() -> None:
    run = add_one(33)
    value = np.zeros(33, np.float32)
    for i in range(1, 20):
        value = run(value)
        assert (value == i).all()


def test_only_the_last_sizes_keep_memory() -> None:
    x = dg.observed("x", ("B", 4))
    program = dg.Diagram("sizes", {"y": x * 2}).compile()
    for size in (1, 2, 3):
        program.run(x=np.ones((size, 4), np.float32))
    (execution,) = program._runs.values()
    kept = [list(e._call.kept) for e in execution._bound.values()]
    assert [sum(item is None for item in row) for row in kept] == [2, 2, 1]


def training(n: int) -> dg.Program:
    """A step that reads its input after w, which lies first, may have changed."""
    x = dg.observed("x", (n,))
    w = dg.parameter("w", (n,), np.arange(n, dtype=np.float32))
    v = dg.parameter("v", (n,), np.ones(n, np.float32))
    cost = dg.sum(w * w * x) + dg.sum(v * x * x)
    return dg.Diagram("alias", cost=cost).compile(dg.SGD(0.5))


@pytest.mark.parametrize("n", [1, 17, 4099])
@pytest.mark.parametrize("name", ["w", "v"])
def test_an_input_may_be_a_parameter(n: int, name: str) -> None:
    wanted, found = training(n), training(n)
    for _ in range(3):  # The first call binds; the others go through the native entry.
        cost = wanted.step(x=wanted.parameters[name].copy())
        assert found.step(x=found.parameters[name]) == cost
        for key in ("w", "v"):
            np.testing.assert_array_equal(found.parameters[key], wanted.parameters[key])


def test_an_input_may_overlap_a_parameter() -> None:
    x = dg.observed("x", (5,))
    w = dg.parameter("w", (8,), np.arange(8, dtype=np.float32))
    program = dg.Diagram("part", cost=dg.sum(w[:5] * x * x) + dg.sum(w * w)).compile(dg.SGD(0.1))
    mirror = program.parameters["w"].copy()
    for start in (0, 3, 1, 3):
        given = program.parameters["w"][start : start + 5]
        part = mirror[start : start + 5].copy()
        step = 2 * mirror
        step[:5] += part * part
        mirror -= np.float32(0.1) * step
        program.step(x=given)
        np.testing.assert_allclose(program.parameters["w"], mirror, rtol=1e-5)


def test_what_lies_beside_the_states_is_not_copied() -> None:
    room = np.zeros(64, np.float32)
    running = Executor(counter(16), {"w": room[16:32]})
    call = running.native
    for start, apart in ((0, True), (1, False), (16, False), (31, False), (32, True)):
        given = room[start : start + 16]
        assert running._ranges.meet(given) is not apart
        assert (type(call({"x": given})) is dict) is apart


def test_a_failed_check_raises_and_lets_go() -> None:
    table = dg.observed("t", (4,))
    index = dg.observed("i", ("B",), dtype=dg.int32)
    program = dg.Diagram("take", {"y": dg.take(table, index)}).compile()
    t, good, bad = vectors(4)[0], np.array([3, 0], np.int32), np.array([3, 4], np.int32)
    for _ in range(3):
        np.testing.assert_array_equal(program.run(t=t, i=good)["y"], t[good])
        with pytest.raises(InputError, match=r"in \[-4, 4\), got 4 at index \(1,\)"):
            program.run(t=t, i=bad)
    gc.collect()
    before, call = sys.getallocatedblocks(), program._native_run
    for _ in range(1000):
        assert call({"t": t, "i": bad}) is None
        assert call({"t": t}) is None
    assert sys.getallocatedblocks() - before < 100


@pytest.mark.parametrize("release", [0, 1 << 62])
def test_many_threads(release: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One program shared: calls exclude each other, with the interpreter's lock and without."""
    monkeypatch.setattr(executor, "RELEASE_WORK", release)
    run = add_one(257)
    wrong: list[int] = []

    def work(seed: int) -> None:
        value = np.full(257, seed, np.float32)
        for _ in range(2000):
            if not (run(value) == seed + 1).all():
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_name_that_runs_python_and_calls_again() -> None:
    """The inner call takes the table over; the outer one begins anew."""
    x, y = dg.observed("x", (3,)), dg.observed("y", (3,))
    program = dg.Diagram("again", {"z": x - y}).compile()
    one, two = np.ones(3, np.float32), np.full(3, 2, np.float32)
    program.run(x=one, y=one)
    inner: list[Array] = []

    class Name(str):
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            if not inner:
                inner.append(one)
                inner[0] = program.run(x=two, y=np.zeros(3, np.float32))["z"]
            return str.__eq__(self, other)

    outer = program.run(**{"x": one, Name("y"): two})["z"]
    assert list(outer) == [-1, -1, -1]
    assert [list(value) for value in inner] == [[2, 2, 2]]


def test_no_memory_for_a_result() -> None:
    x = dg.observed("x", ("B", 1))
    outputs = {"small": x + 1, "large": dg.broadcast_to(x, ("B", 1 << 44)) + 1}
    program = dg.Diagram("large", outputs).compile()
    for _ in range(3):
        with pytest.raises(MemoryError):
            program.run(x=np.ones((1, 1), np.float32))
    assert program.run(x=np.ones((0, 1), np.float32))["large"].shape == (0, 1 << 44)


def test_references_are_balanced() -> None:
    """Neither the inputs nor names, dtypes, singletons and results are leaked."""
    x = dg.observed("x", (5,))
    program = dg.Diagram("count", {"y": x + 1, "s": dg.sum(x)}).compile()
    value = np.ones(5, np.float32)
    program.run(x=value)
    strange = np.float64(1) * value.astype(np.float64)
    call = program._native_run
    objects_ = [value, strange, value.dtype, "y", None, call]
    before = [sys.getrefcount(item) for item in objects_]
    for _ in range(1000):
        program.run(x=value)
        assert call({"x": strange}) is None
    after = [sys.getrefcount(item) for item in objects_]
    assert all(abs(a - b) < 20 for a, b in zip(before, after, strict=True)), (before, after)
