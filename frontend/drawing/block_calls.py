"""Applying a block: its `forward` is run on ports, and what is drawn meanwhile is the body."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...compiler.dtypes import computed
from ...compiler.graph import Type
from ..errors import DiagramError, ShapeError
from ..location import Enclosing, inside, placed, user_location
from ..operations.reductions import mean
from ..variables.block_base import BlockBase
from ..variables.samples import Samples, samples_of
from ..variables.substitution import bound, current
from ..variables.variable import (
    Application,
    Body,
    Variable,
    mark_read,
    mistaken,
    new_serial,
    shape_text,
    source_text,
)
from ..variables.weak import restated
from .flat_vectors import Source
from .states import leave_block, updates_inside


def apply_block(
    block: BlockBase,
    inputs: tuple[Any, ...],
    options: Mapping[str, Any],
    sources: Sequence[Source] = (),
) -> Any:
    """The outputs of a block applied to variables (or tuples, lists and dicts of them).

    `sources` hold what stands for its parameters meanwhile.
    """
    where = user_location()
    arguments = (inputs, dict(options), tuple(source.variable for source in sources))
    variables: list[Variable] = []
    arguments = _map(arguments, lambda item: _noted(current([item])[0], variables))
    mark_read(variables)
    settled = _settled(block, variables)
    if settled:
        variables = [settled.get(item, item) for item in variables]
        arguments = _map(arguments, lambda item: settled.get(item, item))
    carried = [item for variable in variables for item in variable.mistakes]
    if carried:
        return mistaken(carried)
    samples = samples_of([source.samples for source in sources], len(variables))
    ports: list[Variable] = []

    def enter(variable: Variable) -> Variable:
        type = variable.type
        if samples is not None:
            type = samples.inside(type, samples.own[len(ports)])
        port = Variable("port", type, variable.name)
        port.source = variable
        return _noted(port, ports)

    inner, inner_options, weights = _map(arguments, enter)
    mark = new_serial()
    place = Enclosing(block._describe(), block._path() if block._has_place else "", where, mark)
    with inside(place), updates_inside() as updated:
        values: dict[Variable, Variable] = {}
        for source, port in zip(sources, weights, strict=True):
            values.update(source.values(port))
        try:
            with bound(values):
                result = _map(block.forward(*inner, **inner_options), lambda v: current([v])[0])
        except DiagramError as error:
            for mistake in error.mistakes:
                mistake.locate(placed)
            for state in updated:
                state.following = mistaken(error.mistakes)
            return mistaken(error.mistakes)
    drawn: list[Variable] = []
    _map(result, drawn.append)
    if not drawn:
        raise TypeError(
            f"{place} expects its forward to return variables, got {type(result).__name__}"
        )
    drawn += updated.values()
    application = Application(
        block._path() if block._has_place else block._describe(),
        tuple(variables),
        body=Body(tuple(ports), tuple(drawn), mark, samples),
        block=block,
        where=where,
        weights=len(sources),
    )
    outputs: list[Variable] = []

    def leave(variable: Variable) -> Variable:
        type, mistakes = variable._type, variable.mistakes
        if samples is not None and type is not None:
            type, mistakes = _for_samples(samples, type, place)
        output = Variable("computed", type, None, application, len(outputs), mistakes=mistakes)
        return _noted(output, outputs)

    outer = _map(result, leave)
    for state, value in updated.items():
        application.updates[state] = _one_value(state, leave(value), place, samples)
        leave_block(state, application.updates[state])
    application.outputs = tuple(outputs)
    return outer


def _settled(block: BlockBase, variables: Sequence[Variable]) -> dict[Variable, Variable]:
    """Floats without a stated dtype in that of the others beside them, or of the parameters."""
    floats = [item for item in variables if not item.mistakes and item.type.is_float]
    weak = [item for item in floats if item.weak]
    if not weak:
        return {}
    beside = [item for item in floats if not item.weak] or type(block).parameters(block).values()
    dtypes = {computed(item.dtype) for item in beside if not item.mistakes and item.type.is_float}
    if len(dtypes) != 1:
        return {}
    (dtype,) = dtypes
    return {item: restated(item, dtype) for item in weak if item.dtype != dtype}


def _for_samples(
    samples: Samples, type: Type, place: Enclosing
) -> tuple[Type | None, tuple[DiagramError, ...]]:
    """The type of a block's result for all samples, or what is wrong with it."""
    result = samples.result(type)
    if result is not None:
        return result, ()
    mistake = ShapeError(
        f"{place} has weights for each sample, and expects results with at most one axis of "
        f"{samples.extent} samples, got {shape_text(type.shape)}: keep the samples apart"
    )
    mistake.locate()
    return None, (mistake,)


def _one_value(
    state: Variable, value: Variable, place: Enclosing, samples: Samples | None
) -> Variable:
    """What a state becomes; where the block is run for each sample apart, the mean of averages."""
    if samples is None or value.mistakes:
        return value
    if state.is_average:
        return mean(value, 0)
    mistake = DiagramError(
        f"{place} has weights for each sample, and updates {source_text(state)}, which has one "
        "value for all: update it outside"
    )
    mistake.locate()
    return mistaken([mistake])


def _noted(variable: Variable, found: list[Variable]) -> Variable:
    found.append(variable)
    return variable


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
