"""lift_draws: random bits of a loop's body become a sequence that is drawn outside."""

import numpy as np

from diagrad.compiler.graph import Graph, Node
from diagrad.compiler.graphs.binding import assign_sizes
from diagrad.compiler.graphs.verify import verify
from diagrad.compiler.passes.lift_draws import lift_draws
from diagrad.compiler.passes.unroll import unroll
from diagrad.compiler.sizes import named

from ..building import b, given, graph, run, state


def drawn(body_key: Node, entries: tuple[Node, ...], operands: tuple[Node, ...]) -> Node:
    """A loop of T steps that stacks what `body_key` draws."""
    bits = b.random_bits(body_key, b.constant(5, "int64"), shape=(4,))
    updates = tuple((entry, b.neg(entry)) for entry in entries if entry.attrs["role"] == "carry")
    body = Graph("draw", entries, (("bits", bits),), updates)
    found: Node = b.loop(
        *operands, body=body, steps=named("T"), reverse=False, result="stack", of="bits",
        keep="all",
    )  # fmt: skip
    return found


def test_one_draw_outside_for_all_steps() -> None:
    key = state("key", dtype="int64")
    entry = given("key", dtype="int64", role="invariant")
    before = graph(key, y=drawn(entry, (entry,), (key,)))
    found = lift_draws(before)
    verify(found)
    (loop,) = [node for node in found.nodes() if node.op == "loop"]
    assert not any(node.op == "random_bits" for node in loop.attrs["body"].nodes())
    assert str(loop.inputs[1].type) == "uint32[T,4]" and loop.inputs[1].op == "random_bits"
    arrays = {"key": np.array(7, np.int64)}
    rolled = run(found, arrays, sizes={"T": 3})["y"]
    assert len({row.tobytes() for row in rolled}) == 3
    flat = unroll(assign_sizes(found, {"T": 3}), "all")
    np.testing.assert_array_equal(rolled, run(flat, arrays)["y"])
    assert run(found, arrays, sizes={"T": 0})["y"].shape == (0, 4)


def test_a_key_that_changes_stays_in_the_body() -> None:
    key = state("key", dtype="int64")
    entry = given("key", dtype="int64", role="carry")
    before = graph(key, y=drawn(entry, (entry,), (key,)))
    found = lift_draws(before)
    (loop,) = [node for node in found.nodes() if node.op == "loop"]
    assert any(node.op == "random_bits" for node in loop.attrs["body"].nodes())


def test_a_graph_without_loops_is_the_same() -> None:
    key = state("key", dtype="int64")
    before = graph(key, y=b.random_bits(key, b.constant(5, "int64"), shape=(4,)))
    assert lift_draws(before) is before
