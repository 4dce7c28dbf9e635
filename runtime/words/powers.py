"""The general power for all lanes, with NumPy's answers for zeros, infinities, NaN and negatives.

The logarithm is carried in two numbers (about 2^-37 and 2^-66), since the exponent multiplies its
error by up to 100 and 700.  A processor takes float32 through float64, which is exact enough by
far; a graphics processor has next to none of that.
"""

from __future__ import annotations

import math

from .arithmetic import absolute, convert, floor
from .machine import machine
from .values import Value, fma, outlined, polynomial, select
from .vectormath import (
    FORMATS,
    clamp,
    exp,
    from_integer,
    log,
    nearest,
    power_of_two,
    scale_denormal,
    scaled_exponential,
    split_logarithm,
)

_SERIES = {
    "f32": (0.2, 1 / 7, 1 / 9, 1 / 11, 1 / 13),
    "f64": (
        0.2, 0.14285714285714188, 0.11111111111145287, 0.09090909084626789, 0.07692308376571279,
        0.06666620220187797, 0.05884336815759276, 0.052114536576763064, 0.05506642986969747,
    ),
}  # fmt: skip
_THIRD = {
    "f32": (0.3333333432674407958984375, -9.934107462556069e-09),
    "f64": (1 / 3, 1.850371707708594e-17),
}
_LN2 = {
    "f32": (0.693145751953125, 1.4286068203094173e-06),
    "f64": (0.6931471805598903, 5.497923018708371e-14),
}
"""ln 2 in two parts, the first with zero bits at its end so that k times it is exact."""


def power(x: Value, y: Value) -> Value:
    """x^y as `numpy.power` gives it.  Largest errors: 0.50 and 1.14 ulp.

    On a graphics processor 0.66 and 1.14, and 0.76 of a float32 that is subnormal.
    """
    return outlined(_power, x, y)


def _power(x: Value, y: Value) -> Value:
    size = absolute(x)
    if x.kind == "f32" and machine().is_processor:
        wide = exp(convert(y, "f64") * log(convert(size, "f64")))
        found = convert(wide, "f32")
    else:
        found = _power_in_two(size, y)
    integral = floor(y).equals(y)
    odd = integral & ~floor(y * 0.5).equals(y * 0.5)
    minus = x.bitcast("i64" if x.kind == "f64" else "i32") < 0
    found = select(odd & minus, -found, found)
    found = select((x < 0) & (x > -math.inf) & ~integral, math.nan, found)
    # 1 to any power and anything to the power 0 are 1, even with NaN on the other side.
    unit = (size.equals(1) & (x.equals(1) | absolute(y).equals(math.inf))) | y.equals(0)
    return select(unit, 1.0, found)


def _power_in_two(size: Value, y: Value) -> Value:
    high, low = _long_logarithm(size)
    product = y * high
    finite = absolute(product) < 1e4
    tail = select(finite, fma(y, low, fma(y, high, -product)), 0.0)
    product = clamp(product, *FORMATS[size.kind].exp_range)
    if size.kind == "f32":
        return _exponential(product, tail)
    return scaled_exponential(product, tail)


def _exponential(x: Value, extra: Value) -> Value:
    """e^(x + extra) of float32, rounded nearly once."""
    form = FORMATS[x.kind]
    whole, n = nearest(x, 1 / math.log(2))
    high = fma(whole, -form.ln2[0], x)
    low = fma(whole, -form.ln2[1], extra)
    r = high + low
    first = high + 1
    rest = (high - (first - 1)) + fma(r * r, polynomial(r, form.exp), low)
    half = n >> 1
    return (first + rest) * power_of_two(half, x.kind) * power_of_two(n - half, x.kind)


def _sum(a: Value, b: Value) -> tuple[Value, Value]:
    """A + b rounded, and what the rounding lost (Knuth)."""
    total = a + b
    other = total - a
    return total, (a - (total - other)) + (b - other)


def _long_logarithm(x: Value) -> tuple[Value, Value]:
    """log(x) for x >= 0 as the sum of two numbers."""
    third, ln2 = _THIRD[x.kind], _LN2[x.kind]
    normal, shift = scale_denormal(x)
    exponent, m = split_logarithm(normal)
    k = from_integer(exponent, x.kind) - shift
    # s = (m - 1) / (m + 1) to twice the precision; log m = 2 s (1 + z/3 + z^2 P(z)), z = s^2.
    f, d = m - 1, m + 1
    lost = m - (d - 1)
    inverse = 1 / d
    s = f * inverse
    s_low = (fma(-s, d, f) - s * lost) * inverse
    z = s * s
    z_low = fma(s, s, -z) + 2 * s * s_low
    part = z * third[0]
    part_low = fma(z, third[0], -part) + fma(z, third[1], z_low * third[0])
    rest = fma(z * z, polynomial(z, _SERIES[x.kind]), part_low)
    head = part + rest
    head_low = (part - head) + rest
    s, s_low = s * 2, s_low * 2
    product = s * head
    product_low = fma(s, head, -product) + fma(s, head_low, s_low * head)
    high, low = _sum(k * ln2[0], s)
    high, more = _sum(high, product)
    tail = (low + more) + (s_low + product_low) + k * ln2[1]
    total = high + tail
    end = (high - total) + tail
    special = x.equals(0) | x.equals(math.inf)
    total = select(x.equals(0), -math.inf, select(x.equals(math.inf), math.inf, total))
    total = select(x.is_nan(), x, total)
    return total, select(special, 0.0, end)
