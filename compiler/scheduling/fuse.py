"""fuse: nodes are gathered into groups, each of which becomes one kernel.

    %4 = contract(%0, %1)                               gemm   [B,10]       %4 %5 %6
    %5 = add(%4, broadcast(%2))                   ->    loop   [B,10*]      %7 %8 %9
    %6 = maximum(%5, 0)                                 (an axis with * is reduced)
    %7 = reduce_max(%6, axes=(1)) ; ...

One walk, inputs first.  A node joins the latest group among those that make its inputs where it
can be computed point by point: an elementwise node over the domain, or over the kept axes after
a reduction; a reduction over the domain of a group that reduces the same axes or none yet; an
elementwise node after a matrix product, as its epilogue.  Groups over the same domain that a
node joins together become one.  A node never joins where that would make groups wait for each
other in a circle.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush
from typing import Any

from ..graph import Graph, Node, topological
from ..graphs.reductions import ONE_THREAD, SHORTEST_ROW
from ..graphs.views import View, base_of, resolve, squeeze
from ..primitives.attention import ATTENTION, FORWARD, kernel_of
from ..primitives.known import is_known
from ..primitives.linear.counts import LINEAR
from ..primitives.log_product import LOG_PRODUCTS
from ..primitives.record import lookup
from ..primitives.recurrence import loop_of
from ..primitives.scattering import SCATTERS
from ..sizes import product
from .fusion import NEEDS_MEMORY, Fusion, Group, GroupKind, Level, aligned

MOST_MEMBERS = 64
"""Members that a group may have: larger kernels take longer to build than they save."""

ALONE: dict[str, GroupKind] = {
    **dict.fromkeys(SCATTERS, "scatter"), "put": "put",
    "cumsum": "cumsum", "argsort": "argsort", "concatenate": "concatenate", "pad": "pad",
    "overlap_add": "overlap_add", "first_outside": "first_outside",
    **dict.fromkeys(LINEAR, "linear"),
    **dict.fromkeys(LOG_PRODUCTS, "log_product"),
}  # fmt: skip
"""Primitives that have a kernel of their own, and the kind of its group."""

PARTIAL_SUMS = ("block_sum", "stretch_sum")
"""Sums of independent parts, each of which a thread makes alone."""


def fuse(graph: Graph) -> Fusion:
    """The groups of a graph: Graph -> Fusion."""
    work = _Fusing()
    for node in topological(graph.roots):
        if is_computed(node):
            work.place(node)
    work.join_readers()
    groups = work.ordered()
    stored = set(graph.roots)
    for group in groups:
        for node in group.members:
            for index, item in enumerate(node.inputs):
                base = base_of(item)
                if base not in group.members or index in NEEDS_MEMORY.get(node.op, ()):
                    stored.add(base)
    return Fusion(graph, groups, frozenset(n for n in stored if is_computed(n)))


def by_rows(group: Group) -> bool:
    """Whether a group goes through its domain row by row, or along a line that it leaves."""
    last = len(group.domain) - 1
    return group.kind == "loop" and group.reduced in (((), (last,)) if last > 0 else ((),))


def whole_bases(group: Group) -> list[Node]:
    """What a group reads from memory over its whole domain, element by element."""
    found: dict[Node, None] = {}
    for node in group.members:
        for index, item in enumerate(node.inputs):
            base = base_of(item)
            if (
                base not in group.members
                and index not in NEEDS_MEMORY.get(node.op, ())
                and not is_known(base)
                and squeeze(item.shape) == group.domain
                and resolve(item).is_identity()
            ):
                found[base] = None
    return list(found)


def keeps_pace(group: Group) -> bool:
    """Whether elementwise work is as fast in a group's rows as along one line of all elements."""
    if len(group.domain) == len(group.reduced):
        count = product(group.domain)
        return isinstance(count, int) and count <= ONE_THREAD
    last = group.domain[-1]
    return by_rows(group) and (
        len(group.domain) == 1 or (isinstance(last, int) and last >= SHORTEST_ROW)
    )


