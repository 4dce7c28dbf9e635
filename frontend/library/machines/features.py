"""What the machines ask of the variables that they are given."""

from __future__ import annotations

from typing import Any

from ....compiler.dtypes import computed
from ....compiler.sizes import Dim
from ...arguments import number
from ...drawing.blocks import Block
from ...errors import DtypeError, ShapeError
from ...location import user_location
from ...operations.elementwise import as_operands
from ...variables.variable import Variable, shape_text, source_text
from ...variables.weak import adopted


def features(block: Block, x: Any, count: Dim, dtype: str, rank: int | None = None) -> Variable:
    """A variable (..., count) of a dtype, of a rank where there is one; an error otherwise."""
    (x,) = as_operands(x)
    subject = f"{block._describe()} ({user_location()})"
    if x.ndim == 0 or x.shape[-1] != count or (rank is not None and x.ndim != rank):
        leading = "..." if rank is None else ", ".join(["B"] * (rank - 1))
        raise ShapeError(
            f"{subject} expects ({leading}, {count}), got {shape_text(x.shape)} from "
            f"{source_text(x)}"
        )
    if x.dtype != computed(dtype):
        raise DtypeError(
            f"{subject} expects {dtype}, got {x.dtype} from {source_text(x)}: convert it with "
            f'.astype("{dtype}"), or make the block with dtype="{x.dtype}"'
        )
    found: Variable = x
    return found


def rate_of(block: Block, verb: str, rate: Any, dtype: str) -> Variable | float:
    """A rate of learning: a number, or a variable of shape () and of a dtype."""
    subject = f"{verb} of {block._describe()} ({user_location()})"
    if not isinstance(rate, Variable):
        return number(subject, "rate", rate)
    found: Variable = adopted(rate, dtype)
    if not found.mistakes and (found.shape, found.dtype) != ((), dtype):
        raise (ShapeError if found.shape else DtypeError)(
            f"{subject} expects a rate of {dtype} (), got {found.dtype} {shape_text(found.shape)} "
            f"from {source_text(found)}"
        )
    return found
