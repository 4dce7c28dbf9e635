"""Pruning: loops without what no result of theirs needs.

    an output, a carry or an input that no result depends on        ->   gone
    the same array given twice                                      ->   given once
    a sequence that is the same at every step                       ->   an invariant
    a carry that no step changes                                    ->   an invariant
    an invariant that is a known number everywhere                  ->   that number, in the body
    the stack (or sum) of what is given as a sequence               ->   the sequence (its sum)
    a gate that is true at every step                               ->   gone

Derivatives leave much of this: they ask a loop for everything that they might need.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ...graph import Graph, Node, topological
from ...graphs.rewrite import rewrite, substitute
from ...primitives.batch import repeat
from ...primitives.known import fill_value, filled_with, is_known
from ...primitives.record import Builder
from ...primitives.recurrence import Role, gate_of, loop_of, results_of, role_of

Simplify = Callable[[Graph], Graph]


def prune(graph: Graph, simplify: Simplify) -> Graph:
    """The graph with smaller loops, their bodies simplified; itself if nothing can go."""
    order = graph.all_nodes()
    loops = results_of(order)
    if not loops:
        return graph
    live = _live(graph, order, loops)

    def smaller(results: list[Node], inputs: tuple[Node, ...]) -> dict[Node, Node]:
        found = dict(zip(results, results, strict=True))
        if used := [item for item in results if item in live]:
            found |= _Loop(used, inputs, simplify).results()
        return found

    return rewrite(graph, loops=smaller, order=order)


def _live(graph: Graph, order: Sequence[Node], loops: Mapping[Any, list[Node]]) -> set[Node]:
    """The nodes that a root depends on, where a loop depends on what its results need alone."""
    live = {*graph.inputs, *graph.roots}
    for node in reversed(order):
        if node.op != "loop":
            if node in live:
                live.update(node.inputs)
            continue
        results = loops[loop_of(node)]
        if results[0] is node:  # what uses a result comes after the first one
            body: Graph = node.attrs["body"]
            used = _used(body, [item for item in results if item in live])
            entries = zip(body.inputs, node.inputs, strict=True)
            live.update(outside for entry, outside in entries if entry in used)
    return live


def _used(body: Graph, results: Iterable[Node]) -> set[Node]:
    """What some results of a loop depend on in its body, over any number of steps."""
    following, outputs = dict(body.updates), dict(body.outputs)
    carries = {carry.attrs["name"]: carry for carry in following}
    used: set[Node] = set()
    gate = gate_of(body)
    stack = [] if gate is None else [gate]
    for node in results:
        last = node.attrs["result"] == "last"
        stack.append((carries if last else outputs)[node.attrs["of"]])
    while stack:
        node = stack.pop()
        if node not in used:
            used.add(node)
            stack.extend(node.inputs)
            if node in following:
                stack.append(following[node])
    return used


class _Loop:
    """A loop made smaller: `results` are those that are used, `inputs` what enters it."""

    def __init__(self, results: list[Node], inputs: tuple[Node, ...], simplify: Simplify) -> None:
        self.asked = results
        self.loop = results[0]
        self.body: Graph = self.loop.attrs["body"]
        self.following = dict(self.body.updates)
        self.outside: dict[Node, Node] = {}  # by the entry in the new body
        self.known: dict[Node, Node] = {}  # what stands for each entry of the old one
        used = _used(self.body, results)
        shared: dict[Any, Node] = {}
        for entry, item in zip(self.body.inputs, inputs, strict=True):
            if entry in used:
                self.known[entry] = self.enter(entry, item, shared)
        self.new = self.shrunk(simplify)
        self.outputs = dict(self.new.outputs)
        self.carries = {carry.attrs["name"]: carry for carry in self.following}

    def enter(self, entry: Node, outside: Node, shared: dict[Any, Node]) -> Node:
        """What stands for an entry in the new body."""
        role, following = role_of(entry), self.following.get(entry)
        if role == "carry" and following is entry:
            role = "invariant"
        if role == "sequence" and outside.op == "broadcast" and 0 not in outside.attrs["axes"]:
            role, outside = "invariant", _element(outside)
        gate = bool(entry.attrs.get("gate"))
        if role == "invariant" and fill_value(outside):
            gate = False
        if role == "invariant" and is_known(filled_with(outside)) and not gate:
            return _copied(outside)
        key = role, outside, following, gate
        if key not in shared:
            new = entry if role == role_of(entry) else _with_role(entry, role)
            shared[key] = new
            self.outside[new] = outside
        return shared[key]

    def shrunk(self, simplify: Simplify) -> Graph:
        body = self.body
        names = {n.attrs["of"] for n in self.asked if n.attrs["result"] != "last"}
        outputs = [(name, node) for name, node in body.outputs if name in names]
        updates = [(c, v) for c, v in body.updates if self.known.get(c) in self.outside]
        updates = [(c, v) for c, v in updates if role_of(self.known[c]) == "carry"]
        values = [*(node for _, node in outputs), *(value for _, value in updates)]
        done = substitute(values, self.known)
        new = Graph(
            body.name,
            tuple(self.outside),
            tuple((name, done[node]) for name, node in outputs),
            tuple({self.known[carry]: done[value] for carry, value in updates}.items()),
        )
        return simplify(new)

    def results(self) -> dict[Node, Node]:
        """What stands for each result."""
        first = {node: name for name, node in reversed(self.new.outputs)}
        found: dict[Node, Node] = {}
        wanted: dict[Node, str] = {}
        for node in self.asked:
            short = self.without_loop(node)
            if short is not None:
                found[node] = short
            elif node.attrs["result"] == "last":
                wanted[node] = self.known[self.carries[node.attrs["of"]]].attrs["name"]
            else:
                wanted[node] = first[self.outputs[node.attrs["of"]]]
        return found | self.shared(wanted)

    def without_loop(self, node: Node) -> Node | None:
        """A result that needs no loop, or None."""
        b, of = Builder(node.origin), node.attrs["of"]
        if node.attrs["result"] == "last":
            new = self.known[self.carries[of]]
            if new not in self.outside:
                return _copied(new)
            return self.outside[new] if role_of(new) == "invariant" else None
        value = self.outputs[of]
        if value not in self.outside or role_of(value) == "carry" or gate_of(self.new) is not None:
            return None
        outside, stacked = self.outside[value], node.attrs["result"] == "stack"
        if role_of(value) == "sequence":
            return outside if stacked else b.reduce_sum(outside, axes=(0,))
        return repeat(b, outside, node.shape[0]) if stacked else None

    def shared(self, wanted: Mapping[Node, str]) -> dict[Node, Node]:
        """The results that stay, of one loop that has no more than they need."""
        attrs = [{**n.attrs, "body": self.new, "of": of} for n, of in wanted.items()]
        inputs = tuple(self.outside.values())
        asked = [replace(n, attrs=a, inputs=inputs) for n, a in zip(wanted, attrs, strict=True)]
        used = _used(self.new, asked)
        kept = {entry: item for entry, item in self.outside.items() if entry in used}
        names = {of for n, of in wanted.items() if n.attrs["result"] != "last"}
        body = Graph(
            self.new.name,
            tuple(kept),
            tuple((name, node) for name, node in self.new.outputs if name in names),
            tuple((carry, value) for carry, value in self.new.updates if carry in kept),
        )
        if body == self.body:
            body = self.body
        inputs = tuple(kept.values())
        return {
            node: self.result(node, inputs, body, new)
            for node, new in zip(wanted, asked, strict=True)
        }

    def result(self, node: Node, inputs: tuple[Node, ...], body: Graph, new: Node) -> Node:
        if body is self.body and inputs == node.inputs and new.attrs["of"] == node.attrs["of"]:
            return node
        return replace(new, inputs=inputs, attrs={**new.attrs, "body": body})


def _with_role(entry: Node, role: Role) -> Node:
    return replace(entry, attrs={**entry.attrs, "role": role})


def _element(repeated: Node) -> Node:
    """One element of a broadcast along a new leading axis."""
    axes = tuple(axis - 1 for axis in repeated.attrs["axes"])
    shape = repeated.shape[1:]
    if not shape:
        return repeated.inputs[0]
    found: Node = Builder(repeated.origin).broadcast(repeated.inputs[0], shape=shape, axes=axes)
    return found


def _copied(number: Node) -> Node:
    """A number, as a node of another graph."""
    done: dict[Node, Node] = {}
    for node in topological([number]):
        done[node] = replace(node, inputs=tuple(done[item] for item in node.inputs))
    return done[number]
