"""The public surface, arguments that each callable takes, and garbage to put in their place."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import diagrad as dg

NO_CALLS = {
    "init", "schedules", "augment", "metrics",  # modules
    "bool_", "float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16",
    "uint32",  # NumPy's
    "Variable", "Loop", "Bound", "TransformStep", "Epoch", "History", "GradientFlow", "Probes",
    "RateCurve", "TrainingState", "gradient_propagation",  # made by functions
    "Block", "Optimizer", "Callback",  # for subclasses
}  # fmt: skip


class Thing:
    """An object of a class that diagrad does not know."""


def garbage() -> dict[str, Any]:
    """What users pass by mistake, by a name for messages."""
    return {
        "None": None, "text": "zzz", "list": [1, "a"], "dict": {"a": None}, "nan": float("nan"),
        "huge": 2**70, "minus": -3, "half": 1.5, "class": dg.Adam, "object": Thing(),
        "float32": np.float32(-0.5), "objects": np.array([None, {}], object), "true": True,
        "function": len, "nothing": (), "texts": np.array(["a", "b"]), "complex": 1j,
        "variable": dg.observed("other", ("Q", 7)), "module": np, "infinite": float("inf"),
    }  # fmt: skip


def x() -> dg.Variable:
    return dg.observed("x", ("B", 3))


def y() -> dg.Variable:
    return dg.observed("y", ("B", 3))


def labels() -> dg.Variable:
    return dg.observed("labels", ("B",), dg.int32)


def square() -> dg.Variable:
    return dg.observed("a", (3, 3))


def truth() -> dg.Variable:
    return dg.observed("truth", ("B", 3), dg.bool_)


def net() -> Any:
    return dg.Chain(dg.Linear(3, 4), dg.tanh, name="net")


def diagram() -> dg.Diagram:
    scores = dg.Linear(3, 2, name="l")(x())
    return dg.Diagram("d", {"scores": scores}, cost=dg.cross_entropy(scores, labels()))


def program() -> Any:
    return diagram().compile(dg.SGD(0.1), target="reference")


def given() -> dict[str, Any]:
    return {"x": np.ones((4, 3), np.float32), "labels": np.zeros(4, np.int32)}


def total() -> dg.Variable:
    return dg.sum(dg.parameter("w", (3,)) * square())


def looping() -> dg.Diagram:
    t = dg.loop("t")
    z = t.delay("z", 0.0, shape=("B", 2))
    after = dg.tanh(z + t.each(dg.observed("s", ("T", "B", 2))) * dg.parameter("w", (2,)))
    t.close(z, after)
    return dg.Diagram("looping", cost=dg.sum(t.last(after)))


stopping: list[dg.Loop] = []


def condition() -> dg.Variable:
    """Of a new loop, for `stop`."""
    t = dg.loop("t")
    z = t.delay("z", 0.0)
    t.close(z, z + 1.0)
    stopping.append(t)
    return z > 1.0


def stop(condition: Any, most: Any) -> dg.Variable:
    stopping[-1].until(condition, most)
    return stopping[-1].count()


def line() -> dg.Variable:
    return dg.observed("line", ("B", 2, 9))


def taps() -> dg.Variable:
    return dg.parameter("taps", (4, 2, 3))


ATTENDED = {"q": line, "k": line, "v": line}
MACHINE = {"visible": lambda: 3, "hidden": lambda: 2}
POOLED = {"x": line, "size": lambda: 2, "axes": lambda: 1}


def saved() -> str:
    """A file that is there, beside the folder that is looked at."""
    dg.save_state("../saved.safetensors", {"a": np.ones(2)})
    return "../saved.safetensors"


HELD = dg.Linear(3, 2)


def held() -> dg.Block:
    """A block in a program."""
    return HELD


def holding() -> dg.Program:
    """That program."""
    y = HELD(dg.observed("x", ("B", 3)))
    return dg.Diagram("holding", {"y": y}).compile(target="reference")


BY_NAME: dict[str, Callable[[], Any]] = {
    "x": x, "y": y, "shape": lambda: (2, 3), "dtype": lambda: "float32", "name": lambda: "name",
    "axis": lambda: 0, "keepdims": lambda: True, "reduction": lambda: "sum",
    "threshold": lambda: 0.5,
    "prediction": x, "target": y, "scores": x, "targets": y, "labels": labels, "score": x,
    "log_probabilities": x, "size": lambda: 4, "inputs": lambda: 3, "outputs": lambda: 4,
    "hidden": lambda: 4, "symbols": lambda: 5, "width": lambda: 3, "entries": lambda: 4,
    "queries": lambda: 4, "read": lambda: 5, "written": lambda: 5, "value": lambda: 1.0,
    "limit": lambda: 1.0, "index": labels, "cost": total, "a": square, "b": square,
    "first": lambda: 0, "second": lambda: 1, "parts": lambda: [x(), y()], "patience": lambda: 2,
    "path": lambda: "file.svg", "learning_rate": lambda: 0.1, "every": lambda: 2,
    "rate": lambda: 0.5, "decay": lambda: 0.5, "steps": lambda: 3, "schedule": lambda: 0.1,
    "diagram": diagram, "program": program, "H": lambda: dg.Linear(2, net().parameter_count),
    "G": net, "in_channels": lambda: 1, "out_channels": lambda: 2, "in_size": lambda: 8,
    "kernel": lambda: 3, "nonlinearity": lambda: "relu", "condition": truth, "extent": x,
    "start": lambda: 1, "of": x, "channels": lambda: 4, "groups": lambda: 2, "p": lambda: 0.5,
    "block": net, "features": lambda: 4, "heads": lambda: 2, "layers": lambda: 1,
    "inner": lambda: dg.Linear(3, 2),
}  # fmt: skip
"""An argument that fits, by the parameter's name, where a function says nothing else below."""

