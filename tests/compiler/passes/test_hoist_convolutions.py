"""Sums over steps go through convolutions, as they go through products."""

from collections.abc import Callable
from typing import Any

import pytest

from diagrad.compiler.graph import Node
from diagrad.compiler.primitives.convolution import CONVOLUTIONS

from ..building import b
from ..nets import H, entry, wound
from .test_hoist import carried, checked, operations, state

ATTRS: dict[str, Any] = {
    "stride": (2,), "dilation": (1,), "low": (1,), "high": (1,), "groups": 1,
}  # fmt: skip


def line(x: Node, channels: int = 1) -> Node:
    """A [B, H] value as lines with channels."""
    return b.reshape(x, shape=(x.shape[0], H // channels, channels))


def linear(op: str, p: Node, q: Node, w: Node) -> Node:
    """A linear function of two [B, H] values, of which one varies; w is [H, H], invariant."""
    w = b.reshape(w, shape=(H, 1, H))
    y = b.conv(line(p), w, **ATTRS)
    table: dict[str, Callable[[], Node]] = {
        "conv": lambda: y,
        "conv_input": lambda: b.conv_input(y, w, extents=(H,), **ATTRS),
        "conv_weight": lambda: b.conv_weight(line(q), y, taps=(H,), **ATTRS),
        "of a sum": lambda: b.conv(
            b.reshape(b.reduce_sum(p, axes=(0,)), shape=(1, H, 1)), w, **ATTRS
        ),
        "moved": lambda: b.neg(b.flip(y, axes=(1,))),
    }
    return table[op]()


@pytest.mark.parametrize("op", ["conv", "conv_input", "conv_weight", "of a sum", "moved"])
def test_sums_go_through_convolutions(op: str) -> None:
    x, h, w = entry("x", "B", H, role="sequence"), state(), entry("w", H, H, role="invariant")
    following = b.tanh(b.add(b.mul(h, x), x))
    body = carried(
        x, w, state=h, following=following,
        early=linear(op, x, following, w), free=linear(op, x, b.sin(x), w),
    )  # fmt: skip
    found = checked(wound(body, ("sum", "early"), ("sum", "free")))
    assert not {*operations(found)} & {*CONVOLUTIONS}
    convolutions = [node for node in found.nodes() if node.op in CONVOLUTIONS]
    # Each is one convolution of what all steps have: of their sum, or of the images of all.
    assert 1 <= len(convolutions) <= 4
    for node in convolutions:
        if node.op == "conv" and op in ("conv", "moved", "of a sum"):
            assert str(node.inputs[0].shape[0]) in ("B", "1")


def test_derivatives_by_shared_weights_are_one_convolution() -> None:
    x, h = entry("x", "B", H, role="sequence"), state()
    w = entry("w", H, H, role="invariant")
    kernel = b.reshape(b.slice(w, start=(0, 0), stop=(3, 1), step=(1, 1)), shape=(3, 1, 1))
    attrs = ATTRS | {"stride": (1,)}
    seen = b.reshape(b.conv(line(h), kernel, **attrs), shape=h.shape)
    body = carried(x, w, state=h, following=b.tanh(b.add(seen, x)))
    found = checked(wound(body, ("last", "h")), 1)
    inside = [op for op in operations(found) if op in CONVOLUTIONS]
    assert inside == ["conv", "conv_input"]
    assert [n.op for n in found.nodes() if n.op in CONVOLUTIONS] == ["conv_weight"]
