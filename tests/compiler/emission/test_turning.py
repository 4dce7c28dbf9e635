"""Copies that turn a matrix, and copies whose last axis is short: each element in its place."""

from itertools import permutations

import numpy as np
import pytest

from diagrad.compiler.graph import Node
from diagrad.compiler.pipeline import compile_kernels, prepare
from diagrad.runtime.program import CPU, Routine

from ..building import b, given, graph, run

LANES = CPU.lanes
SHAPE = (3, 2 * LANES + 1, LANES, 5)


def routines(y: Node, x: Node) -> set[str]:
    """The native routines that a copy calls."""
    template = compile_kernels(prepare(graph(x, y=y)))
    return {w.name for row in template.rows for w in row.words if isinstance(w, Routine)}


DTYPES = ["float32", "float64", "int32", "int64", "bool"]
ORDERS = [(axes, DTYPES[number % 5]) for number, axes in enumerate(permutations(range(4)))]


@pytest.mark.parametrize(("axes", "dtype"), [*ORDERS, *(((0, 3, 2, 1), d) for d in DTYPES)])
def test_transpositions(axes: tuple[int, ...], dtype: str) -> None:
    x = given("x", *SHAPE, dtype=dtype)
    check(x, b.transpose(x, axes=axes), dtype)


@pytest.mark.parametrize("batch", [0, 1, LANES - 1, LANES, 5 * LANES + 3])
def test_named_sizes(batch: int) -> None:
    """As of images: channels before space to channels last, and back."""
    x = given("x", "B", 20, 6, 7)
    last = b.transpose(x, axes=(0, 2, 3, 1))
    y = given("x", 6, 20, "B")
    for base, turned, shape in (
        (x, last, (batch, 20, 6, 7)), (y, b.transpose(y, axes=(0, 2, 1)), (6, 20, batch)),
        (y, b.transpose(y, axes=(2, 1, 0)), (6, 20, batch)),
    ):  # fmt: skip
        check(base, turned, "float32", shape, {"B": batch})


@pytest.mark.parametrize(
    "change",
    [
        lambda x: b.flip(x, axes=(0, 1)),
        lambda x: b.slice(x, start=(1, 3, 0, 0), stop=(3, 33, LANES, 5), step=(1, 2, 1, 1)),
        lambda x: b.windows(x, axis=1, size=20, stride=2, dilation=1),
        lambda x: b.slice_axis(x, 3, 2, 3),
        lambda x: b.broadcast(x, shape=(2, *x.shape), axes=(1, 2, 3, 4)),
    ],
)
@pytest.mark.parametrize("order", range(6))
def test_views_of_other_strides(change: object, order: int) -> None:
    assert callable(change)
    x = given("x", *SHAPE)
    view = change(x)
    axes = list(permutations(range(view.type.rank)))
    for number in range(order, len(axes), 17):
        check(x, b.transpose(view, axes=axes[number]), "float32")


def check(
    x: Node,
    y: Node,
    dtype: str,
    shape: tuple[int, ...] = SHAPE,
    sizes: dict[str, int] | None = None,
) -> None:
    """A copy, and one inside of a padding, whose rows do not lie one behind another."""
    count = int(np.prod(shape))
    values = (np.arange(count) % 2 if dtype == "bool" else np.arange(count)).astype(dtype)
    arrays = {"x": values.reshape(shape)}
    low = (0,) * (y.type.rank - 1) + (1,)
    wide = tuple(n + 2 * k for n, k in zip(y.shape, low, strict=True))
    whole = graph(x, y=y, wide=b.pad(y, low=low, inner=(1,) * y.type.rank, shape=wide))
    wanted = run(whole, arrays, sizes=sizes)
    for name, value in run(whole, arrays, "cpu", sizes).items():
        np.testing.assert_array_equal(value, wanted[name])


def test_what_is_turned_in_registers() -> None:
    x = given("x", "B", 20, 6, LANES)
    assert routines(b.transpose(x, axes=(0, 2, 3, 1)), x) == {"turn_f32"}
    y = given("x", LANES, LANES, dtype="int64")
    assert routines(b.transpose(y, axes=(1, 0)), y) == {"turn_f64"}
    for shape, dtype in (((LANES, LANES - 1), "float32"), ((LANES - 1, LANES), "float32"),
                         ((LANES, LANES), "bool")):  # fmt: skip
        small = given("x", *shape, dtype=dtype)
        assert routines(b.transpose(small, axes=(1, 0)), small) == set()
