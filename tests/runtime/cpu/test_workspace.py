"""One arena for all sizes: it grows and moves between calls, and goes when nobody uses it."""

import gc
import random
import threading
import weakref
from collections.abc import Iterator

import numpy as np
import pytest

import diagrad as dg
from diagrad.frontend.programs import execution
from diagrad.runtime.cpu import Executor
from diagrad.runtime.cpu.stepping.mutex import HELD, POLITE, WISH, NativeMutex
from diagrad.runtime.cpu.stepping.workspace import SLACK, SMALL, Workspace

from .tables import random_table


@pytest.fixture
def no_collector() -> Iterator[None]:
    """What is freed meanwhile was in no cycle."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def clear(workspace: Workspace) -> None:
    workspace._memory.arena[:] = 0


@pytest.mark.parametrize("seed", range(4))
def test_executors_take_turns_in_one_arena(seed: int) -> None:
    """Each as if it were alone, for any order of binding, calling and letting go."""
    draw = random.Random(seed)
    shared = Workspace()
    held: list[tuple[Executor, Executor, np.ndarray, np.ndarray]] = []
    for turn in range(25):
        if draw.random() < 0.4 or not held:
            n = draw.choice([1, 17, 999, 20_000])
            table, w = random_table(100 * seed + turn, n=n), np.ones(n, np.float32)
            alone, threads = w.copy(), draw.choice([1, 1, 3])
            mine = Executor(table, {"w": w}, threads, shared)
            held.append((mine, Executor(table, {"w": alone}, 1), w, alone))
        elif draw.random() < 0.2:
            held.pop(draw.randrange(len(held)))
            continue
        mine, other, w, alone = draw.choice(held)
        x = np.linspace(-1, 1, len(w), dtype=np.float32)
        for executor in (mine, other):  # Such a table reads temporaries that it has not written.
            clear(executor.workspace)
        np.testing.assert_array_equal(mine([x])[0], other([x])[0])
        np.testing.assert_array_equal(w, alone)
    most = max(mine.program.arena_bytes for mine, *_ in held)
    assert most <= shared.arena_bytes <= max(SMALL, SLACK * most)


def lstm() -> dg.Program:
    x, y = dg.observed("x", ("T", "B", 4)), dg.observed("y", ("B",), dtype=dg.int32)
    _, (h, _) = dg.LSTM(4, 8, name="lstm")(x)
    cost = dg.cross_entropy(dg.Linear(8, 3, name="out")(h[0]), y)
    return dg.Diagram("lengths", cost=cost).compile(dg.Adam(1e-3), threads=1)


def test_many_lengths_take_the_memory_of_the_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    program, y = lstm(), np.zeros(16, np.int32)
    lengths = [3, 40, 7, 90, 1, 0, 120, 60]
    monkeypatch.setattr(execution, "KEPT_BYTES", 200_000)
    (step,) = program.executions()
    bound, longest = step.executors(), 0
    for length in lengths:
        program.step(x=np.zeros((length, 16, 4), np.float32), y=y)
        longest = max([longest, *(executor.program.arena_bytes for executor in bound.values())])
    assert len(bound) < len(lengths)
    assert sum(executor.nbytes for executor in bound.values()) <= execution.KEPT_BYTES
    workspace = program.workspace
    assert isinstance(workspace, Workspace)
    assert workspace.arena_bytes <= (1 + 1 / SLACK) * longest


@pytest.mark.usefixtures("no_collector")
def test_all_is_freed_at_once() -> None:
    program, y = lstm(), np.zeros(16, np.int32)
    for length in (3, 5):
        program.step(x=np.zeros((length, 16, 4), np.float32), y=y)
    (step,) = program.executions()
    assert isinstance(program.workspace, Workspace)
    seen = [weakref.ref(item) for item in step.executors().values()]
    seen += [weakref.ref(item._table) for item in step.executors().values()]
    arena = weakref.ref(program.workspace._memory.arena)
    natives = [e._natives["kernel 0"] for e in step.executors().values()]
    code = [weakref.ref(native) for native in natives]
    del natives
    step._bound.clear()
    # The last sizes are still at hand for the next call.
    assert [item() is None for item in seen] == [True, False, True, False]
    del program, step
    assert [item() for item in (*seen, *code, arena)] == [None] * 7


@pytest.mark.usefixtures("no_collector")
def test_what_is_let_go_of_in_the_midst_of_a_call_goes_after_it() -> None:
    """A function is all that a call needs, even where the arena moves meanwhile."""
    shared, n = Workspace(), 999
    w = np.ones(n, np.float32)
    function = Executor(random_table(1, n=n), {"w": w}, 3, shared).native
    wanted = np.ones(n, np.float32)
    other = Executor(random_table(1, n=n), {"w": wanted}, 1)
    large = Executor(random_table(2, n=50_000), {"w": np.ones(50_000, np.float32)}, 1, shared)
    x = np.linspace(-1, 1, n, dtype=np.float32)

    gone = weakref.ref(shared)
    clear(shared)
    np.testing.assert_array_equal(function({"x": x})["y"], other([x])[0])
    clear(shared)
    clear(other.workspace)
    del shared, large
    np.testing.assert_array_equal(function({"x": x})["y"], other([x])[0])
    np.testing.assert_array_equal(w, wanted)
    del function
    assert gone() is None


def test_the_order_of_eviction(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was not used for longest goes first, not what was bound first."""
    monkeypatch.setattr(execution, "KEPT", 3)
    program = dg.Diagram("order", {"y": dg.observed("x", ("B",)) + 1.0}).compile()
    for size in (1, 2, 3, 1, 4, 1, 5):
        program.run(x=np.zeros(size, np.float32))
    (run,) = program.executions()
    assert sorted(shapes[0][0] for shapes in run.executors()) == [1, 4, 5]


def test_hold() -> None:
    """The result or the exception of the function; free again after either."""
    mutex = NativeMutex()
    assert mutex.hold(lambda: int(mutex.record[HELD])) == threading.get_ident()
    with pytest.raises(ZeroDivisionError):
        mutex.hold(lambda: 1 // 0)
    assert mutex.record[HELD] == 0
    # Whoever has waited for long goes first, and bars nobody once it has gone.
    mutex.wait(POLITE)
    assert mutex.record[WISH] == 0
