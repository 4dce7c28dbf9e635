"""The words of kernel text: the only names, next to `range`, that a kernel may use.

`WORDS` maps each name to what Numba resolves it to.  Names with a leading underscore are the
operators of the text, which `desugar` spells as words.  Nothing here computes: the arithmetic is in
`arithmetic`, `vectormath`, `trigonometry`, `powers`, `random_bits`, and the moves in `memory`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir

from . import (
    arithmetic,
    indexed,
    memory,
    powers,
    random_bits,
    trigonometry,
    vectormath,
    warp,
)
from .lanes import (
    INTEGER,
    KEPT,
    LANES_OF,
    POINTER_TO,
    ROW,
    TILE,
    Lanes,
    PointerTo,
    Rule,
    Typed,
    equal_lanes,
    integer,
    make_word,
    types,
)
from .machine import MEETING, machine
from .values import FLOATS, KINDS, Value, call, fma, select

WORDS: dict[str, Any] = {}
"""Every word, by the name that kernel text uses."""

INTS = ("i32", "i64", "u32")
NUMBERS = FLOATS + INTS
_I64 = ir.IntType(64)


def _word(name: str, rule: Rule, literal: bool = False) -> None:
    WORDS[name] = make_word(name, rule, literal)


def _lanewise(
    name: str, emit: Callable[..., Value], arity: int, kinds: tuple[str, ...], result: str = ""
) -> None:
    """A word from equal lanes to the same lanes, or to those of the kind `result`."""

    def rule(*args: Any) -> Typed | None:
        kind = equal_lanes(args)
        if kind not in kinds or len(args) != arity:
            return None
        return Typed(LANES_OF[result or kind], args, lambda builder, *values: emit(*values))

    _word(name, rule)


def _operator(name: str, emit: Callable[..., Any], kinds: tuple[str, ...], on_int: str) -> None:
    """An operator of the text, between lanes of one kind or between two integers."""

    def rule(x: Any, y: Any) -> Typed | None:
        kind = equal_lanes((x, y))
        if kind in kinds:
            return Typed(LANES_OF[kind], (x, y), lambda builder, *values: emit(*values))
        if integer(x) and integer(y) and on_int:
            method = on_int

            def scalar(builder: Any, a: Any, b: Any) -> Any:
                return getattr(builder, method)(a, b)

            return Typed(INTEGER, (INTEGER, INTEGER), scalar)
        return None

    _word(name, rule)


def _comparison(name: str, sign: str) -> None:
    def rule(x: Any, y: Any) -> Typed | None:
        if equal_lanes((x, y)):
            return Typed(LANES_OF["b1"], (x, y), lambda builder, a, b: a.compare(sign, b))
        if integer(x) and integer(y):
            return Typed(
                types.boolean,
                (INTEGER, INTEGER),
                lambda builder, a, b: builder.icmp_signed(sign, a, b),
            )
        return None

    _word(name, rule)


def _unary(name: str, emit: Callable[[Value], Value], kinds: tuple[str, ...], on_int: str) -> None:
    def rule(x: Any) -> Typed | None:
        if equal_lanes((x,)) in kinds:
            return Typed(x, (x,), lambda builder, value: emit(value))
        if integer(x):
            return Typed(INTEGER, (INTEGER,), lambda builder, a: getattr(builder, on_int)(a))
        return None

    _word(name, rule)


_operator("_add", operator.add, NUMBERS, "add")
_operator("_sub", operator.sub, NUMBERS, "sub")
_operator("_mul", operator.mul, NUMBERS, "mul")
_operator("_div", operator.truediv, FLOATS, "")
_operator("_and", operator.and_, (*INTS, "b1"), "and_")
_operator("_or", operator.or_, (*INTS, "b1"), "or_")
_operator("_xor", operator.xor, (*INTS, "b1"), "xor")
_operator("_shl", operator.lshift, INTS, "shl")
_operator("_shr", operator.rshift, INTS, "ashr")
# Indices are divided by extents: neither is ever negative, so that truncation is rounding down.
_operator("_quotient", operator.floordiv, (), "sdiv")
_operator("_remainder", operator.mod, (), "srem")
_unary("_neg", operator.neg, NUMBERS, "neg")
_unary("_not", operator.invert, (*INTS, "b1"), "not_")
for _name, _sign in (
    ("_lt", "<"), ("_le", "<="), ("_gt", ">"), ("_ge", ">="), ("_eq", "=="), ("_ne", "!="),
):  # fmt: skip
    _comparison(_name, _sign)

for _function in (
    arithmetic.sqrt, arithmetic.rsqrt, vectormath.exp, vectormath.expm1, vectormath.log,
    vectormath.log1p, trigonometry.sin, trigonometry.cos, vectormath.tanh, vectormath.sigmoid,
    vectormath.erf,
):  # fmt: skip
    _lanewise(_function.__name__, _function, 1, FLOATS)
for _function in (arithmetic.absolute, arithmetic.sign, arithmetic.floor, arithmetic.ceil):
    _lanewise(_function.__name__, _function, 1, NUMBERS)
_lanewise("power", powers.power, 2, FLOATS)
_lanewise("maximum", arithmetic.maximum, 2, NUMBERS)
_lanewise("minimum", arithmetic.minimum, 2, NUMBERS)
_lanewise("fma", fma, 3, FLOATS)
_lanewise("reduce_add", lambda x: arithmetic.reduce(operator.add, x), 1, NUMBERS)
_lanewise("reduce_max", lambda x: arithmetic.reduce(arithmetic.maximum, x), 1, NUMBERS)
_lanewise("reduce_min", lambda x: arithmetic.reduce(arithmetic.minimum, x), 1, NUMBERS)
_lanewise("reduce_any", lambda x: arithmetic.reduce_mask(x, every=False), 1, ("b1",))
_lanewise("reduce_all", lambda x: arithmetic.reduce_mask(x, every=True), 1, ("b1",))
_lanewise("philox", random_bits.philox, 3, ("i64",), "u32")


def _select(mask: Any, yes: Any, no: Any) -> Typed | None:
    if mask is LANES_OF["b1"] and equal_lanes((yes, no)):
        return Typed(yes, (mask, yes, no), lambda builder, *values: select(*values))
    return None


_word("select", _select)
_word(
    "lanes_below",
    lambda n: Typed(LANES_OF["b1"], (INTEGER,), memory.lanes_below) if integer(n) else None,
)
_word("first", lambda x: Typed(INTEGER, (x,), memory.first) if x is LANES_OF["i64"] else None)
_word("lane", lambda: Typed(LANES_OF["i64"], (), memory.lane))


def _conversion(kind: str) -> Rule:
    def rule(x: Any) -> Typed | None:
        if not isinstance(x, Lanes):
            return None
        lanes = LANES_OF[memory.lanes_of(kind)]
        return Typed(lanes, (x,), lambda builder, v: arithmetic.convert(v, kind))

    return rule


class RowWord(ir.instructions.LoadInstr):  # type: ignore[misc]  # llvmlite has no types
    """A word of the row while it is loaded."""


def _pointer(builder: Any, address: Any) -> Any:
    """A pointer to an address; one that is a word of the row lies in memory that all share."""
    if not (machine().is_warp and isinstance(address, RowWord)):
        return builder.inttoptr(address, memory.POINTER)
    shared = builder.inttoptr(address, ir.IntType(8).as_pointer(warp.GLOBAL))
    return builder.addrspacecast(shared, memory.POINTER)


def _at(kind: str) -> Rule:
    def rule(word: Any) -> Typed | None:
        if word is TILE:
            return Typed(KEPT[kind], (TILE,), lambda builder, place: place)
        if not integer(word):
            return None
        return Typed(
            POINTER_TO[kind],
            (INTEGER,),
            _pointer,
        )

    return rule


def _in(kind: str) -> Rule:
    """A pointer into the worker's memory: the address of that, and bytes from there."""

    def emit(builder: Any, space: Any, offset: Any) -> Any:
        # Not the address of a sum: so LLVM sees whose memory it is, and how to reach it.
        return builder.gep(builder.inttoptr(space, memory.POINTER), [offset])

    def rule(space: Any, offset: Any) -> Typed | None:
        if not (integer(space) and integer(offset)):
            return None
        return Typed(POINTER_TO[kind], (INTEGER, INTEGER), emit)

    return rule


