"""Every example runs, without a warning, from any folder, and shows what it promises."""

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# What each writes.
EXAMPLES = {
    "01_digits": ["backward.svg", "drawn.svg", "graph.svg", "learning_curve.svg"],
    "02_gradient_is_a_graph": ["gradient_of_gradient.svg"],
}


def run(name: str, folder: Path, *options: str) -> str:
    """What an example prints, run as a user does, from a folder of its own."""
    paths = filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])
    finished = subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "examples" / f"{name}.py"), *options],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True, text=True, encoding="utf-8", check=False, timeout=300,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def test_none_is_forgotten() -> None:
    assert {path.stem for path in (ROOT / "examples").glob("*.py")} == set(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example(name: str, tmp_path: Path) -> None:
    out = tmp_path / "made" / "out"
    printed = run(name, tmp_path, "--out", str(out))
    assert sorted(path.name for path in out.iterdir()) == EXAMPLES[name]
    for path in out.iterdir():
        assert ElementTree.parse(path).getroot().tag == "{http://www.w3.org/2000/svg}svg"
    assert [path.name for path in tmp_path.iterdir()] == ["made"]
    if name == "01_digits":
        check_digits(printed)
    else:
        check_gradient(printed)


def check_digits(printed: str) -> None:
    assert printed.startswith("digits\n")  # the summary
    assert re.search(r"free parameters +9,610 ", printed)
    last = printed.splitlines()[-1]
    found = re.fullmatch(r"accuracy on 500 digits it has not seen: (\d+\.\d)%", last)
    assert found and float(found[1]) >= 97.0, last


def check_gradient(printed: str) -> None:
    found = re.search(r"by finite differences the same up to (\S+)", printed)
    assert found and float(found[1]) < 1e-8
    slopes = re.findall(r"penalty \S+: error \S+, mean squared slope (\S+)", printed)
    assert len(slopes) == 2 and float(slopes[1]) < 0.5 * float(slopes[0])
