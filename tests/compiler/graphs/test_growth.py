"""How costs grow with the number of samples: against the cost of the same samples twice."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import diagrad as dg


def totals_of_a_loop(x: Any, w: Any) -> Any:
    t = dg.loop("t")
    state = t.delay("z", 0.0, shape=("B", 2), dtype=dg.float64)
    after = dg.tanh(state + t.each(dg.stack([x, 2.0 * x, x * x])) * w)
    t.close(state, after)
    total = t.delay("total", 0.0, shape=(), dtype=dg.float64)
    more = total + dg.sum(after * after)
    t.close(total, more)
    return t.last(more)


Cost = Callable[[Any, Any], Any]
# The power of the count of samples that is there to see, or None where there is none.
COSTS: dict[str, tuple[Cost, int | Fraction | None]] = {
    "mean": (lambda x, w: dg.mean(x * w), 0),
    "sum": (lambda x, w: dg.sum(x * w), 1),
    "sum of means": (lambda x, w: dg.sum(dg.mean(x * w, axis=1)), 1),
    "mean of sums": (lambda x, w: dg.mean(dg.sum(x * w, axis=1)), 0),
    "mean and a pull": (lambda x, w: dg.mean(x * w) + 0.1 * dg.sum(w * w), 0),
    "sum and a pull": (lambda x, w: dg.sum(x * w) + 0.1 * dg.sum(w * w), None),
    "sum and nothing": (lambda x, w: dg.sum(x * w) + 0.0 * dg.sum(w), 1),
    "product": (lambda x, w: dg.sum((x @ w) * (x @ w)) / dg.sum(w * w), 1),
    "contraction": (lambda x, w: dg.sum(dg.einsum("bi,bj->ij", x, x)), 1),
    "weighted mean": (lambda x, w: dg.sum(x * w * x * x) / dg.sum(x * x + dg.sum(w)), 0),
    "norm": (lambda x, w: dg.sqrt(dg.sum(x * w * x * w)), Fraction(1, 2)),
    "logarithm": (lambda x, w: dg.log(dg.sum(x * x * w * w)), None),
    "extremes": (lambda x, w: dg.max(x * w) - dg.min(x * w), 0),
    "normalised": (lambda x, w: dg.sum((x - dg.mean(x, 0)) * (x - dg.mean(x, 0)) * w), 1),
    "losses": (lambda x, w: dg.squared_error(x @ w, dg.sum(x, 1)), 0),
    "classes": (lambda x, w: dg.cross_entropy(x * w, dg.argmax(x, 1)), 0),
    "counts": (lambda x, w: dg.sum(dg.scatter_add(dg.argmax(x, 1), x * w, size=2)), 1),
    "running sums": (lambda x, w: dg.mean(dg.cumsum(x * w, axis=1)), 0),
    "loop": (totals_of_a_loop, 1),
}


@pytest.mark.parametrize("name", COSTS)
def test_the_power_is_what_twice_the_samples_show(name: str) -> None:
    make, power = COSTS[name]
    x, w = dg.observed("x", ("B", 2), dg.float64), dg.parameter("w", (2,), 0.7, dg.float64)
    diagram = dg.Diagram("d", cost=make(x, w))
    assert diagram.cost_growth({"B"}) == power
    assert diagram.cost_growth({"N"}) == 0
    given = np.random.default_rng(0).normal(size=(5, 2))
    program = diagram.compile(target="reference")
    once, twice = (float(program.run(x=np.tile(given, (n, 1)))["cost"]) for n in (1, 2))
    seen = np.log2(twice / once)
    assert power is None or seen == pytest.approx(float(power), abs=1e-9)
