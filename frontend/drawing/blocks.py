"""Blocks: functions with implicit parameters, drawn as one bullet, nesting to any depth.

A block is applied by running its `forward` on ports that stand for the inputs; what is drawn
meanwhile is the body of that application.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar, cast

from ...compiler.unwinding import Steps, unwound
from ..arguments import function as checked_function
from ..arguments import wrong
from ..errors import DtypeError, ShapeError
from ..keywords import expect_call, expect_keywords, with_name
from ..location import user_location
from ..operations.broadcasting import as_variables
from ..variables.block_base import BlockBase
from ..variables.dependencies import resolve_ties
from ..variables.variable import Variable, parameter, shape_text, source_text
from ..variables.weak import adopted
from .block_calls import apply_block
from .flat_vectors import element_count, flatten, unflatten

R = TypeVar("R")
Told = TypeVar("Told")
Result = TypeVar("Result", covariant=True)


class HasForward(Protocol[Result]):
    """What a block gives when it is applied, for type checkers: what its `forward` says."""

    @property
    def forward(self) -> Callable[..., Result]:
        """What the block computes."""


class _Told(Generic[Told]):
    """A property that an attribute of the same name hides: a user's block may have any.

    What diagrad itself reads of a block has an underscore, or is read from its class.
    """

    def __init__(self, read: Callable[[Any], Told]) -> None:
        self.read = read
        self.__doc__ = read.__doc__

    def __get__(self, block: Block | None, owner: type[Block]) -> Told:
        return cast("Told", self) if block is None else self.read(block)


class Block(BlockBase):
    """A deterministic function with an implicit parameter.

    Subclass it, make parameters and inner blocks in `__init__` as attributes, and say in
    `forward` what it computes:

        class Residual(dg.Block):
            def __init__(self, width):
                self.inner = dg.Linear(width, width)

            def forward(self, x):
                return x + dg.relu(self.inner(x))

    A parameter's name is its path: `residual/inner/weight`.

    Args of the constructor that every block takes, whether its `__init__` has it or not:
        name: the block's name, unique in its diagram; by default the attribute that holds it,
            or the class's name.
    """

    # `copy.deepcopy` is attached by `copying.py`, what a console shows by `showing.py`.

    @with_name
    def __init__(self, *, name: str | None = None) -> None:
        if name is not None:
            self.name = name

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "__init__" in vars(cls):
            cls.__init__ = with_name(cls.__init__)  # type: ignore[method-assign]
        # Blocks are told apart by identity, also where `@dataclass` would compare their fields:
        # it leaves alone what it finds in the class.
        own = vars(cls)
        if own.get("__hash__") is None:
            if "__eq__" not in own:
                cls.__eq__ = object.__eq__  # type: ignore[method-assign]
            cls.__hash__ = object.__hash__  # type: ignore[method-assign]

    def __call__(self: HasForward[R], *inputs: Any, **options: Any) -> R:
        """Apply the block to variables; options are what is no variable."""
        block = cast("Block", self)
        if options:
            forward = getattr(block, "forward", None)
            expect_keywords(block._describe(), getattr(forward, "__func__", forward), options)
        return cast("R", apply_block(block, inputs, options))

    def __setattr__(self, attribute: str, value: Any) -> None:
        if attribute == "name" and not (value is None or isinstance(value, str)):
            raise wrong(type(self).__name__, "name to be a text", value)
        if attribute not in ("name", "_parent"):
            self._adopt(attribute, value)
        object.__setattr__(self, attribute, value)

    def _adopt(self, attribute: str, value: Any) -> None:
        if isinstance(value, Variable):
            if value.kind in ("parameter", "state") and value.owner is None:
                value.owner = self
        elif isinstance(value, Block):
            if value._parent is None and value._has_place:
                object.__setattr__(value, "_parent", (self, attribute))
        elif isinstance(value, (list, tuple)):
            for index, item in enumerate(value):
                self._adopt(f"{attribute}/{index}", item)
        elif isinstance(value, dict):
            for key, item in value.items():
                self._adopt(f"{attribute}/{key}", item)

    def _hold(
        self, name: str, given: Variable | bool | None, shape: Sequence[int], init: Any, dtype: str
    ) -> None:
        """Let the attribute `name` be a parameter of this block, or what is given in its place.

        Args:
            name: of the attribute and the parameter.
            given: None or True for a parameter, False for None, or a variable. That one is not
                adopted: a parameter among them keeps its name.
            shape: of either.
            init: the parameter's initialiser.
            dtype: of either.

        Raises:
            ShapeError, DtypeError: a variable of another shape or dtype.
        """
        if given is None or given is True:
            setattr(self, name, parameter(name, shape, init, dtype))
            return
        held = None if given is False else adopted(as_variables(given)[0], dtype)
        if held is not None and not held.mistakes:
            subject, came = f"{self._describe()} ({user_location()})", f"from {source_text(held)}"
            if held.shape != tuple(shape):
                raise ShapeError(
                    f"{subject} expects {name} of shape {shape_text(tuple(shape))}, got "
                    f"{shape_text(held.shape)} {came}"
                )
            if held.dtype != dtype:
                raise DtypeError(
                    f"{subject} expects {name} of dtype {dtype}, got {held.dtype} {came}: convert "
                    f'it with .astype("{dtype}"), or make the block with dtype="{held.dtype}"'
                )
        object.__setattr__(self, name, held)

    def __copy__(self) -> Block:
        """A block of the same parameters and inner blocks, in no other block."""
        twin = object.__new__(type(self))
        twin.__dict__.update({k: v for k, v in vars(self).items() if k != "_parent"})
        return twin

    @_Told
    def default_name(self) -> str:
        """The class's name as an identifier: `LayerNorm` is layer_norm."""
        return self._default_name

    def path(self) -> str:
        """The names of the blocks around this one and its own, joined by "/"."""
        return self._path()

    def describe(self) -> str:
        """The block for messages: "Linear 'fc1'"."""
        return self._describe()

    def parameters(self) -> dict[str, Variable]:
        """The parameters held by this block and the blocks in it, by name below this block.

        They are in the order in which the attributes that hold them were set; one that is held
        several times is there once, under its first name.  A tied parameter is the one that it is
        tied to.
        """
        return unwound(_parameters(self))

    @_Told
    def parameter_count(self) -> int:
        """How many elements the parameters of `parameters()` have together."""
        return element_count(parameters_of(self))

    def flatten(self, values: Mapping[str, Any] | None = None) -> Any:
        """All parameters as one vector, in the order of `parameters()`, each row-major.

        Args:
            values: arrays or variables by the names of `parameters()`; by default the parameters
                themselves, as variables of a diagram.

        Returns:
            An array or a variable of shape (parameter_count,).

        Raises:
            DiagramError: a name that is missing, or not a parameter's.
            ShapeError: an array of another shape.
        """
        if not (values is None or isinstance(values, Mapping)):
            subject = f"flatten of {self._describe()}"
            raise wrong(subject, "values by the names of its parameters", values)
        return flatten(self._describe(), parameters_of(self), values)

    def unflatten(self, vector: Any) -> dict[str, Any]:
        """The parts of a vector by the names of `parameters()`: what `flatten` has joined.

        Args:
            vector: an array or a variable of shape (..., parameter_count).

        Returns:
            Arrays (views) or variables of shape (..., *shape).

        Raises:
            ShapeError: another number of elements along the last axis.
        """
        return unflatten(self._describe(), parameters_of(self), vector)


