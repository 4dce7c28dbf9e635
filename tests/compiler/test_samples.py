"""A graph for each sample apart: against the same graph, run on batches of one."""

from typing import Any

import numpy as np
import pytest

from diagrad.compiler.errors import InvalidGraphError
from diagrad.compiler.graph import Graph
from diagrad.compiler.graphs.verify import verify
from diagrad.compiler.pipeline import prepare
from diagrad.compiler.samples import batch_axis, each_sample
from diagrad.compiler.sizes import named

from .building import Array, b, given, graph, run

RNG = np.random.default_rng(0)


def apart(source: Graph, own: list[bool], arrays: dict[str, Any]) -> dict[str, Array]:
    """What `each_sample` gives for three samples."""
    found = each_sample(source, "B", own, named("B"))
    verify(found)
    return run(prepare(found), arrays, sizes={"B": 3})


def alone(source: Graph, arrays: dict[str, Array], axes: dict[str, int | None]) -> list[Array]:
    """The output of batches of one; `axes` says where an input has its samples, None for own."""
    found = []
    for sample in range(3):
        part = {
            name: array
            if name not in axes
            else array[sample]
            if axes[name] is None
            else array.take([sample], axes[name])
            for name, array in arrays.items()
        }
        found.append(run(prepare(source), part, sizes={"B": 1})["y"])
    return found


def test_samples_may_lie_on_any_axis() -> None:
    x, w = given("x", 4, "B", 2), given("w", 2, 5)
    y = b.contract(x, w, a=(0, 1, 2), b=(2, 3), out=(0, 1, 3))
    source = graph(x, w, y=y)
    arrays = {"x": RNG.normal(size=(4, 3, 2)), "w": RNG.normal(size=(3, 2, 5))}
    found = apart(source, [False, True], arrays)["y"]
    wanted = np.concatenate(alone(source, arrays, {"x": 1, "w": None}), 1)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def test_a_result_without_an_axis_of_samples_gets_one() -> None:
    x, w = given("x", 7), given("w", 7)
    source = graph(x, w, y=b.reduce_sum(b.mul(x, w), axes=(0,)))
    arrays = {"x": RNG.normal(size=7), "w": RNG.normal(size=(3, 7))}
    found = apart(source, [False, True], arrays)["y"]
    np.testing.assert_allclose(found, np.stack(alone(source, arrays, {"w": None})), rtol=1e-6)


def test_the_number_of_samples_is_one() -> None:
    """A mean over the batch is the sample itself, also where its axis was joined with others."""
    x, w = given("x", "B", 5), given("w", 5)
    flat = b.reshape(x, shape=(5 * named("B"),))
    total = b.reduce_sum(flat, axes=(0,))
    mean = b.div(total, b.apply("size", size=named("B"), dtype="float32"))
    source = graph(x, w, y=b.mul(b.spread(mean, (5,)), w))
    arrays = {"x": RNG.normal(size=(3, 5)), "w": RNG.normal(size=(3, 5))}
    found = apart(source, [False, True], arrays)["y"]
    np.testing.assert_allclose(found, arrays["w"] * arrays["x"].sum(1, keepdims=True), rtol=1e-5)


def test_what_does_not_depend_on_a_sample_is_repeated() -> None:
    x, w = given("x", "B", 2), given("w", 2)
    source = graph(x, w, y=b.spread(b.constant(2.0, "float32"), x.shape))
    found = apart(source, [False, True], {"x": np.zeros((3, 2)), "w": np.zeros((3, 2))})["y"]
    np.testing.assert_array_equal(found, np.full((3, 2), 2.0))


def test_each_sample_has_its_part_of_the_draws() -> None:
    key, w = given("key", dtype="int64"), given("w", 2)
    bits = b.cast(
        b.random_bits(key, b.constant(5, "int64"), shape=(named("B"), 2)), dtype="float32"
    )
    source = graph(key, w, y=b.mul(bits, b.broadcast(w, shape=bits.shape, axes=(1,))))
    arrays = {"key": np.int64(5), "w": np.full((3, 2), 2.0, np.float32)}
    found = apart(source, [False, True], arrays)["y"]
    whole = run(
        prepare(source), {"key": np.int64(5), "w": np.full(2, 2.0, np.float32)}, sizes={"B": 3}
    )
    np.testing.assert_array_equal(found, whole["y"])


def test_draws_whose_key_is_a_sample_s_own_are_refused() -> None:
    key = given("key", dtype="int64")
    source = graph(key, y=b.random_bits(key, b.constant(5, "int64"), shape=(2,)))
    with pytest.raises(InvalidGraphError, match="random_bits has no batch rule"):
        each_sample(source, "B", [True], named("B"))


def test_the_axis_of_samples() -> None:
    assert batch_axis(given("x", 3, "B").type, "B") == 1
    assert batch_axis(given("x", 3).type, "B") is None
