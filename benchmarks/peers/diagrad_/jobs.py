"""diagrad: what its jobs are made of.

A step of training or of inference is given its batch by the host, and gives it the cost or the
answers.  An operation alone is given arrays that lie where it runs, and leaves its results there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import diagrad as dg

from ...arrays import Arrays
from .. import common
from ..common import Call, Job, repeated

_target = "cpu"


def set_target(target: str) -> None:
    """What programs are compiled for from now on."""
    global _target
    _target = target


def compiled(diagram: dg.Diagram, optimizer: Any = None) -> Any:
    """A program of the diagram on the target."""
    return diagram.compile(optimizer, target=_target)  # type: ignore[arg-type]  # a command's word


def training(program: Any, inputs: Arrays) -> Job:
    """Steps of training, on one batch of the host."""
    job = common.training(lambda: program.step(**inputs))
    job.calls = lambda: [Call(program, "step", inputs, False)]
    return job


def inference(program: Any, inputs: Arrays, result: Callable[[Arrays], list[float]]) -> Job:
    """Answers for one batch of the host."""
    held: Arrays = {}

    def step() -> None:
        held.update(program.run(**inputs))

    calls = [Call(program, "run", inputs, False)]
    return Job(step, repeated(step), lambda: result(held), calls=lambda: calls)


def operation(program: Any, inputs: Arrays, result: Callable[[Arrays], list[float]]) -> Job:
    """Runs of an operation alone."""
    held: dict[str, Any] = {}
    step = running(program, inputs, held)
    calls = [Call(program, "run", inputs, True)]
    return Job(step, repeated(step), lambda: result(on_host(held)), calls=lambda: calls)


def running(program: Any, inputs: Arrays, held: dict[str, Any]) -> Callable[[], None]:
    """A run whose inputs lie where it runs, and whose results, put into `held`, stay there."""
    if _target != "cuda":
        return lambda: held.update(program.run(**inputs))
    there = {name: dg.observed(name, array.shape, array.dtype) for name, array in inputs.items()}
    given = compiled(dg.Diagram("given", there)).run(**inputs, device=True)
    return lambda: held.update(program.run(**given, device=True))


def on_host(held: dict[str, Any]) -> Arrays:
    """The results as NumPy's arrays."""
    return {k: v if isinstance(v, np.ndarray) else v.numpy() for k, v in held.items()}


def sums(held: Arrays) -> list[float]:
    """The sums of the absolute values of every result."""
    return [float(np.abs(value).sum()) for value in held.values()]
