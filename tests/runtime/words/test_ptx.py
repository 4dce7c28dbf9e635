"""Every word in every kind, as NVIDIA's processors get it: PTX of a kernel that has just that word.

What it comes to is tested elsewhere, with a thread for each lane; here it is what PTX asks for.
"""

from __future__ import annotations

import re

import pytest

from diagrad.runtime.cuda.building.entry import TEAM
from diagrad.runtime.cuda.building.ptx import kernel_ptx
from diagrad.runtime.words.machine import WARP
from diagrad.runtime.words.vocabulary import WORDS

from ..engine import DTYPE, STORED

FLOATS, INTS = ("f32", "f64"), ("i32", "i64", "u32")
NUMBERS, ALL, MEMORY = FLOATS + INTS, tuple(DTYPE), (*DTYPE, *STORED, "bf16")

OPERATORS = {
    "_add": "+", "_sub": "-", "_mul": "*", "_div": "/", "_and": "&", "_or": "|", "_xor": "^",
    "_shl": "<<", "_shr": ">>", "_lt": "<", "_le": "<=", "_gt": ">", "_ge": ">=", "_eq": "==",
    "_ne": "!=",
}  # fmt: skip
KINDS_OF = {
    "_div": FLOATS, "_and": (*INTS, "b1"), "_or": (*INTS, "b1"), "_xor": (*INTS, "b1"),
    "_shl": INTS, "_shr": INTS,
}  # fmt: skip

VALUES: dict[str, tuple[str, tuple[str, ...], str]] = {
    # a word: how it is used, with which kinds, and the kind that comes out (of the same, if empty)
    **{
        name: (f"a {sign} b", KINDS_OF.get(name, NUMBERS), "b1" if name in ("_lt", "_le", "_gt",
         "_ge", "_eq", "_ne") else "") for name, sign in OPERATORS.items()
    },
    "_neg": ("-a", NUMBERS, ""),
    "_not": ("~a", (*INTS, "b1"), ""),
    **{
        name: (f"{name}(a)", FLOATS, "")
        for name in ("sqrt", "rsqrt", "exp", "expm1", "log", "log1p", "sin", "cos", "tanh",
        "sigmoid", "erf")
    },
    **{name: (f"{name}(a)", NUMBERS, "") for name in ("absolute", "sign", "floor", "ceil")},
    "power": ("power(a, b)", FLOATS, ""),
    "maximum": ("maximum(a, b)", NUMBERS, ""),
    "minimum": ("minimum(a, b)", NUMBERS, ""),
    "fma": ("fma(a, b, a)", FLOATS, ""),
    **{name: (f"{name}(a)", NUMBERS, "") for name in ("reduce_add", "reduce_max", "reduce_min")},
    **{name: (f"{name}(a)", ("b1",), "") for name in ("reduce_any", "reduce_all")},
    "philox": ("philox(a, b, a)", ("i64",), "u32"),
    "select": ("select(m, a, b)", ALL, ""),
    "lanes_below": ("lanes_below(args[4])", ("b1",), ""),
    "first": ("i64(first(a))", ("i64",), ""),
    "lane": ("lane()", ("i64",), ""),
    "_word": ("i64(args[4])", ("i64",), ""),
    "_quotient": ("i64(args[4] // args[5])", ("i64",), ""),
    "_remainder": ("i64(args[4] % args[5])", ("i64",), ""),
    "load": ("load(p, args[4]) | load(p, 0, m)", ("b1", *INTS, "i8", "u8", "i16", "u16"), ""),
    "load_strided": ("load_strided(p, args[4], args[5], m)", MEMORY, ""),
    "load_splat": ("select(m, load_splat(p, args[4]), load_splat(p, 0, m))", MEMORY, ""),
    "gather": ("gather(p, i, m)", MEMORY, ""),
    "load_spread": ("select(m, load_spread(p, args[4], i), load_spread(p, 0, i, m))", MEMORY, ""),
    "tile": ("load(t, args[5])", MEMORY, ""),
}  # fmt: skip
for _kind in MEMORY:
    VALUES |= {
        f"{_kind}_at": (f"load({_kind}_at(args[4]), 0)", (_kind,), ""),
        f"{_kind}_in": (f"load({_kind}_in(space, 64), 0)", (_kind,), ""),
        f"to_{_kind}": (f"to_{_kind}(a)", ALL, _kind),
    }
for _kind in ALL:
    VALUES |= {
        f"{_kind}_of": (f"{_kind}_of(args[4])", (_kind,), ""),
        _kind: (f"{_kind}(args[4])", (_kind,), ""),
    }

LINES: dict[str, tuple[str, tuple[str, ...]]] = {
    # a word that answers nothing: a line, and with which kinds
    "store": ("store(p, args[4], a, m)", MEMORY),
    "store_strided": ("store_strided(p, args[4], args[5], a, m)", MEMORY),
    "store_first": ("store_first(p, args[4], a)", MEMORY),
    "scatter": ("scatter(p, i, a, m)", MEMORY),
    "store_spread": ("store_spread(p, args[4], i, a, m)", MEMORY),
    "scatter_add": ("scatter_add(p, i, a, m)", NUMBERS),
    "scatter_mul": ("scatter_mul(p, i, a, m)", NUMBERS),
    "scatter_max": ("scatter_max(p, i, a, m)", NUMBERS),
    "scatter_min": ("scatter_min(p, i, a, m)", NUMBERS),
    "scatter_sums": ("scatter_sums(p, args[4], i, a, m)", FLOATS),
    "meet": ("meet(space, warps)", ("i32",)),
    "tile": ("t = {kind}_at(tile(256)); store(t, args[4], a)", MEMORY),
    **{
        f"{name}_{kind}": (f"{name}_{kind}({', '.join(['args[4]'] * count)}, warp, warps)", (kind,))
        for name, count in {"gemm": 14, "segmented": 15, "turn": 7}.items()
        for kind in FLOATS
    },
}  # fmt: skip

