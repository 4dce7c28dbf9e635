"""A search along a line for a point that is low and flat enough: the strong Wolfe conditions.

Nocedal and Wright, Numerical optimization, second edition, 2006, algorithms 3.5 and 3.6, with
cubics through two points; the rules are those of `torch.optim.LBFGS`, but that a point which is not
low enough never becomes the lower end.  It knows numbers alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

ENOUGH = 1e-4
"""The share of the decrease that the slope promises."""
FLAT = 0.9
"""The share of the slope at the start that may be left."""


@dataclass(frozen=True)
class Point:
    """A point of the line: how far, the value there, and the slope along the line."""

    at: float
    value: float
    slope: float


def strong_wolfe(
    value_at: Callable[[float], Point], start: Point, first: float, most: int, apart: float
) -> tuple[Point, int]:
    """The point that was found, and how often a value was asked for.

    Args:
        value_at: the point at a distance; one that is not finite counts as high.
        start: at 0, with a slope below 0.
        first: the distance to try first.
        most: how many points may be tried after that.
        apart: how near two points may come before the search gives up.
    """
    count, turn = 1, 0
    before, here = start, _high(value_at(first))
    ends: list[Point] = []
    while turn < most:
        if _above(here, start) or (turn > 1 and here.value >= before.value):
            ends = [before, here]
            break
        if _is_flat(here, start):
            return here, count
        if here.slope >= 0:
            ends = [before, here]
            break
        near, far = here.at + 0.01 * (here.at - before.at), 10 * here.at
        before, here = here, _high(value_at(_lowest(before, here, near, far)))
        count, turn = count + 1, turn + 1
    ends = ends or [start, here]
    low = int(ends[1].value < ends[0].value and not _above(ends[1], start))
    stuck = False
    while turn < most and abs(ends[1].at - ends[0].at) >= apart:
        left, right = sorted(end.at for end in ends)
        at, margin = _lowest(ends[0], ends[1], left, right), 0.1 * (right - left)
        close = min(right - at, at - left) < margin
        if close and (stuck or at >= right or at <= left):
            at = right - margin if abs(at - right) < abs(at - left) else left + margin
            stuck = False
        else:
            stuck = close
        new = _high(value_at(at))
        count, turn = count + 1, turn + 1
        if _above(new, start) or new.value >= ends[low].value:
            ends[1 - low] = new
            continue
        if _is_flat(new, start):
            return new, count
        if new.slope * (ends[1 - low].at - ends[low].at) >= 0:
            ends[1 - low] = ends[low]
        ends[low] = new
    return ends[low], count


def _high(point: Point) -> Point:
    """A point whose value counts as high where it is none."""
    if math.isfinite(point.value) and math.isfinite(point.slope):
        return point
    return Point(point.at, math.inf, math.nan)


def _above(point: Point, start: Point) -> bool:
    """Whether it is not low enough."""
    return point.value > start.value + ENOUGH * point.at * start.slope


def _is_flat(point: Point, start: Point) -> bool:
    return abs(point.slope) <= -FLAT * start.slope


def _lowest(one: Point, other: Point, least: float, most: float) -> float:
    """Where the cubic through two points is lowest, within bounds; or the middle of these."""
    if one.at > other.at:
        one, other = other, one
    try:
        bend = one.slope + other.slope - 3 * (one.value - other.value) / (one.at - other.at)
        square = bend * bend - one.slope * other.slope
        if square >= 0:
            root = math.sqrt(square)
            share = (other.slope + root - bend) / (other.slope - one.slope + 2 * root)
            at = other.at - (other.at - one.at) * share
            if math.isfinite(at):
                return min(max(at, least), most)
    except (ZeroDivisionError, OverflowError):
        pass
    return 0.5 * (least + most)
