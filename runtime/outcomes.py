"""How a call ends that gives no result: native code refuses it, or a check does not hold.

What a call needs before there is a program: light, since `import diagrad` loads it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

HOLDS = 2**63 - 1
"""What an instruction that checks something writes if it holds; else the index of the fault."""


class CheckFailedError(Exception):
    """A check did not hold; nothing was updated.  Which check of the program, and where."""

    def __init__(self, check: int, index: int) -> None:
        super().__init__(f"check {check} failed at element {index}")
        self.check = check
        self.index = index


def refuse(_: Mapping[str, Any]) -> None:
    """Answer no call, in the place of a native function that is not there."""
