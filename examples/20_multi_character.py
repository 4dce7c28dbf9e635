"""A net that has learned single digits reads strings of them: it slides, and a grammar decides.

Run it with `python examples/20_multi_character.py [--epochs N] [--strings N] [--out FOLDER]`.
Every layer of the net is a convolution.  On an image of 20 x 20 pixels it has one place, and says
which digit stands in the middle, or that none does; this is all that it learns, from single digits
with parts of their neighbours beside them.  On a wider image, the same program has a place at every
fourth pixel, and nothing is replaced: the width is a named size.

So a string is a lattice of scores, and to read it is to find the best path through it.  The first
reading takes no grammar: the best label at each place, and what repeats is one digit.  The second
is the best path of a finite-state machine that knows what strings are made of: a digit takes one
place or some, and there is a gap behind it.  The third machine also knows that the last digit is a
check: the sum of all is a multiple of ten, as that of an account number may be.  Its states are
those of the second, times the sum so far.

It prints how many digits and how many strings, none of whose images it has seen, come out right in
each way.  It draws the pair, and what both make of one string.

LeCun, Bottou, Bengio and Haffner, Gradient-based learning applied to document recognition, 1998:
space displacement neural networks.
"""

import argparse
from itertools import groupby
from pathlib import Path

import matplotlib
import numpy as np
import numpy.typing as npt

import diagrad as dg

matplotlib.use("Agg")
import matplotlib.pyplot as plt

parser = argparse.ArgumentParser(description="A sliding net and a grammar read strings of digits.")
parser.add_argument("--epochs", type=int, default=12, help="how often every digit is seen")
parser.add_argument("--strings", type=int, default=500, help="how many strings are read")
parser.add_argument("--out", type=Path, default=Path("strings_out"), help="folder of the pictures")
options = parser.parse_args()
out: Path = options.out
out.mkdir(parents=True, exist_ok=True)

Images = npt.NDArray[np.float32]
Places = npt.NDArray[np.int64]

# 1. Digits of 8 x 8 pixels, made 16 x 16 by interpolation: 1297 to learn from, and 500 others.
file = np.load(Path(__file__).parent / "data" / "digits.npz")
place = np.clip((np.arange(16) + 0.5) / 2 - 0.5, 0, 7)
between = np.maximum(0, 1 - abs(place[:, None] - np.arange(8)))
digits = between @ (file["images"].reshape(-1, 8, 8) / 16) @ between.T
kinds: Places = file["labels"].astype(np.int64)
rng = np.random.default_rng(0)
order = rng.permutation(len(digits))
learn, ask = order[:1297], order[1297:]
GAP, WINDOW, STEP = 10, 20, 4  # the label of no digit; pixels of a window, and between two of them


def written(chosen: Places, width: int) -> tuple[Images, Places]:
    """Digits side by side on an image of 20 rows, 12 to 18 pixels apart, and where they stand."""
    pitches = rng.integers(12, 19, len(chosen))
    middles = 10 + np.cumsum(pitches) - pitches[0] + rng.integers(0, STEP)
    image = np.zeros((WINDOW, width))
    for digit, middle in zip(digits[chosen], middles, strict=True):
        top = rng.integers(1, 4)
        image[top : top + 16, middle - 8 : middle + 8] += digit
    return np.minimum(image, 1).astype(np.float32), middles


def windows(chosen: Places) -> tuple[Images, npt.NDArray[np.int32]]:
    """Of each digit a window that has it in the middle, up to 2 pixels off, and one of a gap."""
    images, labels = [], []
    for one in chosen:
        image, middles = written(np.array([rng.choice(learn), one, rng.choice(learn)]), 80)
        places = np.arange(10, 70)
        gaps = places[(abs(places[:, None] - middles) >= 4).all(axis=1)]
        for middle, label in (
            (middles[1] + rng.integers(-2, 3), kinds[one]),
            (rng.choice(gaps), GAP),
        ):
            images.append(image[:, middle - 10 : middle + 10])
            labels.append(label)
    return np.array(images)[:, None], np.array(labels, np.int32)


# 2. The net: convolutions alone, so that a window of 20 x 20 is one place, and four pixels a step.
layers = dg.Chain(
    dg.Conv2d(1, 12, 5), dg.relu, dg.MaxPool2d(2),
    dg.Conv2d(12, 32, 5), dg.relu, dg.MaxPool2d(2),
    dg.Conv2d(32, 96, 2), dg.relu,
    dg.Conv2d(96, 11, 1),
    name="layers",
)  # fmt: skip


@dg.block
def sliding_window_convnet(x: dg.Variable) -> dg.Variable:
    """(B, 1, 20, W) -> (places, B, 11): the logarithms of the labels' probabilities."""
    return dg.log_softmax(dg.transpose(layers(x)[:, :, 0], (2, 0, 1)))


# 3. Two grammars.  In the state GAP no digit is being read; in the state d, the digit d is.
arcs = [(GAP, GAP, GAP)]  # from, to, and the label on the way
for d in range(10):
    arcs += [(GAP, d, d), (d, d, d), (d, GAP, GAP)]
