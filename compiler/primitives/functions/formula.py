"""Nodes that read like numbers, so that a formula is written as on paper."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ...graph import Node
from ..record import Builder

Number = float | int


class Formula:
    """A node, with Python's operators; a number beside it is that number in every element."""

    __slots__ = ("b", "node")

    def __init__(self, b: Builder, node: Node) -> None:
        self.b, self.node = b, node

    def like(self, node: Node) -> Formula:
        """Another node of the same builder."""
        return Formula(self.b, node)

    def number(self, value: Number) -> Formula:
        """A number of this type."""
        return self.like(self.b.fill(value, self.node.type))

    def _of(self, other: Formula | Number) -> Formula:
        return other if isinstance(other, Formula) else self.number(other)

    def _two(self, op: str, other: Formula | Number) -> Formula:
        return self.like(self.b.apply(op, self.node, self._of(other).node))

    def one(self, op: str) -> Formula:
        """A primitive of this node alone."""
        return self.like(self.b.apply(op, self.node))

    def __add__(self, other: Formula | Number) -> Formula:
        return self._two("add", other)

    __radd__ = __add__

    def __sub__(self, other: Formula | Number) -> Formula:
        return self._two("sub", other)

    def __rsub__(self, other: Number) -> Formula:
        return self.number(other) - self

    def __mul__(self, other: Formula | Number) -> Formula:
        return self._two("mul", other)

    __rmul__ = __mul__

    def __truediv__(self, other: Formula | Number) -> Formula:
        return self._two("div", other)

    def __rtruediv__(self, other: Number) -> Formula:
        return self.number(other) / self

    def __pow__(self, other: Formula | Number) -> Formula:
        return self._two("pow", other)

    def __neg__(self) -> Formula:
        return self.one("neg")

    def __abs__(self) -> Formula:
        return self.one("abs")

    def __lt__(self, other: Formula | Number) -> Formula:
        return self._two("lt", other)

    def __le__(self, other: Formula | Number) -> Formula:
        return self._two("le", other)

    def __gt__(self, other: Formula | Number) -> Formula:
        return self._two("gt", other)

    def __and__(self, other: Formula) -> Formula:
        return self._two("and", other)

    def __or__(self, other: Formula) -> Formula:
        return self._two("or", other)

    def equals(self, other: Formula | Number) -> Formula:
        """Whether the elements are equal (`==` is left to Python)."""
        return self._two("eq", other)

    def largest(self, other: Formula) -> Formula:
        """The greater of two."""
        return self._two("maximum", other)

    def smallest(self, other: Formula) -> Formula:
        """The lesser of two."""
        return self._two("minimum", other)

    def negative(self) -> Formula:
        """Whether the sign is minus, of a zero too."""
        return (self < 0) | (self.equals(0) & (1 / self < 0))

    def signed_as(self, other: Formula) -> Formula:
        """A value that is not negative, with the sign of another."""
        return where(other.negative(), -self, self)

    def rounded(self) -> Formula:
        """The nearest integer, an even one of two, while it is smaller than 2 ** 51."""
        return (self + 1.5 * 2.0**52) - 1.5 * 2.0**52


def where(mask: Formula, yes: Formula | Number, no: Formula | Number) -> Formula:
    """The elements of one formula where a mask holds, of another elsewhere."""
    model = yes if isinstance(yes, Formula) else no
    assert isinstance(model, Formula)
    first, second = model._of(yes), model._of(no)
    return model.like(model.b.select(mask.node, first.node, second.node))


def polynomial(x: Formula, coefficients: Sequence[Number]) -> Formula:
    """Horner's rule; coefficients from the highest power down."""
    total = x.number(coefficients[0])
    for coefficient in coefficients[1:]:
        total = total * x + coefficient
    return total


def exp(x: Formula) -> Formula:
    """The exponential function."""
    return x.one("exp")


def log(x: Formula) -> Formula:
    """The natural logarithm."""
    return x.one("log")


def log1p(x: Formula) -> Formula:
    """log(1 + x)."""
    return x.one("log1p")


def sqrt(x: Formula) -> Formula:
    """The square root."""
    return x.one("sqrt")


def sine_of_pi(x: Formula) -> Formula:
    """sin(pi x), to some roundings of its own, at large x too."""
    turn = x - 2 * (x * 0.5).rounded()
    back = where(turn < 0, -1 - turn, 1 - turn)
    return (math.pi * where(abs(turn) > 0.5, back, turn)).one("sin")


def cosine_of_pi(x: Formula) -> Formula:
    """cos(pi x), likewise."""
    turn = abs(x - 2 * (x * 0.5).rounded())
    return sine_of_pi(0.5 - turn)
