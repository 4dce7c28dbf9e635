"""LeNet-5, twice: the two listings of the slides, and a net that reads a whole line at once.

Run it with `python examples/12_lenet5.py [--epochs N] [--out FOLDER]`.  The first listing has four
layers with weights, 431,080 of them; the second has layers C1 to F7 as the original, and 61,706.
The digits are enlarged to 20 x 20 pixels and stand in the middle of 28 x 28 or 32 x 32, as those of
the original did.  It prints the parameters of every layer, and how many digits that they have not
seen the nets get right.

Every layer of the second net is a convolution: C5 sees all of its 5 x 5 inputs, F6 and F7 have
kernels of one pixel.  So the net takes wider images as well, and gives scores for every fourth
place.  It has learned from digits with parts of their neighbours beside them, and then reads a line
of 500 in one call: its scores are those of images cut out of the line, and it has a part of their
links.  (It has not learned to say that a place is between two digits: there, it says anything.)

LeCun, Bottou, Bengio and Haffner, Gradient-based learning applied to document recognition, 1998.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib
import numpy as np
import numpy.typing as npt

import diagrad as dg

matplotlib.use("Agg")
import matplotlib.pyplot as plt

parser = argparse.ArgumentParser(description="Train LeNet-5, and let it read a line.")
parser.add_argument("--epochs", type=int, default=10, help="how often to see every digit")
parser.add_argument("--out", type=Path, default=Path("lenet5_out"), help="folder of the pictures")
options = parser.parse_args()
out: Path = options.out
out.mkdir(parents=True, exist_ok=True)

Images = npt.NDArray[np.float32]

# 1297 digits to learn from and 500 to be asked about, their 8 pixels made 20 by interpolation.
file = np.load(Path(__file__).parent / "data" / "digits.npz")
place = np.clip((np.arange(20) + 0.5) * 8 / 20 - 0.5, 0, 7)
between = np.maximum(0, 1 - abs(place[:, None] - np.arange(8)))
digits = between @ (file["images"].reshape(-1, 8, 8) / 16) @ between.T
order = np.random.default_rng(0).permutation(len(digits))
learn, ask = order[:1297], order[1297:]
labels = file["labels"]

PITCH = 24  # from the middle of a digit to that of its neighbour


def alone(chosen: npt.NDArray[np.int64]) -> Images:
    """Digits in the middle of 28 x 28."""
    return np.pad(digits[chosen], [(0, 0), (4, 4), (4, 4)])[:, None].astype(np.float32)


def in_a_line(chosen: npt.NDArray[np.int64]) -> Images:
    """Digits side by side, as one image of 32 rows."""
    line = np.zeros((32, PITCH * (len(chosen) - 1) + 32), np.float32)
    for index, digit in enumerate(digits[chosen]):
        line[6:26, PITCH * index + 6 : PITCH * index + 26] = digit
    return line[None, None]


def cut_out(line: Images) -> Images:
    """The images of 32 x 32 with the digits of a line in the middle."""
    windows = np.lib.stride_tricks.sliding_window_view(line[0, 0], 32, axis=1)
    return windows[:, ::PITCH].transpose(1, 0, 2)[:, None]


simple = [
    dg.Conv2d(1, 20, 5, name="conv1"),
    dg.relu,
    dg.MaxPool2d(2, name="pool1"),
    dg.Conv2d(20, 50, 5, name="conv2"),
    dg.relu,
    dg.MaxPool2d(2, name="pool2"),
    dg.Flatten(),
    dg.Linear(800, 500, name="fc1"),
    dg.relu,
    dg.Linear(500, 10, name="fc2"),
]
lenet5 = [
    dg.Conv2d(1, 6, 5, name="c1"),
    dg.relu,
    dg.MaxPool2d(2, name="s2"),
    dg.Conv2d(6, 16, 5, name="c3"),
    dg.relu,
    dg.MaxPool2d(2, name="s4"),
    dg.Conv2d(16, 120, 5, name="c5"),
    dg.relu,
    dg.Conv2d(120, 84, 1, name="f6"),
    dg.relu,
    dg.Conv2d(84, 10, 1, name="f7"),
]


def scores_of(
    layers: Sequence[Callable[[dg.Variable], dg.Variable]], x: dg.Variable
) -> dg.Variable:
    for layer in layers:
        x = layer(x)
    return x


def trained(name: str, diagram: dg.Diagram, images: Images) -> dg.Program:
    """The program of a net, after it has learned."""
    diagram.render(out / f"{name}.svg", depth=1)
    steps = options.epochs * (len(learn) // 32)
    program = diagram.compile(dg.Adam(dg.schedules.cosine(2e-3, steps)))
    data = {"x": images, "y": labels[learn]}
    dg.fit(program, data, options.epochs, batch_size=32, progress=False)
    return program


def report(name: str, program: dg.Program, answers: npt.NDArray[np.int64]) -> None:
    """What a net is made of, and what it gets right."""
    sizes: dict[str, int] = {}
    for key, value in program.parameters.items():
        layer = key.split("/")[-2]
        sizes[layer] = sizes.get(layer, 0) + value.size
    print(f"{name}: {sum(sizes.values()):,} parameters,", sizes)
    print(f"  right of 500 digits it has not seen: {np.mean(answers == labels[ask]):.1%}")


# The first listing: 28 x 28, and two layers that see everything behind two convolutions.
y = dg.observed("y", ("B",), dtype=dg.int32)
x = dg.observed("x", ("B", 1, 28, 28))
log_p = dg.log_softmax(scores_of(simple, x))
program = trained("simple", dg.Diagram("simple", {"log_p": log_p}, dg.nll(log_p, y)), alone(learn))
report("simple", program, program.run(x=alone(ask))["log_p"].argmax(axis=1))

# The second: convolutions alone, on images of any width.  A digit's scores are those of the place
# in the middle; an image of 32 columns has one place.
x = dg.observed("x", ("B", 1, 32, "W"))
log_p = dg.log_softmax(scores_of(lenet5, x), axis=1)
cost = dg.nll(log_p[:, :, 0, 0], y)
line = in_a_line(ask)
program = trained("lenet5", dg.Diagram("lenet5", {"log_p": log_p}, cost), cut_out(in_a_line(learn)))
each = program.run(x=cut_out(line))["log_p"][:, :, 0, 0]
report("lenet5", program, each.argmax(axis=1))

read = program.run(x=line)["log_p"][0, :, 0]  # (10, places), of which every sixth is a digit's
there = read[:, :: PITCH // 4].T
right = np.mean(there.argmax(axis=1) == labels[ask])
print(f"  right of a line of them, read in one call: {right:.1%}")
print(f"  its scores differ from those of images by at most {abs(there - each).max():.1g}")
links = []
for width in (32, line.shape[-1]):
    scores = scores_of(lenet5, dg.observed("x", (1, 1, 32, width)))
    links.append(dg.Diagram("line", {"scores": scores}).summary().links)
count = read.shape[1]
print(f"  its {count:,} places have {links[1]:,} links, as many images {count * links[0]:,}")

figure, (above, below) = plt.subplots(2, 1, figsize=(9, 3.6), layout="constrained", sharex=True)
shown = 8 * PITCH + 8
above.imshow(line[0, 0, :, :shown], cmap="gray_r", aspect="auto")
above.set(title="a line of digits", yticks=[])
places = np.arange((shown - 32) // 4 + 1)
below.pcolormesh(4 * places + 15.5, np.arange(10), np.exp(read[:, places]), cmap="Greys", vmin=0)
below.set(title="what LeNet-5 sees at every fourth place", yticks=np.arange(10), xlabel="pixel")
for index, kind in enumerate(there[:8].argmax(axis=1)):
    below.plot(PITCH * index + 15.5, kind, "o", color="red", markersize=12, fillstyle="none")
figure.savefig(out / "line.svg")
print("both nets, the line and what is read of it are drawn in", out)
