"""Stages "graph", and "backward" to the last primitive: the compiler's graph as a picture.

Every node of the graph is a small bullet.  Told within it, or on its arrows, and not drawn are
numbers that are known, and `broadcast`, which only repeats.  Frames are the blocks that were drawn.
This file lowers nothing and places nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ....compiler.graph import Graph, topological
from ....compiler.graph import Node as Value
from ....compiler.primitives.convolution import CONVOLUTIONS
from ....compiler.primitives.known import filled_with
from ....compiler.primitives.recurrence import gate_of, loop_of, result_source, role_of
from ...drawing.drawn_nodes import DrawnBlock, DrawnGraph
from ...operations.random import is_key
from ...variables.variable import shape_text
from ..picture import INPUT_KINDS, Cluster, Edge, EdgeStyle, Node, NodeKind, Phase, Picture, Side
from .symbols import INFIX, delayed, number, primitive, shown_name
from .texts import block_name, type_text


def from_graph(
    title: str,
    drawn: DrawnGraph,
    outputs: Mapping[str, Value],
    cost: Value | None = None,
    gradients: Mapping[str, Value] | None = None,
    depth: int | None = 1,
    updates: Mapping[str, Value] | None = None,
) -> Picture:
    """The picture of a graph of primitives.

    Args:
        title: above the picture.
        drawn: what `drawn_graph` made; the origins of the graph's nodes name its functions.
        outputs: what the graph computes, by name.
        cost: the cost, drawn as a cost node.
        gradients: gradients of the cost by name of the variable: backward is what they alone
            need.
        depth: how many levels of blocks get a frame; None for all.
        updates: the next values of states, as their circles are called.
    """
    return _Conversion(title, drawn, outputs, cost, gradients or {}, depth, updates or {}).picture


class _Conversion:
    def __init__(
        self,
        title: str,
        drawn: DrawnGraph,
        outputs: Mapping[str, Value],
        cost: Value | None,
        gradients: Mapping[str, Value],
        depth: int | None,
        updates: Mapping[str, Value],
    ) -> None:
        self.drawn, self.depth = drawn, depth
        self.nodes: list[Node] = []
        self.edges: dict[Edge, None] = {}
        self.ids: dict[Value, str] = {}
        self.count = 0
        self.fronts: set[str] = set()  # the nodes that are drawn as forward
        self.loop: Turn | None = None  # the loop whose body is being drawn
        self.turns: dict[Any, Turn] = {}
        self.frames: dict[str, Cluster] = {}
        first = [*outputs.values(), *([cost] if cost is not None else []), *updates.values()]
        self.forward = set(topological(first))
        self.outputs = {value: name for name, value in reversed(list(outputs.items()))}
        order = list(topological([*first, *gradients.values()]))
        self.turned = turned_axes(order)
        for value in order:
            self.add(value)
        if cost is not None:
            tip = f"cost: {type_text(cost)}"
            self.end(Node("cost", "cost", "C", tip), cost, "forward")
        for name, value in updates.items():
            tip = f"{name}: {type_text(value)}"
            self.end(Node(f"update {name}", "state", shown_name(name), tip), value, "forward")
        for name, value in gradients.items():
            label = "∂" + shown_name(name.rsplit("/", 1)[-1])
            tip = f"∂{name}: {type_text(value)}"
            node = Node(f"gradient {name}", "value", label, tip, None, "parameter", "backward")
            self.end(node, value, "backward")
        self.anchor(order, cost)
        self.picture = Picture(
            title, tuple(self.nodes), tuple(self.edges), tuple(self.frames.values())
        )

    def phase(self, value: Value) -> Phase:
        if self.loop is not None:
            return self.loop.phase
        return "forward" if value in self.forward else "backward"

    def add(self, value: Value) -> None:
        absent = value.op == "broadcast" or is_key(value) or known_number(value) is not None
        if absent or value in self.ids:
            return
        if value.op == "loop":
            self.turn(value)
            return
        if value in self.turned and value.inputs[0] in self.ids:
            self.ids[value] = self.ids[value.inputs[0]]
            if value in self.outputs and self.loop is None:
                self.returned(value)
            return
        name = self.ids[value] = self.name()
        if value.op == "input":
            self.input(name, value)
            return
        if value.op == "constant":
            self.draw(
                Node(name, "constant", "const", value_lines(value), self.frame(value), "parameter")
            )
            return
        told = () if value.op == "random_bits" else value.inputs  # streams are numbers of nobody's
        fixed = [known_number(item) for item in told]
        self.draw(
            Node(
                name,
                "operation",
                primitive(value.op, fixed, len(set(value.inputs)) < len(value.inputs)),
                value_lines(value),
                self.frame(value),
                phase=self.phase(value),
            )
        )
        for item in value.inputs:
            self.link(item, name, self.phase(value))
        if value in self.outputs and self.loop is None:
            self.returned(value)

    def returned(self, value: Value) -> None:
        """A value that the diagram returns, and all that reads it reads its circle."""
        output = self.outputs[value]
        tip = f"{output}: {type_text(value)}"
        self.end(Node(f"output {output}", "computed", shown_name(output), tip), value, "forward")
        self.ids[value] = f"output {output}"

    def draw(self, node: Node) -> None:
        self.nodes.append(node)
        if node.phase == "forward":
            self.fronts.add(node.id)

    def name(self) -> str:
        self.count += 1
        return f"%{self.count - 1}"

    def turn(self, value: Value) -> None:
        """A result of a loop: a bullet outside of the frame in which the loop's body is drawn."""
        key = loop_of(value)
        if key not in self.turns:
            self.turns[key] = self.body(value)
        turn = self.turns[key]
        name = self.name()
        label, frame = value.attrs["result"], None if self.loop is None else self.loop.frame
        tip = value_lines(value)
        self.draw(Node(name, "operation", label, tip, frame, phase=turn.phase))
        self.ids[value] = name
        given_by = turn.ids.get(result_source(turn.body, value))
        if given_by is not None:
            style: EdgeStyle = "normal" if turn.phase == "forward" else "backward"
            self.edges[Edge(given_by, name, style, tooltip=type_text(value))] = None
        if value in self.outputs and self.loop is None:
            self.returned(value)

    def body(self, value: Value) -> Turn:
        """Draw the body of a loop, which may share nodes with those of other loops."""
        outside, around, phase = self.ids, self.loop, self.phase(value)
        body: Graph = value.attrs["body"]
        frame = f"loop {len(self.turns)} of {body.name}"
        parent = None if around is None else around.frame
        self.frames[frame] = Cluster(frame, loop_caption(value), "loop", parent)
        turn = Turn(body, frame, phase, {})
        self.turns[loop_of(value)] = turn
        inner: dict[Value, str] = {}
        entering: list[tuple[Value, str, str]] = []
        for entry, operand in zip(body.inputs, value.inputs, strict=True):
            role, name = role_of(entry), self.name()
            if role == "invariant":
                source = operand
                while source.op == "broadcast":
                    source = source.inputs[0]
                if source in outside:
                    inner[entry] = outside[source]
                continue
            inner[entry] = name
            shown = _entry_name(entry)
            tip = f"{role} {shown}: {type_text(entry)}\n{entry.origin.where}"
            kind: NodeKind = "value" if phase != "forward" else "computed"
            self.draw(Node(name, kind, shown, tip, frame, phase=phase))
            entering.append((operand, name, "each" if role == "sequence" else "init"))
        for operand, name, word in entering:
            self.link(operand, name, phase, word)
        self.ids, self.loop = inner, turn
        order = list(topological(body.roots))
        self.turned |= turned_axes(order)
        for item in order:
            self.add(item)
        for carry, following in body.updates:
            box = self.name()
            label = delayed(1)
            self.draw(Node(box, "delay", label, f"delay {carry.attrs['name']}", frame, phase=phase))
            style: EdgeStyle = "normal" if phase == "forward" else "backward"
            while following.op == "broadcast":
                following = following.inputs[0]
            if following in self.ids:
                self.edges[Edge(self.ids[following], box, style, back=True)] = None
            self.edges[Edge(box, self.ids[carry], style)] = None
        turn.ids.update(self.ids)
        self.ids, self.loop = outside, around
        return turn

    def input(self, name: str, value: Value) -> None:
        kind = INPUT_KINDS[value.attrs["role"]]
        label = shown_name(value.attrs["name"].rsplit("/", 1)[-1])
        tip = f"{value.attrs['name']}: {type_text(value)}\n{value.origin.where}"
        side: Side = "parameter" if kind == "parameter" else "main"
        item = self.drawn.nodes.get(value.attrs["name"])
        path = () if item is None else item.path
        frame = self.framed(path, False) if kind == "parameter" else None
        self.draw(Node(name, kind, label, tip, frame, side))

    def link(self, source: Value, end: str, phase: Phase, word: str = "") -> None:
        tip = type_text(source)
        while source.op == "broadcast":
            source = source.inputs[0]
            tip = f"{type_text(source)}, broadcast to {tip.split(' ', 1)[1]}"
        if source not in self.ids:
            return
        style: EdgeStyle = "normal"
        if phase == "backward":
            style = "residual" if self.is_forward(source) else "backward"
        self.edges[Edge(self.ids[source], end, style, "" if style == "residual" else word, tip)] = (
            None
        )

    def is_forward(self, source: Value) -> bool:
        """Whether a value that a backward one reads is made by what is drawn as forward."""
        if self.loop is not None:
            return self.ids.get(source) in self.fronts
        return source in self.forward or self.ids.get(source) in self.fronts

    def end(self, node: Node, value: Value, phase: Phase) -> None:
        """What the graph gives: a circle behind the bullet that computes it, or the cost."""
        self.draw(node)
        self.link(value, node.id, phase)

    def anchor(self, values: Sequence[Value], cost: Value | None) -> None:
        """Backward stands under forward: each drawn function's first step, and the turn.

        Out of a frame that order is not sure; the turn, which is in none, makes it so.
        """
        feet: dict[str, str] = {}
        for value in values:
            if value in self.forward and value in self.ids:
                feet.setdefault(value.origin.path, self.ids[value])
        under: dict[str, str] = {}
        start = longest(self.edges)
        if cost is not None and start is not None:
            under[start] = "cost"
        for value in values:
            foot = feet.pop(value.origin.path, None) if value not in self.forward else None
            if foot is not None and value in self.ids:
                under.setdefault(self.ids[value], foot)
        self.nodes = [replace(node, under=under.get(node.id)) for node in self.nodes]

    def frame(self, value: Value) -> str | None:
        if self.loop is not None:
            return self.loop.frame
        if value not in self.forward:
            return None
        item = self.drawn.nodes.get(value.origin.path)
        if item is None:
            return None
        opens = isinstance(item, DrawnBlock)
        path = (*item.path, value.origin.path) if opens else item.path
        return self.framed(path, value.origin.direction == "backward")

    def framed(self, path: Iterable[str], back: bool) -> str | None:
        """The innermost frame of a path of blocks, down to the depth; made where it is missing."""
        sign = "∂" if back else ""
        parent = None
        for level, block in enumerate(path):
            if self.depth is not None and level >= self.depth:
                break
            name = f"∂\0{block}" if back else block  # no block is called so
            if name not in self.frames:
                label = sign + shown_name(block_name(self.drawn.block(block)))
                self.frames[name] = Cluster(name, label, "block", parent)
            parent = name
        return parent


