"""Every word between lanes, against NumPy."""

import operator
from collections.abc import Callable

import numpy as np
import pytest

from diagrad.runtime.words.vocabulary import WORDS

from ..engine import DTYPE, SIZES, STORED, Array, apply, run

FLOATS = ("f32", "f64")
INTS = ("i32", "i64", "u32")
AWKWARD = [0.0, -0.0, 1.0, -1.0, 2.5, -2.5, np.inf, -np.inf, np.nan]


def numbers(kind: str, size: int, seed: int = 0) -> Array:
    rng = np.random.default_rng(seed)
    if kind in FLOATS:
        made = rng.normal(size=size) * 3
        made[: len(AWKWARD)] = rng.permutation(AWKWARD)[:size]
        return made.astype(DTYPE[kind])
    if kind == "b1":
        return rng.random(size) < 0.5
    low = 0 if kind == "u32" else -9
    return rng.integers(low, 10, size).astype(DTYPE[kind])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", FLOATS + INTS)
def test_arithmetic(kind: str, size: int) -> None:
    a, b = numbers(kind, size), numbers(kind, size, 1)
    with np.errstate(all="ignore"):
        for sign in "+-*":
            wanted = eval(f"a {sign} b")
            np.testing.assert_array_equal(apply(f"a {sign} b", kind, a, b), wanted)
        np.testing.assert_array_equal(apply("-a", kind, a), -a)
        if kind in FLOATS:
            np.testing.assert_array_equal(apply("a / b", kind, a, b), a / b)


@pytest.mark.parametrize("sign", ["<", "<=", ">", ">=", "==", "!="])
@pytest.mark.parametrize("kind", FLOATS + INTS)
def test_comparisons(kind: str, sign: str) -> None:
    a, b = numbers(kind, 137), numbers(kind, 137, 1)
    b[::3] = a[::3]
    np.testing.assert_array_equal(apply(f"a {sign} b", "b1", a, b), eval(f"a {sign} b"))


def test_unsigned_comparison_and_shift() -> None:
    a = np.array([0, 1, 2**31, 2**32 - 1], dtype=np.uint32)
    np.testing.assert_array_equal(apply("a > u32(1)", "b1", a), a > 1)
    np.testing.assert_array_equal(apply("a >> u32(4)", "u32", a), a >> 4)
    np.testing.assert_array_equal(apply("a << u32(4)", "u32", a), a << 4)
    np.testing.assert_array_equal(apply("to_f32(a)", "f32", a), a.astype(np.float32))
    np.testing.assert_array_equal(apply("to_i64(a)", "i64", a), a.astype(np.int64))


@pytest.mark.parametrize("kind", (*INTS, "b1"))
@pytest.mark.parametrize("combine", [operator.and_, operator.or_, operator.xor])
def test_bits(kind: str, combine: Callable[[Array, Array], Array]) -> None:
    sign = {operator.and_: "&", operator.or_: "|", operator.xor: "^"}[combine]
    a, b = numbers(kind, 37), numbers(kind, 37, 1)
    np.testing.assert_array_equal(apply(f"a {sign} b", kind, a, b), combine(a, b))
    np.testing.assert_array_equal(apply("~a", kind, a), ~a)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", FLOATS + INTS)
def test_simple_functions(kind: str, size: int) -> None:
    a, b = numbers(kind, size), numbers(kind, size, 1)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(apply("maximum(a, b)", kind, a, b), np.maximum(a, b))
        np.testing.assert_array_equal(apply("minimum(a, b)", kind, a, b), np.minimum(a, b))
        np.testing.assert_array_equal(apply("absolute(a)", kind, a), np.abs(a))
        np.testing.assert_array_equal(apply("sign(a)", kind, a), np.sign(a))
        np.testing.assert_array_equal(apply("floor(a)", kind, a), np.floor(a))
        np.testing.assert_array_equal(apply("ceil(a)", kind, a), np.ceil(a))
        chosen = apply("select(a < b, a, b)", kind, a, b)
        np.testing.assert_array_equal(chosen, np.where(a < b, a, b))
        if kind in FLOATS:
            np.testing.assert_array_equal(apply("sqrt(a)", kind, a), np.sqrt(a))


def test_fma_rounds_once() -> None:
    a = np.full(3, 1 + 2.0**-30)
    got = apply("fma(a, a, b)", "f64", a, np.full(3, -1.0))
    np.testing.assert_array_equal(got, 2.0**-29 + 2.0**-60)


@pytest.mark.parametrize("source", DTYPE)
@pytest.mark.parametrize("target", DTYPE)
def test_conversions(source: str, target: str) -> None:
    a = numbers(source, 37)
    if source in FLOATS and target in INTS:
        a = np.nan_to_num(a, posinf=7, neginf=-7)
        a = np.abs(a) if target == "u32" else a
    got = apply(f"to_{target}(a)", target, a)
    np.testing.assert_array_equal(got, a.astype(DTYPE[target]))


