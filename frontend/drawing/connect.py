"""Variables that are drawn before what computes them: `dg.variable` and `dg.connect`."""

from __future__ import annotations

from typing import Any

from ...compiler.graph import Type
from ..errors import DiagramError, DtypeError, ShapeError
from ..location import user_location
from ..variables.kinds import Connection, connect_to
from ..variables.variable import (
    Variable,
    checked_name,
    dtype_name,
    mark_read,
    mistaken,
    shape_of,
    shape_text,
    source_text,
)
from ..variables.weak import adopted


def variable(name: str, shape: Any, dtype: Any = "float32") -> Variable:
    """A computed variable drawn before its function: `dg.connect` says later what computes it."""
    subject = f"variable '{checked_name('variable', name)}' ({user_location()})"
    return Variable("computed", Type(dtype_name(dtype, subject), shape_of(shape, subject)), name)


def connect(target: Variable, value: Variable) -> None:
    """Let `value` compute `target`, a variable made by `dg.variable`."""
    subject = f"connect ({user_location()})"
    for item in (target, value):
        if not isinstance(item, Variable):
            raise TypeError(f"{subject} expects two variables, got {type(item).__name__}")
    if target.kind != "computed" or target.producer is not None:
        more, maker = "", target.producer
        if isinstance(maker, Connection):
            more = f", connected already ({maker.where})"
        raise DiagramError(
            f"{subject} expects a variable of dg.variable that is not connected yet, got "
            f"{source_text(target)}{more}"
        )
    value = adopted(value, target.dtype)
    application = connect_to(target, value)
    if not value.mistakes and value.type != target.type:
        text = (
            f"{subject} expects {target.dtype} {shape_text(target.shape)} for "
            f"variable '{target.name}' ({target.where}), got {value.dtype} "
            f"{shape_text(value.shape)} from {source_text(value)}"
        )
        kind = ShapeError if value.shape != target.shape else DtypeError
        application.inputs = (mistaken([kind(text)]),)
    target.mistakes = application.inputs[0].mistakes
    target.producer = application
    mark_read([value])
