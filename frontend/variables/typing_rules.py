"""Types of what is drawn: an operation's rule is run on stand-ins, its complaints explained."""

from __future__ import annotations

from collections.abc import Sequence

from ...compiler.errors import DtypeRuleError, TypeRuleError
from ...compiler.graph import Node, Type
from ...compiler.primitives.record import Builder
from ..errors import DiagramError, DtypeError, ShapeError
from ..location import place_of
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
        text = str(error)
        if kind is DtypeError and ": " not in text:
            text += ": convert it with .astype(...)"
        mistake = kind(explain(application, text))
        mistake.locate()
        return [None] * outputs, (mistake,)
    nodes = result if isinstance(result, tuple) else (result,)
    return [node.type for node in nodes], ()


def explain(application: Application, message: str) -> str:
    """A rule's complaint with the place it is about, what came from where, and what to do.

    "expects floats: round it" about x: "floor (m.py:3) expects floats, got (B,) int32 from observed
    'x' (m.py:2): round it".
    """
    expects, colon, remedy = message.replace("expected ", "expects ", 1).partition(": ")
    given = list_inputs(application.inputs)
    if given:
        # Where the rule says itself what came, what follows is where it came from.
        said = ", not " in expects or ", got " in expects
        given = f"{'; given' if said else ', got'} {given}"
    return f"{place_of(application_text(application))} {expects}{given}{colon}{remedy}"


def list_inputs(inputs: Sequence[Variable]) -> str:
    """Variables with shape, dtype and source: "(B, 7) float32 from Linear 'fc' (m.py:9)"."""
    return " and ".join(
        f"{shape_text(item.shape)} {item.dtype} from {source_text(item)}" for item in inputs
    )
