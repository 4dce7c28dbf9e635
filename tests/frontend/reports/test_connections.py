"""Links and free parameters where weights are outputs: what makes them, and what they link."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import diagrad as dg
from diagrad.compiler.sizes import named
from diagrad.frontend.reports.summary import Summary

T = named("T")
MLP = 6 * 4 + 4 + 4 * 3 + 3

Counts = dict[str, tuple[Any, int, int]]


def summed(y: dg.Variable, cost: dg.Variable | None = None) -> Summary:
    return dg.Diagram("test", {"y": y}, cost).summary()


def rows(summary: Summary) -> Counts:
    """Links, parameters, and how many of these are shared, by name."""
    return {row.name: (row.links, row.parameters, row.shared) for row in summary.rows}


def counted(y: dg.Variable, cost: dg.Variable | None = None) -> Counts:
    return rows(summed(y, cost))


def observed() -> dg.Variable:
    return dg.observed("x", ("B", 6))


def mlp() -> dg.Chain:
    return dg.Chain(dg.Linear(6, 4), dg.tanh, dg.Linear(4, 3), name="net")


def makes(count: int) -> dg.Chain:
    return dg.Chain(dg.Linear(5, 7), dg.relu, dg.Linear(7, count), name="H")


def free_vector(net: dg.Block) -> dg.Variable:
    return dg.parameter("u", (net.parameter_count,))


BOUND: dict[str, Callable[[dg.Chain], Any]] = {
    "free": lambda net: net,
    "one by name": lambda net: dg.bind(net, {"0/weight": dg.parameter("w", (6, 4))}),
    "a vector": lambda net: dg.bind(net, free_vector(net)),
    "a positive vector": lambda net: dg.bind(net, dg.softplus(free_vector(net))),
    "for the batch": lambda net: dg.bind(net, makes(MLP)(dg.observed("z", (5,)))),
    "for each sample": lambda net: dg.bind(net, makes(MLP)(dg.observed("z", ("B", 5)))),
    "on a learned code": lambda net: dg.bind(net, makes(MLP)(dg.parameter("z", (5,)))),
    "observed": lambda net: dg.bind(net, dg.observed("w", (MLP,))),
}


@pytest.mark.parametrize("name", BOUND)
def test_a_bound_network_has_the_links_of_a_free_one(name: str) -> None:
    summary = summed(BOUND[name](mlp())(observed()))
    found = rows(summary)
    assert [found[key][0] for key in ("net", "net/0", "net/2")] == [MLP, 28, 15]
    if "H" in found:
        made = 5 * 7 + 7 + 7 * MLP + MLP
        assert found["H"] == (made, made, 0)
        assert [found[key][1] for key in ("net", "net/0", "net/2")] == [0, 0, 0]
    assert summary.links == sum(row.links for row in summary.rows if row.level == 0)
    own = sum(row.parameters - row.shared for row in summary.rows if row.level == 0)
    assert summary.parameters == own


def test_parameters_of_a_bound_network_are_those_behind_it() -> None:
    found = {name: counted(BOUND[name](mlp())(observed())) for name in BOUND}
    for name in ("free", "one by name", "a vector"):
        parts = [found[name][key][1] for key in ("net", "net/0", "net/2")]
        assert parts == [MLP, 28, 15], name
    positive = found["a positive vector"]  # each layer is made of the whole
    assert [positive[key][1] for key in ("net", "net/0", "net/2")] == [MLP] * 3
    assert found["on a learned code"]["(no block)"] == (0, 5, 0)
    assert "(no block)" not in found["observed"] and found["observed"]["net"] == (MLP, 0, 0)
    assert "cut" not in found["a vector"]


def test_a_block_that_makes_weights_and_uses_them() -> None:
    net, z = mlp(), dg.observed("z", ("B", 5))
    whole = dg.Hypernetwork(dg.Linear(5, MLP), net, name="both")
    found = counted(whole(observed(), context=z))
    assert found["both"] == (6 * MLP + MLP, 6 * MLP, 0)
    assert found["both/H"] == (6 * MLP, 6 * MLP, 0) and found["both/net"] == (MLP, 0, 0)


def test_a_base_that_a_network_changes() -> None:
    """What reaches a block by plain operations is its own, what another block gives is not."""
    layer, base = dg.Linear(6, 4, bias=False, name="layer"), dg.parameter("base", (24,))
    weight = base + dg.Linear(5, 24, name="H")(dg.observed("z", (5,)))
    found = counted(dg.bind(layer, weight)(observed()))
    assert found["layer"] == (24, 24, 0) and found["H"] == (144, 144, 0)


def test_weights_that_operations_make_of_an_input() -> None:
    layer, u = dg.Linear(6, 4, bias=False, name="layer"), wide("u", 5, 24)
    weight = dg.relu(dg.observed("z", (5,)) @ u)
    found = counted(dg.bind(layer, weight)(observed()))
    assert found["layer"] == (24, 120, 0) and found["(no block)"] == (120, 0, 0)


def wide(name: str, *shape: int) -> dg.Variable:
    return dg.parameter(name, shape)


def normalised(v: dg.Variable, g: dg.Variable) -> dg.Variable:
    return v * (g / dg.sqrt(dg.sum(v * v, axis=0)))


def cayley(u: dg.Variable) -> dg.Variable:
    one, skew = np.eye(6, dtype=np.float32), u - u.T
    return dg.solve(one - skew, one + skew)


CIRCULANT = (np.arange(6)[:, None] - np.arange(6)) % 6
DIAGONAL = np.eye(6, dtype=np.float32)
BASIS = np.ones((6, 6, 2), np.float32)

TRANSFORMS: dict[str, tuple[Callable[[], dg.Variable], int]] = {
    "positive": (lambda: dg.softplus(wide("u", 6, 6)), 36),
    "low rank": (lambda: wide("a", 6, 2) @ wide("b", 2, 6), 24),
    "normalised": (lambda: normalised(wide("v", 6, 6), wide("g", 6)), 42),
    "orthogonal": (lambda: cayley(wide("u", 6, 6)), 36),
    "circulant": (lambda: dg.share(wide("u", 6), CIRCULANT), 6),
    "chosen": (lambda: dg.take(wide("u", 6), dg.constant(CIRCULANT.astype(np.int32))), 6),
    "partly used": (lambda: dg.share(wide("u", 9), CIRCULANT), 9),
    "masked": (lambda: wide("u", 6, 6) * DIAGONAL, 36),
    "in a basis": (lambda: dg.einsum("ijk,k->ij", dg.constant(BASIS), wide("u", 2)), 2),
    "noisy": (lambda: wide("mean", 6, 6) + wide("s", 6, 6) * dg.random_normal((6, 6)), 72),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_arithmetic_on_parameters_links_nothing(name: str) -> None:
    make, size = TRANSFORMS[name]
    summary = summed(dg.Linear(6, 6, weight=make(), name="layer")(observed()))
    assert rows(summary)["layer"] == (42, size + 6, 0)
    assert (summary.links, summary.parameters) == (42, size + 6)
    assert summed(observed() @ make()).links == 36


def test_a_function_of_weights_is_a_plain_operation() -> None:
    @dg.block
    def low_rank(a: dg.Variable, b: dg.Variable) -> dg.Variable:
        return a @ b

    class Positive(dg.Block):
        """A block that holds u: what it gives is made of its own parameter."""

        def __init__(self) -> None:
            self.u = dg.parameter("u", (6, 6))

        def forward(self) -> dg.Variable:
            positive: dg.Variable = dg.softplus(self.u)
            return positive

    by_function: dg.Variable = low_rank(wide("a", 6, 2), wide("b", 2, 6))
    hidden = dg.Linear(6, 6, weight=by_function, name="layer")(observed())
    found = counted(dg.Linear(6, 6, weight=Positive()(), name="last")(hidden))
    assert found["low_rank"] == (0, 0, 0) and found["layer"] == (42, 30, 0)
    assert found["positive"] == (0, 36, 0) and found["last"] == (42, 6, 0)


def test_weights_that_are_given_as_inputs() -> None:
    class Product(dg.Block):
        """The notation's G(x, w)."""

        def forward(self, x: dg.Variable, w: dg.Variable) -> dg.Variable:
            return x @ w

    found = counted(Product()(observed(), dg.softplus(wide("u", 6, 4))))
    assert found["product"] == (24, 24, 0)


