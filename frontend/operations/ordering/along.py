"""Elements of each line at indices of its own."""

from __future__ import annotations

from typing import Any

from ....compiler.errors import TypeRuleError
from ....compiler.graph import Node
from ....compiler.primitives.record import Builder
from ....compiler.primitives.sorting import places_along, take_along
from ...variables.applying import apply
from ...variables.variable import Variable, shape_text
from ..broadcasting import as_variables, one_dtype, spread_to
from ..places import (
    Places,
    as_index,
    counted,
    expect_integers,
    fixed_value,
    from_end,
    from_the_front,
)
from ..structure import normal_axis


def take_along_axis(x: Any, index: Any, axis: int = -1) -> Variable:
    """The elements of each line of x along an axis at indices of its own, as NumPy's.

    Args:
        x: of one axis or more.
        index: int32 or int64, of x's shape but for the axis; what `dg.argsort` gives, say.
            Negative ones count from the end.  Fixed ones outside of [-n, n) are a mistake, those of
            an observed variable are checked before a step; a computed one outside gives NaN (0 for
            integers, False for bool).
        axis: along which elements are taken.

    Raises:
        ShapeError, DtypeError: when the diagram is built: an index of another shape or dtype.
    """
    chosen = as_index(index)
    places = fixed_value(chosen)

    def rule(b: Builder, x: Node, index: Node) -> Node:
        place = normal_axis(axis, x.type.rank)
        return take_along(b, x, _index_along(b, index, places, x, place), place)

    result: Variable = apply("take_along_axis", rule, [as_variables(x)[0], chosen], as_stored=True)
    return result


def put_along_axis(x: Any, index: Any, values: Any, axis: int = -1) -> Variable:
    """x, with elements of each line along an axis replaced at indices of its own; x itself stays.

    As NumPy's, but that the result is what is returned.  Of several values at one place the last
    one counts, in the order of the index: it alone has a gradient.

    Args:
        x: of one axis or more, and any dtype.
        index: as of `take_along_axis`; at a computed index outside nothing is replaced.
        values: of x's dtype; they broadcast to the shape of the index.
        axis: along which elements are replaced.

    Raises:
        ShapeError, DtypeError: when the diagram is built: an index of another shape or dtype,
            values that do not broadcast to it or have another dtype.
    """
    chosen = as_index(index)
    places = fixed_value(chosen)

    def rule(b: Builder, x: Node, values: Node, index: Node) -> Node:
        place = normal_axis(axis, x.type.rank)
        one_dtype([x, values])
        at = places_along(b, _index_along(b, index, places, x, place), x.shape, place)
        line = b.reshape(at, shape=(at.type.count,))
        given = b.reshape(spread_to(b, values, index.shape), shape=line.shape)
        number = b.iota(axis=0, shape=line.shape, dtype="int64")
        last = b.scatter_max(line, number, axis=0, size=x.type.count)
        replaced = b.ge(last, b.fill(0, last.type))
        new = b.gather(given, last, axis=0)
        flat = b.select(replaced, new, b.reshape(x, shape=(x.type.count,)))
        return b.reshape(flat, shape=x.shape)

    operands = [*as_variables(x, values), chosen]
    result: Variable = apply("put_along_axis", rule, operands, as_stored=True)
    return result


def _index_along(b: Builder, index: Node, places: Places | None, x: Node, axis: int) -> Node:
    """An index into the lines of x, as int64, counted from the front."""
    expect_integers(index)
    wanted = (*x.shape[:axis], *index.shape[axis : axis + 1], *x.shape[axis + 1 :])
    if index.shape != wanted:
        raise TypeRuleError(
            f"expects an index of shape {shape_text(x.shape)} but for axis {axis}, not "
            f"{shape_text(index.shape)}"
        )
    extent = x.shape[axis]
    if places is None:
        found: Node = b.cast(counted(b, index, extent), dtype="int64")
        return found
    if isinstance(extent, int):
        return b.constant(from_the_front(places, extent), "int64")
    return from_end(b, b.constant(places, "int64"), extent)