SPECIAL: dict[str, dict[str, Callable[[], Any]]] = {
    "Chain": {"blocks": lambda: dg.relu},
    "arange": {"start": lambda: 4},
    "bind": {"block": net, "weights": lambda: dg.parameter("v", (16,))},
    "block": {"function": lambda: lambda x: x + 1.0},
    "cost": {"function": lambda: lambda x, y: dg.mean(x - y)},
    "broadcast_to": {"shape": lambda: ("B", 3)},
    "connect": {"target": lambda: dg.variable("h", ("B", 3)), "value": x},
    "Diagram": {"outputs": x, "cost": total, "updates": lambda: []},
    "matrix_power": {"a": square, "n": lambda: 2}, "expm": {"a": square},
    "triangular_solve": {"a": square, "b": square, "lower": lambda: True},
    "einsum": {"subscripts": lambda: "bi->b", "operands": x},
    "fit": {"data": given, "epochs": lambda: 0, "progress": lambda: False, "batch_size": lambda: 2,
            "validation": lambda: 0.5, "callbacks": lambda: [print], "checkpoint": lambda: None,
            "early_stopping": lambda: None, "axis": lambda: 0, "seed": lambda: 0,
            "metrics": lambda: {}},
    "find_rate": {"data": given, "steps": lambda: 2, "batch_size": lambda: 2},
    "TensorBoard": {"folder": lambda: "runs"},
    "evaluate": {"data": given, "batch_size": lambda: 2},
    "Metric": {"parts": lambda: {"a": x()}, "total": lambda: max},
    "binary_accuracy": {"labels": truth}, "top_k": {"k": lambda: 2},
    "generate": {"program": lambda: dg.Embedding(5, 5), "prompt": lambda: [1, 2],
                 "temperature": lambda: 0.5, "top_k": lambda: 2},
    "gradient": {"cost": lambda: dg.sum(square()), "variables": square},
    "gradient_flow": {"program": looping, "inputs": lambda: {"s": np.ones((3, 2, 2), np.float32)}},
    "jacobian": {"y": lambda: dg.sum(square(), 0), "x": square},
    "l1": {"variables": square},
    "lstsq": {"b": lambda: dg.parameter("right", (3, 2))},
    "eigh": {"a": square}, "eigvalsh": {"a": square},
    "matmul": {"y": lambda: dg.parameter("w", (3, 2))},
    "logmatmulexp": {"y": lambda: dg.parameter("w", (3, 2))},
    "observed": {}, "parameter": {"init": lambda: 0.5},
    "Quadratic": {"context": lambda: 2}, "SigmaPi": {"conjuncts": lambda: [(0,), (1, 2)]},
    "MixtureOfExperts": {"experts": lambda: [net(), net()], "gate": lambda: dg.Linear(3, 2)},
    "one_hot": {"size": lambda: 4},
    "sparse": {"share": lambda: 0.5},
    "margin": {"first": x, "second": y},
    "cosine": {"first": x, "second": y, "target": lambda: dg.observed("side", ("B",))},
    "triplet": {"anchor": x, "positive": y, "negative": y}, "gaussian_nll": {"variance": y},
    "ctc": {"log_probabilities": lambda: dg.observed("p", ("T", "B", 3)),
            "labels": lambda: dg.observed("text", ("B", "S"), dg.int32)},
    "Lambda": {"function": lambda: dg.tanh}, "glu": {"x": lambda: dg.observed("x", ("B", 4))},
    "pixel_shuffle": {"x": lambda: dg.observed("maps", ("B", 4, 2, 2)), "factor": lambda: 2},
    "pixel_unshuffle": {"x": lambda: dg.observed("maps", ("B", 1, 2, 2)), "factor": lambda: 2},
    "pad": {"widths": lambda: [(0, 0), (1, 1)]},
    "cross": {"y": y}, "isin": {"among": y},
    "outer": {"y": y}, "inner": {"y": y}, "kron": {"y": y}, "tensordot": {"axes": lambda: (1, 1)},
    "norm": {"ord": lambda: 1, "axis": lambda: 1},
    "tile": {"repetitions": lambda: (1, 2)}, "repeat": {"repetitions": lambda: 2},
    "roll": {"shift": lambda: 1, "axis": lambda: 1}, "eye": {"rows": lambda: 3},
    "linspace": {"start": lambda: 0.0, "stop": lambda: 1.0, "count": lambda: 3},
    "full": {"value": lambda: 1.0}, "full_like": {"value": lambda: 1.0},
    "moveaxis": {"source": lambda: 0, "destination": lambda: 1},
    "unstack": {"axis": lambda: 1}, "diagonal": {"x": square}, "trace": {"x": square},
    "meshgrid": {"parts": lambda: dg.observed("line", (3,))},
    "reshape": {"shape": lambda: ("B", 3)},
    "scatter_add": {"updates": x, "size": lambda: 4}, "quantile": {"q": lambda: 0.5},
    "scatter_max": {"updates": x}, "scatter_min": {"updates": x}, "scatter_mul": {"updates": x},
    **{f"segment_{word}": {"segments": labels, "count": lambda: 4}
       for word in ("max", "min", "prod", "sum")},
    "put_along_axis": {"values": lambda: 1.0},
    "searchsorted": {"x": lambda: dg.observed("line", (3,)), "values": y},
    "share": {"u": lambda: dg.parameter("u", (9,)), "index": lambda: np.arange(9).reshape(3, 3)},
    "split": {"parts": lambda: 3, "axis": lambda: 1},
    "squeeze": {"x": lambda: dg.observed("x", ("B", 1)), "axis": lambda: 1},
    "state": {"init": lambda: 0.5},
    "swapaxes": {},
    "tie": {"first": lambda: dg.parameter("p", (2,)), "others": lambda: dg.parameter("q", (2,))},
    "transpose": {"axes": lambda: (1, 0)},
    "update": {"state": lambda: dg.state("h", (2, 3)), "value": lambda: dg.fill(1.0, (2, 3))},
    **{f"bitwise_{word}": {"x": labels, "y": labels}
       for word in ("and", "or", "xor", "invert", "left_shift", "right_shift")},
    "logical_and": {"x": truth, "y": truth}, "logical_or": {"x": truth, "y": truth},
    "logical_xor": {"x": truth, "y": truth}, "logical_not": {"x": truth},
    "windows": {"size": lambda: 2, "axis": lambda: 1},
    "NeuralODE": {"field": lambda: dg.tanh, "dt": lambda: 0.1},
    "transform_step": {"u": lambda: dg.parameter("u", (2,)), "H": lambda: lambda u: u * 2.0,
                       "cost": lambda: lambda w: dg.sum(w * w)},
    "multi_step": {"milestones": lambda: [2, 4]}, "one_cycle": {"steps": lambda: 10},
    "cyclic": {"low": lambda: 0.1, "high": lambda: 0.2, "up": lambda: 2},
    "sequence": {"schedules": lambda: [0.1, 0.2], "milestones": lambda: [2]},
    "freeze": {"parts": net}, "unfreeze": {"parts": net},
    "load_torch": {"block": held, "program": holding, "weights": lambda: {
        "weight": np.ones((2, 3)), "bias": np.ones(2)}},
    "torch_weights": {"block": held, "program": holding},
    "save_state": {"path": lambda: "../saved.safetensors", "arrays": lambda: {"a": np.ones(2)}},
    "load_state": {"path": saved},
    "Accumulate": {"optimizer": lambda: dg.SGD(0.1)},
    "ParameterGroups": {"optimizers": lambda: dg.SGD(0.1)},
    "Program": {"optimizer": lambda: dg.SGD(0.1), "target": lambda: "reference"},
    "LocallyConnected2d": {"padding": lambda: 1, "stride": lambda: 1, "bias": lambda: "map"},
    "kaiming_uniform": {"mode": lambda: "inputs"}, "kaiming_normal": {"mode": lambda: "inputs"},
    "probes": {"shape": lambda: (3, "B", 4)}, "size": {"extent": lambda: "B"},
    "fill": {"value": lambda: 1.0}, "constant": {"value": lambda: 1.0},
    "correlate": {"x": line, "w": taps}, "convolve": {"x": line, "w": taps},
    "conv_transpose": {"x": line, "w": lambda: dg.parameter("taps", (2, 4, 3))},
    "conv_shape": {"shape": lambda: (9,), "taps": lambda: (3,)},
    "pool_shape": {"shape": lambda: (9,), "size": lambda: 2},
    "max_pool": POOLED, "avg_pool": POOLED, "adaptive_avg_pool": POOLED,
    "lp_pool": {**POOLED, "p": lambda: 2}, "logsumexp_pool": POOLED,
    "LpPool1d": {"p": lambda: 2}, "LpPool2d": {"p": lambda: 2}, "LpPool3d": {"p": lambda: 2},
    "Bottleneck": {"inner": lambda: 2}, "WeightNorm": {"inner": lambda: dg.Linear(3, 2)},
    "Residual": {"shortcut": lambda: dg.Linear(3, 4)},
    "wfsm": {"states": lambda: 2, "arcs": lambda: [(0, 1, 0), (1, 1, 1, 0.5)]},
    "UnitGraph": {"edges": lambda: [("a", "b"), ("b", "c", 1)]},
    "attention": ATTENDED, "attention_weights": ATTENDED, "topk": {"k": lambda: 2},
    "NearestNeighbor": {"points": lambda: np.eye(3)}, "KMeans": {"centers": lambda: np.eye(3)},
    "Hopfield": {"units": lambda: 3}, "BoltzmannMachine": MACHINE,
    "RestrictedBoltzmannMachine": MACHINE,
    "RNN": {"nonlinearity": lambda: "tanh"}, "RNNCell": {"nonlinearity": lambda: "tanh"},
    "positional_encoding": {"start": lambda: 0}, "LearnedEncoding": {"positions": lambda: 9},
    "Transformer": {"features": lambda: 4, "heads": lambda: 2, "encoder_layers": lambda: 1,
                    "decoder_layers": lambda: 1},
}  # fmt: skip


