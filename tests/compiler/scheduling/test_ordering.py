"""ordering: groups run after what they need, and in the order that keeps less alive."""

from diagrad.compiler.graph import Node
from diagrad.compiler.scheduling.fusion import Group
from diagrad.compiler.scheduling.in_place import bases_of
from diagrad.compiler.scheduling.ordering import order_groups

from ..building import b, given

X = given("x", "B", 8)


def groups_of(*nodes: Node) -> list[Group]:
    return [Group("loop", node.shape, members={node: "full"}) for node in nodes]


def ordered(groups: list[Group]) -> list[str]:
    """The operations in the order of their groups; all but the last are temporaries."""
    of = {node: group for group in groups for node in group.members}
    reads = {group: bases_of(group) for group in groups}
    needs = {group: {of[base] for base in reads[group] if base in of} for group in groups}
    order = order_groups(groups, needs, reads, list(of)[:-1])
    assert sorted(map(id, order)) == sorted(map(id, groups))
    for place, group in enumerate(order):
        assert needs[group] <= set(order[:place])
    return [node.op for group in order for node in group.members]


def test_what_frees_memory_runs_first() -> None:
    """Given: both large values, then a small sum of each.  Better: each with its sum."""
    one, other = b.exp(X), b.tanh(X)
    small, smaller = b.reduce_sum(one, axes=(0, 1)), b.reduce_max(other, axes=(0, 1))
    groups = groups_of(one, other, small, smaller, b.add(small, smaller))
    assert ordered(groups) == ["exp", "reduce_sum", "tanh", "reduce_max", "add"]


def test_the_given_order_stays_where_nothing_is_gained() -> None:
    one, other = b.exp(X), b.tanh(X)
    assert ordered(groups_of(one, other, b.add(one, other))) == ["exp", "tanh", "add"]


def test_a_group_waits_for_what_it_needs() -> None:
    one = b.exp(X)
    two = b.tanh(one)
    assert ordered(groups_of(two, one, b.add(one, two))) == ["exp", "tanh", "add"]


def test_nothing_to_order() -> None:
    assert order_groups([], {}, {}, []) == ()
