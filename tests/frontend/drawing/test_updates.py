"""Updates of states are effects: a step makes them, whether or not anything reads the state."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ..evaluating import TARGETS, Target, text

X = np.arange(12, dtype=np.float32).reshape(4, 3)
STAGES = ("drawn", "unrolled", "graph", "backward", "kernels")


class Normalised(dg.Block):
    """A running mean of the batch, and the batch without its mean."""

    def __init__(self, name: str | None = None) -> None:
        self.name = name
        self.mu = dg.state("mu", (3,))

    def forward(self, x: Any, training: bool = True) -> Any:
        if not training:
            return x - self.mu
        mean = dg.mean(x, axis=0)
        dg.update(self.mu, 0.5 * self.mu + 0.5 * mean)
        return x - mean


def drawn() -> tuple[Any, Any, Any]:
    x, w = dg.observed("x", ("B", 3)), dg.parameter("w", (3,), init=1.0)
    return x, w, dg.mean((w * x) ** 2)


def means(steps: int) -> Any:
    """The running mean by hand, of float32."""
    mu = np.zeros(3, np.float32)
    for _ in range(steps):
        mu = np.float32(0.5) * mu + np.float32(0.5) * X.mean(axis=0)
    return mu


def stepped(diagram: dg.Diagram, target: Target, steps: int = 3) -> dg.Program:
    program = diagram.compile(dg.SGD(0.0), target)
    for _ in range(steps):
        program.step(x=X)
    return program


READERS: dict[str, Callable[[Any, Any], tuple[dict[str, Any], Any]]] = {
    "nothing": lambda mu, c: ({}, c),
    "an output": lambda mu, c: ({"mu": mu}, c),
    "a function of an output": lambda mu, c: ({"y": mu + 1.0}, c),
    "the cost": lambda mu, c: ({}, c + 0.0 * dg.sum(mu)),
    "a stopped gradient": lambda mu, c: ({}, c + dg.stop_gradient(0.0 * dg.sum(mu))),
}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("reader", READERS)
def test_a_step_updates_whoever_reads(reader: str, target: Target) -> None:
    x, _, cost = drawn()
    mu = dg.state("mu", (3,))
    dg.update(mu, 0.5 * mu + 0.5 * dg.mean(x, axis=0))
    outputs, cost = READERS[reader](mu, cost)
    diagram = dg.Diagram("d", outputs, cost)
    program = stepped(diagram, target)
    np.testing.assert_allclose(program.states["mu"], means(3), rtol=1e-6)
    program.run(x=X)
    np.testing.assert_allclose(program.states["mu"], means(3), rtol=1e-6)


@pytest.mark.parametrize("target", TARGETS)
def test_states_of_loops_that_nothing_reads(target: Target) -> None:
    t, x = dg.loop("t"), dg.observed("x", ("T", 3))
    h = t.delay("h", state=dg.state("h", (3,)))
    t.close(h, 0.5 * h + t.each(x))
    w = dg.parameter("w", (3,), init=1.0)
    program = stepped(dg.Diagram("d", cost=dg.mean((x * w) ** 2)), target, 2)
    wanted = np.zeros(3)
    for row in itertools.chain(X, X):
        wanted = 0.5 * wanted + row
    np.testing.assert_allclose(program.states["h"], wanted, rtol=1e-6)


@pytest.mark.parametrize("target", TARGETS)
def test_a_state_made_of_another_and_a_count(target: Target) -> None:
    """A variance around a running mean, and a count of nothing but itself."""
    x, _, cost = drawn()
    mu, var, n = dg.state("mu", (3,)), dg.state("var", (3,)), dg.state("n", (), dtype="int32")
    dg.update(mu, dg.mean(x, axis=0))
    dg.update(var, dg.mean((x - mu) ** 2, axis=0))
    dg.update(n, n + 1)
    program = stepped(dg.Diagram("d", cost=cost), target)
    np.testing.assert_allclose(program.states["var"], X.var(axis=0), rtol=1e-6)
    assert program.states["n"] == 3


@pytest.mark.parametrize("target", TARGETS)
def test_blocks_update_states(target: Target) -> None:
    """Also blocks in blocks; the optimizer's steps go on beside."""
    x = dg.observed("x", ("B", 3))
    net = dg.Chain(dg.Chain(Normalised(), dg.tanh), dg.Linear(3, 1), name="net")
    y = net(x)
    diagram = dg.Diagram("d", {"y": y}, dg.mean(y * y))
    assert list(diagram.states) == ["net/0/0/mu"]
    program = diagram.compile(dg.SGD(0.1), target)
    first = program.step(x=X)
    for _ in range(2):
        last = program.step(x=X)
    assert last < first
    np.testing.assert_allclose(program.states["net/0/0/mu"], means(3), rtol=1e-6)


