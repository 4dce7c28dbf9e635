"""The machine's device for all tests here; without one each is skipped, with what is missing."""

from collections.abc import Iterator
from typing import Any

import pytest

from diagrad.runtime.cuda.building.cubins import build
from diagrad.runtime.cuda.driver import DriverDevice
from diagrad.runtime.cuda.finding import MissingError, find
from diagrad.runtime.cuda.using import use_device


@pytest.fixture(scope="session")
def device() -> Any:
    try:
        find()
    except MissingError as error:
        pytest.skip(f"no GPU: {error}")
    from cuda.bindings import driver

    return DriverDevice(driver, build)


@pytest.fixture
def programs_on_it(device: Any) -> Iterator[Any]:
    """Programs that are compiled for "cuda" run there."""
    before = use_device(device)
    yield device
    use_device(before)
