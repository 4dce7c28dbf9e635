"""What a primitive is: one frozen record with all of its rules side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy.typing as npt

from ..graph import Node, Type

if TYPE_CHECKING:
    from .builder import Builder

Attrs = Mapping[str, Any]
Array = npt.NDArray[Any]
Kind = Literal[
    "source", "elementwise", "view", "reduction", "contraction", "movement", "structured"
]

Infer = Callable[[Sequence[Type], Attrs], Type]
Vjp = Callable[["Builder", Node, Node], "tuple[Node | None, ...]"]
Reference = Callable[..., Array]
Batch = Callable[["Builder", Node, Sequence[Node], Sequence[bool]], Node]


@dataclass(frozen=True, slots=True)
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
    """

    name: str
    kind: Kind
    infer: Infer
    reference: Reference | None
    vjp: Vjp | None = None
    emit: str | Callable[[Node], str] | None = None
    flops: int = 0
    batch: Batch | None = None
