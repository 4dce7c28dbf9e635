"""Every word that touches memory, on every kind of element."""

import math

import numpy as np
import pytest
from numba.core.errors import NumbaError

from ..engine import DTYPE, SIZES, Array, run


def elements(kind: str, size: int, seed: int = 0) -> Array:
    made = np.random.default_rng(seed).integers(0, 100, size)
    return made % 2 == 0 if kind == "b1" else made.astype(DTYPE[kind])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", DTYPE)
def test_masked_copy_leaves_the_rest(kind: str, size: int, lanes: int) -> None:
    text = f"""def kernel(args, lo, hi):
    n = args[2]
    for i in range(0, n, {lanes}):
        m = lanes_below(n - i)
        store({kind}_at(args[1]), i + 1, load({kind}_at(args[0]), i + 1, m), m)
"""
    source, target = elements(kind, size + 20), elements(kind, size + 20, 1)
    wanted = target.copy()
    wanted[1 : size + 1] = source[1 : size + 1]
    run(text, [source, target, size])
    np.testing.assert_array_equal(target, wanted)


@pytest.mark.parametrize("kind", DTYPE)
def test_whole_vectors_at_any_address(kind: str, lanes: int) -> None:
    text = f"""def kernel(args, lo, hi):
    for i in range(lo, hi):
        store({kind}_at(args[1]), i * 17, load({kind}_at(args[0]), i))
"""
    source, target = elements(kind, 17 + lanes), np.zeros(16 * 17 + lanes, DTYPE[kind])
    run(text, [source, target], 16)
    for i in range(16):
        row = target[17 * i : 17 * i + min(lanes, 17)]
        np.testing.assert_array_equal(row, source[i : i + row.size])


@pytest.mark.parametrize("kind", DTYPE)
def test_masked_off_lanes_load_as_zero(kind: str, lanes: int) -> None:
    text = f"""def kernel(args, lo, hi):
    m = lanes_below(5)
    store({kind}_at(args[1]), 0, load({kind}_at(args[0]), 0, m))
    store({kind}_at(args[1]), {lanes}, load_strided({kind}_at(args[0]), 1, 2, m))
    store({kind}_at(args[1]), 2 * {lanes}, gather({kind}_at(args[0]), lane() * i64(3), m))
"""
    source = np.ones(4 * lanes, DTYPE[kind])
    target = np.ones(3 * lanes, DTYPE[kind])
    run(text, [source, target])
    np.testing.assert_array_equal(target, np.tile(np.arange(lanes) < 5, 3).astype(DTYPE[kind]))


@pytest.mark.parametrize("stride", [0, 1, 2, 7, -3])
@pytest.mark.parametrize("kind", DTYPE)
def test_strided(kind: str, stride: int, lanes: int) -> None:
    text = f"""def kernel(args, lo, hi):
    m = lanes_below(11)
    a = load_strided({kind}_at(args[0]), args[2], args[3], m)
    store({kind}_at(args[1]), 0, a)
    if args[3] != 0:
        store_strided({kind}_at(args[4]), args[2], args[3], a, m)
"""
    source, out = elements(kind, 128), np.zeros(lanes, DTYPE[kind])
    start = 60 if stride < 0 else 3
    places = start + stride * np.arange(min(11, lanes))
    back = np.zeros_like(source)
    run(text, [source, out, start, stride, back])
    np.testing.assert_array_equal(out[: places.size], source[places])
    if stride:
        wanted = np.zeros_like(source)
        wanted[places] = source[places]
        np.testing.assert_array_equal(back, wanted)


@pytest.mark.parametrize("kind", DTYPE)
def test_single_elements(kind: str, lanes: int) -> None:
    text = f"""def kernel(args, lo, hi):
    a = load_splat({kind}_at(args[0]), args[2])
    store({kind}_at(args[1]), 0, a)
    store_first({kind}_at(args[3]), 2, a)
"""
    source = elements(kind, 9)
    out, one = np.zeros(lanes, DTYPE[kind]), np.zeros(5, DTYPE[kind])
    for place in range(9):
        run(text, [source, out, place, one])
        assert (out == source[place]).all()
        np.testing.assert_array_equal(one, np.arange(5) == 2 if source[place] == 1 else
                                      np.where(np.arange(5) == 2, source[place], 0))  # fmt: skip


