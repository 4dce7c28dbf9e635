"""Operations and bytes of the rows of a program: exact where exact is defined."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import diagrad as dg
from diagrad.compiler.emission.costs import Cost, row_costs
from diagrad.compiler.graphs.flops import node_flops
from diagrad.compiler.pipeline import compile_kernels
from diagrad.compiler.sizes import evaluate

from ..building import b, given


def costs_of(**outputs: Any) -> list[Cost]:
    """The costs of a run at B = 7, after a check that there is one for each row."""
    program = dg.Diagram("costs", outputs).compile(target="cpu")
    names = dict.fromkeys(program.diagram.observed)
    execution = program.execution("run", names)
    found: dict[str, Any] = {}
    compile_kernels(execution.graph, observe=found.__setitem__)
    costs = row_costs(found["schedule"], {"B": 7})
    rows = execution.executor({"B": 7}).program.instructions
    assert [tuple(name for name, _ in cost.work) for cost in costs] == [r.origins for r in rows]
    return costs


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("m", "k", "n"), [(1, 2, 1), (7, 13, 5), (0, 4, 3), (1, 100, 3), (64, 2, 64)]
)
def test_a_product(m: int, k: int, n: int, dtype: str) -> None:
    x, w = dg.observed("x", (m, k), dtype), dg.observed("w", (k, n), dtype)
    (cost,) = costs_of(y=x @ w)
    size = np.dtype(dtype).itemsize
    assert cost.flops == 2 * m * n * k
    assert (cost.read, cost.written) == (size * (m * k + k * n), size * m * n)


def test_a_product_that_adds_up_nothing() -> None:
    x, y = dg.observed("x", (7,)), dg.observed("y", (5,))
    (cost,) = costs_of(y=dg.einsum("i,j->ij", x, y))
    assert (cost.flops, cost.read, cost.written) == (7 * 5, 4 * (7 + 5), 4 * 7 * 5)


def test_a_product_with_its_epilogue() -> None:
    x = dg.observed("x", ("B", 11))
    net = dg.Chain(dg.Linear(11, 5), dg.relu, name="net")
    (cost,) = costs_of(y=net(x))
    assert cost.flops == 2 * 7 * 11 * 5 + 2 * 7 * 5  # the bias and the maximum
    assert (cost.read, cost.written) == (4 * (7 * 11 + 11 * 5 + 5), 4 * 7 * 5)
    assert [name for name, _ in cost.work] == ["net/0", "net/relu"]


def test_a_batch_of_products() -> None:
    x, w = dg.observed("x", (3, 4, 5)), dg.observed("w", (3, 5, 6))
    (cost,) = costs_of(y=x @ w)
    assert (cost.flops, cost.read) == (2 * 3 * 4 * 5 * 6, 4 * (3 * 20 + 3 * 30))


def test_an_elimination() -> None:
    a, b = dg.observed("a", ("B", 5, 5)), dg.observed("b", ("B", 5, 3))
    (cost,) = costs_of(x=dg.solve(a, b))
    assert cost.flops == 7 * 2 * 5**3 // 3 + 7 * 2 * 5 * 5 * 3
    assert (cost.read, cost.written) == (4 * 7 * (25 + 15), 4 * 7 * 15)


def test_a_factor_and_its_triangle() -> None:
    a, b = dg.observed("a", ("B", 6, 6)), dg.observed("b", ("B", 6, 3))
    factor, solved = costs_of(x=dg.triangular_solve(dg.cholesky(a), b, lower=True))
    assert (factor.flops, factor.read, factor.written) == (7 * 6**3 // 3, 4 * 7 * 36, 4 * 7 * 36)
    assert (solved.flops, solved.read) == (7 * 6 * 6 * 3, 4 * 7 * (36 + 18))


def test_elements_count_once() -> None:
    x, row = dg.observed("x", ("B", 5)), dg.observed("row", (5,))
    (cost,) = costs_of(y=x * x + row * x)
    assert (cost.flops, cost.read, cost.written) == (3 * 35, 4 * (35 + 5), 4 * 35)


def test_a_slice_reads_what_it_shows() -> None:
    x = dg.observed("x", (100, 3))
    (cost,) = costs_of(y=x[10:12] + 1.0)
    assert (cost.flops, cost.read, cost.written) == (6, 24, 24)


def test_picking_reads_what_it_picks() -> None:
    table, index = dg.observed("table", (1000, 8)), dg.observed("index", ("B",), dtype=dg.int32)
    *_, cost = costs_of(y=dg.take(table, index))
    assert (cost.flops, cost.read, cost.written) == (0, 4 * (7 * 8 + 7), 4 * 7 * 8)
    few = dg.observed("few", (2, 8))
    *_, cost = costs_of(y=dg.take(few, index))
    assert cost.read == 4 * (2 * 8 + 7)


def test_moves_compute_nothing() -> None:
    x, z = dg.observed("x", ("B", 3)), dg.observed("z", ("B", 2))
    one, two = costs_of(y=dg.concatenate([x, z], axis=1))
    assert [(c.flops, c.read, c.written) for c in (one, two)] == [(0, 84, 84), (0, 56, 56)]
    above, beside, copied = costs_of(y=dg.pad(x, ((1, 0), (0, 2))))
    assert (above.read, above.written, beside.read, beside.written) == (0, 4 * 5, 0, 4 * 7 * 2)
    assert (copied.read, copied.written) == (84, 84)
    made, *frame = costs_of(y=dg.pad(x * 2, ((1, 0), (0, 2))))
    assert len(frame) == 2 and (made.flops, made.read, made.written) == (21, 84, 84)
    index = dg.observed("index", ("B",), dtype=dg.int32)
    # Each of the 21 additions may keep what it rounds away, which is added at the end.
    *_, zeros, added, joined = costs_of(y=dg.scatter_add(index, x, 10))
    assert (zeros.written, added.flops, joined.flops) == (4 * 30, 5 * 21, 2 * 30)
    assert (added.read, added.written) == (4 * (21 + 7 + 21), 4 * 21)
    assert (joined.read, joined.written) == (4 * 30, 4 * 30)


def test_operations_of_nodes() -> None:
    x, i = given("x", 6, 7), given("i", 6, 7, dtype="int32")
    assert node_flops(b.add(x, x)) == node_flops(b.reduce_sum(x, axes=(0,))) == 42
    assert node_flops(b.apply("exp", x)) == 420
    assert node_flops(b.add(i, i)) == node_flops(b.transpose(x, axes=(1, 0))) == 0
    assert node_flops(b.reduce_sum(i, axes=(0, 1))) == 0
    left, right = given("l", "B", 5), given("r", 5, 3)
    product = b.contract(left, right, a=(0, 1), b=(1, 2), out=(0, 2))
    assert str(node_flops(product)) == "30*B"


def test_the_products_of_a_step_are_those_of_torch() -> None:
    torch = pytest.importorskip("torch", reason="compares with torch")
    from torch.utils.flop_counter import FlopCounterMode

    sizes, batch = (13, 17, 19, 5), 7
    layers: list[Any] = []
    for i, (rows, columns) in enumerate(pairwise(sizes)):
        layers += [dg.Linear(rows, columns), dg.tanh][: 2 if i < 2 else 1]
    x = dg.observed("x", ("B", sizes[0]))
    cost = dg.mean(dg.Chain(*layers, name="net")(x) ** 2)
    program = dg.Diagram("step", cost=cost).compile(dg.SGD(0.1))
    nodes = program.execution("step", {}).graph.nodes()
    products = [node_flops(node) for node in nodes if node.op == "contract"]
    ours = sum(evaluate(size, {"B": batch}) for size in products)
    modules: list[Any] = []
    for i, (rows, columns) in enumerate(pairwise(sizes)):
        modules += [torch.nn.Linear(rows, columns), torch.nn.Tanh()][: 2 if i < 2 else 1]
    with FlopCounterMode(display=False) as counter:
        (torch.nn.Sequential(*modules)(torch.ones(batch, sizes[0])) ** 2).mean().backward()
    assert ours == counter.get_total_flops()
