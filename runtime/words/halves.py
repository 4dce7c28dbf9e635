"""float16 and bfloat16: the bits of an element as a float32, and a number rounded to such bits.

    f16     1 sign, 5 exponent, 10 mantissa      IEEE 754 binary16
    bf16    1 sign, 8 exponent, 7 mantissa       the upper half of a float32

A machine's own instructions do it for f16, where it has them; otherwise LLVM would call a function
of a library that is not there.  What is here in integers gives the same numbers.  Rounding is to
the nearest, ties to even, and no number is computed with that is subnormal as a float32, for those
may count as 0 (after F. Giesen, "Half to float done quic", 2012).
"""

from __future__ import annotations

from llvmlite import ir

from .machine import machine
from .values import Value, select, vector

KINDS = ("f16", "bf16")
_HALF = ir.HalfType()


def _vector(kind: ir.Type) -> ir.Type:
    return ir.VectorType(kind, machine().width)


def widened(bits: Value, kind: str) -> Value:
    """The float32 that the lower 16 of u32 bits are."""
    if kind == "bf16":
        return (bits << 16).bitcast("f32")
    if machine().halves:
        builder = bits.builder
        half = builder.bitcast(builder.trunc(bits.node, _vector(ir.IntType(16))), _vector(_HALF))
        return bits.like(builder.fpext(half, vector("f32")), "f32")
    shifted = (bits & 0x7FFF) << 13
    exponent = shifted & 0x0F800000
    normal = shifted + (112 << 23)
    finite = select(exponent.equals(0x0F800000), normal + (112 << 23), normal)
    # A subnormal one is m * 2^-24: what it has above 2^-14, with that exponent.
    small = ((normal + (1 << 23)).bitcast("f32") - 2.0**-14).bitcast("u32")
    found = select(exponent.equals(0), small, finite)
    return (found | ((bits & 0x8000) << 16)).bitcast("f32")


def rounded(x: Value, kind: str) -> Value:
    """The bits of the nearest number to a float32, as u32 below 2^16; NaN is a quiet one."""
    bits = x.bitcast("u32")
    if kind == "bf16":
        nearest = (bits + ((bits >> 16) & 1) + 0x7FFF) >> 16
        return select(x.is_nan(), (bits >> 16) | 0x40, nearest)
    if machine().halves:
        builder = x.builder
        half = builder.bitcast(builder.fptrunc(x.node, _vector(_HALF)), _vector(ir.IntType(16)))
        return x.like(builder.zext(half, vector("u32")), "u32")
    size = bits & 0x7FFFFFFF
    absolute = size.bitcast("f32")
    # Beside 0.5, the last bit of a float32 is that of the subnormal numbers.
    small = (absolute + 0.5).bitcast("u32") - (126 << 23)
    normal = (size + ((size >> 13) & 1) + (0xFFF - (112 << 23)) % 2**32) >> 13
    endless = select(absolute.is_nan(), ((size >> 13) & 0x1FF) | 0x7E00, size.number(0x7C00))
    found = select(size < 113 << 23, small, select(size < 143 << 23, normal, endless))
    return found | ((bits >> 16) & 0x8000)


def to_odd(near: Value, above: Value, below: Value, negative: Value) -> Value:
    """A float32 near a number as the one of its two neighbours whose last bit is 1, if it is none.

    Rounded again, to far fewer bits, that gives what the number itself would (Boldo and Melquiond,
    2008).  `above` and `below` say where the number is, `negative` its sign.
    """
    bits = near.bitcast("u32")
    even = (bits & 1).equals(0)
    further = (above & ~negative) | (below & negative)
    nearer = (above & negative) | (below & ~negative)
    bits = select(further & even, bits + 1, select(nearer & even, bits - 1, bits))
    return bits.bitcast("f32")
