"""PyTorch's weights in networks of all kinds: outputs are the module's, both ways are one."""

import re
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest

import diagrad as dg

from ..evaluating import Array


def own(torch: Any) -> tuple[Any, Any]:
    """A network of one's own, and the module of the same attributes."""

    class Net(dg.Block):
        def __init__(self) -> None:
            self.embed = dg.Embedding(7, 4, dtype="float64")
            self.layers = [dg.Linear(4, 4, bias=False, dtype="float64") for _ in range(2)]
            self.gru = dg.GRU(4, 4, bidirectional=True, batch_first=True, dtype="float64")
            self.attend = dg.MultiHeadAttention(8, 2, dtype="float64")
            self.scale = dg.parameter("scale", (), 1.0, "float64")
            self.head = dg.Chain(
                norm=dg.LayerNorm(8, dtype="float64"), act=dg.relu,
                last=dg.Linear(8, 3, dtype="float64"),
            )  # fmt: skip

        def forward(self, x: Any) -> Any:
            y = self.embed(x)
            for layer in self.layers:
                y = dg.tanh(layer(y))
            y, _ = self.gru(y)
            return self.head(self.attend(y) * self.scale)

    nn = torch.nn

    class Module(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(7, 4)
            self.layers = nn.ModuleList([nn.Linear(4, 4, bias=False) for _ in range(2)])
            self.gru = nn.GRU(4, 4, bidirectional=True, batch_first=True)
            self.attend = nn.MultiheadAttention(8, 2, batch_first=True)
            self.scale = nn.Parameter(torch.tensor(1.5))
            self.head = nn.Sequential()
            self.head.add_module("norm", nn.LayerNorm(8))
            self.head.add_module("act", nn.ReLU())
            self.head.add_module("last", nn.Linear(8, 3))

        def forward(self, x: Any) -> Any:
            y = self.embed(x)
            for layer in self.layers:
                y = torch.tanh(layer(y))
            y, _ = self.gru(y)
            y, _ = self.attend(y, y, y)
            return self.head(y * self.scale)

    return Net(), Module()


def images(torch: Any) -> tuple[Any, Any]:
    """A chain of layers with averages and slopes, by indices."""
    nn = torch.nn
    ours = dg.Chain(
        dg.Conv2d(2, 4, 3, padding=1, dtype="float64"),
        dg.BatchNorm(4, dtype="float64"),
        dg.PReLU(4, dtype="float64"),
        dg.ConvTranspose2d(4, 2, 2, stride=2, dtype="float64"),
        dg.Flatten(),
        dg.Linear(2 * 8 * 6, 3, dtype="float64"),
    )
    theirs = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.PReLU(4),
        nn.ConvTranspose2d(4, 2, 2, stride=2), nn.Flatten(), nn.Linear(2 * 8 * 6, 3),
    )  # fmt: skip
    return ours, theirs


