"""Every test of a word is one of a vector, of one lane, and of the lanes of a warp.

Those are one vector in lock-step, or a thread each, as they are on a graphics processor.
"""

from collections.abc import Iterator

import pytest

from diagrad.runtime.program import CPU, CUDA

from ..engine import written_for

WAYS = {
    "one lane": (1, False),
    "vector": (CPU.lanes, False),
    "lock-step": (CUDA.lanes, False),
    "threads": (CUDA.lanes, True),
}


@pytest.fixture(autouse=True, params=WAYS)
def lanes(request: pytest.FixtureRequest) -> Iterator[int]:
    count, threads = WAYS[request.param]
    with written_for(count, threads):
        yield count
