"""Checks of arguments, one for each kind: they look at the type first, then at the value.

Each gives the value in Python's own type, or raises TypeError or ValueError with one sentence:
"fit (model.py:3) expects epochs to be an integer of 0 or more, got 'ten'".  `what` says whose
argument it is; where it has no "(file.py:line)" yet, the user's line is added.
"""

from __future__ import annotations

import math
import operator
import os
import reprlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import numpy as np

from ..compiler.options import Unroll
from .location import user_location

T = TypeVar("T")


INT64 = 2**63 - 1
"""The greatest integer that a program can hold, where no limit is nearer."""


def integer(what: str, name: str, value: Any, least: int | None = None, most: int = INT64) -> int:
    """An integer from `least` to `most`: Python's or NumPy's, no bool, and never a float."""
    limit = "" if least is None else f" of {least} or more"
    if isinstance(value, int) and value > most:
        limit = f" of {most} or less"
    expected = f"{name} to be an integer{limit}"
    if isinstance(value, (bool, np.bool_)):
        raise wrong(what, expected, value)
    try:
        found = operator.index(value)
    except TypeError:
        raise wrong(what, expected, value) from None
    if found > most or found < (-INT64 if least is None else least):
        raise wrong(what, expected, value, ValueError)
    return found


def number(
    what: str,
    name: str,
    value: Any,
    *,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    below: float | None = None,
) -> float:
    """A finite number within limits, as a float: Python's, NumPy's, or an array of shape ()."""
    limits = []
    if least is not None:
        limits.append(f"of {least:g} or more")
    if above is not None:
        limits.append(f"above {above:g}")
    if most is not None:
        limits.append(f"of {most:g} or less")
    if below is not None:
        limits.append(f"below {below:g}")
    expected = " and ".join([f"{name} to be a number", *limits]).replace("number and", "number")
    if isinstance(value, np.ndarray) and value.shape == ():
        value = value[()]
    if isinstance(value, (bool, np.bool_)) or not isinstance(
        value, (int, float, np.integer, np.floating)
    ):
        raise wrong(what, expected, value)
    try:
        found = float(value)
    except OverflowError:
        raise wrong(what, expected, value, ValueError) from None
    if (
        not math.isfinite(found)
        or (least is not None and found < least)
        or (above is not None and found <= above)
        or (most is not None and found > most)
        or (below is not None and found >= below)
    ):
        raise wrong(what, expected, value, ValueError)
    return found


def turn(what: str, value: Any) -> Unroll:
    """How many steps of a loop are one turn of it: an integer of 1 or more, or True for all."""
    if isinstance(value, (bool, np.bool_)) and value:
        return "all"
    expected = "unroll to be an integer of 1 or more, or True"
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise wrong(what, expected, value)
    if value < 1:
        raise wrong(what, expected, value, ValueError)
    return int(value)


def flag(what: str, name: str, value: Any) -> bool:
    """True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise wrong(what, f"{name} to be True or False", value)
    return bool(value)


def one_of(what: str, name: str, value: Any, choices: Sequence[T]) -> T:
    """One of a few values, compared with those of its type alone."""
    for choice in choices:
        if type(choice) is type(value) and choice == value:
            return choice
    *others, last = map(repr, choices)
    listed = " or ".join(filter(None, [", ".join(others), last]))
    kind = ValueError if any(isinstance(value, type(choice)) for choice in choices) else TypeError
    raise wrong(what, f"{name} to be {listed}", value, kind)


def function(what: str, name: str, value: Any, example: str = "") -> Callable[..., Any]:
    """Something that can be called."""
    if not callable(value):
        raise wrong(what, f"{name} to be a function{example and f', {example}'}", value)
    return value  # type: ignore[no-any-return]


def instance(what: str, name: str, value: Any, kind: type[T], example: str) -> T:
    """An instance of a class; where the class itself is given, the message says to call it."""
    if not isinstance(value, kind):
        raise wrong(what, f"{name} to be {example}", value)
    return value


def items(what: str, name: str, value: Any, of: str) -> list[Any]:
    """The items of a list, tuple or other collection that is no text."""
    if not isinstance(value, (str, bytes)) and isinstance(value, Iterable):
        try:
            return list(value)
        except TypeError:  # a variable, which has no length
            pass
    raise wrong(what, f"{name} to be a list of {of}", value)


def text(what: str, name: str, value: Any, example: str = "a text") -> str:
    """A text of Python."""
    if not isinstance(value, str):
        raise wrong(what, f"{name} to be {example}", value)
    return value


def path(what: str, name: str, value: Any) -> str:
    """The path of a file, as text."""
    if not isinstance(value, (str, os.PathLike)) or not isinstance(os.fspath(value), str):
        raise wrong(what, f"{name} to be the path of a file", value)
    return os.fspath(value)


def wrong(
    what: str, expected: str, value: Any, kind: type[Exception] = TypeError, remedy: str = ""
) -> Exception:
    """The error that says what was expected and what came instead."""
    where = "" if ".py:" in what or what.endswith(")") else f" ({user_location()})"
    if not remedy and isinstance(value, type):
        remedy = f"make one, as {value.__name__}(...)"
    return kind(f"{what}{where} expects {expected}, got {shown(value)}{remedy and f': {remedy}'}")


def shown(value: Any) -> str:
    """A value in a message: numbers and short texts as they are written, others by their type."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if value is None or isinstance(value, (bool, int, float, str, np.generic)):
        try:
            return _SHORT.repr(value.item() if isinstance(value, np.generic) else value)
        except ValueError:  # an integer of thousands of digits
            return "a huge integer"
    if isinstance(value, np.ndarray):
        extents = ", ".join(map(str, value.shape))
        return f"an array {value.dtype} ({extents}{',' if value.ndim == 1 else ''})"
    return _with_article(type(value).__name__)


def _with_article(noun: str) -> str:
    return f"{'an' if noun[:1].lower() in 'aeio' else 'a'} {noun}"


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 40
