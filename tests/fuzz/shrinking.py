"""A smaller plan with the same fault, by hand-written steps."""

from __future__ import annotations

import time
from collections.abc import Callable

from .checking import Fault
from .plan import Plan, smaller


def shrink(
    plan: Plan, fault: Fault, fault_of: Callable[[Plan], Fault | None], seconds: float = 120
) -> tuple[Plan, Fault]:
    """The plan after every step that keeps a fault of this kind, until none does or time is up."""
    end = time.monotonic() + seconds
    tried: set[Plan] = {plan}
    going = True
    while going:
        going = False
        for candidate in smaller(plan):
            if time.monotonic() > end:
                return plan, fault
            if candidate in tried:
                continue
            tried.add(candidate)
            found = fault_of(candidate)
            if found is not None and found.kind == fault.kind:
                plan, fault, going = candidate, found, True
                break
    return plan, fault
