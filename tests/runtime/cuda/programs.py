"""The table of programs of the CUDA target's tests: nets, loops, and every operation.

A case is a diagram compiled for the reference, whose step or run is one graph.  From the graph the
tests make kernels, launch plans and values, at the sizes of the case.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

import diagrad as dg
from diagrad.compiler.dtypes import kind_of
from diagrad.compiler.memory.plan_memory import plan_memory
from diagrad.compiler.pipeline import compile_kernels
from diagrad.compiler.scheduling.template import Template
from diagrad.compiler.sizes import evaluate
from diagrad.frontend.programs.execution import Execution
from diagrad.runtime.cuda.processor import Rates
from diagrad.runtime.program import CUDA, BoundProgram

from ...operations.rows.running import Batch, applications, value_alone
from ...operations.rows.table import TABLE

Array = npt.NDArray[Any]
Sizes = Mapping[str, int]

NEVER, EVER = (Rates(run_s=sign * math.inf) for sign in (1, -1))
"""Of a device where no loop is walked, and of one where every loop is."""


@dataclass(frozen=True)
class Case:
    """A program and the sizes that it is run at.

    `below` gives what the integers of an input are below; others are below 2.  With `run` it is the
    outputs alone, without a step.
    """

    make: Callable[[], dg.Diagram]
    sizes: tuple[dict[str, int], ...] = ({},)
    optimizer: Callable[[], Any] | None = lambda: dg.SGD(0.1)
    below: Mapping[str, int] = field(default_factory=dict)
    arrays: Callable[[], dict[str, Array]] | None = None


def batches(*counts: int, **others: int) -> tuple[dict[str, int], ...]:
    return tuple({"B": count, **others} for count in counts)


def x_of(*shape: int | str) -> Any:
    return dg.observed("x", shape)


def labels(*shape: int | str) -> Any:
    return dg.observed("y", shape or ("B",), dg.int32)


def _regression() -> dg.Diagram:
    x, t = x_of("B", 5), dg.observed("t", ("B", 3))
    return dg.Diagram("regression", cost=dg.squared_error(dg.Linear(5, 3)(x), t))


def _mlp() -> dg.Diagram:
    net = dg.Chain(dg.Linear(7, 37), dg.relu, dg.Dropout(0.3), dg.Linear(37, 5))
    x = x_of("B", 7)
    scores = net(x)
    return dg.Diagram("mlp", {"scores": scores}, cost=dg.cross_entropy(scores, labels()))


def _gru() -> dg.Diagram:
    states, _ = dg.GRU(3, 6)(x_of("T", "B", 3))
    scores = dg.Linear(6, 4)(dg.mean(states, 0))
    return dg.Diagram("gru", {"states": states}, cost=dg.cross_entropy(scores, labels()))


def _lstm() -> dg.Diagram:
    n = dg.observed("n", ("B",), dg.int32)
    states = dg.LSTM(3, 5, batch_first=True)(x_of("B", "T", 3), lengths=n)[0]
    return dg.Diagram("lstm", cost=dg.mean(states * states))


def _per_sample() -> dg.Diagram:
    context = dg.observed("context", ("B", 4))
    scores = dg.Hypernetwork(dg.Linear(4, 35), dg.Linear(6, 5))(x_of("B", 6), context=context)
    return dg.Diagram("per sample", cost=dg.cross_entropy(scores, labels()))


def _lenet() -> dg.Diagram:
    net = dg.Chain(
        dg.Conv2d(1, 4, 5), dg.relu, dg.MaxPool2d(2), dg.Conv2d(4, 6, 3), dg.BatchNorm(6), dg.relu,
        dg.AvgPool2d(2), dg.Flatten(), dg.Linear(6, 5),
    )  # fmt: skip
    scores = net(x_of("B", 1, 14, 14))
    return dg.Diagram("lenet", cost=dg.cross_entropy(scores, labels()))


def _transformer() -> dg.Diagram:
    attend = dg.Chain(dg.LayerNorm(8), dg.MultiHeadAttention(8, 2))
    inner = dg.Chain(dg.LayerNorm(8), dg.Linear(8, 20), dg.gelu, dg.Linear(20, 8))
    net = dg.Chain(
        dg.Residual(attend), dg.Residual(inner), lambda x: dg.mean(x, 1), dg.Linear(8, 3)
    )
    embedded = dg.Embedding(11, 8)(dg.observed("words", ("B", "T"), dg.int32))
    return dg.Diagram("transformer", cost=dg.cross_entropy(net(embedded), labels()))


def _root() -> dg.Diagram:
    """A loop that stops by a condition, and its derivative."""
    a, start = dg.observed("a", ()), dg.parameter("start", (), init=1.0)
    t = dg.loop("t")
    z = t.delay("z", start)
    following = 0.5 * (z + a / z)
    t.close(z, following)
    t.until(abs(following - z) < 1e-4, most=12)
    root = t.last(following)
    outputs = {"root": root, "steps": t.count(), "all": t.stack(following)}
    return dg.Diagram("root", outputs, cost=(root - 1.5) ** 2)


def _halving() -> dg.Diagram:
    """Loops with conditions in a loop with one."""
    x = x_of("B")
    w = dg.parameter("w", (), init=0.5)
    outer = dg.loop("s")
    y = outer.delay("y", x)
    inner = dg.loop("t")
    z = inner.delay("z", y)
    following = w * z
    inner.close(z, following)
    inner.until(dg.max(following) < 1.0, most=5)
    after = inner.last(following) * 3.0
    outer.close(y, after)
    outer.until(dg.min(after) < 1.0, most=4)
    outputs = {"count": outer.count(), "all": outer.stack(after)}
    return dg.Diagram("halving", outputs, cost=dg.mean(outer.last(after)))


def _state() -> dg.Diagram:
    """An update that is no optimizer's, and a state that a loop begins with."""
    x = x_of("T", 3)
    kept = dg.state("kept", (3,))
    t = dg.loop("t")
    z = t.delay("z", state=kept)
    following = 0.5 * z + t.each(x)
    t.close(z, following)
    return dg.Diagram("state", {"all": t.stack(following)})


