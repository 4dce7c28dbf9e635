"""Bits of integers, and the same operators between bools: & | ^ ~ << >>."""

from __future__ import annotations

from typing import Any

import numpy as np

from ....compiler.errors import DtypeRuleError
from ....compiler.graph import Node
from ....compiler.primitives.record import Builder
from ...variables.applying import apply
from ...variables.kinds import Elementwise
from ...variables.variable import Variable
from ..broadcasting import align, as_variables, one_dtype


def bitwise_and(x: Any, y: Any) -> Variable:
    """The bits that two integers both have, or whether two bools are both true: x & y.

    Args:
        x: integers or bools, of any shape.
        y: of the same dtype, of a shape that broadcasts with x's.

    Returns:
        Of the operands' dtype; negative integers are in two's complement, as in Python.

    Raises:
        DtypeError, ShapeError: when the diagram is built: floats, two dtypes, other shapes.
    """
    return _bits("and", "bitwise_and", x, y)


def bitwise_or(x: Any, y: Any) -> Variable:
    """The bits that one of two integers has, or whether a bool is true: x | y, as `bitwise_and`."""
    return _bits("or", "bitwise_or", x, y)


def bitwise_xor(x: Any, y: Any) -> Variable:
    """The bits in which two integers differ, or whether two bools do: x ^ y, as `bitwise_and`."""
    return _bits("xor", "bitwise_xor", x, y)


def bitwise_invert(x: Any) -> Variable:
    """The other bits of an integer, -x - 1 of a signed one, or not a bool: ~x."""
    return _bits("not", "bitwise_invert", x)


def bitwise_left_shift(x: Any, y: Any) -> Variable:
    """The bits of x moved to higher places, x * 2 ** y with what does not fit cut off: x << y.

    Args:
        x: integers, of any shape.
        y: by how many places: of the same dtype, of a shape that broadcasts.

    Returns:
        Of the operands' dtype; 0 where y is negative, or is the number of bits or more, as in
        NumPy.

    Raises:
        DtypeError, ShapeError: when the diagram is built: no integers, two dtypes, other shapes.
    """

    def rule(b: Builder, x: Node, y: Node) -> Node:
        return b.select(_places(b, y), b.shift_left(x, y), b.fill(0, x.type))

    return _shift("bitwise_left_shift", rule, x, y)


def bitwise_right_shift(x: Any, y: Any) -> Variable:
    """The bits of x moved to lower places, the floor of x / 2 ** y: x >> y.

    As `bitwise_left_shift`; -1 where a negative x is moved by the number of its bits or more.
    """

    def rule(b: Builder, x: Node, y: Node) -> Node:
        zero = b.fill(0, x.type)
        gone = zero if x.dtype == "uint32" else b.select(b.lt(x, zero), b.fill(-1, x.type), zero)
        return b.select(_places(b, y), b.shift_right(x, y), gone)

    return _shift("bitwise_right_shift", rule, x, y)


def _places(b: Builder, y: Node) -> Node:
    """Whether a count of places is one of the integer's own."""
    below = b.lt(y, b.fill(np.iinfo(y.dtype).bits, y.type))
    return b.apply("and", b.ge(y, b.fill(0, y.type)), below)


def _bits(op: str, label: str, *operands: Any) -> Variable:
    given = as_variables(*operands)
    if all(item.mistakes or item.dtype == "bool" for item in given):
        label = f"logical_{op}"

    def rule(b: Builder, *nodes: Node) -> Node:
        one_dtype(nodes)
        if nodes[0].type.is_float:
            raise DtypeRuleError("expects integers or bools: compare floats, or convert them")
        return b.apply(op, *align(b, nodes))

    result: Variable = apply(label, rule, given, kind=Elementwise, op=op)
    return result


def _shift(label: str, of: Any, x: Any, y: Any) -> Variable:
    def rule(b: Builder, *nodes: Node) -> Node:
        one_dtype(nodes)
        if not nodes[0].dtype.startswith(("int", "uint")):
            raise DtypeRuleError("expects integers: convert them with .astype(dg.int32)")
        found: Node = of(b, *align(b, nodes))
        return found

    result: Variable = apply(label, rule, as_variables(x, y))
    return result
