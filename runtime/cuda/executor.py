"""A program made ready to run on a device: a step is one launch of one graph.

    copies of inputs and checks  ->  the launches of the plan  ->  copies of checks and outputs

The host's arrays go through memory that is pinned, at most once in each direction.  An array that
lies on the device is read there: its address is a changed word of the table.  So is that of an
output that stays there.  Which arrays are whose decides what is copied, and so there is a graph for
each way of calling, made when it is first asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..fitting import fits, misfit, state_of
from ..outcomes import HOLDS, CheckFailedError
from ..program import BoundProgram, Buffer, Routine, positions
from .arrays import DeviceArray
from .code import Code
from .device import Call, Copy, DeviceError, Node
from .layout import ALIGNMENT, WORD, Span, checks_of
from .memory import Memory, Workspace
from .plan import Launch, Walk, plan_launches
from .table import Table

Array = npt.NDArray[Any]
Given = Array | DeviceArray

_LAUNCH_BYTES = 512
"""What Python takes for a run of the plan and its node."""

_NOWHERE = (0, 0)
"""Where the arena and scratch never are."""

Way = tuple[tuple[bool, ...], bool]
"""For each input whether it lies on the device, and whether outputs stay there."""


class Executor:
    """Runs one program; safe to call from several threads, one call at a time.

    Args:
        program: what to run, made for the target "cuda".
        states: an array for each state buffer, by name, in memory that the device sees
            (`memory.state_array`).
        workspace: of all that use the same states: it has the memory for temporaries, and lets in
            one call at a time.
        scalar: whether `native` gives the only output, a float of shape (), as a number.

    Attributes:
        plan: what a step launches.
        nbytes: about what it takes itself, on both sides, beside the workspace.
        arena: bytes of temporaries that it needs of the workspace.
        scratch: bytes that workers of its kernels need of it.
        used: for the caller, who notes when that was.
    """

    used = 0

    def __init__(
        self,
        program: BoundProgram,
        states: Mapping[str, Array],
        workspace: Workspace,
        scalar: bool = False,
    ) -> None:
        self.program = program
        self.workspace = workspace
        self._device = workspace.device
        self.plan = plan_launches(program, self._device.processor)
        self.arena, self.scratch = program.arena_bytes, self.plan.scratch
        self._scalar = scalar
        numbered = list(enumerate(program.buffers))
        self._inputs = [number for number, buffer in numbered if buffer.role == "input"]
        self._outputs = [number for number, buffer in numbered if buffer.role == "output"]
        self._states = {n: self._state(b, states) for n, b in numbered if b.role == "state"}
        self._load()
        layout = self.plan.layout
        self._own = Memory(self._device, "device", layout.nbytes)
        # The same bytes on the host's side; what is copied back has a place of its own.
        self._staged = Memory(self._device, "pinned", layout.checks.last)
        self._found = Memory(self._device, "pinned", layout.outputs.last - layout.checks.first)
        self._fill()
        self._seen = _NOWHERE
        self._graphs: dict[Way, Any] = {}
        self.workspace.admit(self)
        held = self._own.nbytes + self._staged.nbytes + self._found.nbytes
        self.nbytes = held + _LAUNCH_BYTES * len(self.plan.runs)

    @property
    def report(self) -> list[tuple[str, str, str, float]]:
        """For all code: name, origin, why that one, milliseconds it took."""
        loaded = self._loaded.values()
        return [(item.name, item.origin, item.reason, item.milliseconds) for item in loaded]

    def native(self, inputs: Mapping[str, Any]) -> Any:
        """New arrays by name, or the only one as a number.

        None, and nothing has changed, unless the arrays are all there, and nothing else, with
        their exact dtypes and shapes, contiguous, and all checks hold.
        """
        buffers = [self.program.buffers[index] for index in self._inputs]
        if len(inputs) != len(buffers):
            return None
        arrays = [inputs.get(buffer.name) for buffer in buffers]
        pairs = zip(buffers, arrays, strict=True)
        if not all(_fits(buffer, array) for buffer, array in pairs):
            return None
        try:
            values = self._call(arrays, False)
        except CheckFailedError:
            return None
        return float(values[0]) if self._scalar else dict(zip(self._names(), values, strict=True))

    def __call__(self, inputs: Sequence[Given], on_device: bool = False) -> list[Any]:
        """Run once: arrays in the order of the input buffers to new ones in that of the outputs.

        Args:
            inputs: arrays of the host, or of this device.
            on_device: whether outputs stay on the device, as `DeviceArray`.

        Raises:
            CheckFailedError: a check does not hold; nothing is updated.
            ValueError: an array is missing, or of another dtype or shape.
            DeviceError: the driver refuses something.
            ForkedError: this is a child of the process that the device belongs to.
        """
        if len(inputs) != len(self._inputs):
            raise ValueError(f"expected {len(self._inputs)} inputs, got {len(inputs)}")
        for index, array in zip(self._inputs, inputs, strict=True):
            buffer = self.program.buffers[index]
            if not _fits(buffer, array):
                raise misfit("input", buffer, array)
        return self._call(inputs, on_device)

    def forget_results(self) -> None:
        """Keep no memory of results for later calls: there is none."""

    def _names(self) -> list[str]:
        return [self.program.buffers[index].name for index in self._outputs]

    def _state(self, buffer: Buffer, states: Mapping[str, Array]) -> Array:
        array = state_of(buffer, states)
        try:
            number = self._device.number_of(array.ctypes.data)
        except DeviceError:
            number = -1
        if array.size and number != self._device.number:
            raise ValueError(
                f"state {buffer.name!r} needs an array in memory that device {self._device.number} "
                "sees: memory.state_array"
            )
        if array.size and array.shape:
            self._device.keep_here(array.ctypes.data, array.nbytes)
        return array

    def _load(self) -> None:
        """Load the code of every launch, once for what lies in shared memory and in scratch."""
        kernels = self.program.kernels
        wanted = list(dict.fromkeys(map(_code, self.plan.launches)))
        codes = [Code(tuple((kernels[n], near) for n, near in key), walks) for key, walks in wanted]
        self._loaded = dict(zip(wanted, self._device.load(codes), strict=True))

    def _fill(self) -> None:
        """Make the table, and put constants on the device; every check holds at first."""
        layout, program = self.plan.layout, self.program
        words = (word for item in program.instructions for word in item.words)
        routines = sorted({word.name for word in words if isinstance(word, Routine)})
        table = self._staged.array((layout.table.nbytes // WORD,), np.int64, layout.table.first)
        self._table = Table(self.plan, table, self._device.routines(routines))
        self._table.place_all({n: self._own.address + at for n, at in layout.places.items()})
        self._table.place_all({n: array.ctypes.data for n, array in self._states.items()})
        for number, buffer in enumerate(program.buffers):
            if buffer.role == "temporary" and buffer.offset is None:
                raise ValueError(f"temporary buffer {buffer.name!r} has no place in the arena")
            if buffer.role != "constant":
                continue
            if buffer.data is None:
                raise ValueError(f"constant buffer {buffer.name!r} has no data")
            self._staging(number)[...] = buffer.data.reshape(buffer.shape)
        self._staged.array((layout.checks.nbytes // WORD,), np.int64, layout.checks.first)[:] = (
            HOLDS
        )
        self._inputs_staged = {index: self._staging(index) for index in self._inputs}
        self._addresses = {n: self._own.address + layout.places[n] for n in self._moving()}
        self._checks = self._order_checks()
        self._copy_in(layout.constants)

    def _order_checks(self) -> list[tuple[int, int, int]]:
        """For every run of a check, in their order: its place, its slot, which check it is."""
        where = positions(len(self.program.instructions), self.program.turns)
        layout, found = self.plan.layout, []
        for number, row in enumerate(checks_of(self.program)):
            check = self.program.instructions[row].check
            assert check is not None
            slot = (layout.places[check] - layout.checks.first) // WORD
            places = np.ravel(where[row]).tolist()
            found += [(place, slot + run, number) for run, place in enumerate(places)]
        return sorted(found)

    def _moving(self) -> Iterable[int]:
        return (*self._inputs, *self._outputs)

    def _staging(self, buffer: int) -> Array:
        """A constant or an input as it lies on the host's side."""
        what = self.program.buffers[buffer]
        return self._staged.array(what.shape, what.dtype, self.plan.layout.places[buffer])

    def _copy_in(self, span: Span) -> None:
        if span.nbytes:
            target, source = self._own.address + span.first, self._staged.address + span.first
            self.workspace.asked(lambda: self._device.copy(target, source, span.nbytes))

    def _call(self, inputs: Sequence[Any], on_device: bool) -> list[Any]:
        return self.workspace.hold(lambda: self._run(inputs, on_device))

    def _run(self, inputs: Sequence[Any], on_device: bool) -> list[Any]:
        """The outputs of one call, which holds the workspace."""
        self.workspace.settle()
        owned, moved = [], dict.fromkeys(self._moving(), -1)
        for index, array in zip(self._inputs, inputs, strict=True):
            if isinstance(array, DeviceArray):
                source, owner = self._apart(array)
                owned.append(owner)
                moved[index] = source
            else:
                self._inputs_staged[index][...] = array
        made = [self._new(index) for index in self._outputs] if on_device else []
        moved |= {i: array.address for i, array in zip(self._outputs, made, strict=False)}
        self._place(moved)
        way = tuple(isinstance(array, DeviceArray) for array in inputs), on_device
        self._launch(way)
        self._look()
        if on_device:
            return list(made)
        return [self._read(index) for index in self._outputs]

    def _launch(self, way: Way) -> None:
        """Run the graph of a way of calling, and wait for its end."""
        graph = self._graphs.get(way)
        if graph is None:
            graph = self._graphs[way] = self._device.graph(self.nodes(way))
        self.workspace.asked(lambda: self._device.launch(graph))

    def _apart(self, array: DeviceArray) -> tuple[int, Any]:
        """The address of an array, or of a copy where it lies in a state; and what to keep.

        A step reads its inputs to the end, the states from the moment they are updated.
        """
        first, last = array.address, array.address + array.nbytes
        for state in self._states.values():
            begin = state.ctypes.data
            if first < begin + state.nbytes and begin < last:
                copy = Memory(self._device, "device", array.nbytes)
                self._device.copy(copy.address, array.address, array.nbytes)
                return copy.address, copy
        return array.address, array

    def _new(self, index: int) -> DeviceArray:
        buffer = self.program.buffers[index]
        memory = Memory(self._device, "device", buffer.nbytes)
        return DeviceArray(self._device, memory.address, buffer.shape, buffer.dtype, memory)

    def _place(self, moved: Mapping[int, int]) -> None:
        """Let the table be for where everything is now; `moved` inputs and outputs, or -1."""
        arena, scratch = self.workspace.arena, self.workspace.scratch
        now = arena.address, scratch.address
        if self._seen != now:
            self._graphs.clear()  # they have addresses of scratch
            for number, buffer in enumerate(self.program.buffers):
                if buffer.role == "temporary" and number not in self.plan.layout.places:
                    assert buffer.offset is not None
                    self._table.place(number, arena.address + buffer.offset)
        for number, where in moved.items():
            at = self.plan.layout.places[number] + self._own.address if where < 0 else where
            if self._addresses[number] != at:
                # Whatever interrupts this: the table is not there until it has been copied.
                self._seen = _NOWHERE
                self._table.place(number, at)
                self._addresses[number] = at
        if self._seen != now:
            self._copy_in(self.plan.layout.table)
            self._seen = now

    def nodes(self, way: Way | None = None) -> list[Node]:
        """The graph of a way of calling; by default, of one whose arrays are all the host's."""
        on_device, keeps = way or ((False,) * len(self._inputs), False)
        layout, own = self.plan.layout, self._own.address
        nodes: list[Node] = [
            Copy(own + span.first, self._staged.address + span.first, span.nbytes)
            for span in self._spans_in(on_device)
        ]
        copies = range(len(nodes))
        nodes += [self._node(launch, copies) for launch in self.plan.launches]
        ends = [len(copies) + number for number in self.plan.last] or list(copies)
        last = layout.checks.last if keeps else layout.outputs.last
        if last > layout.checks.first:
            first = layout.checks.first
            nodes.append(Copy(self._found.address, own + first, last - first, ends))
        return nodes

    def _spans_in(self, on_device: Sequence[bool]) -> list[Span]:
        """What is copied to the device: stretches without the inputs that lie there already."""
        layout = self.plan.layout
        pieces = [
            (layout.places[index], self.program.buffers[index].nbytes)
            for index, away in zip(self._inputs, on_device, strict=True)
            if not away
        ]
        pieces.append((layout.checks.first, layout.checks.nbytes))
        spans: list[Span] = []
        for first, size in pieces:
            if size and spans and first - spans[-1].last < ALIGNMENT:
                spans[-1] = Span(spans[-1].first, first + size)
            elif size:
                spans.append(Span(first, first + size))
        return spans

    def _node(self, launch: Launch | Walk, copies: range) -> Call:
        own, shift = self._own.address, len(copies)
        scratch = 0 if launch.scratch is None else self.workspace.scratch.address + launch.scratch
        after: Sequence[int] = range(launch.after.start + shift, launch.after.stop + shift)
        function = self._loaded[_code(launch)].function
        if isinstance(launch, Walk):
            table = own + self.plan.layout.table.first
            given = table, 0, len(launch.runs), own + launch.listed, 0, scratch, 0
        else:
            given = (
                own + launch.words, launch.lo, launch.hi, own + launch.guard_list,
                len(launch.guards), scratch, launch.space,
            )  # fmt: skip
        return Call(function, launch.grid, launch.threads, launch.shared, given, after or copies)

    def _look(self) -> None:
        """CheckFailedError for the first check that does not hold."""
        found = self._found.array((len(self._checks),), np.int64)
        for _, slot, number in self._checks:
            if found[slot] != HOLDS:
                raise CheckFailedError(number, int(found[slot]))

    def _read(self, index: int) -> Array:
        """An output of the call that has just ended, in memory of its own."""
        buffer = self.program.buffers[index]
        place = self.plan.layout.places[index] - self.plan.layout.checks.first
        return self._found.array(buffer.shape, buffer.dtype, place).copy()


def _code(launch: Launch | Walk) -> tuple[tuple[tuple[int, bool], ...], bool]:
    """Which kernels a launch runs, with where its workers' memory is; and whether it walks."""
    if isinstance(launch, Walk):
        return launch.kernels, True
    return ((launch.kernel, launch.scratch is None),), False


def _fits(buffer: Buffer, array: Any) -> bool:
    """Whether an array is what a buffer says; one on a device is contiguous."""
    if isinstance(array, DeviceArray):
        return array.shape == buffer.shape and array.dtype == np.dtype(buffer.dtype)
    return fits(buffer, array)