def test_a_network_on_constants_has_its_links() -> None:
    grid = dg.constant(np.ones((5, 6), np.float32))
    assert counted(mlp()(grid))["net"] == (5 * MLP, MLP, 0)


@pytest.mark.parametrize(("inputs", "outputs"), [(0, 3), (3, 0), (1, 1), (7, 1)])
def test_small_sizes(inputs: int, outputs: int) -> None:
    layer = dg.Linear(inputs, outputs, name="layer")
    links = inputs * outputs + outputs
    for batch in ("B", 1):
        assert counted(layer(dg.observed("x", (batch, inputs))))["layer"] == (links, links, 0)


BIASES: dict[str, tuple[Callable[[], Any], int]] = {
    "free": (lambda: True, 6),
    "shared": (lambda: dg.share(wide("b", 2), np.arange(6) % 2), 2),
    "one for all": (lambda: dg.share(wide("b", 1), np.zeros(6, int)), 1),
    "negative": (lambda: -dg.softplus(wide("b", 6)), 6),
    "made by H": (lambda: dg.Linear(5, 6, name="H")(dg.observed("z", (5,))), 0),
}


@pytest.mark.parametrize("name", BIASES)
def test_a_bias_is_a_link_for_each_unit(name: str) -> None:
    make, size = BIASES[name]
    found = counted(dg.Linear(6, 6, bias=make(), name="layer")(observed()))
    assert found["layer"] == (42, 36 + size, 0)
    assert found.get("H", (36, 36, 0)) == (36, 36, 0)


