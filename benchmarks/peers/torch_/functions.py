"""PyTorch: single functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from ...arrays import Arrays
from ...functions import FUNCTIONS, placed
from ..common import Job, repeated

_FUNCTIONS: dict[str, Any] = {
    "sort": lambda x: torch.sort(x).values,
    "topk": lambda x: torch.topk(x, 8).values,
    "median": lambda x: torch.quantile(x, 0.5, dim=-1),  # torch.median gives the lower of two
    "cumprod": lambda x: torch.cumprod(x, -1),
    "take_along_axis": lambda x, i: torch.take_along_dim(x, i, -1),
    "cholesky": torch.linalg.cholesky,
}


def build(name: str, arrays: Arrays, compiled: bool) -> Job:
    """The function; `compiled` puts it under torch.compile."""
    wrap: Callable[[Any], Any] = torch.compile if compiled else lambda function: function
    function = wrap(_FUNCTIONS[FUNCTIONS[name].kind])
    given = [torch.tensor(array) for array in arrays.values()]
    held: list[Any] = []

    def step() -> None:
        held[:] = [function(*given)]

    return Job(step, repeated(step), lambda: placed(held[0].cpu().numpy()))
