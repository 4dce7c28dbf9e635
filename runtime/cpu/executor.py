"""A program made ready to run, and the one native call that runs it.

All addresses are worked out once: temporaries in one arena, constants and states where they lie.
Only inputs and outputs move from call to call, and the driver places those.  Nothing here looks
into a kernel's text or checks an input: the caller has done that.
"""

from __future__ import annotations

import ctypes
import time
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..program import Address, Buffer, CheckFailedError, Program, Routine
from . import driver, gemm, lead, walk
from .build import build_kernel
from .natives import Native, Request, obtain
from .team import MOST, Team, aligned, default_threads, team

Array = npt.NDArray[Any]

_WRAP = 1 << 64

SHARE_WORK = 100_000
"""Operations (about 15 us) from which on one more thread helps."""

WAKE_WORK = 120_000
"""Operations (about 20 us) from which on it pays to wake a helper that sleeps."""


class Executor:
    """Runs one program; safe to call from several threads, one call at a time.

    Args:
        program: what to run.
        states: an array for each state buffer, by name.
        threads: how many may share a step; by default `$DIAGRAD_THREADS` or the cores at hand.
            Small programs use one.  The results are the same, bit for bit.
    """

    def __init__(
        self, program: Program, states: Mapping[str, Array], threads: int | None = None
    ) -> None:
        if threads is not None and threads < 1:
            raise ValueError(f"threads expects a number from 1 on, got {threads}")
        self.program = program
        self.threads = useful_threads(program, threads or default_threads())
        self._free: list[object] = [object()]
        self._natives = self._build(program)
        self._arena = aligned(program.arena_bytes)
        self._constants: dict[int, Array] = {}
        self._states: dict[str, Array] = {}
        self._scalars: dict[int, Array] = {}
        self._numbers: dict[int, int] = {}
        self._place_buffers(program)
        self._fill_tables(program)
        self.rebind_states(states)
        self._data_offset = driver.data_offset()
        self._header = aligned(8 * walk.JOB).view(np.int64)
        self._header[: driver.HEADER - 1] = (
            len(program.instructions),
            self._table.ctypes.data,
            len(self._moves),
            self._moves.ctypes.data,
            self._data_offset,
        )
        room = -(-(64 + max((i.space for i in program.instructions), default=0)) // 4096) * 4096
        self._space = aligned(room * self.threads)
        self._header[walk.field("space")] = self._space.ctypes.data
        self._header[walk.field("room")] = room
        if self.threads > 1:
            self._share()
        native = driver.prototype(self._data_offset >= 0)(self._natives["driver"].address)
        self._run = native
        self._header_address = ctypes.c_void_p(self._header.ctypes.data)

    def _share(self) -> None:
        """Hire helpers, and fill the words with which they find their work."""
        helpers, job = team(), self._header
        counters = aligned(8 * walk.COUNTER * len(self.program.instructions))
        held = {
            "counters": counters.ctypes.data,
            "mailboxes": helpers.mailboxes.ctypes.data,
            "helpers": helpers.hire(self.threads - 1),
            "wake": self.program.work >= WAKE_WORK,
            "calls": helpers.calls.ctypes.data,
            "spins": helpers.spins // 10,
        }
        for name, value in held.items():
            job[walk.field(name)] = value
        # A helper may still look at these when the executor goes.
        kept = (job, self._table, self._words, counters)
        weakref.finalize(self, _retire, helpers, job.ctypes.data, kept).atexit = False

    @property
    def report(self) -> list[tuple[str, str, str, float]]:
        """For every piece of native code: name, origin, why that one, milliseconds it took."""
        return [(n.name, n.origin, n.reason, n.milliseconds) for n in self._natives.values()]

    def _build(self, program: Program) -> dict[str, Native]:
        words = (word for i in program.instructions for word in i.words)
        routines = sorted({word.name for word in words if isinstance(word, Routine)})
        requests = {
            f"kernel {n}": Request(kernel.name, kernel.source, build_kernel)
            for n, kernel in enumerate(program.kernels)
        }
        for name in routines:
            requests[f"routine {name}"] = Request(name, name, gemm.build_routine)
        if self.threads > 1:
            requests["driver"] = Request("driver", lead.lead_text(), walk.build_walk)
        else:
            requests["driver"] = Request("driver", driver.text(), driver.build_driver)
        return dict(zip(requests, obtain(list(requests.values())), strict=True))

    def _place_buffers(self, program: Program) -> None:
        """Constants and scalar outputs get memory; inputs and other outputs a number."""
        self._inputs: list[int] = []
        self._outputs: list[int] = []
        for index, buffer in enumerate(program.buffers):
            if buffer.role == "constant":
                if buffer.data is None:
                    raise ValueError(f"constant buffer {buffer.name!r} has no data")
                data = np.ascontiguousarray(buffer.data, dtype=buffer.dtype)
                self._constants[index] = data.reshape(buffer.shape)
            elif buffer.role == "input":
                self._inputs.append(index)
            elif buffer.role == "output":
                self._outputs.append(index)
                if buffer.shape == ():
                    self._scalars[index] = np.zeros((), buffer.dtype)
        moving = self._inputs + [i for i in self._outputs if i not in self._scalars]
        self._numbers = {buffer: number for number, buffer in enumerate(moving)}
        # What a call makes of each output: a new array, or the scalar that stays.
        self._makers = [
            (program.buffers[i].shape, np.dtype(program.buffers[i].dtype), self._scalars.get(i))
            for i in self._outputs
        ]
        self._places = [place for place, i in enumerate(self._outputs) if i in self._scalars]
        self._only_scalars = len(self._scalars) == len(self._outputs)
        self._fixed = list(self._scalars.values())

    def _fill_tables(self, program: Program) -> None:
        count = sum(len(i.words) for i in program.instructions)
        self._words = np.zeros(max(1, count), dtype=np.int64)
        rows = len(program.instructions)
        table = aligned(8 * driver.INSTRUCTION * rows).view(np.int64)
        self._table = table.reshape(rows, driver.INSTRUCTION)
        self._state_words: list[tuple[int, int, int]] = []
        base, position = self._words.ctypes.data, 0
        moves = []
        for place, (row, instruction) in enumerate(
            zip(self._table, program.instructions, strict=True)
        ):
            kernel = self._natives[f"kernel {instruction.kernel}"].address
            row[:3] = kernel, base + 8 * position, instruction.extent
            if instruction.check is not None:
                row[3] = self._address(instruction.check)
            wait = place if instruction.wait is None else instruction.wait
            row[4:7] = instruction.chunk or instruction.extent, instruction.chunks, wait
            for word in instruction.words:
                if isinstance(word, Routine):
                    self._words[position] = self._natives[f"routine {word.name}"].address
                elif isinstance(word, Address):
                    number = self._numbers.get(word.buffer)
                    if number is not None:
                        moves.append((base + 8 * position, number, word.offset))
                    elif program.buffers[word.buffer].role == "state":
                        self._state_words.append((position, word.buffer, word.offset))
                    else:
                        self._words[position] = self._address(word.buffer) + word.offset
                else:
                    self._words[position] = _signed(word)
                position += 1
        self._moves = np.array(moves, dtype=np.int64).reshape(len(moves), driver.MOVE)

    def _address(self, index: int) -> int:
        buffer = self.program.buffers[index]
        if buffer.role == "temporary":
            if buffer.offset is None:
                raise ValueError(f"temporary buffer {buffer.name!r} has no place in the arena")
            return int(self._arena.ctypes.data) + buffer.offset
        held = self._constants if index in self._constants else self._scalars
        return int(held[index].ctypes.data)

    def rebind_states(self, states: Mapping[str, Array]) -> None:
        """Read and write these arrays from now on, one for each state buffer, by name."""
        buffers = [b for b in self.program.buffers if b.role == "state"]
        held = {buffer.name: _state(buffer, states) for buffer in buffers}
        token = self._take()
        try:
            for position, index, offset in self._state_words:
                array = held[self.program.buffers[index].name]
                self._words[position] = array.ctypes.data + offset
            self._states = held
        finally:
            self._free.append(token)

    def __call__(self, inputs: Sequence[Array]) -> list[Array]:
        """Run once: arrays in the order of the input buffers to new ones in that of the outputs."""
        outputs: list[Array] = []
        if self._only_scalars:
            arrays = tuple(inputs)
        else:
            made = [*inputs]
            for shape, dtype, scalar in self._makers:
                if scalar is None:
                    scalar = np.empty(shape, dtype)
                    made.append(scalar)
                outputs.append(scalar)
            arrays = tuple(made)
        if len(arrays) != len(self._numbers):
            raise ValueError(f"expected {len(self._inputs)} inputs, got {len(inputs)}")
        token = self._take()
        try:
            if self._data_offset >= 0:
                failed = self._run(self._header_address, arrays)
            else:
                addresses = np.array([a.ctypes.data for a in arrays], dtype=np.int64)
                failed = self._run(self._header_address, addresses.ctypes.data)
            if failed >= 0:
                self._raise(failed)
            if self._only_scalars:
                return [scalar.copy() for scalar in self._fixed]
            # The scalars' own memory belongs to whoever runs next.
            for place in self._places:
                outputs[place] = outputs[place].copy()
        finally:
            self._free.append(token)
        return outputs

    def _raise(self, failed: int) -> None:
        """Explain why the walk stopped at the instruction numbered `failed`."""
        instructions = self.program.instructions
        check = instructions[failed].check
        assert check is not None
        found = ctypes.c_int64.from_address(self._address(check)).value
        number = sum(item.check is not None for item in instructions[:failed])
        raise CheckFailedError(number, found)

    def _take(self) -> object:
        """Wait for the executor to be free.

        A list of one token is the lock: taking it is one atomic operation of the interpreter, 30 ns
        where `threading.Lock` took 170 to 330.  Waiting is rare, so that it may be simple.
        """
        while True:
            try:
                return self._free.pop()
            except IndexError:
                time.sleep(1e-5)


def useful_threads(program: Program, threads: int) -> int:
    """How many of them are worth their while: one for a small program."""
    shared = sum(item.work for item in program.instructions if item.chunks > 1)
    if shared < SHARE_WORK:
        return 1
    most = sum(item.chunks for item in program.instructions)
    return max(1, min(threads, most, shared // SHARE_WORK + 1, MOST + 1))


def _retire(helpers: Team, job: int, kept: tuple[Array, ...]) -> None:
    """Wait until no helper looks at `kept` any more: they leave a finished step by themselves."""
    while helpers.busy_with(job):
        time.sleep(0)


def _signed(word: int) -> int:
    """A word as the 64 bits that NumPy stores: bits above the sign are allowed."""
    if not -_WRAP // 2 <= word < _WRAP:
        raise ValueError(f"{word} does not fit a 64-bit word")
    return word - _WRAP if word >= _WRAP // 2 else word


def _state(buffer: Buffer, states: Mapping[str, Array]) -> Array:
    array = states.get(buffer.name)
    if array is None:
        raise ValueError(f"no array for the state {buffer.name!r}")
    wanted = np.dtype(buffer.dtype)
    if array.dtype != wanted or array.shape != buffer.shape or not array.flags.c_contiguous:
        raise ValueError(
            f"state {buffer.name!r} needs a contiguous {wanted} array of shape {buffer.shape}, "
            f"got {array.dtype} of shape {array.shape}"
        )
    return array
