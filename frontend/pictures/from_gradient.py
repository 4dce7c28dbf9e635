"""Stage "backward": what was drawn, and under it the way that the cost's gradient takes back.

A function f that passes a gradient on has a bullet ∂f; a variable that has one a circle ∂z; the
arrows are those of the drawing, reversed.  Dashed arrows lead from the forward values that the
backward functions use.  They are found in the compiler's graph; this file only draws it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ...compiler.graph import Node as Value
from ...compiler.graph import topological
from ..drawn import drawn_graph
from .from_diagram import Conversion, type_text
from .from_graph import from_graph, known_number
from .loops import without_masks
from .lowered import Lowered, lower_drawn
from .picture import Edge, Node, Picture

if TYPE_CHECKING:
    import networkx as nx

    from ..diagram import Diagram

_STOPS = ("stop_gradient", "sign", "floor", "ceil")


def from_gradient(diagram: Diagram, depth: int | None = 1) -> Picture:
    """The picture of the gradients of a diagram's cost by its parameters.

    Args:
        diagram: a diagram with a cost.
        depth: as for `from_diagram`; None draws every primitive.
    """
    drawn = without_masks(drawn_graph(diagram))
    parameters = [
        node
        for node, data in drawn.nodes(data=True)
        if data["kind"] == "parameter" and data["dtype"].startswith("float")
    ]
    if depth is None:
        outputs = {d["output"]: node for node, d in drawn.nodes(data=True) if d.get("output")}
        cost = drawn.graph["cost"]
        found = lower_drawn(diagram, drawn, [*outputs.values(), cost], parameters)
        values = {name: found.values[node] for name, node in outputs.items()}
        gradients = {k: v for k, v in found.gradients.items() if known_number(v) != "0"}
        return from_graph(diagram.name, drawn, values, found.values[cost], gradients, None)
    return _Conversion(diagram, drawn, Conversion(drawn, depth), parameters).picture()


class _Conversion:
    def __init__(
        self,
        diagram: Diagram,
        drawn: nx.MultiDiGraph[Any],
        forward: Conversion,
        parameters: list[str],
    ) -> None:
        self.drawn, self.forward = drawn, forward
        self.cost: str = drawn.graph["cost"]
        self.wires = self.on_the_way(parameters)
        values = [node for node in forward.circle_of if forward.data[node]["kind"] != "parameter"]
        self.lowered = lower_drawn(diagram, drawn, [*values, self.cost], self.wires)
        known = self.lowered.gradients.items()
        self.wires = [node for node, value in known if known_number(value) != "0"]
        self.bullets = {
            function
            for function, data in forward.functions.items()
            if data["name"] not in _STOPS
            and any(node in self.wires for node in drawn.predecessors(function))
            and any(node in self.wires for node in drawn.successors(function))
        }

    def on_the_way(self, parameters: list[str]) -> list[str]:
        """The float variables between the parameters and the cost, both included."""
        import networkx as nx

        functions = self.forward.functions
        shown = [node for node, data in self.forward.data.items() if "opens" not in data]
        flow = self.drawn.subgraph([*shown, *functions])
        before = nx.ancestors(flow, self.cost) if self.cost in flow else set()
        after = set().union(*(nx.descendants(flow, node) for node in parameters if node in flow))
        way = (before & (after | set(parameters))) | {self.cost}
        return [node for node in shown if node in way and self.is_float(node)]

    def is_float(self, node: str) -> bool:
        return bool(self.forward.data[node]["dtype"].startswith("float"))

    def picture(self) -> Picture:
        front = self.forward.picture()
        back = [self.circle(c, m) for c, m in self.circles().items()]
        back += [
            self.bullet(function) for function in self.forward.functions if function in self.bullets
        ]
        edges: dict[tuple[str, str], Edge] = {}
        for edge in (*front.edges, *self.flow(), *self.residuals()):
            edges.setdefault((edge.source, edge.target), edge)
        nodes = (*front.nodes, *back)
        return Picture(front.title, nodes, tuple(edges.values()), front.clusters)

    def circles(self) -> dict[str, list[str]]:
        """The circles with a gradient, and the variables with one that each stands for."""
        found: dict[str, list[str]] = {}
        for node in self.wires:
            circle = self.forward.circle_of.get(node)
            if circle is not None:
                found.setdefault(circle, []).append(node)
        return found

    def circle(self, circle: str, members: list[str]) -> Node:
        lines = [f"∂{self.forward.type_line(node)}" for node in members]
        side = "parameter" if self.forward.data[circle]["kind"] == "parameter" else "main"
        text = "∂" + self.forward.text[circle]
        return Node(f"∂{circle}", "value", text, "\n".join(lines), None, side, "backward")  # type: ignore[arg-type]

    def bullet(self, function: str) -> Node:
        data = self.forward.functions[function]
        name = self.forward.bare_name(function)
        label = f"∂{name}" if name.replace(" ", "").isalnum() else f"∂({name})"
        tip = f"gradient of {data['name']}\n{data['where']}"
        return Node(f"∂{function}", "function", label, tip, None, "main", "backward", function)

    def flow(self) -> Iterable[Edge]:
        """The arrows of the drawing, reversed."""
        root = self.forward.makers.get(self.cost)
        if root in self.bullets:
            yield Edge(root, f"∂{root}", "backward")
        for node in self.wires:
            tip = type_text(self.forward.data[node])
            circle, maker = self.forward.circle_of.get(node), self.forward.makers.get(node)
            target = f"∂{circle}" if circle is not None else f"∂{maker}"
            for reader in self.forward.readers.get(node, []):
                if reader in self.bullets and (circle is not None or maker in self.bullets):
                    yield Edge(f"∂{reader}", target, "backward", tooltip=tip)
            if circle is not None and maker in self.bullets:
                yield Edge(target, f"∂{maker}", "backward", tooltip=tip)

    def residuals(self) -> Iterable[Edge]:
        """From the forward values that the backward functions use; parameters are there anyway."""
        found: Lowered = self.lowered
        front = set(topological(found.values.values()))
        circle_of = {value: self.forward.circle_of.get(n) for n, value in found.values.items()}
        for value in topological(found.gradients[node] for node in self.wires):
            target = None if value in front else self.owner(value, 1)
            if target not in self.bullets:
                continue
            for item in value.inputs:
                while item.op == "broadcast":
                    item = item.inputs[0]
                if item not in front or known_number(item) is not None:
                    continue
                if item.op == "input" and item.attrs["role"] == "parameter":
                    continue
                source = circle_of.get(item) or self.owner(item, 0)
                if source is not None:
                    yield Edge(source, f"∂{target}", "residual")

    def owner(self, value: Value, sweeps: int) -> str | None:
        """The bullet that computes a value; its gradient, if that is one sweep back.

        What more sweeps made belongs to a gradient that was drawn.
        """
        made, origin = 0, value.origin
        while origin.direction == "backward" and origin.forward is not None:
            made, origin = made + 1, origin.forward.origin
        if made <= sweeps:
            return self.forward.visible(value.origin.path)
        drawn = [node for node, data in self.forward.data.items() if data.get("name") == "gradient"]
        return self.forward.visible(drawn[min(made - sweeps, len(drawn)) - 1]) if drawn else None