def test_a_number_that_sums_up_weights_is_no_weight() -> None:
    layer = dg.Linear(6, 4, bias=False, name="layer")
    y = layer(observed())
    norm = dg.sqrt(dg.sum(layer.weight * layer.weight))
    summary = summed(y / norm, dg.mean(y * y) + 0.1 * norm)
    assert summary.links == 24
    scale = dg.exp(dg.parameter("scale", ()))  # one that is made of a number is
    assert summed(y * scale).links == 24 + 4


def test_two_blocks_of_one_parameter() -> None:
    u = dg.parameter("u", (6, 6))
    first = dg.Linear(6, 6, weight=dg.softplus(u), bias=False, name="first")
    second = dg.Linear(6, 6, weight=u.T, name="second")
    summary = summed(second(first(observed())))
    found = rows(summary)
    assert found["first"] == (36, 36, 0) and found["second"] == (42, 42, 36)
    assert (summary.links, summary.parameters) == (78, 42)


def test_a_vector_that_is_used_whole_and_in_parts() -> None:
    def both(swapped: bool) -> Counts:
        net, u = mlp(), dg.parameter("u", (MLP,))
        parts = dg.bind(net, u)(observed())
        whole = dg.Linear(1, MLP, weight=dg.reshape(u, (1, MLP)), bias=False, name="whole")
        other = whole(dg.observed("z", ("B", 1)))
        outputs = {"a": other, "b": parts} if swapped else {"a": parts, "b": other}
        return rows(dg.Diagram("test", outputs).summary())

    assert both(False)["whole"] == (MLP, MLP, MLP)
    found = both(True)
    assert [found[key][2] for key in ("whole", "net", "net/0")] == [0, MLP, 28]


def test_a_weight_after_a_step_of_gradient_descent() -> None:
    x, y = observed(), dg.observed("y", ("B", 4))
    layer = dg.Linear(6, 4, name="layer")
    slopes = dg.gradient(dg.squared_error(layer(x), y), layer.parameters())
    moved = {name: item - 0.1 * slopes[name] for name, item in layer.parameters().items()}
    summary = summed(dg.bind(layer, moved)(x))
    assert summary.links == 2 * 28  # the gradient makes none, nor does the step
    assert [row.parameters - row.shared for row in summary.rows if row.kind][0::2] == [28, 0]


def for_all_steps(x: dg.Variable, context: dg.Variable) -> dg.Variable:
    net = dg.RNN(6, 4, name="net")
    weights = dg.Linear(5, net.parameter_count, name="H")
    states: dg.Variable = dg.bind(net, weights(context))(x)[0]
    return states


