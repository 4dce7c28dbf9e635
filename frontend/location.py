"""Where in the user's files something was written: the nearest caller outside this package."""

from __future__ import annotations

import os
import sys
from types import CodeType

_ROOMS = tuple(
    os.path.join(root, room) + os.sep
    for root in {
        os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
        os.path.dirname(os.path.dirname(os.path.realpath(__file__))),
    }
    for room in ("frontend", "compiler", "runtime", "diagrad")
)


def user_location() -> str:
    """The user's "file.py:line" of the statement that is running."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_ROOMS):
        frame = frame.f_back
    return f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}"


def user_code() -> CodeType:
    """The function or module of the user that is running."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_ROOMS):
        frame = frame.f_back
    return frame.f_code
