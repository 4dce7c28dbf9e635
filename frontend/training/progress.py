"""The progress bar of `fit`: in a console, or in a notebook."""

from __future__ import annotations

import time
from collections.abc import Mapping

from .history import Epoch

REFRESH = 0.2
"""Seconds between two looks of the progress bar."""


class Bar:
    """A progress bar that is looked at rarely, so that it costs a step next to nothing.

    Args:
        epochs: the number of the last epoch.
        steps: in an epoch, where that is known.
        shown: whether there is one at all.
        costs: whether there are costs to show.
        done: how many epochs were made before.
    """

    def __init__(
        self, epochs: int, steps: int | None, shown: bool, costs: bool, done: int = 0
    ) -> None:
        self.shown = shown
        self.costs = costs
        self.epochs = epochs
        self.waiting = 0
        self.due = 0.0
        if shown:
            from tqdm.auto import tqdm  # in a notebook with widgets, one of these

            total = None if steps is None else epochs * steps
            begun = 0 if steps is None else done * steps
            self.bar = tqdm(total=total, initial=begun, unit="step", mininterval=0.0, miniters=1)

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *error: object) -> None:
        if self.shown:
            self.bar.update(self.waiting)
            self.bar.close()

    def step(self, epoch: int, cost: float) -> None:
        """Note a step and the epoch's cost so far, and show them when it is time."""
        self.waiting += 1
        if self.shown and time.perf_counter() >= self.due:
            self._show(f"epoch {epoch}/{self.epochs}{self._text('cost', cost)}")

    def epoch(self, epoch: Epoch) -> None:
        """Show an epoch's numbers when it is time, or when it is the last."""
        if self.shown and (epoch.number == self.epochs or time.perf_counter() >= self.due):
            parts = [self._text("cost", epoch.cost), _listed(epoch.metrics)]
            if epoch.validation_cost is not None:
                parts.append(self._text("validation", epoch.validation_cost))
            elif epoch.validation_metrics:
                parts.append(", validation")
            parts.append(_listed(epoch.validation_metrics or {}))
            self._show(f"epoch {epoch.number}/{self.epochs}{''.join(parts)}")

    def _text(self, name: str, cost: float) -> str:
        return f", {name} {cost:.4g}" if self.costs else ""

    def _show(self, text: str) -> None:
        self.bar.set_postfix_str(text, refresh=False)
        self.bar.update(self.waiting)
        self.waiting = 0
        self.due = time.perf_counter() + REFRESH


def _listed(metrics: Mapping[str, float]) -> str:
    return "".join(f", {name} {value:.4g}" for name, value in metrics.items())
