"""NumPy's broadcasting, made explicit: at the level of shapes, and of nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...compiler.errors import DtypeRuleError, TypeRuleError
from ...compiler.graph import Node
from ...compiler.primitives.record import Builder
from ...compiler.sizes import Dim, Size
from ..variables.constants import constant
from ..variables.numbers import default_dtype
from ..variables.variable import Variable, shape_text
from ..variables.weak import adopted, common_dtype, number
from .source import size


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


def one_storage(b: Builder, nodes: Sequence[Node]) -> Sequence[Node]:
    """Nodes that are moved: of one dtype, or of the one in which all of them are computed with."""
    if len({node.dtype for node in nodes}) > 1:
        nodes = [b.widened(node) for node in nodes]
    one_dtype(nodes)
    return nodes


def is_operand(value: Any) -> bool:
    """Whether a value can stand beside a variable in an operation: a number, an array, a list."""
    return isinstance(
        value, (Variable, Size, bool, int, float, complex, np.generic, np.ndarray, list, tuple)
    )


def as_variables(*operands: Any) -> list[Variable]:
    """Operands as variables: what has no stated dtype takes that of the variables beside it."""
    given = [item if isinstance(item, Variable) else _plain(item) for item in operands]
    variables = [item for item in given if isinstance(item, Variable)]
    if len(variables) == len(given) and not any(item.weak for item in variables):
        return variables
    dtype, stated = common_dtype(variables)
    if not stated:
        alone = [_alone(item) for item in given if not isinstance(item, Variable)]
        dtype, _ = common_dtype(variables, alone)
    return [
        adopted(item, dtype, stated) if isinstance(item, Variable) else _number(item, dtype, stated)
        for item in given
    ]


NUMBERS = (bool, int, float, Size)


def _plain(value: Any) -> Any:
    """A number of Python as it is, anything else as a constant."""
    if isinstance(value, np.generic):
        value = value.item()
    return value if isinstance(value, NUMBERS) else constant(value)


def _alone(value: Any) -> str:
    """The dtype of a number that has nothing beside it."""
    return "float32" if isinstance(value, Size) else default_dtype(np.asarray(value))


def _number(value: Any, dtype: str, stated: bool) -> Variable:
    """A number beside this dtype, if it is one of such numbers."""
    if isinstance(value, Size):  # of x.shape, say
        return adopted(size(value), dtype, stated)
    fraction = isinstance(value, float) and not value.is_integer()
    if isinstance(value, bool) or dtype == "bool" or (fraction and not dtype.startswith("float")):
        return constant(value)  # a dtype error of the operation follows, with both sources
    return number(value, dtype, stated)
