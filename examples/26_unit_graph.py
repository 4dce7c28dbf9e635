"""Nets without layers: units on any graph, each with a weighted sum of those that lead into it.

Run it with `python examples/26_unit_graph.py [--starts N] [--epochs N] [--out FOLDER]`.

1. A cascade: every unit sees all inputs and all units before it.  With two units it tells whether
   the number of bits that are set is odd, of three bits; a net of layers with as many units cannot,
   and needs three hidden ones.  It prints from how many starts each learns all eight answers, and
   draws the cascade with what it has learned.
2. A circle: the error names it.  With a delay on one of its edges, the two units that see one bit
   and their own last answer tell the same of a sequence of any length, bit by bit.  They learn
   from sequences of 6 bits, and are asked about sequences of 100.
3. Digits on a random graph: 64 pixels, 120 units and 10 outputs, and edges from lower to higher
   numbers by chance.  It prints the edges, the levels, and how many digits come out right, beside a
   net of layers with as many weights.

Minsky and Papert, Perceptrons, 1969 (parity); Fahlman and Lebiere, The cascade-correlation learning
architecture, 1990; Xie, Kirillov, Girshick and He, Exploring randomly wired neural networks for
image recognition, 2019.
"""

import argparse
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib
import networkx as nx
import numpy as np
import numpy.typing as npt

import diagrad as dg

matplotlib.use("Agg")
import matplotlib.pyplot as plt

parser = argparse.ArgumentParser(description="Nets on graphs: a cascade, a circle, and chance.")
parser.add_argument("--starts", type=int, default=20, help="how often each small net starts anew")
parser.add_argument("--epochs", type=int, default=30, help="how often every digit is seen")
parser.add_argument("--out", type=Path, default=Path("graph_out"), help="folder of the pictures")
options = parser.parse_args()
out: Path = options.out
out.mkdir(parents=True, exist_ok=True)

Numbers = npt.NDArray[Any]


def odd(bits: Numbers, axis: int) -> Numbers:
    """1 where the number of bits that are 1, and not -1, is odd; else -1."""
    return np.where((bits > 0).sum(axis=axis, keepdims=True) % 2, 1, -1).astype(np.float32)


def learned(graph: dg.UnitGraph, x: Numbers, y: Numbers, steps: int) -> list[tuple[float, Any]]:
    """The share of right signs from each start, and the program that has learned there."""
    inputs = dg.observed("x", ("B", x.shape[-1]) if x.ndim == 2 else ("T", "B", x.shape[-1]))
    target = dg.observed("y", (*inputs.shape[:-1], 1))
    answer = graph(inputs)
    diagram = dg.Diagram("odd", {"answer": answer}, cost=dg.squared_error(answer, target))
    found = []
    for seed in range(options.starts):
        program = diagram.compile(dg.Adam(0.05), seed=seed)
        for _ in range(steps):
            program.step(x=x, y=y)
        found.append((float(np.mean(np.sign(program.run(x=x)["answer"]) == y)), program))
    return found


def picture(axes: Any, graph: dg.UnitGraph, weight: Numbers) -> None:
    """Units by level, and edges as wide as their weights; red ones hold back."""
    at: dict[Any, tuple[int, float]] = {}
    for column, units in enumerate([graph.inputs, *graph.levels]):
        for row, unit in enumerate(units):
            lift = 0.8 * (-1) ** column if column else 0.0  # else a unit lies on another's edge
            at[unit] = (column, lift + (len(units) - 1) / 2 - row)
    size = weight / abs(weight).max()
    for (a, b, _), w in zip(graph.edges, size, strict=True):
        color = "C3" if w < 0 else "C0"
        axes.plot(*zip(at[a], at[b], strict=True), color=color, linewidth=6 * abs(w), zorder=1)
    for unit, point in at.items():
        axes.scatter(*point, s=600, color="white", edgecolor="black", zorder=2)
        axes.annotate(unit, point, ha="center", va="center")
    axes.margins(0.15)
    axes.axis("off")


# 1. A cascade, and layers.
bits = ["b1", "b2", "b3"]
cascade = [*((b, unit) for unit in ("h", "y") for b in bits), ("h", "y")]
x = np.array(np.meshgrid(*[[-1, 1]] * 3)).reshape(3, 8).T.astype(np.float32)
y = odd(x, axis=1)
print("three bits, starts that learn all eight answers:")
for name, edges in (
    ("a cascade of 2 units", cascade),
    ("layers of 1 + 1 units", [*((b, "h") for b in bits), ("h", "y")]),
    ("layers of 3 + 1 units", [*((b, h) for b in bits for h in "hij"), *((h, "y") for h in "hij")]),
):
    graph = dg.UnitGraph(edges, name="graph")
    found = learned(graph, x, y, steps=1000)
    right = sum(share == 1 for share, _ in found)
    print(f"  {name}, {len(edges)} weights: {right} of {len(found)}")
    if edges is cascade:
        best = max(found, key=lambda pair: pair[0])[1]
        figure, axes = plt.subplots(figsize=(5, 3), layout="constrained")
        picture(axes, graph, best.parameters["graph/weight"])
        figure.savefig(out / "cascade.svg")

