"""arena: no two lives overlap in memory, and the arena is nearly as small as it can be."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given as hypothesis_given
from hypothesis import strategies as st

import diagrad as dg
from diagrad.compiler.memory.arena import ALIGNMENT, alive_at_once, lay_out
from diagrad.compiler.memory.plan_memory import plan_memory, temporaries
from diagrad.compiler.pipeline import compile_kernels, prepare

BOUND = 1.05
"""The arena of each test graph, at most, over the most bytes alive at once."""

Life = tuple[int, int]

lives = st.tuples(st.integers(0, 12), st.integers(0, 6)).map(lambda p: (p[0], p[0] + p[1]))
wanted = st.dictionaries(st.integers(0, 30), st.tuples(lives, st.integers(0, 700)), max_size=15)


def overlap(first: Life, second: Life) -> bool:
    return first[0] < second[1] and second[0] < first[1]


@hypothesis_given(wanted)
def test_no_two_lives_overlap_in_memory(wanted: dict[int, tuple[Life, int]]) -> None:
    places, arena = lay_out(wanted)
    assert places.keys() == wanted.keys()
    spans = {number: (place, place + wanted[number][1]) for number, place in places.items()}
    for number, (place, end) in spans.items():
        assert place % ALIGNMENT == 0 and place >= 0 and end <= arena
        life = wanted[number][0]
        for other, span in spans.items():
            if other != number and overlap((place, end), span):
                there = wanted[other][0]
                assert life[1] < there[0] or there[1] < life[0]
    most = max((sum(-(-max(size, 1) // 64) * 64 for (a, z), size in wanted.values() if a <= i <= z)
                for i in range(20)), default=0)  # fmt: skip
    assert alive_at_once(wanted) == most <= arena


@hypothesis_given(wanted)
def test_places_are_the_same_every_time(wanted: dict[int, tuple[Life, int]]) -> None:
    assert lay_out(wanted) == lay_out(dict(reversed(wanted.items())))


def test_memory_is_used_again() -> None:
    chain = {i: ((i, i + 1), 640) for i in range(10)}
    places, arena = lay_out(chain)
    assert arena == 2 * 640 and set(places.values()) == {0, 640}
    assert lay_out({0: ((0, 2), 100), 1: ((1, 3), 80), 2: ((3, 4), 100)}) == (
        {0: 0, 2: 0, 1: 128},
        256,
    )
    assert lay_out({}) == ({}, 0)


def test_a_better_order_is_found() -> None:
    """By size alone the last one would lie on top of both others."""
    wanted = {0: ((0, 1), 192), 1: ((1, 2), 128), 2: ((2, 3), 192), 3: ((0, 3), 64)}
    _, arena = lay_out(wanted)
    assert arena == alive_at_once(wanted) == 384


def test_random_lives_are_near_the_bound() -> None:
    """Not the bound of a graph: lives at random, of which none fits another, are harder."""
    rng = np.random.default_rng(3)
    ratios = []
    for _ in range(60):
        first, long = rng.integers(0, 60, 50), rng.geometric(0.2, 50)
        sizes = 64 * rng.integers(1, 200, 50)
        wanted = {
            i: ((int(f), int(f + n)), int(size))
            for i, (f, n, size) in enumerate(zip(first, long, sizes, strict=True))
        }
        ratios.append(lay_out(wanted)[1] / alive_at_once(wanted))
    assert max(ratios) < 1.25 and np.mean(ratios) < 1.06


def weight(name: str, *shape: int) -> dg.Variable:
    return dg.parameter(name, shape, dg.init.normal(0, 0.1))


def labels(*shape: Any) -> dg.Variable:
    return dg.observed("y", shape, "int32")


def norm(x: dg.Variable) -> dg.Variable:
    centred = x - x.mean(-1, keepdims=True)
    return centred * dg.rsqrt((centred * centred).mean(-1, keepdims=True) + 1e-5)


def attend(x: dg.Variable, width: int, name: str) -> dg.Variable:
    q, k, v = (x @ weight(f"{name}{part}", width, width) for part in "qkv")
    shares = dg.softmax(dg.einsum("bid,bjd->bij", q, k) * width**-0.5)
    return dg.einsum("bij,bjd->bid", shares, v) @ weight(f"{name}o", width, width)


def mlp() -> dg.Variable:
    h = dg.observed("x", ("B", 96))
    for i in range(5):
        h = dg.gelu(h @ weight(f"w{i}", 96, 96) + weight(f"b{i}", 96))
    cost: dg.Variable = dg.cross_entropy(h, labels("B"))
    return cost


def lenet_like() -> dg.Variable:
    """The sizes of LeNet-5, its first convolution as a product of windows."""
    x = dg.observed("x", ("B", 28, 28))
    windows = [x[:, i : i + 24, j : j + 24] for i in range(5) for j in range(5)]
    h = dg.tanh(dg.stack(windows, -1) @ weight("k", 25, 6))
    h = h[:, ::2, ::2] + h[:, 1::2, ::2] + h[:, ::2, 1::2] + h[:, 1::2, 1::2]
    h = dg.flatten(h)
    for i, (rows, columns) in enumerate(((864, 120), (120, 84), (84, 10))):
        h = dg.tanh(h @ weight(f"w{i}", rows, columns) + weight(f"b{i}", columns))
    cost: dg.Variable = dg.cross_entropy(h, labels("B"))
    return cost


def layer_norm() -> dg.Variable:
    h = dg.observed("x", ("B", 96))
    for i in range(3):
        h = h + dg.relu(norm(h) @ weight(f"w{i}", 96, 96))
    return dg.mean(h * h)


def attention() -> dg.Variable:
    h = attend(dg.observed("x", ("B", 24, 32)), 32, "a")
    return dg.mean(h * h)


def transformer() -> dg.Variable:
    h = dg.observed("x", ("B", 16, 32))
    for i in range(6):
        h = h + attend(norm(h), 32, f"a{i}")
        h = h + dg.gelu(norm(h) @ weight(f"u{i}", 32, 128)) @ weight(f"d{i}", 128, 32)
    cost: dg.Variable = dg.cross_entropy(norm(h) @ weight("e", 32, 20), labels("B", 16))
    return cost


def tangled(seed: int) -> Callable[[], dg.Variable]:
    """Values of random earlier ones, of two widths."""

    def draw() -> dg.Variable:
        rng = np.random.default_rng(seed)
        made = {width: [dg.observed(f"x{width}", ("B", width))] for width in (24, 80)}
        for step in range(30):
            width, other = rng.permutation([24, 80])
            x, y = (made[width][rng.integers(len(made[width]))] for _ in range(2))
            kind = rng.integers(4)
            if kind == 0:
                made[other].append(dg.tanh(x @ weight(f"w{step}", width, other)))
            elif kind == 1:
                made[width].append(x + dg.sigmoid(y) @ weight(f"w{step}", width, width))
            elif kind == 2:
                made[width].append(dg.softmax(x) - y * 0.5)
            else:
                made[width].append(dg.exp(-x * x) * y.mean(-1, keepdims=True))
        return sum((dg.mean(v * v) for v in (made[24][-1], made[80][-1])), dg.constant(0.0))

    return draw


DRAWINGS = {
    "mlp": mlp, "lenet-like": lenet_like, "layer norm": layer_norm, "attention": attention,
    "transformer": transformer, **{f"tangled {seed}": tangled(seed) for seed in range(12)},
}  # fmt: skip


@pytest.mark.parametrize("name", DRAWINGS)
def test_the_arena_is_within_its_bound(name: str) -> None:
    cost = DRAWINGS[name]()
    diagram = dg.Diagram("test", cost=cost)
    trained = list(diagram.parameters.values())
    slopes = dg.gradient(cost, trained)
    updates = [(w, w - 0.1 * g) for w, g in zip(trained, slopes, strict=True)]
    template = compile_kernels(prepare(diagram.lower({"cost": cost}, updates)))
    for batch in (1, 7, 64):
        wanted = temporaries(template, {"B": batch})
        arena = plan_memory(template, {"B": batch}).arena_bytes
        assert alive_at_once(wanted) <= arena <= BOUND * alive_at_once(wanted), batch
