"""inline: every call of a block is replaced by the block's body.

    %2 = call(%0, %1, body=<net>, output=0)        ->   %2 = contract(%0, %1, ...)   # net
                                                        %3 = maximum(%2, ...)        # net

Bodies nest, and a body's node gets its place below the caller's path.  Blocks called inside the
body of a loop become part of that body.
"""

from __future__ import annotations

from ..graph import Graph, Node, topological
from ..graphs.loop_bodies import inner_graphs, replace_inputs, with_body
from ..unwinding import Steps, unwound


def inline(graph: Graph) -> Graph:
    """The same graph without `call`: Graph -> Graph."""
    return unwound(_inlined(graph))


def _inlined(graph: Graph) -> Steps[Graph]:
    bodies: dict[int, Graph] = {}
    for inner in inner_graphs(graph, calls=True):
        bodies[id(inner)] = yield _inlined(inner)
    done: dict[Node, Node] = {}
    expanded: dict[tuple[int, tuple[Node, ...]], dict[str, Node]] = {}
    for node in topological((*graph.inputs, *graph.roots)):
        inputs = tuple(done[item] for item in node.inputs)
        if node.op == "call":
            body: Graph = node.attrs["body"]
            key = (id(body), inputs)
            if key not in expanded:
                expanded[key] = _expand(body, bodies[id(body)], inputs)
            done[node] = expanded[key][node.attrs["output"]]
        else:
            done[node] = with_body(replace_inputs(node, inputs), bodies)
    return graph.rebuilt(done)


def _expand(body: Graph, flat: Graph, inputs: tuple[Node, ...]) -> dict[str, Node]:
    """The outputs of a body, of which `flat` is the same without `call`, on these inputs."""
    done: dict[Node, Node] = dict(zip(body.inputs, inputs, strict=True))
    for node in topological(flat.roots):
        if node not in done:
            done[node] = replace_inputs(node, tuple([done[item] for item in node.inputs]))
    return {name: done[node] for name, node in flat.outputs}
