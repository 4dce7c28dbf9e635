"""The intermediate representation: a typed DAG in single-assignment form, on one screen.

    Type    dtype, shape                                  a shape's sizes may be named (`sizes.py`)
    Origin  path, where, direction, forward               whose block, which line of the user's file
    Node    op, inputs, attrs, type, origin               one value; `op` names a primitive
    Check   node, name, low, high                         what must hold before anything is written
    Graph   name, inputs, outputs, updates, checks        what is given, wanted and written back

Nodes are immutable and know their inputs only, so a pass builds new nodes and shares old ones.
A node is equal to itself alone.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

import numpy as np

from .dtypes import computed
from .sizes import Dim, nominal, product

Direction = Literal["forward", "backward", "update"]


@dataclass(frozen=True, slots=True)
class Type:
    """The dtype (NumPy's name for it) and the shape of a value."""

    dtype: str
    shape: tuple[Dim, ...] = ()

    def __str__(self) -> str:
        return f"{self.dtype}[{','.join(map(str, self.shape))}]"

    @property
    def rank(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def count(self) -> Dim:
        """Number of elements."""
        return product(self.shape)

    @property
    def item_bytes(self) -> int:
        """The bytes of an element."""
        return np.dtype(self.dtype).itemsize

    @property
    def nominal_bytes(self) -> int:
        """The bytes of a value, its named sizes taken as `sizes.NOMINAL`."""
        return nominal(self.count) * self.item_bytes

    @property
    def is_float(self) -> bool:
        """Whether a gradient can flow through values of this type."""
        return "float" in self.dtype

    @property
    def cotangent(self) -> Type:
        """The type of a derivative by a value of this type: of the dtype that computes."""
        return Type(computed(self.dtype), self.shape)

    @property
    def extents(self) -> tuple[int, ...]:
        """The shape of a type whose sizes are all bound to integers."""
        assert all(isinstance(extent, int) for extent in self.shape), f"unbound sizes in {self}"
        return cast("tuple[int, ...]", self.shape)

    def with_shape(self, shape: Iterable[Dim]) -> Type:
        """The same dtype with another shape."""
        return Type(self.dtype, tuple(shape))

    def with_dtype(self, dtype: str) -> Type:
        """The same shape with another dtype."""
        return Type(dtype, self.shape)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a node comes from: the block's path, the user's file:line, and which sweep made it."""

    path: str = ""
    where: str = ""
    direction: Direction = "forward"
    forward: Node | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Node:
    """One value: the primitive that makes it, what it is made from, and its type."""

    op: str
    inputs: tuple[Node, ...]
    attrs: Mapping[str, Any]
    type: Type
    origin: Origin = Origin()

    @property
    def shape(self) -> tuple[Dim, ...]:
        """The shape of the value."""
        return self.type.shape

    @property
    def dtype(self) -> str:
        """The dtype of the value."""
        return self.type.dtype

    def __repr__(self) -> str:
        return f"<{self.op}: {self.type}>"


@dataclass(frozen=True, slots=True)
class Check:
    """A condition on the input called `name`: that all of it lies in [low, high).

    `node` is its `first_outside`; the check holds if that is the greatest int64.
    """

    node: Node
    name: str
    low: Dim
    high: Dim


@dataclass(frozen=True, slots=True)
class Graph:
    """Inputs in order, named outputs, and updates: (state input, its next value)."""

    name: str
    inputs: tuple[Node, ...]
    outputs: tuple[tuple[str, Node], ...]
    updates: tuple[tuple[Node, Node], ...] = ()
    checks: tuple[Check, ...] = ()
    _orders: dict[bool, tuple[Node, ...]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def roots(self) -> tuple[Node, ...]:
        """Every node whose value leaves the graph."""
        return (
            *(check.node for check in self.checks),
            *(node for _, node in self.outputs),
            *(value for _, value in self.updates),
        )

    def rebuilt(self, done: Mapping[Node, Node]) -> Graph:
        """The same graph on other nodes: `done` gives the new one for every input and root.

        Itself if those are its own.
        """
        found = Graph(
            self.name,
            tuple(done[node] for node in self.inputs),
            tuple((name, done[node]) for name, node in self.outputs),
            tuple((done[state], done[value]) for state, value in self.updates),
            tuple(replace(check, node=done[check.node]) for check in self.checks),
        )
        return self if found == self else found

    def nodes(self) -> tuple[Node, ...]:
        """Every node that a root depends on, each after its inputs."""
        return self._order(with_inputs=False)

    def all_nodes(self) -> tuple[Node, ...]:
        """Every input, used or not, and every node that a root depends on, in such an order."""
        return self._order(with_inputs=True)

    def _order(self, with_inputs: bool) -> tuple[Node, ...]:
        """The order, found once: every pass asks for it, and most change little."""
        if with_inputs not in self._orders:
            ends = (*self.inputs, *self.roots) if with_inputs else self.roots
            self._orders[with_inputs] = tuple(topological(ends))
        return self._orders[with_inputs]

    def __str__(self) -> str:
        return to_text(self)


def topological(roots: Iterable[Node], without: Container[Node] = ()) -> Iterator[Node]:
    """Yield `roots` and all that they depend on once each, inputs first.

    `without` are nodes that are left out, and with them what only they depend on; those that are
    yielded may be added to it.
    """
    done: set[Node] = set()
    for root in roots:
        stack: list[Node | None] = [root]
        while stack:
            node = stack.pop()
            if node is None:  # what the node under it is made from is done
                node = stack.pop()
                assert node is not None
                done.add(node)
                yield node
            elif node not in done and node not in without:
                stack += (node, None)
                for item in reversed(node.inputs):
                    if item not in done:
                        stack.append(item)


def depending(order: Iterable[Node], variables: Iterable[Node]) -> set[Node]:
    """The variables, and those of `order` (inputs first) that depend on one of them."""
    depends = set(variables)
    for node in order:
        if any(item in depends for item in node.inputs):
            depends.add(node)
    return depends


def to_text(graph: Graph) -> str:
    """The graph as readable text, one node a line, numbered from the inputs down."""
    names: dict[Node, str] = {}
    lines = [f"graph {graph.name}"]
    body = dict.fromkeys((*graph.inputs, *graph.nodes()))
    for number, node in enumerate(body):
        names[node] = f"%{number}"
        lines.append("  " + line_text(node, names))
    lines += [f"  check {names[c.node]}: {c.name} in [{c.low}, {c.high})" for c in graph.checks]
    lines += [f"  output {name} = {names[node]}" for name, node in graph.outputs]
    lines += [f"  update {names[state]} <- {names[value]}" for state, value in graph.updates]
    return "\n".join(lines) + "\n"


def line_text(node: Node, names: Mapping[Node, str]) -> str:
    """One node as text: its number, type, operation, inputs, attributes and origin."""
    words = [names.get(item, "%?") for item in node.inputs]
    words += [f"{key}={_attr_text(value)}" for key, value in node.attrs.items()]
    origin = " ".join(
        word
        for word in (
            node.origin.path,
            "" if node.origin.direction == "forward" else node.origin.direction,
        )
        if word
    )
    tail = f"    # {origin}" if origin else ""
    return f"{names.get(node, '%?')}: {node.type} = {node.op}({', '.join(words)}){tail}"


def _attr_text(value: object) -> str:
    if isinstance(value, Graph):
        return f"<{value.name}>"
    if isinstance(value, Type):
        return str(value)
    if isinstance(value, tuple):
        return "(" + ",".join(_attr_text(item) for item in value) + ")"
    if hasattr(value, "dtype") and hasattr(value, "shape") and value.shape != ():
        return f"<{value.dtype} array {value.shape}>"
    return str(value)
