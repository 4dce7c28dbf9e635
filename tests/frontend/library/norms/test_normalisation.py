"""Normalisation against PyTorch: values, gradients and averages."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import diagrad as dg

TARGETS = ("cpu", "reference")
RNG = np.random.default_rng(0)
SHAPES = [(6, 4), (5, 4, 3), (2, 4, 5, 3), (1, 4, 2, 3, 2)]


def case(name: str, shape: tuple[int, ...]) -> tuple[Any, Any]:
    """A block of ours and PyTorch's, float64."""
    torch = pytest.importorskip("torch")
    nn, double = torch.nn, {"dtype": torch.float64}
    plain: dict[str, Any] = {"dtype": "float64", "name": "norm"}
    if name == "batch":
        kind = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}
        return dg.BatchNorm(4, **plain), kind[len(shape)](4, **double)
    if name == "group":
        return dg.GroupNorm(2, 4, **plain), nn.GroupNorm(2, 4, **double)
    if name == "instance":
        kind = {3: nn.InstanceNorm1d, 4: nn.InstanceNorm2d, 5: nn.InstanceNorm3d}
        theirs = kind[len(shape)](4, affine=True, **double)
        return dg.InstanceNorm(4, affine=True, **plain), theirs
    if name == "layer":
        return dg.LayerNorm(shape[1:], **plain), nn.LayerNorm(shape[1:], **double)
    ours = dg.RMSNorm(shape[-1], epsilon=1e-5, **plain)
    return ours, nn.RMSNorm(shape[-1], eps=1e-5, **double)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", ["batch", "group", "instance", "layer", "rms"])
def test_as_pytorch(name: str, shape: tuple[int, ...], target: Any) -> None:
    torch = pytest.importorskip("torch")
    if name == "instance" and len(shape) == 2:
        pytest.skip("has no axis of space")
    block, theirs = case(name, shape)
    x, w = dg.observed("x", ("B", *shape[1:]), "float64"), RNG.normal(size=shape)
    y = block(x)
    cost = dg.sum(y * y * y * dg.observed("w", ("B", *shape[1:]), "float64"))
    held = [item for item in (block.weight, block.bias) if item is not None]
    slopes = dg.gradient(cost, [x, *held])
    outputs = {"y": y, **{f"d{i}": item for i, item in enumerate(slopes)}}
    program = dg.Diagram("d", outputs, cost=cost).compile(dg.SGD(0.0), target)
    parameters = dict(theirs.named_parameters())
    for key, value in parameters.items():
        program.parameters[f"norm/{key}"] = RNG.normal(size=value.shape)
        value.data = torch.tensor(program.parameters[f"norm/{key}"])
    for number in range(3):
        given = 3.0 + (number + 1) * RNG.normal(size=shape)
        inputs = {"x": given, "w": w}
        for mode in ("training", "inference"):
            theirs.train(mode == "training")
            saved = copy.deepcopy(theirs.state_dict())
            tensor = torch.tensor(given, requires_grad=True)
            result = theirs(tensor)
            total = (result**3 * torch.tensor(w)).sum()
            expected = torch.autograd.grad(total, [tensor, *parameters.values()])
            theirs.load_state_dict(saved)
            found = program.run(mode, **inputs)
            np.testing.assert_allclose(found["y"], result.detach(), rtol=1e-9, atol=1e-11)
            for i, item in enumerate(expected):
                np.testing.assert_allclose(found[f"d{i}"], item, rtol=1e-7, atol=1e-7)
        theirs.train()
        theirs(torch.tensor(given))
        program.step(**inputs)
        if name == "batch":
            for key in ("running_mean", "running_var"):
                expected = theirs.state_dict()[key]
                np.testing.assert_allclose(program.states[f"norm/{key}"], expected, rtol=1e-12)


def small(target: Any = "cpu", **options: Any) -> dg.Program:
    x = dg.observed("x", ("B", 3))
    norm = dg.BatchNorm(4, **options)
    y = dg.Chain(dg.Linear(3, 4), norm, dg.relu, dg.Linear(4, 2), name="net")(x)
    cost = dg.squared_error(y, dg.observed("t", ("B", 2)))
    return dg.Diagram("small", {"y": y}, cost=cost).compile(dg.SGD(0.1), target)


def data(n: int) -> dict[str, Any]:
    return {key: RNG.normal(size=(n, m)).astype(np.float32) for key, m in (("x", 3), ("t", 2))}


@pytest.mark.parametrize("target", TARGETS)
def test_a_run_and_a_validation_move_no_averages(target: Any) -> None:
    program = small(target)
    given = data(11)
    before = {key: value.copy() for key, value in program.states.items()}
    program.run(**given)
    program.run("training", **given)
    for key, value in before.items():
        np.testing.assert_array_equal(value, program.states[key], key)
    dg.fit(program, given, 2, 5, validation=data(4), progress=False)  # batches of 5, 5 and 1
    assert (program.states["net/1/running_mean"] != 0).all()
    assert np.isfinite(program.states["net/1/running_var"]).all()


