"""Shape operations, and the rule of NumPy's basic indexing."""

from __future__ import annotations

from collections.abc import Sequence
from types import NoneType
from typing import Any

import numpy as np

from ...compiler.errors import TypeRuleError
from ...compiler.graph import Node
from ...compiler.primitives.record import Builder
from ...compiler.sizes import Dim, Size, exact_divide, product
from ..arguments import integer, items, shown, wrong
from ..variables.applying import apply
from ..variables.kinds import Spread
from ..variables.variable import Shape, Variable, shape_of, source_text
from .broadcasting import as_variables, one_storage, spread_to


def normal_axis(axis: int, rank: int) -> int:
    """An axis counted from the front; TypeRuleError if there is none."""
    if isinstance(axis, bool) or not isinstance(axis, (int, np.integer)):
        raise TypeRuleError(f"expects an axis that is an integer, not {shown(axis)}")
    if not -rank <= axis < rank:
        raise TypeRuleError(f"expects an axis in [{-rank}, {rank}), not {axis}")
    return axis % rank


def normal_axes(axis: int | Sequence[int] | None, rank: int) -> tuple[int, ...]:
    """Axes counted from the front in rising order; all for None."""
    if axis is None:
        return tuple(range(rank))
    chosen: list[Any] = list(axis) if isinstance(axis, (list, tuple, range, set)) else [axis]
    axes = sorted(normal_axis(item, rank) for item in chosen)
    if len(set(axes)) != len(axes):
        raise TypeRuleError(f"expects each axis once, not {tuple(chosen)}")
    return tuple(axes)


def reshape(x: Any, shape: Shape | int) -> Variable:
    """The elements of x in row-major order under another shape; one size may be -1."""
    single = isinstance(shape, (int, np.integer, str, Size))
    wanted = (shape,) if single else tuple(items("reshape", "shape", shape, "sizes"))

    def rule(b: Builder, node: Node) -> Node:
        holes = [i for i, extent in enumerate(wanted) if isinstance(extent, int) and extent == -1]
        if not holes:
            return b.reshape(node, shape=shape_of(wanted))
        known = shape_of([e for e in wanted if not (isinstance(e, int) and e == -1)])
        rest = exact_divide(node.type.count, product(known))
        if len(holes) > 1 or rest is None:
            raise TypeRuleError(f"cannot fit {node.type.count} elements into shape {wanted}")
        full = list(known)
        full.insert(holes[0], rest)
        return b.reshape(node, shape=tuple(full))

    result: Variable = apply("reshape", rule, as_variables(x), as_stored=True)
    return result


def flatten(x: Any, start: int = 1, end: int = -1) -> Variable:
    """The axes from `start` to `end`, both among them, as one.

    Args:
        x: of any shape.
        start: the first of them; where there is none, a new last axis of one element.
        end: the last of them, the last axis by default.

    Raises:
        ShapeError: when the diagram is built: an `end` that x does not have, or before `start`.
        TypeError: axes that are no integers.
    """
    start, end = integer("flatten", "start", start), integer("flatten", "end", end)

    def rule(b: Builder, node: Node) -> Node:
        rank = node.type.rank
        stop = rank if end == -1 else normal_axis(end, rank) + 1
        first = max(start + rank, 0) if start < 0 else min(start, rank)
        if first > stop:
            raise TypeRuleError(f"expects a last axis behind axis {start}, not {end}")
        joined = product(node.shape[first:stop])
        return b.reshape(node, shape=(*node.shape[:first], joined, *node.shape[stop:]))

    result: Variable = apply("flatten", rule, as_variables(x), as_stored=True)
    return result


def transpose(x: Any, axes: Sequence[int] | None = None) -> Variable:
    """Axes in another order; reversed by default."""
    chosen = None if axes is None else items("transpose", "axes", axes, "axes")

    def rule(b: Builder, node: Node) -> Node:
        rank = node.type.rank
        order = range(rank)[::-1] if chosen is None else [normal_axis(a, rank) for a in chosen]
        return b.transpose(node, axes=tuple(order))

    result: Variable = apply("transpose", rule, as_variables(x), as_stored=True)
    return result


