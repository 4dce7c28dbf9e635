"""What reductions share: the elements that count, and the dtype that they are combined in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...compiler.dtypes import COMPUTED
from ...compiler.errors import DtypeRuleError
from ...compiler.graph import Node
from ...compiler.primitives.record import Builder
from ..location import user_location
from ..variables.variable import Variable, dtype_name
from .broadcasting import as_variables, spread_to


def operands(x: Any, where: Any) -> list[Variable]:
    """What a reduction is applied to: its operand, and the mask of the elements that count."""
    return as_variables(x) + ([] if where is None else as_variables(where))


def only(b: Builder, node: Node, mask: Sequence[Node], value: float) -> Node:
    """The node, with a value for the elements that a mask leaves out, where there is one."""
    if not mask:
        return node
    chosen = mask_over(b, mask[0], node)
    return b.select(chosen, node, b.fill(value, node.type))


def mask_over(b: Builder, mask: Node, node: Node) -> Node:
    """A mask for every element of a node; DtypeRuleError if it is none."""
    if mask.dtype != "bool":
        raise DtypeRuleError(f"expects a mask of bools for where=, not {mask.dtype}")
    return spread_to(b, mask, node.shape)


def as_dtype(b: Builder, node: Node, name: str | None) -> Node:
    """The node in the dtype that is asked for, or the one that computes with it.

    By default it is x's own, and int64 for bools and integers of a storage dtype.
    """
    if name is not None:
        return b.widened(b.cast(node, dtype=name))
    small = node.dtype in COMPUTED and not node.type.is_float
    return b.cast(node, dtype="int64") if small or node.dtype == "bool" else b.widened(node)


def stored(b: Builder, node: Node, name: str | None) -> Node:
    """A result in the dtype that was asked for, where that is for storage."""
    return b.cast(node, dtype=name) if name in COMPUTED else node


def wanted_dtype(label: str, dtype: Any) -> str | None:
    """The name of a dtype, None where none was asked for."""
    return None if dtype is None else dtype_name(dtype, f"{label} ({user_location()})")
