"""What a program may ask of the passes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Unroll = int | Literal["all"]
"""How many steps of a loop are one turn of it: 1 or more, or all."""


@dataclass(frozen=True)
class Options:
    """What a program asks of the passes; an option that is None leaves the graph as it is.

    The text of all of them is a part of the key in the cache of programs.

    Attributes:
        precision: "float32" or "float64", which every float becomes.
        unroll: how many steps of a loop that says nothing of its own are one turn of it.
    """

    precision: str | None = None
    unroll: Unroll = 1
