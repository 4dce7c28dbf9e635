"""Programs of the table where each lane is a thread: no lane reads what another has yet to write.

The kernels are lowered as they are for PTX.  Those that call a routine run in lock-step.
"""

import re
from collections.abc import Sequence

import pytest

from diagrad.runtime.cuda.device import Loaded
from diagrad.runtime.program import ROUTINES, Kernel

from ..warps import Warp
from .programs import CASES, bound, inputs
from .running import Both
from .simulated import SimulatedDevice

CALLS = re.compile(rf"\b({'|'.join(ROUTINES)})\(")
SMALL = [(name, case.sizes[-1]) for name, case in CASES.items() if not name.endswith("float64")]
"""Every program once; a float64 has kernels like those of a float32."""


class _Lanes:
    """A kernel whose worker is a warp, a thread for each lane."""

    def __init__(self, kernel: Kernel, near: bool) -> None:
        self.kernel, self.near = kernel, near
        self._warp = Warp(kernel.source)

    def __call__(self, args: int, lo: int, hi: int, space: int, warp: int, warps: int) -> None:
        assert (warp, warps) == (0, 1)
        self._warp(args, lo, hi, space)


class LaneDevice(SimulatedDevice):
    """A device whose warps have 32 threads."""

    alone = 0
    """Kernels that run so."""

    def load(self, kernels: Sequence[tuple[Kernel, bool]]) -> list[Loaded]:
        made = super().load(kernels)
        for place, (kernel, near) in enumerate(kernels):
            if not CALLS.search(kernel.source):
                loaded = made[place]
                made[place] = Loaded(
                    _Lanes(kernel, near), *(getattr(loaded, name) for name in (
                        "name", "origin", "reason", "milliseconds"
                    )),
                )  # fmt: skip
                self.alone += 1
        return made


@pytest.mark.parametrize(("name", "sizes"), SMALL)
def test_steps_are_those_of_the_reference(name: str, sizes: dict[str, int]) -> None:
    device = LaneDevice(seed=len(name))
    both = Both(name, sizes, bound(name, sizes), device)
    both.step(inputs(name, sizes))
    assert device.alone
