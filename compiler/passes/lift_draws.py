"""lift_draws: random bits drawn in the body of a loop are drawn outside, for all steps at once.

    body: %2 = random_bits(%key, %s; shape=(B,H))   ->   %5 = random_bits(%key, %s; shape=(T,B,H))
                                                         body: %2, an element of the sequence %5

Bits are a function of key, stream and place, so in a body they would be the same at every step.
Drawn outside, they differ from step to step, and are the same for a loop and its unrolled copies.
"""

from __future__ import annotations

from dataclasses import replace

from ..graph import Graph, Node, depending, topological
from ..graphs.loop_bodies import each_level, extend_loops
from ..graphs.rewrite import substitute
from ..primitives.record import Builder
from ..primitives.recurrence import role_of


@each_level
def lift_draws(graph: Graph) -> Graph:
    """The same graph with `random_bits` outside of loops: Graph -> Graph.

    Those stay whose key or stream is not the same at every step.
    """
    return extend_loops(graph, _lifted)


def _lifted(loop: Node, inputs: tuple[Node, ...]) -> tuple[Graph, list[Node]]:
    """The body on sequences in the place of its draws, and what those sequences are."""
    body: Graph = loop.attrs["body"]
    order = list(topological(body.roots))
    outer = dict(zip(body.inputs, inputs, strict=True))
    moving = depending(order, [e for e in body.inputs if role_of(e) != "invariant"])
    draws = [n for n in order if n.op == "random_bits" and moving.isdisjoint(n.inputs)]
    if not draws:
        return body, []
    keys = substitute([item for draw in draws for item in draw.inputs], outer)
    elements: dict[Node, Node] = {entry: entry for entry in body.inputs}
    sequences = []
    for number, draw in enumerate(draws):
        b = Builder(draw.origin)
        shape = (loop.attrs["steps"], *draw.shape)
        sequences.append(b.random_bits(*(keys[item] for item in draw.inputs), shape=shape))
        name = f"bits.{number}"
        elements[draw] = b.input(name=name, type=draw.type, role="sequence")
    done = substitute(body.roots, elements)
    entries = (*body.inputs, *(elements[draw] for draw in draws))
    done |= {entry: entry for entry in entries}
    return replace(body, inputs=entries).rebuilt(done), sequences
