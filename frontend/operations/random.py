"""Random numbers from a counter (Philox, Salmon et al. 2011): the same on every target.

The numbers depend on the program's seed, on where the draw stands in the diagram (`draws.py`), and
on the steps and redraws made: a step draws anew, a run between two steps repeats itself.
"""

from __future__ import annotations

import math
from typing import Any

from ...compiler.graph import Node, Type
from ...compiler.primitives.record import Builder
from ...compiler.primitives.source import RANDOM_BITS
from ..arguments import text
from ..variables.applying import apply
from ..variables.kinds import Draw
from ..variables.variable import Shape, Variable, dtype_name, shape_of
from ..variables.weak import unstated
from .elementwise import astype, cos, log, multiply, sqrt

KEY = Variable("parameter", Type("int64"), "random_key")
"""Stands for the key that a program gives to every draw."""


def is_key(node: Node) -> bool:
    """Whether a node of a lowered graph is that key, which nobody has drawn."""
    attrs = node.attrs
    return node.op == "input" and attrs["role"] == "parameter" and attrs["name"] == KEY.name


def random_uniform(shape: Shape, stream: str | None = None, dtype: Any = None) -> Variable:
    """Uniform numbers in [0, 1), multiples of 2**-24.

    A variable is one draw, wherever it is used, and two draws are independent; so are those of a
    block that is applied twice.  Every step of a program draws anew; a run draws what the next step
    will, and so repeats itself until there is a step or `program.redraw()`.

    Args:
        shape: integers and named sizes.
        stream: a name for the sequence of numbers that is drawn from, in the place of a sequence
            of the draw's own. Draws of one name take the same numbers from its beginning, one for
            each element in row-major order (in a loop, for all steps), wherever they stand.
        dtype: float32 or float64; by default float32, or that of what they meet.
    """
    _check_stream("random_uniform", stream)
    return _uniform(shape, stream, dtype, 0.0)


def random_normal(shape: Shape, stream: str | None = None, dtype: Any = None) -> Variable:
    """Standard normal numbers, by the transform of Box and Muller (1958).

    Args:
        shape: integers and named sizes.
        stream: as for `random_uniform`, whose numbers of the same name are independent of these.
        dtype: float32 or float64; by default float32, or that of what they meet.
    """
    _check_stream("random_normal", stream)
    radius = sqrt(multiply(log(_uniform(shape, stream, dtype, 1.0, "radius")), -2.0))
    angle = multiply(_uniform(shape, stream, dtype, 0.0, "angle"), 2 * math.pi)
    return multiply(radius, cos(angle))


def _check_stream(label: str, stream: Any) -> None:
    if stream is not None:
        text(label, "stream", stream)


def _uniform(
    shape: Shape, stream: str | None, dtype: Any, shift: float, part: str = "uniform"
) -> Variable:
    extents = shape_of(shape)
    name = "float32" if dtype is None else dtype_name(dtype)

    def rule(b: Builder, key: Node, number: int = 0) -> Node:
        bits = b.random_bits(key, b.constant(number, "int64"), shape=extents)
        value = b.cast(bits, dtype=name)
        if shift:
            value = b.add(value, b.fill(shift, value.type))
        return b.scale(value, 2.0**-RANDOM_BITS)

    named = None if stream is None else (part, stream)
    result: Variable = apply("random", rule, [KEY], kind=Draw, stream=named)
    # Multiples of 2**-24 are the same numbers in both dtypes, and so it stays one draw.
    return unstated(result, lambda other: astype(result, other)) if dtype is None else result
