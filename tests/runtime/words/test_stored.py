"""Elements that lie in memory alone: loads widen them, stores narrow what they hold exactly."""

import numpy as np
import pytest
from numba.core.errors import NumbaError

from diagrad.runtime.cpu import host
from diagrad.runtime.cpu.host import converts_halves

from ..engine import DTYPE, STORED, Array, run

LANES = {"i": "i32", "u": "i32", "f": "f32"}
"""The lanes that hold the elements of a kind, by its first letter."""


def everything(kind: str) -> Array:
    """All the numbers that there are of a kind."""
    item = np.dtype(STORED[kind]).itemsize
    return np.arange(256**item).astype(f"u{item}").view(STORED[kind])


@pytest.mark.parametrize("kind", STORED)
def test_every_way_to_memory(kind: str, lanes: int) -> None:
    """Each reads what another has written; elements that are masked off stay as they are."""
    text = f"""def kernel(args, lo, hi, space):
    source = {kind}_at(args[0])
    out = {kind}_at(args[1])
    some = lanes_below(5)
    a = load(source, 0)
    store(out, 0, a)
    store(out, {lanes}, load(source, 1, some), lanes_below(7))
    store_strided(out, 2 * {lanes}, 2, load_strided(source, 3, 3, some), some)
    store_first(out, 4 * {lanes}, load_splat(source, 2))
    store(out, 5 * {lanes}, load_splat(source, 4, load(b1_at(args[2]), 0)))
    scatter(out, i64(7 * {lanes} - 1) - lane(), gather(source, lane() * i64(2), some), some)
    store_spread(out, 7 * {lanes}, lane(), load_spread(source, 1, lane() * i64(2)))
    store_spread(out, 8 * {lanes}, lane(), load_spread(source, 1, lane() * i64(2), some), some)
    held = {kind}_in(space, 64)
    store(held, 0, load(source, {lanes}))
    store(out, 9 * {lanes}, load(held, 0))
    kept = {kind}_at(tile(1024))
    store(kept, {lanes}, load(source, 7))
    store(out, 10 * {lanes}, load(kept, {lanes}))
"""
    all_of_them = everything(kind)
    source = np.random.default_rng(0).choice(all_of_them, 4 * lanes + 8).astype(STORED[kind])
    old = np.full(11 * lanes, source[3])
    out, mask = old.copy(), np.arange(lanes) % 2 == 0
    run(text, [source, out, mask])
    line, few = np.arange(lanes), min(5, lanes)
    wanted = old.reshape(11, lanes).copy()
    wanted[0] = source[:lanes]
    wanted[1, : min(7, lanes)] = np.where(line < 5, source[1 : lanes + 1], 0)[:7]
    wanted[2:4].reshape(-1)[: 2 * few : 2] = source[3 : 3 + 3 * few : 3]
    wanted[4, 0] = source[2]
    wanted[5] = np.where(mask, source[4], np.zeros_like(source[4]))
    wanted[6, lanes - few :] = source[: 2 * few : 2][::-1]
    wanted[7] = source[1 : 1 + 2 * lanes : 2]
    wanted[8, :few] = source[1 : 1 + 2 * few : 2]
    wanted[9], wanted[10] = source[lanes : 2 * lanes], source[7 : 7 + lanes]
    np.testing.assert_array_equal(out.reshape(11, lanes).view(f"u{out.itemsize}"),
                                  wanted.view(f"u{out.itemsize}"))  # fmt: skip


