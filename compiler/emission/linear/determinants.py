"""The kernels of `det` and `slogdet`: an elimination, of which the pivots are wanted alone.

    for row in range(lo, hi):          a matrix of the batch
        held <- a                      in memory of the worker
        for k ...:                     down, as in `systems.py`; each pivot goes into the result

A pivot of 0 is 0 in the result; all below it are 0 too, and nothing is taken from them.
"""

from __future__ import annotations

from ....runtime.program import Target
from ...graph import Node
from ..nest import Places
from ..writer import Emitted
from .frame import Frame
from .matrices import whole
from .systems import eliminated

_PIVOTS = {
    "det": """\
total = total * select(i64(chosen) > i64(k), -pivot, pivot)
""",
    "slogdet": """\
signs = signs * sign(select(i64(chosen) > i64(k), -pivot, pivot))
total = total + log(absolute(pivot))
""",
}
"""What becomes of a pivot, the exchange of two rows with it."""

_ONE = "pivot = select(pivot == {kind}(0), {kind}(1), pivot)\n"


def emit_det(node: Node, buffers: Places, target: Target) -> Emitted:
    """The kernel of one node; its range are the matrices of the batch."""
    extent = node.inputs[0].shape[-1]
    frame = Frame(node, buffers, target)
    writer, signed = frame.writer, node.op == "slogdet"
    n, width = frame.integer(extent), frame.integer(whole(extent, target.lanes))
    frame.read(0, n, n, f"i * {width} + j")
    writer.line(f"signs = {frame.kind}(1)")
    writer.line(f"total = {frame.kind}({0 if signed else 1})")
    frame.text(eliminated(_PIVOTS[node.op] + _ONE), n=n, width=width)
    out = frame.result()
    if signed:
        writer.line(f"store_first({out}, row * 2, signs)")
    writer.line(f"store_first({out}, {'row * 2 + 1' if signed else 'row'}, total)")
    return frame.emitted(extent * whole(extent, target.lanes))
