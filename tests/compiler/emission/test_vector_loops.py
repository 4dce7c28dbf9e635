"""Loops over the vector axis, whole vectors and the rest: every extent, each kind of loop."""

import numpy as np
import pytest

from diagrad.compiler.graph import Node
from diagrad.compiler.pipeline import compile_kernels, prepare

from ..building import b, given, graph, number, numbers, run

EXTENTS = (0, 1, 2, 15, 16, 17, 31, 32, 33, 47, 48, 61, 64, 1000)


def spread(x: Node, like: Node) -> Node:
    return b.broadcast(x, shape=like.shape, axes=(0,))


def values_of(x: Node) -> dict[str, Node]:
    """A flat loop, rows with phases and values put by, sums of rows and of columns."""
    y = b.mul(b.tanh(b.add(x, number(0.5, x))), x)
    top = b.reduce_max(y, axes=(1,))
    powers = b.exp(b.sub(y, spread(top, y)))
    soft = b.div(powers, spread(b.reduce_sum(powers, axes=(1,)), powers))
    return {
        "flat": b.sub(b.mul(x, x), x), "soft": soft, "rows": b.reduce_sum(y, axes=(1,)),
        "columns": b.reduce_sum(soft, axes=(0,)), "least": b.reduce_min(y, axes=(1,)),
        "best": b.argmax(y, axes=(1,)), "tops": b.reduce_max(x, axes=(0,)),
    }  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("columns", ["known", "named"])
def test_every_extent(columns: str, dtype: str) -> None:
    for extent in (e for e in EXTENTS if e):
        width = "C" if columns == "named" else extent
        x = given("x", "B", width, dtype=dtype)
        array = numbers(67, extent, dtype=dtype)
        whole, sizes = prepare(graph(x, outputs=values_of(x))), {"B": 67, "C": extent}
        wanted = run(whole, {"x": array}, sizes=sizes)
        got = run(whole, {"x": array}, "cpu", sizes)
        near = 1e-5 if dtype == "float32" else 1e-12
        for key, value in wanted.items():
            text = f"{key} of {extent}"
            np.testing.assert_allclose(got[key], value, rtol=near, atol=near, err_msg=text)


@pytest.mark.parametrize("rows", [0, 1, 15, 16, 17, 100])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [("B", 3), ("B", 13), ("B", "C", 5), (2, "B", 4)])
def test_short_rows(shape: tuple[int | str, ...], dtype: str, rows: int) -> None:
    """Sixteen rows at once, whatever is before them; NaN and ties as everywhere."""
    x = given("x", *shape, dtype=dtype)
    sizes = {"B": rows, "C": 7}
    array = numbers(*(sizes.get(n, n) for n in shape), dtype=dtype)  # type: ignore[arg-type]
    array[..., 1] = np.where(array[..., 1] > 1, np.nan, array[..., 0])
    y = b.mul(b.tanh(x), x)
    axis = len(shape) - 1

    def over(value: Node) -> Node:
        return b.broadcast(value, shape=x.shape, axes=tuple(range(axis)))

    top = b.reduce_max(y, axes=(axis,))
    powers = b.exp(b.sub(y, over(top)))
    outputs = {
        "soft": b.div(powers, over(b.reduce_sum(powers, axes=(axis,)))), "top": top,
        "best": b.argmax(x, axes=(axis,)), "least": b.argmin(x, axes=(axis,)),
        "any": b.reduce_max(b.cast(b.gt(x, number(0, x)), dtype="int32"), axes=(axis,)),
    }  # fmt: skip
    whole = prepare(graph(x, outputs=outputs))
    wanted = run(whole, {"x": array}, sizes=sizes)
    got = run(whole, {"x": array}, "cpu", sizes)
    near = 1e-5 if dtype == "float32" else 1e-12
    for key, value in wanted.items():
        np.testing.assert_allclose(got[key], value, rtol=near, atol=near, err_msg=key)


