"""Long sums are off by at most (BLOCK + 8) eps times the sum of absolute values, however long.

The oracle is NumPy in float64 (`math.fsum` for sums in float64).  Where nothing but positive terms
of one size is added, an error of each addition would show: a plain running sum of a million float32
is off by 5000 eps.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import diagrad as dg
from diagrad.compiler.primitives.reduction import BLOCK

Array = npt.NDArray[Any]
TARGETS: tuple[Any, ...] = ("reference", "cpu")
BOUND = (BLOCK + 8) * float(np.finfo(np.float32).eps)
PRODUCT = (384 + 64 + 8) / 2 * float(np.finfo(np.float32).eps)


def near(got: Any, wanted: Any, size: Any, bound: float = BOUND) -> None:
    """Whether a sum of terms whose absolute values add up to `size` is as close as is stated."""
    off, most = np.abs(np.asarray(got, np.float64) - wanted), bound * np.asarray(size)
    assert np.all(off <= most), f"off by {np.max(off / np.maximum(most, 1e-300)):.3g} times that"


def terms(rng: np.random.Generator, *shape: int) -> Array:
    """Of one size, so that roundings do not cancel, and of both signs in a part of the cases."""
    low = -0.1 if rng.random() < 0.3 else 0.0999
    return rng.uniform(low, 0.1, shape).astype(np.float32)


AXES = ((0,), (1,), (2,), (0, 1), (1, 2), (0, 2), (0, 1, 2))
FUSED = ((2,), (0, 1))
TURNED = ((0,), (1, 2))


def sums(x: Any) -> dict[str, Any]:
    """Sums over all sets of axes; of terms that the kernel makes; of a view."""
    found = {f"s{axes}": dg.sum(x, axes) for axes in AXES}
    found |= {f"q{axes}": dg.sum(x * x, axes) for axes in FUSED}
    found |= {f"v{axes}": dg.sum(dg.transpose(x[:, ::-1, ::2], (2, 0, 1)), axes) for axes in TURNED}
    return found


def check_sums(got: dict[str, Array], x: Array) -> None:
    wide = x.astype(np.float64)
    view = wide[:, ::-1, ::2].transpose(2, 0, 1)
    for key, term, chosen in (("s", wide, AXES), ("q", wide * wide, FUSED), ("v", view, TURNED)):
        for axes in chosen:
            near(got[f"{key}{axes}"], term.sum(axes), np.abs(term).sum(axes))


@pytest.mark.parametrize("target", TARGETS)
def test_named_sizes(target: Any) -> None:
    rng = np.random.default_rng(0)
    program = dg.Diagram("sums", sums(dg.observed("x", ("A", "B", "C")))).compile(target=target)
    long = [(200_003, 2, 1), (1, 100_003, 3), (2, 1, 300_007), (1009, 5, 101)]
    short = [tuple(rng.integers(0, 70, 3)) for _ in range(4)] + [(1, 1, 1), (0, 3, 2), (65, 1, 16)]
    for shape in (*long, *short):
        x = terms(rng, *shape)
        check_sums(program.run(x=x), x)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("shape", [(3, 5, 70_001), (3, 5000, 7), (20_011, 3, 2), (65, 2, 33)])
def test_known_sizes(shape: tuple[int, ...], target: Any) -> None:
    """The loop that is cut into blocks is an outer one where those inside are known to be short."""
    x = terms(np.random.default_rng(sum(shape)), *shape)
    program = dg.Diagram("sums", sums(dg.observed("x", shape))).compile(target=target)
    check_sums(program.run(x=x), x)


@pytest.mark.parametrize("target", TARGETS)
def test_ten_million(target: Any) -> None:
    x = np.full((1, 10_000_019), 0.1, np.float32)
    a = dg.observed("a", ("B", "N"))
    outputs = {"rows": dg.sum(a, 1), "all": dg.mean(a), "running": dg.cumsum(a, 1)[:, -1]}
    outputs["product"] = a @ dg.transpose(a, (1, 0))
    got = dg.Diagram("rows", outputs).compile(target=target).run(a=x)
    total = float(x[0, 0]) * x.size
    near(got["rows"], total, total)
    square = float(x[0, 0]) * total
    near(got["product"], square, square, PRODUCT)
    near(got["running"], total, total)
    near(got["all"] * x.size, total, total)
    columns = dg.Diagram("columns", {"y": dg.sum(a, 0)}).compile(target=target).run(a=x.T)
    near(columns["y"], total, total)


@pytest.mark.parametrize("target", TARGETS)
def test_what_is_made_of_sums(target: Any) -> None:
    """Moments, the sum of exponentials and its gradient, sums under a mask, and their gradients."""
    x, m = dg.observed("x", ("B", "N")), dg.observed("m", ("B", "N"))
    outputs = {
        "mean": dg.mean(x, 1), "variance": dg.variance(x, 1), "deviation": dg.variance(x, 0),
        "logsumexp": dg.logsumexp(x, 1), "softmax": dg.sum(dg.softmax(x, 1), 1),
        "masked": dg.sum(dg.where(m > 0.1, x, 0.0), 1), "columns": dg.mean(x, 0),
        "norm": dg.gradient(dg.sum(dg.sqrt(dg.sum(x * x, 1))), x),
    }  # fmt: skip
    program = dg.Diagram("made", outputs).compile(target=target)
    rng = np.random.default_rng(1)
    for shape in ((2, 300_007), (200_003, 2)):
        a, m_ = terms(rng, *shape), rng.random(shape).astype(np.float32)
        got, wide, mask = program.run(x=a, m=m_), a.astype(np.float64), m_ > np.float32(0.1)
        size = np.abs(wide)
        near(got["mean"], wide.mean(1), size.mean(1))
        near(got["columns"], wide.mean(0), size.mean(0))
        for key, axis in (("variance", 1), ("deviation", 0)):
            near(got[key], wide.var(axis), wide.var(axis) + (8 * BOUND * size.mean(axis)) ** 2)
        exact = np.log(np.exp(wide).sum(1))
        near(got["logsumexp"], exact, 1 + np.abs(exact))
        near(got["softmax"], 1.0, 1.0)
        near(got["masked"], (wide * mask).sum(1), (size * mask).sum(1))
        exact = wide / np.sqrt((wide * wide).sum(1, keepdims=True))
        near(got["norm"], exact, np.abs(exact) + 1e-30)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_running_sums(dtype: str, target: Any) -> None:
    """Every partial sum, in both directions (the gradient's is the other one), along both axes."""
    x, g = dg.observed("x", ("A", "B"), dtype=dtype), dg.observed("g", ("A", "B"), dtype=dtype)
    outputs = {}
    for axis in (0, 1):
        outputs[f"y{axis}"] = dg.cumsum(x, axis)
        outputs[f"d{axis}"] = dg.gradient(dg.sum(dg.cumsum(x, axis) * g), x)
    program = dg.Diagram("running", outputs).compile(target=target)
    rng = np.random.default_rng(2)
    bound = (BLOCK + 8) * float(np.finfo(dtype).eps)
    for shape in ((2, 100_003), (50_021, 3), (17, 63), (64, 65), (1, 1), (0, 5), (129, 2)):
        a, b = (terms(rng, *shape).astype(dtype) for _ in range(2))
        got = program.run(x=a, g=b)
        for axis in (0, 1):
            wide, back = (np.asarray(v, np.longdouble) for v in (a, np.flip(b, axis)))
            near(got[f"y{axis}"], wide.cumsum(axis), abs(wide).cumsum(axis), bound)
            sizes = np.flip(abs(back).cumsum(axis), axis)
            near(got[f"d{axis}"], np.flip(back.cumsum(axis), axis), sizes, bound)


@pytest.mark.parametrize("target", TARGETS)
def test_float64(target: Any) -> None:
    x = dg.observed("x", ("A", "B"), dtype=dg.float64)
    outputs = {"rows": dg.sum(x, 1), "columns": dg.sum(x, 0), "all": dg.sum(x)}
    program = dg.Diagram("wide", outputs).compile(target=target)
    for shape in ((2, 400_009), (200_003, 2)):
        a = np.full(shape, 0.1)
        got, bound = program.run(x=a), (BLOCK + 8) * float(np.finfo(np.float64).eps)
        for key, lines in (("rows", a), ("columns", a.T), ("all", a.reshape(1, -1))):
            exact = np.array([math.fsum(line) for line in lines])
            near(got[key], exact, exact, bound)


STEPS = 6007


@pytest.mark.parametrize("target", TARGETS)
def test_sums_over_the_steps_of_a_loop(target: Any) -> None:
    """A sum and the gradients of what all steps share, none of which is stacked."""
    x, w = dg.observed("x", ("T", 2)), dg.observed("w", (2,))
    t = dg.loop("t")
    z = t.delay("z", 0.0, shape=(2,))
    z_next = 0.5 * z + w * t.each(x)
    t.close(z, z_next)
    total = t.sum(dg.tanh(z_next))
    outputs = {"total": total, "dw": dg.gradient(dg.sum(total), w)}
    program = dg.Diagram("steps", outputs).compile(target=target)
    a, b = np.full((STEPS, 2), 0.1, np.float32), np.array([1.0, 0.6], np.float32)
    got = program.run(x=a, w=b)
    state, slope = np.zeros(2), np.zeros(2)
    sizes, exact, gradient = np.zeros(2), np.zeros(2), np.zeros(2)
    for row in a.astype(np.float64):
        state, slope = 0.5 * state + b * row, 0.5 * slope + row
        exact += np.tanh(state)
        sizes += np.abs(np.tanh(state))
        gradient += slope / np.cosh(state) ** 2
    near(got["total"], exact, sizes)
    near(got["dw"], gradient, np.abs(gradient) + sizes)


@pytest.mark.parametrize("target", TARGETS)
def test_sums_at_indices(target: Any) -> None:
    """All at one place, or spread; numbers, rows and columns; the gradient of rows that are taken.

    In an array of four times as many places, plain sums do: too few updates can meet.
    """
    x, rows, y = dg.observed("x", ("N",)), dg.observed("rows", ("N", 3)), {}
    w = dg.observed("w", (1000, 2))
    for size in (3, 1000):
        i = dg.observed(f"i{size}", ("N",), dtype=dg.int32)
        y[f"line{size}"] = dg.scatter_add(i, x, size=size)
        y[f"rows{size}"] = dg.scatter_add(i, rows, size=size)
        y[f"columns{size}"] = dg.scatter_add(i, dg.transpose(rows, (1, 0)), size=size, axis=1)
    y["taken1000"] = dg.gradient(dg.sum(dg.take(w, i) * rows[:, :2]), w)
    program, rng = dg.Diagram("scattered", y).compile(target=target), np.random.default_rng(5)
    for count, most in ((100_003, 1), (50_021, 3), (249, 1), (250, 2), (65, 1), (1, 1), (0, 1)):
        index = rng.integers(0, most, count).astype(np.int32)
        a, b = np.full(count, 0.1, np.float32), terms(rng, count, 3)
        got = program.run(i3=index, i1000=index, x=a, rows=b, w=np.zeros((1000, 2), np.float32))
        for key, value in got.items():
            found = value.T if key.startswith("columns") else value
            updates = a if key.startswith("line") else b[:, :2] if key.startswith("taken") else b
            exact, sizes = np.zeros(found.shape), np.zeros(found.shape)
            np.add.at(exact, index, updates)
            np.add.at(sizes, index, np.abs(updates))
            near(found, exact, sizes)


@pytest.mark.parametrize("target", TARGETS)
def test_windows_added_up(target: Any) -> None:
    """The gradient of windows, of which many meet at one element."""
    for taps in (5003, 65, 64):
        x, g = dg.observed("x", (2 * taps,)), dg.observed("g", (taps + 1, 1))
        cost = dg.sum(dg.windows(x, taps, axis=0) * g)
        program = dg.Diagram("windows", {"y": dg.gradient(cost, x)}).compile(target=target)
        a = np.full((taps + 1, 1), 0.1, np.float32)
        got = program.run(x=np.zeros(2 * taps, np.float32), g=a)["y"]
        met = np.minimum(np.arange(1, 2 * taps + 1), np.arange(2 * taps, 0, -1))
        near(got, met * float(a[0, 0]), met * 0.1)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("depth", [None, 100_003])
def test_products(depth: int | None, target: Any) -> None:
    """Of lines and matrices, whose depth has a name, or is known and may be split or expanded."""
    named: Any = depth or "K"
    x, y = dg.observed("x", (named,)), dg.observed("y", (named,))
    a, b = dg.observed("a", (3, named)), dg.observed("b", (named, 2))
    outputs = {
        "line": x @ y, "rows": a @ y, "columns": x @ b, "matrix": a @ b,
        "turned": dg.transpose(b, (1, 0)) @ dg.transpose(a, (1, 0)),
        "both": dg.gradient(dg.sum(a @ b * (a @ b)), a)[:, :1],
        "batch": dg.einsum("ik,kj->ij", a * a, b),
    }  # fmt: skip
    program = dg.Diagram("products", outputs).compile(target=target)
    for k in (depth,) if depth else (1_000_003, 24_577, 300, 1):
        one = float(np.float32(0.1)) ** 2
        arrays = {
            name: np.full(shape, 0.1, np.float32)
            for name, shape in (("x", k), ("y", k), ("a", (3, k)), ("b", (k, 2)))
        }
        got = program.run(**arrays)
        for key in ("line", "rows", "columns", "matrix", "turned"):
            near(got[key], k * one, k * one, PRODUCT)
        near(got["batch"], k * one * float(np.float32(0.1)), k * 1e-3, PRODUCT + 1e-6)
        exact = 4 * k * one * float(np.float32(0.1))
        near(got["both"], exact, exact, PRODUCT + 1e-6)


@pytest.mark.parametrize("target", TARGETS)
def test_the_gradient_of_a_weight_over_a_large_batch(target: Any) -> None:
    x, g = dg.observed("x", ("B", 3)), dg.observed("g", ("B", 2))
    w, c = dg.observed("w", (3, 2)), dg.observed("c", (2,))
    cost = dg.sum((x @ w + c) * g)
    outputs = {"w": dg.gradient(cost, w), "c": dg.gradient(cost, c)}
    program = dg.Diagram("large", outputs).compile(target=target)
    a, b = (np.full((500_009, n), 0.1, np.float32) for n in (3, 2))
    got = program.run(x=a, g=b, w=np.zeros((3, 2), np.float32), c=np.zeros(2, np.float32))
    one = float(np.float32(0.1))
    near(got["w"], len(a) * one * one, len(a) * one * one, PRODUCT)
    near(got["c"], len(a) * one, len(a) * one)


def test_threads_make_no_difference() -> None:
    """The same bits, where sums, products and indices are long enough to be shared out."""
    x, i = dg.observed("x", ("B", "N")), dg.observed("i", ("N",), dtype=dg.int32)
    outputs = {
        "rows": dg.sum(x, 1), "columns": dg.sum(x, 0), "all": dg.sum(x), "running": dg.cumsum(x, 1),
        "product": x @ dg.transpose(x, (1, 0)),
        "places": dg.scatter_add(i, dg.transpose(x, (1, 0)), size=5),
    }  # fmt: skip
    rng = np.random.default_rng(6)
    a, index = terms(rng, 40, 30_011), rng.integers(0, 5, 30_011).astype(np.int32)
    found = [
        dg.Diagram("shared", outputs).compile(threads=threads).run(x=a, i=index)
        for threads in (1, 2, 3)
    ]
    for other in found[1:]:
        for key, value in found[0].items():
            np.testing.assert_array_equal(other[key], value, err_msg=key)


PLACES = (0, 15, 16, 1023, 1024, 1500, 2047, 2048, 4000)


@pytest.mark.parametrize("target", TARGETS)
def test_infinities_and_nan_go_through(target: Any) -> None:
    """Wherever they stand among the blocks, and where a sum leaves the range."""
    x = dg.observed("x", ("B", "N"))
    outputs = {
        "rows": dg.sum(x, 1), "columns": dg.sum(dg.transpose(x, (1, 0)), 0),
        "running": dg.cumsum(x, 1), "back": dg.gradient(dg.sum(dg.cumsum(x, 1) * x), x),
    }  # fmt: skip
    program = dg.Diagram("special", outputs).compile(target=target)
    rows = []
    for place in PLACES:
        for values in ((np.inf,), (-np.inf,), (np.nan,), (np.inf, -np.inf), (3e38, 3e38)):
            row = np.ones(4096, np.float32)
            row[[(place + 700 * i) % 4096 for i in range(len(values))]] = values
            rows.append(row)
    a = np.stack(rows)
    got = program.run(x=a)
    with np.errstate(all="ignore"):
        total, running = a.sum(1), a.cumsum(1)
    for key in ("rows", "columns"):
        np.testing.assert_allclose(got[key], total, rtol=1e-6)
    np.testing.assert_allclose(got["running"], running, rtol=1e-6)


@pytest.mark.parametrize("target", TARGETS)
def test_an_infinite_step_makes_an_infinite_sum(target: Any) -> None:
    x = dg.observed("x", ("T", 4))
    t = dg.loop("t")
    z = t.delay("z", 0.0, shape=(4,))
    z_next = 0.0 * z + t.each(x)
    t.close(z, z_next)
    program = dg.Diagram("steps", {"y": t.sum(z_next)}).compile(target=target)
    a = np.ones((200, 4), np.float32)
    a[199, 0], a[199, 1], a[199, 2] = np.inf, np.nan, 3e38
    a[198, 2] = 3e38
    np.testing.assert_array_equal(program.run(x=a)["y"], [np.inf, np.nan, np.inf, 200])