def _neighbours() -> dg.Diagram:
    """A loop whose workers read what others have written in the turn before."""
    x = x_of("T", 6, 200)
    t = dg.loop("t")
    z = t.delay("z", dg.zeros((6, 200)))
    following = 0.5 * dg.roll(z, 1, 0) + t.each(x)
    t.close(z, following)
    return dg.Diagram("neighbours", {"last": t.last(following)})


def _distances() -> dg.Diagram:
    """Products whose axes are long and short, and a sum over many elements."""
    x, w = x_of("B", 130), dg.parameter("w", (130, 67), init=dg.init.normal(0, 0.1))
    v = dg.parameter("v", (67, 1), init=dg.init.normal(0, 0.1))
    return dg.Diagram("distances", cost=dg.mean(dg.tanh(x @ w) @ v) ** 2)


def _stored() -> dg.Diagram:
    """Inputs, labels, a table and a state of storage dtypes, and a derivative through casts."""
    pictures, words = dg.observed("x", ("B", 4, 6), "uint8"), dg.observed("words", ("B",), "uint16")
    signal, table = (
        dg.observed("h", ("B", 8), "bfloat16"),
        dg.parameter("table", (11, 8), 0.3, "float16"),
    )
    weight = dg.parameter("weight", (32, 5), init=dg.init.normal(0, 0.1))
    seen = dg.state("seen", (8,), dtype="int16")
    dg.update(seen, (seen + dg.max(signal * 100, axis=0).astype("int8")).astype("int16"))
    rows = (dg.take(table, words) + signal).astype("float16")
    features = dg.concatenate([dg.flatten(pictures).astype("float32") / 255, rows], axis=1)
    scores = (features @ weight).astype("bfloat16")
    cost = dg.cross_entropy(scores, dg.observed("y", ("B",), "uint8"))
    return dg.Diagram("stored", {"rows": rows, "seen": seen}, cost=cost)


