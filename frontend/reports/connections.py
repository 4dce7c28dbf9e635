"""Units, weights and links, as drawn: what each variable of a diagram is, and what joins them.

    unit     an observed variable, a state, a delay, and what is computed from one
    weight   a parameter, and what is computed from parameters alone (A @ B, softplus(u));
             in a block also what the block holds, or is bound to, whatever that is computed from
    number   a constant, a random draw, and a single number that sums up weights (a norm, a penalty)

A product of a unit with a weight is a link, and so is a bias; a product of two weights makes a
weight and links nothing.  A block that is given no unit takes what it is given for units: a network
has the same links on a learned code as on an input.  A weight that a mask of constants makes zero
stays a link.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING

from ...compiler.graph import Node, topological
from ...compiler.primitives.contraction import contraction_flops
from ...compiler.primitives.convolution import CONVOLUTIONS, convolution_flops
from ...compiler.primitives.record import Builder, lookup
from ...compiler.sizes import Dim, assign, evaluate, exact_divide, named, product
from ...compiler.unwinding import Steps, unwound
from ..drawing.blocks import members
from ..operations.random import KEY
from ..variables.block_base import BlockBase
from ..variables.dependencies import captured_by, ordered, part_of
from ..variables.kinds import FlatParts
from ..variables.loop_parts import Delay, Entry, LoopParts, Result
from ..variables.variable import Application, Variable

if TYPE_CHECKING:
    from ..drawing.drawing import Drawing

Loops = frozenset[LoopParts]
Piece = tuple[Variable, int | None]
"""A parameter, whole (None) or the part of a flat vector that has this number."""


class Role(IntEnum):
    """What a variable is; what is computed from several is the greatest."""

    NUMBER = 0
    WEIGHT = 1
    UNIT = 2


@dataclass(frozen=True)
class Known:
    """What is known of a variable: its role, and the loops in which it is."""

    role: Role
    loops: Loops = frozenset()


@dataclass(eq=False)
class Connections:
    """What is counted in a diagram.

    Attributes:
        links: of each operation, for a sample, once for each step of its loops.
        weights: of each block, and of each function or operation that gives a unit; those that give
            weights pass on what they are made of.
    """

    links: dict[Application, Dim] = field(default_factory=dict)
    weights: dict[Application, list[Variable]] = field(default_factory=dict)

    def parameters(self, application: Application) -> dict[Piece, int]:
        """The free parameters that the weights of a function are made of, and their elements.

        What reaches it through another block that has weights counts there.  A parameter counts
        whole, however little of it is used, unless it is a flat vector that `dg.bind` cuts.
        """
        found: dict[Piece, int] = {}
        stack = list(self.weights.get(application, ()))
        seen = set(stack)
        while stack:
            variable = stack.pop()
            piece = _piece(variable)
            if piece is not None:
                found[piece] = count_elements(variable.shape)
                continue
            for item in self._made_of(variable):
                if item not in seen:
                    seen.add(item)
                    stack.append(item)
        return found

    def _made_of(self, variable: Variable) -> Sequence[Variable]:
        """What a variable is computed from, unless by a function that has weights."""
        producer = variable.producer
        if variable.source is not None:
            return [variable.source]
        if producer is None:
            return []
        if isinstance(producer, Result):
            return [producer.root]
        if isinstance(producer, Entry):
            return [*producer.inputs, *([] if producer.next is None else [producer.next])]
        if producer.body is None:
            return producer.inputs
        has_weights = bool(self.weights.get(producer))
        return [] if has_weights else [*producer.inputs, *captured_by(producer.body)]


def connections(diagram: Drawing, batch: str | None) -> Connections:
    """The links and weights of a diagram; `batch` is the named size of its samples."""

    def for_a_sample(links: Dim) -> Dim:
        each = None if batch is None else exact_divide(links, named(batch))
        return links if each is None else each

    found = Connections()
    wanted = [*diagram.outputs.values(), *([diagram.cost] if diagram.cost is not None else [])]
    unwound(_Walk(found, {}, for_a_sample).run(wanted))
    return found


class _Walk:
    """Goes through the variables of one body, of which those that enter are known."""

    def __init__(
        self, found: Connections, known: dict[Variable, Known], each: Callable[[Dim], Dim]
    ) -> None:
        self.found = found
        self.known = known
        self.each = each

    def run(self, wanted: Iterable[Variable]) -> Steps[None]:
        for variable in ordered(wanted, self.known):
            producer = variable.producer
            if variable in self.known:  # another result of the same function
                continue
            if isinstance(producer, Result):
                self.known[variable] = yield self._leave(producer)
            elif producer is None:
                self.known[variable] = Known(_role_of_free(variable))
            elif producer.body is None:
                self._operation(producer)
            else:
                yield self._block(producer)

    def _leave(self, result: Result) -> Steps[Known]:
        """A loop's result; what is in the loop comes before it."""
        part, loop = part_of([result]), frozenset([result.loop])
        around = loop.union(*(self.known[item].loops for item in part.outer))
        for entry in part.entries:
            source = self.known[entry.inputs[0]]
            known = Known(source.role, source.loops | loop)
            if isinstance(entry, Delay):
                known = Known(Role.UNIT, around)
            self.known.setdefault(entry.outputs[0], known)
        yield self.run(part.roots)
        root = self.known[result.root]
        return Known(root.role, root.loops - loop)

    def _operation(self, application: Application) -> None:
        assert application.rule is not None
        inputs = [self.known[item] for item in application.inputs]
        b = Builder()
        nodes = [b.input(name="", type=item.type, role="port") for item in application.inputs]
        roles = {node: item.role for node, item in zip(nodes, inputs, strict=True)}
        result = application.rule(b, *nodes)
        results = result if isinstance(result, tuple) else (result,)
        links: Dim = 0
        for node in topological(results):
            if node not in roles:
                roles[node] = _role(node, roles)
                links = links + _links(node, roles)
        loops: Loops = frozenset().union(*(item.loops for item in inputs))
        self.found.links[application] = self.each(
            links * product(loop.steps for loop in loops if loop.steps is not None)
        )
        self._give(application, [Known(roles[node], loops) for node in results])
        self._claim(application, application.inputs, [item.role for item in inputs])

    def _block(self, application: Application) -> Steps[None]:
        body = application.body
        assert body is not None
        captured = captured_by(body)
        outside = [*application.inputs, *captured]
        known = [self.known[item] for item in outside]
        roles = _roles_inside(application, captured, [item.role for item in known])
        entering = {
            item: Known(role, outer.loops)
            for item, role, outer in zip((*body.ports, *captured), roles, known, strict=True)
        }
        each = self.each
        if body.samples is not None:
            sizes = {body.samples.size: body.samples.extent}
            each = lambda links: self.each(assign(links, sizes))  # noqa: E731
        inner = _Walk(self.found, entering, each)
        yield inner.run(body.outputs)
        most = max((item.role for item in known), default=Role.NUMBER)
        results = [inner.known[item] for item in body.outputs]
        self._give(application, [Known(min(item.role, most), item.loops) for item in results])
        self._claim(application, outside, roles)

    def _give(self, application: Application, results: Sequence[Known]) -> None:
        self.known.update(zip(application.outputs, results, strict=True))

    def _claim(
        self, application: Application, inputs: Iterable[Variable], roles: Iterable[Role]
    ) -> None:
        """Note the weights of a function, unless it passes them on."""
        block = application.block
        ends = any(self.known[item].role == Role.UNIT for item in application.outputs)
        if ends or (block is not None and block._has_place):
            self.found.weights[application] = [
                item for item, role in zip(inputs, roles, strict=True) if role == Role.WEIGHT
            ]


