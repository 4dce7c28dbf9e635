"""The first convolutional net that read real digits, link by link, and the same net as of today.

Run it with `python examples/14_bell_labs.py [--epochs N] [--out FOLDER]`.  The net of LeCun et al.,
Backpropagation applied to handwritten zip code recognition (1989), sees 16 x 16 pixels through two
layers of maps; their windows begin two units apart, in place of pooling.

It prints units, links and parameters of every layer beside those of the paper, which are 1,256
units, 64,660 links and 9,760 weights in all.  They are the same, for the net is built as it was:

  - the units of a map share their weights, but each has a bias of its own;
  - a map of H2 sees eight of the twelve maps of H1.  Which, the paper leaves open: here a third of
    the maps sees the first eight, a third the last eight, and a third the first and last four;
  - beyond the border of an image lies background, -1.

Beside it stands what one would write now: a bias for each map, and maps that see all others.  What
differs in its counts is printed for each layer.  Both learn 1297 digits, 23 times as in the paper,
and it prints how many of 500 others they get wrong.  (The paper's 7,291 zip codes are not free: it
got 5.0 % of 2,007 others wrong.)
"""

import argparse
import math
from pathlib import Path

import matplotlib
import numpy as np

import diagrad as dg

matplotlib.use("Agg")
import matplotlib.pyplot as plt

parser = argparse.ArgumentParser(description="Train the net of 1989 that read zip codes.")
parser.add_argument("--epochs", type=int, default=23, help="how often to see every digit")
parser.add_argument("--out", type=Path, default=Path("bell_labs_out"), help="folder of pictures")
options = parser.parse_args()
out: Path = options.out
out.mkdir(parents=True, exist_ok=True)

# 8 x 8 pixels made 16 x 16 by interpolation; paper is -1 and ink is 1.
file = np.load(Path(__file__).parent / "data" / "digits.npz")
place = np.clip((np.arange(16) + 0.5) / 2 - 0.5, 0, 7)
between = np.maximum(0, 1 - abs(place[:, None] - np.arange(8)))
images = between @ (file["images"].reshape(-1, 8, 8) / 8 - 1) @ between.T
order = np.random.default_rng(0).permutation(len(images))
learn, ask = (
    {"x": images[chosen, None].astype(np.float32), "y": file["labels"][chosen]}
    for chosen in (order[:1297], order[1297:])
)


# What every unit does with its sum, what lies beyond a border, the cost, and how the weights of a
# unit with n inputs start, are those of the paper.
@dg.block
def squash(a: dg.Variable) -> dg.Variable:
    return 1.7159 * dg.tanh(2 / 3 * a)


@dg.block
def background(x: dg.Variable) -> dg.Variable:
    return dg.pad(x + 1, [(0, 0), (0, 0), (2, 1), (2, 1)]) - 1


@dg.cost
def error(scores: dg.Variable, y: dg.Variable) -> dg.Variable:
    return dg.mean((scores - (2 * dg.one_hot(y, 10) - 1)) ** 2)


def start(n: int) -> dg.init.Uniform:
    return dg.init.uniform(-2.4 / n, 2.4 / n)


class Maps(dg.Block):
    """Twelve maps whose units share weights, but have a bias each.

    Args:
        inputs: how many maps each of them sees.
        size: of the maps; that of their inputs is twice as much.
        sees: which maps the first of several groups sees, the second, and so on; else all do.
    """

    def __init__(
        self, inputs: int, size: int, sees: list[list[int]] | None = None, name: str | None = None
    ) -> None:
        self.name = name
        self.sees = sees
        groups = len(sees) if sees else 1
        self.weights = dg.Conv2d(
            inputs * groups, 12, 5, 2, groups=groups, bias=False, weight_init=start(inputs * 25)
        )
        self.bias = dg.parameter("bias", (12, size, size), init=dg.init.zeros)

    def forward(self, x: dg.Variable) -> dg.Variable:
        x = background(x)
        if self.sees:
            x = dg.take(x, np.concatenate(self.sees), axis=1)
        return squash(self.weights(x) + self.bias)


def full(inputs: int, units: int, name: str) -> dg.Chain:
    layer = dg.Linear(inputs, units, weight_init=start(inputs))
    return dg.Chain(dg.Flatten(), layer, squash, name=name)


