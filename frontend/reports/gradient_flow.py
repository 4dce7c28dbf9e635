"""Gradient flow: how much a cost depends on the state of a loop at every step.

Where the norms of dC/dz(t) fall or grow like a geometric series on the way back, gradients vanish
or explode (Bengio, Simard and Frasconi, Learning long-term dependencies with gradient descent is
difficult, 1994).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...compiler.graph import Graph, Origin
from ...compiler.graphs.probes import Probe, probe
from ...compiler.primitives.record import Builder
from ..arguments import wrong
from ..drawing.drawing import Drawing
from ..errors import DiagramError
from ..location import user_location
from ..programs.running import Running
from ..training.plots import Plot

Array = npt.NDArray[Any]


class GradientFlow(Mapping[str, Array]):
    """The norms of dC/dz(t), by delay: an array of shape (T,), or (S, T) for a loop in a loop.

    Element t belongs to what goes into the delay at the step of element t.  A delay is called by
    its own name, below the path of its block; where two would have one name, by a number too.

    Attributes:
        gradients: dC/dz(t) itself, by delay, of shape (T, *shape of the delay).
    """

    def __init__(self, gradients: Mapping[str, Array], times: Mapping[str, int]) -> None:
        self.gradients = dict(gradients)
        self._norms = {name: _norms(gradient, times[name]) for name, gradient in gradients.items()}

    def __getitem__(self, delay: str) -> Array:
        return self._norms[delay]

    def __iter__(self) -> Iterator[str]:
        return iter(self._norms)

    def __len__(self) -> int:
        return len(self._norms)

    def __repr__(self) -> str:
        rows = [f"  {name}: {np.array2string(norms, precision=3)}" for name, norms in self.items()]
        return "\n".join(["GradientFlow", *rows])

    def plot(self, path: str | os.PathLike[str]) -> Path:
        """Draw the norms over the steps into a file that ends in .svg or .png; its path.

        The norms have a logarithmic axis; steps without a gradient are left out.

        Raises:
            ValueError: another suffix.
            ImportError: Matplotlib is not installed.
        """
        plot = Plot("GradientFlow.plot", path)
        for name, norms in self.items():
            # In a loop in a loop, the steps of the inner one follow each other.
            values = norms.reshape(-1)
            plot.axes.plot(np.where(values > 0, values, np.nan), ".-", label=name)
        plot.axes.set_yscale("log")
        if len(self) > 0:
            plot.axes.legend(frameon=False)
        return plot.write("t", "|∂C/∂z(t)|")


def gradient_flow(program: Running | Drawing, inputs: Mapping[str, Any]) -> GradientFlow:
    """The norms of a cost's gradients by what goes into each float delay, at every step.

    They are computed on the program's target, from its parameters as they are now; nothing
    changes.  The norm is that of all elements of dC/dz(t), samples included.

    Args:
        program: of a diagram with a cost and loops; or the diagram itself, whose parameters then
            have their initial values.
        inputs: for every observed variable that the cost depends on, as for `step`.

    Raises:
        DiagramError: no cost, or no delay on which it could depend.
        InputError: as `step`.
    """
    subject = f"gradient_flow ({user_location()})"
    if not isinstance(program, (Running, Drawing)):
        raise TypeError(f"{subject} expects a program or a diagram, got {type(program).__name__}")
    made: Running = program.compile() if isinstance(program, Drawing) else program
    diagram = made.diagram
    if diagram.cost is None:
        raise DiagramError(
            f"{subject} expects a diagram with a cost, got '{diagram.name}' ({diagram.where}) "
            "without: Diagram(..., cost=...)"
        )
    probes: list[Probe] = []

    def rewrite(graph: Graph) -> Graph:
        return _with_gradients(graph, probes)

    execution = made.execution_of({"cost": diagram.cost}, rewrite=rewrite, training=True)
    if not probes:
        raise DiagramError(
            f"{subject} expects a cost with a float delay in a loop, got that of '{diagram.name}' "
            f"({diagram.where}) without: dg.loop(...).delay(...)"
        )
    if not isinstance(inputs, Mapping):
        raise wrong(subject, "inputs as a dict of arrays by name", inputs)
    values = execution.call("gradient_flow", inputs)
    names = _names(probes)
    return GradientFlow(
        {name: values[str(number)] for number, name in enumerate(names)},
        {name: len(item.times) for name, item in zip(names, probes, strict=True)},
    )


def _with_gradients(graph: Graph, probes: list[Probe]) -> Graph:
    """The cost's gradients by probes, which are added to the list."""
    from ...compiler.passes.inline import inline

    probed, found = probe(inline(graph))
    probes += found
    (_, cost) = probed.outputs[0]
    b = Builder(Origin(cost.origin.path, cost.origin.where))
    outputs = [(str(number), b.gradient(cost, item.node)) for number, item in enumerate(found)]
    return Graph(graph.name, probed.inputs, (*probed.outputs, *outputs))


def _names(probes: list[Probe]) -> list[str]:
    names: list[str] = []
    for item in probes:
        wish = f"{item.path}/{item.delay}" if item.path else item.delay
        name, number = wish, 1
        while name in names:
            number += 1
            name = f"{wish} {number}"
        names.append(name)
    return names


def _norms(gradient: Array, times: int) -> Array:
    flat = gradient.reshape((*gradient.shape[:times], -1)).astype(np.float64)
    norms: Array = np.sqrt(np.sum(flat * flat, axis=-1))
    return norms
