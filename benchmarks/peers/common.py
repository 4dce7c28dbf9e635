"""What every peer gives the measuring process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ..attention import ATTENTIONS
from ..convnets import CONVNETS
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
}


def kind_of(name: str) -> str:
    """The file of a peer that builds a workload."""
    return next((kind for kind, names in _KINDS.items() if name in names), "plain")


@dataclass
class Job:
    """A workload, ready to run in one system.

    step    makes one step and waits for its result
    many    makes n steps one after another and waits once, at the end
    result  numbers that every peer must agree on, from the state that the steps so far have left
    passes  parts of a step by name that are also timed by themselves, each waited for
    """

    step: Callable[[], object]
    many: Callable[[int], None]
    result: Callable[[], list[float]]
    passes: dict[str, Callable[[], object]] = field(default_factory=dict)


def repeated(step: Callable[[], object]) -> Callable[[int], None]:
    """`many` for a system whose every step is waited for."""

    def many(count: int) -> None:
        for _ in range(count):
            step()

    return many


def training(step: Callable[[], float]) -> Job:
    """Steps that train, each of which gives its cost; the first five must agree."""
    costs: list[float] = []

    def one() -> float:
        cost = step()
        if len(costs) < 5:
            costs.append(cost)
        return cost

    return Job(one, repeated(one), lambda: costs[:5])
