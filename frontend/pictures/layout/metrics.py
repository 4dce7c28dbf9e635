"""Labels as text: what of them can be shown, and how wide it is, without any font at hand.

The widths are those of Times Italic and Helvetica (and of every font made to their measure), so
that shapes fit their labels the same on every machine. This file never opens a font and never
draws.
"""

from __future__ import annotations

import unicodedata
from typing import Literal

Face = Literal["math", "caption"]

# Thousandths of the font size, for the characters 32 to 126.
_MATH = (
    "250 333 420 500 500 833 778 214 333 333 500 675 250 333 250 278 500 500 500 500 500 500 "
    "500 500 500 500 333 333 675 675 675 500 920 611 611 667 722 611 611 722 722 333 444 667 "
    "556 833 667 722 611 722 611 500 556 722 611 833 611 556 556 389 278 389 422 500 333 500 "
    "500 444 500 444 278 500 500 278 278 444 278 722 500 500 500 500 389 389 278 500 444 667 "
    "444 444 389 400 275 400 541"
)
_CAPTION = (
    "278 278 355 556 556 889 667 191 333 333 389 584 278 333 278 278 556 556 556 556 556 556 "
    "556 556 556 556 278 278 584 584 584 556 1015 667 667 722 722 667 611 778 722 278 500 667 "
    "556 833 722 778 667 778 722 667 611 722 667 944 667 667 611 278 278 278 469 556 333 556 "
    "556 500 556 556 278 556 556 222 222 500 222 833 556 556 556 556 333 500 278 556 500 722 "
    "500 500 500 334 260 334 584"
)
_WIDTHS: dict[str, tuple[int, ...]] = {
    "math": tuple(map(int, _MATH.split())),
    "caption": tuple(map(int, _CAPTION.split())),
}
_OTHERS = {
    "′": 220,
    "\u2033": 420,
    "…": 1000,
    "→": 1000,
    "←": 1000,
    "↦": 1000,
    "—": 1000,
    "⊙": 830,
    "·": 330,
}


def width(text: str, size: float, face: Face = "math") -> float:
    """The width in points of the widest line of ``text`` at the font ``size``."""
    return (
        max(sum(_advance(char, face) for char in line) for line in text.split("\n")) * size / 1000
    )


def printable(text: str) -> str:
    """``text`` without what XML cannot carry (control characters, halves of surrogate pairs)."""
    return "".join(
        char if char == "\n" or unicodedata.category(char) not in ("Cc", "Cs") else "\ufffd"
        for char in text.replace("\r\n", "\n").replace("\t", " ")
    )


def _advance(char: str, face: Face) -> int:
    if " " <= char <= "~":
        return _WIDTHS[face][ord(char) - 32]
    if char in _OTHERS:
        return _OTHERS[char]
    if unicodedata.combining(char):
        return 0
    if unicodedata.east_asian_width(char) in "WF":
        return 1000
    parts = unicodedata.normalize("NFKD", char)
    if parts != char and " " <= parts[0] <= "~":
        small = unicodedata.decomposition(char).startswith(("<sub>", "<super>"))
        return round(_advance(parts[0], face) * (0.7 if small else 1.0))
    return 680 if char.isupper() else 580
