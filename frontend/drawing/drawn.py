"""What was drawn, as a NetworkX graph: for pictures, and for users who want to look into it.

A node for every variable and every application of a function, an arrow for every argument and
result.  The inside of a block is there too, with the path of the blocks around it.  A port of a
block is the variable outside, and so is what the block returns: an arrow goes both to the block
and to the function in it that reads the variable.  What is in a loop is drawn once; the graph is
cyclic only through delays.  This file draws nothing and lowers nothing.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import TYPE_CHECKING, Any

from ...compiler.unwinding import Steps, unwound
from ..library.costs import CostFunction
from ..operations.random import KEY
from ..variables.dependencies import captured_by, dependencies, opened
from ..variables.kinds import Connection
from ..variables.loop_parts import Delay, Entry, LoopParts
from ..variables.variable import Application, Variable
from .lower import Origins

if TYPE_CHECKING:
    import networkx as nx

    from .drawing import Drawing

Path = tuple[str, ...]


def drawn_graph(diagram: Drawing) -> nx.MultiDiGraph[Any]:
    """The variables and functions of a diagram, joined by arrows.

    Nodes are strings: a parameter's path, a block's path, an output's name, and a made-up one for
    what has no name.  Attributes of a variable's node:

        kind      "observed", "computed", "parameter", "state" or "constant"
        name      the user's name for it, or None
        output    the name under which the diagram returns it, or None
        shape     integers and named sizes
        dtype     "float32" and so on
        variable  the variable itself

    of a function's node:

        kind         "function", "cost" for a cost function, or "delay"
        name         the block's path, or the operation's name
        label        a short name: the last part of the path
        opens        whether it is a block, whose inside is in the graph too
        application  the application itself

    and of both:

        path   the nodes of the blocks around it, from the outermost
        loops  the loops it is in, as the graph's attribute `loops` calls them
        where  the user's file:line

    An edge into a function has `argument` (its place among the arguments, its key too) and
    `captured` (whether a block reads it without being given it, as its parameters, or what they
    are bound to); an edge out of a function has `result`.  The edge from what closes a delay has
    `delayed`, True.  What a step makes of a state is a variable's node of kind "state" too, "next
    NAME", behind a function "update".  The graph's attributes are `name`, `cost` (a node, or None)
    and, where there are loops, `loops`: for each its `name`, `steps`, `reverse`, `keep` (what its
    derivative stores) and `where`.
    """
    drawing = _Drawing(diagram)
    unwound(drawing.level(diagram.wanted, {}, ()))
    drawing.outputs(diagram)
    drawing.updates(diagram)
    drawing.close()
    drawing.settle()
    return drawing.graph


def next_values(drawn: nx.MultiDiGraph[Any]) -> dict[str, str]:
    """The nodes of the next values of states, and what each is called."""
    data = drawn.nodes
    return {
        node: data[node]["name"]
        for node in drawn
        if data[node]["kind"] == "state" and any(True for _ in drawn.predecessors(node))
    }


def origins_of(drawn: nx.MultiDiGraph[Any]) -> Origins:
    """For a lowering: its nodes belong to the functions of a drawn graph."""
    return Origins({
        data["application"]: node
        for node, data in drawn.nodes(data=True)
        if data.get("application") is not None
    })  # fmt: skip


class _Drawing:
    def __init__(self, diagram: Drawing) -> None:
        import networkx as nx

        self.graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph(name=diagram.name, cost=None)
        self.diagram = diagram
        self.outside: dict[Variable, Variable] = {}  # what a body returns -> the block's result
        self.ids: dict[Variable, str] = {}
        self.names = {item: name for name, item in reversed(diagram.outputs.items())}
        self.loops: dict[LoopParts, str] = {}
        self.loops_of: dict[Variable, tuple[str, ...]] = {}
        self.delays: dict[str, tuple[Variable, Path]] = {}  # what closes each, and where

    def level(
        self,
        wanted: Sequence[Variable],
        known: dict[Variable, None],
        path: Path,
        around: tuple[str, ...] = (),
    ) -> Steps[None]:
        """Draw all that `wanted` depend on, up to the variables that are known.

        `around` are the loops in which all of it is.
        """
        order = opened(wanted, known)
        for item in order:
            self.loops_of[item] = self._loops(item, around)
            if isinstance(item.producer, Connection):
                self._rename(item)
        seen: set[Application] = set()
        for item in order:
            application = item.producer
            if application is None:
                if item is not KEY:
                    self.node_of(item, path)
            elif application not in seen and not isinstance(application, Connection):
                seen.add(application)
                yield self._draw(application, path)

    def _loops(self, item: Variable, around: tuple[str, ...]) -> tuple[str, ...]:
        """The loops in which a variable is, those of what it depends on being known."""
        found = dict.fromkeys(around)
        for source in dependencies(item):
            found |= dict.fromkeys(self.loops_of.get(source, ()))
        if isinstance(item.producer, Entry):
            loop = item.producer.loop
            if loop not in self.loops:
                self.loops[loop] = _unused(loop.name, self.loops.values())
            found[self.loops[loop]] = None
        return tuple(found)

    def _rename(self, target: Variable) -> None:
        """A variable of `dg.variable` gives its name to what computes it."""
        value = self.same(target)
        name = self.names.get(target, target.name)
        if value.kind == "computed" and name is not None:
            self.names.setdefault(value, name)

    def same(self, variable: Variable) -> Variable:
        """The variable that stands in the graph for this one."""
        while True:
            producer = variable.producer
            if variable.source is not None:
                variable = variable.source
            elif isinstance(producer, Connection):
                variable = producer.inputs[0]
            elif variable in self.outside:
                variable = self.outside[variable]
            else:
                return variable

    def node_of(self, variable: Variable, path: Path) -> str:
        """The node of a variable, made where it is not there yet."""
        variable = self.same(variable)
        if variable in self.ids:
            return self.ids[variable]
        producer = variable.producer
        if variable.kind in ("observed", "parameter", "state"):
            wish = self.diagram.names.get(variable, variable.name or variable.kind)
        elif producer is None:
            wish = "/".join([*path[-1:], variable.kind])
        else:
            wish = "/".join([*path[-1:], variable.name or producer.label.rsplit("/", 1)[-1]]) + "."
            wish += "out" if len(producer.outputs) == 1 else str(variable.index)
        if variable in self.names and not path and variable.kind == "computed":
            wish = self.names[variable]
        node = self.ids[variable] = self._free(wish)
        self.graph.add_node(
            node,
            kind=variable.kind,
            name=variable.name or self.names.get(variable),
            output=None,
            shape=variable.shape,
            dtype=variable.dtype,
            where=variable.where,
            path=path if variable.kind == "computed" else (),
            loops=self.loops_of.get(variable, ()),
            variable=variable,
        )
        return node

    def _draw(self, application: Application, path: Path) -> Steps[None]:
        node = self._function(application, path)
        given = [item for item in application.inputs if item is not KEY]
        captured = [] if application.body is None else captured_by(application.body)
        own = len(given) - application.weights
        for place, item in enumerate((*given, *(item for item in captured if item is not KEY))):
            self.graph.add_edge(
                self.node_of(item, path), node, key=place, argument=place, captured=place >= own
            )
        for place, item in enumerate(application.outputs):
            self.graph.add_edge(node, self.node_of(item, path), key=place, result=place)
        if isinstance(application, Entry) and application.next is not None:
            self.delays[node] = application.next, path
        if application.body is not None:
            yield self._open(application, captured, (*path, node))

    def _function(self, application: Application, path: Path) -> str:
        block = application.block
        name = application.label
        if block is not None and block._has_place:
            name = wish = block._path(self.diagram.roots)
        else:
            wish = "/".join([*path[-1:], name])
        node = self._free(wish)
        self.graph.add_node(
            node,
            kind=self._kind(application),
            name=name,
            label=name.rsplit("/", 1)[-1],
            opens=application.body is not None,
            where=application.where,
            path=path,
            loops=self.loops_of.get(application.outputs[0], ()),
            application=application,
        )
        return node

    def _kind(self, application: Application) -> str:
        if isinstance(application.block, CostFunction):
            return "cost"
        return "delay" if isinstance(application, Delay) else "function"

    def _open(
        self, application: Application, captured: Sequence[Variable], path: Path
    ) -> Steps[None]:
        body = application.body
        assert body is not None
        for result, inner in zip(application.outputs, body.outputs, strict=True):
            value = self.same(inner)
            if body.inside(value) and value not in self.ids:
                self.outside[value] = result
            else:  # it returns what it was given, or one variable twice
                same = self._free(f"{path[-1]}/identity")
                self.graph.add_node(
                    same, kind="function", name="identity", label="identity", opens=False,
                    where=application.where, path=path, application=None,
                    loops=self.loops_of.get(result, ()),
                )  # fmt: skip
                self.graph.add_edge(
                    self.node_of(value, path), same, key=0, argument=0, captured=False
                )
                self.graph.add_edge(same, self.node_of(result, path), key=0, result=0)
        around = self.loops_of.get(application.outputs[0], ())
        yield self.level(body.outputs, dict.fromkeys((*body.ports, *captured)), path, around)

    def outputs(self, diagram: Drawing) -> None:
        """Mark what the diagram returns, and its cost."""
        for name, item in diagram.outputs.items():
            data = self.graph.nodes[self.node_of(item, ())]
            data["output"] = data["output"] or name
        if diagram.cost is not None:
            self.graph.graph["cost"] = self.node_of(diagram.cost, ())

    def updates(self, diagram: Drawing) -> None:
        """Draw the next value of every state."""
        for state, value in diagram.updates.items():
            name = f"next {diagram.names[state]}"
            node, result = self._free(f"update of {diagram.names[state]}"), self._free(name)
            shared = {"where": value.where, "path": (), "loops": ()}
            self.graph.add_node(
                node, kind="function", name="update", label="update", opens=False,
                application=None, **shared,
            )  # fmt: skip
            self.graph.add_node(
                result, kind="state", name=f"next {state.name}", output=None, shape=state.shape,
                dtype=state.dtype, variable=value, **shared,
            )  # fmt: skip
            source = self.node_of(value, ())
            self.graph.add_edge(source, node, key=0, argument=0, captured=False)
            self.graph.add_edge(node, result, key=0, result=0)

    def close(self) -> None:
        """Draw the arrows back into the delays."""
        for node, (value, path) in self.delays.items():
            self.graph.add_edge(
                self.node_of(value, path), node, key=1, argument=1, captured=False, delayed=True
            )
        if self.loops:
            self.graph.graph["loops"] = {
                name: {
                    "name": loop.name,
                    "steps": loop.steps,
                    "reverse": loop.reverse,
                    "keep": loop.keep,
                    "where": loop.where,
                }
                for loop, name in self.loops.items()
            }

    def settle(self) -> None:
        """Put a parameter or constant into the innermost block around all that reads it."""
        nodes = self.graph.nodes
        for node, data in nodes(data=True):
            if data["kind"] in ("parameter", "constant"):
                readers = [nodes[other] for other in self.graph.successors(node)]
                paths = [reader["path"] for reader in readers if not reader["opens"]]
                data["path"] = common_path(paths)

    def _free(self, wish: str) -> str:
        return _unused(wish, self.graph)


def _unused(wish: str, taken: Container[str]) -> str:
    """The name, with a number where it is taken."""
    number, name = 1, wish
    while name in taken:
        number += 1
        name = f"{wish} {number}"
    return name


def common_path(paths: Sequence[Path]) -> Path:
    """The path of the innermost block that all of these paths lead through."""
    shared: list[str] = []
    for steps in zip(*paths, strict=False):
        if len(set(steps)) > 1:
            break
        shared.append(steps[0])
    return tuple(shared)
