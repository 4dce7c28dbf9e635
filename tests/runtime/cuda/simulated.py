"""A device that is simulated on the host: its memory is the host's, its kernels run natively.

A warp is one thread with all lanes in one vector, in lock-step; a team is as many threads of the
system as it has warps.  What a real device leaves open is drawn: the order of launches, as far as
the edges of a graph leave it open, of blocks, and of the warps of a block.  What is asked of it is
done when somebody waits for it, and not before.  A walk makes its runs in their order, and deals
each among its warps as a launch does.  Memory that nobody has written is NaN in every
dtype, and what lies beside what was asked for must stay as it is.
"""

from __future__ import annotations

import ctypes
import os
import random
import re
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from diagrad.runtime.building.lowering import lower_kernel, lower_routine
from diagrad.runtime.cpu.building.build import build_text
from diagrad.runtime.cpu.building.natives import Native, Request, obtain
from diagrad.runtime.cuda.code import RUN, Code
from diagrad.runtime.cuda.device import Call, Copy, DeviceError, Kind, Loaded, Node
from diagrad.runtime.cuda.processor import Processor
from diagrad.runtime.cuda.routines.routines import routine_text
from diagrad.runtime.cuda.shapes import WARP, is_team
from diagrad.runtime.forking import COMPILING
from diagrad.runtime.outcomes import HOLDS
from diagrad.runtime.program import Kernel
from diagrad.runtime.tracing import Limits
from diagrad.runtime.words.machine import MEETING, Machine

Array = npt.NDArray[Any]

EDGE = 256
"""Bytes before and behind what was asked for, which nobody may write; and what it is aligned to."""

FRESH, BESIDE = 0xFF, 0xA5
"""What every byte is of memory that is new, and of memory that nobody has asked for."""

FRONT = 64
"""Bytes in front of the memory of a worker, where the warps of a team meet."""


@dataclass(frozen=True)
class _Piece:
    """Memory that was asked for, and all that holds it."""

    kind: Kind
    first: int
    nbytes: int
    whole: npt.NDArray[np.uint8]

    def check(self) -> None:
        """Nobody has written beside it."""
        begin = self.first - self.whole.ctypes.data
        beside = (self.whole[:begin], self.whole[begin + self.nbytes :])
        fine = all((part == BESIDE).all() for part in beside)
        for part in beside:
            part[:] = BESIDE  # it is told once
        assert fine, f"written beside {self.kind} memory"


@dataclass(frozen=True)
class _Function:
    """A kernel's native code, and what holds it."""

    kernel: Kernel
    near: bool
    native: Native

    def __call__(self, *given: int) -> None:
        _ENTRY(self.native.address)(*given)


@dataclass(frozen=True)
class _Walk:
    """The functions of a walk, by their numbers."""

    functions: Sequence[Any]


SIMULATED = Machine(WARP, WARP, teams=True)
"""A warp: all lanes in one vector."""

_ENTRY = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 6)


