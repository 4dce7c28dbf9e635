"""The tape of the reference: slots, steps, updates after all values, checks before all updates."""

import numpy as np
import pytest

from diagrad.compiler.graph import Check, Graph
from diagrad.compiler.memory.tape import emit_tape
from diagrad.compiler.sizes import named
from diagrad.runtime.outcomes import HOLDS, CheckFailedError
from diagrad.runtime.program import Step
from diagrad.runtime.reference import ReferenceExecutor

from ..building import b, given, graph, number, numbers, run, state

B = named("B")


def test_slots() -> None:
    x, w = given("x", "B", 3), state("w", 3)
    y = b.mul(x, b.broadcast(w, shape=x.shape, axes=(1,)))
    tape = emit_tape(graph(x, w, updates={w: b.neg(w)}, y=y, same=x), {"B": 2})
    assert tape.inputs == (("x", 0),) and tape.states == (("w", 1),)
    assert tape.slots == 5 and len(tape.steps) == 3
    assert dict(tape.outputs)["same"] == 0
    made = {0, 1}
    for step in tape.steps:
        assert isinstance(step, Step)
        assert set(step.inputs) <= made and step.output not in made
        made.add(step.output)
    assert made == set(range(tape.slots))


def test_values_have_the_dtypes_of_their_nodes() -> None:
    x = given("x", 2)
    outputs = {
        "index": b.argmax(x, axes=(0,)), "mask": b.gt(x, number(0, x)),
        "wide": b.cast(x, dtype="float64"), "size": b.size(size=B, dtype="int32"),
    }  # fmt: skip
    values = run(graph(x, given("y", "B"), outputs=outputs), {"x": numbers(2), "y": numbers(3)},
                 sizes={"B": 3})  # fmt: skip
    assert {name: value.dtype.name for name, value in values.items()} == {
        "index": "int64", "mask": "bool", "wide": "float64", "size": "int32",
    }  # fmt: skip


def test_updates_are_made_together() -> None:
    w, v = state("w", 2), state("v", 2)
    arrays = {"w": np.array([1, 2], np.float32), "v": np.array([3, 4], np.float32)}
    held = arrays["w"]
    values = run(graph(w, v, updates={w: v, v: b.add(w, v)}, old=w), arrays)
    assert values["old"].tolist() == [1, 2]
    assert arrays["w"].tolist() == [3, 4] and arrays["v"].tolist() == [4, 6]
    assert arrays["w"] is held


def test_a_failed_check_changes_nothing() -> None:
    y, w = given("y", "B", dtype="int32"), state("w", 2)
    outside = b.first_outside(y, low=0, high=B)
    whole = Graph("test", (y, w), (("z", b.neg(w)),), ((w, b.neg(w)),),
                  (Check(outside, "y", 0, B),))  # fmt: skip
    states = {"w": np.ones(2, np.float32)}
    call = ReferenceExecutor(emit_tape(whole, {"B": 3}), states)
    assert call([np.array([0, 1, 2], np.int32)])[0].tolist() == [-1, -1]
    assert states["w"].tolist() == [-1, -1]
    with pytest.raises(CheckFailedError) as error:
        call([np.array([0, 3, -1], np.int32)])
    assert (error.value.check, error.value.index) == (0, 1)
    assert states["w"].tolist() == [-1, -1]
    assert np.iinfo(np.int64).max == HOLDS


def test_numpys_warnings_stay_off() -> None:
    x = given("x", 3)
    values = run(graph(x, y=b.log(x), z=b.div(number(1, x), x)), {"x": np.zeros(3, np.float32)})
    assert np.isneginf(values["y"]).all() and np.isposinf(values["z"]).all()
