"""Applying an operation: its rule gives the type of what it draws.

A block is applied in another way, by running its `forward`: `drawing/block_calls.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...compiler.graph import Node
from ...compiler.primitives.record import Builder
from ..location import user_location
from .substitution import current
from .typing_rules import infer
from .variable import Application, Rule, Variable, mark_read


def apply(
    label: str,
    rule: Rule,
    inputs: Sequence[Variable],
    outputs: int = 1,
    kind: type[Application] = Application,
    as_stored: bool = False,
    **facts: Any,
) -> Any:
    """Apply an operation: `rule(builder, *nodes)` gives its meaning and its type.

    `kind` is what it is, where other files must know it (`kinds.py`), `facts` what is known of it.
    The rule gets inputs of a storage dtype in the one that computes, unless it is `as_stored`.
    """
    rule = rule if as_stored else _widening(rule)
    application = kind(label, current(inputs), rule=rule, where=user_location(), **facts)
    mark_read(inputs)
    conclude(application, outputs)
    return application.outputs[0] if outputs == 1 else application.outputs


def _widening(rule: Rule) -> Rule:
    def widened(b: Builder, *nodes: Node, **more: Any) -> Node | tuple[Node, ...]:
        return rule(b, *(b.widened(node) for node in nodes), **more)

    return widened


def conclude(application: Application, outputs: int) -> None:
    """Give an operation its outputs: of a stated dtype, unless it has no float of a stated one."""
    types, mistakes = infer(application, outputs)
    application.outputs = tuple(
        Variable("computed", type, producer=application, index=i, mistakes=mistakes)
        for i, type in enumerate(types)
    )
    if not any(item.weak for item in application.inputs):
        return
    floats = [item for item in application.inputs if not item.mistakes and item.type.is_float]
    if floats and all(item.weak for item in floats):
        for item in application.outputs:
            item.weak = "f" if not item.mistakes and item.type.is_float else ""
