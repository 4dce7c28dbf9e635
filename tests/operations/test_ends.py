"""Values and slopes at the ends of the range: NaN, infinities, 0, huge and tiny numbers.

PyTorch says what is right.  Where we differ, `DELIBERATE` has the number and why.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

import diagrad as dg

from .rows.running import TARGETS, Target

INF, NAN = math.inf, math.nan
HUGE = 3e38
"""Nearly the greatest float32."""
POINTS = (
    NAN, INF, -INF, 0.0, 0.25, -0.25, 1.0, -1.0, 0.5, -0.5, 3.0, -3.0, 12.0, -12.0, 17.0, -17.0,
    30.0, -30.0, 80.0, -80.0, 1e-30, -1e-30, 1e30, -1e30, HUGE, -HUGE,
)  # fmt: skip
ONE: dict[str, tuple[Callable[[Any], Any], Callable[[Any, Any], Any]]] = {
    "relu": (dg.relu, lambda t, x: t.relu(x)),
    "leaky_relu": (dg.leaky_relu, lambda t, x: t.nn.functional.leaky_relu(x)),
    "elu": (dg.elu, lambda t, x: t.nn.functional.elu(x)),
    "gelu": (dg.gelu, lambda t, x: t.nn.functional.gelu(x)),
    "gelu tanh": (
        lambda x: dg.gelu(x, "tanh"), lambda t, x: t.nn.functional.gelu(x, approximate="tanh"),
    ),
    "silu": (dg.silu, lambda t, x: t.nn.functional.silu(x)),
    "softplus": (dg.softplus, lambda t, x: t.logaddexp(x, t.zeros_like(x))),
    "hard_tanh": (dg.hard_tanh, lambda t, x: t.nn.functional.hardtanh(x)),
    "soft_shrink": (dg.soft_shrink, lambda t, x: t.nn.functional.softshrink(x)),
    "hard_shrink": (dg.hard_shrink, lambda t, x: t.nn.functional.hardshrink(x)),
    "log_sigmoid": (lambda x: -dg.softplus(-x), lambda t, x: t.nn.functional.logsigmoid(x)),
    "tanh": (dg.tanh, lambda t, x: t.tanh(x)),
    "sigmoid": (dg.sigmoid, lambda t, x: t.sigmoid(x)),
    "exp": (dg.exp, lambda t, x: t.exp(x)),
    "expm1": (dg.expm1, lambda t, x: t.expm1(x)),
    "log": (dg.log, lambda t, x: t.log(x)),
    "log1p": (dg.log1p, lambda t, x: t.log1p(x)),
    "sqrt": (dg.sqrt, lambda t, x: t.sqrt(x)),
    "rsqrt": (dg.rsqrt, lambda t, x: t.rsqrt(x)),
    "erf": (dg.erf, lambda t, x: t.erf(x)),
    "absolute": (dg.absolute, lambda t, x: t.abs(x)),
    "sign": (dg.sign, lambda t, x: t.sign(x)),
    "floor": (dg.floor, lambda t, x: t.floor(x)),
    "maximum": (lambda x: dg.maximum(x, 0.5), lambda t, x: t.clamp(x, min=0.5)),
    "minimum": (lambda x: dg.minimum(x, 0.5), lambda t, x: t.clamp(x, max=0.5)),
    "reciprocal": (lambda x: x**-1, lambda t, x: x**-1),
    "power 0": (lambda x: x**0, lambda t, x: x**0),
    "power 2": (lambda x: x**2, lambda t, x: x**2),
    "power 2.5": (lambda x: x**2.5, lambda t, x: x**2.5),
    "power of 2": (lambda x: 2**x, lambda t, x: 2.0**x),
    "huber": (
        lambda x: dg.huber(x, 0 * dg.where(x > 0, 1.0, 0.0).astype(x.dtype), reduction="none"),
        lambda t, x: t.nn.functional.huber_loss(x, t.zeros_like(x), reduction="none"),
    ),
}  # fmt: skip
Place = tuple[str, float]
DELIBERATE: dict[Place, tuple[float, float]] = {
    # NaN has no sign in NumPy, and its distance from 0 no slope.
    ("sign", NAN): (NAN, 0.0), ("absolute", NAN): (NAN, NAN),
    # What a NaN was chosen from does not matter: nothing hides it on the way back.
    ("elu", NAN): (NAN, NAN), ("soft_shrink", NAN): (NAN, 1.0), ("hard_shrink", NAN): (NAN, 1.0),
    ("hard_tanh", NAN): (NAN, 1.0), ("maximum", NAN): (NAN, 1.0), ("minimum", NAN): (NAN, 1.0),
    # At a tie with a constant there is no slope, as in relu.
    ("maximum", 0.5): (0.5, 0.0), ("minimum", 0.5): (0.5, 0.0),
    # PyTorch's kernels overflow here.
    ("gelu", INF): (INF, NAN), ("gelu", HUGE): (HUGE, 1.0),
    **{("gelu tanh", x): (x, 1.0) for x in (1e30, HUGE)}, ("gelu tanh", INF): (INF, 1.0),
    **{("gelu tanh", x): (-0.0, 0.0) for x in (-1e30, -HUGE)}, ("gelu tanh", -INF): (NAN, 0.0),
    # The slope of expm1 is exp: PyTorch's, found from the value, has rounded.
    **{("expm1", x): (math.expm1(x), math.exp(x)) for x in (-12.0, -17.0, -30.0, -80.0)},
}  # fmt: skip


def evaluate(
    outputs: dict[str, Any], target: Target = "cpu", **arrays: np.ndarray
) -> dict[str, Any]:
    with np.errstate(all="ignore"):
        return dict(dg.Diagram("ends", outputs).compile(target=target).run(**arrays))


def same(a: float, b: float) -> bool:
    return a == b or (math.isnan(a) and math.isnan(b))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values_and_slopes_are_pytorchs(dtype: str, target: Target) -> None:
    torch = pytest.importorskip("torch")
    points = np.array(POINTS, dtype)
    x = dg.observed("x", points.shape, dtype)
    outputs = {}
    for number, (ours, _) in enumerate(ONE.values()):
        outputs[f"y{number}"] = value = ours(x)
        outputs[f"g{number}"] = dg.gradient(dg.sum(value), x)
    found = evaluate(outputs, target, x=points)
    wrong = []
    for number, (name, (_, theirs)) in enumerate(ONE.items()):
        given = torch.tensor(points, requires_grad=True)
        value = theirs(torch, given)
        value.sum().backward()
        both = (value.detach().numpy(), given.grad.numpy())
        for place, point in enumerate(POINTS):
            wanted = next(
                (v for (n, p), v in DELIBERATE.items() if n == name and same(p, point)),
                tuple(float(item[place]) for item in both),
            )
            got = tuple(float(found[f"{letter}{number}"][place]) for letter in "yg")
            near = np.isclose(got, wanted, 1e-5, 1e-6, equal_nan=True)
            if not near.all():
                wrong.append(f"{name} at {point}: {got}, expected {wanted}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("target", TARGETS)
def test_slopes_far_below_zero_keep_their_digits(target: Target) -> None:
    """Relative to themselves: the slope of exp(x) - 1 is exp(x), however small."""
    points = np.linspace(-80, -0.01, 97).astype(np.float32)
    x = dg.observed("x", points.shape)
    functions: dict[str, Any] = {"expm1": dg.expm1, "elu": dg.elu, "softplus": dg.softplus}
    outputs = {name: dg.gradient(dg.sum(f(x)), x) for name, f in functions.items()}
    wide = np.exp(points.astype(np.float64))
    found = evaluate(outputs, target, x=points)
    np.testing.assert_allclose(found["expm1"], wide, 1e-6)
    np.testing.assert_allclose(found["elu"], wide, 1e-6)
    np.testing.assert_allclose(found["softplus"], wide / (1 + wide), 1e-6)


@pytest.mark.parametrize("target", TARGETS)
def test_binary_cross_entropy_of_infinite_scores(target: Target) -> None:
    s, t = dg.observed("s", ("N",)), dg.observed("t", ("N",))
    cost = dg.binary_cross_entropy(s, t, reduction="none")
    by_s, by_t = dg.gradient(dg.sum(cost), [s, t])
    rows = [  # score, target, cost, slope by the score, slope by the target
        (-INF, 0.0, 0.0, 0.0, 0.0), (INF, 1.0, 0.0, 0.0, 0.0), (INF, 0.0, INF, 1.0, -INF),
        (-INF, 1.0, INF, -1.0, INF), (INF, 0.25, INF, 0.75, -INF), (-INF, 0.25, INF, -0.25, INF),
        (0.0, 0.25, math.log(2), 0.25, 0.0), (200.0, 1.0, 0.0, 0.0, -200.0),
        (NAN, 1.0, NAN, NAN, NAN),
    ]  # fmt: skip
    table = np.array(rows, np.float32).T
    found = evaluate({"c": cost, "s_": by_s, "t_": by_t}, target, s=table[0], t=table[1])
    for name, wanted in zip(("c", "s_", "t_"), table[2:], strict=True):
        np.testing.assert_allclose(found[name], wanted, 1e-6, 1e-7, err_msg=name)


def derivatives(function: Callable[[Any], Any], x: Any, orders: int) -> list[Any]:
    found = [function(x)]
    for _ in range(orders):
        found.append(dg.gradient(dg.sum(found[-1]), x))
    return found


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_powers_to_the_fourth_derivative(dtype: str, target: Target) -> None:
    """Of fixed and of array exponents, at 0 too: n! / (n - k)! x^(n - k), 0 where k > n."""
    points = np.array([-2.0, -0.0, 0.0, 1.5, INF, NAN], dtype)
    exponents = np.arange(6)
    x = dg.observed("x", points.shape, dtype)
    array = dg.observed("n", (6, 1), dtype)
    fixed = [derivatives(partial(lambda n, x: x**n, n), x, 4) for n in exponents.tolist()]
    outputs = {f"f{n}_{k}": v for n, found in enumerate(fixed) for k, v in enumerate(found)}
    outputs |= {f"a{k}": v for k, v in enumerate(derivatives(lambda x: x**array, x, 4))}
    given = exponents[:, None].astype(dtype)
    found = evaluate(outputs, target, x=points, n=given)
    finite = np.isfinite(points)
    for k in range(5):
        each = np.stack([
            math.perm(n, k) * points.astype(float) ** max(n - k, 0) for n in exponents
        ])  # fmt: skip
        for n in exponents:
            got = np.broadcast_to(found[f"f{n}_{k}"], points.shape)
            np.testing.assert_allclose(got[finite], each[n][finite], 1e-5, err_msg=f"{n}, {k}")
        wanted = each if k == 0 else each.sum(0)
        got = found[f"a{k}"]
        np.testing.assert_allclose(got[..., finite], wanted[..., finite], 1e-5, err_msg=str(k))
    np.testing.assert_array_equal(found["f0_0"], np.ones(6))
    np.testing.assert_array_equal(found["f0_1"], np.zeros(6))


@pytest.mark.parametrize("target", TARGETS)
def test_slope_by_the_exponent_is_pytorchs(target: Target) -> None:
    torch = pytest.importorskip("torch")
    bases = [-2.0, -0.5, -0.0, 0.0, 0.5, 1.0, 3.0, INF, NAN]
    x, y = (v.ravel() for v in np.meshgrid(bases, [-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 3.0]))
    a, b = dg.observed("a", x.shape, "float64"), dg.observed("b", y.shape, "float64")
    value = a**b
    first = dg.gradient(dg.sum(value), [a, b])
    second = dg.gradient(dg.sum(first[1]), b)
    found = evaluate({"v": value, "a_": first[0], "b_": first[1], "bb": second}, target, a=x, b=y)
    p, q = (torch.tensor(v, requires_grad=True) for v in (x, y))
    wanted = torch.pow(p, q)
    by_p, by_q = torch.autograd.grad(wanted.sum(), (p, q))
    for name, expected in (("v", wanted), ("a_", by_p), ("b_", by_q)):
        np.testing.assert_allclose(found[name], expected.detach().numpy(), 1e-12, err_msg=name)
    with np.errstate(all="ignore"):
        curve = np.where((x == 0) & (y >= 0), 0.0, x**y * np.log(np.where(x == 0, 0, x)) ** 2)
    np.testing.assert_allclose(found["bb"], curve, 1e-12)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_casts_out_of_range(dtype: str, target: Target) -> None:
    """Towards 0, to the nearest integer of the dtype; NaN to 0; tiny numbers are not true."""
    tiny = np.finfo(dtype).smallest_subnormal
    points = np.array(
        [0.0, -0.0, 0.9, -0.9, -1.5, 7.7, 2**31, -(2**31), -(2**31) - 300, 2**32, 2**33 + 0.5,
         2**63, -(2**63), 1e30, -1e30, INF, -INF, NAN, tiny, -tiny, -5.0, 2**31 - 200.0],
        dtype,
    )  # fmt: skip
    x = dg.observed("x", points.shape, dtype)
    names = ("int32", "int64", "uint32", "bool")
    found = evaluate({name: x.astype(name) for name in names}, target, x=points)
    for name in names[:3]:
        info = np.iinfo(name)
        wanted = [
            0 if math.isnan(p) else info.max if p >= info.max + 1 else
            info.min if p <= info.min else int(p)
            for p in points.tolist()
        ]  # fmt: skip
        assert found[name].dtype == name and found[name].tolist() == wanted, name
    assert found["bool"].tolist() == [not abs(p) <= tiny for p in points.tolist()]


EMPTY: dict[str, tuple[Any, float]] = {
    "max": (dg.max, -INF), "min": (dg.min, INF), "logsumexp": (dg.logsumexp, -INF),
    "sum": (dg.sum, 0.0), "mean": (dg.mean, NAN), "variance": (dg.variance, NAN),
    "argmax": (dg.argmax, 0), "argmin": (dg.argmin, 0),
}  # fmt: skip


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("shape", [(2, 0, 3), (2, 3, 0), (0, 2, 3), (2, 0, 0), (0, 0, 1)])
def test_an_empty_axis_means_the_same_known_and_named(
    shape: tuple[int, ...], target: Target
) -> None:
    empty = np.zeros(shape, np.float32)
    for given in (shape, ("A", "N", "C")):
        x = dg.observed("x", given)
        outputs, wanted = {}, {}
        for axis in range(3):
            left = tuple(n for i, n in enumerate(shape) if i != axis)
            for name, (function, start) in EMPTY.items():
                if shape[axis] != 0 and 0 not in left:
                    continue
                outputs[f"{name}{axis}"] = value = function(x, axis)
                wanted[f"{name}{axis}"] = np.full(left, start)
                if not name.startswith("arg"):
                    outputs[f"{name}{axis}_"] = dg.gradient(dg.sum(value), x)
                    wanted[f"{name}{axis}_"] = empty
            for name, rows in (("softmax", dg.softmax), ("log_softmax", dg.log_softmax)):
                outputs[f"{name}{axis}"] = value = rows(x, axis)
                outputs[f"{name}{axis}_"] = dg.gradient(dg.sum(value * value), x)
                wanted[f"{name}{axis}"] = wanted[f"{name}{axis}_"] = empty
        for name, start in (("max", -INF), ("min", INF), ("argmax", 0)):
            outputs[name], wanted[name] = getattr(dg, name)(x), np.array(start)
        found = evaluate(outputs, target, x=empty)
        for name, value in wanted.items():
            np.testing.assert_array_equal(found[name], value, err_msg=f"{name} of {given}")
            assert found[name].shape == value.shape
    whole = dg.observed("x", (2, 0), "int32")
    found = evaluate({"max": dg.max(whole, 1), "min": dg.min(whole, 1)}, target,
                     x=np.zeros((2, 0), np.int32))  # fmt: skip
    assert found["max"].tolist() == [-(2**31)] * 2 and found["min"].tolist() == [2**31 - 1] * 2
