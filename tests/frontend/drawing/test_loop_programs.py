"""Loops together with the rest: blocks, random draws, states, training, summaries, pictures."""

from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest

import diagrad as dg
from diagrad.compiler.sizes import named

from ..looping import TARGETS, Target, unrolled_values

T, B = named("T"), named("B")


class Noise(dg.Block):
    """Drops elements at random, as `dropout` does."""

    def forward(self, x: Any) -> Any:
        kept = dg.random_uniform(x.shape, stream="noise", dtype=x.dtype) < 0.5
        return dg.where(kept, x, 0.0)


class Recurrent(dg.Block):
    """A loop in a block: h(t) = tanh(x(t) u + h(t-1) w)."""

    def __init__(self, features: int, width: int, **options: Any) -> None:
        self.enter = dg.Linear(features, width)
        self.back = dg.Linear(width, width, bias=False)
        self.width = width
        self.options = options

    def forward(self, x: Any) -> Any:
        t = dg.loop("t", **self.options)
        h = t.delay("h", 0.0, shape=(x.shape[1], self.width))
        h_next = dg.tanh(self.enter(t.each(x)) + self.back(h))
        t.close(h, h_next)
        return t.stack(h_next), t.last(h_next)


def sequence(steps: int, batch: int, features: int) -> Any:
    return np.random.default_rng(0).normal(size=(steps, batch, features)).astype(np.float32)


@pytest.mark.parametrize("target", TARGETS)
def test_draws_differ_from_step_to_step(target: Target) -> None:
    x = dg.observed("x", ("T", "B", 8))
    t = dg.loop("t")
    d = dg.Diagram("d", {"Y": t.stack(Noise()(t.each(x)))})
    ones = np.ones((5, 4, 8), np.float32)
    found = d.compile(target=target, seed=3).run(x=ones)["Y"]
    assert len({row.tobytes() for row in found}) == 5 and 0.3 < found.mean() < 0.7
    states = d.compile(seed=3).states
    wanted = unrolled_values(d, {"x": ones}, {"T": 5, "B": 4}, states)["Y"]
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("target", TARGETS)
def test_draws_in_a_loop_in_a_loop_differ_too(target: Target) -> None:
    x = dg.observed("x", ("T", "B", 8))
    t = dg.loop("t")
    x_t = t.each(x)
    s = dg.loop("s", steps=3)
    a = s.delay("a", x_t)
    drawn = Noise()(x_t + 0.0 * a)
    s.close(a, drawn)
    d = dg.Diagram("d", {"Y": t.stack(s.stack(drawn))})
    ones = np.ones((4, 2, 8), np.float32)
    found = d.compile(target=target).run(x=ones)["Y"]
    assert found.shape == (4, 3, 2, 8)
    assert len({row.tobytes() for row in found.reshape(12, -1)}) == 12
    states = d.compile().states
    wanted = unrolled_values(d, {"x": ones}, {"T": 4, "B": 2}, states)["Y"]
    np.testing.assert_array_equal(found, wanted)


def test_a_step_draws_anew_and_a_gradient_sees_the_same_draws() -> None:
    x = dg.observed("x", ("T", "B", 8))
    t = dg.loop("t", checkpoint=2)
    z = t.delay("z", 0.0, shape=("B", 8))
    z_next = Noise()(t.each(x)) + z
    t.close(z, z_next)
    cost = dg.sum(t.last(z_next))
    d = dg.Diagram("d", {"last": t.last(z_next), "slope": dg.gradient(cost, x)}, cost=cost)
    ones = np.ones((5, 2, 8), np.float32)
    for target in TARGETS:
        program = d.compile(optimizer=dg.SGD(0.1), target=target)
        found = program.run(x=ones)
        np.testing.assert_array_equal(found["slope"].sum(axis=0), found["last"])
        costs = {program.step(x=ones) for _ in range(4)}
        assert len(costs) == 4 and found["last"].sum() in costs


def test_a_block_in_several_loops_has_its_parameters_once() -> None:
    x = dg.observed("x", ("T", "B", 3))
    cell = dg.Linear(3, 3, name="cell")
    outputs: dict[str, Any] = {}
    for name in ("t", "s"):
        loop = dg.loop(name, steps="T")
        z = loop.delay("z", x[0] if name == "t" else outputs["t"])
        z_next = dg.tanh(cell(loop.each(x) + z))
        loop.close(z, z_next)
        outputs[name] = loop.last(z_next)
    outputs["outside"] = cell(x[0])
    d = dg.Diagram("d", outputs)
    assert list(d.parameters) == ["cell/weight", "cell/bias"]
    program, values = d.compile(target="reference"), sequence(4, 2, 3)
    w, b = program.parameters["cell/weight"], program.parameters["cell/bias"]
    z = values[0]
    for name in ("t", "s"):
        for x_t in values:
            z = np.tanh((x_t + z) @ w + b)
        np.testing.assert_allclose(program.run(x=values)[name], z, atol=1e-5)


