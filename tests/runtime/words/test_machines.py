"""Machines beside one another: in one process, and in what they compute."""

import re

import numpy as np
import pytest

from diagrad.runtime.building.lowering import lower_kernel
from diagrad.runtime.building.passes import optimize, parsed
from diagrad.runtime.cuda.building import ptx
from diagrad.runtime.words.machine import HOST, SINGLE, WARP, Machine

from ..engine import Array, run, written_for

WIDE = [Machine(256, 1), Machine(1024, 1)]
"""Those whose lanes are a block."""

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


@pytest.mark.parametrize("count", [32, 64])
def test_threads_compute_what_a_vector_does(count: int) -> None:
    """Bit for bit, the sign of a zero too: a vector of as many lanes stands for a warp or block."""
    for got, wanted in zip(computed(count, True), computed(count, False), strict=True):
        assert got.tobytes() == wanted.tobytes()


@pytest.mark.parametrize("count", [256, 1024])
def test_vectors_stand_for_wide_blocks(count: int) -> None:
    text = f"""def kernel(args, lo, hi):
    a = load(f32_at(args[0]), 0)
    store(f32_at(args[1]), 0, reduce_add(a) + reduce_max(a))
    store(b1_at(args[2]), 0, reduce_all(a < f32({count})))
    store(b1_at(args[2]), {count}, reduce_any(lanes_below(args[3]) & (a > f32({count} - 2))))
"""
    x, out = np.arange(count, dtype=np.float32), np.zeros(count, np.float32)
    found = np.zeros(2 * count, np.bool_)
    with written_for(count):
        run(text, [x, out, found, count - 1])
    assert (out == count * (count - 1) // 2 + count - 1).all()
    assert found[:count].all() and not found[count:].any()


@pytest.mark.parametrize("wide", WIDE, ids=lambda machine: f"{machine.lanes} lanes")
def test_a_block_may_be_the_lanes(wide: Machine) -> None:
    target = ptx._machine("sm_90")
    lowered = lower_kernel(MIXED.replace("LANES", str(wide.lanes)), "kernel", wide)
    module = parsed(ptx._for(target, lowered.text), target, {lowered.function})
    optimize(module, target, 3)
    found = str(target.emit_assembly(module))
    for word in ("%tid.x", f"bar.sync \t0, {wide.lanes};", "bar.red.or.pred", "shfl.sync.bfly"):
        assert word in found
    assert re.search(rf"\.shared .*\[{8 * wide.lanes}\]", found)
    assert ".f64" not in found and ".extern" not in found


def test_machines_take_turns() -> None:
    """Numba keeps types and lowerings; which machine is meant makes no difference to the next."""
    text = """def kernel(args, lo, hi):
    a = load(f32_at(args[0]), 0)
    store(f32_at(args[1]), 0, power(sin(a), reduce_max(a)))
"""
    lock_step, block = Machine(32, 32), WIDE[0]
    machines = [HOST, WARP, SINGLE, lock_step, block, WARP, SINGLE, HOST, block, lock_step, HOST]
    first: dict[Machine, str] = {}
    for machine in machines:
        lowered = lower_kernel(text, "kernel", machine)
        found = re.sub(r"\$\d+", "", lowered.text.replace(lowered.function, "kernel"))
        vectors = set(re.findall(r"<(\d+) x float>", found))
        assert vectors == {str(2**k) for k in range(6) if 2**k <= machine.width}
        assert first.setdefault(machine, found) == found
