"""Where something was written: the user's file and line, and the blocks that are being applied."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from types import FrameType

_ROOMS = tuple(
    os.path.join(root, room) + os.sep
    for root in {
        os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
        os.path.dirname(os.path.dirname(os.path.realpath(__file__))),
    }
    for room in ("frontend", "compiler", "runtime", "diagrad")
)


@dataclass(frozen=True)
class Enclosing:
    """A block that is being applied: "Residual 'body'", body, and the user's file:line.

    Variables drawn in it have a serial number of `first` or more.
    """

    text: str
    path: str
    where: str
    first: int = 0

    def __str__(self) -> str:
        return f"{self.text} ({self.where})"


_around: ContextVar[tuple[Enclosing, ...]] = ContextVar("around", default=())


def user_location() -> str:
    """The user's "file.py:line" of the statement that is running."""
    frame = _user_frame()
    return f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}"


def warn_user(message: str, category: type[Warning]) -> None:
    """A warning about the user's statement that is running."""
    frame = _user_frame()
    warnings.warn_explicit(
        message,
        category,
        frame.f_code.co_filename,
        frame.f_lineno,
        registry=frame.f_globals.setdefault("__warningregistry__", {}),
    )


def _user_frame() -> FrameType:
    """The nearest caller outside this package."""
    frame = sys._getframe(2)
    while frame.f_back is not None and _file_of(frame).startswith(_ROOMS):
        frame = frame.f_back
    return frame


def _file_of(frame: FrameType) -> str:
    """The file whose code runs; what a dataclass of a module writes itself is of that module."""
    name = frame.f_code.co_filename
    return str(frame.f_globals.get("__file__", name)) if name == "<string>" else name


def around() -> Enclosing | None:
    """The innermost block that is being applied."""
    blocks = _around.get()
    return blocks[-1] if blocks else None


@contextmanager
def inside(block: Enclosing) -> Iterator[None]:
    """Mistakes made meanwhile are made inside of this block."""
    token = _around.set((*_around.get(), block))
    try:
        yield
    finally:
        _around.reset(token)


def place_of(text: str) -> str:
    """What `text` names and the blocks around it: "matmul (m.py:3) in Residual 'body' (m.py:9)"."""
    return text + "".join(f" in {block}" for block in _shown(_around.get(), None))


def placed(message: str) -> str:
    """A mistake's message, with the blocks in whose `forward` it was raised.

    Most begin with the innermost block itself.
    """
    *outer, own = _around.get()
    if message.startswith(str(own)):
        around = "".join(f" in {block}" for block in _shown(tuple(outer), own))
        return f"{own}{around}{message[len(str(own)) :]}"
    return f"{place_of('')[1:]}: {message}"


def _shown(blocks: tuple[Enclosing, ...], inner: Enclosing | None) -> list[Enclosing]:
    """The blocks from the inside out, without those that the path of the one in them names."""
    found: list[Enclosing] = []
    for block in reversed(blocks):
        implied = inner is not None and inner.where == block.where
        if not (implied and inner is not None and inner.path.startswith(f"{block.path}/")):
            found.append(block)
        inner = block
    return found
