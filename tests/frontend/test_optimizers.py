"""The optimizers: PyTorch's update rules, what they keep, and their errors word for word."""

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest

import diagrad as dg

from .evaluating import TARGETS, Array, Target

STEPS = 20
RULES: dict[str, tuple[Callable[[], Any], str, dict[str, Any]]] = {
    "SGD": (lambda: dg.SGD(0.1), "SGD", {"lr": 0.1}),
    "momentum": (lambda: dg.SGD(0.05, momentum=0.9), "SGD", {"lr": 0.05, "momentum": 0.9}),
    "nesterov": (
        lambda: dg.SGD(0.05, momentum=0.9, nesterov=True, weight_decay=0.01), "SGD",
        {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
    ),
    "RMSprop": (lambda: dg.RMSprop(), "RMSprop", {}),
    "RMSprop momentum": (
        lambda: dg.RMSprop(1e-3, decay=0.9, epsilon=1e-6, momentum=0.5, weight_decay=0.1),
        "RMSprop",
        {"lr": 1e-3, "alpha": 0.9, "eps": 1e-6, "momentum": 0.5, "weight_decay": 0.1},
    ),
    "Adam": (lambda: dg.Adam(), "Adam", {}),
    "Adam decay": (
        lambda: dg.Adam(0.02, betas=(0.8, 0.95), epsilon=1e-4, weight_decay=0.1), "Adam",
        {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-4, "weight_decay": 0.1},
    ),
    "Adam without means": (lambda: dg.Adam(betas=(0.0, 0.0)), "Adam", {"betas": (0.0, 0.0)}),
    "AdamW": (lambda: dg.AdamW(0.01), "AdamW", {"lr": 0.01}),
    "AdamW decay": (
        lambda: dg.AdamW(0.01, weight_decay=0.5), "AdamW", {"lr": 0.01, "weight_decay": 0.5}
    ),
    "SGD clip_norm": (lambda: dg.SGD(0.5, clip=dg.clip_norm(0.2)), "SGD", {"lr": 0.5}),
    "Adam clip_value": (lambda: dg.Adam(0.01, clip=dg.clip_value(0.01)), "Adam", {"lr": 0.01}),
    "Adam cosine": (
        lambda: dg.Adam(dg.schedules.warm_up(dg.schedules.cosine(0.02, 15, 0.001), 4)), "Adam",
        {"lr": 1.0},
    ),
}  # fmt: skip


def draw(dtype: str) -> Any:
    x = dg.observed("x", ("B", 6), dtype)
    y = dg.observed("y", ("B",), "int64")
    net = dg.Chain(
        dg.Linear(6, 16, dtype=dtype), dg.tanh, dg.Linear(16, 4, dtype=dtype), name="net"
    )
    return dg.Diagram("test", cost=dg.cross_entropy(net(x), y))


def data(dtype: str) -> tuple[Array, Array]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(32, 6)).astype(dtype)
    return x, rng.integers(0, 4, 32)


def pytorchs_costs(name: str, parameters: dict[str, Array], x: Array, y: Array) -> list[float]:
    """What PyTorch's costs are, from the same parameters."""
    torch = pytest.importorskip("torch")
    _, rule, options = RULES[name]
    weights = [torch.tensor(value.copy(), requires_grad=True) for value in parameters.values()]
    optimizer = getattr(torch.optim, rule)(weights, **options)
    inputs, labels = torch.tensor(x), torch.tensor(y)
    costs = []
    for step in range(STEPS):
        hidden = torch.tanh(inputs @ weights[0] + weights[1])
        cost = torch.nn.functional.cross_entropy(hidden @ weights[2] + weights[3], labels)
        costs.append(cost.item())
        optimizer.zero_grad()
        cost.backward()
        if "clip_norm" in name:
            torch.nn.utils.clip_grad_norm_(weights, 0.2)
        if "clip_value" in name:
            torch.nn.utils.clip_grad_value_(weights, 0.01)
        if "cosine" in name:
            rate = 0.001 + 0.019 * 0.5 * (1 + np.cos(np.pi * min(step / 15, 1)))
            optimizer.param_groups[0]["lr"] = rate * min((step + 1) / 4, 1)
        optimizer.step()
    return costs


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", RULES)
def test_costs_are_pytorchs(name: str, dtype: str, target: Target) -> None:
    program = draw(dtype).compile(optimizer=RULES[name][0](), target=target)
    x, y = data(dtype)
    theirs = pytorchs_costs(name, dict(program.parameters), x, y)
    ours = [program.step(x=x, y=y) for _ in range(STEPS)]
    np.testing.assert_allclose(ours, theirs, rtol=1e-5 if dtype == "float32" else 1e-9)
    assert ours[-1] < ours[0]
    assert all(array.dtype == dtype for array in program.parameters.values())


@pytest.mark.parametrize("target", TARGETS)
def test_scalars_are_precise_where_everything_is_float32(target: Target) -> None:
    program = draw("float32").compile(optimizer=dg.Adam(), target=target, dtype="float32")
    x, y = data("float32")
    theirs = pytorchs_costs("Adam", dict(program.parameters), x, y)
    ours = [program.step(x=x, y=y) for _ in range(STEPS)]
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)


