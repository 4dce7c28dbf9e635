"""Rewriting: what rules are asked with, what is carried over, and what stays the same object."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from diagrad.compiler.graph import Check, Graph, Node, topological
from diagrad.compiler.graphs.rewrite import replace_body, replacements, rewrite, substitute
from diagrad.compiler.passes.differentiate import differentiate
from diagrad.compiler.passes.inline import inline
from diagrad.compiler.passes.set_precision import set_precision
from diagrad.compiler.pipeline import GRAPH_PASSES, KERNEL_PASSES

from ..building import b, given, graph, state

ON_GRAPHS = {row.name: row.function for row in GRAPH_PASSES if row.option is None} | {
    row.name: row.function for row in KERNEL_PASSES[:4]
}


def looped() -> Graph:
    """y = the states s = tanh(e s) of a loop, kept in float64; and an update of a parameter."""
    e = given("e", 4, dtype="float64", role="sequence")
    s = given("s", 4, dtype="float64", role="carry")
    following = b.tanh(b.mul(e, s))
    body = Graph("body", (e, s), (("s", following),), ((s, following),))
    x, z = given("x", 3, 4, dtype="float64"), given("z", 4, dtype="float64")
    w, start = state("w", 4, dtype="float64"), b.exp(z)
    results = {
        result: b.loop(
            x, start, body=body, steps=3, reverse=False, keep="all", result=result, of="s"
        )
        for result in ("stack", "last")
    }
    return graph(x, z, w, updates={w: b.add(w, results["last"])}, outputs=results)


def negated(op: str) -> Callable[[Node, Node], Node]:
    """The rule that puts the negative of a node in its place, for one primitive."""
    return lambda node, _: b.neg(node) if node.op == op else node


def test_a_rule_gets_the_node_on_new_inputs_and_the_old_one() -> None:
    x = given("x", 3)
    e = b.exp(x)
    y = b.tanh(e)
    seen: list[tuple[Node, Node]] = []

    def rule(node: Node, old: Node) -> Node:
        seen.append((node, old))
        return b.neg(node) if old is e else node

    ((_, found),) = rewrite(graph(x, y=y), rule).outputs
    assert [old for _, old in seen] == [x, e, y]
    assert [node for node, _ in seen[:2]] == [x, e] and seen[2][0] is found
    assert found.op == "tanh" and found.inputs[0].op == "neg" and found.inputs[0].inputs == (e,)


def test_inputs_outputs_updates_and_checks_are_carried_over() -> None:
    x, unused, w = given("x", 3, dtype="int64"), given("u"), state("w", 3, dtype="int64")
    y = b.abs(x)
    check = Check(b.first_outside(x, low=0, high=5), "x", 0, 5)
    before = replace(graph(x, unused, w, updates={w: b.add(w, y)}, y=y, again=y), checks=(check,))
    found = rewrite(before, negated("abs"))
    minus = b.neg(y)
    wanted = graph(x, unused, w, updates={w: b.add(w, minus)}, y=minus, again=minus)
    assert str(found) == str(replace(wanted, checks=(check,)))
    assert found.outputs[0][1] is found.outputs[1][1] and found.outputs[0][1].inputs == (y,)
    fresh = {x: given("x", 3, dtype="int64"), w: state("w", 3, dtype="int64")}
    found = rewrite(before, lambda node, old: fresh.get(old, node))
    assert found.inputs == (fresh[x], unused, fresh[w])
    assert found.updates[0][0] is fresh[w] and found.updates[0][1].inputs[0] is fresh[w]
    assert found.checks[0].node.inputs == (fresh[x],)
    assert replace(found.checks[0], node=check.node) == check


def test_a_loop_is_asked_about_once_for_all_of_its_results() -> None:
    before = looped()
    asked: list[tuple[list[Node], tuple[Node, ...]]] = []

    def loops(results: list[Node], inputs: tuple[Node, ...]) -> dict[Node, Node]:
        asked.append((results, inputs))
        body = results[0].attrs["body"]
        other = rewrite(body, negated("tanh"))
        return {node: replace_body(node, other, inputs) for node in results}

    found = rewrite(before, negated("exp"), loops)
    ((results, inputs),) = asked
    assert {node.attrs["result"] for node in results} == {"stack", "last"}
    assert all(node in dict(before.outputs).values() for node in results)
    assert inputs[0] is before.inputs[0] and inputs[1].op == "neg"
    stack, last = (node for _, node in found.outputs)
    assert stack.inputs == last.inputs == inputs
    assert stack.attrs["body"] is last.attrs["body"] is not results[0].attrs["body"]
    assert found.updates[0][1].inputs[1] is last


def test_what_changes_in_nothing_stays_the_same() -> None:
    before = looped()
    assert rewrite(before) is before

    def same(results: list[Node], inputs: tuple[Node, ...]) -> dict[Node, Node]:
        return {node: replace_body(node, node.attrs["body"], inputs) for node in results}

    assert rewrite(before, loops=same) is before
    done = replacements(before.all_nodes())
    assert all(node is old for old, node in done.items()) and before.inputs[2] in done
    (stack, last) = (node for _, node in before.outputs)
    assert replace_body(stack, stack.attrs["body"], stack.inputs, of="s") is stack
    found = replace_body(stack, stack.attrs["body"], stack.inputs, result="last")
    assert found.attrs == last.attrs and found is not stack


@pytest.mark.parametrize("name", ON_GRAPHS)
def test_a_pass_gives_back_a_graph_in_which_it_finds_nothing_to_do(name: str) -> None:
    before = looped()
    before = replace(before, outputs=before.outputs[:1], updates=())
    assert ON_GRAPHS[name](before) is before


def test_a_precision_that_all_have_changes_nothing() -> None:
    before = looped()
    assert set_precision(before, "float64") is before
    assert set_precision(before, "float32") is not before


def test_only_what_depends_on_a_change_is_new() -> None:
    x = given("x", 3)
    kept = b.tanh(x)
    body = Graph("body", (inner := given("i", 3),), (("y", b.exp(inner)),))
    called = b.call(x, body=body, output="y")
    cost = b.reduce_sum(b.mul(kept, called), axes=(0,))
    before = graph(x, kept=kept, g=b.gradient(cost, x))
    flat = inline(before)
    assert dict(flat.outputs)["kept"] is kept
    assert dict(differentiate(flat).outputs)["kept"] is kept


def test_substitute_stops_at_what_is_known() -> None:
    x, y = given("x", 3), given("y", 3)
    deep = b.exp(x)
    top = b.add(b.neg(deep), b.tanh(x))
    done = substitute([top, top, deep], {deep: y})
    assert deep not in done[top].inputs and done[top].inputs[0].inputs == (y,)
    assert done[top].inputs[1] is top.inputs[1] and done[x] is x
    assert done[deep] is y
    alone = substitute([top], {deep: y, top.inputs[1]: y})
    assert x not in alone and alone[top].inputs == (alone[top.inputs[0]], y)


def test_the_order_leaves_out_what_is_behind_some_nodes() -> None:
    x, y = given("x", 3), given("y", 3)
    middle = b.exp(x)
    top = b.add(b.neg(middle), y)
    assert list(topological([top, middle], {middle})) == [top.inputs[0], y, top]
    assert list(topological([top], {top})) == []
    done: set[Node] = {middle}
    for node in topological([top, top], done):
        assert node not in done
        done.add(node)
    assert done == {middle, top.inputs[0], y, top}
