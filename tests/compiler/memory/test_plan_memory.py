"""plan_memory: rows wait for what they touch, words are bound, shared places have one life."""

from dataclasses import dataclass

import numpy as np
from hypothesis import given as hypothesis_given
from hypothesis import settings
from hypothesis import strategies as st

from diagrad.compiler.graph import Type
from diagrad.compiler.memory.plan_memory import (
    CHUNK_WORK,
    MOST_CHUNKS,
    chunk_of,
    plan_memory,
    temporaries,
)
from diagrad.compiler.memory.waits import plan_waits
from diagrad.compiler.scheduling.template import Bits, Offsets, Place, Row, Storage, Template
from diagrad.compiler.sizes import named
from diagrad.runtime.program import Address, Buffer, Role

from ..building import b

B = named("B")


def overlap(first: tuple[int, int], second: tuple[int, int]) -> bool:
    return first[0] < second[1] and second[0] < first[1]


@dataclass(frozen=True)
class Use:
    """What a row touches."""

    reads: tuple[int, ...]
    writes: tuple[int, ...]
    check: int | None = None
    skips: str = ""


ROLES: tuple[Role, ...] = ("input", "state", "output", "temporary", "temporary", "temporary")


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[Use], list[Buffer]]:
    buffers = []
    for number in range(draw(st.integers(1, 6))):
        role = draw(st.sampled_from(ROLES))
        place = draw(st.integers(0, 4)) * 64 if role == "temporary" else None
        count = draw(st.integers(1, 40))
        buffers.append(Buffer(f"b{number}", role, "float32", (count,), place))
    chosen = st.lists(st.integers(0, len(buffers) - 1), max_size=3, unique=True).map(tuple)
    rows = []
    for _ in range(draw(st.integers(0, 8))):
        writes = draw(chosen)
        check = writes[0] if len(writes) == 1 and draw(st.booleans()) else None
        rows.append(Use(draw(chosen), writes, check))
    return rows, buffers


def share(first: int, second: int, buffers: list[Buffer]) -> bool:
    """Whether two buffers share a byte, or are one."""
    if first == second:
        return True
    a, z = buffers[first], buffers[second]
    if a.offset is None or z.offset is None:
        return False
    return overlap((a.offset, a.offset + a.nbytes), (z.offset, z.offset + z.nbytes))


@settings(max_examples=300)
@hypothesis_given(tables())
def test_a_row_waits_for_the_last_that_it_conflicts_with(
    table: tuple[list[Use], list[Buffer]],
) -> None:
    rows, buffers = table
    for number, (row, wait) in enumerate(zip(rows, plan_waits(rows, buffers), strict=True)):
        conflicts = [0]
        for before in range(number):
            other = rows[before]
            touched = [(r, w) for r in row.reads for w in other.writes]
            touched += [(w, t) for w in row.writes for t in (*other.reads, *other.writes)]
            if any(share(i, j, buffers) for i, j in touched):
                conflicts.append(before + 1)
            kept = any(buffers[w].role in ("state", "output") for w in row.writes)
            if kept and other.check is not None:
                conflicts.append(before + 1)
        assert wait == max(conflicts)


