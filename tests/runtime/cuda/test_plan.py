"""Launch plans as data: what they launch, in which order, and where everything lies."""

import itertools
import random
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from diagrad.runtime.cuda.layout import ALIGNMENT, WORD, lay_out
from diagrad.runtime.cuda.plan import plan_launches
from diagrad.runtime.cuda.processor import Processor, Rates
from diagrad.runtime.cuda.shapes import BLOCK, WARP, arguments, is_team
from diagrad.runtime.program import Address, BoundProgram, Instruction, Kernel, positions
from diagrad.runtime.teams import TEAM_WARPS

from ..cpu.tables import random_table
from ..cpu.test_skips import program as skipping
from .model import Model, dealt, walked
from .programs import CASES, EVER, NETS, NEVER, bound

BOUND = [(name, sizes) for name, case in CASES.items() for sizes in case.sizes]


def programs() -> dict[str, Any]:
    """Every program of the table at its sizes, and tables made by hand."""
    found: dict[str, Any] = {f"{n} {s}": lambda n=n, s=s: bound(n, s) for n, s in BOUND}
    found |= {f"random {seed}": lambda seed=seed: random_table(seed) for seed in range(4)}
    for skips in ("turn", "loop"):
        for behind in (True, False):
            key = f"skips {skips} {behind}"
            found[key] = lambda s=skips, b=behind: skipping(3, 4, s, b)
    return found


PROGRAMS = programs()
each = pytest.mark.parametrize("name", PROGRAMS)
both = pytest.mark.parametrize("rates", [NEVER, EVER], ids=["launched", "walked"])


def model(name: str, processor: Processor = Processor()) -> Model:  # noqa: B008
    return Model(plan_launches(PROGRAMS[name](), processor))


@each
@both
def test_every_run_of_every_row_is_made_once_in_order(name: str, rates: Rates) -> None:
    found = model(name, Processor(rates=rates))
    items = found.plan.program.instructions
    wanted = sorted(
        (place, row)
        for row, where in enumerate(found.where)
        for place in np.ravel(where).tolist()
        if items[row].extent
    )
    assert [(p, run.row) for p, run in zip(found.places, found.runs, strict=True)] == wanted
    for launch in found.runs:
        assert launch.kernel == items[launch.row].kernel
        assert (launch.lo, launch.hi) == (0, items[launch.row].extent)


@each
@pytest.mark.parametrize("processor", [Processor(), Processor(2, 16 << 10, EVER)])
def test_every_index_is_run_once(name: str, processor: Processor) -> None:
    for launch in {(x.row, x.grid): x for x in model(name, processor).runs}.values():
        np.testing.assert_array_equal(dealt(launch), 1)


@each
def test_conflicts_are_ordered(name: str) -> None:
    """Of launches of which one writes what the other touches, the later one waits."""
    for processor in (Processor(rates=NEVER), Processor(2, 1 << 10, EVER)):
        found = model(name, processor)
        for earlier, later in found.conflicts():
            pair = found.runs[earlier], found.runs[later]
            assert found.before[later] >> earlier & 1, pair


@pytest.mark.parametrize("name", [name for name in PROGRAMS if not name.startswith("random")])
def test_what_is_read_has_been_written(name: str) -> None:
    found = model(name)
    buffers = found.plan.program.buffers
    written: set[int] = set()
    for launch in found.runs:
        item = found.plan.program.instructions[launch.row]
        for number in item.reads:
            fresh = buffers[number].role in ("temporary", "output") and buffers[number].nbytes
            assert not fresh or number in written or number in item.writes, launch
        written.update(item.writes)


@each
@both
def test_the_order_is_that_of_waits_and_guards_and_no_edge_can_be_left_out(
    name: str, rates: Rates
) -> None:
    """A launch is after all that its runs wait for, and these alone: each, with all that it is."""
    found = model(name, Processor(rates=rates))
    launches, units, places = found.plan.launches, found.units, found.places
    waits = _waits(found)
    before = [0] * len(launches)  # for each launch, a bit for every one before it
    for number, launch in enumerate(launches):
        implied = 0
        for other in launch.after:
            implied |= before[other]
        assert not any(implied >> other & 1 for other in launch.after)
        for other in launch.after:
            implied |= 1 << other
        before[number] = implied
        below = max(wait for wait, unit in zip(waits, units, strict=True) if unit == number)
        pairs = zip(places, units, strict=True)
        assert implied == _bits(unit for place, unit in pairs if place < below and unit < number)
    for number, unit in enumerate(units):
        own = _bits(n for n in range(number) if units[n] == unit)
        others = _bits(n for n, other in enumerate(units) if before[unit] >> other & 1)
        assert found.before[number] == own | others


def _bits(numbers: Iterable[int]) -> int:
    total = 0
    for number in numbers:
        total |= 1 << number
    return total


