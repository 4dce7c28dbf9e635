"""The optimizers: PyTorch's update rules, what they keep, and their errors word for word."""

import inspect
import re
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest

import diagrad as dg
from diagrad.frontend.training.optimizers import RATE

from ...evaluating import TARGETS, Array, Target

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
        assert set(program.states) == {*program.parameters, *kept, "step", RATE}
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
        RATE, "optimizer/net/w/mean", "optimizer/net/w/square",
    ]  # fmt: skip
    assert states[0].next is None and np.isnan(states[0].initial)
    for state in states[1:]:
        assert state.next is not None
        assert state.next.type == state.variable.type == w.type
        assert state.initial.shape == (2, 3) and not state.initial.any()


def test_no_parameters() -> None:
    step = dg.constant(0, "int64")
    following, states = dg.Adam(clip=dg.clip_norm(1.0)).draw({}, {}, step)
    assert following == {} and [state.variable.name for state in states] == [RATE]


HERE = "(test_optimizer.py:{})"
NONNEGATIVE = "to be a number of 0 or more, got"


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (
            lambda: dg.SGD(-0.1), ValueError,
            f"SGD {HERE} expects a learning rate {NONNEGATIVE} -0.1",
        ),
        (
            lambda: dg.Adam(float("nan")), ValueError,
            f"Adam {HERE} expects a learning rate {NONNEGATIVE} nan",
        ),
        (
            lambda: dg.SGD(0.1, momentum=-1), ValueError,
            f"SGD {HERE} expects momentum {NONNEGATIVE} -1",
        ),
        (
            lambda: dg.SGD(0.1, nesterov=True), ValueError,
            f"SGD {HERE} expects a momentum above 0 for nesterov=True, got 0",
        ),
        (
            lambda: dg.SGD(0.1, momentum=0.9, nesterov=True, dampening=0.5), ValueError,
            f"SGD {HERE} expects dampening=0 for nesterov=True, got 0.5",
        ),
        (
            lambda: dg.SGD(0.1, dampening=0.5), ValueError,
            f"SGD {HERE} expects dampening=0 for momentum=0, got 0.5",
        ),
        (
            lambda: dg.SGD(0.1, momentum=0.9, dampening=1.5), ValueError,
            f"SGD {HERE} expects dampening to be a number of 0 or more and of 1 or less, got 1.5",
        ),
        (
            lambda: dg.SGD(0.1, maximize=cast(Any, 1)), TypeError,
            f"SGD {HERE} expects maximize to be True or False, got 1",
        ),
        (
            lambda: dg.Adagrad(initial=-1), ValueError,
            f"Adagrad {HERE} expects initial {NONNEGATIVE} -1",
        ),
        (
            lambda: dg.Lion(betas=(1.0, 0.9)), ValueError,
            f"Lion {HERE} expects betas to be a number of 0 or more and below 1, got 1.0",
        ),
        (
            lambda: dg.SGD(0.1, weight_decay=-1), ValueError,
            f"SGD {HERE} expects weight_decay {NONNEGATIVE} -1",
        ),
        (
            lambda: dg.RMSprop(decay=1.0), ValueError,
            f"RMSprop {HERE} expects decay to be a number of 0 or more and below 1, got 1.0",
        ),
        (
            lambda: dg.RMSprop(epsilon=-1.0), ValueError,
            f"RMSprop {HERE} expects epsilon {NONNEGATIVE} -1.0",
        ),
        (
            lambda: dg.Adam(betas=(0.9, 1.0)), ValueError,
            f"Adam {HERE} expects betas to be a number of 0 or more and below 1, got 1.0",
        ),
        (
            lambda: dg.AdamW(betas=cast(Any, (0.9,))), ValueError,
            f"AdamW {HERE} expects two betas, got 1",
        ),
        (lambda: dg.clip_norm(-1), ValueError, f"clip_norm {HERE} expects limit {NONNEGATIVE} -1"),
        (
            lambda: dg.clip_value(cast(Any, "a")), TypeError,
            f"clip_value {HERE} expects limit {NONNEGATIVE} 'a'",
        ),
        (
            lambda: dg.Adam(clip=cast(Any, 1.0)), TypeError,
            f"Adam {HERE} expects clip to be a function, dg.clip_norm(...) or dg.clip_value(...), "
            "got 1.0",
        ),
        (
            lambda: dg.Adam(cast(Any, "1e-3")), TypeError,
            f"Adam {HERE} expects a learning rate that is a number or a schedule of dg.schedules, "
            "got '1e-3'",
        ),
        (
            lambda: cast(Any, dg.Adam)(lr=1e-3), TypeError,
            f"Adam {HERE} expects the arguments learning_rate, betas, epsilon, weight_decay, clip, "
            "parameters, amsgrad, maximize, got lr=: use learning_rate=",
        ),
        (
            lambda: cast(Any, dg.SGD)(), TypeError,
            f"SGD {HERE} expects learning_rate, momentum, nesterov, weight_decay, clip, "
            "parameters, dampening, maximize; missing a required argument: 'learning_rate'",
        ),
    ],
)  # fmt: skip
def test_arguments_that_do_not_do(
    make: Callable[[], Any], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind) as error:
        make()
    assert re.sub(r"py:\d+", "py:{}", str(error.value)) == message


