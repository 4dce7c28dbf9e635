"""checkpoint: a loop that keeps every K-th state becomes a loop of segments of K steps.

    loop(x, z0; steps=T, keep=(every, K))   ->   loop(x[:n*K] as (n, K), z0; steps=n, keep=carries)
                                                     body: loop(...; steps=K, keep=all)
                                                 loop(x[n*K:], ...; steps=T-n*K, keep=all)

The derivative of the outer loop keeps n states and runs its body once more to get those between,
K at a time (Chen et al., Training deep nets with sublinear memory cost, 2016): memory for T/K + K
states instead of T, for one more forward sweep.
"""

from __future__ import annotations

from ..graph import Graph, Node
from ..graphs.segments import in_segments


def checkpoint(graph: Graph) -> Graph:
    """The same graph without loops that keep "every" K-th state: Graph -> Graph."""
    return in_segments(graph, _every, lambda loop: "carries")


def _every(loop: Node) -> int | None:
    keep = loop.attrs["keep"]
    return keep[1] if isinstance(keep, tuple) else None
