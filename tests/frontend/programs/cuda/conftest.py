"""Programs of target "cuda" in these tests run on a device that is simulated on the host."""

from collections.abc import Iterator

import pytest

from diagrad.runtime.cuda.using import use_device

from ....runtime.cuda.simulated import SimulatedDevice


@pytest.fixture(autouse=True)
def device() -> Iterator[SimulatedDevice]:
    made = SimulatedDevice()
    before = use_device(made)
    yield made
    use_device(before)
