"""What is written of drawn variables and blocks: types, and what a block is called."""

from __future__ import annotations

from ....compiler.graph import Node
from ...drawing.drawn_nodes import DrawnBlock, DrawnFunction, DrawnVariable
from ...variables.variable import shape_text


def block_name(item: DrawnBlock) -> str:
    """A block's symbol or own name; its class where it is only an index, as in a chain."""
    numbered = item.block.name is None and item.label.isdigit()
    return symbol_of(item) or (type(item.block).__name__ if numbered else item.label)


def symbol_of(item: DrawnFunction) -> str:
    """What a block says itself should be written in its bullet, arguments included; or nothing."""
    return getattr(item.block, "symbol", "") if isinstance(item, DrawnBlock) else ""


def type_text(value: DrawnVariable | Node) -> str:
    """Dtype and shape of a drawn variable, or of a value of the compiler."""
    return f"{value.dtype} {shape_text(value.shape)}"
