"""Stage "drawn": from what was drawn, as a NetworkX graph, to a picture like that on a slide.

Blocks are one bullet each down to a depth; below it they are frames around what is in them.  The
parameters of a bullet are one circle.  This file places nothing and reads no diagram but its graph.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ...drawing.drawn import common_path
from ...variables.kinds import Gradient, Number, Spread
from ...variables.loop_parts import Each, Result
from ...variables.variable import shape_text
from ..picture import Cluster, Edge, Node, NodeKind, Picture
from .loops import frame_of, loops_of, without_masks
from .naming import circle_texts
from .symbols import applied, delayed, number, operation, operator_name, shown_name
from .weights import is_implicit, is_weight, starts_row

if TYPE_CHECKING:
    import networkx as nx

_PACKAGE = __name__.split(".")[0] + "."


def from_diagram(graph: nx.MultiDiGraph[Any], depth: int | None = 1) -> Picture:
    """The picture of a drawn graph.

    Args:
        graph: what `drawn_graph` made.
        depth: how many levels of blocks are shown: 1 draws each outermost block as one bullet,
            2 draws what is in it as well, None everything. Costs and the functions of this
            package (`dg.relu`) are only opened by None.
    """
    return Conversion(without_masks(graph), depth).picture()


class Conversion:
    """Which bullets and circles a drawn graph has at a depth, and what they are called.

    Attributes:
        data: the drawn graph's nodes.
        functions: those drawn as bullets.
        costs: the functions that are cost nodes.
        circles: the variables drawn as circles, each with all that it stands for.
        circle_of: the circle of a variable.
        makers: the function that computes a variable.
        readers: the functions that read a variable.
        links: the arrows.
        text: what is written in each circle; and what a cost is called, which has none.
        loops: the loops, outer ones first.
        borders: the functions through which a sequence enters a loop and a result leaves it. They
            are no bullets: an arrow leads through each, which is called as it is.
    """

    def __init__(self, graph: nx.MultiDiGraph[Any], depth: int | None) -> None:
        self.graph = graph
        self.loops = loops_of(graph)
        self.data: dict[str, dict[str, Any]] = dict(graph.nodes(data=True))
        self.opened = {
            node: data
            for node, data in self.data.items()
            if data.get("opens") and _opens(data, depth)
        }
        self.functions = {
            node: data
            for node, data in self.data.items()
            if "opens" in data and node not in self.opened and self._reached(data["path"])
        }
        self.costs = self._find_costs()
        self.borders = {
            node: data["name"] for node, data in self.functions.items() if self._is_border(node)
        }
        self.numbers: dict[str, str] = {}  # scalars that are told within a bullet
        self.readers: dict[str, list[str]] = {}
        self.makers: dict[str, str] = {}
        for function in self.functions:
            for node in graph.predecessors(function):
                self.readers.setdefault(node, []).append(function)
            for node in graph.successors(function):
                self.makers[node] = function
        self._fold_numbers()
        self._fold_starts()
        self.circle_of: dict[str, str] = {}  # a variable's node -> the circle it is part of
        self.circles: dict[str, list[str]] = {}
        self._collect()
        self.links = list(dict.fromkeys(self._through_borders(list(self._edges()))))
        self.order = self._in_order()
        self.text = circle_texts(self)

    def _reached(self, path: Iterable[str]) -> bool:
        return all(block in self.opened for block in path)

    def _is_border(self, node: str) -> bool:
        application = self.functions[node]["application"]
        if self.functions[node]["kind"] == "init":
            return True
        return isinstance(application, (Each, Result)) and node not in self.costs

    def _find_costs(self) -> set[str]:
        """The functions that are cost nodes: cost functions, and what makes the diagram's cost."""
        found = {node for node, data in self.functions.items() if data["kind"] == "cost"}
        cost = self.graph.graph["cost"]
        if cost is not None:
            found |= {node for node in self.graph.predecessors(cost) if node in self.functions}
        return found

    def _fold_starts(self) -> None:
        """A number that is spread over a delay's shape is told at the delay."""
        for function, data in list(self.functions.items()):
            if not isinstance(data["application"], Spread):
                continue
            (start,), (out,) = self.graph.predecessors(function), self.graph.successors(function)
            readers = self.readers.get(out, [])
            only = readers and all(
                self.functions[reader]["kind"] in ("delay", "init") for reader in readers
            )
            if start in self.numbers and only:
                self.numbers[out] = self.numbers[start]
                del self.functions[function], self.makers[out]

    def _fold_numbers(self) -> None:
        """Scalar constants are told in the bullet that reads them; so are sizes and fills."""
        for node, readers in self.readers.items():
            if any(self.functions[reader]["opens"] for reader in readers):
                continue
            data, maker = self.data[node], self.makers.get(node)
            if data["kind"] == "constant" and data["shape"] == ():
                self.numbers[node] = number(data["variable"].value.item())
            elif maker is not None:
                application = self.functions[maker]["application"]
                if isinstance(application, Number):
                    self.numbers[node] = application.shown
                    del self.functions[maker]

    def _collect(self) -> None:
        """Which variables are drawn, and which weights of a bullet are one circle together."""
        together: dict[tuple[str | None, ...], str] = {}
        for node, data in self.data.items():
            if "opens" in data or node in self.numbers:
                continue
            readers, maker = self.readers.get(node, []), self.makers.get(node)
            returned = data["output"] or node == self.graph.graph["cost"]
            returned = returned and self._reached(data["path"])
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

    def loops_around(self, node: str) -> tuple[str, ...]:
        """The loops in which a variable or a function is, from the outermost."""
        return max(
            (self.loops[loop].chain for loop in self.data[node]["loops"]), key=len, default=()
        )

    def frames_around(self, node: str) -> tuple[str, ...]:
        """The frames in which a variable or a function stands: of open blocks and of loops."""
        found: list[str] = []
        for block in self.data[node]["path"]:
            if block in self.opened:
                found += [*(self.loops[loop].frame for loop in self.loops_around(block)), block]
        found += [self.loops[loop].frame for loop in self.loops_around(node)]
        return tuple(dict.fromkeys(found))

    def _in_order(self) -> list[str]:
        """Circles and functions, each after what it is computed from but for a delay."""
        import networkx as nx

        place = {node: index for index, node in enumerate(self.data)}
        flow: nx.DiGraph[str] = nx.DiGraph()
        flow.add_nodes_from([*self.circles, *(f for f in self.functions if f not in self.borders)])
        flow.add_edges_from((edge.source, edge.target) for edge in self.links if not edge.back)
        return list(nx.lexicographical_topological_sort(flow, key=place.__getitem__))

    def picture(self) -> Picture:
        """The picture of all that was found."""
        nodes = [
            self._bullet(node) if node in self.functions else self._circle(node)
            for node in self.order
        ]
        title = self.graph.graph["name"]
        return Picture(title, tuple(nodes), tuple(self.links), tuple(self._frames()))

    def _circle(self, circle: str) -> Node:
        members = [self.data[node] for node in self.circles[circle]]
        data = members[0]
        readers = self.readers.get(circle, [])
        paths = [self.frames_around(reader) for reader in readers]
        beside = self._beside(circle, data, readers)
        path = common_path(paths)
        if data["kind"] == "computed":
            own = self.frames_around(circle)
            path = self._port(path, own) if beside else own
        return Node(
            circle,
            self._kind(circle),
            self.text[circle],
            "\n".join([*(self.type_line(node) for node in self.circles[circle]), data["where"]]),
            path[-1] if path and data["kind"] not in ("observed", "state") else None,
            "parameter" if beside else "main",
        )

    def _port(self, path: tuple[str, ...], own: tuple[str, ...]) -> tuple[str, ...]:
        """Where a weight stands that is used in the frames `path`: in blocks, out of loops."""
        loops = {loop.frame for loop in self.loops.values()} - {*own}
        entered = [place for place, frame in enumerate(path) if frame in loops]
        return path[: entered[0]] if entered else path

    def _kind(self, circle: str) -> NodeKind:
        """What a circle is; an element of an observed sequence is observed too."""
        kind: NodeKind = self.data[circle]["kind"]
        if "element_of" in self.data[circle]:
            return "observed"
        maker = self.makers.get(circle)
        if maker in self.borders and isinstance(self.data[maker]["application"], Each):
            return self._kind(next(iter(self.graph.predecessors(maker))))
        return kind

    def _beside(self, circle: str, data: dict[str, Any], readers: Sequence[str]) -> bool:
        """Whether a variable enters its reader from below: weights, and the target of a cost."""
        if data["kind"] in ("parameter", "constant"):
            return not starts_row(self, circle)
        if any(self.data[reader]["kind"] == "delay" for reader in readers):
            return False
        others = [
            [n for n in self.graph.predecessors(reader) if n != circle and n in self.circle_of]
            for reader in readers
        ]
        if is_weight(self, circle):
            return all(others)
        if self._kind(circle) != "observed" or data["output"] or len(readers) != 1:
            return False
        given = any(self.data[node]["kind"] != "parameter" for node in others[0])
        return given and readers[0] in self.costs

    def type_line(self, node: str) -> str:
        """A variable with its type, for tooltips."""
        data = self.data[node]
        name = data["output"] or (node if data["kind"] in ("observed", "parameter") else "")
        name = name or data["name"] or self.text[self.circle_of[node]]
        return f"{name}: {type_text(data)}"

    def _bullet(self, function: str) -> Node:
        path = self.frames_around(function)
        kind = self.functions[function]["kind"]
        return Node(
            function,
            "cost" if function in self.costs else "delay" if kind == "delay" else "function",
            self._label(function),
            self._function_lines(function),
            path[-1] if path else None,
        )

    def visible(self, node: str) -> str | None:
        """The bullet that a function of the drawn graph is, or is in."""
        data = self.data.get(node)
        around = () if data is None else (*data["path"], node)
        return next((name for name in around if name in self.functions), None)

    def bare_name(self, function: str) -> str:
        """What a function is called without its arguments."""
        data = self.functions[function]
        if isinstance(data["application"], Gradient):
            return self._label(function)
        return shown_name(block_name(data)) if data["opens"] else operator_name(data["name"])

    def _label(self, function: str) -> str:
        data = self.functions[function]
        if data["kind"] == "delay":
            return delayed(data["steps"])
        if isinstance(data["application"], Result):
            return self._result_label(data["application"], function)
        arguments, fixed = [], []
        links = self.graph.in_edges(function, data="argument")
        for node, _, _ in sorted(links, key=lambda link: link[2]):
            arguments.append(self._argument(node))
            fixed.append(node in self.numbers)
        if data["opens"] or (function in self.costs and data["kind"] == "cost"):
            return symbol_of(data) or applied(shown_name(block_name(data)), arguments)
        return operation(data["name"], arguments, fixed)

    def _result_label(self, result: Result, function: str) -> str:
        """A loop's result that is the diagram's cost."""
        source, *others = self.graph.predecessors(function)
        text = self._argument(source)
        loops = self.loops_around(source)
        if others:
            return result.kind
        if result.kind == "sum" and loops:
            return f"sum over {self.loops[loops[-1]].index}\nof {text}"
        return f"{result.kind} {text}"

    def _argument(self, node: str) -> str:
        if node in self.numbers:
            return self.numbers[node]
        return self.text[self.circle_of.get(node, node)].split(" = ")[0]

    def _function_lines(self, function: str) -> str:
        data = self.functions[function]
        application = data["application"]
        block = getattr(application, "block", None)
        lines = [data["name"]]
        if block is not None and block._has_place:
            lines = [f"{data['name']}: {type(block).__name__}"]
        results = [self.data[node] for node in self.graph.successors(function)]
        lines += [f"→ {type_text(item)}" for item in results]
        parameters = [
            self.data[node]["shape"]
            for node in self.graph.predecessors(function)
            if self.data[node]["kind"] == "parameter"
        ]
        if data["opens"] and parameters:
            count = sum(_count(shape) for shape in parameters)
            lines.append(f"{count:,} parameter{'s' if count > 1 else ''}")
        return "\n".join([*lines, data["where"]])

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

    def _frames(self) -> Iterable[Cluster]:
        shown = {frame for node in self.order for frame in self.frames_around(node)}
        for loop in self.loops.values():
            around = next(
                (self.frames_around(n) for n in self.order if loop.frame in self.frames_around(n)),
                (),
            )
            if loop.frame in shown:
                place = around.index(loop.frame)
                parent = around[place - 1] if place else None
                after = None if loop.after is None else frame_of(loop.after)
                yield Cluster(loop.frame, loop.caption, "loop", parent, after)
        for block, data in self.opened.items():
            if self._reached(data["path"]):
                around = self.frames_around(block)
                parent = around[-1] if around else None
                yield Cluster(block, shown_name(block_name(data)), "block", parent)


def _opens(data: dict[str, Any], depth: int | None) -> bool:
    if depth is None:
        return True
    block = data["application"].block
    function = getattr(block, "function", None)
    own = function is not None and function.__module__.startswith(_PACKAGE)
    return len(data["path"]) + 1 < depth and data["kind"] != "cost" and not own


def block_name(data: dict[str, Any]) -> str:
    """A block's symbol or own name; its class where it is only an index, as in a chain."""
    block, label = data["application"].block, data["label"]
    numbered = block.name is None and label.isdigit()
    return symbol_of(data) or (type(block).__name__ if numbered else label)


def symbol_of(data: dict[str, Any]) -> str:
    """What a block says itself should be written in its bullet, arguments included; or nothing."""
    block = getattr(data["application"], "block", None)
    return getattr(block, "symbol", "")


def type_text(value: Any) -> str:
    """Dtype and shape of a drawn variable's data, or of a value of the compiler."""
    data = value if isinstance(value, dict) else {"dtype": value.dtype, "shape": value.shape}
    return f"{data['dtype']} {shape_text(data['shape'])}"


def _count(shape: Iterable[Any]) -> int:
    count = 1
    for extent in shape:
        count *= int(extent)
    return count
