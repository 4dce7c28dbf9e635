"""The blocks of residual nets against PyTorch's layers put together by hand."""

from typing import Any

import numpy as np
import pytest

import diagrad as dg

rng = np.random.default_rng(0)
BLOCKS: list[Any] = [
    (dg.BasicBlock, (4, 4), {}),
    (dg.BasicBlock, (4, 6, 2), {}),
    (dg.BasicBlock, (4, 6, 2), {"shortcut": "pad"}),
    (dg.BasicBlock, (4, 4), {"preactivation": True}),
    (dg.BasicBlock, (4, 6, 2), {"preactivation": True}),
    (dg.Bottleneck, (8, 8), {}),
    (dg.Bottleneck, (4, 8, 2), {"preactivation": True}),
    (dg.Bottleneck, (4, 8, 2), {"inner": 3, "shortcut": "pad"}),
]


@pytest.mark.parametrize("number", range(len(BLOCKS)))
@pytest.mark.parametrize("size", [1, 5])
def test_pytorchs(number: int, size: int) -> None:
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    kind, sizes, options = BLOCKS[number]
    block = kind(*sizes, **options, dtype="float64", name="block")
    shape = (3, sizes[0], size, size)
    x = dg.observed("x", ("B", *shape[1:]), dtype="float64")
    y = block(x)
    cost = dg.sum(y**2)
    names = list(dg.Diagram("net", cost=cost).parameters)
    variables = dg.Diagram("net", cost=cost).parameters
    slopes = dg.gradient(cost, [x, *variables.values()])
    outputs = {"y": y, **{f"g{i}": slope for i, slope in enumerate(slopes)}}
    program = dg.Diagram("net", outputs).compile()
    given = {
        name: torch.tensor(rng.normal(size=program.parameters[name].shape), requires_grad=True)
        for name in names
    }
    for name, value in given.items():
        program.parameters[name] = value.detach().numpy()
    values = rng.normal(size=shape)
    image = torch.tensor(values, requires_grad=True)

    def norm(value: Any, path: str) -> Any:
        weight, bias = given[f"block/{path}/weight"], given[f"block/{path}/bias"]
        return functional.batch_norm(value, None, None, weight, bias, training=True)

    def convolved(value: Any, path: str, stride: int) -> Any:
        weight = given[f"block/{path}/weight"]
        return functional.conv2d(value, weight, stride=stride, padding=weight.shape[-1] // 2)

    stride = sizes[2] if len(sizes) > 2 else 1
    strides = (stride, 1) if kind is dg.BasicBlock else (1, stride, 1)
    before = options.get("preactivation", False)
    found, around = image, image
    for i, step in enumerate(strides):
        if before:
            found = functional.relu(norm(found, f"norms/{i}"))
            around = found if i == 0 and block.shortcut is not None else around
            found = convolved(found, f"convolutions/{i}", step)
        else:
            found = convolved(functional.relu(found) if i else found, f"convolutions/{i}", step)
            found = norm(found, f"norms/{i}")
    if options.get("shortcut") == "pad":
        around = around[:, :, ::stride, ::stride]
        around = functional.pad(around, (0, 0, 0, 0, 0, sizes[1] - sizes[0]))
    elif block.shortcut is not None:
        around = convolved(around, "shortcut/0", stride)
        around = around if before else norm(around, "shortcut/1")
    found = found + around if before else functional.relu(found + around)
    (found**2).sum().backward()
    ours = program.run("training", x=values)
    np.testing.assert_allclose(ours["y"], found.detach().numpy(), atol=1e-9)
    wanted = [image.grad, *(value.grad for value in given.values())]
    for i, slope in enumerate(wanted):
        np.testing.assert_allclose(ours[f"g{i}"], slope.numpy(), atol=1e-6, err_msg=f"{i}")


def test_equal_blocks_are_equal_kernels() -> None:
    """A deeper net has no kernel that a less deep one has not."""

    def kernels(blocks: int) -> set[str]:
        x = dg.observed("x", ("B", 4, 8, 8))
        net = dg.Chain([dg.BasicBlock(4, 4) for _ in range(blocks)], name="net")
        program = dg.Diagram("net", cost=dg.mean(net(x) ** 2)).compile(dg.SGD(0.1))
        program.step(x=np.ones((2, 4, 8, 8), np.float32))
        return set(program.kernels.values())

    assert kernels(8) == kernels(4)


def test_mistakes() -> None:
    with pytest.raises(ValueError, match="shortcut='projection' for fewer channels"):
        dg.BasicBlock(8, 4, shortcut="pad")
    with pytest.raises(ValueError, match="stride"):
        dg.BasicBlock(8, 8, 0)
    with pytest.raises(ValueError, match="shortcut"):
        dg.Bottleneck(8, 8, shortcut="none")  # type: ignore[arg-type]
