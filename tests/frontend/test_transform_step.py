"""Both rules of a step through w = H(u): by hand, beside each other, drawn, and their errors."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import diagrad as dg
from diagrad.frontend.drawing.drawn import drawn_graph
from diagrad.frontend.pictures.stages.from_diagram import from_diagram

from .evaluating import TARGETS, Target, text

START = np.random.default_rng(5).normal(size=(3, 2))
GIVEN = np.random.default_rng(6).normal(size=(7, 2))


def linear(u: Any) -> dg.Variable:
    """A linear function of (3, 2), of shape (2, 4)."""
    table = np.random.default_rng(7).normal(size=(2, 4, 3, 2))
    return dg.einsum("abij,ij->ab", table, u)


def curved(u: Any) -> dg.Variable:
    return dg.tanh(linear(u) * linear(dg.sin(u)))


def cayley(u: Any) -> dg.Variable:
    """Of (3, 2), an orthogonal matrix of shape (3, 3), of which two rows are weights."""
    a = dg.pad(u, [(0, 0), (0, 1)])
    a = a - a.T
    eye = np.eye(3)
    return dg.solve(eye - a, eye + a)[:2]


TRANSFORMS: dict[str, Callable[[Any], dg.Variable]] = {
    "linear": linear, "curved": curved, "cayley": cayley,
}  # fmt: skip


def drawn(H: Callable[[Any], dg.Variable], rate: Any = 0.1) -> dg.TransformStep:  # noqa: N803
    u = dg.parameter("u", START.shape, START, "float64")
    x = dg.observed("x", ("B", 2), "float64")

    def cost(w: dg.Variable) -> dg.Variable:
        return dg.mean(dg.exp(dg.sin(x @ w)))

    return dg.transform_step(u, H, cost, rate)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", TRANSFORMS)
def test_each_rule_is_its_formula(name: str, target: Target) -> None:
    """With dH/du as a matrix."""
    H = TRANSFORMS[name]  # noqa: N806
    step = drawn(H, 0.3)
    by_u = step.of_parameters.compile(target=target).run(x=GIVEN)
    by_w = step.of_weights.compile(target=target).run(x=GIVEN)
    u = dg.observed("u", START.shape, "float64")
    w = H(u)
    held = dg.observed("w", w.shape, "float64")
    x = dg.observed("x", ("B", 2), "float64")
    slope = dg.gradient(dg.mean(dg.exp(dg.sin(x @ held))), held)
    formula = dg.Diagram("formula", {"w": w, "J": dg.jacobian(w, u), "g": slope})
    now = dg.Diagram("now", {"w": w}).compile(target="reference").run(u=START)["w"]
    found = formula.compile(target="reference").run(u=START, w=now, x=GIVEN)
    matrix, g = found["J"].reshape(now.size, -1), found["g"].ravel()
    back = matrix.T @ g
    for values in (by_u, by_w):
        np.testing.assert_allclose(values["w"], now, rtol=1e-13)
    wanted = START - 0.3 * back.reshape(START.shape)
    np.testing.assert_allclose(by_u["u_next"], wanted, rtol=1e-12, atol=1e-14)
    wanted = now - 0.3 * (matrix @ back).reshape(now.shape)
    np.testing.assert_allclose(by_w["w_next"], wanted, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", TRANSFORMS)
def test_the_rules_agree_to_first_order(name: str, target: Target) -> None:
    """|H(u_next) - w_next| is of second order in eta, and nothing where H is linear."""
    step = drawn(TRANSFORMS[name], dg.observed("eta", (), "float64"))
    of_parameters = step.of_parameters.compile(target=target)
    of_weights = step.of_weights.compile(target=target)
    distances, moves = [], []
    for eta in (1e-1, 1e-2, 1e-3):
        of_parameters.parameters["u"] = START
        first = of_parameters.run(x=GIVEN, eta=eta)
        second = of_weights.run(x=GIVEN, eta=eta)
        of_parameters.parameters["u"] = first["u_next"]
        after = of_parameters.run(x=GIVEN, eta=eta)["w"]
        distances.append(np.abs(after - second["w_next"]).max())
        moves.append(np.abs(second["w_next"] - second["w"]).max())
    np.testing.assert_allclose(moves, np.array([100, 10, 1]) * moves[-1], rtol=1e-6)
    assert moves[-1] > 1e-5
    if name == "linear":
        assert max(distances) < 1e-14
    else:
        np.testing.assert_allclose(np.divide(distances[:-1], distances[1:]), 100, rtol=0.2)


@pytest.mark.parametrize("target", TARGETS)
def test_the_rule_of_parameters_is_gradient_descent(target: Target) -> None:
    diagram = drawn(curved, 0.1).of_parameters
    program = diagram.compile(dg.SGD(0.1), target)
    following = program.run(x=GIVEN)["u_next"]
    program.step(x=GIVEN)
    np.testing.assert_allclose(program.parameters["u"], following, rtol=1e-13)
    assert list(program.parameters) == ["u"]


def test_a_block_with_parameters_of_its_own() -> None:
    """They are part of H, and stay as they are."""
    u = dg.parameter("u", (5,), np.linspace(-1, 1, 5))
    net = dg.Chain(dg.Linear(5, 7), dg.tanh, dg.Linear(7, 3), name="net")
    step = dg.transform_step(u, net, dg.l1)
    program = step.of_parameters.compile(target="reference")
    assert set(program.parameters) == {"u", *(f"net/{name}" for name in net.parameters())}
    values = program.parameters
    hidden = np.tanh(values["u"] @ values["net/0/weight"] + values["net/0/bias"])
    w = hidden @ values["net/2/weight"] + values["net/2/bias"]
    back = values["net/0/weight"] @ ((1 - hidden**2) * (values["net/2/weight"] @ np.sign(w)))
    found = program.run()
    np.testing.assert_allclose(found["w"], w, rtol=1e-5)
    np.testing.assert_allclose(found["u_next"], values["u"] - 0.1 * back, rtol=1e-4, atol=1e-6)


def picture(diagram: dg.Diagram) -> dict[str, str]:
    """What is written in the drawing, and in which form."""
    return {node.label: node.kind for node in from_diagram(drawn_graph(diagram)).nodes}


def test_the_pictures_read_like_the_rules(tmp_path: Path) -> None:
    step = drawn(curved, dg.observed("eta", (), "float64"))
    shared = {
        "u": "parameter", "H(u)": "function", "w": "computed", "C(w, x)": "cost", "x": "observed",
        "eta": "observed", "∂C/∂w": "function", "∂w": "computed", "∂H/∂u′": "function",
        "∂u": "computed",
    }  # fmt: skip
    assert picture(step.of_parameters) == shared | {
        "u − eta ∂u": "function", "u next": "computed",
    }  # fmt: skip
    assert picture(step.of_weights) == shared | {
        "∂H/∂u": "function", "∂H/∂u ∂u": "computed", "w − eta ∂H/∂u ∂u": "function",
        "w next": "computed",
    }  # fmt: skip
    for number, diagram in enumerate((step.of_parameters, step.of_weights)):
        for depth in (1, 2, None):
            path = diagram.render(tmp_path / f"{number}.svg", depth=depth)
            assert "<svg" in path.read_text(encoding="utf-8")
    assert step.of_parameters.name == "u ← u − η ∂H/∂u′ ∂C/∂w′"
    assert step.of_weights.name == "w ← w − η ∂H/∂u ∂H/∂u′ ∂C/∂w′"
    fixed = dg.transform_step(dg.parameter("v", (3,)), dg.exp, dg.sum, 0.25).of_parameters
    assert {"∂H/∂v′", "v − 0.25 ∂v", "v"} <= picture(fixed).keys()


def u_of(shape: Any = (3,)) -> dg.Variable:
    return dg.parameter("u", shape)


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        (lambda: (np.zeros(3), dg.exp, dg.sum), TypeError,
         "transform_step (m.py:1) expects a variable u first, got ndarray"),
        (lambda: (u_of(), dg.exp, dg.exp), dg.ShapeError,
         "transform_step (m.py:1) expects a cost of shape (), got (3,) from C (m.py:1): take its "
         "mean or sum"),
        (lambda: (u_of(), lambda u: dg.fill(1.0, (3,)), dg.sum), dg.DiagramError,
         "transform_step (m.py:1) expects H(u) to depend on parameter 'u' (m.py:1), got one from "
         "H (m.py:1) that does not: compute it from the argument of H"),
        (lambda: (u_of(), lambda u: (u, u), dg.sum), TypeError,
         "transform_step (m.py:1) expects H to give one variable, got tuple"),
        (lambda: (u_of(), dg.exp, lambda w: {"c": dg.sum(w)}), TypeError,
         "transform_step (m.py:1) expects cost to give one variable, got dict"),
        (lambda: (u_of(), dg.exp, dg.sum, dg.observed("eta", (3,))), dg.ShapeError,
         "transform_step (m.py:1) expects a learning rate of shape (), got (3,) from observed "
         "'eta' (m.py:1)"),
        (lambda: (u_of(), lambda u: dg.Linear(3, 2, name="fc")(u), dg.sum), dg.DiagramError,
         "transform_step (m.py:1) expects H to be one function, got H (m.py:1) with parameter "
         "'fc/weight' (m.py:1) made anew each time that it is applied: make it before, and use it "
         "in H"),
        (lambda: (u_of(), lambda u: u + dg.random_normal((3,)), dg.sum), dg.DiagramError,
         "transform_step (m.py:1) expects H to be one function, got H (m.py:1) with random numbers "
         "made anew each time that it is applied: make it before, and use it in H"),
        (lambda: (u_of(), "exp", dg.sum), TypeError,
         "transform_step (m.py:1) expects H to be a block or a function, got 'exp'"),
    ],
)  # fmt: skip
def test_messages(arguments: Callable[[], Any], kind: type[Exception], message: str) -> None:
    given = arguments()
    with pytest.raises(kind) as error:
        dg.transform_step(*given)
    assert text(error.value) == message


def test_a_mistake_within_is_told_as_such() -> None:
    table = np.zeros((4, 4), np.float32)
    with pytest.raises(dg.ShapeError) as error:
        dg.transform_step(u_of(), lambda u: u @ table, dg.sum)
    assert text(error.value) == (
        "matmul (m.py:1) in H (m.py:1) expects as many columns on the left as rows on the right, "
        "not 3 and 4; given (3,) float32 from parameter 'u' (m.py:1) and (4, 4) float32 from "
        "constant (m.py:1)"
    )
