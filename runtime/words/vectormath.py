"""Exponentials, logarithms and their kin for 16 lanes at once: branch-free, without libm.

Each function is an argument reduction and a minimax polynomial, written once for both float kinds.
Nothing here is fast-math: infinities, NaN, signed zeros and denormal numbers come out as NumPy's
do.  The bounds in the docstrings are the largest errors measured over millions of arguments
(float32, float64), in units of the last place; the tests check them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from .arithmetic import absolute, copysign, minimum
from .values import BITS, Value, fma, outlined, polynomial, select


@dataclass(frozen=True)
class Format:
    """What the functions need to know of one float kind."""

    mantissa: int
    bias: int
    magic: float
    """1.5 * 2^mantissa: adding it rounds to an integer, which then stands in the low bits."""
    ln2: tuple[float, float]
    exp: tuple[float, ...]
    exp_range: tuple[float, float]
    expm1_low: float
    half_root: int
    """The bits of sqrt(1/2)."""
    log: tuple[float, ...]
    erf_small: tuple[float, ...]
    erf_large: tuple[float, ...]
    erf_top: float


F32 = Format(
    mantissa=23,
    bias=127,
    magic=1.5 * 2.0**23,
    ln2=(0.693147182464599609375, -1.904654299957768e-09),
    exp=(0.5, 0.166666657, 0.0416663624, 0.00833338965, 0.00139406277, 0.000198458918),
    exp_range=(-104.0, 89.0),
    expm1_low=-20.0,
    half_root=0x3F3504F3,
    log=(
        0.333333135, -0.250000089, 0.200021192, -0.166679963, 0.142195508, -0.124055885,
        0.118881702, -0.116756581, 0.0674663186,
    ),
    erf_small=(
        0.128379166, -0.37612626, 0.112835854, -0.0268538129, 0.00518832775, -0.000801019371,
        7.85386073e-05,
    ),
    erf_large=(
        -1.1286943, -0.634969532, -0.10653086, 0.0240100622, -0.00375747401, 0.000350591436,
        -1.39623908e-05,
    ),
    erf_top=3.95,
)  # fmt: skip

F64 = Format(
    mantissa=52,
    bias=1023,
    magic=1.5 * 2.0**52,
    ln2=(0.6931471805599453, 2.3190468138462996e-17),
    exp=(
        0.5, 0.16666666666666677, 0.04166666666666651, 0.008333333333321691,
        0.0013888888888962407, 0.00019841269885966756, 2.4801587172468808e-05,
        2.7557244373270633e-06, 2.7557402699737957e-07, 2.5108979224276762e-08,
        2.0875313339728733e-09,
    ),
    exp_range=(-746.0, 710.0),
    expm1_low=-50.0,
    half_root=0x3FE6A09E667F3BCD,
    log=(
        0.6666666666666734, 0.3999999999941469, 0.2857142874238511, 0.22222198573351978,
        0.18183564320816914, 0.15314050623490924, 0.14795949478481457,
    ),
    erf_small=(
        0.1283791670955126, -0.3761263890318375, 0.11283791670954857, -0.026866170645072896,
        0.005223977624780874, -0.0008548326978742624, 0.00012055331036913543,
        -1.4925593507185262e-05, 1.6460972821105864e-06, -1.635002525928613e-07,
        1.465788004719003e-08, -1.1365666607198243e-09, 5.94526261310575e-11,
    ),
    erf_large=(
        0.17900115118138982, -0.3262335600430401, 0.2456038017124903, -0.15011593649530383,
        0.07166583725540943, -0.024392499286020275, 0.004269131449527204, 0.0007076916058513908,
        -0.0005973869154660186, 4.402073027894567e-05, 6.088731206154843e-05,
        -1.8385797952592546e-05, -1.4312641051743918e-05, -2.21757947591646e-06,
    ),
    erf_top=5.95,
)  # fmt: skip

FORMATS = {"f32": F32, "f64": F64}


def clamp(x: Value, low: float, high: float) -> Value:
    """Into [low, high]; NaN stays."""
    x = select(x > high, high, x)
    return select(x < low, low, x)


def nearest(scaled: Value, times: float) -> tuple[Value, Value]:
    """`scaled * times` rounded to an integer, as float and as integer lanes."""
    form, ints = FORMATS[scaled.kind], BITS[scaled.kind]
    shifted = fma(scaled, times, form.magic)
    base = scaled.number(form.magic).bitcast(ints)
    return shifted - form.magic, shifted.bitcast(ints) - base


def from_integer(n: Value, kind: str) -> Value:
    """Small integer lanes as floats; wide conversions are slow on most processors."""
    magic = n.number(FORMATS[kind].magic, kind)
    return (n + magic.bitcast(n.kind)).bitcast(kind) - magic


def power_of_two(n: Value, kind: str) -> Value:
    """2^n for a normal result, by its bits."""
    form = FORMATS[kind]
    return ((n + form.bias) << form.mantissa).bitcast(kind)


def split_exponential(x: Value, extra: Value | None = None) -> tuple[Value, Value]:
    """N and e^r - 1 with x + extra = n ln 2 + r and |r| <= ln(2)/2."""
    form = FORMATS[x.kind]
    whole, n = nearest(x, 1 / math.log(2))
    r = fma(whole, -form.ln2[0], x)
    r = fma(whole, -form.ln2[1], r)
    if extra is not None:
        r = r + extra
    return n, fma(r * r, polynomial(r, form.exp), r)


def scaled_exponential(x: Value, extra: Value | None = None) -> Value:
    """e^(x + extra) within the range where no step overflows."""
    n, small = split_exponential(x, extra)
    half = n >> 1
    # In two steps, so that a result may be denormal or overflow although no factor is.
    first = power_of_two(half, x.kind)
    return fma(small, first, first) * power_of_two(n - half, x.kind)


def _exp(x: Value) -> Value:
    return scaled_exponential(clamp(x, *FORMATS[x.kind].exp_range))


def exp(x: Value) -> Value:
    """e^x.  Largest errors: 0.96 and 0.97."""
    return outlined(_exp, x)


def _expm1(x: Value) -> Value:
    form = FORMATS[x.kind]
    n, small = split_exponential(clamp(x, form.expm1_low, form.exp_range[1]))
    capped = minimum(n, n.number(form.bias))
    scale = power_of_two(capped, x.kind)
    result = fma(scale, small, scale - 1) * power_of_two(n - capped, x.kind)
    return copysign(result, x)


def expm1(x: Value) -> Value:
    """e^x - 1, also near 0.  Largest errors: 1.40 and 1.79."""
    return outlined(_expm1, x)


def split_logarithm(x: Value) -> tuple[Value, Value]:
    """K (integer lanes) and m with x = 2^k m and sqrt(1/2) <= m < sqrt(2), for normal x > 0."""
    form, ints = FORMATS[x.kind], BITS[x.kind]
    shifted = x.bitcast(ints) - form.half_root
    mantissa = (shifted & ((1 << form.mantissa) - 1)) + form.half_root
    return shifted >> form.mantissa, mantissa.bitcast(x.kind)


def _log_near_one(k: Value, f: Value, correction: Value | None) -> Value:
    """K ln 2 + log(1 + f) + correction; the correction is tiny."""
    form = FORMATS[f.kind]
    low = k * form.ln2[1] if correction is None else fma(k, form.ln2[1], correction)
    square = f * f
    if f.kind == "f32":
        tail = fma(square * f, polynomial(f, form.log), low)
        tail = fma(square, -0.5, tail)
    else:
        # The quotient costs a division and saves half of the polynomial.
        s = f / (f + 2)
        z = s * s
        half = square * 0.5
        tail = fma(s, fma(z, polynomial(z, form.log), half), low) - half
    return fma(k, form.ln2[0], f + tail)


def _log_special(x: Value, found: Value) -> Value:
    found = select(x.equals(math.inf), x, found)
    return select(x > 0, found, select(x.equals(0), x.number(-math.inf), x.number(math.nan)))


def scale_denormal(x: Value) -> tuple[Value, Value]:
    """X made normal, and the power of two it was multiplied with, as a float to subtract."""
    form = FORMATS[x.kind]
    small = x < 2.0 ** (1 - form.bias)
    shift = form.mantissa + 1
    return select(small, x * 2.0**shift, x), select(small, x.number(shift), x.number(0))


def _log(x: Value) -> Value:
    normal, shift = scale_denormal(x)
    k, m = split_logarithm(normal)
    return _log_special(x, _log_near_one(from_integer(k, x.kind) - shift, m - 1, None))


def log(x: Value) -> Value:
    """Natural logarithm.  Largest errors: 0.79 and 0.78."""
    return outlined(_log, x)


def _log1p(x: Value) -> Value:
    u = x + 1
    k, m = split_logarithm(u)
    lost = select(absolute(x) < 1, x - (u - 1), 1 - (u - x)) / u
    whole = k.equals(0)
    f = select(whole, x, m - 1)
    found = _log_near_one(from_integer(k, x.kind), f, select(whole, 0.0, lost))
    return select(x.equals(0), x, _log_special(u, found))


def log1p(x: Value) -> Value:
    """log(1 + x), also near 0.  Largest errors: 0.79 and 0.77."""
    return outlined(_log1p, x)


def _quotient(top: Value, first: float, rest: Value) -> Value:
    """Top / (first + rest) with the rounding of the sum made good; half an ulp saved."""
    bottom = rest + first
    lost = rest - (bottom - first)
    inverse = 1 / bottom
    rough = top * inverse
    return fma(fma(-rough, bottom, top) - rough * lost, inverse, rough)


def _tanh(x: Value) -> Value:
    size = absolute(x)
    t = _expm1(select(size > 20, x.number(20), size) * 2)
    # t / (t + 2), which is 1 - 2 / (t + 2): each form where it does not enlarge t's error.
    large = size > 0.5
    part = _quotient(select(large, -2.0, t), 2, t)
    return copysign(select(large, part + 1, part), x)


def tanh(x: Value) -> Value:
    """Hyperbolic tangent, also near 0.  Largest errors: 1.46 and 1.79."""
    return outlined(_tanh, x)


def _sigmoid(x: Value) -> Value:
    e = _exp(-absolute(x))
    return _quotient(select(x < 0, e, 1.0), 1, e)


def sigmoid(x: Value) -> Value:
    """1 / (1 + e^-x), exact where it is small too.  Largest errors: 1.41 and 1.41."""
    return outlined(_sigmoid, x)


def _erf(x: Value) -> Value:
    form = FORMATS[x.kind]
    near = fma(x, polynomial(x * x, form.erf_small), x)
    t = clamp(absolute(x), 0.5, form.erf_top)
    if x.kind == "f32":
        rest = scaled_exponential(t * polynomial(t, form.erf_large))
    else:
        rest = polynomial((t - 3) / (t + 3), form.erf_large) * scaled_exponential(-(t * t))
    return select(absolute(x) < 1, near, copysign(1 - rest, x))


def erf(x: Value) -> Value:
    """The error function, also near 0.  Largest errors: 1.03 and 1.01."""
    return outlined(_erf, x)
