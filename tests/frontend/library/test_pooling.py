"""Pools against PyTorch, forward and gradient; what the blocks are in loops and on samples."""

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ..evaluating import TARGETS, Target

Array = Any
EXTENTS = {1: (9,), 2: (7, 6), 3: (5, 4, 6)}


def forward_and_gradient(
    make: Callable[[Any], Any], x: Array, target: Target, weights: Array | None = None
) -> tuple[Array, Array]:
    """What a function of x gives, and the gradient of its inner product with some weights."""
    v = dg.observed("x", x.shape, x.dtype)
    y = make(v)
    shape = tuple(int(n) for n in y.shape)
    w = np.random.default_rng(1).normal(size=shape).astype(x.dtype)
    slope = dg.gradient(dg.sum(y * dg.constant(w)), v)
    found = dg.Diagram("pool", {"y": y, "g": slope}).compile(target=target).run(x=x)
    return found["y"], found["g"]


def torchs(make: Callable[[Any], Any], x: Array) -> tuple[Array, Array]:
    import torch

    v = torch.tensor(x, requires_grad=True)
    y = make(v)
    w = np.random.default_rng(1).normal(size=tuple(y.shape)).astype(x.dtype)
    (y * torch.tensor(w)).sum().backward()
    assert v.grad is not None
    return y.detach().numpy(), v.grad.numpy()


def numbers(space: int, seed: int = 0, batch: int = 2) -> Array:
    return np.random.default_rng(seed).normal(size=(batch, 3, *EXTENTS[space]))


OPTIONS = [
    # size, stride, padding, ceil mode
    (1, None, 0, False), (2, None, 0, False), (2, None, 0, True), (2, 1, 1, False),
    (2, 3, 1, True), (3, None, 0, False), (3, 1, 1, False), (3, 2, 1, True), (3, 2, 0, True),
    (3, 5, 1, True), (2, 4, 0, True),
]  # fmt: skip


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("space", [1, 2, 3])
def test_max_pools_are_pytorchs(space: int, target: Target) -> None:
    torch = pytest.importorskip("torch")
    theirs, ours = (getattr(m, f"MaxPool{space}d") for m in (torch.nn, dg))
    x = numbers(space)
    x[0, 0] = np.round(x[0, 0])  # ties
    x[1, 1] = -np.inf
    for (size, stride, padding, ceil), dilation in product(OPTIONS, (1, 2)):
        reach = dilation * (size - 1) + 1
        if reach > min(EXTENTS[space]) + 2 * padding:
            continue
        text = f"{size} {stride} {padding} {dilation} {ceil}"
        got = forward_and_gradient(ours(size, stride, padding, dilation, ceil), x, target)
        wanted = torchs(theirs(size, stride, padding, dilation, ceil_mode=ceil), x)
        for one, other in zip(got, wanted, strict=True):
            np.testing.assert_allclose(one, other, 1e-12, 1e-12, err_msg=text)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("space", [1, 2, 3])
