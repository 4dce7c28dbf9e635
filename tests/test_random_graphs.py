"""Random diagrams: the CPU engine agrees with the reference, value for value.

Each diagram is drawn by Hypothesis: a few variables, operations that fit them, then outputs, a
cost of them all, its gradients and one step of an optimizer, at two sizes of the batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import diagrad as dg
from diagrad.compiler.sizes import Size

from .compiler.round_trip import read_again

GRAPHS = 500
SIZES = (1, 2, 3, 5, 17, 33)

UNARY: dict[str, Callable[[Any], Any]] = {
    "tanh": dg.tanh,
    "sigmoid": dg.sigmoid,
    "sin": dg.sin,
    "absolute": dg.absolute,
    "square": lambda x: x * x,
    "exp": lambda x: dg.exp(dg.tanh(x)),
    "log": lambda x: dg.log(dg.absolute(x) + 1.0),
    "sqrt": lambda x: dg.sqrt(x * x + 0.5),
    "relu": dg.relu,
    "negative": lambda x: -x,
    "gelu": dg.gelu,
    "shift": lambda x: x * 0.7 - 0.3,
}
BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda x, y: x + y,
    "subtract": lambda x, y: x - y,
    "multiply": lambda x, y: x * y,
    "divide": lambda x, y: x / (y * y + 1.0),
    "maximum": dg.maximum,
    "where": lambda x, y: dg.where(x > y, x, y * 0.5),
}


class Drawing:
    """The variables of a diagram while it is drawn at random."""

    def __init__(self, data: st.DataObject, dtype: str) -> None:
        self.data = data
        self.dtype = dtype
        self.extents = [data.draw(st.sampled_from(SIZES)) for _ in range(2)]
        n, m = self.extents
        shapes: list[tuple[Any, ...]] = [("B", n), (n,), ("B", n, m), (m,), (1, m), ()]
        wanted = data.draw(st.lists(st.sampled_from(shapes), min_size=1, max_size=3))
        self.inputs = [dg.observed(f"x{i}", shape, dtype) for i, shape in enumerate(wanted)]
        self.weights = [
            dg.parameter("w0", (n, m), dg.init.normal(0, 0.5), dtype),
            dg.parameter("w1", (m,), dg.init.normal(0, 0.5), dtype),
        ]
        self.pool: list[dg.Variable] = [*self.inputs, *self.weights]

    def pick(self, fits: Callable[[dg.Variable], bool] = lambda v: True) -> dg.Variable | None:
        """One of the variables that fit, or None."""
        found = [v for v in self.pool if fits(v)]
        return self.data.draw(st.sampled_from(found)) if found else None

    def grow(self) -> None:
        """Draw one more operation, if the one chosen fits anything."""
        kind = self.data.draw(st.sampled_from(sorted(GROWTH)))
        made = GROWTH[kind](self)
        if made is not None:
            assert not made.mistakes, made.mistakes
            self.pool.append(made)


def unary(d: Drawing) -> dg.Variable | None:
    """A function of one variable."""
    x = d.pick()
    made: dg.Variable = UNARY[d.data.draw(st.sampled_from(sorted(UNARY)))](x)
    return made


def binary(d: Drawing) -> dg.Variable | None:
    """A function of two variables that broadcast."""
    x = d.pick()
    assert x is not None
    function = BINARY[d.data.draw(st.sampled_from(sorted(BINARY)))]

    def fits(y: dg.Variable) -> bool:
        pairs = zip(reversed(x.shape), reversed(y.shape), strict=False)
        return all(a == b or a == 1 or b == 1 for a, b in pairs)

    made: dg.Variable = function(x, d.pick(fits))
    return made


def reduction(d: Drawing) -> dg.Variable | None:
    """A sum, mean or extremum over some axes."""
    x = d.pick(lambda v: v.ndim > 0)
    if x is None:
        return None
    axes = d.data.draw(st.sets(st.integers(0, x.ndim - 1), min_size=1))
    keep = d.data.draw(st.booleans())
    name = d.data.draw(st.sampled_from(["sum", "max", "mean", "min"]))
    if name != "sum" and any(isinstance(x.shape[a], Size) for a in axes):
        name = "sum"  # over an empty batch the others give infinities and NaN
    made: dg.Variable = getattr(dg, name)(x, sorted(axes), keep)
    return made


def row(d: Drawing) -> dg.Variable | None:
    """A softmax or a normalisation of rows."""
    x = d.pick(lambda v: v.ndim > 0 and isinstance(v.shape[-1], int))
    if x is None:
        return None
    if d.data.draw(st.booleans()):
        made: dg.Variable = dg.softmax(x)
        return made
    centred = x - x.mean(-1, keepdims=True)
    return centred * dg.rsqrt((centred * centred).mean(-1, keepdims=True) + 0.1)


def product(d: Drawing) -> dg.Variable | None:
    """A matrix product with a weight, its transpose, or a variable."""
    n, m = d.extents
    w = d.weights[0]
    x = d.pick(lambda v: v.ndim > 0 and v.shape[-1] in (n, m))
    if x is None:
        return None
    y = w if x.shape[-1] == n else w.T
    if x.ndim == 2 and d.data.draw(st.booleans()):
        return dg.einsum("ij,kj->ik" if d.data.draw(st.booleans()) else "ij,kj->ki", x, x)
    return x @ y


def view(d: Drawing) -> dg.Variable | None:
    """Another view of a variable's elements."""
    x = d.pick(lambda v: v.ndim > 0)
    if x is None:
        return None
    kind = d.data.draw(st.integers(0, 4))
    if kind == 0:
        return dg.transpose(x)
    if kind == 1:
        return x.reshape(-1)
    if kind == 2:
        return dg.flip(x, d.data.draw(st.integers(0, x.ndim - 1)))
    if kind == 3 and isinstance(x.shape[-1], int) and x.shape[-1] > 1:
        return x[..., 1::2] if d.data.draw(st.booleans()) else x[..., ::-1]
    return dg.expand_dims(x, d.data.draw(st.integers(0, x.ndim)))