def _of(kind: str) -> Rule:
    """Every lane from a word of the row: a float's bits, an integer's or a truth's value."""

    def emit(builder: Any, word: Any) -> Value:
        if kind == "b1":
            scalar = builder.icmp_signed("!=", word, _I64(0))
        else:
            width = 8 * memory.size(kind)
            scalar = word if width == 64 else builder.trunc(word, ir.IntType(width))
            scalar = builder.bitcast(scalar, KINDS[kind])
        return memory.splat(builder, scalar, kind)

    return lambda word: Typed(LANES_OF[kind], (INTEGER,), emit) if integer(word) else None


def _literal(kind: str) -> Rule:
    """Every lane from a number of the text, or from an integer that the text computes."""

    def of_integer(builder: Any, number: Any) -> Value:
        if kind == "b1":
            scalar = builder.icmp_signed("!=", number, _I64(0))
        elif kind in FLOATS:
            scalar = builder.sitofp(number, KINDS[kind])
        else:
            scalar = builder.trunc(number, KINDS[kind]) if kind != "i64" else number
        return memory.splat(builder, scalar, kind)

    def of_float(builder: Any, number: Any) -> Value:
        scalar = builder.fptrunc(number, KINDS["f32"]) if kind == "f32" else number
        return memory.splat(builder, scalar, kind)

    def rule(number: Any) -> Typed | None:
        if isinstance(number, types.Boolean):
            return Typed(LANES_OF[kind], (INTEGER,), of_integer)
        if integer(number):
            return Typed(LANES_OF[kind], (INTEGER,), of_integer)
        if isinstance(number, types.Float) and kind in FLOATS:
            return Typed(LANES_OF[kind], (types.float64,), of_float)
        return None

    return rule


