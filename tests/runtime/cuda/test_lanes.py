"""Programs of the table where each lane is a thread: no lane reads what another has yet to write.

Kernels and routines are lowered as they are for PTX.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from diagrad.runtime.cuda.code import Code
from diagrad.runtime.cuda.device import Call, Loaded
from diagrad.runtime.cuda.shapes import is_team
from diagrad.runtime.program import Kernel

from ..warps import Warp, WarpsOfWalk
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

    def load(self, codes: Sequence[Code]) -> list[Loaded]:
        """A walk is the very text that becomes PTX, with the warps of a team."""
        found = super().load(codes)
        return [
            replace(one, function=WarpsOfWalk(code.kernels, self.team)) if code.walks else one
            for one, code in zip(found, codes, strict=True)
        ]

    def _run(self, node: Any) -> None:
        if isinstance(node, Call) and isinstance(node.function, WarpsOfWalk):
            table, lo, hi, runs, _, scratch, _ = node.arguments
            self.done["walk"] += 1
            node.function(table, lo, hi, runs, scratch)
        else:
            super()._run(node)

    def _functions(self, kernels: Sequence[tuple[Kernel, bool]]) -> list[Loaded]:
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
    device = LaneDevice(seed=len(name), team=2)
    both = Both(name, sizes, bound(name, sizes), device)
    both.step(inputs(name, sizes))
    assert device.done["walk"] == len(both.executor.plan.walks)
