"""What of a loop's body is computed outside of the loop: the decisions of the pass `hoist`.

By what it depends on, a node of a body is

    fixed     on invariants alone                     computed once, before the loop
    free      on sequences and invariants             can be computed for all steps at once, before
    bound     on a carry                              early, if a next value of a carry needs it;
                                                      else late: can be computed afterwards

What makes it worth it are products (contractions, gathers, scatters, loops inside the body): one
large one instead of a small one at each step.  So what leaves is

    fixed     all that is computed
    free      products, and what is computed of them, as long as it is not larger than what it is
              made of; elementwise work with no product before it stays, to be fused
    results   those of fixed and free nodes; late ones with a product behind them, made of the
              stacks of what stays; and sums of what is stacked anyway

A late result leaves only if it makes the loop stack at most STORED times the bytes that its
products read and write in a step.  A loop that keeps its carries alone is meant to store little:
of it, only what is fixed leaves.  So it is with a loop that has a gate, since nothing is to be
computed for steps that are not made; its results stay, for they are of those steps alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import IntEnum

from ...graph import Graph, Node
from ...graphs.batching import can_batch
from ...graphs.views import base_of
from ...primitives.attention import ATTENTION
from ...primitives.contraction import summed_labels
from ...primitives.convolution import CONVOLUTIONS
from ...primitives.known import is_known
from ...primitives.record import lookup
from ...primitives.recurrence import gate_of, loop_of, result_source, results_of, role_of
from ...primitives.scattering import SCATTERS

STORED = 2
"""Bytes that a late result may add to the stacks, for each byte that its products move."""


class When(IntEnum):
    """What a node of a body depends on."""

    FIXED = 0
    FREE = 1
    BOUND = 2


ROLES = {"invariant": When.FIXED, "sequence": When.FREE, "carry": When.BOUND}


class Plan:
    """What leaves a loop.

    Attributes:
        order: the nodes of the body, inputs first.
        when: for each of them, what it depends on.
        leaving: the results that are computed outside of the loop.
        stacked: the bound nodes whose values at all steps are results of the loop that stays.
        handed: fixed and free nodes that are computed before the loop and read inside, in order.
    """

    def __init__(self, results: Sequence[Node]) -> None:
        self.results = results
        self.body: Graph = results[0].attrs["body"]
        self.order = self.body.all_nodes()
        self.entries = set(self.body.inputs)
        self.gated = gate_of(self.body) is not None
        self.carries_only = self.gated or results[0].attrs["keep"] == "carries"
        self.when = self._classified()
        self.early = self._needed_by_carries()
        self.heavy = self._with_products()
        self.stacked: dict[Node, None] = {}
        self.after: set[Node] = set()  # late nodes that are computed after the loop
        self.leaving: dict[Node, None] = {}
        self._decide_results()
        self.precomputed = self._decide_precomputed()

    def is_late(self, node: Node) -> bool:
        """Whether a node depends on a carry, and no carry on it."""
        return self.when[node] == When.BOUND and node not in self.early

    def _classified(self) -> dict[Node, When]:
        when: dict[Node, When] = {}
        for node in self.order:
            if node in self.entries:
                found = ROLES[role_of(node)]
            else:
                found = max((when[item] for item in node.inputs), default=When.FIXED)
            if found == When.FREE and (self.carries_only or not can_batch(node)):
                found = When.BOUND
            when[node] = found
        return when

    def _needed_by_carries(self) -> set[Node]:
        if self.carries_only:
            return {node for node in self.order if self.when[node] == When.BOUND}
        inner = results_of(self.order)
        seen: set[Node] = set()
        stack = [value for _, value in self.body.updates]
        while stack:
            node = stack.pop()
            if node not in seen:
                seen.add(node)
                stack.extend(node.inputs)
                if node.op == "loop":  # its other results come for nothing
                    stack.extend(inner[loop_of(node)])
        early = {node for node in seen if self.when[node] == When.BOUND}
        return early | {node for node in self.entries if self.when[node] == When.BOUND}

    def _with_products(self) -> set[Node]:
        """Free and late nodes that are products, or made of one that leaves."""
        heavy: set[Node] = set()
        for node in self.order:
            when = self.when[node]
            if node in self.entries or when == When.FIXED or node in self.early:
                continue
            behind = any(i in heavy and self.when[i] == when for i in node.inputs)
            if can_batch(node) and (behind or is_product(node, when == When.FREE)):
                heavy.add(node)
        return heavy

    def _decide_results(self) -> None:
        bound = []
        for result in self.results:
            if result.attrs["result"] == "last":
                continue
            value = result_source(self.body, result)
            if value.dtype == "bool" and result.attrs["result"] == "sum":
                continue
            if self.when[value] != When.BOUND:
                if not self.gated:
                    self.leaving[result] = None
                continue
            bound.append((result, value))
            if result.attrs["result"] == "stack" and value not in self.heavy:
                self.stacked[value] = None
        for result, value in bound:
            if value in self.heavy and value not in self.stacked:
                self._decide_late(result, value)
        for result, value in bound:
            if result.attrs["result"] == "sum" and result not in self.leaving:
                needs, _ = self._behind(value, light=True)
                if all(node in self.stacked for node in needs):
                    self.leaving[result] = None

    def _decide_late(self, result: Node, value: Node) -> None:
        needs, way = self._behind(value)
        stored = size_of(node for node in needs if node not in self.stacked)
        moved = sum(size_of({node, *node.inputs}) for node in way if is_product(node))
        if stored <= STORED * moved:
            self.leaving[result] = None
            self.stacked |= dict.fromkeys(needs)
            self.after |= way
        elif result.attrs["result"] == "stack":
            self.stacked[value] = None

    def _behind(self, root: Node, light: bool = False) -> tuple[list[Node], set[Node]]:
        """What must be stacked to compute a node outside, and the late nodes on the way to it.

        What is computed outside anyway is not gone through again.
        Late nodes without a product are stacked, unless they are views of what is not larger or
        `light` is true: then they are computed outside too.
        """
        needs: dict[Node, None] = {}
        way: set[Node] = set()
        seen: set[Node] = set()
        stack = [root]
        while stack:
            node = stack.pop()
            if node in seen or node in self.after or self.when[node] != When.BOUND:
                continue
            seen.add(node)
            leaves = self.is_late(node) and node not in self.stacked and can_batch(node)
            if leaves and (light or node in self.heavy or is_wide_view(node)):
                stack.extend(node.inputs)
                way.add(node)
            else:
                needs[node] = None
        return list(needs), way

    def _decide_precomputed(self) -> list[Node]:
        staying = [r for r in self.results if r not in self.leaving]
        wanted = {
            *(value for _, value in self.body.updates),
            *(result_source(self.body, result) for result in staying),
            *self.stacked,
        }
        precomputed = []
        for node in reversed(self.order):
            if node not in wanted or node in self.entries:
                continue
            if self._leaves_before(node):
                precomputed.append(node)
            else:
                wanted.update(node.inputs)
        return precomputed[::-1]

    def _leaves_before(self, node: Node) -> bool:
        """Whether a node that the loop needs is computed before it."""
        kind = lookup(node.op).kind
        if self.when[node] == When.BOUND or kind == "view":
            return False
        if self.when[node] == When.FIXED:
            return kind != "source" and not is_known(node)
        if node not in self.heavy or is_product(node, True):
            return node in self.heavy
        parts = {base_of(item) for item in node.inputs if self.when[item] == When.FREE}
        return size_of([node]) <= size_of(parts)


def is_product(node: Node, summing: bool = False) -> bool:
    """Whether a node is work that is better done for all steps at once.

    Args:
        node: of a body.
        summing: whether a contraction counts only if it sums over something.
    """
    if node.op == "contract":
        return not summing or bool(summed_labels(node))
    kinds = (*CONVOLUTIONS, *ATTENTION, "gather", *SCATTERS, "solve", "argsort", "loop")
    return node.op in kinds


def is_wide_view(node: Node) -> bool:
    """Whether a node is a view that shows all of its operand."""
    return lookup(node.op).kind == "view" and size_of([node]) >= size_of(node.inputs)


def size_of(nodes: Iterable[Node]) -> int:
    """The bytes of the values of some nodes, for nominal sizes."""
    return sum(node.type.nominal_bytes for node in nodes)