def _operations(group: str, dtype: str) -> Callable[[], dg.Diagram]:
    return lambda: dg.Diagram(f"{group} {dtype}", _batch(group, dtype).outputs)


@cache
def _batch(group: str, dtype: str) -> Batch:
    return Batch(applications(TABLE[group], dtype, few=True), value_alone)


NETS: dict[str, Case] = {
    "regression": Case(_regression, batches(1, 7)),
    "mlp": Case(_mlp, batches(1, 2, 13), lambda: dg.Adam(1e-2), {"y": 5}),
    "gru": Case(
        _gru, (*batches(1, 3, T=1), *batches(2, T=5)), lambda: dg.SGD(0.1, momentum=0.9), {"y": 4}
    ),
    "lstm": Case(_lstm, batches(3, T=4), below={"n": 5}),
    "per_sample": Case(_per_sample, batches(1, 5), below={"y": 5}),
    "lenet": Case(_lenet, batches(1, 3), below={"y": 5}),
    "transformer": Case(_transformer, batches(2, T=7), below={"words": 11, "y": 3}),
    "root": Case(_root),
    "halving": Case(_halving, batches(1, 5)),
    "state": Case(_state, ({"T": 0}, {"T": 1}, {"T": 6}), None),
    "neighbours": Case(_neighbours, ({"T": 9},), None),
    "distances": Case(_distances, batches(1, 97)),
    "stored": Case(
        _stored,
        batches(1, 37),
        lambda: dg.SGD(0.1, parameters=["weight"]),
        {"x": 256, "words": 11, "y": 5},
    ),
}
OPERATIONS: dict[str, Case] = {
    f"{group} {dtype}": Case(
        _operations(group, dtype), optimizer=None,
        arrays=lambda group=group, dtype=dtype: _batch(group, dtype).arrays(),  # type: ignore[misc]
    )
    for group in TABLE
    for dtype in ("float32", "float64")
    if applications(TABLE[group], dtype, few=True)
}  # fmt: skip
CASES = NETS | OPERATIONS
LOOPS = "gru", "lstm", "root", "halving", "state", "neighbours"
"""Those of the nets that have loops."""


@cache
def execution(name: str) -> Execution:
    """The one graph of a case, whose states are drawn as ever."""
    case = CASES[name]
    optimizer = None if case.optimizer is None else case.optimizer()
    program = case.make().compile(optimizer, target="reference", seed=3)
    if optimizer is not None or (program.states and name == "state"):
        return program.execution("step", {})
    observed = {item: None for item in program.diagram.observed}
    return program.execution("run", observed)


@cache
def template(name: str) -> Template:
    """Its kernels and rows for the CUDA target."""
    return compile_kernels(execution(name).graph, target=CUDA)


def bound(name: str, sizes: Sizes) -> BoundProgram:
    """The program of a case at some sizes."""
    return plan_memory(template(name), sizes)


def inputs(name: str, sizes: Sizes, seed: int = 0) -> list[Array]:
    """Arrays for it, the same every time."""
    case, rng = CASES[name], np.random.default_rng(seed)
    given = {} if case.arrays is None else case.arrays()
    found = []
    for item in execution(name).expected:
        shape = [evaluate(extent, sizes) for extent in item.variable.type.shape]
        if item.name in given:
            found.append(given[item.name])
        elif kind_of(item.dtype) == "f":
            found.append(rng.uniform(0.5, 2.0, shape).astype(item.dtype))
        else:
            found.append(rng.integers(0, case.below.get(item.name, 2), shape).astype(item.dtype))
    return found
