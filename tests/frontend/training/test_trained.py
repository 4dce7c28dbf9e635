"""Which parameters an optimizer changes: what stays frozen, what it costs, and errors."""

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

import diagrad as dg
from diagrad.compiler.graph import Graph

from ..evaluating import TARGETS, Array, Target, text

NAMES = ["net/0/weight", "net/0/bias", "net/2/weight", "net/2/bias"]


class Drawn:
    """A diagram, and what an optimizer can be given of it."""

    def __init__(self) -> None:
        self.x = dg.observed("x", ("B", 4))
        self.first, self.last = dg.Linear(4, 5), dg.Linear(5, 3)
        self.net = dg.Chain(self.first, dg.tanh, self.last, name="net")
        self.scores = self.net(self.x)
        self.diagram = dg.Diagram("test", {"scores": self.scores}, cost=dg.mean(self.scores**2))


CHOICES: dict[str, tuple[Callable[[Drawn], Any], list[str]]] = {
    "all": (lambda d: None, NAMES),
    "a variable": (lambda d: d.last.weight, NAMES[2:3]),
    "a block": (lambda d: d.last, NAMES[2:]),
    "a chain": (lambda d: d.net, NAMES),
    "a path": (lambda d: "net/0/bias", NAMES[1:2]),
    "a block's path": (lambda d: ["net/2"], NAMES[2:]),
    "by name": (lambda d: d.last.parameters(), NAMES[2:]),
    "several, one of them twice": (
        lambda d: [d.last.bias, "net/0/weight", d.last], [NAMES[0], *NAMES[2:]]
    ),
}  # fmt: skip


def value() -> Array:
    return np.random.default_rng(0).normal(size=(7, 4)).astype(np.float32)


@pytest.mark.parametrize("choice", CHOICES)
def test_the_chosen_change_and_the_others_stay(choice: str) -> None:
    of, names = CHOICES[choice]
    drawn = Drawn()
    both: Any = {"momentum": 0.5, "clip": dg.clip_value(0.01)}
    every = drawn.diagram.compile(dg.SGD(0.1, **both), target="reference")
    some = drawn.diagram.compile(dg.SGD(0.1, **both, parameters=of(drawn)), target="reference")
    before = {name: array.copy() for name, array in some.parameters.items()}
    assert some.step(x=value()) == every.step(x=value())
    for name, array in some.parameters.items():
        expected = every.parameters[name] if name in names else before[name]
        np.testing.assert_array_equal(array, expected)
        assert (array != before[name]).any() == (name in names)
    kept = {"optimizer/learning_rate", *(f"optimizer/{n}/momentum" for n in names)}
    assert set(some.states) == {*NAMES, "step", *kept}


@pytest.mark.parametrize("target", TARGETS)
def test_saved_loaded_and_profiled(target: Target, tmp_path: Path) -> None:
    drawn = Drawn()
    programs = [
        drawn.diagram.compile(dg.AdamW(0.1, parameters="net/2"), target=target, seed=seed)
        for seed in (0, 1)
    ]
    programs[0].step(x=value())
    programs[0].save(tmp_path / "kept.safetensors")
    programs[1].load(tmp_path / "kept.safetensors")
    costs = [program.step(x=value()) for program in programs]
    assert costs[0] == costs[1]
    frozen = drawn.diagram.compile(target=target).parameters["net/0/weight"]
    np.testing.assert_array_equal(programs[1].parameters["net/0/weight"], frozen)
    assert drawn.diagram.summary().parameters == 4 * 5 + 5 + 5 * 3 + 3
    if target == "cpu":
        rows = [row for row in programs[0].profile(x=value()).blocks if row.name == "net/0"]
        assert [row.backward for row in rows] == [0.0]


def test_no_backward_work_for_what_is_frozen() -> None:
    def products(optimizer: dg.Optimizer) -> int:
        program = Drawn().diagram.compile(optimizer, target="reference")
        graph: Graph = program.execution("step", {}).graph
        return sum(node.op == "contract" for node in graph.nodes())

    assert products(dg.SGD(0.1)) == 2 + 3
    assert products(dg.SGD(0.1, parameters="net/2")) == 2 + 1
    assert products(dg.SGD(0.1, parameters="net/0")) == 2 + 2


def test_what_is_given_is_not_adopted() -> None:
    w = dg.parameter("w", (4,))
    x = dg.observed("x", ("B", 4))
    optimizer = copy.deepcopy(dg.Adam(parameters=[w]))
    diagram = dg.Diagram("test", cost=dg.sum(x @ w))
    assert list(diagram.compile(optimizer, target="reference").parameters) == ["w"]
    assert optimizer.parameters() == {}


GOT = "compile of 'test' (m.py:1) expects Adam to change parameters of the diagram, got "


