"""Masks of a loop: where a gradient may enter a step, and where a sample still has one.

They are variables like any other: a sequence drawn outside of the loop, a selection in it.
"""

from __future__ import annotations

from ....compiler.graph import Node
from ....compiler.primitives.record import Builder
from ....compiler.sizes import Dim
from ...operations.elementwise import stop_gradient, where
from ...operations.places import expect_within, fixed_value
from ...operations.structure import reshape
from ...variables.applying import apply
from ...variables.kinds import Keeps, Lasts
from ...variables.variable import Variable
from ..blocks import block


@block
def stop_gradient_at(keeps: Variable, z: Variable) -> Variable:
    """What comes out of a delay; where `keeps` (of shape ()) is false, no gradient goes back."""
    return where(keeps, z, stop_gradient(z))


@block
def hold(lasts: Variable, new: Variable, other: Variable) -> Variable:
    """The new value where a mask of samples, of shape (B,), is true, and the other one elsewhere.

    A delay of a sample without a next step goes back to its initial value, so that a step that a
    sample does not have computes what its first step does: see `mask_padding`, a pass.
    """
    return where(_spread(lasts, new.ndim), new, other)


@block
def blank(lasts: Variable, y: Variable) -> Variable:
    """The values of the samples that still last (a mask of shape (B,)), zeros for the others."""
    return where(_spread(lasts, y.ndim), y, False if y.dtype == "bool" else 0)


def _spread(mask: Variable, rank: int) -> Variable:
    """A mask of samples beside values of this rank, whose first axis counts samples."""
    return mask if rank == 1 else reshape(mask, (*mask.shape, *(1,) * (rank - 1)))


def keeps(steps: Dim, every: int, reverse: bool) -> Variable:
    """For each element of a loop's sequences, whether the gradient passes the delays there.

    It does not at every K-th step, but does at the first, where the delays hold initial values.
    Bool of shape (steps,).
    """

    def rule(b: Builder) -> Node:
        # Whole numbers as floats: exact up to 2**24 steps, also where floats become float32.
        count = b.apply("iota", axis=0, shape=(steps,), dtype="float64")
        if reverse:
            count = b.flip(count, axes=(0,))
        each = b.fill(every, count.type)
        whole = b.mul(b.floor(b.div(count, each)), each)
        return b.apply("or", b.ne(whole, count), b.eq(count, b.fill(0, count.type)))

    result: Variable = apply(f"keeps {every}", rule, [], kind=Keeps, every=every)
    return result


def lasts(lengths: Variable, steps: Dim, ahead: int = 0) -> Variable:
    """For each element of a loop's sequences and each sample, whether the sample has that step.

    Bool of shape (steps, B), for `lengths` of shape (B,), which must lie in [0, steps].  With
    `ahead=1`, whether the sample has the step after it.
    """
    fixed = fixed_value(lengths)

    def rule(b: Builder, lengths: Node) -> Node:
        if fixed is not None and not ahead:
            high = steps + 1 if isinstance(steps, int) else steps
            expect_within("lengths", fixed, 0, high, where="lengths")
        shape = (steps, *lengths.shape)
        checked = b.widened(b.apply("in_range", lengths, low=0, high=steps + 1))
        count = b.apply("iota", axis=0, shape=shape, dtype=checked.dtype)
        if ahead:
            count = b.add(count, b.fill(ahead, count.type))
        return b.lt(count, b.broadcast(checked, shape=shape, axes=(1,)))

    result: Variable = apply("lasts", rule, [lengths], kind=Lasts, as_stored=True)
    return result
