"""Division that rounds down, and what is left: Python's // and %, of integers and of floats."""

from __future__ import annotations

from typing import Any

import numpy as np

from ....compiler.errors import DtypeRuleError
from ....compiler.graph import Node
from ....compiler.primitives.record import Builder
from ...variables.applying import apply
from ...variables.variable import Variable
from ..broadcasting import align, as_variables, one_dtype


def floor_divide(x: Any, y: Any) -> Variable:
    """The greatest integer not above x / y, as Python's and NumPy's x // y.

    Args:
        x: integers or floats, of any shape.
        y: of the same dtype, of a shape that broadcasts with x's.

    Returns:
        Of the operands' dtype.  Integers are divided exactly; by 0 they are 0, as in NumPy, and
        the least one by -1 wraps around.  Of floats it is (x - x % y) / y, as in NumPy, or x / y
        as it is rounded where that leaves no place for a fraction; the derivative is 0.

    Raises:
        DtypeError, ShapeError: when the diagram is built: bools, two dtypes, other shapes.
    """
    return _division("floor_divide", x, y, _floor_quotient, _floats_floored)


def remainder(x: Any, y: Any) -> Variable:
    """What is left of x without (x // y) y, with the sign of y: Python's and NumPy's x % y.

    Arguments and errors are those of `floor_divide`; the derivative by x is 1, by y -(x // y).

    Returns:
        Of the operands' dtype.  Of integers it is exact, and 0 where y is 0, as in NumPy.  Of
        floats it is NumPy's too, but for the sign of a zero, while |x / y| is below 2 ** 106; it is
        NaN beyond, where y is 0, and where x is infinite.
    """
    return _division("remainder", x, y, _floor_remainder, _floats_left)


def divmod(x: Any, y: Any) -> tuple[Variable, Variable]:
    """Both x // y and x % y: `floor_divide` and `remainder`."""
    x, y = as_variables(x, y)
    return floor_divide(x, y), remainder(x, y)


def fmod(x: Any, y: Any) -> Variable:
    """What is left of x without k y, where k is x / y without its fraction, as in C and NumPy.

    It has the sign of x.  Arguments, range, derivatives and errors are those of `remainder`, with k
    for x // y.
    """
    return _division("fmod", x, y, _cut_remainder, lambda b, x, y: b.fmod(x, y))


def _division(label: str, x: Any, y: Any, of_integers: Any, of_floats: Any) -> Variable:
    def rule(b: Builder, *nodes: Node) -> Node:
        one_dtype(nodes)
        if nodes[0].dtype == "bool":
            raise DtypeRuleError("expects numbers: cast bools with .astype(dg.int32)")
        found: Node = (of_floats if nodes[0].type.is_float else of_integers)(b, *align(b, nodes))
        return found

    result: Variable = apply(label, rule, as_variables(x, y))
    return result


def _differ(b: Builder, rest: Node, y: Node) -> Node:
    """Whether what is left is not 0 and has another sign than y."""
    zero = b.fill(0, y.type)
    other = b.apply("xor", b.lt(rest, zero), b.lt(y, zero))
    return b.apply("and", b.ne(rest, zero), other)


def _floats_left(b: Builder, x: Node, y: Node) -> Node:
    rest = b.fmod(x, y)
    return b.select(_differ(b, rest, y), b.add(rest, y), rest)


def _floats_floored(b: Builder, x: Node, y: Node) -> Node:
    """As NumPy has it: the quotient of what y goes into, rounded to the integer that it is.

    A quotient too large for a fraction is one already.  Of an infinite x it is NaN, but by 0.
    """
    rest, one = b.fmod(x, y), b.fill(1, x.type)
    whole = b.div(b.sub(x, rest), y)
    whole = b.select(_differ(b, rest, y), b.sub(whole, one), whole)
    floored = b.floor(whole)
    above = b.gt(b.sub(whole, floored), b.fill(0.5, x.type))
    floored = b.select(above, b.add(floored, one), floored)
    quotient = b.div(x, y)
    far = b.ge(b.abs(quotient), b.fill(2.0 ** (np.finfo(x.dtype).nmant + 1), x.type))
    finite = b.zeros_where(b.eq(y, b.fill(0, y.type)), b.sub(x, x))
    found: Node = b.floor(b.select(far, b.add(quotient, finite), floored))
    return found


def _cut_quotient(b: Builder, x: Node, y: Node) -> tuple[Node, Node]:
    """The quotient of integers towards 0, or one from it on the far side, and what is left.

    In float64, which holds 32 bits: a quotient of those is never rounded to an integer that it does
    not reach.  One of 64 bits is off by few thousands at most, and what is left is divided again.
    """
    wide = "float64"
    divisor = b.cast(y, dtype=wide)
    quotient, rest = b.fill(0, x.type), x
    for _ in range(2 if x.dtype == "int64" else 1):
        step = b.cast(b.div(b.cast(rest, dtype=wide), divisor), dtype="int64")
        step = step if x.dtype == "int64" else b.cast(step, dtype=x.dtype)
        quotient, rest = b.add(quotient, step), b.sub(rest, b.mul(step, y))
    return quotient, rest


def _floor_quotient(b: Builder, x: Node, y: Node) -> Node:
    quotient, rest = _cut_quotient(b, x, y)
    lower = b.sub(quotient, b.fill(1, x.type))
    found = b.select(_differ(b, rest, y), lower, quotient)
    return b.zeros_where(b.eq(y, b.fill(0, y.type)), found)


def _floor_remainder(b: Builder, x: Node, y: Node) -> Node:
    _, rest = _cut_quotient(b, x, y)
    found = b.select(_differ(b, rest, y), b.add(rest, y), rest)
    return b.zeros_where(b.eq(y, b.fill(0, y.type)), found)


def _cut_remainder(b: Builder, x: Node, y: Node) -> Node:
    """As the floored one, but for the sign, which is that of x."""
    zero = b.fill(0, y.type)
    rest = _floor_remainder(b, x, y)
    apart = b.apply("xor", b.lt(rest, zero), b.lt(x, zero))
    apart = b.apply("and", apart, b.ne(rest, zero))
    return b.select(apart, b.sub(rest, y), rest)
