"""The table of all operations: every public function that computes, beside NumPy's definition."""

from .activation_rows import ACTIVATIONS
from .attention_rows import ATTENTIONS
from .axis_rows import INDICES, REDUCTIONS, ROWS, SUMS
from .conv_rows import CONVOLUTIONS
from .cost_rows import COSTS
from .elementwise_rows import ARITHMETIC, CASTS, COMPARISONS, FUNCTIONS
from .function_rows import COMPOSED, ROUNDINGS
from .indexing_rows import CHOICES, SHARED, SOURCES
from .integer_rows import DIVISIONS, INTEGERS
from .linear.linear_rows import LINEAR
from .linear.orthogonal_rows import ORTHOGONAL
from .moving_rows import MADE, PARTS, REPEATED
from .operation import Operation
from .order_rows import ORDERS
from .pool_rows import POOLS
from .product_rows import PRODUCTS
from .structure_rows import INDEXING, MOVES
from .tensor_rows import EXCLUSIVE, NORMS, RUNNING, TENSORS
from .window_rows import WINDOWS

TABLE: dict[str, list[Operation]] = {
    "arithmetic": ARITHMETIC,
    "divisions": DIVISIONS,
    "integers": INTEGERS,
    "comparisons": COMPARISONS,
    "casts": CASTS,
    "functions": FUNCTIONS,
    "activations": ACTIVATIONS,
    "composed": COMPOSED,
    "roundings": ROUNDINGS,
    "rows": ROWS,
    "reductions": REDUCTIONS,
    "indices": INDICES,
    "sums": SUMS,
    "orders": ORDERS,
    "moves": MOVES,
    "repeated": REPEATED,
    "parts": PARTS,
    "made": MADE,
    "indexing": INDEXING,
    "windows": WINDOWS,
    "convolutions": CONVOLUTIONS,
    "pools": POOLS,
    "choices": CHOICES,
    "shared": SHARED,
    "sources": SOURCES,
    "products": PRODUCTS,
    "orthogonal": ORTHOGONAL,
    "linear": LINEAR,
    "tensors": TENSORS,
    "norms": NORMS,
    "running": RUNNING,
    "exclusive": EXCLUSIVE,
    "costs": COSTS,
    "attentions": ATTENTIONS,
}
"""All operations, in the groups in which they are compiled together."""
