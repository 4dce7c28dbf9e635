"""What a launch runs: the kernels that are built into one function of the device."""

from __future__ import annotations

from dataclasses import dataclass

from ..program import Kernel

RUN = 8
"""Words by which a walk finds a run: see `building/walk.py`."""


@dataclass(frozen=True, slots=True)
class Code:
    """A kernel, or the persistent kernel of a walk, which has several in it.

    Attributes:
        kernels: each with whether its worker's memory is shared memory, or global.
        walks: whether it is of a walk, which names them by their places here.
    """

    kernels: tuple[tuple[Kernel, bool], ...]
    walks: bool = False

    @property
    def name(self) -> str:
        """For messages and reports."""
        name = self.kernels[0][0].name
        more = len(self.kernels) - 1
        return f"walk of {name}{f' and {more} more' * (more > 0)}" if self.walks else name
