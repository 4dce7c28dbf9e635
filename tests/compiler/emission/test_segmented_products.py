"""Products of windows as kernels: values with all that follows, and bits that stay the same."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from diagrad.compiler.graph import Graph, Node
from diagrad.compiler.memory.plan_memory import plan_memory
from diagrad.compiler.pipeline import compile_kernels, prepare
from diagrad.compiler.scheduling.template import Offsets, Tiled
from diagrad.runtime.cpu.executor import Executor

from ..building import Array, b, given, graph, number, numbers, run, state
from ..convolving import attributes, convolved
from .test_emit import sources


def cut(x: Node, axis: int, size: int, stride: int = 1, dilation: int = 1) -> Node:
    return b.windows(x, axis=axis, size=size, stride=stride, dilation=dilation)


def conv(x: Node, w: Node, stride: int = 1) -> Node:
    """Windows over (N, H, W, C) times weights (3, 3, C, J)."""
    seen = cut(cut(x, 1, 3, stride), 3, 3, stride)
    result: Node = b.contract(seen, w, a=(0, 1, 2, 3, 4, 5), b=(2, 4, 5, 6), out=(0, 1, 3, 6))
    return result


def test_convolution(golden: Callable[[str, str], None]) -> None:
    """One kernel, with the offsets of rows and of segments in tables."""
    x, w, bias = given("x", "B", 10, 12, 8), state("w", 3, 3, 8, 32), state("b", 32)
    y = conv(x, w)
    y = b.tanh(b.add(y, b.broadcast(bias, shape=y.shape, axes=(3,))))
    whole = graph(x, w, bias, y=y)
    golden("emit/convolution", sources(whole))
    (row,) = compile_kernels(prepare(whole)).rows
    tables = [word.axes for word in row.words if isinstance(word, Offsets)]
    assert ((3, 12 * 8),) in tables and ((3, 3 * 8 * 32),) in tables
    assert all(word.segmented for word in row.words if isinstance(word, Tiled))


X, W = given("x", "B", 9, 11, 6, dtype="float64"), given("w", 3, 3, 6, 20, dtype="float64")
C, P = given("c", 20, dtype="float64"), given("p", "B", 7, 9, 20, dtype="float64")
T = given("t", 20, 3, 3, 6, dtype="float64")
V = given("v", "B", 3, 3, 6, 20, dtype="float64")
INPUTS = (X, W, C, P, T, V)
Y = conv(X, W)
TURNED = b.transpose(T, axes=(1, 2, 3, 0))
FOLLOWING: dict[str, Node] = {
    "alone": Y,
    "bias": b.add(Y, b.broadcast(C, shape=Y.shape, axes=(3,))),
    "another": b.mul(b.tanh(Y), P),
    "number": b.maximum(Y, number(0.5, Y)),
    "turned": b.exp(b.transpose(Y, axes=(3, 0, 2, 1))),
    "turned another": b.mul(Y, b.transpose(b.exp(b.transpose(P, axes=(3, 0, 2, 1))),
                                           axes=(1, 3, 2, 0))),
    "backwards": b.mul(Y, b.flip(P, axes=(0, 1, 3))),
    "columns": b.reduce_sum(b.exp(Y), axes=(3,)),
    "strides": b.sin(conv(X, W, 2)),
    "weights that lie otherwise": b.exp(conv(X, TURNED)),
    "backwards weights": conv(X, b.flip(W, axes=(0, 1))),
    "by weights": b.contract(cut(cut(X, 1, 3), 3, 3), P, a=(0, 1, 2, 3, 4, 5), b=(0, 1, 3, 6),
                             out=(2, 4, 5, 6)),
    "a batch": b.tanh(b.contract(cut(cut(X, 1, 3), 3, 3), V, a=(0, 1, 2, 3, 4, 5),
                                 b=(0, 2, 4, 5, 6), out=(0, 1, 3, 6))),
    "one result": b.exp(conv(X, b.slice(W, start=(0,) * 4, stop=(3, 3, 6, 1), step=(1,) * 4))),
    "padded": b.pad(Y, low=(0, 1, 2, 0), inner=(1,) * 4, shape=(Y.shape[0], 9, 12, 20)),
    "joined": b.concatenate(Y, P, b.neg(Y), axis=3),
}  # fmt: skip


@pytest.mark.parametrize("batch", [0, 1, 2, 7])
@pytest.mark.parametrize("name", FOLLOWING)
def test_values(name: str, batch: int) -> None:
    whole, sizes = graph(*INPUTS, y=FOLLOWING[name]), {"B": batch}
    arrays = {
        "x": numbers(batch, 9, 11, 6, dtype="float64"),
        "w": numbers(3, 3, 6, 20, seed=1, dtype="float64"),
        "c": numbers(20, seed=2, dtype="float64"),
        "p": numbers(batch, 7, 9, 20, seed=3, dtype="float64"),
        "t": numbers(20, 3, 3, 6, seed=4, dtype="float64"),
        "v": numbers(batch, 3, 3, 6, 20, seed=5, dtype="float64"),
    }
    wanted = run(whole, arrays, sizes=sizes)["y"]
    found = run(whole, arrays, "cpu", sizes)["y"]
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-11)


def results(whole: Graph, arrays: dict[str, Array], sizes: Any, threads: int = 1) -> list[Array]:
    program = plan_memory(compile_kernels(whole), sizes)
    observed = [arrays[n.attrs["name"]] for n in whole.inputs]
    return [np.array(value) for value in Executor(program, {}, threads=threads)(observed)]


SAME = attributes(2, low=(1, 1), high=(1, 1))
NETS: list[tuple[tuple[int, ...], tuple[int, ...], dict[str, Any], int, int]] = [
    ((12, 12), (3, 3), SAME, 16, 32),
    ((12, 12), (3, 3), SAME, 3, 5),
    ((12, 12), (5, 5), attributes(2), 1, 1),
    ((13, 12), (3, 4), SAME, 4, 1),
    ((13, 13), (3, 3), {**SAME, "stride": (2, 2)}, 6, 16),
    ((13, 13), (3, 3), {**SAME, "groups": 2}, 8, 7),
    ((12, 12), (3, 3), {**SAME, "groups": 32}, 1, 1),
    ((40,), (4,), attributes(1, stride=(2,)), 4, 1),
    ((9, 20), (2, 6), {**SAME, "dilation": (2, 1)}, 2, 1),
    ((9, 20), (2, 6), attributes(2), 1, 1),
]
"""Extents, taps, attributes, and the channels and results of a group."""


@pytest.mark.parametrize("net", NETS)
def test_bits_do_not_depend_on_the_threads(net: Sequence[Any]) -> None:
    extents, taps, attrs, channels, made = net
    images = 40 if len(extents) == 2 else 3000
    case = convolved(
        extents, taps, attrs, images=images, channels=channels, results=made, dtype="float32"
    )
    wanted = results(case.graph, case.arrays, case.sizes)
    for threads in (2, 4):
        found = results(case.graph, case.arrays, case.sizes, threads)
        for one, other in zip(wanted, found, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("net", NETS)
def test_the_bits_of_an_image_do_not_depend_on_the_others(net: Sequence[Any]) -> None:
    extents, taps, attrs, channels, made = net
    case = convolved(
        extents, taps, attrs, images=33, channels=channels, results=made, named=1, dtype="float32"
    )
    whole = Graph("images", case.graph.inputs, case.graph.outputs[:2])
    wanted = results(whole, case.arrays, case.sizes)
    for images in (1, 2):
        some = {name: a[:images] if name != "w" else a for name, a in case.arrays.items()}
        found = results(whole, some, {"B": images})
        for one, other in zip(wanted, found, strict=True):
            np.testing.assert_array_equal(one[:images], other)
