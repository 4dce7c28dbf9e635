"""What the tests of interrupts and forks run in processes of their own: NAME TARGET."""

import faulthandler
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import diagrad as dg
from diagrad.frontend.pictures.layout.layout import lay_out
from diagrad.runtime.cpu.stepping.mutex import HELD, WISH
from diagrad.runtime.cpu.stepping.workspace import Workspace

SECONDS = 2.0


class Interrupt(BaseException):
    """What the signal handler raises, as the default one does KeyboardInterrupt."""


def classifier(target: Any) -> dg.Program:
    """A step and a run, with a check."""
    x, y = dg.observed("x", ("B", 3)), dg.observed("y", ("B",), dtype=dg.int32)
    w = dg.parameter("w", (3, 4), 0.1)
    cost = dg.cross_entropy(x @ w, y)
    return dg.Diagram("d", {"s": x @ w}, cost=cost).compile(
        dg.SGD(0.1),
        target=target,
        threads=1,
    )


def interrupts(target: str) -> None:
    """An exception may be raised anywhere in Python: the next call works as ever."""
    program, path = classifier(target), Path(tempfile.mkdtemp()) / "kept"
    program.save(path)
    x, y, w = np.ones((2, 3), np.float32), np.zeros(2, np.int32), np.ones((3, 4), np.float32)
    rng = random.Random(0)

    def refused() -> None:
        try:
            program.step(x=x, y=y + 9)
        except dg.InputError:
            return
        raise AssertionError

    def new_sizes() -> None:
        rows = rng.randrange(1, 400)
        program.run(x=np.ones((rows, 3), np.float32), y=np.zeros(rows, np.int32))

    calls: list[Callable[[], object]] = [
        refused, lambda: program.step(x=x, y=y), lambda: program.load(path), new_sizes,
        lambda: program.parameters.update(w=w), lambda: program.on_copies().step(x=x, y=y),
    ]  # fmt: skip
    program.step(x=x, y=y)
    new_sizes()

    def handler(*_: object) -> None:
        raise Interrupt

    signal.signal(signal.SIGALRM, handler)
    end, caught = time.perf_counter() + SECONDS, 0
    while time.perf_counter() < end:
        call = rng.choice(calls)
        try:
            signal.setitimer(signal.ITIMER_REAL, rng.uniform(1e-6, 3e-4))
            while True:
                call()
        except Interrupt:
            caught += 1
    signal.setitimer(signal.ITIMER_REAL, 0)
    assert caught > 100
    if isinstance(program.workspace, Workspace):
        assert not program.workspace.record[[HELD, WISH]].any()
    faulthandler.dump_traceback_later(20, exit=True)
    other = threading.Thread(target=lambda: [call() for call in calls])
    other.start()
    other.join()
    program.load(path)
    fresh = classifier(target)
    fresh.load(path)
    for rows in (2, 5, 399):
        given = {"x": np.ones((rows, 3), np.float32), "y": np.zeros(rows, np.int32)}
        assert program.step(**given) == fresh.step(**given)


def nested(target: str) -> None:
    """A call from a signal handler in the midst of a load: an error, no waiting for ever."""
    program = classifier(target)
    x = np.ones((2, 3), np.float32)
    try:
        program.workspace.hold(lambda: program.run(x=x))
    except RuntimeError as error:
        assert target == "cpu"
        assert str(error) == (
            "a program expects one call at a time, got another one of the same thread, as from a "
            "signal handler, in the midst of a load or the like: make it when that is over"
        )
    assert program.run(x=x)["s"].shape == (2, 4)


def forks(target: Any) -> None:
    """A child works whatever a thread of its parent was in the midst of: building, or a step."""
    over = threading.Event()
    seen = classifier(target)
    x, y = np.ones((2, 3), np.float32), np.zeros(2, np.int32)
    seen.step(x=x, y=y)

    def fresh(number: int) -> dg.Program:
        v = dg.observed("x", ("B", 3))
        for turn in range(number % 5 + 1):
            v = dg.sin(v * (turn + 2.0)) + dg.max(v, 1, keepdims=True)
        return dg.Diagram(f"fresh{number}", {"v": v + float(number)}).compile(
            target=target,
            threads=1,
        )

    def build() -> None:
        number = 0
        while not over.is_set():
            fresh(number).run(x=x)
            number += 1

    def use() -> None:
        while not over.is_set():
            seen.parameters.update(w=np.ones((3, 4), np.float32))
            seen.step(x=x, y=y)

    threads = [threading.Thread(target=work) for work in (build, use)]
    for thread in threads:
        thread.start()
    failed = 0
    for number in range(5):
        time.sleep(0.05)
        child = os.fork()
        if child == 0:
            signal.alarm(20)
            fresh(1000 + number).run(x=x)
            seen.step(x=x, y=y)
            seen.on_copies().step(x=x, y=y)
            os._exit(0)
        failed += os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0
    over.set()
    for thread in threads:
        thread.join()
    assert failed == 0


def drawings(_: str) -> None:
    """A child draws whatever a thread of its parent was drawing."""
    over = threading.Event()
    lay_out("digraph { a -> b }")

    def draw() -> None:
        while not over.is_set():
            lay_out("digraph { a -> b }")

    thread = threading.Thread(target=draw)
    thread.start()
    time.sleep(0.1)
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        lay_out("digraph { b -> c }")
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    over.set()
    thread.join()
    assert status == 0


if __name__ == "__main__":
    works = {"interrupts": interrupts, "nested": nested, "forks": forks, "drawings": drawings}
    works[sys.argv[1]](sys.argv[2])
    print("done")
