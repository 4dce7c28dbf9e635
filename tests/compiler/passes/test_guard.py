"""guard: ranges of observed variables are checked first; what they make sure of is known."""

from diagrad.compiler.graph import Graph, Node
from diagrad.compiler.passes.guard import guard
from diagrad.compiler.pipeline import prepare
from diagrad.compiler.sizes import named

from ..building import b, expression, given, graph, number, state

B = named("B")
Y = given("y", "B", dtype="int32")
S = state("s", 3, dtype="int32")


def inside(x: Node, high: object = 10) -> Node:
    return b.in_range(x, low=0, high=high)


def guarded(**outputs: Node) -> Graph:
    return guard(graph(Y, S, outputs=outputs))


def ranges(whole: Graph) -> list[str]:
    return [f"{c.name} {c.low} {c.high} {expression(c.node)}" for c in whole.checks]


def test_an_observed_variable_is_checked() -> None:
    whole = guarded(y=b.neg(inside(Y)), z=b.add(inside(Y, B), inside(Y)))
    assert ranges(whole) == [
        "y 0 10 first_outside(y, low=0, high=10)", "y 0 B first_outside(y, low=0, high=B)",
    ]  # fmt: skip
    assert [expression(node) for _, node in whole.outputs] == ["neg(y)", "add(y, y)"]


def test_what_is_computed_or_kept_is_not() -> None:
    whole = guarded(y=inside(b.neg(Y)), z=inside(S))
    assert whole.checks == ()
    assert [expression(node) for _, node in whole.outputs] == ["neg(y)", "s"]


def test_an_empty_variable_needs_no_check() -> None:
    none = given("none", 0, 4, dtype="int64")
    whole = guard(graph(none, y=inside(none)))
    assert whole.checks == () and whole.outputs[0][1] is none


def test_what_a_check_makes_sure_of_is_known() -> None:
    y = inside(Y)
    outputs = {
        "low": b.ge(y, number(0, Y)), "high": b.lt(y, number(10, Y)),
        "other": b.lt(y, number(9, Y)), "unsure": b.lt(inside(b.neg(Y)), number(10, Y)),
    }  # fmt: skip
    whole = guarded(**outputs)
    assert {name: expression(node) for name, node in whole.outputs} == {
        "low": "True~", "high": "True~", "other": "lt(y, 9~)", "unsure": "lt(neg(y), 10~)",
    }  # fmt: skip


def test_a_gradient_through_checked_indices_asks_no_more() -> None:
    """Updates that a check has placed inside are all added, and all have a gradient."""
    u = given("u", "B")
    added = b.scatter_add(inside(Y), u, axis=0, size=10)
    cost = b.reduce_sum(b.mul(added, added), axes=(0,))
    ready = prepare(graph(Y, u, g=b.gradient(cost, u)))
    assert "select" not in {node.op for node in ready.nodes()}
    computed = b.scatter_add(inside(b.neg(Y)), u, axis=0, size=10)
    cost = b.reduce_sum(b.mul(computed, computed), axes=(0,))
    ready = prepare(graph(Y, u, g=b.gradient(cost, u)))
    assert "select" in {node.op for node in ready.nodes()}


def test_without_ranges_nothing_changes() -> None:
    whole = graph(Y, y=b.neg(Y))
    assert guard(whole) == whole and guard(whole).checks == ()


def test_what_enters_a_loop_element_by_element_is_checked_outside() -> None:
    y = given("y", "T", "B", dtype="int32")
    entry = given("y_t", "B", dtype="int32", role="sequence")
    said = inside(entry)
    body = Graph("body", (entry,), (("z", b.select(b.ge(said, number(0, entry)), said, entry)),))
    z = b.loop(y, body=body, steps=named("T"), reverse=False, result="stack", of="z", keep="all")
    whole = guard(graph(y, z=z))
    assert ranges(whole) == ["y 0 10 first_outside(y, low=0, high=10)"]
    (loop,) = (node for node in whole.nodes() if node.op == "loop")
    assert expression(loop.attrs["body"].outputs[0][1]) == "select(True~, y_t, y_t)"
