"""Rows whose check leaves out others: a turn of a loop, or the loop from there."""

from typing import Any

import numpy as np
import pytest

from diagrad.compiler.memory.waits import wait_in_turns
from diagrad.runtime.cpu import Executor
from diagrad.runtime.outcomes import HOLDS
from diagrad.runtime.program import (
    CPU,
    Address,
    BoundProgram,
    Buffer,
    Instruction,
    Kernel,
    Skips,
    Turns,
)

from .tables import MIX, WORK

LOOK = """def kernel(args, lo, hi):
    flags = i64_at(args[0])
    out = i64_at(args[1])
    m = lanes_below(1)
    store(out, 0, load(flags, 0, m), m)
"""
FLAGS, W, FLAG, OTHER, OUT = range(5)
N = 999


def program(outer: int, inner: int, skips: Skips, behind: bool) -> BoundProgram:
    """A state that is halved in each turn; flags say which turns are made."""
    buffers = [
        Buffer("flags", "input", "int64", (outer, inner)),
        Buffer("w", "state", "float32", (N,)),
        Buffer("flag", "temporary", "int64", (1,), 0),
        Buffer("other", "temporary", "float32", (N,), 64),
        Buffer("out", "output", "float32", (N,)),
    ]
    numbers = np.ix_(np.arange(outer), np.arange(inner))
    place = Address(FLAGS, 8 * (numbers[0] * inner + numbers[1]))

    def mix(source: int, target: int, around: tuple[int, ...] = ()) -> Instruction:
        words = (Address(source), Address(source), Address(target), N, 30)
        reads = (source, *around)
        return Instruction(1, words, -(-N // 16), reads, (target,), chunk=3, work=WORK)

    halve = (Address(W), Address(OTHER), Address(W), N, 1)
    made = [
        Instruction(0, (place, Address(FLAG)), 1, (FLAGS,), (FLAG,), check=FLAG, skips=skips),
        mix(W, OTHER, (FLAG,)),
        Instruction(2, halve, -(-N // 16), (W, OTHER, FLAG), (W,), chunk=7, work=WORK),
        *([mix(W, OUT)] if behind else []),
    ]
    if not behind:
        made.insert(0, mix(W, OUT))
    first = 0 if behind else 1
    turns = (Turns(first, first + 3, outer), Turns(first, first + 3, inner))
    waits = wait_in_turns(made, turns, buffers)
    table = tuple(
        Instruction(
            item.kernel, item.words, item.extent, item.reads, item.writes, check=item.check,
            chunk=item.chunk, wait=wait, work=item.work, skips=item.skips,
        )
        for item, wait in zip(made, waits, strict=True)
    )  # fmt: skip
    halving = MIX.replace("v * f32(0.5) + w * f32(0.5)", "w * f32(0.5)")
    kernels = (
        Kernel("look", LOOK, CPU.lanes),
        Kernel("mix", MIX, CPU.lanes),
        Kernel("halve", halving, CPU.lanes),
    )
    return BoundProgram("skips", kernels, table, tuple(buffers), 64 + 4 * N, turns)


def halvings(flags: Any, skips: Skips) -> int:
    if skips == "turn":
        return int(flags.sum())
    return int(sum(np.argmin([*row, False]) for row in flags))


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("behind", [True, False])
@pytest.mark.parametrize("skips", ["turn", "loop"])
def test_what_is_left_out_is_not_run(skips: Skips, behind: bool, threads: int) -> None:
    rng = np.random.default_rng(threads)
    for outer, inner in ((1, 1), (1, 5), (3, 4), (2, 0)):
        w = np.ones(N, np.float32)
        executor = Executor(program(outer, inner, skips, behind), {"w": w}, threads)
        for _ in range(10):
            flags = rng.random((outer, inner)) < 0.6
            w[...] = 1.0
            (out,) = executor([np.where(flags, HOLDS, 0)])
            wanted = np.full(N, 0.5, np.float32) ** halvings(flags, skips)
            np.testing.assert_array_equal(w, wanted)
            np.testing.assert_array_equal(out, wanted if behind else np.ones(N, np.float32))
