"""Penalties on gradients: that they keep their size through time, and that they are sparse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...arguments import items, shown
from ...drawing.derivatives import gradient
from ...errors import ShapeError
from ...location import user_location
from ...operations import reductions
from ...operations.elementwise import absolute, as_operands, greater, sqrt, stop_gradient, where
from ...operations.source import fill
from ...variables.variable import Shape, Variable, shape_of, shape_text
from ..costs.reduction import cost as cost_block

Probes = tuple[Variable, Variable]


def probes(shape: Shape, dtype: Any = "float32") -> Probes:
    """Two sequences of zeros to add to a state, so that a cost can be differentiated by it.

        before, after = dg.probes(("T", "B", hidden))
        z = t.delay("z", init)
        z_next = step(z + t.each(before), t.each(x)) + t.each(after)
        t.close(z, z_next)

    A cost's gradient by `after` at step t is its gradient by z(t+1); that by `before` is what of
    it comes back through the step to z(t).  `dg.RNN` and `dg.GRU` take them as `probes=`.  They
    cost nothing: sums with zeros are removed.

    Args:
        shape: of the states of all steps: (T, B, hidden); for `dg.RNN` and `dg.GRU`
            (layers * directions, T, B, hidden).
        dtype: of the states.

    Raises:
        ShapeError: fewer than three axes.
    """
    subject = f"probes ({user_location()})"
    extents = shape_of(shape, subject)
    if len(extents) < 3:
        raise ShapeError(
            f"{subject} expects a shape (T, B, hidden) or (layers * directions, T, B, hidden), got "
            f"{shape_text(extents)}"
        )
    return fill(0.0, extents, dtype), fill(0.0, extents, dtype)


def gradient_propagation(cost: Variable, probes: Probes) -> Variable:
    """How much a cost's gradient changes its size from step to step: a penalty of shape ().

        sum over t of (|dC/dz(t+1) dz(t+1)/dz(t)| / |dC/dz(t+1)| - 1)**2

    averaged over the samples.  Pascanu, Mikolov and Bengio, On the difficulty of training recurrent
    neural networks, 2013, with two differences: the derivative of the penalty is complete, where
    the paper takes dC/dz(t+1) for constant; and a step with no gradient at all, such as one that a
    sample does not have, adds nothing.  To be used as cost + weight * penalty; a training step then
    takes gradients of gradients.

    Args:
        cost: a float variable of shape (), computed from states to which the probes were added.
        probes: of `dg.probes`.

    Raises:
        TypeError: something else than a cost and two probes.
    """
    subject = f"gradient_propagation ({user_location()})"
    if not (isinstance(probes, tuple) and len(probes) == 2):
        raise TypeError(f"{subject} expects the two variables of dg.probes, got {shown(probes)}")
    through, whole = gradient(cost, list(probes))
    return propagation(through, whole)


@cost_block
def propagation(through: Variable, whole: Variable) -> Variable:
    """The penalty, by what a step hands back and what it was given."""
    # Gradients that have nearly vanished have squares that float32 does not hold.
    size = stop_gradient(reductions.max(absolute(whole), -1, keepdims=True))
    scale = where(greater(size, 0.0), size, 1.0)
    squared_whole = _square(whole / scale)
    squared_through = _square(through / scale)
    alive = greater(squared_whole, 0.0)
    ratio = _root(squared_through / where(alive, squared_whole, 1.0))
    terms = where(alive, (ratio - 1.0) * (ratio - 1.0), 0.0)
    by_sample = reductions.sum(terms, list(range(terms.ndim - 1)))
    return reductions.mean(by_sample)


def l1(variables: Variable | Sequence[Variable] | Mapping[str, Variable]) -> Variable:
    """The sum of the magnitudes of all elements: a penalty that makes many of them exactly zero.

    Of parameters: Tibshirani, Regression shrinkage and selection via the lasso, 1996.  Of a
    gradient, `dg.l1(dg.gradient(cost, x))`, it asks for one that is sparse.  The derivative of a
    magnitude at 0 is 0.

    Args:
        variables: one float variable or several, of any shapes and one dtype; or by name, as
            `block.parameters()` gives them.

    Returns:
        A variable of shape ().

    Raises:
        ValueError: no variables.
    """
    if isinstance(variables, Mapping):
        variables = list(variables.values())
    several = [variables] if isinstance(variables, Variable) else variables
    chosen = as_operands(*items("l1", "variables", several, "variables"))
    if not chosen:
        raise ValueError(f"l1 ({user_location()}) expects one or more variables, got none")
    total = reductions.sum(absolute(chosen[0]))
    for item in chosen[1:]:
        total = total + reductions.sum(absolute(item))
    return total


def _square(x: Variable) -> Variable:
    return reductions.sum(x * x, -1)


def _root(x: Variable) -> Variable:
    """The square root, with the derivative 0 at 0."""
    positive = greater(x, 0.0)
    return where(positive, sqrt(where(positive, x, 1.0)), 0.0)
