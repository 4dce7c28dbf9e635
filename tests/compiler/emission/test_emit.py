"""emit: the text of kernels, and that equal kernels are one."""

from collections.abc import Callable

import numpy as np
import pytest

from diagrad.compiler.graph import Graph, Node, Origin
from diagrad.compiler.graphs.depth import columns_in_first
from diagrad.compiler.passes.materialise import materialise
from diagrad.compiler.pipeline import compile_kernels, prepare
from diagrad.compiler.primitives.record import Builder
from diagrad.compiler.scheduling.template import Template, Tiled

from ..building import b, given, graph, number, numbers, run, state


def emitted(whole: Graph) -> Template:
    return compile_kernels(prepare(whole))


def sources(whole: Graph) -> str:
    """Every kernel's text, and the buffers that each row touches."""
    template = emitted(whole)
    names = [storage.name for storage in template.storages]
    lines = []
    for kernel in template.kernels:
        lines += [f"# {kernel.name}", kernel.source]
    for row in template.rows:
        reads, writes = (" ".join(names[n] for n in each) for each in (row.reads, row.writes))
        name = template.kernels[row.kernel].name
        extent = row.extent.which if isinstance(row.extent, Tiled) else row.extent
        lines.append(f"# {name} over {extent}: {reads} -> {writes}")
    return "\n".join(lines)


def softmax(x: Node) -> Node:
    def rows(value: Node) -> Node:
        return b.broadcast(value, shape=x.shape, axes=(0,))

    weights = b.exp(b.sub(x, rows(b.reduce_max(x, axes=(1,)))))
    return b.div(weights, rows(b.reduce_sum(weights, axes=(1,))))


def dense(x: Node, w: Node, bias: Node, builder: Builder = b) -> Node:
    y = builder.contract(x, w, a=(0, 1), b=(1, 2), out=(0, 2))
    return builder.tanh(builder.add(y, builder.broadcast(bias, shape=y.shape, axes=(1,))))


def test_elementwise(golden: Callable[[str, str], None]) -> None:
    x, w = given("x", "B", 3), given("w", 3)
    y = b.mul(b.add(x, b.broadcast(w, shape=x.shape, axes=(1,))), number(2.5, x))
    golden("emit/elementwise", sources(graph(x, w, y=y, flat=b.sqrt(x))))


def test_softmax(golden: Callable[[str, str], None]) -> None:
    x = given("x", "B", 48)
    golden("emit/softmax", sources(graph(x, y=softmax(x))))


def test_softmax_of_short_rows(golden: Callable[[str, str], None]) -> None:
    """Each lane has a row of its own."""
    x = given("x", "B", 10)
    golden("emit/softmax_of_short_rows", sources(graph(x, y=softmax(x))))


def test_product(golden: Callable[[str, str], None]) -> None:
    x, w, bias = given("x", "B", 5), state("w", 5, 7), state("b", 7)
    golden("emit/product", sources(graph(x, w, bias, y=dense(x, w, bias))))


def test_equal_kernels_are_one() -> None:
    x = given("x", "B", 6)
    pairs = [(state(f"w{i}", 6, 6), state(f"b{i}", 6)) for i in range(4)]
    node = x
    for w, bias in pairs:
        node = dense(node, w, bias)
    template = emitted(graph(x, *(item for pair in pairs for item in pair), y=node))
    assert len(template.rows) == 4 and len(template.kernels) == 1


def test_another_size_gives_the_same_kernels() -> None:
    def texts(batch: int | str, width: int) -> set[str]:
        x, w, bias = given("x", batch, width), state("w", width, 9), state("b", 9)
        y = dense(x, w, bias)
        whole = graph(x, w, bias, y=softmax(y), sum=b.reduce_sum(x, axes=(0,)), z=b.scale(x, 0.3))
        return {kernel.source for kernel in emitted(whole).kernels}

    assert texts(7000, 5) == texts(9000, 17) == texts("B", 31)


def test_a_number_in_the_text_is_a_word() -> None:
    """Learning rates and the like do not make new kernels."""

    def texts(rate: float) -> set[str]:
        x = given("x", 7)
        return {kernel.source for kernel in emitted(graph(x, y=b.scale(x, rate))).kernels}

    assert texts(0.1) == texts(0.37)


def test_names_and_origins() -> None:
    x, w, bias = given("x", "B", 5), state("w", 5, 7), state("b", 7)
    y = dense(x, w, bias, Builder(Origin("net/fc")))
    z = Builder(Origin("net/out", "", "backward")).exp(y)
    template = emitted(graph(x, w, bias, z=z))
    (kernel,), (row,) = template.kernels, template.rows
    assert kernel.name == "k0_contract_add_tanh_exp"
    assert row.origins == ("net/fc", "net/out backward")
    long = emitted(graph(x, y=b.sin(b.cos(b.exp(b.tanh(b.sin(b.cos(x))))))))
    assert long.kernels[0].name == "k0_cos_sin_tanh_exp_and_2_more"


