"""Residual: its values and gradients, its parameters' names, and its errors word for word."""

import re

import numpy as np
import pytest

import diagrad as dg

from ..evaluating import TARGETS, Target


def two_layers(inputs: int, outputs: int, dtype: str = "float32") -> dg.Chain:
    first, second = dg.Linear(inputs, 7, dtype=dtype), dg.Linear(7, outputs, dtype=dtype)
    return dg.Chain(first, dg.tanh, second)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("shape", [(4,), (0, 4), (1, 4), (3, 4), (2, 3, 4)])
def test_the_input_is_added(shape: tuple[int, ...], target: Target) -> None:
    x = dg.observed("x", shape)
    block = two_layers(4, 4)
    outputs = {"y": dg.Residual(block, name="r")(x), "f": block(x)}
    program = dg.Diagram("test", outputs).compile(target=target)
    value = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    found = program.run(x=value)
    np.testing.assert_allclose(found["y"], found["f"] + value, rtol=1e-6, atol=1e-6)
    assert list(program.parameters) == [
        "r/block/0/weight", "r/block/0/bias", "r/block/2/weight", "r/block/2/bias",
    ]  # fmt: skip


@pytest.mark.parametrize("target", TARGETS)
def test_a_shortcut_is_added_instead(target: Target) -> None:
    x = dg.observed("x", ("B", 4))
    net = dg.Residual(two_layers(4, 5), shortcut=dg.Linear(4, 5, bias=False), name="r")
    program = dg.Diagram("test", {"y": net(x)}).compile(target=target)
    value = np.random.default_rng(1).normal(size=(3, 4)).astype(np.float32)
    w = program.parameters
    inner = np.tanh(value @ w["r/block/0/weight"] + w["r/block/0/bias"])
    wanted = inner @ w["r/block/2/weight"] + w["r/block/2/bias"] + value @ w["r/shortcut/weight"]
    np.testing.assert_allclose(program.run(x=value)["y"], wanted, rtol=1e-5, atol=1e-6)


def test_functions_are_blocks_and_shortcuts() -> None:
    x = dg.observed("x", ("B", 4))
    y = dg.Residual(dg.tanh, shortcut=lambda v: 2.0 * v)(x)
    value = np.random.default_rng(2).normal(size=(3, 4)).astype(np.float32)
    found = dg.Diagram("test", {"y": y}).compile().run(x=value)["y"]
    np.testing.assert_allclose(found, np.tanh(value) + 2 * value, rtol=1e-6)


def test_gradients_by_differences() -> None:
    x = dg.observed("x", ("B", 4), "float64")
    r = dg.Chain([dg.Residual(two_layers(4, 4, "float64")) for _ in range(2)], name="net")
    cost = dg.mean(r(x) ** 2)
    slope = dg.gradient(cost, x)
    second = dg.gradient(dg.sum(slope**2), x)
    program = dg.Diagram("test", {"cost": cost, "slope": slope, "second": second}).compile()
    rng = np.random.default_rng(3)
    value, step = rng.normal(size=(3, 4)), rng.normal(size=(3, 4))
    near = [program.run(x=value + 1e-5 * sign * step) for sign in (1, -1)]
    found = program.run(x=value)
    ends = [one["cost"] for one in near]
    assert np.sum(found["slope"] * step) == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-7)
    ends = [np.sum(one["slope"] ** 2) for one in near]
    assert np.sum(found["second"] * step) == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-6)


def test_the_gradient_passes_a_block_that_gives_none() -> None:
    x = dg.observed("x", (3,), "float64")
    y = dg.Residual(dg.stop_gradient)(x)
    found = dg.Diagram("test", {"s": dg.gradient(dg.sum(y), x)}).compile().run(x=np.ones(3))
    np.testing.assert_array_equal(found["s"], np.ones(3))


def test_with_weights_for_each_sample() -> None:
    x = dg.observed("x", ("B", 4))
    r = dg.Residual(dg.Linear(4, 4), name="r")
    w = dg.observed("w", ("B", r.parameter_count))
    program = dg.Diagram("test", {"y": dg.bind(r, w)(x)}).compile()
    rng = np.random.default_rng(4)
    value = rng.normal(size=(3, 4)).astype(np.float32)
    held = rng.normal(size=(3, 20)).astype(np.float32)
    wanted = value + np.stack(
        [v @ one[:16].reshape(4, 4) + one[16:] for v, one in zip(value, held, strict=True)]
    )
    np.testing.assert_allclose(program.run(x=value, w=held)["y"], wanted, rtol=1e-5, atol=1e-5)


def test_in_a_loop() -> None:
    x = dg.observed("x", ("B", 4))
    r = dg.Residual(dg.Linear(4, 4), name="r")
    t = dg.loop("t", steps=3)
    z = t.delay("z", x)
    t.close(z, r(z))
    unrolled = r(r(r(x)))
    program = dg.Diagram("test", {"last": t.last(r(z)), "wanted": unrolled}).compile()
    found = program.run(x=np.ones((2, 4), np.float32))
    np.testing.assert_allclose(found["last"], found["wanted"], rtol=1e-5)


def test_another_shape_asks_for_a_shortcut() -> None:
    x = dg.observed("x", ("B", 4))
    with pytest.raises(dg.ShapeError) as error:
        dg.Diagram("test", {"y": dg.Residual(dg.Linear(4, 5), name="r")(x)})
    text = re.sub(r"test_\w+\.py:\d+", "LINE", str(error.value))
    assert text == (
        "Residual 'r' (LINE) expects its block to give (B, 4) like observed 'x' (LINE), to which "
        "it is added, got (B, 5) from Linear 'r/block' (LINE): give a shortcut that makes this "
        "shape of the input, such as a Linear without a bias, or a 1x1 convolution with the "
        "stride of the block"
    )


def test_nothing_is_broadcast() -> None:
    x = dg.observed("x", ("B", 4))
    with pytest.raises(
        dg.ShapeError, match=r"got \(B, 1\) from Linear .*: let both have one shape"
    ):
        net = dg.Residual(dg.Linear(4, 1), shortcut=dg.Linear(4, 4), name="r")
        dg.Diagram("test", {"y": net(x)})


def test_what_is_no_block() -> None:
    with pytest.raises(TypeError, match=r"expects block to be a block or a function.*class Linear"):
        dg.Residual(dg.Linear)
    with pytest.raises(TypeError, match=r"expects shortcut to be a block or a function.*got 3"):
        dg.Residual(dg.relu, 3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"expects block to be .*got None"):
        dg.Residual(None)  # type: ignore[arg-type]
    x = dg.observed("x", ("B", 4))
    with pytest.raises(TypeError, match="expects block to give one variable, got a tuple"):
        dg.Residual(lambda v: (v, v))(x)


def test_mistakes_inside_are_told_once() -> None:
    x = dg.observed("x", ("B", 4))
    with pytest.raises(dg.ShapeError) as error:
        dg.Diagram("test", {"y": dg.Residual(dg.Linear(3, 4), dg.Linear(4, 9), name="r")(x)})
    assert str(error.value).count("expects") == 1 and "3 features" in str(error.value)
