"""Blocks: functions with implicit parameters, drawn as one bullet, nesting to any depth.

A block is applied by running its `forward` on ports that stand for the inputs; what is drawn
meanwhile is the body of that application.  Nothing here executes or compiles.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .errors import DiagramError
from .location import Enclosing, inside, placed, user_location
from .variable import Application, Body, Variable, mark_read, mistaken


class Block:
    """A deterministic function with an implicit parameter.

    Subclass it, make parameters and inner blocks in `__init__` as attributes, and say in
    `forward` what it computes:

        class Residual(dg.Block):
            def __init__(self, width):
                self.inner = dg.Linear(width, width)

            def forward(self, x):
                return x + dg.relu(self.inner(x))

    A parameter's name is its path: `residual/inner/weight`.

    Args of the constructor that every block takes:
        name: the block's name, unique in its diagram; by default the attribute that holds it,
            or the class's name.
    """

    name: str | None = None
    _parent: tuple[Block, str] | None = None

    def forward(self, *inputs: Any) -> Any:
        """What the block computes: variables to a variable, or a tuple or dict of them."""
        raise TypeError(
            f"{self.describe()} ({user_location()}) has no forward: write `def forward(self, x): "
            "...` in its class"
        )

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """Apply the block to variables; options are what is no variable."""
        return apply_block(self, inputs, options)

    def __setattr__(self, attribute: str, value: Any) -> None:
        if attribute not in ("name", "_parent"):
            self._adopt(attribute, value)
        object.__setattr__(self, attribute, value)

    def _adopt(self, attribute: str, value: Any) -> None:
        if isinstance(value, Variable):
            if value.kind in ("parameter", "state") and value.owner is None:
                value.owner = self
        elif isinstance(value, Block):
            if value._parent is None and value.has_place:
                object.__setattr__(value, "_parent", (self, attribute))
        elif isinstance(value, (list, tuple)):
            for index, item in enumerate(value):
                self._adopt(f"{attribute}/{index}", item)
        elif isinstance(value, dict):
            for key, item in value.items():
                self._adopt(f"{attribute}/{key}", item)

    @property
    def has_place(self) -> bool:
        """Whether the block belongs to one place; a mere function does not."""
        return True

    @property
    def root(self) -> Block:
        """The outermost block that holds this one."""
        return self if self._parent is None else self._parent[0].root

    @property
    def default_name(self) -> str:
        """The class's name as an identifier: `LayerNorm` is layer_norm."""
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(self).__name__).lower()

    def path(self, roots: Mapping[Block, str] | None = None) -> str:
        """The names of the blocks around this one and its own, joined by "/"."""
        if self._parent is None:
            return (roots or {}).get(self) or self.name or self.default_name
        parent, attribute = self._parent
        return f"{parent.path(roots)}/{self.name or attribute}"

    def describe(self) -> str:
        """The block for messages: "Linear 'fc1'"."""
        named = self.name is not None or self._parent is not None
        return f"{type(self).__name__} '{self.path()}'" if named else type(self).__name__

    def parameters(self) -> dict[str, Variable]:
        """The parameters held by this block and the blocks in it, by name below this block."""
        found: dict[str, Variable] = {}
        for prefix, item in _members(self):
            if isinstance(item, Variable):
                if item.kind == "parameter":
                    found.setdefault(prefix[: prefix.rfind("/") + 1] + (item.name or ""), item)
            else:
                for name, parameter in item.parameters().items():
                    found.setdefault(f"{prefix}/{name}", parameter)
        return found


def _members(block: Block) -> Iterator[tuple[str, Block | Variable]]:
    """The blocks and variables that the attributes hold, with the attribute's name."""

    def walk(name: str, value: Any) -> Iterator[tuple[str, Block | Variable]]:
        if isinstance(value, (Block, Variable)):
            yield name, value
        elif isinstance(value, (list, tuple)):
            for index, item in enumerate(value):
                yield from walk(f"{name}/{index}", item)
        elif isinstance(value, dict):
            for key, item in value.items():
                yield from walk(f"{name}/{key}", item)

    for attribute, value in vars(block).items():
        if attribute != "_parent":
            yield from walk(attribute, value)


