"""Products of a loop's body taken apart, so that a part of each can leave the loop.

    contract(concatenate(x, h), w)      ->      contract(x, w[:4]) + contract(h, w[4:])
    slice(contract(d, w), 0, 4)         ->      contract(d, w[:4])

The first is how a gate is often drawn, as a weight times input and state together; but the part
with the input can be computed for all steps at once.  The second is its derivative: what flows
back to the state is needed by the step before, what flows back to the input is not.
"""

from __future__ import annotations

from itertools import groupby

from ...graph import Graph, Node
from ...graphs.rewrite import rewrite
from ...primitives.contraction import summed_labels
from ...primitives.record import Builder
from ...sizes import Dim
from .hoisting import Plan, When, size_of


def separate(plan: Plan) -> Graph:
    """The body of a loop with products taken apart; itself where there are none to take."""
    if plan.carries_only:
        return plan.body
    apart = _sliced_products(plan)

    def taken_apart(node: Node, old: Node) -> Node:
        if node.op == "contract" and (part := _joined_operand(plan, old)) is not None:
            return _sum_of_products(plan, old, node, part)
        return _product_of_slice(node, *apart[old]) if old in apart else node

    return rewrite(plan.body, taken_apart, order=plan.order)


def _joined_operand(plan: Plan, node: Node) -> int | None:
    """Which operand of a bound product is bound in a part of what it sums over only, or None."""
    if plan.when[node] != When.BOUND:
        return None
    for place, (item, other) in enumerate((node.inputs, node.inputs[::-1])):
        if item.op != "concatenate" or plan.when[other] == When.BOUND:
            continue
        label = node.attrs["ab"[place]][item.attrs["axis"]]
        bound = {plan.when[part] == When.BOUND for part in item.inputs}
        if label in summed_labels(node) and len(bound) == 2:
            return place
    return None


def _sum_of_products(plan: Plan, node: Node, made: Node, place: int) -> Node:
    b = Builder(node.origin)
    joined, other = made.inputs[place], made.inputs[1 - place]
    labels, others = node.attrs["ab"[place]], node.attrs["ab"[1 - place]]
    axis = joined.attrs["axis"]
    along = others.index(labels[axis])
    parts = zip(node.inputs[place].inputs, joined.inputs, strict=True)
    total: Node | None = None
    begin: Dim = 0
    for _, run in groupby(parts, lambda pair: plan.when[pair[0]]):
        nodes = [part for _, part in run]
        x = b.concatenate(*nodes, axis=axis) if len(nodes) > 1 else nodes[0]
        end = begin + x.shape[axis]
        operands = x, b.slice_axis(other, along, begin, end)
        product = b.contract(*(operands if place == 0 else operands[::-1]), **node.attrs)
        total = product if total is None else b.add(total, product)
        begin = end
    assert total is not None
    return total


def _sliced_products(plan: Plan) -> dict[Node, tuple[int, int]]:
    """Slices of early products: where others are late, or where they leave a part unused."""
    users: dict[Node, list[Node]] = {}
    for node in plan.order:
        for item in dict.fromkeys(node.inputs):
            users.setdefault(item, []).append(node)
    roots = set(plan.body.roots)
    found: dict[Node, tuple[int, int]] = {}
    for node in plan.order:
        if node.op != "contract" or node not in plan.early or node in roots:
            continue
        slices = users.get(node, [])
        late = [plan.is_late(item) for item in slices]
        mixed = (any(late) and not all(late)) or size_of(slices) < size_of([node])
        cuts = {item: cut for item in slices if (cut := _cut(plan, item)) is not None}
        if mixed and len(cuts) == len(slices):
            found |= cuts
    return found


def _cut(plan: Plan, node: Node) -> tuple[int, int] | None:
    """The operand of a sliced product, and its axis, that can be sliced instead; or None."""
    product = node.inputs[0]
    if node.op != "slice":
        return None
    axes = [axis for axis, extent in enumerate(product.shape) if node.shape[axis] != extent]
    if len(axes) != 1 or node.attrs["step"][axes[0]] != 1:
        return None
    label = product.attrs["out"][axes[0]]
    holders = [place for place in range(2) if label in product.attrs["ab"[place]]]
    if len(holders) != 1 or plan.when[product.inputs[holders[0]]] == When.BOUND:
        return None
    return holders[0], product.attrs["ab"[holders[0]]].index(label)


def _product_of_slice(node: Node, place: int, axis: int) -> Node:
    """The product with a part of one operand, instead of the part of the product."""
    b, product = Builder(node.origin), node.inputs[0]
    (cut,) = (a for a, n in enumerate(product.shape) if node.shape[a] != n)
    begin, end = node.attrs["start"][cut], node.attrs["stop"][cut]
    operands = list(product.inputs)
    operands[place] = b.slice_axis(operands[place], axis, begin, end)
    found: Node = b.contract(*operands, **product.attrs)
    return found
