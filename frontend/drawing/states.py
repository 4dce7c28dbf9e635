"""States: arrays that a program keeps from one step to the next, and that no optimizer changes.

That a step updates a state is an effect: it happens whether or not anything reads the state.  As
there is no global graph, a diagram finds the states that it updates from what it is made of:

    a state that it reads
    a state that a block updates, where the block is applied in the diagram
    any other state whose next value is made from the diagram's own inputs and parameters alone
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from ...compiler.graph import Type
from ..errors import DiagramError, DtypeError, ShapeError
from ..location import user_location
from ..operations.random import KEY
from ..variables.dependencies import ordered
from ..variables.substitution import current
from ..variables.variable import (
    Shape,
    Variable,
    checked_name,
    dtype_name,
    full_name,
    mark_read,
    mistaken,
    shape_of,
    shape_text,
    source_text,
)
from ..variables.weak import adopted


def state(name: str, shape: Shape = (), init: Any = 0, dtype: Any = "float32") -> Variable:
    """A variable that a program keeps: `step` reads it, and leaves its next value there.

    What its next value is, `dg.update` says, or the delay that is made with it:
    `t.delay("h", state=dg.state("h", (8, 64)))`.  No gradient flows from one step to the one
    before.  `run` reads it and changes nothing.  `program.states[name]` is the array itself, to
    be read and to be written: `program.states["h"][...] = 0` starts anew.

    Args:
        name: its name, below the path of the block that holds it.
        shape: integers.
        init: its value before the first step: a number, an array of this shape, an initialiser of
            `dg.init`, or a parameter, whose own first value it has.
        dtype: any that an observed variable may have; the next value has it too.

    Raises:
        ShapeError: a shape with named sizes.
    """
    subject = f"state '{checked_name('state', name)}' ({user_location()})"
    extents = shape_of(shape, subject)
    for extent in extents:
        if not isinstance(extent, int):
            raise ShapeError(
                f"{subject} expects a shape of integers, got {shape_text(extents)}: the array "
                "stays from step to step, so its batch size is fixed"
            )
    return Variable("state", Type(dtype_name(dtype, subject), extents), name, init=init)


def memory(name: str, shape: Shape = (), init: Any = 0, dtype: Any = "float32") -> Variable:
    """A state that keeps its value in a diagram without an update of it, where others have one.

    An update that is made from states and constants alone is that of the diagrams that read it.
    """
    found = state(name, shape, init, dtype)
    found.stays = True
    return found


_within: ContextVar[dict[Variable, Variable] | None] = ContextVar("within", default=None)
"""The next values that states have got in the block that is being applied."""

_made_from_nothing: deque[Variable] = deque(maxlen=1024)
"""The last states whose next values are made from states and constants alone, such as a count."""


def update(state: Variable, value: Variable) -> None:
    """Let `value` be what a state, a variable of `dg.state`, is after a step.

    Every step makes the update, whether or not anything reads the state, and needs no optimizer
    where updates are all that it makes.  The update is a part of each diagram that reads the state,
    that applies the block whose `forward` calls this, or that has all inputs and parameters from
    which the value is made; `dg.Diagram(..., updates=[...])` says it otherwise.  A block that is
    applied several times says it in each application, and a diagram makes the update of the last
    one that it has.

    Raises:
        DiagramError: something else than a state, or one whose next value is known already, from
            outside a block or from this application of it.
        TypeError: something else than variables.
    """
    subject = f"update ({user_location()})"
    for item in (state, value):
        if not isinstance(item, Variable):
            raise TypeError(f"{subject} expects two variables, got {type(item).__name__}")
    inside = _within.get()
    known = state.following is not None if inside is None else state in inside
    if state.kind != "state" or known:
        more = "" if state.following is None else ", which has its next value already"
        if state.kind == "parameter":
            more = (
                ", which an optimizer changes: make it a state, dg.state(name, shape, init), to "
                "change it by a rule of your own"
            )
        raise DiagramError(
            f"{subject} expects a variable of dg.state that has no next value yet, got "
            f"{source_text(state)}{more}"
        )
    mark_read([value])
    (value,) = current([adopted(value, state.dtype)])
    if not value.mistakes and value.type != state.type:
        kind = ShapeError if value.shape != state.shape else DtypeError
        text = (
            f"{subject} expects {state.dtype} {shape_text(state.shape)} for "
            f"{source_text(state)}, got {value.dtype} {shape_text(value.shape)} from "
            f"{source_text(value)}"
        )
        value = mistaken([kind(text)])
    state.following = value
    if inside is None:
        _attach(state)
    else:
        inside[state] = value


def update_average(state: Variable, value: Variable) -> None:
    """`update` of a running average: of samples with weights of their own, the mean is taken."""
    state.is_average = True
    update(state, value)


def leave_blocks(key: Variable, value: Variable) -> None:
    """Let a value leave the blocks that are being applied unseen, as a state's next value does.

    Whoever applies them within `updates_inside` finds it there by its key.
    """
    inside = _within.get()
    assert inside is not None, "a value that nobody waits for"
    inside[key] = value


@contextmanager
def updates_inside() -> Iterator[dict[Variable, Variable]]:
    """What leaves a block unseen meanwhile, in its forward: next values of states, and others."""
    found: dict[Variable, Variable] = {}
    token = _within.set(found)
    try:
        yield found
    finally:
        _within.reset(token)


def leave_block(state: Variable, value: Variable) -> None:
    """What a state becomes has left the block that says it, as `value`."""
    if state.kind == "state":
        state.following = value
    outer = _within.get()
    if outer is not None:
        outer[state] = value


def _attach(state: Variable) -> None:
    """Let a diagram find the state from what its next value is made from."""
    sources = _sources(state)
    for item in sources:
        item.updated.append(state)
    if not sources and not state.stays:
        _made_from_nothing.append(state)


def _sources(state: Variable) -> list[Variable]:
    """The inputs and parameters from which a state's next value is made."""
    assert state.following is not None
    found = ordered([state.following], {}, [])
    return [v for v in found if v.kind in ("observed", "parameter") and v is not KEY]