def parameters_of(block: Block) -> dict[str, Variable]:
    """What its class's `parameters()` gives; an attribute may have that name as well."""
    return type(block).parameters(block)


def _parameters(block: Block) -> Steps[dict[str, Variable]]:
    """The parameters of a block, of which those in it may name theirs in another way."""
    found: dict[str, Variable] = {}
    for prefix, item in members(block):
        if isinstance(item, Variable):
            item = resolve_ties(item)
            if item.kind == "parameter":
                name = prefix[: prefix.rfind("/") + 1] + (item.name or "")
                found[name if found.get(name, item) is item else prefix] = item
            continue
        plain = type(item).parameters is Block.parameters
        inner = (yield _parameters(item)) if plain else parameters_of(item)
        for name, held in inner.items():
            found.setdefault(f"{prefix}/{name}", held)
    names = {item: name for name, item in reversed(found.items())}
    return {names[item]: item for item in dict.fromkeys(found.values())}


def members(block: BlockBase) -> Iterator[tuple[str, Block | Variable]]:
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


class FunctionBlock(Block, Generic[R]):
    """A function of variables drawn as one bullet: what `@dg.block` makes."""

    def __init__(self, function: Callable[..., R], name: str | None = None) -> None:
        made_by = "block" if type(self) is FunctionBlock else "cost"
        checked_function(made_by, "what it draws", function, "of variables")
        if not (name is None or isinstance(name, str)):
            raise wrong(made_by, "name to be a text", name)
        object.__setattr__(self, "function", function)
        functools.update_wrapper(self, function)
        object.__setattr__(self, "name", name or _name_of(function))

    function: Callable[..., R]

    def __call__(self, *inputs: Any, **options: Any) -> R:
        """Draw the function of variables as one bullet."""
        expect_call(self._describe(), self.function, inputs, options)
        return cast("R", apply_block(self, inputs, options))

    def __deepcopy__(self, memo: dict[Any, Any]) -> FunctionBlock[R]:
        """Itself: a function has no parameters of its own."""
        return self

    @property
    def _has_place(self) -> bool:
        """A function belongs to no one place."""
        return False

    def _describe(self) -> str:
        """The function's name, or the one that it is given."""
        return self.name or ""

    def forward(self, *inputs: Any, **options: Any) -> R:
        """The function itself."""
        return self.function(*inputs, **options)


class CostFunction(FunctionBlock[R]):
    """A function whose value training makes small: drawn as a cost node."""


def _name_of(function: Callable[..., Any]) -> str:
    """A function's name; that of its class for an object that can be called."""
    return str(getattr(function, "__name__", type(function).__name__))


def block(function: Callable[..., R], name: str | None = None) -> FunctionBlock[R]:
    """Draw a function of variables as one bullet; arguments that are no variables are options.

        @dg.block
        def swish(x, beta=1.0):
            return x * dg.sigmoid(beta * x)

    Args:
        function: of variables.
        name: what the bullet is called; by default as the function.
    """
    return FunctionBlock(function, name)
