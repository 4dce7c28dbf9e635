"""Hopfield's memory: what it has stored are the valleys of an energy, and states roll into them.

Run it with `python examples/21_hopfield.py [--units N] [--out FOLDER]`.  A step stores patterns by
Hebb's rule, without a gradient and without a cost; a run lets noisy patterns settle, in a loop
that stops when no unit changes any more.  It does so three times:

    letters   four letters of 8 x 8 dots come back from noise and from their upper halves
    energy    how it falls from sweep to sweep, by sign and by tanh
    load      how well random patterns come back, from few of them to too many; theory has the edge
              at 0.138 patterns a unit (Amit, Gutfreund and Sompolinsky, 1985)

and prints how much of the letters is right before and after, by how much the energy ever rose,
and a line for each load.
"""

import argparse
from pathlib import Path
from typing import Literal

import matplotlib
import numpy as np
import numpy.typing as npt

import diagrad as dg

matplotlib.use("Agg")
import matplotlib.pyplot as plt

parser = argparse.ArgumentParser(description="Storing, recalling, and too much to remember.")
parser.add_argument("--units", type=int, default=400, help="of the net that is loaded")
parser.add_argument("--out", type=Path, default=Path("hopfield_out"), help="folder of the pictures")
options = parser.parse_args()
out: Path = options.out
out.mkdir(parents=True, exist_ok=True)
rng = np.random.default_rng(0)
Array = npt.NDArray[np.float32]


def turned(patterns: Array, share: float) -> Array:
    """A share of the units has the other sign."""
    return np.where(rng.random(patterns.shape) < share, -patterns, patterns)


# 1. The memory: one diagram that stores and recalls, one that only shows how a state settles.
def drawn(units: int, activation: Literal["sign", "tanh"], rate: float) -> dg.Diagram:
    memory = dg.Hopfield(units, activation, name="memory")
    pattern, probe = dg.observed("pattern", ("P", units)), dg.observed("probe", ("B", units))
    memory.store(pattern, rate)
    return dg.Diagram(activation, {"recalled": memory(probe)})


def watched(units: int, activation: Literal["sign", "tanh"], rate: float) -> dg.Diagram:
    memory = dg.Hopfield(units, activation, name="memory")
    pattern, probe = dg.observed("pattern", ("P", units)), dg.observed("probe", ("B", units))
    memory.store(pattern, rate)
    t = dg.loop("sweep", steps=8)
    y = t.delay("y", probe)
    after = memory.sweep(y)
    t.close(y, after)
    outputs = {}
    for name, of in (("energy", memory.energy), ("free_energy", memory.free_energy)):
        outputs[name] = dg.concatenate([of(probe)[None], t.stack(of(after))])
    return dg.Diagram(f"settling by {activation}", outputs)


# 2. Letters, from noise and from halves.
DRAWN = {
    "D": "####.... #...##.. #....##. #.....#. #.....#. #....##. #...##.. ####....",
    "X": "#......# .#....#. ..#..#.. ...##... ...##... ..#..#.. .#....#. #......#",
    "T": "######## ######## ...##... ...##... ...##... ...##... ...##... ...##...",
    "U": "##....## ##....## ##....## ##....## ##....## ##....## ######## .######.",
}
letters = np.array(
    [[1 if dot == "#" else -1 for dot in rows.replace(" ", "")] for rows in DRAWN.values()],
    np.float32,
)
diagram = drawn(64, "sign", 1.0)
diagram.render(out / "memory.svg", depth=2)
program = diagram.compile()
program.step(pattern=letters)
halves = letters.copy()
halves[:, 32:] = 0  # which says nothing
probes = {"noise": turned(letters, 0.2), "halves": halves}
figure, axes = plt.subplots(4, 4, figsize=(5, 5), layout="constrained")
for (kind, probe), column in zip(probes.items(), (0, 2), strict=True):
    recalled = program.run(probe=probe)["recalled"]
    before, after = ((y == letters).mean() for y in (probe, recalled))
    print(f"letters from {kind}: {before:.1%} of the dots are right before, {after:.1%} after")
    for row in range(4):
        for place, y in ((column, probe), (column + 1, recalled)):
            axes[row, place].imshow(y[row].reshape(8, 8), cmap="gray_r", vmin=-1, vmax=1)
            axes[row, place].set(xticks=[], yticks=[])
    axes[0, column].set_title(kind)
    axes[0, column + 1].set_title("recalled")
figure.savefig(out / "letters.svg")

# 3. The energy falls.  For tanh it is the free energy that must, the energy alone may rise.
N = options.units
RATES: dict[Literal["sign", "tanh"], float] = {"sign": 1.0, "tanh": 3.0 / N}
stored = rng.choice([-1, 1], (N // 10, N)).astype(np.float32)
probe = turned(stored, 0.3)[:20]
figure, axes = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
for axis, (activation, rate) in zip(axes, RATES.items(), strict=True):
    program = watched(N, activation, rate).compile()
    program.step(pattern=stored)
    course = program.run(probe=probe)["energy" if activation == "sign" else "free_energy"]
    rise = np.diff(course, axis=0).max() / np.abs(course).max()
    name = "energy" if activation == "sign" else "free energy"
    print(f"the {name} by {activation}: it rose by at most {max(rise, 0):.0e} of its size")
    axis.plot(course / np.abs(course).max(), color="tab:blue", alpha=0.5)
    axis.set(xlabel="sweep", ylabel=f"{name} (its greatest size is 1)", title=activation)
figure.savefig(out / "energy.svg")

# 4. The load: ever more random patterns, a tenth of each turned round.
loads = (0.02, 0.05, 0.08, 0.11, 0.13, 0.15, 0.17, 0.2, 0.25, 0.3)
figure, axis = plt.subplots(figsize=(6, 4), layout="constrained")
print("patterns a unit: overlap of what is recalled with what was stored, and patterns that it is")
for activation, rate in RATES.items():
    program = drawn(N, activation, rate).compile()
    overlaps = []
    for load in loads:
        stored = rng.choice([-1, 1], (round(load * N), N)).astype(np.float32)
        program.states["memory/weight"][...] = 0
        program.step(pattern=stored)
        recalled = np.sign(program.run(probe=turned(stored, 0.1))["recalled"])
        each = (recalled * stored).mean(axis=1)
        overlaps.append(each.mean())
        print(f"{activation} {load:.2f}: {each.mean():.3f}, {(each > 0.95).mean():4.0%}")
    axis.plot(loads, overlaps, "o-", label=activation)
axis.axvline(0.138, color="gray", linestyle=":", label="0.138, for many units")
axis.set(xlabel="patterns a unit", ylabel="overlap with the pattern stored", ylim=(0, 1.05))
axis.legend()
figure.savefig(out / "recall.svg")
print("letters, energies and recall are drawn in", out)
