"""The registry is filled here, with the primitives of every file of this folder."""

from __future__ import annotations

from . import (
    attention,
    contraction,
    convolution,
    elementwise,
    indexing,
    linear_algebra,
    pooling,
    recurrence,
    reduction,
    sorting,
    source,
    structure,
    structured,
    windows,
)
from .record import register

for room in (
    source,
    elementwise,
    structure,
    reduction,
    contraction,
    convolution,
    attention,
    linear_algebra,
    indexing,
    sorting,
    windows,
    pooling,
    structured,
    recurrence,
):
    register(room.PRIMITIVES)
