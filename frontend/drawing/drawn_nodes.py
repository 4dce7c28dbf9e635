"""What a drawing is made of: variables, functions, loops, and the arrows between them.

Nodes, arrows and loops do not change; a `DrawnGraph` does.  Pictures and reports read it, users a
NetworkX graph of it (`networkx_graph.py`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy.typing as npt

from ...compiler.sizes import Dim
from ..variables.block_base import BlockBase
from ..variables.loop_parts import Keep
from ..variables.variable import Application, Variable

if TYPE_CHECKING:
    import networkx as nx

Path = tuple[str, ...]
VariableKind = Literal["observed", "computed", "parameter", "state", "constant"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DrawnVariable:
    """A variable.

    Attributes:
        kind: what it is; what a step makes of a state is a "state" too.
        name: the user's name for it.
        output: the name under which the diagram returns it.
        shape: integers and named sizes.
        dtype: "float32" and so on.
        variable: the variable itself.
        path: the nodes of the blocks around it, from the outermost.
        loops: the loops it is in.
        where: the user's file:line.
        copy_of: of a copy for one step of an unrolled loop, what it is a copy of.
        start: of the initial value of a delay of an unrolled loop, the index of its step.
        closes: of a copy that closes a delay, what the delay is called.
        element_of: of an element of an observed sequence in an unrolled loop, the sequence.
    """

    kind: VariableKind
    name: str | None
    output: str | None = None
    shape: tuple[Dim, ...]
    dtype: str
    variable: Variable
    path: Path = ()
    loops: tuple[str, ...] = ()
    where: str
    copy_of: str | None = None
    start: str | None = None
    closes: str | None = None
    element_of: str | None = None

    @property
    def value(self) -> npt.NDArray[Any]:
        """What a constant is."""
        assert self.variable.value is not None
        return self.variable.value


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DrawnFunction:
    """An application of a function.

    Attributes:
        name: the block's path, or the operation's name.
        application: the application itself; None of what only the drawing has.
        path: the nodes of the blocks around it, from the outermost.
        loops: the loops it is in.
        where: the user's file:line.
        copy_of: of a copy for one step of an unrolled loop, what it is a copy of.
    """

    name: str
    application: Application | None
    path: Path = ()
    loops: tuple[str, ...] = ()
    where: str
    copy_of: str | None = None

    @property
    def label(self) -> str:
        """A short name: the last part of the name."""
        return self.name.rsplit("/", 1)[-1]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DrawnBlock(DrawnFunction):
    """A block, whose inside is in the graph too."""

    application: Application

    @property
    def block(self) -> BlockBase:
        """The block itself."""
        assert self.application.block is not None
        return self.application.block


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DrawnCost(DrawnBlock):
    """A cost function."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DrawnDelay(DrawnFunction):
    """A delay, by so many `steps`; its initial value is argument 0, what closes it argument 1."""

    steps: int = 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DrawnStart(DrawnFunction):
    """The way of an initial value into the copies of an unrolled loop, in the place of a delay."""


@dataclass(frozen=True, slots=True)
class ArgumentArrow:
    """An arrow into a function.

    Attributes:
        place: which argument it is.
        captured: whether a block reads it without being given it, as its parameters, or what they
            are bound to.
        delayed: whether it closes a delay.
        lengths: whether it says how many steps the samples of a delay's loop have.
    """

    place: int
    captured: bool = False
    delayed: bool = False
    lengths: bool = False


@dataclass(frozen=True, slots=True)
class ResultArrow:
    """An arrow out of a function: which result it is."""

    place: int


@dataclass(frozen=True, slots=True)
class DrawnLoop:
    """A loop.

    Attributes:
        name: the user's name for it.
        steps: how many.
        reverse: whether it runs from the last element to the first.
        keep: what its derivative stores of every step.
        where: the user's file:line.
        truncate: at every how many steps no gradient passes its delays, where that is no part of
            the drawing any more.
        until: the node of the condition after which no step is made, where there is one.
    """

    name: str
    steps: Dim | None
    reverse: bool
    keep: Keep
    where: str
    truncate: int | None = None
    until: str | None = None


DrawnNode = DrawnVariable | DrawnFunction
Arrow = ArgumentArrow | ResultArrow