@pytest.mark.parametrize("extent", EXTENTS)
def test_a_line_of_a_named_size(extent: int) -> None:
    x = given("x", "N")
    outputs = {"y": b.sub(b.exp(x), x), "s": b.reduce_sum(b.exp(x), axes=(0,))}
    whole, array = prepare(graph(x, outputs=outputs)), numbers(extent)
    wanted = run(whole, {"x": array}, sizes={"N": extent})
    got = run(whole, {"x": array}, "cpu", {"N": extent})
    for key, value in wanted.items():
        np.testing.assert_allclose(got[key], value, rtol=1e-5, atol=1e-5, err_msg=key)


@pytest.mark.parametrize(
    ("extents", "loops", "masked"),
    [((16 * 5,), 1, 0), (("B", 32), 1, 0), ((17,), 1, 1), ((100,), 2, 1), (("B", 3), 2, 1)],
)
def test_masks_only_where_something_is_left_over(
    extents: tuple[int | str, ...], loops: int, masked: int
) -> None:
    x = given("x", *extents)
    (kernel,) = compile_kernels(prepare(graph(x, y=b.exp(x)))).kernels
    assert kernel.source.count("for j in range") == loops
    assert kernel.source.count("m = lanes_below(end - j)") == masked
    assert kernel.source.count("m = lanes_below(16)") == loops - masked


@pytest.mark.parametrize("place", [0, 5, 16, 40, 49])
@pytest.mark.parametrize("op", ["reduce_max", "reduce_min"])
def test_a_nan_anywhere_in_a_row_comes_through(op: str, place: int) -> None:
    x = given("x", 3, 50)
    rows, columns = b.apply(op, x, axes=(1,)), b.apply(op, x, axes=(0,))
    array = numbers(3, 50)
    array[1, place], array[0, 7] = np.nan, np.inf
    got = run(prepare(graph(x, rows=rows, columns=columns)), {"x": array}, "cpu")
    pick = np.max if op == "reduce_max" else np.min
    np.testing.assert_array_equal(got["rows"], pick(array, axis=1))
    np.testing.assert_array_equal(got["columns"], pick(array, axis=0))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("rows", "columns"), [(17, 17), (1, 5), (5, 1), (7, "B"), ("B", 3)])
def test_a_mask_is_not_put_by_where_a_row_is_no_line(
    rows: int | str, columns: int | str, dtype: str
) -> None:
    # Its elements have one byte each, and so have the fewest of what might be put by.
    x = given("x", rows, columns, dtype=dtype)
    for axis in (0, 1):
        positive = b.log(b.add(b.abs(x), number(1, x)))
        most = b.reduce_max(positive, axes=(axis,))
        cost = b.reduce_sum(b.mul(most, most), axes=(0,))
        whole = prepare(graph(x, slope=b.gradient(cost, x)))
        for size in (1, 33, 70_001):
            sizes = {"B": size}
            shape = [sizes.get(str(n), n) for n in (rows, columns)]
            values = {"x": numbers(*shape, dtype=dtype)}  # type: ignore[arg-type]
            wanted, got = (
                run(whole, values, target, sizes)["slope"] for target in ("reference", "cpu")
            )
            assert np.count_nonzero(got) == np.count_nonzero(wanted)
            np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)
            if "B" not in (rows, columns):
                break


@pytest.mark.parametrize("size", [0, 1, 3, 33, 5000])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_line_summed_in_stretches_and_as_one(size: int, dtype: str) -> None:
    x = given("x", "B", 1, dtype=dtype)
    y = b.sin(x)
    column, total = b.reduce_sum(b.mul(y, y), axes=(0,)), b.reduce_sum(y, axes=(0, 1))
    for outputs in ({"t": total, "c": column}, {"c": column, "t": total}):
        whole = prepare(graph(x, outputs=outputs))
        values = {"x": numbers(size, 1, dtype=dtype)}
        wanted, got = (run(whole, values, target, {"B": size}) for target in ("reference", "cpu"))
        for name, value in wanted.items():
            np.testing.assert_allclose(got[name], value, rtol=1e-4, atol=1e-4)
