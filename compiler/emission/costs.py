"""What the rows of a compiled graph must do: operations, bytes, and for which block.

`flops` says which operations are exact.  Bytes are those that cross between a kernel and memory
when nothing is read twice: each element that a row reads or writes, once.  A gather reads at most
the elements that it picks.

A program does not carry what this needs: whoever asks runs the passes up to `schedule` again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..graph import Node
from ..graphs.binding import Sizes
from ..graphs.flops import flops_of, worked_elements
from ..graphs.views import View, resolve
from ..primitives.attention import ATTENTION, attention_work
from ..primitives.contraction import contraction_flops
from ..primitives.linear.counts import LINEAR, linear_work
from ..primitives.log_product import LOG_PRODUCTS, log_product_work
from ..primitives.record import lookup
from ..primitives.sorting import sort_work
from ..scheduling.fusion import Group
from ..scheduling.schedule import Computed, Copied, Part, Schedule
from ..sizes import Dim, evaluate, product
from .emit import origin_text
from .moves import cleared_parts, copied_parts, put_in_place
from .nest import Places

PRODUCT_SPEED = 32
"""Operations of a matrix product in the time of one elsewhere, for sharing out a kernel's time."""


@dataclass(frozen=True)
class Cost:
    """What one row must do at some sizes.

    Attributes:
        flops: floating-point operations.
        read: bytes.
        written: bytes.
        work: for each block that it computes for ("net/0", "net/0 backward"), an estimate of the
            time in operations on one element; as ordered as the row's origins.
    """

    flops: int
    read: int
    written: int
    work: tuple[tuple[str, int], ...]


def row_costs(schedule: Schedule, sizes: Sizes) -> list[Cost]:
    """The costs of the rows that `emit` makes, in their order; of one turn in a loop."""
    return list(_costs(schedule.parts(), sizes))


def _costs(parts: Iterable[Part], sizes: Sizes) -> Iterator[Cost]:
    for part in parts:
        if isinstance(part, Copied):
            yield _moved(part.node, sizes)
        elif isinstance(part, Computed):
            yield from _group_costs(part.group, part.places, sizes)
        else:
            yield from _costs(part.parts, sizes)


def _work(node: Node, sizes: Sizes) -> int:
    if node.op == "contract":
        return _count(contraction_flops(node), sizes) // PRODUCT_SPEED
    if node.op in ATTENTION:
        return _count(attention_work([node]), sizes)
    if node.op in LOG_PRODUCTS:
        return _count(log_product_work(node), sizes)
    if node.op in LINEAR:
        return _count(linear_work(node), sizes)
    if node.op == "argsort":
        return _count(sort_work(node), sizes)
    return _count(worked_elements(node), sizes) * max(1, lookup(node.op).flops)


def _group_costs(group: Group, places: Places, sizes: Sizes) -> Iterator[Cost]:
    """The costs of the rows that `emit` makes of a group."""
    if group.kind == "concatenate":
        (node,) = group.members
        for item, _ in copied_parts(node, places):
            yield _moved(node, sizes, item.type.count)
    elif group.kind == "pad":
        (node,) = group.members
        for shape, _ in cleared_parts(node):
            yield _cleared(node, sizes, product(shape))
        for item, _ in copied_parts(node, places):
            yield _moved(node, sizes, item.type.count)
    elif group.kind == "scatter":
        (node,) = group.members
        yield _cleared(node, sizes)
        cost = _fused([node], places, sizes)
        touched = min(_bytes(node, node.inputs[1].type.count, sizes), cost.written)
        yield Cost(cost.flops, cost.read + touched, touched, cost.work)
    elif group.kind == "put":
        (node,) = group.members
        if not put_in_place(node, places):
            yield _moved(node, sizes)
        yield _moved(node, sizes, node.inputs[2].type.count)
    else:
        yield _fused(list(group.members), places, sizes)


def _fused(members: Sequence[Node], places: Places, sizes: Sizes) -> Cost:
    """One kernel for all of these: what they read from elsewhere, and what of them is stored."""
    inside = set(members)
    seen: dict[Node, dict[tuple[Any, ...], Dim]] = {}
    work: dict[str, int] = {}
    for node in members:
        label = origin_text(node)
        work[label] = work.get(label, 0) + _work(node, sizes)
        for place, item in enumerate(node.inputs):
            view = resolve(item)
            if view.base not in inside and view.base in places:
                picked = node.type.count if (node.op, place) == ("gather", 0) else _distinct(view)
                seen.setdefault(view.base, {})[view.offset, view.shape, view.strides] = picked
    read = 0
    for base, counts in seen.items():
        wanted = sum(_count(count, sizes) for count in counts.values())
        read += min(wanted, _count(base.type.count, sizes)) * base.type.item_bytes
    stored = [node for node in members if node in places]
    written = sum(_bytes(node, node.type.count, sizes) for node in stored)
    flops = sum(_count(count, sizes) for _, count in flops_of(members))
    return Cost(flops, read, written, tuple(work.items()))


def _distinct(view: View) -> Dim:
    """The elements of its base that a view shows, each once."""
    pairs = zip(view.shape, view.strides, strict=True)
    return product(extent for extent, stride in pairs if stride != 0)


def _moved(node: Node, sizes: Sizes, count: Dim | None = None) -> Cost:
    """Elements of a node, by default all, that are read in one place and written in another."""
    count = node.type.count if count is None else count
    size = _bytes(node, count, sizes)
    return Cost(0, size, size, ((origin_text(node), _count(count, sizes)),))


def _cleared(node: Node, sizes: Sizes, count: Dim | None = None) -> Cost:
    """Elements of a node, by default all, that are filled with zeros."""
    count = node.type.count if count is None else count
    work = ((origin_text(node), _count(count, sizes)),)
    return Cost(0, 0, _bytes(node, count, sizes), work)


def _count(size: Dim, sizes: Sizes) -> int:
    count: int = evaluate(size, sizes)
    return count


def _bytes(node: Node, count: Dim, sizes: Sizes) -> int:
    return _count(count, sizes) * node.type.item_bytes
