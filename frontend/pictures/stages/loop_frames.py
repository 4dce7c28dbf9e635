"""The loops of a drawn graph, as a picture shows them: frames, indices, and delays of k steps.

A delay of k steps is drawn as k registers, truncation and lengths as masks: `without_masks` makes
one delay of the first, and remarks of the others.  This file makes no picture.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...drawing import masks
from ...variables.kinds import Keeps, Lasts
from ...variables.loop_parts import Delay, Each, Entry, Result
from .symbols import shown_name

if TYPE_CHECKING:
    import networkx as nx

_MASKS = (masks.stop_gradient_at, masks.hold, masks.blank)
_INDICES = "tskijτ"


@dataclass(frozen=True)
class Loop:
    """A loop of a drawn graph.

    Attributes:
        name: as the graph calls it.
        index: the letter that counts its steps.
        caption: what is written at its frame.
        chain: the loops around it, from the outermost, and itself.
        steps: how many, as the drawing has it.
        reverse: whether it runs from the last element to the first.
        label: the user's name for it, as on a slide.
        truncate: at every how many steps no gradient passes its delays.
        after: of a copy of an unrolled loop, the copy of the step before.
    """

    name: str
    index: str
    caption: str
    chain: tuple[str, ...]
    steps: Any
    reverse: bool
    label: str
    truncate: int | None
    after: str | None = None

    @property
    def frame(self) -> str:
        """The frame's id in pictures."""
        return frame_of(self.name)

    @property
    def backward_caption(self) -> str:
        """What is written at the frame of its derivative, which runs the other way."""
        last = str(self.steps).replace("*", "·")
        ends = ("1", last) if self.reverse else (last, "1")
        name = "" if self.label == self.index else f"{self.label}:  "
        return f"∂ {name}{self.index} = {ends[0]} … {ends[1]}"


def frame_of(loop: str) -> str:
    """The id of a loop's frame in pictures."""
    return f"loop\0{loop}"  # no block is called so


def loops_of(graph: nx.MultiDiGraph[Any]) -> dict[str, Loop]:
    """The loops of a drawn graph by name, outer ones before inner ones."""
    facts: dict[str, dict[str, Any]] = graph.graph.get("loops", {})
    if all("loop" in fact for fact in facts.values()):  # of an unrolled graph
        return {name: fact["loop"] for name, fact in facts.items()}
    around: dict[str, set[str]] = {name: set() for name in facts}
    names = {}
    for _, data in graph.nodes(data=True):
        if isinstance(data.get("application"), Entry):
            names[data["application"].loop] = data["loops"][-1]
    for _, data in graph.nodes(data=True):
        application = data.get("application")
        if isinstance(application, Result) and application.loop in names:
            around[names[application.loop]] |= set(data["loops"])
    for _ in facts:  # what is around the loops that are around
        for outer in around.values():
            outer.update(*(around[name] for name in tuple(outer)))
    found: dict[str, Loop] = {}
    for name in sorted(facts, key=lambda name: len(around[name])):
        chain = tuple(outer for outer in found if outer in around[name])
        index = _index(facts[name]["name"], [found[outer].index for outer in chain])
        found[name] = Loop(
            name, index, _caption(facts[name], index), (*chain, name),
            facts[name]["steps"], facts[name]["reverse"],
            shown_name(facts[name]["name"]), facts[name].get("truncate"),
        )  # fmt: skip
    return found


def _index(name: str, taken: Iterable[str]) -> str:
    """The loop's name where it is a letter; else a letter that no loop around it has."""
    taken = set(taken)
    if len(name) == 1:
        return name
    return next((letter for letter in _INDICES if letter not in taken), name)


def _caption(facts: dict[str, Any], index: str) -> str:
    last = str(facts["steps"]).replace("*", "·")
    ends = (last, "1") if facts["reverse"] else ("1", last)
    text = f"{index} = {ends[0]} … {ends[1]}"
    if facts["name"] != index:
        text = f"{shown_name(facts['name'])}:  {text}"
    if facts["reverse"]:
        text += ",  reversed"
    if "truncate" in facts:
        text += f",  truncated every {facts['truncate']}"
    if facts["keep"] != "all":
        text += f",  checkpoint every {facts['keep'][1]}"
    return text


def without_masks(graph: nx.MultiDiGraph[Any]) -> nx.MultiDiGraph[Any]:
    """A drawn graph in which a delay is one node, and masks are told instead of drawn.

    A delay's node has `steps`, by how many it delays; the variable with the lengths of the samples
    is its third argument.  A loop's facts have `truncate` where it is truncated.  The graph that
    is given stays as it is, and is returned where it has no loops.
    """
    if not graph.graph.get("loops"):
        return graph
    return _Plain(graph.copy()).graph