def test_mean_pools_are_pytorchs(space: int, target: Target) -> None:
    torch = pytest.importorskip("torch")
    theirs, ours = (getattr(m, f"AvgPool{space}d") for m in (torch.nn, dg))
    x = numbers(space)
    for options, with_padding in product(OPTIONS, (False, True)):
        got = forward_and_gradient(ours(*options, with_padding), x, target)
        wanted = torchs(theirs(*options, with_padding), x)
        for one, other in zip(got, wanted, strict=True):
            np.testing.assert_allclose(one, other, 1e-12, 1e-12, err_msg=f"{options}")


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("space", [1, 2, 3])
def test_adaptive_pools_are_pytorchs(space: int, target: Target) -> None:
    torch = pytest.importorskip("torch")
    theirs, ours = (getattr(m, f"AdaptiveAvgPool{space}d") for m in (torch.nn, dg))
    x = numbers(space)
    for size in (1, 2, 3, 4, 5, 8, (3, 1, 4)[:space]):
        got = forward_and_gradient(ours(size), x, target)
        for one, other in zip(got, torchs(theirs(size), x), strict=True):
            np.testing.assert_allclose(one, other, 1e-12, 1e-12, err_msg=f"{size}")


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("space", [1, 2, 3])
def test_norm_pools_are_pytorchs(space: int, target: Target) -> None:
    torch = pytest.importorskip("torch")
    theirs, ours = (getattr(m, f"L{p}Pool{space}d") for m, p in ((torch.nn, "P"), (dg, "p")))
    x = np.abs(numbers(space))  # PyTorch's powers have no magnitude
    for p, (size, stride, padding, ceil) in product((1, 2, 3.5), OPTIONS):
        if padding or ceil:
            continue
        got = forward_and_gradient(ours(p, size, stride), x, target)
        for one, other in zip(got, torchs(theirs(p, size, stride), x), strict=True):
            np.testing.assert_allclose(one, other, 1e-10, 1e-12, err_msg=f"{p} {size} {stride}")


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("mean", [False, True])
def test_soft_maxima_are_those_of_each_window(mean: bool, target: Target) -> None:
    torch = pytest.importorskip("torch")
    x = numbers(2)
    x[0, 0, 0] += 1e4  # exp overflows

    def theirs(v: Any) -> Any:
        taps = v.unfold(2, 3, 2).unfold(3, 3, 2).flatten(-2)
        return (torch.logsumexp(2 * taps, -1) - mean * np.log(9)) / 2

    got = forward_and_gradient(dg.LogSumExpPool2d(3, 2.0, mean, stride=2), x, target)
    for one, other in zip(got, torchs(theirs, x), strict=True):
        np.testing.assert_allclose(one, other, 1e-12, 1e-12)


