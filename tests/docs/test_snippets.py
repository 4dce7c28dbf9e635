"""Every snippet of Python in the README and docs/ runs, and draws nothing that carries a mistake.

The blocks of one document run in their order, in one namespace, in an empty folder.  What a block
needs that the document does not show stands before it in a comment, `<!-- setup ... -->`.
"""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import diagrad as dg

ROOT = Path(__file__).resolve().parent.parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^(?:<!-- setup\n(.*?)^-->|```python\n(.*?)^```)$", re.DOTALL | re.MULTILINE)


def blocks(path: Path) -> Iterator[tuple[int, str]]:
    """The code of a document, each block with the line that it begins at."""
    text = path.read_text(encoding="utf-8")
    for found in BLOCK.finditer(text):
        code = found.group(1) or found.group(2)
        yield text.count("\n", 0, found.start(1 if found.group(1) else 2)), code


def mistakes(value: Any) -> list[str]:
    if isinstance(value, (list, tuple)):
        return [text for item in value for text in mistakes(item)]
    return [str(item) for item in value.mistakes] if isinstance(value, dg.Variable) else []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_the_snippets_of_a_document_run(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "examples" / "data", tmp_path / "examples" / "data")
    space: dict[str, Any] = {"dg": dg, "np": np, "__name__": path.stem}
    for line, code in blocks(path):
        # Empty lines in front, so that a traceback has the document's own lines.
        exec(compile("\n" * line + code, str(path), "exec"), space)
        for name, value in list(space.items()):
            assert not mistakes(value), f"{path.name}:{line}: {name}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_python_stands_in_blocks_that_are_run(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    outside = BLOCK.sub("", text)
    loose = [line for line in outside.splitlines() if re.match(r"(    |\t).*\bdg\.", line)]
    assert not loose, "not between ```python and ```"
    assert len(list(blocks(path))) == len(re.findall(r"^(?:<!-- setup|```python)$", text, re.M))
