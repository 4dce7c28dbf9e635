"""The registry is filled here, with the primitives of every file of this folder."""

from __future__ import annotations

from . import (
    attention,
    contraction,
    convolution,
    elementwise,
    indexing,
    log_product,
    pooling,
    recurrence,
    reduction,
    scattering,
    sorting,
    source,
    structure,
    windows,
)
from .functions import composed, table  # noqa: F401 (fills the table)
from .linear import cholesky, determinants, orthogonal, systems, triangular
from .record import register

for room in (
    source,
    elementwise,
    structure,
    reduction,
    contraction,
    convolution,
    attention,
    systems,
    orthogonal,
    triangular,
    cholesky,
    determinants,
    log_product,
    indexing,
    scattering,
    sorting,
    windows,
    pooling,
    recurrence,
    composed,
):
    register(room.PRIMITIVES)
