"""The subscripts of einsum: what is left out is written out, before operands are contracted."""

from __future__ import annotations

import string
from collections.abc import Sequence

from ....compiler.errors import TypeRuleError
from ....compiler.graph import Node
from ....compiler.primitives.record import Builder
from ....compiler.sizes import Dim
from ..broadcasting import broadcast_shape
from ..moving.triangles import diagonal_of

_DOTS = "..."


def written_out(subscripts: str, nodes: Sequence[Node]) -> tuple[list[str], str]:
    """A letter for every axis of the operands and of the result.

    An axis of "..." that has one element, where another operand's has more, has a letter of its
    own, over which is summed.
    """
    text = subscripts.replace(" ", "")
    inputs, arrow, out = text.partition("->")
    parts = inputs.split(",")
    if len(parts) != len(nodes):
        raise TypeRuleError(
            f'expects subscripts for {len(nodes)} operands, such as "ij,jk->ik", not {subscripts!r}'
        )
    for part in (*parts, out):
        rest = part.replace(_DOTS, "", 1)
        if rest and not (rest.isascii() and rest.isalpha()):
            raise TypeRuleError(f"expects letters and one ... for an operand, not {part!r}")
    used = set(text)
    free = [c for c in string.ascii_letters if c not in used]
    shapes = [_left_over(part, node) for part, node in zip(parts, nodes, strict=True)]
    whole = broadcast_shape(shapes)
    dots = "".join(free.pop() for _ in whole)
    found = []
    for part, shape in zip(parts, shapes, strict=True):
        own = dots[len(whole) - len(shape) :]
        behind = whole[len(whole) - len(shape) :]
        pairs = zip(own, shape, behind, strict=True)
        letters = "".join(c if n == m else free.pop() for c, n, m in pairs)
        found.append(part.replace(_DOTS, letters))
    if not arrow:
        every = inputs.replace(_DOTS, "").replace(",", "")
        out = _DOTS + "".join(sorted(c for c in set(every) if every.count(c) == 1))
    elif dots and _DOTS not in out:
        raise TypeRuleError(f"expects ... in the output too, not {out!r}")
    out = out.replace(_DOTS, dots)
    if len(set(out)) != len(out) or not set(out) <= set("".join(found)):
        raise TypeRuleError(f"expects output letters out of the operands', each once, not {out!r}")
    return found, out


def _left_over(part: str, node: Node) -> tuple[Dim, ...]:
    """The shape of the axes that "..." stands for."""
    named = len(part.replace(_DOTS, ""))
    if named > node.type.rank or (_DOTS not in part and named != node.type.rank):
        raise TypeRuleError(f"expects {node.type.rank} letters for {node.type}, not {part!r}")
    if _DOTS not in part:
        return ()
    place = part.index(_DOTS)
    return node.shape[place : place + node.type.rank - named]


def without_repeats(b: Builder, node: Node, letters: str) -> tuple[Node, str]:
    """An operand with the diagonals of axes that have the same letter."""
    for letter in dict.fromkeys(letters):
        while letters.count(letter) > 1:
            first = letters.index(letter)
            second = letters.index(letter, first + 1)
            if node.shape[first] != node.shape[second]:
                raise TypeRuleError(
                    f"expects one size for the letter {letter}, not {node.shape[first]} and "
                    f"{node.shape[second]}"
                )
            node = diagonal_of(b, node, first, second)
            letters = letters[:first] + letters[first + 1 : second] + letters[second + 1 :] + letter
    return node, letters
