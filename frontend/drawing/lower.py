"""lower: from the variables of a diagram to a graph, blocks as calls of their bodies.

Every node gets the path of its block and the user's line.  `lower_loops.py` does it for loops.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from ...compiler.graph import Direction, Graph, Node, Origin
from ...compiler.primitives.record import Builder
from ...compiler.unwinding import Steps, unwound
from ..errors import DiagramError
from ..variables.block_base import BlockBase
from ..variables.dependencies import captured_by, ordered
from ..variables.kinds import Mode
from ..variables.loop_parts import Result
from ..variables.variable import Application, Body, Variable, source_text
from .draws import Streams, path_of
from .lower_loops import Pending

Names = Mapping[Variable, str]


@dataclass(eq=False)
class Origins:
    """What became of functions and variables, for those who show a graph beside its drawing.

    A lowering with origins opens a block where it is applied instead of calling it, and a node's
    path is the name of the function that it belongs to: two applications of one block stay two.

    Attributes:
        names: of functions.
        nodes: filled by the lowering: the node of every variable that has one value, and not one
            for each step of a loop, or for each sample of a block with weights for each.
    """

    names: Mapping[Application, str]
    nodes: dict[Variable, Node] = field(default_factory=dict)


def lower(
    name: str,
    outputs: Mapping[str, Variable],
    updates: Sequence[tuple[Variable, Variable]],
    names: Names,
    roots: Mapping[BlockBase, str],
    streams: Mapping[Application, int],
    origins: Origins | None = None,
    training: bool = False,
) -> Graph:
    """The graph of `outputs` and of `updates` (state, next value).

    `names` gives every free variable (observed, parameter, state) the name of its input, `roots`
    every outermost block its name, `streams` every draw of the diagram its stream.  `origins` is
    told what became of what was drawn.  `training` is what `dg.training()` is in it.
    """
    lowering = _Lowering(roots, Streams(streams), origins, training)
    wanted = [*outputs.values(), *(value for _, value in updates)]
    free = _free([*wanted, *(state for state, _ in updates)])
    for variable in free:
        origin = Origin(names[variable], variable.where)
        lowering.nodes[variable] = Builder(origin).input(
            name=names[variable], type=variable.type, role=variable.kind
        )
    lowering.pending.expect(wanted, lowering.nodes)
    unwound(lowering.run(list(outputs.values()), ""))
    lowering.direction = "update"
    unwound(lowering.run([value for _, value in updates], ""))
    if origins is not None:
        origins.nodes.update(lowering.nodes)
    return Graph(
        name,
        tuple(lowering.nodes[variable] for variable in free),
        tuple((key, lowering.nodes[variable]) for key, variable in outputs.items()),
        tuple((lowering.nodes[state], lowering.nodes[value]) for state, value in updates),
    )


class _Lowering:
    def __init__(
        self,
        roots: Mapping[BlockBase, str],
        streams: Streams,
        origins: Origins | None,
        training: bool,
    ) -> None:
        self.roots = roots
        self.streams = streams
        self.origins = origins
        self.training = training
        self.direction: Direction = "forward"
        self.nodes: dict[Variable, Node] = {}
        self.pending = Pending(self)

    def run(self, wanted: Sequence[Variable], path: str) -> Steps[None]:
        self.pending.expect(wanted, self.nodes)
        for variable in ordered(wanted, self.nodes):
            if variable in self.nodes:  # a result of the same loop as one before
                continue
            if variable.kind == "constant":
                self.nodes[variable] = _constant(variable, Builder(Origin(path, variable.where)))
            elif variable.producer is None:
                raise DiagramError(f"{source_text(variable)} is computed by nothing: dg.connect it")
            elif isinstance(variable.producer, Result):
                yield self.pending.lower(variable.producer, self._path(variable.producer, path))
            else:
                yield self._apply(variable.producer, path)

    def child(self) -> _Lowering:
        """What lowers the body of a block or a loop."""
        inner = _Lowering(self.roots, self.streams, self.origins, self.training)
        inner.direction = self.direction
        return inner

    def _apply(self, application: Application, path: str) -> Steps[None]:
        inputs = [self.nodes[item] for item in application.inputs]
        own, body = self._path(application, path), application.body
        if body is None:
            builder = Builder(Origin(own, application.where, self.direction))
            rule = self.streams.rule_of(application)
            if isinstance(application, Mode):
                rule = partial(rule, training=self.training)
            result = rule(builder, *inputs)
            nodes = result if isinstance(result, tuple) else (result,)
        elif self.origins is not None and body.samples is None:
            self.nodes.update(zip(body.ports, inputs, strict=True))
            yield self.run(body.outputs, own)
            nodes = tuple(self.nodes[item] for item in body.outputs)
        else:
            graph, captured = yield self.body(body, own)
            inputs += [self.nodes[item] for item in captured]
            builder = Builder(Origin(own, application.where))
            nodes = tuple(
                builder.apply("call", *inputs, body=graph, output=str(i))
                for i in range(len(application.outputs))
            )
        for variable, node in zip(application.outputs, nodes, strict=True):
            self.nodes[variable] = node

    def _path(self, application: Application, around: str) -> str:
        """What the nodes of a function are said to belong to."""
        if self.origins is not None:
            return self.origins.names.get(application, around)
        return around if application.body is None else path_of(application, around, self.roots)

    def body(self, body: Body, path: str) -> Steps[tuple[Graph, list[Variable]]]:
        captured = captured_by(body)
        inner = self.child()
        for index, variable in enumerate((*body.ports, *captured)):
            inner.nodes[variable] = Builder(Origin(path, variable.where)).input(
                name=str(index), type=variable.type, role="port"
            )
        inputs = tuple(inner.nodes.values())
        yield inner.run(body.outputs, path)
        outputs = tuple((str(i), inner.nodes[v]) for i, v in enumerate(body.outputs))
        return _for_samples(Graph(path, inputs, outputs), body), captured


def _for_samples(graph: Graph, body: Body) -> Graph:
    """The graph of a body, run for each sample where they have weights of their own."""
    if body.samples is None:
        return graph
    from ...compiler.samples import each_sample  # Not for `import diagrad`: it imports passes.

    own = (*body.samples.own, *[False] * (len(graph.inputs) - len(body.ports)))
    return each_sample(graph, body.samples.size, own, body.samples.extent)


def _constant(variable: Variable, builder: Builder) -> Node:
    """A constant; rounded numbers as they were, so that another precision rounds it anew."""
    if variable.exact is None:
        return builder.apply("constant", value=variable.value)
    exact = builder.constant(variable.exact, "float64")
    node: Node = builder.cast(exact, dtype=variable.dtype)
    return node


def _free(wanted: Sequence[Variable]) -> list[Variable]:
    return [v for v in ordered(wanted, {}) if v.kind in ("observed", "parameter", "state")]
