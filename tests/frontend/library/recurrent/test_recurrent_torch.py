"""RNN, LSTM and GRU against PyTorch's, and weights in PyTorch's layout."""

from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ...evaluating import TARGETS, Target, text
from .recurrent_cases import Array, outputs_of, randomise, weighted

INPUTS, HIDDEN = 4, 5
KINDS = ("RNN", "LSTM", "GRU")


def pair(kind: str, torch: Any, layers: int, both: bool, dtype: str) -> tuple[Any, Any]:
    """The same network, ours and PyTorch's."""
    ours = getattr(dg, kind)(
        INPUTS, HIDDEN, layers=layers, bidirectional=both, dtype=dtype, name="net"
    )
    theirs = getattr(torch.nn, kind)(INPUTS, HIDDEN, layers, bidirectional=both)
    return ours, theirs.to(getattr(torch, dtype))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    ("layers", "both", "packed"), [(1, False, False), (1, False, True), (2, True, True)]
)
@pytest.mark.parametrize("kind", KINDS)
def test_values_and_gradients(
    kind: str, layers: int, both: bool, packed: bool, target: Target
) -> None:
    torch = pytest.importorskip("torch")
    dtype = "float32" if kind == "GRU" else "float64"
    ours, theirs = pair(kind, torch, layers, both, dtype)
    cells = layers * (2 if both else 1)
    names = ("h", "c") if kind == "LSTM" else ("h",)
    x = dg.observed("x", ("T", "B", INPUTS), dtype)
    start = [dg.observed(name, (cells, "B", HIDDEN), dtype) for name in names]
    lengths = dg.observed("lengths", ("B",), "int32") if packed else None
    found = outputs_of(ours(x, start if kind == "LSTM" else start[0], lengths=lengths))
    free = [x, *start, *ours.parameters().values()]
    slopes = dg.gradient(weighted(list(found.values())), free)
    outputs = found | {f"g{i}": item for i, item in enumerate(slopes)}
    program = dg.Diagram("test", outputs).compile(target=target)
    torch.manual_seed(0)
    ours.load_torch(program, theirs.state_dict())
    rng = np.random.default_rng(0)
    tolerance = 1e-5 if dtype == "float32" else 1e-11
    for steps, samples in [(5, 3), (1, 1), (5, 1), (1, 3)]:
        inputs: dict[str, Array] = {"x": rng.normal(size=(steps, samples, INPUTS))}
        inputs |= {name: rng.normal(size=(cells, samples, HIDDEN)) for name in names}
        weights = [rng.normal(size=(steps, samples, HIDDEN * (2 if both else 1)))]
        weights += [rng.normal(size=(cells, samples, HIDDEN)) for _ in names]
        inputs |= {f"w{i}": item for i, item in enumerate(weights)}
        inputs = {name: value.astype(dtype) for name, value in inputs.items()}
        if packed:
            inputs["lengths"] = rng.integers(1, steps + 1, samples).astype(np.int32)
            for sample, length in enumerate(inputs["lengths"]):
                inputs["x"][length:, sample] = np.nan  # PyTorch packs it away
        result = program.run(**inputs)
        wanted = theirs_of(torch, theirs, inputs, names)
        for name, value in wanted.items():
            np.testing.assert_allclose(
                result[name],
                value,
                rtol=tolerance,
                atol=tolerance,
                err_msg=f"{name} {steps} {samples}",
            )


