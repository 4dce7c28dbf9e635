"""The targets: one row each, and all that differs between them.

An engine makes what the programs of a target need: the lock of their calls, the arrays of their
states, and what runs a graph at some sizes.  Nobody else asks which target it is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

import numpy as np
import numpy.typing as npt

from ...runtime.collector import collector_paused
from ...runtime.mutex import Mutex
from ..arguments import shown
from ..errors import InputError, TargetError
from .inputs import Expected

if TYPE_CHECKING:
    from ...compiler.graph import Graph
    from ...compiler.scheduling.template import Template
    from ...compiler.timings import Timings
    from ...runtime.program import BoundProgram
    from ...runtime.program import Target as KernelTarget
    from ...runtime.tracing import Limits

Array = npt.NDArray[Any]
Target = Literal["cpu", "cuda", "reference"]


class Source(Protocol):
    """What an engine asks of a graph that it is to run."""

    states: Mapping[str, Array]
    workspace: Mutex
    timings: Timings
    threads: int | None
    scalar: bool

    @property
    def graph(self) -> Graph:
        """The prepared graph."""

    def template(self) -> Template:
        """Its kernels and its table, with named sizes."""


class Engine(ABC):
    """How a target makes its arrays and runs its programs.

    Attributes:
        name: of the target.
        has_device: whether outputs may stay on a device.
    """

    name: ClassVar[Target]
    has_device: ClassVar[bool] = False

    @classmethod
    def missing(cls) -> str:
        """What this machine lacks for it, and what to do; empty where it can be used."""
        return ""

    @classmethod
    @abstractmethod
    def machine(cls) -> str:
        """What it runs on here; only where nothing is missing."""

    @abstractmethod
    def workspace(self) -> Mutex:
        """What a call of a program holds, so that there is one at a time."""

    def array(self, value: Array) -> Array:
        """An array for a state, where kernels reach it, with the values of one of nobody else."""
        return np.require(value, None, ["C", "W", "A"])

    def given(self, item: Expected, value: Any) -> Any:
        """An input as the executor takes it; InputError if it is not what is expected."""
        return item.check(value)

    @abstractmethod
    def executor(self, source: Source, sizes: Mapping[str, int]) -> Any:
        """What runs the graph at these sizes."""


class CompilingEngine(Engine):
    """One for which kernels are compiled, which are kept in the cache."""

    @abstractmethod
    def written_for(self) -> KernelTarget:
        """What its kernels are written for, in the compiler's words."""

    def executor(self, source: Source, sizes: Mapping[str, int]) -> Any:
        """A program of these sizes, made ready to run."""
        from ...compiler.memory.plan_memory import plan_memory

        template = source.template()
        with collector_paused():
            program = source.timings.run("plan_memory", plan_memory, template, sizes)
            return self.made_ready(source, program)

    @abstractmethod
    def made_ready(self, source: Source, program: BoundProgram) -> Any:
        """What runs a program of the graph."""

    @abstractmethod
    def tracer(self, source: Source, program: BoundProgram) -> Any:
        """What runs a program of the graph and notes when each row runs.

        Its calls are on the source's states.
        """

    @abstractmethod
    def course(self, executor: Any) -> tuple[str, int]:
        """How an executor runs its rows, for `explain`, and bytes of kernels' own memory."""

    @abstractmethod
    def limits(self, threads: int) -> Limits:
        """What the machine can do at most with so many threads."""


class CpuEngine(CompilingEngine):
    """Native kernels on the processor at hand."""

    name = "cpu"

    @classmethod
    def machine(cls) -> str:
        """The processor, its vectors, and the threads that a step may have."""
        from ...runtime.cpu.host import cpu_name, vector_bytes
        from ...runtime.cpu.stepping.team import default_threads
        from ...runtime.program import CPU

        threads = default_threads()
        return (
            f"{cpu_name()}, {CPU.lanes} lanes in registers of {8 * vector_bytes()} bits, {threads} "
            f"thread{'s' if threads != 1 else ''}"
        )

    def written_for(self) -> KernelTarget:
        """Vectors."""
        from ...runtime.program import CPU

        return CPU

    def workspace(self) -> Mutex:
        """Native calls hold it, and it has the memory for temporaries."""
        from ...runtime.cpu.stepping.workspace import Workspace

        return Workspace()

    def made_ready(self, source: Source, program: BoundProgram) -> Any:
        """A table for the native driver."""
        from ...runtime.cpu.executor import Executor
        from ...runtime.cpu.stepping.workspace import Workspace

        assert isinstance(source.workspace, Workspace)
        return Executor(
            program, source.states, source.threads, source.workspace, scalar=source.scalar
        )

    def course(self, executor: Any) -> tuple[str, int]:
        """Threads, each with memory for any of the kernels."""
        count = executor.threads
        space = max((item.space for item in executor.program.instructions), default=0)
        return f"on {count} thread{'s' if count != 1 else ''}", count * space

    def tracer(self, source: Source, program: BoundProgram) -> Any:
        """The same driver, which reads the processor's clock."""
        from ...runtime.cpu.trace import TracingExecutor

        return TracingExecutor(program, source.states, source.threads, scalar=source.scalar)

    def limits(self, threads: int) -> Limits:
        """Measured, at the first call."""
        from ...runtime.cpu.limits import machine_limits

        return machine_limits(threads)


