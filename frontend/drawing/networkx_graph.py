"""What was drawn, as a NetworkX graph: for users who want to look into it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .drawn_nodes import (
    ArgumentArrow,
    Arrow,
    DrawnBlock,
    DrawnCost,
    DrawnDelay,
    DrawnGraph,
    DrawnNode,
    DrawnVariable,
)

if TYPE_CHECKING:
    import networkx as nx


def networkx_graph(drawn: DrawnGraph) -> nx.MultiDiGraph[Any]:
    """The variables and functions of a diagram, joined by arrows.

    Nodes are strings: a parameter's path, a block's path, an output's name, and a made-up one for
    what has no name.  Attributes of a variable's node:

        kind      "observed", "computed", "parameter", "state" or "constant"
        name      the user's name for it, or None
        output    the name under which the diagram returns it, or None
        shape     integers and named sizes
        dtype     "float32" and so on
        variable  the variable itself

    of a function's node:

        kind         "function", "cost" for a cost function, or "delay"
        name         the block's path, or the operation's name
        label        a short name: the last part of the path
        opens        whether it is a block, whose inside is in the graph too
        application  the application itself

    and of both:

        path   the nodes of the blocks around it, from the outermost
        loops  the loops it is in, as the graph's attribute `loops` calls them
        where  the user's file:line

    An edge into a function has `argument` (its place among the arguments, its key too) and
    `captured` (whether a block reads it without being given it, as its parameters, or what they
    are bound to); an edge out of a function has `result`.  The edge from what closes a delay has
    `delayed`, True.  What a step makes of a state is a variable's node of kind "state" too, "next
    NAME", behind a function "update".  The graph's attributes are `name`, `cost` (a node, or None)
    and, where there are loops, `loops`: for each its `name`, `steps`, `reverse`, `keep` (what its
    derivative stores) and `where`.
    """
    import networkx as nx

    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph(name=drawn.name, cost=drawn.cost)
    for node, item in drawn.nodes.items():
        graph.add_node(node, **_node_attributes(item))
    for (source, target, place), arrow in drawn.arrows.items():
        graph.add_edge(source, target, key=place, **_edge_attributes(arrow))
    if drawn.loops:
        facts = ("name", "steps", "reverse", "keep", "where")
        graph.graph["loops"] = {
            name: {fact: getattr(loop, fact) for fact in facts}
            for name, loop in drawn.loops.items()
        }
    return graph


def _node_attributes(item: DrawnNode) -> dict[str, Any]:
    shared = {"name": item.name, "path": item.path, "loops": item.loops, "where": item.where}
    if isinstance(item, DrawnVariable):
        own = ("kind", "output", "shape", "dtype", "variable")
        return {**shared, **{fact: getattr(item, fact) for fact in own}}
    kind = "delay" if isinstance(item, DrawnDelay) else "function"
    return {
        **shared,
        "kind": "cost" if isinstance(item, DrawnCost) else kind,
        "label": item.label,
        "opens": isinstance(item, DrawnBlock),
        "application": item.application,
    }


def _edge_attributes(arrow: Arrow) -> dict[str, Any]:
    if not isinstance(arrow, ArgumentArrow):
        return {"result": arrow.place}
    delayed = {"delayed": True} if arrow.delayed else {}
    return {"argument": arrow.place, "captured": arrow.captured, **delayed}