# 2. A circle, and a delay.
circle = [("b", "h"), ("b", "y"), ("h", "y"), ("y", "h"), ("y", "y", 1)]
try:
    dg.UnitGraph(circle)
except dg.CycleError as error:
    print(error)
graph = dg.UnitGraph([*circle[:3], ("y", "h", 1), ("y", "y", 1)], outputs=["y"], name="graph")
rng = np.random.default_rng(0)


def sequences(steps: int) -> tuple[Numbers, Numbers]:
    """Of single bits, and whether those so far are odd."""
    x = rng.choice(np.array([-1, 1], np.float32), (steps, 256, 1))
    return x, np.where(np.cumsum(x > 0, axis=0) % 2, 1, -1).astype(np.float32)


found = learned(graph, *sequences(6), steps=1500)
share, best = max(found, key=lambda pair: pair[0])
print(f"sequences of 6 bits: {sum(s == 1 for s, _ in found)} of {len(found)} starts learn them")
x, y = sequences(100)
right = (np.sign(best.run(x=x)["answer"]) == y).all(axis=0).mean()
print(f"one of these, asked about sequences of 100 bits: {right:.1%} right at every step")
best.diagram.render(out / "circle.svg", depth=2)

# 3. Digits on a random graph, and in layers with as many weights.
file = np.load(Path(__file__).parent / "data" / "digits.npz")
images, labels = file["images"].reshape(-1, 64) / np.float32(16), file["labels"]
order = rng.permutation(len(images))
learn, ask = order[:1297], order[1297:]
pixels = [f"x{k}" for k in range(64)]
digits = [f"y{k}" for k in range(10)]


def by_chance(hidden: int, into: int) -> nx.DiGraph:
    """A graph of units that each see so many of the pixels and the units before."""
    graph = nx.DiGraph()
    before = list(pixels)
    for unit in [*(f"h{k}" for k in range(hidden)), *digits]:
        chosen = rng.choice(len(before), into, replace=False)
        graph.add_edges_from((before[k], unit) for k in chosen)
        before += [unit] if unit not in digits else []
    return graph


def layers(*sizes: int) -> list[tuple[str, str]]:
    """Edges of a net of layers."""
    rows = [pixels, *([f"h{k}.{i}" for i in range(n)] for k, n in enumerate(sizes)), digits]
    return [(a, b) for one, two in pairwise(rows) for a in one for b in two]


for name, edges in (("by chance", by_chance(100, 24)), ("in layers", layers(36))):
    graph = dg.UnitGraph(edges, outputs=digits, name="graph")
    pixel_values = dg.observed("x", ("B", len(graph.inputs)))
    kind = dg.observed("y", ("B",), dtype=dg.int32)
    scores = 5.0 * graph(pixel_values)  # tanh stays between -1 and 1
    diagram = dg.Diagram(name, {"scores": scores}, cost=dg.cross_entropy(scores, kind))
    steps = options.epochs * (len(learn) // 32)
    program = diagram.compile(dg.Adam(dg.schedules.cosine(5e-3, steps)))
    seen = [pixels.index(str(unit)) for unit in graph.inputs]
    data = {"x": images[learn][:, seen], "y": labels[learn]}
    dg.fit(program, data, options.epochs, batch_size=32, progress=False)
    right = np.mean(program.run(x=images[ask][:, seen])["scores"].argmax(axis=1) == labels[ask])
    print(
        f"digits {name}: {len(graph.edges)} edges, {len(graph.levels)} levels, {right:.1%} of 500 "
        "that it has not seen"
    )
    if name == "by chance":
        # Units in the order of their levels: an edge leads from a column to a row.
        columns = [*graph.inputs, *(unit for level in graph.levels for unit in level)]
        place = {unit: k for k, unit in enumerate(columns)}
        weight = program.parameters["graph/weight"]
        matrix = np.zeros((len(graph.units), len(columns)))
        for (a, b, _), w in zip(graph.edges, weight, strict=True):
            matrix[place[b] - len(graph.inputs), place[a]] = w
        figure, axes = plt.subplots(figsize=(8, 5.2), layout="constrained")
        most = np.quantile(abs(weight), 0.98)
        image = axes.imshow(matrix, cmap="RdBu", vmin=-most, vmax=most, interpolation="nearest")
        axes.axvline(len(graph.inputs) - 0.5, color="black", linewidth=0.8)
        axes.set(
            xlabel="from: pixels | units, by level",
            ylabel="to: units, by level",
            xticks=[],
            yticks=[],
        )
        figure.colorbar(image, label="weight of the edge")
        figure.savefig(out / "by_chance.svg")
print("the cascade, the circle and the random graph are drawn in", out)
