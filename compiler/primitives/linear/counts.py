"""The primitives of linear algebra, and what each of them takes.

All are functions of matrices, the last two axes of their operands; the axes before are those of a
batch, the same in all operands and in the result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ...graph import Node
from ...sizes import Dim
from .cholesky import cholesky_flops, cholesky_work
from .determinants import det_flops, det_work
from .orthogonal import jacobi_flops, jacobi_work, qr_flops, qr_work
from .systems import solve_flops, solve_work
from .triangular import triangular_flops, triangular_work

Count = Callable[[Node], Dim]

LINEAR: Mapping[str, tuple[Count, Count]] = {
    "solve": (solve_flops, solve_work),
    "qr": (qr_flops, qr_work),
    "eigh": (jacobi_flops, jacobi_work),
    "svd": (jacobi_flops, jacobi_work),
    "triangular_solve": (triangular_flops, triangular_work),
    "cholesky": (cholesky_flops, cholesky_work),
    "det": (det_flops, det_work),
    "slogdet": (det_flops, det_work),
}
"""For each: its floating-point operations, and an estimate in operations on one element."""


def linear_flops(node: Node) -> Dim:
    """The floating-point operations of a node."""
    return LINEAR[node.op][0](node)


def linear_work(node: Node) -> Dim:
    """What a node takes, in operations on one element."""
    return LINEAR[node.op][1](node)
