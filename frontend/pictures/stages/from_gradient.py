"""Stage "backward": what was drawn, and under it the way that the cost's gradient takes back.

A function f that passes a gradient on has a bullet ∂f; a variable that has one a circle ∂z; the
arrows are those of the drawing, reversed.  Dashed arrows lead from the forward values that the
backward functions use.  They are found in the compiler's graph; this file only draws it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from ....compiler.graph import Graph, topological
from ....compiler.graph import Node as Value
from ....compiler.primitives.recurrence import result_source
from ...drawing.drawn import drawn_graph, next_values
from ...drawing.drawn_nodes import DrawnDelay, DrawnGraph
from ...variables.kinds import Elementwise, Gradient
from ...variables.loop_parts import Entry, LoopParts, Result
from ...variables.variable import Application
from ..picture import Cluster, Edge, Node, NodeKind, Picture
from .from_diagram import Conversion
from .from_graph import from_graph, known_number
from .held_averages import with_held_averages
from .loop_frames import frame_of, loops_of, without_masks
from .lowered import Lowered, lower_drawn
from .symbols import delayed
from .texts import type_text

if TYPE_CHECKING:
    from ...drawing.drawing import Drawing

_STOPS = ("stop_gradient", "sign", "floor", "ceil")  # primitives


def from_gradient(diagram: Drawing, depth: int | None = 1) -> Picture:
    """The picture of the gradients of a diagram's cost by its parameters.

    Args:
        diagram: a diagram with a cost.
        depth: as for `from_diagram`; None draws every primitive.
    """
    whole = drawn_graph(diagram)
    drawn = without_masks(whole if depth is None else with_held_averages(whole))
    parameters = [
        node
        for node, item in drawn.variables.items()
        if item.variable.kind == "parameter"
        and item.dtype.startswith("float")
        and not item.variable.frozen
    ]
    if depth is None:
        assert drawn.cost is not None
        outputs, updates = drawn.outputs, next_values(drawn)
        found = lower_drawn(diagram, drawn, [*outputs.values(), *updates, drawn.cost], parameters)
        values = {name: found.values[node] for name, node in outputs.items()}
        gradients = {k: v for k, v in found.gradients.items() if known_number(v) != "0"}
        following = {name: found.values[node] for node, name in updates.items()}
        last = found.values[drawn.cost]
        return from_graph(diagram.name, drawn, values, last, gradients, None, following)
    forward = Conversion(drawn, loops_of(drawn), depth)
    return _Conversion(diagram, drawn, forward, parameters).picture()


class _Conversion:
    def __init__(
        self,
        diagram: Drawing,
        drawn: DrawnGraph,
        forward: Conversion,
        parameters: list[str],
    ) -> None:
        self.drawn, self.forward = drawn, forward
        assert drawn.cost is not None
        self.cost = drawn.cost
        # A name of the user may begin with this sign as well.
        self.sign = "∂" * (1 + max(len(name) - len(name.lstrip("∂")) for name in drawn.nodes))
        self.wires = self.on_the_way(parameters)
        inner = [node for node in self.wires if self.is_repeated(node)]
        values = [
            node
            for node in forward.circle_of
            if forward.variables[node].kind != "parameter" and not self.is_repeated(node)
        ]
        outer = [node for node in self.wires if not self.is_repeated(node)]
        self.lowered = lower_drawn(diagram, drawn, [*values, self.cost], outer)
        known = self.lowered.gradients.items()
        self.wires = [node for node, value in known if known_number(value) != "0"] + inner
        self.bullets = {
            function
            for function, item in forward.functions.items()
            if not _stops(item.application)
            and function not in forward.borders
            and any(node in self.wires for node in drawn.predecessors(function))
            and any(node in self.wires for node in drawn.successors(function))
        }

    def on_the_way(self, parameters: list[str]) -> list[str]:
        """The float variables between the parameters and the cost, both included."""
        import networkx as nx

        functions = self.forward.functions
        shown = list(self.forward.variables)
        passed = [name for name, item in functions.items() if not _stops(item.application)]
        flow = self.drawn.flow([*shown, *passed])
        before = nx.ancestors(flow, self.cost) if self.cost in flow else set()
        after = set().union(*(nx.descendants(flow, node) for node in parameters if node in flow))
        way = (before & (after | set(parameters))) | {self.cost}
        return [node for node in shown if node in way and self.is_float(node)]

    def is_repeated(self, node: str) -> bool:
        """Whether there is a value for each step of a loop, or each sample with its own weights.

        Such a variable has no one gradient: it is drawn where its way back is.
        """
        item = self.forward.variables[node]
        bodies = [self.drawn.block(block).application.body for block in item.path]
        apart = any(body is not None and body.samples is not None for body in bodies)
        return bool(item.loops) or (apart and item.kind == "computed")

    def is_float(self, node: str) -> bool:
        return self.forward.variables[node].dtype.startswith("float")

    def picture(self) -> Picture:
        front = self.forward.picture()
        circles = {node.id: node for node in front.nodes}
        back = [self.circle(circles[c], members) for c, members in self.circles().items()]
        back += [
            self.bullet(function) for function in self.forward.functions if function in self.bullets
        ]
        edges: dict[tuple[str, str], Edge] = {}
        for edge in (*front.edges, *self.flow(), *self.residuals()):
            edges.setdefault((edge.source, edge.target), edge)
        nodes = (*front.nodes, *back)
        frames = self.side_by_side([*front.clusters, *self.frames(nodes)])
        return Picture(front.title, nodes, tuple(edges.values()), tuple(frames))

    def side_by_side(self, frames: list[Cluster]) -> Iterable[Cluster]:
        """The frames, a loop and its derivative within one where loops stand above each other."""
        import networkx as nx

        loops = [loop for loop in self.forward.loops.values() if len(loop.chain) == 1]
        nodes = {
            loop.name: {n for n, item in self.forward.nodes.items() if loop.name in item.loops}
            for loop in loops
        }
        flow = self.drawn.flow()
        after = {
            name: set().union(*(nx.descendants(flow, node) for node in own))
            for name, own in nodes.items()
        }
        apart = {
            frame: f"both of {loop.frame}"
            for loop in loops
            for other in loops
            if other is not loop
            and not after[loop.name] & nodes[other.name]
            and not after[other.name] & nodes[loop.name]
            for frame in (loop.frame, self.back(loop.frame))
        }
        for name in dict.fromkeys(apart[frame.id] for frame in frames if frame.id in apart):
            yield Cluster(name, "", "plain")
        for frame in frames:
            both = apart.get(frame.id) if frame.parent is None else None
            yield frame if both is None else replace(frame, parent=both)

    def back(self, name: object) -> str:
        """The id of what belongs to the way back of a node or frame of the drawing."""
        return f"{self.sign}{name}"

    def frames(self, nodes: Iterable[Node]) -> Iterable[Cluster]:
        """The reversed loops."""
        used = {node.cluster for node in nodes}
        for loop in self.forward.loops.values():
            inner = [other for other in self.forward.loops.values() if loop.name in other.chain]
            if used & {self.back(other.frame) for other in inner}:
                parent = self.back(frame_of(loop.chain[-2])) if len(loop.chain) > 1 else None
                yield Cluster(self.back(loop.frame), loop.backward_caption, "loop", parent)

    def frame(self, node: str) -> str | None:
        """The frame of a reversed loop that a variable or function of the loop is in."""
        loops = self.forward.loops_around(node)
        return self.back(self.forward.loops[loops[-1]].frame) if loops else None

    def circles(self) -> dict[str, list[str]]:
        """The circles with a gradient, and the variables with one that each stands for."""
        found: dict[str, list[str]] = {}
        for node in self.wires:
            circle = self.forward.circle_of.get(node)
            if circle is not None:
                found.setdefault(circle, []).append(node)
        return found

    def circle(self, front: Node, members: list[str]) -> Node:
        """The gradient of a circle, on the same side of its function."""
        lines = [f"∂{self.forward.type_line(node)}" for node in members]
        frame = self.frame(front.id)
        loops = {loop.frame for loop in self.forward.loops.values()}
        if front.kind == "parameter" and front.cluster in loops:
            frame = self.back(front.cluster)
        name, text = self.back(front.id), f"∂{front.label}"
        return Node(name, "value", text, "\n".join(lines), frame, front.side, "backward")

    def bullet(self, function: str) -> Node:
        item = self.forward.functions[function]
        name = self.forward.bare_name(function)
        label = f"∂{name}" if name.replace(" ", "").isalnum() else f"∂({name})"
        tip = f"gradient of {item.name}\n{item.where}"
        kind: NodeKind = "function"
        if isinstance(item, DrawnDelay):
            kind, label = "delay", delayed(-item.steps)
        return Node(
            self.back(function),
            kind,
            label,
            tip,
            self.frame(function),
            "main",
            "backward",
            function,
        )

    def flow(self) -> Iterable[Edge]:
        """The arrows of the drawing, reversed."""
        root = self.forward.makers.get(self.cost)
        if root in self.bullets:
            yield Edge(root, self.back(root), "backward")
        for node in self.wires:
            tip = type_text(self.forward.variables[node])
            circle, maker = self.forward.circle_of.get(node), self.forward.makers.get(node)
            target = self.back(maker if circle is None else circle)
            for reader in self.forward.readers.get(node, []):
                if reader in self.bullets and (circle is not None or maker in self.bullets):
                    yield self.leaving(reader, node, target, tip)
                elif reader in self.forward.borders and not self.forward.is_stop(reader):
                    yield from self.through(reader, target, tip)
            if circle is not None and maker in self.bullets:
                back = isinstance(self.drawn.nodes[maker], DrawnDelay)
                yield Edge(target, self.back(maker), "backward", tooltip=tip, back=back)

    def leaving(self, reader: str, node: str, target: str, tip: str) -> Edge:
        """The gradient that a function gives; of what all steps share, it is the sum over them."""
        closes = any(arrow.delayed for arrow in self.drawn.between(node, reader))
        if isinstance(self.forward.functions[reader], DrawnDelay) and not closes:
            outlet = self.drawn.result(reader)
            return Edge(self.back(outlet), target, "backward", "last", tip)
        inner = self.forward.loops_around(reader)
        more = inner[len(self.forward.loops_around(node)) :]
        indices = ", ".join(self.forward.loops[loop].index for loop in more)
        return Edge(
            self.back(reader), target, "backward", f"sum over {indices}" if more else "", tip
        )

    def through(self, border: str, target: str, tip: str) -> Iterable[Edge]:
        """The gradient of a sequence is one of its elements, and the other way round."""
        out = self.drawn.result(border)
        word = {"each": "stack", "stack": "each", "last": "init", "sum": "to all"}
        circle, maker = self.forward.circle_of.get(out), self.forward.makers.get(out)
        if out in self.wires and (circle is not None or maker in self.bullets):
            source = self.back(maker if circle is None else circle)
            yield Edge(source, target, "backward", word[self.forward.borders[border]], tip)

    def residuals(self) -> Iterable[Edge]:
        """From the forward values that the backward functions use; parameters are there anyway."""
        found: Lowered = self.lowered
        front = set(topological(found.values.values()))
        circle_of = {value: self.forward.circle_of.get(n) for n, value in found.values.items()}
        gradients = list(topological(found.gradients.values()))
        for value in gradients:
            target = None if value in front else self.owner(value, 1)
            if target not in self.bullets:
                continue
            for item in _read(value):
                stored = item.op == "loop" and item.origin.direction == "forward"
                source = circle_of.get(item) or self.giver(item, {})
                if (item in front or stored) and source is not None and not _is_weight(item):
                    yield Edge(source, self.back(target), "residual")
        for loop in gradients:
            if loop.op == "loop" and loop not in front:
                yield from self.handed_over(loop, {})

    def handed_over(self, loop: Value, around: Mapping[Value, Value]) -> Iterable[Edge]:
        """What the body of a reversed loop reads of the loop itself.

        `around` says of an input of a body around it what enters there.
        """
        body: Graph = loop.attrs["body"]
        enters = {
            entry: around.get(outer, outer)
            for entry, outer in zip(body.inputs, loop.inputs, strict=True)
        }
        for value in body.nodes():
            if value.op == "loop":
                yield from self.handed_over(value, enters)
            target = self.owner(value, 1)
            if value.origin.direction != "backward" or target not in self.bullets:
                continue
            for item in _read(value):
                source = self.giver(item, enters)
                if source is not None:
                    yield Edge(
                        source, self.back(target), "residual", tooltip="stored at every step"
                    )

    def giver(self, item: Value, enters: Mapping[Value, Value]) -> str | None:
        """The circle or bullet of the drawing whose value the body of a reversed loop reads."""
        outer = enters.get(item, item)
        if outer.op == "loop" and outer.origin.direction == "forward":
            item = result_source(outer.attrs["body"], outer)
        if item.op != "input":
            return self.shown(self.owner(item, 0)) if item.origin.direction == "forward" else None
        if _is_weight(outer):
            return None
        loop = self.loop_at(item.origin.path)
        for function, drawn in self.forward.functions.items():
            entry = drawn.application
            if isinstance(entry, Entry) and entry.loop is loop and entry.name == item.attrs["name"]:
                return self.forward.circle_of.get(self.drawn.result(function))
        return None

    def loop_at(self, path: str) -> LoopParts | None:
        """The loop that was lowered for a result of the drawing."""
        result = self.drawn.application(path)
        return result.loop if isinstance(result, Result) else None

    def shown(self, function: str | None) -> str | None:
        """A bullet; for the way into a loop or out of it, the circle that is led through there."""
        if function not in self.forward.borders:
            return function
        for source in self.drawn.predecessors(function):
            return self.forward.circle_of.get(source, self.forward.makers.get(source))
        return None

    def owner(self, value: Value, sweeps: int) -> str | None:
        """The bullet that computes a value; its gradient, if that is one sweep back.

        What more sweeps made belongs to a gradient that was drawn.
        """
        made, origin = 0, value.origin
        while origin.direction == "backward" and origin.forward is not None:
            made, origin = made + 1, origin.forward.origin
        if made <= sweeps:
            return self.forward.visible(value.origin.path)
        drawn = [
            node
            for node, item in self.drawn.functions.items()
            if isinstance(item.application, Gradient)
        ]
        return self.forward.visible(drawn[min(made - sweeps, len(drawn)) - 1]) if drawn else None


def _read(value: Value) -> Iterable[Value]:
    """What a value is computed from, but for numbers."""
    for item in value.inputs:
        while item.op == "broadcast":
            item = item.inputs[0]
        if known_number(item) is None:
            yield item


def _stops(application: Application | None) -> bool:
    """Whether no gradient passes an operation."""
    return isinstance(application, Elementwise) and application.op in _STOPS


def _is_weight(value: Value) -> bool:
    return value.op == "input" and value.attrs["role"] == "parameter"
