"""A program made ready to run, and the one native call that runs it.

All addresses are worked out once: temporaries in one arena, constants and states where they lie.
Only inputs and outputs move from call to call, and the driver places those.

There are two ways to call it.  `native` takes a dict and looks at nothing but what the table of the
call says: it answers, or gives None and has done nothing.  `__call__` is Python's way, for what
`native` refuses: it copies an input out of a state, waits for its turn, says which check failed.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..fitting import fits, misfit, state_of
from ..outcomes import CheckFailedError, refuse
from ..program import Address, BoundProgram, Routine
from .building.build import build_kernel
from .building.natives import Native, Request, obtain
from .stepping import driver, lead, objects, walk
from .stepping.calls import Call, Ranges
from .stepping.table import CHECK, Addresses, Table
from .stepping.team import MOST, aligned, default_threads
from .stepping.workspace import Job, Workspace

Array = npt.NDArray[Any]

LEAST_SHARED = 8
"""What part of a program's work there must be in rows of several chunks: one in so many."""

SHARE_WORK = 100_000
"""Operations (about 15 us) from which on one more thread helps."""

WAKE_WORK = 120_000
"""Operations (about 20 us) from which on it pays to wake a helper that sleeps."""

_WORD_BYTES = 64
"""What Python takes for a word of an instruction."""

RELEASE_WORK = 60_000
"""Operations (about 10 us) from which on other Python threads may run meanwhile."""


