"""The penalty on gradients through time against Jacobians, and the L1 penalty."""

import numpy as np
import pytest

import diagrad as dg

from ...evaluating import TARGETS, Target, check_derivatives, text
from .recurrent_cases import Array, below

INPUTS, HIDDEN = 2, 3


def penalty_by_jacobians(weights: tuple[Array, Array, Array], x: Array, all_steps: bool) -> float:
    """Of the cost sum(z(T)**2), or of that at all steps: written out with Jacobians."""
    weight, recurrent, bias = weights
    total = 0.0
    for b in range(x.shape[1]):
        states = [np.zeros(HIDDEN)]
        for x_t in x[:, b]:
            states.append(np.tanh(x_t @ weight + states[-1] @ recurrent + bias))
        whole = np.zeros(HIDDEN)
        for t in range(len(x) - 1, -1, -1):
            own = all_steps or t == len(x) - 1
            whole = whole + (2 * states[t + 1] if own else 0.0)
            through = recurrent @ (whole * (1 - states[t + 1] ** 2))
            total += float(np.linalg.norm(through) / np.linalg.norm(whole) - 1) ** 2
            whole = through
    return total / int(x.shape[1])


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("all_steps", [False, True])
def test_against_jacobians(all_steps: bool, target: Target) -> None:
    x = dg.observed("x", ("T", "B", INPUTS), "float64")
    probes = dg.probes((1, "T", "B", HIDDEN), "float64")
    net = dg.RNN(INPUTS, HIDDEN, dtype="float64", name="net")
    y, last = net(x, probes=probes)
    cost = dg.sum(y * y) if all_steps else dg.sum(last * last)
    penalty = dg.gradient_propagation(cost, probes)
    slope = dg.gradient(penalty, net.parameters()["l0/recurrent"])
    program = dg.Diagram("test", {"penalty": penalty, "slope": slope}).compile(target=target)
    p = below(program, "net/l0")
    for steps, samples in [(5, 3), (1, 1), (5, 1)]:
        value = np.random.default_rng(steps).normal(size=(steps, samples, INPUTS))
        found = program.run(x=value)
        weights = (p["weight"], p["recurrent"].copy(), p["bias"])
        wanted = penalty_by_jacobians(weights, value, all_steps)
        assert found["penalty"] == pytest.approx(wanted, rel=1e-10)
        along, width = np.random.default_rng(1).normal(size=(HIDDEN, HIDDEN)), 1e-6
        sides = [
            penalty_by_jacobians((p["weight"], p["recurrent"] + w * along, p["bias"]), value,
                                 all_steps)
            for w in (width, -width)
        ]  # fmt: skip
        difference = (sides[0] - sides[1]) / (2 * width)
        assert np.vdot(found["slope"], along) == pytest.approx(difference, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("target", TARGETS)
def test_steps_without_a_gradient_add_nothing(target: Target) -> None:
    """Padding, and states that do not reach the cost: finite, and as without them."""
    x, lengths = dg.observed("x", ("T", "B", INPUTS)), dg.observed("n", ("B",), dtype=dg.int32)
    probes = dg.probes((2, "T", "B", HIDDEN))
    net = dg.GRU(INPUTS, HIDDEN, layers=2, name="net")
    y, last = net(x, probes=probes, lengths=lengths)
    penalty = dg.gradient_propagation(dg.sum(last[0] * last[0]), probes)
    slope = dg.gradient(penalty, net.parameters()["l0/recurrent"])
    program = dg.Diagram("test", {"p": penalty, "slope": slope, "y": y}).compile(target=target)
    rng = np.random.default_rng(0)
    value = rng.normal(size=(4, 1, INPUTS)).astype(np.float32)
    short = program.run(x=value, n=np.array([4], np.int32))
    longer = np.concatenate([value, rng.normal(size=(3, 1, INPUTS)).astype(np.float32)])
    long = program.run(x=longer, n=np.array([4], np.int32))
    assert short["p"] > 0 and np.isfinite(short["slope"]).all() and short["slope"].any()
    np.testing.assert_allclose(long["p"], short["p"], rtol=1e-5)
    np.testing.assert_allclose(long["slope"], short["slope"], rtol=1e-4, atol=1e-6)


def test_gradients_that_nearly_vanish_are_counted() -> None:
    """A tenth of the gradient remains at each of 30 steps: squares that float32 does not hold."""
    probes = dg.probes((30, 2, 1))
    t = dg.loop("t")
    z = t.delay("z", 1.0, shape=(2, 1))
    following = 0.1 * (z + t.each(probes[0])) + t.each(probes[1])
    t.close(z, following)
    penalty = dg.gradient_propagation(dg.sum(t.last(following)), probes)
    found = dg.Diagram("test", {"p": penalty}).compile(target="reference").run()
    assert found["p"] == pytest.approx(30 * 0.81, rel=1e-4)


def test_training_with_the_penalty_keeps_the_gradient() -> None:
    x = dg.observed("x", ("T", "B", INPUTS))
    probes = dg.probes((1, "T", "B", HIDDEN))
    _, last = dg.RNN(INPUTS, HIDDEN, recurrent_init=dg.init.identity(0.2), name="net")(
        x, probes=probes
    )
    cost = dg.mean(last * last)
    penalty = dg.gradient_propagation(cost, probes)
    program = dg.Diagram("test", {"p": penalty}, cost=cost + penalty).compile(dg.Adam(1e-2))
    value = np.random.default_rng(0).normal(size=(10, 4, INPUTS)).astype(np.float32)
    before = program.run(x=value)["p"]
    for _ in range(100):
        program.step(x=value)
    assert program.run(x=value)["p"] < 0.2 * before


@pytest.mark.parametrize("target", TARGETS)
def test_l1(target: Target) -> None:
    x, y = dg.observed("x", ("B", 3)), dg.observed("y", (2,))
    named = dg.l1({"x": x, "y": y})
    found = {
        "one": dg.l1(x),
        "two": dg.l1([x, y]),
        "named": named,
        "slope": dg.gradient(dg.l1([x, y]), x),
    }
    program = dg.Diagram("test", found).compile(target=target)
    value = np.array([[1, -2, 0], [0, 0, 3]], np.float32)
    result = program.run(x=value, y=np.array([-4, 1], np.float32))
    assert result["one"] == 6 and result["two"] == result["named"] == 11
    np.testing.assert_array_equal(result["slope"], np.sign(value))
    check_derivatives(dg.l1, value + 0.5)


def test_errors() -> None:
    with pytest.raises(dg.ShapeError) as error:
        dg.probes(("T", 5))
    assert text(error.value) == (
        "probes (m.py:1) expects a shape (T, B, hidden) or (layers * directions, T, B, hidden), "
        "got (T, 5)"
    )
    with pytest.raises(TypeError, match=r"expects the two variables of dg\.probes, got 3"):
        dg.gradient_propagation(dg.constant(1.0), 3)  # type: ignore[arg-type]
    with pytest.raises(ValueError) as empty:
        dg.l1([])
    assert text(empty.value) == "l1 (m.py:1) expects one or more variables, got none"
