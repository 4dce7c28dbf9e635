"""Elements that lie in memory alone: loads widen them, stores narrow what they hold exactly."""

import numpy as np
import pytest
from numba.core.errors import NumbaError

from ..engine import DTYPE, STORED, Array, apply, run

LANES = {"i": "i32", "u": "i32"}
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
    source = everything(kind) if lanes == 16 else everything(kind)[::61]
    np.testing.assert_array_equal(apply("a", kind, source), source)
    np.testing.assert_array_equal(apply("to_f32(a)", "f32", source), source.astype(np.float32))
    np.testing.assert_array_equal(apply("to_b1(a)", "b1", source), source != 0)
    info, rng = np.iinfo(STORED[kind]), np.random.default_rng(1)
    for other in ("i32", "i64", "u32", "b1"):
        a = rng.integers(0, 2**63, 300).astype(DTYPE[other])
        np.testing.assert_array_equal(apply(f"to_{kind}(a)", kind, a), a.astype(STORED[kind]))
    ends = [info.min - 1.0, info.min, info.max, info.max + 1.0, 1e30, -1e30]
    a = np.array([*ends, np.inf, -np.inf, np.nan, -0.9, 0.9, 100.7, -100.7])
    wanted = np.trunc(np.nan_to_num(a)).clip(info.min, info.max).astype(STORED[kind])
    np.testing.assert_array_equal(apply(f"to_{kind}(a)", kind, a), wanted)
    np.testing.assert_array_equal(apply(f"to_{kind}(a)", kind, a.astype(np.float32)), wanted)


def test_nothing_is_added_to_them() -> None:
    for kind in STORED:
        line = f"scatter_add({kind}_at(args[0]), lane(), {LANES[kind[0]]}(1), lanes_below(1))"
        with pytest.raises(NumbaError, match="No match"):
            run(f"def kernel(args, lo, hi):\n    {line}\n", [np.zeros(64, STORED[kind])])
