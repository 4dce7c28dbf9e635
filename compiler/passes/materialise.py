"""materialise: a copy is put wherever a value must lie in memory and a view will not do.

    %2 = reshape(transpose(%1))        ->   %2 = reshape(copy(transpose(%1)))
    output y = %1 (an input)           ->   output y = copy(%1)

After it every chain of views resolves to strides over one base, the operands of contractions and
of moves lie in memory, and every output and update is computed by a node of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..graph import Graph, Node
from ..graphs.depth import (
    Operands,
    columns_last,
    columns_lie,
    one_depth,
    operands_of,
    orders_of,
    reads_segments,
)
from ..graphs.loop_bodies import map_bodies
from ..graphs.rewrite import replace_inputs, rewrite
from ..graphs.views import apply_view, base_of, contiguous, merged_axis, resolve
from ..primitives.attention import ATTENTION, read_in_rows
from ..primitives.contraction import summed_labels
from ..primitives.known import is_known
from ..primitives.log_product import LOG_PRODUCTS
from ..primitives.record import Builder, lookup
from ..primitives.recurrence import gate_of, role_of
from ..primitives.scattering import SCATTERS
from ..sizes import Dim, nominal, product

IN_MEMORY = (
    "contract", "solve", "gather", *SCATTERS, "put", "cumsum", "argsort",
    "overlap_add", "first_outside", *ATTENTION, *LOG_PRODUCTS,
)  # fmt: skip
"""Primitives whose operands must lie in memory."""


def materialise(graph: Graph) -> Graph:
    """The same graph with copies: Graph -> Graph."""
    graph = _operands_in_memory(map_bodies(graph, _materialise_body))
    root = _Roots()
    return replace(
        graph,
        outputs=tuple((name, root(node)) for name, node in graph.outputs),
        updates=tuple((state, root(value)) for state, value in graph.updates),
    )


def _materialise_body(body: Graph) -> Graph:
    """The body of a loop: its outputs may be what it carries, which lies in memory anyway.

    Not those of a loop with a gate: it carries in one place, and has zeros where no step is made.
    """
    body = _operands_in_memory(body)
    root = _Roots()
    updates = tuple((carry, root(value)) for carry, value in body.updates)
    kept: dict[Node, Node] = {}
    if gate_of(body) is None:
        kept |= {carry: carry for carry, _ in updates}
        for (_, value), (_, placed) in zip(body.updates, updates, strict=True):
            kept.setdefault(value, placed)
    outputs = []
    for name, node in body.outputs:
        if node not in kept:
            kept[node] = root(node)
        outputs.append((name, kept[node]))
    return replace(body, outputs=tuple(outputs), updates=updates)


class _Roots:
    """Nodes that compute roots: a copy where a root is a view or known, or a root already."""

    def __init__(self) -> None:
        self.taken: set[Node] = set()

    def __call__(self, node: Node) -> Node:
        known = lookup(node.op).kind in ("view", "source", "structured") or is_known(node)
        if known or node in self.taken:
            node = Builder(node.origin).copy(node)
        self.taken.add(node)
        return node


def _operands_in_memory(graph: Graph) -> Graph:
    """The graph with every node on operands that lie as its kernel needs them."""
    packed: dict[Any, Node] = {}
    copies: dict[Node, Node] = {}
    used_again = _used_again(graph)

    def copied(node: Node, item: Node) -> Node:
        """A copy for all that need one."""
        if item not in copies:
            copies[item] = Builder(node.origin).copy(item)
        return copies[item]

    def placed(node: Node, old: Node) -> Node:
        copier, inputs = Builder(node.origin), node.inputs
        if node.op == "reshape" and apply_view(resolve(inputs[0]), node) is None:
            inputs = (copier.copy(inputs[0]),)
        if node.op in IN_MEMORY:
            rows = read_in_rows(node) if node.op in ATTENTION else ()
            inputs = tuple(
                item if _lies(item) and (item not in rows or _in_rows(item)) else copied(node, item)
                for item in inputs
            )
        if node.op == "concatenate":
            # A copy of its own can be made by the kernel that makes the value: see `joining`.
            shared = [base_of(item) in used_again for item in old.inputs]
            inputs = tuple(
                copier.copy(item) if again else item
                for item, again in zip(inputs, shared, strict=True)
            )
        if node.op == "contract":
            inputs = _one_summed_axis(copier, replace_inputs(node, inputs), packed)
        return replace_inputs(node, inputs)

    def entered(results: list[Node], inputs: tuple[Node, ...]) -> dict[Node, Node]:
        inputs = _entered(results[0], inputs)
        return {node: replace_inputs(node, inputs) for node in results}

    return rewrite(graph, placed, entered)


def _used_again(graph: Graph) -> set[Node]:
    """Computed values that more than one node reads, or that are roots."""
    once: set[Node] = set()
    again = set(graph.roots)
    for node in graph.nodes():
        if lookup(node.op).kind != "view":
            for base in map(base_of, node.inputs):
                (again if base in once else once).add(base)
    return {node for node in again if lookup(node.op).kind not in ("source", "structured")}


def _entered(loop: Node, inputs: Sequence[Node]) -> tuple[Node, ...]:
    """The inputs of a loop: its kernels read sequences and invariants as they read a buffer."""
    copier = Builder(loop.origin)
    return tuple(
        item if role_of(entry) == "carry" or _lies_in_order(item) else copier.copy(item)
        for entry, item in zip(loop.attrs["body"].inputs, inputs, strict=True)
    )


def _lies_in_order(node: Node) -> bool:
    """Whether a value lies in memory row by row, wherever it begins."""
    view = resolve(node).squeezed()
    return _lies(node) and view.strides == contiguous(view.shape)


def _in_rows(node: Node) -> bool:
    """Whether the elements along the last axis lie side by side."""
    view = resolve(node)
    return view.shape[-1] == 1 or view.strides[-1] == 1


def _lies(node: Node) -> bool:
    base = base_of(node)
    return not is_known(base) and base.op != "iota"


def _one_summed_axis(b: Builder, n: Node, packed: dict[Any, Node]) -> tuple[Node, ...]:
    """Operands of a contraction whose summed axes read as one axis, in the same order in both.

    Or that are read in segments, where that needs no copy of a large one.
    `packed` are the copies that have been made for it, by what is copied and in which order.
    """
    summed = summed_labels(n)
    if len(summed) < 2:
        return n.inputs
    x = operands_of(n)
    if one_depth(x, summed) is None and reads_segments(n):
        return _columns_last(b, n, x, packed)
    views = [resolve(item) for item in n.inputs]
    labels = [n.attrs["a"], n.attrs["b"]]

    def fitting(order: tuple[int, ...]) -> list[bool]:
        pairs = zip(views, labels, strict=True)
        return [merged_axis(view, text, order) is not None for view, text in pairs]

    def copied(order: tuple[int, ...]) -> int:
        pairs = zip(n.inputs, fitting(order), strict=True)
        return sum(nominal(item.type.count) for item, fits in pairs if not fits)

    chosen = min(orders_of(x, summed), key=copied)
    fits = fitting(chosen)
    result = []
    for item, text, fit in zip(n.inputs, labels, fits, strict=True):
        if fit:
            result.append(item)
            continue
        wanted = _packed_order(n, dict(zip(text, item.shape, strict=True)), chosen)
        result.append(_copied(b, item, text, wanted, packed))
    return tuple(result)


def _columns_last(b: Builder, n: Node, x: Operands, packed: dict[Any, Node]) -> tuple[Node, ...]:
    """Operands that are read in segments: of the right one a copy, unless its columns lie so."""
    if columns_lie(x):
        return n.inputs
    place = 0 if x.swapped else 1
    wanted = columns_last(x, summed_labels(n))
    inputs = list(n.inputs)
    inputs[place] = _copied(b, inputs[place], x.b, wanted, packed)
    return tuple(inputs)


def _copied(
    b: Builder, item: Node, text: Sequence[int], wanted: Sequence[int], packed: dict[Any, Node]
) -> Node:
    """A copy of an operand with labels `text`, in whose memory they have the order `wanted`."""
    order = tuple(text.index(label) for label in wanted)
    if (item, order) not in packed:
        packed[item, order] = b.copy(b.transpose(item, axes=order))
    back = tuple(wanted.index(label) for label in text)
    result: Node = b.transpose(packed[item, order], axes=back)
    return result


def _packed_order(n: Node, extents: Mapping[int, Dim], summed: tuple[int, ...]) -> tuple[int, ...]:
    """The labels of an operand in the order in which it is copied.

    Batch labels come first, then those that are summed and those of this operand alone, last of
    them the ones with more elements: the copy has long rows, and the product reads along them.
    """
    a, b, out = (n.attrs[key] for key in ("a", "b", "out"))
    batch = tuple(label for label in out if label in a and label in b)
    own = tuple(label for label in out if label in extents and label not in batch)
    lengths = [nominal(product(extents[label] for label in part)) for part in (summed, own)]
    return (*batch, *summed, *own) if lengths[0] <= lengths[1] else (*batch, *own, *summed)