@pytest.mark.parametrize("kind", [kind for kind in STORED if kind[0] in "iu"])
def test_integers_widen_exactly_and_wrap_around(kind: str, lanes: int) -> None:
    """Every number of them, and numbers of every other kind, of which floats saturate."""
    every = everything(kind)
    source = every if lanes == 16 else np.concatenate([every[::61], every[-3:]])
    info, rng = np.iinfo(STORED[kind]), np.random.default_rng(1)
    ends = [info.min - 1.0, info.min, info.max, info.max + 1.0, 1e30, -1e30]
    floats = np.array([*ends, np.inf, -np.inf, np.nan, -0.9, 0.9, 100.7, -100.7])
    given = {
        other: np.resize(floats, source.size).astype(DTYPE[other])
        if other[0] == "f"
        else rng.integers(0, 2**63, source.size).astype(DTYPE[other])
        for other in DTYPE
    }
    to = {other: np.zeros(source.size, DTYPE[other]) for other in DTYPE}
    back = {other: np.zeros(source.size, STORED[kind]) for other in DTYPE}
    lines = [
        line
        for place, other in enumerate(DTYPE)
        for line in (
            f"store({other}_at(args[{2 + 3 * place}]), i, to_{other}(a), m)",
            f"b{place} = load({other}_at(args[{3 + 3 * place}]), i, m)",
            f"store({kind}_at(args[{4 + 3 * place}]), i, to_{kind}(b{place}), m)",
        )
    ]
    text = "\n        ".join([
        f"""def kernel(args, lo, hi):
    for i in range(0, args[0], {lanes}):
        m = lanes_below(args[0] - i)
        a = load({kind}_at(args[1]), i, m)""", *lines,
    ])  # fmt: skip
    words = [array for other in DTYPE for array in (to[other], given[other], back[other])]
    run(text, [source.size, source, *words])
    for other in DTYPE:
        np.testing.assert_array_equal(to[other], source.astype(DTYPE[other]))
        wanted = given[other]
        if other[0] == "f":
            wanted = np.trunc(np.nan_to_num(wanted)).clip(info.min, info.max)
        np.testing.assert_array_equal(back[other], wanted.astype(STORED[kind]))


def test_nothing_is_added_to_them() -> None:
    for kind in STORED:
        line = f"scatter_add({kind}_at(args[0]), lane(), {LANES[kind[0]]}(1), lanes_below(1))"
        with pytest.raises(NumbaError, match="No match"):
            run(f"def kernel(args, lo, hi):\n    {line}\n", [np.zeros(64, STORED[kind])])


HALVES = ("f16", "bf16")


