"""Sorting at its ends: NaN, ties, lengths on both sides of its two ways, axes, threads, errors."""

from typing import Any

import numpy as np
import pytest

import diagrad as dg
from diagrad.compiler.primitives.sorting import RANKED

from ..frontend.evaluating import apply
from .rows.order_rows import falling, greatest
from .rows.running import TARGETS, Target

LENGTHS = (0, 1, 2, 3, 15, 16, 17, 31, RANKED - 1, RANKED, RANKED + 1, 257, 1009)
DTYPES = ("float32", "float64", "int32", "int64", "uint32", "bool")


def hard(shape: tuple[int, ...], dtype: str, seed: int = 0) -> Any:
    """Few different elements, the ends of the dtype among them, so that there are many ties."""
    rng = np.random.default_rng(seed)
    if dtype == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    if dtype.startswith("float"):
        tiny, most = np.finfo(dtype).smallest_subnormal, np.finfo(dtype).max
        ends = [np.nan, -np.nan, np.inf, -np.inf, 0.0, -0.0, tiny, -tiny, most, -most, 1.5, -1.5]
        few = np.array([*ends, *rng.normal(size=4)], dtype)
    else:
        limits = np.iinfo(dtype)
        few = np.array([limits.min, limits.max, 0, 1, 255, 256, 65536], dtype)
        few = np.concatenate([few, rng.integers(limits.min, limits.max, 4, dtype=dtype)])
    return rng.choice(few, shape)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_any_length_with_ties_and_ends(dtype: str, target: Target) -> None:
    for named in (False, True):
        x = dg.observed("x", ("B", "N"), dtype)
        outputs = {"up": dg.argsort(x), "down": dg.argsort(x, descending=True), "value": dg.sort(x)}
        program = dg.Diagram("sorted", outputs).compile(target=target) if named else None
        for n in LENGTHS:
            array = hard((5, n), dtype, n)
            if program is None:
                x = dg.observed("x", array.shape, dtype)
                outputs = {"up": dg.argsort(x), "down": dg.argsort(x, descending=True),
                           "value": dg.sort(x)}  # fmt: skip
                found = dg.Diagram("sorted", outputs).compile(target=target).run(x=array)
            else:
                found = program.run(x=array)
            up = np.argsort(array, kind="stable")
            np.testing.assert_array_equal(found["up"], up, err_msg=f"{n}")
            np.testing.assert_array_equal(found["down"], falling(array, -1), err_msg=f"{n}")
            value = np.take_along_axis(array, up, -1)
            np.testing.assert_array_equal(found["value"].tobytes(), value.tobytes())


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_any_axis_of_any_layout(axis: int) -> None:
    for shape in ((3, 37, 5), (1, 150, 2), (150, 1, 1), (2, 3, 0), (0, 3, 2)):
        x = dg.observed("x", shape)
        turned = dg.transpose(x, (2, 0, 1))
        array = hard(shape, "float32")
        outputs = {"x": dg.argsort(x, axis), "turned": dg.argsort(turned, axis),
                   "part": dg.argsort(x[:, ::-2], axis),
                   "wide": dg.argsort(dg.broadcast_to(x[:1], shape), axis)}  # fmt: skip
        found = dg.Diagram("sorted", outputs).compile().run(x=array)
        wanted = {"x": array, "turned": array.transpose(2, 0, 1), "part": array[:, ::-2],
                  "wide": np.broadcast_to(array[:1], shape)}  # fmt: skip
        for name, value in wanted.items():
            order = np.argsort(value, axis, kind="stable")
            np.testing.assert_array_equal(found[name], order, err_msg=f"{name} of {shape}")


def test_topk_of_every_k() -> None:
    array = hard((4, 7), "float64")
    x = dg.observed("x", array.shape, "float64")
    pairs = {k: dg.topk(x, k) for k in range(8)}
    outputs = {f"{part}{k}": pair[part] for k, pair in pairs.items() for part in (0, 1)}
    found = dg.Diagram("greatest", outputs).compile().run(x=array)
    for k in pairs:
        for part, wanted in enumerate(greatest(array, k, -1)):
            np.testing.assert_array_equal(found[f"{part}{k}"], wanted)
    best = dg.Diagram("best", {"best": dg.argmax(x, 1)}).compile().run(x=array)["best"]
    np.testing.assert_array_equal(found["11"][:, 0], best)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_threads_make_no_difference(dtype: str) -> None:
    x = dg.observed("x", ("B", "N"), dtype)
    values, index = dg.topk(x * 2, 3)
    gradient = dg.gradient(dg.sum(values * values), x)
    diagram = dg.Diagram("best", {"values": values, "index": index, "gradient": gradient})
    programs = [diagram.compile(threads=n) for n in (1, 2, 3)]
    for shape in ((257, 61), (31, 700), (1, 5000)):
        array = np.random.default_rng(0).normal(size=shape).astype(dtype)
        found = [program.run(x=array) for program in programs]
        for other in found[1:]:
            for name, value in found[0].items():
                assert value.tobytes() == other[name].tobytes(), (name, shape)


