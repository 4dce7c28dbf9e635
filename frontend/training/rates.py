"""The learning rate of a program: what its optimizer says, or what was set while training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..arguments import number, shown
from ..errors import InputError
from ..location import user_location
from .optimizers import RATE, Optimizer

if TYPE_CHECKING:
    from ..programs.running import Running


def rate_of(program: Running) -> float:
    """The rate of the next step; InputError for a program that has none."""
    chosen = _chosen(program)
    if not np.isnan(chosen):
        return float(str(chosen[()]))  # as it was written: 0.1, also where it is kept in float32
    assert isinstance(program.optimizer, Optimizer)
    return program.optimizer.schedule(int(program.states["step"]))


def set_rate(program: Running, value: float | None) -> None:
    """Let the steps from now on have this rate, or with None that of the optimizer.

    Raises:
        InputError: the program has no optimizer, or one without a learning rate.
        TypeError, ValueError: neither a number of 0 or more nor None.
    """
    chosen = _chosen(program)
    subject = f"program '{program.diagram.name}' ({user_location()})"
    if callable(value):
        raise TypeError(
            f"{subject} expects learning_rate to be a number, or None for what its optimizer says, "
            f"got {shown(value)}: compile the diagram with an optimizer of that schedule"
        )
    rate = np.nan if value is None else number(subject, "learning_rate", value, least=0)
    program.workspace.hold(lambda: np.copyto(chosen, rate))


def _chosen(program: Running) -> npt.NDArray[Any]:
    """The state that holds a rate that was set, or NaN."""
    if program.optimizer is None:
        raise program.no_optimizer()
    if RATE not in program.states:
        raise InputError(
            f"program '{program.diagram.name}' has an optimizer without a learning rate, "
            f"{shown(program.optimizer)}: one of dg.Optimizer has one"
        )
    return program.states[RATE]
