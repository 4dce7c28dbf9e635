"""The registry: every primitive by name, gathered from the files of this folder."""

from __future__ import annotations

from types import MappingProxyType

from . import (
    contraction,
    elementwise,
    indexing,
    linear_algebra,
    recurrence,
    reduction,
    source,
    structure,
    structured,
    windows,
)
from .record import Primitive

PRIMITIVES: MappingProxyType[str, Primitive] = MappingProxyType(
    {
        primitive.name: primitive
        for room in (
            source,
            elementwise,
            structure,
            reduction,
            contraction,
            linear_algebra,
            indexing,
            windows,
            structured,
            recurrence,
        )
        for primitive in room.PRIMITIVES
    }
)


def lookup(name: str) -> Primitive:
    """The primitive called `name`; KeyError if there is none."""
    return PRIMITIVES[name]