@pytest.mark.parametrize("kind", DTYPE)
def test_single_elements_under_a_mask(kind: str, lanes: int) -> None:
    text = f"""def kernel(args, lo, hi):
    store({kind}_at(args[1]), 0, load_splat({kind}_at(args[0]), 2, load(b1_at(args[2]), 0)))
"""
    source, out = elements(kind, 9), np.ones(lanes, DTYPE[kind])
    for wanted in (0, 1, 15):
        mask = np.arange(lanes) % 3 < wanted
        run(text, [source, out, mask])
        np.testing.assert_array_equal(out, np.where(mask, source[2], np.zeros_like(source[2])))
    # Nothing is read where no lane wants it: there is no memory at this address.
    run(text, [8, out, np.zeros(lanes, np.bool_)])
    assert not out.any()


@pytest.mark.parametrize("kind", DTYPE)
def test_gather_and_scatter(kind: str, lanes: int) -> None:
    text = f"""def kernel(args, lo, hi):
    index = load(i64_at(args[2]), 0)
    m = load(b1_at(args[3]), 0)
    a = gather({kind}_at(args[0]), index, m)
    store({kind}_at(args[1]), 0, a)
    scatter({kind}_at(args[4]), index, a, m)
"""
    rng = np.random.default_rng(0)
    source = elements(kind, 200)
    for mask in (np.zeros(lanes, np.bool_), np.ones(lanes, np.bool_), rng.random(lanes) < 0.5):
        index = rng.permutation(200)[:lanes].astype(np.int64)
        out, target = np.ones(lanes, DTYPE[kind]), np.zeros(200, DTYPE[kind])
        # A masked-off index may point anywhere.
        wild = np.where(mask, index, 2**45)
        run(text, [source, out, wild, mask, target])
        np.testing.assert_array_equal(out, np.where(mask, source[index], 0).astype(DTYPE[kind]))
        wanted = np.zeros_like(target)
        wanted[index[mask]] = source[index[mask]]
        np.testing.assert_array_equal(target, wanted)


@pytest.mark.parametrize("kind", DTYPE)
def test_scatter_keeps_the_highest_of_equal_lanes(kind: str, lanes: int) -> None:
    text = f"""def kernel(args, lo, hi):
    a = load({kind}_at(args[0]), 0)
    scatter({kind}_at(args[1]), i64(3) + (lane() & i64(1)), a, lanes_below(args[2]))
"""
    source = elements(kind, lanes)
    for count in {min(count, lanes) for count in (1, 2, 9, lanes)}:
        target = np.zeros(8, DTYPE[kind])
        run(text, [source, target, count])
        wanted = np.zeros(8, DTYPE[kind])
        for place in range(count):
            wanted[3 + place % 2] = source[place]
        np.testing.assert_array_equal(target, wanted)


