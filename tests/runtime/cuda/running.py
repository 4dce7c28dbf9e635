"""Steps of the table's programs on a device and by the reference, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from diagrad.compiler.memory.tape import emit_tape
from diagrad.runtime.cuda.device import Device
from diagrad.runtime.cuda.executor import Executor
from diagrad.runtime.cuda.memory import Workspace, state_array
from diagrad.runtime.program import BoundProgram
from diagrad.runtime.reference import ReferenceExecutor

from .programs import execution

Array = npt.NDArray[Any]


def on_device(device: Device, states: Mapping[str, Array]) -> dict[str, Array]:
    """Copies of states in memory that a device sees."""
    found = {}
    for name, array in states.items():
        found[name] = state_array(device, array.shape, array.dtype)
        found[name][...] = array
    return found


class Both:
    """A program of the table on a device, and what it means.

    Attributes:
        executor: of the device.
        states: the arrays that it changes.
        wanted: what they should be.
    """

    def __init__(
        self, name: str, sizes: Mapping[str, int], program: BoundProgram, device: Device
    ) -> None:
        graph = execution(name)
        self.states = on_device(device, graph.states)
        self.executor = Executor(program, self.states, Workspace(device))
        self.wanted = {name: np.array(array) for name, array in graph.states.items()}
        self._reference = ReferenceExecutor(emit_tape(graph.graph, sizes), self.wanted)
        self.outputs = graph.outputs

    def step(self, inputs: Sequence[Array], rtol: float = 2e-4, atol: float = 2e-5) -> None:
        """One step of both: the outputs and the states must be close."""
        wanted = self._reference(list(inputs))
        found = self.executor(inputs)
        for name, got, right in zip(self.outputs, found, wanted, strict=True):
            _close(got, np.asarray(right), rtol, atol, name)
        for name, array in self.wanted.items():
            _close(self.states[name], array, rtol, atol, name)


def _close(got: Array, wanted: Array, rtol: float, atol: float, name: str) -> None:
    assert (got.shape, got.dtype) == (wanted.shape, wanted.dtype), name
    if wanted.dtype.kind == "f":
        single = wanted.dtype == np.float32
        np.testing.assert_allclose(
            got, wanted, rtol=rtol if single else 1e-10, atol=atol if single else 1e-11,
            err_msg=name,
        )  # fmt: skip
    else:
        np.testing.assert_array_equal(got, wanted, err_msg=name)
