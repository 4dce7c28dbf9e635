"""Costs and metrics of data, batch by batch, without training."""

from __future__ import annotations

from typing import Any

from ..arguments import integer
from ..errors import InputError
from ..programs.running import Running
from .feeding.batches import Axis, Samples
from .measuring import Measures, Metrics, check_weights
from .plan import expect_program, feed_of, judged


def evaluate(
    program: Running,
    data: Any,
    metrics: Metrics | None = None,
    batch_size: int | None = None,
    axis: Axis = 0,
    sample_weight: str | None = None,
    prefetch: int = 2,
) -> dict[str, float]:
    """The cost and metrics of all data, as `run` computes them: in inference, and no update.

    They are put together as `fit` does it: exact for a last batch of fewer samples, whatever the
    size of the others.

    Args:
        program: any, with an optimizer or without.
        data: as for `fit`, in any of its forms: arrays of all samples, or batches.
        metrics: as for `fit`, by name.
        batch_size: samples in a batch; by default all of them at once.
        axis: as for `fit`.
        sample_weight: as for `fit`.
        prefetch: as for `fit`.

    Returns:
        "cost", where the diagram has one, and the metrics by their names.

    Raises:
        InputError, DiagramError, TypeError, ValueError: as for `fit`; neither a cost nor metrics.
    """
    program = expect_program("evaluate", program)
    name = f"evaluate of '{program.diagram.name}'"
    measures = Measures(name, program, metrics)
    if program.diagram.cost is None and not measures.values:
        raise InputError(
            f"{name} expects a diagram with a cost, or metrics, got neither: give "
            "metrics={'accuracy': dg.metrics.accuracy(...)}"
        )
    size = None if batch_size is None else integer("evaluate", "batch_size", batch_size, 1)
    execution = measures.execution("run")
    feed = feed_of(name, execution.expected, data, axis, 1, ahead=prefetch)
    check_weights(name, sample_weight, execution.expected)
    sums: set[str] = set()
    if isinstance(feed, Samples):
        size = min(size or feed.count, feed.count)
        feed.check_batches("evaluate", size, execution)
        batches = feed.batches(size)
    elif size is not None:
        raise InputError(f"{name} expects no batch_size for data that come in batches, got {size}: "
                         "the batches are taken as they are")  # fmt: skip
    else:
        batches = feed.batches(1)
    if not isinstance(feed, Samples) or size != feed.count:
        sums = measures.sums(feed.counted)
    try:
        meter = judged("evaluate", measures, execution, batches, sums, sample_weight)
    finally:
        if not isinstance(feed, Samples):
            feed.close()
    cost = {} if program.diagram.cost is None else {"cost": meter.cost}
    return {**cost, **meter.metrics()}
