"""Gradients and Jacobians as variables of the same diagram."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, overload

from ...compiler.errors import DtypeRuleError, TypeRuleError
from ...compiler.graph import Node
from ...compiler.primitives.record import Builder
from ..arguments import wrong
from ..errors import DiagramError, ShapeError
from ..location import place_of, user_location
from ..operations.structure import reshape, stack
from ..variables.applying import apply
from ..variables.dependencies import ordered
from ..variables.kinds import Gradient
from ..variables.substitution import current
from ..variables.variable import Variable, mistaken, shape_text, source_text


@overload
def gradient(cost: Variable, variables: Variable) -> Variable: ...
@overload
def gradient(cost: Variable, variables: Sequence[Variable]) -> list[Variable]: ...
@overload
def gradient(cost: Variable, variables: Mapping[str, Variable]) -> dict[str, Variable]: ...


def gradient(
    cost: Variable, variables: Variable | Sequence[Variable] | Mapping[str, Variable]
) -> Variable | list[Variable] | dict[str, Variable]:
    """The cost's derivative by each variable: variables of the same diagram, to be used again.

    Args:
        cost: a float variable of shape ().
        variables: one variable or several, or several by name as `block.parameters()` gives
            them, which the cost may depend on; where it does not, the gradient is zero.

    Returns:
        A variable of the same shape and dtype for each; one alone for one alone, by name where
        they came by name.

    Raises:
        ShapeError, DtypeError: a cost of another shape; integers.
        DiagramError: a parameter in whose place `dg.bind` has put something else.
        TypeError: what is no variable.
    """
    if isinstance(variables, Mapping):
        return dict(zip(variables, gradient(cost, list(variables.values())), strict=True))
    several = isinstance(variables, Iterable) and not isinstance(variables, Variable)
    chosen: list[Any] = list(variables) if several else [variables]
    for item in (cost, *chosen):
        if not isinstance(item, Variable):
            raise TypeError(
                f"gradient ({user_location()}) expects a cost and one variable or a list of "
                f"variables, got {type(item).__name__}"
            )
    chosen = [_not_bound(item, cost) for item in chosen]

    def rule(b: Builder, cost: Node, *wanted: Node) -> tuple[Node, ...]:
        if cost.shape != ():
            raise TypeRuleError("expects a scalar cost: take its mean or sum first")
        if not all(node.type.is_float for node in (cost, *wanted)):
            raise DtypeRuleError("expects floats: integers have no gradient")
        return tuple(b.gradient(cost, node) for node in wanted)

    if not chosen:
        return []
    outputs: Any = apply("gradient", rule, [cost, *chosen], len(chosen), Gradient, as_stored=True)
    if isinstance(variables, Variable):
        single: Variable = outputs
        return single
    return [outputs] if len(chosen) == 1 else list(outputs)


def _not_bound(variable: Variable, cost: Variable) -> Variable:
    """The variable; a mistake if it is a parameter in whose place the cost has something else."""
    (found,) = current([variable])
    if found.bound_to is None or found in set(ordered([cost], {}, [])):
        return variable
    text = (
        f"{place_of(f'gradient ({user_location()})')} expects what the cost depends on, got "
        f"{source_text(found)}, which is bound to {source_text(found.bound_to)}: take the gradient "
        "by that, or by what it is computed from"
    )
    mistake = DiagramError(text)
    mistake.locate()
    return mistaken([mistake])


def jacobian(y: Variable, x: Variable) -> Variable:
    """dy/dx, of shape y.shape + x.shape, one backward sweep for each element of y.

    Args:
        y: a float variable whose sizes are integers.
        x: a float variable of any shape.
    """
    for name, item in (("y", y), ("x", x)):
        if not isinstance(item, Variable):
            raise wrong("jacobian", f"{name} to be a variable", item)
    for extent in y.shape:
        if not isinstance(extent, int):
            raise ShapeError(
                f"jacobian ({user_location()}) expects an output of fixed size, got "
                f"{shape_text(y.shape)} from {source_text(y)}: choose an element or take a sum"
            )
    flat = reshape(y, -1)
    count = flat.shape[0]
    assert isinstance(count, int)
    if count == 0:
        raise ShapeError(f"jacobian ({user_location()}) expects at least one output element")
    rows = [gradient(flat[i], x) for i in range(count)]
    return reshape(stack(rows), (*y.shape, *x.shape))
