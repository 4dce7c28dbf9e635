"""Boltzmann machines: what they have seen, they dream of.

Run it with `python examples/22_boltzmann.py [--out FOLDER]`.  Learning is a step of
updates alone: w_ij <- w_ij + eta (y_i y_j - y~_i y~_j), where y has the data for its visible units
and y~ runs freely.  First, bars and stripes: of the 512 pictures of 3 x 3 dots there are 14 that
have whole columns or whole rows.  Four machines learn them,

    visible       a Boltzmann machine without hidden units, which knows pairs of dots alone
    hidden        one with 8 hidden units
    restricted    a restricted machine with 8 hidden units and free states that run on
    divergence    the same, with free states that begin at the data in each step (CD-1)

and since so small a machine can be asked about all of its states, it prints exactly how probable
the 14 are under each, and how far it is from the data in bits (Kullback and Leibler's).  Then a
restricted machine learns handwritten digits; it prints how well it fills in lower halves that it is
not shown, compared with those of the mean digit.  It draws the diagram of learning, its course,
what they dream, digits with their lower halves filled in, and the weights of hidden units.
"""

import argparse
import itertools
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt

import diagrad as dg

matplotlib.use("Agg")
import matplotlib.pyplot as plt

parser = argparse.ArgumentParser(description="Learning without a cost, and dreaming.")
parser.add_argument("--steps", type=int, default=8000, help="of learning bars and stripes")
parser.add_argument("--epochs", type=int, default=150, help="of learning digits")
parser.add_argument(
    "--out", type=Path, default=Path("boltzmann_out"), help="folder of the pictures"
)
options = parser.parse_args()
out: Path = options.out
out.mkdir(parents=True, exist_ok=True)
rng = np.random.default_rng(0)
Array = npt.NDArray[np.float32]

# 1. Bars and stripes: all 14 of them, each ten times in a batch.
columns = np.array([np.tile(row, (3, 1)) for row in itertools.product((-1, 1), repeat=3)])
pictures = np.unique(np.concatenate([columns, columns.transpose(0, 2, 1)]), axis=0)
bars = pictures.reshape(-1, 9).astype(np.float32)
batch = np.repeat(bars, 10, axis=0)
every = np.array([*itertools.product((-1, 1), repeat=9)], np.float32)
right = (every[:, None] == bars).all(axis=2).any(axis=1)

start = dg.init.normal(deviation=0.2)
machines: dict[str, dg.BoltzmannMachine | dg.RestrictedBoltzmannMachine] = {
    "visible": dg.BoltzmannMachine(9, chains=500, name="machine"),
    "hidden": dg.BoltzmannMachine(9, 8, chains=500, deviation=0.2, name="machine"),
    "restricted": dg.RestrictedBoltzmannMachine(
        9, 8, chains=500, weight_init=start, name="machine"
    ),
    "divergence": dg.RestrictedBoltzmannMachine(9, 8, weight_init=start, name="machine"),
}


def marginal(program: dg.Program, machine: dg.BoltzmannMachine) -> npt.NDArray[np.float64]:
    """-log P(v) of every picture, but for a constant: a sum over all states of hidden units."""
    hidden = np.array([*itertools.product((-1.0, 1.0), repeat=machine.hidden)])
    weight = program.states["machine/weight"].astype(np.float64)
    bias = program.states["machine/bias"].astype(np.float64)
    field = every @ weight[:9, 9:] + bias[9:]
    own = -0.5 * np.einsum("bi,ij,bj->b", every, weight[:9, :9], every) - every @ bias[:9]
    pairs = 0.5 * np.einsum("bi,ij,bj->b", hidden, weight[9:, 9:], hidden)
    exponent = field @ hidden.T + pairs
    most = exponent.max(axis=1)
    found: npt.NDArray[np.float64] = own - most - np.log(np.exp(exponent.T - most).sum(axis=0))
    return found


