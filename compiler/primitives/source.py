"""Primitives that make a value from nothing but attributes: inputs, constants, indices, bits."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ..errors import TypeRuleError
from ..graph import Type
from .record import Array, Attrs, Primitive

RANDOM_BITS = 24
"""Random bits in an element of `random_bits`: as many as a float32 holds exactly."""


def _input(types: Sequence[Type], attrs: Attrs) -> Type:
    result: Type = attrs["type"]
    return result


def _constant(types: Sequence[Type], attrs: Attrs) -> Type:
    return Type(_dtype_name(attrs["value"].dtype), attrs["value"].shape)


@lru_cache(maxsize=64)
def _dtype_name(dtype: np.dtype[Any]) -> str:
    """NumPy's name for a dtype, which it makes anew, in 3 us, whenever it is asked."""
    return str(dtype.name)


def _size(types: Sequence[Type], attrs: Attrs) -> Type:
    return Type(attrs["dtype"])


def _iota(types: Sequence[Type], attrs: Attrs) -> Type:
    if not 0 <= attrs["axis"] < len(attrs["shape"]):
        raise TypeRuleError(f"iota has no axis {attrs['axis']}")
    return Type(attrs["dtype"], attrs["shape"])


def _random_bits(types: Sequence[Type], attrs: Attrs) -> Type:
    for name, type in zip(("key", "stream"), types, strict=True):
        if type != Type("int64"):
            raise TypeRuleError(f"random bits expect an int64[] {name}, got {type}")
    return Type("uint32", attrs["shape"])


def _reference_iota(result: Type, attrs: Attrs) -> Array:
    shape = [1] * result.rank
    shape[attrs["axis"]] = -1
    line = np.arange(result.extents[attrs["axis"]], dtype=result.dtype).reshape(shape)
    return np.broadcast_to(line, result.extents)


def _reference_random_bits(result: Type, attrs: Attrs, key: Array, stream: Array) -> Array:
    from ...runtime.philox import philox

    count = int(np.prod(result.extents, dtype=np.int64))
    bits = philox(np.arange(count, dtype=np.int64), np.int64(key), np.int64(stream))
    return (bits & np.uint32(2**RANDOM_BITS - 1)).reshape(result.extents)


PRIMITIVES = (
    Primitive(name="input", kind="source", infer=_input, reference=None),
    Primitive(
        name="constant",
        kind="source",
        infer=_constant,
        reference=lambda result, attrs: attrs["value"],
    ),
    # The value of a size, such as the batch size in a mean.
    Primitive(
        name="size",
        kind="source",
        infer=_size,
        reference=lambda r, attrs: np.asarray(attrs["size"], attrs["dtype"]),
    ),
    # Each element's index along one axis.
    Primitive(name="iota", kind="source", infer=_iota, reference=_reference_iota),
    # Philox4x32-10 (Salmon et al. 2011) of each element's flat index, in a stream, under a key.
    Primitive(
        name="random_bits", kind="source", infer=_random_bits, reference=_reference_random_bits
    ),
)
