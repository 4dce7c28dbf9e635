"""Learning without labels: two views of a digit should have one code, and the codes should differ.

Run it with `python examples/25_joint_embedding.py [--steps N] [--out FOLDER]`.  A view is a digit
that is moved, turned and stretched at random (`dg.augment`).  Three ways keep the encoder from
giving all digits the same code:

    InfoNCE   the other digits of the batch are told apart by comparison (van den Oord, 2018)
    VICReg    each element of the code must vary, and not with another one (Bardes, 2022)
    BYOL      nothing in the cost; one branch predicts the other, which is a moving average of it
              and gets no gradient (Grill, 2020)

A linear probe then reads the digit from what the encoder gives, of which nothing is learned any
more: from 100 labelled digits, and it is asked about 1000 others.  So is the nearest of the 100;
and k-means finds clusters without any label.  It prints how many are right with the encoder as it
began and with each that has learned, how much the codes vary, and how many digits are of the
commonest kind in their cluster; and draws the diagrams, one of them with its way back, and the
codes of all digits in the plane of their two greatest principal components.
"""

import argparse
from pathlib import Path

import matplotlib
import numpy as np
import numpy.typing as npt

import diagrad as dg

matplotlib.use("Agg")
import matplotlib.pyplot as plt

parser = argparse.ArgumentParser(description="Joint embeddings of two views of digits.")
parser.add_argument("--steps", type=int, default=600, help="steps of learning without labels")
parser.add_argument("--out", type=Path, default=Path("joint_out"), help="folder of the pictures")
options = parser.parse_args()
out: Path = options.out
out.mkdir(parents=True, exist_ok=True)
Array = npt.NDArray[np.float32]
BATCH, FEATURES, CODE = 128, 64, 32

data = np.load(Path(__file__).parent / "data" / "digits.npz")
order = np.random.default_rng(0).permutation(len(data["labels"]))
digits = data["images"][order].reshape(-1, 1, 8, 8).astype(np.float32) / 16
labels = data["labels"][order].astype(np.int32)
learn, ask = slice(0, 100), slice(797, None)  # what the probe learns from, and is asked about
change = dg.augment.Compose(
    [
        dg.augment.RandomCrop(8, padding=1),
        dg.augment.RandomAffine(degrees=15, scale=0.15, shear=10),
    ]
)


# 1. The encoder, and on top of it what makes codes.
def new_encoder() -> dg.Chain:
    return dg.Chain(
        dg.Conv2d(1, 16, 3, padding=1),
        dg.relu,
        dg.Conv2d(16, 32, 3, stride=2, padding=1),
        dg.relu,
        dg.Flatten(),
        dg.Linear(512, FEATURES),
        name="encoder",
    )


def new_head(inputs: int, name: str) -> dg.Chain:
    hidden = dg.Linear(inputs, 64, bias=False)
    return dg.Chain(hidden, dg.BatchNorm(64), dg.relu, dg.Linear(64, CODE), name=name)


@dg.cost
def disagreement(predicted: dg.Variable, wanted: dg.Variable) -> dg.Variable:
    """2 - 2 cos of two codes, the mean over the batch."""

    def unit(code: dg.Variable) -> dg.Variable:
        return code * dg.rsqrt(dg.sum(code * code, axis=1, keepdims=True) + 1e-8)

    return 2.0 - 2.0 * dg.mean(dg.sum(unit(predicted) * unit(wanted), axis=1))


# 2. The three diagrams.
view1, view2 = dg.observed("view1", ("B", 1, 8, 8)), dg.observed("view2", ("B", 1, 8, 8))
diagrams: dict[str, dg.Diagram] = {}
for name, cost_of in (("InfoNCE", dg.info_nce), ("VICReg", dg.vicreg)):
    encoder, projector = new_encoder(), new_head(FEATURES, "projector")
    features = encoder(view1)
    cost = cost_of(projector(features), projector(encoder(view2)))
    diagrams[name] = dg.Diagram(name, {"features": features}, cost=cost)

