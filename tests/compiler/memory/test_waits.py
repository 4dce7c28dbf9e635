"""What instructions wait for: in any order that respects it, no two that conflict overlap."""

import random

from hypothesis import given
from hypothesis import strategies as st

from diagrad.compiler.memory.plan_memory import CHUNK_WORK, MOST_CHUNKS, chunk_of
from diagrad.compiler.memory.waits import plan_waits
from diagrad.runtime.program import Buffer, Instruction, Role

ROLES: tuple[Role, ...] = ("input", "state", "output", "constant", "temporary", "temporary")
Table = tuple[list[Instruction], list[Buffer]]


@st.composite
def tables(draw: st.DrawFn) -> Table:
    buffers = []
    for number in range(draw(st.integers(2, 9))):
        role = draw(st.sampled_from(ROLES))
        place = draw(st.integers(0, 20)) if role == "temporary" else None
        size = draw(st.integers(0, 8))
        buffers.append(Buffer(f"b{number}", role, "bool", (size,), place))
    some = st.lists(st.integers(0, len(buffers) - 1), max_size=3).map(tuple)
    rows = []
    for _ in range(draw(st.integers(1, 12))):
        writes = draw(some)
        check = writes[0] if writes and draw(st.integers(0, 5)) == 0 else None
        rows.append(Instruction(0, (), 1, draw(some), writes, check=check))
    return rows, buffers


def spans(buffers: list[Buffer], number: int) -> set[tuple[int, int]]:
    """The bytes of a buffer: (memory, byte), where all temporaries share one memory."""
    buffer = buffers[number]
    if buffer.offset is None or buffer.nbytes == 0:
        return {(1 + number, byte) for byte in range(max(1, buffer.nbytes))}
    return {(0, byte) for byte in range(buffer.offset, buffer.offset + buffer.nbytes)}


def touched(buffers: list[Buffer], numbers: tuple[int, ...]) -> set[tuple[int, int]]:
    return set().union(*(spans(buffers, number) for number in numbers))


def conflict(buffers: list[Buffer], first: Instruction, second: Instruction) -> bool:
    """Whether the second may not start before the first is complete."""
    reads, writes = touched(buffers, second.reads), touched(buffers, second.writes)
    wrote = touched(buffers, first.writes)
    if wrote & (reads | writes) or touched(buffers, first.reads) & writes:
        return True
    lasting = any(buffers[b].role in ("state", "output") for b in second.writes)
    return first.check is not None and lasting


@given(tables(), st.randoms())
def test_no_order_lets_two_that_conflict_overlap(table: Table, chance: random.Random) -> None:
    rows, buffers = table
    waits = plan_waits(rows, buffers)
    running: set[int] = set()
    complete: set[int] = set()
    while len(complete) < len(rows):
        may_start = [
            i
            for i in range(len(rows))
            if i not in running | complete and all(j in complete for j in range(waits[i]))
        ]
        moves = [("start", i) for i in may_start] + [("end", i) for i in running]
        assert moves, "nothing can go on"
        move, chosen = chance.choice(moves)
        if move == "end":
            running.remove(chosen)
            complete.add(chosen)
            continue
        for other in range(chosen):
            if other not in complete:
                assert not conflict(buffers, rows[other], rows[chosen]), (other, chosen)
        running.add(chosen)


@given(tables())
def test_nobody_waits_without_need(table: Table) -> None:
    rows, buffers = table
    for number, wait in enumerate(plan_waits(rows, buffers)):
        assert 0 <= wait <= number
        if wait:
            assert conflict(buffers, rows[wait - 1], rows[number])


@given(st.integers(0, 10**6), st.integers(0, 10**10))
def test_chunks_are_of_a_size(extent: int, work: int) -> None:
    chunk = chunk_of(extent, work)
    assert 0 <= chunk <= extent
    if chunk:
        count = -(-extent // chunk)
        assert 1 < count <= MOST_CHUNKS
        assert work // count >= CHUNK_WORK
