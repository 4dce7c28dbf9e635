"""The five networks with which convolutional nets began, on 320 digits to learn from.

Run it with `python examples/07_nets_of_1989.py [--epochs N] [--seeds N] [--out FOLDER]`.  They are
those of Y. LeCun, Generalization and network design strategies (1989): the first is one layer, the
last has few weights and uses each of them at many places.  All of them learn what they are shown;
what they make of digits that they were not shown is printed, beside what the original's did.

The images: 12 digits of each kind on 16 x 13 pixels, black or white, and each of them at four
positions side by side in 16 x 16.  Of the 48 images of a kind, 32 chosen by chance are learned
from, so what is asked is mostly a digit known from another position.  The original's images were
others, so only the order of the five compares.

What the order depends on: of 480 different digits in grey, each in the middle of its image, all
five networks get 91 to 94 % right; with whole digits kept apart instead of images, the third to
fifth get 81 to 84 % and the first 79 %.  And the longer the first network learns, the worse it
gets: 71 % after 30 epochs, 58 % after 100.
"""

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt

import diagrad as dg

parser = argparse.ArgumentParser(description="Train the five networks of 1989.")
parser.add_argument("--epochs", type=int, default=60, help="how often to see every digit")
parser.add_argument("--seeds", type=int, default=5, help="how often to train each network")
parser.add_argument("--out", type=Path, default=Path("nets_out"), help="folder of the pictures")
options = parser.parse_args()
out: Path = options.out
out.mkdir(parents=True, exist_ok=True)


def enlarged(size: int) -> npt.NDArray[np.float64]:
    """The matrix (size, 8) that interpolates linearly between 8 pixels."""
    place = np.clip((np.arange(size) + 0.5) * 8 / size - 0.5, 0, 7)
    return np.maximum(0, 1 - abs(place[:, None] - np.arange(8)))


file = np.load(Path(__file__).parent / "data" / "digits.npz")
rng = np.random.default_rng(0)
images = np.full((10, 48, 1, 16, 16), -1, np.float32)
for kind in range(10):
    chosen = rng.choice(np.flatnonzero(file["labels"] == kind), 12, replace=False)
    ink = enlarged(16) @ file["images"][chosen].reshape(12, 8, 8) @ enlarged(13).T > 8
    for position in range(4):
        images[kind, position::4, 0, :, position : position + 13] = np.where(ink, 1, -1)
    rng.shuffle(images[kind])
labels = np.arange(10, dtype=np.int32)
learn = {"x": images[:, :32].reshape(320, 1, 16, 16), "y": labels.repeat(32)}
ask = {"x": images[:, 32:].reshape(160, 1, 16, 16), "y": labels.repeat(16)}


# What every unit does with its sum, and what the weights of a unit with n inputs start with, are
# those of 1989; so is the cost: the squared error from 1 for the right kind, and -1 for the others.
@dg.block
def squash(a: dg.Variable) -> dg.Variable:
    return 1.7159 * dg.tanh(2 / 3 * a)


@dg.cost
def error(scores: dg.Variable, y: dg.Variable) -> dg.Variable:
    return dg.mean((scores - (2 * dg.one_hot(y, 10) - 1)) ** 2)


def start(n: int) -> dg.init.Uniform:
    return dg.init.uniform(-2.4 / n, 2.4 / n)


def full(inputs: int, units: int) -> dg.Chain:
    """Units that see everything."""
    layer = dg.Linear(inputs, units, weight_init=start(inputs))
    return dg.Chain(dg.Flatten(), layer, squash, name=f"full{units}")


def local(channels: int, maps: int, kernel: int, shared: str = "") -> dg.Chain:
    """Maps of 8 x 8 units that see 3 x 3 pixels, two apart; or of 4 x 4 that see 5 x 5 of those.

    Each unit has a bias of its own, and also weights of its own, unless the units of a map share
    the parameter with this name.
    """
    n = channels * kernel**2
    size, stride, padding = {3: (16, 2, 1), 5: (8, 1, 0)}[kernel]
    weight = None
    if shared:
        u = dg.parameter(shared, (maps, channels, kernel, kernel), init=start(n))
        which = np.arange(maps)[:, None, None]  # the weights of a unit are those of its map
        weight = dg.share(u, np.broadcast_to(which, (maps, size // 2, size // 2)))
    layer = dg.LocallyConnected2d(
        channels, maps, size, kernel, stride, padding, weight=weight, weight_init=start(n)
    )
    return dg.Chain(layer, squash, name=f"local{kernel}")


nets = [
    dg.Chain(full(256, 10), name="net1"),
    dg.Chain(full(256, 12), full(12, 10), name="net2"),
    dg.Chain(local(1, 1, 3), local(1, 1, 5), full(16, 10), name="net3"),
    dg.Chain(local(1, 2, 3, "u"), local(2, 1, 5), full(16, 10), name="net4"),
    dg.Chain(local(1, 2, 3, "u"), local(2, 4, 5, "v"), full(64, 10), name="net5"),
]
COUNTS = [(2570, 2570), (3214, 3214), (1226, 1226), (2266, 1132), (5194, 1060)]
IN_1989 = [80.0, 87.0, 88.5, 94.0, 98.4]

x = dg.observed("x", ("B", 1, 16, 16))
y = dg.observed("y", ("B",), dtype=dg.int32)
steps = options.epochs * 320 // 16
rights = []
print("      links  parameters  learned   right of digits not shown   in 1989")
for net, counts, then in zip(nets, COUNTS, IN_1989, strict=True):
    scores = net(x)
    diagram = dg.Diagram(str(net.name), {"scores": scores}, cost=error(scores, y))
    diagram.render(out / f"{net.name}.svg", depth=2)
    summary = diagram.summary()
    assert (summary.links, summary.parameters) == counts
    results = []
    for seed in range(options.seeds):
        program = diagram.compile(dg.Adam(dg.schedules.cosine(5e-3, steps)), seed=seed)
        dg.fit(program, learn, options.epochs, batch_size=16, seed=seed, progress=False)
        for part in (learn, ask):
            answers = program.run(x=part["x"])["scores"].argmax(axis=1)
            results.append(100 * np.mean(answers == part["y"]))
    learned, right = np.reshape(results, (-1, 2)).T
    rights.append(right)
    print(
        f"{net.name}  {summary.links}  {summary.parameters:10}  {learned.mean():6.1f}%  "
        f"{right.mean():5.1f}% ± {right.std():.1f} ({right.min():.1f} to {right.max():.1f})  "
        f"{then:7.1f}%"
    )

first = rights[0]
for net, right in zip(nets[2:], rights[2:], strict=True):
    print(
        f"{net.name} gets {right.mean() - first.mean():.1f} points more than net1; "
        f"its worst start {right.min() - first.max():.1f} more than the best of net1"
    )
print("the networks are drawn in", out)
