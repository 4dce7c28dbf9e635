"""One detector at every place, and the greatest response: what was found, wherever it is.

Run it with `python examples/09_motif_detection.py [--out FOLDER]`.  Sequences of noise hold a
tooth somewhere: in some it falls, in the others it rises.  A network is told which, never where.
All of its weights are twelve numbers u: the same at every place; from first to last for a tooth
that falls, and from last to first for one that rises, which is its mirror image.  Only the greatest
response of all places counts.

It prints how often the network is right about sequences not seen, how well u fits the tooth, and by
how much a response changes when a tooth is shifted: not at all.  The same network with twelve such
numbers for each place learns its sequences better, and knows less of others.
"""

import argparse
from pathlib import Path

import matplotlib
import numpy as np
import numpy.typing as npt

import diagrad as dg

matplotlib.use("Agg")
import matplotlib.pyplot as plt

parser = argparse.ArgumentParser(description="Find a motif in noise.")
parser.add_argument("--out", type=Path, default=Path("motif_out"), help="folder of the pictures")
out: Path = parser.parse_args().out
out.mkdir(parents=True, exist_ok=True)

LENGTH, TAPS = 64, 12
ENDS = TAPS - 1  # silence on both sides: every window counts that has a part of the sequence in it
PLACES = LENGTH + ENDS
tooth = np.linspace(2.3, -2.3, TAPS)  # in noise of deviation 1
TEETH = np.stack([tooth, tooth[::-1]])  # kind 0 falls, kind 1 rises

Arrays = dict[str, npt.NDArray[np.float32]]


def sequences(count: int, seed: int) -> tuple[Arrays, npt.NDArray[np.int64]]:
    """Sequences with one tooth each and its kind y; and where the teeth begin."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, LENGTH))
    y = rng.integers(0, 2, count)
    begin = rng.integers(0, LENGTH - TAPS + 1, count)
    for line, kind, start in zip(x, y, begin, strict=True):
        line[start : start + TAPS] += TEETH[kind]
    return {"x": x.astype(np.float32), "y": y.astype(np.float32)}, begin


# w = u[index]: the weight of place p, tap t and kind k is one of the numbers u.  Their gradients
# are added up.  The index says it all: in the second network, each place has numbers of its own.
tap = np.arange(TAPS)
once = np.stack([tap, tap[::-1]], axis=-1)  # (taps, kinds)
everywhere = np.broadcast_to(once, (PLACES, TAPS, 2))
indices = {"shared": everywhere, "unshared": everywhere + TAPS * np.arange(PLACES)[:, None, None]}

learn, _ = sequences(1000, seed=0)
ask, begin = sequences(2000, seed=1)
kinds = ask["y"].astype(int)
shifts = np.zeros((LENGTH - TAPS + 1, LENGTH), np.float32)  # a tooth in silence, at every place
for place, line in enumerate(shifts):
    line[place : place + TAPS] = tooth

found = {}
for name, index in indices.items():
    x = dg.observed("x", ("B", LENGTH))
    y = dg.observed("y", ("B",))
    u = dg.parameter("u", (int(index.max()) + 1,), init=dg.init.normal(0, 0.01))
    windows = dg.windows(dg.pad(x, [(0, 0), (ENDS, ENDS)]), TAPS)  # (B, places, taps), a view
    responses = dg.einsum("bpt,ptk->bpk", windows, dg.share(u, index))
    greatest = dg.max(responses, axis=1)  # over the places: (B, kinds)
    score = greatest[:, 1] - greatest[:, 0]
    diagram = dg.Diagram(
        name,
        {"responses": responses, "greatest": greatest, "score": score},
        cost=dg.binary_cross_entropy(score, y),
    )
    diagram.render(out / f"{name}.svg")
    program = diagram.compile(dg.Adam(3e-2))
    dg.fit(program, learn, epochs=100, batch_size=200, progress=False)

    known = (program.run(x=learn["x"])["score"] > 0) == learn["y"]
    answer = program.run(x=ask["x"])
    others = (answer["score"] > 0) == ask["y"]
    place = answer["responses"].argmax(axis=1)[np.arange(len(kinds)), kinds] - ENDS
    moved = program.run(x=shifts)["greatest"]
    print(f"{name}: {diagram.summary().links:,} links, {program.parameters['u'].size} parameters")
    print(f"  right about sequences that it learned from: {known.mean():.1%}")
    print(f"  right about others:                         {others.mean():.1%}")
    print(f"  their teeth found, to one place:            {np.mean(abs(place - begin) < 2):.1%}")
    print(f"  greatest change of a response by a shift:   {np.ptp(moved, axis=0).max():.2g}")
    found[name] = (program.parameters["u"], answer["responses"], moved[:, 0])

numbers, seen, _ = found["shared"]
length = np.linalg.norm(numbers)
print(f"cosine of u and the tooth: {numbers @ tooth / length / np.linalg.norm(tooth):.3f}")

figure, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 3.5), layout="constrained")
one = int(np.argmin(kinds))  # the first with a falling tooth
left.plot(ask["x"][one], color="gray", linewidth=1, label="a sequence")
left.plot(begin[one] + tap, tooth, "k--", label="its tooth")
left.plot(seen[one, ENDS:, 0] / length, label="response, over |u|")
middle.plot(numbers / length, "o-", label="u")
middle.plot(tooth / np.linalg.norm(tooth), "k--", label="the tooth")
for name, (_, _, moved) in found.items():
    right.plot(moved, label=name)
left.set(title="where is it?", xlabel="place")
middle.set(title="u and the tooth, of length 1", xlabel="tap")
right.set(title="greatest response to a falling tooth", xlabel="where it begins", ylim=(0, None))
for axes in (left, middle, right):
    axes.legend(frameon=False, fontsize="small")
figure.savefig(out / "motif.svg")
print("both networks, a sequence, u and the responses are drawn in", out)
