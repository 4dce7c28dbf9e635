"""Units that multiply: a law, a rotation and a switch, each found from examples.

Run it with `python examples/27_products.py [--steps N] [--out FOLDER]`.  Sums and squashing can
come near a product, but only where they have seen it.  Three modules multiply:

    product units   y = prod_j x_j ** w_j: the energy of a mass m that has the speed v and the
                    height h is ½ m v² + m h (where g is 1); two units and a sum find the powers
    quadratic       s_i = sum_jk u_ijk z_k x_j: z is the cosine and the sine of an angle, and x is
                    turned by it; u becomes the two halves of a rotation's matrix
    sigma-pi        a sum of chosen products: a or b, as a third input says, which is
                    a - c a + c b

Each learns beside a net of 32 tanh units, which has more parameters.  It prints what the modules
have found, and the errors of both, as shares of what is to be learned: on inputs of the range that
they learned from, and of twice that range.  It draws the three modules.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import diagrad as dg

parser = argparse.ArgumentParser(description="Product units, a quadratic layer, sigma-pi units.")
parser.add_argument("--steps", type=int, default=10000, help="steps of learning for each model")
parser.add_argument("--out", type=Path, default=Path("products_out"), help="folder of the pictures")
options = parser.parse_args()
out: Path = options.out
out.mkdir(parents=True, exist_ok=True)
Array = npt.NDArray[np.float32]
Inputs = dict[str, Array]
Model = Callable[..., dg.Variable]


def learned(name: str, model: Model, draw: Callable[[float], Inputs], right: Any) -> dg.Program:
    """The program of a model after it has learned; its errors are printed.

    `draw` gives inputs of a range, and `right` what is wanted of them.
    """
    x = {key: dg.observed(key, ("B", *item.shape[1:])) for key, item in draw(1).items()}
    answer = model(**x)
    wanted = dg.observed("wanted", answer.shape)
    cost = dg.squared_error(answer, wanted)
    diagram = dg.Diagram(name, {"answer": answer}, cost=cost)
    if name != "tanh units":
        diagram.render(out / f"{name.replace(' ', '_')}.svg", depth=2)
    rate = dg.schedules.cosine(0.02, options.steps)
    program = diagram.compile(dg.Adam(rate, clip=dg.clip_norm(1.0)))
    for _ in range(options.steps):
        given = draw(1)
        program.step(wanted=right(**given), **given)
    errors = []
    for span in (1, 2):
        given = draw(span)
        target = right(**given)
        distance = program.run(**given)["answer"] - target
        errors.append(np.sqrt(np.mean(distance**2) / np.mean(target**2)))
    print(f"{name:14} error {errors[0]:7.2%} in the range, {errors[1]:7.2%} in twice the range")
    return program


def tanh_net(outputs: int) -> Model:
    """A net of 32 units that sees all inputs side by side."""
    net = dg.Chain(dg.Linear(WIDTHS[outputs], 32), dg.tanh, dg.Linear(32, outputs), name="net")
    return lambda **x: net(dg.concatenate(list(x.values()), axis=1))


rng = np.random.default_rng(0)
WIDTHS = {1: 3, 2: 4}  # of the inputs, by the number of outputs

# 1. The law of an energy, from masses, speeds and heights above 0.
units, total = dg.ProductUnits(3, 2, name="units"), dg.Linear(2, 1, bias=False, name="total")


def drawn_states(span: float) -> Inputs:
    return {"state": rng.uniform(0.3, 2 * span, (256, 3)).astype(np.float32)}


def energy(state: Array) -> Array:
    m, v, h = state.T
    return np.stack([0.5 * m * v**2 + m * h], axis=1)


program = learned("product units", lambda state: total(units(state)), drawn_states, energy)
powers, factors = program.parameters["units/weight"], program.parameters["total/weight"][:, 0]
for factor, (m, v, h) in zip(factors, powers.T, strict=True):
    print(f"   {factor:+.2f} m^{m:.2f} v^{v:.2f} h^{h:.2f}")
learned("tanh units", tanh_net(1), drawn_states, energy)

# 2. A rotation by an angle that is an input.
turn = dg.Quadratic(2, 2, context=2, bias=False, name="turn")


def drawn_angles(span: float) -> Inputs:
    angle = rng.uniform(-np.pi, np.pi, 256)
    x, z = rng.uniform(-span, span, (256, 2)), np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return {"x": x.astype(np.float32), "z": z.astype(np.float32)}


def rotated(x: Array, z: Array) -> Array:
    (a, b), (cos, sin) = x.T, z.T
    return np.stack([cos * a - sin * b, sin * a + cos * b], axis=1)


program = learned("quadratic", turn, drawn_angles, rotated)
for name, matrix in zip(("cosine", "sine"), program.parameters["turn/transform/u"], strict=True):
    print(f"   times the {name}:", *matrix.T.round(2).tolist())
learned("tanh units", tanh_net(2), drawn_angles, rotated)

# 3. A switch: a where c is 0, b where it is 1.
select = dg.SigmaPi(3, [(0,), (1,), (2, 0), (2, 1)], 1, bias=False, name="select")


def drawn_choices(span: float) -> Inputs:
    a, b = rng.uniform(-span, span, (2, 256))
    return {"abc": np.stack([a, b, rng.integers(0, 2, 256)], axis=1).astype(np.float32)}


def chosen(abc: Array) -> Array:
    a, b, c = abc.T
    return np.stack([np.where(c == 1, b, a)], axis=1)


program = learned("sigma-pi", lambda abc: select(abc), drawn_choices, chosen)
(weights,) = program.parameters.values()
terms = ("a", "b", "c a", "c b")
print("  ", *(f"{w:+.2f} {term}" for w, term in zip(weights[:, 0], terms, strict=True)))
learned("tanh units", tanh_net(1), drawn_choices, chosen)
print("the modules are drawn in", out)
