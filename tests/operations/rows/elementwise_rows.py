"""The rows of the table for elementwise operations."""

import math

import numpy as np

import diagrad as dg

from .operation import Operation
from .rows import MATRIX, TWO, erf, one, sigmoid, two

ARITHMETIC = [
    two("add", dg.add, np.add, kinds="fiu"),
    two("add operator", lambda x, y: x + y, np.add, kinds="fiu"),
    one("add number", lambda x: 1 + x, lambda x: 1 + x, kinds="fiu"),
    two("subtract", dg.subtract, np.subtract, kinds="fiu"),
    two("subtract operator", lambda x, y: x - y, np.subtract, kinds="fiu"),
    one("subtract number", lambda x: 9 - x, lambda x: 9 - x, kinds="fiu"),
    two("multiply", dg.multiply, np.multiply, kinds="fiu"),
    two("multiply operator", lambda x, y: x * y, np.multiply, kinds="fiu"),
    one("multiply number", lambda x: 3 * x, lambda x: 3 * x, kinds="fiu"),
    two("divide", dg.divide, np.divide),
    two("divide operator", lambda x, y: x / y, np.divide),
    one("divide number", lambda x: 3 / x + x / 7, lambda x: 3 / x + x / 7),
    two("power", dg.power, np.power, domains=("positive", "real")),
    one("power number", lambda x: x**2.5 + 2**x, lambda x: x**2.5 + 2**x, domains=("positive",)),
    one(
        "power small",
        lambda x: x**3 + x**2 + x**1 + x**-1 + x**0.5 + x**-0.5,
        lambda x: x**3 + x**2 + x + 1 / x + np.sqrt(x) + 1 / np.sqrt(x),
        domains=("positive",),
    ),
    one("power whole", lambda x: x**4 + x**-3, lambda x: x**4.0 + x**-3.0),
    two("maximum", dg.maximum, np.maximum, kinds="fiu"),
    two("minimum", dg.minimum, np.minimum, kinds="fiu"),
    two("clip", lambda x, y: dg.clip(x, y, 1), lambda x, y: np.clip(x, y, 1), kinds="fiu"),
    one("clip method", lambda x: x.clip(high=2), lambda x: np.minimum(x, 2), kinds="fiu"),
    one("negative", dg.negative, np.negative, kinds="fiu"),
    one("negative operator", lambda x: -x, np.negative, kinds="fi"),
    one("absolute", dg.absolute, np.abs, kinds="fiu"),
    one("absolute operator", abs, np.abs, kinds="fi"),
    one("sign", dg.sign, np.sign, kinds="fiu"),
    one("floor", dg.floor, np.floor),
    one("ceil", dg.ceil, np.ceil),
]
COMPARISONS = [
    two(name, getattr(dg, name), getattr(np, name), kinds="fiub", domains=("level",), smooth=False)
    for name in ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")
] + [
    two("less operator", lambda x, y: x < y, np.less, kinds="fiu", smooth=False),
    two("less_equal operator", lambda x, y: x <= y, np.less_equal, kinds="fiu", smooth=False),
    two("greater operator", lambda x, y: x > y, np.greater, kinds="fiu", smooth=False),
    two("greater_equal operator", lambda x, y: x >= y, np.greater_equal, kinds="f", smooth=False),
    two("logical_and", dg.logical_and, np.logical_and, kinds="b"),
    two("logical_and operator", lambda x, y: x & y, np.logical_and, kinds="b"),
    two("logical_or", dg.logical_or, np.logical_or, kinds="b"),
    two("logical_or operator", lambda x, y: x | y, np.logical_or, kinds="b"),
    two("logical_xor", dg.logical_xor, np.logical_xor, kinds="b"),
    one("logical_not", dg.logical_not, np.logical_not, kinds="b"),
    one("logical_not operator", lambda x: ~x, np.logical_not, kinds="b"),
    Operation(
        "where", dg.where, np.where,
        (*((p[0], *p) for p in TWO), ((5, 1), (7,), ()), ((), (3,), (2, 3))),
        ("mask", "real"), "fiub", named=(("N",), MATRIX, ("N",)),
    ),
    one("where number", lambda x: dg.where(x > 0, x, 2), lambda x: np.where(x > 0, x, 2)),
]  # fmt: skip
CASTS = [
    one(
        f"astype {name}", lambda x, n=name: dg.astype(x, n), lambda x, n=name: x.astype(n),
        domains=("positive" if name == "uint32" else "real",), kinds="fiub",
        smooth=name == "float64", dtype=name,
    )
    for name in ("float32", "float64", "int32", "int64", "uint32", "bool")
] + [
    one("stop_gradient", dg.stop_gradient, lambda x: x, kinds="fiub", smooth=False),
]  # fmt: skip
FUNCTIONS = [
    one("exp", dg.exp, np.exp),
    one("expm1", dg.expm1, np.expm1),
    one("log", dg.log, np.log, domains=("positive",)),
    one("log1p", dg.log1p, np.log1p, domains=("positive",)),
    one("square", dg.square, np.square, kinds="fiu"),
    one("reciprocal", dg.reciprocal, np.reciprocal, domains=("positive",)),
    one("sqrt", dg.sqrt, np.sqrt, domains=("positive",)),
    one("rsqrt", dg.rsqrt, lambda x: 1 / np.sqrt(x), domains=("positive",)),
    one("sin", dg.sin, np.sin),
    one("cos", dg.cos, np.cos),
    one("tanh", dg.tanh, np.tanh),
    one("sigmoid", dg.sigmoid, sigmoid),
    one("erf", dg.erf, erf),
    one("relu", dg.relu, lambda x: np.maximum(x, 0)),
    one("leaky_relu", dg.leaky_relu, lambda x: np.where(x > 0, x, 0.01 * x)),
    one("elu", dg.elu, lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0)))),
    one("gelu", dg.gelu, lambda x: 0.5 * x * (1 + erf(x / math.sqrt(2)))),
    one(
        "gelu tanh", lambda x: dg.gelu(x, approximate="tanh"),
        lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    ),
    one("silu", dg.silu, lambda x: x * sigmoid(x)),
    one("softplus", dg.softplus, lambda x: np.logaddexp(x, 0)),
    one("hard_tanh", dg.hard_tanh, lambda x: np.clip(x, -1, 1)),
    one("soft_shrink", dg.soft_shrink, lambda x: np.sign(x) * np.maximum(abs(x) - 0.5, 0)),
    one("hard_shrink", dg.hard_shrink, lambda x: np.where(abs(x) <= 0.5, 0, x)),
]  # fmt: skip