def swapaxes(x: Any, first: int, second: int) -> Variable:
    """Two axes exchanged."""

    def rule(b: Builder, node: Node) -> Node:
        order = list(range(node.type.rank))
        i, j = normal_axis(first, len(order)), normal_axis(second, len(order))
        order[i], order[j] = order[j], order[i]
        return b.transpose(node, axes=tuple(order))

    result: Variable = apply("swapaxes", rule, as_variables(x), as_stored=True)
    return result


def moveaxis(x: Any, source: int | Sequence[int], destination: int | Sequence[int]) -> Variable:
    """Axes moved to other places, the rest in their order; as NumPy's.

    Args:
        x: of any shape.
        source: one axis, or some.
        destination: where each of them is in the result.

    Raises:
        ShapeError: when the diagram is built: no such axes, one twice, or two different numbers.
    """
    given = [
        [value] if isinstance(value, (int, np.integer)) else items("moveaxis", name, value, "axes")
        for name, value in (("source", source), ("destination", destination))
    ]

    def rule(b: Builder, node: Node) -> Node:
        rank = node.type.rank
        old, new = ([normal_axis(axis, rank) for axis in axes] for axes in given)
        if len(old) != len(new) or len(set(old)) != len(old) or len(set(new)) != len(new):
            raise TypeRuleError(f"expects as many places as axes, each once, not {old} and {new}")
        order = [axis for axis in range(rank) if axis not in old]
        for place, axis in sorted(zip(new, old, strict=True)):
            order.insert(place, axis)
        return b.transpose(node, axes=tuple(order))

    result: Variable = apply("moveaxis", rule, as_variables(x), as_stored=True)
    return result


def expand_dims(x: Any, axis: int | Sequence[int]) -> Variable:
    """A new axis of one element, or several, each where it is in the result."""

    def rule(b: Builder, node: Node) -> Node:
        count = len(axis) if isinstance(axis, (list, tuple)) else 1
        rank = node.type.rank + count
        new, old = normal_axes(axis, rank), iter(node.shape)
        return b.reshape(node, shape=tuple(1 if i in new else next(old) for i in range(rank)))

    result: Variable = apply("expand_dims", rule, as_variables(x), as_stored=True)
    return result


def squeeze(x: Any, axis: int | Sequence[int] | None = None) -> Variable:
    """The elements of x without axes of one element; all of them by default."""

    def rule(b: Builder, node: Node) -> Node:
        if axis is None:
            gone: tuple[int, ...] = tuple(i for i, n in enumerate(node.shape) if n == 1)
        else:
            gone = normal_axes(axis, node.type.rank)
        for i in gone:
            if node.shape[i] != 1:
                raise TypeRuleError(f"expects 1 element on axis {i}, not {node.shape[i]}")
        return b.reshape(node, shape=tuple(n for i, n in enumerate(node.shape) if i not in gone))

    result: Variable = apply("squeeze", rule, as_variables(x), as_stored=True)
    return result


def broadcast_to(x: Any, shape: Shape) -> Variable:
    """The elements of x repeated to `shape` by NumPy's rule."""
    wanted = shape_of(shape)
    result: Variable = apply(
        "broadcast_to",
        lambda b, node: spread_to(b, node, wanted),
        as_variables(x),
        kind=Spread,
        as_stored=True,
    )
    return result


def flip(x: Any, axis: int | Sequence[int] | None = None) -> Variable:
    """The order of elements reversed along axes; all by default."""

    def rule(b: Builder, node: Node) -> Node:
        return b.flip(node, axes=normal_axes(axis, node.type.rank))

    result: Variable = apply("flip", rule, as_variables(x), as_stored=True)
    return result


