"""Sine and cosine for all lanes, exact reduction over the whole range of arguments.

Up to a bound the argument loses its multiples of pi/2 by three fused multiply-adds (Cody and
Waite), which is exact for the first of them.  A vector with a larger element takes a slow path for
those elements, in integers, with 2/pi in as many bits as it takes (Payne and Hanek): float32 in all
lanes at once, float64 in a loop over the lanes.  No libm, and no float64 for float32.
"""

from __future__ import annotations

import math
import sys
from functools import lru_cache
from typing import Any

from llvmlite import ir

from . import indexed, memory
from .arithmetic import absolute, convert
from .machine import machine
from .values import Node, Value, fma, outlined, polynomial, select, vector
from .vectormath import nearest

_HALF_PI = {
    "f32": (1.57079637050628662109375, -4.371138828673793e-08, -1.7151245100058819e-15),
    "f64": (1.5707963267948966, 6.123233995736766e-17, -1.4973849048591698e-33),
}
_BOUND = {"f32": 2.0**21, "f64": 2.0**50}
_SINE = {
    "f32": (-0.166666552, 0.0083321603, -0.000195152184),
    "f64": (
        -0.1666666666666663, 0.008333333333322108, -0.00019841269829580329,
        2.7557313618060165e-06, -2.5050747223405065e-08, 1.5896197873543584e-10,
    ),
}  # fmt: skip
_COSINE = {
    "f32": (0.0416666456, -0.00138873153, 2.44330822e-05),
    "f64": (
        0.041666666666666595, -0.001388888888887304, 2.4801587288841367e-05,
        -2.7557314176233673e-07, 2.0875700415558256e-09, -1.135851393739536e-11,
    ),
}  # fmt: skip

_I8, _I32, _I64, _WIDE, _SUM = (ir.IntType(n) for n in (8, 32, 64, 256, 192))
_F64 = ir.DoubleType()
_LEADING = 40
"""Zero bits in front of the table: the smallest argument (2^21) asks for bits before the point."""


def sin(x: Value) -> Value:
    """Sine, for every argument.  Largest errors: 1.50 and 2.3 ulp."""
    return outlined(_sin, x)


def cos(x: Value) -> Value:
    """Cosine, for every argument.  Largest errors: 1.50 and 2.4 ulp."""
    return outlined(_cos, x)


def _sin(x: Value) -> Value:
    return select(x.equals(0), x, _wave(x, 0))


def _cos(x: Value) -> Value:
    return _wave(x, 1)


def _wave(x: Value, quarter: int) -> Value:
    r, n = _reduce(x)
    n = n + quarter
    z = r * r
    sine = fma(z * r, polynomial(z, _SINE[x.kind]), r)
    cosine = fma(z * z, polynomial(z, _COSINE[x.kind]), fma(z, -0.5, 1.0))
    found = select((n & 1).equals(0), sine, cosine)
    return select((n & 2).equals(0), found, -found)


def _reduce(x: Value) -> tuple[Value, Value]:
    """R in [-pi/4, pi/4] and n with x = n pi/2 + r."""
    whole, n = nearest(x, 2 / math.pi)
    r = x
    for part in _HALF_PI[x.kind]:
        r = fma(whole, -part, r)
    builder = x.builder
    large = (absolute(x) >= _BOUND[x.kind]) & (absolute(x) < math.inf)
    bits = builder.bitcast(large.node, ir.IntType(machine().width))
    start = builder.block
    slow = builder.append_basic_block("large")
    done = builder.append_basic_block("reduced")
    builder.cbranch(builder.icmp_unsigned("==", bits, bits.type(0)), done, slow)
    builder.position_at_end(slow)
    if x.kind == "f32":
        slow_r, slow_n = _reduce_at_once(x, large)
        slow_r, slow_n = select(large, slow_r, r), select(large, slow_n, n)
    else:
        slow_r, slow_n = _call_slow(x, r, n, bits)
    slow = builder.block
    builder.branch(done)
    builder.position_at_end(done)
    result = []
    for fast, late in ((r, slow_r), (n, slow_n)):
        phi = builder.phi(fast.node.type)
        phi.add_incoming(fast.node, start)
        phi.add_incoming(late.node, slow)
        result.append(fast.like(phi))
    return result[0], result[1]


