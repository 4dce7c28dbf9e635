"""`program.learning_rate`: read, set while training, kept in a file; and what cannot be set."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ..evaluating import TARGETS, Target


def line(optimizer: Any, target: Target = "reference", **options: Any) -> Any:
    """A cost whose gradient is the input: w moves by rate * x."""
    x, w = dg.observed("x", ()), dg.parameter("w", (), init=0.0)
    diagram = dg.Diagram("line", cost=w * x)
    return diagram.compile(optimizer, target=target, **options)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_rate_is_read_and_set(target: Target, dtype: Any) -> None:
    program = line(dg.SGD(dg.schedules.exponential(1.0, 0.5)), target, dtype=dtype)
    expected, rates = 0.0, []
    for step in range(6):
        if step == 2:
            program.learning_rate = 0.1
        if step == 4:
            program.learning_rate = None
        rates.append(program.learning_rate)
        program.step(x=1.0)
        expected -= rates[-1]
        assert program.parameters["w"] == pytest.approx(expected, rel=1e-6)
    assert rates == [1.0, 0.5, 0.1, 0.1, 0.0625, 0.03125]


@pytest.mark.parametrize("name", ["Adam", "AdamW", "RMSprop", "momentum"])
def test_the_rates_of_pytorch(name: str) -> None:
    """Set at every step, against torch.optim with `param_groups[0]["lr"]` set."""
    torch = pytest.importorskip("torch")
    ours = dg.SGD(0.5, momentum=0.9) if name == "momentum" else getattr(dg, name)(0.5)
    start = np.array([1.0, -2.0, 0.5])
    x, w = dg.observed("x", (3,), dg.float64), dg.parameter("w", (3,), start, dg.float64)
    program = dg.Diagram("d", cost=dg.sum(w * w * x)).compile(ours)
    weight = torch.tensor(start, requires_grad=True)
    more: Any = {"momentum": 0.9} if name == "momentum" else {}
    other = getattr(torch.optim, "SGD" if more else name)([weight], lr=0.5, **more)
    rng = np.random.default_rng(0)
    compiled = None
    # PyTorch's momentum of SGD does not hold the rate, and neither does ours.
    for rate in (0.5, 0.2, 0.0, 0.3):
        program.learning_rate = other.param_groups[0]["lr"] = rate
        given = rng.normal(size=3)
        program.step(x=given)
        other.zero_grad()
        (weight * weight * torch.tensor(given)).sum().backward()
        other.step()
        np.testing.assert_allclose(program.parameters["w"], weight.detach().numpy(), rtol=1e-6)
        compiled = compiled or program.kernels
        assert program.kernels == compiled  # nothing is compiled for another rate


def test_a_rate_that_was_set_is_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "line.safetensors"
    first = line(dg.SGD(0.5))
    first.save(path)
    second = line(dg.SGD(0.25))
    second.load(path)
    assert second.learning_rate == 0.25  # nothing was set: that of its own optimizer
    first.learning_rate = 0.1
    first.save(path)
    second.load(path)
    assert second.learning_rate == 0.1
    second.learning_rate = None
    second.load(path, parameters_only=True)
    assert second.learning_rate == 0.25


def test_a_file_from_before_rates_could_be_set(tmp_path: Path) -> None:
    from safetensors import safe_open
    from safetensors.numpy import load_file, save_file

    path = tmp_path / "line.safetensors"
    program = line(dg.SGD(0.5))
    program.learning_rate = 0.1
    program.save(path)
    with safe_open(path, "np") as file:
        notes = file.metadata()
    arrays = load_file(path)
    del arrays["optimizer/learning_rate"]
    save_file(arrays, path, notes)
    program.load(path)
    assert program.learning_rate == 0.5


def test_a_copy_has_a_rate_of_its_own() -> None:
    from copy import copy, deepcopy

    program = line(dg.SGD(0.5))
    twin, apart = copy(program), deepcopy(program)
    program.learning_rate = 0.1
    assert (twin.learning_rate, apart.learning_rate) == (0.1, 0.5)


def message(item: Any, name: str, value: Any) -> str:
    with pytest.raises((AttributeError, TypeError, ValueError)) as error:
        setattr(item, name, value)
    return str(error.value)


def test_what_is_no_rate() -> None:
    program = line(dg.SGD(0.5))
    for value, told in (
        (-1, "expects learning_rate to be a number of 0 or more, got -1"),
        (float("nan"), "expects learning_rate to be a number of 0 or more, got nan"),
        ("fast", "expects learning_rate to be a number of 0 or more, got 'fast'"),
        (
            dg.schedules.constant(0.1),
            "expects learning_rate to be a number, or None for what its optimizer says, got a "
            "Schedule: compile the diagram with an optimizer of that schedule",
        ),
    ):
        text = message(program, "learning_rate", value)
        assert text.startswith("program 'line' (test_learning_rate.py:")
        assert text.endswith(f") {told}")
    assert program.learning_rate == 0.5
    with pytest.raises(dg.InputError, match="program 'line' has no optimizer"):
        print(line(None).learning_rate)

    class Own:
        trained = dg.SGD(0.5).trained

        def draw(self, parameters: Any, gradients: Any, step: Any) -> Any:
            return parameters, []

    assert message(line(Own()), "learning_rate", 0.1) == (
        "program 'line' has an optimizer without a learning rate, an Own: one of dg.Optimizer has "
        "one"
    )


def test_no_other_attribute_is_set_in_silence() -> None:
    program = line(dg.SGD(0.5))
    shown = repr(program)
    assert shown == (
        "<Program line on reference: 1 free parameters, SGD(learning_rate=0.5, momentum=0.0, "
        "nesterov=False, weight_decay=0.0), 0 steps made>"
    )
    assert message(program, "lr", 0.1) == (
        f"{shown} has no attribute 'lr' to set: learning_rate is what it has"
    )
    again = "compile the diagram once more, with another one"
    assert message(program, "optimizer", dg.SGD(0.1)) == (
        f"{shown} cannot change its optimizer: {again}"
    )
    assert message(program, "threads", 2) == f"{shown} cannot change its threads: {again}"
    diagram = program.diagram
    assert message(diagram, "cost", None) == (
        f"{diagram!r} cannot change its cost: draw another diagram"
    )
    assert message(diagram, "zzz", None) == f"{diagram!r} has no attribute 'zzz' to set"


def test_inputs_without_names() -> None:
    program = line(dg.SGD(0.5))
    for method in ("step", "run"):
        with pytest.raises(TypeError) as error:
            getattr(program, method)(1.0, x=1.0)
        names = "x=..." if method == "step" else ""
        text = str(error.value)
        assert text.startswith(f"{method} of 'line' (test_learning_rate.py:")
        assert text.endswith(f") expects inputs by name, got 1 without: program.{method}({names})")
    with pytest.raises(TypeError) as error:
        line(dg.SGD)
    assert str(error.value).endswith(
        "expects an optimizer such as dg.Adam(1e-3), got the class SGD: make one, as SGD(...)"
    )
