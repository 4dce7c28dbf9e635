"""Dtypes that nobody has stated: what is drawn of Python's numbers adopts that of what it meets.

    dg.constant(0.1) * x        float64 beside an x of float64, and 0.1 to all of its digits
    2 * dg.one_hot(y, 10) - 1   float64 beside scores of float64

A variable without a stated dtype is float32 (int32, of integers) until an operation or a block
joins it with one whose dtype was stated, as an observed variable's or a NumPy array's: then it is
drawn again in that dtype.  Nothing else is ever converted: two stated dtypes that differ are a
mistake.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ...compiler.dtypes import COMPUTED, computed
from ..errors import DtypeError
from ..location import user_location
from .applying import conclude
from .constants import constant
from .numbers import holder
from .substitution import current
from .variable import Variable, dtype_name

LEAST = {"int32": -(2**31), "int64": -(2**63), "uint32": 0}
GREATEST = {"int32": 2**31 - 1, "int64": 2**63 - 1, "uint32": 2**32 - 1}
LETTERS = {"float32": "f", "float64": "f", "int32": "i", "int64": "i", "uint32": "i", "bool": "b"}
LETTERS |= {name: LETTERS[wide] for name, wide in COMPUTED.items()}


def unstated(variable: Variable, restate: Callable[[str], Variable], kinds: str = "f") -> Variable:
    """The variable itself, whose dtype nobody has stated; `restate` draws it in another one."""
    variable.weak, variable.restate = kinds, restate
    return variable


def of_dtype(
    draw: Callable[[str], Variable], dtype: Any, default: str, kinds: str = "f"
) -> Variable:
    """A variable of a stated dtype, or of a default one that adopts another."""
    if dtype is None:
        return unstated(draw(default), draw, kinds)
    return draw(dtype_name(dtype))


ORDER = ("float64", "float32", "uint32", "int64", "int32", "bool")


def common_dtype(variables: Sequence[Variable], numbers: Sequence[str] = ()) -> tuple[str, bool]:
    """The dtype that all without a stated one adopt, and whether somebody has stated it.

    `numbers` are the dtypes that Python's numbers would have beside nothing.
    """
    known = [item for item in variables if not item.mistakes]
    stated = [computed(item.dtype) for item in known if not item.weak]
    found = next((name for name in stated if name != "bool"), stated[0] if stated else None)
    if found is not None:
        return found, True
    weak = [*numbers, *(item.dtype for item in known)]
    return next((name for name in ORDER if name in weak), "float32"), False


def _adopts(variable: Variable, dtype: str) -> bool:
    """Whether the variable is drawn again to have this dtype."""
    return not variable.mistakes and variable.dtype != dtype and LETTERS[dtype] in variable.weak


def restated(variable: Variable, dtype: str) -> Variable:
    """A variable without a stated dtype, and all that it is made of, drawn again in this one."""
    done: dict[Variable, Variable] = {}
    waiting = [variable]
    while waiting:
        item = waiting[-1]
        producer = item.producer
        sources = [] if producer is None or item.restate is not None else producer.inputs
        changed = [source for source in sources if _adopts(source, dtype)]
        missing = [source for source in changed if source not in done]
        if item in done or not missing:
            waiting.pop()
        if item in done:
            continue
        if item.restate is not None:
            done[item] = item.restate(dtype)
            done[item].where = item.where
        elif not missing:
            assert producer is not None and producer.rule is not None
            inputs = [done.get(source, source) for source in producer.inputs]
            again = replace(producer, inputs=current(inputs))
            conclude(again, len(producer.outputs))
            for old, new in zip(producer.outputs, again.outputs, strict=True):
                new.where, new.name, done[old] = old.where, old.name, new
        waiting += missing
    return done[variable]


def adopted(variable: Variable, dtype: str, stated: bool = True) -> Variable:
    """A variable in this dtype, if it has no stated one; still without one unless this one is."""
    if not _adopts(variable, dtype):
        return variable
    found = restated(variable, dtype)
    if not stated and variable.restate is not None:
        unstated(found, variable.restate, variable.weak)
    return found


def number(value: float, dtype: str, stated: bool) -> Variable:
    """A number of Python beside variables of this dtype; DtypeError if it cannot hold it."""
    if not dtype.startswith("float") and not LEAST[dtype] <= value <= GREATEST[dtype]:
        raise DtypeError(
            f"a number beside {dtype} ({user_location()}) expects a value that {dtype} holds, got "
            f'{value}: convert the variable with .astype("{holder(value)}")'
        )
    found = constant(value, dtype)
    if not stated:
        unstated(found, lambda other: constant(value, other), "fi")
    return found