def bound(d: Drawn) -> Any:
    """A diagram whose parameters are computed by another block."""
    source = dg.Linear(4, d.last.parameter_count, name="source")
    w = source(dg.observed("z", (4,)))
    other = dg.bind(d.last, w)
    h = dg.observed("h", ("B", 5))
    return dg.Diagram("test", cost=dg.mean(other(h))), other


@pytest.mark.parametrize(
    ("of", "message"),
    [
        (lambda d: "net/1", "'net/1': it has net/0/weight, net/0/bias, net/2/weight, net/2/bias"),
        (lambda d: d.x, "observed 'x' (m.py:1), which is no parameter"),
        (
            lambda d: d.last.weight * 2,
            "multiply (m.py:1), which is no parameter: give what it is computed from, net/2/weight",
        ),
        (lambda d: dg.parameter("w", ()), "parameter 'w' (m.py:1), which is not in it"),
        (lambda d: dg.Linear(2, 2, name="other"), "Linear 'other', which is not in it"),
        (lambda d: [d.first, dg.Flatten()], "Flatten, which has no parameters"),
    ],
)
def test_what_is_no_parameter(of: Callable[[Drawn], Any], message: str) -> None:
    drawn = Drawn()
    with pytest.raises(dg.DiagramError) as error:
        drawn.diagram.compile(dg.Adam(parameters=of(drawn)))
    assert text(error.value) == GOT + message


def test_bound_parameters() -> None:
    drawn = Drawn()
    diagram, other = bound(drawn)
    after = "give what it is computed from, source/weight, source/bias"
    cases: list[tuple[Any, str]] = [
        (drawn.last.bias, "parameter 'net/2/bias' (m.py:1)"), (drawn.last, "Linear 'net/2'"),
        (other, "Linear 'net/2'"),
    ]  # fmt: skip
    for item, got in cases:
        with pytest.raises(dg.DiagramError) as error:
            diagram.compile(dg.Adam(parameters=[item]))
        assert text(error.value) == (
            f"{GOT}{got}, which is bound to Linear 'source' (m.py:1): {after}"
        )
    diagram.compile(dg.Adam(parameters="source"), target="reference")


def test_tied_parameters() -> None:
    outer = dg.Linear(5, 4, name="outer")
    inner = dg.Linear(5, 4, name="inner")
    dg.tie(outer.weight, inner.weight)
    h = dg.observed("h", ("B", 5))
    diagram = dg.Diagram("test", cost=dg.mean(inner(h) + outer(h)))
    cases: list[tuple[Any, str]] = [
        (inner.weight, "variable 'inner/weight' (m.py:1), which is tied to parameter "
                       "'outer/weight' (m.py:1): give that"),
        ("inner/weight", "'inner/weight', which is tied to 'outer/weight': give that"),
    ]  # fmt: skip
    for item, got in cases:
        with pytest.raises(dg.DiagramError) as error:
            diagram.compile(dg.Adam(parameters=item))
        assert text(error.value) == GOT + got
    program = diagram.compile(dg.SGD(0.1, momentum=0.5, parameters=inner), target="reference")
    assert {name for name in program.states if name.startswith("optimizer/")} == {
        "optimizer/outer/weight/momentum", "optimizer/inner/bias/momentum",
        "optimizer/learning_rate",
    }  # fmt: skip


def test_what_the_cost_does_not_depend_on() -> None:
    drawn = Drawn()
    aside = dg.Linear(4, 2, name="aside")
    count = dg.parameter("count", (), dtype="int32")
    cost = dg.mean(drawn.scores) * count.astype("float32")
    diagram = dg.Diagram("test", {"aside": aside(drawn.x)}, cost=cost)
    cases: list[tuple[Any, str]] = [
        ("aside", "'aside', on which the cost does not depend"),
        (aside, "Linear 'aside', on which the cost does not depend"),
        (aside.bias, "parameter 'aside/bias' (m.py:1), on which the cost does not depend"),
        (count, "parameter 'count' (m.py:1), which is of dtype int32: integers have no gradient"),
    ]  # fmt: skip
    for item, got in cases:
        with pytest.raises(dg.DiagramError) as error:
            diagram.compile(dg.Adam(parameters=[drawn.net, item]))
        assert text(error.value) == GOT + got


def test_arguments() -> None:
    with pytest.raises(ValueError) as error:
        dg.SGD(0.1, parameters=[])
    assert re.sub(r":\d+", "", str(error.value)) == (
        "SGD (test_trained.py) expects one or more parameters, got a list"
    )
    for wrong in (["net", 3], 3):
        with pytest.raises(TypeError) as mistake:
            dg.RMSprop(parameters=cast(Any, wrong))
        assert re.sub(r":\d+", "", str(mistake.value)) == (
            "RMSprop (test_trained.py) expects parameters as variables, blocks or paths, got 3"
        )
