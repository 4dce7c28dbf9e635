"""Every word that touches memory, on every kind of element."""

import math

import numpy as np
import pytest

from ..engine import DTYPE, SIZES, Array, run


def elements(kind: str, size: int, seed: int = 0) -> Array:
    made = np.random.default_rng(seed).integers(0, 100, size)
    return made % 2 == 0 if kind == "b1" else made.astype(DTYPE[kind])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", DTYPE)
def test_masked_copy_leaves_the_rest(kind: str, size: int) -> None:
    text = f"""def kernel(args, lo, hi):
    n = args[2]
    for i in range(0, n, 16):
        m = lanes_below(n - i)
        store({kind}_at(args[1]), i + 1, load({kind}_at(args[0]), i + 1, m), m)
"""
    source, target = elements(kind, size + 20), elements(kind, size + 20, 1)
    wanted = target.copy()
    wanted[1 : size + 1] = source[1 : size + 1]
    run(text, [source, target, size])
    np.testing.assert_array_equal(target, wanted)


@pytest.mark.parametrize("kind", DTYPE)
def test_whole_vectors_at_any_address(kind: str) -> None:
    text = f"""def kernel(args, lo, hi):
    for i in range(lo, hi):
        store({kind}_at(args[1]), i * 17, load({kind}_at(args[0]), i))
"""
    source, target = elements(kind, 40), np.zeros(17 * 16, DTYPE[kind])
    run(text, [source, target], 16)
    for i in range(16):
        np.testing.assert_array_equal(target[17 * i : 17 * i + 16], source[i : i + 16])


@pytest.mark.parametrize("kind", DTYPE)
def test_masked_off_lanes_load_as_zero(kind: str) -> None:
    text = f"""def kernel(args, lo, hi):
    m = lanes_below(5)
    store({kind}_at(args[1]), 0, load({kind}_at(args[0]), 0, m))
    store({kind}_at(args[1]), 16, load_strided({kind}_at(args[0]), 1, 2, m))
    store({kind}_at(args[1]), 32, gather({kind}_at(args[0]), lane() * i64(3), m))
"""
    source = np.ones(64, DTYPE[kind])
    target = np.ones(48, DTYPE[kind])
    run(text, [source, target])
    np.testing.assert_array_equal(target, np.tile(np.arange(16) < 5, 3).astype(DTYPE[kind]))


@pytest.mark.parametrize("stride", [0, 1, 2, 7, -3])
@pytest.mark.parametrize("kind", DTYPE)
def test_strided(kind: str, stride: int) -> None:
    text = f"""def kernel(args, lo, hi):
    m = lanes_below(11)
    a = load_strided({kind}_at(args[0]), args[2], args[3], m)
    store({kind}_at(args[1]), 0, a)
    if args[3] != 0:
        store_strided({kind}_at(args[4]), args[2], args[3], a, m)
"""
    source, out = elements(kind, 128), np.zeros(16, DTYPE[kind])
    start = 60 if stride < 0 else 3
    places = start + stride * np.arange(11)
    back = np.zeros_like(source)
    run(text, [source, out, start, stride, back])
    np.testing.assert_array_equal(out[:11], source[places])
    if stride:
        wanted = np.zeros_like(source)
        wanted[places] = source[places]
        np.testing.assert_array_equal(back, wanted)


@pytest.mark.parametrize("kind", DTYPE)
def test_single_elements(kind: str) -> None:
    text = f"""def kernel(args, lo, hi):
    a = load_splat({kind}_at(args[0]), args[2])
    store({kind}_at(args[1]), 0, a)
    store_first({kind}_at(args[3]), 2, a)
"""
    source = elements(kind, 9)
    out, one = np.zeros(16, DTYPE[kind]), np.zeros(5, DTYPE[kind])
    for place in range(9):
        run(text, [source, out, place, one])
        assert (out == source[place]).all()
        np.testing.assert_array_equal(one, np.arange(5) == 2 if source[place] == 1 else
                                      np.where(np.arange(5) == 2, source[place], 0))  # fmt: skip


@pytest.mark.parametrize("kind", DTYPE)
def test_single_elements_under_a_mask(kind: str) -> None:
    text = f"""def kernel(args, lo, hi):
    store({kind}_at(args[1]), 0, load_splat({kind}_at(args[0]), 2, load(b1_at(args[2]), 0)))
"""
    source, out = elements(kind, 9), np.ones(16, DTYPE[kind])
    for wanted in (0, 1, 15):
        mask = np.arange(16) % 3 < wanted
        run(text, [source, out, mask])
        np.testing.assert_array_equal(out, np.where(mask, source[2], np.zeros_like(source[2])))
    # Nothing is read where no lane wants it: there is no memory at this address.
    run(text, [8, out, np.zeros(16, np.bool_)])
    assert not out.any()


