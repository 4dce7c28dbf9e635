"""What a primitive is, one frozen record with all of its rules side by side, and how it is used.

`lookup("mul")` is the record of the primitive "mul", `builder.mul(x, y)` a node of it, its type
inferred by the record's rule.  Rules make nodes with a builder, and a builder asks the rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..dtypes import COMPUTED, computed
from ..errors import DtypeRuleError
from ..graph import Node, Origin, Type
from ..sizes import Dim

Attrs = Mapping[str, Any]
Array = npt.NDArray[Any]
Kind = Literal[
    "source", "elementwise", "view", "reduction", "contraction", "movement", "structured"
]

Infer = Callable[[Sequence[Type], Attrs], Type]
Vjp = Callable[["Builder", Node, Node], "tuple[Node | None, ...]"]
Reference = Callable[..., Array]
Batch = Callable[["Builder", Node, Sequence[Node], Sequence[bool]], Node]


@dataclass(frozen=True, slots=True, kw_only=True)
class Primitive:
    """A primitive and its rules.

    infer      input types and attributes -> result type; raises TypeRuleError
    vjp        (builder, node, cotangent) -> a cotangent or None for each input; None if no
               gradient ever flows through this primitive
    reference  (result type, attributes, *arrays) -> array, in NumPy: the definition of its meaning
    emit       for elementwise primitives, the expression in the engine's vocabulary: "{0} + {1}"
    flops      floating-point operations for an element gone through; `compiler/graphs/flops.py`
               says which of them are exact, and counts contractions
    batch      (builder, node, operands, which of them have one more leading axis) -> the node with
               that axis, where some operand has it: element i of the result is the node of
               elements i.  None where there is none; `compiler/graphs/batching.py` knows the
               primitives that hold a graph
    stored     whether it takes storage dtypes (`dtypes.py`) as they are, for it computes nothing;
               views do
    """

    name: str
    kind: Kind
    infer: Infer
    reference: Reference | None
    vjp: Vjp | None = None
    emit: str | Callable[[Node], str] | None = None
    flops: int = 0
    batch: Batch | None = None
    stored: bool = False


_registered: dict[str, Primitive] = {}
PRIMITIVES: Mapping[str, Primitive] = MappingProxyType(_registered)
"""Every primitive by name."""


def register(primitives: Iterable[Primitive]) -> None:
    """Add primitives to those that `lookup` finds."""
    _registered.update((primitive.name, primitive) for primitive in primitives)


def lookup(name: str) -> Primitive:
    """The primitive called `name`; KeyError if there is none."""
    return _registered[name]


def refuse_stored(inputs: Iterable[Node]) -> None:
    """DtypeRuleError for an input of a storage dtype."""
    for item in inputs:
        if item.type.dtype in COMPUTED:
            raise DtypeRuleError(
                f"expected a dtype that is computed with, got {item.type}: cast it to "
                f"{COMPUTED[item.type.dtype]}"
            )


class Builder:
    """Makes nodes with one origin, for passes and derivative rules.

    It holds the origin and nothing else; it never shares or simplifies nodes (that is the pass
    `simplify`).
    """

    def __init__(self, origin: Origin = Origin()) -> None:  # noqa: B008 (frozen)
        self.origin = origin

    def apply(self, op: str, *inputs: Node, **attrs: Any) -> Node:
        """The node of primitive `op`; TypeRuleError if it cannot take these inputs."""
        primitive = lookup(op)
        if not primitive.stored and primitive.kind != "view":
            refuse_stored(inputs)
        result = primitive.infer([item.type for item in inputs], attrs)
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

    def widened(self, x: Node) -> Node:
        """A node in the dtype that computes: itself, unless its own is for storage."""
        return x if x.dtype not in COMPUTED else self.apply("cast", x, dtype=computed(x.dtype))

    def fill(self, value: Any, like: Type) -> Node:
        """`value` in every element of the type `like`."""
        return self.spread(self.constant(value, like.dtype), like.shape)

    def spread(self, scalar: Node, shape: Sequence[Dim]) -> Node:
        """A scalar repeated over `shape`."""
        return self.broadcast(scalar, shape=tuple(shape), axes=()) if shape else scalar

    def slice_axis(self, x: Node, axis: int, start: Dim, stop: Dim) -> Node:
        """The elements start:stop along one axis."""
        return self.slice(
            x,
            start=(*(0,) * axis, start, *(0,) * (x.type.rank - axis - 1)),
            stop=(*x.shape[:axis], stop, *x.shape[axis + 1 :]),
            step=(1,) * x.type.rank,
        )

    def scale(self, x: Node, factor: float) -> Node:
        """The product of a node and a number."""
        return self.mul(x, self.fill(factor, x.type))

    def zeros_where(self, mask: Node, x: Node) -> Node:
        """A node with zeros where the mask is true."""
        return self.select(mask, self.fill(0, x.type), x)
