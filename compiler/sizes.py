"""Sizes: integers that may depend on named sizes such as "B", kept as polynomials.

A `Size` is a polynomial with integer coefficients over named sizes, floor divisions and minima, in
a normal form, so that equal sizes compare equal: `B * 10 == 10 * B`.  A size without names is
always a plain `int`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import floor
from typing import Any, Union, overload

Dim = Union[int, "Size"]


@dataclass(frozen=True, slots=True)
class FloorDivision:
    """The atom floor(numerator / denominator), where the division is not exact for all sizes."""

    inner: Size
    denominator: int

    def of(self, value: Any) -> Any:
        """Its value where the inner size has this one."""
        return value // self.denominator

    def __str__(self) -> str:
        return f"(({self.inner})//{self.denominator})"


@dataclass(frozen=True, slots=True)
class Minimum:
    """The atom min(inner, bound)."""

    inner: Size
    bound: int

    def of(self, value: Any) -> Any:
        """Its value where the inner size has this one, which may be an array."""
        return value - (value - self.bound) * (value > self.bound)

    def __str__(self) -> str:
        return f"min({self.inner},{self.bound})"


Atom = str | FloorDivision | Minimum
Monomial = tuple[Atom, ...]


@dataclass(frozen=True, slots=True)
class Size:
    """A polynomial: ((monomial, coefficient), ...) in a fixed order, without zero coefficients."""

    terms: tuple[tuple[Monomial, int], ...]

    def __add__(self, other: Dim) -> Dim:
        if not isinstance(other, (int, Size)):
            return NotImplemented  # it may know how to add a size
        return self if other == 0 else _collect([*self.terms, *_terms(other)])

    __radd__ = __add__

    def __neg__(self) -> Dim:
        return _collect((monomial, -factor) for monomial, factor in self.terms)

    def __sub__(self, other: Dim) -> Dim:
        if not isinstance(other, (int, Size)):
            return NotImplemented
        return self + -other

    def __rsub__(self, other: int) -> Dim:
        return -self + other

    def __mul__(self, other: Dim) -> Dim:
        if isinstance(other, int):
            if other in (0, 1):
                return self if other else 0
            return Size(tuple([(monomial, factor * other) for monomial, factor in self.terms]))
        if not isinstance(other, Size):
            return NotImplemented
        return _collect(
            [(_ordered(left + right), a * b) for left, a in self.terms for right, b in other.terms]
        )

    __rmul__ = __mul__

    def __str__(self) -> str:
        text = ""
        for monomial, factor in self.terms:
            body = "*".join(map(str, monomial))
            size = str(abs(factor)) if not body else body if abs(factor) == 1 else ""
            size = size or f"{abs(factor)}*{body}"
            text += ("-" if factor < 0 else "+" if text else "") + size
        return text

    __repr__ = __str__


def named(name: str) -> Size:
    """The size called `name`."""
    return Size((((name,), 1),))


def floor_divide(size: Dim, divisor: int) -> Dim:
    """floor(size / divisor), exact for every value of the names; divisor > 0."""
    if isinstance(size, int):
        return size // divisor
    if all(factor % divisor == 0 for _, factor in size.terms):
        return _collect((monomial, factor // divisor) for monomial, factor in size.terms)
    return Size((((FloorDivision(size, divisor),), 1),))


def minimum(size: Dim, bound: int) -> Dim:
    """The smaller of a size and a number."""
    return min(size, bound) if isinstance(size, int) else Size((((Minimum(size, bound),), 1),))


def ceil_divide(size: Dim, divisor: int) -> Dim:
    """ceil(size / divisor); divisor > 0."""
    return floor_divide(size + (divisor - 1), divisor)


def exact_divide(size: Dim, divisor: Dim) -> Dim | None:
    """Size / divisor as a polynomial where that is one for all values of the names, else None.

    Long division: the largest term left is divided by the divisor's largest one, in an order that
    products keep.
    """
    if size == divisor:
        return 1
    below = _terms(divisor)
    atoms = sorted({atom for term in (*_terms(size), *below) for atom in term[0]}, key=str)

    def order(term: tuple[Monomial, int]) -> list[int]:
        return [term[0].count(atom) for atom in atoms]

    first, by = max(below, key=order)
    quotient: Dim = 0
    while size != 0:
        monomial, factor = max(_terms(size), key=order)
        rest = list(monomial)
        for atom in first:
            if atom not in rest:
                return None
            rest.remove(atom)
        if by == 0 or factor % by:
            return None
        part = _collect([(tuple(rest), factor // by)])
        quotient, size = quotient + part, size - part * divisor
    return quotient


def upper_bound(size: Dim) -> int:
    """A number that no value of the names takes `size` above; ValueError where there is none.

    Each floor(n / d) is taken as n / d where it adds to the size, and as (n - d + 1) / d where it
    takes from it; the names must then cancel.  A minimum is taken as its bound.
    """
    from fractions import Fraction

    total: dict[Monomial, Fraction] = {}
    for monomial, factor in _terms(size):
        parts: list[tuple[Monomial, Fraction]] = [(monomial, Fraction(factor))]
        if len(monomial) == 1 and isinstance(monomial[0], FloorDivision):
            atom = monomial[0]
            numerator = atom.inner if factor > 0 else atom.inner - (atom.denominator - 1)
            share = Fraction(factor, atom.denominator)
            parts = [(inner, share * number) for inner, number in _terms(numerator)]
        elif len(monomial) == 1 and isinstance(monomial[0], Minimum) and factor > 0:
            parts = [((), Fraction(factor * monomial[0].bound))]
        for inner, number in parts:
            total[inner] = total.get(inner, Fraction(0)) + number
    if any(number for monomial, number in total.items() if monomial):
        raise ValueError(f"{size} grows with its names")
    return floor(total.get((), 0))


def product(sizes: Iterable[Dim]) -> Dim:
    """The product of `sizes`; 1 for none."""
    result: Dim = 1
    for size in sizes:
        result = result * size
    return result


@overload
def evaluate(size: Dim, values: Mapping[str, int]) -> int: ...
@overload
def evaluate(size: Dim, values: Mapping[str, Any]) -> Any: ...


def evaluate(size: Dim, values: Mapping[str, Any]) -> Any:
    """The value of `size` where each name has its value; KeyError names one that has none.

    Values are integers, or arrays of integers, which give an array.
    """
    if isinstance(size, int):
        return size
    total: Any = 0
    for monomial, coefficient in size.terms:
        part: Any = coefficient
        for atom in monomial:
            value = values[atom] if isinstance(atom, str) else atom.of(evaluate(atom.inner, values))
            part = part * value
        total = total + part
    return total


NOMINAL = 64
"""What every named size counts as where sizes are compared before they are known."""


def nominal(size: Dim) -> int:
    """The value of a size whose names all stand for NOMINAL."""
    return evaluate(size, dict.fromkeys(names(size), NOMINAL))


def assign(size: Dim, values: Mapping[str, Dim]) -> Dim:
    """The size with values in the place of some of its names."""
    if isinstance(size, int):
        return size
    total: Dim = 0
    for monomial, factor in size.terms:
        part: Dim = factor
        for atom in monomial:
            if isinstance(atom, str):
                part = part * values.get(atom, named(atom))
            elif isinstance(atom, Minimum):
                part = part * minimum(assign(atom.inner, values), atom.bound)
            else:
                part = part * floor_divide(assign(atom.inner, values), atom.denominator)
        total = total + part
    return total


def names(size: Dim) -> set[str]:
    """The names that `size` depends on."""
    found: set[str] = set()
    if isinstance(size, int):
        return found
    for monomial, _ in size.terms:
        for atom in monomial:
            found |= {atom} if isinstance(atom, str) else names(atom.inner)
    return found


def _terms(size: Dim) -> tuple[tuple[Monomial, int], ...]:
    return (((), size),) if isinstance(size, int) else size.terms


def _ordered(monomial: Monomial) -> Monomial:
    return monomial if len(monomial) < 2 else tuple(sorted(monomial, key=str))


def _collect(terms: Iterable[tuple[Monomial, int]]) -> Dim:
    total: dict[Monomial, int] = {}
    for monomial, factor in terms:
        total[monomial] = total.get(monomial, 0) + factor
    left = [(monomial, factor) for monomial, factor in total.items() if factor]
    if not left:
        return 0
    if len(left) == 1:
        return left[0][1] if left[0][0] == () else Size((left[0],))
    return Size(tuple(sorted(left, key=lambda term: (-len(term[0]), tuple(map(str, term[0]))))))
