"""A loop through a delay: z(t+1) = w z(t), and what it does to a state and to a gradient.

Run it with `python examples/03_delay_and_loop.py [--out FOLDER]`.
"""

import argparse
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import diagrad as dg

parser = argparse.ArgumentParser(description="Four matrices in a loop.")
parser.add_argument("--out", type=Path, default=Path("loop_out"), help="folder of the pictures")
out: Path = parser.parse_args().out
out.mkdir(parents=True, exist_ok=True)

STEPS = 20
turn = 2 * np.pi / STEPS
MATRICES = {
    "identity": np.eye(2),
    "rotation": np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]),
    "twice": 2 * np.eye(2),
    "half": np.eye(2) / 2,
}

# 1. The diagram. A delay gives z(t); what `close` puts into it is z(t+1). The loop is whatever
#    depends on the delay: here one product, with the same w at every step.
w = dg.observed("w", (2, 2), dtype=dg.float64)
start = dg.observed("start", (2,), dtype=dg.float64)
target = dg.observed("target", (2,), dtype=dg.float64)
t = dg.loop("t", steps=STEPS)
z = t.delay("z", start)
z_next = z @ w
t.close(z, z_next)
cost = dg.sum((t.last(z_next) - target) ** 2)
diagram = dg.Diagram("loop", {"states": t.stack(z_next)}, cost=cost)
diagram.render(out / "loop.svg")
print("the loop is drawn in", out / "loop.svg")

# 2. Its states, and how the cost depends on each of them. On the way back the gradient goes
#    through the same w, transposed, as often: it is kept, kept, explodes and vanishes.
program = diagram.compile()
figure = Figure(figsize=(8, 3.5), layout="constrained")
planes, norms = figure.subplots(1, 2)
for name, matrix in MATRICES.items():
    inputs = {"w": matrix, "start": np.array([1.0, 0.0]), "target": np.zeros(2)}
    states = program.run(w=matrix, start=inputs["start"])["states"]
    flow = dg.gradient_flow(program, inputs)["z"]
    planes.plot(*states.T, ".-", label=name)
    norms.plot(range(1, STEPS + 1), flow / flow[-1], ".-", label=name)
    grown = float(np.linalg.norm(states[-1]))
    print(f"{name:9} |z({STEPS})| = {grown:<8.3g} |dC/dz(1)| / |dC/dz({STEPS})| = ", end="")
    print(f"{flow[0] / flow[-1]:.3g}")
planes.set(title="the states", xlim=(-2, 2), ylim=(-1.5, 1.5), aspect="equal")
norms.set(title="|∂C/∂z(t)| / |∂C/∂z(T)|", xlabel="t", yscale="log")
norms.legend(frameon=False)
figure.savefig(out / "states_and_gradients.svg")

# 3. Truncated back-propagation through time: no gradient passes the delay at every fifth step.
t = dg.loop("t", steps=STEPS, truncate=5)
z = t.delay("z", start)
z_next = z @ w
t.close(z, z_next)
cost = dg.sum((t.last(z_next) - target) ** 2)
flow = dg.gradient_flow(dg.Diagram("truncated", cost=cost), inputs)["z"]
print("truncated, the gradient reaches the last", np.count_nonzero(flow), "states")
