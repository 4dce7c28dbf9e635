"""Diagrams that the tests of pictures, of the drawn graph and of the summary look at."""

from __future__ import annotations

from collections.abc import Callable

import diagrad as dg


def classifier() -> dg.Diagram:
    """A chain of layers and a cost."""
    x = dg.observed("x", ("B", 784))
    y = dg.observed("y", ("B",), dtype=dg.int32)
    net = dg.Chain(dg.Linear(784, 256), dg.relu, dg.Linear(256, 10), name="net")
    scores = net(x)
    return dg.Diagram("classifier", outputs={"scores": scores}, cost=dg.cross_entropy(scores, y))


class Residual(dg.Block):
    """A user's block: x + outer(relu(inner(x)))."""

    def __init__(self, width: int, name: str) -> None:
        self.name = name
        self.inner = dg.Linear(width, width)
        self.outer = dg.Linear(width, width)

    def forward(self, x: dg.Variable) -> dg.Variable:
        """(B, width) -> (B, width)."""
        result: dg.Variable = x + self.outer(dg.relu(self.inner(x)))
        return result


def residual() -> dg.Diagram:
    """User's blocks in a row."""
    x = dg.observed("x", ("B", 64))
    y = dg.observed("y", ("B",), dtype=dg.int32)
    hidden = Residual(32, "first")(dg.relu(dg.Linear(64, 32, name="stem")(x)))
    scores = dg.Linear(32, 10, name="head")(Residual(32, "second")(hidden))
    return dg.Diagram("residual net", {"scores": scores}, dg.cross_entropy(scores, y))


def sharing() -> dg.Diagram:
    """One parameter, read twice."""
    x1, x2 = dg.observed("x1", ("B", 16)), dg.observed("x2", ("B", 16))
    t = dg.observed("t", ("B",))
    weight = dg.parameter("W", (16, 8))
    difference = dg.tanh(x1 @ weight) - dg.tanh(x2 @ weight)
    distance = dg.sum(difference**2, 1)
    return dg.Diagram("shared weight", {"distance": distance}, dg.squared_error(distance, t))


def siamese() -> dg.Diagram:
    """One block, used twice."""
    x1, x2 = dg.observed("x1", ("B", 16)), dg.observed("x2", ("B", 16))
    t = dg.observed("t", ("B",))
    encoder = dg.Chain(dg.Linear(16, 8), dg.tanh, name="enc")

    @dg.block
    def distance(a: dg.Variable, b: dg.Variable) -> dg.Variable:
        return dg.sum((a - b) ** 2, 1)

    result = distance(encoder(x1), encoder(x2))
    return dg.Diagram("siamese", {"distance": result}, dg.squared_error(result, t))


def two_inputs() -> dg.Diagram:
    """Two branches that meet."""
    image, text = dg.observed("image", ("B", 64)), dg.observed("text", ("B", 32))
    y = dg.observed("y", ("B",), dtype=dg.int32)
    f, g = dg.Linear(64, 32, name="f"), dg.Linear(32, 32, name="g")
    both = dg.concatenate([dg.relu(f(image)), dg.relu(g(text))], axis=1)
    scores = dg.Linear(64, 10, name="head")(both)
    return dg.Diagram("two inputs", {"scores": scores}, dg.cross_entropy(scores, y))


def penalty() -> dg.Diagram:
    """A cost with a gradient in it."""
    x, y = dg.observed("x", ("B", 16)), dg.observed("y", ("B",))
    net = dg.Chain(dg.Linear(16, 32), dg.tanh, dg.Linear(32, 1), name="net")
    prediction = dg.reshape(net(x), ("B",))
    cost = dg.squared_error(prediction, y)
    slope = dg.gradient(cost, x)
    total = cost + 0.1 * dg.mean(dg.sum(slope * slope, 1))
    return dg.Diagram("gradient penalty", {"prediction": prediction}, total)


def hypernetwork() -> dg.Diagram:
    """A weight that another network computes."""
    x, c, y = dg.observed("x", ("B", 4)), dg.observed("c", (8,)), dg.observed("y", ("B", 1))
    outer = dg.Chain(dg.Linear(8, 16), dg.tanh, dg.Linear(16, 4), name="H")
    weight = dg.reshape(outer(c), (4, 1))
    prediction = dg.Linear(4, 1, weight=weight, name="G")(x)
    cost = dg.squared_error(prediction, y)
    return dg.Diagram("hypernetwork", {"prediction": prediction}, cost)


def autoencoder() -> dg.Diagram:
    """The input is the target."""
    x = dg.observed("x", ("B", 64))
    code = dg.Chain(dg.Linear(64, 16), dg.tanh, name="Enc")(x)
    back = dg.Linear(16, 64, name="Dec")(code)
    return dg.Diagram("autoencoder", {"code": code, "back": back}, dg.squared_error(back, x))


DIAGRAMS: tuple[Callable[[], dg.Diagram], ...] = (
    classifier,
    residual,
    sharing,
    siamese,
    two_inputs,
    penalty,
    hypernetwork,
    autoencoder,
)