def test_the_mean_form_lies_between_the_mean_and_the_maximum() -> None:
    x = numbers(2)
    v = dg.observed("x", x.shape, x.dtype)
    pools = {str(b): dg.logsumexp_pool(v, 2, b, True) for b in (1e-4, 1.0, 1e4)}
    found = dg.Diagram("pools", {**pools, "max": dg.max_pool(v, 2), "mean": dg.avg_pool(v, 2)})
    values = found.compile().run(x=x)
    np.testing.assert_allclose(values["0.0001"], values["mean"], atol=1e-3)
    np.testing.assert_allclose(values["10000.0"], values["max"], atol=1e-3)
    assert (values["1.0"] < values["max"]).all()
    assert (values["1.0"] > values["mean"]).all()


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_nan_at_each_tap(dtype: str, target: Target) -> None:
    for tap in range(9):
        x = np.zeros((1, 1, 6, 6), dtype)
        x[0, 0, tap // 3, tap % 3] = np.nan
        x[0, 0, 2, 2] = np.nan  # the last tap too: the first one is chosen
        y, g = forward_and_gradient(lambda v: dg.max_pool(v, 3), x, target)
        assert np.isnan(y).sum() == 1
        assert np.isnan(y[0, 0, 0, 0])
        assert (g != 0).sum() == 4
        assert g[0, 0, tap // 3, tap % 3] != 0


@pytest.mark.parametrize("target", TARGETS)
def test_the_first_of_equal_elements_is_chosen_and_never_the_padding(target: Target) -> None:
    for value in (-np.inf, -1.0, 0.0, np.inf):
        x = np.full((1, 1, 5), value)
        y, g = forward_and_gradient(lambda v: dg.max_pool(v, (3,), 2, 1), x, target)
        assert (y == value).all()
        w = np.random.default_rng(1).normal(size=(1, 1, 3))
        np.testing.assert_array_equal(g[0, 0], [w[0, 0, 0], w[0, 0, 1], 0, w[0, 0, 2], 0])


@pytest.mark.parametrize("target", TARGETS)
def test_norms_of_zeros_have_no_slope(target: Target) -> None:
    x = np.zeros((1, 1, 4, 4))
    x[0, 0, 3, 3] = -2
    for p in (1, 2, 3):
        y, g = forward_and_gradient(dg.LpPool2d(p, 2), x, target)
        assert y[0, 0].tolist() == [[0, 0], [0, 2]]
        assert np.isfinite(g).all()
        assert np.count_nonzero(g) == 1
        x[0, 0, 0, 0] = np.nan
        y, _ = forward_and_gradient(dg.LpPool2d(p, 2), x, target)
        assert np.isnan(y[0, 0]).tolist() == [[True, False], [False, False]]
        x[0, 0, 0, 0] = 0


@pytest.mark.parametrize("target", TARGETS)
def test_windows_of_minus_infinity_have_a_soft_maximum(target: Target) -> None:
    x = np.full((1, 1, 2, 4), -np.inf)
    x[..., 2] = 1.0
    y, g = forward_and_gradient(lambda v: dg.logsumexp_pool(v, 2), x, target)
    np.testing.assert_allclose(y[0, 0, 0], [-np.inf, 1 + np.log(2)])
    assert np.isfinite(g).all()
    assert (g[..., :2] == 0).all()


@pytest.mark.parametrize("target", TARGETS)
def test_empty_batches(target: Target) -> None:
    x = dg.observed("x", ("B", 2, 4, 6))
    pools = {
        "max": dg.MaxPool2d(2), "mean": dg.AvgPool2d(3, 1, 1), "norm": dg.LpPool2d(2, 2),
        "soft": dg.LogSumExpPool2d(2), "few": dg.AdaptiveAvgPool2d(3),
    }  # fmt: skip
    values = {name: pool(x) for name, pool in pools.items()}
    total = dg.sum(dg.stack([dg.sum(v) for v in values.values()]))
    d = dg.Diagram("pools", {**values, "g": dg.gradient(total, x)})
    program = d.compile(target=target)
    for batch in (0, 1, 3):
        found = program.run(x=np.ones((batch, 2, 4, 6), np.float32))
        assert found["max"].shape == (batch, 2, 2, 3)
        assert found["g"].shape == (batch, 2, 4, 6)


@pytest.mark.parametrize("target", TARGETS)
def test_pools_in_a_loop_are_those_of_each_step(target: Target) -> None:
    x = dg.observed("x", ("T", 2, 1, 6, 6), "float64")
    w = dg.parameter("w", (6, 6), dg.init.normal(0, 1), "float64")
    t = dg.loop("t")
    z = t.delay("z", 0.0, shape=(2, 1, 6, 6), dtype="float64")
    mixed = dg.tanh(t.each(x) @ w + z)
    pooled = dg.MaxPool2d(3, 2, 1)(mixed)
    following = mixed * dg.avg_pool(pooled, "global") + dg.max_pool(mixed, 3, 1, 1)
    t.close(z, following)
    cost = dg.sum(t.last(following) ** 2) + t.sum(dg.sum(pooled))

    def step(before: Any, now: Any) -> tuple[Any, Any]:
        mixed = dg.tanh(now @ w + before)
        pooled = dg.max_pool(mixed, 3, 2, 1)
        return mixed * dg.avg_pool(pooled, "global") + dg.max_pool(mixed, 3, 1, 1), pooled

    first = dg.observed("first", (3, 2, 1, 6, 6), "float64")
    unrolled, state = dg.fill(0.0, (), "float64"), dg.fill(0.0, (2, 1, 6, 6), "float64")
    for i in range(3):
        state, seen = step(state, first[i])
        unrolled = unrolled + dg.sum(seen)
    unrolled = unrolled + dg.sum(state**2)
    outputs = {"loop": cost, "flat": unrolled}
    outputs |= {f"{k}_slope": dg.gradient(v, w) for k, v in list(outputs.items())}
    array = np.random.default_rng(0).normal(size=(3, 2, 1, 6, 6))
    found = dg.Diagram("loop", outputs).compile(target=target).run(x=array, first=array)
    np.testing.assert_allclose(found["loop"], found["flat"], 1e-12)
    np.testing.assert_allclose(found["loop_slope"], found["flat_slope"], 1e-11, 1e-11)


class Scaled(dg.Block):
    """A pool of what is multiplied with a weight."""

    def __init__(self) -> None:
        self.weight = dg.parameter("weight", (2, 1, 1), 1.0)
        self.pool = dg.MaxPool2d(3, 2, 1)

    def forward(self, x: Any) -> Any:
        return self.pool(x * self.weight)


@pytest.mark.parametrize("target", TARGETS)
def test_a_pool_in_a_bound_block_is_that_of_each_sample(target: Target) -> None:
    block = Scaled()
    x, w = dg.observed("x", ("B", 2, 5, 5)), dg.observed("w", ("B", 2))
    y = dg.bind(block, w)(x)
    d = dg.Diagram("bound", {"y": y, "g": dg.gradient(dg.sum(y * y), w)})
    rng = np.random.default_rng(0)
    images, weights = (rng.normal(size=s).astype(np.float32) for s in ((4, 2, 5, 5), (4, 2)))
    found = d.compile(target=target).run(x=images, w=weights)
    v, u = dg.observed("x", (1, 2, 5, 5)), dg.observed("u", (2, 1, 1))
    one = dg.max_pool(v * u, 3, 2, 1)
    alone = dg.Diagram("one", {"y": one, "g": dg.gradient(dg.sum(one * one), u)}).compile()
    for i in range(4):
        wanted = alone.run(x=images[i : i + 1], u=weights[i].reshape(2, 1, 1))
        np.testing.assert_allclose(found["y"][i], wanted["y"][0], 1e-6)
        np.testing.assert_allclose(found["g"][i], wanted["g"].ravel(), 1e-5)


def test_sizes_are_told_before_anything_is_drawn() -> None:
    assert dg.pool_shape((28, 28), 2) == (14, 14)
    assert dg.pool_shape((16, 7), (3, 2), 2, [(1, 0), 1], 2) == (7, 4)
    assert dg.pool_shape(32, 5, 3, 1) == (10,)
    assert dg.pool_shape((32,), 5, 3, 1, ceil_mode=True) == (11,)
    assert dg.pool_shape((4,), 2, 3, 1, ceil_mode=True) == (2,)  # a third would begin behind
    assert dg.pool_shape((9, 4), "global") == (1, 1)
    assert str(dg.pool_shape(("N",), 2)[0]) == "((N-2)//2)+1"


def test_ceil_mode_counts_windows_as_pytorch_does() -> None:
    torch = pytest.importorskip("torch")
    for n, size, stride, dilation in product(range(1, 12), (1, 2, 3), (1, 2, 3, 5), (1, 2)):
        for padding in range(size // 2 + 1):
            reach = dilation * (size - 1) + 1
            if n + 2 * padding < reach:
                continue
            pool = torch.nn.MaxPool1d(size, stride, padding, dilation, ceil_mode=True)
            wanted = tuple(pool(torch.zeros(1, 1, n)).shape[2:])
            found = dg.pool_shape((n,), size, stride, padding, dilation, ceil_mode=True)
            assert found == wanted, (n, size, stride, padding, dilation)


def drawn(make: Callable[[Any], Any], shape: tuple[Any, ...] = ("B", 3, 8, 9)) -> None:
    dg.Diagram("wrong", {"y": make(dg.observed("x", shape))})


WRONG: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: drawn(dg.MaxPool2d(10)), dg.ShapeError,
     "expects 10 or more elements on axis 2 for a window of 10 taps, not 8"),
    (lambda: drawn(lambda x: dg.max_pool(x, 5, padding=(1, (0, 2)), dilation=3)), dg.ShapeError,
     "expects 13 or more elements on axis 2 for a window of 5 taps 3 apart, not 8 padded by 1 and"),
    (lambda: drawn(dg.MaxPool3d(2), (8, 9)), dg.ShapeError, "expects 3 or more axes, not (8, 9)"),
    (lambda: drawn(lambda x: dg.max_pool(x, 2), (8, 9)), dg.ShapeError,
     "expects (N, C, ...), with an axis to pool, not (8, 9)"),
    (lambda: drawn(lambda x: dg.max_pool(x.astype("int32"), 2)), dg.DtypeError,
     "expects floats, not int32"),
    (lambda: drawn(lambda x: dg.adaptive_avg_pool(x, 2), ("B", 1, "N")), dg.ShapeError,
     "expects a known size of 1 or more on axis 2, not N"),
    (lambda: dg.MaxPool2d(2, padding=2), ValueError,
     "expects a padding of less than the 2 elements that a window reaches over, got 2"),
    (lambda: dg.AvgPool1d((2, 3)), ValueError,
     "AvgPool1d (test_pooling.py:LINE) expects size to be one number, or one for each of 1 axis, "
     "got (2, 3)"),
    (lambda: dg.AdaptiveAvgPool2d((1, 2, 3)), ValueError,
     "expects size to be one number, or one for each of 2 axes, got (1, 2, 3)"),
    (lambda: dg.MaxPool2d("all"), ValueError,  # type: ignore[arg-type]
     "expects size to be integers or \"global\", got 'all'"),
    (lambda: dg.MaxPool2d("global", 2), ValueError,
     'expects no stride, padding or dilation for a size of "global"'),
    (lambda: dg.LpPool2d(0.5, 2), ValueError, "expects p to be a number of 1 or more, got 0.5"),
    (lambda: dg.LogSumExpPool2d(2, 0.0), ValueError, "expects b to be a number above 0, got 0.0"),
    (lambda: dg.MaxPool2d(0), ValueError, "expects size to be an integer of 1 or more, got 0"),
    (lambda: dg.MaxPool2d(2, padding=[(1, 2, 3)]), ValueError,  # type: ignore[list-item]
     "expects each padding to be a number or a pair, got a tuple"),
    (lambda: dg.MaxPool2d(2.0), TypeError,  # type: ignore[arg-type]
     "expects size to be an integer of 1 or more, got 2.0"),
    (lambda: dg.MaxPool2d(kernel_size=2), TypeError,  # type: ignore[call-arg]
     "got kernel_size=: use size="),
    (lambda: dg.pool_shape((3,), 4), dg.ShapeError,
     "pool_shape (test_pooling.py:LINE) expects 4 or more elements on axis 0 for a window of 4 "
     "taps, not 3"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "kind", "text"), WRONG)
def test_what_is_wrong_is_told(make: Callable[[], Any], kind: type[Exception], text: str) -> None:
    with pytest.raises(kind) as error:
        make()
    told = str(error.value)
    before, _, behind = text.rpartition("LINE")
    assert before in told
    assert behind in told


def test_a_bullet_says_what_it_pools() -> None:
    assert dg.MaxPool2d(2).symbol == "max-pool 2"
    assert dg.MaxPool2d((2, 3)).symbol == "max-pool 2×3"
    assert dg.AvgPool1d("global").symbol == "global avg-pool"
    assert dg.LogSumExpPool2d(2, mean=True).symbol == "log-mean-exp-pool 2"
    assert dg.AdaptiveAvgPool2d((2, 1)).symbol == "avg-pool to 2×1"
    assert dg.MaxPool2d(2, name="first").symbol == ""


def test_tooltips_and_summaries_tell_windows() -> None:
    pools = [
        dg.MaxPool2d(2), dg.MaxPool2d(3, 2, 1, 1, True), dg.LpPool2d(2, 3, padding=((1, 0), 2)),
        dg.LogSumExpPool2d((1, 2), 3.0, True), dg.AdaptiveAvgPool2d((2, 1)), dg.AvgPool2d("global"),
    ]  # fmt: skip
    x = dg.observed("x", ("B", 1, 40, 40))
    d = dg.Diagram("pools", {"y": dg.Chain(*pools, name="pools")(x)})
    told = [f"{row.kind} {row.details}" for row in d.summary().rows if "/" in row.name]
    assert told == [
        "MaxPool2d 2×2, stride 2",
        "MaxPool2d 3×3, stride 2, padding 1, ceil mode",
        "LpPool2d 3×3, stride 3, padding 1+0×2, p 2",
        "LogSumExpPool2d 1×2, stride 1×2, b 3, mean",
        "AdaptiveAvgPool2d to 2×1",
        "AvgPool2d global",
    ]
