"""The gradient is a graph like any other: use it, train through it, differentiate it, look at it.

Run it with `python examples/02_gradient_is_a_graph.py [--out FOLDER]`.
"""

import argparse
from pathlib import Path

import numpy as np

import diagrad as dg

parser = argparse.ArgumentParser(description="What follows when a gradient is a graph.")
parser.add_argument("--out", type=Path, default=Path("gradient_out"), help="folder of the picture")
out: Path = parser.parse_args().out
out.mkdir(parents=True, exist_ok=True)
rng = np.random.default_rng(0)

# 1. A Hessian times a vector, without the Hessian: the gradient's slope along v, drawn as it is
#    said.  `dg.gradient` returns a variable of the same diagram, so it can be applied twice.
x = dg.observed("x", (5,), dtype=dg.float64)
v = dg.observed("v", (5,), dtype=dg.float64)
cost = dg.sum(dg.tanh(dg.constant(rng.normal(size=(3, 5))) @ x))
slope = dg.gradient(cost, x)
curvature = dg.gradient(dg.sum(slope * v), x)
diagram = dg.Diagram("hessian", {"slope": slope, "curvature": curvature})
program = diagram.compile()

here, along, width = rng.normal(size=5), rng.normal(size=5), 1e-5
exact = program.run(x=here, v=along)["curvature"]
after = program.run(x=here + width * along, v=along)["slope"]
before = program.run(x=here - width * along, v=along)["slope"]
difference = np.abs(exact - (after - before) / (2 * width)).max()
print("Hessian times vector:        ", np.array2string(exact, precision=4))
print(f"by finite differences the same up to {difference:.1e}")
assert difference < 1e-6

# 2. The graph of it, gradient of a gradient and all, is a picture like any other.
diagram.render(out / "gradient_of_gradient.svg", stage="graph")
print("its graph is drawn in", out / "gradient_of_gradient.svg")

# 3. All second derivatives at once: the Jacobian of the gradient is the Hessian.
hessian = dg.Diagram("jacobian", {"hessian": dg.jacobian(slope, x)}).compile().run(x=here)
print("the Hessian, by dg.jacobian:", hessian["hessian"].round(2).tolist()[0], "...")
assert np.allclose(hessian["hessian"] @ along, exact)

# 4. A gradient in the cost: the penalty asks for a function that is flat where it is trained.
#    A step then takes the gradient of a gradient; nothing else changes.
points = rng.uniform(-1, 1, size=(256, 2)).astype(np.float32)
values = np.sign(points[:, 0] * points[:, 1])


def steepness(weight: float) -> tuple[float, float]:
    """Train with this weight of the penalty: the fitting error, and the mean squared slope."""
    p = dg.observed("p", ("B", 2))
    wanted = dg.observed("wanted", ("B",))
    net = dg.Chain(dg.Linear(2, 32), dg.tanh, dg.Linear(32, 1), name="net")
    answer = net(p)[:, 0]
    error = dg.squared_error(answer, wanted)
    steep = dg.mean(dg.sum(dg.gradient(dg.sum(answer), p) ** 2, axis=1))
    drawn = dg.Diagram("penalty", {"error": error, "steep": steep}, cost=error + weight * steep)
    trained = drawn.compile(optimizer=dg.Adam(1e-2))
    dg.fit(trained, {"p": points, "wanted": values}, epochs=300, progress=False)
    result = trained.run(p=points, wanted=values)
    return float(result["error"]), float(result["steep"])


for weight in (0.0, 0.1):
    error, steep = steepness(weight)
    print(f"penalty {weight}: error {error:.3f}, mean squared slope {steep:.2f}")
