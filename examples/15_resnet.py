"""A hundred layers: with a shortcut around every two of them they learn, without they do not.

Run it with `python examples/15_resnet.py [--n N ...] [--epochs N] [--out FOLDER]`.  The nets are
those of He, Zhang, Ren and Sun, Deep residual learning for image recognition, 2016, for CIFAR, with
half as many maps and digits of 8 x 8: a convolution, three stages of n blocks of two convolutions,
each stage with twice the maps of the one before on half the size, the mean of each map, and a dense
layer.  That is 6 n + 2 layers.  Each convolution has a batch norm: it normalises by the batch in a
step, and by the averages that the steps have kept where the net is asked.

A plain block is relu(f(x)), a residual block relu(f(x) + x): whatever f does, the gradient has a
way past it.  Where the size changes, so must x: option A takes every second pixel and adds maps of
zeros, which costs no parameters; option B is a convolution of 1 x 1.

It prints the cost of each net after learning and how many digits not shown it gets right, and draws
a block of each kind, the smallest net, and the learning curves.  With 20 layers all of them learn,
with 56 the plain one is slow, and with 110 it learns nothing.
"""

import argparse
import math
from pathlib import Path

import matplotlib
import numpy as np

import diagrad as dg

matplotlib.use("Agg")
import matplotlib.pyplot as plt

parser = argparse.ArgumentParser(description="Plain and residual nets of many layers.")
parser.add_argument("--n", type=int, nargs="+", default=[3, 9, 18], help="of 6 n + 2 layers")
parser.add_argument("--epochs", type=int, default=12, help="how often to see every digit")
parser.add_argument("--out", type=Path, default=Path("resnet_out"), help="folder of the pictures")
options = parser.parse_args()
out: Path = options.out
out.mkdir(parents=True, exist_ok=True)

MAPS = 8  # of the first stage
data = np.load(Path(__file__).parent / "data" / "digits.npz")
order = np.random.default_rng(0).permutation(len(data["labels"]))
images = data["images"][order].reshape(-1, 1, 8, 8).astype(np.float32) / 16
labels = data["labels"][order]
learn, ask = {"x": images[:1297], "y": labels[:1297]}, {"x": images[1297:], "y": labels[1297:]}
augment = dg.augment.RandomAffine(degrees=10, translate=0.05, scale=0.1)
start = dg.init.kaiming_normal("relu")


def conv(inputs: int, outputs: int, taps: int, stride: int = 1) -> list[dg.Block]:
    """A convolution and its batch norm."""
    weights = dg.Conv2d(
        inputs, outputs, taps, stride, padding=taps // 2, bias=False, weight_init=start
    )
    return [weights, dg.BatchNorm(outputs)]


def two(inputs: int, outputs: int, stride: int) -> dg.Chain:
    """f, two convolutions."""
    return dg.Chain(*conv(inputs, outputs, 3, stride), dg.relu, *conv(outputs, outputs, 3))


def plain(inputs: int, outputs: int, stride: int) -> dg.Block:
    """f(x)."""
    return two(inputs, outputs, stride)


def option_a(inputs: int, outputs: int, stride: int) -> dg.Block:
    """f(x) + x, to which maps of zeros are added where f(x) has more."""

    @dg.block
    def fewer_pixels(x: dg.Variable) -> dg.Variable:
        more = outputs - inputs
        return dg.pad(x[:, :, ::stride, ::stride], [(0, 0), (0, more), (0, 0), (0, 0)])

    return dg.Residual(two(inputs, outputs, stride), fewer_pixels if stride > 1 else None)


def option_b(inputs: int, outputs: int, stride: int) -> dg.Block:
    """f(x) + x, which goes through a convolution of 1 x 1 where f(x) has another size."""
    convolved = dg.Chain(*conv(inputs, outputs, 1, stride)) if stride > 1 else None
    return dg.Residual(two(inputs, outputs, stride), convolved)


KINDS = {"plain": plain, "residual, A": option_a, "residual, B": option_b}


def scores_of(x: dg.Variable, kind: str, n: int) -> dg.Variable:
    """The net of 6 n + 2 layers, applied."""
    z = dg.Chain(*conv(1, MAPS, 3), dg.relu, name="first")(x)
    inputs = MAPS
    for stage in range(3):
        outputs = MAPS * 2**stage
        blocks = []
        for number in range(n):
            block = KINDS[kind](inputs, outputs, 2 if stage > 0 and number == 0 else 1)
            blocks.append(dg.Chain(block, dg.relu, name=f"block{number + 1}"))
            inputs = outputs
        z = dg.Chain(*blocks, name=f"stage{stage + 1}")(z)
    return dg.Chain(dg.AvgPool2d("global"), dg.Flatten(), dg.Linear(inputs, 10), name="last")(z)


for kind, block in KINDS.items():
    inner = dg.observed("x", ("B", MAPS, 8, 8))
    name = kind.replace(", ", "_")
    diagram = dg.Diagram(name, {"y": block(MAPS, 2 * MAPS, 2)(inner)})
    diagram.render(out / f"{name}.svg", depth=2 if kind == "plain" else 3)

x = dg.observed("x", ("B", 1, 8, 8))
y = dg.observed("y", ("B",), dtype=dg.int32)
steps = options.epochs * math.ceil(len(learn["y"]) / 64)
rate = dg.schedules.warm_up(dg.schedules.cosine(0.02, steps), steps // 6)
figure, axes = plt.subplots(figsize=(8.5, 4.5), layout="constrained")
for colour, n in enumerate(options.n):
    for kind, style in zip(KINDS, (":", "-", "--"), strict=True):
        layers = 6 * n + 2
        scores = scores_of(x, kind, n)
        diagram = dg.Diagram(f"net{layers}", {"scores": scores}, cost=dg.cross_entropy(scores, y))
        if (kind, n) == ("residual, A", options.n[0]):
            diagram.render(out / "net.svg", depth=2)
        program = diagram.compile(dg.SGD(rate, momentum=0.9, weight_decay=1e-4))
        history = dg.fit(program, learn, options.epochs, 64, augment=augment, progress=False)
        right = np.mean(program.run(x=ask["x"])["scores"].argmax(axis=1) == ask["y"])
        print(
            f"{layers:3} layers, {kind:11}  {diagram.summary().parameters:,} parameters  "
            f"cost {history.cost[-1]:.3f}  {right:.1%} right of {len(ask['y'])} not shown"
        )
        label = f"{layers} layers, {kind}"
        axes.plot(range(1, len(history) + 1), history.cost, style, color=f"C{colour}", label=label)
axes.set(xlabel="epoch", ylabel="cost", yscale="log")
figure.legend(frameon=False, loc="outside right center")
figure.savefig(out / "learning_curves.svg")
print("the blocks, a net and the learning curves are drawn in", out)
