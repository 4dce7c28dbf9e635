"""Parts: sums of pads become concatenations, whose parts are made where they belong."""

from typing import Any

import numpy as np
import pytest

from diagrad.compiler.graph import Graph, Node
from diagrad.compiler.memory.plan_memory import plan_memory
from diagrad.compiler.passes.simplify.simplify import simplify
from diagrad.compiler.pipeline import compile_kernels

from ..building import b, expression, given, graph, numbers, run


def parts(axis: int, **more: bool) -> tuple[Graph, dict[str, Any]]:
    """Exp(x), a product, a row's sum spread, and an input side by side."""
    x, w = given("x", "B", 5), given("w", 5, 5)
    product = b.tanh(b.contract(x, w, a=(0, 1), b=(1, 2), out=(0, 2)))
    items = [b.exp(x), product, b.mul(x, x), x]
    shape = (x.shape[0], 1, 5)
    wide = b.concatenate(*(b.reshape(item, shape=shape) for item in items), axis=axis)
    outputs = {"wide": b.mul(wide, wide)} if more.get("through") else {"wide": wide}
    if more.get("shared"):
        outputs["again"] = b.neg(items[1])
    return graph(x, w, outputs=outputs), {"x": numbers(3, 5), "w": numbers(5, 5)}


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("through", [False, True])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("batch", [0, 1, 3, 70])
def test_values(axis: int, through: bool, shared: bool, batch: int) -> None:
    whole, arrays = parts(axis, through=through, shared=shared)
    arrays["x"] = np.random.default_rng(0).normal(size=(batch, 5)).astype(np.float32)
    wanted = run(whole, arrays, sizes={"B": batch})
    found = run(whole, arrays, "cpu", sizes={"B": batch})
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-5, atol=1e-6)


def copies(**more: bool) -> int:
    whole, _ = parts(1, **more)
    program = plan_memory(compile_kernels(whole), {"B": 3})
    kernels = [program.kernels[item.kernel].name for item in program.instructions]
    return sum("concatenate" in name for name in kernels)


def test_only_what_lies_elsewhere_is_copied() -> None:
    assert copies() == 1  # the input
    assert copies(shared=True) == 1  # neg stands in the product's kernel: no one reads it


def padded(x: Node, low: int, width: int = 6) -> Node:
    return b.pad(x, low=(0, low), inner=(1, 1), shape=(x.shape[0], width))


def test_sums_of_neighbours_are_side_by_side() -> None:
    u, v, w = given("u", "B", 2), given("v", "B", 1), given("w", "B", 3)
    q = given("q", "B", 6)
    sums = {
        "whole": b.add(b.add(padded(u, 0), padded(w, 3)), padded(v, 2)),
        "less": b.add(padded(v, 2), padded(u, 0)),
        "twice": b.add(padded(u, 0), padded(u, 0)),
        "beside two": b.add(b.add(padded(u, 0), q), b.add(padded(v, 2), b.mul(q, q))),
        "more": b.add(b.add(padded(u, 0), q), b.add(padded(v, 2), padded(w, 3))),
        "apart": b.add(padded(u, 0), padded(w, 3)),
        "across": b.add(padded(u, 1), padded(w, 2)),
    }
    whole = graph(u, v, w, q, outputs=sums)
    found = {name: expression(node) for name, node in simplify(whole).outputs}
    assert found["whole"] == "concatenate(u, v, w, axis=1)"
    assert found["less"].startswith("pad(concatenate(u, v, axis=1)")
    assert "concatenate" not in found["twice"] + found["beside two"]
    assert found["more"] == "add(concatenate(u, v, w, axis=1), q)"
    assert found["apart"].count("pad") == found["across"].count("pad") == 2
    arrays = {"u": numbers(3, 2), "v": numbers(3, 1), "w": numbers(3, 3), "q": numbers(3, 6)}
    wanted = run(whole, arrays, sizes={"B": 3})
    for name, value in run(simplify(whole), arrays, sizes={"B": 3}).items():
        np.testing.assert_array_equal(value, wanted[name])


def test_parts_are_merged_with_the_axes_behind() -> None:
    x, y = given("x", "B", 2, 3), given("y", "B", 1, 3)
    both = b.concatenate(x, y, axis=1)
    flat, same = b.reshape(both, shape=(x.shape[0], 9)), b.reshape(both, shape=(x.shape[0] * 3, 3))
    whole = simplify(graph(x, y, flat=flat, same=same))
    found = {name: expression(node) for name, node in whole.outputs}
    assert found["flat"].startswith("concatenate(reshape(x, shape=(B,6)), reshape(y, shape=(B,3))")
    assert found["same"].startswith("reshape(concatenate(")
    arrays = {"x": numbers(4, 2, 3), "y": numbers(4, 1, 3)}
    value = run(whole, arrays, "cpu", sizes={"B": 4})["flat"]
    np.testing.assert_array_equal(
        value, np.concatenate((arrays["x"], arrays["y"]), 1).reshape(4, 9)
    )


@pytest.mark.parametrize("batch", [0, 1, 3, 70])
def test_a_part_of_another_shape_is_made_in_its_place(batch: int) -> None:
    """The cotangents of a flat vector's pieces: matrices side by side, for each sample or once."""
    x, y, v = given("x", "B", 5), given("y", "B", 7), given("v", 7)
    size = x.shape[0]
    each = b.contract(x, y, a=(0, 1), b=(0, 2), out=(0, 1, 2))
    flat = b.concatenate(b.reshape(each, shape=(size, 35)), b.exp(y), axis=1)
    once = b.tanh(b.contract(x, y, a=(0, 1), b=(0, 2), out=(1, 2)))
    line = b.concatenate(b.exp(v), b.reshape(once, shape=(35,)), axis=0)
    turned = b.transpose(b.contract(x, y, a=(0, 1), b=(0, 2), out=(2, 1)), axes=(1, 0))
    head = b.slice(b.neg(v), start=(0,), stop=(5,), step=(1,))
    apart = b.concatenate(turned, b.reshape(b.exp(v), shape=(1, 7)), axis=0)
    less = b.concatenate(head, b.exp(v), axis=0)
    for made, copied in ((flat, 0), (line, 0), (apart, 1), (less, 1)):
        whole = graph(x, y, v, made=made)
        program = plan_memory(compile_kernels(whole), {"B": 3})
        names = [program.kernels[item.kernel].name for item in program.instructions]
        assert sum("concatenate" in name for name in names) == copied
        arrays = {"x": numbers(batch, 5), "y": numbers(batch, 7), "v": numbers(7)}
        np.testing.assert_allclose(
            run(whole, arrays, "cpu", sizes={"B": batch})["made"],
            run(whole, arrays, sizes={"B": batch})["made"],
            rtol=1e-5,
            atol=1e-6,
        )
