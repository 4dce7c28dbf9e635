"""Units on any graph, against a loop over them in NumPy, Linear layers and PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest

import diagrad as dg

from ..evaluating import TARGETS, Array, Target, check_derivatives, text

FUNCTIONS: dict[str, Any] = {"tanh": np.tanh, "relu": lambda s: np.maximum(s, 0), "None": np.array}

DIAMOND = [("a", "c"), ("b", "c"), ("a", "d"), ("c", "d"), ("c", "e"), ("d", "e"), ("b", "e")]
FED_BACK = [*DIAMOND, ("e", "c", 1), ("d", "d", 1), ("a", "e", 2), ("c", "c", 3)]


def randomly(units: int, inputs: int, share: float, seed: int) -> list[tuple[int, int]]:
    """Edges from lower to higher numbers, each there with a probability; one into each at least."""
    rng = np.random.default_rng(seed)
    edges = [(i, j) for j in range(inputs, units) for i in range(j) if rng.random() < share]
    fed = {j for _, j in edges}
    edges += [(int(rng.integers(j)), j) for j in range(inputs, units) if j not in fed]
    order = rng.permutation(len(edges))
    return [edges[k] for k in order]


def by_hand(graph: Any, weight: Array, bias: Array | None, x: Array) -> Array:
    """Unit after unit, of x of shape (T, B, inputs): (T, B, outputs)."""
    functions: dict[Any, Any] = {}
    for names, function in zip(graph.levels, graph.functions, strict=True):
        functions |= dict.fromkeys(names, FUNCTIONS[getattr(function, "__name__", "None")])
    past: list[dict[Any, Array]] = []
    for step in x:
        z = {name: step[:, k] for k, name in enumerate(graph.inputs)}
        for name in (item for level in graph.levels for item in level):
            s = np.zeros(len(step))
            for w, (source, target, delay) in zip(weight, graph.edges, strict=True):
                if target != name or delay > len(past):
                    continue
                s = s + w * (past[-delay] if delay else z)[source]
            if bias is not None:
                s = s + bias[graph.units.index(name)]
            z[name] = functions[name](s)
        past.append(z)
    outputs = [np.stack([z[name] for name in graph.outputs], axis=1) for z in past]
    return np.array(outputs).reshape(*x.shape[:2], len(graph.outputs))


GRAPHS: dict[str, Any] = {
    "diamond": lambda **k: dg.UnitGraph(DIAMOND, **k),
    "one": lambda **k: dg.UnitGraph([("a", "b")], **k),
    "functions": lambda **k: dg.UnitGraph(DIAMOND, function=[dg.relu, dg.tanh, None], **k),
    "chosen": lambda **k: dg.UnitGraph(DIAMOND, ["b", "a"], ["e", "a", "c"], bias=False, **k),
    "dense": lambda **k: dg.UnitGraph(randomly(40, 7, 0.5, 0), **k),
    "sparse": lambda **k: dg.UnitGraph(
        [(i, j) for j in range(40, 200) for i in (j % 40, (3 * j + 1) % 40)]
        + [(40 + (7 * j) % 160, j) for j in range(200, 300)], **k),
}  # fmt: skip


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", GRAPHS)
def test_units_one_by_one(name: str, target: Target) -> None:
    graph = GRAPHS[name](dtype="float64", name="g")
    x = dg.observed("x", ("B", len(graph.inputs)), "float64")
    y = graph(x)
    program = dg.Diagram("test", {"y": y}).compile(target=target)
    rng = np.random.default_rng(0)
    weight = program.parameters["g/weight"]
    bias = None if graph.bias is None else rng.normal(size=len(graph.units))
    if bias is not None:
        program.parameters["g/bias"] = bias
    for samples in (0, 1, 5):
        values = rng.normal(size=(samples, len(graph.inputs)))
        found = program.run(x=values)["y"]
        np.testing.assert_allclose(
            found, by_hand(graph, weight, bias, values[None])[0], 1e-12, 1e-14
        )


@pytest.mark.parametrize("target", TARGETS)
def test_delays(target: Target) -> None:
    graph = dg.UnitGraph(FED_BACK, dtype="float64", name="g")
    assert graph.delays == (1, 2, 3) and graph.outputs == ("e",)
    x = dg.observed("x", ("T", "B", 2), "float64")
    lengths = dg.observed("n", ("B",), "int32")
    outputs = {"y": graph(x), "some": graph(x, lengths=lengths)}
    program = dg.Diagram("test", outputs).compile(target=target)
    rng = np.random.default_rng(1)
    bias = program.parameters["g/bias"] = rng.normal(size=3)
    for steps, samples in [(6, 3), (1, 1), (0, 2), (2, 1)]:
        values = rng.normal(size=(steps, samples, 2))
        n = rng.integers(0, steps + 1, samples).astype(np.int32)
        found = program.run(x=values, n=n)
        wanted = by_hand(graph, program.parameters["g/weight"], bias, values)
        np.testing.assert_allclose(found["y"], wanted, 1e-12, 1e-14)
        inside = np.arange(steps)[:, None, None] < n[:, None]
        np.testing.assert_allclose(found["some"], np.where(inside, wanted, 0), 1e-12, 1e-14)


def test_layers() -> None:
    """A layered graph is a chain of Linear layers, value and gradients."""
    sizes = (5, 4, 3)
    names = [[(k, i) for i in range(size)] for k, size in enumerate(sizes)]
    edges = [(a, b) for k in (0, 1) for a in names[k] for b in names[k + 1]]
    x = dg.observed("x", ("A", "B", 5))
    weights = [dg.parameter(f"w{k}", sizes[k : k + 2], dg.init.normal()) for k in (0, 1)]
    bias = [dg.parameter(f"b{k}", (sizes[k + 1],), dg.init.normal()) for k in (0, 1)]
    flat = dg.concatenate([dg.flatten(item, 0) for item in weights])
    graph = dg.UnitGraph(edges, weight=flat, bias=dg.concatenate(bias), function=[dg.tanh, None])
    one, two = (dg.Linear(sizes[k], sizes[k + 1], bias[k], weight=weights[k]) for k in (0, 1))
    found, wanted = graph(x), two(dg.tanh(one(x)))
    outputs: dict[str, Any] = {"y": (found - wanted), "size": wanted}
    for item in (x, *weights, *bias):
        pair = [dg.gradient(dg.sum(dg.sin(y)), item) for y in (found, wanted)]
        outputs[f"{item.name}"] = pair[0] - pair[1]
    result = (
        dg.Diagram("test", outputs)
        .compile()
        .run(x=np.random.default_rng(0).normal(size=(2, 3, 5)).astype(np.float32))
    )
    assert np.abs(result.pop("size")).min() > 0.01
    for value in result.values():
        np.testing.assert_allclose(value, 0, atol=1e-5)


@pytest.mark.parametrize("edges", [DIAMOND, FED_BACK, randomly(20, 3, 0.2, 1)], ids=len)
def test_derivatives(edges: Any) -> None:
    shape = (4, 2) if edges is FED_BACK else (2,)
    graph = dg.UnitGraph(edges)
    rng = np.random.default_rng(2)
    x = rng.normal(size=(*shape, len(graph.inputs)))
    w, b = rng.normal(size=len(edges)), rng.normal(size=len(graph.units))
    check_derivatives(
        lambda x, w, b: dg.UnitGraph(edges, weight=w, bias=b, dtype="float64")(x), x, w, b,
        width=1e-4,
    )  # fmt: skip


def test_sparse_levels_have_derivatives() -> None:
    graph = GRAPHS["sparse"](bias=False)
    rng = np.random.default_rng(3)
    x, w = rng.normal(size=(3, len(graph.inputs))), rng.normal(size=len(graph.edges))
    check_derivatives(
        lambda x, w: GRAPHS["sparse"](bias=False, weight=w, dtype="float64")(x), x, w, width=1e-4
    )


def test_against_pytorch() -> None:
    torch = pytest.importorskip("torch")
    edges = randomly(30, 6, 0.15, 4)
    graph = dg.UnitGraph(edges, dtype="float64", name="g")
    x = dg.observed("x", ("B", len(graph.inputs)), "float64")
    y = graph(x)
    cost = dg.sum(y * y)
    slopes = dg.gradient(cost, [x, graph.weight])
    program = dg.Diagram("test", {"cost_": cost, "x_": slopes[0], "w_": slopes[1]}).compile()
    values = np.random.default_rng(5).normal(size=(4, len(graph.inputs)))
    found = program.run(x=values)
    theirs = torch.tensor(values, requires_grad=True)
    weight = torch.tensor(np.array(program.parameters["g/weight"]), requires_grad=True)
    z = {name: theirs[:, k] for k, name in enumerate(graph.inputs)}
    for level in graph.levels:
        for name in level:
            into = [weight[e] * z[a] for e, (a, b) in enumerate(edges) if b == name]
            z[name] = torch.tanh(torch.stack(into).sum(0))
    total = sum((z[name] ** 2).sum() for name in graph.outputs)
    total.backward()
    np.testing.assert_allclose(found["cost_"], total.item(), 1e-12)
    np.testing.assert_allclose(found["x_"], theirs.grad.numpy(), 1e-10, 1e-14)
    np.testing.assert_allclose(found["w_"], weight.grad.numpy(), 1e-10, 1e-14)


def test_networkx() -> None:
    drawn = nx.DiGraph()
    drawn.add_nodes_from("ab")
    drawn.add_edges_from([("b", "c"), ("a", "c")])
    drawn.add_edge("c", "c", delay=1)
    graph = dg.UnitGraph(drawn)
    assert graph.edges == (("a", "c", 0), ("b", "c", 0), ("c", "c", 1))
    assert (graph.inputs, graph.outputs, graph.levels) == (("a", "b"), ("c",), (("c",),))


def test_weights_at_the_start() -> None:
    """Of variance 1 over the number of edges into a unit."""
    edges = [(i, "few") for i in range(4)] + [(i, "many") for i in range(4000)]
    graph = dg.UnitGraph(edges, name="g")
    x = dg.observed("x", ("B", 4000))
    weight = dg.Diagram("test", {"y": graph(x)}).compile().parameters["g/weight"]
    assert 0.5 < np.abs(weight[:4]).max() <= np.sqrt(3 / 4)
    np.testing.assert_allclose(weight[4:].std(), 1 / np.sqrt(4000), rtol=0.05)


def test_weights_of_each_sample() -> None:
    graph = dg.UnitGraph(DIAMOND, dtype="float64", name="g")
    x, w = dg.observed("x", ("B", 2), "float64"), dg.observed("w", ("B", 10), "float64")
    y = dg.bind(graph, w)(x)
    rng = np.random.default_rng(6)
    values, weights = rng.normal(size=(3, 2)), rng.normal(size=(3, 10))
    found = dg.Diagram("test", {"y": y}).compile().run(x=values, w=weights)["y"]
    for b in range(3):
        wanted = by_hand(graph, weights[b, :7], weights[b, 7:], values[None, b : b + 1])
        np.testing.assert_allclose(found[b], wanted[0, 0])


def test_training_and_files(tmp_path: Path) -> None:
    x, y = dg.observed("x", ("B", 2)), dg.observed("y", ("B", 1))
    edges = [*((i, h) for h in "hk" for i in "ab"), *(("h", "o"), ("k", "o"), ("a", "o"))]
    graph = dg.UnitGraph(edges, function=[dg.tanh, None], name="g")
    found = graph(x)
    diagram = dg.Diagram("test", {"y_": found}, cost=dg.squared_error(found, y))
    program = diagram.compile(dg.Adam(0.05))
    points = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
    wanted = np.array([[0], [1], [1], [0]], np.float32)
    for _ in range(1500):
        cost = program.step(x=points, y=wanted)
    assert cost < 0.01
    program.save(tmp_path / "g.safetensors")
    again = diagram.compile(dg.Adam(0.05))
    again.load(tmp_path / "g.safetensors")
    np.testing.assert_array_equal(again.run(x=points)["y_"], program.run(x=points)["y_"])


def made(*given: Any, **options: Any) -> Any:
    return lambda: dg.UnitGraph(*given, **options)


MISTAKES: list[tuple[Any, type[Exception], str]] = [
    (
        made([("a", "b"), ("b", "c"), ("c", "d"), ("d", "b")]), dg.CycleError,
        "UnitGraph (m.py:1) expects edges that do not lead round, got b -> c -> d -> b: give one "
        "of them a delay, ('d', 'b', 1), and the units are a loop over steps",
    ),
    (
        made([("a", "b"), ("b", "b")]), dg.CycleError,
        "UnitGraph (m.py:1) expects edges that do not lead round, got b -> b: give one of them a "
        "delay, ('b', 'b', 1), and the units are a loop over steps",
    ),
    (made([]), ValueError, "UnitGraph (m.py:1) expects 1 or more edges, got none"),
    (
        made(3), TypeError,
        "UnitGraph (m.py:1) expects edges to be a list of pairs (from, to), got 3",
    ),
    (
        made(["abcd"]), TypeError,
        "UnitGraph (m.py:1) expects edges to be pairs (from, to) or triples with a delay, got "
        "'abcd'",
    ),
    (
        made([("a", "b", -1)]), ValueError,
        "UnitGraph (m.py:1) expects a delay to be an integer of 0 or more, got -1",
    ),
    (
        made([("a", "b"), ("a", "b")]), ValueError,
        "UnitGraph (m.py:1) expects every edge once, got a -> b twice",
    ),
    (
        made(nx.Graph([(0, 1)])), TypeError,
        "UnitGraph (m.py:1) expects a directed graph, got a Graph",
    ),
    (
        made([("a", "b")], inputs=["x"]), ValueError,
        "UnitGraph (m.py:1) expects inputs among its units, got 'x'",
    ),
    (
        made([("a", "b"), ("b", "c")], inputs=["a", "b"]), ValueError,
        "UnitGraph (m.py:1) expects no edges into its inputs, got one into 'b'",
    ),
    (
        made([("a", "c"), ("b", "c")], inputs=["a"]), ValueError,
        "UnitGraph (m.py:1) expects an edge into every unit that is no input, got none into 'b'",
    ),
    (
        made([("a", "b"), ("b", "a", 1)]), ValueError,
        "UnitGraph (m.py:1) expects inputs, got none: edges lead into every unit",
    ),
    (
        made([("a", "b")], function=[dg.tanh, dg.tanh]), ValueError,
        "UnitGraph (m.py:1) expects one function for each of its 1 levels, got 2",
    ),
    (
        made([("a", "b")], weight=dg.parameter("w", (2,))), dg.ShapeError,
        "UnitGraph (m.py:1) expects weight of shape (1,), got (2,) from parameter 'w' (m.py:1)",
    ),
    (
        lambda: dg.UnitGraph([("a", "b")], name="g")(dg.observed("x", ("B", 2))).shape,
        dg.ShapeError,
        "UnitGraph 'g' (m.py:1) expects x of shape (..., 1), got (B, 2) from observed 'x' (m.py:1)",
    ),
    (
        lambda: dg.UnitGraph([("a", "b"), ("b", "b", 1)], name="g")(dg.observed("x", (5, 1))).shape,
        dg.ShapeError,
        "UnitGraph 'g' (m.py:1) has delays, and expects x of shape (T, B, 1), got (5, 1) from "
        "observed 'x' (m.py:1)",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("build", "kind", "wanted"), MISTAKES)
def test_mistakes(build: Any, kind: type[Exception], wanted: str) -> None:
    with pytest.raises(kind) as caught:
        build()
    assert text(caught.value) == wanted
