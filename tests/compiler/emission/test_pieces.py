"""What one index covers on a GPU: a piece of a long row, or of a matrix that is turned."""

from typing import Any

import numpy as np
import pytest

from diagrad.compiler.emission.axes import PIECE
from diagrad.compiler.graph import Node
from diagrad.compiler.memory.plan_memory import plan_memory
from diagrad.compiler.pipeline import compile_kernels, prepare
from diagrad.runtime.cpu.executor import Executor
from diagrad.runtime.program import CPU, CUDA, BoundProgram

from ..building import b, given, graph, numbers

LENGTHS = (0, 1, PIECE - 1, PIECE, PIECE + 1, 5 * PIECE + 3)


def on_gpu(inputs: tuple[Node, ...], y: Node, sizes: dict[str, int]) -> BoundProgram:
    template = compile_kernels(prepare(graph(*inputs, y=y)), target=CUDA)
    return plan_memory(template, sizes)


def values(program: BoundProgram, *arrays: Any) -> Any:
    """Its one output, natively: nothing of it calls a routine for products."""
    (found,) = Executor(program, {})(arrays)
    return found


@pytest.mark.parametrize("length", LENGTHS)
def test_a_line(length: int) -> None:
    x = given("x", "N")
    program = on_gpu((x,), b.exp(x), {"N": length})
    (row,) = program.instructions
    assert row.extent == -(-length // PIECE)
    array = numbers(length)
    np.testing.assert_allclose(values(program, array), np.exp(array), rtol=1e-6)


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("length", LENGTHS)
def test_rows_with_an_operand_for_each(length: int, named: bool) -> None:
    x, c = given("x", 3, "N" if named else length), given("c", 3)
    y = b.mul(b.tanh(x), b.broadcast(c, shape=x.shape, axes=(0,)))
    program = on_gpu((x, c), y, {"N": length} if named else {})
    (row,) = program.instructions
    if not named and length <= PIECE:  # a row is a piece, and an axis of one element is none
        assert row.extent == (1 if length == 1 else 3)
    else:
        assert row.extent == 3 * -(-length // PIECE)
    array, factors = numbers(3, length), numbers(3, seed=1)
    wanted = np.tanh(array) * factors[:, None]
    np.testing.assert_allclose(values(program, array, factors), wanted, rtol=1e-6)


@pytest.mark.parametrize("columns", [32, PIECE, PIECE + 1, 3 * PIECE + 5])
def test_a_turned_matrix(columns: int) -> None:
    x = given("x", 2, columns, 70)
    program = on_gpu((x,), b.transpose(x, axes=(0, 2, 1)), {})
    (row,) = program.instructions
    assert row.extent == 2 * 3 * -(-columns // PIECE)
    array = numbers(2, columns, 70)
    np.testing.assert_array_equal(values(program, array), array.transpose(0, 2, 1))


def test_rows_with_sums_and_the_processor_stay_whole() -> None:
    x = given("x", 5, 1000)
    y = b.exp(b.sub(x, b.broadcast(b.reduce_max(x, axes=(1,)), shape=x.shape, axes=(0,))))
    (row,) = on_gpu((x,), y, {}).instructions
    assert row.extent == 5
    c = given("c", 5)
    z = b.mul(x, b.broadcast(c, shape=x.shape, axes=(0,)))
    whole = compile_kernels(prepare(graph(x, c, y=z)))
    (row,) = plan_memory(whole, {}).instructions
    assert (row.extent, whole.target) == (5, CPU)
