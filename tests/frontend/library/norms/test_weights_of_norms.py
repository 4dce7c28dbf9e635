"""Weights of normalisation: PyTorch's, one set for each sample, and weight normalisation."""

from typing import Any

import numpy as np
import pytest

import diagrad as dg

rng = np.random.default_rng(0)


def layers() -> list[Any]:
    torch = pytest.importorskip("torch")
    nn = torch.nn
    return [
        (dg.LayerNorm(7, dtype="float64"), nn.LayerNorm(7), (3, 5, 7)),
        (dg.LayerNorm((5, 7), dtype="float64"), nn.LayerNorm((5, 7)), (3, 5, 7)),
        (dg.LayerNorm(1, dtype="float64"), nn.LayerNorm(1), (3, 1)),
        (dg.GroupNorm(2, 6, dtype="float64"), nn.GroupNorm(2, 6), (3, 6, 5, 4)),
        (dg.GroupNorm(6, 6, dtype="float64"), nn.GroupNorm(6, 6), (1, 6, 5)),
        (dg.GroupNorm(1, 6, dtype="float64"), nn.GroupNorm(1, 6), (3, 6)),
        (
            dg.InstanceNorm(6, affine=True, dtype="float64"),
            nn.InstanceNorm2d(6, affine=True),
            (3, 6, 5, 4),
        ),
    ]


@pytest.mark.parametrize("number", range(7))
def test_layers_are_pytorchs(number: int) -> None:
    torch = pytest.importorskip("torch")
    block, module, shape = layers()[number]
    module = module.double()
    for value in module.parameters():
        value.data = torch.tensor(rng.normal(size=tuple(value.shape)))
    x = dg.observed("x", ("B", *shape[1:]), dtype="float64")
    y = block(x)
    program = dg.Diagram("net", {"y": y, "g": dg.gradient(dg.sum(y**3), x)}).compile()
    block.load_torch(program, module.state_dict())
    values = rng.normal(size=shape)
    given = torch.tensor(values, requires_grad=True)
    (module(given) ** 3).sum().backward()
    found = program.run(x=values)
    np.testing.assert_allclose(found["y"], module(given).detach().numpy(), atol=1e-9)
    np.testing.assert_allclose(found["g"], given.grad.numpy(), atol=1e-6)
    for name, value in block.torch_weights(program).items():
        np.testing.assert_array_equal(value, module.state_dict()[name].numpy())


def test_weights_for_each_sample() -> None:
    """Each sample is normalised by itself, and the averages follow the mean over samples."""
    x, w = dg.observed("x", (2, 3, 5)), dg.observed("w", (2, 6))
    block = dg.BatchNorm(3, name="bn")
    y = dg.bind(block, w)(x)
    program = dg.Diagram("net", {"y": y}, cost=dg.mean(y * y) + 0 * dg.sum(dg.parameter("p", (1,))))
    compiled = program.compile(dg.SGD(0.0))
    values = rng.normal(size=(2, 3, 5)).astype(np.float32)
    each = np.concatenate([np.full((2, 3), 2), np.full((2, 3), 1)], 1).astype(np.float32)
    found = compiled.run("training", x=values, w=each)["y"]
    centred = values - values.mean(2, keepdims=True)
    wanted = 2 * centred / np.sqrt(values.var(2, keepdims=True) + 1e-5) + 1
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    compiled.step(x=values, w=each)
    np.testing.assert_allclose(
        compiled.states["bn/running_mean"], 0.1 * values.mean((0, 2)), rtol=1e-4, atol=1e-6
    )


def test_weight_norm() -> None:
    x = dg.observed("x", ("B", 4))
    block = dg.WeightNorm(dg.Linear(4, 3), axis=1, name="net")
    y = block(x)
    program = dg.Diagram("net", {"y": y}, cost=dg.mean(y * y)).compile(dg.SGD(0.1))
    assert list(program.parameters) == ["net/inner/bias", "net/direction", "net/magnitude"]
    direction = program.parameters["net/direction"]
    program.parameters["net/magnitude"] = np.array([1, 2, 3], np.float32)
    weight = direction / np.linalg.norm(direction, axis=0) * [1, 2, 3]
    values = rng.normal(size=(5, 4)).astype(np.float32)
    np.testing.assert_allclose(program.run(x=values)["y"], values @ weight, rtol=1e-4, atol=1e-5)
    with pytest.raises(TypeError, match="a block with a parameter 'scale'"):
        dg.WeightNorm(dg.Linear(2, 2), "scale")