def _reduce_at_once(x: Value, large: Value) -> tuple[Value, Value]:
    """The same for large float32 in all lanes, as Arm's optimized routines do it for one.

    The 24-bit integer of x times 96 bits of 2/pi, from those on that matter modulo 4.
    """
    raw = x.bitcast("u32")
    exponent = (raw >> 23) & 0xFF
    integer = convert(((raw & 0x7FFFFF) | 0x800000) << (exponent & 7), "i64")
    place = convert((exponent >> 3) & 15, "i64")
    table = memory.Pointer(x.builder, _table(x.builder.module, "words", _words()), "u32")
    high, middle, low = (
        convert(indexed.gather(table, place + after, large), "i64") for after in (0, 4, 8)
    )
    lowest = ((integer * low) >> 32) & 0xFFFFFFFF
    turns = ((integer * high) << 32) + lowest + integer * middle
    # The point stands after two bits: quadrant, then fraction; round to the nearest quadrant.
    quadrant = (turns + (1 << 61)) >> 62
    fraction = turns - (quadrant << 62)
    first = convert(fraction, "f32")
    second = convert(fraction - convert(first, "i64"), "f32")
    size, rest = (part * 2.0**-62 for part in _HALF_PI["f32"][:2])
    rough = first * size
    lost = fma(first, size, -rough) + fma(first, rest, second * size)
    r, n = rough + lost, convert(quadrant, "i32")
    return select(x < 0, -r, r), select(x < 0, -n, n)


def _call_slow(x: Value, r: Value, n: Value, bits: Node) -> tuple[Value, Value]:
    """Have the lanes named by `bits` done anew; through memory, since this hardly ever runs."""
    builder = x.builder
    places = []
    for value in (x, r, n):
        with builder.goto_entry_block():
            place = builder.alloca(vector(value.kind))
        builder.store(value.node, place)
        places.append(builder.bitcast(place, value.node.type.element.as_pointer()))
    builder.call(_slow_function(builder.module, bits.type), [*places, bits])
    back = [
        builder.load(builder.bitcast(place, value.node.type.as_pointer()))
        for place, value in zip(places[1:], (r, n), strict=True)
    ]
    return x.like(back[0]), n.like(back[1])


