"""What a program may ask of the passes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """What a program asks of the passes; an option that is None leaves the graph as it is.

    The text of all of them is a part of the key in the cache of programs.

    Attributes:
        precision: "float32" or "float64", which every float becomes.
    """

    precision: str | None = None
