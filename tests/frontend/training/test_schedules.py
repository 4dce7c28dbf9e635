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
    "multi_step": (s.multi_step(0.5, [2, 5], 0.25), lambda t: 0.5 * 0.25 ** ((t >= 2) + (t >= 5))),
    "polynomial": (s.polynomial(0.5, 6), lambda t: 0.5 * (1 - min(t / 6, 1))),
    "polynomial power": (
        s.polynomial(0.5, 6, power=0.9, final=0.1),
        lambda t: 0.1 + 0.4 * (1 - min(t / 6, 1)) ** 0.9,
    ),
    "warm_restarts": (
        s.warm_restarts(0.5, 3),
        lambda t: 0.25 * (1 + math.cos(math.pi * (t % 3) / 3)),
    ),
    "cyclic": (s.cyclic(0.1, 0.5, 3), lambda t: 0.1 + 0.4 * (1 - abs(t % 6 - 3) / 3)),
    "sequence": (
        s.sequence([s.exponential(0.5, 0.5), 0.25, s.inverse_time(0.5, 1)], [2, 5]),
        lambda t: 0.5 * 0.5**t if t < 2 else 0.25 if t < 5 else 0.5 / (1 + t - 5),
    ),
    "composed": (
        s.warm_up(lambda step: s.cyclic(0, 0.5, 2)(step) * s.exponential(1, 0.5)(step) + 0.1, 4),
        lambda t: (0.5 * (1 - abs(t % 4 - 2) / 2) * 0.5**t + 0.1) * min((t + 1) / 4, 1),
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


PYTORCHS: dict[str, tuple[Any, str, dict[str, Any]]] = {
    "multi_step": (s.multi_step(0.5, [3, 5], 0.5), "MultiStepLR",
                   {"milestones": [3, 5], "gamma": 0.5}),
    "polynomial": (s.polynomial(0.5, 9, 2), "PolynomialLR", {"total_iters": 9, "power": 2}),
    "restarts": (s.warm_restarts(0.5, 5, final=0.1), "CosineAnnealingWarmRestarts",
                 {"T_0": 5, "eta_min": 0.1}),
    "longer": (s.warm_restarts(0.5, 3, 2), "CosineAnnealingWarmRestarts", {"T_0": 3, "T_mult": 2}),
    "longer by 3": (s.warm_restarts(0.5, 1, 3), "CosineAnnealingWarmRestarts",
                    {"T_0": 1, "T_mult": 3}),
    "one_cycle": (s.one_cycle(0.5, 130), "OneCycleLR", {"max_lr": 0.5, "total_steps": 130}),
    "one_cycle linear": (
        s.one_cycle(0.5, 130, 0.25, 0.1, 0.001, linear=True), "OneCycleLR",
        {"max_lr": 0.5, "total_steps": 130, "pct_start": 0.25, "div_factor": 10,
         "final_div_factor": 100, "anneal_strategy": "linear"},
    ),
    "cyclic": (s.cyclic(0.1, 0.5, 4, 2), "CyclicLR",
               {"base_lr": 0.1, "max_lr": 0.5, "step_size_up": 4, "step_size_down": 2}),
    "triangular2": (s.cyclic(0.1, 0.5, 3, decay=0.5), "CyclicLR",
                    {"base_lr": 0.1, "max_lr": 0.5, "step_size_up": 3, "mode": "triangular2"}),
}  # fmt: skip
LAST = 130


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_schedules_of_pytorch() -> None:
    """All in one program, at every step of a long training; also after the end of a cycle."""
    torch = pytest.importorskip("torch")
    step = dg.observed("step", (), "int64")
    program = dg.Diagram("rates", {name: case[0](step) for name, case in PYTORCHS.items()}).compile(
        target="cpu"
    )
    found = [program.run(step=t) for t in range(LAST)]
    for name, (schedule, scheduler, options) in PYTORCHS.items():
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
        other = getattr(torch.optim.lr_scheduler, scheduler)(optimizer, **options)
        for t in range(LAST):
            expected = optimizer.param_groups[0]["lr"]
            assert found[t][name] == pytest.approx(expected, rel=1e-9, abs=1e-12), (name, t)
            if t % 13 == 0:
                assert schedule(t) == pytest.approx(expected, rel=1e-9, abs=1e-12), (name, t)
            optimizer.step()
            other.step()


def test_after_the_last_step_of_a_cycle_the_rate_stays() -> None:
    assert s.one_cycle(0.5, 10)(9) == pytest.approx(0.5 * 4e-6)
    for schedule in (s.one_cycle(0.5, 10, last=0.01), s.polynomial(0.5, 10, final=0.005)):
        assert schedule(1000) == pytest.approx(0.005)


def test_restarts_at_whole_steps_far_away() -> None:
    """Cycles that begin at 7 (3 ** n - 1) / 2: no step falls into the one before."""
    schedule = s.warm_restarts(1.0, 7, 3)
    for n in range(20):
        begins = 7 * (3**n - 1) // 2
        assert schedule(begins) == 1.0
        assert begins == 0 or schedule(begins - 1) < 0.1


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
        (
            lambda: s.multi_step(0.1, [5, 3]),
            "multi_step expects rising milestones, got [5, 3]",
        ),
        (
            lambda: s.multi_step(0.1, cast(Any, 3)),
            "multi_step expects milestones to be a list of integers, got 3",
        ),
        (
            lambda: s.multi_step(0.1, [0]),
            "multi_step expects a milestone to be an integer of 1 or more, got 0",
        ),
        (
            lambda: s.polynomial(0.1, 5, power=0),
            "polynomial expects power to be a number above 0, got 0",
        ),
        (
            lambda: s.warm_restarts(0.1, 5, cast(Any, 1.5)),
            "warm_restarts expects factor to be an integer of 1 or more, got 1.5",
        ),
        (
            lambda: s.one_cycle(0.1, 10, rising=1.0),
            "one_cycle expects rising to be a number above 0 and below 1, got 1.0",
        ),
        (
            lambda: s.one_cycle(0.1, 10, rising=0.1),
            "one_cycle expects a rise of more than one step, got 0.1 of 10 steps",
        ),
        (lambda: s.cyclic(0.1, 0.2, 0), "cyclic expects up to be an integer of 1 or more, got 0"),
        (
            lambda: s.cyclic(0.1, 0.2, 1, decay=0),
            "cyclic expects decay to be a number above 0, got 0",
        ),
        (
            lambda: s.sequence([0.1, 0.2], [1, 2]),
            "sequence expects one milestone fewer than schedules, got 2 for 2",
        ),
        (
            lambda: s.sequence([0.1, cast(Any, "a")], [1]),
            "sequence expects a learning rate that is a number or a schedule of dg.schedules, "
            "got 'a'",
        ),
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
