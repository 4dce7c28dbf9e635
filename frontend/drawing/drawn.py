"""What was drawn, as a graph: for pictures, reports, and users who want to look into it.

A node for every variable and every application of a function, an arrow for every argument and
result.  The inside of a block is there too, with the path of the blocks around it.  A port of a
block is the variable outside, and so is what the block returns: an arrow goes both to the block
and to the function in it that reads the variable.  What is in a loop is drawn once; the graph is
cyclic only through delays.  This file draws nothing and lowers nothing.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ...compiler.unwinding import Steps, unwound
from ..operations.random import KEY
from ..variables.dependencies import captured_by, dependencies, opened
from ..variables.kinds import Connection
from ..variables.loop_parts import Delay, Entry, LoopParts
from ..variables.variable import Application, Variable
from .blocks import CostFunction
from .drawn_nodes import (
    ArgumentArrow,
    DrawnBlock,
    DrawnCost,
    DrawnDelay,
    DrawnFunction,
    DrawnGraph,
    DrawnLoop,
    DrawnVariable,
    Path,
    ResultArrow,
)
from .lower import Origins

if TYPE_CHECKING:
    from .drawing import Drawing


def drawn_graph(diagram: Drawing) -> DrawnGraph:
    """The variables and functions of a diagram, joined by arrows; `networkx_graph` says which."""
    builder = _Builder(diagram)
    unwound(builder.level(diagram.wanted, {}, ()))
    builder.outputs(diagram)
    builder.updates(diagram)
    builder.close()
    builder.settle()
    return builder.graph


def next_values(drawn: DrawnGraph) -> dict[str, str]:
    """The nodes of the next values of states, and what each is called."""
    return {
        node: item.name or ""
        for node, item in drawn.variables.items()
        if item.kind == "state" and drawn.predecessors(node)
    }


def origins_of(drawn: DrawnGraph) -> Origins:
    """For a lowering: its nodes belong to the functions of a drawn graph."""
    functions = drawn.functions.items()
    return Origins({f.application: node for node, f in functions if f.application is not None})


class _Builder:
    def __init__(self, diagram: Drawing) -> None:
        self.graph = DrawnGraph(diagram.name)
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
        assert variable.kind != "port"
        self.graph.add(
            node,
            DrawnVariable(
                kind=variable.kind,
                name=variable.name or self.names.get(variable),
                shape=variable.shape,
                dtype=variable.dtype,
                variable=variable,
                path=path if variable.kind == "computed" else (),
                loops=self.loops_of.get(variable, ()),
                where=variable.where,
            ),
        )
        return node

    def _draw(self, application: Application, path: Path) -> Steps[None]:
        node = self._function(application, path)
        given = [item for item in application.inputs if item is not KEY]
        captured = [] if application.body is None else captured_by(application.body)
        own = len(given) - application.weights
        for place, item in enumerate((*given, *(item for item in captured if item is not KEY))):
            self.graph.join(
                self.node_of(item, path), node, ArgumentArrow(place, captured=place >= own)
            )
        for place, item in enumerate(application.outputs):
            self.graph.join(node, self.node_of(item, path), ResultArrow(place))
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
        kind: type[DrawnFunction] = DrawnFunction
        if application.body is not None:
            scalar = all(item.ndim == 0 for item in application.body.outputs)
            kind = DrawnCost if scalar and isinstance(block, CostFunction) else DrawnBlock
        elif isinstance(application, Delay):
            kind = DrawnDelay
        loops, where = self.loops_of.get(application.outputs[0], ()), application.where
        self.graph.add(
            node, kind(name=name, application=application, path=path, loops=loops, where=where)
        )
        return node

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
                loops, where = self.loops_of.get(result, ()), application.where
                self.graph.add(
                    same,
                    DrawnFunction(
                        name="identity", application=None, path=path, loops=loops, where=where
                    ),
                )
                self.graph.join(self.node_of(value, path), same, ArgumentArrow(0))
                self.graph.join(same, self.node_of(result, path), ResultArrow(0))
        around = self.loops_of.get(application.outputs[0], ())
        yield self.level(body.outputs, dict.fromkeys((*body.ports, *captured)), path, around)

    def outputs(self, diagram: Drawing) -> None:
        """Mark what the diagram returns, and its cost."""
        for name, item in diagram.outputs.items():
            node = self.node_of(item, ())
            drawn = self.graph.variable(node)
            self.graph.nodes[node] = replace(drawn, output=drawn.output or name)
        if diagram.cost is not None:
            self.graph.cost = self.node_of(diagram.cost, ())

    def updates(self, diagram: Drawing) -> None:
        """Draw the next value of every state."""
        for state, value in diagram.updates.items():
            name = f"next {diagram.names[state]}"
            node, result = self._free(f"update of {diagram.names[state]}"), self._free(name)
            self.graph.add(node, DrawnFunction(name="update", application=None, where=value.where))
            self.graph.add(
                result,
                DrawnVariable(
                    kind="state",
                    name=f"next {state.name}",
                    shape=state.shape,
                    dtype=state.dtype,
                    variable=value,
                    where=value.where,
                ),
            )
            self.graph.join(self.node_of(value, ()), node, ArgumentArrow(0))
            self.graph.join(node, result, ResultArrow(0))

    def close(self) -> None:
        """Draw the arrows back into the delays."""
        for node, (value, path) in self.delays.items():
            self.graph.join(self.node_of(value, path), node, ArgumentArrow(1, delayed=True))
        self.graph.loops = {
            name: DrawnLoop(
                loop.name,
                loop.steps,
                loop.reverse,
                loop.keep,
                loop.where,
                until=None if loop.condition is None else self.ids[self.same(loop.condition)],
            )
            for loop, name in self.loops.items()
        }

    def settle(self) -> None:
        """Put a parameter or constant into the innermost block around all that reads it."""
        for node, item in self.graph.variables.items():
            if item.kind in ("parameter", "constant"):
                readers = [self.graph.function(name) for name in self.graph.successors(node)]
                paths = [reader.path for reader in readers if not isinstance(reader, DrawnBlock)]
                self.graph.nodes[node] = replace(item, path=common_path(paths))

    def _free(self, wish: str) -> str:
        return _unused(wish, self.graph.nodes)


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
