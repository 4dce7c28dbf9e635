"""share_padding: what a padding holds is read there, so that it need not lie in memory twice.

    %5 = pad(%4)                                    %5 = pad(%4)
    %6 = contract(%4, ..)                  ->       %6 = contract(slice(%5), ..)

A value that nothing but a padding reads is stored inside of it by the kernel that makes it
(`scheduling/joining.py`).  Products with windows read with any strides, so they take it from there,
and so does all that comes after the padding, which cannot share a kernel with the value itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..graph import Graph, Node
from ..graphs.depth import one_depth, operands_of
from ..graphs.loop_bodies import each_level
from ..graphs.rewrite import replace_inputs
from ..graphs.views import apply_view, base_of, resolve
from ..primitives.contraction import summed_labels
from ..primitives.known import is_known
from ..primitives.record import Builder, lookup


@each_level
def share_padding(graph: Graph) -> Graph:
    """The same graph, in which paddings serve those who read what they hold: Graph -> Graph."""
    order = graph.all_nodes()
    paddings = _paddings(graph, order)
    if not paddings:
        return graph
    bits = {padding: 1 << number for number, padding in enumerate(paddings.values())}
    after: dict[Node, int] = {}  # for each node, the paddings that it needs, a bit for each
    done: dict[Node, Node] = {}
    inside: dict[Node, Node] = {}  # values and views of them, as they lie in paddings
    for node in order:
        after[node] = bits.get(node, 0)
        for item in node.inputs:
            after[node] |= after[item]
        if node in done:
            continue
        inputs = []
        for item in node.inputs:
            padding = paddings.get(base_of(item))
            apart = padding is not None and (after[node] & bits[padding] or _is_apart(node))
            inputs.append(inside[item] if apart and item in inside else done[item])
        done[node] = replace_inputs(node, tuple(inputs))
        if node in paddings:
            padding = paddings[node]
            done[padding] = replace_inputs(padding, (done[node],))
            inside[node] = _shown(done[padding], node)
        elif lookup(node.op).kind == "view" and node.inputs[0] in inside:
            x = inside[node.inputs[0]]
            if apply_view(resolve(x), node) is not None:
                inside[node] = replace_inputs(node, (x,))
    return graph.rebuilt(done)


def _paddings(graph: Graph, order: Sequence[Node]) -> dict[Node, Node]:
    """For each computed value that is padded with a frame of zeros, its first padding."""
    found: dict[Node, Node] = {}
    roots = set(graph.roots)
    for node in order:
        if node.op == "pad" and all(step == 1 for step in node.attrs["inner"]):
            x = node.inputs[0]
            computed = lookup(x.op).kind in ("elementwise", "contraction", "reduction")
            if computed and not is_known(x) and x not in roots:
                found.setdefault(x, node)
    return found


def _is_apart(node: Node) -> bool:
    """Whether a node is a product with windows, which has a kernel of its own."""
    return node.op == "contract" and one_depth(operands_of(node), summed_labels(node)) is None


def _shown(padding: Node, x: Node) -> Node:
    """What a padding holds, as a view of it."""
    low = padding.attrs["low"]
    stop = tuple(start + extent for start, extent in zip(low, x.shape, strict=True))
    result: Node = Builder(x.origin).slice(padding, start=low, stop=stop, step=(1,) * x.type.rank)
    return result