def test_rows_write_what_is_stored_and_read_what_they_need() -> None:
    x, w = given("x", "B", 5), state("w", 5, 7)
    y = b.exp(b.contract(x, w, a=(0, 1), b=(1, 2), out=(0, 2)))
    step = b.sub(w, b.contract(x, y, a=(0, 1), b=(0, 2), out=(1, 2)))
    template = emitted(graph(x, w, updates={w: step}, s=b.reduce_sum(y, axes=(1,))))
    names = [storage.name for storage in template.storages]
    touched = [({names[n] for n in r.reads}, {names[n] for n in r.writes}) for r in template.rows]
    assert touched[0] == ({"x", "w"}, {names[template.rows[0].writes[0]]})
    assert any(reads >= {"x", "w"} and writes == {"w"} for reads, writes in touched[1:])
    assert any(writes == {"s"} for _, writes in touched)


def test_kernels_compute_what_they_say() -> None:
    x, w, bias = given("x", "B", 5), state("w", 5, 7), state("b", 7)
    whole = prepare(graph(x, w, bias, y=softmax(dense(x, w, bias))))
    for batch in (0, 1, 33):
        arrays = {"x": numbers(batch, 5), "w": numbers(5, 7), "b": numbers(7)}
        wanted = run(whole, arrays, sizes={"B": batch})["y"]
        got = run(whole, arrays, "cpu", {"B": batch})["y"]
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)


def cut(x: Node, axis: int, size: int, stride: int, dilation: int = 1) -> Node:
    return b.windows(x, axis=axis, size=size, stride=stride, dilation=dilation)


def test_windows(golden: Callable[[str, str], None]) -> None:
    """Short rows are gone through many at a time; what they add up to is one kernel an axis."""
    x = given("x", "B", 8, 9)
    seen = cut(cut(x, 1, 3, 1), 3, 5, 4)
    y = b.tanh(b.transpose(seen, axes=(2, 4, 0, 1, 3)))
    down = b.overlap_add(b.sin(cut(x, 1, 3, 2)), axis=1, stride=2, dilation=1, extent=8)
    across = b.overlap_add(b.exp(cut(x, 2, 5, 4)), axis=2, stride=4, dilation=1, extent=9)
    line = given("line", 90)
    one = b.overlap_add(b.exp(cut(line, 0, 4, 3, 2)), axis=0, stride=3, dilation=2, extent=90)
    golden("emit/windows", sources(graph(x, line, y=y, down=down, across=across, one=one)))


@pytest.mark.parametrize("rows", [0, 1, 70])
def test_short_rows_have_their_values(rows: int) -> None:
    x, w = given("x", "B", 3, 5, dtype="float64"), given("w", 5, dtype="float64")
    turned = b.transpose(x, axes=(1, 0, 2))
    y = b.mul(b.exp(turned), b.broadcast(w, shape=turned.shape, axes=(2,)))
    middle = b.transpose(x, axes=(2, 0, 1))
    whole = graph(x, w, y=y, middle=b.concatenate(middle, b.neg(middle), axis=2))
    arrays = {"x": numbers(rows, 3, 5, dtype="float64"), "w": numbers(5, dtype="float64")}
    found = run(prepare(materialise(whole)), arrays, "cpu", {"B": rows})
    wanted = run(whole, arrays, sizes={"B": rows})
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-13, err_msg=name)


def test_columns_of_a_product() -> None:
    """They are the last axis of the result, or the longer one of two where that is a batch's."""
    x, w, v = given("x", "B", 5, 7), given("w", 7, 5, 3), given("v", 7, 5, 100)
    rows = b.contract(x, w, a=(0, 1, 2), b=(2, 1, 3), out=(0, 3))
    turned = b.contract(x, w, a=(0, 1, 2), b=(2, 1, 3), out=(3, 0))
    few = b.contract(x, w, a=(0, 1, 2), b=(2, 1, 3), out=(0, 3, 2))
    many = b.contract(x, v, a=(0, 1, 2), b=(2, 1, 3), out=(0, 3, 2))
    found = [columns_in_first(n, n.attrs["out"]) for n in (rows, turned, few, many)]
    assert found == [False, True, True, False]
    assert not columns_in_first(b.contract(w, w, a=(0, 1, 2), b=(0, 1, 2), out=()), ())
