"""One graph of a program, on its target: prepared once, bound anew for every set of sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..compiler.binding import SizeRuleError, check_sizes, size_names
from ..compiler.graph import Graph
from ..compiler.pipeline import Timings, prepare
from ..compiler.sizes import evaluate
from ..runtime.program import CheckFailedError
from .errors import InputError
from .inputs import Expected, bind_sizes, check_names

Target = Literal["cpu", "reference"]
TARGETS = ("cpu", "reference")
Array = npt.NDArray[Any]
KEPT = 128
"""Sets of sizes that stay bound, each with memory of its own; the oldest goes first."""
_READY = 0x101
"""NumPy's flags C_CONTIGUOUS and ALIGNED, looked up at once."""


class Execution:
    """A graph with its inputs, ready to be called at any sizes."""

    def __init__(
        self,
        graph: Graph,
        expected: Sequence[Expected],
        states: Mapping[str, Array],
        target: Target,
        precision: str | None,
        timings: Timings,
        threads: int | None = None,
    ) -> None:
        self.name = graph.name
        self.target = target
        self.timings = timings
        self.threads = threads
        self.expected = list(expected)
        self.outputs = [name for name, _ in graph.outputs]
        self.states = states
        order = {item.name: place for place, item in enumerate(expected)}
        inputs = sorted(graph.inputs, key=lambda n: order.get(n.attrs["name"], -1))
        self.graph = prepare(
            Graph(graph.name, tuple(inputs), graph.outputs, graph.updates), precision, timings
        )
        self._template: Any = None
        self._bound: dict[tuple[tuple[int, ...], ...], Any] = {}

    def call(self, what: str, inputs: Mapping[str, Any]) -> list[Array]:
        """The outputs for these inputs, checked first; the updates are made."""
        arrays = []
        shapes = []
        try:
            for item in self.expected:
                value = inputs[item.name]
                if (
                    type(value) is not np.ndarray
                    or value.dtype is not item.dtype
                    or value.flags.num & _READY != _READY
                ):
                    value = item.check(value)
                arrays.append(value)
                shapes.append(value.shape)
            executor = self._bound[tuple(shapes)]
            if len(inputs) != len(shapes):
                raise KeyError
        except KeyError:
            executor, arrays = self._bind(what, inputs)
        try:
            result: list[Array] = executor(arrays)
        except CheckFailedError as failure:
            raise self._explain_check(what, failure, arrays) from None
        return result

    def _explain_check(
        self, what: str, failure: CheckFailedError, arrays: Sequence[Array]
    ) -> InputError:
        """Which element of which input lies outside its range."""
        check = self.graph.checks[failure.check]
        place, item = next((i, e) for i, e in enumerate(self.expected) if e.name == check.name)
        array = arrays[place]
        index = tuple(int(i) for i in np.unravel_index(failure.index, array.shape))
        sizes = bind_sizes(what, self.expected, arrays)
        high = evaluate(check.high, sizes)
        return InputError(
            f"{what} of '{self.name}': input '{item.name}' ({item.variable.where}) expects values "
            f"in [{check.low}, {high}), got {array[index]} at index {index}: nothing was changed"
        )

    def _bind(self, what: str, inputs: Mapping[str, Any]) -> tuple[Any, list[Array]]:
        what = f"{what} of '{self.name}'"
        check_names(what, self.expected, inputs)
        arrays = [item.check(inputs[item.name]) for item in self.expected]
        sizes = bind_sizes(what, self.expected, arrays)
        unbound = sorted(size_names(self.graph) - sizes.keys())
        if unbound:
            raise InputError(
                f"{what} needs the size {', '.join(unbound)}, which no input has: use an input of "
                "that size, or give the size as an integer"
            )
        try:
            check_sizes(self.graph, sizes, training=bool(self.graph.updates))
        except SizeRuleError as error:
            raise InputError(f"{what}: {error}") from None
        executor = self.executor(sizes)
        if len(self._bound) >= KEPT:
            del self._bound[next(iter(self._bound))]
        self._bound[tuple(array.shape for array in arrays)] = executor
        return executor, arrays

    def executor(self, sizes: Mapping[str, int]) -> Any:
        """What runs the graph at these sizes, on the target."""
        if self.target == "reference":
            from ..compiler.tape import emit_tape
            from ..runtime.reference import ReferenceExecutor

            return ReferenceExecutor(emit_tape(self.graph, sizes), self.states)
        from ..compiler.passes.plan_memory import plan_memory
        from ..compiler.pipeline import compile_kernels
        from ..runtime.cpu.executor import Executor

        if self._template is None:
            self._template = compile_kernels(self.graph, self.timings)
        program = self.timings.run("plan_memory", plan_memory, self._template, sizes)
        return Executor(program, self.states, self.threads)

    def kernels(self) -> dict[str, str]:
        """Kernel sources by name, of every set of sizes bound so far."""
        return {kernel.name: kernel.source for kernel in getattr(self._template, "kernels", ())}

    def explain(self) -> list[str]:
        """A line for each kernel: whether it was compiled or came from the cache, and why."""
        lines = []
        for shapes, executor in self._bound.items():
            lines.append(f"  bound to {', '.join(map(str, shapes))}")
            for name, source, reason, milliseconds in getattr(executor, "report", ()):
                lines.append(f"    {name}: {source} ({reason}), {milliseconds:.1f} ms")
        return lines