for _kind in (*KINDS, *memory.STORED):
    _word(f"{_kind}_at", _at(_kind))
    _word(f"{_kind}_in", _in(_kind))
    _word(f"to_{_kind}", _conversion(_kind))
for _kind in KINDS:
    _word(f"{_kind}_of", _of(_kind))
    _word(_kind, _literal(_kind))


def _memory(name: str, emit: Callable[..., Any], shape: str) -> None:
    """A word on a pointer; `shape` spells the arguments after it.

    o an offset or a stride, x lanes of the pointer's kind, i index lanes, m a mask; a mask in
    brackets may be left out.  In a tile there is only `load` and `store`.
    """
    returns = "x" not in shape
    least = shape.split("[")[0]
    spelled = shape.replace("[", "").replace("]", "")

    def rule(pointer: Any, *rest: Any) -> Typed | None:
        if not isinstance(pointer, PointerTo) or len(rest) not in (len(least), len(spelled)):
            return None
        if pointer.kept and emit not in (memory.load, memory.store):
            return None
        if pointer.kind in memory.STORED and emit in (indexed.scatter_add, indexed.scatter_sums):
            return None
        own = LANES_OF[memory.lanes_of(pointer.kind)]
        wanted = {"x": own, "i": LANES_OF["i64"], "m": LANES_OF["b1"]}
        args = [pointer]
        for letter, kind in zip(spelled, rest, strict=False):
            if not (integer(kind) if letter == "o" else kind is wanted[letter]):
                return None
            args.append(wanted.get(letter, INTEGER))
        result = own if returns else types.void
        return Typed(result, tuple(args), lambda builder, *values: emit(*values))

    _word(name, rule)


_memory("load", memory.load, "o[m]")
_memory("load_strided", indexed.load_strided, "oom")
_memory("load_splat", memory.load_splat, "o[m]")
_memory("gather", indexed.gather, "im")
_memory("store", memory.store, "ox[m]")
_memory("store_strided", indexed.store_strided, "ooxm")
_memory("store_first", memory.store_first, "ox")
_memory("scatter", indexed.scatter, "ixm")
_memory("load_spread", indexed.load_spread, "oi[m]")
_memory("store_spread", indexed.store_spread, "oix[m]")
_memory("scatter_add", indexed.scatter_add, "ixm")
_memory("scatter_mul", indexed.scatter_mul, "ixm")
_memory("scatter_max", indexed.scatter_max, "ixm")
_memory("scatter_min", indexed.scatter_min, "ixm")
_memory("scatter_sums", indexed.scatter_sums, "oixm")


def _row_word(builder: Any, row: Any, index: Any) -> Any:
    loaded = RowWord(builder.block, builder.gep(row, [index]))
    builder._insert(loaded)
    # The row does not change while a kernel runs, so LLVM may move the load out of loops.
    loaded.set_metadata("invariant.load", builder.module.add_metadata([]))
    return loaded


def _word_of_row(row: Any, index: Any) -> Typed | None:
    return Typed(INTEGER, (ROW, INTEGER), _row_word) if row == ROW and integer(index) else None


def _routine_rule(name: str, count: int) -> Callable[..., Typed | None]:
    """A routine's address, so many words that it is called with, and which of how many warps.

    For a graphics processor it is a function of its name, which is linked into the module.
    """

    def emit(builder: Any, routine: Any, *rest: Any) -> None:
        if machine().is_warp:
            call(builder, name, ir.VoidType(), *rest)
            return
        words = rest if machine().teams else rest[:-2]  # a thread of the processor is no team
        kind = ir.FunctionType(ir.VoidType(), [_I64] * len(words))
        builder.call(builder.inttoptr(routine, kind.as_pointer()), words)

    def rule(*args: Any) -> Typed | None:
        if len(args) != count + 3 or not all(map(integer, args)):
            return None
        return Typed(types.void, (INTEGER,) * (count + 3), emit)

    return rule


def _meet(space: Any, warps: Any) -> Typed | None:
    """Where a team meets and sees what each has written; a thread of the processor is alone."""
    if not (integer(space) and integer(warps)):
        return None
    return Typed(types.void, (INTEGER, INTEGER), _meet_here)


def _meet_here(builder: Any, space: Any, warps: Any) -> None:
    if machine().teams:
        call(builder, MEETING, ir.VoidType(), space, warps)
    if machine().is_warp:
        with builder.if_else(builder.icmp_signed("==", warps, _I64(1))) as (alone, team):
            with alone:
                warp.meet(builder)
            with team:
                warp.meet_team(builder, warps)


def _tile(count: Any) -> Typed | None:
    if not isinstance(count, types.IntegerLiteral):
        return None

    def emit(builder: Any, _: Any) -> Any:
        return memory.tile(builder, count.literal_value)

    return Typed(TILE, (count,), emit)


_word("_word", _word_of_row)
for _routine, _count in {"gemm": 13, "segmented": 14, "turn": 6}.items():
    for _kind in FLOATS:
        _name = f"{_routine}_{_kind}"
        _word(_name, _routine_rule(_name, _count))
_word("meet", _meet)
_word("tile", _tile, literal=True)
