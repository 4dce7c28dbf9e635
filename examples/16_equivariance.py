"""Shift the input: a convolution's result shifts with it, and a pool's changes less.

Run it with `python examples/16_equivariance.py [--out FOLDER]`.  A window moves along a row of
handwritten digits, pixel by pixel, so that what it sees shifts and new things enter at its edge.

Equivariance: f(T x) = T' f(x).  With stride 1, the response to the shifted input is the shifted
response, but for the two columns at an edge where taps reach beyond it.  With stride s, this holds
for shifts by multiples of s, and for no others.  Taps two apart (a trous) shift as those side by
side do.  It prints how far the two are apart, and which columns differ.

Local invariance: f(T x) = f(x).  Of the maxima of p x p independent numbers, a shift by s changes
the share 2 s / (p + s): a maximum stays where, of the p + s columns seen before or after, it lies
in one of the p - s that are seen both times.  Means all change.  It prints the measured share
beside the formula, and by how much responses to digits change, pooled or not.
"""

import argparse
from pathlib import Path

import matplotlib
import numpy as np
import numpy.typing as npt

import diagrad as dg

matplotlib.use("Agg")
import matplotlib.pyplot as plt

parser = argparse.ArgumentParser(description="Shift the input, compare the outputs.")
parser.add_argument("--out", type=Path, default=Path("shifts_out"), help="folder of the pictures")
out: Path = parser.parse_args().out
out.mkdir(parents=True, exist_ok=True)

Array = npt.NDArray[np.float32]
SIZE, TAPS, STRIDES, POOLS, SHIFTS = 32, 5, (1, 2, 4), (2, 4, 8), range(9)
SHOWN = 3  # the shift of the picture
REACH = TAPS // 2  # how far a window reaches to either side

# 60 digits side by side, each of 8 x 8 pixels enlarged to 32 x 32.
data = np.load(Path(__file__).parent / "data" / "digits.npz")
place = np.clip((np.arange(SIZE) + 0.5) / 4 - 0.5, 0, 7)
enlarge = np.maximum(0, 1 - abs(place[:, None] - np.arange(8)))  # interpolates linearly
digits = enlarge @ (data["images"][:60].reshape(-1, 8, 8) / 16) @ enlarge.T
row = np.concatenate(list(digits), axis=1).astype(np.float32)


