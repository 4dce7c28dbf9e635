"""The summary: exact counts, and the table that is printed."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest

import diagrad as dg
from diagrad.compiler.sizes import named
from diagrad.frontend.reports.summary import Summary

from ..pictures.diagrams import DIAGRAMS, classifier, hypernetwork, penalty, sharing, siamese

B = named("B")
MLP = 784 * 256 + 256 + 256 * 10 + 10


def row(summary: Summary, name: str) -> object:
    return next(item for item in summary.rows if item.name == name)


def test_a_perceptron_has_a_link_for_each_weight_and_bias() -> None:
    summary = classifier().summary()
    assert summary.links == summary.parameters == MLP
    assert summary.parameter_bytes == 4 * MLP
    assert summary.batch == "B"


def test_rows_are_the_blocks_and_what_is_in_them() -> None:
    found = [
        (item.level, item.name, item.kind, item.links, item.parameters)
        for item in classifier().summary().rows
    ]
    assert found == [
        (0, "net", "Chain", MLP, MLP),
        (1, "net/0", "Linear", 784 * 256 + 256, 784 * 256 + 256),
        (1, "relu", "FunctionBlock", 0, 0),
        (1, "net/2", "Linear", 2570, 2570),
        (0, "cross_entropy", "CostFunction", 0, 0),
    ]
    shapes = [item.outputs for item in classifier().summary().rows]
    assert shapes[0] == ((B, 10),) and shapes[-1] == ((),)


def test_flops_are_polynomials_of_the_sizes() -> None:
    x = dg.observed("x", ("B", 7))
    y = dg.tanh(dg.Linear(7, 3, name="f")(x))
    summary = dg.Diagram("small", {"y": y}).summary()
    products, biases, tangents = 2 * 7 * 3, 3, 3 * 10
    assert summary.forward == (products + biases + tangents) * B
    assert summary.rows[0].flops == (products + biases) * B
    assert summary.step is None


def test_a_step_costs_about_three_times_as_much() -> None:
    summary = classifier().summary()
    forward, step = (float(str(flops).split("*")[0]) for flops in (summary.forward, summary.step))
    assert 1.9 < step / forward < 3.1  # no gradient by x is needed


def test_a_shared_parameter_is_counted_once_and_linked_twice() -> None:
    summary = sharing().summary()
    assert summary.parameters == 16 * 8
    assert summary.links == 2 * 16 * 8
    (_, rest) = summary.rows
    assert (rest.name, rest.links, rest.parameters) == ("(no block)", 256, 128)


def test_a_block_used_twice() -> None:
    summary = siamese().summary()
    assert summary.parameters == 136 and summary.links == 272
    assert [item.shared for item in summary.rows if item.name == "enc"] == [0, 136]
    assert [item.shared for item in summary.rows if item.name == "enc/0"] == [0, 136]
    lines = str(summary).split("\n")
    assert [re.split(r"  +", line)[4] for line in lines if line.startswith("enc")] == [
        "136",
        "(136)",
    ]
    assert "in parentheses    shared with a row above, and counted there" in lines


def test_a_block_that_shares_some_of_its_parameters() -> None:
    x = dg.observed("x", ("B", 6))
    first, second = dg.Linear(6, 6, name="first"), dg.Linear(6, 6, name="second")
    dg.tie(first.weight, second.weight)
    summary = dg.Diagram("tied", {"y": second(first(x))}).summary()
    assert [(item.parameters, item.shared) for item in summary.rows] == [(42, 0), (42, 36)]
    assert summary.parameters == 48
    assert re.split(r"  +", str(summary).split("\n")[4])[4] == "6 + (36)"


def test_gradients_in_the_cost_make_no_links() -> None:
    assert penalty().summary().links == 16 * 32 + 32 + 32 + 1


def test_a_network_that_makes_weights() -> None:
    summary = hypernetwork().summary()
    assert row(summary, "H").parameters == 8 * 16 + 16 + 16 * 4 + 4  # type: ignore[attr-defined]
    assert row(summary, "G").parameters == 1  # type: ignore[attr-defined]


def test_memory_is_what_the_program_plans() -> None:
    summary = classifier().summary()
    assert [dict(item.sizes) for item in summary.memory] == [{"B": 1}, {"B": 64}]
    one, many = summary.memory
    assert one.step is not None and many.step is not None
    assert 64 * 256 * 4 <= many.run <= many.step < 64 * one.step + 4096
    assert classifier().summary(B=64).memory == (many,)


def test_memory_waits_for_sizes() -> None:
    x = dg.observed("x", ("B", "T", 4))
    diagram = dg.Diagram("long", {"y": dg.Linear(4, 4)(x)})
    assert diagram.summary().memory == ()
    assert "memory            depends on the sizes: summary(B=..., T=...)" in str(diagram.summary())
    assert diagram.summary().links == (4 * 4 + 4) * named("T")
    (memory,) = diagram.summary(B=2, T=3).memory
    assert memory.step is None
    assert [dict(item.sizes)["B"] for item in diagram.summary(T=3).memory] == [1, 64]


def test_without_named_sizes() -> None:
    x = dg.observed("x", (5, 4))
    summary = dg.Diagram("fixed", {"y": dg.Linear(4, 2)(x)}).summary()
    assert summary.links == 5 * (4 * 2 + 2) and summary.batch is None
    assert len(summary.memory) == 1 and "for each of" not in str(summary)


def test_the_steps_of_nested_loops_are_no_samples() -> None:
    x = dg.observed("x", ("T", "S", "B", 4))
    t = dg.loop("t")
    x_t = t.each(x)
    s = dg.loop("s")
    y = s.sum(dg.tanh(dg.Linear(4, 2)(s.each(x_t))))
    summary = dg.Diagram("nested", {"y": t.sum(y)}).summary()
    assert summary.batch == "B"
    assert summary.links == (4 * 2 + 2) * named("S") * named("T")


def test_divisions_that_need_not_come_out_even() -> None:
    x = dg.observed("x", ("T", "B", 4))
    _, last = dg.GRU(4, 3, checkpoint=10)(x)
    text = str(dg.Diagram("kept", cost=dg.sum(last)).summary())
    assert "·B·⌊T/10⌋" in text or "·⌊T/10⌋·B" in text
    x = dg.observed("x", ("B", 1, 32, "W"))
    pooled = dg.max_pool(dg.Conv2d(1, 6, 5)(x), 2)
    wide = dg.Diagram("wide", {"y": dg.Conv2d(6, 1, 1)(pooled)})
    assert "·⌊(W − 6)/2⌋" in str(wide.summary())
    assert "//" not in text


def test_constants_are_no_weights() -> None:
    x = dg.observed("x", ("B", 4))
    scale = dg.parameter("scale", ())
    y = (x @ dg.constant(np.ones((4, 3), np.float32))) + 1.0
    summary = dg.Diagram("fixed", {"y": y * scale, "z": 2.0 * scale}).summary()
    assert summary.links == 3  # a link for each product with the scale


def test_the_table() -> None:
    lines = str(classifier().summary(B=64)).split("\n")
    assert lines[0] == "classifier"
    assert re.split(r"  +", lines[1]) == [
        "block", "class", "output", "links", "free parameters", "FLOPs",
    ]  # fmt: skip
    assert set(lines[2]) == {"─"}
    assert re.split(r"  +", lines[4].strip())[:5] == [
        "0", "Linear", "(B, 256)", "200,960", "200,960",
    ]  # fmt: skip
    assert re.split(r"  +", lines[9])[:3] == ["total", "203,530", "203,530"]
    assert (
        lines[11]
        == "links             203,530 connections for each of B samples, biases among them"
    )
    assert lines[12] == "free parameters   203,530 (795.0 KiB)"
    assert lines[13].startswith("FLOPs             407.") and lines[13].endswith("and backward")
    assert re.fullmatch(r"memory            .* to run, .* to train, where B = 64", lines[14])
    assert repr(classifier().summary(B=64)) == "\n".join(lines)


@pytest.mark.parametrize("draw", DIAGRAMS)
def test_every_table_is_straight(draw: Callable[[], dg.Diagram]) -> None:
    lines = str(draw().summary()).split("\n")
    width = len(lines[2])
    assert all(len(line) <= width for line in lines[1 : lines.index("")])


def test_unknown_sizes() -> None:
    with pytest.raises(dg.InputError) as unknown:
        classifier().summary(Q=3)
    assert str(unknown.value) == "summary of 'classifier' expects sizes out of B, got Q"
    with pytest.raises(dg.InputError) as wrong:
        classifier().summary(B=0)
    assert str(wrong.value) == (
        "summary of 'classifier' expects an integer of 1 or more for B, got 0"
    )
