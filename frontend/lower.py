"""lower: from the variables of a diagram to a graph, blocks as calls of their bodies.

The only place that turns what was drawn into nodes; every node gets the path of its block and
the user's line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from ..compiler.builder import Builder
from ..compiler.graph import Direction, Graph, Node, Origin
from .blocks import Block
from .errors import CycleError, DiagramError
from .variable import Application, Body, Variable, application_text, source_text

Names = Mapping[Variable, str]


def lower(
    name: str,
    outputs: Mapping[str, Variable],
    updates: Sequence[tuple[Variable, Variable]],
    names: Names,
    roots: Mapping[Block, str],
) -> Graph:
    """The graph of `outputs` and of `updates` (state, next value).

    `names` gives every free variable (observed, parameter, state) the name of its input, `roots`
    every outermost block its name.
    """
    lowering = _Lowering(roots)
    wanted = [*outputs.values(), *(value for _, value in updates)]
    free = _free([*wanted, *(state for state, _ in updates)])
    for variable in free:
        origin = Origin(names[variable], variable.where)
        lowering.nodes[variable] = Builder(origin).input(
            name=names[variable], type=variable.type, role=variable.kind
        )
    lowering.run(list(outputs.values()), "")
    lowering.direction = "update"
    lowering.run([value for _, value in updates], "")
    return Graph(
        name,
        tuple(lowering.nodes[variable] for variable in free),
        tuple((key, lowering.nodes[variable]) for key, variable in outputs.items()),
        tuple((lowering.nodes[state], lowering.nodes[value]) for state, value in updates),
    )


class _Lowering:
    def __init__(self, roots: Mapping[Block, str]) -> None:
        self.roots = roots
        self.direction: Direction = "forward"
        self.nodes: dict[Variable, Node] = {}

    def run(self, wanted: Sequence[Variable], path: str) -> None:
        for variable in ordered(wanted, self.nodes):
            if variable.kind == "constant":
                self.nodes[variable] = _constant(variable, Builder(Origin(path, variable.where)))
            elif variable.producer is None:
                raise DiagramError(f"{source_text(variable)} is computed by nothing: dg.connect it")
            else:
                self._apply(variable.producer, path)

    def _apply(self, application: Application, path: str) -> None:
        inputs = [self.nodes[item] for item in application.inputs]
        if application.body is None:
            assert application.rule is not None
            builder = Builder(Origin(path, application.where, self.direction))
            result = application.rule(builder, *inputs)
            nodes = result if isinstance(result, tuple) else (result,)
        else:
            inner = self.path_of(application, path)
            body, captured = self.body(application.body, inner)
            inputs += [self.nodes[item] for item in captured]
            builder = Builder(Origin(inner, application.where))
            nodes = tuple(
                builder.apply("call", *inputs, body=body, output=str(i))
                for i in range(len(application.outputs))
            )
        for variable, node in zip(application.outputs, nodes, strict=True):
            self.nodes[variable] = node

    def path_of(self, application: Application, path: str) -> str:
        block = application.block
        assert block is not None
        if block.has_place:
            return block.path(self.roots)
        return f"{path}/{application.label}" if path else application.label

    def body(self, body: Body, path: str) -> tuple[Graph, list[Variable]]:
        captured = captured_by(body)
        inner = _Lowering(self.roots)
        inner.direction = self.direction
        for index, variable in enumerate((*body.ports, *captured)):
            inner.nodes[variable] = Builder(Origin(path, variable.where)).input(
                name=str(index), type=variable.type, role="port"
            )
        inputs = tuple(inner.nodes.values())
        inner.run(body.outputs, path)
        outputs = tuple((str(i), inner.nodes[v]) for i, v in enumerate(body.outputs))
        return Graph(path, inputs, outputs), captured


def _constant(variable: Variable, builder: Builder) -> Node:
    """A constant; a rounded number as it was, so that another precision rounds it anew."""
    if variable.exact is None:
        return builder.apply("constant", value=variable.value)
    exact = builder.constant(variable.exact, "float64")
    node: Node = builder.cast(exact, dtype=variable.dtype)
    return node


def ordered(
    wanted: Iterable[Variable],
    known: Mapping[Variable, object],
    cycles: list[CycleError] | None = None,
) -> list[Variable]:
    """The variables that `wanted` depend on, beyond the known ones, each after its sources.

    If a variable depends on itself, a CycleError that names the blocks goes into `cycles`, or is
    raised where there is no such list.
    """
    result: dict[Variable, None] = {}
    active: dict[Variable, None] = {}
    for root in wanted:
        stack = [(root, False)]
        while stack:
            variable, ready = stack.pop()
            if ready:
                del active[variable]
                result[variable] = None
                continue
            if variable in result or variable in known:
                continue
            if variable in active:
                path = list(active)
                cycle = _cycle(path[path.index(variable) :])
                if cycles is None:
                    raise cycle
                cycles.append(cycle)
                continue
            active[variable] = None
            stack.append((variable, True))
            stack.extend((item, False) for item in reversed(dependencies(variable)))
    return list(result)


def _cycle(around: list[Variable]) -> CycleError:
    """The mistake in variables of which each is computed from the next, the last from the first."""
    start = next((i for i, item in enumerate(around) if item.name), 0)
    around = [*around[start:], *around[:start]]
    names = [
        application_text(item.producer)
        for item in around
        if item.producer is not None and item.producer.label != "connect"
    ]
    through = f", through {' <- '.join(names)}" if names else ""
    return CycleError(
        f"{source_text(around[0])} depends on itself without a delay{through}: put a delay into "
        "the loop, or cut one of these arrows"
    )


def dependencies(variable: Variable) -> list[Variable]:
    """The variables that one is computed from, captured ones of a block included."""
    producer = variable.producer
    if producer is None:
        return []
    if producer.body is None:
        return list(producer.inputs)
    return [*producer.inputs, *captured_by(producer.body)]


def captured_by(body: Body) -> list[Variable]:
    """The variables from outside that a body uses besides its ports, parameters included."""
    known = body.__dict__.get("captured")
    if known is None:
        found: dict[Variable, None] = {}
        seen = set(body.ports)
        stack = list(reversed(body.outputs))
        while stack:
            variable = stack.pop()
            if variable in seen or variable.kind == "constant":
                continue
            seen.add(variable)
            if body.inside(variable):
                stack.extend(reversed(dependencies(variable)))
            else:
                found[variable] = None
        known = body.__dict__["captured"] = list(found)
    result: list[Variable] = known
    return result


def walk(
    wanted: Sequence[Variable],
    visit: Callable[[Application], None],
    cycles: list[CycleError] | None = None,
) -> list[Variable]:
    """Every variable that `wanted` depend on.

    `visit` is called for every application, inner ones (the bodies of blocks) included; `cycles`
    are as for `ordered`.
    """
    order = ordered(wanted, {}, cycles)
    seen: set[Application] = set()
    for variable in order:
        application = variable.producer
        if application is None or application in seen:
            continue
        seen.add(application)
        visit(application)
        if application.body is not None:
            known = {
                item: None for item in (*application.body.ports, *captured_by(application.body))
            }
            _walk_body(application.body, known, visit, seen, cycles)
    return order


def _walk_body(
    body: Body,
    known: Mapping[Variable, object],
    visit: Callable[[Application], None],
    seen: set[Application],
    cycles: list[CycleError] | None,
) -> None:
    for variable in ordered(body.outputs, known, cycles):
        application = variable.producer
        if application is None or application in seen:
            continue
        seen.add(application)
        visit(application)
        if application.body is not None:
            inner = application.body
            found = {v: None for v in (*inner.ports, *captured_by(inner))}
            _walk_body(inner, found, visit, seen, cycles)


def _free(wanted: Sequence[Variable]) -> list[Variable]:
    return [v for v in ordered(wanted, {}) if v.kind in ("observed", "parameter")]