def concatenate(parts: Sequence[Any], axis: int = 0) -> Variable:
    """Parts joined along an axis; of their dtype, or of the one in which those of two compute."""

    def rule(b: Builder, *nodes: Node) -> Node:
        if not nodes:
            raise TypeRuleError("expects at least one part")
        parts = one_storage(b, nodes)
        return b.concatenate(*parts, axis=normal_axis(axis, nodes[0].type.rank))

    given = items("concatenate", "parts", parts, "variables")
    result: Variable = apply("concatenate", rule, as_variables(*given), as_stored=True)
    return result


def stack(parts: Sequence[Any], axis: int = 0) -> Variable:
    """Parts of one shape joined along a new axis."""
    given = as_variables(*items("stack", "parts", parts, "variables"))
    return concatenate([expand_dims(part, axis) for part in given], axis)


def split(x: Any, parts: int | Sequence[Any], axis: int = 0) -> list[Variable]:
    """The elements of x cut along an axis: into equal parts, or into parts of given sizes.

    Args:
        x: of one axis or more.
        parts: how many equal ones; or the size of each, an integer or a named size, of which one
            may be -1, for what the others leave.
        axis: which one.

    Raises:
        ShapeError: when the diagram is built: a size that does not divide, sizes that are not the
            axis together, no such axis.
        TypeError, ValueError: parts that are no numbers.
    """
    if isinstance(parts, (list, tuple)):
        wanted: list[Any] = [-1 if item == -1 else shape_of((item,))[0] for item in parts]
        count = len(wanted)
        if not wanted or wanted.count(-1) > 1:
            raise wrong("split", "sizes of which one at most is -1", parts, ValueError)
    else:
        wanted, count = [], integer("split", "parts", parts, 1)

    def rule(b: Builder, node: Node) -> tuple[Node, ...]:
        place = normal_axis(axis, node.type.rank)
        sizes = _parts_of(node.shape[place], wanted, count, axis)
        found, start = [], 0
        for width in sizes:
            found.append(b.slice_axis(node, place, start, start + width))
            start = start + width
        return tuple(found)

    found: Any = apply("split", rule, as_variables(x), count, as_stored=True)
    return [found] if count == 1 else list(found)


def _parts_of(extent: Dim, wanted: Sequence[Any], count: int, axis: int) -> list[Any]:
    """The sizes of the parts of an axis."""
    if not wanted:
        width = exact_divide(extent, count)
        if width is None:
            raise TypeRuleError(
                f"expects axis {axis} to have a multiple of {count} elements, not {extent}"
            )
        return [width] * count
    rest: Any = extent
    for width in wanted:
        rest = rest if isinstance(width, int) and width == -1 else rest - width
    if isinstance(rest, int) and (rest < 0 or (rest and -1 not in wanted)):
        raise TypeRuleError(f"expects sizes that are {extent} together, not {list(wanted)}")
    if not isinstance(rest, int) and -1 not in wanted:
        raise TypeRuleError(f"expects sizes that are {extent} together, not {list(wanted)}")
    return [rest if isinstance(width, int) and width == -1 else width for width in wanted]


def unstack(x: Any, axis: int = 0) -> list[Variable]:
    """The elements of x along an axis of fixed size, each without it: the inverse of `stack`.

    Raises:
        ShapeError: no such axis, or one whose size has a name.
    """
    (x,) = as_variables(x)
    known = not x.mistakes and isinstance(axis, int) and -x.ndim <= axis < x.ndim
    extent = x.shape[axis] if known else None
    count = extent if isinstance(extent, int) else 1

    def rule(b: Builder, node: Node) -> tuple[Node, ...]:
        place = normal_axis(axis, node.type.rank)
        size = node.shape[place]
        if not isinstance(size, int):
            raise TypeRuleError(f"expects an axis of fixed size, not of {size} elements")
        before = (slice(None),) * place
        return tuple(index_by(b, node, (*before, i)) for i in range(count))

    if count == 0:
        return []
    found: Any = apply("unstack", rule, [x], count, as_stored=True)
    return [found] if count == 1 else list(found)


