"""What must hold of every random diagram, and how a fault is told."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

import diagrad as dg

from ..compiler.memory.round_trip import read_again
from .growth import Case, build
from .oracle import Oracle, slopes_differ
from .plan import Plan

Array = npt.NDArray[Any]
TOLERANCE = {"float64": 1e-9, "float32": 1e-3}
NUDGE = {"float64": 1e-13, "float32": 1e-5}
STEPS = 2


@dataclass(frozen=True)
class Fault:
    """What is wrong with a diagram: a kind, by which shrinking knows it again, and more."""

    kind: str
    text: str


class _FaultError(Exception):
    """A fault, on its way out of the checks."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(f"{kind}: {text}")
        self.fault = Fault(kind, text)


def fault_of(plan: Plan) -> Fault | None:
    """What is wrong with the diagram of a plan, if anything is."""
    try:
        check(build(plan))
    except _FaultError as found:
        return found.fault
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{where.filename.rpartition('/')[2]}:{where.name}"
        return Fault(f"{type(error).__name__} at {place}", traceback.format_exc(limit=-6))
    return None


def check(case: Case) -> None:
    """Values, gradients and steps of a case on both targets, against the oracle."""
    optimizer = dg.SGD(0.1, momentum=0.5)
    seed = case.plan.seed  # which also says how many steps of a loop are one turn of it
    cpu = case.diagram.compile(optimizer, "cpu", unroll=2 if seed % 4 == 3 else 1)
    reference = case.diagram.compile(optimizer, "reference", unroll=1 + seed % 3)
    for execution in cpu.executions():
        read_again(execution.interface, execution.template())
    assert case.diagram.cost is not None
    outputs = {**case.diagram.outputs, "cost": case.diagram.cost}
    values = Oracle(case.diagram.lower(outputs))
    step = Oracle(cpu.executions()[0].lowered)
    for batch in case.plan.batches:
        inputs, sizes = given(case, values, batch), case.drawing.sizes(batch)
        wanted, room = _values_and_room(case, values, inputs, cpu.states, sizes)
        for program in (reference, cpu):
            _compare(f"{program.target}, B={batch}", program.run(**inputs), wanted, room)
        _differences(case, values, wanted, inputs, cpu.states, sizes)
    _compare_threads(cpu, [given(case, values, b) for b in (*case.plan.batches, 1, 5)])
    _steps(case, cpu, reference, step)


def given(case: Case, oracle: Oracle, batch: int) -> dict[str, Array]:
    """Values for what the oracle's graph reads."""
    values = case.inputs(batch)
    return {name: values[name] for name in oracle.inputs}


def _values_and_room(
    case: Case,
    oracle: Oracle,
    inputs: Mapping[str, Array],
    states: Mapping[str, Array],
    sizes: Mapping[str, int],
) -> tuple[dict[str, Array], dict[str, Array]]:
    """What the oracle gives, and by how much another way of rounding may differ from it.

    The room is a tolerance and what a nudge of the inputs changes: near a kink, or where values
    grow without bound, rounding alone makes another result.
    """
    dtype = case.plan.dtype
    wanted, _ = oracle(inputs, states, sizes)
    rng = np.random.default_rng(0)
    room = {name: TOLERANCE[dtype] * (1 + _scale(a)) for name, a in wanted.items()}
    for _ in range(2):
        found, _ = oracle(_nudged(inputs, dtype, rng), _nudged(states, dtype, rng), sizes)
        for name, a in found.items():
            with np.errstate(invalid="ignore"):
                change = np.abs(a - wanted[name]).max(initial=0)
            room[name] = room[name] + 100 * (change if np.isfinite(change) else 0)
    return wanted, room


def _nudged(arrays: Mapping[str, Array], dtype: str, rng: np.random.Generator) -> dict[str, Array]:
    """The floats among some arrays, each moved by a little."""
    return {
        name: np.asarray(
            a * (1 + NUDGE[dtype] * rng.uniform(-1, 1, a.shape)) if a.dtype == dtype else a,
            a.dtype,
        )
        for name, a in arrays.items()
    }


def _scale(a: Array) -> Any:
    finite = np.abs(a[np.isfinite(a)])
    return finite.max(initial=0)


