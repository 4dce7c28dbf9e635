"""What a stage of a convolutional net is made of, and what each of its parts is good for.

Run it with `python examples/13_convnet_stages.py [--epochs N] [--out FOLDER]`.  Two stages of

    normalisation -> filter bank -> non-linearity -> pooling

and a linear layer name digits.  Each part is exchanged for others: no normalisation, the
subtractive one, or the divisive one after it; max(s, 0), shrinkage or tanh; the maximum, the mean,
the root of the sum of squares or the log-sum-exp of 2 x 2 units.  (The architecture is that of
Jarrett, Kavukcuoglu, Ranzato and LeCun, What is the best multi-stage architecture for object
recognition?, 2009.)

All of them learn from digits in even light, and are asked about others: in even light again, and
with a tenth of the contrast on a ground that gets darker from one side to the other.  How many each
gets right is printed.  In even light, all parts do.  In the other, a net without normalisation
guesses; the subtractive one takes away the ground, and the divisive one brings back the contrast.

The net of 1990 has the parts filters-tanh, pooling, filters-tanh, pooling, filters-tanh.  It is
built as in LeCun et al., Handwritten digit recognition with a back-propagation network, 1990: units
of a pooling layer have four equal weights, each map its own; of the twelve maps of the third layer,
four see one map and eight see two.  Its links and parameters are printed: the 98,442 and 2,578 of
the paper.
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

parser = argparse.ArgumentParser(description="Exchange the parts of a convolutional net.")
parser.add_argument("--epochs", type=int, default=8, help="how often to see every digit")
parser.add_argument("--out", type=Path, default=Path("stages_out"), help="folder of the pictures")
options = parser.parse_args()
out: Path = options.out
out.mkdir(parents=True, exist_ok=True)

# 1297 digits to learn from and 500 to be asked about: 20 x 20 pixels in the middle of 28 x 28.
file = np.load(Path(__file__).parent / "data" / "digits.npz")
place = np.clip((np.arange(20) + 0.5) * 8 / 20 - 0.5, 0, 7)
between = np.maximum(0, 1 - abs(place[:, None] - np.arange(8)))
digits = between @ (file["images"].reshape(-1, 8, 8) / 16) @ between.T
images = np.pad(digits, [(0, 0), (4, 4), (4, 4)])[:, None].astype(np.float32)
rng = np.random.default_rng(0)
order = rng.permutation(len(images))
learn, ask = order[:1297], order[1297:]
labels = file["labels"]

# The other light: from one side of the image to the other, at any angle.
angle = rng.uniform(0, 2 * np.pi, (500, 1, 1, 1))
across, down = np.meshgrid(np.linspace(-1, 1, 28), np.linspace(-1, 1, 28))
dark = 0.5 + 0.35 * (np.cos(angle) * across + np.sin(angle) * down)
even = images[ask]
other = (even / 10 + dark).astype(np.float32)

Images = npt.NDArray[np.float32]
Part = Callable[[dg.Variable], dg.Variable]


def shrink(x: dg.Variable) -> dg.Variable:
    return dg.soft_shrink(x, 0.1)


NORMS: dict[str, Callable[[], list[Part]]] = {
    "none": lambda: [],
    "subtractive": lambda: [dg.SubtractiveNorm()],
    "both": lambda: [dg.SubtractiveNorm(), dg.DivisiveNorm()],
}
BENDS: dict[str, Part] = {"relu": dg.relu, "shrinkage": shrink, "tanh": dg.tanh}
POOLS: dict[str, Callable[[], Part]] = {
    "max": lambda: dg.MaxPool2d(2),
    "mean": lambda: dg.AvgPool2d(2),
    "L2": lambda: dg.LpPool2d(2, 2),
    "log-sum-exp": lambda: dg.LogSumExpPool2d(2),
}
Kinds = tuple[str, str, str]  # of normalisation, non-linearity and pooling


def stage(maps: tuple[int, int], kinds: Kinds, name: str) -> dg.Chain:
    """A stage: so many maps to so many."""
    norm, bend, pool = kinds
    filters = dg.Conv2d(*maps, 5, name="filters")
    return dg.Chain(*NORMS[norm](), filters, BENDS[bend], POOLS[pool](), name=name)


def net(kinds: Kinds) -> list[dg.Chain]:
    """28 x 28 pixels, 8 maps of 24 x 24, pooled; 16 maps of 8 x 8, pooled; 10 scores."""
    stages = [stage((1, 8), kinds, "stage1"), stage((8, 16), kinds, "stage2")]
    return [*stages, dg.Chain(dg.Flatten(), dg.Linear(256, 10), name="classes")]


def scores_of(layers: Sequence[dg.Block], x: dg.Variable) -> dg.Variable:
    for layer in layers:
        x = layer(x)
    return x


def trained(name: str, diagram: dg.Diagram, rate: float) -> dg.Program:
    """The program of a diagram, after it has learned; what it gets right is printed."""
    steps = options.epochs * (len(learn) // 32)
    program = diagram.compile(dg.Adam(dg.schedules.cosine(rate, steps)))
    data = {"x": images[learn], "y": labels[learn]}
    dg.fit(program, data, options.epochs, batch_size=32, progress=False)
    for asked in (even, other):
        answers = program.run(x=asked)["scores"].argmax(axis=1)
        name += f"  {np.mean(answers == labels[ask]):10.1%}"
    print(name)
    return program


x = dg.observed("x", ("B", 1, 28, 28))
y = dg.observed("y", ("B",), dtype=dg.int32)
print("normalisation  non-linearity  pooling      even light  other light")
BASE = ("both", "relu", "max")
tried: list[Kinds] = [BASE]
tried += [(norm, "relu", "max") for norm in NORMS if norm != "both"]
tried += [("both", bend, "max") for bend in BENDS if bend != "relu"]
tried += [("both", "relu", pool) for pool in POOLS if pool != "max"]
for kinds in tried:
    layers = net(kinds)
    scores = scores_of(layers, x)
    diagram = dg.Diagram("stages", {"scores": scores}, cost=dg.cross_entropy(scores, y))
    norm, bend, pool = kinds
    program = trained(f"{norm:13}  {bend:13}  {pool:11}", diagram, 3e-3)
    if kinds == BASE:
        diagram.render(out / "stages.svg", depth=2)
        base, learned = layers[0], program.parameters


# The net of 1990.
@dg.block
def squash(a: dg.Variable) -> dg.Variable:
    return 1.7159 * dg.tanh(2 / 3 * a)


@dg.cost
def error(scores: dg.Variable, y: dg.Variable) -> dg.Variable:
    return dg.mean((scores - (2 * dg.one_hot(y, 10) - 1)) ** 2)


class Pooling(dg.Block):
    """A unit has one weight for the four units below it, and a bias; both are those of its map."""

    def __init__(self, maps: int, name: str) -> None:
        self.name = name
        self.maps = maps
        self.u = dg.parameter("u", (maps, 1, 1, 1), init=dg.init.uniform(0.2, 0.6))
        self.bias = dg.parameter("bias", (maps, 1, 1), init=dg.init.zeros)

    def forward(self, x: dg.Variable) -> dg.Variable:
        equal = dg.broadcast_to(self.u, (self.maps, 1, 2, 2))
        s = dg.correlate(x, equal, stride=2, groups=self.maps)
        return squash(s + self.bias)


class Filters(dg.Block):
    """The third layer: four maps that each see one map, and eight that see two neighbours."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.one = dg.Conv2d(4, 4, 5, groups=4)
        self.two = dg.Conv2d(4, 8, 5, groups=2)

    def forward(self, x: dg.Variable) -> dg.Variable:
        return squash(dg.concatenate([self.one(x), self.two(x)], axis=1))


