"""What the tests of threads run in processes of their own: python scripts.py NAME."""

import gc
import os
import sys
import threading
import time

from diagrad.runtime.cpu import Executor
from diagrad.runtime.cpu.stepping.mutex import HELD
from diagrad.runtime.cpu.stepping.team import team

from .tables import random_table, run_table


def fork() -> None:
    """A child hires helpers at the first call of what it inherits, and runs what it makes."""
    import numpy as np

    program = random_table(1)
    wanted = run_table(program, 1)
    assert run_table(program, 3) == wanted
    w = np.ones(program.buffers[0].shape[0], np.float32)
    inherited = Executor(program, {"w": w}, 3)
    x = np.linspace(-1, 1, w.size, dtype=np.float32)
    inherited([x])
    native = inherited.native
    # A thread of the parent may be in the midst of a call: the child does not wait for it.
    for busy in (False, True):
        inherited.workspace.record[HELD] = 7 if busy else 0
        child = os.fork()
        if child == 0:
            none = len(team()._helpers) == 0 and native({"x": x}) is None
            inherited([x])
            hired = len(team()._helpers) == 2
            good = w.tobytes() == wanted[3] and type(native({"x": x})) is dict
            good = good and run_table(program, 3) == wanted
            team().dismiss()
            os._exit(0 if none and hired and good else 1)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        inherited.workspace.record[HELD] = 0
    inherited([x])
    assert w.tobytes() == wanted[3]


def pinned() -> None:
    """Two threads are asked for where there is one core."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    for seed in range(5):
        program = random_table(seed)
        assert run_table(program, 2, 50) == run_table(program, 1, 50)


def collect() -> None:
    """Executors come and go while others run."""
    wanted = {seed: run_table(random_table(seed), 1) for seed in range(3)}
    wrong: list[int] = []

    def work(seed: int) -> None:
        for _ in range(100):
            if run_table(random_table(seed), 3) != wanted[seed]:
                wrong.append(seed)
            gc.collect()

    threads = [threading.Thread(target=work, args=(seed,)) for seed in wanted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def leave() -> None:
    """The process ends while helpers are awake, and another thread is in the midst of steps."""
    program = random_table(2, rows=200)
    run_table(program, 3, 1)

    def forever() -> None:
        while True:
            run_table(program, 3)

    threading.Thread(target=forever, daemon=True).start()
    time.sleep(0.05)


def idle() -> None:
    """Helpers that have nothing to do use no processor time."""
    run_table(random_table(3), 3)
    time.sleep(0.05)
    before = time.process_time()
    time.sleep(0.3)
    assert time.process_time() - before < 0.05


if __name__ == "__main__":
    {"fork": fork, "pinned": pinned, "collect": collect, "leave": leave, "idle": idle}[
        sys.argv[1]
    ]()
    print("done")
