"""Random tables of small kernels over shared temporaries, for the tests of threads."""

import random

import numpy as np

from diagrad.compiler.memory.waits import plan_waits
from diagrad.runtime.program import CPU, Address, BoundProgram, Buffer, Instruction, Kernel

MIX = """def kernel(args, lo, hi):
    x = f32_at(args[0])
    y = f32_at(args[1])
    out = f32_at(args[2])
    n = args[3]
    for i in range(lo, hi):
        m = lanes_below(n - i * 16)
        v = load(x, i * 16, m)
        w = load(y, i * 16, m)
        for turn in range(args[4]):
            v = v * f32(0.5) + w * f32(0.5)
        store(out, i * 16, v, m)
"""
OUTPUT = 2
WORK = 1_000_000
"""Stated for every instruction, so that the executor finds helpers worth their while."""


def random_table(seed: int, rows: int = 40, n: int = 999) -> BoundProgram:
    """Temporaries that overlap in the arena, a state, an input and an output."""
    draw = random.Random(seed)
    step = 64 * draw.choice([8, 16, 64])
    buffers = [
        Buffer("x", "input", "float32", (n,)),
        Buffer("w", "state", "float32", (n,)),
        Buffer("y", "output", "float32", (n,)),
    ]
    places = [draw.randrange(12) * step for _ in range(8)]
    buffers += [Buffer(f"t{i}", "temporary", "float32", (n,), p) for i, p in enumerate(places)]
    made = []
    for number in range(rows):
        target = draw.randrange(1, len(buffers)) if number else OUTPUT
        chunk = draw.choice([0, 1, 3, 10])
        # Elements are read where they are written, or from elsewhere in memory; of the output,
        # which is not cleared, only what the first row has written.
        free = [b for b in range(len(buffers)) if b == target or not _meet(buffers, b, target)]
        if number == 0:
            free.remove(OUTPUT)
        reads = (draw.choice(free), draw.choice(free))
        words = (Address(reads[0]), Address(reads[1]), Address(target), n, draw.randrange(30))
        made.append(Instruction(0, words, -(-n // 16), reads, (target,), chunk=chunk, work=WORK))
    waits = plan_waits(made, buffers)
    table = tuple(
        Instruction(
            item.kernel, item.words, item.extent, item.reads, item.writes,
            chunk=item.chunk, wait=wait, work=item.work,
        )
        for item, wait in zip(made, waits, strict=True)
    )  # fmt: skip
    return BoundProgram(
        "random", (Kernel("mix", MIX, CPU.lanes),), table, tuple(buffers), 12 * step + 4 * n
    )


def _meet(buffers: list[Buffer], one: int, two: int) -> bool:
    a, b = buffers[one], buffers[two]
    if a.offset is None or b.offset is None:
        return one == two
    return a.offset < b.offset + b.nbytes and b.offset < a.offset + a.nbytes


def run_table(program: BoundProgram, threads: int, steps: int = 3) -> list[bytes]:
    """The output and the state after every step."""
    from diagrad.runtime.cpu import Executor

    n = program.buffers[0].shape[0]
    x = np.linspace(-1, 1, n, dtype=np.float32)
    w = np.ones(n, np.float32)
    executor = Executor(program, {"w": w}, threads)
    found = []
    for _ in range(steps):
        found += [executor([x])[0].tobytes(), w.tobytes()]
    return found
