"""Elementwise primitives: inputs of one shape; broadcasting is made explicit before them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..dtypes import COMPUTED, computed, kind_of, to_float
from ..errors import DtypeRuleError, TypeRuleError
from ..graph import Node, Type
from .batch import elementwise
from .known import fill_value
from .record import Array, Attrs, Builder, Infer, Primitive, Reference, Vjp

LANE_TYPES = {
    "float32": "f32",
    "float64": "f64",
    "int32": "i32",
    "int64": "i64",
    "uint32": "u32",
    "bool": "b1",
}
"""The name of each dtype that is computed with in the engine's vocabulary."""

MEMORY_TYPES = {
    **LANE_TYPES,
    "int8": "i8",
    "uint8": "u8",
    "int16": "i16",
    "uint16": "u16",
    "float16": "f16",
    "bfloat16": "bf16",
}
"""The name of each dtype in memory; lanes of a storage dtype are those of the one that computes."""

LANE_TYPES |= {name: LANE_TYPES[wide] for name, wide in COMPUTED.items()}

_KINDS = {"f": "float", "i": "int", "u": "uint", "b": "bool"}


def _same(types: Sequence[Type], kinds: tuple[str, ...]) -> Type:
    first = types[0]
    for other in types[1:]:
        if other != first:
            raise TypeRuleError(
                f"expected operands of one type, got {' and '.join(map(str, types))}"
            )
    if not first.dtype.startswith(kinds):
        raise DtypeRuleError(f"expected a dtype of kind {' or '.join(kinds)}, got {first.dtype}")
    return first


def _arithmetic(allowed: str) -> Infer:
    kinds = tuple(_KINDS[letter] for letter in allowed)
    return lambda types, attrs: _same(types, kinds)


def _comparison(types: Sequence[Type], attrs: Attrs) -> Type:
    return _same(types, tuple(_KINDS.values())).with_dtype("bool")


def _select(types: Sequence[Type], attrs: Attrs) -> Type:
    mask, first, second = types
    if mask.dtype != "bool":
        raise TypeRuleError(f"expected a bool condition, got {mask}")
    if first != second:
        raise TypeRuleError(f"expected branches of one type, got {first} and {second}")
    if mask.shape != first.shape:
        raise TypeRuleError(f"expected a condition of shape {first}, got {mask}")
    return first


def _cast(types: Sequence[Type], attrs: Attrs) -> Type:
    if attrs["dtype"] not in MEMORY_TYPES:
        raise TypeRuleError(f"expected one of {list(MEMORY_TYPES)}, got {attrs['dtype']}")
    return types[0].with_dtype(attrs["dtype"])


def _cast_vjp(b: Builder, n: Node, g: Node) -> tuple[Node | None, ...]:
    """To a float in its own dtype, or the one that computes; a rounding has the derivative 1."""
    (x,) = n.inputs
    return (b.cast(g, dtype=x.type.cotangent.dtype) if x.type.is_float else None,)


def _plain(function: Callable[..., Any]) -> Reference:
    """A NumPy function as a reference rule: in the operands' own precision, warnings off."""

    def rule(result: Type, attrs: Attrs, *arrays: Array) -> Array:
        with np.errstate(all="ignore"):
            return np.asarray(function(*arrays), dtype=result.dtype)

    return rule


def _converted(x: Array, dtype: np.dtype[Any]) -> Array:
    """The elements in another dtype.

    From float to integer they go towards zero, to the nearest integer of the dtype where they are
    out of its range, and from NaN to 0: on every target, where C and NumPy leave it open.  What is
    nearer to 0 than the least normal number is not true, for targets compute with it as with 0.
    """
    with np.errstate(all="ignore"):
        x = x.astype(computed(x.dtype.name))
        if kind_of(dtype) == "f":
            return to_float(x, dtype)
        if x.dtype.kind == "f" and dtype.kind == "b":
            return np.asarray(~(np.abs(x) < np.finfo(x.dtype).smallest_normal))
        if x.dtype.kind != "f":
            return x.astype(dtype)
        info = np.iinfo(dtype)
        over, under = x >= 2.0 ** (info.bits - (info.min < 0)), x <= float(info.min)
        inside = np.where(over | under | np.isnan(x), x.dtype.type(0), x).astype(dtype)
        return np.where(over, dtype.type(info.max), np.where(under, dtype.type(info.min), inside))


