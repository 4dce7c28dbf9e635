"""expand_products: products of lines become elementwise, and join what else reads the matrix."""

from collections.abc import Callable

import numpy as np
import pytest

from diagrad.compiler.graph import Node
from diagrad.compiler.graphs.verify import verify
from diagrad.compiler.memory.plan_memory import plan_memory
from diagrad.compiler.passes.expand_products import LONG, expand_products
from diagrad.compiler.pipeline import compile_kernels
from diagrad.compiler.sizes import evaluate
from diagrad.runtime.cpu.executor import Executor

from ..building import b, expression, given, graph, number, numbers, run, state

SIZES = {"B": 3}
X, Y, NAMED = given("x", 7), given("y", 5), given("named", "B")
W, U, LINE = given("w", 7, LONG + 3), given("u", LONG + 3, 7), given("line", LONG + 3)
EACH, LINES = given("each", "B", 7, LONG), given("lines", "B", LONG)
SHORT, WIDE = given("short", 7, LONG - 1), given("wide", 5, LONG)
INPUTS = (X, Y, NAMED, W, U, LINE, EACH, LINES, SHORT, WIDE)
TURNED = b.reshape(b.transpose(WIDE, axes=(1, 0)), shape=(5, LONG))  # must be copied first
PRODUCTS: list[Node] = [
    # Nothing is summed: of lines, of a line for each sample, with the axes in another order.
    b.contract(X, Y, a=(0,), b=(1,), out=(0, 1)),
    b.contract(X, Y, a=(0,), b=(1,), out=(1, 0)),
    b.contract(EACH, LINES, a=(0, 1, 2), b=(0, 2), out=(2, 0, 1)),
    b.contract(NAMED, NAMED, a=(0,), b=(0,), out=(0,)),
    # A matrix times a line, along its contiguous axis.
    b.contract(LINE, W, a=(1,), b=(0, 1), out=(0,)),
    b.contract(EACH, LINES, a=(0, 1, 2), b=(0, 2), out=(1, 0)),
    b.contract(b.transpose(W, axes=(1, 0)), LINE, a=(0, 1), b=(0,), out=(1,)),
    b.contract(LINE, LINE, a=(0,), b=(0,), out=()),
    # These stay: the axis is short, far apart, or several; both operands have rows; a copy.
    b.contract(SHORT, b.slice(LINE, start=(0,), stop=(LONG - 1,), step=(1,)),
               a=(0, 1), b=(1,), out=(0,)),
    b.contract(X, W, a=(0,), b=(0, 1), out=(1,)),
    b.contract(b.transpose(U, axes=(1, 0)), LINE, a=(0, 1), b=(1,), out=(0,)),
    b.contract(W, W, a=(0, 1), b=(0, 1), out=()),
    b.contract(WIDE, LINES, a=(0, 1), b=(2, 1), out=(0, 2)),
    b.contract(TURNED, b.slice(LINE, start=(0,), stop=(LONG,), step=(1,)),
               a=(0, 1), b=(1,), out=(0,)),
]  # fmt: skip


def test_rules(golden: Callable[[str, str], None]) -> None:
    lines = []
    for node in PRODUCTS:
        whole = expand_products(graph(*INPUTS, y=node))
        verify(whole)
        before, after = expression(node), expression(whole.outputs[0][1])
        lines += [before, f"    {'stays' if before == after else '->  ' + after}"]
    golden("expand_products/rules", "\n".join(lines))


@pytest.mark.parametrize("batch", [0, 1, 3])
def test_the_values_stay(batch: int) -> None:
    sizes = {"B": batch}
    arrays = {n.attrs["name"]: numbers(*(evaluate(e, sizes) for e in n.shape)) for n in INPUTS}
    outputs = {f"y{i}": node for i, node in enumerate(PRODUCTS)}
    whole = graph(*INPUTS, outputs=outputs)
    wanted = run(whole, arrays, sizes=sizes)
    expanded = run(expand_products(whole), arrays, sizes=sizes)
    found = run(whole, arrays, "cpu", sizes)
    for i, node in enumerate(PRODUCTS):
        for values in (expanded, found):
            np.testing.assert_allclose(
                values[f"y{i}"], wanted[f"y{i}"], rtol=1e-4, atol=1e-4, err_msg=expression(node)
            )


def test_a_weight_is_read_and_updated_once() -> None:
    """The way back through a product of one row, and the update of its weight: one kernel."""
    h, g, w = given("h", 40), given("g", 4 * LONG), state("w", 40, 4 * LONG)
    slope = b.contract(h, g, a=(0,), b=(1,), out=(0, 1))
    back = b.contract(g, w, a=(1,), b=(0, 1), out=(0,))
    after = b.sub(w, b.mul(slope, number(0.5, slope)))
    whole = graph(h, g, w, updates={w: after}, outputs={"back": b.tanh(back)})
    program = plan_memory(compile_kernels(whole), {})
    (instruction,) = program.instructions
    assert instruction.chunks > 2
    assert [buffer.role for buffer in program.buffers].count("temporary") == 0
    arrays = {"h": numbers(40), "g": numbers(4 * LONG, seed=1), "w": numbers(40, 4 * LONG, seed=2)}
    found = []
    for threads in (1, 3):
        held = arrays["w"].copy()
        value = Executor(program, {"w": held}, threads=threads)([arrays["h"], arrays["g"]])[0]
        found.append((np.array(value), held))
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)
    exact = {name: value.astype(np.float64) for name, value in arrays.items()}
    np.testing.assert_allclose(found[0][0], np.tanh(exact["w"] @ exact["g"]), atol=1e-4)
    wanted = exact["w"] - 0.5 * np.outer(exact["h"], exact["g"])
    np.testing.assert_allclose(found[0][1], wanted, atol=1e-5)
