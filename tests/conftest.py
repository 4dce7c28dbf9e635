"""What every test may use: the `golden` fixture and the flag that refreshes its texts."""

import difflib
from collections.abc import Callable
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent / "golden"


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