def _sigmoid(x: Array) -> Array:
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + small), small / (1 + small))


def _erf(x: Array) -> Array:
    return np.vectorize(math.erf, otypes=[np.float64])(x) if x.size else x


def _maximum_vjp(b: Builder, n: Node, g: Node) -> tuple[Node | None, ...]:
    return _extremum_vjp(b, n, g, "le", "lt")


def _minimum_vjp(b: Builder, n: Node, g: Node) -> tuple[Node | None, ...]:
    return _extremum_vjp(b, n, g, "ge", "gt")


def _extremum_vjp(b: Builder, n: Node, g: Node, no_win: str, loses: str) -> tuple[Node | None, ...]:
    """To the operand that wins; half to each at a tie, except that a constant wins its ties.

    So relu(x) = maximum(x, 0) has the derivative 0 at 0, found from its own output.  Beside a NaN
    neither operand loses, so that a NaN hides no gradient, as in PyTorch.
    """
    x, y = n.inputs
    zero = b.fill(0, g.type)
    for this, other in ((x, y), (y, x)):
        if fill_value(other) is not None:
            kept = b.select(b.apply(no_win, n, other), zero, g)
            return (kept, None) if this is x else (None, kept)
    shared = b.select(b.eq(x, y), b.scale(g, 0.5), g)
    return (
        b.select(b.apply(loses, x, y), zero, shared),
        b.select(b.apply(loses, y, x), zero, shared),
    )


def _pow_vjp(b: Builder, n: Node, g: Node) -> tuple[Node | None, ...]:
    """The derivatives y * x ** (y - 1) and x ** y * log(x).

    x ** 0 is 1 for every x, so its derivatives are 0 * x ** 0, to every order and at 0 too.  To an
    exponent that is not negative nothing flows at x = 0; below 0 a power is defined at whole
    exponents alone, and the derivative is the logarithm's NaN.
    """
    x, y = n.inputs
    one, zero = b.fill(1, x.type), b.fill(0, x.type)
    less = b.zeros_where(b.eq(y, zero), b.sub(y, one))
    to_x = b.mul(g, b.mul(y, b.pow(x, less)))
    if fill_value(y) is not None:
        return to_x, None
    base = b.select(b.eq(x, zero), b.select(b.ge(y, zero), one, x), x)
    return to_x, b.mul(g, b.mul(n, b.log(base)))


def _unary(
    name: str,
    function: Callable[..., Any],
    vjp: Callable[[Builder, Node, Node, Node], Node] | None,
    emit: str,
    *,
    flops: int = 1,
    allowed: str = "f",
) -> Primitive:
    """One operand; `vjp` is (builder, x, output, cotangent) -> cotangent, one line each."""
    rule: Vjp | None = None
    if vjp is not None:
        derivative = vjp

        def rule(b: Builder, n: Node, g: Node) -> tuple[Node | None, ...]:
            return (derivative(b, n.inputs[0], n, g),)

    return Primitive(
        name=name,
        kind="elementwise",
        infer=_arithmetic(allowed),
        reference=_plain(function),
        vjp=rule,
        emit=emit,
        flops=flops,
        batch=elementwise,
    )


def _compare(name: str, function: Callable[..., Any], emit: str) -> Primitive:
    return Primitive(
        name=name,
        kind="elementwise",
        infer=_comparison,
        reference=_plain(function),
        emit=emit,
        flops=1,
        batch=elementwise,
    )


def _binary(
    name: str,
    function: Callable[..., Any],
    vjp: Vjp | None,
    emit: str | Callable[[Node], str],
    *,
    flops: int = 1,
    allowed: str = "fiu",
) -> Primitive:
    return Primitive(
        name=name,
        kind="elementwise",
        infer=_arithmetic(allowed),
        reference=_plain(function),
        vjp=vjp,
        emit=emit,
        flops=flops,
        batch=elementwise,
    )


