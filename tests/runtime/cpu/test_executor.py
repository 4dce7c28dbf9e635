"""The executor on programs written by hand: buffers of every role, states, threads, float mode."""

import threading

import numpy as np
import numpy.typing as npt
import pytest

from diagrad.runtime.cpu import Executor
from diagrad.runtime.cpu.building import build
from diagrad.runtime.cpu.stepping import objects
from diagrad.runtime.outcomes import HOLDS, CheckFailedError
from diagrad.runtime.program import (
    CPU,
    Address,
    BoundProgram,
    Buffer,
    Instruction,
    Kernel,
    Role,
    Routine,
)

MULTIPLY = """def kernel(args, lo, hi):
    x = f32_at(args[0])
    y = f32_at(args[1])
    out = f32_at(args[2])
    n = args[3]
    for i in range(lo, hi):
        m = lanes_below(n - i * 16)
        store(out, i * 16, load(x, i * 16, m) * load(y, i * 16, m), m)
"""
TOTAL = """def kernel(args, lo, hi):
    x = f32_at(args[0])
    n = args[2]
    s = f32(0.0)
    for i in range(0, n, 16):
        s = s + load(x, i, lanes_below(n - i))
    store_first(f32_at(args[1]), 0, reduce_add(s))
"""
ADD = MULTIPLY.replace(") * load", ") + load")


def buffer(name: str, role: Role, shape: tuple[int, ...], offset: int | None = None) -> Buffer:
    return Buffer(name, role, "float32", shape, offset)


