"""Paddings: zeros around a value, which is made where it lies if nothing else reads it."""

from itertools import product
from random import Random
from typing import Any

import numpy as np
import pytest

from diagrad.compiler.emission.moves import cleared_parts
from diagrad.compiler.graph import Node
from diagrad.compiler.scheduling.joining import Part, frames, parts_of
from diagrad.compiler.sizes import evaluate

from ..building import b, given, graph, numbers, run


def padding(x: Node, low: tuple[int, ...], inner: tuple[int, ...], high: tuple[int, ...]) -> Node:
    shape = []
    for n, before, step, behind in zip(x.shape, low, inner, high, strict=True):
        inside = n if step == 1 else max(0, (int(str(n)) - 1) * step + 1)
        shape.append(before + inside + behind)
    return b.pad(x, low=low, inner=inner, shape=tuple(shape))


def places(shape: tuple[Any, ...], part: Part, sizes: dict[str, int]) -> list[int]:
    """Where in the padding the elements of a part lie."""
    extents = [evaluate(n, sizes) for n in shape if n != 1]
    steps = [evaluate(stride, sizes) for stride in part.strides]
    offset = evaluate(part.offset, sizes)
    return [
        offset + sum(i * s for i, s in zip(index, steps, strict=True))
        for index in product(*map(range, extents))
    ]


@pytest.mark.parametrize("seed", range(60))
def test_each_element_is_written_once(seed: int) -> None:
    """By the zeros around or by the operand; of a padding with zeros within, some twice."""
    draw = Random(seed)
    rank = draw.randint(1, 4)
    extents: list[Any] = [draw.choice([0, 1, 2, 3, 5]) for _ in range(rank)]
    low, high = (tuple(draw.choice([0, 0, 1, 2]) for _ in range(rank)) for _ in range(2))
    within = draw.random() < 0.2
    inner = tuple(draw.choice([1, 2, 3]) if within else 1 for _ in range(rank))
    sizes = {}
    if not within and draw.random() < 0.5:
        sizes["B"], extents[0] = extents[0], "B"
    node = padding(given("x", *extents), low, inner, high)
    assert frames(node) == (set(inner) <= {1})
    total = int(np.prod([evaluate(n, sizes) for n in node.shape]))
    ((item, part),) = parts_of(node)
    inside = places(item.shape, part, sizes)
    zeros = [place for shape, each in cleared_parts(node) for place in places(shape, each, sizes)]
    if frames(node):
        assert sorted([*inside, *zeros]) == list(range(total))
    else:
        assert sorted(zeros) == list(range(total)) and len(set(inside)) == len(inside)
    arrays = {"x": numbers(*(evaluate(n, sizes) for n in item.shape))}
    wanted = np.zeros(total, np.float32)
    wanted[inside] = arrays["x"].ravel()
    for target in ("reference", "cpu"):
        found = run(graph(item, y=node), arrays, target, sizes)["y"]
        np.testing.assert_array_equal(found.ravel(), wanted)


X, W = given("x", "B", 6, 7), given("w", 7, 5)
VALUES: dict[str, Node] = {
    "elementwise": b.tanh(X),
    "product": b.contract(X, W, a=(0, 1, 2), b=(2, 3), out=(0, 1, 3)),
    "product and more": b.exp(b.contract(X, W, a=(0, 1, 2), b=(2, 3), out=(0, 1, 3))),
    "turned product": b.contract(X, W, a=(0, 1, 2), b=(2, 3), out=(3, 0, 1)),
    "sum": b.reduce_sum(b.exp(X), axes=(1,)),
    "another shape": b.reshape(b.mul(X, X), shape=(X.shape[0], 42)),
    "turned": b.transpose(b.mul(X, X), axes=(2, 0, 1)),
    "an axis of one": b.reshape(b.mul(X, X), shape=(X.shape[0], 1, 42)),
    "a part": b.slice_axis(b.mul(X, X), 1, 2, 5),
    "repeated": b.broadcast(b.mul(X, X), shape=(3, *X.shape), axes=(1, 2, 3)),
}  # fmt: skip


@pytest.mark.parametrize("batch", [0, 1, 2, 40])
@pytest.mark.parametrize("name", VALUES)
def test_values_inside_of_their_padding(name: str, batch: int) -> None:
    """Alone, padded once more, beside an output of the same value, and in two paddings."""
    value = VALUES[name]
    rank = value.type.rank
    low, high, ones = (1,) * rank, (0,) * (rank - 1) + (2,), (1,) * rank
    once = padding(value, low, ones, high)
    cases = [
        {"y": once}, {"y": b.neg(once)}, {"y": padding(once, high, ones, low)},
        {"y": b.neg(once), "value": value}, {"y": b.neg(once), "z": b.neg(value)},
        {"y": b.neg(once), "z": b.neg(padding(value, high, ones, low))},
    ]  # fmt: skip
    arrays, sizes = {"x": numbers(batch, 6, 7), "w": numbers(7, 5, seed=1)}, {"B": batch}
    for outputs in cases:
        whole = graph(X, W, outputs=outputs)
        wanted = run(whole, arrays, sizes=sizes)
        found = run(whole, arrays, "cpu", sizes)
        for key, array in wanted.items():
            np.testing.assert_allclose(found[key], array, rtol=1e-4, atol=1e-4, err_msg=key)
