"""A drawn graph at a depth: which functions are bullets, which blocks are open, who reads what.

Blocks are one bullet each down to a depth; below it they are frames around what is in them.
Numbers are told in the bullets that read them.  This file decides on no circle.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ...drawing.drawn_nodes import (
    DrawnBlock,
    DrawnCost,
    DrawnDelay,
    DrawnGraph,
    DrawnNode,
    DrawnStart,
)
from ...variables.kinds import Elementwise, Number, Spread
from ...variables.loop_parts import Each, Result
from .loop_frames import Loop
from .symbols import number

_PACKAGE = __name__.split(".")[0] + "."


class Outline:
    """What a drawn graph shows at a depth, before anything is called or placed.

    Attributes:
        nodes: the drawn graph's nodes.
        variables: those that are variables.
        opened: the blocks that are frames.
        functions: those drawn as bullets.
        costs: the functions that are cost nodes.
        makers: the function that computes a variable.
        readers: the functions that read a variable.
        numbers: the variables that are told within a bullet, and how.
        loops: the loops, outer ones first.
        borders: the functions through which a sequence enters a loop and a result leaves it, and
            stopped gradients. They are no bullets: an arrow leads through each, which is called as
            it is; one that is stopped has a mark and no words.
    """

    def __init__(self, graph: DrawnGraph, loops: Mapping[str, Loop], depth: int | None) -> None:
        self.graph = graph
        self.loops = loops
        self.nodes: Mapping[str, DrawnNode] = graph.nodes
        self.variables = graph.variables
        self.opened = {
            node: item
            for node, item in self.nodes.items()
            if isinstance(item, DrawnBlock) and _opens(item, depth)
        }
        self.functions = {
            node: item
            for node, item in graph.functions.items()
            if node not in self.opened and self.reached(item.path)
        }
        self.costs = self._find_costs()
        self.borders = {
            node: "" if self.is_stop(node) else item.name
            for node, item in self.functions.items()
            if self._is_border(node) or self.is_stop(node)
        }
        self.numbers: dict[str, str] = {}
        self.readers: dict[str, list[str]] = {}
        self.makers: dict[str, str] = {}
        for function in self.functions:
            for node in graph.predecessors(function):
                self.readers.setdefault(node, []).append(function)
            for node in graph.successors(function):
                self.makers[node] = function
        self._fold_numbers()
        self._fold_starts()

    def reached(self, path: Iterable[str]) -> bool:
        """Whether all blocks of a path are open."""
        return all(block in self.opened for block in path)

    def is_parameter(self, node: str) -> bool:
        """Whether a node is a parameter."""
        return node in self.variables and self.variables[node].kind == "parameter"

    def _is_border(self, node: str) -> bool:
        item = self.functions[node]
        if isinstance(item, DrawnStart):
            return True
        return isinstance(item.application, (Each, Result)) and node not in self.costs

    def is_stop(self, node: str) -> bool:
        """Whether a function gives what a variable is, without its gradient."""
        made = self.functions[node].application
        if not isinstance(made, Elementwise) or made.op != "stop_gradient" or node in self.costs:
            return False
        (source,) = self.graph.predecessors(node)
        return self.variables[source].kind != "constant"

    def _find_costs(self) -> set[str]:
        """The functions that are cost nodes: cost functions, and what makes the diagram's cost."""
        found = {node for node, item in self.functions.items() if isinstance(item, DrawnCost)}
        cost = self.graph.cost
        if cost is not None:
            found |= {node for node in self.graph.predecessors(cost) if node in self.functions}
        return found

    def _fold_starts(self) -> None:
        """A number that is spread over a delay's shape is told at the delay."""
        for function, item in list(self.functions.items()):
            if not isinstance(item.application, Spread):
                continue
            (start,), (out,) = self.graph.predecessors(function), self.graph.successors(function)
            readers = self.readers.get(out, [])
            only = readers and all(
                isinstance(self.functions[reader], (DrawnDelay, DrawnStart)) for reader in readers
            )
            if start in self.numbers and only:
                self.numbers[out] = self.numbers[start]
                del self.functions[function], self.makers[out]

    def _fold_numbers(self) -> None:
        """Scalar constants are told in the bullet that reads them; so are sizes and fills."""
        for node, readers in self.readers.items():
            if any(isinstance(self.functions[reader], DrawnBlock) for reader in readers):
                continue
            item, maker = self.variables[node], self.makers.get(node)
            if item.kind == "constant" and item.shape == ():
                self.numbers[node] = number(item.value.item())
            elif maker is not None:
                application = self.functions[maker].application
                if isinstance(application, Number):
                    self.numbers[node] = application.shown
                    del self.functions[maker]

    def loops_around(self, node: str) -> tuple[str, ...]:
        """The loops in which a variable or a function is, from the outermost."""
        return max((self.loops[loop].chain for loop in self.nodes[node].loops), key=len, default=())

    def frames_around(self, node: str) -> tuple[str, ...]:
        """The frames in which a variable or a function stands: of open blocks and of loops."""
        found: list[str] = []
        for block in self.nodes[node].path:
            if block in self.opened:
                found += [*(self.loops[loop].frame for loop in self.loops_around(block)), block]
        found += [self.loops[loop].frame for loop in self.loops_around(node)]
        return tuple(dict.fromkeys(found))


def _opens(item: DrawnBlock, depth: int | None) -> bool:
    if depth is None:
        return True
    module = getattr(getattr(item.block, "function", None), "__module__", None) or ""
    own = module.startswith(_PACKAGE)
    return len(item.path) + 1 < depth and not isinstance(item, DrawnCost) and not own
