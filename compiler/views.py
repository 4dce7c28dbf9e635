"""Views: how an array that is not in memory of its own lies in one that is.

A view is a base, an offset and a stride for each axis, in elements of the base, as in NumPy,
except that extents, offset and strides may be named sizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from .graph import Node
from .primitives.registry import lookup
from .sizes import Dim, exact_divide

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
    chain = []
    while lookup(node.op).kind == "view":
        chain.append(node)
        node = node.inputs[0]
    view = View(node, 0, node.shape, contiguous(node.shape))
    for item in reversed(chain):
        through = apply_view(view, item)
        if through is None:
            raise ValueError(f"{item!r} is not a view")
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
    raise AssertionError(f"{node.op} is not a view primitive")


def reshaped_strides(old: Shape, strides: Shape, new: Shape) -> Shape | None:
    """The strides under which an array reads as another shape, or None if there are none.

    Axes are matched in groups of equal products, from the front; the old axes of a group must
    merge into one.
    """
    pairs = [(n, s) for n, s in zip(old, strides, strict=True) if n != 1]
    if 0 in old or tuple(s for _, s in pairs) == contiguous(squeeze(old)):
        return contiguous(new)
    wanted = [(axis, n) for axis, n in enumerate(new) if n != 1]
    result: list[Dim] = [0] * len(new)
    i = j = 0
    while i < len(pairs) and j < len(wanted):
        have, want = pairs[i][0], wanted[j][1]
        end_i, end_j = i + 1, j + 1
        while have != want:
            if end_i < len(pairs) and _below(have, want):
                have, end_i = have * pairs[end_i][0], end_i + 1
            elif end_j < len(wanted) and _below(want, have):
                want, end_j = want * wanted[end_j][1], end_j + 1
            else:
                return None
        if not all(mergeable(pairs[k], pairs[k + 1]) for k in range(i, end_i - 1)):
            return None
        step = pairs[end_i - 1][1]
        for axis, extent in reversed(wanted[j:end_j]):
            result[axis] = step
            step = step * extent
        i, j = end_i, end_j
    return tuple(result) if i == len(pairs) and j == len(wanted) else None


def _below(size: Dim, other: Dim) -> bool:
    """Whether a product that has come to `size` must grow to be `other`."""
    if isinstance(size, int) and isinstance(other, int):
        return size < other
    return exact_divide(other, size) is not None


def mergeable(outer: tuple[Dim, Dim], inner: tuple[Dim, Dim]) -> bool:
    """Whether two neighbouring axes (extent, stride) read as one."""
    return outer[1] == inner[0] * inner[1]
