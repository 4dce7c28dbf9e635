"""split_products: small products of great depth become partial products and their sum."""

from collections.abc import Callable

import numpy as np
import pytest

from diagrad.compiler.graph import Node
from diagrad.compiler.graphs.verify import verify
from diagrad.compiler.memory.plan_memory import plan_memory
from diagrad.compiler.passes.split_products import PART, part_length, split_products
from diagrad.compiler.pipeline import compile_kernels
from diagrad.compiler.sizes import evaluate
from diagrad.runtime.cpu.executor import Executor

from ..building import b, expression, given, graph, numbers, run

X, Y = given("x", 2 * PART, 5), given("y", 2 * PART, 3)
ROWS, PRIME = given("rows", 4, 8 * PART), given("prime", 3 * PART + 1, 5)
DEEP, THICK = given("deep", 8, PART, 6), given("thick", 8, PART, 3)
NAMED, WIDE, MANY = (
    given("named", "B", 5),
    given("wide", 2 * PART, 4000),
    given("many", 7, 2 * PART),
)
STEPS = given("steps", 100, "B", 5)
INPUTS = (X, Y, ROWS, PRIME, DEEP, THICK, NAMED, WIDE, MANY, STEPS)
PRODUCTS: list[Node] = [
    b.contract(X, Y, a=(0, 1), b=(0, 2), out=(1, 2)),
    b.contract(X, Y, a=(0, 1), b=(0, 2), out=(2, 1)),
    b.contract(ROWS, ROWS, a=(1, 0), b=(2, 0), out=(1, 2)),
    b.contract(PRIME, PRIME, a=(0, 1), b=(0, 2), out=(1, 2)),
    b.contract(b.slice(PRIME, start=(1, 0), stop=(3 * PART + 1, 5), step=(1, 1)),
               b.slice(ROWS, start=(0, 0), stop=(4, 6 * PART), step=(1, 2)),
               a=(0, 1), b=(2, 0), out=(1, 2)),
    b.contract(DEEP, THICK, a=(0, 1, 2), b=(0, 1, 3), out=(2, 3)),
    b.contract(DEEP, THICK, a=(0, 1, 2), b=(3, 1, 4), out=(0, 2, 3, 4)),
    b.contract(DEEP, THICK, a=(0, 1, 2), b=(0, 1, 3), out=(0, 2, 3)),
    b.contract(NAMED, NAMED, a=(0, 1), b=(0, 2), out=(1, 2)),
    b.contract(STEPS, STEPS, a=(0, 1, 2), b=(0, 1, 3), out=(2, 3)),
    b.contract(X, WIDE, a=(0, 1), b=(0, 2), out=(1, 2)),
    b.contract(MANY, Y, a=(0, 1), b=(1, 2), out=(0, 2)),
    b.contract(Y, Y, a=(0, 1), b=(0, 1), out=()),
]  # fmt: skip


def test_rules(golden: Callable[[str, str], None]) -> None:
    lines = []
    for node in PRODUCTS:
        whole = split_products(graph(*INPUTS, y=node))
        verify(whole)
        before, after = expression(node), expression(whole.outputs[0][1])
        lines += [before, f"    {'stays' if before == after else '->  ' + after}"]
    golden("split_products/rules", "\n".join(lines))


@pytest.mark.parametrize("target", ["reference", "cpu"])
def test_the_values_stay(target: str) -> None:
    arrays = {n.attrs["name"]: numbers(*(evaluate(e, {"B": 9}) for e in n.shape)) for n in INPUTS}
    outputs = {f"y{i}": node for i, node in enumerate(PRODUCTS)}
    wanted = run(graph(*INPUTS, outputs=outputs), arrays, sizes={"B": 9})
    got = run(split_products(graph(*INPUTS, outputs=outputs)), arrays, target, {"B": 9})
    for i, node in enumerate(PRODUCTS):
        np.testing.assert_allclose(
            got[f"y{i}"], wanted[f"y{i}"], rtol=1e-4, atol=1e-2, err_msg=expression(node)
        )


@pytest.mark.parametrize("target", ["reference", "cpu"])
def test_an_operand_may_be_no_view_yet(target: str) -> None:
    """A flat vector of what lies channels-last: `materialise` copies it afterwards."""
    x, w = given("x", 2, 8, 512, 4), given("w", 4 * 8 * 512, 3)
    flat = b.reshape(b.transpose(x, axes=(0, 3, 1, 2)), shape=(2, 4 * 8 * 512))
    whole = graph(x, w, y=b.contract(flat, w, a=(0, 1), b=(1, 2), out=(0, 2)))
    arrays = {"x": numbers(2, 8, 512, 4), "w": numbers(4 * 8 * 512, 3, seed=1)}
    wanted = arrays["x"].transpose(0, 3, 1, 2).reshape(2, -1).astype(float) @ arrays["w"]
    np.testing.assert_allclose(run(whole, arrays, target)["y"], wanted, 1e-4, 1e-2)


@pytest.mark.parametrize("extent", [2 * PART, 2 * PART + 1, 20_000, 99_991, 100_000])
def test_parts_are_long_and_leave_little(extent: int) -> None:
    length = part_length(extent, PART)
    assert PART <= length < 2 * PART
    assert extent % length <= extent // 100


def test_the_bits_do_not_depend_on_the_threads() -> None:
    rows, columns = given("rows", 20_000, 16), given("columns", 20_000, 12)
    product = b.contract(rows, columns, a=(0, 1), b=(0, 2), out=(1, 2))
    program = plan_memory(compile_kernels(graph(rows, columns, y=product)), {})
    assert program.instructions[0].chunks > 2
    arrays = [numbers(20_000, 16), numbers(20_000, 12, seed=1)]
    alone = Executor(program, {}, threads=1)(arrays)[0]
    for _ in range(5):
        np.testing.assert_array_equal(Executor(program, {}, threads=3)(arrays)[0], alone)