def in_a_loop(x: dg.Variable, context: dg.Variable | None) -> dg.Variable:
    t, net = dg.loop("t"), dg.Linear(6, 4, name="net")
    x_t = t.each(x)
    weights = dg.Linear(5, net.parameter_count, name="H")
    given = x_t[:, :5] if context is None else context
    whole = dg.Hypernetwork(weights, net, name="both")
    y: dg.Variable = t.stack(whole(x_t, context=given))
    return y


def test_weights_of_loops() -> None:
    x = dg.observed("x", ("T", "B", 6))
    z, each = dg.observed("z", (5,)), dg.observed("each", ("B", 5))
    for y, links, made in (
        (for_all_steps(x, z), 44 * T, 6 * 44),
        (for_all_steps(x, each), 44 * T, 6 * 44),
        (in_a_loop(x, z), 28 * T, 6 * 28),  # what is the same at all steps is made once
        (in_a_loop(x, None), 28 * T, 6 * 28 * T),
    ):
        found = {name.removeprefix("both/"): row for name, row in counted(y).items()}
        assert found["net"] == (links, 0, 0) and found["H"][0] == made


def test_a_delay_is_a_unit_whatever_it_starts_from() -> None:
    t = dg.loop("t", steps=5)
    h = t.delay("h", dg.parameter("start", (4,)))
    t.close(h, dg.tanh(h @ wide("w", 4, 4)))
    assert counted(t.last(h)) == {"(no block)": (5 * 16, 20, 0)}


def test_a_loop_in_a_loop() -> None:
    """A delay of the inner one changes with the outer one, even if its start does not."""
    t, s = dg.loop("t"), dg.loop("s", steps="S")
    x = t.each(dg.observed("x", ("T", "B", 4)))
    a = s.delay("a", 0.0, shape=("B", 4))
    s.close(a, dg.tanh(a @ wide("w", 4, 4) + x))
    assert summed(t.stack(s.last(a))).links == 16 * T * named("S")


def kernels(maps: int, inputs: int, size: int, taps: int) -> dg.Variable:
    """Weights that are the same at all positions of a map."""
    shape = (maps, inputs, taps, taps)
    index = np.arange(np.prod(shape)).reshape(maps, 1, 1, inputs, taps, taps)
    u = dg.parameter(f"u{maps}", (index.size,))
    return dg.share(u, np.broadcast_to(index, (maps, size, size, inputs, taps, taps)))


def net_of_1989(number: int) -> dg.Chain:
    """LeCun, Generalization and network design strategies, 1989: networks 1 to 5."""
    if number < 3:
        if number == 1:
            return dg.Chain(dg.Flatten(), dg.Linear(256, 10))
        return dg.Chain(dg.Flatten(), dg.Linear(256, 12), dg.tanh, dg.Linear(12, 10))
    maps, last = (1 if number == 3 else 2), (4 if number == 5 else 1)
    first = dg.LocallyConnected2d(
        1, maps, 16, 3, stride=2, padding=1, weight=kernels(maps, 1, 8, 3) if maps == 2 else None
    )
    second = dg.LocallyConnected2d(
        maps, last, 8, 5, weight=kernels(last, maps, 4, 5) if last == 4 else None
    )
    out = dg.Linear(16 * last, 10)
    return dg.Chain(first, dg.tanh, second, dg.tanh, dg.Flatten(), out)


@pytest.mark.parametrize(
    ("number", "links", "parameters"),
    [(1, 2570, 2570), (2, 3214, 3214), (3, 1226, 1226), (4, 2266, 1132), (5, 5194, 1060)],
)
def test_the_nets_of_1989(number: int, links: int, parameters: int) -> None:
    image = dg.observed("image", ("B", 1, 16, 16))
    summary = summed(net_of_1989(number)(image))
    assert (summary.links, summary.parameters) == (links, parameters)
    assert rows(summary)["chain"] == (links, parameters, 0)
    if number < 3:
        flat = dg.observed("flat", ("B", 256))
        summary = summed(net_of_1989(number)(flat))
        assert (summary.links, summary.parameters) == (links, parameters)
