"""Machines beside one another: in one process, and in what they compute."""

import re

import numpy as np
import pytest

from diagrad.runtime.building.lowering import lower_kernel
from diagrad.runtime.program import CUDA
from diagrad.runtime.words.machine import HOST, WARP, Machine

from ..engine import Array, run, written_for

MIXED = """def kernel(args, lo, hi):
    n = args[2]
    total = f32(0)
    for i in range(0, n, LANES):
        m = lanes_below(n - i)
        a = load(f32_at(args[0]), i, m)
        b = exp(a) * sin(a * f32(1000000)) + tanh(power(absolute(a), a))
        total = total + select(m, b, f32(0))
        store(f32_at(args[1]), i, b, m)
        store_first(f32_at(args[3]), i // LANES, reduce_max(a * f32(0)))
        scatter_sums(f32_at(args[4]), 3, lane() & i64(1), b, m)
    store_first(f32_at(args[4]), 2, reduce_add(total))
    store(b1_at(args[5]), 0, reduce_any(total > f32(3)))
"""


@pytest.fixture(autouse=True)
def lanes() -> int:
    """Each test has machines of its own."""
    return 0


def computed(count: int, threads: bool) -> list[Array]:
    rng, size = np.random.default_rng(0), 5 * count - 3
    x = rng.normal(size=size).astype(np.float32)
    made: list[Array] = [np.zeros(size, np.float32), np.zeros(6, np.float32)]
    made += [np.zeros(6, np.float32), np.zeros(count, np.bool_)]
    with written_for(count, threads):
        run(MIXED.replace("LANES", str(count)), [x, made[0], size, *made[1:]])
    return made


def test_threads_compute_what_a_vector_does() -> None:
    """Bit for bit, the sign of a zero too: a vector of as many lanes stands for a warp."""
    for got, wanted in zip(computed(CUDA.lanes, True), computed(CUDA.lanes, False), strict=True):
        assert got.tobytes() == wanted.tobytes()


def test_machines_take_turns() -> None:
    """Numba keeps types and lowerings; which machine is meant makes no difference to the next."""
    text = """def kernel(args, lo, hi):
    a = load(f32_at(args[0]), 0)
    store(f32_at(args[1]), 0, power(sin(a), reduce_max(a)))
"""
    lock_step, single = Machine(32, 32), Machine(1, 1)
    machines = [HOST, WARP, single, lock_step, WARP, single, HOST, lock_step, HOST]
    first: dict[Machine, str] = {}
    for machine in machines:
        lowered = lower_kernel(text, "kernel", machine)
        found = re.sub(r"\$\d+", "", lowered.text.replace(lowered.function, "kernel"))
        vectors = set(re.findall(r"<(\d+) x float>", found))
        assert vectors == {str(2**k) for k in range(6) if 2**k <= machine.width}
        assert first.setdefault(machine, found) == found
