"""What every test may use: the `golden` fixture and the flag that refreshes its texts."""

import difflib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

from diagrad.frontend.drawing import states

GOLDEN = Path(__file__).parent / "golden"

# In CI the random cases are the same on every run; at the desk they go on searching.
hypothesis.settings.register_profile("ci", derandomize=True, deadline=None)
if os.environ.get("CI"):
    hypothesis.settings.load_profile("ci")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--refresh-golden",
        action="store_true",
        help="write the texts in tests/golden instead of comparing with them",
    )


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """`golden(name, text)`: compare `text` with tests/golden/NAME.txt, or write it there."""
    refresh = bool(request.config.getoption("--refresh-golden"))

    def compare(name: str, text: str) -> None:
        path = GOLDEN / f"{name}.txt"
        text = text.rstrip("\n") + "\n"
        if refresh:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
            return
        shown = f"tests/golden/{name}.txt"
        if not path.exists():
            pytest.fail(f"{shown} does not exist: make it with --refresh-golden", pytrace=False)
        expected = path.read_text(encoding="utf-8")
        if text != expected:
            difference = difflib.unified_diff(
                expected.splitlines(), text.splitlines(), shown, "this run", lineterm=""
            )
            message = "\n".join([*difference, "", "If it is meant to be so: --refresh-golden"])
            pytest.fail(message, pytrace=False)

    return compare


@pytest.fixture(autouse=True)
def apart() -> Iterator[None]:
    """What a test has drawn of states alone is no part of another test's diagrams.

    A diagram takes counts that were drawn since its first variable; blocks of a test module are
    drawn when that is imported, before all tests.
    """
    yield
    states._made_from_nothing.clear()


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Kernels are kept in a folder of this session, never in the user's cache.

    Processes that tests start inherit it, and so do the workers of a parallel run.
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "kernels"
    before = os.environ.get("DIAGRAD_CACHE")
    os.environ["DIAGRAD_CACHE"] = str(folder)
    yield folder
    if before is None:
        del os.environ["DIAGRAD_CACHE"]
    else:
        os.environ["DIAGRAD_CACHE"] = before