FLOATS = np.random.default_rng(0).normal(size=(5, 2, 4, 3))
CASES: dict[str, tuple[Callable[[Any], tuple[Any, Any]], list[Array]]] = {
    "Linear": (lambda t: (dg.Linear(3, 5, dtype="float64"), t.nn.Linear(3, 5)), [FLOATS]),
    "Linear, no bias": (
        lambda t: (dg.Linear(3, 5, bias=False, dtype="float64"), t.nn.Linear(3, 5, bias=False)),
        [FLOATS],
    ),
    "Embedding": (
        lambda t: (dg.Embedding(7, 4, dtype="float64"), t.nn.Embedding(7, 4)),
        [np.array([[0, 6], [3, 3]])],
    ),
    "Bilinear": (
        lambda t: (dg.Bilinear(3, 4, 5, dtype="float64"), t.nn.Bilinear(3, 4, 5)),
        [FLOATS, FLOATS[..., :1] + np.arange(4)],
    ),
    "RNNCell": (
        lambda t: (dg.RNNCell(3, 4, dtype="float64"), t.nn.RNNCell(3, 4)),
        [FLOATS[:, 0, 0], FLOATS[:, 0, :, 0]],
    ),
    "GRUCell": (
        lambda t: (dg.GRUCell(3, 4, dtype="float64"), t.nn.GRUCell(3, 4)),
        [FLOATS[:, 0, 0], FLOATS[:, 0, :, 0]],
    ),
    "LSTMCell": (
        lambda t: (dg.LSTMCell(3, 4, dtype="float64"), t.nn.LSTMCell(3, 4)),
        [FLOATS[:, 0, 0], FLOATS[:, 0, :, 0], FLOATS[:, 1, :, 0]],
    ),
    "Chain": (images, [FLOATS]),
    "own": (own, [np.array([[0, 6, 2], [3, 3, 1]])]),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_outputs_are_the_modules_and_both_ways_are_one(case: str) -> None:
    torch = pytest.importorskip("torch")
    make, inputs = CASES[case]
    torch.manual_seed(0)
    block, module = make(torch)
    module.double().eval()
    for value in (*module.parameters(), *module.buffers()):
        if value.is_floating_point():
            value.data = torch.rand_like(value) + 0.2
    observed = [dg.observed(f"x{i}", a.shape, a.dtype) for i, a in enumerate(inputs)]
    y = block(*observed)
    y = y[0] if isinstance(y, tuple) else y
    program = dg.Diagram("test", {"y": y}).compile(target="reference")
    dg.load_torch(block, program, module.state_dict())
    given = [torch.tensor(array) for array in inputs]
    expected = module(*([given[0], (given[1], given[2])] if len(given) == 3 else given))
    expected = expected[0] if isinstance(expected, tuple) else expected
    found = program.run(**{f"x{i}": array for i, array in enumerate(inputs)})["y"]
    np.testing.assert_allclose(found, expected.detach().numpy(), rtol=1e-9, atol=1e-12)

    weights = dg.torch_weights(block, program)
    state = module.state_dict()
    counts = {name for name in state if name.endswith("num_batches_tracked")}
    assert weights.keys() == state.keys() - counts
    for name, array in weights.items():  # what PyTorch adds up is not told apart again
        if "bias_" not in name:
            np.testing.assert_array_equal(array, state[name].numpy())
            assert array.base is None or array.flags.c_contiguous
    module.load_state_dict({k: torch.tensor(v) for k, v in weights.items()}, strict=not counts)
    again = module(*([given[0], (given[1], given[2])] if len(given) == 3 else given))
    again = again[0] if isinstance(again, tuple) else again
    np.testing.assert_allclose(found, again.detach().numpy(), rtol=1e-9, atol=1e-12)
    for array in program.states.values():
        array *= 0
    prefixed = {f"part.{name}": array for name, array in weights.items()} | {"other": np.ones(1)}
    dg.load_torch(block, program, prefixed, "part.")
    for name, array in dg.torch_weights(block, program).items():
        np.testing.assert_array_equal(array, weights[name])


def test_one_parameter_under_two_names() -> None:
    first, second = (dg.Linear(2, 2, bias=False) for _ in range(2))
    dg.tie(first.weight, second.weight)
    chain = dg.Chain(first, second)
    program = dg.Diagram("d", {"y": chain(dg.observed("x", (1, 2)))}).compile(target="reference")
    weights = dg.torch_weights(chain, program)
    assert [*weights] == ["0.weight", "1.weight"]
    np.testing.assert_array_equal(weights["0.weight"], weights["1.weight"])
    dg.load_torch(chain, program, weights)
    weights["1.weight"] = weights["1.weight"] + 1
    with pytest.raises(dg.InputError, match=r"one value of 'chain/0/weight', which several"):
        dg.load_torch(chain, program, weights)


def test_errors_change_nothing() -> None:
    chain = dg.Chain(dg.Linear(2, 3), dg.relu, dg.Linear(3, 1), name="net")
    program = dg.Diagram("d", {"y": chain(dg.observed("x", (1, 2)))}).compile(target="reference")
    weights = dg.torch_weights(chain, program)
    start = {name: array.copy() for name, array in program.parameters.items()}
    missing = {name: array for name, array in weights.items() if name != "2.bias"}
    wrong: list[tuple[Any, str]] = [
        (missing, "lacks 2.bias: it expects 0.weight, 0.bias, 2.weight, 2.bias"),
        ({**weights, "3.bias": np.ones(1)}, "does not know 3.bias: it expects 0.weight"),
        ({**weights, "2.weight": np.ones((3, 1))}, "floats of shape (1, 3) for 2.weight, got"),
        ({**weights, "2.bias": np.array(["a"])}, "floats of shape (1,) for 2.bias, got <U1 (1,)"),
    ]
    for given, message in wrong:
        with pytest.raises(dg.InputError) as error:
            dg.load_torch(
                chain, program, {k: v + 1 for k, v in given.items() if k == "0.bias"} | given
            )
        assert re.match(r"load_torch of Chain 'net' \(test_torch_names.py:\d+\)", str(error.value))
        assert message in str(error.value)
        for name, array in program.parameters.items():
            np.testing.assert_array_equal(array, start[name])
    with pytest.raises(TypeError, match="expects arrays by PyTorch's names, got 3"):
        dg.load_torch(chain, program, cast(Any, 3))
    with pytest.raises(TypeError, match=r"load_torch .* expects a block, got 'net'"):
        dg.load_torch(cast(Any, "net"), program, weights)
    with pytest.raises(TypeError, match=r"torch_weights .* expects a block, got 'net'"):
        dg.torch_weights(cast(Any, "net"), program)
    with pytest.raises(dg.InputError, match="a program of a diagram in which the block is"):
        dg.torch_weights(dg.Linear(2, 3), program)
