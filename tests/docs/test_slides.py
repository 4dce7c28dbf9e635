"""The table of the course: no row is empty, and all that it names is there and does what it says.

Each row of `docs/slides.md` leads to a section of a page in `docs/slides/`, whose lines run,
compare what they compute with a formula, and make the picture of the row.
"""

import re
from pathlib import Path
from typing import NamedTuple

import pytest

import diagrad as dg

from .snippets import BLOCK, ROOT, run

TABLE = ROOT / "docs" / "slides.md"
PAGES = sorted((ROOT / "docs" / "slides").glob("*.md"))


class Row(NamedTuple):
    """A row of the table."""

    system: str
    page: Path
    anchor: str
    here: str
    picture: str
    examples: tuple[str, ...]


def rows() -> list[Row]:
    """All rows; AssertionError for one that does not name all of what a row has."""
    found = []
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        if not line.startswith("| ["):
            assert not line.startswith("|") or line in (
                "| system | here | picture | example |",
                "|---|---|---|---|",
            ), line
            continue
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        assert len(cells) == 4 and all(cells), line
        link = re.match(r"\[(.+?)\]\(slides/(\w+\.md)#(\S+?)\)", cells[0])
        examples = re.findall(r"\[\d\d\]\(\.\./(examples/\w+\.py)\)", cells[3])
        assert link and examples, line
        page = TABLE.parent / "slides" / link[2]
        found.append(Row(link[1], page, link[3], cells[1], cells[2], tuple(examples)))
    return found


def sections(page: Path) -> dict[str, str]:
    """The text of each section by its anchor, as GitHub makes it from the heading."""
    text = page.read_text(encoding="utf-8")
    found: dict[str, str] = {}
    for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        heading, _, body = part.partition("\n")
        anchor = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        assert anchor not in found, f"{page.name}: two sections {heading!r}"
        found[anchor] = body
    return found


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.system)
def test_a_row_says_where_all_of_it_is(row: Row) -> None:
    body = sections(row.page)[row.anchor]
    assert f'"{row.picture}"' in body or 'f"{name}.svg"' in body, "its lines make its picture"
    assert re.search(r"^ *assert ", body, re.MULTILINE), "its lines compare with a formula"
    assert len(BLOCK.findall(body)) == 1
    for example in row.examples:
        assert (ROOT / example).is_file(), example
    for name in re.findall(r"`dg\.([\w.]+)", row.here):
        place = dg
        for part in name.split("."):
            place = getattr(place, part)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_lines_of_a_page_run_and_make_its_pictures(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run(TABLE, page)
    of_page = [row for row in rows() if row.page == page]
    made = {path.name for path in tmp_path.iterdir() if path.stat().st_size > 1000}
    assert {row.picture for row in of_page} <= made
    assert {row.anchor for row in of_page} == set(sections(page)), "each section has a row"


def test_the_examples_are_all_in_the_table() -> None:
    named = {example for row in rows() for example in row.examples}
    there = {f"examples/{path.name}" for path in (ROOT / "examples").glob("*.py")}
    assert there - named <= {"examples/11_where_the_time_goes.py"}  # of no slide
