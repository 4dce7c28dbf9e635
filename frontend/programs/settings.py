"""What a program may be compiled with, looked at before anything is drawn."""

from __future__ import annotations

from typing import Any

from ...compiler.options import Options
from ..arguments import shown, turn, wrong
from ..drawing.drawing import Drawing
from ..drawing.loops.checks import check_unroll, loops_of
from ..errors import DiagramError, DtypeError, InputError
from ..variables.variable import dtype_name


def options_of(diagram: Drawing, dtype: Any, unroll: Any, subject: str) -> Options:
    """The compiler's options; DtypeError, ValueError or DiagramError for what is none."""
    precision = None if dtype is None else dtype_name(dtype, subject)
    if precision not in (None, "float32", "float64"):
        raise DtypeError(f"{subject} expects dtype float32 or float64, got {precision}")
    turns = check_unroll(subject, loops_of(diagram.applications), turn(subject, unroll))
    return Options(precision=precision, unroll=turns)


def check_threads(threads: Any, subject: str) -> None:
    """InputError unless it is a number of threads, or None."""
    if not (threads is None or (type(threads) is int and threads > 0)):
        raise InputError(f"{subject} expects a number of threads from 1 on, got {shown(threads)}")


def check_optimizer(optimizer: Any, diagram: Drawing, subject: str) -> None:
    """TypeError for what is no optimizer, DiagramError for a diagram that has no cost for one."""
    if optimizer is None:
        return
    makes = getattr(optimizer, "draw", None) or getattr(optimizer, "step_of", None)
    if not callable(makes) or isinstance(optimizer, type):
        raise wrong(subject, "an optimizer such as dg.Adam(1e-3)", optimizer)
    if diagram.cost is None:
        raise DiagramError(
            f"{subject} expects a diagram with a cost for the optimizer to make small, got one "
            f"without: Diagram(..., cost=...) ({diagram.where})"
            + ("; a step of its updates alone needs no optimizer" if diagram.updates else "")
        )
