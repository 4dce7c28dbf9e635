"""Channels of maps as pixels between their pixels, and back."""

from __future__ import annotations

from typing import Any

from ....compiler.errors import TypeRuleError
from ....compiler.graph import Node
from ....compiler.primitives.record import Builder
from ....compiler.sizes import Dim, exact_divide
from ...arguments import integer
from ...variables.applying import apply
from ...variables.variable import Variable
from ..broadcasting import as_variables


def pixel_shuffle(x: Any, factor: int) -> Variable:
    """Maps that are larger by a factor, whose new pixels are channels of x, as PyTorch's.

    Shi and others, Real-time single image and video super-resolution using an efficient sub-pixel
    convolutional neural network, 2016.

    Args:
        x: (..., C * factor ** 2, H, W), of any dtype.
        factor: 1 or more.

    Returns:
        (..., C, H * factor, W * factor): row i and column j of each square of pixels come from
        channel i * factor + j of their factor ** 2.

    Raises:
        TypeError, ValueError: a factor that is none.
        ShapeError: when the diagram is built: fewer than three axes, other channels.
    """
    factor = integer("pixel_shuffle", "factor", factor, 1)

    def rule(b: Builder, node: Node) -> Node:
        *front, channels, height, width = _maps(node)
        whole = _divided(channels, factor * factor, "channels")
        parts = (*front, whole, factor, factor, height, width)
        n = len(front)
        turned = b.transpose(
            b.reshape(node, shape=parts), axes=(*range(n + 1), n + 3, n + 1, n + 4, n + 2)
        )
        found: Node = b.reshape(turned, shape=(*front, whole, height * factor, width * factor))
        return found

    result: Variable = apply("pixel_shuffle", rule, as_variables(x), as_stored=True)
    return result


def pixel_unshuffle(x: Any, factor: int) -> Variable:
    """The inverse of `pixel_shuffle`: squares of pixels as channels.

    (..., C, H * factor, W * factor) -> (..., C * factor ** 2, H, W); ShapeError where the factor
    does not divide the maps.
    """
    factor = integer("pixel_unshuffle", "factor", factor, 1)

    def rule(b: Builder, node: Node) -> Node:
        *front, channels, height, width = _maps(node)
        height, width = (_divided(size, factor, "pixels") for size in (height, width))
        parts = (*front, channels, height, factor, width, factor)
        n = len(front)
        turned = b.transpose(
            b.reshape(node, shape=parts), axes=(*range(n + 1), n + 2, n + 4, n + 1, n + 3)
        )
        found: Node = b.reshape(turned, shape=(*front, channels * factor * factor, height, width))
        return found

    result: Variable = apply("pixel_unshuffle", rule, as_variables(x), as_stored=True)
    return result


def _maps(node: Node) -> tuple[Dim, ...]:
    if node.type.rank < 3:
        raise TypeRuleError("expects maps (..., channels, H, W), of three axes or more")
    return node.shape


def _divided(size: Dim, factor: int, what: str) -> Dim:
    found = exact_divide(size, factor)
    if found is None:
        raise TypeRuleError(f"expects a multiple of {factor} {what}, not {size}")
    return found