encoder, projector = new_encoder(), new_head(FEATURES, "projector")
predictor = new_head(CODE, "predictor")
online = dg.Chain(encoder, projector, name="online")
target = dg.MovingAverage(online, decay=0.98, name="target")
first, second = predictor(online(view1)), predictor(online(view2))
cost = disagreement(first, dg.stop_gradient(target(view2)))
cost = cost + disagreement(second, dg.stop_gradient(target(view1)))
diagrams["BYOL"] = dg.Diagram("BYOL", {"features": encoder(view1)}, cost=cost)

once = disagreement(first, dg.stop_gradient(target(view2)))  # one half of it, to look at
half = dg.Diagram("BYOL, one half", cost=once)
half.render(out / "byol.svg")
half.render(out / "byol_backward.svg", stage="backward")
diagrams["VICReg"].render(out / "vicreg.svg")


# 3. The probe: a linear layer on features that stay as they are.
def probe(features: Array) -> float:
    """How many of the digits that are asked about it tells right."""
    x, y = dg.observed("x", ("B", FEATURES)), dg.observed("y", ("B",), dtype=dg.int32)
    scores = dg.Linear(FEATURES, 10, name="probe")(x)
    diagram = dg.Diagram("probe", {"scores": scores}, cost=dg.cross_entropy(scores, y))
    program = diagram.compile(optimizer=dg.Adam(0.03, weight_decay=1e-3))
    centred = (features - features[learn].mean(axis=0)) / (features[learn].std(axis=0) + 1e-3)
    for _ in range(200):
        program.step(x=centred[learn], y=labels[learn])
    right = program.run(x=centred[ask])["scores"].argmax(axis=1) == labels[ask]
    return float(right.mean())


# 4. Neighbours: the nearest of the 100, and clusters of which each is named by its commonest digit.
def nearest(features: Array) -> float:
    """How many have the label of the nearest digit whose label is known."""
    x = dg.observed("x", ("B", FEATURES))
    label = dg.take(labels[learn], dg.NearestNeighbor(features[learn])(x))
    found = dg.Diagram("nearest", {"label": label}).compile().run(x=features[ask])["label"]
    return float(np.mean(found == labels[ask]))


def clustered(features: Array) -> float:
    """How many are of the commonest digit of their cluster, out of 20 found without labels."""
    x = dg.observed("x", ("B", FEATURES))
    cluster, distance = dg.KMeans(features[:20], name="kmeans")(x)
    program = dg.Diagram("k-means", {"cluster": cluster}, cost=dg.sum(distance)).compile()
    for _ in range(30):
        program.step(x=features[ask])
    found = program.run(x=features[ask])["cluster"]
    counts = [np.bincount(labels[ask][found == k], minlength=10).max() for k in range(20)]
    return float(sum(counts) / len(found))


# 5. Learning, and what the codes are good for.
figure, axes = plt.subplots(1, 3, figsize=(12, 4), layout="constrained")
for axis, (name, diagram) in zip(axes, diagrams.items(), strict=True):
    rng = np.random.default_rng(1)
    program = diagram.compile(optimizer=dg.Adam(2e-3))
    before = program.run(view1=digits)["features"]
    for _ in range(options.steps):
        batch = digits[rng.choice(797, BATCH, replace=False)]  # not those that are asked about
        program.step(view1=change(batch, rng), view2=change(batch, rng))
    after = program.run(view1=digits)["features"]
    rows = after / np.linalg.norm(after, axis=1, keepdims=True)
    print(f"{name:7}: the probe is right in {probe(before):.1%} before, ", end="")
    print(f"{probe(after):.1%} after; deviation of unit features {rows.std(axis=0).mean():.3f}")
    unit = before / np.linalg.norm(before, axis=1, keepdims=True)
    print(f"         the nearest of 100 is right in {nearest(unit):.1%} before, ", end="")
    print(f"{nearest(rows):.1%} after; clusters of one digit {clustered(unit):.1%}, ", end="")
    print(f"{clustered(rows):.1%}")
    centred = after[ask] - after[ask].mean(axis=0)
    plane = centred @ np.linalg.svd(centred, full_matrices=False)[2][:2].T
    axis.scatter(*plane.T, c=labels[ask], cmap="tab10", s=6)
    axis.set(title=name, xticks=[], yticks=[])
figure.savefig(out / "codes.svg")
print("diagrams and codes are drawn in", out)