class DrawnGraph:
    """The variables and functions of a diagram by name, joined by arrows.

    Attributes:
        name: the diagram's.
        cost: the node that is the diagram's cost.
        nodes: variables and functions, in the order in which they were drawn.
        arrows: by where they come from, where they lead to, and their places; in the order in
            which they were drawn.
        loops: the loops, by the names that nodes have for them.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.cost: str | None = None
        self.nodes: dict[str, DrawnNode] = {}
        self.arrows: dict[tuple[str, str, int], Arrow] = {}
        self.loops: dict[str, DrawnLoop] = {}
        self._into: dict[str, dict[tuple[str, str, int], None]] = {}
        self._out_of: dict[str, dict[tuple[str, str, int], None]] = {}

    def copy(self) -> DrawnGraph:
        """A graph that can be changed alone."""
        new = DrawnGraph(self.name)
        new.cost, new.loops = self.cost, dict(self.loops)
        for node, item in self.nodes.items():
            new.add(node, item)
        for (source, target, _), arrow in self.arrows.items():
            new.join(source, target, arrow)
        return new

    def add(self, node: str, item: DrawnNode) -> None:
        """Add a variable or a function."""
        self.nodes[node] = item
        self._into[node], self._out_of[node] = {}, {}

    def join(self, source: str, target: str, arrow: Arrow) -> None:
        """Add an arrow."""
        key = source, target, arrow.place
        self.arrows[key] = arrow
        self._out_of[source][key] = self._into[target][key] = None

    def remove(self, nodes: Iterable[str]) -> None:
        """Take nodes away, with their arrows."""
        for node in nodes:
            self._cut([*self._into[node], *self._out_of[node]])
            del self.nodes[node], self._into[node], self._out_of[node]

    def disconnect(self, node: str) -> None:
        """Take the arrows into a node away."""
        self._cut(list(self._into[node]))

    def _cut(self, keys: Iterable[tuple[str, str, int]]) -> None:
        for key in keys:
            source, target, _ = key
            del self.arrows[key], self._out_of[source][key], self._into[target][key]

    @property
    def variables(self) -> dict[str, DrawnVariable]:
        """The variables alone."""
        return {n: item for n, item in self.nodes.items() if isinstance(item, DrawnVariable)}

    @property
    def functions(self) -> dict[str, DrawnFunction]:
        """The functions alone."""
        return {n: item for n, item in self.nodes.items() if isinstance(item, DrawnFunction)}

    @property
    def outputs(self) -> dict[str, str]:
        """The nodes that the diagram returns, by the names of the outputs."""
        return {item.output: n for n, item in self.variables.items() if item.output}

    def variable(self, node: str) -> DrawnVariable:
        """The variable of this name."""
        item = self.nodes[node]
        assert isinstance(item, DrawnVariable)
        return item

    def function(self, node: str) -> DrawnFunction:
        """The function of this name."""
        item = self.nodes[node]
        assert isinstance(item, DrawnFunction)
        return item

    def block(self, node: str) -> DrawnBlock:
        """The block of this name."""
        item = self.nodes[node]
        assert isinstance(item, DrawnBlock)
        return item

    def application(self, node: str) -> Application | None:
        """What a node is an application of; None where it is none, or not there."""
        item = self.nodes.get(node)
        return item.application if isinstance(item, DrawnFunction) else None

    def predecessors(self, node: str) -> list[str]:
        """The nodes from which arrows lead to a node."""
        return list(dict.fromkeys(source for source, _, _ in self._into[node]))

    def successors(self, node: str) -> list[str]:
        """The nodes to which arrows lead from a node."""
        return list(dict.fromkeys(target for _, target, _ in self._out_of[node]))

    def result(self, function: str) -> str:
        """The one variable that a function computes."""
        (found,) = self.successors(function)
        return found

    def is_read(self, node: str) -> bool:
        """Whether an arrow leads from a node."""
        return bool(self._out_of[node])

    def leaving(self, node: str) -> list[tuple[str, Arrow]]:
        """The arrows from a node, and where they lead to."""
        return [(key[1], self.arrows[key]) for key in self._out_of[node]]

    def arguments(self, function: str) -> list[str]:
        """The variables that a function reads, in the order of their places."""
        return [source for source, _, _ in sorted(self._into[function], key=lambda key: key[2])]

    def argument(self, function: str, place: int) -> str:
        """The variable that a function reads at a place."""
        return next(source for source, _, at in self._into[function] if at == place)

    def initial_values(self, delay: str) -> list[str]:
        """The variables that a delay starts with."""
        found = sorted((place, source) for source, _, place in self._into[delay])
        return [source for place, source in found if place == 0 or place > 1]

    def between(self, variable: str, function: str) -> list[ArgumentArrow]:
        """The arrows from a variable to a function."""
        found = (self.arrows[key] for key in self._into[function] if key[0] == variable)
        return [arrow for arrow in found if isinstance(arrow, ArgumentArrow)]

    def flow(self, nodes: Iterable[str] | None = None) -> nx.DiGraph[str]:
        """Which node leads to which, of these alone or of all: for algorithms of NetworkX."""
        import networkx as nx

        found: nx.DiGraph[str] = nx.DiGraph()
        found.add_nodes_from(self.nodes if nodes is None else nodes)
        found.add_edges_from(
            (source, target)
            for source, target, _ in self.arrows
            if source in found and target in found
        )
        return found
