"""What stands for what while a block runs: the environment in which its parameters are bound.

Every function that takes variables asks `current` for each, so that a block need not know whether
a parameter that it uses is its own, or what another network has computed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace

from ..errors import DiagramError
from .dependencies import dependencies, ordered
from .variable import Variable, application_text, mistaken, source_text


@dataclass(eq=False)
class Environment:
    """What stands for variables.

    Attributes:
        values: for a bound parameter, what it is bound to.
        first: the serial number from which on variables are drawn in the environment itself.
        known: for every variable asked for so far, what stands for it.
    """

    values: Mapping[Variable, Variable]
    first: int
    known: dict[Variable, Variable] = field(default_factory=dict)


_environment: ContextVar[Environment | None] = ContextVar("environment", default=None)


@contextmanager
def bound(values: Mapping[Variable, Variable]) -> Iterator[None]:
    """Variables stand for others meanwhile, within what they stand for already."""
    if not values:
        yield
        return
    outer = _environment.get()
    merged = {**(outer.values if outer is not None else {}), **values}
    first = min(item.serial for item in values.values())
    token = _environment.set(Environment(merged, first))
    try:
        yield
    finally:
        _environment.reset(token)


def current(variables: Iterable[Variable]) -> tuple[Variable, ...]:
    """What stands for each variable: itself, unless it is bound or computed from what is bound."""
    environment = _environment.get()
    if environment is None:
        return tuple(variables)
    return tuple(_current(environment, item) for item in variables)


def _current(environment: Environment, variable: Variable) -> Variable:
    if variable.serial >= environment.first:
        return variable
    known = environment.known
    for item in ordered([variable], known, []):
        if item not in known:  # another result of the same operation
            known[item] = _drawn_again(environment, item)
    return known[variable]


def _drawn_again(environment: Environment, variable: Variable) -> Variable:
    """A variable whose sources are known; drawn anew if something else stands for one of them."""
    if variable in environment.values:
        return environment.values[variable]
    producer = variable.producer
    if producer is None:
        return variable
    sources = dependencies(variable)
    changed = [item for item in sources if environment.known.get(item, item) is not item]
    if not changed:
        return variable
    if producer.rule is None:
        text = (
            f"{application_text(producer)} computes what a bound block uses from "
            f"{source_text(changed[0])}, which is bound: compute it in the block's forward"
        )
        return mistaken([DiagramError(text)])
    inputs = tuple(environment.known[item] for item in producer.inputs)
    again = replace(producer, inputs=inputs)
    again.outputs = tuple(
        Variable("computed", item._type, item.name, again, item.index, mistakes=item.mistakes)
        for item in producer.outputs
    )
    for item, new in zip(producer.outputs, again.outputs, strict=True):
        environment.known[item] = new
    return environment.known[variable]
