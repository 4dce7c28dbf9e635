"""What a type checker knows of results: mypy reads this file, and running it tries the same."""

from __future__ import annotations

from typing import assert_type

import numpy as np

import diagrad as dg


class Pair(dg.Block):
    def forward(self, x: dg.Variable) -> tuple[dg.Variable, dg.Variable]:
        return x, x * 2.0


@dg.block
def swish(x: dg.Variable, beta: float = 1.0) -> dg.Variable:
    return x * dg.sigmoid(beta * x)


@dg.cost
def energy(x: dg.Variable) -> dg.Variable:
    return dg.mean(x * x)


def test_results_are_variables() -> None:
    x = dg.observed("x", ("B", 3))
    array = np.ones(3, np.float32)
    assert_type(dg.Linear(3, 3)(x), dg.Variable)
    assert_type(dg.Chain(dg.Linear(3, 3), dg.relu)(x), dg.Variable)
    assert_type(dg.relu(x), dg.Variable)
    assert_type(dg.softmax(x, axis=0), dg.Variable)
    assert_type(swish(x, beta=2.0), dg.Variable)
    assert_type(dg.squared_error(x, x), dg.Variable)
    assert_type(energy(x), dg.Variable)
    assert_type(Pair()(x), tuple[dg.Variable, dg.Variable])
    assert_type(dg.bind(dg.Linear(3, 3), dg.parameter("v", (12,)))(x), dg.Variable)
    assert_type(dg.LSTMCell(3, 3)(x, x, x), tuple[dg.Variable, dg.Variable])
    assert_type(x == x, dg.Variable)
    assert_type(x != array, dg.Variable)
    assert_type(x > 0.0, dg.Variable)
    assert_type((x > 0.0) & (x < 1.0), dg.Variable)
    assert_type(x[0], dg.Variable)
    assert_type(dg.mean(x), dg.Variable)