class _Plain:
    def __init__(self, graph: nx.MultiDiGraph[Any]) -> None:
        self.graph = graph
        self.nodes = graph.nodes
        loops = graph.graph["loops"]
        self.loops = graph.graph["loops"] = {name: dict(facts) for name, facts in loops.items()}
        self.lengths: dict[str, str] = {}
        for node in self.functions():
            if node in graph and self.application(node).block in _MASKS:
                self.bypass(node)
        for node in self.functions(Entry):
            if node in graph and isinstance(self.application(node), Each):
                self.sequence(node)
        for node in self.functions(Entry):
            if node in graph and isinstance(self.application(node), Delay):
                self.delay(node)

    def functions(self, kind: type = object) -> list[str]:
        """The functions that an application of this kind made."""
        return [
            node
            for node, data in self.nodes(data=True)
            if data.get("application") is not None and isinstance(data["application"], kind)
        ]

    def application(self, node: str) -> Any:
        return self.nodes[node]["application"]

    def argument(self, node: str, place: int) -> str:
        links = self.graph.in_edges(node, data="argument")
        found: str = next(source for source, _, at in links if at == place)
        return found

    def bypass(self, node: str) -> None:
        """Take a mask out of the way: what it masks, its second argument, stays."""
        kept, out = self.argument(node, 1), next(iter(self.graph.successors(node)))
        for _, end, key, data in list(self.graph.out_edges(out, keys=True, data=True)):
            if node not in self.nodes[end]["path"]:
                self.graph.add_edge(kept, end, key=key, **data)
        self.nodes[kept]["name"] = self.nodes[kept]["name"] or self.nodes[out]["name"]
        inner = [other for other, data in self.nodes(data=True) if node in data["path"]]
        self.graph.remove_nodes_from([node, out, *inner])

    def sequence(self, node: str) -> None:
        """Take away the masks' own sequences, and note what they say."""
        (source,) = self.graph.predecessors(node)
        maker = next(iter(self.graph.predecessors(source)), None)
        application = None if maker is None else self.application(maker)
        (element,) = self.graph.successors(node)
        (loop,) = self.nodes[node]["loops"][-1:]
        if self.graph.out_degree(element):
            return
        if isinstance(application, Keeps):
            self.loops[loop]["truncate"] = application.every
        elif isinstance(application, Lasts):
            (self.lengths[loop],) = self.graph.predecessors(maker)
        else:
            return
        self.prune(element)

    def prune(self, variable: str) -> None:
        """Take away a variable that nothing reads, and what only it needs."""
        data = self.nodes[variable]
        if self.graph.out_degree(variable) or data["output"] or data["kind"] == "observed":
            return
        makers = list(self.graph.predecessors(variable))
        self.graph.remove_node(variable)
        for maker in makers:
            if self.graph.out_degree(maker) == 0:
                inputs = list(dict.fromkeys(self.graph.predecessors(maker)))
                self.graph.remove_node(maker)
                for source in inputs:
                    self.prune(source)

    def delay(self, node: str) -> None:
        """One delay for all of its registers; none for the register of a final value."""
        (out,) = self.graph.successors(node)
        if self.graph.out_degree(out) == 0:
            self.registers([node])
            return
        if any(self.before(reader) == node for reader in self.graph.successors(out)):
            return  # a register between two others: the last one speaks for all
        taken = [node]
        while (before := self.before(taken[0])) is not None:
            taken.insert(0, before)
        self.nodes[node]["steps"] = len(taken)
        (loop,) = self.nodes[node]["loops"][-1:]
        inits = dict.fromkeys(self.argument(register, 0) for register in taken)
        source = self.argument(taken[0], 1)
        self.graph.remove_edges_from(list(self.graph.in_edges(node, keys=True)))
        self.graph.add_edge(source, node, key=1, argument=1, captured=False, delayed=True)
        for place, init in enumerate(inits):
            place = place + 2 if place else 0
            self.graph.add_edge(init, node, key=place, argument=place, captured=False)
        if loop in self.lengths:
            self.graph.add_edge(
                self.lengths[loop], node, key=-1, argument=-1, captured=False, lengths=True
            )
        self.registers(taken[:-1])

    def before(self, node: str) -> str | None:
        """The register before this one, of a delay of several steps."""
        application = self.application(node)
        if not isinstance(application, Delay) or application.before is None:
            return None
        maker = next(iter(self.graph.predecessors(self.argument(node, 1))), None)
        known = maker is not None and self.application(maker) is application.before
        return maker if known else None

    def registers(self, nodes: Iterable[str]) -> None:
        """Take registers away."""
        for node in nodes:
            inits = self.argument(node, 0)
            outs = list(self.graph.successors(node))
            self.graph.remove_nodes_from([node, *outs])
            self.prune(inits)
