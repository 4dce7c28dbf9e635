"""Batching: every primitive on many elements at once is the primitive on each of them."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import diagrad as dg
from diagrad.compiler.errors import InvalidGraphError
from diagrad.compiler.graph import Graph, Node, Type
from diagrad.compiler.graphs import batching
from diagrad.compiler.graphs.batching import batch, can_batch
from diagrad.compiler.graphs.binding import assign_sizes
from diagrad.compiler.graphs.verify import verify
from diagrad.compiler.passes.differentiate import differentiate
from diagrad.compiler.passes.inline import inline
from diagrad.compiler.passes.materialise import materialise
from diagrad.compiler.passes.split_reductions import split_reductions
from diagrad.compiler.passes.unroll import unroll
from diagrad.compiler.pipeline import prepare
from diagrad.compiler.primitives.attention import ATTENTION, FORWARD
from diagrad.compiler.primitives.log_product import log_product
from diagrad.compiler.primitives.record import PRIMITIVES, Primitive
from diagrad.compiler.sizes import Dim, named

from ...operations.rows.operation import draw
from ...operations.rows.running import Batch, applications, value_alone
from ...operations.rows.table import TABLE
from ..building import Array, b, given, graph, numbers, run

NO_BATCH = {
    "input", "constant", "size", "iota",  # without operands: the same for every element
    "random_bits",  # numbered from 0 under the key of each element: refused
    "call", "gradient", "loop",  # hold a graph: known to `batching`
}  # fmt: skip


PARTS = {
    "first_outside", "block_sum", "stretch_sum", "scatter_sums", "overlap_add", "conv_weight",
    "attention_log_sums", "attention_query", "attention_key", "attention_value",
    "log_product_left", "log_product_right",
}  # fmt: skip
"""Primitives that passes and derivatives make, which have tests of their own here."""


def batched_graph(
    source: Graph, names: Iterable[str], extent: Dim, shown: dict[str, bool] | None = None
) -> Graph:
    """A graph whose inputs of these names have one more axis; `shown`: which outputs have it."""
    names, entries = set(names), {}
    for entry in source.inputs:
        wide = entry.type.with_shape((extent, *entry.shape))
        if entry.attrs["name"] in names:
            entries[entry] = replace(entry, attrs={**entry.attrs, "type": wide}, type=wide)
    shared = {entry: entry for entry in source.inputs if entry not in entries}
    roots = dict(source.outputs) | {f"check {c.name}": c.node for c in source.checks}
    found = batch(roots.values(), shared, entries, extent)
    if shown is not None:
        shown |= {name: found[node].has_axis for name, node in roots.items()}
    outputs = tuple((name, found[node].node) for name, node in roots.items())
    result = Graph("batched", tuple(entries.get(e, e) for e in source.inputs), outputs)
    verify(result)
    return result


def compare(
    source: Graph,
    elements: list[dict[str, Array]],
    names: Iterable[str],
    sizes: dict[str, int] | None = None,
    tolerance: float = 1e-11,
    extent: Dim | None = None,
) -> None:
    """Fail unless the batched graph is the graph of each element; others use the first one's."""
    names, shown = set(names), dict[str, bool]()
    one_by_one = [
        {name: array if name in names else elements[0][name] for name, array in element.items()}
        for element in elements
    ]
    many = batched_graph(source, names, len(elements) if extent is None else extent, shown)
    arrays = {
        name: np.stack([element[name] for element in elements]) if name in names else array
        for name, array in elements[0].items()
    }
    checks = {f"check {c.name}": c.node for c in source.checks}
    source = replace(source, outputs=(*source.outputs, *checks.items()), checks=(), updates=())
    wanted = [run(source, element, sizes=sizes) for element in one_by_one]
    bound = {**(sizes or {}), **({str(extent): len(elements)} if extent is not None else {})}
    found = run(many, arrays, sizes=bound)
    for name, value in found.items():
        each = value if shown[name] else [value] * len(elements)
        for element, right in zip(each, wanted, strict=True):
            np.testing.assert_allclose(
                element, right[name], rtol=tolerance, atol=tolerance, err_msg=name
            )


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The primitives whose batch rules are used."""
    found: set[str] = set()

    def lookup(name: str) -> Primitive:
        found.add(name)
        return PRIMITIVES[name]

    monkeypatch.setattr(batching, "lookup", lookup)
    return found


def test_every_primitive_has_a_rule() -> None:
    assert {name for name, primitive in PRIMITIVES.items() if primitive.batch is None} == NO_BATCH


def operation_graphs(dtype: str) -> Iterable[tuple[Batch, Graph]]:
    for rows in TABLE.values():
        cases = applications(rows, dtype)
        if cases:
            drawn = Batch(cases, value_alone)
            lowered = differentiate(inline(dg.Diagram("all", drawn.outputs).lower()))
            yield drawn, lowered
            ready = prepare(lowered)
            yield drawn, materialise(split_reductions(ready))


def elements_of(drawn: Batch, count: int) -> list[dict[str, Array]]:
    found = []
    for number in range(count):
        element = {"random_key": np.array(5, np.int64)}
        for name, (domain, (shape,), dtype) in drawn.domains.items():
            rng = np.random.default_rng([number, *name.encode()])
            element[name] = draw(domain, tuple(int(n) for n in shape), dtype, rng)
        found.append(element)
    return found


def test_every_primitive_is_that_of_each_element(used: set[str]) -> None:
    for dtype in ("float64", "int32", "bool"):
        for drawn, source in operation_graphs(dtype):
            elements = elements_of(drawn, 3)
            names = list(drawn.domains)
            for chosen in (names, names[::2], names[1::2]):
                compare(source, elements, chosen)
    assert used >= PRIMITIVES.keys() - NO_BATCH - PARTS


@pytest.mark.parametrize("count", [1, 5])
@pytest.mark.parametrize("rows", [0, 1, 64, 130])
def test_block_sum(rows: int, count: int) -> None:
    x = given("x", "R", 1, 7, dtype="float64")
    source = graph(x, y=b.block_sum(x))
    elements = [{"x": numbers(rows, 1, 7, seed=i, dtype="float64")} for i in range(count)]
    compare(source, elements, ["x"], {"R": rows}, extent=named("N"))


@pytest.mark.parametrize("count", [1, 5])
@pytest.mark.parametrize("extent", [0, 1, 1024, 2500])
def test_stretch_sum(extent: int, count: int) -> None:
    x = given("x", "R", dtype="float64")
    source = graph(x, y=b.stretch_sum(x))
    elements = [{"x": numbers(extent, seed=i, dtype="float64")} for i in range(count)]
    compare(source, elements, ["x"], {"R": extent}, extent=named("N"))


@pytest.mark.parametrize("names", [["i"], ["x"], ["i", "x"]])
@pytest.mark.parametrize("count", [1, 5])
def test_scatter_sums(count: int, names: list[str]) -> None:
    index, x = given("i", "R", dtype="int32"), given("x", 2, "R", 3, dtype="float64")
    source = graph(index, x, y=b.scatter_sums(index, x, axis=1, size=4, parts=2))
    rng = np.random.default_rng(0)
    elements = [
        {"i": rng.integers(-1, 5, 9).astype(np.int32), "x": numbers(2, 9, 3, dtype="float64")}
        for _ in range(count)
    ]
    compare(source, elements, names, {"R": 9}, extent=named("N"))


@pytest.mark.parametrize("dtype", ["int32", "int64"])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 5)])
def test_first_outside(shape: tuple[int, ...], dtype: str) -> None:
    x = given("x", *shape, dtype=dtype)
    source = graph(x, y=b.first_outside(x, low=0, high=named("K")))
    rng = np.random.default_rng(0)
    elements = [{"x": rng.integers(-1, 7, shape).astype(dtype)} for _ in range(12)]
    compare(source, elements, ["x"], {"K": 6})


@pytest.mark.parametrize("shape", [("N",), ("N", 2), (2, "N")])
def test_overlap_add(shape: tuple[int | str, ...]) -> None:
    x, attrs = given("x", *shape, dtype="float64"), {"stride": 2, "dilation": 3}
    axis = shape.index("N")
    cut = b.sin(b.windows(x, axis=axis, size=4, **attrs))
    source = graph(x, y=b.overlap_add(cut, axis=axis, extent=named("N"), **attrs))
    extents = [15 if n == "N" else int(n) for n in shape]
    elements = [{"x": numbers(*extents, seed=i, dtype="float64")} for i in range(3)]
    compare(source, elements, ["x"], {"N": 15})


@pytest.mark.parametrize("names", [["x"], ["w"], ["g"], ["x", "w"], ["x", "g"], ["w", "g"]])
@pytest.mark.parametrize("groups", [1, 2])
def test_convolutions(groups: int, names: list[str]) -> None:
    attrs = {"stride": (2, 1), "dilation": (1, 2), "low": (1, 0), "high": (0, 2), "groups": groups}
    shapes = {"x": (2, 5, 4, 2 * groups), "w": (3, 2, 2, 3 * groups), "g": (2, 2, 4, 3 * groups)}
    x, w, g = (given(name, *shape, dtype="float64") for name, shape in shapes.items())
    source = graph(
        x, w, g,
        conv=b.conv(x, w, **attrs),
        input=b.conv_input(g, w, extents=(5, 4), **attrs),
        weight=b.conv_weight(x, g, taps=(3, 2), **attrs),
    )  # fmt: skip
    elements = [
        {name: numbers(*shape, seed=i, dtype="float64") for name, shape in shapes.items()}
        for i in range(3)
    ]
    compare(source, elements, names)
    compare(source, elements, names, extent=named("N"))


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("extent", [0, 1, 5])
@pytest.mark.parametrize("places", [(), (3,), (2, 2), (0,)])
def test_indices_and_operands_of_every_element(
    places: tuple[int, ...], extent: int, axis: int
) -> None:
    rest = [2, 3]
    x = given("x", *rest[:axis], extent, *rest[axis:], dtype="float64")
    u = given("u", *rest[:axis], *places, *rest[axis:], dtype="float64")
    index = given("i", *places, dtype="int32")
    source = graph(
        x, u, index,
        gathered=b.gather(x, index, axis=axis),
        added=b.scatter_add(index, u, axis=axis, size=extent),
        multiplied=b.scatter_mul(index, u, axis=axis, size=extent),
        greatest=b.scatter_max(index, u, axis=axis, size=extent),
        least=b.scatter_min(index, u, axis=axis, size=extent),
    )  # fmt: skip
    rng = np.random.default_rng(1)
    elements = [
        {
            "x": rng.normal(size=x.type.extents),
            "u": rng.normal(size=u.type.extents),
            "i": rng.integers(-2, extent + 2, places).astype("int32"),
        }
        for _ in range(4)
    ]
    for chosen in ("xui", "xu", "i", "xi", "ui"):
        compare(source, elements, chosen)


H = 3
T = named("T")


def looped(reverse: bool) -> Graph:
    """A loop in a loop, with results of every kind."""
    x = given("x", "T", H, dtype="float64")
    h, w = given("h", H, dtype="float64"), given("w", H, H, dtype="float64")
    inner_x = given("e", dtype="float64", role="sequence")
    inner_s = given("s", dtype="float64", role="carry")
    inner = Graph(
        "sum of squares", (inner_x, inner_s), (("e", b.mul(inner_x, inner_s)),),
        ((inner_s, b.add(inner_s, b.mul(inner_x, inner_x))),),
    )  # fmt: skip
    xt = given("x", H, dtype="float64", role="sequence")
    ht = given("h", H, dtype="float64", role="carry")
    count = given("count", dtype="float64", role="carry")
    wt = given("w", H, H, dtype="float64", role="invariant")
    zero = b.constant(0.0, "float64")
    norm = b.loop(xt, zero, body=inner, steps=H, reverse=False, result="last", of="s", keep="all")
    parts = b.loop(xt, zero, body=inner, steps=H, reverse=True, result="stack", of="e", keep="all")
    following = b.tanh(b.add(b.contract(ht, wt, a=(0,), b=(0, 1), out=(1,)), b.mul(xt, parts)))
    body = Graph(
        "net", (xt, ht, wt, count),
        (("h", b.mul(following, b.spread(norm, (H,)))), ("w", wt), ("count", count)),
        ((ht, following), (count, b.add(count, b.constant(1.0, "float64")))),
    )  # fmt: skip
    start = b.constant(0.5, "float64")
    results = {
        f"{result} {of}": b.loop(
            x, h, w, start, body=body, steps=T, reverse=reverse, result=result, of=of, keep="all"
        )
        for result, of in (
            ("stack", "h"), ("sum", "h"), ("last", "h"), ("stack", "w"), ("sum", "w"),
            ("last", "count"), ("stack", "count"),
        )
    }  # fmt: skip
    return graph(x, h, w, outputs=results)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("steps", [0, 1, 5])
def test_loops(steps: int, reverse: bool) -> None:
    source = looped(reverse)
    elements = [
        {
            "x": numbers(steps, H, seed=i, dtype="float64"),
            "h": numbers(H, seed=i + 10, dtype="float64"),
            "w": numbers(H, H, seed=i + 20, dtype="float64"),
        }
        for i in range(4)
    ]
    for chosen in ("x", "h", "w", "xhw"):
        compare(source, elements, chosen, {"T": steps}, extent=named("N"))
        many = batched_graph(source, chosen, 4)
        assert len({id(n.attrs["body"]) for n in many.nodes() if n.op == "loop"}) == 1
        flat = unroll(assign_sizes(source, {"T": steps}), "all")
        compare(flat, elements, chosen)


def test_derivatives_of_a_batched_loop() -> None:
    source = looped(False)
    outputs = dict(source.outputs)
    cost = b.add(
        b.reduce_sum(b.sin(outputs["stack h"]), axes=(0, 1)),
        b.reduce_sum(b.exp(outputs["last h"]), axes=(0,)),
    )
    slopes = {n.attrs["name"]: b.gradient(cost, n) for n in source.inputs}
    drawn = graph(*source.inputs, outputs=slopes)
    elements = [
        {
            "x": numbers(4, H, seed=i, dtype="float64"),
            "h": numbers(H, seed=i + 10, dtype="float64"),
            "w": numbers(H, H, seed=i + 20, dtype="float64"),
        }
        for i in range(3)
    ]
    for chosen in ("x", "hw", "xhw"):
        compare(differentiate(drawn), elements, chosen, {"T": 4})
    many = differentiate(batched_graph(drawn, "xhw", 3))
    arrays = {name: np.stack([e[name] for e in elements]) for name in "xhw"}
    found = run(many, arrays, sizes={"T": 4})
    for i, element in enumerate(elements):
        wanted = run(differentiate(drawn), element, sizes={"T": 4})
        for name, value in wanted.items():
            np.testing.assert_allclose(found[name][i], value, rtol=1e-10, atol=1e-12)


def test_calls() -> None:
    x, w = given("x", "B", 4), given("w", 4, 5)
    y = b.contract(x, w, a=(0, 1), b=(1, 2), out=(0, 2))
    body = Graph("net", (x, w), (("0", b.tanh(y)), ("1", w)))
    outer = given("x", "B", 4, dtype="float32"), given("w", 4, 5, dtype="float32")
    calls = {name: b.call(*outer, body=body, output=name) for name in "01"}
    drawn = graph(*outer, outputs=calls)
    elements: list[dict[str, Any]] = [
        {"x": numbers(7, 4, seed=i), "w": numbers(4, 5, seed=i + 9)} for i in range(3)
    ]
    for chosen in ("x", "w", "xw"):
        many = batched_graph(drawn, chosen, 3)
        assert len({id(n.attrs["body"]) for n in many.nodes() if n.op == "call"}) == 1
        found = inline(many)
        verify(found, frozenset({"call"}))
        arrays = {
            n: np.stack([e[n] for e in elements]) if n in chosen else elements[0][n] for n in "xw"
        }
        value = run(found, arrays, sizes={"B": 7})["0"]
        xs, ws = (np.broadcast_to(arrays[n], (3, *arrays[n].shape[-2:])) for n in "xw")
        np.testing.assert_allclose(value, np.tanh(xs @ ws), rtol=1e-5, atol=1e-6)


def test_a_shared_operand_keeps_one_product() -> None:
    x, w = given("x", "B", 4), given("w", 4, 5)
    y = b.contract(x, w, a=(0, 1), b=(1, 2), out=(0, 2))
    many = batched_graph(graph(x, w, y=y), "x", named("T"))
    (product,) = (n for n in many.nodes() if n.op == "contract")
    assert product.type == Type("float32", (named("T"), named("B"), 5))
    assert product.inputs[1].shape == (4, 5)


def test_what_depends_on_no_batched_node_has_no_axis() -> None:
    x, y = given("x", 4), given("y", 4)
    source = graph(
        x,
        y,
        shared=b.neg(y),
        own=b.add(x, b.neg(y)),
        known=b.iota(axis=0, shape=(3,), dtype="int32"),
    )
    shown: dict[str, bool] = {}
    batched_graph(source, "x", 3, shown)
    assert shown == {"shared": False, "own": True, "known": False}


def refused(node: Node, *inputs: Node, chosen: str) -> str:
    with pytest.raises(InvalidGraphError) as error:
        batched_graph(graph(*inputs, y=node), chosen, 3)
    return str(error.value)


def test_random_bits_of_an_element_cannot_be_made() -> None:
    key = given("k", dtype="int64")
    bits = b.random_bits(key, b.constant(5, "int64"), shape=(3,))
    assert not can_batch(bits) and can_batch(b.neg(key))
    assert refused(bits, key, chosen="k") == (
        "random_bits has no batch rule: expected operands that are the same for every element, "
        "got operands that differ; compute them one by one"
    )
    batched_graph(graph(key, y=bits), "", 3)


def test_gradients_by_what_elements_share_come_first() -> None:
    x, w = given("x"), given("w")
    slope = b.gradient(b.mul(x, b.mul(w, w)), w)
    assert refused(slope, x, w, chosen="x") == (
        "gradient of a cost for each element by a variable that they share: expected a graph "
        "without gradients, differentiate it before batching"
    )
    many = differentiate(batched_graph(graph(x, w, y=slope), "xw", 2))
    found = run(many, {"x": np.array([1, 2], np.float32), "w": np.array([3, 4], np.float32)})
    np.testing.assert_array_equal(found["y"], [6, 16])
    unrelated = graph(x, w, y=b.gradient(b.mul(x, x), w))
    many = differentiate(batched_graph(unrelated, "w", 2))
    found = run(many, {"x": np.float32(1), "w": np.array([3, 4], np.float32)})
    np.testing.assert_array_equal(found["y"], [0, 0])


@pytest.mark.parametrize("names", [["q"], ["v", "limits"], ["g", "bias"], ["delta"], ["k", "sums"]])
def test_attention(names: list[str]) -> None:
    """With its way back, and what hides keys."""
    shapes: dict[str, tuple[int, ...]]
    shapes = {"q": (2, 5, 3, 4), "k": (2, 7, 3, 4), "v": (2, 7, 3, 1), "g": (2, 5, 3, 1)}
    shapes |= {"sums": (2, 3, 5), "delta": (2, 3, 5), "bias": (2, 3, 5, 7)}
    entries = {name: given(name, *shape, dtype="float64") for name, shape in shapes.items()}
    limits = given("limits", 2, 3, 5, dtype="int32")
    q, k, v, *back, bias = entries.values()
    rest, outputs = (limits, bias), {}
    for op in ATTENTION:
        operands = (q, k, v) if op in FORWARD else (q, k, v, *back)
        outputs[op] = b.apply(op, *operands, *rest, scale=0.3)
    source = graph(*entries.values(), limits, outputs=outputs)
    elements = []
    for i in range(3):
        element = {n: numbers(*shape, seed=i, dtype="float64") for n, shape in shapes.items()}
        element["limits"] = np.random.default_rng(i).integers(0, 8, (2, 3, 5)).astype(np.int32)
        elements.append(element)
    compare(source, elements, names, extent=named("N"))


@pytest.mark.parametrize("names", [["x"], ["w"], ["x", "w"], ["g"], ["g", "w"]])
def test_log_product(names: list[str]) -> None:
    """With its way back, from sums near 0 and from such that no float holds the exponentials of."""
    shapes: dict[str, tuple[int, ...]] = {"x": (2, 3, 4), "w": (2, 4, 5), "g": (2, 3, 5)}
    x, w, g = (given(name, *shape, dtype="float64") for name, shape in shapes.items())
    total, slopes = log_product(b, x, w), PRIMITIVES["log_product"].vjp
    assert slopes is not None
    left, right = slopes(b, total, g)[:2]
    assert left is not None and right is not None
    source = graph(x, w, g, total=total, left=left, right=right)
    for size in (1, 3000):
        elements = [
            {
                name: size * numbers(*shape, seed=i, dtype="float64")
                for name, shape in shapes.items()
            }
            for i in range(3)
        ]
        compare(source, elements, names, extent=named("N"))
