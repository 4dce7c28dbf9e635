"""expand_convolutions: a convolution becomes a contraction over windows, which are views.

    conv(x, w)           ->  contract(windows(pad(x)), w)          summed over taps and channels
    conv_weight(x, g)    ->  contract(windows(pad(x)), g)          summed over images, positions
    conv_input(g, w)     ->  contract(windows(pad(g)), flip(w))    summed over taps and results

Nothing is copied by this but the padding: a contraction reads windows where they lie.  `beside`,
`input_gradient` and `taps` say how what has few results, a stride or many groups is done.
"""

from __future__ import annotations

from ...graph import Graph, Node
from ...graphs.loop_bodies import each_level
from ...graphs.rewrite import rewrite
from ...graphs.sinking import Sinking
from ...primitives.convolution import CONVOLUTIONS
from ...primitives.record import Builder
from .beside import forward_beside, neighbours, weight_beside
from .input_gradient import input_gradient
from .taps import product
from .windowing import grouped, labels_of, places_of, ungrouped, windowed, windows_of


@each_level
def expand_convolutions(graph: Graph) -> Graph:
    """The same graph without convolutions: Graph -> Graph."""
    sinking = Sinking()

    def expanded(node: Node, _: Node) -> Node:
        if node.op in CONVOLUTIONS:
            return sinking.noted(_expanded(node))
        return sinking.moved(node)

    return rewrite(graph, expanded)


def _expanded(node: Node) -> Node:
    b = Builder(node.origin)
    if 0 in node.shape:
        return b.fill(0, node.type)
    if node.op == "conv_input":
        return input_gradient(b, node)
    return _forward(b, node) if node.op == "conv" else _weight(b, node)


def _forward(b: Builder, node: Node) -> Node:
    x, w = node.inputs
    groups = node.attrs["groups"]
    count = neighbours(node)
    if count > 1:
        return forward_beside(b, node, count)
    seen = windowed(b, grouped(b, x, groups), windows_of(node, node, w))
    weights = grouped(b, w, groups)
    space = node.type.rank - 2
    labels, taps = labels_of(space, weights.type.rank), places_of(space)[1]
    found = product(b, seen, weights, labels["x"], labels["w"], labels["g"], taps)
    return ungrouped(b, found, node)


def _weight(b: Builder, node: Node) -> Node:
    x, g = node.inputs
    groups, space = node.attrs["groups"], node.type.rank - 2
    count = neighbours(node)
    if count > 1:
        return weight_beside(b, node, count)
    seen = windowed(b, grouped(b, x, groups), windows_of(node, g, node))
    above = grouped(b, g, groups)
    labels, taps = labels_of(space, above.type.rank), places_of(space)[1]
    found = product(b, seen, above, labels["x"], labels["g"], labels["w"], taps)
    return ungrouped(b, found, node)
