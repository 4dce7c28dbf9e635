"""Frozen parameters: what a step leaves alone, what is counted and drawn, and errors."""

import copy
import re
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

import diagrad as dg
from diagrad.compiler.graph import Graph
from diagrad.frontend.training.optimizers import RATE

from ..evaluating import TARGETS, Array, Target

NAMES = ["net/0/weight", "net/0/bias", "net/2/weight", "net/2/bias"]


class Drawn:
    """An encoder and a head."""

    def __init__(self) -> None:
        self.x = dg.observed("x", ("B", 4))
        self.encoder, self.head = dg.Linear(4, 5), dg.Linear(5, 3)
        self.net = dg.Chain(self.encoder, dg.tanh, self.head, name="net")
        self.scores = self.net(self.x)
        self.diagram = dg.Diagram("test", {"scores": self.scores}, cost=dg.mean(self.scores**2))


def value() -> Array:
    return np.random.default_rng(0).normal(size=(7, 4)).astype(np.float32)


@pytest.mark.parametrize("target", TARGETS)
def test_what_is_frozen_stays_and_the_rest_moves_as_before(target: Target) -> None:
    drawn = Drawn()
    free = drawn.diagram.compile(dg.SGD(0.1, momentum=0.9), target=target)
    dg.freeze(drawn.encoder.weight, drawn.head)
    frozen = drawn.diagram.compile(dg.SGD(0.1, momentum=0.9), target=target)
    start = {name: array.copy() for name, array in frozen.parameters.items()}
    assert frozen.step(x=value()) == free.step(x=value())
    for name in NAMES:
        expected = free.parameters[name] if name == "net/0/bias" else start[name]
        np.testing.assert_array_equal(frozen.parameters[name], expected)
        assert (free.parameters[name] != start[name]).any()
    assert set(frozen.states) == {*NAMES, "step", RATE, "optimizer/net/0/bias/momentum"}
    dg.unfreeze(drawn.net)
    again = drawn.diagram.compile(dg.SGD(0.1), target=target)
    frozen.copy_to(again)
    again.step(x=value())
    for name in NAMES:
        assert (again.parameters[name] != frozen.parameters[name]).any()
    frozen.step(x=value())  # compiled before: it goes on as it was
    np.testing.assert_array_equal(frozen.parameters["net/2/bias"], start["net/2/bias"])


def test_no_gradient_is_computed_for_what_is_frozen() -> None:
    def products(optimizer: Any) -> int:
        drawn = Drawn()
        if optimizer is None:
            dg.freeze(drawn.encoder)
        step = drawn.diagram.compile(optimizer or dg.SGD(0.1), target="reference").execution(
            "step", {"x": value()}
        )
        graph: Graph = step.graph
        return sum(node.op == "contract" for node in graph.nodes())

    # Two on the way; back one for the head's weight, one for what the encoder gives, one for its.
    assert products(dg.SGD(0.1)) == 5 and products(None) == 3


def test_all_else_goes_on() -> None:
    """Means of a norm are moved; a copy is frozen too; groups need not name what is frozen."""
    x = dg.observed("x", ("B", 3))
    norm, head = dg.BatchNorm(3, name="norm"), dg.Linear(3, 1, name="head")
    dg.freeze(norm)
    y = head(norm(x))
    diagram = dg.Diagram("n", {"y": y}, cost=dg.mean(y * y))
    program = diagram.compile(
        dg.ParameterGroups(dg.Adam(parameters="head/bias"), dg.SGD(0.1, parameters="head/weight")),
        target="reference",
    )
    before = {name: array.copy() for name, array in program.states.items()}
    program.step(x=np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32) + 1)
    moved = {n for n, a in program.states.items() if not np.array_equal(a, before[n])}
    assert {"norm/running_mean", "norm/running_var", "head/weight", "head/bias"} <= moved
    assert not moved & {"norm/weight", "norm/bias"}
    twin = copy.deepcopy(norm)
    assert all(item.frozen for item in twin.parameters().values())
    dg.unfreeze(norm)
    assert all(item.frozen for item in twin.parameters().values())


