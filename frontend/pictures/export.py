"""A picture to a file: ``write(picture, path)``, as .svg or .png by the path's suffix.

The file appears whole or not at all. Nothing in this file decides how a picture looks.
"""

from __future__ import annotations

import os
from pathlib import Path

from ..files import picture_path, write_atomically
from .finishing.finish import CAPTION_FONTS, MATH_FONTS, finish
from .layout.branches import with_branches
from .layout.layout import lay_out
from .picture import Picture

_FONTS = Path(__file__).resolve().parent / "fonts"
_LONGEST = 16000.0


def to_svg(picture: Picture, layout: str = "wasm") -> str:
    """The picture as SVG text, byte for byte the same for the same picture.

    Its ids are its own, and it has no style sheet: any number of pictures can be put into a page.

    Args:
        picture: what is drawn.
        layout: "wasm" or "system", as `lay_out` has it.

    Raises:
        ValueError: another layout.
        LayoutError: if that layout engine is not installed.
    """
    from .layout.dot import to_dot  # with it comes graphviz, for the first picture

    drawn = with_branches(picture)
    return finish(lay_out(to_dot(drawn), layout), drawn)


def to_png(picture: Picture, layout: str = "wasm") -> bytes:
    """The picture as a PNG at twice the size of the SVG, with the fonts of this package.

    Raises:
        ValueError: another layout than "wasm" and "system".
        LayoutError: if that layout engine is not installed.
        ImportError: if ``resvg_py`` is not installed.
    """
    svg = to_svg(picture, layout)
    try:
        import resvg_py
    except ImportError as error:
        raise ImportError(
            "a .png picture needs resvg_py: pip install resvg_py (a .svg picture does not)"
        ) from error
    svg = svg.replace(f'"{MATH_FONTS}"', f'"Diagram Serif, {MATH_FONTS}"')
    svg = svg.replace(f'"{CAPTION_FONTS}"', f'"Diagram Sans, {CAPTION_FONTS}"')
    return resvg_py.svg_to_bytes(
        svg_string=svg,
        background="#ffffff",
        dpi=96.0,
        zoom=_zoom(svg),
        font_files=[str(path) for path in sorted(_FONTS.glob("*.ttf"))],
        serif_family="Diagram Serif",
        sans_serif_family="Diagram Sans",
    )


def write(picture: Picture, path: str | os.PathLike[str], layout: str = "wasm") -> Path:
    """Draw ``picture`` into the file ``path`` and return that path.

    Raises:
        ValueError: if the suffix is neither .svg nor .png; another layout than "wasm" and "system".
        LayoutError: if that layout engine is not installed.
        ImportError: if a .png is asked for and ``resvg_py`` is not installed.
    """
    target = picture_path(path)
    is_svg = target.suffix.lower() == ".svg"
    data = to_svg(picture, layout).encode("utf-8") if is_svg else to_png(picture, layout)
    write_atomically(target, data)
    return target


def _zoom(svg: str) -> float:
    """Twice the size, less when the picture is so large that viewers would refuse it."""
    sizes = svg.split('viewBox="', 1)[1].split('"', 1)[0].split()
    longest = max(float(sizes[2]), float(sizes[3])) * 96 / 72
    return min(2.0, _LONGEST / longest)
