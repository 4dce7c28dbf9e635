"""`python -m tests.fuzz --programs 100000`: random diagrams until they are done or time is up."""

from __future__ import annotations

import argparse
import collections
import os
import sys
import time

from .campaign import campaign, serve
from .checking import fault_of
from .growth import NAMES
from .plan import random_plan
from .shrinking import shrink


def main() -> int:
    """The exit status: 1 if anything was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--programs", type=int, default=1000, help="how many (default: 1000)")
    parser.add_argument("--seed", type=int, default=0, help="of the first; the others follow")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--minutes", type=float, help="stop after so long")
    parser.add_argument("--shrink", type=float, default=120, help="seconds to make a fault small")
    parser.add_argument("--one", action="store_true", help="the program of --seed, in this process")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve()
        return 0
    if options.one:
        plan = random_plan(options.seed, NAMES)
        fault = fault_of(plan)
        if fault is not None and options.shrink:
            plan, fault = shrink(plan, fault, fault_of, options.shrink)
        print(plan)
        print("right" if fault is None else f"{fault.kind}\n{fault.text}")
        return 1 if fault else 0
    begin = time.monotonic()
    kinds: collections.Counter[str] = collections.Counter()
    done = 0
    for done, seed, found in campaign(
        options.seed, options.programs, options.jobs, options.minutes, options.shrink
    ):
        if found is not None:
            plan, fault = found
            kinds[fault.kind] += 1
            if kinds[fault.kind] <= 5:
                print(f"seed {seed}: {fault.kind}\n{fault.text}\n{plan}\n", flush=True)
        if done % 100 == 0:
            minutes = (time.monotonic() - begin) / 60
            print(f"{done} programs, {minutes:.1f} min, {sum(kinds.values())} faults", flush=True)
    print(f"{done} programs: {dict(kinds) if kinds else 'all right'}")
    return 1 if kinds else 0


if __name__ == "__main__":
    sys.exit(main())
