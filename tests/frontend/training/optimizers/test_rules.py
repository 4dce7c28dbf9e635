"""Every rule with its options for ten steps, in one program, beside PyTorch's and the papers'."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ...evaluating import TARGETS, Array, Target

STEPS = 10
CASES: dict[str, tuple[Any, str, dict[str, Any]]] = {
    "dampening": (
        lambda p: dg.SGD(0.05, momentum=0.9, dampening=0.4, weight_decay=0.1, parameters=p),
        "SGD", {"lr": 0.05, "momentum": 0.9, "dampening": 0.4, "weight_decay": 0.1},
    ),
    "sgd_up": (
        lambda p: dg.SGD(0.05, momentum=0.5, nesterov=True, maximize=True, parameters=p), "SGD",
        {"lr": 0.05, "momentum": 0.5, "nesterov": True, "maximize": True},
    ),
    "centered": (
        lambda p: dg.RMSprop(0.01, decay=0.9, centered=True, parameters=p), "RMSprop",
        {"lr": 0.01, "alpha": 0.9, "centered": True},
    ),
    "centered_momentum": (
        lambda p: dg.RMSprop(
            0.01, momentum=0.9, centered=True, weight_decay=0.1, maximize=True, parameters=p
        ),
        "RMSprop",
        {"lr": 0.01, "momentum": 0.9, "centered": True, "weight_decay": 0.1, "maximize": True},
    ),
    "amsgrad": (
        lambda p: dg.Adam(0.05, betas=(0.9, 0.5), amsgrad=True, weight_decay=0.1, parameters=p),
        "Adam", {"lr": 0.05, "betas": (0.9, 0.5), "amsgrad": True, "weight_decay": 0.1},
    ),
    "amsgrad_decoupled": (
        lambda p: dg.AdamW(0.05, (0.9, 0.5), amsgrad=True, maximize=True, parameters=p), "AdamW",
        {"lr": 0.05, "betas": (0.9, 0.5), "amsgrad": True, "maximize": True},
    ),
    "adagrad": (lambda p: dg.Adagrad(0.1, parameters=p), "Adagrad", {"lr": 0.1}),
    "adagrad_decay": (
        lambda p: dg.Adagrad(
            dg.schedules.inverse_time(0.1, 0.2), epsilon=0.01, initial=0.5, weight_decay=0.1,
            maximize=True, parameters=p,
        ),
        "Adagrad",
        {"lr": 0.1, "lr_decay": 0.2, "eps": 0.01, "initial_accumulator_value": 0.5,
         "weight_decay": 0.1, "maximize": True},
    ),
    "adadelta": (lambda p: dg.Adadelta(parameters=p), "Adadelta", {}),
    "adadelta_decay": (
        lambda p: dg.Adadelta(
            0.5, decay=0.8, epsilon=0.01, weight_decay=0.1, maximize=True, parameters=p
        ),
        "Adadelta",
        {"lr": 0.5, "rho": 0.8, "eps": 0.01, "weight_decay": 0.1, "maximize": True},
    ),
    "nadam": (lambda p: dg.NAdam(0.05, parameters=p), "NAdam", {"lr": 0.05}),
    "nadam_decay": (
        lambda p: dg.NAdam(
            0.05, (0.8, 0.9), 0.01, momentum_decay=0.5, weight_decay=0.1, maximize=True,
            parameters=p,
        ),
        "NAdam",
        {"lr": 0.05, "betas": (0.8, 0.9), "eps": 0.01, "momentum_decay": 0.5, "weight_decay": 0.1,
         "maximize": True},
    ),
    "nadam_decoupled": (
        lambda p: dg.NAdam(0.05, weight_decay=0.5, decoupled_weight_decay=True, parameters=p),
        "NAdam", {"lr": 0.05, "weight_decay": 0.5, "decoupled_weight_decay": True},
    ),
    "radam": (lambda p: dg.RAdam(0.05, parameters=p), "RAdam", {"lr": 0.05}),
    "radam_decay": (
        lambda p: dg.RAdam(0.05, (0.8, 0.95), 0.01, weight_decay=0.1, maximize=True, parameters=p),
        "RAdam",
        {"lr": 0.05, "betas": (0.8, 0.95), "eps": 0.01, "weight_decay": 0.1, "maximize": True},
    ),
    "radam_short": (  # a mean over so few squares that they never tell a rate
        lambda p: dg.RAdam(0.05, (0.9, 0.6), parameters=p), "RAdam",
        {"lr": 0.05, "betas": (0.9, 0.6)},
    ),
    "radam_decoupled": (
        lambda p: dg.RAdam(0.05, weight_decay=0.5, decoupled_weight_decay=True, parameters=p),
        "RAdam", {"lr": 0.05, "weight_decay": 0.5, "decoupled_weight_decay": True},
    ),
}  # fmt: skip
"""By the name of the parameter that is the rule's: ours, PyTorch's name, its options."""

OWN: dict[str, Any] = {
    "lion": lambda p: dg.Lion(0.05, (0.8, 0.95), weight_decay=0.1, parameters=p),
    "lion_up": lambda p: dg.Lion(0.05, maximize=True, parameters=p),
    "slides": lambda p: dg.RMSprop(0.05, 0.9, 0.01, epsilon_in_root=True, parameters=p),
    "slides_momentum": lambda p: dg.RMSprop(
        0.05, 0.9, 0.01, 0.5, epsilon_in_root=True, centered=True, parameters=p
    ),
}
"""Those that PyTorch does not have."""

START = np.array([[1.0, -2.0, 0.5], [0.0, 0.3, -0.7]])


def program(target: Target) -> Any:
    x = dg.observed("x", ("B", 3), "float64")
    names = [*CASES, *OWN]
    weights = [dg.parameter(name, (2, 3), START, "float64") for name in names]
    costs = [dg.sum(dg.sin(w) * w) + dg.mean((x @ w.T) ** 2) for w in weights]
    total = costs[0]
    for item in costs[1:]:
        total = total + item
    every = {name: case[0] for name, case in CASES.items()} | OWN
    groups = [make(name) for name, make in every.items()]
    return dg.Diagram("rules", cost=total).compile(dg.ParameterGroups(*groups), target=target)


def data() -> Array:
    return np.random.default_rng(0).normal(size=(STEPS, 5, 3))


def pytorchs(name: str) -> list[Array]:
    """The parameter after every step."""
    torch = pytest.importorskip("torch")
    _, rule, options = CASES[name]
    w = torch.tensor(START.copy(), requires_grad=True)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)  # of what it keeps: NAdam's product
    try:
        optimizer = getattr(torch.optim, rule)([w], **options)
        found = []
        for x in data():
            optimizer.zero_grad()
            cost = (torch.sin(w) * w).sum() + ((torch.tensor(x) @ w.T) ** 2).mean()
            cost.backward()
            optimizer.step()
            found.append(w.detach().numpy().copy())
    finally:
        torch.set_default_dtype(before)
    return found


def slope(w: Array, x: Array) -> Array:
    product = x @ w.T
    return np.asarray(np.cos(w) * w + np.sin(w) + 2 * product.T @ x / product.size)


def papers(name: str) -> list[Array]:
    """The same, by the formulas of the papers and of the slide."""
    w, mean, square, middle, velocity = START.copy(), *np.zeros((4, *START.shape))
    found = []
    for x in data():
        g = slope(w, x)
        if name.startswith("lion"):
            near, far, decay = (0.8, 0.95, 0.1) if name == "lion" else (0.9, 0.99, 0.0)
            g = -g if name == "lion_up" else g
            w = w - 0.05 * (np.sign(near * mean + (1 - near) * g) + decay * w)
            mean = far * mean + (1 - far) * g
        else:
            square = 0.9 * square + 0.1 * g * g
            if name == "slides":
                w = w - 0.05 * g / np.sqrt(square + 0.01)
            else:
                middle = 0.9 * middle + 0.1 * g
                velocity = 0.5 * velocity + g / np.sqrt(square - middle**2 + 0.01)
                w = w - 0.05 * velocity
        found.append(w)
    return found


@pytest.mark.parametrize("target", TARGETS)
def test_ten_steps_are_those_of_pytorch_and_of_the_papers(target: Target) -> None:
    trained = program(target)
    expected = {name: papers(name) for name in OWN}
    expected |= {name: pytorchs(name) for name in CASES}
    for step, x in enumerate(data()):
        trained.step(x=x)
        for name, values in expected.items():
            np.testing.assert_allclose(
                trained.parameters[name], values[step], rtol=1e-9, atol=1e-11, err_msg=name
            )


def test_five_steps_and_five_from_a_file_are_ten(tmp_path: Path) -> None:
    whole, first, second = (program("cpu") for _ in range(3))
    for x in data():
        whole.step(x=x)
    for x in data()[:5]:
        first.step(x=x)
    first.save(tmp_path / "half.safetensors")
    second.load(tmp_path / "half.safetensors")
    for x in data()[5:]:
        second.step(x=x)
    for name, array in whole.states.items():
        np.testing.assert_array_equal(second.states[name], array, err_msg=name)
    assert whole.states["optimizer/10/momentum_product"] < 1.0  # of one nadam for all parameters
    assert (whole.states["optimizer/adagrad_decay/sum"] > 0.5).all()
