"""Blocks on given parameters: values, names, what stays free, and every error word for word."""

from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ..evaluating import TARGETS, Target, check_derivatives, text
from ..source import mistake_in


def small(dtype: str = "float32") -> dg.Chain:
    """Two layers of 3 -> 4 -> 2: 26 parameters."""
    layers = dg.Linear(3, 4, dtype=dtype), dg.tanh, dg.Linear(4, 2, dtype=dtype)
    return dg.Chain(*layers, name="net")


def by_hand(net: dg.Chain, x: Any, w: Any) -> Any:
    p = net.unflatten(w)
    hidden = np.tanh(x @ p["0/weight"] + p["0/bias"])
    return hidden @ p["2/weight"] + p["2/bias"]


def test_a_vector_has_the_parameters_in_their_order() -> None:
    net = small()
    assert net.parameter_count == 26
    vector = np.arange(26.0)
    parts = net.unflatten(vector)
    assert {name: part.shape for name, part in parts.items()} == {
        "0/weight": (3, 4),
        "0/bias": (4,),
        "2/weight": (4, 2),
        "2/bias": (2,),
    }
    np.testing.assert_array_equal(parts["0/weight"], np.arange(12.0).reshape(3, 4))
    np.testing.assert_array_equal(net.flatten(parts), vector)
    several = net.unflatten(np.arange(52.0).reshape(2, 26))
    assert several["2/weight"].shape == (2, 4, 2)
    np.testing.assert_array_equal(several["2/bias"], [[24, 25], [50, 51]])


@pytest.mark.parametrize("target", TARGETS)
def test_flatten_and_unflatten_draw(target: Target) -> None:
    net = small()
    vector = net.flatten()
    parts = net.unflatten(vector)
    program = dg.Diagram("d", {"vector": vector, "bias": parts["0/bias"]}).compile(target=target)
    found = program.run()
    own = {name: program.parameters[f"net/{name}"] for name in net.parameters()}
    np.testing.assert_array_equal(found["vector"], net.flatten(own))
    np.testing.assert_array_equal(found["bias"], own["0/bias"])


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("batch", [0, 1, 5])
def test_one_vector_for_the_batch(target: Target, batch: int) -> None:
    net = small()
    x, w = dg.observed("x", ("B", 3)), dg.observed("w", (26,))
    diagram = dg.Diagram("d", {"y": dg.bind(net, w)(x)})
    assert diagram.parameters == {}
    rng = np.random.default_rng(0)
    given = {"x": rng.normal(size=(batch, 3)), "w": rng.normal(size=26)}
    found = diagram.compile(target=target, dtype="float64").run(**given)["y"]
    np.testing.assert_allclose(found, by_hand(net, given["x"], given["w"]), rtol=1e-12)


@pytest.mark.parametrize("target", TARGETS)
def test_by_name_and_the_rest_stays_free(target: Target) -> None:
    net = small()
    x, u = dg.observed("x", ("B", 3)), dg.parameter("u", (3, 4))
    bound = dg.bind(net, {"0/weight": dg.softplus(u)})
    assert list(bound.parameters()) == ["0/bias", "2/weight", "2/bias"]
    diagram = dg.Diagram("d", {"y": bound(x)}, cost=dg.mean(bound(x)))
    assert list(diagram.parameters) == ["net/0/bias", "net/2/weight", "net/2/bias", "u"]
    program = diagram.compile(dg.SGD(0.1), target=target)
    assert set(program.states) == {*diagram.parameters, "step", "optimizer/learning_rate"}
    value = np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32)
    own = {**{n: program.parameters[f"net/{n}"] for n in bound.parameters()}}
    own["0/weight"] = np.log1p(np.exp(program.parameters["u"]))
    np.testing.assert_allclose(
        program.run(x=value)["y"], by_hand(net, value, net.flatten(own)), rtol=1e-5, atol=1e-6
    )
    before = program.parameters["u"].copy()
    program.step(x=value)
    assert (program.parameters["u"] != before).any()


