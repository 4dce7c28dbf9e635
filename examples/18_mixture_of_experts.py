"""Four linear experts, and a gate that learns who knows what where.

Run it with `python examples/18_mixture_of_experts.py [--steps N] [--out FOLDER]`.  What is to be
learned is a function of the plane that is linear in each of four regions and jumps between them.
No linear layer fits it.  A mixture of four does, if the gate finds the regions: its softmax says at
each point how much of each expert's answer is in the result (Jacobs, Jordan, Nowlan and Hinton,
Adaptive mixtures of local experts, 1991), and nobody tells it what the regions are.

With `k=1` only the expert of the greatest share is asked about a point, so that four experts cost
no more than one.  Nothing then teaches an expert that is never asked, and a cost of an uneven load
keeps all of them at work.  It prints the errors of a linear layer and of three mixtures, soft, of
one expert a point, and of one expert with that cost, and how many points each expert is asked
about.  It draws the mixtures, and what is to be learned beside the shares of the gates.
"""

import argparse
from pathlib import Path

import matplotlib
import numpy as np

import diagrad as dg

matplotlib.use("Agg")
import matplotlib.pyplot as plt

parser = argparse.ArgumentParser(description="A mixture of experts on the plane.")
parser.add_argument("--steps", type=int, default=3000, help="steps of learning for each model")
parser.add_argument("--out", type=Path, default=Path("experts_out"), help="folder of the pictures")
options = parser.parse_args()
out: Path = options.out
out.mkdir(parents=True, exist_ok=True)

# 1. What is to be learned: a plane for each region; where a line of `borders` is greatest is its.
EXPERTS = 4
borders = np.array([[2.0, 0.5], [-0.5, 2.0], [-2.0, -0.5], [0.5, -2.0]])
slopes = np.array([[1.0, 1.0], [-1.0, 0.5], [0.5, -1.0], [-0.5, -0.5]])
heights = np.array([-1.0, 1.0, -0.5, 0.5])


def wanted(points: np.ndarray) -> np.ndarray:
    region = (points @ borders.T).argmax(axis=1)
    found = (points * slopes[region]).sum(axis=1) + heights[region]
    return np.asarray(found[:, None], np.float32)


# 2. The models.  The mixtures start with the same numbers.
x = dg.observed("x", ("B", 2))
y = dg.observed("y", ("B", 1))


def mixture(k: int | None = None) -> dg.MixtureOfExperts:
    experts = [dg.Linear(2, 1, name=f"expert {number}") for number in range(1, EXPERTS + 1)]
    return dg.MixtureOfExperts(experts, dg.Linear(2, EXPERTS), k, name="mixture")


def learned(
    s: dg.Variable, cost: dg.Variable, gate: dg.Variable | None = None
) -> tuple[dg.Program, float]:
    """The program after learning, and its mean squared error at points it has not seen."""
    outputs = {"s": s} if gate is None else {"s": s, "w": dg.softmax(gate)}
    program = dg.Diagram("experts", outputs, cost=cost).compile(dg.Adam(0.01), seed=1)
    rng = np.random.default_rng(0)
    for _ in range(options.steps):
        points = rng.uniform(-1, 1, (256, 2)).astype(np.float32)
        program.step(x=points, y=wanted(points))
    points = rng.uniform(-1, 1, (4096, 2)).astype(np.float32)
    error = program.run(x=points)["s"] - wanted(points)
    return program, float(np.mean(error**2))


# 3. Each learns from the same points.
s = dg.Linear(2, 1, name="linear")(x)
_, error = learned(s, dg.squared_error(s, y))
print(f"a linear layer           error {error:.4f}")

side = (np.arange(100, dtype=np.float32) + 0.5) / 50 - 1
grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
found = {}
for name, k, weight in (("soft", None, 0.0), ("one a point", 1, 0.0), ("one, balanced", 1, 0.02)):
    model = mixture(k)
    s, load = model(x, balance=True)
    program, error = learned(s, dg.squared_error(s, y) + weight * load, model.gate(x))
    found[name] = program.run(x=grid)
    asked = np.bincount(found[name]["w"].argmax(axis=1), minlength=EXPERTS) / len(grid)
    told = "  ".join(f"{share:4.0%}" for share in asked)
    print(f"{name:13} of {EXPERTS} experts  error {error:.4f}  asked about {told}")
    if name != "one a point":
        dg.Diagram("mixture of experts", {"s": mixture(k)(x)}).render(
            out / f"{'soft' if k is None else 'sparse'}.svg", depth=2
        )

# 4. The function, what each mixture makes of it, and the shares of its gate as colours.
COLOURS = np.array([[0.90, 0.45, 0.40], [0.35, 0.55, 0.85], [0.95, 0.80, 0.35], [0.40, 0.70, 0.50]])
figure, axes = plt.subplots(2, 4, figsize=(12, 6.2), layout="constrained")
limits = {"vmin": -2.5, "vmax": 2.5, "cmap": "RdBu", "origin": "lower", "extent": (-1, 1, -1, 1)}
axes[0, 0].imshow(wanted(grid).reshape(100, 100), **limits)
axes[0, 0].set_title("to be learned")
regions = COLOURS[(grid @ borders.T).argmax(axis=1)]
axes[1, 0].imshow(regions.reshape(100, 100, 3), origin="lower", extent=(-1, 1, -1, 1))
axes[1, 0].set_title("its regions")
for column, (name, values) in enumerate(found.items(), 1):
    axes[0, column].imshow(values["s"].reshape(100, 100), **limits)
    axes[0, column].set_title(f"{name}: s")
    shares = (values["w"] @ COLOURS).reshape(100, 100, 3)
    axes[1, column].imshow(shares, origin="lower", extent=(-1, 1, -1, 1))
    axes[1, column].set_title(f"{name}: gate")
for axis in axes.flat:
    axis.set(xticks=[-1, 0, 1], yticks=[-1, 0, 1])
figure.savefig(out / "shares.svg")
print("the mixtures and the shares of their gates are drawn in", out)