@dataclass(frozen=True)
class Turn:
    """A loop whose body was drawn: its frame, its phase, and the names of the body's nodes."""

    body: Graph
    frame: str
    phase: Phase
    ids: dict[Value, str]


def turned_axes(values: Iterable[Value]) -> set[Value]:
    """The transpositions that a convolution is drawn with: they only say where its channels stand.

    They are no bullets; what reads one reads what it turns.
    """
    found: set[Value] = set()
    for value in values:
        if value.op in CONVOLUTIONS:
            found.update(item for item in value.inputs if item.op == "transpose")
        elif value.op == "transpose" and value.inputs[0].op in CONVOLUTIONS:
            found.add(value)
    return found


def loop_caption(value: Value) -> str:
    """What is written at the frame of a loop: how often its body is run."""
    steps = str(value.attrs["steps"]).replace("*", "·")
    ends = f"{steps} … 1" if value.attrs["reverse"] else f"1 … {steps}"
    gate = gate_of(value.attrs["body"])
    if gate is not None:
        ends += f",  {'while' if role_of(gate) == 'carry' else 'where'} {_entry_name(gate)}"
    return f"{shown_name(value.attrs['body'].name.rsplit('/', 1)[-1])}:  {ends}"


def _entry_name(entry: Value) -> str:
    name: str = entry.attrs["name"]
    return shown_name(name) if name.isidentifier() else name


