"""Weights by PyTorch's names, in and out of a program's parameters.

Blocks that PyTorch has as modules say under which name each parameter is stored there, and how; of
all others the names of attributes are those of the module, so that a network of one's own, and a
chain, exchange weights with a module that is made of the same parts under the same names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..arguments import shown, wrong
from ..drawing.blocks import Block, members
from ..drawing.drawing import Drawing
from ..errors import InputError
from ..location import user_location
from ..variables.dependencies import resolve_ties
from ..variables.variable import Variable, shape_text, source_text
from .initialisers import Array


class Trained(Protocol):
    """A program, as far as its weights matter: programs are made in a later room."""

    @property
    def diagram(self) -> Drawing:
        """What it was compiled from."""

    @property
    def parameters(self) -> MutableMapping[str, Array]:
        """The arrays of the free parameters, by path."""

    @property
    def states(self) -> MutableMapping[str, Array]:
        """Those, and the arrays of states."""


@dataclass(frozen=True, eq=False)
class Stored:
    """Parameters that PyTorch has under one name, one below the other.

    Attributes:
        variables: the parameters.
        outputs_last: whether they have the axis of outputs last, which PyTorch has first.
    """

    variables: tuple[Variable, ...]
    outputs_last: bool = False

    @property
    def rows(self) -> list[int]:
        """How many rows each has in PyTorch's array."""
        return [item.type.extents[-1 if self.outputs_last else 0] for item in self.variables]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of PyTorch's array."""
        extents = self.variables[0].type.extents
        if len(self.variables) == 1 and not self.outputs_last:
            return extents
        return (sum(self.rows), *(extents[:-1] if self.outputs_last else extents[1:]))

    def parts(self, array: Array) -> list[tuple[Variable, Array]]:
        """What each parameter is in PyTorch's array."""
        alone = len(self.variables) == 1
        parts = [array] if alone else np.split(array, np.cumsum(self.rows)[:-1])
        if self.outputs_last:
            parts = [np.moveaxis(part, 0, -1) for part in parts]
        return list(zip(self.variables, parts, strict=True))

    def whole(self, arrays: Callable[[Variable], Array]) -> Array:
        """PyTorch's array, of those that a program holds."""
        parts = [arrays(item) for item in self.variables]
        if self.outputs_last:
            parts = [np.moveaxis(part, -1, 0) for part in parts]
        return np.array(parts[0], order="C") if len(parts) == 1 else np.concatenate(parts)


def under(prefix: str, stored: Mapping[str, Stored]) -> dict[str, Stored]:
    """What is stored of a part, by the names of the whole."""
    return {f"{prefix}{key}": item for key, item in stored.items()}


class TorchNamed(Block):
    """A block whose weights PyTorch has too, in one module."""

    def _torch(self) -> dict[str, Stored]:
        """What is stored under each of PyTorch's names, in its order."""
        raise NotImplementedError

    def _torch_shapes(self, subject: str) -> dict[str, tuple[int, ...]]:
        """PyTorch's names and shapes."""
        return {key: item.shape for key, item in self._torch().items()}

    def _from_torch(self, given: Mapping[str, Array]) -> list[tuple[Variable, Array]]:
        """What the parameters are in arrays of these names and shapes."""
        return [pair for key, item in self._torch().items() for pair in item.parts(given[key])]

    def _to_torch(self, arrays: Callable[[Variable], Array]) -> dict[str, Array]:
        """Arrays by PyTorch's names, of those that a program holds."""
        return {key: item.whole(arrays) for key, item in self._torch().items()}

    def load_torch(self, program: Trained, weights: Mapping[str, Any], prefix: str = "") -> None:
        """Put PyTorch's weights into the parameters that a program holds for this block.

        Args:
            program: compiled from a diagram in which the block is.
            weights: arrays or tensors by PyTorch's names, as `state_dict()` of the module gives.
            prefix: of those names that are meant, such as "encoder."; others are left alone.

        Raises:
            InputError: a name that is missing or unknown, another shape, or a program in which
                the block is not; nothing has changed then.
        """
        load_torch(self, program, weights, prefix)

    def torch_weights(self, program: Trained) -> dict[str, Array]:
        """The parameters that a program holds for this block, by PyTorch's names, as copies.

        Raises:
            InputError: a program in which the block is not.
        """
        return torch_weights(self, program)


def load_torch(
    block: Block, program: Trained, weights: Mapping[str, Any], prefix: str = ""
) -> None:
    """Put the weights of a PyTorch module into the parameters that a program holds for a block.

        dg.load_torch(net, program, module.state_dict())

    A block that PyTorch has as a module has its names and layout.  Of a chain, and of a block of
    one's own, the names are those of its attributes: `net.encoder.fc1` has "encoder.fc1.weight", a
    chain's second block "1.weight"; parameters and states that it holds itself are taken as they
    are, under their attributes' names.

    Args:
        block: in the program's diagram.
        program: compiled from a diagram in which the block is.
        weights: arrays or tensors by PyTorch's names, as `state_dict()` of the module gives; the
            counts of batches that its norms have are not needed.
        prefix: of those names that are meant, such as "encoder."; others are left alone.

    Raises:
        TypeError: no block, no program, or no weights by name.
        InputError: a name that is missing or unknown, another shape, or a program in which
            the block is not; nothing has changed then.
        ValueError: a GRU other than PyTorch's: reset_after=True and update="old".
    """
    subject = _subject("load_torch", block, program)
    if not isinstance(prefix, str):
        raise TypeError(f"{subject} expects a prefix that is a text, got {shown(prefix)}")
    if not isinstance(weights, Mapping):
        raise TypeError(f"{subject} expects arrays by PyTorch's names, got {shown(weights)}")
    parts = list(_parts(block))
    shapes = {
        f"{place}{key}": shape
        for place, item in parts
        for key, shape in item._torch_shapes(subject).items()
    }
    given = arrays_of(subject, weights, prefix, shapes)
    pairs: list[tuple[Variable, Array]] = []
    for place, item in parts:
        named = {
            key.removeprefix(place): array for key, array in given.items() if key.startswith(place)
        }
        pairs += item._from_torch(named)
    store(subject, program, pairs)


