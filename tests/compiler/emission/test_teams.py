"""Rows that a team of warps reduces together, on a simulated device and against NumPy."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from diagrad.compiler.emission.teams import FEW_ROWS, LONG, MOST_ROWS
from diagrad.compiler.graph import Node
from diagrad.compiler.memory.plan_memory import plan_memory
from diagrad.compiler.pipeline import compile_kernels, prepare
from diagrad.runtime.cuda.executor import Executor
from diagrad.runtime.cuda.memory import Workspace
from diagrad.runtime.cuda.shapes import is_team
from diagrad.runtime.program import CUDA, BoundProgram

from ...runtime.cuda.running import on_device
from ...runtime.cuda.simulated import SimulatedDevice
from ..building import Array, b, given, graph, numbers


def along(x: Node, like: Node) -> Node:
    return b.broadcast(x, shape=like.shape, axes=(0,))


def softmax(x: Node) -> Node:
    shifted = b.exp(b.sub(x, along(b.reduce_max(x, axes=(1,)), x)))
    return b.div(shifted, along(b.reduce_sum(shifted, axes=(1,)), x))


def softmax_of(x: Array) -> Any:
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


REDUCTIONS: dict[str, tuple[Callable[[Node], Node], Callable[[Array], Any]]] = {
    "sum": (lambda x: b.reduce_sum(x, axes=(1,)), lambda x: x.sum(axis=1)),
    "least": (lambda x: b.reduce_min(b.tanh(x), axes=(1,)), lambda x: np.tanh(x).min(axis=1)),
    "softmax": (softmax, softmax_of),
}


def on_gpu(x: Node, y: Node, sizes: dict[str, int]) -> BoundProgram:
    return plan_memory(compile_kernels(prepare(graph(x, y=y)), target=CUDA), sizes)


@pytest.mark.parametrize("team", [1, 2, 8])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("length", [LONG, LONG + 1, 5 * LONG + 33])
@pytest.mark.parametrize("name", REDUCTIONS)
def test_values(name: str, length: int, dtype: str, team: int) -> None:
    make, wanted = REDUCTIONS[name]
    x = given("x", 3, length, dtype=dtype)
    program = on_gpu(x, make(x), {})
    assert all(is_team(kernel) for kernel in program.kernels)
    array = numbers(3, length, dtype=dtype)
    found = []
    for seed in range(3):
        device = SimulatedDevice(seed, team)
        (value,) = Executor(program, on_device(device, {}), Workspace(device))([array])
        np.testing.assert_allclose(value, wanted(array), rtol=1e-5 if dtype == "float32" else 1e-12)
        found.append(np.asarray(value).tobytes())
    assert found[0] == found[1] == found[2]  # whatever the order of the warps


@pytest.mark.parametrize("place", [0, 40, 2 * LONG - 1])
@pytest.mark.parametrize("name", REDUCTIONS)
def test_nan_in_the_part_of_any_warp(name: str, place: int) -> None:
    make, wanted = REDUCTIONS[name]
    x = given("x", 2, 2 * LONG)
    array = numbers(2, 2 * LONG)
    array[0, place] = np.nan
    device = SimulatedDevice()
    (value,) = Executor(on_gpu(x, make(x), {}), {}, Workspace(device))([array])
    np.testing.assert_allclose(value, wanted(array), rtol=1e-5)
    assert np.isnan(value[0]).all() and not np.isnan(value[1]).any()


@pytest.mark.parametrize("length", [0, 1, 31, 64, 700, 5000])
def test_a_length_with_a_name(length: int) -> None:
    x = given("x", 2, "N")
    program = on_gpu(x, b.reduce_sum(b.exp(x), axes=(1,)), {"N": length})
    assert all(is_team(kernel) for kernel in program.kernels)
    array, device = numbers(2, length), SimulatedDevice()
    (value,) = Executor(program, {}, Workspace(device))([array])
    np.testing.assert_allclose(value, np.exp(array).sum(axis=1), rtol=1e-5)


def test_which_rows_are_a_teams() -> None:
    def team(rows: int | str, length: int | str) -> bool:
        x = given("x", rows, length)
        (kernel,) = compile_kernels(prepare(graph(x, y=softmax(x))), target=CUDA).kernels
        return is_team(kernel)

    assert team("B", LONG) and team(MOST_ROWS, LONG) and team(FEW_ROWS, "N")
    assert not team("B", LONG - 1) and not team(MOST_ROWS + 1, LONG)
    assert not team("B", "N") and not team(FEW_ROWS + 1, "N")
    x = given("x", 4, LONG)
    places, values = (prepare(graph(x, y=y)) for y in (b.argmax(x, axes=(1,)), softmax(x)))
    for template in (compile_kernels(places, target=CUDA), compile_kernels(values)):
        assert not any(is_team(kernel) for kernel in template.kernels)