def test_bound_twice_in_two_ways_and_free_as_well() -> None:
    net = small()
    x, w = dg.observed("x", ("B", 3)), dg.observed("w", (2, 26))
    outputs = {"a": dg.bind(net, w[0])(x), "b": dg.bind(net, w[1])(x), "own": net(x)}
    program = dg.Diagram("d", outputs).compile(target="reference", dtype="float64")
    rng = np.random.default_rng(0)
    given = {"x": rng.normal(size=(4, 3)), "w": rng.normal(size=(2, 26))}
    found = program.run(**given)
    own = {name: program.parameters[f"net/{name}"] for name in net.parameters()}
    for name, vector in (("a", given["w"][0]), ("b", given["w"][1]), ("own", net.flatten(own))):
        np.testing.assert_allclose(found[name], by_hand(net, given["x"], vector), rtol=1e-12)


def test_bound_in_two_steps() -> None:
    net = small()
    x = dg.observed("x", ("B", 3))
    first, rest = dg.observed("first", (3, 4)), dg.observed("rest", (14,))
    bound = dg.bind(dg.bind(net, {"0/weight": first}), rest)
    assert bound.parameters() == {}
    program = dg.Diagram("d", {"y": bound(x)}).compile(target="reference", dtype="float64")
    w = np.random.default_rng(0).normal(size=26)
    value = np.random.default_rng(1).normal(size=(4, 3))
    found = program.run(x=value, first=w[:12].reshape(3, 4), rest=w[12:])["y"]
    np.testing.assert_allclose(found, by_hand(net, value, w), rtol=1e-12)


class Doubled(dg.Block):
    """A block whose weight was computed when it was made, and which is applied in many ways."""

    def __init__(self) -> None:
        self.u = dg.parameter("u", (3,))
        self.weight = self.u * 2
        self.many = [dg.Linear(3, 3, bias=False), dg.Linear(3, 3)]
        self.start = dg.parameter("start", (3,))

    def forward(self, x: Any) -> Any:
        t = dg.loop("t", steps=3)
        z = t.delay("z", self.start, shape=x.shape)
        t.close(z, dg.tanh(self.many[0](z) + self.many[1](x)) * self.weight)
        return t.last(z) + dg.gradient(dg.sum(self.u**3), self.u)


@pytest.mark.parametrize("target", TARGETS)
def test_whatever_a_block_does_with_its_parameters(target: Target) -> None:
    """Computed outside of forward, in lists, in a loop, as a delay's start, in a gradient."""
    block = Doubled()
    x, w = dg.observed("x", ("B", 3)), dg.observed("w", (block.parameter_count,))
    diagram = dg.Diagram("d", {"y": dg.bind(block, w)(x)})
    assert diagram.parameters == {}
    free = dg.Diagram("free", {"y": block(x)}).compile(target="reference", dtype="float64")
    rng = np.random.default_rng(0)
    vector, value = rng.normal(size=block.parameter_count), rng.normal(size=(2, 3))
    for name, part in block.unflatten(vector).items():
        free.parameters[f"doubled/{name}"] = part
    found = diagram.compile(target=target, dtype="float64").run(x=value, w=vector)["y"]
    np.testing.assert_allclose(found, free.run(x=value)["y"], rtol=1e-10)


def test_derivatives_to_second_order() -> None:
    net = small("float64")
    rng = np.random.default_rng(0)
    check_derivatives(
        lambda x, u: dg.bind(net, dg.tanh(u) @ np.ones((2, 26)) * 0.3 + dg.sum(u))(x),
        rng.normal(size=(3, 3)),
        rng.normal(size=2),
    )


def test_a_hypernetwork_holds_the_parameters_of_h() -> None:
    net = small()
    h = dg.Chain(dg.Linear(5, 4), dg.relu, dg.Linear(4, net.parameter_count))
    hyper = dg.Hypernetwork(h, net, name="hyper")
    x, z = dg.observed("x", ("B", 3)), dg.observed("z", (5,))
    y = hyper(x, context=z)
    diagram = dg.Diagram("d", {"y": y}, cost=dg.mean(y * y))
    names = ["hyper/H/0/weight", "hyper/H/0/bias", "hyper/H/2/weight", "hyper/H/2/bias"]
    assert list(diagram.parameters) == names
    assert [f"hyper/{name}" for name in hyper.parameters()] == names
    assert hyper.parameter_count == h.parameter_count
    program = diagram.compile(dg.SGD(0.1), target="reference")
    given = {"x": np.ones((2, 3), np.float32), "z": np.ones(5, np.float32)}
    costs = [program.step(**given) for _ in range(20)]
    assert costs[-1] < 0.5 * costs[0]


