"""unroll: so many steps of a loop become one turn of it; with "all", none of it is left.

    %5 = loop(%x, %h0; steps=T)     ->     %5 = loop(%x[:n*K] as (n, K), %h0; steps=n)
                                                body: %6 = <body>(x[0], h), ...  # K times
                                           %7 = loop(%x[n*K:], %5; steps=T-n*K)

    %5 = loop(%x, %h0; steps=2)     ->     %6 = <body>(x[0], %h0)                # "all"
                                           %7 = <body>(x[1], %6)

n = floor(T / K).  What is left over has no loop either where its number of steps is known, and a
loop of at most K steps has none at all.

A loop's own attribute `unroll` counts more than the option.  A loop of segments, which keeps its
`carries` alone, has steps of many steps already: only "all" unrolls it.  A loop that has a gate
stays as it is: copies of its steps would all be made.

The pass stands behind `differentiate`, so that a gradient in a body is one step's, and the way back
is unrolled as the way forward is; and behind `hoist`, so that what needs no loop is one product for
all steps, and what is copied is what each step needs of the one before.  Random bits are sequences
by then: the same ones, rolled and unrolled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import InvalidGraphError
from ..graph import Graph, Node
from ..graphs.rewrite import substitute
from ..graphs.segments import Wanted, in_segments, results_of_loop
from ..options import Unroll
from ..primitives.record import Builder
from ..primitives.recurrence import gate_of, role_of
from ..primitives.reduction import BLOCK


def unroll(graph: Graph, unroll: Unroll) -> Graph:
    """An equal graph whose loops do so many steps in a turn: Graph -> Graph.

    Args:
        graph: without gradients in the bodies of its loops.
        unroll: the steps of a turn, where a loop says nothing of its own.

    Raises:
        InvalidGraphError: all steps of a loop that has no known number of them.
    """
    return in_segments(
        graph, lambda loop: _length(loop, unroll), lambda loop: str(loop.attrs["keep"]), _copies
    )


def _length(loop: Node, unroll: Unroll) -> int | None:
    """The steps of a turn, None where they stay as they are."""
    if gate_of(loop.attrs["body"]) is not None:
        return None
    wanted: Unroll = loop.attrs.get("unroll", unroll)
    steps = loop.attrs["steps"]
    if wanted != "all":
        return None if wanted == 1 or loop.attrs["keep"] == "carries" else wanted
    if not isinstance(steps, int):
        raise InvalidGraphError(
            f"all steps of loop {loop.attrs['body'].name} ({loop.origin.where}) are to be "
            f"unrolled: expected a known number of them, got {steps}"
        )
    return steps


def _copies(
    b: Builder, inputs: Sequence[Node], attrs: Mapping[str, Any], wanted: Sequence[Wanted]
) -> dict[Wanted, Node]:
    """Results of a loop, from a copy of its body for every step where their number is known."""
    steps = attrs["steps"]
    if not isinstance(steps, int):
        return results_of_loop(b, inputs, attrs, wanted)
    body: Graph = attrs["body"]
    values = dict(zip(body.inputs, inputs, strict=True))
    copies: list[dict[Node, Node]] = []  # in the order in which they run
    for t in reversed(range(steps)) if attrs["reverse"] else range(steps):
        known = {
            entry: _element(b, value, t) if role_of(entry) == "sequence" else value
            for entry, value in values.items()
        }
        copies.append(substitute(body.roots, known))
        values |= {carry: copies[-1][value] for carry, value in body.updates}
    carries = {carry.attrs["name"]: values[carry] for carry, _ in body.updates}
    outputs = dict(body.outputs)
    found = {}
    for kind, of in wanted:
        if kind == "last":
            found[kind, of] = carries[of]
            continue
        parts = [copy[outputs[of]] for copy in copies]
        if kind == "stack":
            parts = parts[::-1] if attrs["reverse"] else parts
            found[kind, of] = _stack(b, outputs[of], parts)
        else:
            found[kind, of] = _sum(b, outputs[of], parts)
    return found


def _element(b: Builder, sequence: Node, t: int) -> Node:
    found: Node = b.reshape(b.slice_axis(sequence, 0, t, t + 1), shape=sequence.shape[1:])
    return found


def _stack(b: Builder, like: Node, parts: Sequence[Node]) -> Node:
    found: Node
    if parts:
        rows = [b.reshape(part, shape=(1, *part.shape)) for part in parts]
        found = b.concatenate(*rows, axis=0)
    else:
        found = b.fill(0, like.type.with_shape((0, *like.shape)))
    return found


def _sum(b: Builder, like: Node, parts: Sequence[Node]) -> Node:
    """One after another; more than BLOCK of them in the way that long sums are made."""
    found: Node
    if len(parts) > BLOCK:
        found = b.reduce_sum(_stack(b, like, parts), axes=(0,))
    elif parts:
        found = parts[0]
        for part in parts[1:]:
            found = b.add(found, part)
    else:
        found = b.fill(0, like.type)
    return found
