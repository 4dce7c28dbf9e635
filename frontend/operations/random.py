"""Random numbers from a counter (Philox, Salmon et al. 2011): the same on every target.

The numbers depend on the program's seed, the draw's own stream and the number of steps made, so
a step draws anew and a run between two steps repeats itself.
"""

from __future__ import annotations

import math
import zlib
from typing import Any

from ...compiler.builder import Builder
from ...compiler.graph import Node, Type
from ...compiler.primitives.source import RANDOM_BITS
from ..variable import Shape, Variable, apply, dtype_name, shape_of
from ..weak import unstated
from .elementwise import astype, cos, log, multiply, sqrt

KEY = Variable("parameter", Type("int64"), "random_key")
"""Stands for the key that a program gives to every draw."""


def random_uniform(shape: Shape, stream: str = "", dtype: Any = None) -> Variable:
    """Uniform numbers in [0, 1), multiples of 2**-24.

    Args:
        shape: integers and named sizes.
        stream: draws with different streams differ; draws with the same one are equal.
        dtype: float32 or float64; by default float32, or that of what they meet.
    """
    return _uniform(shape, stream, dtype, 0.0)


def random_normal(shape: Shape, stream: str = "", dtype: Any = None) -> Variable:
    """Standard normal numbers, by the transform of Box and Muller (1958).

    float32 by default, or the dtype of what they meet.
    """
    radius = sqrt(multiply(log(_uniform(shape, stream + "/radius", dtype, 1.0)), -2.0))
    return multiply(
        radius, cos(multiply(_uniform(shape, stream + "/angle", dtype, 0.0), 2 * math.pi))
    )


def _uniform(shape: Shape, stream: str, dtype: Any, shift: float) -> Variable:
    extents = shape_of(shape)
    name = "float32" if dtype is None else dtype_name(dtype)
    salt = zlib.crc32(stream.encode())

    def rule(b: Builder, key: Node) -> Node:
        mixed = b.add(key, b.constant(salt << 31, "int64"))
        bits = b.random_bits(mixed, shape=extents)
        number = b.cast(bits, dtype=name)
        if shift:
            number = b.add(number, b.fill(shift, number.type))
        return b.scale(number, 2.0**-RANDOM_BITS)

    result: Variable = apply("random", rule, [KEY])
    # Multiples of 2**-24 are the same numbers in both dtypes, and so it stays one draw.
    return unstated(result, lambda other: astype(result, other)) if dtype is None else result
