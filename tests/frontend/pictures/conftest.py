"""Pictures drawn by hand, after the lecture: what the tests of the drawing draw."""

from __future__ import annotations

from itertools import pairwise

import pytest

from diagrad.frontend.pictures import Cluster, Edge, Node, Picture


def chain(*names: str) -> list[Edge]:
    return [Edge(one, other) for one, other in pairwise(names)]


@pytest.fixture
def recurrent() -> Picture:
    """A loop with a delay; the encoder and the decoder share v."""
    return Picture(
        "RNN: loop with a delay",
        (
            Node("x", "observed", "x(t)", "x: float32[B, T, 8]\nrnn.py:3"),
            Node("v", "parameter", "v", side="parameter"),
            Node("enc", "function", "Enc(x, v)", "Enc\nrnn.py:7"),
            Node("h", "computed", "h(t)"),
            Node("g", "function", "g(h, z′, w)", cluster="t"),
            Node("w", "parameter", "w", side="parameter"),
            Node("z", "computed", "z(t)", cluster="t"),
            Node("d", "delay", "delay", cluster="t"),
            Node("dec", "function", "Dec(z, v)"),
            Node("out", "computed", "ȳ(t)"),
            Node("y", "observed", "y(t)", side="parameter"),
            Node("c", "cost", "C(y, ȳ)"),
        ),
        (
            *chain("x", "enc", "h", "g", "z", "dec", "out", "c"),
            *(Edge("v", "enc"), Edge("v", "dec"), Edge("w", "g")),
            *(Edge("z", "d", back=True), Edge("d", "g"), Edge("y", "c")),
        ),
        (Cluster("t", "loop body,  t = 1 … T", "loop"),),
    )


@pytest.fixture
def hypernetwork() -> Picture:
    """The weight w of G is what H computes from the same x."""
    return Picture(
        "hypernetwork:  w = H(x, u)",
        (
            Node("x", "observed", "x"),
            Node("u", "parameter", "u", side="parameter"),
            Node("H", "function", "H(x, u)"),
            Node("w", "computed", "w", side="parameter"),
            Node("G", "function", "G(x, w)"),
            Node("out", "computed", "ȳ"),
            Node("y", "observed", "y", side="parameter"),
            Node("c", "cost", "C(y, ȳ)"),
        ),
        (
            *(Edge("x", "G"), Edge("x", "H"), Edge("u", "H"), Edge("H", "w"), Edge("w", "G")),
            *(*chain("G", "out", "c"), Edge("y", "c")),
        ),
    )


@pytest.fixture
def classifier() -> Picture:
    """A chain of blocks, expanded: a frame, long names, two parameters for one function."""
    return Picture(
        "classifier",
        (
            Node("x", "observed", "x"),
            Node("f", "function", "Linear(784, 10)", cluster="net"),
            Node("w", "parameter", "net/0/weight", side="parameter", cluster="net"),
            Node("b", "parameter", "net/0/bias", side="parameter", cluster="net"),
            Node("s", "computed", "scores", "float32[B, 10]"),
            Node("y", "observed", "y", side="parameter"),
            Node("c", "cost", "cross entropy"),
        ),
        (*chain("x", "f", "s", "c"), Edge("w", "f"), Edge("b", "f"), Edge("y", "c")),
        (Cluster("net", "net"),),
    )


@pytest.fixture
def backward() -> Picture:
    """Forward and backward in one picture, joined by what the backward pass keeps."""
    return Picture(
        "the gradient is a graph too",
        (
            Node("x", "observed", "x"),
            Node("f", "function", "f(x, w)"),
            Node("w", "parameter", "w", side="parameter"),
            Node("s", "computed", "ȳ"),
            Node("y", "observed", "y", side="parameter"),
            Node("c", "cost", "C(y, ȳ)"),
            Node("c'", "function", "C′", phase="backward"),
            Node("ds", "value", "∂ȳ", phase="backward"),
            Node("f'", "function", "fᵀ", phase="backward"),
            Node("dw", "value", "∂w", side="parameter", phase="backward"),
        ),
        (
            *(*chain("x", "f", "s", "c"), Edge("w", "f"), Edge("y", "c")),
            *(Edge("c", "c'", "backward"), Edge("c'", "ds", "backward")),
            *(Edge("ds", "f'", "backward"), Edge("f'", "dw", "backward")),
            *(Edge("s", "c'", "residual"), Edge("x", "f'", "residual")),
        ),
    )


@pytest.fixture(params=["recurrent", "hypernetwork", "classifier", "backward"])
def sample(request: pytest.FixtureRequest) -> Picture:
    """Each of the pictures in turn."""
    picture: Picture = request.getfixturevalue(request.param)
    return picture