@hypothesis_given(st.integers(0, 10**6), st.integers(0, 10**9))
def test_chunks(extent: int, work: int) -> None:
    chunk = chunk_of(extent, work)
    if chunk == 0:
        assert extent <= 1 or work < 2 * CHUNK_WORK
        return
    count = -(-extent // chunk)
    assert 1 <= chunk < extent and 1 < count <= MOST_CHUNKS
    assert work // count >= CHUNK_WORK // 2


def test_a_template_is_bound() -> None:
    size = b.mul(b.size(size=B, dtype="float32"), b.constant(0.5, "float32"))
    storages = (
        Storage("x", "input", Type("float32", (B, 3))),
        Storage("t", "temporary", Type("float64", (B, 3))),
        Storage("u", "temporary", Type("bool", (B + 1,))),
        Storage("y", "output", Type("float32", (B,))),
        Storage("c", "constant", Type("int32", (2,)), np.arange(2, dtype=np.int32)),
    )
    rows = (
        Row(0, (B * 3, Place(0), Place(1, B), Bits(size)), B * 3, (0,), (1,), ("net",)),
        Row(1, (Place(1, 2), Place(3, 1), Bits(b.constant(-1, "int32"))), 1, (1,), (3,), ()),
        Row(0, (Place(2, 5),), B, (), (2,), ()),
    )
    program = plan_memory(Template("test", (), rows, storages), {"B": 4})
    half = int(np.float32(2).view(np.uint32))
    assert program.instructions[0].words == (12, Address(0), Address(1, 32), half)
    assert program.instructions[1].words == (Address(1, 16), Address(3, 4), -1)
    assert program.instructions[2].words == (Address(2, 5),)
    assert [item.extent for item in program.instructions] == [12, 1, 4]
    assert [item.wait for item in program.instructions] == [0, 1, 2]
    assert [buffer.shape for buffer in program.buffers] == [(4, 3), (4, 3), (5,), (4,), (2,)]
    assert [buffer.offset for buffer in program.buffers] == [None, 0, 0, None, None]
    assert program.arena_bytes == 128 and program.instructions[0].origins == ("net",)
    assert program.buffers[4].data is storages[4].data


def test_tables_of_offsets_are_constants() -> None:
    """One for each that is asked for, row-major over its axes; equal ones are one."""
    plane = Offsets(((B, 100), (3, B), (2, -1)))
    again, line, empty = Offsets(((B, 100), (3, B), (2, -1))), Offsets(((4, 7),)), Offsets(())
    storages = (Storage("y", "output", Type("float32", (B,))),)
    rows = (
        Row(0, (plane, line), B, (), (0,), ()),
        Row(0, (again, empty, Place(0)), B, (), (0,), ()),
        Row(0, (Offsets(((0, 5), (4, 1))),), B, (), (0,), ()),
    )
    for batch in (0, 1, 5):
        program = plan_memory(Template("test", (), rows, storages), {"B": batch})
        first, second, third = (item.words for item in program.instructions)
        assert first == (Address(1), Address(2)) and third == (Address(4),)
        assert second == (Address(1), Address(3), Address(0))
        y, *tables = program.buffers
        assert y.role == "output" and {table.role for table in tables} == {"constant"}
        assert {table.dtype for table in tables} == {"int64"}
        wanted = [
            [100 * i + batch * j - k for i in range(batch) for j in range(3) for k in range(2)],
            [0, 7, 14, 21], [0], [],
        ]  # fmt: skip
        for table, offsets in zip(tables, wanted, strict=True):
            assert table.data is not None and table.data.tolist() == offsets
            assert table.shape == (len(offsets),)


def test_what_lies_over_another_shares_its_place_and_its_life() -> None:
    kind = Type("float32", (B, 3))
    storages = (
        Storage("x", "input", kind),
        Storage("t", "temporary", kind),
        Storage("u", "temporary", kind, over=1),
        Storage("v", "temporary", kind, over=2),
        Storage("w", "temporary", kind),
        Storage("y", "output", kind),
    )
    reads, writes = ((0,), (1,), (0,), (2,), (3, 4)), ((1,), (2,), (4,), (3,), (5,))
    rows = tuple(Row(0, (), 1, r, w, ()) for r, w in zip(reads, writes, strict=True))
    template = Template("test", (), rows, storages)
    assert temporaries(template, {"B": 10}) == {1: ((0, 4), 120), 4: ((2, 4), 120)}
    program = plan_memory(template, {"B": 10})
    places = [buffer.offset for buffer in program.buffers]
    assert places[1] == places[2] == places[3] != places[4]
    assert program.arena_bytes == 256
    assert [item.wait for item in program.instructions] == [0, 1, 0, 2, 4]
    assert plan_memory(template, {"B": 0}).arena_bytes == 128
