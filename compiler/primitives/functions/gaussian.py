"""Values and derivatives of the complementary error function and of the inverse of `erf`."""

from __future__ import annotations

import math

from .composed import Function
from .formula import Formula, exp, log, polynomial, sqrt, where

Slopes = tuple[Formula, ...]

# Cephes Mathematical Library (Moshier), ndtr.c: exp(-x x) P(x) / Q(x) from 1 to 8, R / S above.
_P = (
    2.46196981473530512524e-10, 5.64189564831068821977e-1, 7.46321056442269912687e0,
    4.86371970985681366614e1, 1.96520832956077098242e2, 5.26445194995477358631e2,
    9.34528527171957607540e2, 1.02755188689515710272e3, 5.57535335369399327526e2,
)  # fmt: skip
_Q = (
    1.0, 1.32281951154744992508e1, 8.67072140885989742329e1, 3.54937778887819891062e2,
    9.75708501743205489753e2, 1.82390916687909736289e3, 2.24633760818710981792e3,
    1.65666309194161350182e3, 5.57535340817727675546e2,
)  # fmt: skip
_R = (
    5.64189583547755073984e-1, 1.27536670759978104416e0, 5.01905042251180477414e0,
    6.16021097993053585195e0, 7.40974269950448939160e0, 2.97886665372100240670e0,
)  # fmt: skip
_S = (
    1.0, 2.26052863220117276590e0, 9.39603524938001434673e0, 1.20489539808096656605e1,
    1.70814450747565897222e1, 9.60896809063285878198e0, 3.36907645100081516050e0,
)  # fmt: skip

# Wichura, Algorithm AS 241: The percentage points of the normal distribution, 1988 (PPND16).
_A = (
    2.5090809287301226727e3, 3.3430575583588128105e4, 6.7265770927008700853e4,
    4.5921953931549871457e4, 1.3731693765509461125e4, 1.9715909503065514427e3,
    1.3314166789178437745e2, 3.3871328727963666080e0,
)  # fmt: skip
_B = (
    5.2264952788528545610e3, 2.8729085735721942674e4, 3.9307895800092710610e4,
    2.1213794301586595867e4, 5.3941960214247511077e3, 6.8718700749205790830e2,
    4.2313330701600911252e1, 1.0,
)  # fmt: skip
_C = (
    7.74545014278341407640e-4, 2.27238449892691845833e-2, 2.41780725177450611770e-1,
    1.27045825245236838258e0, 3.64784832476320460504e0, 5.76949722146069140550e0,
    4.63033784615654529590e0, 1.42343711074968357734e0,
)  # fmt: skip
_D = (
    1.05075007164441684324e-9, 5.47593808499534494600e-4, 1.51986665636164571966e-2,
    1.48103976427480074590e-1, 6.89767334985100004550e-1, 1.67638483018380384940e0,
    2.05319162663775882187e0, 1.0,
)  # fmt: skip
_E = (
    2.01033439929228813265e-7, 2.71155556874348757815e-5, 1.24266094738807843860e-3,
    2.65321895265761230930e-2, 2.96560571828504891230e-1, 1.78482653991729133580e0,
    5.46378491116411436990e0, 6.65790464350110377720e0,
)  # fmt: skip
_F = (
    2.04426310338993978564e-15, 1.42151175831644588870e-7, 1.84631831751005468180e-5,
    7.86869131145613259100e-4, 1.48753612908506148525e-2, 1.36929880922735805310e-1,
    5.99832206555887937690e-1, 1.0,
)  # fmt: skip


def _bell(x: Formula) -> Formula:
    """exp(-x x), with what x x loses when it is rounded, for |x| below 30."""
    coarse = (x + 1.5 * 2.0**31) - 1.5 * 2.0**31  # to 2 ** -21: its square is exact
    return exp(-(coarse * coarse)) * exp((coarse - x) * (coarse + x))


def _erfc(x: Formula) -> Formula:
    size = abs(x)
    bounded = where(size < 28, size, 28)
    middle = polynomial(bounded, _P) / polynomial(bounded, _Q)
    far = polynomial(bounded, _R) / polynomial(bounded, _S)
    tail = _bell(bounded) * where(size < 8, middle, far)
    outside = where(x < 0, 2 - tail, tail)
    return where(size < 1, 1 - x.one("erf"), where(x.equals(x), outside, x))


def _erfc_slopes(y: Formula, x: Formula) -> Slopes:
    return (-2 / math.sqrt(math.pi) * exp(-(x * x)),)


def _erfinv(x: Formula) -> Formula:
    size = abs(x)
    half = x * 0.5
    near = 0.180625 - half * half
    central = half * polynomial(near, _A) / polynomial(near, _B)
    tail = sqrt(-log((1 - size) * 0.5))
    first, second = tail - 1.6, tail - 5
    middle = polynomial(first, _C) / polynomial(first, _D)
    last = polynomial(second, _E) / polynomial(second, _F)
    outside = where(tail.equals(math.inf), tail, where(tail > 5, last, middle)).signed_as(x)
    return where(size > 0.85, outside, central) * math.sqrt(0.5)


def _erfinv_slopes(y: Formula, x: Formula) -> Slopes:
    return (math.sqrt(math.pi) / 2 * exp(y * y),)


FUNCTIONS = {
    "erfc": Function(_erfc, _erfc_slopes),
    "erfinv": Function(_erfinv, _erfinv_slopes),
}
"""By name."""
