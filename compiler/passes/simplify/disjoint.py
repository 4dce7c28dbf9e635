"""Sums of parts that do not overlap: what the derivatives of slices add up to.

    add(pad(%1, low=0), pad(%2, low=4))     ->     concatenate(%1, %2)

The gates of a recurrent net are slices of one product; their cotangents come back as pads with
zeros, whose sum is the parts side by side.  (A part's -0.0 stays, where adding 0.0 made it 0.0.)
"""

from __future__ import annotations

from ...graph import Node
from ...primitives.record import Builder
from ...sizes import product

MOST_TERMS = 32


def join_parts(b: Builder, n: Node) -> Node | None:
    """A sum with neighbouring parts joined, or None if no two of its terms are neighbours."""
    terms = _terms(n)
    if sum(term.op == "pad" for term in terms) < 2:
        return None
    joined = False
    index = 0
    while index < len(terms):
        for other in range(len(terms)):
            whole = _join(b, terms[index], terms[other]) if other != index else None
            if whole is not None:
                terms = [t for i, t in enumerate(terms) if i not in (index, other)]
                terms.insert(0, whole)
                joined, index = True, -1
                break
        index += 1
    if not joined:
        return None
    total = terms[0]
    for term in terms[1:]:
        total = b.add(total, term)
    return total


def sum_of_pad(b: Builder, n: Node) -> Node | None:
    """Zeros around a part add nothing: a sum along the padded axes is one of the part."""
    x, axes = n.inputs[0], n.attrs["axes"]
    if x.op != "pad":
        return None
    kept = [axis for axis in range(x.type.rank) if axis not in axes]
    part = b.reduce_sum(x.inputs[0], axes=axes)
    whole: Node = b.pad(
        part,
        low=tuple(x.attrs["low"][axis] for axis in kept),
        inner=tuple(x.attrs["inner"][axis] for axis in kept),
        shape=n.shape,
    )
    return whole


def reshape_parts(b: Builder, n: Node) -> Node | None:
    """A concatenation whose axis merges with the ones behind it is one of merged parts."""
    x = n.inputs[0]
    if x.op != "concatenate":
        return None
    axis, behind = x.attrs["axis"], x.type.rank - n.type.rank
    wide = product(x.shape[axis : axis + behind + 1])
    if behind < 1 or n.shape != (*x.shape[:axis], wide, *x.shape[axis + behind + 1 :]):
        return None
    parts = [
        b.reshape(
            part,
            shape=(
                *part.shape[:axis],
                product(part.shape[axis : axis + behind + 1]),
                *part.shape[axis + behind + 1 :],
            ),
        )
        for part in x.inputs
    ]
    whole: Node = b.concatenate(*parts, axis=axis)
    return whole


def _terms(n: Node) -> list[Node]:
    """What a tree of sums adds up, from left to right; nothing of a tree that is left as it is.

    That has too many terms, or more than one that is no pad: joining would change the rounding.
    """
    terms = [n]
    while any(term.op == "add" for term in terms):
        terms = [part for term in terms for part in (term.inputs if term.op == "add" else (term,))]
        others = sum(term.op not in ("add", "pad") for term in terms)
        if others > 1 or len(terms) > MOST_TERMS:
            return []
    return terms


def _join(b: Builder, first: Node, second: Node) -> Node | None:
    """Two pads as one, if the second begins where the first ends, along one axis alone."""
    if first.op != "pad" or second.op != "pad":
        return None
    if any(step != 1 for pad in (first, second) for step in pad.attrs["inner"]):
        return None
    lows = first.attrs["low"], second.attrs["low"]
    x, y = first.inputs[0], second.inputs[0]
    apart = [axis for axis in range(first.type.rank) if lows[0][axis] != lows[1][axis]]
    if len(apart) != 1:
        return None
    (axis,) = apart
    rest = [x.shape[:axis] + x.shape[axis + 1 :], y.shape[:axis] + y.shape[axis + 1 :]]
    if lows[0][axis] + x.shape[axis] != lows[1][axis] or rest[0] != rest[1]:
        return None
    both = b.concatenate(*_parts(x, axis), *_parts(y, axis), axis=axis)
    whole: Node = b.pad(both, low=lows[0], inner=first.attrs["inner"], shape=first.shape)
    return whole


def _parts(x: Node, axis: int) -> tuple[Node, ...]:
    return x.inputs if x.op == "concatenate" and x.attrs["axis"] == axis else (x,)