def _waits(found: Model) -> list[int]:
    """For each run the place below which all runs must be before it."""
    program = found.plan.program
    waits: dict[int, int] = {}
    for item, where in zip(program.instructions, found.where, strict=True):
        wait = where if item.wait is None else np.broadcast_to(item.wait, where.shape)
        waits.update(zip(np.ravel(where).tolist(), np.ravel(wait).tolist(), strict=True))
    result = []
    for number, run in enumerate(found.runs):
        guards = {flag.buffer for flag in run.guards}
        flags = [
            place
            for place, other in zip(found.places, found.runs[:number], strict=False)
            if program.instructions[other.row].check in guards
        ]
        result.append(max([waits[found.places[number]], *(place + 1 for place in flags)]))
    return result


@each
def test_every_address_is_in_its_buffer(name: str) -> None:
    found = model(name)
    program = found.plan.program
    for launch in found.runs:
        item = program.instructions[launch.row]
        begin = launch.words // WORD
        for number, word in enumerate(item.words, begin):
            if isinstance(word, Address):
                piece = found.piece(word.buffer)
                if word.buffer == item.check and not item.skips:
                    checks = found.plan.layout.checks
                    assert checks.first <= found.words[number] % (1 << 32) < checks.last
                else:
                    assert word.buffer in (*item.reads, *item.writes) or _is_table(program, word)
                    assert piece.first <= found.words[number] < max(piece.last, piece.first + 1)
        assert launch.words + WORD * len(item.words) <= found.plan.layout.table.last
        for flag, address in zip(launch.guards, found.words[launch.guard_list // WORD :]):  # noqa: B905
            assert address == found.bases[flag.buffer] + flag.offset


def _is_table(program: BoundProgram, word: Address) -> bool:
    """A table of offsets is made when sizes are bound, and never written."""
    return program.buffers[word.buffer].role == "constant"


@each
def test_memory_of_its_own_does_not_overlap(name: str) -> None:
    plan = model(name).plan
    layout, buffers = plan.layout, plan.program.buffers
    spans = [layout.table, layout.constants, layout.inputs, layout.checks, layout.outputs]
    for one, two in itertools.pairwise(spans):
        assert one.last == two.first
    assert all(span.first % ALIGNMENT == 0 for span in spans)
    stretches = sorted(
        (place, place + (WORD if buffers[number].role == "temporary" else buffers[number].nbytes))
        for number, place in layout.places.items()
    )
    for (_, end), (begin, _) in itertools.pairwise(stretches):
        assert end <= begin
    inside = {"constant": layout.constants, "input": layout.inputs, "output": layout.outputs}
    for number, buffer in enumerate(buffers):
        if buffer.role in inside:
            span, place = inside[buffer.role], layout.places[number]
            assert span.first <= place and place + buffer.nbytes <= span.last
            assert place % ALIGNMENT == 0
        elif buffer.offset is not None:
            assert buffer.offset + buffer.nbytes <= plan.program.arena_bytes


@each
@both
def test_the_last_launches_are_those_that_none_waits_for(name: str, rates: Rates) -> None:
    plan = model(name, Processor(rates=rates)).plan
    waited = {other for launch in plan.launches for other in launch.after}
    assert set(plan.last) == set(range(len(plan.launches))) - waited


@both
@pytest.mark.parametrize("name", [n for n in PROGRAMS if n.split()[0] in {*NETS, "skips"}])
def test_what_runs_is_what_the_walk_runs(name: str, rates: Rates) -> None:
    """Whatever the checks find, and in whatever order of those that the edges allow."""
    found = model(name, Processor(rates=rates))
    program = found.plan.program
    for seed in range(20):
        draw = random.Random(seed)
        likely = draw.choice([0.3, 0.7, 0.95])
        outcomes = {place: draw.random() < likely for place in range(sum(program.times))}
        wanted, stopped = walked(program, outcomes.__getitem__)
        made = found.run(outcomes.__getitem__, draw)
        if stopped is None:
            assert made == wanted
            continue
        # Behind a check that fails, only what changes nothing may run.
        assert wanted <= made
        for place, launch in zip(found.places, found.runs, strict=True):
            if place > stopped and place in made:
                item = program.instructions[launch.row]
                roles = {program.buffers[b].role for b in item.writes}
                assert not roles & {"state", "output"}
                assert looked_at(program).isdisjoint(item.reads)


def looked_at(program: BoundProgram) -> set[int]:
    """The buffers that the program's checks look at, which others may take for indices."""
    items = program.instructions
    return {b for i in items if i.check is not None and not i.skips for b in i.reads}


def test_a_check_in_a_loop_has_a_place_for_each_turn() -> None:
    """The first that fails is found, as on a processor, whichever turn it is in."""
    found = Model(plan_launches(_checking(read=False)))
    flags = [found.flag(run) for run in found.runs if run.row == 0]
    assert np.diff(flags).tolist() == [WORD] * 5
    (states,) = {run.row for run in found.runs if run.row == 2}
    guards = [len(x.guards) for x in found.runs if x.row == states]
    assert guards == [1, 2, 3, 4, 5, 6]


def test_a_check_that_is_read_is_refused() -> None:
    with pytest.raises(ValueError, match="'skips' uses the buffer of a check for something else"):
        plan_launches(_checking(read=True))


def _checking(read: bool) -> BoundProgram:
    """A loop in a loop whose first row checks, instead of leaving out rows."""
    program = skipping(2, 3, "turn", True)
    check = program.instructions[0].check
    rows = (
        replace(
            item, skips="", reads=item.reads if read else tuple(b for b in item.reads if b != check)
        )
        for item in program.instructions
    )
    return replace(program, instructions=tuple(rows))


def _one(kernel: Kernel, extent: int, space: int) -> BoundProgram:
    return BoundProgram("one", (kernel,), (Instruction(0, (), extent, (), (), space=space),), (), 0)


SIMPLE = "def kernel(args, lo, hi):\n    pass\n"
SPACED = "def kernel(args, lo, hi, space):\n    pass\n"
TEAMED = "def kernel(args, lo, hi, space, warp, warps):\n    pass\n"


def kernel(source: str) -> Kernel:
    return replace(random_table(0, 1).kernels[0], source=source)


@pytest.mark.parametrize(
    ("source", "extent", "space", "grid", "warps", "shared", "scratch"),
    [
        (SIMPLE, 1, 0, 1, BLOCK, 0, None),
        (SIMPLE, 4, 0, 1, BLOCK, 0, None),
        (SIMPLE, 9, 0, 3, BLOCK, 0, None),
        (SIMPLE, 10**9, 0, 160, BLOCK, 0, None),
        (SPACED, 9, 1000, 3, BLOCK, 4 * 1024, None),
        (SPACED, 9, 30_000, 9, 3 // 3, 30_080, None),
        (SPACED, 9, 60_000, 3, BLOCK, 0, 4 * 3 * 60_032),
        (SPACED, 10**6, 60_000, 20, BLOCK, 0, 4 * 20 * 60_032),
        (TEAMED, 9, 1000, 9, TEAM_WARPS, 1024, None),
        (TEAMED, 10**6, 50_000, 80, TEAM_WARPS, 50_048, None),
        (TEAMED, 10**6, 60_000, 10, TEAM_WARPS, 0, 10 * 60_032),
    ],
)
def test_grids_and_memory_of_workers(
    source: str, extent: int, space: int, grid: int, warps: int, shared: int, scratch: int | None
) -> None:
    plan = plan_launches(_one(kernel(source), extent, space), Processor(10, 50 << 10))
    (launch,) = plan.runs
    assert (launch.grid, launch.threads, launch.shared) == (grid, warps * WARP, shared)
    assert launch.team == (source is TEAMED) == is_team(kernel(source))
    assert plan.scratch == -(-(scratch or 0) // ALIGNMENT) * ALIGNMENT
    assert (launch.scratch is None) == (scratch is None)


def test_arguments_of_texts() -> None:
    assert [arguments(kernel(text)) for text in (SIMPLE, SPACED, TEAMED)] == [3, 4, 6]


def test_scratch_is_shared_by_launches_in_order() -> None:
    item = Instruction(0, (), 3, (), (), space=1 << 20, wait=0)
    after = replace(item, wait=2)
    program = replace(_one(kernel(SPACED), 1, 0), instructions=(item, item, after, after))
    launches = plan_launches(program, Processor(1)).runs
    places = [-1 if launch.scratch is None else launch.scratch for launch in launches]
    assert len(set(places[:2])) == 2
    assert sorted(places[2:]) == sorted(places[:2])


def test_numbers_of_a_small_plan() -> None:
    program = random_table(1, rows=1, n=999)
    plan = plan_launches(program)
    read = sum(program.buffers[b].nbytes for b in program.instructions[0].reads)
    assert plan.bytes_moved == read + 4 * 999
    assert plan.bytes_copied == 2 * 4096
    assert (plan.edges, plan.depth, len(plan.launches)) == (0, 1, 1)


def test_a_row_of_a_loop_moves_its_part_in_each_turn() -> None:
    """The flags are read one by one, the other arrays whole in each turn."""
    program = skipping(3, 4, "turn", True)
    n = 4 * 999
    look, mix, halve, last = 12 * 8 + 12 * 8, 12 * (n + 8 + n), 12 * (2 * n + 8 + n), 2 * n
    assert plan_launches(program).bytes_moved == look + mix + halve + last


def test_places_of_checks_come_one_after_another() -> None:
    program = bound("mlp", {"B": 2})
    layout = lay_out(program, 0)
    assert layout.table.nbytes == 0
    (check,) = [i.check for i in program.instructions if i.check is not None]
    assert layout.places[check] == layout.checks.first
    assert layout.checks.nbytes == ALIGNMENT


def test_runs_of_all_places_are_found() -> None:
    program = skipping(2, 3, "loop", False)
    where = positions(len(program.instructions), program.turns)
    assert sorted(place for one in where for place in np.ravel(one).tolist()) == list(range(19))
