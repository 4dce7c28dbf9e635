"""inline: every call of a block is replaced by the block's body.

    %2 = call(%0, %1, body=<net>, output=0)        ->   %2 = contract(%0, %1, ...)   # net
                                                        %3 = maximum(%2, ...)        # net

Bodies nest, and a body's node gets its place below the caller's path.  Blocks called inside the
body of a loop become part of that body.
"""

from __future__ import annotations

from ..graph import Graph, Node
from ..graphs.loop_bodies import inner_graphs, with_body
from ..graphs.rewrite import rewrite, substitute
from ..unwinding import Steps, unwound


def inline(graph: Graph) -> Graph:
    """The same graph without `call`: Graph -> Graph."""
    return unwound(_inlined(graph))


def _inlined(graph: Graph) -> Steps[Graph]:
    bodies: dict[int, Graph] = {}
    for inner in inner_graphs(graph, calls=True):
        bodies[id(inner)] = yield _inlined(inner)
    expanded: dict[tuple[int, tuple[Node, ...]], dict[str, Node]] = {}

    def without_call(node: Node, _: Node) -> Node:
        if node.op != "call":
            return with_body(node, bodies)
        body: Graph = node.attrs["body"]
        key = (id(body), node.inputs)
        if key not in expanded:
            flat = bodies[id(body)]
            done = substitute(flat.roots, dict(zip(body.inputs, node.inputs, strict=True)))
            expanded[key] = {name: done[output] for name, output in flat.outputs}
        return expanded[key][node.attrs["output"]]

    return rewrite(graph, without_call)