def callables() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Every public function and class."""
    for name in dg.__all__:
        item = getattr(dg, name)
        if name in NO_CALLS or (isinstance(item, type) and issubclass(item, (Exception, Warning))):
            continue
        yield name, item
    for name in dg.metrics.__all__:
        yield f"metrics.{name}", getattr(dg.metrics, name)
    for module in (dg.init, dg.schedules):
        names = [n for n, f in vars(module).items() if inspect.isfunction(f) and n[0] != "_"]
        for name in names:
            if getattr(module, name).__module__ == module.__name__ and name not in (
                "initial_value", "initial_state", "as_schedule", "not_negative", "with_layout"
            ):  # fmt: skip
                yield f"{module.__name__.rpartition('.')[2]}.{name}", getattr(module, name)


def arguments(name: str, item: Callable[..., Any]) -> dict[str, Callable[[], Any]]:
    """Arguments that fit, by the parameter's name; parameters that have none are left out."""
    found: dict[str, Callable[[], Any]] = {}
    special = SPECIAL.get(name.rpartition(".")[2], {})
    for parameter in inspect.signature(item).parameters.values():
        make = special.get(parameter.name)
        if make is None and (parameter.default is parameter.empty):
            make = BY_NAME.get(parameter.name)
        if make is None and parameter.default is not parameter.empty:
            make = lambda default=parameter.default: default  # noqa: E731
        if make is not None:
            found[parameter.name] = make
    return found