def test_one_element_for_a_channel_leaves_the_variance() -> None:
    program = small()
    program.step(**data(1))
    assert (program.states["net/1/running_var"] == 1).all()
    assert (program.states["net/1/running_mean"] != 0).all()


def test_a_large_mean_costs_no_digits() -> None:
    x = dg.observed("x", ("B", 1))
    program = dg.Diagram("d", {"y": dg.BatchNorm(1, epsilon=0.0)(x)}).compile()
    given = (2.0**20 + np.arange(8.0)).reshape(8, 1).astype(np.float32)
    expected = (given - given.mean(dtype=np.float64)) / given.std(dtype=np.float64)
    np.testing.assert_allclose(program.run("training", x=given)["y"], expected, rtol=1e-6)


def test_files_and_copies_have_the_averages(tmp_path: Path) -> None:
    program, given = small(), data(7)
    for _ in range(3):
        program.step(**given)
    program.save(tmp_path / "small.safetensors")
    other, twin = small(), copy.deepcopy(program)
    other.load(tmp_path / "small.safetensors")
    expected = program.run(**given)["y"]
    for made in (other, twin):
        np.testing.assert_array_equal(made.run(**given)["y"], expected)
        assert made.step(**given) == small_step(program, given)


def small_step(program: dg.Program, given: dict[str, Any]) -> Any:
    return copy.deepcopy(program).step(**given)


def test_weights_and_threads_do_not_change_a_step() -> None:
    x = dg.observed("x", ("B", 5, 9, 7))
    y = dg.BatchNorm(5)(x)
    diagram = dg.Diagram("d", {"y": y, "s": dg.gradient(dg.sum(y**3), x)})
    given = RNG.normal(size=(33, 5, 9, 7)).astype(np.float32)
    one, two = (diagram.compile(threads=n).run("training", x=given) for n in (1, 2))
    for key in one:
        np.testing.assert_array_equal(one[key], two[key])


def test_second_derivative_by_differences() -> None:
    x, v = dg.observed("x", (5, 2), "float64"), dg.observed("v", (5, 2), "float64")
    y = dg.BatchNorm(2, dtype="float64")(x)
    first = dg.gradient(dg.sum(dg.exp(y)), x)
    second = dg.gradient(dg.sum(first * v), x)
    program = dg.Diagram("d", {"first": first, "second": second}).compile()
    at, along = RNG.normal(size=(5, 2)), RNG.normal(size=(5, 2))
    h = 1e-5

    def slope(point: Any) -> Any:
        return program.run("training", x=point, v=along)["first"]

    expected = (slope(at + h * along) - slope(at - h * along)) / (2 * h)
    found = program.run("training", x=at, v=along)["second"]
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("target", TARGETS)
def test_in_a_loop_and_with_weights_for_each_sample(target: Any) -> None:
    x, s = dg.observed("x", ("T", "B", 4)), dg.observed("s", ("B", 8))
    t = dg.loop("t")
    batch, layer = dg.BatchNorm(4, averages=False, affine=False), dg.LayerNorm(4)
    outputs = {"loop": t.stack(batch(t.each(x))), "bound": dg.bind(layer, s)(x[0])}
    program = dg.Diagram("d", outputs).compile(target=target)
    given = RNG.normal(size=(3, 5, 4)).astype(np.float32)
    weights = RNG.normal(size=(5, 8)).astype(np.float32)
    found = program.run(x=given, s=weights)
    centred = given - given.mean(1, keepdims=True)
    expected = centred / np.sqrt((centred**2).mean(1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(found["loop"], expected, rtol=2e-5, atol=2e-6)
    centred = given[0] - given[0].mean(1, keepdims=True)
    normal = centred / np.sqrt((centred**2).mean(1, keepdims=True) + 1e-5)
    expected = normal * weights[:, :4] + weights[:, 4:]
    np.testing.assert_allclose(found["bound"], expected, rtol=2e-5, atol=2e-6)


def test_mistakes() -> None:
    x = dg.observed("x", ("B", 3))
    for block, text in (
        (dg.BatchNorm(4), r"expects \(N, 4, ...\), got \(B, 3\) from observed 'x'"),
        (dg.LayerNorm((2, 3)), r"expects \(..., 2, 3\), got \(B, 3\)"),
        (dg.InstanceNorm(3), "expects maps with axes of space"),
        (dg.RMSNorm(3, dtype="float64"), "expects float64, got float32"),
    ):
        with pytest.raises(dg.DiagramError, match=text):
            dg.Diagram("d", {"y": block(x)})
    with pytest.raises(ValueError, match="expects channels to be a multiple of the 3 groups"):
        dg.GroupNorm(3, 4)
    with pytest.raises(ValueError, match="momentum"):
        dg.BatchNorm(4, momentum=1.5)
