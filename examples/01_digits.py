"""Recognise handwritten digits: a diagram, its pictures, and a program trained from it.

Run it with `python examples/01_digits.py [--out FOLDER]`.  It writes three pictures of the diagram
and the learning curve into the folder, and says at the end how many digits it gets right.
"""

import argparse
from pathlib import Path

import numpy as np

import diagrad as dg

parser = argparse.ArgumentParser(description="Train a classifier of handwritten digits.")
parser.add_argument("--out", type=Path, default=Path("digits_out"), help="folder of the pictures")
out: Path = parser.parse_args().out
out.mkdir(parents=True, exist_ok=True)

# 1797 digits of 8 x 8 pixels: 1297 of them to learn from, and 500 to be asked about afterwards.
data = np.load(Path(__file__).parent / "data" / "digits.npz")
images, labels = data["images"].astype(np.float32) / 16, data["labels"]
order = np.random.default_rng(0).permutation(len(labels))
learn, ask = order[:1297], order[1297:]

# The diagram: what is observed, what is computed from it, and the cost to make small.  The size
# "B" (how many digits at once) has only a name: every call of the program may bring another.
x = dg.observed("x", ("B", 64))
y = dg.observed("y", ("B",), dtype=dg.int32)
net = dg.Chain(dg.Linear(64, 128), dg.relu, dg.Linear(128, 10), name="net")
scores = net(x)
cost = dg.cross_entropy(scores, y)
diagram = dg.Diagram("digits", outputs={"scores": scores}, cost=cost)
print(diagram.summary())

# Three views of it: as it was drawn, as a graph of primitives, and with its gradient.
for stage in ("drawn", "graph", "backward"):
    diagram.render(out / f"{stage}.svg", stage=stage)

# Compiled with an optimizer it becomes a program, of which a training step is one native call.
program = diagram.compile(optimizer=dg.Adam(1e-3))
history = dg.fit(program, {"x": images[learn], "y": labels[learn]}, epochs=40, batch_size=32)
history.plot(out / "learning_curve.svg")

# The same program answers, here for another number of digits at once.
answers = program.run(x=images[ask])["scores"].argmax(axis=1)
print("pictures and learning curve are in", out)
print(f"accuracy on {len(ask)} digits it has not seen: {(answers == labels[ask]).mean():.1%}")
