"""A differential equation learned from data: the lynx and the hares of Hudson Bay, 1900 to 1920.

Run it with `python examples/05_neural_ode.py [--steps N] [--out FOLDER]`.  The field of a neural
ordinary differential equation, dz/dt = f(z), is a small network.  It is fitted to the record of
pelts by the gradient through all steps of the solver, and drawn with the solution.
"""

import argparse
from pathlib import Path

import matplotlib
import numpy as np

import diagrad as dg

matplotlib.use("Agg")
import matplotlib.pyplot as plt

parser = argparse.ArgumentParser(description="Fit a neural differential equation.")
parser.add_argument("--steps", type=int, default=3000, help="training steps")
parser.add_argument("--out", type=Path, default=Path("neural_ode_out"), help="folder of pictures")
options = parser.parse_args()
out: Path = options.out
out.mkdir(parents=True, exist_ok=True)

# Thousands of pelts that the Hudson's Bay Company collected in a year, a record in the public
# domain: C. G. Hewitt, The Conservation of the Wild Life of Canada (New York, 1921), as given by
# J. M. Mahaffy for his course Math 636 (San Diego State University) and used in Stan's case study
# of the Lotka-Volterra equations (B. Carpenter, 2018).
YEARS = np.arange(1900, 1921)
HARES = [30.0, 47.2, 70.2, 77.4, 36.3, 20.6, 18.1, 21.4, 22.0, 25.4, 27.1,
         40.3, 57.0, 76.6, 52.3, 19.5, 11.2, 7.6, 14.6, 16.2, 24.7]  # fmt: skip
LYNXES = [4.0, 6.1, 9.8, 35.2, 59.4, 41.7, 19.0, 13.0, 8.3, 9.1, 7.4,
          8.0, 12.3, 19.5, 45.7, 51.1, 29.7, 15.8, 9.7, 10.1, 8.6]  # fmt: skip
pelts = np.array([HARES, LYNXES]).T

# Logarithms, centred: what grows by a factor in a year moves by a distance.
logs = np.log(pelts)
centre = logs.mean(axis=0)
record = (logs - centre).astype(np.float32)

# Pieces of SPAN years, one from each year on: each starts where the record says, and the field
# must lead along the years that follow.  One sample is one piece.
SPAN, SUBSTEPS = 6, 5
starts = np.arange(len(record) - SPAN)
begin = record[starts]
follow = np.stack([record[starts + 1 + year] for year in range(SPAN)])

z0 = dg.observed("z0", ("B", 2))
years = dg.observed("years", (SPAN, "B", 2))
field = dg.Chain(
    dg.Linear(2, 32), dg.tanh, dg.Linear(32, 2, weight_init=dg.init.normal(0, 0.1)), name="field"
)
solver = dg.NeuralODE(field, 1 / SUBSTEPS, SPAN * SUBSTEPS, "rk4", trajectory=True, name="solver")
_, states = solver(z0)
fitted = states[SUBSTEPS - 1 :: SUBSTEPS]  # at the end of each year
diagram = dg.Diagram("lynx_and_hares", cost=dg.squared_error(fitted, years))
rate = dg.schedules.cosine(1e-2, options.steps)
program = diagram.compile(dg.AdamW(rate, weight_decay=1e-3))

costs = [program.step(z0=begin, years=follow) for _ in range(options.steps)]
constant = float(np.mean((follow - begin) ** 2))
print(f"squared error of logarithms: {costs[0]:.3f} at first, {costs[-1]:.3f} fitted")
print(f"if nothing changed from year to year: {constant:.3f}")

# The same block over all years, from the first one alone, and the field itself, as they are drawn.
whole = dg.NeuralODE(field, 1 / SUBSTEPS, 20 * SUBSTEPS, "rk4", trajectory=True, name="whole")
place = dg.observed("place", ("P", 2))
viewer = dg.Diagram("viewer", {"path": whole(z0)[1], "slope": field(place)}).compile()
for name in viewer.parameters:
    viewer.parameters[name] = program.parameters[name]
grid = np.stack(np.meshgrid(np.linspace(-2, 2, 21), np.linspace(-2, 2, 21)), -1).astype(np.float32)
seen = viewer.run(z0=record[:1], place=grid.reshape(-1, 2))
path = np.concatenate([record[:1], seen["path"][:, 0]])
slope = seen["slope"].reshape(grid.shape)

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.5))
time = 1900 + np.arange(len(path)) / SUBSTEPS
for column, (label, colour) in enumerate((("hares", "tab:blue"), ("lynxes", "tab:red"))):
    left.plot(YEARS, pelts[:, column], "o", color=colour, label=label)
    left.plot(time, np.exp(path[:, column] + centre[column]), color=colour)
left.set(xlabel="year", ylabel="thousands of pelts", xticks=range(1900, 1921, 5))
left.set_title("from the first year alone")
left.legend()
right.streamplot(grid[0, :, 0], grid[:, 0, 1], slope[..., 0], slope[..., 1], color="lightgray")
right.plot(record[:, 0], record[:, 1], "o", color="black")
right.plot(path[:, 0], path[:, 1], color="black")
right.set(xlabel="hares (centred logarithm)", ylabel="lynxes", title="the field")
figure.savefig(out / "lynx_and_hares.svg")
print("the record, the solution and the field are drawn in", out / "lynx_and_hares.svg")