def index_by(b: Builder, node: Node, keys: tuple[Any, ...]) -> Node:
    """The elements at integers, slices, ... and None."""
    used = sum(1 for item in keys if item is not None and item is not Ellipsis)
    if used > node.type.rank:
        raise TypeRuleError(f"expects at most {node.type.rank} indices, not {used}")
    if sum(1 for item in keys if item is Ellipsis) > 1:
        raise TypeRuleError("expects at most one ... among the indices")
    if not any(item is Ellipsis for item in keys):
        keys = (*keys, Ellipsis)
    place = next(i for i, item in enumerate(keys) if item is Ellipsis)
    rest = (slice(None),) * (node.type.rank - used)
    keys = (*keys[:place], *rest, *keys[place + 1 :])
    start: list[Dim] = []
    stop: list[Dim] = []
    step: list[int] = []
    places: list[int] = []  # an axis of the slice, or -1 for a new one
    flipped: list[int] = []
    axis = 0
    for item in keys:
        if item is None:
            places.append(-1)
            continue
        extent = node.shape[axis]
        if is_position(item):
            first = _position(item, extent, axis)
            start.append(first)
            stop.append(first + 1)
            step.append(1)
        elif isinstance(item, slice):
            low, high, stride = _slice_bounds(item, extent, axis)
            if stride < 0:
                flipped.append(axis)
            start.append(low)
            stop.append(high)
            step.append(abs(stride))
            places.append(axis)
        else:
            raise TypeRuleError(
                f"expects integers, sizes, slices, ... and None as indices, not {item!r}"
            )
        axis += 1
    value = b.slice(node, start=tuple(start), stop=tuple(stop), step=tuple(step))
    if flipped:
        value = b.flip(value, axes=tuple(flipped))
    wanted = tuple(1 if place < 0 else value.shape[place] for place in places)
    return value if wanted == value.shape else b.reshape(value, shape=wanted)


def is_position(item: Any) -> bool:
    """Whether an index says one place: an integer, or a size."""
    return isinstance(item, (int, np.integer, Size)) and not isinstance(item, bool)


def _position(index: Any, extent: Dim, axis: int) -> Dim:
    if isinstance(index, Size):
        return index
    if isinstance(extent, int) and not -extent <= index < extent:
        raise TypeRuleError(
            f"expects an index in [{-extent}, {extent}) on axis {axis}, not {index}"
        )
    place: Dim = int(index)
    return place if index >= 0 else extent + place


def _slice_bounds(item: slice, extent: Dim, axis: int) -> tuple[Dim, Dim, int]:
    """Start and stop of the elements kept, counted upwards, and the signed step."""
    if not isinstance(item.step, (int, np.integer, NoneType)):
        raise TypeRuleError(f"expects the step of a slice to be an integer, not {item.step!r}")
    for value in (item.start, item.stop):
        name = isinstance(value, str) and value.isidentifier()
        if not name and not isinstance(value, (int, np.integer, NoneType, Size)):
            raise TypeRuleError(
                f"expects bounds of a slice on axis {axis} ({extent} elements) to be integers, "
                "sizes or names of sizes, not "
                f"{source_text(value) if isinstance(value, Variable) else repr(value)}"
            )
    stride = 1 if item.step is None else int(item.step)
    if stride == 0:
        raise TypeRuleError(f"expects a slice step other than 0 on axis {axis}")
    named = [value for value in (extent, item.start, item.stop) if isinstance(value, (str, Size))]
    if isinstance(extent, int) and not named:
        chosen = range(*item.indices(extent))
        if not chosen:
            return 0, 0, stride
        return min(chosen[0], chosen[-1]), max(chosen[0], chosen[-1]) + 1, stride
    if stride < 0:
        if item.start is not None or item.stop is not None or stride != -1:
            raise TypeRuleError(
                f"expects [::-1] alone where a slice runs backwards over the named size {named[0]}"
            )
        return 0, extent, stride
    low = _bound(item.start, 0, extent)
    high = _bound(item.stop, extent, extent)
    return low, high, stride


def _bound(value: Any, default: Dim, extent: Dim) -> Dim:
    if value is None:
        return default
    if isinstance(value, (int, np.integer)):
        return int(value) if value >= 0 else extent + int(value)
    return shape_of((value,))[0]
