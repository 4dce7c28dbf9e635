"""Convolutions and transposed ones against PyTorch: values, first, second and third derivatives.

CASES are those on which others failed: left-over columns, empty phases, windows that are all
padding, even kernels, odd channels.  DRAWN are random.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest

import diagrad as dg

from .rows.operation import Array
from .rows.running import TARGETS, Target

Pair = tuple[int, int]


@dataclass(frozen=True)
class Case:
    """A convolution: sizes, one number or one for each axis of space.

    `transposed` goes from positions to space, with `more` elements behind.
    """

    name: str
    n: int
    channels: int
    results: int
    size: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...] = (1,)
    padding: tuple[Pair, ...] = ((0, 0),)
    dilation: tuple[int, ...] = (1,)
    groups: int = 1
    transposed: bool = False
    more: tuple[int, ...] = (0,)

    def each(self, numbers: Sequence[Any]) -> tuple[Any, ...]:
        """One for each axis."""
        return tuple(numbers) * (len(self.size) if len(numbers) == 1 else 1)

    @property
    def shapes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Of x and of the weights."""
        pair = (self.results, self.channels // self.groups)
        if self.transposed:
            pair = (self.channels, self.results // self.groups)
        return (self.n, self.channels, *self.size), (*pair, *self.each(self.kernel))

    def ours(self, x: Any, w: Any) -> Any:
        """On variables."""
        if self.transposed:
            return dg.conv_transpose(
                x, w, self.stride, self.padding, self.more, self.dilation, self.groups
            )
        return dg.correlate(x, w, self.stride, self.padding, self.dilation, self.groups)

    def theirs(self, torch: Any, x: Any, w: Any) -> Any:
        """PyTorch's, whose padding is that of both sides: one-sided zeros are added, or cut off."""
        space = len(self.size)
        function = torch.nn.functional
        sides = self.each(self.padding)
        options = {
            "stride": self.each(self.stride), "dilation": self.each(self.dilation),
            "groups": self.groups,
        }  # fmt: skip
        if self.transposed:
            y = getattr(function, f"conv_transpose{space}d")(x, w, **options)
            around = [(-low, more - high) for (low, high), more in
                      zip(sides, self.each(self.more), strict=True)]  # fmt: skip
            return function.pad(y, [n for pair in reversed(around) for n in pair])
        wide = function.pad(x, [n for pair in reversed(sides) for n in pair])
        return getattr(function, f"conv{space}d")(wide, w, **options)


def image(name: str, n: int, size: int, kernel: int, **options: Any) -> Case:
    """A square convolution of 3 to 4 channels."""
    options = {"channels": 3, "results": 4, **options}
    return Case(name, n, size=(size, size), kernel=(kernel, kernel), **options)


def padded(number: int) -> tuple[Pair, ...]:
    """The same on all sides."""
    return ((number, number),)


CASES = [
    image("left over", 2, 32, 5, stride=(3,), padding=padded(1)),
    image("left over of 6", 2, 6, 3, stride=(2,)),
    image("7 taps, stride 3", 2, 16, 7, stride=(3,), padding=padded(2)),
    image("s2 d2", 2, 9, 3, stride=(2,), dilation=(2,)),
    image("s4 d2", 2, 12, 3, stride=(4,), dilation=(2,), padding=padded(1)),
    image("s3 d2", 2, 11, 3, stride=(3,), dilation=(2,)),
    image("s2 d4", 2, 12, 3, stride=(2,), dilation=(4,), padding=padded(1)),
    image("stride above kernel", 2, 11, 2, stride=(4,)),
    image("1 tap, padding 1", 2, 3, 1, padding=padded(1)),
    image("1 tap, stride 2, padding 1", 2, 4, 1, stride=(2,), padding=padded(1)),
    image("even kernel", 2, 7, 4, padding=((1, 2), (2, 1))),
    image("2 taps", 2, 6, 2),
    image("asymmetric", 2, 6, 3, padding=((0, 2), (3, 1)), stride=(2, 1)),
    image("padding above kernel", 2, 3, 2, padding=((3, 4), (4, 3)), stride=(3,)),
    image("kernel as wide as x", 2, 5, 5),
    image("kernel wider than results", 2, 8, 6),
    image("kernel wider than x", 2, 3, 5, padding=padded(2)),
    *(image(f"{c} channels", 2, 6, 3, channels=c, results=c, padding=padded(1))
      for c in (1, 3, 6, 15, 16, 17, 33)),
    *(Case(f"width {w}", 2, 5, 16, (4, w + 2), (3, 3)) for w in (1, 2, 7, 9, 10, 15, 17)),
    image("3 groups of 5 to 7", 2, 6, 3, channels=15, results=21, groups=3, stride=(2,)),
    image("depthwise", 2, 7, 3, channels=17, results=17, groups=17, padding=padded(1)),
    image("depthwise, two each", 2, 7, 3, channels=4, results=8, groups=4, stride=(2,)),
    image("no image", 0, 6, 3),
    image("one image", 1, 6, 3),
    image("33 images", 33, 5, 3),
    Case("line", 3, 4, 6, (17,), (5,), (2,), ((2, 1),), (2,)),
    Case("line of one", 1, 1, 1, (1,), (1,)),
    Case("volume", 2, 2, 3, (4, 3, 5), (2, 3, 2), (1, 2, 2), ((0, 1), (1, 1), (2, 0)), (2, 1, 1)),
    Case("volume in groups", 2, 4, 6, (3, 4, 3), (2, 2, 2), groups=2, stride=(2, 1, 2)),
    Case("flat", 2, 3, 4, (1, 9), (1, 3), padding=((0, 0), (1, 1))),
]  # fmt: skip
TRANSPOSED = [
    image("t k5 s3 p1", 2, 4, 5, stride=(3,), padding=padded(1), transposed=True),
    image("t output padding", 2, 4, 3, stride=(2,), more=(1,), padding=padded(1), transposed=True),
    image("t output padding beyond", 2, 3, 2, stride=(3,), more=(2,), transposed=True),
    image("t by dilation", 2, 3, 2, dilation=(3,), more=(2,), transposed=True),
    image("t by dilation, padded", 2, 4, 2, dilation=(3,), more=(2,), padding=padded(1),
          transposed=True),
    image("t stride above kernel", 2, 3, 2, stride=(4,), more=(3, 1), transposed=True),
    image("t groups", 2, 4, 3, channels=6, results=10, groups=2, stride=(2,), transposed=True),
    image("t asymmetric", 2, 4, 4, stride=(2,), padding=((0, 2), (3, 1)), transposed=True),
    image("t none", 0, 4, 3, stride=(2,), transposed=True),
    Case("t line", 3, 4, 6, (5,), (4,), (3,), ((1, 2),), (2,), 2, True, (2,)),
    Case("t volume", 2, 2, 3, (2, 3, 2), (2, 1, 3), (2, 1, 3), transposed=True, more=(1, 0, 2)),
]  # fmt: skip


def drawn(count: int) -> list[Case]:
    """Random convolutions, a third of them transposed, that have an element or more."""
    draw = random.Random(0)
    found: list[Case] = []
    while len(found) < count:
        space = draw.choice((1, 2, 2, 3))
        groups = draw.choice((1, 1, 2, 3))

        def some(low: int, high: int, space: int = space) -> tuple[int, ...]:
            return tuple(draw.randint(low, high) for _ in range(space))

        sides = tuple(zip(some(0, 3), some(0, 3), strict=True))
        case = Case(
            f"drawn {len(found)}", draw.choice((0, 1, 2, 3)), groups * draw.choice((1, 2, 5)),
            groups * draw.choice((1, 3, 4)), some(1, 9 if space < 3 else 5),
            some(1, 7 if space < 3 else 3), some(1, 4), sides, some(1, 3), groups,
            draw.random() < 1 / 3,
        )  # fmt: skip
        try:
            numbers = (case.size, case.kernel, case.stride, case.padding, case.dilation)
            dg.conv_shape(*numbers, transposed=case.transposed)
        except dg.ShapeError:
            continue
        found.append(case)
    return found


DRAWN = drawn(60)
GROUPS = {
    "named": CASES[:18], "sizes": CASES[18:], "transposed": TRANSPOSED, "drawn": DRAWN[:30],
    "drawn more": DRAWN[30:],
}  # fmt: skip


def arrays_of(case: Case, dtype: str = "float64") -> dict[str, Array]:
    """x, w, and directions for the derivatives."""
    rng = np.random.default_rng([*case.name.encode()])
    x, w = case.shapes
    shapes = {"x": x, "w": w, "u": x, "v": w}
    return {name: rng.normal(size=shape).astype(dtype) for name, shape in shapes.items()}


def derivatives(case: Case, x: Any, w: Any, u: Any, v: Any, sin: Any, gradient: Any) -> Any:
    """The value, its gradients, and those of their inner product with u and v."""
    y = case.ours(x, w) if sin is dg.sin else case.theirs(_torch(), x, w)
    by_x, by_w = gradient(sin(y).sum(), [x, w])
    slope = (by_x * u).sum() + (by_w * v).sum()
    return y, by_x, by_w, *gradient(slope, [x, w])


WORDS = ("y", "by_x", "by_w", "slope_by_x", "slope_by_w")


def _torch() -> Any:
    return pytest.importorskip("torch")


@cache
def wanted_of(case: Case) -> dict[str, Array]:
    """PyTorch's results; of no image, those of its shapes that are 0."""
    torch = _torch()
    given = {k: torch.tensor(a) for k, a in arrays_of(case).items()}
    x, w = (given[name].requires_grad_() for name in "xw")

    def gradient(cost: Any, by: Any) -> Any:
        return torch.autograd.grad(cost, by, create_graph=True, materialize_grads=True)

    found = derivatives(case, x, w, given["u"], given["v"], torch.sin, gradient)
    return {name: item.detach().numpy() for name, item in zip(WORDS, found, strict=True)}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("group", GROUPS)
def test_values_and_two_derivatives_are_pytorchs(group: str, target: Target) -> None:
    outputs: dict[str, Any] = {}
    inputs: dict[str, Array] = {}
    for i, case in enumerate(GROUPS[group]):
        arrays = arrays_of(case)
        given = [dg.observed(f"{name}{i}", a.shape, "float64") for name, a in arrays.items()]
        x, w, u, v = given
        found = derivatives(case, x, w, u, v, dg.sin, dg.gradient)
        outputs |= {f"{name}{i}": item for name, item in zip(WORDS, found, strict=True)}
        inputs |= {f"{name}{i}": array for name, array in arrays.items()}
    got = dg.Diagram("test", outputs).compile(target=target).run(**inputs)
    for i, case in enumerate(GROUPS[group]):
        for name, value in wanted_of(case).items():
            scale = 1 + np.abs(value).max(initial=0)
            np.testing.assert_allclose(
                got[f"{name}{i}"], value, rtol=1e-10, atol=1e-10 * scale, err_msg=f"{case} {name}"
            )


@pytest.mark.parametrize("target", TARGETS)
def test_third_derivatives(target: Target) -> None:
    torch = _torch()
    cases = [
        Case("third", 2, 2, 3, (5, 4), (2, 3), (2, 1), ((1, 0), (1, 2)), (1, 2)),
        Case("third in groups", 1, 4, 2, (7,), (3,), (3,), groups=2, transposed=True, more=(1,)),
    ]
    for case in cases:
        arrays = arrays_of(case)
        shapes = [a.shape for a in arrays.values()]
        x, w, u, v = (dg.observed(n, s, "float64") for n, s in zip("xwuv", shapes, strict=True))
        *_, by_x, by_w = derivatives(case, x, w, u, v, dg.sin, dg.gradient)
        third = dg.gradient((by_x * u).sum() + (by_w * v * v).sum(), [x, w])
        program = dg.Diagram("test", {"x": third[0], "w": third[1]}).compile(target=target)
        found = program.run(**arrays)
        tx, tw, tu, tv = (torch.tensor(a) for a in arrays.values())
        tx.requires_grad_()
        tw.requires_grad_()

        def gradient(cost: Any, by: Any) -> Any:
            return torch.autograd.grad(cost, by, create_graph=True)

        *_, t_x, t_w = derivatives(case, tx, tw, tu, tv, torch.sin, gradient)
        wanted = gradient((t_x * tu).sum() + (t_w * tv * tv).sum(), [tx, tw])
        for name, value in zip("xw", wanted, strict=True):
            value = value.detach().numpy()
            np.testing.assert_allclose(found[name], value, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("target", TARGETS)
def test_x_with_itself_and_views(target: Target) -> None:
    torch = _torch()
    x = dg.observed("x", (3, 3, 5, 5), "float64")
    w = dg.observed("w", (2, 3, 6, 4), "float64")
    outputs = {
        "itself": dg.correlate(x, x, padding=2),
        "twice": dg.correlate(dg.correlate(x, w[..., :3, :3][:, :, ::-1]), w[:, :2, 1::2, ::2]),
        "turned": dg.correlate(x[:, ::-1, ::2].T, dg.transpose(w, (3, 2, 0, 1))[:, :3, :2, 1:]),
        "spread": dg.correlate(dg.broadcast_to(x[:1, :1], (4, 3, 5, 5)), w, padding=2),
    }
    slopes = {
        f"{name}_{word}": slope
        for name, y in outputs.items()
        for word, slope in zip("xw", dg.gradient(dg.sum(dg.sin(y)), [x, w]), strict=True)
    }
    rng = np.random.default_rng(0)
    arrays = {"x": rng.normal(size=(3, 3, 5, 5)), "w": rng.normal(size=(2, 3, 6, 4))}
    found = dg.Diagram("test", outputs | slopes).compile(target=target).run(**arrays)
    tx, tw = (torch.tensor(a, requires_grad=True) for a in arrays.values())
    conv = torch.nn.functional.conv2d
    theirs = {
        "itself": conv(tx, tx, padding=2),
        "twice": conv(conv(tx, tw[..., :3, :3].flip(2)), tw[:, :2, 1::2, ::2]),
        "turned": conv(
            tx.flip(1)[:, :, ::2].permute(3, 2, 1, 0), tw.permute(3, 2, 0, 1)[:, :3, :2, 1:]
        ),
        "spread": conv(tx[:1, :1].expand(4, 3, 5, 5), tw, padding=2),
    }
    for name, value in theirs.items():
        np.testing.assert_allclose(found[name], value.detach().numpy(), rtol=1e-11, atol=1e-11)
        grads = torch.autograd.grad(torch.sin(value).sum(), [tx, tw], allow_unused=True)
        for word, given, grad in zip("xw", (tx, tw), grads, strict=True):
            wanted = np.zeros(given.shape) if grad is None else grad.numpy()
            np.testing.assert_allclose(found[f"{name}_{word}"], wanted, rtol=1e-10, atol=1e-10)


def layers(dtype: str) -> tuple[dict[str, Any], dict[str, tuple[int, ...]]]:
    """Convolutions of several kinds of one batch of images, with their gradients by x."""
    x = dg.observed("x", ("B", 16, 12, 11), dtype)
    shapes: dict[str, tuple[int, ...]] = {
        "w": (33, 16, 3, 3), "s": (16, 16, 5, 5), "d": (16, 1, 3, 3), "t": (16, 6, 4, 4),
    }  # fmt: skip
    w, s, d, t = (dg.observed(name, shape, dtype) for name, shape in shapes.items())
    outputs = {
        "plain": dg.correlate(x, w, padding=1),
        "strided": dg.correlate(x, s, 2, 2),
        "depthwise": dg.correlate(x, d, groups=16, padding=1),
        "transposed": dg.conv_transpose(x, t, 2, 1),
    }
    slopes = {
        f"{name}_by_x": dg.gradient(dg.sum(y * y), x) for name, y in list(outputs.items())
    }  # fmt: skip
    return outputs | slopes, shapes


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_images_bits_do_not_depend_on_the_others(dtype: str) -> None:
    outputs, shapes = layers(dtype)
    program = dg.Diagram("test", outputs).compile()
    rng = np.random.default_rng(0)
    weights = {name: rng.normal(size=shape).astype(dtype) for name, shape in shapes.items()}
    images = rng.normal(size=(33, 16, 12, 11)).astype(dtype)
    whole = {name: value.copy() for name, value in program.run(x=images, **weights).items()}
    for place in (slice(0, 1), slice(5, 7), slice(30, 33)):
        for name, value in program.run(x=images[place], **weights).items():
            np.testing.assert_array_equal(value, whole[name][place], err_msg=f"{name} {place}")
    for name, value in program.run(x=images[:0], **weights).items():
        assert value.shape == (0, *whole[name].shape[1:])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bits_do_not_depend_on_threads(dtype: str) -> None:
    outputs, shapes = layers(dtype)
    weights = {name: dg.parameter(name, shape, dtype=dtype) for name, shape in shapes.items()}
    x = dg.observed("x", ("B", 16, 12, 11), dtype)
    y = dg.tanh(dg.correlate(x, weights["w"], padding=1))
    cost = (
        dg.mean(y * y)
        + dg.mean(dg.correlate(x, weights["s"], 2, 2) ** 2)
        + dg.mean(dg.correlate(x, weights["d"], groups=16) ** 2)
        + dg.mean(dg.conv_transpose(x, weights["t"], 2, 1) ** 2)
    )
    slopes = dg.gradient(cost, [x, *weights.values()])
    outputs = {"cost": cost, **{f"g{i}": item for i, item in enumerate(slopes)}}
    images = np.random.default_rng(0).normal(size=(19, 16, 12, 11)).astype(dtype)
    found = {}
    for threads in (1, 2, 4):
        program = dg.Diagram("test", outputs).compile(threads=threads)
        found[threads] = {k: v.copy() for k, v in program.run(x=images).items()}
    for threads in (2, 4):
        for name, value in found[threads].items():
            np.testing.assert_array_equal(value, found[1][name], err_msg=f"{name} of {threads}")


@pytest.mark.parametrize("target", TARGETS)
def test_no_image_gives_a_weight_gradient_of_zeros(target: Target) -> None:
    x, w = dg.observed("x", ("B", 2, 5, 6)), dg.observed("w", (3, 2, 3, 3))
    g = dg.gradient(dg.sum(dg.correlate(x, w, 2, 1)), w)
    program = dg.Diagram("test", {"g": g}).compile(target=target)
    values = {"x": np.zeros((0, 2, 5, 6), np.float32), "w": np.ones((3, 2, 3, 3), np.float32)}
    found = program.run(**values)["g"]
    assert found.shape == (3, 2, 3, 3) and not found.any() and not np.signbit(found).any()


@pytest.mark.parametrize("target", TARGETS)
def test_a_nan_reaches_the_windows_that_see_it(target: Target) -> None:
    """It may reach their neighbours in its rows, which kernels compute together."""
    x, w = dg.observed("x", (2, 1, 6, 16)), dg.observed("w", (1, 1, 3, 3))
    program = dg.Diagram("test", {"y": dg.correlate(x, w, padding=1)}).compile(target=target)
    image = np.ones((2, 1, 6, 16), np.float32)
    image[0, 0, 2, 3] = np.nan
    first, second = np.isnan(program.run(x=image, w=np.ones((1, 1, 3, 3), np.float32))["y"][:, 0])
    assert first[1:4, 2:5].all() and not first[[0, 4, 5]].any() and not second.any()
