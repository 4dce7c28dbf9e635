"""What is written of drawn variables and blocks: types, and what a block is called."""

from __future__ import annotations

from typing import Any

from ...variables.variable import shape_text


def block_name(data: dict[str, Any]) -> str:
    """A block's symbol or own name; its class where it is only an index, as in a chain."""
    block, label = data["application"].block, data["label"]
    numbered = block.name is None and label.isdigit()
    return symbol_of(data) or (type(block).__name__ if numbered else label)


def symbol_of(data: dict[str, Any]) -> str:
    """What a block says itself should be written in its bullet, arguments included; or nothing."""
    block = getattr(data["application"], "block", None)
    return getattr(block, "symbol", "")


def type_text(value: Any) -> str:
    """Dtype and shape of a drawn variable's data, or of a value of the compiler."""
    data = value if isinstance(value, dict) else {"dtype": value.dtype, "shape": value.shape}
    return f"{data['dtype']} {shape_text(data['shape'])}"
