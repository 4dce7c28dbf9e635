"""Optimizers on one surface: a bent valley, steep across and nearly level along.

Run it with `python examples/23_optimizers.py [--out FOLDER]`.  The surface is Rosenbrock's (1960),
C = (1 - u)² + 10 (v - u²)², whose least value, 0, is at u = v = 1.  Plain descent can go no faster
than the steep direction allows, and creeps along the valley.  Momentum adds up what the slopes have
in common, RMSprop and Adam divide each slope by its usual size.  It prints how many steps each
needs until C is below 0.001, and draws their ways.

Then noise is added to the slopes, as that of mini-batches, and descent begins at the minimum.  With
a constant rate it never comes to rest: it fluctuates as wide as the rate lets it.  A rate that
decays (in steps, by a cosine, as 1/t) takes the fluctuations with it.  It prints the mean distance
from the minimum early and late.
"""

import argparse
from pathlib import Path

import matplotlib
import numpy as np
import numpy.typing as npt

import diagrad as dg

matplotlib.use("Agg")
import matplotlib.pyplot as plt

parser = argparse.ArgumentParser(description="Ways of optimizers down one surface.")
parser.add_argument("--out", type=Path, default=Path("optimizers_out"), help="folder of pictures")
out: Path = parser.parse_args().out
out.mkdir(parents=True, exist_ok=True)
Places = list[npt.NDArray[np.float64]]
START, TOLERANCE, MOST = (-1.2, 1.2), 1e-3, 3000


def surface(start: tuple[float, float], noise: float = 0.0) -> dg.Diagram:
    """The surface over two parameters, as a diagram whose cost it is."""
    w = dg.parameter("w", (2,), np.array(start), dg.float64)
    u, v = w[0], w[1]
    cost = (1.0 - u) ** 2 + 10.0 * (v - u**2) ** 2
    outputs = {"C": cost}
    if noise:  # a term whose gradient is noise, of another draw at every step
        cost = cost + dg.sum(w * noise * dg.random_normal((2,), dtype=dg.float64))
    return dg.Diagram("surface", outputs, cost=cost)


def way(optimizer: dg.Optimizer, diagram: dg.Diagram, steps: int, tolerance: float = 0.0) -> Places:
    """The parameters after every step, until the cost is below the tolerance."""
    program = diagram.compile(optimizer=optimizer)
    places = [program.parameters["w"].copy()]
    while len(places) <= steps and program.run()["C"] >= tolerance:
        program.step()
        places.append(program.parameters["w"].copy())
    return places


# 1. The ways down, each with a rate that suits it.
diagram = surface(START)
diagram.render(out / "surface.svg")
OPTIMIZERS: dict[str, dg.Optimizer] = {
    "SGD": dg.SGD(0.01),
    "momentum": dg.SGD(0.01, momentum=0.9),
    "Nesterov": dg.SGD(0.01, momentum=0.9, nesterov=True),
    "RMSprop": dg.RMSprop(0.005, decay=0.9),
    "Adam": dg.Adam(0.1),
}
figure, axes = plt.subplots(2, 3, figsize=(11, 7), layout="constrained", sharex=True, sharey=True)
grid_u, grid_v = np.meshgrid(np.linspace(-1.8, 1.8, 181), np.linspace(-0.8, 2.2, 151))
heights = (1 - grid_u) ** 2 + 10 * (grid_v - grid_u**2) ** 2
for axis in axes.flat:
    axis.contour(
        grid_u, grid_v, heights, np.geomspace(0.01, 60, 14), cmap="Greys_r", linewidths=0.7
    )
    axis.plot(1, 1, "k*", markersize=10)
for (name, optimizer), axis in zip(OPTIMIZERS.items(), axes.flat, strict=False):
    places = way(optimizer, diagram, MOST, TOLERANCE)
    print(f"{name:9} {len(places) - 1:5} steps until C is below {TOLERANCE}")
    axis.plot(*np.transpose(places), ".-", color="tab:blue", linewidth=1, markersize=3)
    axis.set(title=f"{name}: {len(places) - 1} steps", xlabel="u", ylabel="v")

# 2. Noise, from the minimum on: what the rate has to do with fluctuations.
STEPS = 2000
RATES: dict[str, dg.schedules.Schedule] = {
    "constant": dg.schedules.constant(0.02),
    "steps": dg.schedules.step_decay(0.02, every=500, factor=0.3),
    "cosine": dg.schedules.cosine(0.02, steps=STEPS),
    "1/t": dg.schedules.inverse_time(0.02, decay=0.005),
}
noisy = surface((1.0, 1.0), noise=2.0)
for name, rate in RATES.items():
    places = way(dg.SGD(rate), noisy, STEPS, -1.0)
    apart = np.linalg.norm(np.array(places) - 1, axis=1)
    early, late = apart[100:500].mean(), apart[-400:].mean()
    print(f"noise, rate {name:8}: distance {early:.3f} early, {late:.3f} at the end")
    if name in ("constant", "1/t"):
        u, v = np.transpose(places[-400:])
        axes.flat[-1].plot(u, v, ".", markersize=3, label=f"{name}, the last 400")
axes.flat[-1].set(title="noise, and a rate that decays", xlabel="u", ylabel="v")
axes.flat[-1].legend(frameon=False, loc="lower left")
figure.savefig(out / "paths.svg")
print("the surface's diagram and the ways are drawn in", out)