figure, axes = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
dreams: dict[str, Array] = {}
for name, machine in machines.items():
    v = dg.observed("v", ("B", 9))  # its own, for a diagram makes all updates by its inputs
    rate = dg.observed("rate", ())
    free = machine.learn(v, rate, sweeps=1 if name == "divergence" else 3)
    outputs: dict[str, Any] = {"free": free}
    if isinstance(machine, dg.RestrictedBoltzmannMachine):
        outputs["energy"] = machine.free_energy(v)
    diagram = dg.Diagram(name, outputs)
    if name == "hidden":
        diagram.render(out / "learning.svg")
    program = diagram.compile(seed=1)
    course = []
    for step in range(options.steps + 1):
        if step % max(1, options.steps // 40) == 0:
            if isinstance(machine, dg.BoltzmannMachine):
                energy = marginal(program, machine)
            else:
                energy = program.run(v=every)["energy"].astype(np.float64)
            weights = np.exp(energy.min() - energy)
            probability = weights / weights.sum()
            bits = -np.log2(14 * probability[right]).mean()
            course.append((step, probability[right].sum(), bits))
        program.step(v=batch, rate=np.float32(0.05 / (1 + step / 500)))
    steps, share, away = np.array(course).T
    print(f"{name:10}: they have {share[-1]:.1%}, and it is {away[-1]:.2f} bits from the data")
    axes[0].plot(steps, share, label=name)
    axes[1].semilogy(steps, away, label=name)
    dreams[name] = program.run(**({"v": every} if "energy" in outputs else {}))["free"][:10, :9]
axes[0].set(xlabel="steps", ylabel="probability of bars and stripes", ylim=(0, 1))
axes[1].set(xlabel="steps", ylabel="bits from the data")
axes[0].legend()
figure.savefig(out / "course.svg")


def show(rows: dict[str, Array], side: int, path: Path, **shades: Any) -> None:
    """A row of pictures for each name."""
    figure, axes = plt.subplots(len(rows), 10, figsize=(8, 0.9 * len(rows)), layout="constrained")
    for (name, row), line in zip(rows.items(), np.atleast_2d(axes), strict=True):
        for picture, axis in zip(row, line, strict=True):
            axis.imshow(picture.reshape(side, side), cmap="gray_r", **shades)
            axis.set(xticks=[], yticks=[])
        line[0].set_ylabel(name, rotation=0, ha="right", va="center")
    figure.savefig(path)


show(dreams, 3, out / "dreams.svg", vmin=-1, vmax=1)

# 2. Digits: 64 dots, black or white, and 100 hidden units that are 0 or 1.
data = np.load(Path(__file__).parent / "data" / "digits.npz")
digits = data["images"][rng.permutation(len(data["images"]))].reshape(-1, 64)
digits = (digits > 7).astype(np.float32)
learn, ask = digits[:1500], digits[1500:]
reader = dg.RestrictedBoltzmannMachine(64, 100, low=0, chains=100, name="reader")
x, shown = dg.observed("x", ("B", 64)), dg.observed("shown", ("B", 64))
free = reader.learn(x, rate=0.05)
t = dg.loop("fill", steps=50)  # the upper half is put back after each sweep
now = t.delay("now", shown)
upper = np.arange(64) < 32
after = dg.where(dg.constant(upper), shown, reader.sample(now))
t.close(now, after)
means = reader.visible_means(reader(after))
filled = t.sum(means) / 50.0
dreamt = reader.visible_means(reader(free))
program = dg.Diagram("digits", {"filled": filled, "dreamt": dreamt}).compile(seed=1)
for _ in range(options.epochs):
    for rows in np.split(rng.permutation(1500), 30):
        program.step(x=learn[rows])
guess = learn.mean(axis=0)
question = np.where(upper, ask, guess).astype(np.float32)
answer = program.run(shown=question)["filled"]
wrong, trivial = (((p > 0.5) != ask)[:, ~upper].mean() for p in (answer, np.tile(guess, (297, 1))))
print(f"lower halves of digits: {wrong:.1%} of the dots are wrong, {trivial:.1%} by the mean digit")
first = {"digits": ask[:10], "upper half": np.where(upper, ask, 0.5)[:10]}
first["filled in"] = np.where(upper, ask, answer)[:10]
first["dreams"] = program.run(shown=question)["dreamt"][:10]
show(first, 8, out / "digits.svg", vmin=0, vmax=1)
weight = program.states["reader/weight"].T
strongest = weight[np.argsort(-np.abs(weight).sum(axis=1))[:40]].reshape(4, 10, 64)
scale = float(np.abs(strongest).max())
show({f"{1 + 10 * i} to {10 + 10 * i}": row for i, row in enumerate(strongest)}, 8,
     out / "weights.svg", vmin=-scale, vmax=scale)  # fmt: skip
print("courses, dreams, weights and digits are drawn in", out)
