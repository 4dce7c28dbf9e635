"""Programs run natively on the processor, their kernels written for any number of lanes.

A value of 32 lanes in one vector gives what a warp of a graphics processor gives in lock-step.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from diagrad.compiler.memory.plan_memory import plan_memory
from diagrad.compiler.pipeline import compile_kernels
from diagrad.frontend.programs.execution import Execution
from diagrad.runtime.cpu.executor import Executor
from diagrad.runtime.program import Target

Array = npt.NDArray[Any]


class OnLanes:
    """An execution of a program on the processor, with kernels for any number of lanes.

    Its target is one of the processor's routines, which pack operands in the worker's memory.  It
    has copies of the program's states.

    Attributes:
        states: the arrays that steps change.
    """

    def __init__(self, execution: Execution, target: Target) -> None:
        self.execution = execution
        self.template = compile_kernels(execution.graph, target=target)
        self.states = {name: np.array(array) for name, array in execution.states.items()}

    def __call__(self, inputs: Mapping[str, Any]) -> dict[str, Array]:
        """The outputs by name."""
        arrays = {item.name: item.check(inputs[item.name]) for item in self.execution.expected}
        sizes = self.execution.sizes_of("run", list(arrays.values()))
        executor = Executor(plan_memory(self.template, sizes), self.states)
        names = [node.attrs["name"] for node in self.execution.graph.inputs]
        values = executor([arrays[name] for name in names if name in arrays])
        return dict(zip(self.execution.outputs, values, strict=True))
