"""Numba's view of the vocabulary: types for lanes and typed pointers, and how words register.

A word is a typing rule and an emitter.  Every word is one typing template and one lowering that
apply the rule and write LLVM through `values` and `memory`; nothing here goes through `@overload`,
whose compile time per use would be tens of milliseconds.  Imported only to build a kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import repeat
from typing import Any, NamedTuple

from llvmlite import ir
from numba import extending
from numba import types as numba_types
from numba.core.typing import templates as numba_templates

from . import memory
from .values import KINDS, Value, vector

# Numba is typed in parts only, and those parts contradict its use: taken as untyped.
types: Any = numba_types
templates: Any = numba_templates
models: Any = extending.models
register_model: Any = extending.register_model
lower_builtin: Any = extending.lower_builtin


class Lanes(types.Type):  # type: ignore[misc]  # Numba has no types
    """The lanes of a value, of one kind."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        super().__init__(name=f"{kind} lanes")


class PointerTo(types.Type):  # type: ignore[misc]  # Numba has no types
    """An address of elements of one kind; of those that each lane keeps for itself, if `kept`."""

    def __init__(self, kind: str, kept: bool = False) -> None:
        self.kind, self.kept = kind, kept
        super().__init__(name=f"{kind}{' kept' * kept}*")


class Tile(types.Type):  # type: ignore[misc]  # Numba has no types
    """Memory in which each lane keeps elements of its own, before they have a kind."""

    def __init__(self) -> None:
        super().__init__(name="tile")


@register_model(Lanes)
class LanesModel(models.PrimitiveModel):  # type: ignore[misc]  # Numba has no types
    """Lanes live in LLVM's vectors, which it splits where registers are narrower."""

    def __init__(self, manager: Any, kind: Lanes) -> None:
        self._kind = kind.kind
        super().__init__(manager, kind, vector(kind.kind))

    def get_value_type(self) -> Any:
        """Of the machine that is meant now."""
        return vector(self._kind)


@register_model(Tile)
@register_model(PointerTo)
class PointerModel(models.PrimitiveModel):  # type: ignore[misc]  # Numba has no types
    """A typed pointer is a bare address; the kind is in the Numba type alone."""

    def __init__(self, manager: Any, kind: PointerTo | Tile) -> None:
        super().__init__(manager, kind, memory.POINTER)


LANES_OF = {kind: Lanes(kind) for kind in KINDS}
POINTER_TO = {kind: PointerTo(kind) for kind in (*KINDS, *memory.STORED)}
KEPT = {kind: PointerTo(kind, kept=True) for kind in POINTER_TO}
TILE = Tile()
INTEGER = types.int64
ROW = types.CPointer(types.int64)
SIGNATURES = {count: types.void(ROW, *[types.int64] * (count - 1)) for count in (3, 4, 6)}
"""Of a kernel's text, by the number of its arguments: see `runtime.program.Kernel`."""


class Typed(NamedTuple):
    """What a word's rule answers: the result, the arguments after casting, and the emitter."""

    result: Any
    args: tuple[Any, ...]
    emit: Callable[..., Any]


Rule = Callable[..., Typed | None]


def integer(kind: Any) -> bool:
    """Whether that Numba type is an integer (a literal one included)."""
    return isinstance(kind, types.Integer)


def equal_lanes(args: tuple[Any, ...]) -> str | None:
    """The kind that all arguments share, if all are lanes and do."""
    first = args[0] if args else None
    if isinstance(first, Lanes) and all(a is first for a in args):
        return str(first.kind)
    return None


class Word:
    """A name of kernel text; Numba resolves it to the template and the lowering of `make_word`."""

    def __init__(self, name: str) -> None:
        self.__name__ = name


def make_word(name: str, rule: Rule, literal: bool = False) -> Word:
    """Register one word of the vocabulary."""
    word = Word(name)

    def generic(self: Any, args: Any, kws: Any) -> Any:
        typed = None if kws else rule(*args)
        return typed and typed.result(*typed.args)

    members = {"key": word, "generic": generic, "prefer_literal": literal}
    template = type(name, (templates.AbstractTemplate,), members)
    templates.infer_global(word, types.Function(template))

    def lowering(context: Any, builder: Any, signature: Any, operands: Any) -> Any:
        typed = rule(*signature.args)
        assert typed is not None, name
        made = typed.emit(builder, *map(_wrap, repeat(builder), signature.args, operands))
        if made is None:
            return context.get_dummy_value()
        return made.node if isinstance(made, Value | memory.Pointer) else made

    # One lowering for all signatures: the rule says again what to emit.
    lower_builtin(word, types.VarArg(types.Any))(lowering)
    return word


def _wrap(builder: ir.IRBuilder, kind: Any, node: Any) -> Any:
    if isinstance(kind, Lanes):
        return Value(builder, node, kind.kind)
    if isinstance(kind, PointerTo):
        return memory.Pointer(builder, node, kind.kind, kind.kept)
    return node
