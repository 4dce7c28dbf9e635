"""The schedules: their numbers, that a program uses the same ones, and their errors."""

import math
import re
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest

import diagrad as dg

from ..evaluating import TARGETS, Target

s = dg.schedules
CASES: dict[str, tuple[Any, Callable[[int], float]]] = {
    "constant": (s.constant(0.5), lambda t: 0.5),
    "step_decay": (s.step_decay(0.5, 3), lambda t: 0.5 * 0.1 ** (t // 3)),
    "step_decay half": (s.step_decay(2, every=1, factor=0.5), lambda t: 2 * 0.5**t),
    "exponential": (s.exponential(0.5, 0.9), lambda t: 0.5 * 0.9**t),
    "inverse_time": (s.inverse_time(0.5, 0.25), lambda t: 0.5 / (1 + 0.25 * t)),
    "cosine": (s.cosine(0.5, 6), lambda t: 0.25 * (1 + math.cos(math.pi * min(t / 6, 1)))),
    "cosine final": (
        s.cosine(0.5, 6, final=0.1),
        lambda t: 0.1 + 0.2 * (1 + math.cos(math.pi * min(t / 6, 1))),
    ),
    "warm_up": (
        s.warm_up(s.inverse_time(0.5, 0.25), 4),
        lambda t: 0.5 / (1 + 0.25 * t) * min((t + 1) / 4, 1),
    ),
    "warm_up of a number": (s.warm_up(0.5, 2), lambda t: 0.5 * min((t + 1) / 2, 1)),
}


@pytest.mark.parametrize("name", CASES)
def test_the_number_at_a_step(name: str) -> None:
    schedule, expected = CASES[name]
    for step in (0, 1, 2, 3, 5, 6, 7, 100):
        assert schedule(step) == pytest.approx(expected(step), rel=1e-12, abs=1e-16)
        assert type(schedule(step)) is float


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", CASES)
def test_a_program_uses_the_same_numbers(name: str, target: Target) -> None:
    schedule, _ = CASES[name]
    w = dg.parameter("w", (1,), dtype="float64")
    x = dg.observed("x", (1,), "float64")
    program = dg.Diagram("test", cost=dg.sum(w * x)).compile(
        optimizer=dg.SGD(schedule), target=target
    )
    at = 0.0
    for step in range(8):
        program.step(x=np.ones(1))
        assert at - program.parameters["w"][0] == pytest.approx(schedule(step), rel=1e-9, abs=1e-12)
        at = float(program.parameters["w"][0])


def test_a_schedule_is_drawn_as_one_bullet() -> None:
    step = dg.constant(3, "int64")
    rate: Any = s.cosine(0.1, 10)(step)
    assert rate.producer.label == "cosine"
    assert (rate.dtype, rate.shape) == ("float64", ())


def test_a_function_of_the_step_is_a_schedule() -> None:
    def triangle(step: Any) -> Any:
        return dg.maximum(1.0 - step / 10.0, 0.0)

    schedule = dg.SGD(triangle).schedule
    assert [schedule(t) for t in (0, 5, 20)] == [1.0, 0.5, 0.0]
    assert schedule.describe() == "triangle"


FORMULAS: dict[str, tuple[Callable[[Any], Any], list[float]]] = {
    "where": (lambda step: dg.where(step < 2, 0.1, 0.01), [0.1, 0.1, 0.01, 0.01]),
    "number": (lambda step: 0.1, [0.1] * 4),
    "whole numbers": (lambda step: dg.where(step < 2, 1, 0), [1, 1, 0, 0]),
    "table": (lambda step: dg.take([0.4, 0.3, 0.2, 0.1], step.astype("int64")),
              [0.4, 0.3, 0.2, 0.1]),
    "float32": (lambda step: step.astype("float32") / 4, [0, 0.25, 0.5, 0.75]),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("optimizer", [dg.SGD, dg.RMSprop, dg.Adam, dg.AdamW])
def test_a_function_may_give_numbers_of_any_dtype(optimizer: Any, name: str) -> None:
    """They are float64 to all digits, alone and under `warm_up`, for every optimizer."""
    formula, wanted = FORMULAS[name]
    assert [dg.SGD(formula).schedule(t) for t in range(4)] == wanted
    warm = s.warm_up(formula, 2)
    assert [warm(t) for t in range(4)] == [w * min((t + 1) / 2, 1) for t, w in enumerate(wanted)]
    for dtype in ("float32", "float64"):
        w, x = dg.parameter("w", (2,), init=1.0, dtype=dtype), dg.observed("x", (2,), dtype)
        program = dg.Diagram("test", cost=dg.sum(w * x)).compile(optimizer(warm))
        program.step(x=np.ones(2, dtype))
        assert np.isfinite(program.parameters["w"]).all()


@pytest.mark.parametrize("rate", [np.float32(0.25), np.float64(0.25), np.array(0.25), np.int64(2)])
def test_numpys_numbers_are_rates(rate: Any) -> None:
    for schedule in (dg.SGD(rate).schedule, s.warm_up(rate, 1)):
        assert schedule(3) == float(rate)


RATE = "to be a number of 0 or more, got -1"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: s.constant(-1), f"constant expects a learning rate {RATE}"),
        (lambda: s.step_decay(0.1, 0), "step_decay expects every to be a number above 0, got 0"),
        (
            lambda: s.step_decay(0.1, 5, 0.0),
            "step_decay expects factor to be a number above 0, got 0.0",
        ),
        (
            lambda: s.exponential(0.1, 0.0),
            "exponential expects rate to be a number above 0, got 0.0",
        ),
        (lambda: s.inverse_time(0.1, -1), f"inverse_time expects decay {RATE}"),
        (lambda: s.cosine(0.1, 0), "cosine expects steps to be a number above 0, got 0"),
        (lambda: s.cosine(0.1, 5, -1), f"cosine expects final {RATE}"),
        (lambda: s.warm_up(0.1, 0), "warm_up expects steps to be a number above 0, got 0"),
        (
            lambda: s.warm_up(0.1, cast(Any, "a")),
            "warm_up expects steps to be a number above 0, got 'a'",
        ),
        (
            lambda: s.constant(0.1)(-1),
            "constant expects the count of steps to be an integer of 0 or more, got -1",
        ),
        (
            lambda: s.constant(0.1)(cast(Any, 0.5)),
            "constant expects the count of steps to be an integer of 0 or more, got 0.5",
        ),
        (
            lambda: dg.SGD(cast(Any, lambda: 0.1)),
            "SGD's schedule <lambda>, called with the count of steps, expects nothing, got 1 "
            "argument: too many positional arguments",
        ),
        (
            lambda: dg.Adam(cast(Any, dg.Linear(3, 3).parameters)),
            "Adam's schedule parameters, called with the count of steps, expects nothing, got 1 "
            "argument: too many positional arguments",
        ),
        *(
            (
                lambda value=value: dg.SGD(lambda step: value).schedule(0),
                "schedule <lambda> expects the rate that its function gives to be a number of 0 "
                f"or more, got {text}",
            )
            for value, text in (
                (None, "None"),
                ("a", "'a'"),
                (-0.1, "-0.1"),
                (np.float32(-1), "-1.0"),
                (float("nan"), "nan"),
                ([0.1], "a list"),
                (True, "True"),
            )
        ),
    ],
)
def test_arguments_out_of_range(make: Callable[[], Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError)) as error:
        make()
    assert re.sub(r" \(test_schedules.py:\d+\)", "", str(error.value)) == message