def next_values(
    wanted: Iterable[Variable], chosen: Sequence[Variable] | None = None, before: int | None = None
) -> dict[Variable, Variable]:
    """The states that a diagram of `wanted` updates, and the next value of each.

    Args:
        wanted: its outputs and its cost.
        chosen: the states besides those that it reads and that its blocks update; None for those
            that are made from its inputs and parameters alone.
        before: the serial number before which these are updated.
    """
    found: dict[Variable, Variable] = {}
    seen: dict[Variable, None] = {}
    made: dict[Variable, Variable] = {}

    def reach(waiting: list[Variable]) -> None:
        while waiting:
            new = ordered(waiting, seen, [])
            seen.update(dict.fromkeys(new))
            makers = dict.fromkeys(v.producer for v in new if v.producer is not None)
            waiting = []
            pairs = [pair for maker in makers for pair in maker.updates.items()]
            for state, value in pairs:
                if state.kind != "state":
                    continue
                if state not in made or made[state].serial < value.serial:
                    found[state] = made[state] = value
                    waiting += (state, value)
            for item in new:
                if item.kind == "state" and item.following is not None and item not in found:
                    found[item] = item.following
                    waiting += (item, item.following)

    reach(list(wanted))
    if chosen is None:
        chosen = [state for state, missing in candidates(seen, found, before) if not missing]
    for state in chosen:
        assert state.following is not None
        found.setdefault(state, state.following)
        reach([state, found[state]])
    return found


def candidates(
    reached: Mapping[Variable, object], known: Iterable[Variable], before: int | None
) -> list[tuple[Variable, list[Variable]]]:
    """Updates that are made from something that is reached, and what else each is made from.

    Of those with one name it is the newest, for a notebook's cell may have been run again.
    """
    kinds = ("observed", "parameter", "state")
    free = [v for v in reached if v.kind in kinds and v is not KEY]
    taken = {full_name(item) for item in known}
    found = dict.fromkeys(state for item in free for state in item.updated)
    first = min((item.serial for item in free), default=None)
    if first is not None and before is not None:
        found |= dict.fromkeys(s for s in _made_from_nothing if first < _when(s) < before)
    result = []
    for state in sorted(found, key=_when, reverse=True):
        name = full_name(state)
        if name not in taken:
            missing = [item for item in _sources(state) if item not in reached]
            result.append((state, missing))
            if not missing:
                taken.add(name)
    return result


def _when(state: Variable) -> int:
    """The serial number of a state's next value."""
    assert state.following is not None
    return state.following.serial