def plain(inputs: int, name: str) -> dg.Chain:
    """Maps as of today."""
    layer = dg.Conv2d(inputs, 12, 5, 2, padding=2, weight_init=start(inputs * 25))
    return dg.Chain(layer, squash, name=name)


first, middle, last = list(range(4)), list(range(4, 8)), list(range(8, 12))
ends = [full(192, 30, "h3"), full(30, 10, "out")]
nets: dict[str, list[dg.Block]] = {
    "bell_labs": [
        Maps(1, 8, name="h1"),
        Maps(8, 4, [first + middle, middle + last, first + last], name="h2"),
        *ends,
    ],
    "today": [plain(1, "h1"), plain(12, "h2"), *ends],
}
PAPER = {
    "h1": (768, 19_968, 1_068),
    "h2": (192, 38_592, 2_592),
    "h3": (30, 5_790, 5_790),
    "out": (10, 310, 310),
    "all": (1_256, 64_660, 9_760),  # its units are also the pixels
}

steps = options.epochs * (len(learn["x"]) // 16)
programs = {}
for name, layers in nets.items():
    x = dg.observed("x", ("B", 1, 16, 16))
    y = dg.observed("y", ("B",), dtype=dg.int32)
    values = [x]
    for layer in layers:
        values.append(layer(values[-1]))
    maps = {"h1": values[1], "h2": values[2], "scores": values[-1]}
    diagram = dg.Diagram(name, maps, cost=error(values[-1], y))
    diagram.render(out / f"{name}.svg", depth=2)
    summary = diagram.summary()
    rows = {row.name: row for row in summary.rows if row.level == 0}
    counts = {}
    for layer, value in zip(layers, values[1:], strict=True):
        row = rows[str(layer.name)]
        counts[row.name] = (
            math.prod(n for n in value.shape[1:] if isinstance(n, int)),
            row.links,
            row.parameters,
        )
    units = 16 * 16 + sum(each for each, _, _ in counts.values())
    counts["all"] = (units, summary.links, summary.parameters)

    print(f"{name}\n          units   links  parameters   beside the paper")
    for key, found in counts.items():
        links, parameters = found[1] - PAPER[key][1], found[2] - PAPER[key][2]
        apart = f"{links:+,} links, {parameters:+,} parameters"
        beside = "the same" if found == PAPER[key] else apart
        print(f"  {key:6} {found[0]:6,}  {found[1]:6,}  {found[2]:10,}   {beside}")

    program = diagram.compile(dg.Adam(dg.schedules.cosine(3e-3, steps)))
    dg.fit(program, learn, options.epochs, batch_size=16, progress=False)
    wrong = [
        np.mean(program.run(x=part["x"])["scores"].argmax(axis=1) != part["y"])
        for part in (learn, ask)
    ]
    print(f"  wrong of what it has learned {wrong[0]:.1%}, of 500 others {wrong[1]:.1%}")
    programs[name] = program

print("In h1 of today, 12 maps have a bias, not 768 units: 756 parameters fewer.")
print("In h2, 180 biases fewer; its maps see 4 more each, by 25 weights: 1,200 more,")
print("each of them in 16 units: 19,200 links more.")

# A digit, the weights of H1, and what the maps say to it.
program = programs["bell_labs"]
shown = program.run(x=ask["x"][:1])
kernels = next(value for value in program.parameters.values() if value.shape == (12, 1, 5, 5))
lines = [("weights of H1", kernels[:, 0]), ("H1", shown["h1"][0]), ("H2", shown["h2"][0])]
figure, axes = plt.subplots(3, 13, figsize=(11, 3), layout="constrained")
for line, (label, pictures) in zip(axes, lines, strict=True):
    line[0].set_ylabel(label)
    for box, picture in zip(line[1:], pictures, strict=True):
        limit = abs(pictures).max()
        box.imshow(picture, cmap="gray_r", vmin=-limit, vmax=limit)
    line[0].set_frame_on(False)
    for box in line:
        box.set(xticks=[], yticks=[])
axes[1, 0].imshow(ask["x"][0, 0], cmap="gray_r")
figure.savefig(out / "maps.svg")
print("both nets, and what the maps of the first see, are drawn in", out)
