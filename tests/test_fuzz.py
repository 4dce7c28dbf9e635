"""Random diagrams against the oracle: fixed seeds here, any number by `python -m tests.fuzz`.

The fuzzer is tested too: faults that are put into a pass or a rule are found, and made small.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from diagrad.compiler.primitives.record import PRIMITIVES
from diagrad.runtime.building.cache import Cache, cache_in_use, use_cache

from .fuzz.campaign import campaign, plan_from
from .fuzz.checking import Fault, fault_of
from .fuzz.growth import GROWTH, NAMES, build
from .fuzz.plan import Plan, random_plan
from .fuzz.shrinking import shrink

PROGRAMS, GROUPS = 240, 24


@pytest.mark.parametrize("group", range(GROUPS))
def test_random_diagrams_are_right(group: int) -> None:
    for seed in range(group, PROGRAMS, GROUPS):
        plan = random_plan(seed, NAMES)
        fault = fault_of(plan)
        assert fault is None, f"seed {seed}: {fault.kind}\n{fault.text}\n{plan}"


@pytest.mark.parametrize("name", NAMES)
def test_every_operation_is_drawn(name: str) -> None:
    """Each row of the table makes a variable in some of the first plans that name it."""
    made: list[bool] = []
    for seed in range(60):
        plan = random_plan(seed, (name,))
        kept = GROWTH[name]
        try:
            GROWTH[name] = lambda d, kept=kept: _noted(made, kept(d))  # type: ignore[misc]
            build(plan)
        finally:
            GROWTH[name] = kept
        if any(made):
            return
    pytest.fail(f"{name} never makes a variable")


def _noted(made: list[bool], result: Any) -> Any:
    several = result if isinstance(result, tuple) else (result,)
    made.append(any(v is not None and not v.mistakes for v in several))
    return result


def test_a_plan_survives_json() -> None:
    plan = random_plan(3, NAMES)
    assert plan_from(asdict(plan)) == plan
    assert random_plan(3, NAMES) == plan != random_plan(4, NAMES)


def made_wrong(plan: Plan) -> Plan:
    """A plan of one tanh of a (B, 5) input."""
    operations = (("unary", (0,)), ("unary", (2,)))
    return replace(plan, dtype="float64", inputs=(0,), extents=(5, 3), operations=operations)


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[None]:
    """A cache of programs of its own: a wrong pass makes wrong ones."""
    before = cache_in_use()
    use_cache(Cache(tmp_path))
    yield
    use_cache(before)


@pytest.mark.usefixtures("alone")
def test_a_wrong_rule_of_simplify_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both targets run the simplified graph, and agree; the oracle does not."""
    simplify = importlib.import_module("diagrad.compiler.passes.simplify.simplify")
    wrong = {**simplify.RULES, "sin": (lambda b, n: b.apply("tanh", *n.inputs),)}
    monkeypatch.setattr(simplify, "RULES", wrong)
    fault = fault_of(made_wrong(random_plan(0, NAMES)))
    assert fault is not None and fault.kind == "value of o on reference"


@pytest.mark.usefixtures("alone")
def test_a_wrong_rule_of_derivatives_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Oracle and targets share the rule, and agree; the difference quotient does not."""
    reverse = importlib.import_module("diagrad.compiler.graphs.reverse")
    wrong = replace(PRIMITIVES["sin"], vjp=lambda b, n, c: (b.mul(c, n),))
    monkeypatch.setattr(
        reverse, "lookup", lambda name: wrong if name == "sin" else PRIMITIVES[name]
    )
    fault = fault_of(made_wrong(random_plan(0, NAMES)))
    assert fault is not None and fault.kind == "derivative of cost"


def test_a_fault_is_made_small() -> None:
    """Only what the fault needs is left."""

    def broken(plan: Plan) -> Fault | None:
        names = [name for name, _ in plan.operations]
        hit = "loop" in names and "view" in names[names.index("loop") :] and plan.extents[0] > 1
        return Fault("broken", "") if hit else None

    seed = next(seed for seed in range(1000) if broken(random_plan(seed, NAMES)))
    small, fault = shrink(random_plan(seed, NAMES), Fault("broken", ""), broken)
    assert [name for name, _ in small.operations] == ["loop", "view"]
    assert small.extents == (2, 1) and len(small.inputs) == 1 and not small.second
    assert not any(number for _, numbers in small.operations for number in numbers)
    assert fault.kind == "broken"


def test_processes_check_programs() -> None:
    """Every seed comes back once, from whichever process."""
    found = list(campaign(first=0, programs=3, jobs=2, minutes=None, shrinking=0))
    assert sorted(seed for _, seed, _ in found) == [0, 1, 2]
    assert [done for done, _, _ in found] == [1, 2, 3]
