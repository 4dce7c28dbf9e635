"""split_products: a small product of great depth becomes partial products and their sum.

    %2: [16,16] = contract(%0: [20000,16], %1: [20000,16])     the gradient of a small weight

    ->   %2: [10,16,16] = contract(reshape(%0: [10,2000,16]), reshape(%1: [10,2000,16]))
         %3: [16,16] = reduce_sum(%2, axes=(0))

Such a product is one block of a kernel, so that all threads but one would wait.  The parts are of
the graph, not of the threads: the sums are the same, bit for bit, for any number of them.

Only an axis whose length is known here is split, such as the steps of a loop; one with a name
counts as `sizes.NOMINAL`.  For a depth of names alone, the parts would be two kernels more in every
step, which most batches are too small to pay for.
"""

from __future__ import annotations

from ..graph import Graph, Node
from ..graphs.depth import one_depth, operands_of
from ..graphs.loop_bodies import each_level
from ..graphs.rewrite import rewrite
from ..primitives.contraction import summed_labels
from ..primitives.record import Builder
from ..sizes import nominal, product

PART = 1536
"""The least depth of a part: four of the chains that the routines add up (`gemm.Blocking`)."""

WINDOW_PARTS = 4
"""Parts of a product with windows."""

LARGEST = 128 * 128
"""Elements of a result up to which its rows and columns alone do not make enough blocks."""


@each_level
def split_products(graph: Graph) -> Graph:
    """An equal graph whose deep products have parts: Graph -> Graph."""
    return rewrite(graph, lambda node, _: _split(node) if node.op == "contract" else node)


def _split(node: Node) -> Node:
    """The sum of partial products along the outermost summed axis that is long enough."""
    a, b, out = (node.attrs[key] for key in ("a", "b", "out"))
    extents = dict(zip(a, node.inputs[0].shape, strict=True))
    summed = {label: extents[label] for label in summed_labels(node)}
    count, depth = node.type.count, product(summed.values())
    if not isinstance(count, int) or count > LARGEST or any(k in a and k in b for k in out):
        return node
    depth = nominal(depth)
    if depth < 2 * PART:
        return node
    lengths = {k: int(n) for k, n in summed.items() if isinstance(n, int)}
    windows = _has_windows(node)
    # Of windows, each part goes through all images, in which its rows lie apart: a few are enough.
    fewest = {k: -(-n // WINDOW_PARTS) if windows else 1 for k, n in lengths.items()}
    least = {k: max(fewest[k], -(-PART // (depth // n))) for k, n in lengths.items()}
    label = next((k for k, n in lengths.items() if n >= 2 * least[k]), None)
    if label is None:
        return node
    extent = lengths[label]
    length = part_length(extent, least[label])
    parts, part = extent // length, max(*a, *b) + 1
    build = Builder(node.origin)

    def stretch(item: Node, labels: tuple[int, ...], start: int, stop: int) -> Node:
        axis = labels.index(label)
        if (start, stop) == (0, extent):
            return item
        return build.slice_axis(item, axis, start, stop)

    def in_parts(item: Node, labels: tuple[int, ...]) -> tuple[Node, tuple[int, ...]]:
        axis = labels.index(label)
        whole = stretch(item, labels, 0, parts * length)
        shape = (*item.shape[:axis], parts, length, *item.shape[axis + 1 :])
        return build.reshape(whole, shape=shape), (*labels[:axis], part, *labels[axis:])

    left, left_labels = in_parts(node.inputs[0], a)
    right, right_labels = in_parts(node.inputs[1], b)
    partial = build.contract(left, right, a=left_labels, b=right_labels, out=(part, *out))
    total = build.reduce_sum(partial, axes=(0,))
    if parts * length == extent:
        return total
    rest = [
        stretch(item, labels, parts * length, extent)
        for item, labels in zip(node.inputs, (a, b), strict=True)
    ]
    return build.add(build.contract(*rest, a=a, b=b, out=out), total)


def _has_windows(node: Node) -> bool:
    """Whether the summed axes do not read as one; an operand that will be copied lies in order."""
    try:
        return one_depth(operands_of(node), summed_labels(node)) is None
    except ValueError:
        return False


def part_length(extent: int, least: int) -> int:
    """How long the parts are: from `least` to less than twice that, with the shortest rest.

    There are at least two: `extent` is at least twice `least`.
    """
    most = max(least, min(2 * least - 1, extent // 2))
    return min(range(least, most + 1), key=lambda length: (extent % length, length))