def test_training_and_inference_are_two_diagrams_of_one_net() -> None:
    x, w, _ = drawn()
    block = Normalised("norm")
    training = dg.Diagram("t", cost=dg.mean((block(x) * w) ** 2))
    inference = dg.Diagram("i", {"y": block(x, training=False) * w})
    program = stepped(training, "cpu")
    assert list(inference.states) == ["norm/mu"]
    made = inference.compile()
    made.states["norm/mu"][...] = program.states["norm/mu"]
    np.testing.assert_allclose(made.run(x=X)["y"], X - means(3), rtol=1e-6)


def test_a_diagram_without_the_inputs_leaves_an_update_out() -> None:
    x, z = dg.observed("x", ("B", 3)), dg.observed("z", ("B", 3))
    w, v = dg.parameter("w", (3,), init=1.0), dg.parameter("v", (3,), init=1.0)
    mu = dg.state("mu", (3,))
    dg.update(mu, dg.mean(x * z, axis=0))
    nu = dg.state("nu", (3,))
    dg.update(nu, dg.mean(x * v, axis=0))
    cost = dg.mean((w * x) ** 2)
    diagram = dg.Diagram("d", cost=cost)
    assert list(diagram.states) == []
    assert [text(item) for item in diagram.check()] == [
        "state 'nu' (m.py:1) is not updated by diagram 'd' (m.py:1), which has no parameter 'v' "
        "(m.py:1): give Diagram(..., updates=[...])",
        "state 'mu' (m.py:1) is not updated by diagram 'd' (m.py:1), which has no observed 'z' "
        "(m.py:1): give Diagram(..., updates=[...])",
    ]
    program = dg.Diagram("d", cost=cost, updates=[mu]).compile(dg.SGD(0.0))
    program.step(x=X, z=X + 1)
    np.testing.assert_allclose(program.states["mu"], (X * (X + 1)).mean(axis=0), rtol=1e-6)
    assert list(dg.Diagram("d", cost=cost, updates=[]).states) == []


def test_a_cell_that_runs_again_updates_its_new_state() -> None:
    """Of two states of one name that only share their inputs the newest is meant."""
    x, _, cost = drawn()
    for factor in (1.0, 2.0):
        mu = dg.state("mu", (3,))
        dg.update(mu, factor * dg.mean(x, axis=0))
    program = stepped(dg.Diagram("d", cost=cost), "cpu", 1)
    np.testing.assert_allclose(program.states["mu"], 2 * X.mean(axis=0), rtol=1e-6)


def test_a_count_belongs_to_what_is_drawn_around_it() -> None:
    n = dg.state("n", (), dtype="int32")
    dg.update(n, n + 1)
    _, _, cost = drawn()
    assert list(dg.Diagram("d", cost=cost).states) == []
    assert list(dg.Diagram("d", cost=cost, updates=[n]).states) == ["n"]
    m = dg.state("m", (), dtype="int32")
    dg.update(m, m + 1)
    assert list(dg.Diagram("d", cost=cost).states) == ["m"]


def pictured(in_block: bool) -> dg.Diagram:
    x, w, cost = drawn()
    if in_block:
        y = Normalised("norm")(x) * w
        return dg.Diagram("block", {"y": y}, dg.mean(y * y))
    mu = dg.state("mu", (3,))
    dg.update(mu, 0.5 * mu + 0.5 * dg.mean(x, axis=0))
    return dg.Diagram("plain", cost=cost)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("in_block", [False, True])
def test_an_update_is_drawn_in_every_stage(in_block: bool, stage: str) -> None:
    """The state and its next value, both as states."""
    from diagrad.frontend.pictures.stages.stages import stage_picture

    for depth in (1, None):
        picture = stage_picture(pictured(in_block), stage, depth)
        kinds = [(node.label, node.kind) for node in picture.nodes if "mu" in node.label]
        circles = [item for item in kinds if item[1] not in ("function", "operation")]
        assert sorted(circles) == [("mu", "state"), ("next mu", "state")], (stage, depth)


