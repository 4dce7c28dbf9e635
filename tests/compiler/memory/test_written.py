"""A template as bytes: read as it was written, and small where a constant is known."""

import json
import struct
from collections.abc import Callable

import numpy as np
import pytest

from diagrad.compiler.graph import Graph
from diagrad.compiler.graphs.interface import Interface, interface_of
from diagrad.compiler.memory.plan_memory import plan_memory
from diagrad.compiler.memory.written import from_bytes, to_bytes
from diagrad.compiler.pipeline import compile_kernels, prepare
from diagrad.compiler.scheduling.template import Bits, Offsets, Place, Row, Template, Tiled
from diagrad.compiler.sizes import FloorDivision, Size, ceil_divide, minimum, named

from .. import nets
from ..building import b, given, graph, number, numbers, state
from .round_trip import read_again

B, T = named("B"), named("T")


def compiled(whole: Graph) -> tuple[Interface, Template]:
    ready = prepare(whole)
    return interface_of(ready), compile_kernels(ready)


def layers() -> Graph:
    """Products, a softmax, a mean, an update, and a range of labels."""
    x, w = given("x", "B", 8), state("w", 8, 3)
    y = given("y", "B", dtype="int32")
    scores = nets.product(x, w)
    most = b.reduce_max(scores, axes=(1,))
    shifted = b.exp(b.sub(scores, b.broadcast(most, shape=scores.shape, axes=(0,))))
    sums = b.broadcast(b.reduce_sum(shifted, axes=(1,)), shape=scores.shape, axes=(0,))
    labels = b.in_range(y, low=0, high=3)
    flat = b.reshape(b.div(shifted, sums), shape=(B * 3,))
    places = b.add(b.mul(labels, number(3, labels)), b.iota(axis=0, shape=(B,), dtype="int32"))
    chosen = b.gather(flat, places, axis=0)
    cost = b.div(b.reduce_sum(chosen, axes=(0,)), b.size(size=B, dtype="float32"))
    slope = b.gradient(cost, w)
    return graph(x, y, w, cost=cost, updates={w: b.sub(w, b.mul(number(0.1, w), slope))})


def moves() -> Graph:
    """Joined, padded, cut, summed up and chosen elements, and a constant in memory."""
    x = given("x", "B", 5)
    table = b.constant(numbers(4, 5), "float32")
    joined = b.concatenate(x, b.tanh(x), axis=0)
    padded = b.pad(x, low=(1, 0), inner=(1, 1), shape=(B + 2, 5))
    half = b.slice(x, start=(0, 0), stop=(B, 5), step=(2, 1))
    return graph(
        x, joined=joined, padded=padded, sums=b.cumsum(x, axis=1, reverse=True), half=half,
        rows=b.gather(table, b.constant([3, 0, 0], "int64"), axis=0),
    )  # fmt: skip


GRAPHS: dict[str, Callable[[], Graph]] = {
    "layers": layers,
    "moves": moves,
    "nothing": lambda: graph(given("x", 0, 3), y=b.fill(2, b.exp(given("z")).type)),
    "scalar": lambda: graph(s := given("s", dtype="float64"), y=b.sin(s)),
    **{
        name: lambda name=name: getattr(nets, name)().derivatives()  # type: ignore[misc]
        for name in ("elman", "lstm", "gru", "nested")
    },
}


@pytest.mark.parametrize("name", GRAPHS)
def test_read_as_written(name: str) -> None:
    interface, template = compiled(GRAPHS[name]())
    found, again = read_again(interface, template)
    for n in (0, 1, 7):
        sizes = dict.fromkeys(found.sizes, n)
        assert repr(plan_memory(again, sizes)) == repr(plan_memory(template, sizes))


def test_the_graphs_have_words_of_every_kind() -> None:
    words = [
        word
        for name in ("layers", "moves", "elman")
        for row in compiled(GRAPHS[name]())[1].rows
        for word in (*row.words, row.extent, row.space)
    ]
    assert {type(word).__name__ for word in words} == {
        "int", "Size", "Place", "Bits", "Routine", "Tiled",
    }  # fmt: skip
    atoms = {type(a) for w in words if isinstance(w, Size) for atoms, _ in w.terms for a in atoms}
    assert atoms == {str, FloorDivision}


def test_expressions_and_sizes_to_the_last_bit() -> None:
    odd = ceil_divide(B * 3 + T * T - 7, 4) * T - minimum(B * 2, 5)
    nan = np.array(0x7FC0_1234, np.uint32).view(np.float32)
    node = b.div(
        b.constant(nan, "float32"), b.cast(b.size(size=odd, dtype="int64"), dtype="float32")
    )
    mask = b.gt(b.constant(-0.0, "float64"), b.constant(5e-324, "float64"))
    words = (
        Bits(node), Bits(mask), Bits(b.constant(-(2**63), "int64")), -(2**63), odd,
        Place(3, odd, (T, 1)), Place(3, odd), Tiled("chunk", "float64", B, T, 3, True, True, odd),
        Offsets(((B, odd), (3, -1))),
    )  # fmt: skip
    row = Row(0, words, Tiled("blocks", "float32", 1, B, T, False), (), (1,), ("a b",), 2, odd, 64)
    template = Template("one", (), (row,), ())
    _, again = read_again(Interface((), (), ()), template)
    (value,) = [w for w in again.rows[0].words[:1] if isinstance(w, Bits)]
    assert value.node.inputs[0].attrs["value"].tobytes() == nan.tobytes()


def test_constants_of_the_graph_are_not_written_again() -> None:
    known = numbers(300, 7)
    x = given("x", 300, 7)
    interface, template = compiled(graph(x, y=nets.product(x, b.constant(known.T, "float32"))))
    held = [s.data for s in template.storages if s.data is not None]
    assert [data.shape for data in held] == [(7, 300)]
    apart, together = to_bytes(interface, template), to_bytes(interface, template, [held[0].copy()])
    assert len(apart) - len(together) > 0.95 * known.nbytes
    _, again = from_bytes(together, held)
    assert next(s.data for s in again.storages if s.data is not None) is held[0]
    read_again(interface, template, held)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "uint32", "bool"])
def test_constants_of_every_dtype(dtype: str) -> None:
    values = np.asfortranarray(numbers(3, 5) * 100).astype(dtype)
    x = given("x", 3, 5, dtype=dtype)
    _, template = compiled(graph(x, y=b.select(b.eq(x, x), x, b.constant(values, dtype))))
    (_, again) = read_again(Interface((), (), ()), template)
    (data,) = [s.data for s in again.storages if s.data is not None]
    np.testing.assert_array_equal(data, values)
    assert data.dtype == dtype and data.flags.aligned and not data.flags.writeable


def test_the_format_is_what_it_says() -> None:
    held = to_bytes(*compiled(GRAPHS["layers"]()))
    (length,) = struct.unpack_from("<Q", held)
    text = json.loads(held[8 : 8 + length])
    assert length + 8 == len(held)
    assert text["names"] == ["B"] and [s for s in text["sizes"] if s == [[["B"], 1]]] == [
        [[["B"], 1]]
    ]
    assert [kind for kind, *_ in text["ranges"]] == ["y"]


@pytest.mark.parametrize("cut", [0, 7, 8, 100, -3])
def test_bytes_that_are_none(cut: int) -> None:
    held = to_bytes(*compiled(GRAPHS["moves"]()))
    with pytest.raises((ValueError, LookupError, TypeError)):
        from_bytes(held[:cut])
