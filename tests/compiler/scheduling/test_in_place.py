"""in_place: a value lies over what its group reads for the last time, where that is safe."""

import numpy as np
import pytest

from diagrad.compiler.graph import Graph, Node
from diagrad.compiler.memory.plan_memory import plan_memory
from diagrad.compiler.passes.materialise import materialise
from diagrad.compiler.passes.split_reductions import split_reductions
from diagrad.compiler.pipeline import compile_kernels, prepare
from diagrad.compiler.scheduling.fuse import fuse
from diagrad.compiler.scheduling.schedule import schedule
from diagrad.runtime.cpu.executor import Executor

from ..building import b, given, graph, numbers, run, state

X, Z = given("x", "B", 24), given("z", 24, 24)


def product(x: Node, y: Node = Z) -> Node:
    return b.contract(x, y, a=(0, 1), b=(1, 2), out=(0, 2))


def over(whole: Graph) -> list[tuple[str, str]]:
    """Operations of (value, what it lies over)."""
    found = schedule(fuse(materialise(split_reductions(prepare(whole)))))
    return [
        (s.name.rstrip("0123456789"), found.storages[s.over].name.rstrip("0123456789"))
        for s in found.storages
        if s.over is not None
    ]


def rows(x: Node) -> Node:
    """The sums of the rows, spread over them."""
    return b.broadcast(b.reduce_sum(x, axes=(1,)), shape=x.shape, axes=(0,))


FIRST = product(X)
POWERS = b.exp(FIRST)
SOFT = b.div(POWERS, rows(POWERS))
CASES: dict[str, tuple[Graph, list[tuple[str, str]]]] = {
    # Each second product ends a kernel, so that what it reads was stored by another.
    "a kernel after a product": (
        graph(X, Z, y=product(b.add(b.transpose(b.transpose(FIRST, axes=(1, 0)), axes=(1, 0)),
                                    rows(FIRST)))),
        [("add", "contract")],
    ),
    "an epilogue": (
        graph(X, Z, y=product(b.add(product(b.exp(product(FIRST))), FIRST))),
        [("add", "contract")],
    ),
    "an epilogue of a product with the same value": (
        graph(X, Z, y=product(b.add(product(FIRST), FIRST))), [],
    ),
    "rows, and what they are divided by": (graph(X, Z, y=product(SOFT)), [("div", "exp")]),
    "read again later, there for the last time": (
        graph(X, Z, y=product(b.add(product(SOFT), POWERS))), [("add", "exp")],
    ),
    "read turned": (
        graph(Z, y=product(b.add(product(Z), b.transpose(product(Z), axes=(1, 0))))), [],
    ),
    "shown by an output": (graph(X, Z, y=product(SOFT), z=POWERS), []),
    "of fewer bytes": (
        graph(X, Z, y=product(b.cast(b.gt(FIRST, rows(FIRST)), dtype="float32"))),
        [("cast", "contract")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_where_values_lie(name: str) -> None:
    whole, wanted = CASES[name]
    assert over(whole) == wanted


@pytest.mark.parametrize("batch", [0, 1, 17, 64, 131])
@pytest.mark.parametrize("name", CASES)
def test_the_values_stay(name: str, batch: int) -> None:
    whole, _ = CASES[name]
    arrays = {"x": numbers(batch, 24, seed=1) / 4, "z": numbers(24, 24, seed=2) / 4}
    wanted = run(prepare(whole), arrays, sizes={"B": batch})
    got = run(prepare(whole), arrays, "cpu", {"B": batch})
    for key, value in wanted.items():
        np.testing.assert_allclose(got[key], value, rtol=1e-4, atol=1e-4, err_msg=key)


def test_threads_do_not_change_a_bit() -> None:
    """Chunks of rows are written over what they read."""
    whole = CASES["read again later, there for the last time"][0]
    program = plan_memory(compile_kernels(prepare(whole)), {"B": 20000})
    arrays = [numbers(20000, 24, seed=1) / 4, numbers(24, 24, seed=2) / 4]
    first = [np.array(value) for value in Executor(program, {}, threads=1)(arrays)]
    shared = Executor(program, {}, threads=2)
    assert shared.threads == 2
    for _ in range(10):
        for value, wanted in zip(shared(arrays), first, strict=True):
            np.testing.assert_array_equal(value, wanted)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("height", [1, 64, 131])
def test_sums_of_what_the_same_kernel_overwrites(height: int, dtype: str) -> None:
    """Of rows, of columns and of all of a state, beside its next value."""
    w, line = state("w", height, 40, dtype=dtype), state("line", 70 * height, dtype=dtype)
    whole = graph(
        w,
        line,
        updates={w: b.exp(w), line: b.exp(line)},
        rows=b.reduce_sum(w, axes=(1,)),
        columns=b.reduce_sum(w, axes=(0,)),
        most=b.reduce_max(w, axes=(0, 1)),
        total=b.reduce_sum(line, axes=(0,)),
    )
    found = schedule(fuse(materialise(split_reductions(prepare(whole)))))
    assert found.copies == ()
    values = {"w": numbers(height, 40, dtype=dtype), "line": numbers(70 * height, dtype=dtype)}
    near = 1e-12 if dtype == "float64" else 1e-4
    results = []
    for target in ("reference", "cpu"):
        arrays = {name: value.copy() for name, value in values.items()}
        results.append({**run(prepare(whole), arrays, target), **arrays})
    for key, value in results[0].items():
        np.testing.assert_allclose(results[1][key], value, rtol=near, atol=near, err_msg=key)
