"""Which values are made where a concatenation or a padding wants them, so that nothing is copied.

%7 = concatenate(%5, %6)   read by nothing else     ->     %5 and %6 are stored inside of %7
%8 = pad(%5)               read by nothing else     ->     %5 is stored inside of %8
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ..graph import Graph, Node
from ..graphs.views import View, base_of, contiguous, reshaped_strides, resolve, squeeze
from ..sizes import Dim, product
from .fusion import Group


@dataclass(frozen=True)
class Part:
    """Where a value begins in a larger one, and its strides over axes of more than one element."""

    whole: Node
    offset: Dim
    strides: tuple[Dim, ...]


def parts_of(node: Node) -> Iterable[tuple[Node, Part]]:
    """Each operand of a concatenation or padding, and where in the result it comes to lie."""
    strides = contiguous(node.shape)
    if node.op == "pad":
        item = node.inputs[0]
        yield item, Part(node, _corner(node, strides), _steps(node, strides))
        return
    axis = node.attrs["axis"]
    begin: Dim = 0
    for item in node.inputs:
        inner = tuple(s for s, n in zip(strides, item.shape, strict=True) if n != 1)
        yield item, Part(node, begin * strides[axis], inner)
        begin = begin + item.shape[axis]


def _corner(node: Node, strides: Sequence[Dim]) -> Dim:
    """Where the operand of a padding begins."""
    offset: Dim = 0
    for low, stride in zip(node.attrs["low"], strides, strict=True):
        offset = offset + low * stride
    return offset


def _steps(node: Node, strides: Sequence[Dim]) -> tuple[Dim, ...]:
    """The strides of the operand of a padding, over its axes of more than one element."""
    axes = zip(node.attrs["inner"], strides, node.inputs[0].shape, strict=True)
    return tuple(step * stride for step, stride, extent in axes if extent != 1)


def frames(node: Node) -> bool:
    """Whether a padding puts zeros around its operand alone, and none between its elements."""
    return node.op == "pad" and all(step == 1 for step in node.attrs["inner"])


def parts_in_place(graph: Graph, groups: Sequence[Group]) -> dict[Node, Part]:
    """The values that can be stored where a concatenation or padding would copy them.

    Each is computed by a kernel that can write with any strides, and read by nothing but that
    node, perhaps under another shape, outside of the group that makes it.
    """
    group_of = {node: group for group in groups for node in group.members}
    uses: dict[Node, int] = dict.fromkeys(graph.roots, 1)
    for group in groups:
        for node in group.members:
            for item in node.inputs:
                base = base_of(item)
                if base not in group.members:
                    uses[base] = uses.get(base, 0) + 1
    found = {}
    for node in group_of:
        if node.op != "concatenate" and not frames(node):
            continue
        for item, part in parts_of(node):
            view = resolve(item)
            maker = group_of.get(view.base)
            if (
                maker is not None
                and maker.kind in ("loop", "gemm")
                and maker.members[view.base] != "column"
                and uses[view.base] == 1
            ):
                strides = _strides_in(part, view)
                if strides is not None:
                    found[view.base] = replace(part, strides=strides)
    return found


def _strides_in(part: Part, view: View) -> tuple[Dim, ...] | None:
    """The strides over the axes of a view's base with which it lies where the view must, if any.

    There are none unless the view shows all of the base in its order.
    """
    shape, base = squeeze(view.shape), squeeze(view.base.shape)
    in_order = view.offset == 0 and view.squeezed().strides == contiguous(shape)
    if not in_order or product(shape) != product(base):
        return None
    return reshaped_strides(shape, part.strides, base)
