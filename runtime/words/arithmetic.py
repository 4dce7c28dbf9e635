"""The simple words between lanes: largest, sign, roundings, roots, conversions, reductions.

Each is a handful of instructions written straight into the kernel.  Nothing here approximates:
every word is exact or correctly rounded, except `rsqrt`, which rounds twice.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir

from . import halves, warp
from .machine import machine
from .values import FLOATS, KINDS, Node, Value, call, intrinsic, select, vector

_I1, _I32 = ir.IntType(1), ir.IntType(32)


def maximum(x: Value, y: Value) -> Value:
    """The larger; a NaN on either side comes through, as in `numpy.maximum`."""
    larger = select(x > y, x, y)
    return select(x.is_nan(), x, larger) if x.kind in FLOATS else larger


def minimum(x: Value, y: Value) -> Value:
    """The smaller; a NaN on either side comes through, as in `numpy.minimum`."""
    smaller = select(x < y, x, y)
    return select(x.is_nan(), x, smaller) if x.kind in FLOATS else smaller


def absolute(x: Value) -> Value:
    """Without the sign; the most negative integer stays, as in NumPy."""
    if x.kind in FLOATS:
        return intrinsic("fabs", x)
    return x if x.kind == "u32" else select(x < 0, -x, x)


def sign(x: Value) -> Value:
    """-1, 0 or 1; NaN stays NaN, as in `numpy.sign`."""
    positive = select(x > 0, x.number(1), x.number(0))
    if x.kind == "u32":
        return positive
    found = select(x < 0, x.number(-1), positive)
    return select(x.is_nan(), x, found) if x.kind in FLOATS else found


def floor(x: Value) -> Value:
    """Round down."""
    return intrinsic("floor", x) if x.kind in FLOATS else x


def ceil(x: Value) -> Value:
    """Round up."""
    return intrinsic("ceil", x) if x.kind in FLOATS else x


def sqrt(x: Value) -> Value:
    """Correctly rounded square root."""
    return intrinsic("sqrt", x)


def rsqrt(x: Value) -> Value:
    """1 / sqrt(x), rounded twice: 1.5 ulp at most."""
    return 1 / sqrt(x)


def copysign(x: Value, sign_of: Value) -> Value:
    """`x` with the sign of `sign_of`."""
    return intrinsic("copysign", x, sign_of)


def convert(x: Value, kind: str) -> Value:
    """`astype`: towards zero from float to integer, modulo 2^n between integers.

    A float beyond the integer's range gives the nearest integer in it, and NaN gives 0.
    """
    if kind in NARROWED or kind in halves.KINDS:
        return narrowed(x, kind)
    builder, target = x.builder, vector(kind)
    if x.kind == kind:
        return x
    if kind == "b1":
        return x.compare("!=", 0)
    if kind in FLOATS:
        if x.kind in FLOATS:
            name = "fpext" if kind == "f64" else "fptrunc"
        else:
            name = "uitofp" if x.kind in ("u32", "b1") else "sitofp"
        return x.like(getattr(builder, name)(x.node, target), kind)
    if x.kind in FLOATS:
        return saturated(x, kind)
    width, wanted = KINDS[x.kind].width, KINDS[kind].width
    if width == wanted:
        return x.like(x.node, kind)
    if width > wanted:
        return x.like(builder.trunc(x.node, target), kind)
    name = "zext" if x.kind in ("u32", "b1") else "sext"
    return x.like(getattr(builder, name)(x.node, target), kind)


NARROWED = {"i8": (8, True), "u8": (8, False), "i16": (16, True), "u16": (16, False)}
"""Kinds of elements whose numbers lanes of i32 hold: bits, and whether they have a sign."""


def narrowed(x: Value, kind: str) -> Value:
    """`astype` to elements of 16 bits or 8, in the lanes that hold them: rounded once."""
    if kind in halves.KINDS:
        return halves.widened(halves.rounded(_to_round(x, kind), kind), kind)
    width, signed = NARROWED[kind]
    if x.kind in FLOATS:
        low, high = (-(1 << width - 1), (1 << width - 1) - 1) if signed else (0, (1 << width) - 1)
        return minimum(maximum(saturated(x, "i32"), x.number(low, "i32")), x.number(high, "i32"))
    x = convert(x, "i32")
    return (x << 32 - width) >> 32 - width if signed else x & (1 << width) - 1


def _to_round(x: Value, kind: str) -> Value:
    """A float32 that is rounded to the same float16 or bfloat16 as a number of another kind."""
    near = convert(x, "f32")
    if x.kind in ("f32", "b1") or (kind == "f16" and x.kind not in FLOATS):
        return near  # an integer that a float32 does not hold is beyond the greatest float16
    if x.kind in FLOATS:
        again, negative = convert(near, x.kind), x < 0
    else:
        x = convert(x, "i64")
        again, negative = convert(near, "i64"), x < 0
    return halves.to_odd(near, x > again, x < again, negative)


def saturated(x: Value, kind: str) -> Value:
    """The integer nearest to a float, towards zero, among those of the kind; 0 for NaN."""
    name = "fptoui" if kind == "u32" else "fptosi"
    width = f"v{machine().width}"
    full = f"llvm.{name}.sat.{width}i{KINDS[kind].width}.{width}{x.kind}"
    return x.like(call(x.builder, full, vector(kind), x.node), kind)


def splat_first(x: Value) -> Value:
    """Lane 0 in every lane."""
    if machine().is_warp:
        return warp.from_lane(x, _I32(0))
    return x.like(_spread(x.builder, x.node))


def spread(builder: Any, scalar: Node) -> Node:
    """A scalar of LLVM in all elements of a register."""
    empty = ir.Constant(ir.VectorType(scalar.type, machine().width), ir.Undefined)
    return _spread(builder, builder.insert_element(empty, scalar, _I32(0)))


def _spread(builder: Any, node: Node) -> Node:
    """Element 0 of a vector, in all elements of a register."""
    width = machine().width
    zeros = ir.Constant(ir.VectorType(_I32, width), [0] * width)
    return builder.shuffle_vector(node, ir.Constant(node.type, ir.Undefined), zeros)


def reduce(combine: Callable[[Value, Value], Value], x: Value) -> Value:
    """Halve all lanes to half of them and so on to 1, always in that order, and splat the last one.

    So a warp and a vector of as many lanes give the same bits.
    """
    if machine().is_warp:
        x = warp.halved(combine, x)
        # Lane 0 has combined all in that order; of 0.0 and -0.0 another may have chosen the other.
        chosen = x.kind in FLOATS and combine is not operator.add
        return warp.from_lane(x, _I32(0)) if chosen else x
    node, width = x.node, machine().width
    while width > 1:
        width //= 2
        halves = [
            x.builder.shuffle_vector(
                node,
                ir.Constant(node.type, ir.Undefined),
                ir.Constant(ir.VectorType(_I32, width), [start + i for i in range(width)]),
            )
            for start in (0, width)
        ]
        node = combine(x.like(halves[0]), x.like(halves[1])).node
    return x.like(_spread(x.builder, node))


def reduce_mask(x: Value, every: bool) -> Value:
    """Whether every lane is set (or any), in every lane."""
    return splat_scalar(x, is_set(x, every), "b1")


def is_set(x: Value, every: bool) -> Node:
    """Whether every lane of a mask is set (or any), as i1."""
    if machine().is_warp:
        return warp.vote(x.builder, x.builder.bitcast(x.node, _I1), every)
    width = machine().width
    word = ir.IntType(width)
    bits = x.builder.bitcast(x.node, word)
    if every:
        return x.builder.icmp_unsigned("==", bits, word((1 << width) - 1))
    return x.builder.icmp_unsigned("!=", bits, word(0))


def splat_scalar(x: Value, scalar: ir.Instruction, kind: str) -> Value:
    """A scalar of LLVM in every lane."""
    return x.like(spread(x.builder, scalar), kind)
