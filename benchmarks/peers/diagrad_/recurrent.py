"""diagrad: the recurrent workloads."""

from __future__ import annotations

import numpy as np

import diagrad as dg

from ...arrays import Arrays
from ...recurrent import CLASSES, NETS, ODE_HIDDEN, ODE_SIZE, ODE_STEP, ODE_STEPS, RATE
from ..common import Job
from .jobs import compiled, training


def build(name: str, arrays: Arrays) -> Job:
    """The workload as a compiled diagram."""
    return _neural_ode(arrays) if name == "neural_ode" else _net(name, arrays)


def _net(name: str, arrays: Arrays) -> Job:
    net = NETS[name]
    x = dg.observed("x", ("T", "B", net.inputs))
    y = dg.observed("y", ("T", "B") if net.every else ("B",), dtype=dg.int32)
    rnn = {"elman": dg.RNN, "gru": dg.GRU, "lstm": dg.LSTM}[net.kind](
        net.inputs, net.hidden, checkpoint=net.checkpoint, name="rnn"
    )
    head = dg.Linear(net.hidden, CLASSES, name="head")
    outputs, _ = rnn(x)
    if net.every:
        cost = dg.cross_entropy(head(outputs), y)
    else:
        cost = dg.cross_entropy(head(outputs[-1]), y)
    program = compiled(dg.Diagram(net.kind, cost=cost), dg.SGD(RATE))
    second = np.zeros_like(arrays["b"])
    if net.kind == "gru":
        second[-net.hidden :] = arrays["c"]
    rnn.load_torch(
        program,
        {
            "weight_ih_l0": arrays["w"].T, "weight_hh_l0": arrays["u"].T,
            "bias_ih_l0": arrays["b"], "bias_hh_l0": second,
        },
    )  # fmt: skip
    program.parameters["head/weight"] = arrays["v"]
    program.parameters["head/bias"] = arrays["a"]
    inputs = {"x": arrays["x"], "y": arrays["y"]}
    return training(program, inputs)


def _neural_ode(arrays: Arrays) -> Job:
    x = dg.observed("x", ("B", ODE_SIZE))
    y = dg.observed("y", ("B", ODE_SIZE))
    field = dg.Chain(
        dg.Linear(ODE_SIZE, ODE_HIDDEN), dg.tanh, dg.Linear(ODE_HIDDEN, ODE_SIZE), name="field"
    )
    ode = dg.NeuralODE(field, dt=float(ODE_STEP), steps=ODE_STEPS, method="euler")
    program = compiled(dg.Diagram("ode", cost=dg.squared_error(ode(x), y)), dg.SGD(RATE))
    for name in program.parameters:
        layer, kind = name.split("/")[-2:]
        program.parameters[name] = arrays[f"{kind[0]}{int(layer) // 2}"]
    inputs = {"x": arrays["x"], "y": arrays["y"]}
    return training(program, inputs)
