"""join_slopes: sums of products with one factor in common, of functions of one variable."""

from collections.abc import Callable

import numpy as np
import pytest

import diagrad as dg
from diagrad.compiler.graph import Node, Origin
from diagrad.compiler.graphs.verify import verify
from diagrad.compiler.memory.plan_memory import plan_memory
from diagrad.compiler.passes.join_slopes import LONGEST, join_slopes
from diagrad.compiler.pipeline import compile_kernels, prepare
from diagrad.compiler.primitives.record import Builder
from diagrad.frontend.variables.variable import Variable

from ..building import b as forward
from ..building import expression, given, graph, number, numbers, run

b = Builder(Origin("net", direction="backward"))
G, X, Y = given("g", 5), given("x", 5), given("y", 5)
INPUTS = (G, X, Y)
F, H, HALF = b.tanh(X), b.exp(X), number(0.5, X)
DEEP = X
for _ in range(LONGEST):
    DEEP = b.sin(DEEP)
BOTH, SHARED = b.add(X, Y), b.mul(G, F)
SUMS: list[Node] = [
    b.add(b.mul(G, F), b.mul(G, H)),
    b.sub(b.mul(F, G), b.mul(b.mul(HALF, b.mul(H, G)), X)),
    # One after another.
    b.add(b.add(b.mul(G, F), b.mul(H, G)), b.mul(G, b.sin(X))),
    # The variable is what functions have in common, not what that is made of.
    b.add(b.mul(G, b.sin(BOTH)), b.mul(G, b.cos(BOTH))),
    # A factor that is there twice is taken once.
    b.add(b.mul(F, b.mul(F, H)), b.mul(F, X)),
    # These stay: of two variables; of too many nodes; nothing left or in common; no derivative.
    b.add(b.mul(G, F), b.mul(G, Y)),
    b.add(b.mul(G, F), b.mul(G, DEEP)),
    b.add(G, b.mul(G, F)),
    b.add(b.mul(HALF, F), b.mul(HALF, H)),
    forward.add(b.mul(G, F), b.mul(G, H)),
]


def test_rules(golden: Callable[[str, str], None]) -> None:
    lines = []
    for node in SUMS:
        whole = join_slopes(graph(*INPUTS, y=node))
        verify(whole)
        before, after = expression(node), expression(whole.outputs[0][1])
        lines += [before, f"    {'stays' if before == after else '->  ' + after}"]
    golden("join_slopes/rules", "\n".join(lines))


def test_a_product_that_is_read_elsewhere_stays() -> None:
    """It must be made anyway."""
    whole = graph(*INPUTS, y=b.add(SHARED, b.mul(G, H)), z=b.sin(SHARED))
    assert join_slopes(whole) is whole


def test_the_values_stay() -> None:
    arrays = {"g": numbers(5), "x": numbers(5, seed=1), "y": numbers(5, seed=2)}
    whole = graph(*INPUTS, outputs={f"y{i}": node for i, node in enumerate(SUMS)})
    wanted = run(whole, arrays)
    for found in (run(join_slopes(whole), arrays), run(whole, arrays, "cpu")):
        for name, value in wanted.items():
            np.testing.assert_allclose(found[name], value, 1e-5, 1e-6, err_msg=name)


@pytest.mark.parametrize("function", [dg.gelu, dg.silu, lambda x: x * dg.tanh(x)])
def test_a_layer_keeps_one_number_for_its_derivative(function: Callable[..., Variable]) -> None:
    """Beside the function's value itself, which the next weight's gradient needs."""
    x = dg.observed("x", (96, 32))
    inner, outer = dg.Linear(32, 64), dg.Linear(64, 32)
    cost = dg.mean(outer(function(inner(x))) ** 2)
    slope = dg.gradient(cost, [inner.weight, outer.weight])
    drawn = dg.Diagram("test", {"inner": slope[0], "outer": slope[1]}).lower()
    program = plan_memory(compile_kernels(prepare(drawn)), {})
    wide = [b for b in program.buffers if b.role == "temporary" and b.shape == (96, 64)]
    assert len(wide) == 3  # the value, its slope, and the cotangent of what it is a function of
