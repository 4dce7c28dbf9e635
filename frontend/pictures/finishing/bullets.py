"""Forms that Graphviz lacks, as SVG paths: the bullet (flat side in, round side out) and the pill.

Graphviz draws a box; ``finish`` replaces that box by one of these. Never touches text or colours.
"""

from __future__ import annotations

from typing import Literal

Facing = Literal["right", "left"]


def bullet(x0: float, y0: float, x1: float, y1: float, facing: Facing = "right") -> str:
    """The SVG path of a bullet in the box ``(x0, y0) .. (x1, y1)``, pointing to its output."""
    round_ = depth(x1 - x0, y1 - y0)
    half = (y1 - y0) / 2
    if facing == "right":
        flat, turn, sweep = x0, x1 - round_, 1
    else:
        flat, turn, sweep = x1, x0 + round_, 0
    return (
        f"M{flat:.2f},{y0:.2f} L{turn:.2f},{y0:.2f} "
        f"A{round_:.2f},{half:.2f} 0 0 {sweep} {turn:.2f},{y1:.2f} L{flat:.2f},{y1:.2f} Z"
    )


def depth(width: float, height: float) -> float:
    """How much of a bullet's length its round end takes."""
    return min(0.575 * height, 0.45 * width)


def pill(x0: float, y0: float, x1: float, y1: float) -> str:
    """The SVG path of a circle pulled long, for a variable whose name is long."""
    r = (y1 - y0) / 2
    return (
        f"M{x0 + r:.2f},{y0:.2f} L{x1 - r:.2f},{y0:.2f} "
        f"A{r:.2f},{r:.2f} 0 0 1 {x1 - r:.2f},{y1:.2f} "
        f"L{x0 + r:.2f},{y1:.2f} A{r:.2f},{r:.2f} 0 0 1 {x0 + r:.2f},{y0:.2f} Z"
    )