def dot(n: int) -> BoundProgram:
    """Two kernels: t = x * y, then s = the sum of t."""
    return BoundProgram(
        name="dot",
        kernels=(Kernel("multiply", MULTIPLY, CPU.lanes), Kernel("total", TOTAL, CPU.lanes)),
        instructions=(
            Instruction(0, (Address(0), Address(1), Address(2), n), -(-n // 16), (0, 1), (2,)),
            Instruction(1, (Address(2), Address(3), n), 1, (2,), (3,)),
        ),
        buffers=(
            buffer("x", "input", (n,)),
            buffer("y", "input", (n,)),
            buffer("t", "temporary", (n,), 64),
            buffer("s", "output", ()),
        ),
        arena_bytes=64 + 4 * n,
    )


def counter(n: int) -> BoundProgram:
    """A state that grows by a constant and by the input, and two outputs that are not scalars."""
    constant = Buffer("c", "constant", "float32", (n,), data=np.full(n, 0.5, np.float32))
    words = {
        "grow": (Address(1), Address(2), Address(1), n),
        "add": (Address(0), Address(1), Address(3), n),
        "upper": (Address(0, 4), Address(1, 4), Address(4), n - 1),
    }
    return BoundProgram(
        name="counter",
        kernels=(Kernel("add", ADD, CPU.lanes),),
        instructions=tuple(
            Instruction(0, row, -(-n // 16), (), (1,) if name == "grow" else ())
            for name, row in words.items()
        ),
        buffers=(
            buffer("x", "input", (n,)),
            buffer("w", "state", (n,)),
            constant,
            buffer("y", "output", (n,)),
            buffer("z", "output", (n - 1,)),
        ),
        arena_bytes=0,
    )


Vector = npt.NDArray[np.float32]


def vectors(n: int, count: int = 2) -> list[Vector]:
    rng = np.random.default_rng(n)
    return [rng.integers(-8, 8, n).astype(np.float32) for _ in range(count)]


@pytest.mark.parametrize("n", [0, 1, 15, 16, 17, 1009])
def test_two_kernels(n: int) -> None:
    x, y = vectors(n)
    executor = Executor(dot(n), {})
    for _ in range(2):
        (s,) = executor([x, y])
        assert s.shape == ()
        assert float(s) == float((x * y).sum())
    (s,) = executor([y, y])
    assert float(s) == float((y * y).sum())


def test_states_constants_and_fresh_outputs() -> None:
    n = 37
    x, w = vectors(n)
    start = w.copy()
    executor = Executor(counter(n), {"w": w})
    first, _ = executor([x])
    second, upper = executor([x])
    np.testing.assert_array_equal(w, start + 1)
    np.testing.assert_array_equal(first, x + start + 0.5)
    np.testing.assert_array_equal(second, x + start + 1)
    np.testing.assert_array_equal(upper, (x + start + 1)[1:])


def test_the_way_without_the_layout_of_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    assert objects.readable()
    monkeypatch.setattr(objects, "readable", lambda: False)
    x, y = vectors(33)
    (s,) = Executor(dot(33), {})([x, y])
    assert float(s) == float((x * y).sum())
    w = np.zeros(33, np.float32)
    counting = Executor(counter(33), {"w": w})
    np.testing.assert_array_equal(counting([x])[0], x + 0.5)
    np.testing.assert_array_equal(counting([w])[0], np.full(33, 1.5, np.float32))


def test_routines_have_addresses() -> None:
    text = """def kernel(args, lo, hi, space):
    gemm_f32(args[0], args[1], 3, 1, args[2], 2, 1, args[3], 2, 4, 2, 3, space, 0, 0, 1)
"""
    program = BoundProgram(
        name="product",
        kernels=(Kernel("product", text, CPU.lanes),),
        instructions=(
            Instruction(
                0,
                (Routine("gemm_f32"), Address(0), Address(1), Address(2)),
                1,
                (),
                (),
                space=1 << 20,
            ),
        ),
        buffers=(
            buffer("a", "input", (4, 3)),
            buffer("b", "input", (3, 2)),
            buffer("c", "output", (4, 2)),
        ),
        arena_bytes=0,
    )
    a, b = (
        v.reshape(s) for v, s in zip((vectors(12)[0], vectors(6)[0]), ((4, 3), (3, 2)), strict=True)
    )
    executor = Executor(program, {})
    np.testing.assert_array_equal(executor([a, b])[0], a @ b)
    assert [row[0] for row in executor.report] == ["product", "gemm_f32", "driver", "entry"]


def test_words_may_use_all_64_bits() -> None:
    text = "def kernel(args, lo, hi):\n    store_first(i64_at(args[0]), 0, i64_of(args[1]))"
    for word in (2**64 - 1, -(2**63), 2**63 - 1):
        program = BoundProgram(
            name="word",
            kernels=(Kernel("word", text, CPU.lanes),),
            instructions=(Instruction(0, (Address(0), word), 1, (), ()),),
            buffers=(Buffer("o", "output", "int64", ()),),
            arena_bytes=0,
        )
        assert int(Executor(program, {})([])[0]) % 2**64 == word % 2**64


def test_another_size_compiles_nothing() -> None:
    Executor(dot(20), {})
    before = build.compilations
    executor = Executor(dot(21), {})
    assert build.compilations == before
    assert {row[1] for row in executor.report} == {"memory"}


def test_denormals_flush_inside_and_live_outside() -> None:
    tiny = np.full(16, 1e-40, np.float32)
    one = np.ones(16, np.float32)
    executor = Executor(dot(16), {})
    assert float(executor([tiny, one])[0]) == 0
    assert float((tiny * one).sum()) > 0
    assert float(executor([one, one])[0]) == 16


def test_a_failed_check_stops_the_program() -> None:
    text = """def kernel(args, lo, hi):
    store_first(i64_at(args[0]), 0, load_splat(i64_at(args[1]), 0))
"""
    program = BoundProgram(
        name="check",
        kernels=(Kernel("copy", text, CPU.lanes),),
        instructions=(
            Instruction(0, (Address(1), Address(0)), 1, (), (), check=1),
            Instruction(0, (Address(2), Address(0)), 1, (), ()),
        ),
        buffers=(
            Buffer("x", "input", "int64", ()),
            Buffer("place", "temporary", "int64", (), 0),
            Buffer("s", "state", "int64", ()),
        ),
        arena_bytes=8,
    )
    state = np.zeros((), np.int64)
    executor = Executor(program, {"s": state})
    with pytest.raises(CheckFailedError) as caught:
        executor([np.array(5, np.int64)])
    assert (caught.value.check, caught.value.index) == (0, 5)
    assert state == 0
    executor([np.array(HOLDS, np.int64)])
    assert state == HOLDS


def test_mistakes_are_named() -> None:
    x, y = vectors(8)
    with pytest.raises(ValueError, match="expected 2 inputs, got 1"):
        Executor(dot(8), {})([x])
    with pytest.raises(ValueError, match="no array for the state 'w'"):
        Executor(counter(8), {})
    with pytest.raises(
        ValueError, match=r"state 'w' needs a contiguous float32 array of shape \(8,\)"
    ):
        Executor(counter(8), {"w": np.zeros((8, 1), np.float32)})
    executor = Executor(dot(8), {})
    with pytest.raises(ValueError, match="expected 2 inputs, got 3"):
        executor([x, y, x])
    assert float(executor([x, y])[0]) == float((x * y).sum()), "usable after a mistake"


def test_threads() -> None:
    """Two executors at once, and one shared executor whose calls exclude each other."""
    n = 4000
    shared = np.zeros(n, np.float32)
    counting = Executor(counter(n), {"w": shared})
    wrong: list[float] = []

    def work(seed: int) -> None:
        x, y = vectors(n + seed)
        executor = Executor(dot(n + seed), {})
        for _ in range(300):
            if float(executor([x, y])[0]) != float((x * y).sum()):
                wrong.append(seed)
            counting([np.zeros(n, np.float32)])

    threads = [threading.Thread(target=work, args=(seed,)) for seed in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert (shared == 300.0).all()