def _compare(
    place: str, got: Mapping[str, Array], wanted: Mapping[str, Array], room: Mapping[str, Any]
) -> None:
    for name, value in wanted.items():
        if name not in got:
            raise _FaultError(f"missing {name[0]}", f"{place}: no value for {name}")
        mine = got[name]
        if mine.shape != value.shape or mine.dtype != value.dtype:
            raise _FaultError(
                "type", f"{place}: {name} {mine.dtype} {mine.shape}, not {value.shape}"
            )
        with np.errstate(invalid="ignore"):
            close = (np.abs(mine - value) <= room[name]) | (mine == value)
        close |= np.isnan(mine) & np.isnan(value)
        if not close.all():
            index = tuple(int(i) for i in np.argwhere(~close)[0])
            kind = f"value of {name[0]}" + ("" if place.startswith("cpu") else " on reference")
            raise _FaultError(
                kind,
                f"{place}: {name} {value.dtype} {value.shape}, {(~close).sum()} elements differ, "
                f"first at {index}: {mine[index]!r}, expected {value[index]!r} +- {room[name]:.2g}",
            )


def _differences(
    case: Case,
    oracle: Oracle,
    wanted: Mapping[str, Array],
    inputs: Mapping[str, Array],
    states: Mapping[str, Array],
    sizes: Mapping[str, int],
) -> None:
    """First and second derivatives of the oracle against difference quotients of its values."""
    if case.plan.dtype != "float64" or case.drawing.truncated:
        return
    rng = np.random.default_rng(1)
    arrays = {**inputs, **states}
    along = {
        name: inputs[case.directions[name]] if case.directions else rng.normal(size=a.shape)
        for name, a in arrays.items()
        if name in case.seeded
    }
    orders = [("cost", "g_"), *([("slope", "h_")] if case.plan.second else [])]
    for value, prefix in orders:
        slope = sum(float((wanted[prefix + name] * v).sum()) for name, v in along.items())
        found = slopes_differ(oracle, inputs, states, sizes, value, slope, along)
        if found is not None:
            raise _FaultError(
                f"derivative of {value}",
                f"B={sizes['B']}: {found[0]!r} is not the difference quotient {found[1]!r}",
            )


def _compare_threads(program: dg.Program, calls: list[dict[str, Array]]) -> None:
    """Runs of several sizes from several threads give what each gives alone, bit for bit."""
    alone = [program.run(**inputs) for inputs in calls]
    with ThreadPoolExecutor(len(calls)) as pool:
        together = list(pool.map(lambda inputs: program.run(**inputs), calls * 2))
    for place, (mine, value) in enumerate(zip(together, alone * 2, strict=True)):
        for name, array in value.items():
            if mine[name].tobytes() != array.tobytes():
                raise _FaultError("threads", f"run {place} of several threads differs in {name}")


def _steps(case: Case, cpu: dg.Program, reference: dg.Program, oracle: Oracle) -> None:
    """The states after some steps, the optimizer's among them."""
    batch = max(case.plan.batches)
    if batch == 0:
        return
    inputs, sizes = given(case, oracle, batch), case.drawing.sizes(batch)
    states = {name: np.array(a) for name, a in cpu.states.items()}
    for number in range(STEPS):
        wanted, room = _values_and_room(case, oracle, inputs, states, sizes)
        if not np.isfinite(wanted["cost"]):
            return
        _, after = oracle(inputs, states, sizes)
        nudged = _nudged(states, case.plan.dtype, np.random.default_rng(0))
        _, near = oracle(inputs, nudged, sizes)
        spread = {
            name: TOLERANCE[case.plan.dtype] * (1 + _scale(a)) + 100 * _scale(near[name] - a)
            for name, a in after.items()
            if a.dtype == case.plan.dtype
        }
        for program in (reference, cpu):
            cost = program.step(**inputs)
            place = f"{program.target}, step {number}"
            _compare(place, {"cost": np.asarray(cost, wanted["cost"].dtype)}, wanted, room)
            mine = {name: np.array(program.states[name]) for name in spread}
            _compare(f"{place}, states", mine, {n: after[n] for n in spread}, spread)
        for name in cpu.states:  # what follows starts from the same values
            cpu.states[name][...] = reference.states[name][...] = after.get(name, states[name])
        states |= after