def test_a_tied_parameter_is_frozen_under_both_names() -> None:
    first, second = dg.Linear(3, 3, bias=False), dg.Linear(3, 3, bias=False)
    dg.tie(first.weight, second.weight)
    dg.freeze(second)
    diagram = dg.Diagram("tied", cost=dg.sum(second(first(dg.observed("x", (1, 3))))))
    assert first.weight.frozen and diagram.trainable == {}
    program = diagram.compile(dg.SGD(0.1), target="reference")
    (start,) = [array.copy() for array in program.parameters.values()]
    program.step(x=np.ones((1, 3), np.float32))
    np.testing.assert_array_equal([*program.parameters.values()], [start])


def test_counted_by_block() -> None:
    drawn = Drawn()
    dg.freeze(drawn.encoder, cast(Any, drawn.head.bias))
    summary = drawn.diagram.summary()
    assert (summary.parameters, summary.frozen, summary.trainable) == (43, 28, 15)
    rows = {row.name: (row.parameters, row.frozen) for row in summary.rows}
    assert [row.trainable for row in summary.rows if row.name == "net/2"] == [15]
    assert rows["net"] == (43, 28)
    assert rows["net/0"] == (25, 25) and rows["net/2"] == (18, 3)
    text = str(summary)
    assert "43, 28 frozen" in text and "25, frozen" in text and "18, 3 frozen" in text
    assert "free parameters   43 (172 B), 28 of them frozen" in text
    dg.unfreeze(drawn.net)
    assert drawn.diagram.summary().frozen == 0 and "frozen" not in str(drawn.diagram.summary())


def test_drawn_with_a_mark_across_its_arrow(tmp_path: Path) -> None:
    drawn = Drawn()
    paths = tmp_path / "free.svg", tmp_path / "frozen.svg"
    drawn.diagram.render(paths[0])
    before = drawn.diagram.render(tmp_path / "back.svg", stage="backward").read_text()
    dg.freeze(drawn.encoder)
    drawn.diagram.render(paths[1], depth=2)
    free, frozen = (path.read_text() for path in paths)
    assert "no gradient comes back" not in free and "no gradient comes back" in frozen
    assert re.search(r"net/0/weight: float32 \(4, 5\), frozen", frozen)
    assert "net/2/weight: float32 (5, 3)\n" in frozen
    after = drawn.diagram.render(tmp_path / "back.svg", stage="backward").read_text()
    assert len(after) < len(before)


def test_errors() -> None:
    drawn = Drawn()
    for call, word in ((dg.freeze, "freeze"), (dg.unfreeze, "unfreeze")):
        place = rf"{word} \(test_freezing.py:\d+\) expects"
        with pytest.raises(TypeError, match=f"{place} blocks or parameters, got none"):
            call()
        with pytest.raises(TypeError, match=f"{place} blocks or parameters, got 'net'"):
            call(cast(Any, "net"))
        needs = f"{place} free parameters, or blocks with some, got"
        with pytest.raises(dg.DiagramError, match=f"{needs} observed 'x'"):
            call(drawn.encoder, drawn.x)
        with pytest.raises(dg.DiagramError, match=f"{needs} Flatten"):
            call(dg.Flatten())
    assert drawn.diagram.trainable.keys() == {*NAMES}  # nothing was frozen
    dg.freeze(drawn.head)
    with pytest.raises(
        dg.DiagramError, match=r"got parameter 'net/2/bias' .*which is frozen: dg\.unfreeze it"
    ):
        drawn.diagram.compile(dg.SGD(0.1, parameters=drawn.head.bias), target="reference")
    with pytest.raises(dg.DiagramError, match=r"got 'net/2/\*', which is frozen: dg\.unfreeze it"):
        drawn.diagram.compile(dg.SGD(0.1, parameters="net/2/*"), target="reference")