class Executor:
    """Runs one program; safe to call from several threads, one call at a time.

    Args:
        program: what to run.
        states: an array for each state buffer, by name.
        threads: how many may share a step; by default `$DIAGRAD_THREADS` or the cores at hand.
            Small programs use one.  The results are the same, bit for bit.
        workspace: of all that use the same states: it has the memory for temporaries, and lets in
            one call at a time.  By default one of its own.
        scalar: whether `native` gives the only output, a float of shape (), as a number.

    Attributes:
        native: a native function: a dict of arrays by name to a dict of new ones, or to a float.
            Its answer is None, and nothing was done, unless the arrays are all there, and nothing
            else, with their exact dtypes and shapes, contiguous and aligned, and apart from the
            states that change, no other thread holds the workspace, and all checks hold.
        nbytes: about what it takes itself, beside the workspace.
        used: for the caller, who notes when that was.
    """

    used = 0

    def __init__(
        self,
        program: BoundProgram,
        states: Mapping[str, Array],
        threads: int | None = None,
        workspace: Workspace | None = None,
        scalar: bool = False,
    ) -> None:
        if threads is not None and threads < 1:
            raise ValueError(f"threads expects a number from 1 on, got {threads}")
        self.program = program
        self.workspace = Workspace() if workspace is None else workspace
        self.threads = useful_threads(program, threads or default_threads())
        self._natives = self._build(program)
        self._constants: dict[int, Array] = {}
        self._states: dict[int, Array] = {}
        self._scalars: dict[int, Array] = {}
        self._numbers: dict[int, int] = {}
        self._place_buffers(program, states)
        self._table = self._make_table(program)
        written = {index for item in program.instructions for index in item.writes}
        self._ranges = Ranges([a for index, a in self._states.items() if index in written])
        space = max((i.space for i in program.instructions), default=0)
        self._job = self._make_job(program.arena_bytes, space)
        self.workspace.admit(self._job)
        self._run = driver.prototype()(self._natives["driver"].address)
        self._call = self._make_call(scalar) if "entry" in self._natives else None
        self.native: Callable[[Mapping[str, Array]], Any] = (
            refuse if self._call is None else self._call.function
        )
        self.nbytes = self._count_bytes()

    def _make_job(self, arena: int, space: int) -> Job:
        table = self._table
        job = Job(arena, space, self.threads)
        held = {
            "rows": len(table.rows),
            "table": table.rows.ctypes.data,
            "moves": len(table.moves),
            "move_table": table.moves.ctypes.data,
            "bases": len(table.bases),
            "base_table": table.bases.ctypes.data,
        }
        for name, value in held.items():
            job.header[walk.field(name)] = value
        if self.threads > 1:
            counters = aligned(8 * walk.COUNTER * len(table.rows))
            wake = self.program.work >= WAKE_WORK
            job.share(wake, (table.rows, table.words, self.workspace), counters)
        return job

    @property
    def report(self) -> list[tuple[str, str, str, float]]:
        """For every piece of native code: name, origin, why that one, milliseconds it took."""
        return [(n.name, n.origin, n.reason, n.milliseconds) for n in self._natives.values()]

    def _build(self, program: BoundProgram) -> dict[str, Native]:
        words = (word for i in program.instructions for word in i.words)
        routines = sorted({word.name for word in words if isinstance(word, Routine)})
        requests = {
            f"kernel {n}": Request(
                kernel.name, kernel.source, build_kernel, stays=False, more=(kernel.lanes,)
            )
            for n, kernel in enumerate(program.kernels)
        }
        for name in routines:
            requests[f"routine {name}"] = Request(name, name, build_routine)
        if self.threads > 1:
            requests["driver"] = Request("driver", lead.lead_text(), walk.build_walk)
        else:
            requests["driver"] = Request("driver", driver.text(), driver.build_driver)
        if objects.readable():
            # Its text is what it depends on beyond the engine's own source.
            text = f"an object's head has {objects.HEAD} bytes"
            requests["entry"] = Request("entry", text, _build_entry)
        return dict(zip(requests, obtain(list(requests.values())), strict=True))

    def _place_buffers(self, program: BoundProgram, states: Mapping[str, Array]) -> None:
        """Constants and scalar outputs get memory; inputs and other outputs a number."""
        self._inputs: list[int] = []
        self._outputs: list[int] = []
        for index, buffer in enumerate(program.buffers):
            if buffer.role == "constant":
                if buffer.data is None:
                    raise ValueError(f"constant buffer {buffer.name!r} has no data")
                data = np.ascontiguousarray(buffer.data, dtype=buffer.dtype)
                self._constants[index] = data.reshape(buffer.shape)
            elif buffer.role == "state":
                self._states[index] = state_of(buffer, states)
            elif buffer.role == "input":
                self._inputs.append(index)
            elif buffer.role == "output":
                self._outputs.append(index)
                if buffer.shape == ():
                    self._scalars[index] = np.zeros((), buffer.dtype)
            elif buffer.offset is None:
                raise ValueError(f"temporary buffer {buffer.name!r} has no place in the arena")
        moving = [*self._inputs, *self._outputs]
        self._numbers = {buffer: number for number, buffer in enumerate(moving)}

    def _make_table(self, program: BoundProgram) -> Table:
        native = self._natives
        routines = {name: item for name, item in native.items() if name.startswith("routine ")}
        fixed = {**self._constants, **self._states, **self._scalars}
        addresses = Addresses(
            [native[f"kernel {n}"].address for n in range(len(program.kernels))],
            {name.removeprefix("routine "): item.address for name, item in routines.items()},
            {index: array.ctypes.data for index, array in fixed.items()},
            {i: n for i, n in self._numbers.items() if i not in self._scalars},
            {i: b.offset for i, b in enumerate(program.buffers) if b.offset is not None},
        )
        return Table(program, addresses)

    def _count_bytes(self) -> int:
        words = [word for item in self.program.instructions for word in item.words]
        offsets = (word.offset for word in words if isinstance(word, Address))
        arrays = sum(int(offset.nbytes) for offset in offsets if not isinstance(offset, int))
        counters = 8 * walk.COUNTER * len(self._table.rows) if self.threads > 1 else 0
        return self._table.nbytes + counters + arrays + _WORD_BYTES * len(words)

    def _make_call(self, scalar: bool) -> Call:
        buffers = self.program.buffers
        scalars = {n: self._scalars[i] for n, i in enumerate(self._outputs) if i in self._scalars}
        words = {
            "run": self._natives["driver"].address,
            "header": self._job.header.ctypes.data,
            "mutex": self.workspace.record.ctypes.data,
            "releases": self.program.work >= RELEASE_WORK,
        }
        alive = (
            self.workspace, self._job, self._table, self._natives, self._constants,
            self._states, scalars,
        )  # fmt: skip
        return Call(
            self._natives["entry"].address,
            [buffers[i] for i in self._inputs],
            [buffers[i] for i in self._outputs],
            scalars, words, self._ranges, alive, scalar,
        )  # fmt: skip

    def forget_results(self) -> None:
        """Keep no memory of results for later calls."""
        if self._call is not None:
            self._call.forget()

    def __call__(self, inputs: Sequence[Array]) -> list[Array]:
        """Run once: arrays in the order of the input buffers to new ones in that of the outputs.

        Raises:
            CheckFailedError: a check does not hold; nothing is updated.
        """
        if len(inputs) != len(self._inputs):
            raise ValueError(f"expected {len(self._inputs)} inputs, got {len(inputs)}")
        arrays = [self._fitting(i, a) for i, a in zip(self._inputs, inputs, strict=True)]
        buffers = [self.program.buffers[i] for i in self._outputs]
        made = [np.empty(buffer.shape, buffer.dtype) for buffer in buffers]
        places = [array.ctypes.data for array in (*arrays, *made)]
        moving = np.array(places, dtype=np.int64)

        def run() -> None:
            failed = self._run(self._job.header.ctypes.data, moving.ctypes.data)
            if failed >= 0:
                check = int(self._table.rows[failed, CHECK])
                raise self._check_failed(failed, ctypes.c_int64.from_address(check).value)
            for array, index in zip(made, self._outputs, strict=True):
                if index in self._scalars:
                    array[...] = self._scalars[index]

        self.workspace.hold(run)
        return made

    def _fitting(self, index: int, array: Array) -> Array:
        """The array, or a copy where it lies in what is updated; ValueError if it is wrong."""
        buffer = self.program.buffers[index]
        if not fits(buffer, array):
            raise misfit("input", buffer, array)
        # A step reads its inputs to the end, the states from the moment they are updated.
        return array.copy() if self._ranges.meet(array) else array

    def _check_failed(self, row: int, found: int) -> CheckFailedError:
        """Why the walk stopped at a row: which of the program's checks, and what it found."""
        instructions = self.program.instructions[: self._table.numbers[row]]
        checks = [item for item in instructions if item.check is not None and not item.skips]
        return CheckFailedError(len(checks), found)