def test_the_file_holds_u_and_not_w(tmp_path: Any) -> None:
    from safetensors.numpy import load_file

    net = small()
    u = dg.parameter("u", (2,), init=1.0)
    y = dg.bind(net, u @ np.ones((2, 26), np.float32))(dg.observed("x", ("B", 3)))
    diagram = dg.Diagram("d", {"y": y}, cost=dg.mean(y))
    program = diagram.compile(dg.Adam(0.1), target="reference")
    program.step(x=np.ones((1, 3), np.float32))
    program.save(tmp_path / "d.safetensors")
    held = load_file(tmp_path / "d.safetensors")
    assert {"u", "step"} < set(held) and not any("net" in name for name in held)
    other = diagram.compile(dg.Adam(0.1), target="reference")
    other.load(tmp_path / "d.safetensors")
    np.testing.assert_array_equal(other.parameters["u"], program.parameters["u"])


NET = """
    net = dg.Chain(dg.Linear(3, 4), dg.relu, dg.Linear(4, 2), name="net")
    x = dg.observed("x", ("B", 3))
"""


@pytest.mark.parametrize(
    ("source", "kind", "message"),
    [
        (
            'y = dg.bind(net, dg.observed("w", (25,)))(x)',
            dg.ShapeError,
            "bind (m.py:1) expects a vector of 26 elements, or one for each sample, for Chain "
            "'net', got float32 (25,) from observed 'w' (m.py:1): its parameters are 0/weight "
            "(3, 4), 0/bias (4,), 2/weight (4, 2), 2/bias (2,)",
        ),
        (
            'y = dg.bind(net, dg.observed("w", (2, 3, 26)))(x)',
            dg.ShapeError,
            "bind (m.py:1) expects a vector of 26 elements, or one for each sample, for Chain "
            "'net', got float32 (2, 3, 26) from observed 'w' (m.py:1): its parameters are 0/weight "
            "(3, 4), 0/bias (4,), 2/weight (4, 2), 2/bias (2,)",
        ),
        (
            'y = dg.bind(net, dg.observed("w", (26,), "float64"))(x)',
            dg.DtypeError,
            "bind (m.py:1) expects float32 for '0/weight' of Chain 'net', got float64 (26,) from "
            "observed 'w' (m.py:1)",
        ),
        (
            'y = dg.bind(net, {"1/weight": dg.observed("w", (3, 4))})(x)',
            dg.DiagramError,
            "bind (m.py:1) expects parameters of Chain 'net', got '1/weight': it has 0/weight, "
            "0/bias, 2/weight, 2/bias",
        ),
        (
            'y = dg.bind(net, {"0/weight": dg.observed("w", (4, 3))})(x)',
            dg.ShapeError,
            "bind (m.py:1) expects shape (3, 4) for '0/weight' of Chain 'net', or one such for "
            "each sample, got float32 (4, 3) from observed 'w' (m.py:1)",
        ),
        (
            'y = dg.bind(net, {"0/bias": dg.observed("w", (4,), "int32")})(x)',
            dg.DtypeError,
            "bind (m.py:1) expects float32 for '0/bias' of Chain 'net', got int32 (4,) from "
            "observed 'w' (m.py:1)",
        ),
        (
            'b = dg.observed("b", (4,))\n'
            'y = dg.bind(dg.bind(net, {"0/bias": b}), {"0/bias": b})(x)',
            dg.NameTakenError,
            "bind (m.py:1) binds '0/bias' of Chain 'net', which is bound already",
        ),
        (
            'u = dg.parameter("u", (4, 4))\n'
            'pair = dg.Chain(dg.Linear(4, 4, weight=u), dg.Linear(4, 4, weight=u), name="pair")\n'
            'w = dg.observed("w", (4, 4))\n'
            'y = dg.bind(pair, {"0/u": w, "1/u": w})(dg.observed("z", (1, 4)))',
            dg.DiagramError,
            "bind (m.py:1) expects parameters of Chain 'pair', got '1/u': it has 0/u, 0/bias, "
            "1/bias",
        ),
        (
            'a, b = dg.observed("a", ("B", 3, 4)), dg.observed("b", ("S", 4))\n'
            'y = dg.bind(net, {"0/weight": a, "0/bias": b})(x)',
            dg.ShapeError,
            "bind (m.py:1) expects weights for B samples as of observed 'a' (m.py:1), got S from "
            "observed 'b' (m.py:1)",
        ),
        (
            'y = dg.bind(dg.Flatten(), dg.observed("w", (0,)))(x)',
            dg.DiagramError,
            "bind (m.py:1) expects a block with free parameters, got Flatten",
        ),
        (
            'y = dg.bind(dg.Chain(dg.Flatten(0), name="flat"), {})(x)\n'
            'w = dg.observed("w", ("B", 26))\n'
            "mixed = dg.Chain(net, dg.Flatten(0))\n"
            "y = dg.bind(mixed, w)(x)",
            dg.ShapeError,
            "Chain (m.py:1) has weights for each sample, and expects results with at most one "
            "axis of B samples, got (2*B,): keep the samples apart",
        ),
        (
            'w = dg.observed("w", (26,))\n'
            "y = dg.gradient(dg.sum(dg.bind(net, w)(x)), net[0].weight)",
            dg.DiagramError,
            "gradient (m.py:1) expects what the cost depends on, got parameter 'net/0/weight' "
            "(m.py:1), which is bound to observed 'w' (m.py:1): take the gradient by that, or by "
            "what it is computed from",
        ),
    ],
)
def test_mistakes(source: str, kind: type[dg.DiagramError], message: str) -> None:
    head = "\n".join(line.strip() for line in NET.strip().splitlines())
    assert text(mistake_in(f"{head}\n{source}", kind)) == message


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0], "bind (m.py:1) expects a variable or a dict of variables by name, got list"),
        ({"0/bias": 1.0}, "bind (m.py:1) expects a variable for '0/bias', got float"),
    ],
)
def test_other_weights(weights: Any, message: str) -> None:
    with pytest.raises(TypeError) as error:
        dg.bind(small(), weights)
    assert text(error.value) == message