spelling = dg.wfsm(states=11, arcs=arcs, start=GAP, final=GAP, name="spelling")


def after(total: int, a: int, b: int) -> int:
    """The sum of the digits so far, modulo ten, behind an arc from a to b."""
    return (total + b) % 10 if a == GAP != b else total


checking = dg.wfsm(
    states=[(total, state) for total in range(10) for state in range(11)],
    arcs=[((k, a), (after(k, a, b), b), label) for k in range(10) for a, b, label in arcs],
    start=[(0, GAP)],
    final=[(0, GAP)],
    name="checking",
)


@dg.block
def weighted_finite_state_machine(lattice: dg.Variable) -> tuple[dg.Variable, dg.Variable]:
    """(places, B, 11) -> (B,), (places, B): the best path's score, and its labels."""
    score, labels, _ = checking.viterbi(lattice)
    return score, labels


# 4. One diagram: its cost is that of the first place, where a digit is alone.
x = dg.observed("x", ("B", 1, WINDOW, "W"))
y = dg.observed("y", ("B",), dtype=dg.int32)
lattice = sliding_window_convnet(x)
score, checked = weighted_finite_state_machine(lattice)
diagram = dg.Diagram(
    "strings of digits",
    {"lattice": lattice, "spelled": spelling.viterbi(lattice)[1], "checked": checked},
    cost=dg.nll(lattice[0], y),
)
pair = dg.Diagram("strings of digits", {"score": score, "labels": checked})
pair.render(out / "pair.svg", depth=1)

# 5. Learning from windows.
images, labels = windows(learn)
steps = options.epochs * (len(images) // 64)
program = diagram.compile(dg.Adam(dg.schedules.cosine(4e-3, steps)))
dg.fit(program, {"x": images, "y": labels}, options.epochs, batch_size=64, progress=False)
images, labels = windows(ask)
found = program.run(x=images)["lattice"][0]
print(
    f"right of {len(labels)} windows it has not seen: {np.mean(found.argmax(axis=1) == labels):.1%}"
)


# 6. Reading strings of 4 to 8 digits, whose sum is a multiple of ten.
def read(path: npt.NDArray[np.int32]) -> str:
    """Each run of one label is one digit."""
    return "".join(str(label) for label, _ in groupby(path) if 0 <= label < GAP)


def mistakes(text: str, wanted: str) -> int:
    """Digits that are wrong, too many or missing: the edit distance of Levenshtein, 1965."""
    least = list(range(len(wanted) + 1))
    for row, a in enumerate(text, 1):
        before, least = least, [row]
        for k, b in enumerate(wanted):
            least.append(min(before[k] + (a != b), before[k + 1] + 1, least[k] + 1))
    return least[-1]


lines, wanted = [], []
by_kind = [ask[kinds[ask] == kind] for kind in range(10)]
for _ in range(options.strings):
    chosen = rng.choice(ask, rng.integers(3, 8))
    chosen = np.append(chosen, rng.choice(by_kind[-kinds[chosen].sum() % 10]))
    lines.append(written(chosen, 164)[0])
    wanted.append("".join(map(str, kinds[chosen])))
answer = program.run(x=np.array(lines)[:, None])
answer["greedy"] = answer["lattice"].argmax(axis=2)
count = sum(map(len, wanted))
texts = {}
for key, name in (
    ("greedy", "the best label of each place"),
    ("spelled", "a machine that knows digits and gaps"),
    ("checked", "and that the sum is a multiple of ten"),
):
    texts[key] = [read(path) for path in answer[key].T]
    wrong = sum(map(mistakes, texts[key], wanted)) / count
    right = np.mean([a == b for a, b in zip(texts[key], wanted, strict=True)])
    print(f"{name}: {right:.1%} of strings right, {wrong:.1%} of digits wrong")

# 7. One string, which the first two readings get wrong and the third right.
rows = list(zip(wanted, *texts.values(), strict=True))
shown = [k for k, (text, a, b, c) in enumerate(rows) if a != text != b and c == text]
one = shown[0] if shown else 0
figure, (above, below) = plt.subplots(2, 1, figsize=(9, 4.4), layout="constrained", sharex=True)
above.imshow(lines[one], cmap="gray_r", aspect="auto")
above.set(title=f"what is written: {wanted[one]}", yticks=[])
probability = np.exp(answer["lattice"][:, one].T)
middles = STEP * np.arange(probability.shape[1]) + WINDOW / 2 - 0.5
below.pcolormesh(middles, np.arange(11), probability, cmap="Greys", vmin=0, vmax=1)
for key, color, name in (
    ("greedy", "C1", "best labels"),
    ("spelled", "C0", "digits and gaps"),
    ("checked", "C3", "and a check digit"),
):
    text = f"{name}: {texts[key][one]}"
    below.step(middles, answer[key][:, one], where="mid", color=color, label=text)
below.set(yticks=np.arange(11), yticklabels=[*range(10), "gap"], xlabel="pixel")
below.legend(frameon=False, ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.2))
figure.savefig(out / "string.svg")
print("the pair and a string are drawn in", out)
