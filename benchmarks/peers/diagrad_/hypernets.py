"""diagrad: the hypernetworks."""

from __future__ import annotations

import diagrad as dg

from ...arrays import Arrays
from ...hypernets import HYPER, HYPERNETS, MAIN, RATE
from ..common import Job
from .jobs import compiled, training


def build(name: str, arrays: Arrays) -> Job:
    """The workload as a compiled diagram."""
    x = dg.observed("x", ("B", MAIN[0]))
    y = dg.observed("y", ("B",), dtype=dg.int32)
    context = dg.observed("context", ("B", HYPER[0]) if HYPERNETS[name] else (HYPER[0],))
    main = dg.Chain(dg.Linear(*MAIN[:2]), dg.relu, dg.Linear(*MAIN[1:]), name="main")
    hyper = dg.Chain(dg.Linear(*HYPER[:2]), dg.relu, dg.Linear(*HYPER[1:]), name="hyper")
    scores = dg.Hypernetwork(hyper, main, name="net")(x, context=context)
    program = compiled(dg.Diagram(name, cost=dg.cross_entropy(scores, y)), dg.SGD(RATE))
    for path in program.parameters:
        layer, kind = path.split("/")[-2:]
        program.parameters[path] = arrays[f"{kind[0]}{int(layer) // 2}"]
    inputs = {key: arrays[key] for key in ("context", "x", "y")}
    return training(program, inputs)