@pytest.mark.parametrize("kind", FLOATS + INTS)
def test_reductions(kind: str, lanes: int) -> None:
    a = np.arange(1, lanes + 1).astype(DTYPE[kind])
    text = f"""def kernel(args, lo, hi):
    a = load({kind}_at(args[0]), 0)
    store({kind}_at(args[1]), 0, reduce_add(a))
    store({kind}_at(args[1]), {lanes}, reduce_max(a))
    store({kind}_at(args[1]), 2 * {lanes}, reduce_min(a))
"""
    out = np.zeros(3 * lanes, DTYPE[kind])
    run(text, [a[::-1].copy(), out])
    wanted = np.repeat([lanes * (lanes + 1) // 2, lanes, 1], lanes)
    np.testing.assert_array_equal(out, wanted.astype(DTYPE[kind]))
    if kind in FLOATS:
        for place in range(lanes):
            holed = a.copy()
            holed[place] = np.nan
            run(text, [holed, out])
            assert np.isnan(out).all()


def test_sum_is_a_fixed_tree(lanes: int) -> None:
    a = np.random.default_rng(0).normal(size=lanes).astype(np.float32)
    text = "def kernel(args, lo, hi):\n    store_first(f32_at(args[1]), 0, reduce_add({0}))"
    out = np.zeros(1, np.float32)
    run(text.format("load(f32_at(args[0]), 0)"), [a, out])
    tree = a
    while tree.size > 1:
        tree = tree[: tree.size // 2] + tree[tree.size // 2 :]
    assert out[0] == tree[0]


@pytest.mark.parametrize("place", [0, 1, -2, -1])
def test_any_and_all(place: int, lanes: int) -> None:
    count = range(lanes + 1)[place]
    text = f"""def kernel(args, lo, hi):
    a = lanes_below(args[0])
    store(b1_at(args[1]), 0, reduce_any(a))
    store(b1_at(args[1]), {lanes}, reduce_all(a))
"""
    out = np.zeros(2 * lanes, np.bool_)
    run(text, [count, out])
    np.testing.assert_array_equal(out, np.repeat([count > 0, count == lanes], lanes))


@pytest.mark.parametrize("count", [-(2**40), -1, 0, 1, 7, 15, 16, 17, 31, 32, 33, 2**40])
def test_below_and_lane(count: int, lanes: int) -> None:
    text = """def kernel(args, lo, hi):
    store(b1_at(args[1]), 0, lanes_below(args[0]))
    store(i64_at(args[2]), 0, lane())
"""
    mask, index = np.zeros(lanes, np.bool_), np.zeros(lanes, np.int64)
    run(text, [count, mask, index])
    np.testing.assert_array_equal(mask, np.arange(lanes) < count)
    np.testing.assert_array_equal(index, np.arange(lanes))


def test_first_is_a_number_of_the_text() -> None:
    text = """def kernel(args, lo, hi):
    chosen = first(reduce_min(lane() + i64(args[0])))
    for i in range(chosen):
        store_first(i64_at(args[1]), i, i64(chosen) + i64(i))
"""
    out = np.zeros(16, np.int64)
    run(text, [5, out])
    np.testing.assert_array_equal(out, [5, 6, 7, 8, 9] + [0] * 11)


def test_scalars_from_words_and_literals(lanes: int) -> None:
    text = """def kernel(args, lo, hi):
    store(f32_at(args[0]), 0, f32_of(args[3]) + f32(1.5) + f32(args[4]))
    store(f64_at(args[1]), 0, f64_of(args[5]) * f64(0.5))
    store(i64_at(args[2]), 0, i64_of(args[4]) + i64(3) + to_i64(i32_of(args[4]) + i32(-1)))
    store(b1_at(args[6]), 0, b1_of(args[4]) & b1(True))
    store(u32_at(args[7]), 0, u32_of(args[8]) + u32(1))
"""
    f, d = np.zeros(lanes, np.float32), np.zeros(lanes)
    i, b, u = (np.zeros(lanes, dtype) for dtype in (np.int64, np.bool_, np.uint32))
    word32 = int(np.float32(-2.25).view(np.uint32)) | (0xDEAD << 32)
    word64 = int(np.float64(0.3).view(np.int64))
    run(text, [f, d, i, word32, 7, word64, b, u, 2**32 - 3])
    assert (f == -2.25 + 1.5 + 7).all()
    assert (d == 0.15).all()
    assert (i == 7 + 3 + 6).all()
    assert b.all()
    assert (u == 2**32 - 2).all()


def test_every_word_is_tested() -> None:
    """A new word must come with a test: its name stands in a test of the runtime."""
    from pathlib import Path

    tests = Path(__file__).parents[1].rglob("test_*.py")
    text = "".join(p.read_text(encoding="utf-8") for p in tests)
    operators = {name for name in WORDS if name.startswith("_")}
    made = {f"{stem}{k}" for k in DTYPE for stem in ("to_", "")} | {f"{k}_{e}" for k in DTYPE
            for e in ("at", "in", "of")}  # fmt: skip
    made |= {word.format(k) for k in (*STORED, "bf16") for word in ("to_{}", "{}_at", "{}_in")}
    assert [word for word in WORDS if word not in operators | made and f"{word}" not in text] == []
