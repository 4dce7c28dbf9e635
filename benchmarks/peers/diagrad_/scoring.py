"""diagrad: the forward score of a finite-state machine."""

from __future__ import annotations

import diagrad as dg

from ...arrays import Arrays
from ...scoring import STATES, agreeing
from ..common import Job
from .jobs import compiled, operation


def build(name: str, arrays: Arrays) -> Job:
    """The workload as a compiled diagram."""
    x = dg.observed("x", ("T", "B", STATES))
    chain = [(i, j, j) for i in range(STATES) for j in range(STATES)]
    machine = dg.wfsm(STATES, chain, weights=True, name="machine")
    score = dg.sum(machine(x))
    slopes = dg.gradient(score, [x, machine.weights])
    program = compiled(dg.Diagram("viterbi", {"c": score, "x": slopes[0], "w": slopes[1]}))
    program.parameters["machine/weights"] = arrays["w"].reshape(-1)
    inputs = {"x": arrays["x"]}
    return operation(program, inputs, lambda held: agreeing(*(held[k] for k in "cxw")))
