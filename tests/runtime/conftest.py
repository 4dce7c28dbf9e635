"""One cache for the engine's tests, apart from the user's."""

from collections.abc import Iterator

import pytest

from diagrad.runtime.building.cache import Cache, use_cache


@pytest.fixture(scope="session", autouse=True)
def session_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    use_cache(Cache(tmp_path_factory.mktemp("kernels")))
    yield
    use_cache(None)
