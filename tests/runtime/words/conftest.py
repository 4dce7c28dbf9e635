"""Every test of a word is one of a vector, of one lane, and of the lanes of a warp."""

from collections.abc import Iterator

import pytest

from diagrad.runtime.program import CPU, CUDA

from ..engine import written_for


@pytest.fixture(autouse=True, params=[1, CPU.lanes, CUDA.lanes], ids=lambda n: f"{n} lanes")
def lanes(request: pytest.FixtureRequest) -> Iterator[int]:
    with written_for(request.param):
        yield request.param
