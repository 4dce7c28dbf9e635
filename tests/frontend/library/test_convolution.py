"""Convolutional blocks: against PyTorch's, with given weights, in pictures and summaries."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ...operations.rows.conv_rows import correlate
from ..evaluating import TARGETS, Array, Target, text

LAYERS: list[tuple[str, tuple[int, ...], dict[str, Any]]] = [  # class, x without batch, options
    ("Conv1d", (3, 11), {"out_channels": 4, "kernel": 3}),
    ("Conv1d", (4, 12), {"out_channels": 6, "kernel": 4, "stride": 3, "padding": 2, "groups": 2}),
    ("Conv2d", (1, 9, 8), {"out_channels": 6, "kernel": 5, "padding": 2}),
    ("Conv2d", (3, 8, 7), {"out_channels": 4, "kernel": (3, 2), "stride": (2, 1), "bias": False}),
    ("Conv2d", (5, 6, 6), {"out_channels": 10, "kernel": 3, "padding": 1, "groups": 5}),
    ("Conv2d", (2, 9, 9), {"out_channels": 3, "kernel": 3, "dilation": 2, "padding": "same"}),
    ("Conv3d", (2, 5, 4, 6), {"out_channels": 3, "kernel": (3, 1, 2), "stride": (1, 2, 2)}),
    ("ConvTranspose1d", (3, 5), {"out_channels": 2, "kernel": 4, "stride": 2, "padding": 1}),
    ("ConvTranspose2d", (4, 4, 3),
     {"out_channels": 6, "kernel": 3, "stride": 2, "output_padding": 1, "groups": 2}),
    ("ConvTranspose2d", (2, 3, 4), {"out_channels": 3, "kernel": 2, "dilation": (2, 1)}),
    ("ConvTranspose3d", (2, 3, 2, 3), {"out_channels": 3, "kernel": 2, "stride": (2, 1, 3)}),
]  # fmt: skip
WORDS = {"kernel": "kernel_size"}


def pair(torch: Any, kind: str, shape: tuple[int, ...], options: dict[str, Any]) -> Any:
    """The same layer, ours and PyTorch's."""
    ours = getattr(dg, kind)(shape[0], **options, dtype="float64", name="net")
    theirs = getattr(torch.nn, kind)(shape[0], **{WORDS.get(k, k): v for k, v in options.items()})
    return ours, theirs.double()


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("case", LAYERS)
def test_values_and_gradients_are_pytorchs(case: Any, target: Target) -> None:
    torch = pytest.importorskip("torch")
    kind, shape, options = case
    torch.manual_seed(0)
    ours, theirs = pair(torch, kind, shape, options)
    x = dg.observed("x", ("B", *shape), "float64")
    y = ours(x)
    free = {"x": x, **ours.parameters()}
    slopes = dg.gradient(dg.sum(dg.sin(y)), list(free.values()))
    outputs = {"y": y, **{f"by_{n}": v for n, v in zip(free, slopes, strict=True)}}
    program = dg.Diagram("test", outputs).compile(target=target)
    ours.load_torch(program, theirs.state_dict())
    for name, value in ours.torch_weights(program).items():
        np.testing.assert_array_equal(value, theirs.state_dict()[name].numpy())
    for samples in (1, 3):
        value = np.random.default_rng(samples).normal(size=(samples, *shape))
        image = torch.tensor(value, requires_grad=True)
        theirs.zero_grad()
        wanted = theirs(image)
        assert tuple(y.shape[1:]) == tuple(wanted.shape[1:])
        torch.sin(wanted).sum().backward()
        found = program.run(x=value)
        np.testing.assert_allclose(found["y"], wanted.detach().numpy(), rtol=1e-11, atol=1e-11)
        grads = {"x": image.grad} | {n: p.grad for n, p in theirs.named_parameters()}
        for name, grad in grads.items():
            np.testing.assert_allclose(
                found[f"by_{name}"], grad.numpy(), rtol=1e-11, atol=1e-11, err_msg=name
            )


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("before", [(), (0,), (2, 3)])
def test_any_leading_axes(before: tuple[int, ...], target: Target) -> None:
    net = dg.Conv2d(2, 3, 3, stride=2, padding=(1, 0), dtype="float64", name="net")
    x = dg.observed("x", (*before, 2, 6, 5), "float64")
    program = dg.Diagram("test", {"y": net(x)}).compile(target=target)
    program.parameters["net/bias"] = np.array([1.0, 2.0, -3.0])
    value = np.random.default_rng(0).normal(size=(*before, 2, 6, 5))
    weight = program.parameters["net/weight"]
    wanted = correlate(value, weight, 2, ((1, 1), (0, 0)))
    found = program.run(x=value)["y"]
    assert found.shape == (*before, 3, 3, 2)
    wanted = wanted + np.array([1.0, 2.0, -3.0])[:, None, None]
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


