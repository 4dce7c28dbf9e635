"""Forms and sizes: bullets point to their output, and no label is wider than its form."""

from __future__ import annotations

from typing import get_args

import pytest

from diagrad.frontend.pictures import Node
from diagrad.frontend.pictures.finishing.bullets import bullet, pill
from diagrad.frontend.pictures.layout.metrics import printable, width
from diagrad.frontend.pictures.layout.notation import shape_of
from diagrad.frontend.pictures.picture import NodeKind

LABELS = [
    "w",
    "y(t)",
    "scores",
    "net/0/weight",
    "g(h, z′, w)",
    "WWWWWWWWWW",
    "∂C/∂w",
    "x̂ₜ₊₁",
    "漢字漢字",
]


def test_bullet_points_right() -> None:
    assert (
        bullet(0, 0, 100, 40)
        == "M0.00,0.00 L77.00,0.00 A23.00,20.00 0 0 1 77.00,40.00 L0.00,40.00 Z"
    )


def test_bullet_points_left() -> None:
    path = bullet(0, 0, 100, 40, "left")
    assert path == "M100.00,0.00 L23.00,0.00 A23.00,20.00 0 0 0 23.00,40.00 L100.00,40.00 Z"


def test_short_bullet_keeps_a_flat_side() -> None:
    assert bullet(0, 0, 20, 40).startswith("M0.00,0.00 L11.00,0.00 A9.00,20.00")


def test_pill() -> None:
    assert pill(0, 0, 60, 20) == (
        "M10.00,0.00 L50.00,0.00 A10.00,10.00 0 0 1 50.00,20.00 "
        "L10.00,20.00 A10.00,10.00 0 0 1 10.00,0.00 Z"
    )


@pytest.mark.parametrize("kind", [kind for kind in get_args(NodeKind) if kind != "branch"])
@pytest.mark.parametrize("label", LABELS)
def test_every_label_fits(kind: NodeKind, label: str) -> None:
    shape = shape_of(Node("n", kind, label))
    assert width(label, shape.font_size) + 9 <= shape.width


def test_long_names_are_pills_and_short_ones_circles() -> None:
    assert shape_of(Node("w", "parameter", "w")).form == "circle"
    assert shape_of(Node("w", "parameter", "net/0/weight")).form == "pill"


def test_lines_make_a_form_higher() -> None:
    one, two = (shape_of(Node("f", "function", label)) for label in ("Linear", "Linear\nrelu"))
    assert two.height > one.height + 18


def test_widths_are_those_of_times_italic() -> None:
    assert width("net/0/weight", 18) == pytest.approx(89.01)
    assert width("ȳ", 18) == width("y", 18) == width("y\u0304", 18)
    assert width("漢", 18) == 18.0


def test_printable_keeps_text_and_drops_what_xml_cannot_carry() -> None:
    assert printable("a\r\nb\tc\x00\ud800 é") == "a\nb c\ufffd\ufffd é"