@pytest.mark.parametrize("target", TARGETS)
def test_a_loop_in_a_block_learns(target: Target) -> None:
    """Two recurrent layers, the second reversed, that say the sign of the first element."""
    x, y = dg.observed("x", ("T", "B", 2)), dg.observed("y", ("B",), dtype=dg.int32)
    first = Recurrent(2, 8)
    hidden, _ = first(x)
    _, last = Recurrent(8, 8, reverse=True, checkpoint=2)(hidden)
    scores = dg.Linear(8, 2)(last)
    d = dg.Diagram("d", {"scores": scores}, cost=dg.cross_entropy(scores, y))
    assert [n for n in d.parameters if n.startswith("recurrent/")] == [
        "recurrent/enter/weight", "recurrent/enter/bias", "recurrent/back/weight",
    ]  # fmt: skip
    program = d.compile(optimizer=dg.Adam(0.02), target=target)
    values = sequence(5, 32, 2)
    labels = (values[0, :, 0] > 0).astype(np.int32)
    costs = [program.step(x=values, y=labels) for _ in range(60)]
    assert costs[-1] < 0.2 < costs[0]
    right = program.run(x=values)["scores"].argmax(axis=1) == labels
    assert right.mean() > 0.9


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("steps", [1, 2])
def test_a_state_goes_on_where_the_last_step_stopped(target: Target, steps: int) -> None:
    shape = (2, 3) if steps == 1 else (steps, 2, 3)
    x = dg.observed("x", ("T", 2, 3))
    t = dg.loop("t")
    z = t.delay("z", state=dg.state("h", shape, init=0.5), steps=steps)
    z_next = dg.tanh(t.each(x) + z)
    t.close(z, z_next)
    d = dg.Diagram("d", {"Y": t.stack(z_next)}, cost=dg.sum(t.sum(z_next)))
    assert list(d.states) == ["h"] and not d.parameters
    program = d.compile(optimizer=dg.SGD(0.1), target=target)
    values = sequence(7, 2, 3)
    whole = program.run(x=values)["Y"]
    np.testing.assert_array_equal(program.states["h"], np.full(shape, 0.5))
    for start, stop in ((0, 3), (3, 4), (4, 4), (4, 7)):
        np.testing.assert_array_equal(program.run(x=values[start:])["Y"], whole[start:])
        program.step(x=values[start:stop])
    np.testing.assert_array_equal(program.states["h"].reshape(-1, 2, 3), whole[-steps:])
    program.states["h"][...] = 0.5
    np.testing.assert_array_equal(program.run(x=values)["Y"], whole)


def test_no_gradient_goes_past_the_beginning_of_a_step() -> None:
    """Two steps of three elements train as one of six that is truncated at the third."""

    def program(truncate: int | None, kept: bool) -> dg.Program:
        x = dg.observed("x", ("T", 2, 3))
        w = dg.parameter("w", (3, 3), init=dg.init.normal(0.5))
        t = dg.loop("t", truncate=truncate)
        start: dict[str, Any] = {"init": 0.0, "shape": (2, 3)}
        start = {"state": dg.state("h", (2, 3))} if kept else start
        z = t.delay("z", **start)
        z_next = dg.tanh(t.each(x) + z @ w)
        t.close(z, z_next)
        return dg.Diagram("d", {}, cost=dg.sum(t.sum(z_next * z_next))).compile(dg.SGD(1.0))

    values = sequence(6, 2, 3)
    parts, whole = program(None, True), program(3, False)
    before = parts.parameters["w"].copy()
    np.testing.assert_array_equal(whole.parameters["w"], before)
    slopes = []
    for part in (values[:3], values[3:]):
        parts.step(x=part)
        slopes.append(before - parts.parameters["w"])
        parts.parameters["w"] = before
    whole.step(x=values)
    np.testing.assert_allclose(before - whole.parameters["w"], sum(slopes), rtol=1e-4, atol=1e-5)


