"""Lowering of loops: what was drawn in one becomes the body of a `loop` node.

All results that are asked for together come from one loop, unless one of them is needed to
compute what enters the loop for another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ...compiler.graph import Graph, Node, Origin
from ...compiler.primitives.record import Builder
from ...compiler.sizes import Dim
from ...compiler.unwinding import Steps
from ..errors import DiagramError
from ..variables.dependencies import Part, dependencies, ordered, part_of
from ..variables.loop_parts import Delay, Each, LoopParts, Result
from ..variables.variable import Variable


class Lowering(Protocol):
    """What turns variables into nodes, at one level: of the diagram, of a block, or of a loop."""

    nodes: dict[Variable, Node]

    def run(self, wanted: Sequence[Variable], path: str) -> Steps[None]:
        """Make the nodes of variables, and of all that they depend on."""

    def child(self) -> Any:
        """Another one, for a level below."""


class Pending:
    """The results of loops that one level will ask for."""

    def __init__(self, lowering: Lowering) -> None:
        self.lowering = lowering
        self.results: dict[LoopParts, dict[Result, None]] = {}
        self.active: set[LoopParts] = set()

    def expect(self, wanted: Sequence[Variable], known: Mapping[Variable, object]) -> None:
        """Remember the results among all that `wanted` depend on."""
        for variable in ordered(wanted, known):
            if isinstance(variable.producer, Result):
                self.results.setdefault(variable.producer.loop, {})[variable.producer] = None

    def lower(self, first: Result, path: str) -> Steps[None]:
        """Make the node of a result, and with it those of the same loop that can be made too."""
        loop = first.loop
        self.active.add(loop)
        results = [first]
        for other in self.results[loop]:
            done = other.outputs[0] in self.lowering.nodes
            if other is not first and not done and not self._waits(other):
                results.append(other)
        part = part_of(results)
        yield self.lowering.run(part.outer, path)
        self.active.discard(loop)
        yield _lower_loop(self.lowering, results, part, path)

    def _waits(self, result: Result) -> bool:
        """Whether what enters a loop for a result depends on a loop that is being made now."""
        needed = ordered(dependencies(result.outputs[0]), self.lowering.nodes)
        producers = [variable.producer for variable in needed]
        return any(isinstance(p, Result) and p.loop in self.active for p in producers)


def _lower_loop(
    lowering: Lowering, results: Sequence[Result], part: Part, path: str
) -> Steps[None]:
    """Make the nodes of results of one loop, whose outer variables have theirs."""
    loop = results[0].loop
    inner = lowering.child()
    entries: list[Node] = []
    operands: list[Node] = []
    for entry in part.entries:
        role = "sequence" if isinstance(entry, Each) else "carry"
        variable = entry.outputs[0]
        gate = {"gate": True} if entry is loop.gate else {}
        node = Builder(Origin(path, entry.where)).input(
            name=entry.name, type=variable.type, role=role, **gate
        )
        inner.nodes[variable] = node
        entries.append(node)
        operands.append(lowering.nodes[entry.inputs[0]])
    own, roots = {entry.inputs[0] for entry in part.entries}, set(part.roots)
    read = {item for variable in part.inside for item in dependencies(variable)}
    for variable in part.outer:
        if variable in own and variable not in read and variable not in roots:
            continue
        outer = lowering.nodes[variable]
        node = Builder(Origin(path, variable.where)).input(
            name=f"#{len(entries)}", type=outer.type, role="invariant"
        )
        inner.nodes[variable] = node
        entries.append(node)
        operands.append(outer)
    yield inner.run(part.roots, path)
    body = _body(loop, path, entries, results, part, inner.nodes)
    for result in results:
        attrs = _attrs(result, body, inner.nodes)
        node = Builder(Origin(path, result.where)).loop(*operands, **attrs)
        lowering.nodes[result.outputs[0]] = node


def _body(
    loop: LoopParts,
    path: str,
    entries: Sequence[Node],
    results: Sequence[Result],
    part: Part,
    nodes: Mapping[Variable, Node],
) -> Graph:
    values = dict.fromkeys(nodes[item.value] for item in results if item.value is not None)
    updates = []
    for entry in part.entries:
        if isinstance(entry, Delay):
            if entry.next is None:
                raise DiagramError(f"delay '{entry.name}' of {loop} is never closed")
            updates.append((nodes[entry.outputs[0]], nodes[entry.next]))
    name = f"{path}/{loop.name}" if path else loop.name
    outputs = tuple((str(number), node) for number, node in enumerate(values))
    return Graph(name, tuple(entries), outputs, tuple(updates))


def _attrs(result: Result, body: Graph, nodes: Mapping[Variable, Node]) -> dict[str, Any]:
    loop = result.loop
    steps: Dim | None = loop.steps
    assert steps is not None
    if result.delay is not None:
        of = result.delay.name
    else:
        assert result.value is not None
        of = next(name for name, node in body.outputs if node is nodes[result.value])
    attrs: dict[str, Any] = {
        "body": body,
        "steps": steps,
        "reverse": loop.reverse,
        "result": result.kind,
        "of": of,
        "keep": loop.keep,
    }
    if loop.unroll is not None:
        attrs["unroll"] = loop.unroll
    if loop.masks:
        attrs["masks"] = tuple(entry.name for entry in loop.masks)
    return attrs
