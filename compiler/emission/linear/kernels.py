"""Which kernel a primitive of linear algebra has."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ....runtime.program import Target
from ...graph import Node
from ...scheduling.fusion import Group
from ..nest import Places
from ..writer import Emitted
from .cholesky import emit_cholesky
from .determinants import emit_det
from .reflections import emit_qr
from .rotations import emit_eigh, emit_svd
from .systems import emit_solve
from .triangular import emit_triangular

KERNELS: Mapping[str, Callable[[Node, Places, Target], Emitted]] = {
    "solve": emit_solve,
    "qr": emit_qr,
    "eigh": emit_eigh,
    "svd": emit_svd,
    "triangular_solve": emit_triangular,
    "cholesky": emit_cholesky,
    "det": emit_det,
    "slogdet": emit_det,
}


def emit_linear(group: Group, buffers: Places, target: Target) -> Emitted:
    """The kernel of one node."""
    (node,) = group.members
    return KERNELS[node.op](node, buffers, target)
