"""Costs and metrics of many batches, put together from those of each."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ...compiler.sizes import names
from ..arguments import shown, text, wrong
from ..errors import DiagramError, InputError
from ..operations.random import KEY
from ..programs.execution import Execution, Method
from ..programs.running import Running
from ..variables.dependencies import ordered
from ..variables.variable import Variable, shape_text, source_text
from .metrics import Metric

Array = npt.NDArray[Any]
Metrics = Mapping[str, "Variable | Metric"]
FREE = ("observed", "parameter", "state")
OURS = ("cost", "validation_cost", "final_cost", "seconds", "number")
"""What an epoch's record calls its own numbers."""


class Measures:
    """The cost of a program and metrics beside it, checked, and compiled when asked for.

    Args:
        what: whose they are, in messages.
        program: what computes them.
        metrics: variables of shape () that are drawn from what the program's diagram has, or
            `dg.metrics.Metric`s, by name.

    Raises:
        TypeError: no dict of these.
        ValueError: a name that is taken, or begins with "validation_".
        InputError: a metric of another shape.
        DiagramError: a metric that has a mistake, or needs what the diagram has not.
    """

    def __init__(self, what: str, program: Running, metrics: Metrics | None) -> None:
        if metrics is not None and not isinstance(metrics, Mapping):
            raise wrong(what, "metrics as a dict, {'accuracy': dg.metrics.accuracy(...)}", metrics)
        self.what = what
        self.program = program
        self.metrics: dict[str, Metric | None] = {}
        self.values: dict[str, Variable] = {}
        for name, metric in (metrics or {}).items():
            text(what, "the names of metrics", name)
            if name in OURS or name.startswith("validation_"):
                raise wrong(what, f"metrics by names beside {', '.join(OURS)} and validation_...",
                            name, ValueError)  # fmt: skip
            if isinstance(metric, Metric):
                self.metrics[name] = metric
                parts = {_part(name, part): item for part, item in metric.parts.items()}
            elif isinstance(metric, Variable):
                self.metrics[name] = None
                parts = {_part(name): metric}
            else:
                raise wrong(
                    what, f"metric '{name}' to be a variable or a dg.metrics.Metric", metric
                )
            for item in parts.values():
                self._check(name, item)
            if isinstance(metric, Variable) and metric.shape != ():
                raise InputError(
                    f"{what} expects metric '{name}' to be of shape (), got {source_text(metric)} "
                    f"of {shape_text(metric.shape)}: take its mean, dg.mean(...)"
                )
            self.values |= parts
        self._growths: dict[frozenset[str], dict[str, Any]] = {}

    def _check(self, name: str, value: Variable) -> None:
        """DiagramError for what the program cannot compute."""
        diagram, states = self.program.diagram, self.program.states
        for item in ordered([value], {}):
            if item.mistakes:
                raise item.mistakes[0]
            known = "random_key" in states if item is KEY else item in diagram.names
            if item.kind in FREE and not known:
                got = "a random draw" if item is KEY else source_text(item)
                raise DiagramError(
                    f"{self.what} expects metric '{name}' to be drawn from what diagram "
                    f"'{diagram.name}' ({diagram.where}) has, got {got}, which is not in it"
                )

    def execution(self, method: Method) -> Execution:
        """What computes them, in a step or in a run."""
        if self.values:
            return self.program.measured(method, self.values)
        return self.program.execution("step", {}) if method == "step" else self.program.evaluation()

    def sums(self, samples: Collection[str]) -> set[str]:
        """The names of the values that are sums over the sizes of these names."""
        key = frozenset(samples)
        if key not in self._growths:
            cost = self.program.diagram.cost
            plain = {_part(name): self.values[_part(name)] for name in self._plain}
            values = {**plain, **({} if cost is None else {"cost": cost})}
            self._growths[key] = self.program.diagram.growths(values, key)
            for name, metric in self.metrics.items():
                for part in () if metric is None else metric.parts.values():
                    if any(names(extent) & key for extent in part.shape):
                        raise InputError(
                            f"{self.what} expects the parts of metric '{name}' to have shapes that "
                            f"do not depend on the batch, got {source_text(part)} of "
                            f"{shape_text(part.shape)}: reduce it over the samples"
                        )
        return {name for name, power in self._growths[key].items() if power == 1}

    @property
    def _plain(self) -> list[str]:
        return [name for name, metric in self.metrics.items() if metric is None]

    def meter(self, sums: Collection[str], weights: str | None) -> Meter:
        """What puts batches together, of which `sums` are added up.

        `weights` is the input by which batches count for what depends on it.
        """
        weighted: set[str] = set()
        if weights is not None:
            cost, by = self.program.diagram.cost, self.program.diagram.observed[weights]
            values = {**self.values, **({} if cost is None else {"cost": cost})}
            weighted = {name for name, item in values.items() if by in set(ordered([item], {}))}
        return Meter(self.metrics, sums, weights, weighted)


