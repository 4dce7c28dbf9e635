"""Loops that one block walks: which they are, how it finds its runs, and what it computes."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from diagrad.compiler.memory.plan_memory import plan_memory
from diagrad.compiler.pipeline import compile_kernels
from diagrad.runtime.cuda.code import RUN
from diagrad.runtime.cuda.device import Call
from diagrad.runtime.cuda.layout import WORD
from diagrad.runtime.cuda.plan import Plan, Walk, plan_launches
from diagrad.runtime.cuda.processor import MULTIPLY_ADDS, Processor, Rates
from diagrad.runtime.cuda.walks import GAIN, MOST, stretches
from diagrad.runtime.program import (
    CUDA,
    BoundProgram,
    Buffer,
    Instruction,
    Kernel,
    Turns,
    positions,
)
from diagrad.runtime.teams import TEAM_WARPS

from .executors import executor, there
from .model import Model
from .programs import EVER, LOOPS, NETS, NEVER, bound, execution, inputs
from .running import Both
from .simulated import SimulatedDevice

Array = Any
RUN_AT = [
    *[("state", {"T": count}) for count in (0, 1, 2, 5)], ("root", {}), ("halving", {"B": 5}),
    ("gru", {"T": 1, "B": 3}), ("gru", {"T": 2, "B": 2}), ("lstm", {"T": 4, "B": 3}),
    ("neighbours", {"T": 9}),
]  # fmt: skip
SIMPLE = Kernel("simple", "def kernel(args, lo, hi):\n    pass\n", 32)
SPACED = Kernel("spaced", "def kernel(args, lo, hi, space):\n    pass\n", 32)
TEAMED = Kernel("teamed", "def kernel(args, lo, hi, space, warp, warps):\n    pass\n", 32)
UNIT = Rates(
    node_s=10.0, run_s=1.0, bytes_per_s=100.0, own_bytes_per_s=5.0, warp_ops_per_s=2.0,
    team_ops_per_s=8.0, double=0.25,
)  # fmt: skip
"""A device that is easily reckoned with."""


def planned(name: str, sizes: dict[str, int], rates: Rates) -> Plan:
    return plan_launches(bound(name, sizes), Processor(rates=rates))


def made(
    items: Sequence[Instruction], turns: Sequence[Turns], kernel: Kernel = SIMPLE, nbytes: int = 0
) -> BoundProgram:
    buffer = Buffer("b", "temporary", "bool", (nbytes,), 0)
    return BoundProgram("made", (kernel,), tuple(items), (buffer,), nbytes, tuple(turns))


def row(work: int = 0, extent: int = 1, wait: Any = None, **more: Any) -> Instruction:
    return Instruction(0, (), extent, (), (), work=work, wait=wait, **more)


def walked(program: BoundProgram, rates: Rates = UNIT) -> list[tuple[int, int]]:
    where = positions(len(program.instructions), program.turns)
    waits = np.zeros(sum(place.size for place in where), np.int64)
    for item, place in zip(program.instructions, where, strict=True):
        waits[place] = place if item.wait is None else item.wait
    return stretches(program, where, waits, Processor(4, rates=rates))


def test_the_time_of_a_run() -> None:
    """The most of: the busiest worker, what all warps begin in a cycle, and the bytes."""

    def seconds(item: Instruction, nbytes: int, blocks: int, team: bool, wide: bool) -> float:
        return UNIT.run_work_s(item, nbytes, blocks, 8, team, wide)

    assert seconds(row(30, 3), 0, 1, False, False) == 10 / 2  # a warp with one of three
    assert seconds(row(64, 64), 0, 1, False, False) == 64 / 8  # four warps begin at a time
    assert seconds(row(64, 64), 0, 2, False, False) == 64 / 16
    assert seconds(row(64, 64), 0, 2, False, True) == 4 * 64 / 16
    assert seconds(row(60, 3), 0, 1, True, False) == 60 * MULTIPLY_ADDS / 8
    assert seconds(row(60, 3), 0, 2, True, False) == 40 * MULTIPLY_ADDS / 8
    assert seconds(row(60, 3), 0, 2, True, True) == 4 * 40 * MULTIPLY_ADDS / 8
    assert seconds(row(), 60, 2, True, True) == 6
    assert seconds(row(), 60, 40, True, False) == 0.6


def test_rates_that_a_driver_states() -> None:
    """By its clocks; those of an H100 where it states none, as some devices do."""
    assert Rates.stated(1.98e9, 3.35e12, 128, 64) == Rates() == Rates.stated(0, 0, 128, 64)
    found = Rates.stated(1e9, 5e11, 64, 2)
    assert found == Rates(
        bytes_per_s=5e11, own_bytes_per_s=64e9, warp_ops_per_s=32e9, team_ops_per_s=64e9,
        double=1 / 32,
    )  # fmt: skip


def test_a_loop_is_walked_where_that_takes_much_less() -> None:
    """Five runs one after another, each of which does nothing or much for one block alone."""
    # As launches 5 * 10; as a walk 10 + 5.
    loop = [Turns(1, 2, 5)]
    assert walked(made([row(), row(), row()], loop)) == [(1, 6)]
    assert GAIN == 1.5
    # With work w on one warp: 50 + 5 w / 2 against 15 + 5 w / 2.
    for work, wanted in ((21, [(1, 6)]), (23, [])):
        assert walked(made([row(), row(work), row()], loop)) == wanted
    # A hundred indices are 25 blocks for 4 multiprocessors, and a block of 8 warps has all of them.
    assert walked(made([row(), row(20, 100), row()], loop)) == [(1, 6)]
    assert walked(made([row(), row(100, 100), row()], loop)) == []


def test_bytes_count_as_work_does() -> None:
    item = replace(row(extent=100), reads=(0,))
    loop = [Turns(0, 1, 5)]
    assert walked(made([item], loop, nbytes=20)) == [(0, 5)]
    assert walked(made([item], loop, nbytes=100)) == []


def test_float64_counts_by_its_rate() -> None:
    """The same work, which one block has time for in float32."""
    item = replace(row(100, 100), writes=(0,))
    for dtype, wanted in (("float32", [(0, 5)]), ("float64", [])):
        program = made([replace(item, work=20)], [Turns(0, 1, 5)])
        program = replace(program, buffers=(replace(program.buffers[0], dtype=dtype),))
        assert walked(program) == wanted


def test_a_loop_of_many_kernels_is_not_walked() -> None:
    """But a loop in it may be."""
    for count in (MOST, MOST + 1):
        items = [replace(row(), kernel=number) for number in range(count)]
        kernels = tuple(replace(SIMPLE, name=f"k{number}") for number in range(count))
        program = replace(made(items, [Turns(0, count, 2), Turns(0, 1, 5)]), kernels=kernels)
        once = [(0, 5), (count + 4, count + 9)]
        assert walked(program, EVER) == (once if count > MOST else [(0, 2 * (count + 4))])


def test_runs_that_wait_for_nothing_are_not_walked() -> None:
    """Launched, they come at once; the block would make one after another."""
    assert walked(made([row(wait=np.zeros(20, np.int64))], [Turns(0, 1, 20)])) == []
    assert walked(made([row(wait=np.arange(20))], [Turns(0, 1, 20)])) == [(0, 20)]


def test_a_loop_of_one_run_is_a_launch() -> None:
    for items, count in (([row()], 1), ([row(), row(extent=0)], 1), ([row()], 0)):
        assert walked(made(items, [Turns(0, len(items), count)]), EVER) == []


def test_a_loop_in_one_that_is_too_large_is_walked_once_a_turn() -> None:
    """The outer loop has a row with much work, the inner one has little."""
    items = [row(1000, 100), row(), row(), row()]
    turns = [Turns(0, 4, 3), Turns(1, 3, 5)]
    assert walked(made(items, turns)) == [(1, 11), (13, 23), (25, 35)]
    assert walked(made([row(), *items[1:]], turns)) == [(0, 36)]
    plan = plan_launches(made(items, turns), Processor(4, rates=UNIT))
    assert [len(launch.runs) for launch in plan.launches] == [1, 10, 1] * 3
    assert [launch.after for launch in plan.launches] == [range(max(0, n - 1), n) for n in range(9)]


def test_a_loop_that_is_never_entered() -> None:
    items = [row(), row(), row()]
    assert walked(made(items, [Turns(0, 3, 0), Turns(1, 2, 5)]), EVER) == []
    assert walked(made(items, [Turns(0, 3, 2), Turns(0, 1, 0)]), EVER) == [(0, 4)]


def test_a_walk_waits_for_what_its_runs_wait_for_outside() -> None:
    """Two rows before the loop, which its last turn needs; behind it one that needs its first turn,
    and one that needs none."""
    items = [row(wait=0), row(wait=0), row(wait=np.array([0, 1, 2])), row(wait=3), row(wait=1)]
    plan = plan_launches(made(items, [Turns(2, 3, 3)]), Processor(rates=EVER))
    assert [len(launch.runs) for launch in plan.launches] == [1, 1, 3, 1, 1]
    assert [launch.after for launch in plan.launches] == [
        range(0), range(0), range(0, 2), range(2, 3), range(0, 1),
    ]  # fmt: skip
    assert plan.last == (3, 4)


@pytest.mark.parametrize(
    ("kernel", "space", "shared", "scratch"),
    [
        (SIMPLE, 0, 0, 0), (SPACED, 1000, 8 * 1024, 0), (SPACED, 6500, 8 * 3328, 8 * 6528),
        (TEAMED, 1000, 1024, 0), (TEAMED, 51_000, 51_072, 0), (TEAMED, 60_000, 30_080, 60_032),
    ],
)  # fmt: skip
def test_memory_of_the_workers_of_a_walk(
    kernel: Kernel, space: int, shared: int, scratch: int
) -> None:
    """Of eight warps or one team; that of a row may be in shared memory, and another's not."""
    items = [row(extent=20, space=space), row(extent=20, space=space // 2)]
    program = made(items, [Turns(0, 2, 3)], kernel)
    plan = plan_launches(program, Processor(10, 50 << 10, EVER))
    (walk,) = plan.walks
    assert (walk.grid, walk.threads, walk.shared) == (1, 32 * TEAM_WARPS, shared)
    assert plan.scratch == -(-scratch // 256) * 256
    assert walk.scratch == (0 if scratch else None)
    workers = 1 if kernel is TEAMED else 8
    assert [(run.workers, run.scratch) for run in walk.runs[:2]] == [
        (workers, walk.scratch), (workers, None),
    ]  # fmt: skip
    assert walk.kernels == (((0, False), (0, True)) if scratch else ((0, True),))


@pytest.mark.parametrize(("name", "sizes"), RUN_AT)
def test_a_block_finds_its_runs_by_words(name: str, sizes: dict[str, int]) -> None:
    """In the table, behind all else, which no other words overlap."""
    plan = planned(name, sizes, EVER)
    words = Model(plan).words
    end = max((begin + WORD * len(flags) for begin, flags in plan.lists), default=0)
    for walk in plan.walks:
        assert walk.listed >= end
        end = walk.listed + WORD * RUN * len(walk.runs)
        found = words[walk.listed // WORD : end // WORD].reshape(-1, RUN)
        for run, (which, *given) in zip(walk.runs, found.tolist(), strict=True):
            assert walk.kernels[which] == (run.kernel, run.scratch is None)
            assert given == [
                run.words, 0, run.hi, run.guard_list, len(run.guards), run.space, 0,
            ]  # fmt: skip
    assert end <= plan.layout.table.last


def test_the_table_has_loops() -> None:
    assert {name for name, _ in RUN_AT} == set(LOOPS)
    with_turns = {name for name in NETS if bound(name, NETS[name].sizes[-1]).turns}
    assert with_turns == set(LOOPS)


def test_loops_of_the_table_are_walked() -> None:
    """By the rule, as they are forward and on the way back; a loop of one turn is a launch."""
    counts = [[len(walk.runs) for walk in planned(*case, Rates()).walks] for case in RUN_AT]
    assert counts == [[], [], [], [5], [36, 24], [116, 84], [], [4, 6], [8, 16], [27]]


@pytest.mark.parametrize(("name", "sizes"), RUN_AT)
def test_walks_compute_what_launches_do(name: str, sizes: dict[str, int]) -> None:
    """Bit by bit, with loops that stop early and that are never entered."""
    found = []
    for rates in (NEVER, EVER):
        device = SimulatedDevice(3, 2, Processor(3, 48 << 10, rates))
        both = Both(name, sizes, bound(name, sizes), device)
        for seed in range(2):
            both.step(inputs(name, sizes, seed))
        found.append([array.tobytes() for array in both.states.values()])
    assert found[0] == found[1]


def test_the_rule_follows_sizes() -> None:
    """The same kernels, for a batch that one block has too little time for."""
    template = compile_kernels(execution("gru").graph, target=CUDA)
    walks = {
        count: len(plan_launches(plan_memory(template, {"B": count, "T": 20})).walks)
        for count in (4, 1 << 14)
    }
    assert walks == {4: 2, 1 << 14: 0}


def test_a_walk_is_one_call_and_reads_arrays_where_they_lie() -> None:
    device = SimulatedDevice(processor=Processor(3, 48 << 10, EVER))
    sizes = {"T": 5, "B": 2}
    one, other = executor("gru", sizes, device), executor("gru", sizes)
    device.done.clear()
    given = inputs("gru", sizes)
    wanted = other(given)
    for _ in range(2):  # the second time from another place
        found = one([there(device, array) for array in given])
        np.testing.assert_array_equal(found[0], wanted[0])
        wanted = other(given)
    assert device.done["call"] == 2 * len(one.plan.launches) < 2 * len(one.plan.runs)
    nodes = [node for node in one.nodes() if isinstance(node, Call)]
    for node, launch in zip(nodes, one.plan.launches, strict=True):
        if isinstance(launch, Walk):
            assert node.arguments[1:3] == (0, len(launch.runs))
            assert (node.grid, node.threads) == (1, 32 * TEAM_WARPS)
    names = [name for name, *_ in one.report]
    assert sum(name.startswith("walk of k") for name in names) == 2
    assert len(names) < len({run.kernel for run in one.plan.runs})  # most are in walks alone


def test_every_number_is_finite() -> None:
    assert all(0 < getattr(Rates(), name) < math.inf for name in Rates.__slots__)
