"""The order of groups: one that can run, and that keeps few temporaries alive at once.

A walk from the outputs visits a network's weight gradients last, so that every activation and
every backward value would wait for them.  The other order tried here takes, of the groups that
could run, the one that frees the most bytes.  Named sizes count as `sizes.NOMINAL`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from heapq import heappop, heappush

from ..graph import Node
from .fusion import Group


def order_groups(
    groups: Sequence[Group],
    needs: Mapping[Group, Set[Group]],
    bases: Mapping[Group, Sequence[Node]],
    temporaries: Iterable[Node],
) -> tuple[Group, ...]:
    """The groups, each after all that it needs, in the better of two orders.

    `bases` says what each group reads from memory.
    The given order is kept unless the other one needs less memory at its worst moment.
    """
    sizes = {node: node.type.nominal_bytes for node in temporaries}
    reads = {group: [base for base in bases[group] if base in sizes] for group in groups}
    writes = {group: [node for node in group.members if node in sizes] for group in groups}
    plain = _given_order(groups, needs)
    thrifty = _freeing_order(groups, needs, reads, writes, sizes)
    one, other = (_most_alive(order, reads, writes, sizes) for order in (plain, thrifty))
    return tuple(thrifty if other < one else plain)


def _given_order(groups: Sequence[Group], needs: Mapping[Group, Set[Group]]) -> list[Group]:
    """As given, except that a group waits until all that it needs have run."""
    place = {group: number for number, group in enumerate(groups)}
    missing, after = _following(groups, needs)
    ready = [place[group] for group in groups if not missing[group]]
    done: list[Group] = []
    while ready:
        done.append(groups[heappop(ready)])
        for follower in after[done[-1]]:
            missing[follower] -= 1
            if not missing[follower]:
                heappush(ready, place[follower])
    return done


def _freeing_order(
    groups: Sequence[Group],
    needs: Mapping[Group, Set[Group]],
    reads: Mapping[Group, Sequence[Node]],
    writes: Mapping[Group, Sequence[Node]],
    sizes: Mapping[Node, int],
) -> list[Group]:
    """Of the groups that could run, the one after which the fewest bytes are alive."""
    missing, after = _following(groups, needs)
    readers: dict[Node, dict[Group, None]] = {}
    for group in groups:
        for base in reads[group]:
            readers.setdefault(base, {})[group] = None
    place = {group: number for number, group in enumerate(groups)}
    grown = {group: sum(sizes[node] for node in writes[group]) for group in groups}
    ready: list[tuple[int, int]] = []
    done: dict[Group, None] = {}

    def enter(group: Group) -> None:
        """What a group frees only grows while it waits: of its entries, the last comes first."""
        freed = sum(sizes[base] for base in reads[group] if len(readers[base]) == 1)
        heappush(ready, (grown[group] - freed, place[group]))

    for group in groups:
        if not missing[group]:
            enter(group)
    while ready:
        chosen = groups[heappop(ready)[1]]
        if chosen in done:
            continue
        done[chosen] = None
        for base in reads[chosen]:
            del readers[base][chosen]
            if len(readers[base]) == 1:
                (last,) = readers[base]
                if not missing[last]:
                    enter(last)
        for follower in after[chosen]:
            missing[follower] -= 1
            if not missing[follower]:
                enter(follower)
    return list(done)


def _following(
    groups: Sequence[Group], needs: Mapping[Group, Set[Group]]
) -> tuple[dict[Group, int], dict[Group, list[Group]]]:
    """How many groups each one waits for, and which wait for it."""
    after: dict[Group, list[Group]] = {group: [] for group in groups}
    for group in groups:
        for need in needs[group]:
            after[need].append(group)
    return {group: len(needs[group]) for group in groups}, after


def _most_alive(
    order: Sequence[Group],
    reads: Mapping[Group, Sequence[Node]],
    writes: Mapping[Group, Sequence[Node]],
    sizes: Mapping[Node, int],
) -> int:
    """The most bytes that are alive at once."""
    last = {node: at for at, group in enumerate(order) for node in (*writes[group], *reads[group])}
    now = most = 0
    for at, group in enumerate(order):
        now += sum(sizes[node] for node in writes[group])
        most = max(most, now)
        touched = dict.fromkeys((*writes[group], *reads[group]))
        now -= sum(sizes[node] for node in touched if last[node] == at)
    return most
