"""What training did, epoch by epoch, and its picture."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from .plots import Plot


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
    """

    number: int
    cost: float
    validation_cost: float | None
    seconds: float
    final_cost: float | None = None


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

    def plot(self, path: str | os.PathLike[str]) -> Path:
        """Draw the costs over the epochs into a file that ends in .svg or .png; its path.

        Raises:
            ValueError: another suffix.
            ImportError: Matplotlib is not installed.
        """
        plot = Plot("History.plot", path)
        axes = plot.axes
        numbers = range(1, len(self) + 1)
        axes.plot(numbers, self.cost, label="training")
        if self.validation_cost:
            axes.plot(numbers, self.validation_cost, label="validation")
            axes.legend(frameon=False)
        return plot.write("epoch", "cost")
