"""What training did, epoch by epoch, and its picture."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..arguments import shown
from .plots import Plot

VALIDATION = "validation_"
"""What begins the name of a metric of the validation data."""


@dataclass(frozen=True)
class Epoch:
    """One pass through the data.

    Attributes:
        number: 1 for the first.
        cost: of all samples, each at the step that used it, as one batch of them would have it:
            the mean of the steps' costs, weighted by their samples, or their sum where the cost is
            a sum over the samples; NaN where the diagram has no cost.
        validation_cost: after the epoch, of the validation data; None without any.
        seconds: how long it took, validation included.
        final_cost: after the epoch, of the training data: where early stopping has no validation
            data to look at; otherwise None.
        metrics: those of the steps, by name, put together as the cost is: in training, each
            sample before the update of its step.
        validation_metrics: after the epoch, of the validation data, by name; None without any.
        final_metrics: as `final_cost`.
    """

    number: int
    cost: float
    validation_cost: float | None
    seconds: float
    final_cost: float | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    validation_metrics: Mapping[str, float] | None = None
    final_metrics: Mapping[str, float] | None = None

    def numbers(self) -> dict[str, float]:
        """All numbers by name: "cost", "accuracy", "validation_cost", "validation_accuracy"."""
        found = {"cost": self.cost, **self.metrics}
        if self.validation_cost is not None:
            found["validation_cost"] = self.validation_cost
        for name, value in (self.validation_metrics or {}).items():
            found[f"{VALIDATION}{name}"] = value
        return found


@dataclass
class History:
    """The epochs that `dg.fit` made.

    Attributes:
        epochs: a record of each.
        stopped: why training ended before the last epoch, or None.
    """

    epochs: list[Epoch] = field(default_factory=list)
    stopped: str | None = None

    @property
    def cost(self) -> list[float]:
        """Each epoch's cost."""
        return [epoch.cost for epoch in self.epochs]

    @property
    def validation_cost(self) -> list[float]:
        """Each epoch's validation cost; empty without validation data."""
        costs = (epoch.validation_cost for epoch in self.epochs)
        return [cost for cost in costs if cost is not None]

    @property
    def metrics(self) -> dict[str, list[float]]:
        """Each epoch's metrics, by name, those of validation data as "validation_accuracy"."""
        rows = [epoch.numbers() for epoch in self.epochs]
        names = [n for n in (rows[0] if rows else {}) if n not in ("cost", "validation_cost")]
        return {name: [row[name] for row in rows] for name in names}

    def __getitem__(self, name: str) -> list[float]:
        """The numbers of a name: "cost", "validation_cost", "accuracy", "validation_accuracy".

        Raises:
            KeyError: there are none of this name.
        """
        rows = [epoch.numbers() for epoch in self.epochs]
        known = list(dict.fromkeys(name for row in rows for name in row))
        if name not in known:
            raise KeyError(f"no numbers {shown(name)}; there are {', '.join(known) or 'none'}")
        return [row[name] for row in rows]

    def state_dict(self) -> dict[str, Any]:
        """All that is in it, as JSON holds it."""
        return {"epochs": [asdict(epoch) for epoch in self.epochs], "stopped": self.stopped}

    @classmethod
    def from_state_dict(cls, values: Mapping[str, Any]) -> History:
        """A history of what `state_dict` gave."""
        return cls([Epoch(**epoch) for epoch in values["epochs"]], values["stopped"])

    @property
    def seconds(self) -> list[float]:
        """How long each epoch took."""
        return [epoch.seconds for epoch in self.epochs]

    @property
    def best(self) -> int:
        """The number of the epoch with the least cost; 0 for none.

        It is the validation cost, or else the final cost, where there is one: what early stopping
        looks at.
        """
        final = [epoch.final_cost for epoch in self.epochs if epoch.final_cost is not None]
        costs = self.validation_cost or final or self.cost
        kept = [(cost, number) for number, cost in enumerate(costs, 1) if cost == cost]
        return min(kept)[1] if kept else 0

    def __len__(self) -> int:
        return len(self.epochs)

    def plot(self, path: str | os.PathLike[str], metric: str = "cost") -> Path:
        """Draw the costs over the epochs into a file that ends in .svg or .png; its path.

        Args:
            path: of the file.
            metric: "cost", or the name of a metric, of training and of validation.

        Raises:
            ValueError: another suffix.
            KeyError: no metric of this name.
            ImportError: Matplotlib is not installed.
        """
        plot = Plot("History.plot", path)
        axes = plot.axes
        numbers = range(1, len(self) + 1)
        drawn = self[metric] if self.epochs or metric != "cost" else []
        axes.plot(numbers, drawn, label="training")
        if any(f"{VALIDATION}{metric}" in epoch.numbers() for epoch in self.epochs):
            axes.plot(numbers, self[f"{VALIDATION}{metric}"], label="validation")
            axes.legend(frameon=False)
        return plot.write("epoch", metric)
