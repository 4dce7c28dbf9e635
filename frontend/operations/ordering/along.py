"""Elements of each line at indices of its own."""

from __future__ import annotations

from typing import Any

from ....compiler.errors import TypeRuleError
from ....compiler.graph import Node
from ....compiler.primitives.record import Builder
from ....compiler.primitives.sorting import take_along
from ...variables.applying import apply
from ...variables.variable import Variable, shape_text
from ..broadcasting import as_variables
from ..places import as_index, expect_integers
from ..structure import normal_axis


def take_along_axis(x: Any, index: Any, axis: int = -1) -> Variable:
    """The elements of each line of x along an axis at indices of its own, as NumPy's.

    Args:
        x: of one axis or more.
        index: int32 or int64, of x's shape but for the axis; what `dg.argsort` gives, say.  Those
            of an observed variable must lie in [0, n), which is checked before a step.
        axis: along which elements are taken.

    Raises:
        ShapeError, DtypeError: when the diagram is built: an index of another shape or dtype.
    """

    def rule(b: Builder, x: Node, index: Node) -> Node:
        place = normal_axis(axis, x.type.rank)
        expect_integers(index)
        wanted = (*x.shape[:place], *index.shape[place : place + 1], *x.shape[place + 1 :])
        if index.shape != wanted:
            raise TypeRuleError(
                f"expects an index of shape {shape_text(x.shape)} but for axis {place}, not "
                f"{shape_text(index.shape)}"
            )
        checked = b.apply("in_range", index, low=0, high=x.shape[place])
        return take_along(b, x, b.cast(checked, dtype="int64"), place)

    result: Variable = apply(
        "take_along_axis", rule, [as_variables(x)[0], as_index(index)], as_stored=True
    )
    return result
