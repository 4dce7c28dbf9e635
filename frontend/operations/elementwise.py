"""Elementwise operations, with broadcasting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...compiler.dtypes import COMPUTED, computed
from ...compiler.errors import DtypeRuleError
from ...compiler.graph import Node
from ...compiler.primitives.record import Builder
from ..variables.applying import apply
from ..variables.kinds import Elementwise
from ..variables.variable import Variable, dtype_name
from .broadcasting import align, as_variables, one_dtype, one_storage
from .integers.powers import integer_power, known_power
from .reach import within_reach


def elementwise(op: str, *operands: Any, label: str | None = None) -> Variable:
    """The primitive `op` of operands that broadcast."""
    label = label or op
    op, operands = within_reach(op, operands)

    def rule(b: Builder, *nodes: Node) -> Node:
        one_dtype(nodes)
        return b.apply(op, *align(b, nodes))

    given = as_variables(*operands)
    result: Variable = apply(label, rule, given, kind=Elementwise, op=op)
    return result


def unary(op: str, x: Any) -> Variable:
    """The primitive `op` of one operand."""
    given = as_variables(x)
    result: Variable = apply(op, lambda b, node: b.apply(op, node), given, kind=Elementwise, op=op)
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


def reciprocal(x: Any) -> Variable:
    """1 / x, of floats."""
    return elementwise("div", 1.0, x, label="reciprocal")


def square(x: Any) -> Variable:
    """X * x, of numbers."""
    (x,) = as_variables(x)
    return elementwise("mul", x, x, label="square")


def power(x: Any, y: Any) -> Variable:
    """The power x ** y; small integral and half exponents of floats become products and roots.

    x ** 0 is 1 for every x, NaN too.  The derivative by y is x ** y * log(x), as in PyTorch: NaN
    where x is negative, for there is no power beside a whole exponent, and 0 where x is 0 and y is
    not negative.

    Integers to the power of integers of the same dtype are integers, which wrap around as products
    do.  A negative exponent is a mistake where it is a constant; a computed one gives 0, or 1 and
    -1 for a base of those, as in PyTorch.
    """
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

    def rule(b: Builder, *nodes: Node) -> Node:
        one_dtype(nodes)
        base, exponent = align(b, nodes)
        if base.dtype.startswith(("int", "uint")):
            if known is not None:
                return known_power(b, base, int(known))
            return integer_power(b, base, exponent)
        if known == -1:
            return b.div(b.fill(1, base.type), base)
        return b.pow(base, exponent)

    given = as_variables(x, y)
    value = given[1].value
    known = value.item() if value is not None and value.ndim == 0 else None
    result: Variable = apply("power", rule, given, kind=Elementwise, op="pow")
    return result


def maximum(x: Any, y: Any) -> Variable:
    """The greater of x and y; NaN if either is.

    At a tie the gradient is shared evenly, except that a constant operand wins its ties: the
    derivative of maximum(x, 0) at 0 is 0.  Beside a NaN it goes to both.
    """
    return elementwise("maximum", x, y)


def minimum(x: Any, y: Any) -> Variable:
    """The lesser of x and y; ties as in `maximum`."""
    return elementwise("minimum", x, y)


def clip(x: Any, low: Any = None, high: Any = None) -> Variable:
    """The elements of x, those below `low` raised to it, and those above `high` lowered to it.

    Args:
        x: numbers of any shape.
        low: a number or a variable of x's dtype that broadcasts; None for no limit.
        high: likewise; it is the result where low is above it, as in NumPy.

    Returns:
        Of x's dtype; NaN stays.  The gradient goes to what was chosen; at a limit that is a number
        it is 0, as for `maximum`.

    Raises:
        DtypeError, ShapeError: when the diagram is built: bools, two dtypes, other shapes.
    """
    x = x if low is None else maximum(x, low)
    x = x if high is None else minimum(x, high)
    return as_variables(x)[0]


def comparison(op: str, x: Any, y: Any, label: str) -> Variable:
    """A primitive that compares; integers of different dtypes are compared as numbers (int64)."""

    def rule(b: Builder, *nodes: Node) -> Node:
        dtypes = {node.dtype for node in nodes}
        if len(dtypes) > 1 and dtypes <= {"int32", "int64", "uint32"}:
            nodes = tuple(
                node if node.dtype == "int64" else b.cast(node, dtype="int64") for node in nodes
            )
        one_dtype(nodes)
        return b.apply(op, *align(b, nodes))

    op, operands = within_reach(op, (x, y))
    result: Variable = apply(label, rule, as_variables(*operands), kind=Elementwise, op=op)
    return result


def equal(x: Any, y: Any) -> Variable:
    """Whether x equals y, as bool: x == y."""
    return comparison("eq", x, y, "equal")


def not_equal(x: Any, y: Any) -> Variable:
    """Whether x differs from y, as bool: x != y."""
    return comparison("ne", x, y, "not_equal")


def less(x: Any, y: Any) -> Variable:
    """Whether x < y, as bool."""
    return comparison("lt", x, y, "less")


def less_equal(x: Any, y: Any) -> Variable:
    """Whether x <= y, as bool."""
    return comparison("le", x, y, "less_equal")


def greater(x: Any, y: Any) -> Variable:
    """Whether x > y, as bool."""
    return comparison("gt", x, y, "greater")


def greater_equal(x: Any, y: Any) -> Variable:
    """Whether x >= y, as bool."""
    return comparison("ge", x, y, "greater_equal")


def logical_and(x: Any, y: Any) -> Variable:
    """Whether both of two bools are true."""
    return _logical("and", x, y)


def logical_or(x: Any, y: Any) -> Variable:
    """Whether one of two bools at least is true."""
    return _logical("or", x, y)


def logical_xor(x: Any, y: Any) -> Variable:
    """Whether one of two bools alone is true."""
    return _logical("xor", x, y)


def logical_not(x: Any) -> Variable:
    """Not x, of bools."""
    return _logical("not", x)


def _logical(op: str, *operands: Any) -> Variable:
    def rule(b: Builder, *nodes: Node) -> Node:
        one_dtype(nodes)
        if nodes[0].dtype != "bool":
            raise DtypeRuleError(f"expects bools, not {nodes[0].dtype}: compare them, as in x != 0")
        return b.apply(op, *align(b, nodes))

    given = as_variables(*operands)
    result: Variable = apply(f"logical_{op}", rule, given, kind=Elementwise, op=op)
    return result


def where(condition: Any, x: Any, y: Any) -> Variable:
    """The elements of x where a bool is true, else of y; the gradient goes to what was chosen.

    To what was not chosen flows 0, and 0 times an infinite or NaN derivative is NaN: where
    sqrt(x) or log(x) is not wanted, the operand must be chosen too, as in
    where(x > 0, sqrt(where(x > 0, x, 1.0)), 0.0).
    """
    mask = as_variables(condition)[0]
    branches = as_variables(x, y)

    def rule(b: Builder, mask: Node, *nodes: Node) -> Node:
        if mask.dtype != "bool":
            raise DtypeRuleError(f"expects a condition of dtype bool, not {mask.dtype}: compare it")
        return b.select(*align(b, (mask, *one_storage(b, nodes))))

    result: Variable = apply("where", rule, [mask, *branches], as_stored=True)
    return result


def astype(x: Any, dtype: Any) -> Variable:
    """The elements of x in another dtype.

    From float to integer they go towards 0; what is out of range becomes the nearest integer of
    the dtype (a negative float an unsigned 0), and NaN 0.  Integers wrap around.  Every float is
    True, NaN too, but 0 and what is computed with as 0: numbers below the least normal one.
    """
    name = dtype_name(dtype)
    result: Variable = apply(
        f"astype {name}", lambda b, node: b.cast(node, dtype=name), as_variables(x), as_stored=True
    )
    result.weak = ""  # it is stated now
    return result


def as_operands(*operands: Any) -> list[Variable]:
    """Operands of what computes as variables: halves as the floats that they are computed with."""
    return [
        astype(item, computed(item.dtype))
        if not item.mistakes and item.type.is_float and item.dtype in COMPUTED
        else item
        for item in as_variables(*operands)
    ]


def negative(x: Any) -> Variable:
    """-x; of unsigned integers it is what x lacks to 2 ** 32, as in NumPy."""
    return _signed("neg", x, lambda b, node: b.sub(b.fill(0, node.type), node))


def absolute(x: Any) -> Variable:
    """|x|; derivative 0 at 0, and NaN at NaN."""
    return _signed("abs", x, lambda b, node: node)


def sign(x: Any) -> Variable:
    """-1, 0 or 1, NaN of NaN as in NumPy; derivative 0 everywhere."""
    return _signed("sign", x, lambda b, node: b.minimum(node, b.fill(1, node.type)))


def _signed(op: str, x: Any, unsigned: Callable[[Builder, Node], Node]) -> Variable:
    """The primitive `op`, or what it comes to where there is no sign."""

    def rule(b: Builder, node: Node) -> Node:
        return unsigned(b, node) if node.dtype.startswith("uint") else b.apply(op, node)

    result: Variable = apply(op, rule, as_variables(x), kind=Elementwise, op=op)
    return result


def floor(x: Any) -> Variable:
    """The greatest integer not above x, of x's dtype; integers are themselves."""
    return _to_integer("floor", x)


