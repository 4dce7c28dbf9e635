"""The loops of a drawn graph, as a picture shows them: frames, indices, and delays of k steps.

A delay of k steps is drawn as k registers, truncation and lengths as masks, a condition to stop as
a gate: `without_masks` makes one delay of the first, and remarks of the others.  This file makes no
picture.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ....compiler.sizes import Dim
from ...drawing.drawn_nodes import ArgumentArrow, DrawnDelay, DrawnGraph, DrawnLoop
from ...drawing.loops import masks
from ...variables.kinds import Keeps, Lasts
from ...variables.loop_parts import Delay, Each, Entry, Result
from .symbols import shown_name

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
        until: the node of the condition after which no step is made.
        after: of a copy of an unrolled loop, the copy of the step before.
    """

    name: str
    index: str
    caption: str
    chain: tuple[str, ...]
    steps: Dim | None
    reverse: bool
    label: str
    truncate: int | None
    after: str | None = None
    until: str | None = None

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


def loops_of(graph: DrawnGraph) -> dict[str, Loop]:
    """The loops of a drawn graph by name, outer ones before inner ones."""
    around: dict[str, set[str]] = {name: set() for name in graph.loops}
    names = {}
    for item in graph.functions.values():
        if isinstance(item.application, Entry):
            names[item.application.loop] = item.loops[-1]
    for item in graph.functions.values():
        if isinstance(item.application, Result) and item.application.loop in names:
            around[names[item.application.loop]] |= set(item.loops)
    for _ in graph.loops:  # what is around the loops that are around
        for outer in around.values():
            outer.update(*(around[name] for name in tuple(outer)))
    found: dict[str, Loop] = {}
    for name in sorted(graph.loops, key=lambda name: len(around[name])):
        loop = graph.loops[name]
        chain = tuple(outer for outer in found if outer in around[name])
        index = _index(loop.name, [found[outer].index for outer in chain])
        found[name] = Loop(
            name,
            index,
            _caption(loop, index),
            (*chain, name),
            loop.steps,
            loop.reverse,
            shown_name(loop.name),
            loop.truncate,
            until=loop.until,
        )
    return found


def _index(name: str, taken: Iterable[str]) -> str:
    """The loop's name where it is a letter; else a letter that no loop around it has."""
    taken = set(taken)
    if len(name) == 1:
        return name
    return next((letter for letter in _INDICES if letter not in taken), name)


def _caption(loop: DrawnLoop, index: str) -> str:
    last = str(loop.steps).replace("*", "·")
    ends = (last, "1") if loop.reverse else ("1", last)
    text = f"{index} = {ends[0]} … {ends[1]}"
    if loop.name != index:
        text = f"{shown_name(loop.name)}:  {text}"
    if loop.reverse:
        text += ",  reversed"
    if loop.truncate is not None:
        text += f",  truncated every {loop.truncate}"
    if loop.keep != "all":
        text += f",  checkpoint every {loop.keep[1]}"
    return text


def without_masks(graph: DrawnGraph) -> DrawnGraph:
    """A drawn graph in which a delay is one node, and masks are told instead of drawn.

    A delay's node says by how many steps it delays; the variable with the lengths of the samples
    is its third argument.  A loop says where it is truncated.  The graph that is given stays as it
    is, and is returned where it has no loops.
    """
    return _Plain(graph.copy()).graph if graph.loops else graph


class _Plain:
    def __init__(self, graph: DrawnGraph) -> None:
        self.graph = graph
        self.lengths: dict[str, str] = {}
        for node, item in graph.functions.items():
            application = item.application
            if node in graph.nodes and application is not None and application.block in _MASKS:
                self.bypass(node)
        for node, item in graph.functions.items():
            if node in graph.nodes and isinstance(item.application, Each):
                self.sequence(node)
        for node in graph.functions:
            if node in graph.nodes and isinstance(graph.nodes[node], DrawnDelay):
                self.delay(node)

    def bypass(self, node: str) -> None:
        """Take a mask out of the way: what it masks, its second argument, stays."""
        graph = self.graph
        kept, out = graph.argument(node, 1), graph.successors(node)[0]
        for end, arrow in graph.leaving(out):
            if node not in graph.nodes[end].path:
                graph.join(kept, end, arrow)
        item = graph.variable(kept)
        graph.nodes[kept] = replace(item, name=item.name or graph.variable(out).name)
        graph.remove([node, out, *(n for n, item in graph.nodes.items() if node in item.path)])

    def sequence(self, node: str) -> None:
        """Take away the masks' own sequences, and note what they say."""
        graph = self.graph
        (source,), (element,) = graph.predecessors(node), graph.successors(node)
        maker = next(iter(graph.predecessors(source)), None)
        loop = graph.nodes[node].loops[-1]
        if maker is None or graph.is_read(element):
            return
        application = graph.application(maker)
        if isinstance(application, Keeps):
            graph.loops[loop] = replace(graph.loops[loop], truncate=application.every)
        elif isinstance(application, Lasts):
            (self.lengths[loop],) = graph.predecessors(maker)
        else:
            return
        self.prune(element)

    def prune(self, variable: str) -> None:
        """Take away a variable that nothing reads, and what only it needs."""
        graph, item = self.graph, self.graph.variable(variable)
        if graph.is_read(variable) or item.output or item.kind == "observed":
            return
        makers = graph.predecessors(variable)
        graph.remove([variable])
        for maker in makers:
            if not graph.is_read(maker):
                inputs = graph.predecessors(maker)
                graph.remove([maker])
                for source in inputs:
                    self.prune(source)

    def delay(self, node: str) -> None:
        """One delay for all of its registers; none for the register of a final value."""
        graph = self.graph
        (out,) = graph.successors(node)
        if not graph.is_read(out):
            application, closing = graph.application(node), graph.argument(node, 1)
            self.registers([node])
            if isinstance(application, Delay) and application is application.loop.gate:
                graph.remove([closing, *graph.predecessors(closing)])
            return
        if any(self.before(reader) == node for reader in graph.successors(out)):
            return  # a register between two others: the last one speaks for all
        taken = [node]
        while (before := self.before(taken[0])) is not None:
            taken.insert(0, before)
        item = graph.nodes[node]
        assert isinstance(item, DrawnDelay)
        graph.nodes[node] = replace(item, steps=len(taken))
        inits = dict.fromkeys(graph.argument(register, 0) for register in taken)
        source = graph.argument(taken[0], 1)
        graph.disconnect(node)
        graph.join(source, node, ArgumentArrow(1, delayed=True))
        for place, init in enumerate(inits):
            graph.join(init, node, ArgumentArrow(place + 2 if place else 0))
        if item.loops[-1] in self.lengths:
            graph.join(self.lengths[item.loops[-1]], node, ArgumentArrow(-1, lengths=True))
        self.registers(taken[:-1])

    def before(self, node: str) -> str | None:
        """The register before this one, of a delay of several steps."""
        application = self.graph.application(node)
        if not isinstance(application, Delay) or application.before is None:
            return None
        maker = next(iter(self.graph.predecessors(self.graph.argument(node, 1))), None)
        known = maker is not None and self.graph.application(maker) is application.before
        return maker if known else None

    def registers(self, nodes: Iterable[str]) -> None:
        """Take registers away."""
        for node in nodes:
            init = self.graph.argument(node, 0)
            self.graph.remove([node, *self.graph.successors(node)])
            self.prune(init)
