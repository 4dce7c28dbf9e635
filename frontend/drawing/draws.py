"""Streams of random numbers: which draw of a diagram has which, and where a seed begins.

A draw's numbers are those of one stream of Philox's under one key (`runtime/philox.py`).  The
stream says where the draw stands, and is a constant of the graph; the key says the seed, the steps
and the redraws so far, and is an array of the program.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from ..variables.block_base import BlockBase
from ..variables.dependencies import captured_by, opened
from ..variables.kinds import Draw
from ..variables.variable import Application, Rule, Variable


def hashed(*facts: Any) -> int:
    """64 bits, as a signed integer, of texts and integers: the same in every process.

    Different facts share them as seldom as chance has it: among a million, once in 37 million.
    """
    from hashlib import blake2b  # Not for `import diagrad`.

    return int.from_bytes(blake2b(repr(facts).encode(), digest_size=8).digest(), "big", signed=True)


def first_key(seed: int) -> int:
    """The key at step 0: seeds begin far from each other, and each step counts the key up."""
    return hashed("seed", seed)


def other_key(key: int) -> int:
    """The key after a redraw."""
    return hashed("redraw", key)


def streams_of(
    wanted: Sequence[Variable], applications: Sequence[Application], roots: Mapping[BlockBase, str]
) -> dict[Application, int]:
    """The stream of every draw among the applications of a diagram that computes `wanted`.

    It is that of the draw's stated name, or else of its place: the path of the block application
    that it is drawn in, and how many draws with the same path were drawn before it.  So it stays
    the same whatever is drawn elsewhere; a block that is applied twice has two draws.
    """
    draws = [item for item in applications if isinstance(item, Draw)]
    if not draws:
        return {}
    paths: dict[Application, str] = {}
    levels: list[tuple[Sequence[Variable], Mapping[Variable, None], str]] = [(wanted, {}, "")]
    seen: set[Application] = set()
    while levels:
        outputs, known, path = levels.pop()
        for variable in opened(outputs, known, []):
            producer = variable.producer
            if producer is None or producer in seen:
                continue
            seen.add(producer)
            if isinstance(producer, Draw):
                paths[producer] = path
            elif producer.body is not None:
                body = producer.body
                around = dict.fromkeys((*body.ports, *captured_by(body)))
                levels.append((body.outputs, around, path_of(producer, path, roots)))
    found: dict[Application, int] = {}
    before: dict[str, int] = {}
    for draw in sorted(draws, key=lambda item: item.outputs[0].serial):
        if draw.stream is not None:
            found[draw] = hashed("stream", *draw.stream)
            continue
        path = paths[draw]
        found[draw] = hashed("place", path, before.get(path, 0))
        before[path] = before.get(path, 0) + 1
    return found


def path_of(application: Application, path: str, roots: Mapping[BlockBase, str]) -> str:
    """The path of a block's application that is drawn below `path`."""
    block = application.block
    assert block is not None
    if block._has_place:
        return block._path(roots)
    return f"{path}/{application.label}" if path else application.label


class Streams:
    """The streams of what is lowered together: a diagram's draws, and others, an optimizer's.

    Those get theirs in the order in which they are lowered.
    """

    def __init__(self, known: Mapping[Application, int]) -> None:
        self._known = known
        self._others: dict[Application, int] = {}

    def rule_of(self, application: Application) -> Rule:
        """An operation's rule; a draw's knows its stream."""
        assert application.rule is not None
        if not isinstance(application, Draw):
            return application.rule
        number = self._known.get(application)
        if number is None:
            named, others = application.stream, self._others
            facts = ("outside", len(others)) if named is None else ("stream", *named)
            number = others.setdefault(application, hashed(*facts))
        return partial(application.rule, number=number)
