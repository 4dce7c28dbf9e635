"""Convolutions and their derivatives as graphs built by hand, with the sizes drawn at random."""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from diagrad.compiler.graph import Graph, Node
from diagrad.compiler.primitives.windows import window_reach

from .building import Array, b, given, graph, numbers


@dataclass(frozen=True)
class Convolved:
    """A graph of a convolution and its two derivatives, arrays for its inputs, and its sizes."""

    graph: Graph
    arrays: dict[str, Array]
    sizes: Mapping[str, int]


def attributes(space: int, **chosen: Any) -> dict[str, Any]:
    """Attributes of a convolution, those that are not given as simple as they are."""
    simple: dict[str, Any] = {
        "stride": (1,) * space,
        "dilation": (1,) * space,
        "low": (0,) * space,
        "high": (0,) * space,
        "groups": 1,
    }
    return {**simple, **chosen}


def three(x: Node, w: Node, g: Node, attrs: Mapping[str, Any]) -> dict[str, Node]:
    """The value of a convolution of x with w, and its derivatives for the weights g of results."""
    return {
        "y": b.conv(x, w, **attrs),
        "dx": b.conv_input(g, w, extents=x.shape[1:-1], **attrs),
        "dw": b.conv_weight(x, g, taps=w.shape[:-2], **attrs),
    }


def convolved(
    extents: tuple[int, ...],
    kernel: tuple[int, ...],
    attrs: Mapping[str, Any],
    *,
    images: int = 2,
    channels: int = 1,
    results: int = 1,
    named: int = 0,
    dtype: str = "float64",
) -> Convolved:
    """One of so many channels and results a group; `named` of the images and extents have names."""
    groups, names = attrs["groups"], ("B", "H", "W", "D")
    shape = (images, *extents, groups * channels)
    sizes = dict(zip(names[:named], shape, strict=False))
    stand = (*(n if i >= len(sizes) else names[i] for i, n in enumerate(shape[:-1])), shape[-1])
    x = given("x", *stand, dtype=dtype)
    w = given("w", *kernel, channels, groups * results, dtype=dtype)
    y = b.conv(x, w, **attrs)
    g = b.apply("input", name="g", type=y.type, role="observed")
    places = _positions(extents, kernel, attrs)
    arrays = {
        "x": numbers(*shape, dtype=dtype),
        "w": numbers(*kernel, channels, groups * results, seed=1, dtype=dtype),
        "g": numbers(images, *places, groups * results, seed=2, dtype=dtype),
    }
    return Convolved(graph(x, w, g, outputs=three(x, w, g, attrs)), arrays, sizes)


def _positions(
    extents: tuple[int, ...], kernel: tuple[int, ...], attrs: Mapping[str, Any]
) -> tuple[int, ...]:
    """How often windows fit, counted one by one."""
    found = []
    for axis, (extent, taps) in enumerate(zip(extents, kernel, strict=True)):
        whole = extent + attrs["low"][axis] + attrs["high"][axis]
        last = whole - window_reach(taps, attrs["dilation"][axis])
        found.append(len(range(0, last + 1, attrs["stride"][axis])))
    return tuple(found)


def drawn(seed: int, dtype: str = "float64") -> Convolved:
    """Random sizes, 0 and 1 among them, such that a window fits."""
    draw = Random(seed)
    space = draw.choice([1, 1, 2, 2, 3])

    def each(low: int, high: int) -> tuple[int, ...]:
        return tuple(draw.randint(low, high) for _ in range(space))

    kernel, dilation = each(1, 5 if space < 3 else 3), each(1, 3)
    low, high = each(0, 3), each(0, 3)
    least = [
        max(1, window_reach(taps, apart) - before - behind)
        for taps, apart, before, behind in zip(kernel, dilation, low, high, strict=True)
    ]
    attrs = {
        "stride": each(1, 4), "dilation": dilation, "low": low, "high": high,
        "groups": draw.choice([1, 1, 2, 3, 16]),
    }  # fmt: skip
    return convolved(
        tuple(n + draw.choice([0, 1, 2, 5]) for n in least), kernel, attrs,
        images=draw.choice([0, 1, 2, 3]), channels=draw.choice([1, 2, 3, 5]),
        results=draw.choice([1, 2, 4, 7]), named=draw.choice([0, 1, 1 + space]), dtype=dtype,
    )  # fmt: skip
