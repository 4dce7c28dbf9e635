"""Gates of loops: what they mean to the rules of types, and to the passes."""

from typing import Any

import numpy as np
import pytest

from diagrad.compiler.errors import TypeRuleError
from diagrad.compiler.graph import Graph, Node
from diagrad.compiler.passes.simplify.simplify import simplify
from diagrad.compiler.passes.unroll import unroll
from diagrad.compiler.pipeline import compile_kernels, prepare
from diagrad.compiler.primitives.recurrence import gate_of
from diagrad.compiler.sizes import named

from ..building import b, given, graph, run

T = named("T")
ROLES = ("sequence", "carry", "invariant")


def gated(role: str, gate: Node, drop: bool = False) -> tuple[Graph, Graph]:
    """z(t) = z(t-1) w + x(t) at the steps that are made; the graph, and the loop's body.

    A gate that is a carry is false once x(t) is negative.
    """
    x, z, w = (
        given(name, dtype="float64", role=role) for name, role in zip("xzw", ROLES, strict=True)
    )
    door = b.input(name="gate", type=given("g", dtype="bool").type, role=role, gate=True)
    new = b.add(b.mul(z, w), x)
    updates = [(z, new)]
    if role == "carry":
        updates.append((door, door if drop else b.ge(x, b.fill(0, x.type))))
    outputs = (("new", new), ("w", b.mul(w, w)))
    body = Graph("gated", (x, z, w, door), outputs, tuple(updates))
    outer = [given(n, *s, dtype="float64") for n, s in (("x", ("T",)), ("z", ()), ("w", ()))]
    wanted = {"rows": ("stack", "new"), "all": ("stack", "w"), "sum": ("sum", "w")}
    wanted |= {"last": ("last", "z")}
    found = {
        name: b.loop(
            *outer, gate, body=body, steps=T, reverse=False, keep="all", result=kind, of=of
        )
        for name, (kind, of) in wanted.items()
    }
    inputs = [*outer, *([gate] if gate.op == "input" else [])]
    return graph(*inputs, outputs=found), body


def by_hand(x: Any, z: float, w: float, made: list[bool]) -> dict[str, Any]:
    rows, squares = np.zeros(len(x)), np.zeros(len(x))
    for t, there in enumerate(made):
        if there:
            z = z * w + x[t]
            rows[t], squares[t] = z, w * w
    return {"rows": rows, "all": squares, "sum": squares.sum(), "last": z}


X = np.array([0.5, 1.5, -1.0, 2.0, 3.0])


@pytest.mark.parametrize("target", ["reference", "cpu"])
@pytest.mark.parametrize("role", ROLES)
def test_steps_that_are_not_made(role: str, target: Any) -> None:
    """Whatever the gate is: nothing leaves the loop, and nothing is read of a step not made."""
    shape = ("T",) if role == "sequence" else ()
    found, _ = gated(role, given("gate", *shape, dtype="bool"))
    ready = prepare(found)
    cases: dict[str, list[tuple[Any, list[bool]]]] = {
        "sequence": [
            (np.array([False, True, True, False, True]), [False, True, True, False, True])
        ],
        "carry": [(np.True_, [True, True, True, False, False]), (np.False_, [False] * 5)],
        "invariant": [(np.True_, [True] * 5), (np.False_, [False] * 5)],
    }
    for gate, made in cases[role]:
        inputs = {"x": X, "z": np.float64(2.0), "w": np.float64(0.5), "gate": np.asarray(gate)}
        values = run(ready, inputs, target, {"T": 5})
        for name, value in by_hand(X, 2.0, 0.5, made).items():
            np.testing.assert_allclose(values[name], value, rtol=1e-15, err_msg=name)


@pytest.mark.parametrize("target", ["reference", "cpu"])
@pytest.mark.parametrize("open_", [True, False])
def test_a_gate_that_is_known(open_: bool, target: Any) -> None:
    """Open, it is gone; closed, it stays, and no step is made."""
    found, _ = gated("carry", b.constant(open_, "bool"), drop=True)
    small = simplify(found)
    loops = [node for node in small.nodes() if node.op == "loop"]
    assert all((gate_of(node.attrs["body"]) is None) == open_ for node in loops)
    inputs = {"x": X, "z": np.float64(2.0), "w": np.float64(0.5)}
    values = run(prepare(found), inputs, target, {"T": 5})
    for name, value in by_hand(X, 2.0, 0.5, [open_] * 5).items():
        np.testing.assert_allclose(values[name], value, rtol=1e-15, err_msg=name)


def test_it_is_not_unrolled() -> None:
    found, _ = gated("carry", given("gate", dtype="bool"))
    assert unroll(found, 2) is found


def test_a_carry_has_one_slot_and_every_row_waits_for_the_gate() -> None:
    found, _ = gated("carry", given("gate", dtype="bool"))
    template = compile_kernels(prepare(found))
    (turns,) = template.turns
    gate, *others = template.rows[turns.first : turns.last]
    assert gate.skips == "loop" and gate.check in gate.writes
    assert others and all(gate.check in row.reads for row in others)
    carries = [item for item in template.storages if item.name.startswith("z_")]
    assert [item.type.count for item in carries] == [1]


def test_mistakes() -> None:
    for type in (given("g", dtype="float64").type, given("g", 2, dtype="bool").type):
        door = b.input(name="gate", type=type, role="invariant", gate=True)
        body = Graph("gated", (door,), (("y", door),))
        with pytest.raises(TypeRuleError, match=r"at most one gate, of type bool\[\]"):
            b.loop(
                b.input(name="g", type=type, role="observed"), body=body, steps=T, reverse=False,
                keep="all", result="stack", of="y",
            )  # fmt: skip
