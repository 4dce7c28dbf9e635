"""Types of what is drawn: an operation's rule is run on stand-ins, its complaints explained."""

from __future__ import annotations

from collections.abc import Sequence

from ..compiler.builder import Builder
from ..compiler.errors import DtypeRuleError, TypeRuleError
from ..compiler.graph import Node, Type
from .errors import DiagramError, DtypeError, ShapeError
from .variable import Application, Variable, application_text, shape_text, source_text


def infer(
    application: Application, outputs: int
) -> tuple[list[Type | None], tuple[DiagramError, ...]]:
    """The types of an operation's outputs, or none and the mistakes that prevent them."""
    carried = [item for variable in application.inputs for item in variable.mistakes]
    if carried:
        return [None] * outputs, tuple(dict.fromkeys(carried))
    builder = Builder()
    stand_ins = [
        Node("input", (), {"name": str(i), "type": variable.type}, variable.type)
        for i, variable in enumerate(application.inputs)
    ]
    assert application.rule is not None
    try:
        result = application.rule(builder, *stand_ins)
    except TypeRuleError as error:
        kind = DtypeError if isinstance(error, DtypeRuleError) else ShapeError
        return [None] * outputs, (kind(explain(application, str(error))),)
    nodes = result if isinstance(result, tuple) else (result,)
    return [node.type for node in nodes], ()


def explain(application: Application, message: str) -> str:
    """A rule's complaint with the place it is about and what came from where."""
    given = list_inputs(application.inputs)
    return f"{application_text(application)} {message}; got {given}"


def list_inputs(inputs: Sequence[Variable]) -> str:
    """Variables with shape, dtype and source: "(B, 7) float32 from Linear 'fc' (m.py:9) and ..."."""
    return " and ".join(
        f"{shape_text(item.shape)} {item.dtype} from {source_text(item)}" for item in inputs
    )
