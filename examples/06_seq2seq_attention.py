"""An encoder and a decoder with attention learn to write strings of digits backwards.

Run it with `python examples/06_seq2seq_attention.py [--steps N] [--out FOLDER]`.  Trained with the
right digits as inputs (teacher forcing), then asked to write by itself (greedy decoding): it says
how many strings it has never seen come out right, and draws where it looked while it wrote one.
"""

import argparse
from pathlib import Path

import matplotlib
import numpy as np
import numpy.typing as npt

import diagrad as dg

matplotlib.use("Agg")
import matplotlib.pyplot as plt

parser = argparse.ArgumentParser(description="Train an encoder and a decoder with attention.")
parser.add_argument("--steps", type=int, default=700, help="training steps")
parser.add_argument("--out", type=Path, default=Path("seq2seq_out"), help="folder of the picture")
options = parser.parse_args()
out: Path = options.out
out.mkdir(parents=True, exist_ok=True)

LONGEST, END = 10, 10  # the symbol 10 ends a string, and stands before its first digit


def strings(
    count: int, rng: np.random.Generator, held_out: bool = False
) -> dict[str, npt.NDArray[np.int32]]:
    """Random strings of 2 to 10 digits, time first, and what is to be written for them.

    Strings whose digits have a sum that is a multiple of 7 are never trained with.
    """
    lengths = rng.integers(2, LONGEST + 1, 20 * count)
    source = rng.integers(0, 10, (LONGEST, 20 * count))
    source[np.arange(LONGEST)[:, None] >= lengths] = 0
    chosen = np.flatnonzero((source.sum(axis=0) % 7 == 0) == held_out)[:count]
    lengths, source = lengths[chosen], source[:, chosen]
    place = lengths - 1 - np.arange(LONGEST + 1)[:, None]
    backwards = np.take_along_axis(source, np.maximum(place, 0), axis=0)
    target = np.where(place >= 0, backwards, END)
    found = {"source": source, "lengths": lengths, "target": target}
    return {name: value.astype(np.int32) for name, value in found.items()}


source = dg.observed("source", ("S", "B"), dtype=dg.int32)
lengths = dg.observed("lengths", ("B",), dtype=dg.int32)
target = dg.observed("target", ("T", "B"), dtype=dg.int32)
model = dg.EncoderDecoder(read=10, written=11, width=16, hidden=64, start=END, name="model")

# One block applied twice: to be trained it is given the target, asked it writes S + 1 symbols.
scores, _ = model(source, target, lengths=lengths)
own_scores, weights = model(source, steps=source.shape[0] + 1, lengths=lengths)
written = dg.argmax(own_scores, axis=-1)
diagram = dg.Diagram(
    "backwards",
    {"written": written, "weights": weights},
    cost=dg.cross_entropy(scores, target),
)
rate = dg.schedules.cosine(4e-3, options.steps)
program = diagram.compile(dg.Adam(rate, clip=dg.clip_norm(1.0)))

rng = np.random.default_rng(0)
for step in range(options.steps):
    cost = program.step(**strings(64, rng))
    if step % 100 == 0 or step == options.steps - 1:
        print(f"step {step}: cost {cost:.4f}")

asked = strings(2000, rng, held_out=True)
answer = program.run(source=asked["source"], lengths=asked["lengths"])
right = (answer["written"] == asked["target"]).all(axis=0)
print(f"strings it has not seen, written backwards without a mistake: {right.mean():.1%}")

one = int(np.argmax(asked["lengths"] * right))
length = int(asked["lengths"][one])
read = [str(digit) for digit in asked["source"][:length, one]]
wrote = [str(digit) for digit in answer["written"][:length, one]] + ["end"]
figure, axes = plt.subplots(figsize=(5, 5))
axes.imshow(answer["weights"][: length + 1, one, :length], cmap="Greys", vmin=0, vmax=1)
axes.set_xticks(range(length), read)
axes.set_yticks(range(length + 1), wrote)
axes.set(xlabel="read", ylabel="written", title="where it looked")
figure.savefig(out / "attention.svg")
print("where it looked is drawn in", out / "attention.svg")