@pytest.fixture(params=["instructions", "integers"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the processor's instructions for float16 and without, where it has some."""
    if request.param == "integers":
        monkeypatch.setattr(f"{__name__}.converts_halves", lambda: False)
        monkeypatch.setattr(host, "converts_halves", lambda: False)


ENDLESS = {"f16": 0x7C00, "bf16": 0x7F80}
"""The bits of the infinite half; those of the finite positive ones are below."""


def as_float32(bits: Array, kind: str) -> Array:
    """What the bits of a half mean, by NumPy or by the definition of bfloat16."""
    if kind == "f16":
        return bits.view(np.float16).astype(np.float32)
    return (bits.astype(np.uint32) << 16).view(np.float32)


def nearest(x: Array, kind: str) -> Array:
    """The bits of the nearest half to float64: found among all, the even one at a tie."""
    count = ENDLESS[kind]
    numbers = as_float32(np.arange(count, dtype=np.uint16), kind).astype(np.float64)
    # Beyond the greatest lies what would be next, which is infinite.
    line = np.append(numbers, 2 * numbers[-1] - numbers[-2])
    size = np.abs(x)
    high = np.searchsorted(line, size).clip(1, count)
    low = high - 1
    down, up = size - line[low], line[high] - size
    chosen = np.where(down < up, low, np.where(up < down, high, np.where(low % 2, high, low)))
    chosen = np.where(size == 0, 0, np.where(size > line[-1], count, chosen))
    return (chosen | np.where(np.signbit(x), 0x8000, 0)).astype(np.uint16)


def conversion(source: str, target: str, array: Array, out: Array, lanes: int) -> Array:
    """Elements of one kind as those of another; `integers` says that no instruction did it."""
    run(f"""def kernel(args, lo, hi):
    n = args[2]
    integers = {int(not converts_halves())}
    for i in range(0, n, {lanes}):
        m = lanes_below(n - i)
        a = load({source}_at(args[0]), i, m)
        store({target}_at(args[1]), i, to_{target}(a), m)
""", [array, out, array.size])  # fmt: skip
    return out


def same_halves(found: Array, wanted: Array, kind: str) -> None:
    """To the bit, but for what is no number."""
    none = np.isnan(as_float32(wanted, kind))
    np.testing.assert_array_equal(none, np.isnan(as_float32(found, kind)))
    np.testing.assert_array_equal(found[~none], wanted[~none])


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("kind", HALVES)
def test_all_halves_widen_and_round_to_themselves(kind: str, lanes: int) -> None:
    bits = np.arange(1 << 16, dtype=np.uint16)[:: 1 if lanes == 16 else 37].copy()
    wide = conversion(kind, "f32", bits, np.zeros(bits.size, np.float32), lanes)
    wanted = as_float32(bits, kind)
    none = np.isnan(wanted)
    np.testing.assert_array_equal(wide[~none].view(np.uint32), wanted[~none].view(np.uint32))
    assert np.isnan(wide[none]).all()
    same_halves(conversion(kind, kind, bits, np.zeros_like(bits), lanes), bits, kind)
    same_halves(conversion("f32", kind, wide, np.zeros_like(bits), lanes), bits, kind)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("kind", HALVES)
def test_floats_are_rounded_once_to_the_nearest_even(kind: str, lanes: int) -> None:
    """Between all neighbours: a tie, and what is a little less or more than one."""
    bits = np.arange(ENDLESS[kind], dtype=np.uint16)
    numbers = as_float32(bits[:: 1 if lanes == 16 else 41], kind).astype(np.float64)
    numbers = numbers[np.abs(numbers) >= (2.0**-125 if kind == "bf16" else 0)]
    gap = np.append(np.diff(numbers), numbers[-1] / 256) if lanes == 16 else numbers * 2.0**-11
    middle = numbers + gap / 2
    for source, dtype in (("f32", np.float32), ("f64", np.float64)):
        ends = np.array([65519.99, 65520.0, 1e30, 3.3e38, 3.4e38, np.inf, 1.0])
        x = np.concatenate([numbers, middle, ends]).astype(dtype)
        x = np.concatenate([x, np.nextafter(x, 0), np.nextafter(x, np.inf)])
        x = np.concatenate([x, np.negative(x), np.array([0.0, -0.0, np.nan])]).astype(dtype)
        wanted = nearest(x.astype(np.float64), kind)
        wanted[-1] = 0x7FC0
        found = conversion(source, kind, x, np.zeros(x.size, np.uint16), lanes)
        same_halves(found, wanted, kind)


@pytest.mark.parametrize("kind", HALVES)
def test_integers_are_rounded_once(kind: str, lanes: int) -> None:
    rng = np.random.default_rng(0)
    for source, dtype, most in (
        ("i32", np.int32, 31),
        ("u32", np.uint32, 32),
        ("i64", np.int64, 63),
    ):
        top = rng.integers(128, 256, 400).astype(np.uint64)
        shift = rng.integers(0, most - 8, 400).astype(np.uint64)
        half = np.uint64(1) << np.maximum(shift, 1) - np.uint64(1)
        x = ((top << shift) + half + rng.integers(0, 3, 400).astype(np.uint64)).astype(np.int64) - 1
        x = np.concatenate([x, [0, 1, 65519, 65520, 2**most - 1]])
        if source != "u32":
            x = np.concatenate([x, -x])
        wanted = np.array([_half_of(int(item), kind) for item in x], np.uint16)
        array = x.astype(dtype)
        found = conversion(source, kind, array, np.zeros(x.size, np.uint16), lanes)
        np.testing.assert_array_equal(found, wanted)


def _half_of(whole: int, kind: str) -> int:
    """An integer as a half, in Python's integers."""
    digits, size = (11 if kind == "f16" else 8), abs(whole)
    if size >= 1 << digits:
        drop = size.bit_length() - digits
        low, size = size & ((1 << drop) - 1), size >> drop
        size += low > 1 << (drop - 1) or (low == 1 << (drop - 1) and size & 1)
        size <<= drop
    bits = int(nearest(np.array([float(size)]), kind)[0])
    return bits | (0x8000 if whole < 0 else 0)
