"""A stand-in for the executor: every buffer lies between pages that nobody may touch.

Each input, state, constant, temporary and output has memory of its own, and so has each instruction
for its thread, exactly as many bytes as the program says.  A call runs three times: once everything
ends where a guarded page begins, so that the first byte beyond faults; once everything begins where
one ends, and instructions are cut into more chunks; once on the executor itself, with two threads,
whose arena, threads' memory, inputs, outputs and states lie before guarded pages.  What nobody has
written yet is NaN, or -1, and the bytes beside an array must stay as they are.  All three give the
same bits.  Nothing is allowed beyond the ends, neither to write nor to read: the engine's masked
loads do not touch what is masked off, and prefetches do not fault.

A fault kills the process, so tests use this in a process of their own: `guarded_programs.py`.
"""

import ctypes
import mmap
from collections.abc import Mapping, Sequence
from typing import Any
from unittest.mock import patch

import numpy as np
import numpy.typing as npt

from diagrad.runtime.cpu import executor
from diagrad.runtime.cpu.building.build import build_kernel
from diagrad.runtime.cpu.building.natives import Request, obtain
from diagrad.runtime.cpu.stepping import workspace
from diagrad.runtime.cpu.stepping.table import CHECK, Addresses, Table
from diagrad.runtime.outcomes import HOLDS, CheckFailedError, refuse
from diagrad.runtime.program import (
    ROUTINES,
    BoundProgram,
    Buffer,
)

Array = npt.NDArray[Any]
PAGE = mmap.PAGESIZE
UNWRITTEN, BESIDE = 0xFF, 0xA5
_PROT_NONE = 0

_protect = ctypes.CDLL(None, use_errno=True).mprotect
_protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


