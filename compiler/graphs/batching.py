"""Batching: the computation of one element, for all elements of a new leading axis at once.

    %2: [B,H] = contract(%x, %w)        ->      %2: [T,B,H] = contract(%x: [T,B,I], %w: [I,H])

Some nodes of a graph get a further leading axis; what depends on them follows, each node by the
batch rule of its primitive, and all else is shared by the elements.  (JAX calls it vmap.)  The
primitives that hold a graph are handled here: a loop whose inputs have the axis is a loop over
the same steps whose body is batched, its sequences with the axis behind that of the steps.  A gate
that has the axis becomes masks: each element keeps its carries at the steps that it does not make.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from ..errors import InvalidGraphError
from ..graph import Graph, Node, Origin, depending, topological
from ..primitives.batch import repeat, turned
from ..primitives.record import Builder, lookup
from ..primitives.recurrence import gate_of, loop_of, result_source, role_of
from ..sizes import Dim
from .rewrite import replace_inputs, substitute


class Batched(NamedTuple):
    """A node of the batched computation, and whether it has the leading axis."""

    node: Node
    has_axis: bool


def batch(
    roots: Iterable[Node], shared: Mapping[Node, Node], batched: Mapping[Node, Node], extent: Dim
) -> dict[Node, Batched]:
    """The computation of `roots`, and of all that they depend on, for `extent` elements.

    Args:
        roots: nodes whose batched values are wanted.
        shared: for nodes that are the same for every element, what to use for them; a node that
            is in neither mapping and has no inputs stands for itself.
        batched: for nodes that differ, the value with a leading axis of `extent` elements.
        extent: an integer or a named size.

    Returns:
        For every node that a root depends on, the node of the new graph; what does not depend on
        a batched node has no leading axis.

    Raises:
        InvalidGraphError: random bits whose key has the axis, or a gradient of what has it by a
            variable that does not (differentiate first); see `can_batch`.
    """
    batching = Batching(extent)
    done = {node: Batched(value, False) for node, value in shared.items()}
    done |= {node: Batched(value, True) for node, value in batched.items()}
    batching.complete(roots, done)
    return done


def can_batch(node: Node) -> bool:
    """Whether a node may depend on what differs between elements.

    Random bits may not: those of an element are numbered from 0 under its own key.  A loop that has
    a gate might, but all of its steps would be made where an element of its own stops.
    """
    if node.op == "loop" and gate_of(node.attrs["body"]) is not None:
        return False
    if node.op in ("loop", "call"):
        return all(can_batch(item) for item in node.attrs["body"].nodes())
    return node.op != "random_bits"


class Batching:
    """Applies nodes to operands some of which have the leading axis.

    One object must serve all results of a loop, and all outputs of a call, to keep them together.
    """

    def __init__(self, extent: Dim) -> None:
        self.extent = extent
        self.bodies: dict[Any, _Body] = {}

    def complete(self, roots: Iterable[Node], done: dict[Node, Batched]) -> None:
        """Apply `roots` and all that they depend on, up to the nodes that are done."""
        for node in topological(roots, done):
            done[node] = self.apply(node, [done[item] for item in node.inputs])

    def apply(self, node: Node, operands: Sequence[Batched]) -> Batched:
        """The node on these operands; InvalidGraphError if it cannot have the axis."""
        inputs, flags = tuple(x.node for x in operands), tuple(x.has_axis for x in operands)
        if not any(flags):
            return Batched(replace_inputs(node, inputs), False)
        b = Builder(node.origin)
        if node.op == "loop":
            return self.loop(b, node, inputs, flags)
        if node.op == "call":
            return self.call(node, inputs, flags)
        if node.op == "gradient":
            return Batched(self.gradient(b, node, inputs, flags), True)
        rule = lookup(node.op).batch
        if rule is None:
            raise InvalidGraphError(
                f"{node.op}{_place(node)} has no batch rule: expected operands that are the same "
                f"for every element, got operands that differ; compute them one by one"
            )
        return Batched(rule(b, node, inputs, flags), True)

    def repeated(self, b: Builder, value: Batched) -> Node:
        """A value with the axis, repeated along it where it has none."""
        if value.has_axis:
            return value.node
        return repeat(b, value.node, self.extent)

    def gradient(
        self, b: Builder, node: Node, inputs: Sequence[Node], flags: Sequence[bool]
    ) -> Node:
        """No element's cost depends on another's variable: the gradient of their sum."""
        (cost, variable), (cost_has, variable_has) = inputs, flags
        if not variable_has:
            raise InvalidGraphError(
                f"gradient{_place(node)} of a cost for each element by a variable that they share: "
                f"expected a graph without gradients, differentiate it before batching"
            )
        if not cost_has:
            return b.fill(0, variable.type)
        found: Node = b.gradient(b.reduce_sum(cost, axes=(0,)), variable)
        return found

    def call(self, node: Node, inputs: tuple[Node, ...], flags: tuple[bool, ...]) -> Batched:
        """A call of the batched body."""
        body: Graph = node.attrs["body"]
        key = id(body), flags
        if key not in self.bodies:
            entries = dict(zip(body.inputs, flags, strict=True))
            self.bodies[key] = _Body(self, body, entries)
        inner = self.bodies[key]
        found = inner.found[dict(body.outputs)[node.attrs["output"]]]
        attrs = {**node.attrs, "body": inner.graph}
        return Batched(
            replace(node, inputs=inputs, attrs=attrs, type=found.node.type), found.has_axis
        )

    def loop(
        self, b: Builder, node: Node, inputs: tuple[Node, ...], flags: tuple[bool, ...]
    ) -> Batched:
        """The same result of the loop of the batched body."""
        body: Graph = node.attrs["body"]
        key = loop_of(node), flags
        if key not in self.bodies:
            self.bodies[key] = _loop_body(self, body, flags)
        inner = self.bodies[key]
        if inner.outer is None or inner.outer[0] != inputs:
            outer = [
                self.outer(b, entry, Batched(item, has), inner)
                for entry, item, has in zip(inner.body.inputs, inputs, flags, strict=True)
            ]
            inner.outer = inputs, tuple(outer)
        _, operands = inner.outer
        attrs = {**node.attrs, "body": inner.graph}
        found = b.apply("loop", *operands, **attrs)
        value = result_source(inner.body, node)
        if node.attrs["result"] == "last":
            carry = next(c for c, _ in inner.body.updates if c.attrs["name"] == node.attrs["of"])
            return Batched(found, inner.entries[carry])
        has = inner.found[value].has_axis
        if has and node.attrs["result"] == "stack":
            found = turned(b, found, (1, 0, *range(2, found.type.rank)))
        return Batched(found, has)

    def outer(self, b: Builder, entry: Node, value: Batched, inner: _Body) -> Node:
        """An input of a loop as the batched body takes it."""
        if not inner.entries[entry]:
            return value.node
        x = self.repeated(b, value)
        if role_of(entry) == "sequence":
            return turned(b, x, (1, 0, *range(2, x.type.rank)))
        return x


class _Body:
    """A body in which some inputs have the axis."""

    def __init__(self, batching: Batching, body: Graph, entries: Mapping[Node, bool]) -> None:
        self.body, self.entries = body, entries
        self.outer: tuple[tuple[Node, ...], tuple[Node, ...]] | None = None
        extent = batching.extent
        done: dict[Node, Batched] = {}
        for entry in body.inputs:
            inside = entry
            if entries[entry]:
                wide = entry.type.with_shape((extent, *entry.shape))
                attrs = {**entry.attrs, "type": wide}
                inside = replace(entry, attrs=attrs, type=wide)
            done[entry] = Batched(inside, entries[entry])
        batching.complete(body.roots, done)
        self.found = done
        self.graph = Graph(
            body.name,
            tuple(done[entry].node for entry in body.inputs),
            tuple((name, done[node].node) for name, node in body.outputs),
            tuple((done[carry].node, self.value(batching, carry, v)) for carry, v in body.updates),
        )

    def value(self, batching: Batching, carry: Node, value: Node) -> Node:
        found = self.found[value]
        if not self.entries[carry]:
            return found.node
        return batching.repeated(Builder(value.origin), found)


def _loop_body(batching: Batching, body: Graph, flags: Sequence[bool]) -> _Body:
    """The body of a loop: a carry has the axis if it starts with it, or if a step gives it."""
    entries = dict(zip(body.inputs, flags, strict=True))
    while True:
        depends = depending(topological(body.roots), [e for e, has in entries.items() if has])
        more = [carry for carry, v in body.updates if v in depends and not entries[carry]]
        if not more:
            break
        entries |= dict.fromkeys(more, True)
    gate = gate_of(body)
    if gate is not None and entries[gate]:
        return _loop_body(batching, _masked(body, gate), flags)
    return _Body(batching, body, entries)


def _masked(body: Graph, gate: Node) -> Graph:
    """A body without its gate: where that is false, carries stay and outputs are zero."""
    attrs = {name: value for name, value in gate.attrs.items() if name != "gate"}
    known = {entry: entry for entry in body.inputs} | {gate: replace(gate, attrs=attrs)}
    done = substitute(body.roots, known)

    def masked(value: Node, other: Node) -> Node:
        b = Builder(value.origin)
        found: Node = b.select(b.spread(known[gate], value.shape), value, other)
        return found

    return Graph(
        body.name,
        tuple(known.values()),
        tuple((n, masked(done[y], Builder().fill(0, y.type))) for n, y in body.outputs),
        tuple((known[c], masked(done[v], known[c])) for c, v in body.updates),
    )


def _place(node: Node) -> str:
    origin: Origin = node.origin
    words = [word for word in (origin.path, origin.where) if word]
    return f" ({', '.join(words)})" if words else ""
