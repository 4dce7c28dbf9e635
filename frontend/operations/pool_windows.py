"""Windows of pools as users ask for them: what is meant, what does not fit, and how many there are.

Nothing here computes; `pooling.py` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any, Literal

from ...compiler.errors import DtypeRuleError, TypeRuleError
from ...compiler.graph import Node
from ...compiler.primitives.pooling import PooledAxis
from ...compiler.primitives.record import Builder
from ...compiler.sizes import Dim, product
from ..arguments import flag, integer, wrong
from ..errors import ShapeError
from ..location import user_location
from ..variables.variable import Shape, shape_of, shape_text

Numbers = int | Sequence[int]
Size = Numbers | Literal["global"]
Padding = int | Sequence[int | tuple[int, int]]


def pool_shape(
    shape: int | str | Dim | Shape,
    size: Size,
    stride: Numbers | None = None,
    padding: Padding = 0,
    dilation: Numbers = 1,
    ceil_mode: bool = False,
) -> tuple[Any, ...]:
    """How many windows there are along each axis of maps, by the rule of all pools.

        pool_shape((28, 28), 2)                 (14, 14)
        pool_shape(7, 3, 2, ceil_mode=True)     (3,)
        pool_shape(("N",), 2)                   ((N - 2) // 2 + 1,)

    On an axis of n elements they are (n + before + behind - reach) // stride + 1, where a window
    reaches over dilation * (size - 1) + 1 elements; in ceil mode the quotient is rounded up, and a
    window that would begin behind the elements is left out.

    Args:
        shape: the sizes of the maps alone, without samples and channels, or the one; numbers or
            names.
        size: see `max_pool`.
        stride: likewise.
        padding: likewise.
        dilation: likewise.
        ceil_mode: likewise.

    Raises:
        ShapeError, TypeError, ValueError: as for `max_pool`.
    """
    extents = shape_of(shape if isinstance(shape, (tuple, list)) else (shape,))
    pool = Pooling("pool_shape", size, stride, padding, dilation, ceil_mode)
    try:
        found = pool.windows(range(len(extents)), extents)
    except TypeRuleError as error:
        raise ShapeError(f"pool_shape ({user_location()}) {error}") from None
    return tuple(axis.count for axis in found)


class Pooling:
    """Windows as a user asks for them, checked but for what depends on what is pooled.

    Attributes:
        label: of the function or block.
        sizes, strides, paddings, dilations: one for all axes or one for each; no sizes for windows
            of all elements, no strides for those as long as windows.
        ceil_mode: whether a last window that is not whole counts.
        space: how many axes are pooled, if that is known.
    """

    def __init__(
        self,
        label: str,
        size: Any,
        stride: Any,
        padding: Any,
        dilation: Any,
        ceil_mode: Any,
        space: int | None = None,
    ) -> None:
        whole = isinstance(size, str)
        if whole and size != "global":
            raise wrong(label, 'size to be integers or "global"', size, ValueError)
        if whole and (stride is not None or padding != 0 or dilation != 1):
            raise ValueError(
                f'{_placed(label)} expects no stride, padding or dilation for a size of "global"'
            )
        self.label, self.space = label, space
        self.sizes = None if whole else _numbers(label, "size", size, 1)
        self.strides = None if stride is None else _numbers(label, "stride", stride, 1)
        self.paddings = _paddings(label, padding)
        self.dilations = _numbers(label, "dilation", dilation, 1)
        self.ceil_mode = flag(label, "ceil_mode", ceil_mode)
        for name, value, numbers in (
            ("size", size, self.sizes),
            ("stride", stride, self.strides),
            ("padding", padding, self.paddings),
            ("dilation", dilation, self.dilations),
        ):
            if numbers is not None and isinstance(value, (tuple, list)):
                self._expect_as_many(name, value)
        self._check_padding()

    def _expect_as_many(self, name: str, value: Sequence[Any]) -> None:
        """A tuple has a number for each axis, and so says how many there are."""
        if self.space is not None and len(value) != self.space:
            raise ValueError(
                f"{_placed(self.label)} expects {name} to be one number, or one for each of "
                f"{_axes(self.space)}, got {value}"
            )
        self.space = len(value)

    def _check_padding(self) -> None:
        if self.sizes is None:
            return
        count = max(len(self.sizes), len(self.paddings), len(self.dilations))
        rows = (for_all(x, count) for x in (self.sizes, self.dilations, self.paddings))
        for size, dilation, padding in zip(*rows, strict=True):
            reach = dilation * (size - 1) + 1
            if max(padding) >= reach:
                raise ValueError(
                    f"{_placed(self.label)} expects a padding of less than the {reach} "
                    f"element{'s' if reach > 1 else ''} that a window reaches over, got "
                    f"{max(padding)}"
                )

    @property
    def size_text(self) -> str:
        """The sizes: "2", "2×3" or "global"."""
        return "global" if self.sizes is None else numbers_text(self.sizes)

    def __str__(self) -> str:
        """All of it: "3×3, stride 2, padding 1"."""
        if self.sizes is None:
            return "global"
        sizes = for_all(self.sizes, self.space or 1)
        words = ["×".join(map(str, sizes)), f"stride {numbers_text(self.strides or self.sizes)}"]
        if any(map(any, self.paddings)):
            sides = [low if low == high else f"{low}+{high}" for low, high in self.paddings]
            words.append(f"padding {numbers_text(sides)}")
        if any(n != 1 for n in self.dilations):
            words.append(f"dilation {numbers_text(self.dilations)}")
        return ", ".join([*words, *(["ceil mode"] if self.ceil_mode else [])])

    def axes(self, x: Node) -> list[PooledAxis]:
        """The axes of a node that are pooled; TypeRuleError if it has not as many, or no room."""
        if not x.type.is_float:
            raise DtypeRuleError(f"expects floats, not {x.dtype}: convert them with .astype")
        axes = last_axes(x, self.space)
        return self.windows(axes, [x.shape[axis] for axis in axes])

    def windows(self, axes: Sequence[int], extents: Sequence[Dim]) -> list[PooledAxis]:
        """The windows along axes of these extents; TypeRuleError where none fits."""
        count = len(axes)
        if self.space is not None and self.space != count:
            raise TypeRuleError(f"expects {self.space} axes, not {shape_text(tuple(extents))}")
        sizes = tuple(extents) if self.sizes is None else for_all(self.sizes, count)
        strides = None if self.strides is None else for_all(self.strides, count)
        found = []
        for i in range(count):
            low, high = for_all(self.paddings, count)[i]
            size, dilation = sizes[i], for_all(self.dilations, count)[i]
            stride = strides[i] if strides else size if isinstance(size, int) else 1
            axis = PooledAxis(axes[i], extents[i], size, stride, dilation, low, high)
            _expect_room(axis)
            found.append(_with_last(axis) if self.ceil_mode else axis)
        return found

    def counts(
        self, b: Builder, pooled: Node, axes: Sequence[PooledAxis], with_padding: bool
    ) -> Node:
        """How many elements each window has, as numbers of the shape and dtype of `pooled`."""
        shape, dtype, every = pooled.shape, pooled.dtype, [axis.size for axis in axes]
        lines = []
        for i, axis in enumerate(axes):
            high = 0 if self.sizes is None else for_all(self.paddings, len(axes))[i][1]
            if axis.high <= high and (with_padding or not (axis.low or axis.high)):
                continue
            every[i] = 1
            line = _lengths(b, axis, high if with_padding else 0, with_padding)
            line = b.cast(line, dtype=dtype)
            lines.append(b.broadcast(line, shape=shape, axes=(axis.axis,)))
        number = b.spread(b.apply("size", size=product(every), dtype=dtype), shape)
        return reduce(b.mul, lines, number)


def _lengths(b: Builder, axis: PooledAxis, high: int, with_padding: bool) -> Node:
    """The elements of each window along an axis, as integers; dilation is 1."""
    line = b.iota(axis=0, shape=(axis.count,), dtype="int32")
    start = b.sub(b.mul(line, b.fill(axis.stride, line.type)), b.fill(axis.low, line.type))
    end = axis.extent + high
    last = b.spread(b.apply("size", size=end, dtype="int32"), line.shape)
    stop = b.minimum(b.add(start, b.fill(axis.size, line.type)), last)
    if not with_padding:
        start = b.maximum(start, b.fill(0, line.type))
    result: Node = b.sub(stop, start)
    return result


def _with_last(axis: PooledAxis) -> PooledAxis:
    """With the window at the end that is not whole, if it begins before the end of the elements."""
    assert isinstance(axis.reach, int) or axis.count == 1
    if not isinstance(axis.reach, int):
        return axis
    high = min(axis.high + axis.stride - 1, axis.reach - 1)
    return PooledAxis(axis.axis, axis.extent, axis.size, axis.stride, axis.dilation, axis.low, high)


def _expect_room(axis: PooledAxis) -> None:
    if not isinstance(axis.whole, int):
        return
    if axis.size == 0:
        raise TypeRuleError(f"expects 1 or more elements on axis {axis.axis}, not 0")
    assert isinstance(axis.reach, int)
    if axis.whole < axis.reach:
        taps = f"{axis.size} taps" + (f" {axis.dilation} apart" if axis.dilation > 1 else "")
        padded = f" padded by {axis.low} and {axis.high}" if axis.low or axis.high else ""
        raise TypeRuleError(
            f"expects {axis.reach} or more elements on axis {axis.axis} for a window of {taps}, "
            f"not {axis.extent}{padded}"
        )


def last_axes(x: Node, space: int | None) -> tuple[int, ...]:
    """The axes of maps: so many of the last, or all but those of samples and channels."""
    rank = x.type.rank
    wanted = rank - 2 if space is None else space
    if wanted < 1 or rank < wanted:
        needed = "(N, C, ...), with an axis to pool" if space is None else f"{space} or more axes"
        raise TypeRuleError(f"expects {needed}, not {shape_text(x.shape)}")
    return tuple(range(rank - wanted, rank))


def _axes(count: int) -> str:
    return "1 axis" if count == 1 else f"{count} axes"


def for_all(numbers: Sequence[Any], count: int) -> tuple[Any, ...]:
    """One for each axis."""
    return tuple(numbers) * count if len(numbers) == 1 else tuple(numbers)


def _numbers(label: str, name: str, value: Any, least: int) -> tuple[int, ...]:
    items = value if isinstance(value, (tuple, list)) else (value,)
    if not items:
        raise wrong(label, f"{name} to be one number or one for each axis", value, ValueError)
    return tuple(integer(label, name, item, least) for item in items)


def numbers_text(numbers: Sequence[Any]) -> str:
    """Numbers for axes, one where all are the same: "2", "2×3"."""
    return str(numbers[0]) if len(set(numbers)) == 1 else "×".join(map(str, numbers))


def _paddings(label: str, value: Any) -> tuple[tuple[int, int], ...]:
    found = []
    for item in value if isinstance(value, (tuple, list)) else (value,):
        both = item if isinstance(item, (tuple, list)) else (item, item)
        if len(both) != 2:
            raise wrong(label, "each padding to be a number or a pair", item, ValueError)
        low, high = (integer(label, "padding", number, 0) for number in both)
        found.append((low, high))
    if not found:
        raise wrong(label, "padding to be one number or one for each axis", value, ValueError)
    return tuple(found)


def _placed(label: str) -> str:
    """A function or block and the user's line, for messages."""
    return label if "(" in label else f"{label} ({user_location()})"


def adaptive_sizes(label: str, size: Any, space: int | None) -> tuple[int, ...]:
    """How many windows there shall be: for all of so many axes, or one number for each."""
    sizes = _numbers(label, "size", size, 1)
    if space is None:
        return sizes
    if len(sizes) not in (1, space):
        raise ValueError(
            f"{_placed(label)} expects size to be one number, or one for each of {_axes(space)}, "
            f"got {size}"
        )
    return for_all(sizes, space)