def call(item: Callable[..., Any], values: dict[str, Any]) -> Any:
    """Call with values by parameter name, wherever they are to be given."""
    given_ones: list[Any] = []
    named: dict[str, Any] = {}
    for parameter in inspect.signature(item).parameters.values():
        if parameter.name not in values:
            continue
        if parameter.kind is parameter.VAR_POSITIONAL:
            given_ones.append(values[parameter.name])
        elif parameter.kind is parameter.VAR_KEYWORD:
            named |= values[parameter.name]
        elif parameter.kind is parameter.KEYWORD_ONLY or named or (
            len(given_ones) < list(inspect.signature(item).parameters).index(parameter.name)
        ):  # fmt: skip
            named[parameter.name] = values[parameter.name]
        else:
            given_ones.append(values[parameter.name])
    return item(*given_ones, **named)


def methods() -> Iterator[tuple[str, Callable[..., Any], dict[str, Callable[[], Any]]]]:
    """Public methods, bound to objects that are made anew, with arguments that fit."""
    yield (
        "compile",
        diagram().compile,
        {
            "optimizer": lambda: None,
            "target": lambda: "reference",
            "dtype": lambda: None,
            "seed": lambda: 0,
            "threads": lambda: 1,
        },
    )
    yield (
        "render",
        diagram().render,
        {
            "path": lambda: "file.svg",
            "stage": lambda: "drawn",
            "depth": lambda: 1,
            "steps": lambda: None,
        },
    )
    trained = program()
    for name in ("x", "labels"):
        for method in ("step", "run"):

            def give(value: Any, name: str = name, method: str = method) -> Any:
                return getattr(trained, method)(**{**given(), name: value})

            yield name, give, {"value": functools.partial(lambda item: given()[item], name)}
    yield "summary", lambda size: diagram().summary(B=size), {"size": lambda: 3}
    yield "save", trained.save, {"path": lambda: "file.safetensors"}
    yield (
        "load",
        trained.load,
        {
            "path": lambda: "file.safetensors",
            "parameters_only": lambda: False,
            "only": lambda: "l/*",
            "strict": lambda: True,
        },
    )
    yield (
        "copy_to",
        trained.copy_to,
        {"other": program, "only": lambda: "l/bias", "strict": lambda: False},
    )
    yield "l/bias", lambda v: trained.parameters.__setitem__("l/bias", v), {"v": lambda: [0, 0]}
    yield "learning_rate", lambda v: setattr(trained, "learning_rate", v), {"v": lambda: 0.1}
    yield "plot", dg.History().plot, {"path": lambda: "file.svg"}
    t = dg.loop("t", steps=3)
    delay = t.delay("z", 0.0, shape=(2,))
    yield "each", t.each, {"x": lambda: dg.observed("s", (3, 2)), "axis": lambda: 0}
    yield (
        "delay",
        t.delay,
        {
            "name": lambda: "z",
            "init": lambda: 0.0,
            "steps": lambda: 1,
            "shape": lambda: (2,),
            "dtype": lambda: "float32",
            "state": lambda: None,
        },
    )
    yield "close", t.close, {"delay": lambda: t.delay("v", 0.0, shape=(2,)), "value": lambda: delay}
    for name in ("stack", "sum", "last"):
        yield name, getattr(t, name), {"y": lambda: delay * 2.0}
    yield "stack", t.stack, {"y": lambda: delay * 2.0, "axis": lambda: 0}
    yield "until", stop, {"condition": condition, "most": lambda: 3}
    for name in ("energy", "free_energy"):
        yield name, getattr(dg.Hopfield(3), name), {"y": x}
    for kind in (dg.BoltzmannMachine, dg.RestrictedBoltzmannMachine):

        def learn(v: Any, rate: Any, sweeps: Any, kind: Any = kind) -> Any:
            return kind(3, 2).learn(v, rate, sweeps)

        yield "learn", learn, {"v": x, "rate": lambda: 0.1, "sweeps": lambda: 2}
    sweeps = {"sweeps": lambda: 2}
    yield "sample", dg.BoltzmannMachine(2, 1).sample, {"y": x, **sweeps}
    yield "energy", dg.BoltzmannMachine(2, 1).energy, {"y": x}
    yield "sample", dg.RestrictedBoltzmannMachine(3, 2).sample, {"v": x, **sweeps}
    yield "free_energy", dg.RestrictedBoltzmannMachine(3, 2).free_energy, {"v": x}
    yield "store", lambda y, rate: dg.Hopfield(3).store(y, rate), {"y": x, "rate": lambda: 0.1}
    block = net()
    yield "unflatten", block.unflatten, {"vector": lambda: np.zeros(16, np.float32)}
    yield "flatten", block.flatten, {"values": lambda: None}
    item = dg.observed("x", (2, 3))
    for name in ("sum", "mean", "max", "min"):
        yield name, lambda axis, name=name: getattr(item, name)(axis), {"axis": lambda: 0}
    yield "reshape", item.reshape, {"shape": lambda: (3, 2)}
    line = dg.observed("line", (3,))
    yield "transpose", line.transpose, {"axes": lambda: 0}
    yield "astype", lambda d: item.astype(d), {"d": lambda: "float64"}
    yield "index", lambda key: item[key], {"key": lambda: 0}
    yield "slice", lambda key: item[key:], {"key": lambda: 0}
    yield "round", item.round, {"decimals": lambda: 1}
    for name in ("std", "any", "all"):
        yield name, lambda axis, name=name: getattr(item, name)(axis), {"axis": lambda: 0}
    yield "clip", item.clip, {"low": lambda: 0.0, "high": lambda: 1.0}
    for sign in ("__add__", "__mul__", "__truediv__", "__mod__",
                 "__floordiv__", "__pow__", "__matmul__", "__lt__", "__eq__"):  # fmt: skip
        operator = getattr(item, sign)
        fits = (lambda: np.ones((3, 2), np.float32)) if sign == "__matmul__" else (lambda: 1.0)
        yield sign.strip("_"), lambda other, apply=operator: apply(other), {"other": fits}