# What cannot be.


def test_of_two_applications_the_last_one_updates() -> None:
    x, w, _ = drawn()
    block = Normalised("norm")
    y = block(x * 5.0) + block(x)
    program = stepped(dg.Diagram("d", cost=dg.mean((y * w) ** 2)), "cpu")
    np.testing.assert_allclose(program.states["norm/mu"], means(3), rtol=1e-6)


def test_a_block_updates_in_each_diagram_what_it_is_given_there() -> None:
    x, w, _ = drawn()
    other = dg.observed("other", ("N", 3))
    block = Normalised("norm")
    first, second = block(x), block(2.0 * other)
    ours = stepped(dg.Diagram("first", cost=dg.mean((first * w) ** 2)), "cpu")
    np.testing.assert_allclose(ours.states["norm/mu"], means(3), rtol=1e-6)
    theirs = dg.Diagram("second", cost=dg.mean((second * w) ** 2)).compile(dg.SGD(0.0))
    for _ in range(3):
        theirs.step(other=X)
    np.testing.assert_allclose(theirs.states["norm/mu"], 2 * means(3), rtol=1e-6)


def test_one_application_updates_a_state_once() -> None:
    x, w, _ = drawn()

    class Twice(dg.Block):
        def __init__(self) -> None:
            self.mu = dg.state("mu", (3,))

        def forward(self, x: Any) -> Any:
            dg.update(self.mu, dg.mean(x, axis=0))
            dg.update(self.mu, dg.sum(x, axis=0))
            return x

    with pytest.raises(dg.DiagramError) as error:
        dg.Diagram("d", cost=dg.mean((Twice()(x) * w) ** 2))
    assert "expects a variable of dg.state that has no next value yet" in str(error.value)


def test_a_block_in_a_loop_cannot_update() -> None:
    x, w, _ = drawn()
    t = dg.loop("t")
    sequence = dg.observed("s", ("T", "B", 3))
    block = Normalised("norm")
    y = t.sum(block(t.each(sequence)))
    cost = dg.mean((y * w * x) ** 2)
    with pytest.raises(dg.DiagramError) as error:
        dg.Diagram("d", cost=cost)
    assert text(error.value).startswith(
        "the next value of state 'norm/mu' (m.py:1) expects a variable outside of loops, got "
        "Normalised 'norm' (m.py:1)"
    )

    class Last(dg.Block):
        def __init__(self) -> None:
            self.mu = dg.state("mu", (3,))

        def forward(self, x: Any) -> Any:
            dg.update(self.mu, dg.mean(x, axis=0))
            return x * 2.0

    cost = dg.mean((t.sum(Last()(t.each(sequence))) * w * x) ** 2)
    with pytest.raises(dg.DiagramError) as error:
        dg.Diagram("d", cost=cost, updates=[])
    assert text(error.value) == (
        "Last (m.py:1) updates state 'last/mu' (m.py:1) in a loop, where it has a "
        "value for each step: update it outside, with the loop's `last`"
    )


def test_weights_for_each_sample_cannot_update() -> None:
    class Scaled(dg.Block):
        def __init__(self) -> None:
            self.w = dg.parameter("w", (3,))
            self.mu = dg.state("mu", (3,))

        def forward(self, x: Any) -> Any:
            dg.update(self.mu, dg.mean(x, axis=0))
            return x * self.w

    x = dg.observed("x", ("B", 3))
    y = dg.bind(Scaled(), x * 0.1)(x)
    with pytest.raises(dg.DiagramError) as error:
        dg.Diagram("d", {"y": y})
    assert text(error.value) == (
        "Scaled (m.py:1) has weights for each sample, and updates state 'scaled/mu' (m.py:1), "
        "which has one value for all: update it outside"
    )


@pytest.mark.parametrize(
    ("updates", "kind", "wanted"),
    [
        (3, TypeError, "diagram 'd' (m.py:1) expects updates as a list of states, got 3"),
        (
            ["mu"],
            dg.DiagramError,
            "diagram 'd' (m.py:1) expects updates of states that have a next value (dg.update), "
            "got 'mu'",
        ),
    ],
)
def test_updates_that_are_none(updates: Any, kind: type[Exception], wanted: str) -> None:
    _, _, cost = drawn()
    with pytest.raises(kind) as error:
        dg.Diagram("d", cost=cost, updates=updates)
    assert text(error.value) == wanted
