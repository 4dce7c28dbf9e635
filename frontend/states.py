"""States: arrays that a program keeps from one step to the next, and that no optimizer changes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..compiler.graph import Type
from .dependencies import ordered
from .errors import DiagramError, DtypeError, ShapeError
from .location import user_location
from .variable import (
    Shape,
    Variable,
    checked_name,
    dtype_name,
    mark_read,
    mistaken,
    shape_of,
    shape_text,
    source_text,
)


def state(name: str, shape: Shape = (), init: Any = 0, dtype: Any = "float32") -> Variable:
    """A variable that a program keeps: `step` reads it, and leaves its next value there.

    What its next value is, `dg.update` says, or the delay that is made with it:
    `t.delay("h", state=dg.state("h", (8, 64)))`.  No gradient flows from one step to the one
    before.  `run` reads it and changes nothing.  `program.states[name]` is the array itself, to
    be read and to be written: `program.states["h"][...] = 0` starts anew.

    Args:
        name: its name, below the path of the block that holds it.
        shape: integers.
        init: its value before the first step: a number, or an array of this shape.
        dtype: of the six that diagrad has.

    Raises:
        ShapeError: a shape with named sizes.
    """
    place = f"state '{checked_name('state', name)}' ({user_location()})"
    extents = shape_of(shape, place)
    for extent in extents:
        if not isinstance(extent, int):
            raise ShapeError(
                f"{place} expects a shape of integers, got {shape_text(extents)}: the array stays "
                "from step to step, so its batch size is fixed"
            )
    return Variable("state", Type(dtype_name(dtype, place), extents), name, init=init)


def update(state: Variable, value: Variable) -> None:
    """Let `value` be what a state, a variable of `dg.state`, is after a step.

    Raises:
        DiagramError: something else than a state, or one whose next value is known already.
        TypeError: something else than variables.
    """
    place = f"update ({user_location()})"
    for item in (state, value):
        if not isinstance(item, Variable):
            raise TypeError(f"{place} expects two variables, got {type(item).__name__}")
    if state.kind != "state" or state.following is not None:
        more = "" if state.following is None else ", which has its next value already"
        raise DiagramError(
            f"{place} expects a variable of dg.state that has no next value yet, got "
            f"{source_text(state)}{more}"
        )
    mark_read([value])
    state.following = value
    if not value.mistakes and value.type != state.type:
        kind = ShapeError if value.shape != state.shape else DtypeError
        text = (
            f"{place} expects {state.dtype} {shape_text(state.shape)} for "
            f"{source_text(state)}, got {value.dtype} {shape_text(value.shape)} from "
            f"{source_text(value)}"
        )
        state.following = mistaken([kind(text)])


def next_values(wanted: Iterable[Variable]) -> dict[Variable, Variable]:
    """The next value of each state that `wanted` depend on, or such a value itself."""
    found: dict[Variable, Variable] = {}
    seen: dict[Variable, None] = {}
    waiting = list(wanted)
    while waiting:
        new = ordered(waiting, seen, [])
        seen.update(dict.fromkeys(new))
        states = [item for item in new if item.kind == "state" and item.following is not None]
        found.update((item, item.following) for item in states if item.following is not None)
        waiting = [found[item] for item in states]
    return found
