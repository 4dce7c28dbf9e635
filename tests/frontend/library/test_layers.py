"""Linear and Flatten: values, whose parameters they hold, and their errors word for word."""

import collections
import copy
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ..evaluating import TARGETS, Target, run, text


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4), (0, 4)])
def test_linear(shape: tuple[int, ...], target: Target) -> None:
    x = dg.observed("x", shape)
    fc = dg.Linear(4, 5, bias_init=dg.init.normal(), name="fc")
    program = dg.Diagram("test", {"y": fc(x)}).compile(target=target)
    value = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    weight, bias = program.parameters["fc/weight"], program.parameters["fc/bias"]
    assert weight.shape == (4, 5) and bias.shape == (5,) and bias.any()
    np.testing.assert_allclose(
        program.run(x=value)["y"], value @ weight + bias, rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("target", TARGETS)
def test_without_a_bias(target: Target) -> None:
    x = dg.observed("x", ("B", 4))
    fc = dg.Linear(4, 5, bias=False, weight_init=dg.init.ones, name="fc")
    program = dg.Diagram("test", {"y": fc(x)}).compile(target=target)
    assert list(program.parameters) == ["fc/weight"]
    y = program.run(x=np.ones((2, 4), np.float32))["y"]
    np.testing.assert_array_equal(y, np.full((2, 5), 4))


@pytest.mark.parametrize("target", TARGETS)
def test_in_double_precision(target: Target) -> None:
    x = dg.observed("x", ("B", 4), "float64")
    fc = dg.Linear(4, 5, dtype="float64", name="fc")
    program = dg.Diagram("test", {"y": fc(x)}).compile(target=target)
    value = np.random.default_rng(0).normal(size=(3, 4))
    np.testing.assert_allclose(
        program.run(x=value)["y"], value @ program.parameters["fc/weight"], rtol=1e-13
    )


@pytest.mark.parametrize("target", TARGETS)
def test_a_weight_that_a_network_computes(target: Target) -> None:
    u = dg.observed("u", (2, 3))
    x = dg.observed("x", ("B", 2))
    y = dg.Linear(2, 3, weight=dg.relu(u), bias=u[0])(x)
    values = {"u": np.array([[1.0, -1, 2], [3, 4, -5]]), "x": np.eye(2)}
    arrays = {name: value.astype(np.float32) for name, value in values.items()}
    found = run({"y": y}, target, **arrays)["y"]
    np.testing.assert_array_equal(found, np.maximum(values["u"], 0) + values["u"][0])


@pytest.mark.parametrize("target", TARGETS)
def test_arrays_are_constants(target: Target) -> None:
    fc = dg.Linear(3, 3, bias=False, weight_init=dg.init.identity(), name="fc")
    scores = fc(np.zeros((4, 3), np.float32))
    outputs = {
        "p": dg.softmax(scores),
        "q": dg.softmax(np.zeros((4, 3))),
        "c": dg.cross_entropy(np.zeros((4, 3)), np.zeros(4, np.int64)),
    }
    found = run(outputs, target)
    np.testing.assert_allclose(found["p"], np.full((4, 3), 1 / 3), rtol=1e-6)
    np.testing.assert_allclose(found["q"], np.full((4, 3), 1 / 3), rtol=1e-14)
    assert found["c"] == pytest.approx(np.log(3), rel=1e-14)


def test_a_parameter_that_two_layers_share_keeps_its_name() -> None:
    weight, bias = dg.parameter("shared", (4, 4)), dg.parameter("shift", (4,))
    x = dg.observed("x", ("B", 4))
    first = dg.Linear(4, 4, weight=weight, bias=bias, name="first")
    second = dg.Linear(4, 4, weight=weight, name="second")
    diagram = dg.Diagram("test", {"y": second(first(x))})
    assert list(diagram.parameters) == ["shared", "shift", "second/bias"]
    assert first.parameters() == {"shared": weight, "shift": bias}


def test_parameters_of_a_chain() -> None:
    x = dg.observed("x", ("B", 2, 3))
    net = dg.Chain(dg.Flatten(), dg.Linear(6, 4), dg.relu, dg.Linear(4, 1), name="net")
    diagram = dg.Diagram("test", {"y": net(x)})
    assert {name: item.shape for name, item in diagram.parameters.items()} == {
        "net/1/weight": (6, 4), "net/1/bias": (4,), "net/3/weight": (4, 1), "net/3/bias": (1,),
    }  # fmt: skip


def test_a_wrong_number_of_features() -> None:
    x = dg.observed("x", ("B", 16, 4, 4))
    flat = dg.Flatten(name="flat")(x)
    with pytest.raises(dg.ShapeError) as error:
        dg.Diagram("test", {"y": dg.Linear(400, 120, name="fc1")(flat)})
    assert text(error.value) == (
        "Linear 'fc1' (m.py:1) expects 400 features, got 256 from Flatten 'flat' (m.py:1)"
    )


def test_the_places_in_an_error_are_the_users_lines() -> None:
    x = dg.observed("x", ("B", 16, 4, 4))
    flat = dg.Flatten(name="flat")(x)
    y = dg.Linear(400, 120, name="fc1")(flat)
    (mistake,) = y.mistakes
    line = test_the_places_in_an_error_are_the_users_lines.__code__.co_firstlineno
    assert str(mistake) == (
        f"Linear 'fc1' (test_layers.py:{line + 3}) expects 400 features, got 256 from "
        f"Flatten 'flat' (test_layers.py:{line + 2})"
    )


def test_wrong_features_inside_a_chain() -> None:
    x = dg.observed("x", ("B", 3))
    net = dg.Chain(dg.Linear(3, 4), dg.relu, dg.Linear(5, 1), name="net")
    with pytest.raises(dg.ShapeError) as error:
        dg.Diagram("test", {"y": net(x)})
    assert text(error.value) == (
        "Linear 'net/2' (m.py:1) expects 5 features, got 4 from relu (m.py:1)"
    )


def test_other_mistakes() -> None:
    wide = dg.observed("wide", ("B", 3), "float64")
    number = dg.observed("number", ())
    cases: list[tuple[Callable[[], Any], type[Exception], str]] = [
        (lambda: dg.Linear(3, 2, name="fc")(number), dg.ShapeError,
         "Linear 'fc' (m.py:1) expects 3 features, got shape () from observed 'number' (m.py:1)"),
        (lambda: dg.Linear(3, 2, name="fc")(wide), dg.DtypeError,
         "Linear 'fc' (m.py:1) expects float32 features like its weight, got float64 from observed "
         "'wide' (m.py:1): convert one with .astype(\"float32\")"),
        (lambda: dg.Flatten(name="flat")(number), dg.ShapeError,
         "Flatten 'flat' (m.py:1) expects more than 1 axes, got () from observed 'number' "
         "(m.py:1)"),
    ]  # fmt: skip
    for make, kind, expected in cases:
        (mistake,) = make().mistakes
        assert type(mistake) is kind
        assert text(mistake) == expected


@pytest.mark.parametrize("target", TARGETS)
def test_flatten(target: Target) -> None:
    x = dg.observed("x", ("B", 2, 3, 4))
    value = np.arange(48, dtype=np.float32).reshape(2, 2, 3, 4)
    outputs = {"all": dg.Flatten(0)(x), "rest": dg.Flatten()(x), "last": dg.Flatten(2)(x)}
    found = run(outputs, target, x=value)
    assert {name: item.shape for name, item in found.items()} == {
        "all": (48,), "rest": (2, 24), "last": (2, 2, 12),
    }  # fmt: skip
    with pytest.raises(ValueError) as error:
        dg.Flatten(-1)
    assert re.sub(r":\d+", "", str(error.value)) == (
        "Flatten (test_layers.py) expects start to be an integer of 0 or more, got -1"
    )


def named() -> dg.Chain:
    return dg.Chain(fc1=dg.Linear(4, 5), relu1=dg.relu, fc2=dg.Linear(5, 2), name="net")


@pytest.mark.parametrize("target", TARGETS)
def test_a_chain_with_names(target: Target) -> None:
    net = named()
    x = dg.observed("x", ("B", 4))
    outputs = {"y": net(x), "by hand": net[2](net["relu1"](net["fc1"](x))), "part": net[:2](x)}
    program = dg.Diagram("test", outputs).compile(target=target)
    names = ["net/fc1/weight", "net/fc1/bias", "net/fc2/weight", "net/fc2/bias"]
    assert list(program.parameters) == names
    assert list(net.parameters()) == [name.removeprefix("net/") for name in names]
    value = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    found = program.run(x=value)
    np.testing.assert_array_equal(found["y"], found["by hand"])
    hidden = np.maximum(value @ program.parameters["net/fc1/weight"], 0)
    np.testing.assert_allclose(found["part"], hidden, rtol=1e-5, atol=1e-6)


def test_a_chain_with_names_takes_the_weights_of_pytorchs() -> None:
    torch = pytest.importorskip("torch")
    net = dg.Chain(fc1=dg.Linear(4, 5), act=dg.PReLU(5), fc2=dg.Linear(5, 2), name="net")
    parts = {"fc1": torch.nn.Linear(4, 5), "act": torch.nn.PReLU(5), "fc2": torch.nn.Linear(5, 2)}
    module = torch.nn.Sequential(collections.OrderedDict(parts))
    program = dg.Diagram("test", {"y": net(dg.observed("x", ("B", 4)))}).compile(target="reference")
    dg.load_torch(net, program, module.state_dict())
    value = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    wanted = module(torch.tensor(value)).detach().numpy()
    np.testing.assert_allclose(program.run(x=value)["y"], wanted, rtol=1e-5, atol=1e-6)


def test_chains_are_indexed_and_sliced_as_lists() -> None:
    net = named()
    assert (net[0], net[-1], net["relu1"]) == (net["fc1"], net["fc2"], dg.relu)
    assert [*net] == [net[0], dg.relu, net[2]] and len(net) == 3 and len(net[3:]) == 0
    part = net[1:]
    assert part.names == ("relu1", "fc2") and part["fc2"] is part[1] is net[2]
    assert list(part.parameters()) == ["fc2/weight", "fc2/bias"]
    assert net[2].path() == "net/fc2"  # it stays where it was
    mixed = dg.Chain(dg.Linear(4, 5), dg.relu, head=dg.Linear(5, 2))
    assert mixed.names == ("0", "1", "head") and mixed[::2].names == ("0", "head")
    given = dg.Chain({"first": dg.relu, "name": dg.tanh})
    assert given.names == ("first", "name") and given["name"] is dg.tanh


def test_a_chain_of_one_chain_and_a_copy() -> None:
    net = dg.Chain(body=named(), head=dg.Linear(2, 1), name="outer")
    twin = copy.deepcopy(net)
    assert list(twin.parameters()) == [
        "body/fc1/weight", "body/fc1/bias", "body/fc2/weight", "body/fc2/bias", "head/weight",
        "head/bias",
    ]  # fmt: skip
    assert twin["head"] is not net["head"] and twin["head"].path() == "outer/head"


CHAINS: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "index": (
        lambda: named()[3], IndexError, "Chain 'net' (m.py:1) has 3 blocks, got index 3",
    ),
    "name": (
        lambda: named()["fc3"], KeyError,
        "\"Chain 'net' (m.py:1) has no block 'fc3': it has fc1, relu1, fc2\"",
    ),
    "half": (
        lambda: named()[0.5], TypeError,  # type: ignore[call-overload]
        "Chain 'net' (m.py:1) expects the index or the name of a block, got 0.5",
    ),
    "slash": (
        lambda: dg.Chain({"a/b": dg.relu}), ValueError,
        "Chain (m.py:1) expects different names of blocks, without a \"/\", got 'a/b'",
    ),
    "twice": (
        lambda: dg.Chain(dg.relu, **{"0": dg.relu}), ValueError,  # type: ignore[arg-type]
        "Chain (m.py:1) expects different names of blocks, without a \"/\", got '0'",
    ),
    "value": (
        lambda: dg.Chain(fc=dg.Linear), TypeError,
        "Chain (m.py:1) expects blocks and functions of one variable, got the class Linear as "
        "block 'fc': make a block of it, Linear(...)",
    ),
    "number": (
        lambda: dg.Chain({1: dg.relu}), TypeError,  # type: ignore[dict-item]
        "Chain (m.py:1) expects names of blocks that are texts, got 1",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CHAINS)
def test_mistakes_with_chains_are_explained(name: str) -> None:
    make, kind, expected = CHAINS[name]
    with pytest.raises(kind) as error:
        make()
    assert text(error.value) == expected


@pytest.mark.parametrize("target", TARGETS)
def test_bilinear_is_pytorchs(target: Target) -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    for samples in ((3,), (2, 3), (0,), ()):
        layer = dg.Bilinear(4, 5, 6, bias_init=dg.init.normal(), dtype="float64", name="layer")
        x1 = dg.observed("x1", (*samples, 4), "float64")
        x2 = dg.observed("x2", (*samples, 5), "float64")
        y = layer(x1, x2)
        weights = rng.normal(size=(*samples, 6))
        slopes = dg.gradient(dg.sum(y * dg.constant(weights)), [x1, x2, layer.weight])
        outputs = {"y": y, **{f"g{i}": g for i, g in enumerate(slopes)}}
        program = dg.Diagram("test", outputs).compile(target=target)
        arrays = {"x1": rng.normal(size=(*samples, 4)), "x2": rng.normal(size=(*samples, 5))}
        found = program.run(**arrays)
        tensors = [torch.tensor(a, requires_grad=True) for a in arrays.values()]
        weight = torch.tensor(program.parameters["layer/weight"], requires_grad=True)
        bias = torch.tensor(program.parameters["layer/bias"])
        # Theirs is (outputs, first, second).
        wanted = torch.nn.functional.bilinear(*tensors, weight.permute(2, 0, 1), bias)
        (wanted * torch.tensor(weights)).sum().backward()
        np.testing.assert_allclose(found["y"], wanted.detach().numpy(), rtol=1e-12)
        for i, item in enumerate((*tensors, weight)):
            np.testing.assert_allclose(found[f"g{i}"], item.grad.numpy(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("target", TARGETS)
def test_identity_and_a_function_as_a_block(target: Target) -> None:
    net = dg.Chain(
        dg.Identity(), dg.Lambda(lambda x: x.reshape("B", 2, 2), name="pairs"), dg.Identity()
    )
    x = dg.observed("x", ("B", 4))
    value = np.arange(8, dtype=np.float32).reshape(2, 4)
    outputs = {"y": net(x), "alone": dg.Identity()(x), "more": dg.Lambda(dg.sum)(x, axis=1)}
    found = run(outputs, target, x=value)
    np.testing.assert_array_equal(found["y"], value.reshape(2, 2, 2))
    np.testing.assert_array_equal(found["alone"], value)
    np.testing.assert_array_equal(found["more"], value.sum(1))
    assert net.parameters() == {}


@pytest.mark.parametrize("target", TARGETS)
def test_prelu_is_pytorchs(target: Target) -> None:
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).normal(size=(2, 3, 4))
    x[0, :, 0] = 0
    given = dg.observed("x", (2, 3, 4), "float64")
    slopes = {"one": np.array([0.2]), "each": np.array([0.1, -0.3, 0.5])}
    outputs: dict[str, Any] = {}
    for name, slope in slopes.items():
        layer = dg.PReLU(len(slope), weight_init=slope, dtype="float64", name=name)
        y = layer(given)
        found = dg.gradient(dg.sum(y * y + y), [given, layer.weight])
        outputs |= {name: y, f"{name} x": found[0], f"{name} weight": found[1]}
    last = dg.PReLU(4, weight_init=0.5, axis=-1, dtype="float64", name="last")
    outputs["last"] = last(given)
    values = run(outputs, target, x=x)
    np.testing.assert_array_equal(values["last"], np.where(x > 0, x, 0.5 * x))
    for name, slope in slopes.items():
        tensor, weight = (torch.tensor(a, requires_grad=True) for a in (x, slope))
        wanted = torch.nn.functional.prelu(tensor, weight)
        (wanted * wanted + wanted).sum().backward()
        np.testing.assert_allclose(values[name], wanted.detach().numpy(), rtol=1e-12)
        np.testing.assert_allclose(values[f"{name} x"], tensor.grad.numpy(), rtol=1e-12)
        np.testing.assert_allclose(values[f"{name} weight"], weight.grad.numpy(), rtol=1e-12)


@pytest.mark.parametrize("target", TARGETS)
def test_rrelu_draws_slopes_in_training_alone(target: Target) -> None:
    x = dg.observed("x", ("B", 40))
    y = dg.RReLU(0.1, 0.5)(x)
    program = dg.Diagram("test", {"y": y}, cost=dg.mean(y)).compile(dg.SGD(0.1), target=target)
    value = np.full((20, 40), -1, np.float32)
    value[0] = 2
    np.testing.assert_allclose(program.run(x=value)["y"][1:], -0.3, rtol=1e-6)
    costs = [program.step(x=value) for _ in range(2)]
    assert costs[0] != costs[1]
    assert [costs[0], costs[1]] == pytest.approx([(40 * 2 - 760 * 0.3) / 800] * 2, abs=0.02)


def test_mistakes_with_activations_that_are_blocks() -> None:
    x = dg.observed("x", ("B", 3))
    cases: list[tuple[Callable[[], Any], type[Exception], str]] = [
        (lambda: dg.PReLU(4, name="p")(x), dg.ShapeError,
         "PReLU 'p' (m.py:1) expects 4 channels on axis 1, got (B, 3) from observed 'x' (m.py:1)"),
        (lambda: dg.PReLU(dtype="float64", name="p")(x), dg.DtypeError,
         "PReLU 'p' (m.py:1) expects float64 like its weight, got float32 from observed 'x' "
         '(m.py:1): convert one with .astype("float64")'),
        (lambda: dg.Bilinear(3, 2, 1, name="b")(x, x), dg.ShapeError,
         "Bilinear 'b' (m.py:1) expects 2 features, got 3 from observed 'x' (m.py:1)"),
        (lambda: dg.Bilinear(3, 3, 1, name="b")(x, x[0]), dg.ShapeError,
         "Bilinear 'b' (m.py:1) expects two inputs of the same samples, got (B, 3) from observed "
         "'x' (m.py:1) and (3,) from index (m.py:1)"),
        (lambda: dg.RReLU(name="r")(x.astype("int32")), dg.DtypeError,
         "RReLU 'r' (m.py:1) expects floats, got int32 from astype int32 (m.py:1): convert it with "
         '.astype("float32")'),
    ]  # fmt: skip
    for make, kind, expected in cases:
        (mistake,) = make().mistakes
        assert type(mistake) is kind
        assert text(mistake) == expected
    with pytest.raises(ValueError, match="expects low <= high, got 1 and 0"):
        dg.RReLU(1, 0)
    with pytest.raises(TypeError, match="expects its argument to be a function"):
        dg.Lambda(3)  # type: ignore[arg-type]