class Chain(Block):
    """Blocks and functions applied one after another; the i-th is called by its index.

    Args:
        *blocks: blocks, or functions of one variable such as `dg.relu`.
        name: as for every block.
    """

    def __init__(self, *blocks: Callable[..., Any], name: str | None = None) -> None:
        self.name = name
        self.blocks = blocks

    def _adopt(self, attribute: str, value: Any) -> None:
        super()._adopt(attribute.removeprefix("blocks/"), value)

    def parameters(self) -> dict[str, Variable]:
        """As for every block, with indices for names: `0/weight`."""
        return {k.removeprefix("blocks/"): v for k, v in super().parameters().items()}

    def __getitem__(self, index: int) -> Callable[..., Any]:
        return self.blocks[index]

    def __len__(self) -> int:
        return len(self.blocks)

    def forward(self, x: Any) -> Any:
        """Each block of the one before."""
        for item in self.blocks:
            x = item(x)
        return x


class FunctionBlock(Block):
    """A function of variables drawn as one bullet: what `@dg.block` makes."""

    def __init__(self, function: Callable[..., Any]) -> None:
        object.__setattr__(self, "function", function)
        object.__setattr__(self, "name", function.__name__)
        functools.update_wrapper(self, function)

    function: Callable[..., Any]

    @property
    def has_place(self) -> bool:
        """A function belongs to no one place."""
        return False

    def describe(self) -> str:
        """The function's name."""
        return self.function.__name__

    def forward(self, *inputs: Any, **options: Any) -> Any:
        """The function itself."""
        return self.function(*inputs, **options)


def block(function: Callable[..., Any]) -> FunctionBlock:
    """Draw a function of variables as one bullet; arguments that are no variables are options.

    @dg.block
    def swish(x, beta=1.0):
        return x * dg.sigmoid(beta * x)
    """
    return FunctionBlock(function)


def apply_block(block: Block, inputs: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    """The outputs of a block applied to variables (or tuples, lists and dicts of them)."""
    where = user_location()
    variables: list[Variable] = []
    _map((inputs, dict(options)), variables.append)
    mark_read(variables)
    carried = [item for variable in variables for item in variable.mistakes]
    if carried:
        return mistaken(carried)
    ports: list[Variable] = []

    def enter(variable: Variable) -> Variable:
        port = Variable("port", variable.type, variable.name)
        port.source = variable
        ports.append(port)
        return port

    inner, inner_options = _map((inputs, dict(options)), enter)
    mark = Variable("port", None).serial
    place = Enclosing(block.describe(), block.path() if block.has_place else "", where, mark)
    with inside(place):
        try:
            result = block.forward(*inner, **inner_options)
        except DiagramError as error:
            for mistake in error.mistakes:
                mistake.locate(placed)
            return mistaken(error.mistakes)
    drawn: list[Variable] = []
    _map(result, drawn.append)
    if not drawn:
        raise TypeError(
            f"{place} expects its forward to return variables, got {type(result).__name__}"
        )
    application = Application(
        block.path() if block.has_place else block.describe(),
        tuple(variables),
        body=Body(tuple(ports), tuple(drawn), mark),
        block=block,
        where=where,
    )
    outputs: list[Variable] = []

    def leave(variable: Variable) -> Variable:
        outputs.append(
            Variable(
                "computed",
                variable._type,
                producer=application,
                index=len(outputs),
                mistakes=variable.mistakes,
            )
        )
        return outputs[-1]

    outer = _map(result, leave)
    application.outputs = tuple(outputs)
    return outer


def _map(value: Any, function: Callable[[Variable], Any]) -> Any:
    """`value` with `function` of each variable in it; tuples, lists and dicts keep their form."""
    if isinstance(value, Variable):
        return function(value)
    if isinstance(value, tuple):
        return tuple(_map(item, function) for item in value)
    if isinstance(value, list):
        return [_map(item, function) for item in value]
    if isinstance(value, dict):
        return {key: _map(item, function) for key, item in value.items()}
    return value
