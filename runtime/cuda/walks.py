"""Which loops one block walks, instead of a launch for every run.

A loop whose body is small spends its time between launches.  Where one block would take much less
for all of its runs, one after another, than launches take on their longest path, there is one
launch of a persistent kernel: a block that walks the runs in their order and meets behind each.
Both times are predicted, by the rates of `processor.py`, from the compiler's estimate of a row's
work and from the bytes of the buffers that it names; a run takes as long as its work or its bytes
do on as many multiprocessors as have a part of it.

A loop is asked before those in it: where it is not walked, they may be, once for each turn of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..program import Address, BoundProgram, Instruction, Turns
from .processor import Processor
from .shapes import launched, walked

Integers = npt.NDArray[np.int64]

GAIN = 1.5
"""How many times as fast a walk must be predicted to be: predictions are rough."""

MOST = 16
"""Kernels that a walk has at most.  Where a function has many, the assembler moves what they share
out of them, and spills: of a Transformer's 29 kernels 2 KiB, and it takes 2.5 times as long."""


def stretches(
    program: BoundProgram,
    where: Sequence[Integers],
    waits: Integers,
    processor: Processor,
) -> list[tuple[int, int]]:
    """The places [first, last) of the runs that one block walks together, for each such block.

    Args:
        program: whose loops they are of.
        where: for each row the places of its runs.
        waits: for each place that below which all runs are before it.
        processor: what is known of the device.
    """
    chosen: list[Turns] = []
    found: list[tuple[int, int]] = []
    times = program.times
    for number, loop in enumerate(program.turns):
        around = [t for t in program.turns[:number] if _within(loop, t)]
        rows = [r for r in range(loop.first, loop.last) if where[r].size]
        if not rows or any(outer in chosen for outer in around):
            continue
        entered = int(np.prod([t.count for t in around], dtype=np.int64))
        places = [where[row].reshape(entered, -1) for row in rows]
        firsts = np.min([place.min(axis=1) for place in places], axis=0).tolist()
        lasts = (np.max([place.max(axis=1) for place in places], axis=0) + 1).tolist()
        rows_at = np.full(lasts[0] - firsts[0], -1, np.int64)
        for row, place in zip(rows, places, strict=True):
            if program.instructions[row].extent:
                rows_at[place[0] - firsts[0]] = row
        if len({program.instructions[row].kernel for row in rows}) > MOST:
            continue
        costs = {row: _costs(program, row, times[row], processor) for row in rows}
        if _pays(rows_at.tolist(), (waits[firsts[0] : lasts[0]] - firsts[0]).tolist(), costs,
                 processor):  # fmt: skip
            chosen.append(loop)
            found += zip(firsts, lasts, strict=True)
    return sorted(found)


def _within(loop: Turns, other: Turns) -> bool:
    return other.first <= loop.first and loop.last <= other.last


def _costs(
    program: BoundProgram, row: int, times: int, processor: Processor
) -> tuple[float, float]:
    """Seconds of a run of a row, launched and walked."""
    item, rates = program.instructions[row], processor.rates
    if not item.extent:
        return 0.0, 0.0
    kernel = program.kernels[item.kernel]
    nbytes, wide = moved(program, item, times) // times, is_wide(program, item)
    apart, along = launched(item, kernel, processor), walked(item, kernel, processor)
    blocks = min(apart.grid, processor.multiprocessors)
    return (
        rates.run_work_s(item, nbytes, blocks, apart.warps, apart.team, wide),
        rates.run_work_s(item, nbytes, 1, along.warps, along.team, wide),
    )


def _pays(
    rows: list[int],
    waits: list[int],
    costs: dict[int, tuple[float, float]],
    processor: Processor,
) -> bool:
    """Whether a walk takes less than launches do: of each place the row, or -1, and the wait."""
    rates = processor.rates
    runs, walk = 0, rates.node_s
    path = [0.0]  # when all below a place have ended
    for row, wait in zip(rows, waits, strict=True):
        if row < 0:
            path.append(path[-1])
            continue
        apart, along = costs[row]
        runs += 1
        walk += rates.run_s + along
        path.append(max(path[-1], path[max(0, wait)] + rates.node_s + apart))
    return runs > 1 and GAIN * walk < path[-1]


def is_wide(program: BoundProgram, item: Instruction) -> bool:
    """Whether a row computes in float64."""
    return any(program.buffers[b].dtype == "float64" for b in (*item.reads, *item.writes))


def moved(program: BoundProgram, item: Instruction, times: int) -> int:
    """About what all runs of a row read and write: each buffer that it names, once.

    A row of a loop that moves along a buffer with the turns has its part of it in each.
    """
    return sum(_of_buffer(program, item, b, times) for b in (*item.reads, *item.writes))


def _of_buffer(program: BoundProgram, item: Instruction, buffer: int, times: int) -> int:
    offsets = [
        word.offset for word in item.words if isinstance(word, Address) and word.buffer == buffer
    ]
    parts = max((np.unique(offset).size for offset in offsets), default=1)
    return program.buffers[buffer].nbytes * times // max(1, parts)