def _fmod_vjp(b: Builder, n: Node, g: Node) -> tuple[Node | None, ...]:
    """The derivatives of x - k y, 1 and -k, where k is the quotient without its fraction."""
    x, y = n.inputs
    whole = b.floor(b.add(b.div(b.sub(x, n), y), b.fill(0.5, y.type)))
    return g, b.neg(b.mul(g, whole))


def _fmod_text(node: Node) -> str:
    """What is left of |x| when |y| is taken off, with the sign of x; in float64.

    A fused multiply-add gives x - k y exactly for a quotient k as it is rounded, and what is left
    is divided again.  So three divisions are enough while |x / y| is below 2 ** 106, the square of
    2 ** 53; beyond, the result is NaN.
    """
    x, y, greatest = "to_f64({0})", "absolute(to_f64({1}))", float(np.finfo(np.float64).max)
    left = f"absolute({x})"
    for _ in range(3):
        left = f"fma(-floor({left} / {y}), {y}, {left})"
    signed = f"select({x} < f64(0), -({left}), {left})"
    found = f"select(absolute({x} / {y}) < f64({2.0**106!r}), {signed}, f64(0) / f64(0))"
    whole = f"select({y} > f64({greatest!r}), {x} - {x} + {x}, {found})"
    return f"to_{LANE_TYPES[node.dtype]}({whole})"


def _shift(name: str, function: Callable[..., Any], sign: str) -> Primitive:
    """Bits moved; of the count only as many bits are read as it takes to be below the width."""

    def reference(x: Array, y: Array) -> Array:
        return np.asarray(function(x, y & y.dtype.type(8 * y.dtype.itemsize - 1)))

    def text(node: Node) -> str:
        kind = LANE_TYPES[node.dtype]
        return f"{{0}} {sign} ({{1}} & {kind}({8 * np.dtype(node.dtype).itemsize - 1}))"

    return _binary(name, reference, None, text, allowed="iu", flops=0)


def _one_minus(b: Builder, x: Node) -> Node:
    return b.sub(b.fill(1, x.type), x)


_ERF_SLOPE = 2 / math.sqrt(math.pi)

