"""The order of groups: one that can run, and that keeps few temporaries alive at once.

A walk from the outputs visits a network's weight gradients last, so that every activation and
every backward value would wait for them.  The other order tried here takes, of the groups that
could run, the one that frees the most bytes.  Named sizes count as `STANDS_FOR`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set

import numpy as np

from .fusion import Group
from .graph import Node
from .sizes import evaluate, names

STANDS_FOR = 128
"""Elements that a named size counts as where orders are compared."""


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
    sizes = {node: typical_bytes(node) for node in temporaries}
    reads = {group: [base for base in bases[group] if base in sizes] for group in groups}
    writes = {group: [node for node in group.members if node in sizes] for group in groups}
    plain = _given_order(groups, needs)
    thrifty = _freeing_order(groups, needs, reads, writes, sizes)
    one, other = (_most_alive(order, reads, writes, sizes) for order in (plain, thrifty))
    return tuple(thrifty if other < one else plain)


def _given_order(groups: Sequence[Group], needs: Mapping[Group, Set[Group]]) -> list[Group]:
    """As given, except that a group waits until all that it needs have run."""
    done: dict[Group, None] = {}
    waiting = dict.fromkeys(groups)
    while waiting:
        ready = next(group for group in waiting if needs[group] <= done.keys())
        done[ready] = None
        del waiting[ready]
    return list(done)


def _freeing_order(
    groups: Sequence[Group],
    needs: Mapping[Group, Set[Group]],
    reads: Mapping[Group, Sequence[Node]],
    writes: Mapping[Group, Sequence[Node]],
    sizes: Mapping[Node, int],
) -> list[Group]:
    """Of the groups that could run, the one after which the fewest bytes are alive."""
    missing = {group: len(needs[group]) for group in groups}
    after: dict[Group, list[Group]] = {group: [] for group in groups}
    readers: dict[Node, int] = {}
    for group in groups:
        for need in needs[group]:
            after[need].append(group)
        for base in reads[group]:
            readers[base] = readers.get(base, 0) + 1
    place = {group: number for number, group in enumerate(groups)}
    grown = {group: sum(sizes[node] for node in writes[group]) for group in groups}
    ready = [group for group in groups if not missing[group]]
    done: list[Group] = []
    while ready:

        def growth(group: Group) -> tuple[int, int]:
            freed = sum(sizes[base] for base in reads[group] if readers[base] == 1)
            return grown[group] - freed, place[group]

        chosen = min(ready, key=growth)
        ready.remove(chosen)
        done.append(chosen)
        for base in reads[chosen]:
            readers[base] -= 1
        for follower in after[chosen]:
            missing[follower] -= 1
            if not missing[follower]:
                ready.append(follower)
    return done


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


def typical_bytes(node: Node) -> int:
    """The bytes of a value, its named sizes taken as `STANDS_FOR`."""
    count = node.type.count
    item: int = np.dtype(node.dtype).itemsize
    return int(evaluate(count, dict.fromkeys(names(count), STANDS_FOR))) * item
