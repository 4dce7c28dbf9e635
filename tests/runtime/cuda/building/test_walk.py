"""The function of a persistent kernel, run on the host thread by thread: runs, guards, memory."""

import ctypes
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import pytest

from diagrad.runtime.cpu.building.link import Linked
from diagrad.runtime.cuda.building.entry import TEAM
from diagrad.runtime.cuda.building.walk import part, walked
from diagrad.runtime.cuda.code import RUN
from diagrad.runtime.outcomes import HOLDS

from .hosting import SHARED, on_host

PARTS = [(3, True), (4, True), (4, False), (6, True), (6, False)]
"""Kernels: how many arguments their texts have, and whether their memory is shared."""
SCRATCH = 1 << 44
LOGGED = 6
"""Words of a call that is written down: the kernel, lo, hi, space, warp, warps."""
ROOM = 64
"""Words for what one run writes down: how many calls, and the calls."""


def kernel(number: int, arguments: int) -> str:
    """A kernel that writes down its calls at its words."""
    names = ("lo", "hi", "space", "warp", "warps")
    values = [str(number), *(f"%{name}" for name in names[: arguments - 1]), *["-1"] * 3]
    stores = "\n".join(
        f"  %p{i} = getelementptr i64, ptr %call, i64 {i}\n  store i64 {value}, ptr %p{i}"
        for i, value in enumerate(values[:LOGGED])
    )
    given = "".join(f", i64 %{name}" for name in names[: arguments - 1])
    return f"""
define i32 @{part(number)}(ptr %result, ptr %none, ptr %args{given}) {{
  %count = load i64, ptr %args
  %next = add i64 %count, 1
  store i64 %next, ptr %args
  %place = mul i64 %count, {LOGGED}
  %first = getelementptr i64, ptr %args, i64 1
  %call = getelementptr i64, ptr %first, i64 %place
{stores}
  ret i32 0
}}
"""


PLACE = (ctypes.c_int32 * 5)()


@cache
def walk() -> Linked:
    text = walked(PARTS)
    for number, (arguments, _) in enumerate(PARTS):
        head = text[text.index(f"declare i32 @{part(number)}(") :].split("\n")[0]
        text = text.replace(head, kernel(number, arguments))
    return on_host(text, "hosted_walk", PLACE)


@dataclass
class Run:
    """A run: a kernel, its indices, the bytes of a worker, and what its guards find."""

    kernel: int
    lo: int
    hi: int
    nbytes: int = 0
    flags: list[int] = field(default_factory=list)

    def calls(self, warp: int) -> list[list[int]]:
        """What the warp should do of it."""
        if any(flag != HOLDS for flag in self.flags):
            return []
        arguments, shared = PARTS[self.kernel]
        team = arguments == 6
        indices = range(self.lo, self.hi) if team else range(self.lo + warp, self.hi, TEAM)
        space = (SHARED if shared else SCRATCH) + (0 if team else warp * self.nbytes)
        own = [space, warp, TEAM][: arguments - 3]
        return [[self.kernel, i, i + 1, *own, *[-1] * (3 - len(own))] for i in indices]


def walking(
    runs: list[Run], thread: int, first: int = 0, last: int | None = None
) -> tuple[list[list[list[int]]], int]:
    """The calls of a thread in each run, and how often it meets the others."""
    flags = np.array([flag for run in runs for flag in run.flags], np.int64)
    table = np.zeros(ROOM * len(runs) + len(flags), np.int64)
    table[ROOM * len(runs) :] = flags.ctypes.data + 8 * np.arange(len(flags))
    listed = np.zeros((len(runs), RUN), np.int64)
    at = 8 * ROOM * len(runs)
    for number, run in enumerate(runs):
        words = 8 * ROOM * number
        listed[number, :7] = [run.kernel, words, run.lo, run.hi, at, len(run.flags), run.nbytes]
        at += 8 * len(run.flags)
    listed[:, 7] = -1  # means nothing
    PLACE[:] = [thread, -1, -1, -1, 0]
    last = len(runs) if last is None else last
    given = table.ctypes.data, first, last, listed.ctypes.data, -1, SCRATCH, -1
    ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 7)(walk().address)(*given)
    logs = table[: ROOM * len(runs)].reshape(-1, ROOM)
    found = [log[1 : 1 + LOGGED * log[0]].reshape(-1, LOGGED).tolist() for log in logs]
    return found, PLACE[4]


@pytest.mark.parametrize("warp", [0, 3, 7])
def test_all_runs_are_made_in_order_and_the_block_meets_behind_each(warp: int) -> None:
    runs = [
        Run(which, lo, hi, nbytes)
        for which in range(len(PARTS))
        for lo, hi, nbytes in ((0, 1, 128), (0, 9, 256), (2, 7, 384))
    ]
    found, met = walking(runs, 32 * warp + 5)
    assert found == [run.calls(warp) for run in runs]
    teams = [run for run in runs if PARTS[run.kernel][0] == 6]
    # A team meets behind each index, other runs once.
    assert met == len(runs) - len(teams) + sum(run.hi - run.lo for run in teams)


def test_a_part_of_the_runs() -> None:
    runs = [Run(0, 0, 3), Run(1, 0, 3), Run(3, 0, 2), Run(0, 0, 1)]
    found, _ = walking(runs, 0, 1, 3)
    assert found == [[], runs[1].calls(0), runs[2].calls(0), []]
    assert walking(runs, 0, 2, 2) == ([[]] * 4, 0)


@pytest.mark.parametrize("which", range(len(PARTS)))
def test_a_run_whose_guards_do_not_hold_is_left_out(which: int) -> None:
    """And all warps meet behind the guards, whatever these find."""
    runs = [
        Run(which, 0, 1, 128, flags)
        for flags in ([HOLDS], [0], [HOLDS, HOLDS], [HOLDS, 7], [7, HOLDS], [])
    ]
    found, met = walking(runs, 0)
    assert found == [run.calls(0) for run in runs]
    assert [len(calls) for calls in found] == [1, 0, 1, 0, 0, 1]
    assert met == 5 + 3


def test_the_block_has_as_many_threads_as_it_reckons_with() -> None:
    for team in (2, TEAM):
        assert f'"nvvm.reqntid"="{32 * team}"' in walked(PARTS, team)
