"""One network computes the weights of another: a small network, made anew for every task.

Run it with `python examples/08_hypernetwork.py [--steps N] [--out FOLDER]`.  A task is a curve,
y = a sin(b x + c), told by its (a, b, c).  Three networks learn from the same tasks:

- "fixed", of the width of G below, is given x and the task, and has one set of weights for all;
- "hypernetwork" is G, which is given x alone, with weights that H computes from the task;
- "large" is given what "fixed" is, and has about as many free parameters as H.

The first cannot do it, however long it learns, although its width is enough for any one task: the
second shows that.  The third can, but takes all of its weights for every x, where H is asked once
a task, and G is small.  It draws the hypernetwork, and what all three say of tasks never seen.
"""

import argparse
from pathlib import Path

import matplotlib
import numpy as np
import numpy.typing as npt

import diagrad as dg

matplotlib.use("Agg")
import matplotlib.pyplot as plt

parser = argparse.ArgumentParser(description="Train a network that computes weights.")
parser.add_argument("--steps", type=int, default=3000, help="training steps")
parser.add_argument("--out", type=Path, default=Path("hypernetwork_out"), help="for the pictures")
options = parser.parse_args()
out: Path = options.out
out.mkdir(parents=True, exist_ok=True)

Arrays = dict[str, npt.NDArray[np.float32]]


def tasks(rng: np.random.Generator, count: int, points: npt.ArrayLike | None = None) -> Arrays:
    """Some tasks, and 16 random points of each, or the points that are given."""
    a, b, c = rng.uniform((0.5, 1, -np.pi), (2, 4, np.pi), (count, 3)).T[:, :, None]
    x = rng.uniform(-2, 2, (count, 16)) if points is None else np.tile(points, (count, 1))
    task = np.concatenate([a - 1.25, b - 2.5, c / 2], axis=1)  # centred, of about one size
    found = {"task": task, "x": x[..., None], "y": (a * np.sin(b * x + c))[..., None]}
    return {name: value.astype(np.float32) for name, value in found.items()}


# What is observed: B tasks, and P points of each.
task = dg.observed("task", ("B", 3))
x = dg.observed("x", ("B", "P", 1))
y = dg.observed("y", ("B", "P", 1))
both = dg.concatenate([x, dg.broadcast_to(task[:, None], ("B", "P", 3))], axis=-1)

# G is drawn as any network is.  Bound to w, which is (B, 31), it has 31 weights for each task; they
# are computed, so that those of H are the only free ones.  `dg.Hypernetwork(H, G)` is H and G as
# one block.
G = dg.Chain(dg.Linear(1, 10), dg.tanh, dg.Linear(10, 1), name="G")
H = dg.Chain(dg.Linear(3, 64), dg.tanh, dg.Linear(64, G.parameter_count), name="H")
w = H(task)

fixed = dg.Chain(dg.Linear(4, 10), dg.tanh, dg.Linear(10, 1), name="fixed")
large = dg.Chain(
    dg.Linear(4, 44), dg.tanh, dg.Linear(44, 44), dg.tanh, dg.Linear(44, 1), name="large"
)
answers = {"fixed": fixed(both), "hypernetwork": dg.bind(G, w)(x), "large": large(both)}
weights = {"fixed": fixed, "hypernetwork": G, "large": large}

asked = tasks(np.random.default_rng(1), 1000)
shown = tasks(np.random.default_rng(43), 4, np.linspace(-2, 2, 200))
curves = {}
print("network       free parameters  weights for an x  variance left, of tasks not seen")
for name, answer in answers.items():
    results = {"w": w, "answer": answer} if name == "hypernetwork" else {"answer": answer}
    diagram = dg.Diagram(name, results, cost=dg.squared_error(answer, y))
    program = diagram.compile(dg.Adam(dg.schedules.cosine(1e-2, options.steps)))
    rng = np.random.default_rng(0)  # the same tasks for each
    for _ in range(options.steps):
        program.step(**tasks(rng, 64))
    found = program.run(task=asked["task"], x=asked["x"])["answer"]
    left = np.mean((found - asked["y"]) ** 2) / np.var(asked["y"])
    count = sum(value.size for value in program.parameters.values())
    print(f"{name:12}  {count:15,}  {weights[name].parameter_count:16,}  {left:7.2%}")
    curves[name] = program.run(task=shown["task"], x=shown["x"])
    if name == "hypernetwork":
        diagram.render(out / "hypernetwork.svg")
        diagram.render(out / "backward.svg", stage="backward")

# What a row of w is: the weights of a network on its own, that of one task.
alone = dg.Diagram("alone", {"answer": G(x)}).compile()
for name, value in G.unflatten(curves["hypernetwork"]["w"][0]).items():
    alone.parameters[f"G/{name}"] = value
apart = alone.run(x=shown["x"][:1])["answer"] - curves["hypernetwork"]["answer"][:1]
print(f"G by itself, with the weights of one task, differs by {np.abs(apart).max():.1e}")

figure, planes = plt.subplots(1, 4, figsize=(12, 3), sharey=True, layout="constrained")
for i, axes in enumerate(planes):
    axes.plot(shown["x"][i], shown["y"][i], color="lightgray", linewidth=6, label="the task")
    for name in answers:
        axes.plot(shown["x"][i], curves[name]["answer"][i], label=name)
    axes.set(xlabel="x")
planes[0].set(ylabel="y")
planes[0].legend(frameon=False, fontsize="small")
figure.savefig(out / "tasks.svg")
print("the hypernetwork, its gradient and four tasks are drawn in", out)
