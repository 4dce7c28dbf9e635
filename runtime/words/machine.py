"""The machines that kernel text is lowered for, and the one that is meant now.

A value of the text has `lanes` elements.  A thread holds `width` of them in one register: on a
processor with vectors all, in a thread of a warp one, which is that of its own lane.  So lane
numbers, loads, masks and reductions depend on the machine, and arithmetic does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ..program import CPU


@dataclass(frozen=True)
class Machine:
    """What a value is: `lanes` elements, `width` of them in each of the threads that share it.

    With `teams` several threads of the host may run a kernel together, each as one warp of a team:
    they meet in the function MEETING, which whoever builds the text adds to it.  `halves` says
    whether it has instructions that make a float32 of a float16 and the other way.
    """

    lanes: int
    width: int
    teams: bool = False
    halves: bool = False

    @property
    def is_warp(self) -> bool:
        """Whether the lanes of a value are spread over threads."""
        return self.lanes > self.width

    @property
    def is_processor(self) -> bool:
        """Whether it has a processor's arithmetic: f64 at half the speed of f32.

        A graphics processor has it at a small part of that; what simulates one does as it does.
        """
        return self.lanes == CPU.lanes


HOST = Machine(CPU.lanes, CPU.lanes)
"""The processor: a value is a vector."""
WARP = Machine(32, 1, halves=True)
"""A graphics processor: a value is a number in each thread of a warp."""
MEETING = "diagrad_meeting"
"""The function in which threads of the host meet: of the address of their memory, and how many."""

_machine = HOST


def machine() -> Machine:
    """The machine that words are lowered for."""
    return _machine


@contextmanager
def lowering_for(meant: Machine) -> Iterator[None]:
    """Lower words for a machine; whoever builds kernels holds a lock, so one is meant at a time."""
    global _machine
    before, _machine = _machine, meant
    try:
        yield
    finally:
        _machine = before