# Writing these takes a part of llvmlite that running them does not.
def build_routine(name: str, symbol: str) -> bytes:
    """Object code of one of the native routines."""
    from .gemm import gemm, segmented, turn

    builders = {
        "gemm": gemm.build_routine,
        "segmented": segmented.build_segmented,
        "turn": turn.build_turn,
    }
    return builders[name.split("_")[0]](name, symbol)


def _build_entry(_: str, symbol: str) -> bytes:
    from .stepping.entry import write_entry

    return write_entry(symbol)


def useful_threads(program: BoundProgram, threads: int) -> int:
    """How many of them are worth their while: one for a small program.

    So it is where little of the work is in parts: the rows of a loop that are whole would go to and
    fro between threads, and what they read with them.
    """
    shared = sum(item.work for item in program.instructions if item.chunks > 1)
    times = [1] * len(program.instructions)
    for turns in program.turns:
        for row in range(turns.first, turns.last):
            times[row] *= turns.count
    work = [item.work * count for item, count in zip(program.instructions, times, strict=True)]
    parted = [n for n, item in zip(work, program.instructions, strict=True) if item.chunks > 1]
    if shared < SHARE_WORK or sum(parted) * LEAST_SHARED < sum(work):
        return 1
    most = sum(item.chunks for item in program.instructions)
    return max(1, min(threads, most, shared // SHARE_WORK + 1, MOST + 1))