def _role_of_free(variable: Variable) -> Role:
    if variable.kind == "constant" or variable is KEY:
        return Role.NUMBER
    return Role.WEIGHT if variable.kind == "parameter" else Role.UNIT


def _roles_inside(
    application: Application, captured: Sequence[Variable], roles: Sequence[Role]
) -> list[Role]:
    """What the inputs of a block, and the variables that it captures, are in it."""
    block, end = application.block, len(application.inputs)
    assert block is not None
    given = list(roles[: end - application.weights])
    if block._has_place and Role.UNIT not in given:
        given = [Role.UNIT] * len(given)
    held = set(_held(block))
    return [
        *given,
        *[Role.WEIGHT] * application.weights,
        *(Role.WEIGHT if v in held else r for v, r in zip(captured, roles[end:], strict=True)),
    ]


def _role(node: Node, roles: Mapping[Node, Role]) -> Role:
    """The role of a value, from those of its operands."""
    if node.op == "gradient":
        return roles[node.inputs[1]]  # that of what it is the gradient by
    most = max((roles[item] for item in node.inputs), default=Role.NUMBER)
    sums_up = lookup(node.op).kind in ("reduction", "contraction") and node.shape == ()
    if most == Role.WEIGHT and sums_up and any(item.shape != () for item in node.inputs):
        return Role.NUMBER
    return most


def _links(node: Node, roles: Mapping[Node, Role]) -> Dim:
    """The products of units with weights in a node, or its biases."""
    if sorted(roles[item] for item in node.inputs) != [Role.WEIGHT, Role.UNIT]:
        return 0
    if node.op == "contract":
        return _products(contraction_flops(node))
    if node.op in CONVOLUTIONS:
        return _products(convolution_flops(node))
    return node.type.count if node.op in ("add", "sub", "mul", "div") else 0


def _products(flops: Dim) -> Dim:
    """The products among these multiplications and additions."""
    products = exact_divide(flops, 2)
    assert products is not None
    return products


def _held(block: BlockBase) -> Iterator[Variable]:
    """The variables that a block and those in it hold; a state is no weight."""
    stack: list[BlockBase | Variable] = [block]
    while stack:
        item = stack.pop()
        if isinstance(item, BlockBase):
            stack += [held for _, held in members(item)]
        elif item.kind != "state":
            yield item


def _piece(variable: Variable) -> Piece | None:
    """The parameter that a variable is, or of which it is a part that was cut off."""
    producer = variable.producer
    if variable.kind == "parameter":
        return None if variable is KEY else (variable, None)
    if not isinstance(producer, FlatParts):
        return None
    (whole,) = producer.inputs
    while whole.source is not None:
        whole = whole.source
    return (whole, variable.index) if whole.kind == "parameter" else None


def count_elements(shape: Iterable[Dim]) -> int:
    """The number of elements of a shape of integers."""
    return evaluate(product(shape), {})
