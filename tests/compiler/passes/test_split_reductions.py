"""split_reductions: large sums get two parts, of which the first can join what makes its terms."""

from collections.abc import Callable

import numpy as np
import pytest

from diagrad.compiler.graph import Node
from diagrad.compiler.graphs.reductions import ONE_THREAD, SHORTEST_ROW
from diagrad.compiler.graphs.verify import verify
from diagrad.compiler.passes.split_reductions import split_reductions
from diagrad.compiler.primitives.reduction import BLOCK, STRETCH
from diagrad.compiler.sizes import evaluate, named

from ..building import b, expression, given, graph, numbers, run

B, N = named("B"), named("N")
X, Y, Z = given("x", "B", 512), given("y", "B", 3), given("z", BLOCK, 5)
CUBE, LINE, TALL = given("cube", "B", 3, 40), given("line", "B"), given("tall", 200, 5)
LONG, THIN = given("long", 1, ONE_THREAD + 3), given("thin", ONE_THREAD, 3)
WHERE, FEW, SAME = given("i", "B", dtype="int32"), given("few", 64, dtype="int32"), 200 * [1]
PIXELS, LOW = given("pixels", "B", 6, 9, 5), given("low", "B", 30, 3)
TURNED, NARROW = b.transpose(PIXELS, axes=(0, 3, 2, 1)), given("narrow", "B", 3, 2, 7)
INPUTS = (X, Y, Z, CUBE, LINE, TALL, LONG, THIN, WHERE, FEW, PIXELS, LOW, NARROW)
SUMS: list[Node] = [
    b.reduce_sum(X, axes=(0, 1)), b.reduce_max(X, axes=(0, 1)), b.reduce_sum(Y, axes=(0, 1)),
    b.reduce_sum(LINE, axes=(0,)), b.reduce_sum(CUBE, axes=(0, 1, 2)), b.reduce_sum(X, axes=(0,)),
    b.reduce_max(X, axes=(0,)), b.reduce_sum(X, axes=(1,)), b.reduce_sum(CUBE, axes=(0, 1)),
    b.reduce_sum(CUBE, axes=(0, 2)), b.reduce_sum(Z, axes=(0,)), b.reduce_sum(TALL, axes=(0,)),
    b.reduce_min(b.reshape(X, shape=(B, 512, 1)), axes=(0, 1, 2)),
    b.reduce_sum(LONG, axes=(0, 1)), b.reduce_sum(b.slice(LONG, start=(0, 0), stop=(1, ONE_THREAD),
                                                           step=(1, 1)), axes=(0, 1)),
    b.reduce_sum(b.exp(LONG), axes=(0, 1)), b.reduce_max(LONG, axes=(0, 1)),
    b.reduce_sum(THIN, axes=(0, 1)), b.reduce_sum(b.mul(LINE, LINE), axes=(0,)),
    b.reduce_sum(b.reduce_sum(X, axes=(1,)), axes=(0,)),
    b.reduce_sum(PIXELS, axes=(0, 1, 2)), b.reduce_sum(b.exp(PIXELS), axes=(0, 1, 2)),
    b.reduce_sum(LOW, axes=(0, 1)), b.reduce_sum(TURNED, axes=(0, 1, 2)),
    b.reduce_sum(NARROW, axes=(0, 1, 2)), b.reduce_sum(b.flip(PIXELS, axes=(1,)), axes=(0, 1, 2)),
    b.scatter_add(WHERE, LINE, axis=0, size=1000), b.scatter_add(FEW, Z, axis=0, size=9),
    b.scatter_add(b.constant(SAME, "int32"), TALL, axis=0, size=9),
    b.scatter_add(b.constant(range(200), "int32"), TALL, axis=0, size=200),
    b.scatter_add(b.constant(SAME, "int32"), TALL, axis=0, size=1000),
]  # fmt: skip


def test_rules(golden: Callable[[str, str], None]) -> None:
    lines: list[str] = []
    for node in SUMS:
        whole = split_reductions(graph(*INPUTS, y=node))
        verify(whole)
        before, after = expression(node), expression(whole.outputs[0][1])
        lines += [before, f"    {'stays' if before == after else '->  ' + after}"]
    golden("split_reductions/rules", "\n".join(lines))


@pytest.mark.parametrize("target", ["reference", "cpu"])
@pytest.mark.parametrize("batch", [0, 1, BLOCK, BLOCK + 1, 3 * SHORTEST_ROW])
def test_the_values_stay(batch: int, target: str) -> None:
    sizes = {"B": batch, "N": 17}
    arrays = {
        n.attrs["name"]: (9 * numbers(*(evaluate(e, sizes) for e in n.shape))).astype(n.dtype)
        for n in INPUTS
    }
    outputs = {f"y{i}": node for i, node in enumerate(SUMS)}
    wanted = run(graph(*INPUTS, outputs=outputs), arrays, sizes=sizes)
    got = run(split_reductions(graph(*INPUTS, outputs=outputs)), arrays, target, sizes)
    for i, node in enumerate(SUMS):
        np.testing.assert_allclose(
            got[f"y{i}"], wanted[f"y{i}"], rtol=1e-4, atol=1e-2, err_msg=expression(node)
        )


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
@pytest.mark.parametrize(
    "extent", [0, 1, 15, 17, STRETCH - 1, STRETCH, STRETCH + 1, 4 * STRETCH, 50021]
)
def test_sums_of_stretches(extent: int, dtype: str) -> None:
    """Alone, of every second element, and beside an elementwise value of the same kernel."""
    x, wide = given("x", "N", dtype=dtype), given("wide", "N", 2, dtype=dtype)
    column = b.reshape(b.slice(wide, start=(0, 1), stop=(N, 2), step=(1, 1)), shape=(N,))
    square = b.mul(x, x)
    outputs = {"one": b.stretch_sum(square), "square": square, "other": b.stretch_sum(column)}
    arrays = {"x": (9 * numbers(extent)).astype(dtype), "wide": numbers(extent, 2).astype(dtype)}
    sizes = {"N": extent}
    wanted = run(graph(x, wide, outputs=outputs), arrays, sizes=sizes)
    got = run(graph(x, wide, outputs=outputs), arrays, "cpu", sizes)
    assert wanted["one"].shape == (-(-extent // STRETCH),)
    exact = 1e-12 if dtype == "float64" else 1e-5
    for key, value in wanted.items():
        np.testing.assert_allclose(got[key], value, rtol=exact, atol=1e-4, err_msg=key)