def test_states_are_saved_and_are_no_parameters(tmp_path: Path) -> None:
    def program() -> dg.Program:
        x, w = dg.observed("x", (2,)), dg.parameter("w", (2,), init=1.0)
        mean = dg.state("mean", (2,), init=np.array([1.0, 2.0], np.float32))
        new = 0.5 * mean + 0.5 * x
        dg.update(mean, new)
        return dg.Diagram("d", {"mean": new}, cost=dg.sum(w * new)).compile(dg.SGD(0.1))

    first, second = program(), program()
    first.step(x=np.zeros(2, np.float32))
    np.testing.assert_array_equal(first.states["mean"], [0.5, 1.0])
    assert list(first.parameters) == ["w"]
    first.save(tmp_path / "p.safetensors")
    with pytest.warns(dg.DiagramWarning, match="leaves the states mean"):
        second.load(tmp_path / "p.safetensors", parameters_only=True)
    np.testing.assert_array_equal(second.states["mean"], [1.0, 2.0])
    np.testing.assert_array_equal(second.parameters["w"], first.parameters["w"])
    second.load(tmp_path / "p.safetensors")
    np.testing.assert_array_equal(second.states["mean"], [0.5, 1.0])


def test_the_initial_value_of_a_state_must_fit() -> None:
    h = dg.state("h", (2,), init=np.zeros(3))
    dg.update(h, h * 2.0)
    with pytest.raises(
        dg.InputError, match=r"expects a number or float32 \(2,\) for its init, got"
    ):
        dg.Diagram("d", {"h": h}).compile(target="reference")


def small(**options: Any) -> dg.Diagram:
    x = dg.observed("x", ("T", 2), dg.float64)
    w, u = (dg.parameter(n, (k, 3), dtype=dg.float64) for n, k in (("w", 3), ("u", 2)))
    t = dg.loop("t", **options)
    z = t.delay("z", 0.1, shape=(3,), dtype=dg.float64)
    z_next = dg.tanh(z @ w + t.each(x) @ u)
    t.close(z, z_next)
    last = t.last(z_next)
    return dg.Diagram("small", {"Y": t.stack(z_next)}, cost=dg.sum(last * last))


@pytest.mark.parametrize("options", [{}, {"checkpoint": 2}, {"reverse": True}])
@pytest.mark.parametrize("target", TARGETS)
def test_gradient_flow_is_the_product_of_jacobians(
    target: Target, options: dict[str, Any], tmp_path: Path
) -> None:
    program = small(**options).compile(target=target)
    x = sequence(6, 1, 2)[:, 0].astype(np.float64)
    flow = dg.gradient_flow(program, {"x": x})
    z, one = dg.observed("z", (3,), dg.float64), dg.observed("x", (2,), dg.float64)
    w, u = (dg.constant(program.parameters[name]) for name in ("w", "u"))
    after = dg.tanh(z @ w + one @ u)
    jacobian = dg.Diagram("j", {"J": dg.jacobian(after, z)}).compile(target="reference")
    order = list(range(6))[::-1] if options.get("reverse") else list(range(6))
    states = [np.full(3, 0.1), *(program.run(x=x)["Y"][t] for t in order)]
    slope, wanted = 2 * states[-1], {}
    for place in reversed(range(6)):
        wanted[order[place]] = slope
        slope = slope @ jacobian.run(z=states[place], x=x[order[place]])["J"]
    for t in range(6):
        np.testing.assert_allclose(flow.gradients["z"][t], wanted[t], atol=1e-12)
        np.testing.assert_allclose(flow["z"][t], np.linalg.norm(wanted[t]), atol=1e-12)
    assert list(flow) == ["z"] and len(flow) == 1 and "z: [" in repr(flow)
    assert flow.plot(tmp_path / "flow.svg").stat().st_size > 1000


def test_gradient_flow_is_cut_where_the_loop_is_truncated() -> None:
    x = sequence(7, 1, 2)[:, 0].astype(np.float64)
    flow = dg.gradient_flow(small(truncate=3), {"x": x})["z"]
    assert (flow[:6] == 0).all()
    assert flow[6] > 0


def test_gradient_flow_through_a_loop_in_a_loop_in_a_block() -> None:
    class Two(dg.Block):
        def forward(self, x: Any) -> Any:
            t = dg.loop("t")
            z = t.delay("z", 0.0, shape=(2,))
            s = dg.loop("s", steps=3)
            a = s.delay("a", z + t.each(x))
            a_next = dg.tanh(2.0 * a)
            s.close(a, a_next)
            t.close(z, s.last(a_next))
            return t.last(s.last(a_next))

    x = dg.observed("x", ("T", 2))
    d = dg.Diagram("d", cost=dg.sum(Two()(x)))
    flow = dg.gradient_flow(d, {"x": np.full((4, 2), 0.1, np.float32)})
    assert {name: norms.shape for name, norms in flow.items()} == {"two/a": (4, 3), "two/z": (4,)}
    np.testing.assert_allclose(flow["two/a"][:, -1], flow["two/z"], rtol=1e-6)
    np.testing.assert_allclose(flow["two/z"][-1], np.sqrt(2), rtol=1e-6)