def has_columns(group: Group) -> bool:
    """Whether a group makes column sums, for which its domain must have rows."""
    return "column" in group.members.values()


def is_computed(node: Node) -> bool:
    """Whether a kernel computes this node: it is no view, no input and nothing known before."""
    if node.op == "random_bits":
        return True
    return lookup(node.op).kind not in ("view", "source") and not is_known(node)


class _Fusing:
    """The groups so far, and for each the groups that must run before it, as a bit mask.

    `direct` are the numbers of those whose values it reads, `followed` has a bit for each group
    that some group runs after, `alive` are the groups with members, `into` says which group has
    taken another one in, and `order` numbers the nodes.
    """

    def __init__(self) -> None:
        self.groups: list[Group] = []
        self.before: list[int] = []
        self.direct: list[set[int]] = []
        self.followed = 0
        self.alive: set[int] = set()
        self.into: dict[int, int] = {}
        self.order: dict[Node, int] = {}
        self.number: dict[Group, int] = {}
        self.of: dict[Node, Group] = {}
        self.together: dict[Any, Group] = {}

    def place(self, node: Node) -> None:
        views = [resolve(item) for item in node.inputs]
        sources = list(dict.fromkeys(self.of[v.base] for v in views if v.base in self.of))
        kind = lookup(node.op).kind
        if node.op == "contract":
            self.start(Group("gemm", squeeze(node.shape)), node, sources)
        elif node.op == "loop":
            self.place_result(node, loop_of(node), "recurrence", sources)
        elif node.op in ATTENTION:
            kind_of_group: GroupKind = "attention" if node.op in FORWARD else "attention_back"
            self.place_result(node, kernel_of(node), kind_of_group, sources)
        elif node.op in ALONE:
            self.start(Group(ALONE[node.op], squeeze(node.shape)), node, sources)
        elif node.op in PARTIAL_SUMS:
            self.place_partial_sum(node, views[0], sources)
        elif kind == "reduction":
            self.place_reduction(node, views[0], sources)
        else:
            self.place_elementwise(node, views, sources)

    def place_result(self, node: Node, key: Any, kind: GroupKind, sources: list[Group]) -> None:
        """All results of a loop, or of an attention, are one group."""
        group = self.together.get(key)
        if group is not None:
            self.join(group, node, "full", sources)
            return
        body = fuse(node.attrs["body"]) if kind == "recurrence" else None
        self.together[key] = group = Group(kind, (), body=body)
        self.start(group, node, sources)

    def start(self, group: Group, node: Node, sources: list[Group]) -> None:
        self.number[group] = len(self.groups)
        self.alive.add(len(self.groups))
        self.groups.append(group)
        self.before.append(0)
        self.direct.append(set())
        self.join(group, node, "full", sources)

    def join(self, group: Group, node: Node, level: Level, sources: list[Group]) -> None:
        group.members[node] = level
        self.of[node] = group
        self.order[node] = len(self.order)
        for source in sources:
            if source is not group:
                self.follow(group, source)

    def follow(self, group: Group, source: Group) -> None:
        """Note that `group` runs after `source`, and so does all that runs after `group`."""
        here, there = self.number[group], self.number[source]
        self.direct[here].add(there)
        more = self.before[there] | 1 << there
        if self.before[here] | more == self.before[here]:
            return
        self.followed |= more
        if not self.followed >> here & 1:
            self.before[here] |= more
            return
        for index in self.alive:
            if index == here or self.before[index] >> here & 1:
                self.before[index] |= more

    def runs_before(self, first: Group, second: Group) -> bool:
        return bool(self.before[self.number[second]] >> self.number[first] & 1)

    def can_join(self, group: Group, sources: list[Group]) -> bool:
        return len(group.members) < MOST_MEMBERS and not any(
            self.runs_before(group, source) for source in sources if source is not group
        )

    def place_partial_sum(self, node: Node, view: View, sources: list[Group]) -> None:
        """Sums of blocks of rows, or of stretches of a line, join what goes through the same."""
        group = self.of.get(view.base)
        if (
            group is not None
            and group.kind == "loop"
            and group.members[view.base] == "full"
            and aligned(view, group, "full")
            and by_rows(group)
            and self.can_join(group, sources)
        ):
            self.join(group, node, "column", sources)
            return
        self.start(Group("loop", squeeze(view.shape)), node, sources)
        self.of[node].members[node] = "column"

    def place_reduction(self, node: Node, view: View, sources: list[Group]) -> None:
        domain = squeeze(view.shape)
        real = [axis for axis, extent in enumerate(view.shape) if extent != 1]
        reduced = tuple(real.index(axis) for axis in node.attrs["axes"] if axis in real)
        group = self.of.get(view.base)
        if (
            group is not None
            and group.kind == "loop"
            and group.members[view.base] == "full"
            and aligned(view, group, "full")
            and group.reduced in ((), reduced)
            and (not has_columns(group) or (len(domain) > 1 and reduced == (len(domain) - 1,)))
            and self.can_join(group, sources)
        ):
            group.reduced = reduced
            self.join(group, node, "kept", sources)
            return
        self.start(Group("loop", domain, reduced), node, sources)
        self.of[node].members[node] = "kept"

    def place_elementwise(self, node: Node, views: list[View], sources: list[Group]) -> None:
        shape = squeeze(node.shape)
        # Without an aligned member among the inputs there is nothing to gain by joining.
        for group in sorted(sources, key=lambda g: -self.number[g]):
            level = self.level_in(group, node, views)
            if level is None or not self.can_join(group, sources):
                continue
            if shape == () and self.would_wait(group, sources):
                continue
            self.join(group, node, level, sources)
            if level == "full":
                self.absorb(group, [g for g in sources if g is not group])
            return
        self.start(Group("loop", shape), node, sources)

    def would_wait(self, group: Group, sources: list[Group]) -> bool:
        """Whether a scalar's place in a group with more work makes all of that wait for a source.

        A sum of many costs would then be made one after another: the scalars get a group instead.
        """
        return group.domain != () and any(
            source is not group and not self.runs_before(source, group) for source in sources
        )

    def level_in(self, group: Group, node: Node, views: list[View]) -> Level | None:
        """At which level a node can stand in a group, or None."""
        if group.kind not in ("loop", "gemm"):
            return None
        shape = squeeze(node.shape)
        levels: tuple[Level, ...] = ("full", "kept") if group.reduced else ("full",)
        for level in levels:
            if shape == (group.domain if level == "full" else group.kept_shape) and all(
                self.fits(group, node, level, index, view) for index, view in enumerate(views)
            ):
                return level
        return None

    def fits(self, group: Group, node: Node, level: Level, index: int, view: View) -> bool:
        if self.of.get(view.base) is not group:
            return True
        if index in NEEDS_MEMORY.get(node.op, ()):
            return False
        source = group.members[view.base]
        if source == "column":
            return False
        if level == "full":
            return aligned(view, group, source)
        return source == "kept" and view.is_identity()

    def absorb(self, group: Group, others: list[Group]) -> None:
        """Take groups over the same domain into this one, where no third group stands between."""
        for other in others:
            pure = other.kind == "loop" and other.reduced in ((), group.reduced)
            if (
                pure
                and (by_rows(group) or not has_columns(other))
                and (by_rows(other) or not has_columns(group))
                and (group.kind == "loop" or not other.reduced)
                and other.domain == group.domain
                and len(group.members) + len(other.members) <= MOST_MEMBERS
                and self.consistent(group, other)
                and not self.between(other, group)
                and not self.between(group, other)
            ):
                self.merge(group, other)

    def join_readers(self) -> None:
        """Join loops over one domain that read the same array and do not need each other.

        What two kernels read is then read once: a parameter for its cost and for its update.
        """
        readers: dict[Node, list[Group]] = {}
        for group in self.groups:
            if group.kind != "loop":
                continue
            for base in whole_bases(group):
                readers.setdefault(base, []).append(group)
        for groups in readers.values():
            for place, first in enumerate(groups):
                for second in groups[place + 1 :]:
                    into, other = (second, first) if second.reduced else (first, second)
                    if self.can_read_together(into, other):
                        into.reduced = into.reduced or other.reduced
                        self.merge(into, other)

    def can_read_together(self, group: Group, other: Group) -> bool:
        """Whether two loops, the first with the reductions, lose nothing by being one."""
        return (
            group is not other
            and bool(group.members and other.members)
            and group.domain == other.domain
            and (other.reduced == group.reduced != () or keeps_pace(group))
            and other.reduced in ((), group.reduced)
            and (by_rows(group) or not has_columns(other))
            and (by_rows(other) or not has_columns(group))
            and len(group.members) + len(other.members) <= MOST_MEMBERS
            and not self.runs_before(group, other)
            and not self.runs_before(other, group)
        )

    def consistent(self, group: Group, other: Group) -> bool:
        """Whether each member of two groups can read every other where it stands."""
        union = Group(group.kind, group.domain, group.reduced, {**group.members, **other.members})
        for node, level in union.members.items():
            for index, item in enumerate(node.inputs):
                base = base_of(item)
                if base not in union.members:
                    continue
                crossing = (node in group.members) != (base in group.members)
                if not crossing:
                    continue
                view, source = resolve(item), union.members[base]
                if "column" in (source, level):
                    return False
                if index in NEEDS_MEMORY.get(node.op, ()):
                    return False
                if lookup(node.op).kind == "reduction":
                    return False
                if level == "kept" and not (source == "kept" and view.is_identity()):
                    return False
                if level == "full" and not aligned(view, union, source):
                    return False
        return True

    def between(self, first: Group, second: Group) -> bool:
        """Whether some third group runs after `first` and before `second`."""
        start, end = self.number[first], self.number[second]
        if not self.before[end] >> start & 1:
            return False
        last = {self.live(index) for index in self.direct[end]}
        return any(self.before[index] >> start & 1 for index in last if index not in (start, end))

    def live(self, index: int) -> int:
        """The number of the group that has the members that this one had."""
        while index in self.into:
            index = self.into[index]
        return index

    def merge(self, group: Group, other: Group) -> None:
        members = {**group.members, **other.members}
        order = sorted(members, key=self.order.__getitem__)
        group.members = {node: members[node] for node in order}
        for node in other.members:
            self.of[node] = group
        here, there = self.number[group], self.number[other]
        self.direct[here] |= self.direct[there]
        self.into[there] = here
        if self.followed >> there & 1:
            self.followed |= 1 << here
        more = (self.before[there] | self.before[here]) & ~(1 << here) & ~(1 << there)
        self.alive.discard(there)
        both = 1 << here | 1 << there
        for index in self.alive:
            if self.before[index] & both:
                self.before[index] |= more | 1 << here
        self.before[here] = more
        other.members = {}

    def ordered(self) -> tuple[Group, ...]:
        """Groups that have members, each after those that it reads from."""
        live = [group for group in self.groups if group.members]
        return tuple(_topological(live, self.of))


def _topological(groups: list[Group], of: dict[Node, Group]) -> Iterator[Group]:
    needs = {
        group: {
            of[base]
            for node in group.members
            for base in map(base_of, node.inputs)
            if base in of and of[base] is not group
        }
        for group in groups
    }
    # Of those that can run, always the first of the given order.
    place = {group: number for number, group in enumerate(groups)}
    missing = {group: len(found) for group, found in needs.items()}
    after: dict[Group, list[Group]] = {group: [] for group in groups}
    for group, found in needs.items():
        for need in found:
            after[need].append(group)
    ready = [place[group] for group in groups if not missing[group]]
    while ready:
        group = groups[heappop(ready)]
        yield group
        for follower in after[group]:
            missing[follower] -= 1
            if not missing[follower]:
                heappush(ready, place[follower])
