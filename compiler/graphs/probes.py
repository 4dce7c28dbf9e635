"""Probes: zeros that are added to what goes into delays, to differentiate a cost by them.

    z <- %next       ->       z <- add(%next, %probe), %probe an element of a sequence of zeros

The cost's gradient by the sequence is dC/dz(t) for every t: the sensitivity of the cost to the
state (Rumelhart, Hinton and Williams, Learning representations by back-propagating errors, 1986).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from ..graph import Graph, Node, Origin
from ..primitives.record import Builder
from .loop_bodies import extend_loops


@dataclass(frozen=True)
class Probe:
    """A sequence of zeros that is added to what goes into a delay.

    Attributes:
        path: of the block in which the loop is.
        loop: the loop's name.
        delay: the delay's name.
        times: the steps of the loops around the delay, the outermost first.
        node: the zeros, of shape (*times, *shape of the delay).
    """

    path: str
    loop: str
    delay: str
    times: tuple[Any, ...]
    node: Node


Supply = Callable[[Probe], Node]


def probe(graph: Graph) -> tuple[Graph, list[Probe]]:
    """The same graph with probes at the float delays that have an identifier for a name.

    The graph must be inlined, so that no loop is hidden in a call.
    """
    probes: list[Probe] = []

    def zeros(wanted: Probe) -> Node:
        node = Builder(wanted.node.origin).fill(0, wanted.node.type)
        probes.append(replace(wanted, node=node))
        return node

    return _probed(graph, zeros), probes


def _probed(graph: Graph, supply: Supply) -> Graph:
    """The graph with probes that `supply` gives, of the type of the node it is asked with."""
    return extend_loops(graph, lambda loop, inputs: _body(loop, supply))


def _body(loop: Node, supply: Supply) -> tuple[Graph, list[Node]]:
    """The body of a loop with probes, and the sequences that they are elements of."""
    body: Graph = loop.attrs["body"]
    steps = loop.attrs["steps"]
    elements: list[Node] = []
    sequences: list[Node] = []

    def element(wanted: Probe) -> Node:
        """An element of a sequence that is asked for one level further out."""
        origin = wanted.node.origin
        name, type = f"probe.{len(elements)}", wanted.node.type
        elements.append(Builder(origin).input(name=name, type=type, role="sequence"))
        whole = replace(wanted.node, type=type.with_shape((steps, *type.shape)))
        sequences.append(supply(replace(wanted, times=(steps, *wanted.times), node=whole)))
        return elements[-1]

    body = _probed(body, element)
    updates = []
    for carry, value in body.updates:
        name: str = carry.attrs["name"]
        if carry.type.is_float and name.isidentifier():
            origin = Origin(carry.origin.path, carry.origin.where)
            loop_name = body.name.rsplit("/", 1)[-1]
            like = Node("input", (), {}, carry.type, origin)
            zero = element(Probe(carry.origin.path, loop_name, name, (), like))
            value = Builder(value.origin).add(value, zero)
        updates.append((carry, value))
    return replace(body, inputs=(*body.inputs, *elements), updates=tuple(updates)), sequences
