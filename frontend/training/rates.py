"""The learning rate of a program: what its optimizer says, or what was set while training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..arguments import number, shown
from ..errors import InputError
from ..location import user_location
from .optimizers import RATE

if TYPE_CHECKING:
    from ..programs.running import Running


def rate_of(program: Running) -> Any:
    """The rate of the next step, a float; of groups an array of theirs, that cannot be written to.

    InputError for a program that has none.
    """
    chosen = _chosen(program)
    assert program.optimizer is not None
    step = int(program.states["step"])
    schedules = program.optimizer.schedules
    rates = [
        schedule(step) if np.isnan(rate) else float(str(rate))  # as it was written: 0.1, in float32
        for schedule, rate in zip(schedules, chosen.reshape(-1), strict=True)
    ]
    if chosen.ndim == 0:
        return rates[0]
    found = np.array(rates)
    found.setflags(write=False)
    return found


def set_rate(program: Running, value: Any) -> None:
    """Let the steps from now on have this rate, or with None that of the optimizer.

    Groups have one for all, or a sequence of as many.

    Raises:
        InputError: the program has no optimizer, or one without a learning rate.
        TypeError, ValueError: neither a number of 0 or more nor None; not one for each group.
    """
    chosen = _chosen(program)
    subject = f"program '{program.diagram.name}' ({user_location()})"
    if callable(value):
        raise TypeError(
            f"{subject} expects learning_rate to be a number, or None for what its optimizer says, "
            f"got {shown(value)}: compile the diagram with an optimizer of that schedule"
        )
    if chosen.ndim and isinstance(value, (Sequence, np.ndarray)) and np.ndim(value) == 1:
        values = list(value)
        if len(values) != len(chosen):
            raise ValueError(
                f"{subject} expects learning_rate to be one number or {len(chosen)}, one for each "
                f"group, got {len(values)}"
            )
    else:
        values = [value]
    rates = [
        np.nan if item is None else number(subject, "learning_rate", item, least=0)
        for item in values
    ]
    program.workspace.hold(lambda: np.copyto(chosen, rates if chosen.ndim else rates[0]))


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