def longest(edges: Iterable[Edge]) -> str | None:
    """Where the longest way of gradients begins, of edges in the order of their targets."""
    length: dict[str, int] = {}
    for edge in reversed(list(edges)):
        if edge.style == "backward":
            after = length.get(edge.target, 0)
            length[edge.source] = max(length.get(edge.source, 0), 1 + after)
    return max(length, key=lambda name: length[name], default=None)


def known_number(value: Value) -> str | None:
    """The text of a value that is one number everywhere, known but for sizes; else None."""
    found: dict[Value, str | None] = {}
    stack = [filled_with(value)]
    while stack:
        item = stack[-1]
        parts = [filled_with(part) for part in item.inputs] if _is_infix(item) else []
        waiting = [part for part in parts if part not in found]
        if waiting and all(found.get(part, "") is not None for part in parts):
            stack.append(waiting[0])
        else:
            found[stack.pop()] = _number_text(item, [found.get(part) for part in parts])
    return found[filled_with(value)]


def _is_infix(value: Value) -> bool:
    return value.shape == () and len(value.inputs) == 2 and value.op in INFIX


def _number_text(value: Value, parts: Sequence[str | None]) -> str | None:
    """The text of a number, of those that it is computed from."""
    if value.op == "constant" and value.attrs["value"].ndim == 0:
        return number(value.attrs["value"].item())
    if value.op == "size":
        text = str(value.attrs["size"]).replace("*", "·")
        return text if text.isalnum() else f"({text})"
    if not parts or None in parts:
        return None
    return f"({parts[0]} {INFIX[value.op].replace('⊙', '·')} {parts[1]})"


def value_lines(value: Value) -> str:
    """The tooltip of a primitive: its operation, type, attributes and the user's line."""
    lines = [f"{value.op}: {type_text(value)}"]
    lines += [
        f"{name} = {shape_text(item) if isinstance(item, tuple) else item}"
        for name, item in value.attrs.items()
        if not hasattr(item, "dtype") and name not in ("shape", "type", "body")
    ]
    if value.op == "contract":
        lines[1:] = [_subscripts(value.attrs)]
    return "\n".join([*lines, *([value.origin.where] if value.origin.where else [])])


def _subscripts(attrs: Mapping[str, Any]) -> str:
    letters: dict[int, str] = {}
    texts = []
    for key in ("a", "b", "out"):
        texts.append("".join(letters.setdefault(k, chr(97 + len(letters))) for k in attrs[key]))
    return f"{texts[0]},{texts[1]}->{texts[2]}"
