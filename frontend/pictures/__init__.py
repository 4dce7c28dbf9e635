"""Pictures of diagrams and graphs: ``Picture``, and ``write`` that draws it.

``stages`` makes pictures of a diagram; all that draws them knows pictures alone, and no compiler.
"""

from ..errors import LayoutError
from .export import to_png, to_svg, write
from .notebook import mimebundle
from .picture import Cluster, Edge, Node, Picture

__all__ = [
    "Cluster",
    "Edge",
    "LayoutError",
    "Node",
    "Picture",
    "mimebundle",
    "to_png",
    "to_svg",
    "write",
]
