"""What is written in the circles of a drawing: the user's names, else z₁, z₂ as on a slide.

Weights are w; the weights of what computes them u, and so on.  A variable of a loop has the loop's
index: x(t), and z(t−1) where it comes out of a delay.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...drawing.drawn_nodes import DrawnDelay
from ...variables.loop_parts import Entry
from .circles import Circles
from .symbols import indexed, number, series, shown_name, subscript
from .weights import cuts, is_implicit, is_weight, whole_of

_LEVELS = ("wvuθ", "uvθφ", "vθφ", "θφ")
_BIASES = "bβ"
_WEIGHTS = (*_LEVELS, _BIASES)


def circle_texts(drawing: Circles) -> dict[str, str]:
    """The text of every circle, and of every cost that is read: by a sum of several, say."""
    return _Naming(drawing).texts()


class _Naming:
    def __init__(self, drawing: Circles) -> None:
        self.drawing = drawing
        self.names: dict[str, str] = {}  # without indices
        self.after: dict[str, str] = {}  # what closes a delay, and the delay's name
        self.delays: dict[str, int] = {}  # what comes out of a delay, and how much later
        self.elements: dict[str, str] = {}  # an element of a sequence, and the sequence
        for function, item in drawing.functions.items():
            if isinstance(item, DrawnDelay):
                out = drawing.graph.result(function)
                self.delays[out] = item.steps
                name = shown_name(drawing.variables[out].name or "")
                self.names[out] = name
                source = drawing.graph.argument(function, 1)
                if drawing.variables[source].kind == "computed":
                    self.after.setdefault(source, name)
            elif function in drawing.borders and isinstance(item.application, Entry):
                out = drawing.graph.result(function)
                for source in drawing.graph.predecessors(function):
                    self.elements[out] = source
        for node, variable in drawing.variables.items():
            if variable.element_of is not None:
                self.elements[node] = source = variable.element_of
                self.names[source] = shown_name(drawing.variables[source].name or "")

    def texts(self) -> dict[str, str]:
        self.name()
        found = {node: self.text(node) for node in self.names}
        return found | {node: self.text(node) for node in self.elements if self.root(node)}

    def name(self) -> None:
        drawing = self.drawing
        hidden: list[str] = []
        weights: dict[str, list[str]] = {}  # by the letters for them
        pieces: dict[str, list[str]] = {}  # by the vector that they are cut out of
        level = _levels(drawing)
        for circle in drawing.order:
            if circle in drawing.functions or circle in self.delays or circle in self.elements:
                continue
            item = drawing.variables[circle]
            implicit, whole = is_implicit(drawing, circle), whole_of(drawing, circle)
            if implicit and whole is not None:
                pieces.setdefault(whole, []).append(circle)
            elif implicit:
                weights.setdefault(self.letters(circle, level), []).append(circle)
            elif item.kind == "constant" and item.name is None:
                scalar = item.value.ndim == 0
                self.names[circle] = number(item.value.item()) if scalar else "const"
            elif item.output and item.kind == "computed":
                self.names[circle] = shown_name(item.output)
            elif circle in self.after and item.loops:
                self.names[circle] = self.after[circle]
            elif item.closes is not None:
                self.names[circle] = shown_name(item.closes)
            elif item.name is not None:
                self.names[circle] = shown_name(item.name)
            elif is_weight(drawing, circle):
                weights.setdefault(self.letters(circle, level), []).append(circle)
            else:
                hidden.append(circle)
        # A cost has no circle, but may be read: by the sum of several, by its gradient.
        makers = [function for function in drawing.order if function in drawing.costs]
        costs = [
            n for maker in makers for n in drawing.graph.successors(maker) if n in drawing.readers
        ]
        taken = set(self.names.values())
        for circles, letters in (
            *((weights[letters], letters) for letters in sorted(weights, key=_WEIGHTS.index)),
            (hidden, "zhsa"),
            (costs, "CJL"),
        ):
            copies = self.copies(circles)
            symbols = series(letters, len(copies), taken)
            taken |= {*symbols, *(symbol[0] for symbol in symbols)}
            for symbol, same in zip(symbols, copies, strict=True):
                self.names.update(dict.fromkeys(same, symbol))
        for whole, parts in pieces.items():
            for place, same in enumerate(self.copies(parts), 1):
                self.names.update(dict.fromkeys(same, subscript(self.names[whole], place)))

    def copies(self, circles: Iterable[str]) -> list[list[str]]:
        """The circles, those that an unrolled loop has for each step together."""
        found: dict[str, list[str]] = {}
        for circle in circles:
            original = self.drawing.variables[circle].copy_of
            found.setdefault(circle if original is None else original, []).append(circle)
        return list(found.values())

    def letters(self, circle: str, level: dict[str, int]) -> str:
        """What a weight can be called: w, or b for biases alone; u where it helps compute w."""
        names = [self.drawing.variables[node].name or "" for node in self.drawing.circles[circle]]
        above = min(level.get(circle, 1), len(_LEVELS)) - 1
        return _BIASES if not above and set(names) == {"bias"} else _LEVELS[above]

    def root(self, node: str) -> str | None:
        """The sequence of which an element is an element, if it has a name."""
        while node in self.elements:
            node = self.drawing.circle_of.get(self.elements[node], self.elements[node])
        return node if node in self.names else None

    def text(self, node: str) -> str:
        item = self.drawing.variables[node]
        root = self.root(node)
        if item.kind != "computed" or root is None:
            return self.names[node]
        text = indexed(self.names[root], self.indices(node))
        maker = self.drawing.makers.get(node)
        if item.start is not None and maker is not None:
            starts = (self.drawing.numbers.get(n) for n in self.drawing.graph.predecessors(maker))
            text += "".join(f" = {start}" for start in starts if start is not None)
        return text

    def indices(self, node: str) -> list[str]:
        """The index of the innermost loop; of an element, that of its sequence too."""
        drawing = self.drawing
        start = drawing.variables[node].start
        if start is not None:
            return [start]
        loops = drawing.loops_around(node)
        if not loops:
            return []
        own = drawing.loops[loops[-1]].index
        if node in self.elements:
            return [*self.indices(self.elements[node]), own]
        if node in self.delays:
            sign = "+" if drawing.loops[loops[-1]].reverse else "−"
            return [f"{own}{sign}{self.delays[node]}"]
        return [own]


def _levels(drawing: Circles) -> dict[str, int]:
    """Through how many weights each circle and function acts on what the diagram gives.

    The functions of the main net have 0, its weights and what computes them 1, the weights of that
    2 and so on.  The parts of a vector are weights on the level of the whole.
    """
    before: dict[str, list[tuple[str, int]]] = {}
    for edge in drawing.links:
        step = int(
            edge.source in drawing.circles
            and edge.target in drawing.functions
            and not cuts(drawing, edge.target)
            and is_weight(drawing, edge.source)
        )
        before.setdefault(edge.target, []).append((edge.source, step))
    found = dict.fromkeys(
        (
            node
            for node in drawing.order
            if node in drawing.costs or (_is_output(drawing, node) and not is_weight(drawing, node))
        ),
        0,
    )
    waiting = list(found)
    while waiting:
        node = waiting.pop(0)
        for source, step in before.get(node, []):
            if found[node] + step < found.get(source, len(drawing.order) + 1):
                found[source] = found[node] + step
                waiting.append(source)
    return found


def _is_output(drawing: Circles, node: str) -> bool:
    return node in drawing.variables and drawing.variables[node].output is not None