EXPECTED = {
    "reduce_add": ["shfl.sync.bfly.b32"],
    "reduce_max": ["shfl.sync.bfly.b32"],
    "reduce_min": ["shfl.sync.bfly.b32"],
    "reduce_any": ["vote.sync.any.pred"],
    "reduce_all": ["vote.sync.all.pred"],
    "first": ["shfl.sync.idx.b32"],
    "load_splat": ["vote.sync.any.pred"],
    "lane": ["%laneid"],
    "scatter": ["match.any.sync.b64", "vote.sync.ballot.b32", "bar.warp.sync"],
    "scatter_add": ["match.any.sync.b64", "vote.sync.any.pred", "bar.warp.sync"],
    "scatter_mul": ["match.any.sync.b64", "vote.sync.any.pred", "bar.warp.sync"],
    "scatter_max": ["match.any.sync.b64", "vote.sync.any.pred", "bar.warp.sync"],
    "scatter_min": ["match.any.sync.b64", "vote.sync.any.pred", "bar.warp.sync"],
    "scatter_sums": ["match.any.sync.b64", "vote.sync.any.pred", "bar.warp.sync"],
    "store": ["bar.warp.sync"],
    "store_first": ["bar.warp.sync"],
    "store_strided": ["bar.warp.sync"],
    "meet": [f"bar.sync \t0, {32 * TEAM}"],
    "tile": ["st.local", "ld.local"],
}
"""What must stand in the PTX of a word."""

CASES = [(name, kind) for name, item in {**VALUES, **LINES}.items() for kind in item[1]]


@pytest.fixture(autouse=True)
def lanes() -> int:
    """There is one warp, not a test for each machine."""
    return WARP.lanes


def text_of(name: str, kind: str) -> str:
    """A kernel with one word; what it comes to is stored, so that it is asked for."""
    value, _, result = VALUES.get(name, ("a", (), ""))
    line = LINES[name][0] if name in LINES else ""
    return f"""def kernel(args, lo, hi, space, warp, warps):
    p = {kind}_at(args[0])
    a = load(p, args[6])
    b = load(p, args[7])
    m = lanes_below(args[3])
    i = load(i64_at(args[2]), 0)
    {line.format(kind=kind) or "pass"}
    store({result or kind}_at(args[1]), 0, {value.format(kind=kind)})
"""


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_a_word_alone(name: str, kind: str) -> None:
    found = kernel_ptx(text_of(name, kind))
    if "f64" not in (kind, VALUES.get(name, ("", (), ""))[2]):
        assert ".f64" not in found
    for unwanted in (".extern .func", ".approx", ".full", ".ftz"):
        assert unwanted not in found
    for wanted in EXPECTED.get(name, []):
        assert wanted in found


def test_a_warp_alone_waits_for_no_other() -> None:
    found = kernel_ptx("def kernel(args, lo, hi, space):\n    meet(space, 1)\n")
    assert "bar.warp.sync" in found and "bar.sync" not in found


def test_stores_beside_one_another_have_one_meeting_between_them() -> None:
    store = "store(f32_at(args[{}]), 0, f32(1))"
    text = "def kernel(args, lo, hi):\n    " + "\n    ".join(map(store.format, range(3)))
    found = re.findall(r"bar\.warp\.sync|st\.global", kernel_ptx(text))
    assert found == ["bar.warp.sync", "st.global"] * 3 + ["bar.warp.sync"]


@pytest.mark.parametrize(("shared", "where"), [(True, "shared"), (False, "global")])
def test_whose_memory_it_is(shared: bool, where: str) -> None:
    """No load or store of an operand, of memory of the worker or of a tile has to find that out."""
    found = kernel_ptx(
        """def kernel(args, lo, hi, space):
    t = f32_at(tile(256))
    store(t, 0, load(f32_at(args[0]), lo * 32))
    store(f32_in(space, 64), lo * 32, load(t, 0))
    store(f32_at(args[1]), lo * 32, load_splat(f32_in(space, 64), 5))
""",
        shared,
    )
    moves = set(re.findall(r"\b((?:ld|st)(?:\.global|\.shared)?)\.b32", found))
    assert moves == {"ld.global", "st.global", f"ld.{where}", f"st.{where}"}


def test_every_word_is_translated() -> None:
    assert {name for name, _ in CASES} == set(WORDS)


@pytest.mark.parametrize("kind", FLOATS)
def test_arithmetic_is_rounded_to_nearest(kind: str) -> None:
    """As IEEE 754 asks; a product and a sum are two roundings, as they are on the processor."""
    text = text_of("_div", kind).replace("a / b", "sqrt(a / b) * a + b")
    found = kernel_ptx(text)
    for word in ("div.rn", "sqrt.rn", "mul.rn", "add.rn"):
        assert f"{word}.{kind}" in found
    assert "fma" not in found
    assert f"fma.rn.{kind}" in kernel_ptx(text_of("fma", kind))
