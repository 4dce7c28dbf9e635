"""Every snippet of Python in the README and docs/ runs, and draws nothing that carries a mistake.

The blocks of one document run in their order, in one namespace, in an empty folder.  What a block
needs that the document does not show stands before it in a comment, `<!-- setup ... -->`.  (The
pages of the course are run by `test_slides`.)
"""

import re
import shutil
from pathlib import Path

import pytest

from .snippets import BLOCK, ROOT, blocks, run

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES = sorted((ROOT / "docs").glob("*/*.md"))


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_the_snippets_of_a_document_run(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "examples" / "data", tmp_path / "examples" / "data")
    run(path)


@pytest.mark.parametrize("path", DOCUMENTS + PAGES, ids=lambda path: path.name)
def test_python_stands_in_blocks_that_are_run(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    outside = BLOCK.sub("", text)
    loose = [line for line in outside.splitlines() if re.match(r"(    |\t).*\bdg\.", line)]
    assert not loose, "not between ```python and ```"
    assert len(list(blocks(path))) == len(re.findall(r"^(?:<!-- setup|```python)$", text, re.M))


@pytest.mark.parametrize("path", DOCUMENTS + PAGES, ids=lambda path: path.name)
def test_links_lead_to_files(path: Path) -> None:
    outside = BLOCK.sub("", path.read_text(encoding="utf-8"))
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)", outside)
    missing = [link for link in links if ":" not in link and not (path.parent / link).exists()]
    assert not missing
