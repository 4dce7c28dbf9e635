"""schedule: orders that can run, and states overwritten in place only where that is safe."""

from collections.abc import Callable, Mapping

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import given as hypothesis_given
from hypothesis import strategies as st

from diagrad.compiler.graph import Check, Graph, Node
from diagrad.compiler.passes.materialise import materialise
from diagrad.compiler.passes.split_reductions import split_reductions
from diagrad.compiler.pipeline import prepare
from diagrad.compiler.scheduling.fuse import fuse
from diagrad.compiler.scheduling.schedule import Schedule, schedule

from ..building import Array, b, given, graph, number, numbers, run, state

W, V, U = state("w", 6, 6), state("v", 6, 6), state("u", 6, 6)
X, Z = given("x", 6, 6), given("z", 4, 6)
STATES, INPUTS = (W, V, U), (X, Z)


def scheduled(whole: Graph) -> Schedule:
    return schedule(fuse(materialise(split_reductions(prepare(whole)))))


def updating(updates: Mapping[Node, Node], **outputs: Node) -> Graph:
    return graph(*STATES, *INPUTS, updates=updates, outputs=outputs)


def copied(found: Schedule) -> set[str]:
    """The states that are written at the end, from a place aside."""
    return {found.storages[target].name for _, target in found.copies}


def product(x: Node, y: Node) -> Node:
    return b.contract(x, y, a=(0, 1), b=(1, 2), out=(0, 2))


def turned(x: Node) -> Node:
    return b.transpose(x, axes=(1, 0))


def descent(w: Node) -> Node:
    return b.sub(w, b.scale(b.exp(X), 0.1))


SHARED = b.exp(X)
CASES: dict[str, tuple[Graph, set[str]]] = {
    "a step": (updating({W: descent(W)}), set()),
    "a step by a product": (updating({W: b.sub(W, product(X, X))}, y=product(Z, W)), set()),
    "a state that an output shows": (updating({W: descent(W)}, w=W, y=b.exp(W)), set()),
    "a swap": (updating({W: V, V: W}), {"v"}),
    "a rotation": (updating({W: V, V: U, U: W}), {"u"}),
    "one value for two states": (updating({W: SHARED, V: SHARED}), set()),
    "a transposed state": (updating({W: b.add(W, turned(W))}), {"w"}),
    "a flipped state": (updating({W: b.add(W, b.flip(W, axes=(0,)))}), {"w"}),
    "a product with itself": (updating({W: product(W, W)}), {"w"}),
    "a state divided by its sum": (
        updating({W: b.div(W, b.spread(b.reduce_sum(W, axes=(0, 1)), W.shape))}), set(),
    ),
    "a state divided by its row sums": (
        updating({W: b.div(W, b.broadcast(b.reduce_sum(W, axes=(1,)), shape=(6, 6), axes=(0,)))}),
        set(),
    ),
    "a state needed again after its value": (
        updating({W: b.exp(W)}, y=b.reduce_sum(b.sub(b.broadcast(b.reduce_sum(
            b.exp(W), axes=(1,)), shape=(6, 6), axes=(0,)), W), axes=(1,))), {"w"},
    ),
    "two states of each other": (
        updating({W: b.add(V, SHARED), V: b.add(W, SHARED)}), set(),
    ),
    "two states of each other, one read before": (
        updating({W: b.add(V, b.mul(W, SHARED)), V: b.add(W, SHARED)}), set(),
    ),
    "a state read after its update": (
        updating({W: b.mul(SHARED, V), V: b.mul(b.exp(b.mul(SHARED, V)), W)}), set(),
    ),
    "a running mean": (
        updating({W: b.broadcast(b.reduce_sum(X, axes=(0,)), shape=(6, 6), axes=(1,))}), set(),
    ),
}  # fmt: skip