def seen(row: Array, shift: int) -> Array:
    """Windows (N, 1, 32, 32) of a row of pixels, each moved by so many pixels to the right."""
    starts = range(SIZE // 8 + shift, row.shape[1] - 2 * SIZE, SIZE)
    return np.stack([row[None, :, start : start + SIZE] for start in starts])


def apart(before: Array, after: Array) -> float:
    """The root mean square of the difference, over that of what was before."""
    return float(np.sqrt(np.mean((after - before) ** 2) / np.mean(before**2)))


def tell(what: str, numbers: list[float]) -> None:
    """One line of the table."""
    print(f"{what:32}", *(f"{number:5.2f}" for number in numbers))


def pools_of(maps: dg.Variable) -> dict[str, dg.Variable]:
    """Pools of maps by name: of the maxima and the means of squares of several sizes."""
    greatest = {f"max{size}": dg.max_pool(maps, size) for size in POOLS}
    return greatest | {f"mean{size}": dg.avg_pool(maps, size) for size in POOLS}


# The detector answers to the left edges of strokes: a Gaussian's derivative.
down, across = np.mgrid[-REACH : REACH + 1, -REACH : REACH + 1]
edge = across * np.exp(-(down**2 + across**2) / 4)

# One image, one set of weights and three strides; the same taps two apart (a trous); and the pools
# of the finest response.
x = dg.observed("x", ("B", 1, SIZE, SIZE))
w = dg.parameter("w", (1, 1, TAPS, TAPS), edge[None, None])
responses = {f"stride{stride}": dg.relu(dg.correlate(x, w, stride, REACH)) for stride in STRIDES}
responses["a trous"] = dg.relu(dg.correlate(x, w, padding=2 * REACH, dilation=2))
diagram = dg.Diagram("equivariance", responses | pools_of(responses["stride1"]))
diagram.render(out / "equivariance.svg")
program = diagram.compile()
found = [program.run(x=seen(row, shift)) for shift in SHIFTS]
kept, moved = found[0], found[SHOWN]
figure, axes = plt.subplot_mosaic(
    [["x", "x'", "y", "y'", "p", "p'"], ["equal", "equal", "share", "share", "pool", "pool"]],
    figsize=(12, 6),
    layout="constrained",
    height_ratios=[1, 2],
)

# 1. Equivariance.  What reaches beyond an edge is left out: two columns on the left, two on the
#    right, and as many as the response has moved.
print(f"{'shift':32}", *(f"{shift:5}" for shift in SHIFTS))
for name, stride, reach in zip(responses, (*STRIDES, 1), (*[REACH] * 3, 2 * REACH), strict=True):
    distances = []
    for shift, values in enumerate(found):
        steps = round(shift / stride)
        before, after = kept[name][..., steps:], values[name][..., : SIZE // stride - steps]
        inner = slice(reach, before.shape[-1] - reach)
        distances.append(apart(before[..., inner], after[..., inner]))
    label = name.replace("stride", "stride ")
    tell(f"{label}: are apart by", distances)
    axes["equal"].plot(SHIFTS, distances, "o-", label=label)
differ = np.abs(kept["stride1"][..., SHOWN:] - moved["stride1"][..., :-SHOWN]) > 1e-5
columns = np.flatnonzero(differ.any(axis=(0, 1, 2)))
print(f"stride 1, shift {SHOWN}: of columns 0 to {SIZE - SHOWN - 1}, these differ:", *columns)

# 2. Local invariance: of noise, how many pooled values change; of digits, by how much.
z = dg.observed("z", ("B", 1, SIZE, SIZE))
of_noise = dg.Diagram("pools", pools_of(z)).compile()
noise = np.random.default_rng(0).standard_normal((SIZE, 256 * SIZE), np.float32)
pooled = [of_noise.run(z=seen(noise, shift)) for shift in SHIFTS]
for number, size in enumerate(POOLS):
    formula = [min(2 * shift / (size + shift), 1) for shift in SHIFTS]
    for name, style in ((f"max{size}", "o-"), (f"mean{size}", "s:")):
        shares = [np.mean(values[name] != pooled[0][name]) for values in pooled]
        changes = [apart(kept[name], values[name]) for values in found]
        tell(f"{name}: share that changes", shares)
        if name.startswith("max"):
            tell("  2 s / (p + s)", formula)
        tell("  pooled responses change by", changes)
        axes["share"].plot(SHIFTS, shares, style, color=f"C{number}")
        axes["pool"].plot(SHIFTS, changes, style, color=f"C{number}", label=name)
    axes["share"].plot(SHIFTS, formula, "k--", linewidth=1, label="" if number else "2s / (p + s)")
changes = [apart(kept["stride1"], values["stride1"]) for values in found]
tell("the response itself changes by", changes)
axes["pool"].plot(SHIFTS, changes, "k.-", label="not pooled")

shown = {"x": seen(row, 0), "y": kept["stride1"], "p": kept["max8"]}
shown |= {"x'": seen(row, SHOWN), "y'": moved["stride1"], "p'": moved["max8"]}
titles = {"x": "x", "y": "response", "p": "its maxima, 8 x 8", "x'": f"x shifted by {SHOWN}"}
for name, maps in shown.items():
    axes[name].imshow(maps[7, 0], "gray_r")
    axes[name].set(title=titles.get(name, "of shifted x"), xticks=[], yticks=[])
axes["equal"].set(title="response to shifted x,\nshifted response: apart by")
axes["share"].set(title="share of pooled values\nof noise that change")
axes["pool"].set(title="pooled responses to digits\nchange by")
for name in ("equal", "share", "pool"):
    axes[name].set(xlabel="shift")
    axes[name].legend(frameon=False, fontsize="small")
figure.savefig(out / "shifts.svg")
print("diagram, responses and changes are drawn in", out)
