"""Where a training step spends its time: by kernel and by block of the diagram.

Run it with `python examples/11_where_the_time_goes.py [--out FOLDER]`.  It prints what was
compiled and the profile of a step, and writes the course of that step into the folder: open
`step.json` in ui.perfetto.dev, which shows what each thread did when.
"""

import argparse
from pathlib import Path

import numpy as np

import diagrad as dg

parser = argparse.ArgumentParser(description="Measure a training step, kernel by kernel.")
parser.add_argument("--out", type=Path, default=Path("profile_out"), help="folder of the trace")
out: Path = parser.parse_args().out
out.mkdir(parents=True, exist_ok=True)

x = dg.observed("x", ("B", 784))
y = dg.observed("y", ("B",), dtype=dg.int32)
net = dg.Chain(dg.Linear(784, 512), dg.relu, dg.Linear(512, 10), name="net")
scores = net(x)
diagram = dg.Diagram("profiled", outputs={"scores": scores}, cost=dg.cross_entropy(scores, y))
program = diagram.compile(optimizer=dg.Adam(1e-3))

rng = np.random.default_rng(0)
images = rng.normal(size=(128, 784)).astype(np.float32)
labels = rng.integers(0, 10, 128).astype(np.int32)
before = program.parameters["net/0/weight"].copy()

# The arguments are those of `step`; what it does to the parameters happens to copies.
profile = program.profile(x=images, y=labels)
assert np.array_equal(program.parameters["net/0/weight"], before)
print(profile)
profile.chrome_trace(out / "step.json")

# The numbers themselves, in seconds, bytes and operations.
slowest = max(profile.rows, key=lambda row: row.seconds)
blocks = " and ".join(dict.fromkeys(name for name, _ in slowest.blocks))
print(f"\nthe slowest kernel computes for {blocks}: {slowest.flops:,} operations")

# A run is measured in the same way; and this is what the program is made of.
answer = program.profile("run", 50, x=images[:1])
print(f"an answer for one image takes {1e6 * answer.seconds:.0f} us\n")
program.step(x=images, y=labels)
print(program.explain())