def test_the_gradient_goes_where_elements_came_from() -> None:
    torch = pytest.importorskip("torch")
    array = np.random.default_rng(1).normal(size=(5, 13))
    weights = np.random.default_rng(2).normal(size=(5, 13))
    x = dg.observed("x", array.shape, "float64")
    w = dg.constant(weights)
    cost = dg.sum(dg.sort(x) ** 3 * w) + dg.sum(dg.topk(x, 4)[0] ** 2 * w[:, :4])
    slope = dg.gradient(cost, x)
    curve = dg.gradient(dg.sum(slope * slope), x)
    found = dg.Diagram("g", {"slope": slope, "curve": curve}).compile().run(x=array)
    t = torch.tensor(array, requires_grad=True)
    tw = torch.tensor(weights)
    cost = (t.sort().values ** 3 * tw).sum() + (t.topk(4).values ** 2 * tw[:, :4]).sum()
    (first,) = torch.autograd.grad(cost, t, create_graph=True)
    (second,) = torch.autograd.grad((first * first).sum(), t)
    np.testing.assert_allclose(found["slope"], first.detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(found["curve"], second.numpy(), rtol=1e-12)


def test_sorted_in_a_loop_and_with_weights_for_each_sample() -> None:
    array = np.random.default_rng(3).normal(size=(4, 3, 6)).astype(np.float32)
    x = dg.observed("x", ("T", "B", 6))
    t = dg.loop("t")
    before = t.delay("before", 0.0, shape=("B", 6))
    now = dg.sort(t.each(x) + before * 0.5)
    t.close(before, now)
    states = t.stack(now)
    layer = dg.Linear(6, 5)
    weights = dg.observed("w", ("B", layer.parameter_count))

    chosen = dg.bind(dg.Chain(layer, lambda y: dg.topk(y, 2)[0]), weights)(x[0])
    w = np.random.default_rng(4).normal(size=(3, layer.parameter_count)).astype(np.float32)
    found = dg.Diagram("s", {"states": states, "chosen": chosen}).compile().run(x=array, w=w)
    z = np.zeros((3, 6), np.float32)
    for step in range(4):
        z = np.sort(array[step] + z * np.float32(0.5))
        np.testing.assert_array_equal(found["states"][step], z)
    each = [layer.unflatten(row) for row in w]
    rows = zip(array[0], each, strict=True)
    scores = np.stack([row @ parts["weight"] + parts["bias"] for row, parts in rows])
    np.testing.assert_allclose(found["chosen"], -np.sort(-scores)[:, :2], rtol=1e-5)


def test_errors() -> None:
    x = dg.observed("x", ("B", 5))
    with pytest.raises(ValueError, match=r"topk .*expects k to be an integer of 0 or more, got -1"):
        dg.topk(x, -1)
    with pytest.raises(TypeError, match=r"topk .*expects k to be an integer of 0 or more, got 2.0"):
        dg.topk(x, 2.0)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"sort .*expects descending to be True or False"):
        dg.sort(x, -1, "yes")  # type: ignore[arg-type]
    with pytest.raises(dg.ShapeError, match="expects k of at most 5, the extent of axis 1, not 6"):
        dg.Diagram("d", {"y": dg.topk(x, 6)[0]})
    with pytest.raises(dg.ShapeError, match=r"expects an axis in \[-2, 2\), not 2"):
        dg.Diagram("d", {"y": dg.argsort(x, 2)})
    message = r"expects an index of shape \('?B'?, 5\) but for axis 1, not \(3,\)"
    with pytest.raises(dg.ShapeError, match=message):
        dg.Diagram("d", {"y": dg.take_along_axis(x, [0, 1, 2])})
    program = dg.Diagram("d", {"y": dg.topk(x, 3, axis=0)[0]}).compile()
    with pytest.raises(dg.InputError, match="takes 0:3 of axis 0, which has 2 elements for B = 2"):
        program.run(x=np.zeros((2, 5), np.float32))


def test_quantiles_of_nan_and_infinities() -> None:
    """NaN of a line with one; of infinities what NumPy's places are, and no NaN of their own."""
    inf, nan = np.inf, np.nan
    x = np.array([[1.0, nan, 2.0], [-inf, 3.0, inf], [inf, inf, inf], [2.0, 5.0, inf]])
    half, most = (apply(lambda x, q=q: dg.quantile(x, q, 1), x, target="cpu") for q in (0.5, 0.75))
    np.testing.assert_array_equal(half, [nan, 3, inf, 5])
    np.testing.assert_array_equal(most, [nan, inf, inf, inf])
    np.testing.assert_array_equal(apply(lambda x: dg.median(x, 0), x[1:2], target="cpu"), x[1])


def test_places_of_nan_are_numpys() -> None:
    x, values = np.array([1.0, 2.0, np.nan, np.nan]), np.array([np.nan, 2.0, np.inf])
    for side in ("left", "right"):
        found = apply(lambda x, v, s=side: dg.searchsorted(x, v, s), x, values, target="cpu")
        np.testing.assert_array_equal(found, np.searchsorted(x, values, side))


def test_mistakes_of_quantiles() -> None:
    x = dg.observed("x", ("B", 3))
    with pytest.raises(ValueError, match=r"quantile .*expects q to be a number of 0 or more"):
        dg.quantile(x, 1.5)
    with pytest.raises(ValueError, match=r"searchsorted .*expects side to be 'left' or 'right'"):
        dg.searchsorted(x[0], x, side="middle")
    with pytest.raises(dg.ShapeError, match=r"sorted numbers of one axis, not \(B, 3\)"):
        dg.Diagram("d", {"y": dg.searchsorted(x, x)})
    with pytest.raises(dg.DtypeError, match=r"expects floats, not int32"):
        dg.Diagram("d", {"y": dg.median(dg.observed("i", (3,), "int32"))})
