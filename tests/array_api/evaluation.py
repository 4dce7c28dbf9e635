"""Expressions drawn for some arrays, and their values: one diagram for every call of a function."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

import diagrad as dg

from .dtypes import DTYPES

Values = npt.NDArray[Any]

TARGET: Any = os.environ.get("DIAGRAD_ARRAY_API_TARGET", "reference")
"""What runs them: `reference` for speed, or "cpu" for the kernels."""


def evaluated(function: Callable[..., Any], *arrays: Values) -> Any:
    """What a function of variables draws, run on the arrays: an array, or a list of them."""
    for array in arrays:
        if array.dtype not in DTYPES.values():
            raise TypeError(f"expected one of {', '.join(DTYPES)}, got {array.dtype}")
    variables = [
        dg.observed(f"x{place}", array.shape, array.dtype) for place, array in enumerate(arrays)
    ]
    drawn = function(*variables)
    several = isinstance(drawn, (list, tuple))
    outputs = {f"y{place}": item for place, item in enumerate(drawn if several else [drawn])}
    if not outputs:
        return []
    program = dg.Diagram("expression", outputs).compile(target=TARGET)
    values = program.run(**{f"x{place}": np.asarray(a) for place, a in enumerate(arrays)})
    found = [values[name] for name in outputs]
    return found if several else found[0]
