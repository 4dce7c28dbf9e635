"""How blocks show themselves in a console: class, name, sizes, parameters, and what is in them."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

from ..variables.variable import Variable, shape_text
from .blocks import Block, FunctionBlock, members, parameters_of
from .chains import Chain
from .flat_vectors import element_count

_DEFAULTS = {"dtype": "float32"}
"""Attributes that are not worth a word where they have this value; of others, False."""


def show(block: Block) -> str:
    """A block for the console; blocks that hold others have a line for each of them."""
    count = element_count(parameters_of(block))
    total = [f"{count:,} parameter{'' if count == 1 else 's'}"] if count else []
    text = "; ".join([*_facts(block), *total])
    head = f"{block._describe()}: {text}" if text else block._describe()
    return "\n".join([f"<{head}", *_inner(block, 1)]) + ">"


def _inner(block: Block, level: int) -> Iterable[str]:
    """A line for each block in a block."""
    for name, item in _held(block):
        text = "; ".join(_facts(item)) if isinstance(item, Block) else ""
        kind = type(item).__name__ if isinstance(item, Block) else _called(item)
        if isinstance(item, FunctionBlock):
            kind, text = item._describe(), ""
        yield f"{'  ' * level}{name}  {kind}{f': {text}' if text else ''}"
        if isinstance(item, Block):
            yield from _inner(item, level + 1)


def _held(block: Block) -> Iterable[tuple[str, Any]]:
    """The blocks in a block, each once, by its attribute; of a chain, its functions too."""
    if isinstance(block, Chain):
        return list(zip(block.names, block.blocks, strict=True))
    found: dict[Block, str] = {}
    for name, item in members(block):
        if isinstance(item, Block):
            parent = item._parent
            own = parent is not None and parent[0] is block
            found.setdefault(item, parent[1] if own and parent is not None else name)
    return [(name, item) for item, name in found.items()]


def _facts(block: Block) -> list[str]:
    """The sizes and options that a block keeps in attributes, and the shapes of its variables."""
    if isinstance(block, (Chain, FunctionBlock)):
        return []
    options = [
        f"{key}={value!r}"
        for key, value in vars(block).items()
        if key != "name"
        and key[0] != "_"
        and _is_plain(value)
        and _DEFAULTS.get(key, False) != value
    ]
    arrays = [
        f"{name} {shape_text(item._type.shape)}"
        for name, item in members(block)
        if isinstance(item, Variable) and item._type is not None
    ]
    return [text for text in (", ".join(options), ", ".join(arrays)) if text]


def _is_plain(value: Any) -> bool:
    """Whether a value is told in a few letters: a number, a word, or some of them."""
    if isinstance(value, tuple):
        return all(_is_plain(item) for item in value)
    return isinstance(value, (bool, int, float, str))


def show_function(block: FunctionBlock[Any]) -> str:
    """A function that is drawn as one bullet: "<block leaky_relu(x, slope=0.01)>"."""
    name = block._describe()
    try:
        given = inspect.signature(block.function).parameters.values()
    except ValueError:
        return f"<block {name}>"
    plain = (item.replace(annotation=inspect.Parameter.empty) for item in given)
    return f"<block {name}({', '.join(map(str, plain))})>"


def _called(item: Any) -> str:
    return getattr(item, "__name__", type(item).__name__)


Block.__repr__ = show  # type: ignore[assignment, method-assign]
FunctionBlock.__repr__ = show_function  # type: ignore[assignment, method-assign]
