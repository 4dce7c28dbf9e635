"""Stage "kernels": what the compiler runs, one bullet for each kernel of a gradient step.

An arrow is a value that lies in memory between two kernels; the kernels that a loop runs again and
again are in a frame that tells how often, and what it carries goes through a delay.  What a kernel
keeps to itself, the parameters that it reads and the gradients that it writes are told in its
tooltip.  This file fuses nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ....compiler.graph import Node as Value
from ....compiler.graph import topological
from ....compiler.graphs.views import resolve
from ....compiler.primitives.recurrence import result_source
from ....compiler.scheduling.fusion import Fusion, Group
from ...operations.random import is_key
from ...variables.variable import shape_text
from ..picture import INPUT_KINDS, Cluster, Edge, EdgeStyle, Node, NodeKind, Phase, Picture
from .from_graph import longest, loop_caption
from .symbols import delayed, operator_name, shown_name
from .texts import type_text

_FEW = 3


def from_kernels(
    title: str,
    fusion: Fusion,
    outputs: Mapping[str, str],
    gradients: Mapping[str, str],
    cost: str | None = None,
    updates: Mapping[str, str] | None = None,
) -> Picture:
    """The picture of fused groups; what only gradients need is backward.

    Args:
        title: of the picture.
        fusion: the groups.
        outputs: of the graph's outputs what the diagram returns, and how it is called.
        gradients: those that are gradients, and by which parameter.
        cost: the one that is the cost.
        updates: those that are next values of states, and what their circles are called.
    """
    return _Conversion(title, fusion, outputs, gradients, cost, updates or {}).picture


class _Conversion:
    def __init__(
        self,
        title: str,
        fusion: Fusion,
        shown: Mapping[str, str],
        gradients: Mapping[str, str],
        cost: str | None,
        updates: Mapping[str, str],
    ) -> None:
        outputs = fusion.graph.outputs
        wanted = [value for name, value in outputs if name not in gradients]
        self.forward = set(topological(wanted))
        self.nodes: list[Node] = []
        self.edges: dict[tuple[str, str], Edge] = {}
        self.ids: dict[Value, str] = {}
        self.back: set[str] = set()
        self.written: dict[Value, list[str]] = {}
        for name, value in outputs:
            if name in gradients:
                found = self.written.setdefault(resolve(value).base, [])
                found.append(f"∂{gradients[name]}")
        for value in fusion.graph.inputs:
            if value.attrs["role"] != "parameter":
                self.input(value)
        self.groups: list[Group] = []
        self.frames: list[Cluster] = []
        self.run(fusion, None)
        for name, value in outputs:
            if name == cost:
                self.output("cost", "C", "cost", value)
            elif name in shown:
                self.output("computed", shown_name(shown[name]), shown[name], value)
            elif name in updates:
                self.output("state", shown_name(updates[name]), updates[name], value)
        self.anchor(self.groups)
        self.picture = Picture(
            title, tuple(self.nodes), tuple(self.edges.values()), tuple(self.frames)
        )

    def run(self, fusion: Fusion, frame: str | None, back: bool = False) -> None:
        """Draw kernels, and those that a loop runs again and again in a frame of their own."""
        for group in fusion.groups:
            if group.body is None:
                self.groups.append(group)
                self.kernel(f"kernel {len(self.groups) - 1}", group, frame, back)
            else:
                self.loop(group, group.body, frame, back)

    def loop(self, group: Group, body: Fusion, around: str | None, back: bool) -> None:
        """The kernels of a loop; it is backward if it runs for gradients alone."""
        results = list(group.members)
        back = back or (around is None and not any(value in self.forward for value in results))
        frame = f"loop {len(self.frames)}"
        self.frames.append(Cluster(frame, loop_caption(results[0]), "loop", around))
        outside = dict(self.ids)
        carries = dict(body.graph.updates)
        for entry, operand in zip(body.graph.inputs, results[0].inputs, strict=True):
            self.ids.pop(entry, None)  # a reversed loop reads sequences by the nodes of the first
            source = outside.get(resolve(operand).base)
            if entry in carries:
                self.carry(entry, source, frame, back)
            elif source is not None:
                self.ids[entry] = source
        self.run(body, frame, back)
        for entry, following in carries.items():
            self.link(resolve(following).base, f"delay of {self.ids[entry]}", back=True)
        inner = dict(self.ids)
        self.ids = outside
        for value in results:
            found = inner.get(resolve(result_source(body.graph, value)).base)
            if found is not None:
                self.ids[value] = found

    def anchor(self, groups: Sequence[Group]) -> None:
        """A backward kernel stands under one of the same block; the longest way back begins last.

        The turn is in no frame, and so is sure to be below what it is under.
        """
        feet: dict[str, str] = {}
        under: dict[str, str] = {}
        ends = [node.id for node in self.nodes if node.kind == "cost"]
        start = longest(self.edges.values())
        if ends and start is not None:
            under[start] = ends[0]
        for group in groups:
            for value in group.members:
                name = self.ids.get(value)
                if name is None:
                    continue
                if name not in self.back:
                    feet.setdefault(value.origin.path, name)
                elif name not in under and value.origin.path in feet:
                    under[name] = feet.pop(value.origin.path)
        self.nodes = [replace(node, under=under.get(node.id)) for node in self.nodes]

    def input(self, value: Value) -> None:
        name = value.attrs["name"]
        tip = f"{name}: {type_text(value)}\n{value.origin.where}"
        self.ids[value] = f"input {name}"
        kind = INPUT_KINDS[value.attrs["role"]]
        label = shown_name(name.rsplit("/", 1)[-1])
        self.nodes.append(Node(f"input {name}", kind, label, tip))

    def carry(self, entry: Value, start: str | None, frame: str, back: bool) -> None:
        """What a loop carries from step to step: the memory of it, and the delay into it."""
        name = self.ids[entry] = f"carry {len(self.nodes)}"
        box = f"delay of {name}"
        phase: Phase = "backward" if back else "forward"
        label = shown_name(entry.attrs["name"])
        tip = f"{entry.attrs['name']}: {type_text(entry)}"
        self.nodes.append(Node(name, "value", label, tip, frame, phase=phase))
        self.nodes.append(Node(box, "delay", delayed(1), tip, frame, phase=phase))
        if back:
            self.back |= {name, box}
        self.edges[box, name] = Edge(box, name, "backward" if back else "normal")
        if start is not None:
            style: EdgeStyle = "backward" if back else "normal"
            self.edges[start, name] = Edge(start, name, style, "init", tip)

    def kernel(self, name: str, group: Group, frame: str | None, back: bool) -> None:
        if frame is None:
            back = not any(value in self.forward for value in group.members)
        phase: Phase = "backward" if back else "forward"
        if back:
            self.back.add(name)
        lines = [f"{group.kind} over {shape_text(group.domain)}"]
        lines += [
            f"{value.op}: {type_text(value)}  {value.origin.path}".rstrip()
            for value in group.members
        ]
        reads = (resolve(item).base for value in group.members for item in value.inputs)
        lines += [
            f"reads {base.attrs['name']}" for base in dict.fromkeys(reads) if _is_weight(base)
        ]
        lines += [
            f"writes {name}" for value in group.members for name in self.written.get(value, [])
        ]
        label = _label(group)
        self.nodes.append(Node(name, "operation", label, "\n".join(lines), frame, phase=phase))
        self.ids.update(dict.fromkeys(group.members, name))
        for value in group.members:
            for item in value.inputs:
                self.link(resolve(item).base, name)

    def link(self, value: Value, end: str, back: bool = False) -> None:
        start = self.ids.get(value)
        if start is None or start == end:
            return
        style: EdgeStyle = "normal"
        if end in self.back:
            style = "backward" if start in self.back else "residual"
        link = Edge(start, end, style, tooltip=type_text(value), back=back)
        self.edges.setdefault((start, end), link)

    def output(self, kind: NodeKind, label: str, name: str, value: Value) -> None:
        end = f"{kind} {name}"
        self.nodes.append(Node(end, kind, label, f"{name}: {type_text(value)}"))
        self.link(resolve(value).base, end)


def _is_weight(value: Value) -> bool:
    return value.op == "input" and value.attrs["role"] == "parameter" and not is_key(value)


def _label(group: Group) -> str:
    """The first operations of a kernel: "@ + max"."""
    names = list(_named(group.members))
    return ", ".join(names[:_FEW]) + (", …" if len(names) > _FEW else "")


def _named(values: Iterable[Value]) -> list[str]:
    return list(dict.fromkeys(operator_name(value.op) for value in values))