class CudaEngine(CompilingEngine):
    """Kernels on a CUDA device, one graph of them a call."""

    name = "cuda"
    has_device = True

    @classmethod
    def missing(cls) -> str:
        """The package, the driver's library, the driver or the device."""
        from ...runtime.cuda.using import missing

        return missing()

    @classmethod
    def machine(cls) -> str:
        """The device, its memory, its compute capability, and the driver."""
        from ...runtime.cuda.using import device_text

        return device_text()

    def __init__(self) -> None:
        from ...runtime.cuda.using import device

        self._device = device()

    def written_for(self) -> KernelTarget:
        """Warps."""
        from ...runtime.program import CUDA

        return CUDA

    def workspace(self) -> Mutex:
        """It has the memory for temporaries of all sizes."""
        from ...runtime.cuda.memory import Workspace

        return Workspace(self._device)

    def array(self, value: Array) -> Array:
        """An array in memory that the device and NumPy both reach."""
        from ...runtime.cuda.memory import state_array

        made = state_array(self._device, value.shape, value.dtype)
        made[...] = value
        return made

    def given(self, item: Expected, value: Any) -> Any:
        """As ever, but an array on the device is read where it lies."""
        from ...runtime.cuda.arrays import device_array, lies_on_device

        if not lies_on_device(value):
            return item.check(value)
        try:
            array = device_array(value, self._device)
        except ValueError as error:
            raise InputError(f"{item.text()}, got an array on a device: {error}") from None
        item.check_placed(array.dtype, array.shape)
        return array

    def made_ready(self, source: Source, program: BoundProgram) -> Any:
        """A graph of launches."""
        from ...runtime.cuda.executor import Executor
        from ...runtime.cuda.memory import Workspace

        assert isinstance(source.workspace, Workspace)
        return Executor(program, source.states, source.workspace, scalar=source.scalar)

    def course(self, executor: Any) -> tuple[str, int]:
        """Launches; what workers have in scratch is memory, and what is in multiprocessors not."""
        plan = executor.plan
        count = len(plan.launches)
        text = f"in {count:,} launch{'es' if count != 1 else ''}, {plan.depth:,} one after another"
        if plan.walks:
            runs, count = sum(len(walk.runs) for walk in plan.walks), len(plan.walks)
            text += f", of which {count:,} walk{'s' if count == 1 else ''} {runs:,} runs of rows"
        return text, executor.scratch

    def tracer(self, source: Source, program: BoundProgram) -> Any:
        """The launches one after another, between events."""
        from ...runtime.cuda.memory import Workspace
        from ...runtime.cuda.trace import TracingExecutor

        workspace = Workspace(self._device)
        return TracingExecutor(program, source.states, workspace, scalar=source.scalar)

    def limits(self, threads: int) -> Limits:
        """By the device's own numbers."""
        limits: Limits = self._device.limits()
        return limits


class ReferenceEngine(Engine):
    """NumPy's functions, one after another."""

    name = "reference"

    @classmethod
    def machine(cls) -> str:
        """The version of NumPy."""
        return f"NumPy {np.__version__}, one function after another: slow, and what is right"

    def workspace(self) -> Mutex:
        """A lock, and no more."""
        return Mutex()

    def executor(self, source: Source, sizes: Mapping[str, int]) -> Any:
        """A tape of NumPy calls."""
        from ...compiler.memory.tape import emit_tape
        from ...runtime.reference import ReferenceExecutor

        return ReferenceExecutor(emit_tape(source.graph, sizes), source.states, source.workspace)


ENGINES: dict[str, type[Engine]] = {
    engine.name: engine for engine in (CpuEngine, CudaEngine, ReferenceEngine)
}
"""By the name of the target."""


def engine_for(subject: str, target: Any) -> Engine:
    """The engine of a target.

    Raises:
        InputError: there is no target of that name.
        TargetError: this machine cannot run it.
    """
    if not isinstance(target, str) or target not in ENGINES:
        *others, last = ENGINES
        raise InputError(
            f"{subject} expects target {', '.join(others)} or {last}, got {shown(target)}"
        )
    engine = ENGINES[target]
    missing = engine.missing()
    if missing:
        raise TargetError(
            f"{subject} expects a machine for target {target}, but {missing}; dg.targets() lists "
            'what this machine can run, such as target="cpu"'
        )
    return engine()