def theirs_of(
    torch: Any, net: Any, inputs: dict[str, Array], names: tuple[str, ...]
) -> dict[str, Array]:
    """What PyTorch computes: outputs, and gradients in the order in which ours are."""
    tensors = {name: torch.tensor(value) for name, value in inputs.items()}
    leaves = [tensors[name].requires_grad_() for name in ("x", *names)]
    x, state = tensors["x"], tuple(tensors[name] for name in names)
    pack = torch.nn.utils.rnn
    if "lengths" in tensors:
        lengths = tensors["lengths"].long()
        x = pack.pack_padded_sequence(x, lengths, enforce_sorted=False)
    y, last = net(x, state if len(state) > 1 else state[0])
    if "lengths" in tensors:
        y, _ = pack.pad_packed_sequence(y, total_length=len(tensors["x"]))
    outputs = [y, *(last if isinstance(last, tuple) else (last,))]
    cost = sum((item * tensors[f"w{i}"]).sum() for i, item in enumerate(outputs))
    ways = [
        name.removeprefix("weight_ih_") for name, _ in net.named_parameters() if "_ih_l" in name
    ]
    for way in dict.fromkeys(way for way in ways if not way.startswith("bias")):
        for word in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            leaves.append(getattr(net, f"{word}_{way}"))
    slopes = [item.numpy() for item in torch.autograd.grad(cost, leaves)]
    first = 1 + len(names)
    gradients = slopes[:first]
    for i in range(first, len(slopes), 4):
        gradients += [slopes[i].T, slopes[i + 1].T, slopes[i + 2]]
        if isinstance(net, torch.nn.GRU):
            gradients.append(slopes[i + 3][2 * HIDDEN :])
    found = {"Y": outputs[0], **{f"last{i}": item for i, item in enumerate(outputs[1:])}}
    values = {name: item.detach().numpy() for name, item in found.items()}
    return values | {f"g{i}": item for i, item in enumerate(gradients)}


def program_of(net: Any) -> dg.Program:
    x = dg.observed("x", ("T", "B", INPUTS))
    return dg.Diagram("test", outputs_of(net(x))).compile(target="reference")


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_out_and_in_again(kind: str, bias: bool) -> None:
    block = getattr(dg, kind)
    net, other = (block(INPUTS, HIDDEN, layers=2, bidirectional=True, bias=bias) for _ in range(2))
    first, second = program_of(net), program_of(other)
    randomise(first)
    weights = {f"net.{name}": value for name, value in net.torch_weights(first).items()}
    gates = {"RNN": 1, "LSTM": 4, "GRU": 3}[kind]
    assert weights["net.weight_ih_l1_reverse"].shape == (gates * HIDDEN, 2 * HIDDEN)
    assert weights["net.weight_hh_l0"].shape == (gates * HIDDEN, HIDDEN)
    assert ("net.bias_hh_l0" in weights) == bias
    other.load_torch(second, weights | {"other.weight": np.zeros(3)}, prefix="net.")
    for name, value in first.parameters.items():
        np.testing.assert_allclose(second.parameters[name], value, rtol=1e-6)


def test_errors_change_nothing() -> None:
    net = dg.GRU(INPUTS, HIDDEN, name="net")
    program = program_of(net)
    before = {name: value.copy() for name, value in program.parameters.items()}
    weights = net.torch_weights(program)
    expected = "weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0"

    def message(given: dict[str, Any], kind: type[Exception] = dg.InputError) -> str:
        with pytest.raises(kind) as error:
            net.load_torch(program, given)
        return text(error.value)

    more = {name: value + 1 for name, value in weights.items()}
    assert message({**more, "bias_hh_l0": np.zeros(15)[:, None]}) == (
        "load_torch of GRU 'net' (m.py:1) expects floats of shape (15,) for bias_hh_l0, got "
        "float64 (15, 1)"
    )
    assert message({**more, "weight_ih_l0": np.zeros((15, INPUTS), complex)}) == (
        "load_torch of GRU 'net' (m.py:1) expects floats of shape (15, 4) for weight_ih_l0, got "
        "complex128 (15, 4)"
    )
    short = {name: value for name, value in more.items() if name != "bias_ih_l0"}
    assert message({**short, "weight_hr_l0": np.zeros(1)}) == (
        "load_torch of GRU 'net' (m.py:1) lacks bias_ih_l0 and does not know weight_hr_l0: it "
        f"expects {expected}"
    )
    for name, value in before.items():
        np.testing.assert_array_equal(program.parameters[name], value)
    other = dg.GRU(INPUTS, HIDDEN, name="other")
    with pytest.raises(dg.InputError) as error:
        other.load_torch(program, weights)
    assert text(error.value) == (
        "load_torch of GRU 'other' (m.py:1) expects a program of a diagram in which the block is, "
        "got one of 'test' (m.py:1)"
    )
    cho = dg.GRU(INPUTS, HIDDEN, reset_after=False, name="cho")
    with pytest.raises(ValueError, match="PyTorch's formulas, got reset_after=False and"):
        cho.torch_weights(program_of(cho))
