"""Perceptron, Adaline and logistic regression: three costs, and one rule that follows from each.

Run it with `python examples/10_learning_rules.py [--out FOLDER]`.  All three are one neuron,
answer = f(s) with s = w'x, and all three are taught by w <- w + eta (y - answer) x.  The gradient
of each one's cost is drawn beside this rule, and compared with it on handwritten digits.  Then the
rule itself becomes a loop, which learns to tell a three from an eight.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np

import diagrad as dg

matplotlib.use("Agg")
import matplotlib.pyplot as plt

parser = argparse.ArgumentParser(description="One learning rule, derived three times.")
parser.add_argument("--out", type=Path, default=Path("rules_out"), help="folder of the pictures")
out: Path = parser.parse_args().out
out.mkdir(parents=True, exist_ok=True)
Function = Callable[..., dg.Variable]

# Threes and eights, and to each one more element that is always 1: its weight is the threshold.
data = np.load(Path(__file__).parent / "data" / "digits.npz")
chosen = np.flatnonzero(np.isin(data["labels"], (3, 8)))
chosen = np.random.default_rng(0).permutation(chosen)
images = np.column_stack([data["images"][chosen] / 16, np.ones(len(chosen))])
eight = data["labels"][chosen] == 8
learn, ask = slice(0, 100), slice(100, None)
N = images.shape[1]


# 1. The three costs.  Each is F(s) - y s, but for a term without s, where F is |s|, s²/2 or
#    log(1 + exp(s)); and the derivative of F is the neuron's f: sign(s), s or sigmoid(s).
@dg.block
def perceptron_cost(s: dg.Variable, y: dg.Variable) -> dg.Variable:
    """0 where s has the sign of y, and 2 |s| where not (Rosenblatt, 1958)."""
    return dg.absolute(s) - y * s


@dg.block
def half_squared_error(s: dg.Variable, y: dg.Variable) -> dg.Variable:
    """The cost of the adaptive linear neuron (Widrow and Hoff, 1960)."""
    return (y - s) ** 2 / 2


# The name, f, the cost, what y is for a three and for an eight, and eta.
NEURONS: list[tuple[str, Function, Function, tuple[float, float], float]] = [
    ("perceptron", dg.sign, perceptron_cost, (-1, 1), 1.0),
    ("adaline", lambda s: s, half_squared_error, (-1, 1), 0.01),
    ("logistic", dg.sigmoid, dg.binary_cross_entropy, (0, 1), 0.1),
]

figure, axes = plt.subplots(2, 3, figsize=(10, 6.5), layout="constrained")
grid = np.linspace(-2, 2, 401)
for (name, f, cost_of, targets, eta), (above, below) in zip(NEURONS, axes.T, strict=True):
    y_of = np.where(eight, targets[1], targets[0]).astype(float)

    # 2. The direction in which a sample moves w, by the rule and by the gradient, in one diagram.
    x = dg.observed("x", (N,), dtype=dg.float64)
    y = dg.observed("y", (), dtype=dg.float64)
    w = dg.parameter("w", (N,), dg.init.normal(), dtype=dg.float64)
    s = w @ x
    answer, cost = f(s), cost_of(s, y)
    rule, descent = (y - answer) * x, -dg.gradient(cost, w)
    outputs = {"s": s, "answer": answer, "rule": rule, "descent": descent}
    diagram = dg.Diagram(name, outputs, cost=cost)
    diagram.render(out / f"{name}.svg")
    program = diagram.compile()
    found = [program.run(x=image, y=value) for image, value in zip(images, y_of, strict=True)]
    apart = max(np.abs(item["rule"] - item["descent"]).max() for item in found)

    # 3. Learning is a loop: w(t) = w(t-1) + eta (y - answer) x, once for each sample.
    xs = dg.observed("x", ("T", N), dtype=dg.float64)
    ys = dg.observed("y", ("T",), dtype=dg.float64)
    start = dg.observed("start", (N,), dtype=dg.float64)
    t = dg.loop("t")
    w, x, y = t.delay("w", start), t.each(xs), t.each(ys)
    taught = w + eta * (y - f(w @ x)) * x
    t.close(w, taught)
    learning = dg.Diagram(f"{name} learns", {"w": t.last(taught)})
    learning.render(out / f"{name}_learns.svg")
    once, weights = learning.compile(), np.zeros(N)
    for _ in range(10):
        weights = once.run(x=images[learn], y=y_of[learn], start=weights)["w"]
    right = np.mean((images[ask] @ weights > 0) == eight[ask])
    print(f"{name}: rule and gradient differ by at most {apart:.1g}; it tells a three ", end="")
    print(f"from an eight in {right:.1%} of {len(eight[ask])} cases")

    # 4. The costs and the answer over s, and the weights at their pixels.
    one = np.eye(N)[0]
    program.parameters["w"] = one  # so s is the first element of x
    for value, digit in zip(targets, ("three", "eight"), strict=True):
        seen = [program.run(x=place * one, y=value) for place in grid]
        above.plot(grid, [item["cost"] for item in seen], label=f"cost, y = {value} ({digit})")
    above.plot(grid, [item["answer"] for item in seen], "k--", label="answer")
    above.set(title=name, xlabel="s", ylim=(-2.2, 7.5))
    above.legend(frameon=False, loc="upper center")
    largest = np.abs(weights[:-1]).max()
    below.imshow(weights[:-1].reshape(8, 8), "RdBu", vmin=-largest, vmax=largest)
    below.set(title="w: red for three, blue for eight", xticks=[], yticks=[])
figure.savefig(out / "learning_rules.svg")
print("diagrams, costs and weights are drawn in", out)
