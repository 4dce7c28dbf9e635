"""Primitives that hold a graph or stand for one: each is gone after the pass that owns it.

call      a block applied to its inputs; attrs: body (Graph), output (name)     until `inline`
gradient  d cost / d variable, of a scalar cost; inputs (cost, variable)        until
          `differentiate`
"""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import TypeRuleError
from ..graph import Type
from .record import Attrs, Primitive


def _call(types: Sequence[Type], attrs: Attrs) -> Type:
    body = attrs["body"]
    wanted = tuple(item.type for item in body.inputs)
    if tuple(types) != wanted:
        raise TypeRuleError(f"{body.name} expects {wanted}, got {tuple(types)}")
    result: Type = dict(body.outputs)[attrs["output"]].type
    return result


def _gradient(types: Sequence[Type], attrs: Attrs) -> Type:
    cost, variable = types
    if cost.shape != () or not cost.is_float:
        raise TypeRuleError(f"expected a scalar float cost, got {cost}")
    if not variable.is_float:
        raise TypeRuleError(f"expected a float variable, got {variable}")
    return variable


PRIMITIVES = (
    Primitive(name="call", kind="structured", infer=_call, reference=None),
    Primitive(name="gradient", kind="structured", infer=_gradient, reference=None),
)
