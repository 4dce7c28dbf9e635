"""LocallyConnected2d: against plain loops, and as a convolution where its weight is shared."""

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ..evaluating import TARGETS, Array, Target, check_derivatives, text

CONVOLUTIONS = [  # channels, maps, (H, W), kernel, stride, padding, bias, samples
    (1, 1, (6, 6), (3, 3), (1, 1), (0, 0), "unit", 1),
    (3, 2, (7, 5), (3, 2), (1, 1), (1, 1), "map", 3),
    (1, 2, (8, 8), (3, 3), (2, 2), (1, 1), "unit", 3),
    (3, 2, (9, 7), (2, 3), (2, 3), (2, 0), "map", 1),
    (3, 1, (8, 11), (5, 3), (3, 1), (2, 1), "map", 3),
    (1, 3, (4, 6), (4, 6), (3, 3), (0, 0), "map", 3),
]


def padded(x: Array, padding: tuple[int, int]) -> Array:
    down, across = padding
    return np.pad(x, [(0, 0), (0, 0), (down, down), (across, across)])


def local(x: Array, weight: Array, stride: tuple[int, int], padding: tuple[int, int]) -> Array:
    """Every unit's own weight on its window, one unit at a time."""
    x = padded(x, padding)
    maps, rows, columns, _, down, across = weight.shape
    y = np.zeros((len(x), maps, rows, columns))
    for o, i, j in product(range(maps), range(rows), range(columns)):
        top, left = i * stride[0], j * stride[1]
        window = x[:, :, top : top + down, left : left + across]
        y[:, o, i, j] = (window * weight[o, i, j]).sum((1, 2, 3))
    return y


def backward(
    x: Array, weight: Array, g: Array, stride: tuple[int, int], padding: tuple[int, int]
) -> tuple[Array, Array]:
    """The gradients of the sum of g * local(x, weight), by x and by weight."""
    wide = padded(x, padding)
    by_x, by_weight = np.zeros_like(wide), np.zeros_like(weight)
    maps, rows, columns, _, down, across = weight.shape
    for o, i, j in product(range(maps), range(rows), range(columns)):
        top, left = i * stride[0], j * stride[1]
        place = np.s_[:, :, top : top + down, left : left + across]
        each = g[:, o, i, j][:, None, None, None]
        by_x[place] += each * weight[o, i, j]
        by_weight[o, i, j] = (each * wide[place]).sum(0)
    down, across = padding
    height, width = wide.shape[2:]
    return by_x[:, :, down : height - down, across : width - across], by_weight


def positions(case: Any) -> tuple[int, int]:
    _, _, size, kernel, stride, padding, _, _ = case
    found = [
        (n + 2 * p - k) // s + 1 for n, k, s, p in zip(size, kernel, stride, padding, strict=True)
    ]
    return found[0], found[1]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_shared_over_positions_it_is_a_convolution(case: Any, target: Target) -> None:
    channels, maps, size, kernel, stride, padding, bias, samples = case
    taps = (maps, channels, *kernel)
    rng = np.random.default_rng(0)
    index = np.arange(np.prod(taps)).reshape(maps, 1, 1, channels, *kernel)
    index = np.broadcast_to(index, (maps, *positions(case), channels, *kernel))
    u = dg.parameter("u", (index.max() + 1,), rng.normal(size=index.max() + 1), "float64")
    net = dg.LocallyConnected2d(
        channels, maps, size, kernel, stride, padding, bias, dg.share(u, index),
        bias_init=dg.init.normal(), dtype="float64", name="net",
    )  # fmt: skip
    assert net.out_size == positions(case) and net.bias is not None
    x = dg.observed("x", ("B", channels, *size), "float64")
    g = dg.observed("g", ("B", maps, *positions(case)), "float64")
    y = net(x)
    slopes = dg.gradient(dg.sum(y * g), [x, u, net.bias])
    outputs = {"y": y, **{f"by_{n}": v for n, v in zip(("x", "u", "bias"), slopes, strict=True)}}
    program = dg.Diagram("test", outputs).compile(target=target)
    arrays = {"x": rng.normal(size=(samples, channels, *size))}
    arrays["g"] = rng.normal(size=(samples, maps, *positions(case)))
    found = program.run(**arrays)
    weight = program.parameters["u"][index]
    shift = program.parameters["net/bias"]
    assert shift.any()
    dense = local(arrays["x"], weight, stride, padding)
    by_x, by_weight = backward(arrays["x"], weight, arrays["g"], stride, padding)
    wanted = {
        "y": dense + (shift if bias == "unit" else shift[:, None, None]),
        "by_x": by_x,
        "by_u": by_weight.sum((1, 2)).ravel(),
        "by_bias": arrays["g"].sum(0 if bias == "unit" else (0, 2, 3)),
    }
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-11, atol=1e-11, err_msg=name)