PRIMITIVES = (
    _binary("add", np.add, lambda b, n, g: (g, g), "{0} + {1}"),
    _binary("sub", np.subtract, lambda b, n, g: (g, b.neg(g)), "{0} - {1}"),
    _binary(
        "mul",
        np.multiply,
        lambda b, n, g: (b.mul(g, n.inputs[1]), b.mul(g, n.inputs[0])),
        "{0} * {1}",
    ),
    _binary(
        "div",
        np.divide,
        lambda b, n, g: (b.div(g, n.inputs[1]), b.neg(b.div(b.mul(g, n), n.inputs[1]))),
        "{0} / {1}",
        allowed="f",
    ),
    _binary("pow", np.power, _pow_vjp, "power({0}, {1})", allowed="f", flops=10),
    _binary("maximum", np.maximum, _maximum_vjp, "maximum({0}, {1})"),
    _binary("minimum", np.minimum, _minimum_vjp, "minimum({0}, {1})"),
    _binary("fmod", np.fmod, _fmod_vjp, _fmod_text, allowed="f", flops=10),
    _binary("and", np.bitwise_and, None, "{0} & {1}", allowed="biu", flops=0),
    _binary("or", np.bitwise_or, None, "{0} | {1}", allowed="biu", flops=0),
    _binary("xor", np.bitwise_xor, None, "{0} ^ {1}", allowed="biu", flops=0),
    _shift("shift_left", np.left_shift, "<<"),
    _shift("shift_right", np.right_shift, ">>"),
    _compare("eq", np.equal, "{0} == {1}"),
    _compare("ne", np.not_equal, "{0} != {1}"),
    _compare("lt", np.less, "{0} < {1}"),
    _compare("le", np.less_equal, "{0} <= {1}"),
    _compare("gt", np.greater, "{0} > {1}"),
    _compare("ge", np.greater_equal, "{0} >= {1}"),
    _unary("not", np.invert, None, "~{0}", flops=0, allowed="biu"),
    _unary("neg", np.negative, lambda b, x, y, g: b.neg(g), "-{0}", allowed="fi"),
    _unary("abs", np.abs, lambda b, x, y, g: b.mul(g, b.sign(x)), "absolute({0})", allowed="fi"),
    _unary("sign", np.sign, None, "sign({0})", allowed="fi"),
    _unary("floor", np.floor, None, "floor({0})"),
    _unary("ceil", np.ceil, None, "ceil({0})"),
    _unary("exp", np.exp, lambda b, x, y, g: b.mul(g, y), "exp({0})", flops=10),
    _unary(
        "expm1",
        np.expm1,
        lambda b, x, y, g: b.mul(g, b.exp(x)),  # y + 1 would round to 0 far below 0
        "expm1({0})",
        flops=10,
    ),
    _unary("log", np.log, lambda b, x, y, g: b.div(g, x), "log({0})", flops=10),
    _unary(
        "log1p",
        np.log1p,
        lambda b, x, y, g: b.div(g, b.add(x, b.fill(1, x.type))),
        "log1p({0})",
        flops=10,
    ),
    _unary("sqrt", np.sqrt, lambda b, x, y, g: b.div(b.scale(g, 0.5), y), "sqrt({0})"),
    _unary(
        "rsqrt",
        lambda x: 1 / np.sqrt(x),
        lambda b, x, y, g: b.mul(b.scale(g, -0.5), b.div(y, x)),
        "rsqrt({0})",
        flops=2,
    ),
    _unary("sin", np.sin, lambda b, x, y, g: b.mul(g, b.cos(x)), "sin({0})", flops=10),
    _unary("cos", np.cos, lambda b, x, y, g: b.neg(b.mul(g, b.sin(x))), "cos({0})", flops=10),
    _unary(
        "tanh",
        np.tanh,
        lambda b, x, y, g: b.mul(g, _one_minus(b, b.mul(y, y))),
        "tanh({0})",
        flops=10,
    ),
    _unary(
        "sigmoid",
        _sigmoid,
        lambda b, x, y, g: b.mul(g, b.mul(y, _one_minus(b, y))),
        "sigmoid({0})",
        flops=10,
    ),
    _unary(
        "erf",
        _erf,
        lambda b, x, y, g: b.mul(g, b.scale(b.exp(b.neg(b.mul(x, x))), _ERF_SLOPE)),
        "erf({0})",
        flops=10,
    ),
    Primitive(
        name="select",
        kind="elementwise",
        infer=_select,
        reference=_plain(np.where),
        vjp=lambda b, n, g: (
            None,
            b.select(n.inputs[0], g, b.fill(0, g.type)),
            b.zeros_where(n.inputs[0], g),
        ),
        emit="select({0}, {1}, {2})",
        flops=1,
        batch=elementwise,
        stored=True,
    ),
    Primitive(
        name="cast",
        kind="elementwise",
        infer=_cast,
        reference=lambda result, attrs, x: _converted(x, np.dtype(result.dtype)),
        vjp=_cast_vjp,
        emit=lambda n: f"to_{MEMORY_TYPES[n.dtype]}({{0}})",
        batch=elementwise,
        stored=True,
    ),
    # The value itself; no gradient flows back through it.
    Primitive(
        name="stop_gradient",
        kind="elementwise",
        infer=lambda types, attrs: types[0],
        reference=lambda result, attrs, x: x,
        emit="{0}",
        batch=elementwise,
        stored=True,
    ),
    # The value itself, which must lie in [low, high): checked before a step starts where the
    # value is an observed variable, see `schedule`.
    Primitive(
        name="in_range",
        kind="elementwise",
        infer=lambda types, attrs: types[0],
        reference=lambda result, attrs, x: x,
        emit="{0}",
        batch=elementwise,
        stored=True,
    ),
)
