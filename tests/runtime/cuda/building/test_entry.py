"""The entry that launches call, run on the host thread by thread: checks, deals, memory.

Its text is the one that becomes PTX, but for NVVM's intrinsics, which answer what a test sets.
"""

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest

from diagrad.runtime.building.lowering import Lowered
from diagrad.runtime.cpu.building.link import Linked
from diagrad.runtime.cuda.building.entry import TEAM, entered, threads
from diagrad.runtime.outcomes import HOLDS

from .hosting import SHARED, on_host

BYTES = 64
LOG = """
define i32 @kernel(ptr %result, ptr %none, ptr %args, i64 %lo, i64 %hi{more}) {{
  %count = load i64, ptr %args
  %next = add i64 %count, 1
  store i64 %next, ptr %args
  %place = mul i64 %count, 5
  %p0 = getelementptr i64, ptr %args, i64 1
  %p = getelementptr i64, ptr %p0, i64 %place
  store i64 %lo, ptr %p
  %p1 = getelementptr i64, ptr %p, i64 1
  store i64 %hi, ptr %p1
{stores}
  ret i32 0
}}
"""
"""A kernel that writes down its calls: a count, then five words for each."""


@dataclass
class Hosted:
    """An entry on the host."""

    code: Linked
    place: "ctypes.Array[ctypes.c_int32]"
    shared: int

    def call(self, thread: int, block: int, lo: int, hi: int, size: tuple[int, int],
             checks: tuple[int, ...] = (), scratch: int = 0) -> np.ndarray:  # fmt: skip
        """What a thread of a block does in a launch of `size` blocks and threads: its calls."""
        self.place[:] = [thread, size[1], block, size[0], 0]
        log = np.zeros(1 + 5 * 64, np.int64)
        held = np.array(checks, np.int64)
        guards = np.array([held.ctypes.data + 8 * i for i in range(len(checks))], np.int64)
        function = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 7)(self.code.address)
        function(log.ctypes.data, lo, hi, guards.ctypes.data, len(checks), scratch, BYTES)
        return log[1:].reshape(-1, 5)[: log[0]]


def hosted(arguments: int, shared: bool) -> Hosted:
    names = ("space", "warp", "warps")[: arguments - 3]
    stores = [
        f"  %q{i} = getelementptr i64, ptr %p, i64 {2 + i}\n  store i64 %{name}, ptr %q{i}"
        for i, name in enumerate(names)
    ]
    kernel = LOG.format(more="".join(f", i64 %{n}" for n in names), stores="\n".join(stores))
    text = kernel + entered(Lowered("", "kernel", arguments), shared)
    place = (ctypes.c_int32 * 5)()
    return Hosted(on_host(text, f"hosted_{arguments}_{shared}", place), place, SHARED)


@pytest.fixture(scope="module", params=[(3, True), (4, True), (4, False), (6, True), (6, False)])
def case(request: pytest.FixtureRequest) -> Iterator[tuple[Hosted, int, bool]]:
    arguments, shared = request.param
    yield hosted(arguments, shared), arguments, shared


@pytest.mark.parametrize(("lo", "hi"), [(0, 0), (0, 1), (3, 40), (5, 5)])
@pytest.mark.parametrize("blocks", [1, 3])
@pytest.mark.parametrize("warps", [1, 2, 4])
def test_every_index_is_dealt_once(
    case: tuple[Hosted, int, bool], lo: int, hi: int, blocks: int, warps: int
) -> None:
    entry, arguments, shared = case
    team = arguments == 6
    warps = TEAM if team else warps
    size = (blocks, 32 * warps)
    seen, spaces = [], set()
    for block in range(blocks):
        for warp in range(warps):
            worker = block if team else block * warps + warp
            calls = entry.call(32 * warp + 7, block, lo, hi, size, scratch=1 << 44)
            assert (calls[:, 1] == calls[:, 0] + 1).all()
            workers = blocks if team else blocks * warps
            assert calls[:, 0].tolist() == list(range(lo + worker, hi, workers))
            if not team or warp == 0:
                seen += calls[:, 0].tolist()
            if arguments > 3:
                room = (0 if team else warp) if shared else worker
                base = entry.shared if shared else 1 << 44
                assert (calls[:, 2] == base + room * BYTES).all()
                spaces.add((block, base + room * BYTES))
            if team:
                assert (calls[:, 3:] == [warp, TEAM]).all()
    assert sorted(seen) == list(range(lo, hi))


@pytest.mark.parametrize("checks", [(7,), (HOLDS, 0), (0, HOLDS), (HOLDS, -1, HOLDS)])
def test_a_check_that_fails_stops_the_launch(
    case: tuple[Hosted, int, bool], checks: tuple[int, ...]
) -> None:
    entry = case[0]
    size = (1, threads(case[1]))
    assert len(entry.call(0, 0, 0, 1, size, checks)) == 0
    assert len(entry.call(0, 0, 0, 1, size, (HOLDS,) * len(checks))) == 1
