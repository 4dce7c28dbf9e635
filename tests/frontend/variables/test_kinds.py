"""Names of users that are words of the house: a name is shown, and decides nothing."""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

import numpy as np
import pytest

import diagrad as dg
from diagrad.frontend.pictures.stages.stages import STAGES, stage_picture

FUNCTIONS = {name for name in dg.__all__ if name[0].islower()}
PARTS = {
    "connect", "cut", "delay", "each", "stack", "last", "init", "identity", "keeps", "keeps 3",
    "lasts", "hold", "blank", "size 3", "fill 2", "size", "fill", "labels", "output", "input",
    "loop", "cost", "bias", "weight", "observed", "parameter", "state", "FunctionBlock", "call",
    "call 2", "mul", "sub", "reduce_sum", "z.2", "last.1", "0", "7", "x(t)", "∂w", "∂",
}  # fmt: skip
WORDS = sorted(FUNCTIONS | PARTS)


class Twice(dg.Block):
    def __init__(self, name: str) -> None:
        self.name = name

    def forward(self, x: dg.Variable) -> dg.Variable:
        return x * 2.0


def function_called(name: str) -> Any:
    def twice(x: dg.Variable) -> dg.Variable:
        return x * 2.0

    twice.__name__ = name
    return dg.block(twice)


def drawn_with(function: Any, output: str) -> dg.Diagram:
    """Functions in every place where the house has functions of its own."""
    x, labels = dg.observed("x", ("T", "B", 3)), dg.observed("labels", ("B",), "int32")
    lengths = dg.observed("lengths", ("B",), "int32")
    v = dg.parameter("v", (3, 3), init=1.0)
    t = dg.loop("t", truncate=2, lengths=lengths)
    z = t.delay("z", 0.0, shape=("B", 3), steps=2)
    z_next = dg.tanh(function(z) + t.each(function(x)) @ function(v))
    t.close(z, z_next)
    vector = dg.parameter("vector", (12,), init=0.1)
    net = dg.bind(dg.Linear(3, 3, name="net"), function(vector))
    scores = function(net(function(t.last(z_next))))
    summed = dg.sum(t.stack(function(z_next)))
    cost = function(dg.cross_entropy(scores, labels)) + 0.01 * summed
    return dg.Diagram("d", {output: scores, "summed": summed}, cost=cost)


def form(diagram: dg.Diagram, stage: str) -> tuple[Any, ...]:
    """What of a picture does not depend on names."""
    picture = stage_picture(diagram, stage, steps=3 if stage == "unrolled" else None)
    nodes = Counter((node.kind, node.side, node.phase) for node in picture.nodes)
    kind = {node.id: node.kind for node in picture.nodes}
    edges = Counter((kind[e.source], kind[e.target], e.style, e.back) for e in picture.edges)
    return nodes, edges, Counter(frame.kind for frame in picture.clusters)


PLAIN = drawn_with(function_called("plain"), "result")
FORMS = {stage: form(PLAIN, stage) for stage in STAGES}
TABLE = PLAIN.summary()


def test_functions_with_words_of_the_house_for_names() -> None:
    for word in WORDS:
        diagram = drawn_with(function_called(word), "result")
        assert form(diagram, "drawn") == FORMS["drawn"], word


@pytest.mark.parametrize("word", ["connect", "delay", "cut", "keeps 3", "lasts", "stack", "sign"])
def test_in_every_stage_and_in_the_summary(word: str) -> None:
    diagram = drawn_with(function_called(word), "result")
    for stage, expected in FORMS.items():
        assert form(diagram, stage) == expected, stage
    table = diagram.summary()
    assert (table.links, table.parameters, table.forward, table.step) == (
        TABLE.links, TABLE.parameters, TABLE.forward, TABLE.step,
    )  # fmt: skip


