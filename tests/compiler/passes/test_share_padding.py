"""share_padding: what a padding holds is read there by all that comes after it."""

import numpy as np
import pytest

from diagrad.compiler.graph import Graph, Node
from diagrad.compiler.graphs.verify import verify
from diagrad.compiler.memory.plan_memory import plan_memory
from diagrad.compiler.passes.share_padding import share_padding
from diagrad.compiler.pipeline import compile_kernels

from ..building import Array, b, expression, given, graph, numbers, run

X, W = given("x", "B", 5, 6), given("w", 3, 6, 4)
INPUTS = (X, W)
SQUARE = b.mul(X, X)


def framed(x: Node, low: int = 1, high: int = 1) -> Node:
    """Zeros around the middle axis."""
    shape = (x.shape[0], low + x.shape[1] + high, *x.shape[2:])
    return b.pad(x, low=(0, low) + (0,) * (x.type.rank - 2), inner=(1,) * x.type.rank, shape=shape)


def product(x: Node) -> Node:
    """Windows of every second row, three times, with weights: (B, rows, 6) -> (B, rows - 4, 4)."""
    seen = b.windows(x, axis=1, size=3, stride=1, dilation=2)
    return b.contract(seen, W, a=(0, 1, 2, 3), b=(2, 3, 4), out=(0, 1, 4))


PADDED = framed(SQUARE)
VALUE = product(PADDED)
ROWS = b.reduce_sum(SQUARE, axes=(2,))
CASES: dict[str, dict[str, Node]] = {
    "product": {"y": VALUE, "again": product(SQUARE)},
    "after": {"y": b.mul(b.slice_axis(b.slice_axis(SQUARE, 1, 1, 4), 2, 2, 6), VALUE)},
    "elementwise after": {"y": b.mul(SQUARE, b.slice_axis(b.exp(PADDED), 1, 0, 5))},
    "elementwise": {"y": VALUE, "z": b.exp(SQUARE)},
    "two paddings": {"y": VALUE, "z": product(framed(SQUARE, 2, 0))},
    "a view of it": {"y": VALUE, "z": product(b.flip(SQUARE, axes=(0, 1)))},
    "a view after": {"y": b.mul(b.transpose(SQUARE, axes=(2, 0, 1)),
                                b.transpose(b.slice_axis(b.exp(PADDED), 1, 1, 6), axes=(2, 0, 1)))},
    "padding of a padding": {"y": product(framed(b.exp(PADDED))), "z": product(b.exp(PADDED))},
    "an output": {"y": VALUE, "z": SQUARE},
    "between elements": {"y": b.pad(SQUARE, low=(0, 0, 0), inner=(1, 2, 1),
                                    shape=(SQUARE.shape[0], 9, 6)), "z": product(SQUARE)},
    "an input": {"y": product(framed(X)), "z": product(X)},
    "a sum": {"y": b.exp(b.pad(ROWS, low=(0, 1), inner=(1, 1), shape=(ROWS.shape[0], 7))),
              "z": b.tanh(ROWS)},
}  # fmt: skip


def arrays(batch: int) -> dict[str, Array]:
    return {"x": numbers(batch, 5, 6), "w": numbers(3, 6, 4, seed=1)}


def shared(name: str) -> Graph:
    found = share_padding(graph(*INPUTS, outputs=CASES[name]))
    verify(found)
    return found


@pytest.mark.parametrize("batch", [0, 1, 3, 40])
@pytest.mark.parametrize("name", CASES)
def test_the_meaning_stays(name: str, batch: int) -> None:
    whole, sizes = graph(*INPUTS, outputs=CASES[name]), {"B": batch}
    wanted = run(whole, arrays(batch), sizes=sizes)
    by_rules = run(shared(name), arrays(batch), sizes=sizes)
    found = run(whole, arrays(batch), "cpu", sizes)
    for key, value in wanted.items():
        np.testing.assert_array_equal(by_rules[key], value, err_msg=key)
        np.testing.assert_allclose(found[key], value, rtol=1e-4, atol=1e-3, err_msg=key)


def readers(name: str, output: str) -> str:
    """The expression of an output."""
    return expression(dict(shared(name).outputs)[output])


INSIDE = "slice(pad(mul(x, x), low=(0,1,0), inner=(1,1,1), shape=(B,7,6))"


def test_products_with_windows_read_from_the_padding() -> None:
    assert f"windows({INSIDE}" in readers("product", "again")
    assert f"flip({INSIDE}" in readers("a view of it", "z")


def test_so_does_all_that_comes_after_it() -> None:
    assert readers("after", "y").startswith(f"mul(slice(slice({INSIDE}")
    assert readers("elementwise after", "y").startswith(f"mul({INSIDE}")
    assert f"transpose({INSIDE}" in readers("a view after", "y")


@pytest.mark.parametrize(
    ("name", "output"),
    [("elementwise", "z"), ("an output", "z"), ("between elements", "z"), ("an input", "z"),
     ("a sum", "z")],
)  # fmt: skip
def test_others_read_the_value_itself(name: str, output: str) -> None:
    """A kernel that may be the value's own; outputs and inputs lie where they are; no frame."""
    assert "pad" not in readers(name, output)


def kernels(**outputs: Node) -> list[str]:
    program = plan_memory(compile_kernels(graph(*INPUTS, outputs=outputs)), {"B": 3})
    return [program.kernels[item.kernel].name.split("_", 1)[1] for item in program.instructions]


def test_a_value_is_stored_inside_of_its_padding() -> None:
    """Its kernel writes there, so that beside it there are zeros to write alone, not a copy."""
    names = kernels(y=VALUE)
    assert names.count("mul") == 1 and names.count("contract") == 1
    assert names.count("pad") == len(names) - 2 == 2  # before and behind
    assert kernels(y=VALUE, again=product(SQUARE)).count("pad") == 2
    assert kernels(y=product(framed(X))).count("pad") == 3  # an input is copied
