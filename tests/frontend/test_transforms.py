"""Weights that are computed, w = H(u): gradients by u to second order, training, and files.

All transforms stand in one diagram, each with parameters of its own and a small net.  So in one
run an element of each one's parameters is moved.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import diagrad as dg

from .evaluating import TARGETS, Array, Target

N = 5
TURNED = (np.arange(N)[:, None] - np.arange(N)) % N
MASK = (np.arange(N * N).reshape(N, N) % 3 == 0).astype(np.float64)
EYE = np.eye(N)


def normalised(g: Any, v: Any) -> dg.Variable:
    """Of every output's weights, a length and a direction (Salimans and Kingma, 2016)."""
    made: dg.Variable = v * (g / dg.sqrt(dg.sum(v * v, 0)))
    return made


def cayley(u: Any) -> dg.Variable:
    """(I - A)^-1 (I + A) for A = u - u', which is orthogonal."""
    a = u - u.T
    return dg.solve(EYE - a, EYE + a)


@dataclass(frozen=True)
class Transform:
    """H, the shapes of its parameters, and the same by NumPy."""

    of: Callable[..., dg.Variable]
    shapes: tuple[tuple[int, ...], ...]
    numpys: Callable[..., Array]


def cayley_by_numpy(u: Array) -> Array:
    a = u - u.T
    return np.asarray(np.linalg.inv(EYE - a) @ (EYE + a))


TRANSFORMS = {
    "weight_normalisation": Transform(
        normalised, ((N,), (N, N)), lambda g, v: g * v / np.linalg.norm(v, axis=0)
    ),
    "low_rank": Transform(lambda a, b: a @ b, ((N, 2), (2, N)), lambda a, b: a @ b),
    "orthogonal": Transform(cayley, ((N, N),), cayley_by_numpy),
    "positive": Transform(dg.softplus, ((N, N),), lambda u: np.log1p(np.exp(u))),
    "circulant": Transform(lambda u: dg.share(u, TURNED), ((N,),), lambda u: u[TURNED]),
    "taken": Transform(lambda u: dg.take(u, TURNED), ((N,),), lambda u: u[TURNED]),
    "sparse": Transform(lambda u: u * MASK, ((N, N),), lambda u: u * MASK),
    "symmetric": Transform(lambda u: u + u.T, ((N, N),), lambda u: u + u.T),
}


def computed_layer(name: str) -> tuple[dg.Variable, dg.Variable, list[Any]]:
    """A weight, the squared error of a layer that is applied twice, and the parameters behind."""
    transform = TRANSFORMS[name]
    rng = np.random.default_rng(len(name))
    parameters = [
        dg.parameter(f"{name}_{i}", shape, rng.normal(size=shape), "float64")
        for i, shape in enumerate(transform.shapes)
    ]
    weight = transform.of(*parameters)
    fc = dg.Linear(N, N, weight=weight, bias=False, dtype="float64", name=name)
    hidden = dg.constant(rng.normal(size=(7, N)))
    hidden = dg.tanh(fc(dg.tanh(fc(hidden))))
    return weight, dg.squared_error(hidden, dg.constant(rng.normal(size=(7, N)))), parameters


def directions(parameters: list[Any]) -> list[Array]:
    return [np.random.default_rng([*p.name.encode()]).normal(size=p.shape) for p in parameters]


class Drawn:
    """Diagrams of all transforms: what is measured is named after the transform or parameter."""

    def __init__(self, target: Target) -> None:
        outputs: dict[str, Any] = {}
        self.parameters: dict[str, list[Any]] = {}
        costs = []
        for name in TRANSFORMS:
            weight, cost, found = computed_layer(name)
            slopes = dg.gradient(cost, found)
            along = zip(slopes, directions(found), strict=True)
            slope = dg.sum(dg.stack([dg.sum(s * dg.constant(v)) for s, v in along]))
            products = dg.gradient(slope, found)
            self.parameters[name] = found
            outputs |= {f"weight of {name}": weight, f"cost of {name}": cost}
            for p, first, second in zip(found, slopes, products, strict=True):
                outputs |= {f"gradient by {p.name}": first, f"product by {p.name}": second}
            costs.append(cost)
        total = dg.sum(dg.stack(costs))
        self.diagram = dg.Diagram("transforms", outputs, cost=total)
        self.program = self.diagram.compile(dg.SGD(0.1), target)
        self.start = {name: value.copy() for name, value in self.program.parameters.items()}

    def at(self, moves: dict[str, Array]) -> dict[str, Array]:
        """All outputs with some parameters moved away from the start."""
        for name, value in self.start.items():
            self.program.parameters[name] = value + moves.get(name, 0.0)
        return dict(self.program.run())


@pytest.fixture(scope="module", params=TARGETS)
def drawn(request: pytest.FixtureRequest) -> Drawn:
    return Drawn(request.param)


