"""The derivative of a loop: a reversed loop over what the first one stores.

    z(t) = f(z(t-1), x(t), w)      ->      dz(t-1), dx(t), dw(t) = f'(z(t-1), x(t), w)' dz(t)

The reversed loop carries dz, stacks dx, and sums dw over the steps (back-propagation through
time: Werbos, Backpropagation through time: what it does and how to do it, 1990).

What its body needs of the first loop's body is stored, one more result of that loop, if it is
dear: what is made by cheap elementwise operations alone is computed again, from what that takes,
unless this is more bytes than the value itself.  Cheap is what costs at most CHEAP operations on
an element.  A carry's values before and after a step are one history.  A loop that keeps its
`carries` alone stores nothing else: its body is run again in that of the reversed loop.

Where a loop has a gate, the reversed one has it too: the steps that were made, in reverse.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ..graph import Graph, Node, Origin, depending, topological
from ..primitives.record import Builder, lookup
from ..primitives.recurrence import gate_of, result_source, role_of
from .loop_bodies import fresh_name
from .rewrite import substitute

Accumulate = Callable[[Mapping[Node, Node], Iterable[Node]], dict[Node, Node]]

CHEAP = 1
"""Floating-point operations for an element up to which an elementwise value is not stored."""


def loop_gradient(
    b: Builder,
    cotangents: Mapping[Node, Node],
    wanted: Sequence[bool],
    accumulate: Accumulate,
) -> list[Node | None]:
    """The cotangent of each input of a loop, None where it is not `wanted`.

    Args:
        b: with the origin that the loop's derivative has.
        cotangents: of results of the loop, all of the same one.
        wanted: for each input, whether a cotangent is asked for.
        accumulate: the cotangents of some nodes of the body by those of its roots; it calls this
            rule for the loops inside the body.
    """
    return _LoopGradient(b, cotangents, wanted).inputs(accumulate)


@dataclass(frozen=True)
class _Entry:
    """An input of the reversed loop: in its body, and outside."""

    inside: Node
    outside: Node


class _LoopGradient:
    def __init__(self, b: Builder, cotangents: Mapping[Node, Node], wanted: Sequence[bool]) -> None:
        self.b = b
        self.cotangents = cotangents
        self.loop = next(iter(cotangents))
        self.body: Graph = self.loop.attrs["body"]
        self.wanted = [e for e, asked in zip(self.body.inputs, wanted, strict=True) if asked]
        self.outside = dict(zip(self.body.inputs, self.loop.inputs, strict=True))
        self.next = dict(self.body.updates)
        self.taken = {entry.attrs["name"] for entry in self.body.inputs}  # those stay as they are
        self.entries: dict[Node, _Entry] = {}  # by the node of the first body that enters there
        self.seeds: list[_Entry] = []

    def inputs(self, accumulate: Accumulate) -> list[Node | None]:
        # A derivative by an input of one step flows on to its carries in later steps.
        active = self.active_entries()
        carried = [entry for entry in active if role_of(entry) == "carry"]
        seeds, carries = self.seed(carried)
        found = accumulate(seeds, active)
        following = {
            carries[entry].inside: found.get(entry) or self.zeros(entry) for entry in carried
        }
        outputs = {
            entry.attrs["name"]: found[entry]
            for entry in self.wanted
            if entry in found and role_of(entry) != "carry"
        }
        known = self.residuals([*following.values(), *outputs.values()])
        done = substitute(
            [*following.values(), *outputs.values()],
            {node: entry.inside for node, entry in known.items()},
        )
        every = [*carries.values(), *self.seeds, *known.values()]
        body = Graph(
            self.body.name,
            tuple(entry.inside for entry in every),
            tuple((name, done[node]) for name, node in outputs.items()),
            tuple((carry, done[node]) for carry, node in following.items()),
        )
        outer = [entry.outside for entry in every]
        names = {entry: carries[entry].inside.attrs["name"] for entry in carried}
        return [self.result(entry, body, outer, outputs, names) for entry in self.body.inputs]

    def active_entries(self) -> list[Node]:
        order = list(topological(self.body.roots))
        active = list(self.wanted)
        while True:
            depends = depending(order, active)
            more = [
                carry
                for carry, value in self.body.updates
                if value in depends and carry not in active and carry.type.is_float
            ]
            if not more:
                return active
            active += more

    def seed(self, carried: Iterable[Node]) -> tuple[dict[Node, Node], dict[Node, _Entry]]:
        """Cotangents inside of the body's roots, and the carry that each carry's one becomes."""
        seeds: dict[Node, Node] = {}
        last: dict[str, Node] = {}
        for result, cotangent in self.cotangents.items():
            kind, of = result.attrs["result"], result.attrs["of"]
            if kind == "last":
                old = last.get(of)
                last[of] = cotangent if old is None else self.b.add(old, cotangent)
                continue
            role = "sequence" if kind == "stack" else "invariant"
            entry = self.enter(role, f"d_{kind}_{of}", result_source(self.body, result), cotangent)
            self.seeds.append(entry)
            self.add(seeds, result_source(self.body, result), entry.inside)
        carries = {}
        for carry in carried:
            name = carry.attrs["name"]
            outside = last.get(name) or self.zeros(carry)
            carries[carry] = self.enter("carry", f"d_{name}", carry, outside)
            self.add(seeds, self.next[carry], carries[carry].inside)
        return seeds, carries

    def add(self, seeds: dict[Node, Node], node: Node, part: Node) -> None:
        seeds[node] = self.b.add(seeds[node], part) if node in seeds else part

    def enter(self, role: str, name: str, like: Node, outside: Node) -> _Entry:
        name = fresh_name(name, self.taken)
        gate = {"gate": True} if like.attrs.get("gate") else {}
        inside = Builder(like.origin).input(name=name, type=like.type, role=role, **gate)
        return _Entry(inside, outside)

    def zeros(self, like: Node) -> Node:
        return self.b.fill(0, like.type.cotangent)

    def residuals(self, roots: Sequence[Node]) -> dict[Node, _Entry]:
        """What the reversed body reads of the first one, by the node that it stands for."""
        order = list(topological(roots))
        backward = depending(order, [n for n in order if n.op == "input" and n not in self.outside])
        needed = dict.fromkeys(n for n in roots if n not in backward)
        for node in order:
            if node in backward:
                needed.update(dict.fromkeys(i for i in node.inputs if i not in backward))
        gate = gate_of(self.body)
        chosen = {} if gate is None else {gate: None}
        chosen |= dict.fromkeys(n for n in needed if self.is_leaf(n))
        for node in needed:
            if node not in chosen:
                leaves = self.leaves(node, chosen)
                if self.cost(leaves, chosen) > self.cost([node], chosen):
                    leaves = [node]
                chosen |= dict.fromkeys(leaves)
        return self.stored({node: number for number, node in enumerate(chosen)})

    def leaves(self, node: Node, chosen: Container[Node]) -> list[Node]:
        """What must be stored, or is known outside, to compute a value again."""
        found: dict[Node, None] = {}
        stack, seen = [node], set()
        while stack:
            item = stack.pop()
            if item in seen:
                continue
            seen.add(item)
            if item in chosen or self.is_leaf(item):
                found[item] = None
            else:
                stack.extend(item.inputs)
        return list(found)

    def cost(self, leaves: Iterable[Node], chosen: Container[Node]) -> int:
        """The bytes of a step that storing these too takes."""
        if self.loop.attrs["keep"] == "carries":
            return sum(leaf.op != "input" for leaf in leaves)
        return sum(leaf.type.nominal_bytes for leaf in leaves if not self.is_free(leaf, chosen))

    def is_free(self, leaf: Node, chosen: Container[Node]) -> bool:
        """Whether a value is there anyway: chosen, given, or the other end of a chosen carry."""
        if leaf in chosen or (leaf.op == "input" and role_of(leaf) != "carry"):
            return True
        ends = [end for pair in self.body.updates if leaf in pair for end in pair]
        return any(end in chosen for end in ends)

    def is_leaf(self, node: Node) -> bool:
        """Whether a value costs too much to be recomputed."""
        if node.op == "input":
            return True
        if self.loop.attrs["keep"] == "carries":
            return False
        primitive = lookup(node.op)
        cheap = primitive.kind == "elementwise" and primitive.flops <= CHEAP
        return primitive.kind not in ("view", "source") and not cheap

    def stored(self, nodes: Mapping[Node, int]) -> dict[Node, _Entry]:
        """Sequences and invariants as they are; the rest as further stacks of the loop."""
        extra = {
            node: f"kept_{number}"
            for node, number in nodes.items()
            if node.op != "input" or role_of(node) == "carry"
        }
        names = {node: name for name, node in self.body.outputs}
        fresh = {n: name for n, name in extra.items() if n not in names}
        taken = {name for name, _ in self.body.outputs}
        pairs = []
        for node, name in fresh.items():
            names[node] = fresh_name(name, taken)
            pairs.append((names[node], node))
        body = replace(self.body, outputs=(*self.body.outputs, *pairs)) if pairs else self.body
        found = {}
        for node in nodes:
            if node not in extra:
                found[node] = _Entry(node, self.outside[node])
                continue
            attrs = {**self.loop.attrs, "body": body, "result": "stack", "of": names[node]}
            shape = (self.loop.attrs["steps"], *node.shape)
            origin = Origin(node.origin.path, node.origin.where)
            stack = Node("loop", self.loop.inputs, attrs, node.type.with_shape(shape), origin)
            found[node] = self.enter("sequence", names[node], node, stack)
        return found

    def result(
        self,
        entry: Node,
        body: Graph,
        outer: Sequence[Node],
        outputs: Mapping[str, Node],
        carries: Mapping[Node, str],
    ) -> Node | None:
        name, role = entry.attrs["name"], role_of(entry)
        if entry not in self.wanted:
            return None
        if role != "carry" and name not in outputs:
            return None
        result = {"sequence": "stack", "invariant": "sum", "carry": "last"}[role]
        attrs = self.loop.attrs
        of = carries[entry] if role == "carry" else name
        own = {word: attrs[word] for word in ("unroll",) if word in attrs}
        found: Node = self.b.loop(
            *outer, body=body, steps=attrs["steps"], reverse=not attrs["reverse"],
            result=result, of=of, keep=attrs["keep"], **own,
        )  # fmt: skip
        return found
