"""The circles and arrows of a drawn graph at a depth.

Which variables are circles, which of them are one circle together, and in what order circles and
bullets stand.  This file calls nothing by a name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ..picture import Edge
from .outline import Outline
from .texts import type_text
from .weights import is_implicit

if TYPE_CHECKING:
    import networkx as nx


class Circles(Outline):
    """An outline with its circles and arrows.

    Attributes:
        circles: the variables drawn as circles, each with all that it stands for.
        circle_of: the circle of a variable.
        links: the arrows.
        order: circles and bullets, each after what it is computed from but for a delay.
    """

    def __init__(self, graph: nx.MultiDiGraph[Any], depth: int | None) -> None:
        super().__init__(graph, depth)
        self.circle_of: dict[str, str] = {}
        self.circles: dict[str, list[str]] = {}
        self._collect()
        self.links = list(dict.fromkeys(self._through_borders(list(self._edges()))))
        self.order = self._in_order()

    def _collect(self) -> None:
        """Which variables are drawn, and which weights of a bullet are one circle together."""
        together: dict[tuple[str | None, ...], str] = {}
        for node, data in self.data.items():
            if "opens" in data or node in self.numbers:
                continue
            readers, maker = self.readers.get(node, []), self.makers.get(node)
            returned = data["output"] or node == self.graph.graph["cost"]
            returned = returned and self.reached(data["path"])
            alone = maker is not None and self._only_result(maker) == node
            if maker in self.costs or not (readers or returned or alone):
                continue
            circle = node
            if is_implicit(self, node):
                circle = together.setdefault((maker, *readers), node)
            self.circle_of[node] = circle
            self.circles.setdefault(circle, []).append(node)

    def _only_result(self, maker: str) -> str | None:
        """The first result of a function whose results are all unused, so that one is drawn."""
        results = list(self.graph.successors(maker))
        used = any(self.readers.get(node) or self.data[node]["output"] for node in results)
        return None if used else results[0]

    def _edges(self) -> Iterable[Edge]:
        for source, target, link in self.graph.edges(data=True):
            if target in self.functions and source not in self.numbers:
                start = self.circle_of.get(source, self.makers.get(source))
                if start is not None:
                    tip = (
                        "" if len(self.circles.get(start, [])) > 1 else type_text(self.data[source])
                    )
                    yield self._entering(start, target, link, tip)
            elif source in self.functions and self.circle_of.get(target) == target:
                yield Edge(source, target, tooltip=type_text(self.data[target]))

    def _entering(self, start: str, function: str, link: dict[str, Any], tip: str) -> Edge:
        """The arrow into a function; the value that a delay starts with goes to what it gives."""
        if self.data[function]["kind"] != "delay":
            shared = "copy_of" in self.data[function] and self.data[start]["kind"] == "parameter"
            return Edge(start, function, "shared" if shared else "normal", tooltip=tip)
        (outlet,) = self.graph.successors(function)
        if link.get("lengths"):
            frame = self.loops[self.loops_around(function)[-1]].frame
            return Edge(start, outlet, "normal", "lengths", tip, frame=frame)
        if link.get("delayed"):
            return Edge(start, function, tooltip=tip, back=True)
        return Edge(start, outlet, "normal", "init", tip, starts=True)

    def _through_borders(self, links: Sequence[Edge]) -> Iterable[Edge]:
        """The arrows, one for each pair that leads into a border and out of it."""
        into: dict[str, list[str]] = {}
        for edge in links:
            if edge.target in self.borders:
                into.setdefault(edge.target, []).append(edge.source)
        for edge in links:
            if edge.source in self.borders:
                label, kind = self.borders[edge.source], self.functions[edge.source]["kind"]
                for source in into.get(edge.source, []):
                    yield Edge(
                        source, edge.target, "normal", label, edge.tooltip, starts=kind == "init"
                    )
            elif edge.target not in self.borders:
                yield edge

    def _in_order(self) -> list[str]:
        """Circles and functions, each after what it is computed from but for a delay."""
        import networkx as nx

        place = {node: index for index, node in enumerate(self.data)}
        flow: nx.DiGraph[str] = nx.DiGraph()
        flow.add_nodes_from([*self.circles, *(f for f in self.functions if f not in self.borders)])
        flow.add_edges_from((edge.source, edge.target) for edge in self.links if not edge.back)
        return list(nx.lexicographical_topological_sort(flow, key=place.__getitem__))
