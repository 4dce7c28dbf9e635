"""Pruning: loops lose what no result of theirs needs, and their results stay the same."""

import numpy as np

from diagrad.compiler.graph import Graph, Node
from diagrad.compiler.graphs.verify import verify
from diagrad.compiler.passes.differentiate import differentiate
from diagrad.compiler.passes.simplify.pruning import prune
from diagrad.compiler.passes.simplify.simplify import simplify
from diagrad.compiler.primitives.recurrence import results_of, role_of

from ...building import b, given, graph, numbers, run
from ...nets import B, H, T, arrays, bodies, elman, entry, gru, lstm, nested, product


def looped(body: Graph, outer: dict[str, Node], results: str, **options: object) -> dict[str, Node]:
    """Results "stack y, last h" of a loop by name."""
    attrs = {"steps": T, "reverse": False, "keep": "all", **options}
    found = {}
    for text in results.split(", "):
        result, of = text.split()
        found[text] = b.loop(*outer.values(), body=body, result=result, of=of, **attrs)
    return found


def pruned(source: Graph) -> Graph:
    """The simplified graph, the same values for any number of steps, and no further to go."""
    found = simplify(source)
    verify(found)
    assert prune(found, simplify) is found
    for steps in (0, 1, 5):
        values = {}
        for number, node in enumerate(source.inputs):
            extents = [{"T": steps, "B": 3}.get(str(n), n) for n in node.shape]
            values[node.attrs["name"]] = numbers(
                *(int(str(n)) for n in extents), seed=number, dtype=node.dtype
            )
        sizes = {"T": steps, "B": 3}
        wanted, got = (run(g, values, sizes=sizes) for g in (source, found))
        for name, value in wanted.items():
            np.testing.assert_allclose(got[name], value, rtol=1e-12, atol=1e-12, err_msg=name)
    return found


def names(body: Graph) -> dict[str, str]:
    """The inputs of a body by name, with their roles."""
    return {node.attrs["name"]: role_of(node) for node in body.inputs}


def outside(**shapes: tuple[int | str, ...]) -> dict[str, Node]:
    return {name: given(name, *shape, dtype="float64") for name, shape in shapes.items()}


def test_only_what_results_need_stays() -> None:
    x, unused = entry("x", "B", H, role="sequence"), entry("u", "B", H, role="sequence")
    h, count = entry("h", "B", H, role="carry"), entry("n", "B", H, role="carry")
    other = entry("o", "B", H, role="carry")
    following = b.tanh(b.add(h, x))
    body = Graph(
        "body", (x, unused, h, count, other),
        (("y", b.exp(following)), ("z", b.mul(count, unused)), ("y again", following)),
        ((h, following), (count, b.add(count, b.mul(unused, other))), (other, b.neg(other))),
    )  # fmt: skip
    outer = outside(x=("T", "B", H), u=("T", "B", H), h=("B", H), n=("B", H), o=("B", H))
    found = pruned(graph(*outer.values(), outputs=looped(body, outer, "stack y")))
    (smaller,) = bodies(found)
    assert names(smaller) == {"x": "sequence", "h": "carry"}
    assert [name for name, _ in smaller.outputs] == ["y"]
    everything = looped(body, outer, "stack y, stack z, last o, sum y")
    (whole,) = bodies(pruned(graph(*outer.values(), outputs=everything)))
    assert len(whole.inputs) == 5 and len(whole.outputs) == 2


def test_a_loop_that_nothing_needs_but_a_dead_input_of_another_is_gone() -> None:
    h, x = entry("h", "B", H, role="carry"), entry("x", "B", H, role="sequence")
    first = Graph("first", (x, h), (("y", h),), ((h, b.add(h, x)),))
    outer = outside(x=("T", "B", H), h=("B", H))
    stack = looped(first, outer, "stack y")["stack y"]
    h2, x2, y2 = (
        entry(n, "B", H, role=r) for n, r in (("h", "carry"), ("x", "sequence"), ("y", "sequence"))
    )
    second = Graph("second", (x2, h2, y2), (("z", y2),), ((h2, b.mul(h2, x2)),))
    results = looped(second, {**outer, "y": stack}, "last h")
    found = pruned(graph(*outer.values(), outputs=results))
    assert [body.name for body in bodies(found)] == ["second"]


