"""NumPy's broadcasting, made explicit: at the level of shapes, and of nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...compiler.builder import Builder
from ...compiler.errors import DtypeRuleError, TypeRuleError
from ...compiler.graph import Node
from ...compiler.sizes import Dim, Size
from ..variable import Variable, constant, shape_text


def broadcast_shape(shapes: Sequence[tuple[Dim, ...]]) -> tuple[Dim, ...]:
    """The shape that `shapes` broadcast to; TypeRuleError if they do not."""
    rank = max((len(shape) for shape in shapes), default=0)
    result: list[Dim] = [1] * rank
    for shape in shapes:
        for axis, extent in enumerate(shape, rank - len(shape)):
            if extent == 1 or extent == result[axis]:
                continue
            if result[axis] != 1:
                named = not isinstance(extent, int) or not isinstance(result[axis], int)
                raise TypeRuleError(
                    f"expects shapes that broadcast: axis {axis - rank} has {result[axis]} "
                    f"and {extent} elements{', and a named size fits only itself' if named else ''}"
                )
            result[axis] = extent
    return tuple(result)


def spread_to(b: Builder, x: Node, shape: tuple[Dim, ...]) -> Node:
    """A node broadcast to `shape` by NumPy's rule."""
    if x.shape == shape:
        return x
    if broadcast_shape([x.shape, shape]) != shape:
        raise TypeRuleError(f"cannot broadcast {shape_text(x.shape)} to {shape_text(shape)}")
    offset = len(shape) - x.type.rank
    kept = [i for i, n in enumerate(x.shape) if n == shape[i + offset]]
    squeezed = tuple(x.shape[i] for i in kept)
    if squeezed != x.shape:
        x = b.reshape(x, shape=squeezed)
    return b.broadcast(x, shape=shape, axes=tuple(i + offset for i in kept))


def align(b: Builder, nodes: Sequence[Node]) -> list[Node]:
    """Nodes broadcast to their common shape."""
    shape = broadcast_shape([node.shape for node in nodes])
    return [spread_to(b, node, shape) for node in nodes]


def one_dtype(nodes: Sequence[Node]) -> None:
    """DtypeRuleError unless all nodes have one dtype."""
    if len({node.dtype for node in nodes}) > 1:
        raise DtypeRuleError(
            "expects operands of one dtype: convert one with .astype(...), nothing is promoted "
            "silently"
        )


def is_operand(value: Any) -> bool:
    """Whether a value can stand beside a variable in an operation: a number, an array, a list."""
    return isinstance(
        value, (Variable, Size, bool, int, float, complex, np.generic, np.ndarray, list, tuple)
    )


def as_variables(*operands: Any) -> list[Variable]:
    """Operands as variables: Python numbers take the dtype of the variables beside them."""
    variables = [item for item in operands if isinstance(item, Variable)]
    known = [item.dtype for item in variables if not item.mistakes]
    beside = next((name for name in known if name != "bool"), known[0] if known else None)
    return [item if isinstance(item, Variable) else _number(item, beside) for item in operands]


def _number(value: Any, beside: str | None) -> Variable:
    if isinstance(value, Size):  # of x.shape, say
        from .indexing import size

        return size(value, beside or "float32")
    if isinstance(value, np.generic):
        value = value.item()  # math on NumPy's scalars, such as 1 / np.sqrt(n), gives a number
    if beside is None or isinstance(value, (np.ndarray, list, tuple)):
        return constant(value)
    if isinstance(value, bool):
        return constant(value, "bool")
    if isinstance(value, float) and not beside.startswith("float") and not value.is_integer():
        return constant(value)  # a dtype error of the operation follows, with both sources
    if isinstance(value, (int, float)) and beside != "bool":
        return constant(value, beside)
    return constant(value)
