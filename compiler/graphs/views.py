"""Views: how an array that is not in memory of its own lies in one that is.

A view is a base, an offset and a stride for each axis, in elements of the base, as in NumPy,
except that extents, offset and strides may be named sizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise, starmap

from ..graph import Node
from ..primitives.record import lookup
from ..sizes import Dim, exact_divide

Shape = tuple[Dim, ...]


@dataclass(frozen=True, slots=True)
class View:
    """Element (i, j, ...) of the view is element offset + i * strides[0] + ... of the base."""

    base: Node
    offset: Dim
    shape: Shape
    strides: Shape

    def squeezed(self) -> View:
        """The view without its axes of one element."""
        kept = [axis for axis, extent in enumerate(self.shape) if extent != 1]
        return View(
            self.base,
            self.offset,
            tuple(self.shape[axis] for axis in kept),
            tuple(self.strides[axis] for axis in kept),
        )

    def is_identity(self) -> bool:
        """Whether every element lies where it lies in the base, axes of one element aside."""
        return (
            self.offset == 0
            and squeeze(self.shape) == squeeze(self.base.shape)
            and self.squeezed().strides == contiguous(squeeze(self.shape))
        )


def squeeze(shape: Sequence[Dim]) -> Shape:
    """The extents other than 1."""
    return tuple(extent for extent in shape if extent != 1)


def contiguous(shape: Sequence[Dim]) -> Shape:
    """The strides of a row-major array."""
    return _contiguous(tuple(shape))


@lru_cache(maxsize=4096)
def _contiguous(shape: Shape) -> Shape:
    strides: list[Dim] = []
    step: Dim = 1
    for extent in reversed(shape):
        strides.append(step)
        step = step * extent
    return tuple(reversed(strides))


def base_of(node: Node) -> Node:
    """What a chain of view primitives looks at; the node itself if it is no view."""
    while lookup(node.op).kind == "view":
        node = node.inputs[0]
    return node


def resolve(node: Node) -> View:
    """The view that a chain of view primitives makes of its base; ValueError if it is not one."""
    view = view_of(node)
    if view is None:
        raise ValueError(f"{node!r} is not a view")
    return view


def view_of(node: Node) -> View | None:
    """The same, or None where no strides describe it: something in the chain will be copied."""
    chain = []
    while lookup(node.op).kind == "view":
        chain.append(node)
        node = node.inputs[0]
    view = View(node, 0, node.shape, contiguous(node.shape))
    for item in reversed(chain):
        through = apply_view(view, item)
        if through is None:
            return None
        view = through
    return view


def apply_view(view: View, node: Node) -> View | None:
    """The view through one more view primitive, or None if no strides describe it."""
    shape, strides, offset = view.shape, view.strides, view.offset
    attrs = node.attrs
    if node.op == "reshape":
        found = reshaped_strides(shape, strides, node.shape)
        return None if found is None else View(view.base, offset, node.shape, found)
    if node.op == "transpose":
        return View(view.base, offset, node.shape, tuple(strides[a] for a in attrs["axes"]))
    if node.op == "broadcast":
        wide: list[Dim] = [0] * node.type.rank
        for axis, stride in zip(attrs["axes"], strides, strict=True):
            wide[axis] = stride
        return View(view.base, offset, node.shape, tuple(wide))
    if node.op == "slice":
        for start, stride in zip(attrs["start"], strides, strict=True):
            offset = offset + start * stride
        steps = zip(strides, attrs["step"], strict=True)
        return View(view.base, offset, node.shape, tuple(stride * step for stride, step in steps))
    if node.op == "flip":
        turned = list(strides)
        for axis in attrs["axes"]:
            offset = offset + (shape[axis] - 1) * strides[axis]
            turned[axis] = -strides[axis]
        return View(view.base, offset, shape, tuple(turned))
    if node.op == "windows":
        axis = attrs["axis"]
        pair = (strides[axis] * attrs["stride"], strides[axis] * attrs["dilation"])
        both = (*strides[:axis], *pair, *strides[axis + 1 :])
        return View(view.base, offset, node.shape, both)
    raise AssertionError(f"{node.op} is not a view primitive")


def reshaped_strides(old: Shape, strides: Shape, new: Shape) -> Shape | None:
    """The strides under which an array reads as another shape, or None if there are none.

    The old axes of each of the `axis_groups` must merge into one.
    """
    if 0 in old or tuple(s for n, s in zip(old, strides, strict=True) if n != 1) == contiguous(
        squeeze(old)
    ):
        return contiguous(new)
    groups = axis_groups(old, new)
    if groups is None:
        return None
    result: list[Dim] = [0] * len(new)
    for axes, wanted in groups:
        pairs = [(old[axis], strides[axis]) for axis in axes]
        if not all(starmap(mergeable, pairwise(pairs))):
            return None
        step = pairs[-1][1]
        for axis in reversed(wanted):
            result[axis] = step
            step = step * new[axis]
    return tuple(result)


def axis_groups(old: Shape, new: Shape) -> list[tuple[list[int], list[int]]] | None:
    """Which axes of a shape become which of another one: the least groups of equal products.

    From the front, without axes of one element; None if no groups are found.
    """
    have = [axis for axis, n in enumerate(old) if n != 1]
    want = [axis for axis, n in enumerate(new) if n != 1]
    found = []
    while have and want:
        olds, news = [have.pop(0)], [want.pop(0)]
        size, other = old[olds[0]], new[news[0]]
        while size != other:
            if have and _below(size, other):
                olds.append(have.pop(0))
                size = size * old[olds[-1]]
            elif want and _below(other, size):
                news.append(want.pop(0))
                other = other * new[news[-1]]
            else:
                return None
        found.append((olds, news))
    return None if have or want else found


def _below(size: Dim, other: Dim) -> bool:
    """Whether a product that has come to `size` must grow to be `other`."""
    if isinstance(size, int) and isinstance(other, int):
        return size < other
    return exact_divide(other, size) is not None


def mergeable(outer: tuple[Dim, Dim], inner: tuple[Dim, Dim]) -> bool:
    """Whether two neighbouring axes (extent, stride) read as one."""
    return outer[1] == inner[0] * inner[1]


def merged_axis(
    view: View, labels: tuple[int, ...], order: tuple[int, ...]
) -> tuple[Dim, Dim] | None:
    """Extent and stride of the axes called `order`, read as one axis; None if they do not merge.

    No axes read as one of one element.
    """
    found = [(view.shape[labels.index(k)], view.strides[labels.index(k)]) for k in order]
    pairs = [pair for pair in found if pair[0] != 1]
    if not pairs:
        return (1, 0)
    if not all(mergeable(a, b) for a, b in pairwise(pairs)):
        return None
    extent: Dim = 1
    for size, _ in pairs:
        extent = extent * size
    return extent, pairs[-1][1]
