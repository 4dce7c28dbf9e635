"""The circles and arrows of a drawn graph at a depth.

Which variables are circles, which of them are one circle together, and in what order circles and
bullets stand.  This file calls nothing by a name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ...drawing.drawn_nodes import ArgumentArrow, DrawnDelay, DrawnGraph, DrawnStart
from ..picture import Edge, EdgeStyle
from .loop_frames import Loop
from .outline import Outline
from .texts import type_text
from .weights import is_implicit


class Circles(Outline):
    """An outline with its circles and arrows.

    Attributes:
        circles: the variables drawn as circles, each with all that it stands for.
        circle_of: the circle of a variable.
        stopped: the results of stopped gradients that have no circle of their own.
        links: the arrows.
        order: circles and bullets, each after what it is computed from but for a delay.
    """

    def __init__(self, graph: DrawnGraph, loops: Mapping[str, Loop], depth: int | None) -> None:
        super().__init__(graph, loops, depth)
        self.circle_of: dict[str, str] = {}
        self.circles: dict[str, list[str]] = {}
        self.stopped: set[str] = set()
        self._collect()
        self._fold_stops()
        self.links = list(dict.fromkeys(self._through_borders(list(self._edges()))))
        self.order = self._in_order()

    def _collect(self) -> None:
        """Which variables are drawn, and which weights of a bullet are one circle together."""
        together: dict[tuple[str | None, ...], str] = {}
        for node, item in self.variables.items():
            if node in self.numbers:
                continue
            readers, maker = self.readers.get(node, []), self.makers.get(node)
            returned = item.output or node == self.graph.cost
            returned = returned and self.reached(item.path)
            alone = maker is not None and self._only_result(maker) == node
            if maker in self.costs or not (readers or returned or alone):
                continue
            circle = node
            if is_implicit(self, node):
                circle = together.setdefault((maker, *readers), node)
            self.circle_of[node] = circle
            self.circles.setdefault(circle, []).append(node)

    def _fold_stops(self) -> None:
        """The arrow on from a stopped gradient leads from the variable whose gradient it is."""
        for node, item in self.variables.items():
            maker = self.makers.get(node)
            if self.circles.get(node) != [node] or maker is None or not self.is_stop(maker):
                continue
            (source,), readers = self.graph.predecessors(maker), self.readers.get(node, [])
            apart = item.name or item.output or node == self.graph.cost or not readers
            beside = any(
                reader in self.borders
                or isinstance(self.functions[reader], DrawnDelay)
                or source in self.graph.predecessors(reader)
                for reader in readers
            )
            if source in self.circle_of and not (apart or beside):
                self.circle_of[node] = self.circle_of[source]
                self.stopped.add(node)
                del self.circles[node]

    def _only_result(self, maker: str) -> str | None:
        """The first result of a function whose results are all unused, so that one is drawn."""
        results = self.graph.successors(maker)
        used = any(self.readers.get(node) or self.variables[node].output for node in results)
        return None if used else results[0]

    def _edges(self) -> Iterable[Edge]:
        for source in self.nodes:
            for target, arrow in self.graph.leaving(source):
                if isinstance(arrow, ArgumentArrow):
                    yield from self._reading(source, target, arrow)
                elif source in self.functions and self.circle_of.get(target) == target:
                    yield Edge(source, target, tooltip=type_text(self.variables[target]))

    def _reading(self, source: str, function: str, arrow: ArgumentArrow) -> Iterable[Edge]:
        """The arrow into a function; the value that a delay starts with goes to what it gives."""
        start = self.circle_of.get(source, self.makers.get(source))
        if function not in self.functions or source in self.numbers or start is None:
            return
        item, together = self.functions[function], len(self.circles.get(start, [])) > 1
        tip = "" if together else type_text(self.variables[source])
        if not isinstance(item, DrawnDelay):
            shared = item.copy_of is not None and self.is_parameter(start)
            style: EdgeStyle = "shared" if shared else "normal"
            stopped = source in self.stopped or self._is_frozen(start)
            tip = f"{tip}\nno gradient comes back" if stopped else tip
            yield Edge(start, function, style, tooltip=tip, stopped=stopped)
        elif arrow.delayed:
            yield Edge(start, function, tooltip=tip, back=True)
        elif arrow.lengths:
            frame = self.loops[self.loops_around(function)[-1]].frame
            outlet = self.graph.result(function)
            yield Edge(start, outlet, "normal", "lengths", tip, frame=frame)
        else:
            yield Edge(start, self.graph.result(function), "normal", "init", tip, starts=True)

    def _is_frozen(self, circle: str) -> bool:
        """Whether a circle stands for frozen parameters alone."""
        held = self.circles.get(circle, [])
        return bool(held) and all(self.variables[node].variable.frozen for node in held)

    def _through_borders(self, links: Sequence[Edge]) -> Iterable[Edge]:
        """The arrows, one for each pair that leads into a border and out of it."""
        into: dict[str, list[str]] = {}
        for edge in links:
            if edge.target in self.borders:
                into.setdefault(edge.target, []).append(edge.source)
        for edge in links:
            if edge.source in self.borders:
                label, stopped = self.borders[edge.source], self.is_stop(edge.source)
                tip = f"{edge.tooltip}\nno gradient comes back" if stopped else edge.tooltip
                starts = isinstance(self.functions[edge.source], DrawnStart)
                for source in into.get(edge.source, []):
                    yield Edge(
                        source, edge.target, "normal", label, tip, starts=starts, stopped=stopped
                    )
            elif edge.target not in self.borders:
                yield edge

    def _in_order(self) -> list[str]:
        """Circles and functions, each after what it is computed from but for a delay."""
        import networkx as nx

        place = {node: index for index, node in enumerate(self.nodes)}
        flow: nx.DiGraph[str] = nx.DiGraph()
        flow.add_nodes_from([*self.circles, *(f for f in self.functions if f not in self.borders)])
        flow.add_edges_from((edge.source, edge.target) for edge in self.links if not edge.back)
        return list(nx.lexicographical_topological_sort(flow, key=place.__getitem__))