def test_a_shared_weight_and_a_computed_one() -> None:
    rng = np.random.default_rng(0)
    first = dg.Conv1d(2, 2, 3, padding=1, bias=False, dtype="float64", name="first")
    second = dg.Conv1d(
        2, 2, 3, padding=1, bias=False, weight=first.weight, dtype="float64", name="second"
    )
    code = dg.observed("code", (12,), "float64")
    third = dg.Conv1d(
        2, 2, 3, bias=code[:2], weight=dg.reshape(dg.tanh(code), (2, 2, 3)), dtype="float64"
    )
    x = dg.observed("x", ("B", 2, "T"), "float64")
    y = third(second(dg.tanh(first(x))))
    diagram = dg.Diagram("test", {"y": y, "g": dg.gradient(dg.sum(y * y), first.weight)})
    assert diagram.summary().parameters == 12
    values = {}
    arrays = {"x": rng.normal(size=(3, 2, 7)), "code": rng.normal(size=12)}
    for target in TARGETS:
        program = diagram.compile(target=target)
        values[target] = program.run(**arrays)
    w = program.parameters["first/weight"]
    inner = correlate(np.tanh(correlate(arrays["x"], w, padding=1)), w, padding=1)
    wanted = correlate(inner, np.tanh(arrays["code"]).reshape(2, 2, 3))
    wanted += arrays["code"][:2, None]
    for found in values.values():
        np.testing.assert_allclose(found["y"], wanted, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(values["cpu"]["g"], values["reference"]["g"], rtol=1e-10)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("lengths", [None, [4, 1, 2]])
def test_a_recurrent_convolution(lengths: list[int] | None, target: Target) -> None:
    """z(t) = tanh(conv(z(t-1)) + conv(x(t))), of sequences of images, against PyTorch."""
    torch = pytest.importorskip("torch")
    inner = dg.Conv2d(2, 2, 3, padding=1, dtype="float64", name="inner")
    outer = dg.Conv2d(3, 2, 3, stride=2, padding=1, bias=False, dtype="float64", name="outer")
    x = dg.observed("x", ("T", "B", 3, 6, 5), "float64")
    n = None if lengths is None else dg.observed("n", ("B",), "int32")
    t = dg.loop("t", lengths=n)
    z = t.delay("z", 0.0, shape=("B", 2, 3, 3), dtype="float64")
    z_next = dg.tanh(inner(z) + outer(t.each(x)))
    t.close(z, z_next)
    last = t.last(z_next)
    cost = dg.sum(dg.sin(last)) + dg.sum(t.sum(z_next * z_next))
    free: dict[str, Any] = {
        "x": x,
        "inner_w": inner.weight,
        "inner_b": inner.bias,
        "outer_w": outer.weight,
    }
    slopes = dg.gradient(cost, list(free.values()))
    outputs = {"last": last, **dict(zip(free, slopes, strict=True))}
    program = dg.Diagram("test", outputs).compile(target=target)
    images = np.random.default_rng(0).normal(size=(4, 3, 3, 6, 5))
    given = {} if lengths is None else {"n": np.array(lengths, np.int32)}
    found = program.run(x=images, **given)

    parts = {"inner": inner.torch_weights(program), "outer": outer.torch_weights(program)}
    wanted = {
        "x": torch.tensor(images, requires_grad=True),
        "inner_w": torch.tensor(parts["inner"]["weight"], requires_grad=True),
        "inner_b": torch.tensor(parts["inner"]["bias"], requires_grad=True),
        "outer_w": torch.tensor(parts["outer"]["weight"], requires_grad=True),
    }
    conv, total, ends = torch.nn.functional.conv2d, torch.zeros(()), []
    for sample, steps in enumerate(lengths or [4, 4, 4]):
        h = torch.zeros(1, 2, 3, 3, dtype=torch.float64)
        for step in range(steps):
            seen = conv(wanted["x"][step, sample][None], wanted["outer_w"], stride=2, padding=1)
            h = torch.tanh(conv(h, wanted["inner_w"], wanted["inner_b"], padding=1) + seen)
            total = total + (h * h).sum()
        total = total + torch.sin(h).sum()
        ends.append(h.detach().numpy()[0])
    total.backward()
    np.testing.assert_allclose(found["last"], np.stack(ends), rtol=1e-11, atol=1e-11)
    for name, value in wanted.items():
        np.testing.assert_allclose(
            found[name], value.grad.numpy(), rtol=1e-10, atol=1e-10, err_msg=name
        )


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("kind", ["Conv2d", "ConvTranspose2d"])
def test_one_set_of_weights_for_each_sample(kind: str, target: Target) -> None:
    net = getattr(dg, kind)(4, 6, 3, stride=2, padding=1, groups=2, dtype="float64", name="net")
    x = dg.observed("x", ("B", 4, 5, 6), "float64")
    w = dg.observed("w", ("B", net.parameter_count), "float64")
    bound = dg.bind(net, w)(x)
    slopes = dg.gradient(dg.sum(dg.sin(bound)), [x, w])
    outputs = {"y": bound, "by_x": slopes[0], "by_w": slopes[1]}
    many = dg.Diagram("many", outputs).compile(target=target)
    single = dg.observed("w", (net.parameter_count,), "float64")
    alone = dg.bind(net, single)(x)
    slopes = dg.gradient(dg.sum(dg.sin(alone)), [x, single])
    one = dg.Diagram("one", {"y": alone, "by_x": slopes[0], "by_w": slopes[1]}).compile(
        target="reference"
    )
    rng = np.random.default_rng(0)
    images, weights = rng.normal(size=(3, 4, 5, 6)), rng.normal(size=(3, net.parameter_count))
    found = many.run(x=images, w=weights)
    for i in range(3):
        wanted = one.run(x=images[i : i + 1], w=weights[i])
        np.testing.assert_allclose(found["y"][i], wanted["y"][0], rtol=1e-11, atol=1e-11)
        np.testing.assert_allclose(found["by_x"][i], wanted["by_x"][0], rtol=1e-11, atol=1e-11)
        np.testing.assert_allclose(found["by_w"][i], wanted["by_w"], rtol=1e-11, atol=1e-11)


def test_saved_loaded_and_copied(tmp_path: Path) -> None:
    def program(net: Any) -> Any:
        return dg.Diagram("test", {"y": net(dg.observed("x", ("B", 1, 9)))}).compile()

    net = dg.Conv1d(1, 2, 3, name="net")
    first = program(net)
    first.parameters["net/weight"] = np.arange(6, dtype=np.float32).reshape(2, 1, 3)
    first.save(tmp_path / "net.safetensors")
    value = np.ones((2, 1, 9), np.float32)
    for other in (net, copy.deepcopy(net)):
        second = program(other)
        second.load(tmp_path / "net.safetensors")
        np.testing.assert_array_equal(second.run(x=value)["y"], first.run(x=value)["y"])


@pytest.mark.parametrize("groups", [1, 4])
def test_it_starts_as_a_dense_layer_of_its_windows(groups: int) -> None:
    def weight(kind: str, **options: Any) -> Array:
        net = getattr(dg, kind)(16, 32, 7, groups=groups, name="net", **options)
        program = dg.Diagram("test", {"y": net(dg.observed("x", ("B", 16, 9, 9)))}).compile(
            target="reference"
        )
        assert not program.parameters["net/bias"].any()
        found: Array = program.parameters["net/weight"]
        return found

    inputs, outputs = 16 // groups * 49, 32 // groups * 49
    for kind in ("Conv2d", "ConvTranspose2d"):
        assert weight(kind).var() == pytest.approx(1 / inputs, rel=0.03)
        relu = weight(kind, weight_init=dg.init.kaiming_normal(mode="outputs"))
        assert relu.var() == pytest.approx(2 / outputs, rel=0.03)
        both = weight(kind, weight_init=dg.init.xavier_uniform())
        assert both.var() == pytest.approx(2 / (inputs + outputs), rel=0.03)
        own = weight(kind, weight_init=dg.init.lecun_normal(fan=(9, 9)))
        assert own.var() == pytest.approx(1 / 9, rel=0.03)
        assert (weight(kind, weight_init=0.5) == 0.5).all()
    rows = weight("Conv2d", weight_init=dg.init.orthogonal()).reshape(groups, 32 // groups, -1)
    product = np.einsum("gor,gpr->gop", rows, rows)
    np.testing.assert_allclose(product, np.broadcast_to(np.eye(32 // groups), product.shape),
                               atol=1e-5)  # fmt: skip


def test_links_and_parameters_are_lenets() -> None:
    def pooled(x: Any) -> Any:
        return dg.max(dg.windows(x, (2, 2), 2), axis=(-2, -1))

    x = dg.observed("x", ("B", 1, 28, 28))
    small = dg.Chain(
        dg.Conv2d(1, 6, 5, padding=2, name="c1"), dg.tanh, pooled, dg.Conv2d(6, 16, 5, name="c3"),
        dg.tanh, pooled, dg.Flatten(), dg.Linear(400, 120), dg.tanh, dg.Linear(120, 84), dg.tanh,
        dg.Linear(84, 10), name="small",
    )  # fmt: skip
    large = dg.Chain(
        dg.Conv2d(1, 20, 5, name="c1"), dg.relu, pooled, dg.Conv2d(20, 50, 5, name="c3"), dg.relu,
        pooled, dg.Flatten(), dg.Linear(800, 500), dg.relu, dg.Linear(500, 10), name="large",
    )  # fmt: skip
    table = dg.Diagram("test", {"y": small(x), "z": large(x)}).summary()
    rows = {row.name: (row.links, row.parameters) for row in table.rows}
    assert rows["small"][1] == 61_706 and rows["large"][1] == 431_080
    assert rows["small/c1"] == (28 * 28 * 6 * 26, 6 * 26)
    assert rows["small/c3"] == (10 * 10 * 16 * (6 * 25 + 1), 16 * (6 * 25 + 1))


def test_pictures_and_summaries_say_the_sizes(tmp_path: Path) -> None:
    x = dg.observed("x", ("B", 4, 9, 9))
    wide = dg.Conv2d(
        4, 6, (5, 3), stride=2, padding=[(1, 2), (0, 0)], dilation=(1, 2), groups=2, name="wide"
    )
    back = dg.ConvTranspose2d(6, 4, 3, 2, output_padding=1, name="back")
    diagram = dg.Diagram("test", {"y": back(wide(x))})
    told = {
        "wide": "Conv2d 5×3, stride 2, padding (1, 2)×0, dilation 1×2, 2 groups",
        "back": "ConvTranspose2d 3×3, stride 2, output padding 1",
    }
    table = diagram.summary()
    assert {row.name: f"{row.kind} {row.details}" for row in table.rows} == told
    picture = Path(diagram.render(tmp_path / "net.svg")).read_text(encoding="utf-8")
    for name, words in told.items():
        assert words in str(table)
        assert f"{name}: {words}" in picture


MISTAKES: list[tuple[type[Exception], dict[str, Any], str]] = [
    (dg.ShapeError, {"weight": "given"},
     "expects weight of shape (6, 2, 3, 3), got (6, 4, 3, 3) from observed 'given' (m.py:1)"),
    (ValueError, {"groups": 3}, "expects in_channels in 3 equal groups, got 4"),
    (ValueError, {"groups": 4}, "expects out_channels in 4 equal groups, got 6"),
    (ValueError, {"kernel": 0}, "expects kernel to be an integer of 1 or more, got 0"),
    (ValueError, {"kernel": (3, 3, 3)}, "expects kernel to be one number or 2, got (3, 3, 3)"),
    (ValueError, {"stride": (1, 0)}, "expects stride to be an integer of 1 or more, got 0"),
    (ValueError, {"padding": -1}, "expects padding to be an integer of 0 or more, got -1"),
    (ValueError, {"padding": "SAME"},
     "expects padding to be 'valid', 'full', 'same' or 'same_strided', a number or pairs of them, "
     "got 'SAME'"),
    (TypeError, {"in_channels": 1.5},
     "expects in_channels to be an integer of 1 or more, got 1.5"),
    (TypeError, {"dilation": "2"}, "expects dilation to be an integer of 1 or more, got '2'"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "options", "expected"), MISTAKES)
def test_mistakes_in_what_it_is_made_of(
    kind: type[Exception], options: dict[str, Any], expected: str
) -> None:
    if "weight" in options:
        options = {"weight": dg.observed("given", (6, 4, 3, 3))}
    plain = {"in_channels": 4, "out_channels": 6, "kernel": 3, "groups": 2, "name": "net"}
    with pytest.raises(kind) as error:
        dg.Conv2d(**{**plain, **options})
    assert text(error.value) == f"Conv2d 'net' (m.py:1) {expected}"


def test_mistakes_in_what_it_is_applied_to() -> None:
    net = dg.Conv2d(1, 2, 5, name="net")
    maps, few = dg.observed("maps", ("B", 2, 5, 5)), dg.observed("few", (5, 5))
    wide, small = dg.observed("wide", (1, 5, 5), "float64"), dg.observed("small", (1, 4, 5))
    cases: list[tuple[Callable[[], Any], type[Exception], str]] = [
        (lambda: net(maps), dg.ShapeError,
         "expects (..., 1, H, W), got (B, 2, 5, 5) from observed 'maps' (m.py:1)"),
        (lambda: net(few), dg.ShapeError,
         "expects (..., 1, H, W), got (5, 5) from observed 'few' (m.py:1)"),
        (lambda: net(wide), dg.DtypeError,
         "expects float32 like its weight, got float64 from observed 'wide' (m.py:1): convert it "
         "with .astype(\"float32\")"),
    ]  # fmt: skip
    for make, kind, expected in cases:
        (mistake,) = make().mistakes
        assert type(mistake) is kind
        assert text(mistake) == f"Conv2d 'net' (m.py:1) {expected}"
    (mistake,) = net(small).mistakes
    assert type(mistake) is dg.ShapeError
    assert "expects 5 or more elements for a window of 5 taps, got 4" in text(mistake)


def test_pytorchs_weights_that_do_not_fit() -> None:
    net = dg.Conv1d(2, 3, 4, name="net")
    program = dg.Diagram("test", {"y": net(dg.observed("x", ("B", 2, 9)))}).compile()
    before = program.parameters["net/weight"].copy()
    weight, bias = np.ones((3, 2, 4)), np.ones(3)
    cases: list[tuple[dict[str, Array], str]] = [
        ({"weight": weight}, "lacks bias"),
        ({"weight": weight, "bias": bias, "scale": bias}, "does not know scale"),
        ({"weight": weight.T, "bias": bias}, "expects floats of shape (3, 2, 4) for weight"),
    ]
    for given, expected in cases:
        with pytest.raises(dg.InputError, match="load_torch of Conv1d 'net'") as error:
            net.load_torch(program, given)
        assert expected in str(error.value)
        np.testing.assert_array_equal(program.parameters["net/weight"], before)
    net.load_torch(program, {"a.weight": weight, "a.bias": bias, "b.weight": bias}, prefix="a.")
    np.testing.assert_array_equal(program.parameters["net/weight"], weight)


@pytest.mark.parametrize("channels", [1, 6, 16])
def test_windows_of_a_convolution_and_back(channels: int) -> None:
    """Their gradient comes as a reshape of what lies in another order, which is copied."""
    layer = dg.Conv2d(1, channels, 5, padding=2, dtype="float64", name="c")
    x = dg.observed("x", ("B", 1, 8, 8), dtype="float64")
    pooled = dg.max(dg.windows(dg.relu(layer(x)), (2, 2), (2, 2), axis=(2, 3)), (-2, -1))
    diagram = dg.Diagram("pooled", cost=dg.sum(pooled * pooled))
    images = np.random.default_rng(0).normal(size=(3, 1, 8, 8))
    trained = []
    for target in TARGETS:
        program = diagram.compile(dg.SGD(1e-2), target=target, dtype="float64", seed=0)
        costs = [program.step(x=images) for _ in range(2)]
        trained.append((costs, dict(program.parameters)))
    (costs, parameters), *others = trained
    for other, found in others:
        np.testing.assert_allclose(other, costs, rtol=1e-12)
        for path, value in parameters.items():
            np.testing.assert_allclose(found[path], value, rtol=1e-10, atol=1e-12)
