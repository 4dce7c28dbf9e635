"""Loops among rows: where each run lies, and that two turns tell how all of them wait."""

from dataclasses import dataclass, replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from diagrad.compiler.memory.waits import plan_waits, wait_in_turns
from diagrad.runtime.program import Buffer, Turns, positions


@dataclass(frozen=True)
class Use:
    """What a row touches."""

    reads: tuple[int, ...]
    writes: tuple[int, ...]
    check: int | None = None
    skips: str = ""


def expanded(first: int, last: int, turns: list[Turns]) -> list[int]:
    """The rows in the order in which they run, by plain recursion."""
    found: list[int] = []
    row = first
    while row < last:
        loop = next((t for t in turns if t.first == row < t.last), None)
        if loop is None:
            found.append(row)
            row += 1
            continue
        rest = turns[turns.index(loop) + 1 :]
        for _ in range(loop.count):
            found += expanded(loop.first, loop.last, rest)
        row = loop.last
    return found


def test_positions_of_nested_loops() -> None:
    turns = [Turns(1, 4, 2), Turns(2, 3, 3), Turns(5, 5, 9), Turns(5, 6, 0)]
    found = positions(7, turns)
    assert [place.tolist() for place in found] == [
        0, [1, 6], [[2, 3, 4], [7, 8, 9]], [5, 10], 11, [], 12,
    ]  # fmt: skip


@st.composite
def programs(draw: st.DrawFn) -> tuple[list[Use], list[Turns], list[Buffer]]:
    count = draw(st.integers(1, 7))
    numbers = st.lists(st.integers(0, 4), max_size=2).map(tuple)
    rows = [Use(draw(numbers), draw(numbers)) for _ in range(count)]
    turns: list[Turns] = []
    low, high = 0, count
    for _ in range(draw(st.integers(1, 3))):
        first = draw(st.integers(low, high))
        last = draw(st.integers(first, high))
        turns.append(Turns(first, last, draw(st.integers(0, 4))))
        nested = draw(st.booleans())
        low, high = (first, last) if nested else (last, high)
    places = [draw(st.sampled_from([None, 0, 64, 128])) for _ in range(5)]
    buffers = [
        Buffer(f"b{i}", "state" if place is None else "temporary", "float32", (20,), place)
        for i, place in enumerate(places)
    ]
    return rows, turns, buffers


@settings(max_examples=300)
@given(programs())
def test_waits_are_those_of_all_turns_written_out(
    program: tuple[list[Use], list[Turns], list[Buffer]],
) -> None:
    rows, turns, buffers = program
    order = expanded(0, len(rows), turns)
    where = positions(len(rows), turns)
    numbers = np.zeros(len(order), np.int64)
    for number, place in enumerate(where):
        numbers[place] = number
    assert numbers.tolist() == order
    wanted = plan_waits([replace(rows[number]) for number in order], buffers)
    found = np.zeros(len(order), np.int64)
    for place, wait in zip(where, wait_in_turns(rows, turns, buffers), strict=True):
        found[place] = wait
    assert found.tolist() == wanted
