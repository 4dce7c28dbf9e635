"""What every peer gives the measuring process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from ..arrays import Arrays
from ..attention import ATTENTIONS
from ..convnets import CONVNETS
from ..functions import FUNCTIONS
from ..hypernets import HYPERNETS
from ..recurrent import NETS

_KINDS = {
    "recurrent": (*NETS, "neural_ode"),
    "hypernets": (*HYPERNETS,),
    "convnets": (*CONVNETS,),
    "attention": (*ATTENTIONS,),
    "experts": ("moe",),
    "generation": ("generate",),
    "scoring": ("viterbi",),
    "functions": (*FUNCTIONS,),
}


def kind_of(name: str) -> str:
    """The file of a peer that builds a workload."""
    return next((kind for kind, names in _KINDS.items() if name in names), "plain")


@dataclass(frozen=True)
class Call:
    """What diagrad is asked for in a step: a method of a program, and the arrays it is given."""

    program: Any
    method: Literal["step", "run"]
    inputs: Arrays
    resident: bool
    """Whether on a GPU these lie there already, and the results stay there."""


@dataclass
class Job:
    """A workload, ready to run in one system.

    step    makes one step and waits for its result
    many    makes n steps one after another and waits once, at the end
    result  numbers that every peer must agree on, from the state that the steps so far have left
    passes  parts of a step by name that are also timed by themselves, each waited for
    calls   for diagrad, a function that gives what a step asks its programs for
    """

    step: Callable[[], object]
    many: Callable[[int], None]
    result: Callable[[], list[float]]
    passes: dict[str, Callable[[], object]] = field(default_factory=dict)
    calls: Callable[[], list[Call]] = list


def repeated(step: Callable[[], object]) -> Callable[[int], None]:
    """`many` for a system whose every step is waited for."""

    def many(count: int) -> None:
        for _ in range(count):
            step()

    return many


def waited(job: Job, wait: Callable[[], object]) -> Job:
    """The same job of a system that only asks for work: each step, or all of them, and a wait."""

    def before(work: Callable[..., object]) -> Callable[..., object]:
        def both(*given: int) -> object:
            answer = work(*given)
            wait()
            return answer

        return both

    passes = {name: before(one) for name, one in job.passes.items()}
    return Job(before(job.step), before(job.many), job.result, passes)  # type: ignore[arg-type]


def training(step: Callable[[], float]) -> Job:
    """Steps that train, each of which gives its cost; the first five must agree."""
    costs: list[float] = []

    def one() -> float:
        cost = step()
        if len(costs) < 5:
            costs.append(cost)
        return cost

    return Job(one, repeated(one), lambda: costs[:5])
