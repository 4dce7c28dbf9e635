"""The machine's device for all tests here; without one each is skipped, with what is missing."""

from typing import Any

import pytest

from diagrad.runtime.cuda import using


@pytest.fixture(scope="session", autouse=True)
def device() -> Any:
    """What programs of target "cuda" run on."""
    missing = using.missing()
    if missing:
        pytest.skip(f"no GPU: {missing}")
    return using.device()
