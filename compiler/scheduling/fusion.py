"""What `fuse` finds: groups of nodes that one kernel computes, and where each value stands.

A group runs over a domain: a tuple of extents, each axis kept or reduced.  A member is "full"
(one value for each point of the domain) or "kept" (one for each point of the kept axes, after
the reductions).  A "column" member is the sum of a full one over blocks of rows, which only other
groups read.  Axes of one element do not count.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ..graph import Graph, Node
from ..graphs.views import View, base_of, contiguous
from ..primitives.record import lookup
from ..sizes import Dim

GroupKind = Literal[
    "loop", "gemm", "linear", "scatter", "put", "cumsum", "argsort", "concatenate", "pad",
    "overlap_add", "first_outside", "recurrence", "attention", "attention_back", "log_product",
]  # fmt: skip
Level = Literal["full", "kept", "column"]

NEEDS_MEMORY = {"gather": (0, 1), "random_bits": (0,), "contract": (0, 1)}
"""Inputs that are read from memory and never from the same group."""


@dataclass(eq=False)
class Group:
    """Nodes computed by one kernel, in an order in which each comes after its inputs.

    The results of one loop are a "recurrence", computed by the kernels of its `body`, again and
    again.  So are those of one attention, and those of one way back through it.
    """

    kind: GroupKind
    domain: tuple[Dim, ...]
    reduced: tuple[int, ...] = ()
    members: dict[Node, Level] = field(default_factory=dict)
    body: Fusion | None = None

    @property
    def kept(self) -> tuple[int, ...]:
        """The axes that are not reduced."""
        return tuple(axis for axis in range(len(self.domain)) if axis not in self.reduced)

    @property
    def kept_shape(self) -> tuple[Dim, ...]:
        """The extents of the kept axes."""
        return tuple(self.domain[axis] for axis in self.kept)

    def axes(self, level: Level) -> tuple[int, ...]:
        """The axes that a value of this level varies along."""
        return tuple(range(len(self.domain))) if level == "full" else self.kept


@dataclass(frozen=True)
class Fusion:
    """A graph, its groups in an order in which they can run, and the members that are stored."""

    graph: Graph
    groups: tuple[Group, ...]
    stored: frozenset[Node]

    def __str__(self) -> str:
        """One line a group, nodes numbered as in the graph's text; reduced axes have a star.

        loop [B,10*]  %7 %8:kept %9  ->  %9
        """
        inputs = dict.fromkeys(self.graph.inputs)
        body = [*inputs, *(node for node in self.graph.nodes() if node not in inputs)]
        names = {node: f"%{number}" for number, node in enumerate(body)}
        lines = []
        for group in self.groups:
            extents = enumerate(group.domain)
            domain = ",".join(f"{n}{'*' if a in group.reduced else ''}" for a, n in extents)
            levels = group.members.items()
            members = [names[n] + ("" if level == "full" else f":{level}") for n, level in levels]
            stored = [names[node] for node in group.members if node in self.stored]
            lines.append(f"{group.kind} [{domain}]  {' '.join(members)}  ->  {' '.join(stored)}")
        return "\n".join(lines) + "\n"


def aligned(view: View, group: Group, level: Level) -> bool:
    """Whether a full-size view of a member of `level` is, point for point, that member."""
    plain = view.squeezed()
    if plain.offset != 0 or plain.shape != group.domain:
        return False
    member_axes = group.axes(level)
    inner = contiguous([group.domain[axis] for axis in member_axes])
    wanted: list[Dim] = [0] * len(group.domain)
    for axis, stride in zip(member_axes, inner, strict=True):
        wanted[axis] = stride
    return plain.strides == tuple(wanted)


def ready_phases(group: Group) -> dict[Node, int]:
    """The phase before whose loop each member is known, counting the reductions it waits for."""
    ready: dict[Node, int] = {}
    for node in group.members:
        bases = map(base_of, node.inputs)
        before = [ready[base] for base in bases if base in group.members]
        after = 1 if lookup(node.op).kind == "reduction" else 0
        ready[node] = max(before, default=0) + after
    return ready