@pytest.mark.parametrize("case", CONVOLUTIONS[1:5])
def test_a_convolution_is_pytorchs(case: Any) -> None:
    torch = pytest.importorskip("torch")
    channels, maps, size, kernel, stride, padding, _, samples = case
    rng = np.random.default_rng(0)
    index = np.arange(maps * channels * kernel[0] * kernel[1])
    index = index.reshape(maps, 1, 1, channels, *kernel)
    index = np.broadcast_to(index, (maps, *positions(case), channels, *kernel))
    u = dg.observed("u", (index.max() + 1,), "float64")
    x = dg.observed("x", ("B", channels, *size), "float64")
    net = dg.LocallyConnected2d(
        channels, maps, size, kernel, stride, padding, False, dg.share(u, index), dtype="float64"
    )
    y = net(x)
    slopes = dg.gradient(dg.sum(dg.sin(y)), [x, u])
    arrays = {
        "x": rng.normal(size=(samples, channels, *size)),
        "u": rng.normal(size=index.max() + 1),
    }
    found = dg.Diagram("test", {"y": y, "x": slopes[0], "u": slopes[1]}).compile().run(**arrays)
    image, weight = (torch.tensor(arrays[n], requires_grad=True) for n in ("x", "u"))
    theirs = torch.nn.functional.conv2d(
        image, weight.reshape(maps, channels, *kernel), stride=stride, padding=padding
    )
    torch.sin(theirs).sum().backward()
    for name, value in (("y", theirs.detach()), ("x", image.grad), ("u", weight.grad)):
        np.testing.assert_allclose(found[name], value.numpy(), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("case", CONVOLUTIONS[1:5])
def test_every_unit_has_its_own_weight(case: Any, target: Target) -> None:
    channels, maps, size, kernel, stride, padding, bias, samples = case
    net = dg.LocallyConnected2d(
        channels, maps, size, kernel, stride, padding, bias, dtype="float64", name="net"
    )
    x = dg.observed("x", ("B", channels, *size), "float64")
    y = net(x)
    slopes = dg.gradient(dg.sum(y * y), [x, net.weight])
    outputs = {"y": y, "x": slopes[0], "w": slopes[1]}
    program = dg.Diagram("test", outputs).compile(target=target)
    value = np.random.default_rng(0).normal(size=(samples, channels, *size))
    weight = program.parameters["net/weight"]
    dense = local(value, weight, stride, padding)
    by_x, by_weight = backward(value, weight, 2 * dense, stride, padding)
    for name, wanted in {"y": dense, "x": by_x, "w": by_weight}.items():
        found = program.run(x=value)[name]
        np.testing.assert_allclose(found, wanted, rtol=1e-11, atol=1e-11, err_msg=name)


def test_derivatives() -> None:
    rng = np.random.default_rng(0)
    shapes = (2, 2, 5, 4), (3, 3, 2, 2, 3, 3), (3,)

    def net(x: Any, weight: Any, bias: Any) -> Any:
        return dg.tanh(
            dg.LocallyConnected2d(2, 3, (5, 4), 3, 2, 1, bias, weight, dtype="float64")(x)
        )

    check_derivatives(net, *(rng.normal(size=shape) for shape in shapes))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("before", [(), (0,), (2, 3)])
def test_any_leading_axes(before: tuple[int, ...], target: Target) -> None:
    net = dg.LocallyConnected2d(1, 2, 5, 3, bias=False, dtype="float64", name="net")
    x = dg.observed("x", (*before, 1, 5, 5), "float64")
    program = dg.Diagram("test", {"y": net(x)}).compile(target=target)
    value = np.random.default_rng(0).normal(size=(*before, 1, 5, 5))
    wanted = local(value.reshape(-1, 1, 5, 5), program.parameters["net/weight"], (1, 1), (0, 0))
    found = program.run(x=value)["y"]
    np.testing.assert_allclose(found, wanted.reshape(*before, 2, 3, 3), rtol=1e-12)


def test_it_starts_as_a_dense_layer_of_its_windows() -> None:
    def weight(**options: Any) -> Array:
        x = dg.observed("x", ("B", 4, 9, 9))
        net = dg.LocallyConnected2d(4, 8, 9, 5, name="net", **options)
        program = dg.Diagram("test", {"y": net(x)}).compile(target="reference")
        assert not program.parameters["net/bias"].any()
        found: Array = program.parameters["net/weight"]
        return found

    inputs, outputs = 4 * 25, 8 * 25
    assert weight().var() == pytest.approx(1 / inputs, rel=0.02)
    relu = weight(weight_init=dg.init.kaiming_normal())
    assert relu.var() == pytest.approx(2 / inputs, rel=0.02)
    both = weight(weight_init=dg.init.xavier_uniform())
    assert both.var() == pytest.approx(2 / (inputs + outputs), rel=0.02)
    own = weight(weight_init=dg.init.lecun_normal(fan=(9, 9)))
    assert own.var() == pytest.approx(1 / 9, rel=0.02)
    assert (weight(weight_init=0.5) == 0.5).all()


def test_links_are_connections() -> None:
    x = dg.observed("x", ("B", 1, 16, 16))
    net = dg.LocallyConnected2d(1, 1, 16, 3, stride=2, padding=1, name="first")
    maps = dg.LocallyConnected2d(1, 2, 16, 3, stride=2, padding=1, bias="map", name="second")
    table = dg.Diagram("test", {"y": net(x), "z": maps(x)}).summary()
    assert [(row.name, row.links, row.parameters) for row in table.rows] == [
        ("first", 64 * 9 + 64, 640), ("second", 2 * (64 * 9 + 64), 2 * 64 * 9 + 2),
    ]  # fmt: skip


def test_mistakes_in_what_it_is_made_of() -> None:
    weight, line = dg.observed("w", (2, 3, 3, 1, 3, 4)), dg.observed("line", (3,))
    cases: list[tuple[type[Exception], dict[str, Any], str]] = [
        (dg.ShapeError, {"kernel": (3, 6)},
         "expects a kernel that fits into its input, got a kernel of (3, 6) for an input of (5, 5)"
         ),
        (dg.ShapeError, {"kernel": 8, "padding": 1},
         "expects a kernel that fits into its input, got a kernel of (8, 8) for an input of (5, 5) "
         "padded by (1, 1)"),
        (dg.ShapeError, {"weight": weight},
         "expects weight of shape (2, 3, 3, 1, 3, 3), got (2, 3, 3, 1, 3, 4) from observed 'w' "
         "(m.py:1)"),
        (dg.ShapeError, {"bias": line},
         "expects bias of shape (2,), got (3,) from observed 'line' (m.py:1)"),
        (dg.ShapeError, {"bias": weight},
         "expects bias of shape (2, 3, 3), got (2, 3, 3, 1, 3, 4) from observed 'w' (m.py:1)"),
        (ValueError, {"bias": "pixel"},
         "expects bias to be \"unit\", \"map\", False or a variable, got 'pixel'"),
        (ValueError, {"bias": True},
         "expects bias to be \"unit\", \"map\", False or a variable, got True"),
        (ValueError, {"stride": (1, 0)}, "expects stride of 1 or more, got 0"),
        (ValueError, {"padding": -1}, "expects padding of 0 or more, got -1"),
        (ValueError, {"in_size": (5, 5, 1)},
         "expects in_size to be one number or two, got (5, 5, 1)"),
        (TypeError, {"in_channels": 1.5}, "expects in_channels to be whole, got 1.5"),
    ]  # fmt: skip
    plain = {"in_channels": 1, "out_channels": 2, "in_size": 5, "kernel": 3, "name": "net"}
    for kind, options, expected in cases:
        with pytest.raises(kind) as error:
            dg.LocallyConnected2d(**{**plain, **options})
        assert text(error.value) == f"LocallyConnected2d 'net' (m.py:1) {expected}"


def test_mistakes_in_what_it_is_applied_to() -> None:
    net = dg.LocallyConnected2d(1, 2, 5, 3, name="net")
    maps, size = dg.observed("maps", ("B", 2, 5, 5)), dg.observed("size", ("B", 1, 5, "W"))
    few, wide = dg.observed("few", (5, 5)), dg.observed("wide", (1, 5, 5), "float64")
    cases: list[tuple[Callable[[], Any], type[Exception], str]] = [
        (lambda: net(maps), dg.ShapeError,
         "expects (..., 1, 5, 5), got (B, 2, 5, 5) from observed 'maps' (m.py:1)"),
        (lambda: net(size), dg.ShapeError,
         "expects (..., 1, 5, 5), got (B, 1, 5, W) from observed 'size' (m.py:1)"),
        (lambda: net(few), dg.ShapeError,
         "expects (..., 1, 5, 5), got (5, 5) from observed 'few' (m.py:1)"),
        (lambda: net(wide), dg.DtypeError,
         "expects float32 images like its weight, got float64 from observed 'wide' (m.py:1): "
         "convert one with .astype(\"float32\")"),
    ]  # fmt: skip
    for make, kind, expected in cases:
        (mistake,) = make().mistakes
        assert type(mistake) is kind
        assert text(mistake) == f"LocallyConnected2d 'net' (m.py:1) {expected}"
