"""What leaves a loop: large products before and after it, the same values and derivatives."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from diagrad.compiler.graph import Graph, Node
from diagrad.compiler.graphs.verify import verify
from diagrad.compiler.passes.differentiate import differentiate
from diagrad.compiler.passes.hoist.hoist import hoist
from diagrad.compiler.passes.simplify.simplify import simplify

from ..building import b, given, run
from ..graphs.test_loop_bodies import arrays as recurrent_arrays
from ..graphs.test_loop_bodies import recurrent
from ..nets import (
    H,
    I,
    Net,
    arrays,
    bodies,
    contractions,
    elman,
    entry,
    gru,
    joined,
    lstm,
    nested,
    product,
    text,
    total,
    wound,
)  # fmt: skip

NETS = {"elman": elman, "lstm": lstm, "gru": gru, "joined": joined, "nested": nested}


def hoisted(source: Graph) -> Graph:
    """A differentiated graph as the pipeline makes it, verified after every pass."""
    for function in (simplify, hoist, simplify):
        source = function(source)
        verify(source)
    return source


def agree(found: Graph, wanted: Graph, values: dict[str, Any], sizes: dict[str, int]) -> None:
    right = run(wanted, values, sizes=sizes)
    for name, value in run(found, values, sizes=sizes).items():
        scale = 1 + np.abs(right[name]).max(initial=0)
        np.testing.assert_allclose(
            value, right[name], rtol=1e-9, atol=1e-9 * scale, err_msg=f"{name} at {sizes}"
        )


@pytest.mark.parametrize("keep", ["all", "carries"])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", NETS)
def test_values_and_two_derivatives_stay(name: str, reverse: bool, keep: str) -> None:
    net = NETS[name](reverse=reverse, keep=keep)
    rolled = differentiate(net.derivatives(2))
    found = hoisted(rolled)
    for steps in (0, 1, 2, 7):
        for batch in (1, 3):
            sizes = {"T": steps, "B": batch}
            agree(found, rolled, arrays(net, steps, batch), sizes)


@pytest.mark.parametrize(("name", "inside"), [("elman", 1), ("lstm", 1), ("gru", 3), ("joined", 1)])
def test_what_a_step_computes(name: str, inside: int, golden: Callable[[str, str], None]) -> None:
    found = hoisted(differentiate(NETS[name]().derivatives()))
    assert [contractions(body) for body in bodies(found)] == [inside, inside]
    golden(f"hoist/{name}", text(found))


def operations(found: Graph) -> list[str]:
    """What the bodies of a graph compute, in order, views and sources aside."""
    passive = {"input", "constant", "broadcast", "reshape", "transpose", "slice", "size"}
    return [n.op for body in bodies(found) for n in body.nodes() if n.op not in passive]


def checked(net: Net, derivatives: int = 0) -> Graph:
    """The hoisted graph of a net, which agrees with it for any number of steps."""
    rolled = differentiate(net.derivatives(derivatives))
    found = hoisted(rolled)
    for steps in (0, 1, 2, 7):
        for batch in (1, 3):
            agree(found, rolled, arrays(net, steps, batch), {"T": steps, "B": batch})
    return found


def carried(*entries: Node, state: Node, following: Node, **outputs: Node) -> Graph:
    return Graph("body", (*entries, state), tuple(outputs.items()), ((state, following),))


def state() -> Node:
    return entry("h", "B", H, role="carry")


def test_what_is_the_same_at_every_step_is_computed_once() -> None:
    w, h = entry("w", H, H, role="invariant"), state()
    following = b.tanh(product(h, b.exp(b.mul(w, w))))
    found = checked(wound(carried(w, state=h, following=following), ("last", "h")))
    assert operations(found) == ["contract", "tanh"]
    (body,) = bodies(found)
    assert [n.attrs["role"] for n in body.inputs] == ["carry", "invariant"]


def test_a_loop_that_carries_nothing_is_gone() -> None:
    x, w = entry("x", "B", I, role="sequence"), entry("w", I, H, role="invariant")
    y = b.tanh(product(x, w))
    body = Graph("body", (x, w), (("y", y), ("w", b.mul(w, w))))
    found = checked(wound(body, ("stack", "y"), ("sum", "y"), ("stack", "w"), ("sum", "w")), 2)
    assert bodies(found) == []


def test_elementwise_work_without_a_product_stays() -> None:
    x, h = entry("x", "B", H, role="sequence"), state()
    following = b.tanh(b.add(h, b.exp(b.mul(x, x))))
    found = checked(wound(carried(x, state=h, following=following), ("last", "h")))
    assert operations(found) == ["mul", "exp", "add", "tanh"]


def test_what_rides_on_a_product_leaves_with_it() -> None:
    x, h = entry("x", "B", I, role="sequence"), state()
    w, z = entry("w", I, H, role="invariant"), entry("z", "B", H, role="sequence")
    drive = b.tanh(b.mul(product(x, w), z))
    following = b.add(h, drive)
    found = checked(wound(carried(x, w, z, state=h, following=following), ("last", "h")))
    assert operations(found) == ["add"]


def test_a_larger_value_made_of_a_product_stays() -> None:
    x, h = entry("x", "B", I, role="sequence"), entry("h", "B", I, 50, role="carry")
    w, z = entry("w", I, I, role="invariant"), entry("z", 50, role="invariant")
    wide = b.broadcast(product(x, w), shape=h.shape, axes=(0, 1))
    wide = b.mul(wide, b.broadcast(z, shape=h.shape, axes=(2,)))
    found = checked(
        wound(carried(x, w, z, state=h, following=b.tanh(b.add(h, wide))), ("last", "h"))
    )
    assert operations(found) == ["mul", "add", "tanh"]


def test_a_sum_that_a_carry_needs_stays_a_sum() -> None:
    h, w = state(), entry("w", H, H, role="invariant")
    following = b.tanh(product(h, w))
    found = checked(wound(carried(w, state=h, following=following, y=following), ("sum", "y")))
    (loop,) = (n for n in found.nodes() if n.op == "loop")
    assert loop.attrs["result"] == "sum"


def test_a_sum_of_what_is_stacked_leaves() -> None:
    h, w = state(), entry("w", H, H, role="invariant")
    following = b.tanh(product(h, w))
    energy = total(b.mul(following, following))
    body = carried(w, state=h, following=following, y=following, energy=energy)
    found = checked(wound(body, ("stack", "y"), ("sum", "energy"), ("sum", "y")), 2)
    results = {n.attrs["result"] for n in found.nodes() if n.op == "loop"}
    assert results == {"stack", "last"}


def test_what_would_store_too_much_stays() -> None:
    h, w = entry("h", "B", 200, role="carry"), entry("w", role="invariant")
    following = b.tanh(b.mul(h, b.broadcast(w, shape=h.shape, axes=())))
    narrow = b.slice(following, start=(0, 0), stop=(h.shape[0], 2), step=(1, 1))
    products = b.contract(narrow, narrow, a=(0, 1), b=(0, 1), out=(0,))
    wide = b.mul(following, b.broadcast(products, shape=h.shape, axes=(0,)))
    body = carried(w, state=h, following=following, y=b.reduce_sum(b.exp(wide), axes=(1,)))
    found = checked(wound(body, ("stack", "y")))
    assert "contract" in operations(found)


def test_a_loop_that_keeps_its_carries_stores_nothing_more() -> None:
    found = checked(elman(keep="carries"), 1)
    results = [n.attrs for n in found.nodes() if n.op == "loop"]
    stacked = {n["of"] for n in results if n["result"] == "stack"}
    assert len(stacked) == 4  # the output, the carry, and the gradients of x and y
    assert [contractions(body) for body in bodies(found)] == [3, 9]
    assert contractions(found) == 0


def embedding(reverse: bool) -> Net:
    """Rows of a table, chosen by labels, into a recurrent net."""
    index = given("i", "B", dtype="int32", role="sequence")
    h, rows = state(), entry("E", 5, I, role="invariant")
    w, u = entry("W", I, H, role="invariant"), entry("U", H, H, role="invariant")
    drive = product(b.gather(rows, index, axis=0), w)
    following = b.tanh(b.add(drive, product(h, u)))
    return wound(
        carried(index, rows, w, u, state=h, following=following, y=b.exp(following)),
        ("stack", "y"), reverse=reverse,
    )  # fmt: skip


@pytest.mark.parametrize("reverse", [False, True])
def test_gathers_and_scatters_leave(reverse: bool) -> None:
    net = embedding(reverse)
    cost = total(net.results["stack y"])
    floats = {name: node for name, node in net.outer.items() if node.type.is_float}
    first = {name: b.gradient(cost, node) for name, node in floats.items()}
    again = total(b.mul(first["E"], b.sin(first["E"])))
    second = {f"{name}2": b.gradient(again, node) for name, node in floats.items()}
    drawn = Graph(
        "test", tuple(net.outer.values()), tuple({**net.results, **first, **second}.items())
    )
    rolled = differentiate(drawn)
    found = hoisted(rolled)
    inside = operations(found)
    assert "gather" not in inside and "scatter_add" not in inside
    for steps in (0, 1, 7):
        values = arrays(net, steps, 3)
        values["i"] = np.random.default_rng(0).integers(0, 5, (steps, 3)).astype("int32")
        agree(found, rolled, values, {"T": steps, "B": 3})


def test_eliminations_leave() -> None:
    """Of all steps at once where each has a matrix, and as one with many columns where one is."""
    x, h = given("x", "B", H, dtype="float64", role="sequence"), state()
    for role in ("sequence", "invariant"):
        a = given("a", H, H, dtype="float64", role=role)
        regular = b.add(a, b.constant(9 * np.eye(H), "float64"))
        drive = b.transpose(b.solve(regular, b.transpose(x, axes=(1, 0))), axes=(1, 0))
        following = b.tanh(b.add(drive, h))
        body = carried(x, a, state=h, following=following, y=b.exp(following))
        net = wound(body, ("stack", "y"))
        rolled = Graph("test", tuple(net.outer.values()), tuple(net.results.items()))
        found = hoisted(rolled)
        assert "solve" not in operations(found)
        for steps in (0, 1, 7):
            agree(found, rolled, arrays(net, steps, 3), {"T": steps, "B": 3})


def test_random_bits_of_each_step_stay() -> None:
    key, h = given("k", dtype="int64", role="sequence"), state()
    bits = b.random_bits(key, b.constant(5, "int64"), shape=(H,))
    noise = b.broadcast(b.cast(bits, dtype="float64"), shape=h.shape, axes=(1,))
    w = entry("w", H, H, role="invariant")
    late = product(b.mul(h, noise), w)
    body = carried(key, w, state=h, following=b.tanh(b.add(h, b.scale(noise, 1e-7))), y=late)
    net = wound(body, ("stack", "y"), ("sum", "y"))
    rolled = Graph("test", tuple(net.outer.values()), tuple(net.results.items()))
    found = hoisted(rolled)
    assert "random_bits" in operations(found) and "contract" not in operations(found)
    for steps in (0, 5):
        values = arrays(net, steps, 3) | {"k": np.arange(steps, dtype=np.int64)}
        agree(found, rolled, values, {"T": steps, "B": 3})


def linear(op: str, p: Node, q: Node, w: Node) -> Node:
    """A linear function of a product of two [B, H] values; w is [H, H], invariant."""
    outer = b.contract(p, q, a=(0, 1), b=(0, 2), out=(1, 2))
    table: dict[str, Callable[[], Node]] = {
        "transpose": lambda: b.transpose(outer, axes=(1, 0)),
        "reshape": lambda: b.reshape(outer, shape=(H * H,)),
        "broadcast": lambda: b.broadcast(outer, shape=(2, H, 5, H), axes=(1, 3)),
        "slice": lambda: b.slice(outer, start=(1, 0), stop=(H, H), step=(2, 1)),
        "flip": lambda: b.flip(outer, axes=(1,)),
        "pad": lambda: b.pad(outer, low=(1, 0), inner=(2, 1), shape=(2 * H + 2, H)),
        "windows": lambda: b.windows(outer, axis=0, size=2, stride=1, dilation=2),
        "overlap_add": lambda: b.overlap_add(outer, axis=0, stride=2, dilation=1, extent=2 * H + 1),
        "neg": lambda: b.neg(outer),
        "add": lambda: b.add(outer, w),
        "sub": lambda: b.sub(w, b.add(outer, outer)),
        "mul": lambda: b.mul(b.sin(w), outer),
        "div": lambda: b.div(outer, b.exp(w)),
        "reduce_sum": lambda: b.reduce_sum(b.neg(outer), axes=(1,)),
        "one operand": lambda: b.contract(p, w, a=(0, 1), b=(1, 2), out=(0, 2)),
        "one product": lambda: b.contract(w, outer, a=(0, 1), b=(1, 2), out=(0, 2)),
        "of a sum": lambda: b.contract(b.reduce_sum(p, axes=(0,)), w, a=(0,), b=(0, 1), out=(1,)),
        "not linear": lambda: b.mul(outer, outer),
        "divided": lambda: b.div(b.sin(w), b.exp(outer)),
        "batch": lambda: b.contract(p, q, a=(0, 1), b=(0, 1), out=(0, 1)),
        "scatter": lambda: b.scatter_add(
            b.constant([0, 2, 7], "int32"), product(p, w), axis=1, size=4
        ),
    }
    return table[op]()


LINEAR = [
    "transpose", "reshape", "broadcast", "slice", "flip", "pad", "windows", "overlap_add", "neg",
    "add", "sub", "mul", "div", "reduce_sum", "one operand", "one product", "of a sum",
    "not linear", "divided", "batch", "scatter",
]  # fmt: skip


@pytest.mark.parametrize("op", LINEAR)
def test_sums_go_through_what_is_linear(op: str) -> None:
    x, h, w = entry("x", "B", H, role="sequence"), state(), entry("w", H, H, role="invariant")
    following = b.tanh(b.add(b.mul(h, x), x))
    body = carried(
        x, w, state=h, following=following,
        early=linear(op, x, following, w), free=linear(op, x, b.sin(x), w),
    )  # fmt: skip
    found = checked(wound(body, ("sum", "early"), ("sum", "free")))
    assert contractions(found) > 0 and "contract" not in operations(found)
    if op not in ("not linear", "divided", "batch"):
        large = [n for n in found.nodes() if n.op not in ("input", "loop", "transpose")]
        assert all(n.type.rank < 4 or op == "broadcast" for n in large)


def test_products_leave_both_of_two_loops() -> None:
    found = checked(nested(), 1)
    for body in bodies(found):
        for inner in bodies(body):
            assert contractions(inner) == 0


def test_a_graph_from_which_nothing_leaves_is_itself() -> None:
    x = given("x", 3)
    drawn = Graph("test", (x,), (("y", b.neg(x)),))
    assert hoist(drawn) is drawn
    for net in NETS.values():
        found = hoisted(differentiate(net().derivatives()))
        assert hoist(found) is found


def test_long_bodies_need_no_deep_recursion() -> None:
    x, h = entry("x", "B", H, role="sequence"), state()
    w = entry("w", H, H, role="invariant")
    drive, late = product(x, w), product(h, w)
    for _ in range(1500):
        drive, late = b.add(drive, x), b.add(late, x)
    body = carried(x, w, state=h, following=b.tanh(b.add(h, drive)), late=late)
    found = hoisted(wound(body, ("stack", "late"), ("sum", "late")).derivatives(0))
    assert operations(found) == ["add", "tanh"]


@pytest.mark.parametrize("keep", ["all", "carries"])
@pytest.mark.parametrize("reverse", [False, True])
def test_third_derivatives_stay(reverse: bool, keep: str) -> None:
    outer, results = recurrent(reverse, keep)
    net = Net(outer, {name.replace("_", " "): node for name, node in results.items()})
    rolled = differentiate(net.derivatives(3))
    found = hoisted(rolled)
    for steps, batch in ((0, 3), (1, 1), (2, 3), (7, 3)):
        agree(found, rolled, recurrent_arrays(steps, batch), {"T": steps, "B": batch})


def joined_products(*, by: str, place: int = 0) -> Graph:
    """The hoisted gradient, by one input, of a net with one weight for input and state."""
    x, h = entry("x", "B", I, role="sequence"), state()
    w, q = entry("w", I + 2 * H, H, role="invariant"), entry("q", "B", H, role="sequence")
    parts = b.concatenate(x, h, q, axis=1)
    operands = (parts, w) if place == 0 else (w, parts)
    labels = ((0, 1), (1, 2)) if place == 0 else ((1, 2), (0, 1))
    gates = b.contract(*operands, a=labels[0], b=labels[1], out=(0, 2))
    net = wound(carried(x, w, q, state=h, following=b.tanh(gates)), ("last", "h"))
    cost = total(b.sin(net.results["last h"]))
    drawn = Graph(
        "test", tuple(net.outer.values()), (("g", b.gradient(cost, net.outer[by])), ("y", cost))
    )
    rolled = differentiate(drawn)
    found = hoisted(rolled)
    for steps in (0, 1, 5):
        agree(found, rolled, arrays(net, steps, 3), {"T": steps, "B": 3})
    return found


@pytest.mark.parametrize("by", ["x", "w", "h", "q"])
@pytest.mark.parametrize("place", [0, 1])
def test_a_product_with_input_and_state_together_is_taken_apart(by: str, place: int) -> None:
    found = joined_products(by=by, place=place)
    sizes = [
        sorted(str(item.shape) for item in node.inputs)
        for body in bodies(found)
        for node in body.nodes()
        if node.op == "contract"
    ]
    assert sizes == [["(3, 3)", "(B, 3)"]] * 2
