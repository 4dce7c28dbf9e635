"""Stage "drawn": from what was drawn, as a graph, to a picture like that on a slide.

Blocks are one bullet each down to a depth; below it they are frames around what is in them.  The
parameters of a bullet are one circle.  This file places nothing and reads no diagram but its graph.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ....compiler.sizes import Dim
from ...drawing.drawn import common_path
from ...drawing.drawn_nodes import DrawnBlock, DrawnDelay, DrawnGraph, DrawnVariable
from ...variables.kinds import Gradient
from ...variables.loop_parts import Each, Result
from ..picture import Cluster, Node, NodeKind, Picture
from .block_parts import with_block_parts
from .circles import Circles
from .held_averages import with_held_averages
from .loop_frames import Loop, frame_of, loops_of, without_masks
from .naming import circle_texts
from .symbols import applied, delayed, operation, operator_name, shown_name
from .texts import block_name, symbol_of, type_text
from .weights import is_weight


def from_diagram(graph: DrawnGraph, depth: int | None = 1) -> Picture:
    """The picture of a drawn graph.

    Args:
        graph: what `drawn_graph` made.
        depth: how many levels of blocks are shown: 1 draws each outermost block as one bullet,
            2 draws what is in it as well, None everything. Costs and the functions of this
            package (`dg.relu`) are only opened by None.
    """
    plain = without_masks(with_block_parts(with_held_averages(graph)))
    return Conversion(plain, loops_of(plain), depth).picture()


class Conversion(Circles):
    """The circles and bullets of a drawn graph at a depth, with what is written in them.

    Attributes:
        text: what is written in each circle; and what a cost is called, which has none.
    """

    def __init__(self, graph: DrawnGraph, loops: Mapping[str, Loop], depth: int | None) -> None:
        super().__init__(graph, loops, depth)
        self.text = circle_texts(self)

    def picture(self) -> Picture:
        """The picture of all that was found."""
        nodes = [
            self._bullet(node) if node in self.functions else self._circle(node)
            for node in self.order
        ]
        return Picture(self.graph.name, tuple(nodes), tuple(self.links), tuple(self._frames()))

    def _circle(self, circle: str) -> Node:
        item = self.variables[circle]
        readers = self.readers.get(circle, [])
        paths = [self.frames_around(reader) for reader in readers]
        beside = self._beside(circle, item, readers)
        path = common_path(paths)
        if item.kind == "computed":
            own = self.frames_around(circle)
            path = self._port(path, own) if beside else own
        return Node(
            circle,
            self._kind(circle),
            self.text[circle],
            "\n".join([*(self.type_line(node) for node in self.circles[circle]), item.where]),
            path[-1] if path and item.kind not in ("observed", "state") else None,
            "parameter" if beside else "main",
        )

    def _port(self, path: tuple[str, ...], own: tuple[str, ...]) -> tuple[str, ...]:
        """Where a weight stands that is used in the frames `path`: in blocks, out of loops."""
        loops = {loop.frame for loop in self.loops.values()} - {*own}
        entered = [place for place, frame in enumerate(path) if frame in loops]
        return path[: entered[0]] if entered else path

    def _kind(self, circle: str) -> NodeKind:
        """What a circle is; an element of an observed sequence is observed too."""
        item = self.variables[circle]
        if item.element_of is not None:
            return "observed"
        maker = self.makers.get(circle)
        if maker in self.borders and isinstance(self.functions[maker].application, Each):
            return self._kind(self.graph.predecessors(maker)[0])
        return item.kind

    def _beside(self, circle: str, item: DrawnVariable, readers: Sequence[str]) -> bool:
        """Whether a variable enters its reader from below: weights, and the target of a cost."""
        if item.kind in ("parameter", "constant"):
            return not self._starts_row(circle)
        if any(isinstance(self.nodes[reader], DrawnDelay) for reader in readers):
            return False
        others = [
            [n for n in self.graph.predecessors(reader) if n != circle and n in self.circle_of]
            for reader in readers
        ]
        if is_weight(self, circle):
            return all(others)
        if self._kind(circle) != "observed" or item.output or len(readers) != 1:
            return False
        given = not all(self.is_parameter(node) for node in others[0])
        return given and readers[0] in self.costs

    def _starts_row(self, node: str) -> bool:
        """Whether a parameter is the first input of an operation on parameters alone: A @ B."""
        for reader in self.readers.get(node, []):
            if isinstance(self.functions[reader], DrawnBlock):
                continue
            arguments = self.graph.arguments(reader)
            inputs = list(dict.fromkeys(name for name in arguments if name in self.circle_of))
            fixed = all(self.variables[n].kind in ("parameter", "constant") for n in inputs)
            if fixed and len(inputs) > 1 and inputs[0] == node:
                return True
        return False

    def type_line(self, node: str) -> str:
        """A variable with its type, for tooltips."""
        item = self.variables[node]
        name = item.output or (node if item.kind in ("observed", "parameter") else "")
        name = name or item.name or self.text[self.circle_of[node]]
        return f"{name}: {type_text(item)}{', frozen' if item.variable.frozen else ''}"

    def _bullet(self, function: str) -> Node:
        path = self.frames_around(function)
        kind: NodeKind = "delay" if isinstance(self.functions[function], DrawnDelay) else "function"
        return Node(
            function,
            "cost" if function in self.costs else kind,
            self._label(function),
            self._function_lines(function),
            path[-1] if path else None,
        )

    def visible(self, node: str) -> str | None:
        """The bullet that a function of the drawn graph is, or is in."""
        item = self.nodes.get(node)
        around = () if item is None else (*item.path, node)
        return next((name for name in around if name in self.functions), None)

    def bare_name(self, function: str) -> str:
        """What a function is called without its arguments."""
        item = self.functions[function]
        if isinstance(item.application, Gradient):
            return self._label(function)
        if isinstance(item, DrawnBlock):
            return shown_name(block_name(item))
        return operator_name(item.name)

    def _label(self, function: str) -> str:
        item = self.functions[function]
        if isinstance(item, DrawnDelay):
            return delayed(item.steps)
        if isinstance(item.application, Result):
            return self._result_label(item.application, function)
        inputs = self.graph.arguments(function)
        arguments = [self._argument(node) for node in inputs]
        if isinstance(item, DrawnBlock):
            return symbol_of(item) or applied(shown_name(block_name(item)), arguments)
        return operation(item.name, arguments, [node in self.numbers for node in inputs])

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
        item, lines = self.functions[function], []
        if isinstance(item, DrawnBlock) and item.block._has_place:
            lines.append(
                f"{item.name}: {type(item.block).__name__} {item.block._details()}".strip()
            )
        else:
            lines.append(item.name)
        lines += [f"→ {type_text(self.variables[n])}" for n in self.graph.successors(function)]
        parameters = [
            self.variables[node].shape
            for node in self.graph.predecessors(function)
            if self.variables[node].kind == "parameter"
        ]
        if isinstance(item, DrawnBlock) and parameters:
            count = sum(_count(shape) for shape in parameters)
            lines.append(f"{count:,} parameter{'s' if count > 1 else ''}")
        return "\n".join([*lines, item.where])

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
                caption = loop.caption
                if loop.until is not None:
                    caption += f",  until {self._argument(loop.until)}"
                yield Cluster(loop.frame, caption, "loop", parent, after)
        for block, item in self.opened.items():
            if self.reached(item.path):
                around = self.frames_around(block)
                parent = around[-1] if around else None
                yield Cluster(block, shown_name(block_name(item)), "block", parent)


def _count(shape: Iterable[Dim]) -> int:
    count = 1
    for extent in shape:
        assert isinstance(extent, int)  # of a parameter
        count *= extent
    return count
