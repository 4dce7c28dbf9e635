"""A parameter of several blocks in a picture: each block has its part, as if it were its own.

Experts hold their parameters in one array, so that they are one product.  That is how they lie, and
not what the drawing is about.
"""

from __future__ import annotations

from dataclasses import replace

from ...drawing.drawn import common_path
from ...drawing.drawn_nodes import DrawnBlock, DrawnGraph
from ...variables.kinds import BlockParts


def with_block_parts(graph: DrawnGraph) -> DrawnGraph:
    """A drawn graph in which the parts of such parameters are parameters of the blocks.

    The graph that is given stays as it is, and is returned where there are none.
    """
    cuts = [n for n, item in graph.functions.items() if isinstance(item.application, BlockParts)]
    if not cuts:
        return graph
    graph = graph.copy()
    for cut in cuts:
        (whole,) = graph.predecessors(cut)
        held = graph.variable(whole)
        if held.kind != "parameter":
            continue
        for part in graph.successors(cut):
            readers = [graph.function(name) for name in graph.successors(part)]
            paths = [reader.path for reader in readers if not isinstance(reader, DrawnBlock)]
            item = graph.variable(part)
            graph.nodes[part] = replace(
                item, kind="parameter", variable=held.variable, path=common_path(paths)
            )
        graph.remove([cut])
        if not graph.successors(whole):
            graph.remove([whole])
    return graph
