"""Binding named sizes, and what is said where a graph cannot take them."""

import numpy as np
import pytest

from diagrad.compiler.graph import Graph, Node, Origin, Type
from diagrad.compiler.graphs.binding import bind_attrs, bind_type, value_of
from diagrad.compiler.graphs.interface import SizeRuleError, check_sizes, size_names, size_rules
from diagrad.compiler.primitives.record import Builder
from diagrad.compiler.sizes import floor_divide, named

from ..building import b, given, graph

B, T = named("B"), named("T")
HERE = Builder(Origin("net", "m.py:7"))
X = given("x", "B", 4)


def said(node: Node, training: bool = False, **sizes: int) -> str:
    """The complaint about a graph at these sizes."""
    with pytest.raises(SizeRuleError) as error:
        check_sizes(size_rules(graph(X, y=node)), sizes, training)
    return str(error.value)


def cut(start: object, stop: object, builder: Builder = HERE) -> Node:
    return builder.slice(X, start=(start, 0), stop=(stop, 4), step=(1, 1))


def test_a_slice_lies_inside() -> None:
    assert said(cut(2, 5), B=3) == (
        "slice (m.py:7) takes 2:5 of axis 0, which has 3 elements for B = 3"
    )
    assert said(cut(B - 5, B), B=3) == (
        "slice (m.py:7) takes -2:3 of axis 0, which has 3 elements for B = 3"
    )
    assert said(cut(2, 5, b), B=4, T=1) == (
        "slice takes 2:5 of axis 0, which has 4 elements for B = 4, T = 1"
    )
    check_sizes(size_rules(graph(X, y=cut(2, 5))), {"B": 5}, training=True)


def test_a_window_fits() -> None:
    cut = HERE.windows(X, axis=0, size=3, stride=4, dilation=2)
    told = "a window (m.py:7) reaches over 5 elements of axis 0, which has 4 for B = 4"
    assert said(cut, B=4) == told
    added = HERE.overlap_add(given("g", 2, 3), axis=0, stride=4, dilation=2, extent=9)
    check_sizes(size_rules(graph(X, y=cut, z=added)), {"B": 5}, training=True)
    windows = b.broadcast(given("g", 3), shape=cut.shape, axes=(1,))
    added = HERE.overlap_add(windows, axis=0, stride=4, dilation=2, extent=B)
    assert said(added, B=4) == told


def test_no_size_is_negative() -> None:
    assert said(cut(2, B), B=1) == "size B-2 of slice (m.py:7) is negative for B = 1"


def test_a_step_needs_samples() -> None:
    total = b.constant(1, "float32")
    mean = HERE.div(total, b.size(size=B * 4, dtype="float32"))
    assert said(mean, True, B=0) == (
        "the batch is empty: 4*B = 0 for B = 0, and a mean (m.py:7) is taken over it; give at "
        "least one sample"
    )
    count = b.mul(b.cast(b.size(size=B, dtype="int64"), dtype="float32"), total)
    line = b.broadcast(count, shape=(3,), axes=())
    assert said(b.div(given("g", 3), line), True, B=0) == (
        "the batch is empty: B = 0, and a mean is taken over it; give at least one sample"
    )
    check_sizes(size_rules(graph(X, y=mean)), {"B": 0}, training=False)
    check_sizes(size_rules(graph(X, y=mean)), {"B": 1}, training=True)
    check_sizes(size_rules(graph(X, y=count)), {"B": 0}, training=True)


def test_types_and_attributes() -> None:
    sizes = {"B": 6, "T": 2}
    assert bind_type(Type("bool", (B * T, 3, floor_divide(B + 1, 2))), sizes) == Type(
        "bool", (12, 3, 3)
    )
    attrs = {"shape": (B, 2), "axis": 1, "size": T, "low": ((B, 1), T), "name": "B"}
    assert bind_attrs(attrs, sizes) == {
        "shape": (6, 2), "axis": 1, "size": 2, "low": ((6, 1), 2), "name": "B",
    }  # fmt: skip


def test_values_of_known_scalars() -> None:
    size = b.size(size=B * 2, dtype="float32")
    half = b.div(b.constant(1, "float32"), size)
    value = value_of(b.sqrt(half), {"B": 8})
    assert value == 0.25 and value.dtype == np.float32
    assert value_of(b.gt(size, half), {"B": 1}).dtype == np.bool_
    assert value_of(b.cast(size, dtype="int64"), {"B": 5}) == 10


def test_names_of_sizes() -> None:
    t = given("t", "T")
    whole: Graph = graph(X, t, y=b.reshape(X, shape=(B * 4,)))
    assert size_names(whole) == {"B", "T"}
    assert size_names(graph(given("s"), y=b.size(size=3, dtype="float32"))) == set()
