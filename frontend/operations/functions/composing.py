"""How a function of floats is drawn: one bullet, of operands that broadcast."""

from __future__ import annotations

from typing import Any

from ....compiler.graph import Node
from ....compiler.primitives.functions.composed import compose
from ....compiler.primitives.functions.formula import Formula
from ....compiler.primitives.record import Builder
from ...variables.applying import apply
from ...variables.variable import Variable
from ..broadcasting import align, as_variables, one_dtype


def function(of: str, *operands: Any, label: str | None = None, **options: Any) -> Variable:
    """The composed function `of` operands of one float dtype, whose shapes broadcast."""

    def rule(b: Builder, *nodes: Node) -> Node:
        one_dtype(nodes)
        return compose(of, *(Formula(b, node) for node in align(b, nodes)), **options).node

    result: Variable = apply(label or of, rule, as_variables(*operands))
    return result