def move(d: Drawing) -> dg.Variable | None:
    """Elements moved: joined, padded, summed up, chosen."""
    x = d.pick(lambda v: 0 < v.ndim < 4)
    if x is None:
        return None
    kind = d.data.draw(st.integers(0, 3))
    axis = d.data.draw(st.integers(0, x.ndim - 1))
    if kind == 0:
        return dg.concatenate([x, dg.tanh(x), x], axis)
    if kind == 1:
        return dg.pad(x, [(1, 2) if a == axis else (0, 0) for a in range(x.ndim)])
    if kind == 2:
        return dg.cumsum(x, axis, d.data.draw(st.booleans()))
    extent = x.shape[axis]
    if not isinstance(extent, int):
        return None
    index = d.data.draw(st.lists(st.integers(0, extent - 1), min_size=1, max_size=4))
    return dg.take(x, np.array(index, np.int32), axis)


GROWTH = {
    "a_unary": unary,
    "b_binary": binary,
    "c_reduction": reduction,
    "d_row": row,
    "e_product": product,
    "f_view": view,
    "g_move": move,
}


def small(v: dg.Variable) -> dg.Variable:
    """A bounded scalar of a variable."""
    return dg.sum(dg.tanh(v * 0.1))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@settings(
    max_examples=GRAPHS // 2,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],  # shrinking builds kernels for minutes
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
def test_cpu_agrees_with_the_reference(dtype: str, data: st.DataObject) -> None:
    drawing = Drawing(data, dtype)
    for _ in range(data.draw(st.integers(2, 7))):
        drawing.grow()
    last = drawing.pool[-2:]
    cost = sum((small(v) for v in last), start=small(drawing.weights[1]))
    seeded = [*drawing.inputs[:1], *drawing.weights]
    outputs = {f"o{i}": v for i, v in enumerate(last)}
    slopes = dg.gradient(cost, seeded)
    outputs |= {f"g{i}": v for i, v in enumerate(slopes)}
    for spare in drawing.inputs:
        cost = cost + small(spare)
    diagram = dg.Diagram("random", outputs, cost)
    optimizer = dg.SGD(0.1, momentum=0.5)
    cpu = diagram.compile(optimizer, "cpu")
    reference = diagram.compile(optimizer, "reference")
    for execution in cpu.executions():
        read_again(execution.interface, execution.template())
    close = 1e-9 if dtype == "float64" else 2e-3
    for batch in (3, data.draw(st.sampled_from([0, 1, 20, 150]))):
        rng = np.random.default_rng(batch)
        values = {}
        for v in drawing.inputs:
            shape = [batch if isinstance(n, Size) else n for n in v.shape]
            values[v.name or ""] = rng.normal(size=shape).astype(dtype)
        got, wanted = cpu.run(**values), reference.run(**values)
        assert list(got) == list(wanted)
        for name, value in wanted.items():
            np.testing.assert_allclose(
                got[name], value, rtol=close, atol=close, err_msg=f"{name}, B={batch}"
            )
        if batch and np.isfinite(wanted["cost"]):
            np.testing.assert_allclose(
                cpu.step(**values), reference.step(**values), rtol=close, atol=close
            )
            for name, value in reference.states.items():
                np.testing.assert_allclose(
                    cpu.states[name], value, rtol=close, atol=close, err_msg=name
                )