class SimulatedDevice:
    """A device on the host.

    Args:
        seed: of what is drawn.
        team: warps of a team, whatever a launch asks for.
        processor: what it says that it is; a small one by default, so that indices are dealt.

    Attributes:
        done: how often it was asked for something: "launch", "copy", "graph", "kernel", ...
    """

    number = 0
    name = "simulated device"
    stream = 7

    def __init__(
        self,
        seed: int = 0,
        team: int = 8,
        processor: Processor = Processor(3, 48 << 10),  # noqa: B008
    ) -> None:
        self.process = os.getpid()
        self.processor = processor
        self.team = team
        self.done: Counter[str] = Counter()
        self._draw = random.Random(seed)
        self._pieces: dict[int, _Piece] = {}
        self._asked: list[Callable[[], None]] = []
        self._lock = threading.RLock()
        self._pool = ThreadPoolExecutor(team)
        self.limit = 1 << 40
        """Bytes that may be held at a time."""

    def __str__(self) -> str:
        return self.name

    @property
    def held(self) -> int:
        """Bytes that have been asked for and not given back."""
        return sum(piece.nbytes for piece in self._pieces.values())

    def allocate(self, kind: Kind, nbytes: int) -> int:
        self._here()
        if self.held + nbytes > self.limit:
            raise DeviceError(
                f"allocate {nbytes:,} bytes of {kind} memory", "CUDA_ERROR_OUT_OF_MEMORY",
                "out of memory",
            )  # fmt: skip
        whole = np.full(nbytes + 3 * EDGE, BESIDE, np.uint8)
        first = -(-(whole.ctypes.data + EDGE) // EDGE) * EDGE
        begin = first - whole.ctypes.data
        whole[begin : begin + nbytes] = FRESH
        self._pieces[first] = _Piece(kind, first, nbytes, whole)
        self.done["allocate"] += 1
        return first

    def free(self, kind: Kind, address: int) -> None:
        self._here()
        piece = self._pieces.pop(address)
        assert piece.kind == kind
        piece.check()
        piece.whole[:] = FRESH  # whoever still reads it finds no number

    def keep_here(self, address: int, nbytes: int) -> None:
        assert self._piece(address, nbytes).kind == "managed"

    def number_of(self, address: int) -> int:
        self._piece(address, 0)
        return self.number

    def load(self, codes: Sequence[Code]) -> list[Loaded]:
        self._here()
        made = []
        for code in codes:
            parts = self._functions(code.kernels)
            function = _Walk([part.function for part in parts]) if code.walks else parts[0].function
            origin = "compiled" if any(p.origin == "compiled" for p in parts) else "cache"
            spent = sum(part.milliseconds for part in parts)
            made.append(Loaded(function, code.name, origin, parts[0].reason, spent))
        self.done["kernel"] += len(codes)
        return made

    def _functions(self, kernels: Sequence[tuple[Kernel, bool]]) -> list[Loaded]:
        """What runs each kernel."""
        requests = [
            Request(k.name, k.source, build_simulated, stays=False, more=(k.lanes,))
            for k, _ in kernels
        ]
        return [
            Loaded(_Function(k, near, n), k.name, n.origin, n.reason, n.milliseconds)
            for (k, near), n in zip(kernels, obtain(requests), strict=True)
        ]

    def routines(self, names: Sequence[str]) -> Mapping[str, int]:
        self._routines = _routines(tuple(names))
        return {name: item.address for name, item in self._routines.items()}

    def copy(self, target: int, source: int, nbytes: int) -> None:
        self._here()
        with self._lock:
            self._asked.append(lambda: self._run(Copy(target, source, nbytes)))

    def copy_to_host(self, target: Array, address: int) -> None:
        self.synchronize()
        self._piece(address, target.nbytes)
        ctypes.memmove(target.ctypes.data, address, target.nbytes)

    def graph(self, nodes: Sequence[Node]) -> Any:
        self._here()
        for number, node in enumerate(nodes):
            assert all(0 <= other < number for other in node.after)
            if isinstance(node, Call):
                assert node.grid > 0 and node.threads % WARP == 0
                assert node.shared <= self.processor.shared
        self.done["graph"] += 1
        return list(nodes)

    def launch(self, graph: Any) -> None:
        self._here()
        self.done["launch"] += 1
        with self._lock:
            self._asked.append(lambda: self._run_all(graph))

    def synchronize(self) -> None:
        self._here()
        with self._lock:  # whoever comes later waits for what is being done
            asked, self._asked = self._asked, []
            for function in asked:
                function()
            for piece in list(self._pieces.values()):
                piece.check()

    def wait_for(self, stream: int) -> None:
        self.done["wait"] += 1

    def limits(self) -> Limits:
        return Limits(self.name, 1, 1e12, {"float32": 1e13, "float64": 1e12}, 1 << 20)

    def measure(self, nodes: Sequence[Node]) -> npt.NDArray[np.float64]:
        self.synchronize()
        for node in nodes:
            self._run(node)
        return np.arange(1.0, len(nodes) + 1.0)

    def _here(self) -> None:
        assert os.getpid() == self.process, "used in a child"

    def _piece(self, address: int, nbytes: int) -> _Piece:
        for piece in list(self._pieces.values()):
            if piece.first <= address and address + nbytes <= piece.first + max(1, piece.nbytes):
                return piece
        raise DeviceError("tell whose memory it is", "CUDA_ERROR_INVALID_VALUE", "invalid argument")

    def _run_all(self, nodes: Sequence[Node]) -> None:
        """The nodes of a graph in a random order that their edges allow."""
        left = [len(node.after) for node in nodes]
        followers: list[list[int]] = [[] for _ in nodes]
        for number, node in enumerate(nodes):
            for other in node.after:
                followers[other].append(number)
        ready = [number for number, count in enumerate(left) if not count]
        while ready:
            number = ready.pop(self._draw.randrange(len(ready)))
            self._run(nodes[number])
            for other in followers[number]:
                left[other] -= 1
                if not left[other]:
                    ready.append(other)

    def _run(self, node: Node) -> None:
        if isinstance(node, Copy):
            self._piece(node.target, node.nbytes)
            self._piece(node.source, node.nbytes)
            ctypes.memmove(node.target, node.source, node.nbytes)
            self.done["copy"] += 1
            self.done["bytes"] += node.nbytes
            return
        self.done["call"] += 1
        if isinstance(node.function, _Walk):
            self._walk(node)
        else:
            self._guarded(node)

    def _walk(self, node: Call) -> None:
        """Each run as a launch of its own by the same blocks, which share what the walk has."""
        table, lo, hi, runs, _, scratch, _ = node.arguments
        for number in range(lo, hi):
            at = runs + 8 * RUN * number
            which, words, first, last, guards, count, space = (
                _integer(at + 8 * word) for word in range(7)
            )
            function = node.function.functions[which]
            workers = 1 if is_team(function.kernel) else node.threads // WARP
            assert not function.near or space * workers <= node.shared
            given = (table + words, first, last, table + guards, count, scratch, space)
            self._guarded(replace(node, function=function, arguments=given))

    def _guarded(self, node: Call) -> None:
        """The run of a kernel, if all its flags hold."""
        _, _, _, guards, count, _, _ = node.arguments
        flags = [_integer(_integer(guards + 8 * n)) for n in range(count)]
        if all(flag == HOLDS for flag in flags):
            self._launch(node)

    def _launch(self, node: Call) -> None:
        """All blocks of a launch, one after another."""
        words, lo, hi, _, _, scratch, space = node.arguments
        function: _Function = node.function
        team, warps = is_team(function.kernel), node.threads // WARP
        for block in self._shuffled(node.grid):
            if team:
                for index in range(lo + block, hi, node.grid):
                    self._team(function, words, index, scratch + block * space, space)
                continue
            for warp in self._shuffled(warps):
                worker = block * warps + warp
                memory = self._memory(function, space, scratch + worker * space)
                for index in range(lo + worker, hi, node.grid * warps):
                    function(words, index, index + 1, memory.address, 0, 1)
                memory.check()

    def _team(self, function: _Function, words: int, index: int, scratch: int, space: int) -> None:
        memory = self._memory(function, space, scratch)
        made = [
            self._pool.submit(function, words, index, index + 1, memory.address, warp, self.team)
            for warp in self._shuffled(self.team)
        ]
        for one in made:
            one.result()
        memory.check()

    def _memory(self, function: _Function, space: int, scratch: int) -> _Memory:
        """A worker's; where a plan puts it into scratch, there must be as much."""
        if not function.near:
            self._piece(scratch, space)
        return _Memory(space)

    def _shuffled(self, count: int) -> list[int]:
        return self._draw.sample(range(count), count)


@cache
def _routines(names: tuple[str, ...]) -> dict[str, Native]:
    """Native code of the target's routines, by name."""
    made = obtain([Request(name, routine_text(name), build_routine) for name in names])
    return dict(zip(names, made, strict=True))


class _Memory:
    """The memory of a worker, which nobody has written; in front of it the warps of a team meet."""

    def __init__(self, space: int) -> None:
        self._whole = np.full(space + 2 * EDGE + FRONT, BESIDE, np.uint8)
        first = -(-(self._whole.ctypes.data + FRONT) // EDGE) * EDGE
        begin = first - self._whole.ctypes.data
        self._behind = self._whole[begin + space :]
        self._whole[begin - FRONT : begin] = 0
        self._whole[begin : begin + space] = FRESH
        self.address = first

    def check(self) -> None:
        assert (self._behind == BESIDE).all(), "written behind the memory of a worker"


def _integer(address: int) -> int:
    return ctypes.c_int64.from_address(address).value


def build_simulated(source: str, symbol: str, lanes: int) -> bytes:
    """Object code of a kernel: `symbol(args, lo, hi, space, warp, warps)`, lanes in one vector."""
    with COMPILING:
        lowered = lower_kernel(source, symbol, Machine(lanes, lanes, teams=True))
        given = {3: "", 4: ", i64 %space", 6: ", i64 %space, i64 %warp, i64 %warps"}
        more = given[lowered.arguments]
        text = f"""{lowered.text}
define void @{symbol}(ptr %args, i64 %lo, i64 %hi, i64 %space, i64 %warp, i64 %warps) {{
  %result = alloca ptr
  call i32 @"{lowered.function}"(ptr %result, ptr null, ptr %args, i64 %lo, i64 %hi{more})
  ret void
}}
"""
        return build_text(_with_meeting(text), {symbol})


def build_routine(source: str, symbol: str) -> bytes:
    """Object code of a routine, as a warp of a team runs it."""
    with COMPILING:
        return build_text(_with_meeting(lower_routine(source, symbol, SIMULATED)), {symbol})


def _with_meeting(text: str) -> str:
    """LLVM's text with the function in which the warps of a team meet: a barrier that yields.

    In front of the team's memory are how many have come, and how often they have met.
    """
    declaration = re.compile(rf'declare void @"?{MEETING}"?\([^)]*\)')
    return (
        declaration.sub("", text)
        + f"""
declare i32 @sched_yield()
define void @{MEETING}(i64 %space, i64 %warps) {{
  %alone = icmp eq i64 %warps, 1
  br i1 %alone, label %done, label %come
come:
  %p = sub i64 %space, {FRONT}
  %count = inttoptr i64 %p to ptr
  %q = add i64 %p, 8
  %met = inttoptr i64 %q to ptr
  %before = load atomic i64, ptr %met acquire, align 8
  %here = atomicrmw add ptr %count, i64 1 acq_rel
  %all = add i64 %here, 1
  %last = icmp eq i64 %all, %warps
  br i1 %last, label %open, label %wait
open:
  store atomic i64 0, ptr %count monotonic, align 8
  %once = add i64 %before, 1
  store atomic i64 %once, ptr %met release, align 8
  br label %done
wait:
  %now = load atomic i64, ptr %met acquire, align 8
  %opened = icmp ne i64 %now, %before
  br i1 %opened, label %done, label %give
give:
  call i32 @sched_yield()
  br label %wait
done:
  ret void
}}
"""
    )