def test_what_they_are_made_with_is_shown_and_stays() -> None:
    def halves(step: Any) -> Any:
        return 0.5**step

    warm = dg.schedules.warm_up(dg.schedules.cosine(0.1, 100), 10)
    assert repr(dg.SGD(0.1, clip=dg.clip_norm(1))) == (
        "SGD(learning_rate=0.1, momentum=0.0, nesterov=False, weight_decay=0.0, "
        "clip=clip_norm(1.0))"
    )
    assert repr(dg.Adadelta(maximize=True)) == (
        "Adadelta(learning_rate=1.0, decay=0.9, epsilon=1e-06, weight_decay=0.0, maximize=True)"
    )
    assert repr(dg.RMSprop(halves)).startswith("RMSprop(learning_rate=halves, decay=0.99, ")
    assert repr(dg.Adam(warm)).startswith(
        "Adam(learning_rate=warm_up(schedule=cosine(learning_rate=0.1, steps=100, final=0.0), "
        "steps=10), betas=(0.9, 0.999), "
    )
    optimizer: Any = dg.Adam(1e-3)
    with pytest.raises(AttributeError) as error:
        optimizer.learning_rate = 0.1
    assert str(error.value) == (
        f"{optimizer!r} cannot change its learning_rate: make another one; the rate of a program "
        "can be set, program.learning_rate = ..."
    )
    with pytest.raises(AttributeError) as error:
        optimizer.lr = 0.1
    assert str(error.value) == (
        f"{optimizer!r} has no attribute 'lr' to set: learning_rate is what it has"
    )
    assert str(inspect.signature(dg.SGD)).startswith("(learning_rate: ")


def test_one_of_ones_own_keeps_what_it_was_given() -> None:
    class Signs(dg.Optimizer):
        """Steps of one length."""

        def __init__(self, learning_rate: float, sharp: bool = True) -> None:
            super().__init__(learning_rate)
            self.sharp = sharp

        def forward(self, parameter: Any, gradient: Any, rate: Any, *memory: Any) -> Any:
            return (parameter - rate * dg.sign(gradient),)

    signs = Signs(0.5)
    assert repr(signs) == "Signs(learning_rate=0.5, sharp=True)"
    x, w = dg.observed("x", ("B",)), dg.parameter("w", (), init=1.0)
    program = dg.Diagram("d", cost=dg.mean(w * x)).compile(signs, target="reference")
    program.step(x=[3.0])
    assert program.parameters["w"] == 0.5
    program.learning_rate = 0.25
    program.step(x=[3.0])
    assert program.parameters["w"] == 0.25
