"""`dg.training()`: true in what a step computes, false in a run, a constant in both."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import diagrad as dg
from diagrad.compiler.passes.choose_branches import choose_branches
from diagrad.compiler.passes.inline import inline

X = np.linspace(-1, 1, 6).reshape(2, 3).astype(np.float32)
TARGETS = ("cpu", "reference")


def both() -> dg.Diagram:
    """2 w x in a step, exp(w x) in a run."""
    x, w = dg.observed("x", ("B", 3)), dg.parameter("w", (3,), init=1.0)
    y = dg.where(dg.training(), 2.0 * w * x, dg.exp(w * x))
    return dg.Diagram("both", {"y": y}, cost=dg.mean(y))


@pytest.mark.parametrize("target", TARGETS)
def test_a_step_is_in_training_and_a_run_is_not(target: Any) -> None:
    program = both().compile(dg.SGD(1.0), target)
    np.testing.assert_allclose(program.run(x=X)["y"], np.exp(X), rtol=1e-6)
    found = program.run("training", x=X)
    np.testing.assert_allclose(found["y"], 2 * X)
    assert program.step(x=X) == pytest.approx(found["cost"])
    np.testing.assert_allclose(program.parameters["w"], 1 - 2 * X.sum(0) / 6, rtol=1e-6)
    again = program.run("inference", x=X)["y"]
    np.testing.assert_allclose(again, np.exp(X * program.parameters["w"]), rtol=1e-6)


def test_the_branch_that_is_not_taken_is_in_no_graph() -> None:
    program = both().compile(dg.SGD(1.0))
    program.run(x=X)
    step, run = program.executions()
    assert "exp" not in {node.op for node in step.graph.nodes()}
    assert "select" not in {node.op for node in run.graph.nodes()}
    assert "exp" in {node.op for node in run.graph.nodes()}


def test_without_a_mode_both_are_one_program() -> None:
    x = dg.observed("x", ("B", 3))
    program = dg.Diagram("plain", {"y": 2.0 * x}).compile()
    assert (program.run(x=X)["y"] == program.run("training", x=X)["y"]).all()
    assert len(program.executions()) == 1


@pytest.mark.parametrize("name", ["training", "mode", "inference"])
def test_an_input_may_have_the_name_of_a_mode(name: str) -> None:
    x = dg.observed(name, ("B", 3))
    y = dg.where(dg.training(), x, -x)
    program = dg.Diagram("named", {"y": y}).compile()
    inputs: dict[str, Any] = {name: X}
    np.testing.assert_array_equal(program.run(**inputs)["y"], -X)
    np.testing.assert_array_equal(program.run("training", **inputs)["y"], X)


def test_what_is_no_mode_is_told() -> None:
    program = both().compile()
    with pytest.raises(ValueError, match="expects the mode inference or training, got 'test'"):
        program.run("test", x=X)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"expects inputs by name, got 1 without: program.run\(x="):
        program.run(X)  # type: ignore[arg-type]


@pytest.mark.parametrize("target", TARGETS)
def test_in_blocks_loops_and_blocks_with_weights_for_each_sample(target: Any) -> None:
    x, scale = dg.observed("x", ("B", 3)), dg.observed("scale", ("B", 1))

    class Branch(dg.Block):
        def __init__(self) -> None:
            self.weight = dg.parameter("weight", (1,), init=1.0)

        def forward(self, x: Any) -> Any:
            return self.weight * dg.where(dg.training(), x, 3.0 * x)

    block = Branch()
    t = dg.loop("t", steps=4)
    z = t.delay("z", init=x)
    t.close(z, block(z))
    outputs = {"loop": t.last(z), "bound": dg.bind(block, scale)(x), "plain": block(x)}
    program = dg.Diagram("d", outputs).compile(target=target)
    inputs = {"x": X, "scale": np.array([[2.0], [5.0]], np.float32)}
    for mode, factor in (("training", 1.0), ("inference", 3.0)):
        found = program.run(mode, **inputs)  # type: ignore[arg-type]
        np.testing.assert_allclose(found["loop"], X * factor**3, rtol=1e-6)
        np.testing.assert_allclose(found["bound"], X * factor * inputs["scale"], rtol=1e-6)
        np.testing.assert_allclose(found["plain"], X * factor, rtol=1e-6)


def test_fit_validates_as_a_run() -> None:
    program = both().compile(dg.SGD(0.0))
    history = dg.fit(program, {"x": X}, 1, validation={"x": X}, progress=False)
    assert history.epochs[0].cost == pytest.approx(2 * X.mean(), abs=1e-6)
    assert history.epochs[0].validation_cost == pytest.approx(np.exp(X).mean())


def test_copies_run_in_both_modes() -> None:
    program = both().compile(dg.SGD(0.5))
    program.run("training", x=X)
    twin = copy.deepcopy(program)
    program.step(x=X)
    np.testing.assert_allclose(twin.run("training", x=X)["y"], 2 * X)
    np.testing.assert_allclose(twin.run(x=X)["y"], np.exp(X), rtol=1e-6)


@pytest.mark.parametrize("stage", ["drawn", "graph", "backward", "kernels"])
def test_every_picture_is_drawn(stage: str, tmp_path: Path) -> None:
    pytest.importorskip("graphviz")
    diagram = both()
    text = diagram.render(tmp_path / "both.svg", stage=stage).read_text()
    assert ("training" in text) == (stage in ("drawn", "backward"))
    assert "both" in str(diagram.summary())


# The pass choose_branches.


def ops(graph: Any) -> set[str]:
    return {node.op for node in graph.all_nodes()}


@pytest.mark.parametrize("training", [True, False])
def test_one_branch_is_left(training: bool) -> None:
    x = dg.observed("x", ("B",))
    both = dg.training()
    cases = {
        "plain": (both, training),
        "not": (~both, not training),
        "and": (both & True, training),
        "or": (both | True, True),
        "xor": (both ^ True, not training),
    }
    for name, (mask, taken) in cases.items():
        y = dg.where(mask, dg.exp(x), dg.tanh(x))
        graph = inline(dg.Diagram("d", {"y": y}).lower(training=training))
        assert {"exp", "tanh", "select"} <= ops(graph)
        assert ops(choose_branches(graph)) == {"input", "exp" if taken else "tanh"}, name


def test_a_mask_that_is_not_known_stays() -> None:
    x = dg.observed("x", ("B",))
    graph = dg.Diagram("d", {"y": dg.where(dg.training() & (x > 0.0), x, -x)}).lower()
    assert "select" in ops(choose_branches(graph))


def test_an_infinity_that_is_not_taken_is_in_no_gradient() -> None:
    x, w = dg.observed("x", ("B",)), dg.parameter("w", (), init=0.0)
    y = dg.where(dg.training(), w * x, dg.exp(1000.0 * dg.log(1.0 / w)))
    program = dg.Diagram("d", cost=dg.sum(y)).compile(dg.SGD(1.0))
    program.step(x=np.ones(3, np.float32))
    assert program.parameters["w"] == -3.0


def test_in_the_body_of_a_loop() -> None:
    x = dg.observed("x", ("T", 3))
    t = dg.loop("t")
    each = t.each(x)
    y = t.stack(dg.where(dg.training(), dg.exp(each), dg.tanh(each)))
    graph = choose_branches(inline(dg.Diagram("d", {"y": y}).lower(training=True)))
    (loop,) = [node for node in graph.nodes() if node.op == "loop"]
    assert "tanh" not in ops(loop.attrs["body"])
