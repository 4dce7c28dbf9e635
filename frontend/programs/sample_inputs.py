"""Made-up inputs for a program whose speed is asked for, not its results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ...compiler.dtypes import kind_of
from ...compiler.graph import Check
from ...compiler.graphs.binding import Sizes
from ...compiler.sizes import evaluate
from .inputs import Expected


def sample_inputs(
    expected: Sequence[Expected], checks: Sequence[Check], sizes: Sizes
) -> dict[str, npt.NDArray[Any]]:
    """An array for each input at these sizes, the same ones every time.

    Floats are drawn from a normal distribution, booleans are either with equal chance, integers
    are drawn from the range that the graph checks, and 0 where it checks none.

    Raises:
        KeyError: a named size that `sizes` does not have.
    """
    rng = np.random.default_rng(0)
    ranges = {c.name: (evaluate(c.low, sizes), evaluate(c.high, sizes)) for c in checks}
    arrays: dict[str, npt.NDArray[Any]] = {}
    for item in expected:
        shape = tuple(evaluate(extent, sizes) for extent in item.shape)
        if kind_of(item.dtype) == "f":
            arrays[item.name] = rng.normal(size=shape).astype(item.dtype)
        elif item.dtype.kind == "b":
            arrays[item.name] = rng.integers(0, 2, shape).astype(bool)
        else:
            low, high = ranges.get(item.name, (0, 1))
            arrays[item.name] = rng.integers(low, high, shape).astype(item.dtype)
    return arrays


def sample_text(arrays: Mapping[str, npt.NDArray[Any]]) -> str:
    """What was made up: "x float32 (64, 784), y int32 (64,) in [0, 9]"."""
    parts = []
    for name, array in arrays.items():
        text = f"{name} {array.dtype} {array.shape}"
        if array.dtype.kind in "iu" and array.size:
            text += f" in [{array.min()}, {array.max()}]"
        parts.append(text)
    return ", ".join(parts) or "none"
