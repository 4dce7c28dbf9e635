"""`dg.find_rate`: the costs of steps whose rate grows, against a formula."""

from pathlib import Path

import numpy as np
import pytest

import diagrad as dg

from .test_training import points, regression


def parabola(momentum: float = 0.0) -> dg.Program:
    """The cost x * w**2, of which a step with the rate r makes w * (1 - 2 r x)."""
    x, w = dg.observed("x", ("B",), dg.float64), dg.parameter("w", (), init=3.0, dtype=dg.float64)
    diagram = dg.Diagram("parabola", cost=dg.mean(x * w * w))
    return diagram.compile(dg.SGD(0.1, momentum=momentum), target="reference")


def test_the_costs_of_a_parabola() -> None:
    program = parabola()
    before = {name: array.copy() for name, array in program.states.items()}
    found = dg.find_rate(program, {"x": np.ones(6)}, 2, lowest=1e-3, highest=1e3, steps=80)
    np.testing.assert_allclose(found.rates, np.geomspace(1e-3, 1e3, 80)[: len(found.rates)])
    w, expected, total, weight, means = 3.0, [], 0.0, 0.0, []
    for rate in found.rates:
        expected.append(w * w)
        total, weight = 0.8 * total + w * w, 0.8 * weight + 1
        means.append(total / weight)
        w *= 1 - 2 * rate
    np.testing.assert_allclose(found.costs, expected, rtol=1e-9)
    limit = 4 * min(means)  # the search ends at the first mean that is above
    assert len(means) < 80 and means[-1] > limit
    assert all(m <= 4 * min(means[: i + 1]) for i, m in enumerate(means[:-1]))
    best = int(np.argmin(means)) + 1
    bounded = [*expected[:best], *np.minimum(expected[best:], limit)]
    for place in (0, 7, len(means) - 1):
        near = 0.8 ** np.abs(np.arange(len(means)) - place)
        wanted = (near * bounded).sum() / near.sum()
        assert found.smoothed[place] == pytest.approx(wanted)
    slopes = np.gradient(found.smoothed, np.log(found.rates))[: found.smoothed.argmin() + 1]
    assert found.suggestion == found.rates[slopes.argmin()]
    assert found.suggestion is not None and 1e-2 < found.suggestion < 0.5, (
        "below the rate 1 / 2, which is the best for one step"
    )
    for name, array in program.states.items():
        np.testing.assert_array_equal(array, before[name])


def test_batches_and_costs_that_do_not_fall() -> None:
    data = [{"x": np.ones(2)}, {"x": np.ones(3)}]
    found = dg.find_rate(parabola(), data, lowest=1e-6, highest=1e-3, steps=5)
    assert len(found.costs) == 5 and found.suggestion is not None
    once = dg.find_rate(parabola(), iter(data), steps=5)
    assert len(once.costs) == 2 and once.suggestion is None
    grows = dg.find_rate(parabola(), {"x": -np.ones(3)}, lowest=1e-3, highest=0.2, steps=9)
    assert grows.suggestion is not None  # the cost -w**2 has no least value
    assert grows.costs[-1] < grows.costs[0]
    broken = dg.find_rate(parabola(), {"x": np.array([np.nan])}, steps=5)
    assert len(broken.costs) == 1 and broken.suggestion is None


def test_the_picture(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    found = dg.find_rate(regression(), points(8), 4, steps=30)
    path = tmp_path / "rates.png"
    assert found.plot(path) == path and path.read_bytes().startswith(b"\x89PNG")


def test_arguments() -> None:
    with pytest.raises(ValueError, match=r"expects highest to be a number above 1, got 0\.5"):
        dg.find_rate(parabola(), {"x": np.ones(2)}, lowest=1, highest=0.5)
    x = dg.observed("x", ("B",))
    bare = dg.Diagram("bare", {"y": 2.0 * x}).compile(target="reference")
    with pytest.raises(dg.InputError, match="expects a program with a cost, got 'bare' without"):
        dg.find_rate(bare, {"x": [1.0]})
    still = parabola().diagram.compile(target="reference")
    with pytest.raises(dg.InputError, match="program 'parabola' has no optimizer: compile it with"):
        dg.find_rate(still, {"x": np.ones(2)})
    with pytest.raises(dg.InputError, match="find_rate of 'parabola' expects at least one sample"):
        dg.find_rate(parabola(), {"x": np.ones(0)})
