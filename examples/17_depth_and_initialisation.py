"""What fifty layers do to signals and gradients: they vanish, explode, or keep their size.

Run it with `python examples/17_depth_and_initialisation.py [--depth N] [--out FOLDER]`.  In a layer
z = w x with n inputs and independent weights of mean 0, Var[z] = n Var[w] E[x²].  Where x is the
ReLU of the layer before, E[x²] is half of that one's variance, so each layer multiplies it by
n Var[w] / 2; and so it does with gradients on the way back, if it has as many outputs as inputs.
Kaiming's Var[w] = 2 / n keeps both (He, Zhang, Ren and Sun, Delving deep into rectifiers, 2015).
LeCun's 1 / n halves them, and Xavier's does, which is the same for such layers.

It prints by what factor the variances of z and of dC/dz grow from layer to layer, and in brackets
what the formula says, for dense and for convolutional layers; and draws them over the depth.  A
draw of weights is not their mean, so the measured factors are a few per cent off.  The zeros around
an image take 8 % at each convolution: both factors are then times the square of the largest
eigenvalue of the matrix that averages three neighbours.

What is normalised keeps its size, whatever the weights start with.  Gradients keep theirs only if
each sample is normalised over its features (layer norm).  Batch norm divides by the variance of x
over the batch, not by its mean square, so gradients of dense layers grow by
(1/2) / (1/2 - 1/(2 pi)) = pi / (pi - 1) = 1.467 in each (Yang, Pennington, Rao, Sohl-Dickstein and
Schoenholz, A mean field theory of batch normalization, 2019); those of these convolutions by 1.4.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np

import diagrad as dg

matplotlib.use("Agg")
import matplotlib.pyplot as plt

parser = argparse.ArgumentParser(description="Variances through a deep net as it starts.")
parser.add_argument("--depth", type=int, default=50, help="how many layers")
parser.add_argument("--out", type=Path, default=Path("depth_out"), help="folder of the pictures")
options = parser.parse_args()
DEPTH: int = options.depth
out: Path = options.out
out.mkdir(parents=True, exist_ok=True)

Start = dg.init.Initialiser
UNITS, CHANNELS, SIZE = 256, 64, 8
SHAPES = {"dense": (64, UNITS), "convolutional": (16, CHANNELS, SIZE, SIZE)}
INPUTS = {"dense": UNITS, "convolutional": 9 * CHANNELS}
NORMS = {"none": 1.0, "batch": np.pi / (np.pi - 1), "layer": 1.0}  # with gradients' factors
STARTS: dict[str, tuple[Start, Callable[[int], float]]] = {  # with Var[w] for n inputs
    "uniform ±0.2": (dg.init.uniform(-0.2, 0.2), lambda n: 0.2**2 / 3),
    "Kaiming": (dg.init.kaiming_normal("relu"), lambda n: 2 / n),
    "LeCun": (dg.init.lecun_normal(), lambda n: 1 / n),
    "Xavier": (dg.init.xavier_normal(), lambda n: 1 / n),
    "uniform ±0.07": (dg.init.uniform(-0.07, 0.07), lambda n: 0.07**2 / 3),
}


def layer(net: str, start: Start) -> dg.Block:
    """Weights without a bias, and as many results as inputs."""
    if net == "dense":
        return dg.Linear(UNITS, UNITS, bias=False, weight_init=start)
    return dg.Conv2d(CHANNELS, CHANNELS, 3, padding=1, bias=False, weight_init=start)


def normalised(net: str, norm: str, z: dg.Variable) -> dg.Variable:
    """Each feature over the batch, or each sample over its features."""
    _, *features = SHAPES[net]
    if norm == "batch":
        return dg.BatchNorm(features[0], affine=False, averages=False)(z)
    return dg.LayerNorm(features, affine=False)(z) if norm == "layer" else z


def deep(net: str, norm: str, start: Start, depth: int) -> dg.Diagram:
    """Each layer's z and the gradient by it, of a cost whose gradient by the last x is noise."""
    _, *features = SHAPES[net]
    x = dg.observed("x", ("B", *features))
    noise = dg.observed("noise", ("B", *features))
    zs = []
    for _ in range(depth):
        zs.append(layer(net, start)(x))
        x = dg.relu(normalised(net, norm, zs[-1]))
    slopes = dg.gradient(dg.sum(x * noise), zs)
    outputs = {f"z{number}": z for number, z in enumerate(zs, 1)}
    outputs |= {f"slope{number}": slope for number, slope in enumerate(slopes, 1)}
    return dg.Diagram(f"{net}_{norm}", outputs)


rng = np.random.default_rng(0)
mean_of_three = (np.eye(SIZE) + np.eye(SIZE, k=1) + np.eye(SIZE, k=-1)) / 3
KEPT = {"dense": 1.0, "convolutional": np.linalg.eigvalsh(mean_of_three)[-1] ** 2}
layers = np.arange(1, DEPTH + 1)
for net, shape in SHAPES.items():
    deep(net, "batch", dg.init.kaiming_normal(), 2).render(out / f"{net}_layers.svg")
    batch = {name: rng.standard_normal(shape, np.float32) for name in ("x", "noise")}
    figure, axes = plt.subplots(
        2, 3, figsize=(11, 6), layout="constrained", sharex=True, sharey=True
    )
    for (norm, gradients), column in zip(NORMS.items(), axes.T, strict=True):
        print(f"{net}, norm: {norm}")
        for name, (start, variance) in STARTS.items():
            values = deep(net, norm, start, DEPTH).compile().run(**batch)
            factor = INPUTS[net] * variance(INPUTS[net]) / 2 * KEPT[net]
            factors = (factor, factor) if norm == "none" else (1.0, gradients)
            texts = []
            for what, expected, plot in zip(("z", "slope"), factors, column, strict=True):
                found = [np.mean(values[f"{what}{layer}"] ** 2) for layer in layers]
                plot.plot(layers, found, "--" if name == "Xavier" else "-", label=name)
                # From the second layer on: what the first one sees is no ReLU.
                first, last = (found[1], found[-1]) if what == "z" else (found[-1], found[1])
                texts.append(f"{(last / first) ** (1 / (DEPTH - 2)):.3f} ({expected:.3f})")
            print(f"  {name:14}Var[z] x {texts[0]}  Var[dC/dz] x {texts[1]}")
        column[0].set(yscale="log", title=f"norm: {norm}")
        column[1].set(xlabel="layer")
    axes[0, 0].set(ylabel="Var[z]")
    axes[1, 0].set(ylabel="Var[dC/dz]")
    lines = axes[0, 0].get_lines()
    figure.legend(handles=lines, frameon=False, loc="outside right center")
    figure.suptitle(f"{net}: {DEPTH} layers as they start")
    figure.savefig(out / f"{net}.svg")
print("the layers and their variances are drawn in", out)