@pytest.mark.parametrize("kind", DTYPE)
def test_gather_and_scatter(kind: str) -> None:
    text = f"""def kernel(args, lo, hi):
    index = load(i64_at(args[2]), 0)
    m = load(b1_at(args[3]), 0)
    a = gather({kind}_at(args[0]), index, m)
    store({kind}_at(args[1]), 0, a)
    scatter({kind}_at(args[4]), index, a, m)
"""
    rng = np.random.default_rng(0)
    source = elements(kind, 200)
    for mask in (np.zeros(16, np.bool_), np.ones(16, np.bool_), rng.random(16) < 0.5):
        index = rng.permutation(200)[:16].astype(np.int64)
        out, target = np.ones(16, DTYPE[kind]), np.zeros(200, DTYPE[kind])
        # A masked-off index may point anywhere.
        wild = np.where(mask, index, 2**45)
        run(text, [source, out, wild, mask, target])
        np.testing.assert_array_equal(out, np.where(mask, source[index], 0).astype(DTYPE[kind]))
        wanted = np.zeros_like(target)
        wanted[index[mask]] = source[index[mask]]
        np.testing.assert_array_equal(target, wanted)


@pytest.mark.parametrize("kind", DTYPE)
def test_scatter_keeps_the_highest_of_equal_lanes(kind: str) -> None:
    text = f"""def kernel(args, lo, hi):
    a = load({kind}_at(args[0]), 0)
    scatter({kind}_at(args[1]), i64(3) + (lane() & i64(1)), a, lanes_below(args[2]))
"""
    source = elements(kind, 16)
    for count in (1, 2, 9, 16):
        target = np.zeros(8, DTYPE[kind])
        run(text, [source, target, count])
        wanted = np.zeros(8, DTYPE[kind])
        for place in range(count):
            wanted[3 + place % 2] = source[place]
        np.testing.assert_array_equal(target, wanted)


@pytest.mark.parametrize("kind", ["f32", "f64", "i32", "i64", "u32"])
def test_scatter_add_adds_up_equal_indices(kind: str) -> None:
    text = f"""def kernel(args, lo, hi):
    n = args[3]
    for i in range(0, n, 16):
        m = lanes_below(n - i)
        index = load(i64_at(args[1]), i, m)
        scatter_add({kind}_at(args[2]), index, load({kind}_at(args[0]), i, m), m)
"""
    rng = np.random.default_rng(0)
    for size in SIZES:
        source, index = elements(kind, size), rng.integers(0, 5, size)
        target = np.zeros(5, DTYPE[kind])
        run(text, [source, index, target, size])
        wanted = np.zeros(5, DTYPE[kind])
        np.add.at(wanted, index, source)
        np.testing.assert_array_equal(target, wanted)


@pytest.mark.parametrize("kind", ["f32", "f64"])
def test_scatter_sums_keep_what_is_rounded_away(kind: str) -> None:
    text = f"""def kernel(args, lo, hi):
    n = args[3]
    for i in range(0, n, 16):
        m = lanes_below(n - i)
        index = load(i64_at(args[1]), i, m)
        scatter_sums({kind}_at(args[2]), args[4], index, load({kind}_at(args[0]), i, m), m)
"""
    rng, dtype = np.random.default_rng(0), DTYPE[kind]
    size, eps = 10_007, np.finfo(dtype).eps
    source, index = rng.uniform(0.09, 0.1, size).astype(dtype), rng.integers(0, 5, size)
    source[index == 4] = np.inf
    wanted = [math.fsum(source[index == place]) for place in range(5)]
    target = np.zeros((2, 5), dtype)
    run(text, [source, index, target, size, 5])
    np.testing.assert_allclose(target.sum(0), wanted, rtol=2 * eps)
    assert (np.abs(target[1, :4]) <= eps * target[0, :4]).all() and target[1, 4] == 0
    plain, added = np.zeros(5, dtype), np.zeros(5, dtype)
    run(text, [source, index, plain, size, 0])
    np.add.at(added, index, source)
    np.testing.assert_array_equal(plain, added)


@pytest.mark.parametrize("kind", DTYPE)
def test_memory_of_the_worker(kind: str) -> None:
    """A place in `space` is its address and bytes from there, whatever the elements."""
    text = f"""def kernel(args, lo, hi, space):
    held = {kind}_in(space, args[1])
    store(held, 0, load({kind}_at(args[0]), 0))
    store({kind}_at(args[2]), 0, load({kind}_at(space + args[1]), 0))
"""
    source = elements(kind, 16)
    target = elements(kind, 16, 1)
    run(text, [source, 192, target])
    np.testing.assert_array_equal(target, source)


def test_a_thread_is_alone_in_its_team() -> None:
    text = """def kernel(args, lo, hi, space, warp, warps):
    for row in range(lo, hi):
        meet(space, warps)
        for i in range(10 * row + warp, 10 * row + 10, warps):
            store_first(i64_at(args[0]), i, i64(i * 100 + warp * 10 + warps))
        meet(space, warps)
"""
    out = np.zeros(30, np.int64)
    run(text, [out], 3)
    np.testing.assert_array_equal(out, np.arange(30) * 100 + 1)


def test_tile_is_aligned_scratch() -> None:
    text = """def kernel(args, lo, hi):
    t = tile(256)
    u = tile(64)
    p = f32_at(t)
    for i in range(0, 64, 16):
        store(p, i, f32(i))
    s = f32(0.0)
    for i in range(0, 64, 16):
        s = s + load(p, i)
    store(f32_at(args[0]), 0, s)
    store(i64_at(args[1]), 0, i64((t | u) & 63))
"""
    out, low = np.zeros(16, np.float32), np.ones(16, np.int64)
    run(text, [out, low])
    assert (out == 96).all()
    assert (low == 0).all()
