"""The builder: makes typed nodes, for passes and derivative rules.

`builder.mul(x, y)` is the node of primitive "mul", its type inferred by that primitive's rule.
A builder holds the origin that its nodes get and nothing else; it never shares or simplifies
nodes (that is the pass `simplify`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..graph import Node, Origin, Type
from ..sizes import Dim
from .registry import lookup


class Builder:
    """Makes nodes with one origin."""

    def __init__(self, origin: Origin = Origin()) -> None:  # noqa: B008 (frozen)
        self.origin = origin

    def apply(self, op: str, *inputs: Node, **attrs: Any) -> Node:
        """The node of primitive `op`; TypeRuleError if it cannot take these inputs."""
        result = lookup(op).infer([item.type for item in inputs], attrs)
        return Node(op, inputs, attrs, result, self.origin)

    def __getattr__(self, op: str) -> Callable[..., Node]:
        if op.startswith("__"):
            raise AttributeError(op)
        return lambda *inputs, **attrs: self.apply(op, *inputs, **attrs)

    def constant(self, value: Any, dtype: str) -> Node:
        """A scalar or array that is known now."""
        array = np.asarray(value, dtype=dtype)
        array.flags.writeable = False
        return self.apply("constant", value=array)

    def fill(self, value: Any, like: Type) -> Node:
        """`value` in every element of the type `like`."""
        return self.spread(self.constant(value, like.dtype), like.shape)

    def spread(self, scalar: Node, shape: Sequence[Dim]) -> Node:
        """A scalar repeated over `shape`."""
        return self.broadcast(scalar, shape=tuple(shape), axes=()) if shape else scalar

    def scale(self, x: Node, factor: float) -> Node:
        """The product of a node and a number."""
        return self.mul(x, self.fill(factor, x.type))

    def zeros_where(self, mask: Node, x: Node) -> Node:
        """A node with zeros where the mask is true."""
        return self.select(mask, self.fill(0, x.type), x)