def ceil(x: Any) -> Variable:
    """The least integer not below x, of x's dtype; integers are themselves."""
    return _to_integer("ceil", x)


def _to_integer(op: str, x: Any) -> Variable:
    def rule(b: Builder, node: Node) -> Node:
        return node if node.dtype.startswith(("int", "uint")) else b.apply(op, node)

    result: Variable = apply(op, rule, as_variables(x), kind=Elementwise, op=op)
    return result


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
    """The square root; its derivative at 0 is infinite, so that a norm of zeros has NaN."""
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
    """Hyperbolic tangent; the derivative, 1 - y * y, is 0 where y has rounded to 1 or -1."""
    return unary("tanh", x)


def sigmoid(x: Any) -> Variable:
    """1 / (1 + exp(-x)), the logistic function; the derivative is 0 where it has rounded to 1."""
    return unary("sigmoid", x)


def erf(x: Any) -> Variable:
    """The error function."""
    return unary("erf", x)


def stop_gradient(x: Any) -> Variable:
    """The value of x itself; no gradient flows back through it."""
    result: Variable = apply(
        "stop_gradient",
        lambda b, node: b.stop_gradient(node),
        as_variables(x),
        kind=Elementwise,
        as_stored=True,
        op="stop_gradient",
    )
    return result
