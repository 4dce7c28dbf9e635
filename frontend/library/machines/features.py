"""What the machines ask of the variables that they are applied to."""

from __future__ import annotations

from typing import Any

from ....compiler.sizes import Dim
from ...drawing.blocks import Block
from ...errors import DtypeError, ShapeError
from ...location import user_location
from ...operations.broadcasting import as_variables
from ...variables.variable import Variable, shape_text, source_text


def features(block: Block, x: Any, count: Dim, dtype: str, rank: int | None = None) -> Variable:
    """A variable (..., count) of a dtype, of a rank where there is one; an error otherwise."""
    (x,) = as_variables(x)
    subject = f"{block._describe()} ({user_location()})"
    if x.ndim == 0 or x.shape[-1] != count or (rank is not None and x.ndim != rank):
        leading = "..." if rank is None else ", ".join(["B"] * (rank - 1))
        raise ShapeError(
            f"{subject} expects ({leading}, {count}), got {shape_text(x.shape)} from "
            f"{source_text(x)}"
        )
    if x.dtype != dtype:
        raise DtypeError(
            f"{subject} expects {dtype}, got {x.dtype} from {source_text(x)}: convert it with "
            f'.astype("{dtype}"), or make the block with dtype="{x.dtype}"'
        )
    found: Variable = x
    return found
