"""Functions that call themselves, without Python's stack: as deep as a graph may be nested.

    def size(graph):                            def size(graph):
        return 1 + sum(                             total = 1
            size(g) for g in inner(graph)    ->     for g in inner(graph):
        )                                               total += yield size(g)
                                                    return total

    size(graph)                                 unwound(size(graph))

Such a function is a generator: it yields each of its own calls, and is sent the result.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeVar

T = TypeVar("T")

Steps = Generator[Any, Any, T]
"""What a function does that yields its own calls; T is its result."""


def unwound(steps: Steps[T]) -> T:
    """The result of a function that yields its own calls."""
    stack: list[Steps[Any]] = [steps]
    value: Any = None
    while stack:
        try:
            call = stack[-1].send(value)
        except StopIteration as done:
            stack.pop()
            value = done.value
        else:
            stack.append(call)
            value = None
    result: T = value
    return result