class Guarded:
    """So many bytes between two pages that fault when they are touched.

    At the end of their page `at_end`, else at its beginning.
    """

    def __init__(self, nbytes: int, at_end: bool) -> None:
        pages = -(-nbytes // PAGE)
        self._memory = mmap.mmap(-1, (pages + 2) * PAGE)
        self._whole = np.frombuffer(self._memory, np.uint8)
        self._start = PAGE + (pages * PAGE - nbytes if at_end else 0)
        self._inside = self._whole[PAGE : PAGE + pages * PAGE]
        self._inside[...] = BESIDE
        self.data = self._whole[self._start : self._start + nbytes]
        self.data[...] = UNWRITTEN
        begin = self._whole.ctypes.data
        for page in (begin, begin + (pages + 1) * PAGE):
            if _protect(page, PAGE, _PROT_NONE):
                raise OSError(ctypes.get_errno(), "mprotect")

    @property
    def address(self) -> int:
        """Where the bytes begin."""
        return self._whole.ctypes.data + self._start

    def array(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """The bytes as an array."""
        return np.ndarray(shape, dtype, self._memory, self._start)

    def assert_nothing_beside(self) -> None:
        """That the bytes which share the pages are as they were."""
        before, after = self._start - PAGE, self._start - PAGE + self.data.size
        assert (self._inside[:before] == BESIDE).all(), "wrote before its memory"
        assert (self._inside[after:] == BESIDE).all(), "wrote behind its memory"


class GuardedArena(executor.Executor):
    """The executor, its driver and its helpers, on memory that ends before guarded pages."""

    def __init__(self, program: BoundProgram, states: Mapping[str, Array]) -> None:
        self._guards: list[Guarded] = []
        self._held = {name: self._guarded(value) for name, value in states.items()}
        with (
            patch.object(workspace, "aligned", lambda n: self._guarded(np.zeros(n, np.uint8))),
            patch.object(executor, "useful_threads", lambda program, threads: threads),
        ):
            super().__init__(program, self._held, threads=2)

    def _guarded(self, value: Array) -> Array:
        self._guards.append(Guarded(value.nbytes, at_end=True))
        array = self._guards[-1].array(value.shape, value.dtype)
        array[...] = value
        return array

    def once(self, inputs: Sequence[Array]) -> tuple[list[Array], list[Array]]:
        """The outputs and the states after one run."""
        buffers = [self.program.buffers[i] for i in self._outputs]
        outputs = [self._guarded(np.zeros(b.shape, b.dtype)) for b in buffers]
        moving = [self._guarded(np.asarray(array)) for array in inputs] + outputs
        places = np.array([array.ctypes.data for array in moving], np.int64)
        failed = self._run(self._job.header.ctypes.data, places.ctypes.data)
        if failed >= 0:
            check = int(self._table.rows[failed, CHECK])
            raise self._check_failed(failed, ctypes.c_int64.from_address(check).value)
        for array, index in zip(outputs, self._outputs, strict=True):
            if index in self._scalars:
                array[...] = self._scalars[index]
        for guard in self._guards:
            guard.assert_nothing_beside()
        states = [self._held[b.name] for b in self.program.buffers if b.role == "state"]
        return [array.copy() for array in outputs], [array.copy() for array in states]


class GuardedExecutor:
    """Runs a program as `Executor` does, on guarded memory, in three ways that must agree."""

    native = staticmethod(refuse)
    nbytes = used = 0

    def __init__(
        self,
        program: BoundProgram,
        states: Mapping[str, Array],
        threads: int | None = None,
        workspace: Any = None,
        scalar: bool = False,
    ) -> None:
        self.program = program
        self.states = dict(states)

    def forget_results(self) -> None:
        """Nothing is kept."""

    def __call__(self, inputs: Sequence[Array]) -> list[Array]:
        """New arrays in the order of the output buffers; states are updated."""
        outputs, states = self._run(inputs, at_end=True)
        once_more = self._run(inputs, at_end=False), GuardedArena(self.program, self.states)
        for others in (once_more[0], once_more[1].once(inputs)):
            for one, other in zip((outputs, states), others, strict=True):
                for left, right in zip(one, other, strict=True):
                    assert left.tobytes() == right.tobytes(), "depends on where memory lies"
        held = [b for b in self.program.buffers if b.role == "state"]
        for buffer, value in zip(held, states, strict=True):
            self.states[buffer.name][...] = value
        return outputs

    def _run(self, inputs: Sequence[Array], at_end: bool) -> tuple[list[Array], list[Array]]:
        program, given = self.program, iter(inputs)
        memory = [Guarded(buffer.nbytes, at_end) for buffer in program.buffers]
        arrays = [m.array(b.shape, b.dtype) for m, b in zip(memory, program.buffers, strict=True)]
        for buffer, array in zip(program.buffers, arrays, strict=True):
            value = self._value_before(buffer, given)
            if value is not None:
                array[...] = value
        before = [array.copy() for array in arrays]
        self._walk([m.address for m in memory], at_end)
        for m in memory:
            m.assert_nothing_beside()
        written = {number for item in program.instructions for number in item.writes}
        for number, (buffer, array) in enumerate(zip(program.buffers, arrays, strict=True)):
            if number not in written and buffer.role != "temporary":
                assert array.tobytes() == before[number].tobytes(), f"wrote into {buffer.name}"
        outputs, states = (
            [a for a, b in zip(arrays, program.buffers, strict=True) if b.role == role]
            for role in ("output", "state")
        )
        return [array.copy() for array in outputs], [array.copy() for array in states]

    def _value_before(self, buffer: Buffer, given: Any) -> Any:
        if buffer.role == "input":
            return next(given)
        if buffer.role == "state":
            return self.states[buffer.name]
        return buffer.data if buffer.role == "constant" else None

    def _walk(self, places: Sequence[int], at_end: bool) -> None:
        program = self.program
        requests = [
            Request(k.name, k.source, build_kernel, more=(k.lanes,)) for k in program.kernels
        ]
        kernels = [native.address for native in obtain(requests)]
        routines = obtain([Request(name, name, executor.build_routine) for name in ROUTINES])
        addresses = {name: r.address for name, r in zip(ROUTINES, routines, strict=True)}
        table = Table(program, Addresses(kernels, addresses, dict(enumerate(places)), {}, {}))
        kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p, *[ctypes.c_int64] * 3)
        checks = 0
        for row, number in zip(table.rows.tolist(), table.numbers.tolist(), strict=True):
            kernel, words, extent, check, chunk = row[:5]
            if not at_end and not check:
                chunk = -(-extent // 3)
            # The driver clears the first word for every instruction.
            space = Guarded(max(program.instructions[number].space, 8), at_end)
            space.array((1,), np.int64)[0] = 0
            for low in range(0, max(extent, 1), max(chunk, 1)):
                high = min(low + chunk, extent)
                kind(kernel)(words, low, high, space.address)
            space.assert_nothing_beside()
            if check:
                found = ctypes.c_int64.from_address(check).value
                if found != HOLDS:
                    raise CheckFailedError(checks, found)
                checks += 1
