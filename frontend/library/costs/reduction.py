"""What every cost shares: how it is drawn, how it is reduced, and what it expects of operands.

A cost compares elements, samples or sequences, and reduces what each of them costs to one scalar:

- "mean", by default: their sum over their number.  Where labels have weights or are ignored, it is
  over the sum of the weights of the labels that count, as in PyTorch; no other weights change what
  is divided by.
- "sum": their sum.
- "none": what each costs, an array.  It is drawn as a function then, no cost node, which has one
  scalar.

The mean of nothing is NaN, as in NumPy and PyTorch; the sum is 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from ....compiler.dtypes import computed
from ....compiler.errors import TypeRuleError
from ...arguments import one_of
from ...drawing.blocks import CostFunction, R
from ...errors import DtypeError, ShapeError
from ...location import user_location
from ...operations import reductions
from ...operations.broadcasting import broadcast_shape
from ...operations.elementwise import as_operands
from ...variables.variable import Variable, shape_text, source_text

Reduction = Literal["mean", "sum", "none"]


def cost(function: Callable[..., R], name: str | None = None) -> CostFunction[R]:
    """Draw a function of variables as a cost node (`@dg.cost`); otherwise as `dg.block`.

    A cost node has one scalar: where the function gives an array, it is drawn as a function.
    """
    return CostFunction(function, name)


def expect_reduction(label: str, reduction: Any) -> Reduction:
    """What is said of the reduction, if it is one."""
    return one_of(label, "reduction", reduction, ("mean", "sum", "none"))


def reduced(
    label: str, costs: Variable, reduction: Reduction, count: Variable | None = None
) -> Variable:
    """The mean or sum of all costs, or these themselves; the mean is over `count`, if given."""
    chosen = expect_reduction(label, reduction)
    if chosen == "none":
        return costs
    if chosen == "sum":
        return reductions.sum(costs)
    return reductions.mean(costs) if count is None else reductions.sum(costs) / count


def alike(label: str, **operands: Any) -> list[Variable]:
    """Operands, floats of one shape and dtype, as variables."""
    variables = as_operands(*operands.values())
    one, first = next(iter(operands)), variables[0]
    subject = f"{label} ({user_location()})"
    for other, second in zip(operands, variables, strict=True):
        if first.shape != second.shape:
            raise ShapeError(
                f"{subject} expects {one} and {other} of one shape, got {shape_text(first.shape)} "
                f"from {source_text(first)} and {shape_text(second.shape)} from "
                f"{source_text(second)}: nothing is broadcast, reshape one of them"
            )
    expect_floats(subject, one, first)
    for other, second in zip(operands, variables, strict=True):
        expect_dtype(subject, other, second, one, first)
    return variables


def expect_floats(subject: str, name: str, variable: Variable) -> None:
    """DtypeError unless a variable has floats."""
    if not variable.type.is_float:
        raise DtypeError(
            f"{subject} expects {name} of dtype float32 or float64, got {variable.dtype} from "
            f'{source_text(variable)}: convert it with .astype("float32")'
        )


def expect_dtype(subject: str, name: str, given: Variable, like: str, first: Variable) -> None:
    """DtypeError unless a variable has the dtype of another, or is computed with in the same."""
    if computed(given.dtype) != computed(first.dtype):
        raise DtypeError(
            f"{subject} expects {name} of dtype {first.dtype} like {like}, got {given.dtype} from "
            f'{source_text(given)}: convert it with .astype("{first.dtype}")'
        )


def weights_of(
    subject: str, name: str, weight: Any, like: str, first: Variable, shape: Sequence[Any] | None
) -> Variable:
    """Weights beside `first`, of its dtype: of this shape, or such that they broadcast to its own.

    Args:
        subject: who expects them.
        name: theirs.
        weight: a number, an array or a variable.
        like: what `first` is called.
        first: what they are beside.
        shape: theirs, or None.
    """
    given: Variable = as_operands(first, weight)[1]
    expect_dtype(subject, name, given, like, first)
    if shape is not None:
        fits, wanted = given.shape == tuple(shape), f"of shape {shape_text(tuple(shape))}"
    else:
        wanted = f"that broadcast to the shape {shape_text(first.shape)} of the {like}"
        try:
            fits = broadcast_shape([first.shape, given.shape]) == first.shape
        except TypeRuleError:
            fits = False
    if not fits:
        raise ShapeError(
            f"{subject} expects {name} {wanted}, got {shape_text(given.shape)} from "
            f"{source_text(given)}"
        )
    return given
