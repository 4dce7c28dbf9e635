"""Elementwise operations, with broadcasting."""

from __future__ import annotations

from typing import Any

from ...compiler.builder import Builder
from ...compiler.errors import DtypeRuleError
from ...compiler.graph import Node
from ..variable import Variable, apply, dtype_name
from .broadcasting import align, as_variables, one_dtype


def elementwise(op: str, *operands: Any, label: str | None = None) -> Variable:
    """The primitive `op` of operands that broadcast."""

    def rule(b: Builder, *nodes: Node) -> Node:
        one_dtype(nodes)
        return b.apply(op, *align(b, nodes))

    result: Variable = apply(label or op, rule, as_variables(*operands))
    return result


def unary(op: str, x: Any) -> Variable:
    """The primitive `op` of one operand."""
    result: Variable = apply(op, lambda b, node: b.apply(op, node), as_variables(x))
    return result


def add(x: Any, y: Any) -> Variable:
    """The sum x + y."""
    return elementwise("add", x, y)


def subtract(x: Any, y: Any) -> Variable:
    """The difference x - y."""
    return elementwise("sub", x, y, label="subtract")


def multiply(x: Any, y: Any) -> Variable:
    """The elementwise product x * y."""
    return elementwise("mul", x, y, label="multiply")


def divide(x: Any, y: Any) -> Variable:
    """The quotient x / y of floats."""
    return elementwise("div", x, y, label="divide")


def power(x: Any, y: Any) -> Variable:
    """The power x ** y; small integral and half exponents become products and roots."""
    if isinstance(y, (int, float)) and not isinstance(y, bool):
        if y == 2:
            return multiply(x, x)
        if y == 3:
            return multiply(multiply(x, x), x)
        if y == 1:
            return as_variables(x)[0]
        if y == 0.5:
            return sqrt(x)
        if y == -0.5:
            return rsqrt(x)
        if y == -1:
            return divide(1.0, x)
    return elementwise("pow", x, y, label="power")


def maximum(x: Any, y: Any) -> Variable:
    """The greater of x and y; NaN if either is.

    At a tie the gradient is shared evenly, except that a constant operand wins its ties: the
    derivative of maximum(x, 0) at 0 is 0.
    """
    return elementwise("maximum", x, y)


def minimum(x: Any, y: Any) -> Variable:
    """The lesser of x and y; ties as in `maximum`."""
    return elementwise("minimum", x, y)


def equal(x: Any, y: Any) -> Variable:
    """Whether x equals y, as bool; the operator == compares variables as objects."""
    return elementwise("eq", x, y, label="equal")


def not_equal(x: Any, y: Any) -> Variable:
    """Whether x differs from y, as bool."""
    return elementwise("ne", x, y, label="not_equal")


def less(x: Any, y: Any) -> Variable:
    """Whether x < y, as bool."""
    return elementwise("lt", x, y, label="less")


def less_equal(x: Any, y: Any) -> Variable:
    """Whether x <= y, as bool."""
    return elementwise("le", x, y, label="less_equal")


def greater(x: Any, y: Any) -> Variable:
    """Whether x > y, as bool."""
    return elementwise("gt", x, y, label="greater")


def greater_equal(x: Any, y: Any) -> Variable:
    """Whether x >= y, as bool."""
    return elementwise("ge", x, y, label="greater_equal")


def logical_and(x: Any, y: Any) -> Variable:
    """Whether both of two bools are true."""
    return elementwise("and", x, y, label="logical_and")


def logical_or(x: Any, y: Any) -> Variable:
    """Whether one of two bools at least is true."""
    return elementwise("or", x, y, label="logical_or")


def logical_xor(x: Any, y: Any) -> Variable:
    """Whether one of two bools alone is true."""
    return elementwise("xor", x, y, label="logical_xor")


def logical_not(x: Any) -> Variable:
    """Not x, of bools."""
    return unary("not", x)


def where(condition: Any, x: Any, y: Any) -> Variable:
    """The elements of x where a bool is true, else of y; none of the gradient goes elsewhere."""
    mask = as_variables(condition)[0]
    branches = as_variables(x, y)

    def rule(b: Builder, mask: Node, *nodes: Node) -> Node:
        if mask.dtype != "bool":
            raise DtypeRuleError(f"expects a condition of dtype bool, not {mask.dtype}: compare it")
        one_dtype(nodes)
        return b.select(*align(b, (mask, *nodes)))

    result: Variable = apply("where", rule, [mask, *branches])
    return result


def astype(x: Any, dtype: Any) -> Variable:
    """The elements of x in another dtype, as NumPy converts."""
    name = dtype_name(dtype)
    result: Variable = apply(
        f"astype {name}", lambda b, node: b.cast(node, dtype=name), as_variables(x)
    )
    return result


def negative(x: Any) -> Variable:
    """-x."""
    return unary("neg", x)


def absolute(x: Any) -> Variable:
    """|x|; derivative 0 at 0."""
    return unary("abs", x)


def sign(x: Any) -> Variable:
    """-1, 0 or 1; derivative 0 everywhere."""
    return unary("sign", x)


def floor(x: Any) -> Variable:
    """The greatest integer not above x."""
    return unary("floor", x)


def ceil(x: Any) -> Variable:
    """The least integer not below x."""
    return unary("ceil", x)


def exp(x: Any) -> Variable:
    """The exponential function."""
    return unary("exp", x)


def expm1(x: Any) -> Variable:
    """exp(x) - 1, precise near 0."""
    return unary("expm1", x)


def log(x: Any) -> Variable:
    """Natural logarithm."""
    return unary("log", x)


def log1p(x: Any) -> Variable:
    """log(1 + x), precise near 0."""
    return unary("log1p", x)


def sqrt(x: Any) -> Variable:
    """Square root."""
    return unary("sqrt", x)


def rsqrt(x: Any) -> Variable:
    """1 / sqrt(x)."""
    return unary("rsqrt", x)


def sin(x: Any) -> Variable:
    """Sine of radians."""
    return unary("sin", x)


def cos(x: Any) -> Variable:
    """Cosine of radians."""
    return unary("cos", x)


def tanh(x: Any) -> Variable:
    """Hyperbolic tangent."""
    return unary("tanh", x)


def sigmoid(x: Any) -> Variable:
    """1 / (1 + exp(-x)), the logistic function."""
    return unary("sigmoid", x)


def erf(x: Any) -> Variable:
    """The error function."""
    return unary("erf", x)


def stop_gradient(x: Any) -> Variable:
    """The value of x itself; no gradient flows back through it."""
    return unary("stop_gradient", x)