def test_equal_inputs_are_one() -> None:
    x, y = entry("x", "B", H, role="sequence"), entry("y", "B", H, role="sequence")
    v, w = entry("v", H, H, role="invariant"), entry("w", H, H, role="invariant")
    h, k = entry("h", "B", H, role="carry"), entry("k", "B", H, role="carry")
    following = b.tanh(b.add(b.add(product(h, v), product(k, w)), b.mul(x, y)))
    body = Graph(
        "body", (x, y, v, w, h, k), (("y", b.add(h, k)),), ((h, following), (k, following))
    )
    outer = outside(x=("T", "B", H), w=(H, H), h=("B", H))
    operands = {"x": outer["x"], "y": outer["x"], "v": outer["w"], "w": outer["w"],
                "h": outer["h"], "k": outer["h"]}  # fmt: skip
    results = looped(body, operands, "stack y, last k, last h")
    found = pruned(graph(*outer.values(), outputs=results))
    (smaller,) = bodies(found)
    assert names(smaller) == {"x": "sequence", "v": "invariant", "h": "carry"}
    assert len({node for _, node in found.outputs}) == 2


def test_what_does_not_change_is_an_invariant_or_a_number() -> None:
    x, s = entry("x", "B", H, role="sequence"), entry("s", "B", H, role="sequence")
    h, k = entry("h", "B", H, role="carry"), entry("k", "B", H, role="carry")
    two, size = entry("two", H, role="invariant"), entry("size", role="invariant")
    wide = b.broadcast(two, shape=(B, H), axes=(1,))
    scale = b.broadcast(size, shape=(B, H), axes=())
    following = b.add(b.mul(b.mul(h, wide), x), b.mul(b.mul(k, s), scale))
    body = Graph(
        "body", (x, s, h, k, two, size), (("h", following), ("k", k)), ((h, following), (k, k))
    )
    given_x, given_h = outside(x=("B", H), h=("B", H)).values()
    operands = {
        "x": b.broadcast(given_x, shape=(T, B, H), axes=(1, 2)),
        "s": b.fill(1.5, given_x.type.with_shape((T, B, H))),
        "h": b.fill(1, given_h.type),
        "k": given_h,
        "two": b.fill(2, given_x.type.with_shape((H,))),
        "size": b.size(size=B, dtype="float64"),
    }
    results = looped(body, operands, "stack h, stack k, sum k, last k, last h")
    found = pruned(graph(given_x, given_h, outputs=results))
    (smaller,) = bodies(found)
    assert names(smaller) == {"x": "invariant", "k": "invariant", "h": "carry"}
    assert dict(found.outputs)["last k"] is given_h
    assert dict(found.outputs)["stack k"].op == "broadcast"


def test_a_scalar_sequence_of_one_value() -> None:
    s, h = entry("s", role="sequence"), entry("h", role="carry")
    body = Graph("body", (s, h), (), ((h, b.tanh(b.add(h, s))),))
    one, start = outside(one=(), h=()).values()
    operands = {"s": b.broadcast(one, shape=(T,), axes=()), "h": start}
    found = pruned(graph(one, start, outputs=looped(body, operands, "last h")))
    assert names(bodies(found)[0]) == {"s": "invariant", "h": "carry"}


def test_a_stacked_sequence_is_the_sequence() -> None:
    x, h = entry("x", "B", H, role="sequence"), entry("h", "B", H, role="carry")
    following = b.tanh(b.add(h, x))
    body = Graph(
        "body", (x, h), (("x", x), ("h", following), ("same", following)), ((h, following),)
    )
    outer = outside(x=("T", "B", H), h=("B", H))
    results = looped(body, outer, "stack x, sum x, stack h, stack same", reverse=True)
    found = pruned(graph(*outer.values(), outputs=results))
    outputs = dict(found.outputs)
    assert outputs["stack x"] is outer["x"] and outputs["sum x"].op == "reduce_sum"
    assert outputs["stack h"] is outputs["stack same"]


def test_bodies_are_simplified_inside_and_out() -> None:
    for net in (elman, lstm, gru, nested):
        source = net().derivatives()
        rolled = differentiate(source)
        found = simplify(rolled)
        verify(found)
        assert prune(found, simplify) is found
        for results in results_of(found.nodes()).values():
            body: Graph = results[0].attrs["body"]
            used = {n.attrs["of"] for n in results if n.attrs["result"] != "last"}
            assert {name for name, _ in body.outputs} == used
            assert len(set(body.inputs)) == len({n for n in body.nodes() if n.op == "input"})
        values, sizes = arrays(net(), 5, 3), {"T": 5, "B": 3}
        wanted = run(rolled, values, sizes=sizes)
        for name, value in run(found, values, sizes=sizes).items():
            np.testing.assert_allclose(value, wanted[name], rtol=1e-9, atol=1e-9, err_msg=name)


def test_inputs_of_one_name_are_different_values() -> None:
    first, second = given("x", 3), given("x", 3)
    found = simplify(graph(first, second, y=b.sub(first, second)))
    assert found.inputs == (first, second)
    assert dict(found.outputs)["y"].inputs == (first, second)


def test_a_graph_without_loops_is_itself() -> None:
    x = given("x", 3)
    drawn = graph(x, y=b.neg(x))
    assert prune(drawn, simplify) is drawn