@pytest.mark.parametrize("target", TARGETS)
def test_one_step_of_gradient_descent(target: Target) -> None:
    w = dg.parameter("w", (2,), init=[1.0, -2.0])
    x = dg.observed("x", ("B", 2))
    program = dg.Diagram("test", cost=dg.sum(x * w * w)).compile(
        optimizer=dg.SGD(0.25), target=target
    )
    assert program.step(x=np.ones((1, 2), np.float32)) == 5.0
    np.testing.assert_array_equal(program.parameters["w"], [0.5, -1.0])
    assert program.states["step"] == 1


@pytest.mark.parametrize("target", TARGETS)
def test_a_learning_rate_of_zero_changes_nothing(target: Target) -> None:
    program = draw("float32").compile(optimizer=dg.AdamW(0.0), target=target)
    before = {name: array.copy() for name, array in program.parameters.items()}
    x, y = data("float32")
    program.step(x=x, y=y)
    for name, array in program.parameters.items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize("target", TARGETS)
def test_parameters_of_two_dtypes_are_clipped_by_one_norm(target: Target) -> None:
    narrow = dg.parameter("narrow", (2,), init=[3.0, 0.0])
    wide = dg.parameter("wide", (2,), init=[0.0, 4.0], dtype="float64")
    x = dg.observed("x", ())
    cost = x * dg.sum(narrow * narrow).astype("float64").astype("float32") * 0.5
    cost = cost + x * dg.sum(wide * wide).astype("float32") * 0.5
    program = dg.Diagram("test", cost=cost).compile(
        optimizer=dg.SGD(1.0, clip=dg.clip_norm(2.5)), target=target
    )
    program.step(x=np.ones((), np.float32))
    np.testing.assert_allclose(program.parameters["narrow"], [1.5, 0.0], rtol=1e-6)
    np.testing.assert_allclose(program.parameters["wide"], [0.0, 2.0], rtol=1e-6)
    assert program.parameters["narrow"].dtype == np.float32


def test_what_is_kept_from_step_to_step() -> None:
    expected = {
        "SGD": (), "momentum": ("momentum",), "RMSprop": ("square",),
        "RMSprop momentum": ("square", "momentum"), "Adam": ("mean", "square"),
    }  # fmt: skip
    for name, slots in expected.items():
        program = draw("float32").compile(optimizer=RULES[name][0](), target="reference")
        kept = [f"optimizer/{path}/{slot}" for path in program.parameters for slot in slots]
        assert set(program.states) == {*program.parameters, *kept, "step"}
        for state in kept:
            path = state.removeprefix("optimizer/").rpartition("/")[0]
            assert program.states[state].shape == program.parameters[path].shape
            assert program.states[state].dtype == np.float32
            assert not program.states[state].any()


def test_each_update_is_drawn_as_one_bullet() -> None:
    w = dg.parameter("w", (2, 3))
    g = dg.constant(np.ones((2, 3)), "float32")
    step = dg.constant(0, "int64")
    following, states = dg.Adam().draw({"net/w": w}, {"net/w": g}, step)
    after: Any = following["net/w"]
    assert after.producer.label == "Adam"
    assert after.type == w.type
    assert [state.variable.name for state in states] == [
        "optimizer/net/w/mean", "optimizer/net/w/square",
    ]  # fmt: skip
    for state in states:
        assert state.next.type == state.variable.type == w.type
        assert state.initial.shape == (2, 3) and not state.initial.any()


def test_no_parameters() -> None:
    step = dg.constant(0, "int64")
    assert dg.Adam(clip=dg.clip_norm(1.0)).draw({}, {}, step) == ({}, [])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: dg.SGD(-0.1), "SGD expects a learning rate of 0 or more, got -0.1"),
        (lambda: dg.Adam(float("nan")), "Adam expects a learning rate of 0 or more, got nan"),
        (lambda: dg.SGD(0.1, momentum=-1), "SGD expects momentum of 0 or more, got -1"),
        (
            lambda: dg.SGD(0.1, nesterov=True),
            "SGD expects a momentum above 0 for nesterov=True, got 0",
        ),
        (lambda: dg.SGD(0.1, weight_decay=-1), "SGD expects weight_decay of 0 or more, got -1"),
        (lambda: dg.RMSprop(decay=1.0), "RMSprop expects decay in [0, 1), got 1.0"),
        (lambda: dg.RMSprop(epsilon=-1.0), "RMSprop expects epsilon of 0 or more, got -1.0"),
        (lambda: dg.Adam(betas=(0.9, 1.0)), "Adam expects betas in [0, 1), got 1.0"),
        (lambda: dg.AdamW(betas=cast(Any, (0.9,))), "AdamW expects two betas, got (0.9,)"),
        (lambda: dg.clip_norm(-1), "clip_norm expects a limit of 0 or more, got -1"),
        (lambda: dg.clip_value(-1), "clip_value expects a limit of 0 or more, got -1"),
    ],
)
def test_arguments_out_of_range(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError) as error:
        make()
    assert str(error.value) == message


def test_arguments_of_another_type() -> None:
    with pytest.raises(TypeError) as error:
        dg.Adam(cast(Any, "1e-3"))
    assert str(error.value) == (
        "Adam expects a learning rate that is a number or a schedule of dg.schedules, got str"
    )
    with pytest.raises(TypeError) as error:
        dg.Adam(clip=cast(Any, 1.0))
    assert str(error.value) == (
        "Adam expects clip to be dg.clip_norm(...) or dg.clip_value(...), got 1.0"
    )
