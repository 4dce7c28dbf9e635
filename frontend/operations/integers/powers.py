"""Powers of integers, by squaring; what does not fit into the dtype wraps around."""

from __future__ import annotations

import numpy as np

from ....compiler.errors import DtypeRuleError
from ....compiler.graph import Node
from ....compiler.primitives.record import Builder


def integer_power(b: Builder, x: Node, y: Node) -> Node:
    """The power x ** y of integers of one dtype and shape.

    A negative exponent gives what is left of the fraction, 0 but for a base of 1 or -1.
    """
    one, zero = b.fill(1, x.type), b.fill(0, x.type)
    width = np.iinfo(x.dtype).bits - (x.dtype != "uint32")
    power, square = one, x
    for bit in range(width):
        chosen = b.ne(b.apply("and", y, b.fill(1 << bit, y.type)), zero)
        power = b.select(chosen, b.mul(power, square), power)
        square = b.mul(square, square)
    if x.dtype == "uint32":
        return power
    unit = b.apply("or", b.eq(x, one), b.eq(x, b.fill(-1, x.type)))
    fraction = b.apply("and", b.lt(y, zero), b.apply("not", unit))
    return b.zeros_where(fraction, power)


def known_power(b: Builder, x: Node, exponent: int) -> Node:
    """The power of integers to one number; DtypeRuleError if it is negative."""
    if exponent < 0:
        raise DtypeRuleError(
            f"expects exponents of 0 or more for {x.dtype}, not {exponent}: convert the base with "
            '.astype("float64")'
        )
    power: Node | None = None
    square = x
    while exponent:
        if exponent & 1:
            power = square if power is None else b.mul(power, square)
        exponent >>= 1
        square = b.mul(square, square) if exponent else square
    return b.fill(1, x.type) if power is None else power