def _slow_function(module: Any, word: Any) -> Any:
    """void(f64* x, f64* r, i64* n, lanes): reduce each lane whose bit is set."""
    name = "diagrad.reduce_large"
    if name in module.globals:
        return module.globals[name]
    kind = ir.FunctionType(
        ir.VoidType(), [_F64.as_pointer(), _F64.as_pointer(), _I64.as_pointer(), word]
    )
    function = ir.Function(module, kind, name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    xs, rs, ns, lanes = function.args
    entry, loop, end = (function.append_basic_block(b) for b in ("entry", "lane", "end"))
    b = ir.IRBuilder(entry)
    table = _table(module, "two_over_pi", _two_over_pi())
    b.branch(loop)
    b.position_at_end(loop)
    left = b.phi(word)
    left.add_incoming(lanes, entry)
    lane = b.zext(b.cttz(left, ir.IntType(1)(0)), _I32)
    r, n = _payne_hanek(b, table, b.load(b.gep(xs, [lane])))
    b.store(r, b.gep(rs, [lane]))
    b.store(n, b.gep(ns, [lane]))
    rest = b.and_(left, b.sub(left, word(1)))
    left.add_incoming(rest, loop)
    b.cbranch(b.icmp_unsigned("==", rest, word(0)), end, loop)
    b.position_at_end(end)
    b.ret_void()
    return function


def _payne_hanek(b: Any, table: Any, x: Node) -> tuple[Node, Node]:
    """One large finite double: its 53-bit integer times the bits of 2/pi that matter modulo 4."""
    raw = b.bitcast(x, _I64)
    exponent = b.and_(b.lshr(raw, _I64(52)), _I64(0x7FF))
    integer = b.or_(b.and_(raw, _I64((1 << 52) - 1)), _I64(1 << 52))
    # x = integer * 2^(exponent - 1075); the bits of 2/pi above 2^(2 - that) make multiples of 4.
    first = b.add(exponent, _I64(_LEADING - 1075 - 2))
    place = b.gep(table, [_I32(0), b.lshr(first, _I64(3))])
    bits = _WIDE(0)
    for word in range(4):
        address = b.bitcast(b.gep(place, [_I32(8 * word)]), _I64.as_pointer())
        loaded = b.load(address)
        loaded.align = 1
        bits = b.or_(b.shl(bits, _WIDE(64)), b.zext(b.bswap(loaded), _WIDE))
    bits = b.shl(bits, b.zext(b.and_(first, _I64(7)), _WIDE))
    product = b.mul(b.trunc(b.lshr(bits, _WIDE(64)), _SUM), b.zext(integer, _SUM))
    # The point stands after two bits: quadrant, then fraction; round to the nearest quadrant.
    nearest_n = b.lshr(b.add(product, _SUM(1 << 189)), _SUM(190))
    fraction = b.ashr(b.shl(product, _SUM(2)), _SUM(2))
    negative = b.icmp_signed("<", fraction, _SUM(0))
    size = b.select(negative, b.neg(fraction), fraction)
    zeros = b.ctlz(size, ir.IntType(1)(0))
    top = b.trunc(b.lshr(b.shl(size, zeros), _SUM(128)), _I64)
    scale = b.sub(_I64(1023 - 62), b.trunc(zeros, _I64))
    value = b.fmul(b.uitofp(top, _F64), b.bitcast(b.shl(scale, _I64(52)), _F64))
    value = b.fmul(value, _F64(math.pi / 2))
    n = b.trunc(nearest_n, _I64)
    flip = b.icmp_signed("<", raw, _I64(0))
    value = b.select(b.xor(negative, flip), b.fneg(value), value)
    return value, b.select(flip, b.neg(n), n)


def _table(module: Any, name: str, content: bytes) -> Any:
    """Constant bytes of the module."""
    name = f"diagrad.{name}"
    if name not in module.globals:
        data = bytearray(content)
        kind = ir.ArrayType(_I8, len(data))
        made = ir.GlobalVariable(module, kind, name)
        made.initializer = ir.Constant(kind, data)
        made.global_constant = True
        made.linkage = "internal"
        made.align = 8
    return module.globals[name]


@lru_cache(maxsize=1)
def _words() -> bytes:
    """Words of 2/pi, 32 bits each 8 bits behind the one before; the first has 24 zeros in front."""
    bits = int.from_bytes(_two_over_pi(), "big") >> (8 * len(_two_over_pi()) - _LEADING - 256)
    words = (bits >> (256 - 8 * (number + 1)) & 0xFFFFFFFF for number in range(24))
    return b"".join(word.to_bytes(4, sys.byteorder) for word in words)


@lru_cache(maxsize=1)
def _two_over_pi(bits: int = 1280) -> bytes:
    """2/pi after `_LEADING` zero bits, by Machin's formula in integers."""
    guard = 64
    one = 1 << (bits + guard)

    def arctan_inverse(n: int) -> int:
        total, term, k = 0, one // n, 1
        while term:
            total += term // k if k % 4 == 1 else -(term // k)
            term //= n * n
            k += 2
        return total

    pi = 4 * (4 * arctan_inverse(5) - arctan_inverse(239))
    value = ((2 * one << (bits + guard)) // pi) >> (guard + _LEADING)
    return value.to_bytes(bits // 8, "big")
