"""Primitives that hold a graph or stand for one: each is gone after the pass that owns it.

call      a block applied to its inputs; attrs: body (Graph), output (name)     until `inline`
gradient  d cost / d variable, of a scalar cost; inputs (cost, variable)        until
          `differentiate`
"""

from __future__ import annotations

from collections.abc import Sequence

from ..graph import Type
from .record import Attrs, Primitive, expect


def _call(types: Sequence[Type], attrs: Attrs) -> Type:
    body = attrs["body"]
    wanted = tuple(item.type for item in body.inputs)
    expect(tuple(types) == wanted, f"{body.name} expects {wanted}, got {tuple(types)}")
    result: Type = dict(body.outputs)[attrs["output"]].type
    return result


def _gradient(types: Sequence[Type], attrs: Attrs) -> Type:
    cost, variable = types
    expect(cost.shape == () and cost.is_float, f"expected a scalar float cost, got {cost}")
    expect(variable.is_float, f"expected a float variable, got {variable}")
    return variable


PRIMITIVES = (
    Primitive("call", "structured", _call, None),
    Primitive("gradient", "structured", _gradient, None),
)
