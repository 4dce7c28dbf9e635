"""diagrad: the mixture of experts."""

from __future__ import annotations

import diagrad as dg

from ...arrays import Arrays
from ...experts import EXPERTS, RATE, SIZES
from ..common import Job
from .jobs import compiled, training


def build(name: str, arrays: Arrays) -> Job:
    """The workload as a compiled diagram."""
    x = dg.observed("x", ("B", SIZES[0]))
    y = dg.observed("y", ("B",), dtype=dg.int32)
    experts = [
        dg.Chain(dg.Linear(*SIZES[:2]), dg.relu, dg.Linear(*SIZES[1:])) for _ in range(EXPERTS)
    ]
    moe = dg.MixtureOfExperts(experts, dg.Linear(SIZES[0], EXPERTS), name="moe")
    program = compiled(dg.Diagram(name, cost=dg.cross_entropy(moe(x), y)), dg.SGD(RATE))
    layers = {"gate": "g", "0": "0", "2": "1"}
    for path in program.parameters:
        layer, kind = path.split("/")[-2:]
        program.parameters[path] = arrays[f"{kind[0]}{layers[layer]}"]
    inputs = {key: arrays[key] for key in ("x", "y")}
    return training(program, inputs)
