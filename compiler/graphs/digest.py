"""A hash of all that a graph is: two graphs with one digest are compiled to the same template.

Unlike `graph.to_text`, which is for readers, it covers the elements of constants, the bodies of
calls and loops, and the whole origin but for the forward node, which no pass looks at.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..graph import Graph, Node, Type
from ..sizes import Size
from .loop_bodies import innermost_first

_PLAIN = frozenset({int, float, str, bool, bytes, type(None), Size})
"""What `repr` tells apart exactly, alone and in tuples."""


@dataclass(frozen=True, slots=True)
class Digest:
    """The hash, and the arrays among the constants of the graph in the order of their nodes."""

    key: bytes
    arrays: tuple[npt.NDArray[Any], ...]


def digest(graph: Graph) -> Digest:
    """The digest of a graph: SHA-256 of an exact text of its nodes, inputs first.

    Raises:
        TypeError: an attribute of a kind that no primitive has.
    """
    work = _Digesting()
    for level in innermost_first(graph, calls=True):
        work.graph(level)
    text = "\n".join(work.lines)
    return Digest(hashlib.sha256(text.encode()).digest(), tuple(work.arrays))


class _Digesting:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.arrays: list[npt.NDArray[Any]] = []
        self.types: dict[Type, str] = {}
        self.bodies: dict[int, int] = {}

    def graph(self, graph: Graph) -> int:
        """The number of a graph; its lines are written the first time."""
        if id(graph) in self.bodies:
            return self.bodies[id(graph)]
        own: list[str] = []
        places: dict[Node, int] = {}
        for node in graph.all_nodes():
            places[node] = len(places)
            origin = node.origin
            own.append(
                f"{node.op} {[places[item] for item in node.inputs]} {self.attrs(node.attrs)} "
                f"{self.type(node.type)} {(origin.path, origin.where, origin.direction)!r}"
            )
        ends = (
            graph.name,
            [places[node] for node in graph.inputs],
            [(name, places[node]) for name, node in graph.outputs],
            [(places[state], places[value]) for state, value in graph.updates],
            [(places[c.node], c.name, c.low, c.high) for c in graph.checks],
        )
        number = self.bodies[id(graph)] = len(self.bodies)
        self.lines += [f"graph {number} of {len(own)}", *own, repr(ends)]
        return number

    def type(self, type: Type) -> str:
        if type not in self.types:
            self.types[type] = repr((type.dtype, type.shape))
        return self.types[type]

    def attrs(self, attrs: Mapping[str, Any]) -> str:
        return ",".join([f"{key}={self.value(value)}" for key, value in attrs.items()])

    def value(self, value: Any) -> str:
        """An attribute's exact text."""
        kind = type(value)
        if kind in _PLAIN:
            return repr(value)
        if kind is tuple:
            return f"({','.join([self.value(item) for item in value])},)"
        if kind is Type:
            return self.type(value)
        if kind is Graph:
            return f"graph {self.graph(value)}"
        if isinstance(value, (np.ndarray, np.generic)):
            return self.array(np.asarray(value))
        raise TypeError(f"an attribute of a node is {kind.__name__}, which has no exact text")

    def array(self, array: npt.NDArray[Any]) -> str:
        held = array.tobytes()
        if array.ndim:
            self.arrays.append(array)
        told = held.hex() if len(held) <= 32 else hashlib.sha256(held).hexdigest()
        return f"array {array.dtype.name} {array.shape} {told}"