def test_values(drawn: Drawn) -> None:
    found = drawn.at({})
    for name, transform in TRANSFORMS.items():
        values = [drawn.start[p.name] for p in drawn.parameters[name]]
        np.testing.assert_allclose(
            found[f"weight of {name}"], transform.numpys(*values), rtol=1e-12, err_msg=name
        )
    w = found["weight of orthogonal"]
    np.testing.assert_allclose(w.T @ w, EYE, atol=1e-14)
    assert (found["weight of positive"] > 0).all()
    assert np.linalg.matrix_rank(found["weight of low_rank"]) == 2
    assert (found["weight of sparse"][MASK == 0] == 0).all()


def test_gradients_are_differences(drawn: Drawn) -> None:
    """Element after element, and in all transforms at once, for each is moved alone."""
    here, step = drawn.at({}), 1e-6
    for number in range(2):
        moved = {n: found[number] for n, found in drawn.parameters.items() if number < len(found)}
        for k in range(max(drawn.start[p.name].size for p in moved.values())):
            moves = {}
            for p in moved.values():
                moves[p.name] = np.zeros(p.shape)
                moves[p.name].flat[k % moves[p.name].size] = step
            after = drawn.at(moves)
            before = drawn.at({name: -move for name, move in moves.items()})
            for name, p in moved.items():
                wanted = (after[f"cost of {name}"] - before[f"cost of {name}"]) / (2 * step)
                got = here[f"gradient by {p.name}"]
                np.testing.assert_allclose(
                    got.flat[k % got.size], wanted, rtol=1e-6, atol=1e-8, err_msg=p.name
                )


def test_hessian_products_are_differences(drawn: Drawn) -> None:
    every = [p for found in drawn.parameters.values() for p in found]
    along = dict(zip((p.name for p in every), directions(every), strict=True))
    step = 1e-5
    here, after, before = (
        drawn.at({n: s * v for n, v in along.items()}) for s in (0.0, step, -step)
    )
    for p in every:
        name = f"gradient by {p.name}"
        wanted = (after[name] - before[name]) / (2 * step)
        got = here[f"product by {p.name}"]
        np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-7, err_msg=p.name)


def test_only_u_is_free_is_trained_and_is_saved(drawn: Drawn, tmp_path: Path) -> None:
    program, target = drawn.program, drawn.program.target
    names = {p.name for found in drawn.parameters.values() for p in found}
    assert set(drawn.diagram.parameters) == set(program.parameters) == names
    before = drawn.at({})
    program.step()
    for name in names:
        moved = drawn.start[name] - 0.1 * before[f"gradient by {name}"]
        np.testing.assert_allclose(program.parameters[name], moved, rtol=1e-12, err_msg=name)
        assert (moved != drawn.start[name]).any()
    trained = dict(program.run())
    program.save(tmp_path / "u.safetensors")
    again = drawn.diagram.compile(dg.SGD(0.1), target, seed=1)
    again.load(tmp_path / "u.safetensors")
    assert set(again.parameters) == names
    for name, value in again.run().items():
        np.testing.assert_array_equal(value, trained[name], err_msg=name)
    w = trained["weight of orthogonal"]
    np.testing.assert_allclose(w.T @ w, EYE, atol=1e-14)


@pytest.mark.parametrize("target", TARGETS)
def test_a_weight_of_two_layers_is_one_weight(target: Target) -> None:
    """H(u) in two layers: the gradients of two copies are added, and u is stepped once."""
    u = dg.parameter("u", (N, N), np.linspace(-1, 1, N * N).reshape(N, N), "float64")
    x = dg.observed("x", ("B", N), "float64")
    weights = [dg.softplus(u), dg.softplus(u)]
    once = weights[0]

    def cost(name: str, first: dg.Variable, second: dg.Variable) -> dg.Variable:
        layers = [
            dg.Linear(N, N, weight=w, bias=False, dtype="float64", name=f"{name}_{i}")
            for i, w in enumerate((first, second))
        ]
        return dg.sum(layers[1](dg.tanh(layers[0](x))))

    tied, apart = cost("tied", once, once), cost("apart", *weights)
    pair = dg.gradient(apart, weights)
    outputs = {"shared": dg.gradient(tied, once), "by_u": dg.gradient(tied, u)}
    diagram = dg.Diagram("tied", {**outputs, "sum": pair[0] + pair[1]}, cost=tied)
    program = diagram.compile(dg.SGD(0.5), target)
    given = np.random.default_rng(0).normal(size=(3, N))
    found = program.run(x=given)
    np.testing.assert_allclose(found["shared"], found["sum"], rtol=1e-12)
    start = program.parameters["u"].copy()
    slope = found["sum"] / (1 + np.exp(-start))
    np.testing.assert_allclose(found["by_u"], slope, rtol=1e-12)
    program.step(x=given)
    np.testing.assert_allclose(program.parameters["u"], start - 0.5 * slope, rtol=1e-12)
    assert list(program.parameters) == ["u"]