@pytest.mark.parametrize("kind", ["f32", "f64", "i32", "i64", "u32"])
@pytest.mark.parametrize("word", ["add", "mul", "max", "min"])
def test_scatters_combine_equal_indices(word: str, kind: str, lanes: int) -> None:
    text = f"""def kernel(args, lo, hi):
    n = args[3]
    for i in range(0, n, {lanes}):
        m = lanes_below(n - i)
        index = load(i64_at(args[1]), i, m)
        scatter_{word}({kind}_at(args[2]), index, load({kind}_at(args[0]), i, m), m)
"""
    rng = np.random.default_rng(0)
    combine = {"add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum}[word]
    for size in SIZES:
        source, index = elements(kind, size), rng.integers(0, 5, size)
        if kind[0] == "f":
            source[index == 4] = np.nan
        target = np.full(5, 3, DTYPE[kind])
        run(text, [source, index, target, size])
        wanted = np.full(5, 3, DTYPE[kind])
        with np.errstate(invalid="ignore"):
            combine.at(wanted, index, source)
        np.testing.assert_array_equal(target, wanted)


@pytest.mark.parametrize("kind", ["f32", "f64"])
def test_scatter_sums_keep_what_is_rounded_away(kind: str, lanes: int) -> None:
    text = f"""def kernel(args, lo, hi):
    n = args[3]
    for i in range(0, n, {lanes}):
        m = lanes_below(n - i)
        index = load(i64_at(args[1]), i, m)
        scatter_sums({kind}_at(args[2]), args[4], index, load({kind}_at(args[0]), i, m), m)
"""
    rng, dtype = np.random.default_rng(0), DTYPE[kind]
    size, eps = 3_007, np.finfo(dtype).eps
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


@pytest.mark.parametrize(
    "read",
    [
        "load(p, 1, lanes_below({lanes} - 1))",
        "load_splat(p, {lanes} - 1)",
        "load_strided(p, {lanes} - 1, -1, lanes_below({lanes}))",
        "gather(p, i64({lanes} - 1) - lane(), lanes_below({lanes}))",
    ],
)
@pytest.mark.parametrize(
    "write",
    [
        "store(p, 0, a)",
        "store_first(p, {lanes} - 1, a)",
        "store_strided(p, {lanes} - 1, -1, a, lanes_below({lanes}))",
        "scatter(p, i64({lanes} - 1) - lane(), a, lanes_below({lanes}))",
        "scatter_add(p, i64({lanes} - 1) - lane(), a, lanes_below({lanes}))",
        "scatter_max(p, i64({lanes} - 1) - lane(), a, lanes_below({lanes}))",
    ],
)
@pytest.mark.parametrize("place", ["f32_at(args[0])", "f32_in(space, 64)"])
def test_all_lanes_see_what_is_stored(place: str, write: str, read: str, lanes: int) -> None:
    """And none overwrites what another has yet to read."""
    text = f"""def kernel(args, lo, hi, space):
    p = {place}
    store(p, 0, f32(-1))
    for row in range(50):
        a = to_f32(i64(row * {lanes}) + lane())
        {write}
        seen = {read}
        store(p, 0, f32(-1))
        store(f32_at(args[1]), row * {lanes}, seen)
""".format(lanes=lanes)
    held, out = np.zeros(lanes, np.float32), np.zeros((50, lanes), np.float32)
    run(text, [held, out])
    wanted = np.zeros_like(out)
    for row in range(50):
        now, a = np.full(lanes, -1.0), np.arange(row * lanes, (row + 1) * lanes)
        if write.startswith("store(p"):
            now[:] = a
        elif write.startswith("store_first"):
            now[-1] = a[0]
        elif write.startswith("scatter_add"):
            now += a[::-1]
        else:
            now[:] = a[::-1]
        if read.startswith("load(p"):
            wanted[row, :-1] = now[1:]
        else:
            wanted[row] = now[-1] if read.startswith("load_splat") else now[::-1]
    np.testing.assert_array_equal(out, wanted)


@pytest.mark.parametrize("kind", DTYPE)
def test_memory_of_the_worker(kind: str, lanes: int) -> None:
    """A place in `space` is its address and bytes from there, whatever the elements."""
    text = f"""def kernel(args, lo, hi, space):
    held = {kind}_in(space, args[1])
    store(held, 0, load({kind}_at(args[0]), 0))
    store({kind}_at(args[2]), 0, load({kind}_at(space + args[1]), 0))
"""
    source = elements(kind, lanes)
    target = elements(kind, lanes, 1)
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


@pytest.mark.parametrize("kind", DTYPE)
def test_tile_keeps_whole_vectors(kind: str, lanes: int) -> None:
    text = f"""def kernel(args, lo, hi):
    n = args[2]
    p = {kind}_at(tile(1024))
    q = {kind}_at(tile(1024))
    for i in range(0, n, {lanes}):
        m = lanes_below(n - i)
        a = load({kind}_at(args[0]), i, m)
        store(p, i, a, m)
        store(q, i, a)
    for i in range(0, n, {lanes}):
        m = lanes_below(n - i)
        both = select(load(p, i, m) == load(q, i), load(p, i, m), {kind}(0))
        store({kind}_at(args[1]), i, both, m)
"""
    source, target = elements(kind, 90), elements(kind, 90, 1)
    run(text, [source, target, 90])
    np.testing.assert_array_equal(target, source)


@pytest.mark.parametrize(
    "other", ["load_splat(f32_at(t), 0)", "store_first(f32_at(t), 0, a)", "t + 1"]
)
def test_nothing_else_is_done_with_a_tile(other: str) -> None:
    """Lanes that are threads keep each its own elements, so that there is no other's to reach."""
    text = f"def kernel(args, lo, hi):\n    t = tile(256)\n    a = f32(0)\n    b = {other}\n"
    with pytest.raises(NumbaError, match="No match"):
        run(text, [])


@pytest.mark.parametrize("kind", DTYPE)
@pytest.mark.parametrize("masked", [False, True])
def test_spread_elements(kind: str, masked: bool, lanes: int) -> None:
    """`load_spread` and `store_spread`: at an offset, and places of its own for each lane."""
    mask = ", lanes_below(n)" if masked else ""
    text = f"""def kernel(args, lo, hi):
    n = args[2]
    v = load_spread({kind}_at(args[0]), 2, lane() * i64(3){mask})
    store_spread({kind}_at(args[1]), 1, lane() * i64(2), v{mask})
"""
    count = lanes // 2 if masked else lanes
    source, target = elements(kind, 3 * lanes + 2), elements(kind, 2 * lanes + 2, 1)
    wanted = target.copy()
    wanted[1 : 1 + 2 * count : 2] = source[2 : 2 + 3 * count : 3]
    run(text, [source, target, count])
    np.testing.assert_array_equal(target, wanted)
