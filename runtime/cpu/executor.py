"""A program made ready to run, and the one native call that runs it.

All addresses are worked out once: temporaries in one arena, constants and states where they lie.
Only inputs and outputs move from call to call, and the driver places those.  Nothing here looks
into a kernel's text.

A call goes through the native `entry`, which takes a dict and looks at nothing but what the table
of the call says.  `Executor.__call__` is the way around it: it mends what `entry` does not take,
waits for its turn, and raises.  Where Python's objects cannot be read natively it does all itself.
"""

from __future__ import annotations

import ctypes
import os
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..program import Buffer, CheckFailedError, Program, Routine
from . import driver, lead, objects, walk
from .build import build_kernel
from .calls import Call, Ranges, entry_request
from .natives import Native, Request, obtain
from .table import Addresses, Table
from .team import MOST, Team, aligned, default_threads, team

Array = npt.NDArray[Any]
Function = Callable[[Mapping[str, Array]], Any]

SHARE_WORK = 100_000
"""Operations (about 15 us) from which on one more thread helps."""

WAKE_WORK = 120_000
"""Operations (about 20 us) from which on it pays to wake a helper that sleeps."""

RELEASE_WORK = 60_000
"""Operations (about 10 us) from which on other Python threads may run meanwhile."""


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
        self._token = object()
        self._free = [self._token]
        self._stale: list[bool] = []
        self._natives = self._build(program)
        self._arena = aligned(program.arena_bytes)
        self._constants: dict[int, Array] = {}
        self._states: dict[str, Array] = {}
        self._scalars: dict[int, Array] = {}
        self._numbers: dict[int, int] = {}
        self._place_buffers(program)
        self._table = self._make_table(program)
        self._ranges = Ranges(len(self._updated))
        self.rebind_states(states)
        self._header = aligned(8 * walk.JOB).view(np.int64)
        self._header[: driver.HEADER - 1] = (
            len(self._table.rows),
            self._table.rows.ctypes.data,
            len(self._table.moves),
            self._table.moves.ctypes.data,
        )
        room = -(-(64 + max((i.space for i in program.instructions), default=0)) // 4096) * 4096
        self._space = aligned(room * self.threads)
        self._header[walk.field("space")] = self._space.ctypes.data
        self._header[walk.field("room")] = room
        self._counters: Array = aligned(0)
        if self.threads > 1:
            self._share()
        self._run = driver.prototype()(self._natives["driver"].address)
        self._calls: dict[bool, Call] = {}
        _executors.add(self)

    def _share(self) -> None:
        """Hire helpers, and fill the words with which they find their work."""
        helpers, job = team(), self._header
        self._counters = counters = aligned(8 * walk.COUNTER * len(self._table.rows))
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
        kept = (job, self._table.rows, self._table.words, counters)
        weakref.finalize(self, _retire, helpers, job.ctypes.data, kept).atexit = False

    @property
    def readable(self) -> bool:
        """Whether there are native functions: Python's objects are as `entry` expects them."""
        return "entry" in self._natives

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
            requests[f"routine {name}"] = Request(name, name, _build_routine)
        if self.threads > 1:
            requests["driver"] = Request("driver", lead.lead_text(), walk.build_walk)
        else:
            requests["driver"] = Request("driver", driver.text(), driver.build_driver)
        if objects.readable():
            requests["entry"] = entry_request()
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
        moving = [*self._inputs, *self._outputs]
        self._numbers = {buffer: number for number, buffer in enumerate(moving)}
        written = {index for item in program.instructions for index in item.writes}
        self._updated = [
            b.name for i, b in enumerate(program.buffers) if b.role == "state" and i in written
        ]

    def _make_table(self, program: Program) -> Table:
        native = self._natives
        states = {i for i, buffer in enumerate(program.buffers) if buffer.role == "state"}
        routines = {name: item for name, item in native.items() if name.startswith("routine ")}
        addresses = Addresses(
            [native[f"kernel {n}"].address for n in range(len(program.kernels))],
            {name.removeprefix("routine "): item.address for name, item in routines.items()},
            self._address,
            {i: n for i, n in self._numbers.items() if i not in self._scalars},
            frozenset(states),
        )
        return Table(program, addresses)

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
            numbered = enumerate(self.program.buffers)
            self._table.rebind(
                {i: held[b.name].ctypes.data for i, b in numbered if b.role == "state"}
            )
            self._states.clear()
            self._states.update(held)
            self._ranges.fill([held[name] for name in self._updated])
        finally:
            self._free.append(token)

    def function(self, scalar: bool = False) -> Function:
        """A native function: a dict of arrays by name to a dict of new ones, or to a float.

        Its answer is None, and nothing was done, unless the arrays are all there, and nothing
        else, with their exact dtypes and shapes, contiguous and aligned, and apart from the states
        that change; it is NotImplemented while another thread is in the midst of a call, and the
        number of an instruction if its check failed.  `__call__` sees to all of that.

        Args:
            scalar: give the only output, a float of shape (), as a number.
        """
        if scalar not in self._calls:
            self._calls[scalar] = self._make_call(scalar)
        return self._calls[scalar].function

    def _make_call(self, scalar: bool) -> Call:
        buffers = self.program.buffers
        scalars = {n: self._scalars[i] for n, i in enumerate(self._outputs) if i in self._scalars}
        words = {
            "run": self._natives["driver"].address,
            "header": self._header.ctypes.data,
            "free": id(self._free),
            "token": id(self._token),
            "releases": self.program.work >= RELEASE_WORK,
        }
        alive = (
            self._header, self._counters, self._table, self._space,
            self._arena, self._constants, self._states, self._free, self._token, scalars,
        )  # fmt: skip
        return Call(
            self._natives["entry"].address,
            [buffers[i] for i in self._inputs],
            [buffers[i] for i in self._outputs],
            scalars, words, self._ranges, alive, scalar,
        )  # fmt: skip

    def forget_results(self) -> None:
        """Keep no memory of results for later calls."""
        for call in self._calls.values():
            call.forget()

    def __call__(self, inputs: Sequence[Array]) -> list[Array]:
        """Run once: arrays in the order of the input buffers to new ones in that of the outputs."""
        if len(inputs) != len(self._inputs):
            raise ValueError(f"expected {len(self._inputs)} inputs, got {len(inputs)}")
        arrays = [self._fitting(i, a) for i, a in zip(self._inputs, inputs, strict=True)]
        if not self.readable:
            return self._call_in_python(arrays)
        function = self.function()
        names = [self.program.buffers[i].name for i in self._inputs]
        given = dict(zip(names, arrays, strict=True))
        while True:
            made = function(given)
            if type(made) is dict:
                return list(made.values())
            if made is not NotImplemented:
                # A check failed.  Once more, where nobody can run before it is explained.
                return self._call_in_python(arrays)
            self._wait()

    def _fitting(self, index: int, array: Array) -> Array:
        """The array as `entry` takes it: with the dtype itself, apart from what is updated."""
        buffer = self.program.buffers[index]
        dtype = np.dtype(buffer.dtype)
        fine = array.dtype == dtype and array.shape == buffer.shape
        if not (fine and array.flags.c_contiguous and array.flags.aligned):
            raise ValueError(
                f"input {buffer.name!r} needs a contiguous {dtype} array of shape {buffer.shape}, "
                f"got {array.dtype} of shape {array.shape}"
            )
        if type(array) is not np.ndarray or array.dtype is not dtype:
            array = array.view(dtype, np.ndarray)
        # A step reads its inputs to the end, the states from the moment they are updated.
        return array.copy() if self._ranges.meet(array) else array

    def _call_in_python(self, arrays: Sequence[Array]) -> list[Array]:
        """The same without `entry`; CheckFailedError says where a check failed."""
        buffers = [self.program.buffers[i] for i in self._outputs]
        token = self._take()
        try:
            made = [np.empty(buffer.shape, buffer.dtype) for buffer in buffers]
            places = [array.ctypes.data for array in (*arrays, *made)]
            moving = np.array(places, dtype=np.int64)
            failed = self._run(self._header.ctypes.data, moving.ctypes.data)
            if failed >= 0:
                self._raise(failed)
            for array, index in zip(made, self._outputs, strict=True):
                if index in self._scalars:
                    array[...] = self._scalars[index]
        finally:
            self._free.append(token)
        return made

    def after_fork(self) -> None:
        """In a forked child: whoever ran the program is not there, nor are its helpers.

        The next call hires anew, so that a child that soon becomes another program has no threads.
        """
        self._free.clear()
        self._stale[:] = [True]

    def _rehire(self) -> None:
        try:
            self._stale.pop()
        except IndexError:
            return  # Another thread does it; this one will wait for its turn.
        if self.threads > 1:
            self._header[walk.field("helpers")] = team().hire(self.threads - 1)
        self._free.append(self._token)

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
                self._wait()

    def _wait(self) -> None:
        if self._stale:
            self._rehire()
        else:
            time.sleep(1e-5)


_executors: weakref.WeakSet[Executor] = weakref.WeakSet()


def _after_fork() -> None:
    for executor in list(_executors):
        executor.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _build_routine(name: str, symbol: str) -> bytes:
    from . import gemm  # Writing it takes a part of llvmlite that running it does not.

    return gemm.build_routine(name, symbol)


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