def test_gradient_flow_says_what_is_missing() -> None:
    x = dg.observed("x", (2,))
    with pytest.raises(dg.DiagramError, match="expects a diagram with a cost, got 'd'"):
        dg.gradient_flow(dg.Diagram("d", {"y": x * 2.0}), {})
    with pytest.raises(dg.DiagramError, match="expects a cost with a float delay in a loop"):
        dg.gradient_flow(dg.Diagram("d", cost=dg.sum(x * 2.0)), {})
    with pytest.raises(TypeError, match="expects a program or a diagram, got int"):
        dg.gradient_flow(3, {})  # type: ignore[arg-type]


def test_a_summary_counts_steps() -> None:
    x = dg.observed("x", ("T", "B", 3))
    _, last = Recurrent(3, 4)(x)
    found = dg.Diagram("d", {"last": last}).summary(T=10, B=2)
    assert found.parameters == 3 * 4 + 4 + 4 * 4 and found.batch == "B"
    rows = {row.name: row for row in found.rows}
    assert rows["recurrent/enter"].links == T * (3 * 4 + 4)
    assert rows["recurrent/back"].links == T * (4 * 4)
    assert rows["recurrent/back"].flops == T * B * (2 * 4 * 4)
    assert rows["recurrent/enter"].parameters == 16
    assert found.memory[0].run > 0


def test_a_summary_predicts_what_a_checkpoint_saves() -> None:
    def memory(**options: Any) -> int:
        x = dg.observed("x", ("T", "B", 3))
        _, last = Recurrent(3, 16, **options)(x)
        found = dg.Diagram("d", cost=dg.sum(last)).summary(T=100, B=8).memory[0].step
        assert found is not None
        return found

    assert memory(checkpoint=10) < 0.4 * memory()


def test_the_drawn_graph_is_cyclic_through_delays_alone() -> None:
    x = dg.observed("x", ("T", "B", 3))
    t = dg.loop("t", truncate=2)
    z = t.delay("z", 0.0, shape=("B", 3), steps=2)
    s = dg.loop("s", steps=3)
    a = s.delay("a", z)
    a_next = dg.tanh(a + t.each(x))
    s.close(a, a_next)
    t.close(z, s.last(a_next))
    graph = dg.Diagram("d", {"Y": t.stack(s.last(a_next))}).graph
    loops = graph.graph["loops"]
    assert list(loops) == ["t", "s"]
    assert loops["t"] | {"where": ""} == {
        "name": "t", "steps": T, "reverse": False, "keep": "all", "where": "",
    }  # fmt: skip
    delays = [node for node, data in graph.nodes(data=True) if data["kind"] == "delay"]
    back = [(u, v, k) for u, v, k, late in graph.edges(keys=True, data="delayed") if late]
    assert len(delays) == len(back) == 3 and {v for _, v, _ in back} == set(delays)
    assert not nx.is_directed_acyclic_graph(graph)
    graph.remove_edges_from(back)
    assert nx.is_directed_acyclic_graph(graph)
    around = {node: set(data["loops"]) for node, data in graph.nodes(data=True)}
    assert around["x"] == around["Y"] == set() and around["z.out"] == {"t"}
    assert around["tanh"] == {"t", "s"} and around["last"] == {"t"}


@pytest.mark.parametrize("depth", [1, 2, None])
def test_what_has_loops_can_be_drawn(depth: int | None, tmp_path: Path) -> None:
    x, n = dg.observed("x", ("T", "B", 3)), dg.observed("n", ("B",), dg.int32)
    hidden, _ = Recurrent(3, 4)(x)
    _, last = Recurrent(4, 4, truncate=2, lengths=None)(hidden)
    t = dg.loop("t", lengths=n, reverse=True)
    z = t.delay("z", last)
    z_next = dg.tanh(z + t.each(hidden))
    t.close(z, z_next)
    d = dg.Diagram("d", {"Y": t.stack(z_next), "last": last}, cost=dg.sum(t.last(z_next)))
    for stage in ("drawn", "graph", "kernels"):
        assert d.render(tmp_path / f"{stage}.svg", stage=stage, depth=depth).stat().st_size > 1000