@pytest.mark.parametrize("word", ["∂", "∂v", "gradient v", "value v", "stack", "x", "loop t"])
def test_an_output_with_a_word_of_the_house_for_a_name(word: str) -> None:
    plain = function_called("plain")
    diagram = drawn_with(plain, word)
    for stage, expected in FORMS.items():
        assert form(diagram, stage) == expected, stage


@pytest.mark.parametrize("word", ["connect", "delay", "cut", "gradient", "size 3", "0"])
def test_a_block_with_a_word_of_the_house_for_a_name(word: str) -> None:
    x = dg.observed("x", ("B", 3))
    pictures = []
    for name in (word, "plain"):
        twice = Twice(name)
        w = dg.parameter("w", (3, 4), init=1.0)
        y = dg.Linear(3, 4, weight=twice(w), name="l")(twice(x))
        diagram = dg.Diagram("d", {"y": y}, cost=dg.mean(y))
        pictures.append([form(diagram, stage) for stage in STAGES])
        table = diagram.summary()
        assert (table.links, table.parameters) == ((3 * 4 + 4), 3 * 4 + 4)
    assert pictures[0] == pictures[1]


@pytest.mark.parametrize("word", ["connect", "plain"])
def test_a_weight_made_by_a_function_of_any_name(word: str) -> None:
    """By hand: each element is 1 * 2 * 2 summed over three inputs."""
    u = dg.parameter("u", (3, 4), init=2.0)
    layer = dg.Linear(3, 4, weight=function_called(word)(u), bias=False, name="l")
    x, one = dg.observed("x", ("B", 3)), np.ones((1, 3), np.float32)
    for item in (layer, copy.deepcopy(layer)):
        assert list(item.parameters()) == []
        values = dg.Diagram("d", {"y": item(x)}).compile().run(x=one)["y"]
        np.testing.assert_array_equal(values, np.full((1, 4), 12.0, np.float32))
    rnn = dg.RNN(2, 4, weight=function_called(word)(dg.parameter("w", (2, 4), init=3.0)), name="r")
    program = dg.Diagram("r", {"Y": rnn(dg.observed("X", ("T", "B", 2)))[0]}).compile()
    with pytest.raises(dg.InputError):
        rnn.torch_weights(program)


def test_a_summary_of_a_net_bound_to_a_weight_from_a_truncated_loop() -> None:
    sequence = dg.observed("X", ("T", 12))
    t = dg.loop("t", truncate=2)
    z = t.delay("z", 0.0, shape=(12,))
    t.close(z, dg.tanh(z + t.each(sequence)))
    y = dg.bind(dg.Linear(3, 3, name="net"), t.last(z))(dg.observed("x", ("B", 3)))
    diagram = dg.Diagram("d", {"y": y})
    assert diagram.summary().parameters == 0
    for stage in ("drawn", "graph"):
        stage_picture(diagram, stage)


def part(x: dg.Variable, name: str) -> dg.Variable:
    """A loop whose way back reads the delay: every call draws one at the same lines."""
    t = dg.loop("t")
    z = t.delay("z", 0.0, shape=("B", 3))
    w, u = dg.parameter(f"{name}_w", (3, 3)), dg.parameter(f"{name}_u", (3, 3))
    t.close(z, dg.tanh(t.each(x * 2.0) @ w + z @ u))
    return t.last(z)


def test_two_loops_of_one_building_function_are_two_in_the_backward_picture() -> None:
    x, y = dg.observed("x", ("T", "B", 3)), dg.observed("y", ("S", "B", 3))
    a, b = part(x, "a"), part(y, "b")
    picture = stage_picture(dg.Diagram("d", {"p": a, "q": b}, cost=dg.mean(a * b)), "backward")
    frame = {node.id: node.cluster for node in picture.nodes}
    read = {e.source: e.target for e in picture.edges if e.style == "residual"}
    delays = [name for name in read if name.startswith("z.out")]
    assert len({frame[name] for name in delays}) == len(delays) == 2
    assert [frame[read[name]] for name in delays] == [f"∂{frame[name]}" for name in delays]