vintage = [
    dg.Chain(dg.Conv2d(1, 4, 5), squash, name="h1"),
    Pooling(4, name="h2"),
    Filters(name="h3"),
    Pooling(12, name="h4"),
    dg.Chain(dg.Conv2d(12, 10, 4), squash, dg.Flatten(), name="out"),
]
scores = scores_of(vintage, x)
diagram = dg.Diagram("vintage", {"scores": scores}, cost=error(scores, y))
diagram.render(out / "vintage.svg", depth=2)
trained(f"{'the net of 1990':41}", diagram, 5e-3)
summary = diagram.summary()
print(f"it has {summary.links:,} links and {summary.parameters:,} parameters")

# What the first stage makes of a digit in either light, part by part; of eight maps, two.
subtractive, divisive, *others = base.blocks
values = {"subtractive": subtractive(x)}
values["divisive"] = value = divisive(values["subtractive"])
for title, part in zip(("filters", "relu", "max-pool"), others, strict=True):
    values[title] = value = part(value)
program = dg.Diagram("first stage", values).compile()
for key in program.parameters:
    program.parameters[key] = learned[key]
figure, axes = plt.subplots(2, 9, figsize=(12, 3.2), layout="constrained")
for line, light, label in zip(axes, (even, other), ("even light", "other light"), strict=True):
    made: dict[str, Images] = {"image": light[:1], **program.run(x=light[:1])}
    shown = [(title, one) for title, maps in made.items() for one in maps[0, :2]]
    for box, (title, pixels) in zip(line, shown, strict=True):
        box.imshow(pixels, cmap="gray_r")
        box.set(title=title, xticks=[], yticks=[])
    line[0].set_ylabel(label)
figure.savefig(out / "parts.svg")
print("the stages, the net of 1990, and what the parts make of a digit are drawn in", out)
