"""Programs of the table where each lane is a thread: no lane reads what another has yet to write.

Kernels and routines are lowered as they are for PTX.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from diagrad.runtime.cuda.device import Loaded
from diagrad.runtime.cuda.plan import is_team
from diagrad.runtime.program import Kernel

from ..warps import Warp
from .programs import CASES, bound, inputs
from .running import Both
from .simulated import SimulatedDevice

SMALL = [(name, case.sizes[-1]) for name, case in CASES.items() if not name.endswith("float64")]
"""Every program once; a float64 has kernels like those of a float32."""


class _Lanes:
    """A kernel whose worker is a warp or a team, a thread for each lane."""

    def __init__(self, kernel: Kernel, near: bool, warps: int) -> None:
        self.kernel, self.near = kernel, near
        self._warp = Warp(kernel.source, warps)

    def __call__(self, args: int, lo: int, hi: int, space: int, warp: int, warps: int) -> None:
        self._warp(args, lo, hi, space)


class LaneDevice(SimulatedDevice):
    """A device whose warps have a thread for each lane."""

    def load(self, kernels: Sequence[tuple[Kernel, bool]]) -> list[Loaded]:
        self.done["kernel"] += len(kernels)
        return [
            Loaded(_Lanes(k, near, self.team if is_team(k) else 1), k.name, "compiled", "", 0.0)
            for k, near in kernels
        ]

    def _team(self, function: Any, words: int, index: int, scratch: int, space: int) -> None:
        memory = self._memory(function, space, scratch)
        function(words, index, index + 1, memory.address, 0, self.team)
        memory.check()


@pytest.mark.parametrize(("name", "sizes"), SMALL)
def test_steps_are_those_of_the_reference(name: str, sizes: dict[str, int]) -> None:
    both = Both(name, sizes, bound(name, sizes), LaneDevice(seed=len(name), team=2))
    both.step(inputs(name, sizes))