def states_after(whole: Graph, target: str) -> dict[str, Array]:
    arrays = {n.attrs["name"]: numbers(*n.type.extents, seed=i) for i, n in enumerate(whole.inputs)}
    outputs = run(prepare(whole), arrays, target)
    return {**arrays, **{f"output {name}": value for name, value in outputs.items()}}


@pytest.mark.parametrize("name", CASES)
def test_states_are_overwritten_only_where_that_is_safe(name: str) -> None:
    whole, aside = CASES[name]
    wanted, got = states_after(whole, "reference"), states_after(whole, "cpu")
    for key, value in wanted.items():
        np.testing.assert_allclose(got[key], value, rtol=1e-4, atol=1e-5, err_msg=key)
    assert copied(scheduled(whole)) == aside


def test_text_of_a_schedule(golden: Callable[[str, str], None]) -> None:
    """Groups in their order, each with the buffers that it reads and writes."""
    whole = updating({W: b.sub(W, product(X, V)), V: W}, y=product(Z, W))
    found = scheduled(whole)
    names = [f"{s.name}:{s.role}" for s in found.storages]
    lines = [f"{number} {name}" for number, name in enumerate(names)]
    for group in found.groups:
        words = " ".join(node.op for node in group.members)
        stored = [names[found.places[n].buffer] for n in group.members if n in found.places]
        lines.append(f"{group.kind} {words}  ->  {' '.join(stored)}")
    lines += [f"copy {names[source]}  ->  {names[target]}" for source, target in found.copies]
    golden("schedule/text", "\n".join(lines))


def test_checks_come_first() -> None:
    y = given("y", 6, dtype="int32")
    outside = b.first_outside(y, low=0, high=6)
    whole = updating({W: descent(W)}, y=b.exp(X))
    whole = Graph("test", (*whole.inputs, y), whole.outputs, whole.updates,
                  (Check(outside, "y", 0, 6),))  # fmt: skip
    found = scheduled(whole)
    assert found.groups[0].kind == "first_outside"


def test_every_group_runs_after_what_it_reads() -> None:
    whole = updating({W: descent(W), V: product(W, V)}, y=product(Z, W), z=b.exp(product(X, X)))
    found = scheduled(whole)
    place = {node: i for i, group in enumerate(found.groups) for node in group.members}
    for i, group in enumerate(found.groups):
        for node in group.members:
            assert all(place.get(item, i) <= i for item in node.inputs)
    writer = next(
        g
        for g in found.groups
        if any(n in found.places and found.places[n].buffer == 0 for n in g.members)
    )
    readers = [g for g in found.groups if any(W in n.inputs for n in g.members)]
    assert found.groups.index(writer) == max(map(found.groups.index, readers))


@st.composite
def values(draw: st.DrawFn, made: tuple[Node, ...]) -> Node:
    """A random value of states, inputs and what was made before."""
    x, y = draw(st.sampled_from([W, V, U, X, *made])), draw(st.sampled_from([W, V, U, X, *made]))
    kind = draw(st.integers(0, 5))
    if kind == 0:
        return product(x, y)
    if kind == 1:
        return b.add(x, turned(y))
    if kind == 2:
        return b.mul(x, b.broadcast(b.reduce_max(y, axes=(1,)), shape=(6, 6), axes=(0,)))
    if kind == 3:
        return x
    return b.add(b.tanh(x), b.mul(y, number(0.5, y)))


@settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@hypothesis_given(st.data())
def test_random_updates(data: st.DataObject) -> None:
    made: tuple[Node, ...] = ()
    for _ in range(data.draw(st.integers(2, 4))):
        made = (*made, data.draw(values(made)))
    new = {s: data.draw(st.sampled_from([*STATES, *made])) for s in STATES}
    whole = updating(new, y=data.draw(st.sampled_from([*STATES, *made])))
    wanted, got = states_after(whole, "reference"), states_after(whole, "cpu")
    for key, value in wanted.items():
        np.testing.assert_allclose(got[key], value, rtol=1e-3, atol=1e-3, err_msg=key)