def torch_weights(block: Block, program: Trained) -> dict[str, Array]:
    """The parameters that a program holds for a block, by the names of PyTorch's `state_dict()`.

    They are copies, named and laid out as `load_torch` says.

    Raises:
        TypeError: no block, or no program.
        InputError: a program in which the block is not.
        ValueError: a GRU other than PyTorch's: reset_after=True and update="old".
    """
    subject = _subject("torch_weights", block, program)
    found: dict[str, Array] = {}
    for place, item in _parts(block):
        item._torch_shapes(subject)
        held = item._to_torch(lambda variable: held_array(subject, program, variable))
        found |= {f"{place}{key}": array for key, array in held.items()}
    return found


class _Own(TorchNamed):
    """A parameter or a state that a block holds itself, under one name."""

    def __init__(self, variable: Variable) -> None:
        object.__setattr__(self, "variable", variable)

    variable: Variable

    def _torch(self) -> dict[str, Stored]:
        return {"": Stored((self.variable,))}


def _subject(what: str, block: Any, program: Any) -> str:
    if not isinstance(block, Block):
        raise wrong(what, "a block", block)
    subject = f"{what} of {block._describe()}"
    if not isinstance(getattr(program, "diagram", None), Drawing):
        raise wrong(subject, "a program", program)
    return f"{subject} ({user_location()})"


def _parts(block: Block, prefix: str = "") -> Iterator[tuple[str, TorchNamed]]:
    """The blocks that PyTorch has too in a block, and what else is held, by PyTorch's names."""
    waiting: list[tuple[str, Block | Variable]] = [(prefix, block)]
    while waiting:
        place, item = waiting.pop()
        if isinstance(item, TorchNamed):
            yield place, item
        elif isinstance(item, Variable):
            if resolve_ties(item).kind in ("parameter", "state"):
                yield place.removesuffix("."), _Own(item)
        else:
            held = [
                (f"{place}{name.removeprefix('_blocks/').replace('/', '.')}.", inner)
                for name, inner in members(item)
            ]
            waiting += reversed(held)


def arrays_of(
    subject: str, weights: Mapping[str, Any], prefix: str, expected: Mapping[str, tuple[int, ...]]
) -> dict[str, Array]:
    """Arrays of these names and shapes out of PyTorch's, without the prefix.

    The counts of batches that its norms have are left out.  InputError for a name that is missing
    or unknown, for another shape, and for what is no float.
    """
    given = {
        key.removeprefix(prefix): _array(value)
        for key, value in weights.items()
        if key.startswith(prefix)
    }
    counted = [key for key in given if key.rpartition(".")[2] == "num_batches_tracked"]
    for key in counted:
        if key not in expected:
            del given[key]
    missing = [prefix + key for key in expected if key not in given]
    unknown = [prefix + key for key in given if key not in expected]
    if missing or unknown:
        parts = [f"lacks {', '.join(missing)}"] if missing else []
        parts += [f"does not know {', '.join(unknown)}"] if unknown else []
        raise InputError(
            f"{subject} {' and '.join(parts)}: it expects {', '.join(prefix + k for k in expected)}"
        )
    for key, shape in expected.items():
        found = given[key]
        if found.shape != shape or not np.can_cast(found.dtype, np.float32, "same_kind"):
            raise InputError(
                f"{subject} expects floats of shape {shape_text(shape)} for {prefix}{key}, got "
                f"{found.dtype} {shape_text(found.shape)}"
            )
    return given


def store(subject: str, program: Trained, pairs: Iterable[tuple[Variable, Array]]) -> None:
    """Put arrays into the parameters of a program; nothing has changed where it raises."""
    values: dict[str, Array] = {}
    for variable, value in pairs:
        name = held_name(subject, program, variable)
        if not np.array_equal(values.setdefault(name, value), value, equal_nan=True):
            raise InputError(
                f"{subject} expects one value of '{name}', which several blocks share, got two"
            )
    for name, value in values.items():
        held = program.parameters if name in program.parameters else program.states
        held[name] = value


def held_array(subject: str, program: Trained, variable: Variable) -> Array:
    """The array that a program holds for a parameter or a state."""
    name = held_name(subject, program, variable)
    return (program.parameters if name in program.parameters else program.states)[name]


def held_name(subject: str, program: Trained, variable: Variable) -> str:
    """The name under which a program holds a parameter, its own or one that it is tied to.

    Or a state.
    """
    variable = resolve_ties(variable)
    if variable.kind not in ("parameter", "state"):
        raise InputError(
            f"{subject} expects weights that are parameters, got one of {source_text(variable)}: "
            "load into the parameters that it depends on"
        )
    name = program.diagram.names.get(variable)
    if name is None:
        raise InputError(
            f"{subject} expects a program of a diagram in which the block is, got one of "
            f"'{program.diagram.name}' ({program.diagram.where})"
        )
    return name


def _array(value: Any) -> Array:
    """An array of an array or of a PyTorch tensor."""
    return np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