def test_other_things_than_blocks() -> None:
    with pytest.raises(TypeError) as error:
        dg.bind(dg.sum, dg.observed("w", (3,)))  # type: ignore[arg-type]
    assert text(error.value) == "bind (m.py:1) expects a block, got function"
    with pytest.raises(
        TypeError, match=r"Hypernetwork \(.*\) expects a block as G, got a function"
    ):
        dg.Hypernetwork(small(), dg.sum)  # type: ignore[arg-type]


def test_vectors_of_another_length() -> None:
    net = small()
    with pytest.raises(dg.ShapeError) as error:
        net.unflatten(np.zeros(25))
    assert text(error.value) == (
        "unflatten of Chain 'net' (m.py:1) expects 26 elements along the last axis, got shape "
        "(25,): its parameters are 0/weight (3, 4), 0/bias (4,), 2/weight (4, 2), 2/bias (2,)"
    )
    with pytest.raises(dg.DiagramError) as missing:
        net.flatten({"0/bias": np.zeros(4)})
    assert text(missing.value) == (
        "flatten of Chain 'net' (m.py:1) expects values for 0/weight, 0/bias, 2/weight, 2/bias, "
        "got 0/bias"
    )
    values = {name: np.zeros(item.type.extents) for name, item in net.parameters().items()}
    with pytest.raises(dg.ShapeError) as wrong:
        net.flatten({**values, "0/bias": np.zeros(5)})
    assert text(wrong.value) == (
        "flatten of Chain 'net' (m.py:1) expects shape (4,) for '0/bias', got (5,)"
    )


def test_what_a_block_computes_outside_of_forward_must_be_plain() -> None:
    source = """
        class Outer(dg.Block):
            def __init__(self):
                self.u = dg.parameter("u", (3,))
                self.inner = dg.Linear(3, 3)
                self.weight = self.inner(self.u)

            def forward(self, x):
                return x * self.weight

        outer = Outer()
        w = dg.observed("w", (outer.parameter_count,))
        y = dg.bind(outer, w)(dg.observed("x", ("B", 3)))
    """
    assert text(mistake_in(source, dg.DiagramError)) == (
        "Linear 'outer/inner' (m.py:1) computes what a bound block uses from parameter 'outer/u' "
        "(m.py:1), which is bound: compute it in the block's forward"
    )
