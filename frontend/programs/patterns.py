"""Names of parameters by pattern: a path, all below a path, or the marks of file names."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

MARKS = frozenset("*?[")
"""What makes a text a pattern."""


def matching(pattern: str, names: Iterable[str]) -> list[str]:
    """The names that a pattern means, in their order.

    A path means itself and what is below it ("encoder" means "encoder/0/weight").  In a text with
    one of the marks of file names, `*` stands for any text ("/" too), `?` for one character, and
    `[...]` for one out of a set ("encoder/*", "*/bias").
    """
    if MARKS.isdisjoint(pattern):
        return [name for name in names if name == pattern or name.startswith(f"{pattern}/")]
    return [name for name in names if fnmatchcase(name, pattern)]
