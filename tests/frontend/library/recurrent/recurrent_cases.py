"""What the tests of recurrent blocks share: NumPy's loops over the formulas, and programs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

import diagrad as dg

Array = npt.NDArray[Any]


def sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


def rnn_step(p: dict[str, Array], x: Array, h: Array) -> tuple[Array, ...]:
    return (np.tanh(x @ p["weight"] + h @ p["recurrent"] + p["bias"]),)


def lstm_step(p: dict[str, Array], x: Array, h: Array, c: Array) -> tuple[Array, ...]:
    i, f, g, o = np.split(x @ p["weight"] + h @ p["recurrent"] + p["bias"], 4, axis=-1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def gru_step(
    p: dict[str, Array], x: Array, h: Array, after: bool = True, old: bool = True
) -> tuple[Array, ...]:
    weight, recurrent, bias = (np.split(p[k], 3, -1) for k in ("weight", "recurrent", "bias"))
    of_input = [x @ w + b for w, b in zip(weight, bias, strict=True)]
    r = sigmoid(of_input[0] + h @ recurrent[0])
    z = sigmoid(of_input[1] + h @ recurrent[1])
    if after:
        n = np.tanh(of_input[2] + r * (h @ recurrent[2] + p["recurrent_bias"]))
    else:
        n = np.tanh(of_input[2] + (r * h) @ recurrent[2])
    return ((1 - z) * n + z * h if old else z * n + (1 - z) * h,)


def below(program: dg.Program, path: str) -> dict[str, Array]:
    """The parameters below a path, by the rest of their names."""
    start = path + "/"
    return {k.removeprefix(start): v for k, v in program.parameters.items() if k.startswith(start)}


def randomise(program: dg.Program, seed: int = 5) -> None:
    """Random numbers in all parameters, biases too."""
    rng = np.random.default_rng(seed)
    for name, array in program.parameters.items():
        program.parameters[name] = rng.normal(size=array.shape) / 2


def outputs_of(found: tuple[Any, Any]) -> dict[str, Any]:
    """Y and the final states of a block, by name."""
    y, last = found
    lasts = last if isinstance(last, tuple) else (last,)
    return {"Y": y, **{f"last{i}": item for i, item in enumerate(lasts)}}


def weighted(outputs: Sequence[Any]) -> Any:
    """A cost in which every element of every output has another weight; and its inputs' names."""
    total = dg.constant(0.0, outputs[0].dtype)
    for number, item in enumerate(outputs):
        total = total + dg.sum(item * dg.observed(f"w{number}", item.shape, item.dtype))
    return total
