"""fuse: what becomes one kernel, told by the operations of each group."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import diagrad as dg
from diagrad.compiler.graph import Graph
from diagrad.compiler.graphs.views import resolve
from diagrad.compiler.passes.materialise import materialise
from diagrad.compiler.passes.split_reductions import split_reductions
from diagrad.compiler.pipeline import prepare
from diagrad.compiler.scheduling.fuse import MOST_MEMBERS, fuse, is_computed
from diagrad.compiler.scheduling.fusion import Fusion

from ..building import b, given, graph, number, numbers, run


def fused(graph: Graph) -> Fusion:
    return fuse(materialise(split_reductions(prepare(graph))))


def drawn(
    outputs: Mapping[str, Any], cost: Any = None, trained: Mapping[str, Any] | None = None
) -> Fusion:
    """The groups of outputs, and of a step of steepest descent on the cost."""
    variables = list((trained or {}).values())
    slopes = dg.gradient(cost, variables) if variables else []
    updates = [(w, w - 0.1 * g) for w, g in zip(variables, slopes, strict=True)]
    diagram = dg.Diagram("test", {**outputs, **({} if cost is None else {"loss": cost})})
    return fused(diagram.lower(None, updates))


def told(fusion: Fusion) -> str:
    """A line for each group: its operations, and after the arrow those that are stored."""
    lines = []
    for group in fusion.groups:
        extents = enumerate(group.domain)
        domain = ",".join(f"{n}{'*' if a in group.reduced else ''}" for a, n in extents)
        words = [
            node.op if level == "full" else f"{node.op}:{level}"
            for node, level in group.members.items()
        ]
        stored = [node.op for node in group.members if node in fusion.stored]
        lines.append(f"{group.kind} [{domain}]  {' '.join(words)}  ->  {' '.join(stored)}")
    return "\n".join(lines)


def test_text(golden: Callable[[str, str], None]) -> None:
    x = given("x", "B", 10)
    top = b.reduce_max(x, axes=(1,))
    y = b.exp(b.sub(x, b.broadcast(top, shape=x.shape, axes=(0,))))
    fusion = fused(graph(x, y=y, sum=b.reduce_sum(y, axes=(1,)), line=b.flip(y, axes=(0,))))
    golden("fuse/text", f"{fusion.graph}\n{fusion}")


def test_a_training_step(golden: Callable[[str, str], None]) -> None:
    x, y = dg.observed("x", ("B", 64)), dg.observed("y", ("B",), "int32")
    shapes = {"w": (64, 128), "b": (128,), "v": (128, 10), "c": (10,)}
    p = {name: dg.parameter(name, shape) for name, shape in shapes.items()}
    scores = dg.relu(x @ p["w"] + p["b"]) @ p["v"] + p["c"]
    golden("fuse/step", told(drawn({}, dg.cross_entropy(scores, y), p)))


def test_softmax_and_cross_entropy_are_one_row_kernel(golden: Callable[[str, str], None]) -> None:
    x, y = dg.observed("x", ("B", 10)), dg.observed("y", ("B",), "int32")
    cost = dg.cross_entropy(x, y)
    fusion = drawn({"p": dg.softmax(x), "slope": dg.gradient(cost, x)}, cost)
    rows = [group for group in fusion.groups if len(group.domain) == 2]
    assert len(rows) <= 2
    golden("fuse/softmax", told(fusion))


def test_bias_and_activation_ride_on_the_product(golden: Callable[[str, str], None]) -> None:
    x = dg.observed("x", ("B", 5))
    w, bias = dg.parameter("w", (5, 7)), dg.parameter("b", (7,))
    y = dg.tanh(x @ w + bias)
    fusion = drawn({"y": y, "residual": y + dg.relu(x @ w)})
    assert [group.kind for group in fusion.groups] == ["gemm"]
    golden("fuse/epilogue", told(fusion))


def test_layer_norm(golden: Callable[[str, str], None]) -> None:
    x = dg.observed("x", ("B", 16))
    gain, bias = dg.parameter("gain", (16,)), dg.parameter("bias", (16,))
    centred = x - dg.mean(x, -1, keepdims=True)
    variance = dg.mean(centred * centred, -1, keepdims=True)
    fusion = drawn({"y": centred * dg.rsqrt(variance + 1e-5) * gain + bias})
    assert len(fusion.groups) == 1
    golden("fuse/layer_norm", told(fusion))


def test_two_branches(golden: Callable[[str, str], None]) -> None:
    x = dg.observed("x", ("B", 8))
    y = dg.exp(x)
    left, right = dg.sin(y), dg.cos(y)
    golden("fuse/branches", told(drawn({"sum": left + right, "part": dg.sum(left * right, 1)})))


def test_a_row_sum_waits_for_a_column_sum(golden: Callable[[str, str], None]) -> None:
    """No group waits for a group that waits for it."""
    x = dg.observed("x", (6, 8))
    y = dg.exp(x)
    columns = y / dg.sum(y, 0, keepdims=True)
    rows = columns / dg.sum(columns, 1, keepdims=True)
    golden("fuse/rows_and_columns", told(drawn({"z": rows + y})))


def test_views_of_a_value_start_anew(golden: Callable[[str, str], None]) -> None:
    x = dg.observed("x", (6, 8))
    y = dg.exp(x)
    z = dg.sin(y.T) + dg.cos(y).T
    golden("fuse/views", told(drawn({"z": z, "shifted": y[1:] - y[:-1]})))


def test_moves_stand_alone(golden: Callable[[str, str], None]) -> None:
    x, i = dg.observed("x", ("B", 8)), dg.observed("i", (5,), "int32")
    y = dg.exp(x)
    outputs = {
        "cumsum": dg.cumsum(y), "pad": dg.pad(y, [(0, 0), (1, 1)]), "taken": dg.take(y, i, 1) * 2,
        "joined": dg.concatenate([y, x], 1) + 1, "added": dg.scatter_add(i, dg.sin(y[0, :5]), 7),
    }  # fmt: skip
    golden("fuse/moves", told(drawn(outputs)))


def test_every_member_has_one_group_in_an_order_that_can_run() -> None:
    x, y = dg.observed("x", ("B", 12)), dg.observed("y", ("B",), "int32")
    w = {f"w{i}": dg.parameter(f"w{i}", (12, 12)) for i in range(3)}
    h = x
    for weight in w.values():
        h = h + dg.gelu(dg.softmax(h) @ weight)
    fusion = drawn({"h": h}, dg.cross_entropy(h, y), w)
    known = {node for node in fusion.graph.nodes() if not is_computed(node)}
    done = set(known)
    for group in fusion.groups:
        for node in group.members:
            assert node not in done
            for item in node.inputs:
                base = resolve(item).base
                assert base in done
                assert base in group.members or base in known or base in fusion.stored
            done.add(node)
    assert all(n in done for n in fusion.graph.nodes() if is_computed(n))
    assert all(is_computed(n) for n in fusion.stored)


def test_groups_do_not_grow_without_end() -> None:
    x = given("x", 7)
    node = x
    for _ in range(3 * MOST_MEMBERS):
        node = b.sin(node)
    fusion = fused(graph(x, y=node))
    assert [len(group.members) for group in fusion.groups] == [MOST_MEMBERS] * 3
    value = numbers(7)
    wanted = run(fusion.graph, {"x": value})["y"]
    np.testing.assert_allclose(run(fusion.graph, {"x": value}, "cpu")["y"], wanted, rtol=1e-4)


def test_what_is_known_is_no_member() -> None:
    x = given("x", 7)
    fusion = fused(graph(x, y=b.add(x, number(2, x)), size=b.size(size=7, dtype="float32")))
    assert [[node.op for node in group.members] for group in fusion.groups] == [["add"], ["copy"]]


def test_loops_that_read_the_same_become_one() -> None:
    """A parameter for its part of a cost, and for its update; not where one needs the other."""
    w, g, h = (given(name, 64, 128) for name in "wgh")
    cost, update = b.reduce_sum(b.mul(w, g), axes=(0, 1)), b.sub(w, b.mul(g, g))
    lines = told(fused(graph(w, g, cost=cost, update=update))).splitlines()
    assert lines[0] == "loop [64,128*]  mul reduce_sum:kept mul sub  ->  reduce_sum sub"
    assert len(lines) == 2
    total = b.reduce_sum(b.mul(w, w), axes=(0, 1))
    scaled = b.mul(w, b.spread(total, w.shape))
    assert len(fused(graph(w, h, y=b.add(scaled, h))).groups) == 3
    # Rows of 3 of 16 lanes would slow the elementwise value down.
    thin = given("thin", "B", 3)
    both = graph(thin, y=b.exp(thin), z=b.reduce_sum(b.tanh(thin), axes=(1,)))
    assert len(fused(both).groups) == 2
    # All of it by one thread as well.
    short, long = given("short", 1000), given("long", "B", 1000)
    assert len(fused(graph(short, y=b.exp(short), z=b.reduce_max(short, axes=(0,)))).groups) == 1
    whole = graph(long, y=b.exp(long), z=b.reduce_max(long, axes=(0,)))
    assert len(fused(whole).groups) == 2


def test_sums_that_are_added_do_not_wait_for_each_other() -> None:
    xs = [given(f"x{i}", 40) for i in range(5)]
    total = b.reduce_sum(b.exp(xs[0]), axes=(0,))
    for x in xs[1:]:
        total = b.add(total, b.reduce_sum(b.exp(x), axes=(0,)))
    lines = told(fused(graph(*xs, y=total))).splitlines()
    assert lines[:5] == ["loop [40*]  exp reduce_sum:kept  ->  reduce_sum"] * 5
    assert lines[5:] == ["loop []  add add add add  ->  add"]