class Meter:
    """Puts the cost and the metrics of batches together.

    Args:
        metrics: by name; None for a plain number.
        sums: the outputs whose batches are added up; of others it is the weighted mean.
        weights: the input that holds the weights of samples, or None.
        weighted: the outputs whose batches count by these, and not by their samples.

    Attributes:
        last: the cost of the batch that was added last.
    """

    def __init__(
        self,
        metrics: Mapping[str, Metric | None],
        sums: Collection[str],
        weights: str | None,
        weighted: Collection[str],
    ) -> None:
        self._metrics = metrics
        self._sums = sums
        self._weights = weights
        self._weighted = weighted
        self._totals = dict.fromkeys(["cost", *(_part(n) for n in metrics if not metrics[n])], 0.0)
        self._parts: dict[str, list[Array]] = {
            _part(name, part): [] for name, item in metrics.items() if item for part in item.parts
        }
        self._samples = self._weight = 0.0
        self.last = math.nan

    def add(
        self, cost: float, outputs: Mapping[str, Any], inputs: Mapping[str, Array], count: int
    ) -> None:
        """Add a batch: its cost, the values of its metrics, its inputs, and its samples."""
        self._samples += count
        weight: float = count
        if self._weights is not None:
            weight = float(np.sum(inputs[self._weights], dtype=np.float64))
            self._weight += weight
        self.last = cost
        for name in self._totals:
            value = cost if name == "cost" else float(outputs[name])
            if name not in self._sums:
                value *= weight if name in self._weighted else count
            self._totals[name] += value
        for name, kept in self._parts.items():
            kept.append(np.array(outputs[name], np.float64))

    @property
    def cost(self) -> float:
        """That of all batches so far."""
        return self._total("cost")

    def metrics(self) -> dict[str, float]:
        """Those of all batches so far, by name."""
        found = {}
        for name, metric in self._metrics.items():
            if metric is None:
                found[name] = self._total(_part(name))
            else:
                parts = {part: np.stack(self._parts[_part(name, part)]) for part in metric.parts}
                found[name] = metric.total(parts)
        return found

    def _total(self, name: str) -> float:
        total = self._totals[name]
        if name in self._sums:
            return total
        counted = self._weight if name in self._weighted else self._samples
        return total / counted if counted else math.nan


def check_weights(what: str, weights: Any, expected: Sequence[Any]) -> None:
    """InputError unless `weights` is None or the name of an input of floats."""
    if weights is None:
        return
    fitting = [item.name for item in expected if item.dtype.kind in "fiu"]
    if not isinstance(weights, str) or weights not in fitting:
        raise InputError(
            f"{what} expects sample_weight to be the name of an input that holds the weights, one "
            f"of {', '.join(fitting)}, got {shown(weights)}: draw them as an observed variable of "
            "the cost"
        )


def _part(name: str, part: str | None = None) -> str:
    """What an output of a measured step is called."""
    return f"metric/{name}" if part is None else f"metric/{name}/{part}"
