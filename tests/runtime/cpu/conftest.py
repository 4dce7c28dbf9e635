"""One cache for the engine's tests, apart from the user's."""

from collections.abc import Iterator

import pytest

from diagrad.runtime.cpu.building import natives
from diagrad.runtime.cpu.building.cache import Cache


@pytest.fixture(scope="session", autouse=True)
def session_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    natives.use_cache(Cache(tmp_path_factory.mktemp("kernels")))
    yield
    natives.use_cache(None)
