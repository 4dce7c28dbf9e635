"""The sum over the steps of a loop of a node of its body, from values at all steps.

The sum goes through what is linear down to products and sums, where the steps are one more thing
to sum over:

    sum of contract(x(t), y(t))     ->      contract(x, y), summed over t too
    sum of contract(x(t), w)        ->      contract(reduce_sum(x), w)
    sum of conv_weight(x(t), g(t))  ->      conv_weight(x, g), whose images are those of all steps
    sum of conv(x(t), w)            ->      conv(reduce_sum(x), w), and so conv_input
    sum of reduce_sum(x(t))         ->      reduce_sum(x), over the steps too
    sum of e(t) + transpose(f(t))   ->      their sums, added, the second one transposed

What is not linear, or has none of these behind it, is summed as it is: reduce_sum(x, t).
"""

from __future__ import annotations

from collections.abc import Callable

from ...graph import Node
from ...graphs.batching import Batched, Batching
from ...primitives.batch import shift_axes, turned
from ...primitives.record import Builder
from .hoisting import Plan, When

MOVES = (
    "reshape", "transpose", "broadcast", "slice", "flip", "windows", "pad", "overlap_add", "neg",
)  # fmt: skip
"""Linear primitives of one operand."""


class StepTotals:
    """Sums over steps.

    Args:
        plan: what leaves the loop; what is stacked is summed as it is.
        batching: over the steps.
        value: the value of a node at all steps, or the same for every step.
    """

    def __init__(self, plan: Plan, batching: Batching, value: Callable[[Node], Batched]) -> None:
        self.when = plan.when
        self.batching = batching
        self.value = value
        self.done: dict[Node, Node] = {}
        self.linear: set[Node] = set()  # with a product or a sum behind, through what is linear
        for node in plan.order:
            if not self.fixed(node) and node not in plan.stacked and self._is_linear(node):
                self.linear.add(node)

    def fixed(self, node: Node) -> bool:
        """Whether a node is the same at every step."""
        return self.when[node] == When.FIXED

    def _is_linear(self, node: Node) -> bool:
        varying = [item for item in node.inputs if not self.fixed(item)]
        if node.op in ("contract", "conv_weight", "scatter_add", "reduce_sum"):
            return True
        if node.op in ("mul", "div"):
            divided = node.op == "div" and node.inputs[1] in varying
            return len(varying) == 1 and not divided and varying[0] in self.linear
        if node.op in ("conv", "conv_input"):
            return len(varying) == 1
        return node.op in (*MOVES, "add", "sub") and any(i in self.linear for i in varying)

    def total(self, root: Node) -> Node:
        """The sum of a node over all steps."""
        stack = [(root, False)]
        while stack:
            node, ready = stack.pop()
            if node in self.done:
                continue
            parts = self._parts(node)
            if ready or not parts:
                self.done[node] = self._combined(Builder(node.origin), node)
                continue
            stack.append((node, True))
            stack.extend((item, False) for item in parts)
        return self.done[root]

    def _parts(self, node: Node) -> list[Node]:
        """The operands whose sums the sum of a node is made of."""
        if node not in self.linear:
            return []
        if node.op in ("add", "sub"):
            return list(node.inputs)
        varying = [item for item in node.inputs if not self.fixed(item)]
        if node.op in ("contract", "conv_weight"):
            return varying if len(varying) == 1 else []
        if node.op == "scatter_add":
            return varying if varying == [node.inputs[1]] else []
        if node.op == "reduce_sum":
            return varying if varying[0] in self.linear else []
        return varying

    def _combined(self, b: Builder, node: Node) -> Node:
        if node not in self.linear:
            return self._plain(b, node)
        if parts := self._parts(node):
            operands = [
                self.done[item] if item in parts else self.value(item).node for item in node.inputs
            ]
            return b.apply(node.op, *operands, **node.attrs)
        if node.op == "reduce_sum":
            x = self.batching.repeated(b, self.value(node.inputs[0]))
            return b.apply("reduce_sum", x, axes=(0, *shift_axes(node.attrs["axes"])))
        first, second = (self.value(item) for item in node.inputs)
        if node.op == "contract":
            return self._contraction(b, node, first, second)
        if node.op == "conv_weight":
            return self._weight(b, node, first, second)
        return self._scattered(b, node, first, second)

    def _plain(self, b: Builder, node: Node) -> Node:
        value, has_axis = self.value(node)
        if has_axis:
            found: Node = b.reduce_sum(value, axes=(0,))
            return found
        count = b.apply("size", size=self.batching.extent, dtype=node.dtype)
        return b.apply("mul", value, b.spread(count, node.shape))

    def _contraction(self, b: Builder, node: Node, first: Batched, second: Batched) -> Node:
        labels = node.attrs["a"], node.attrs["b"]
        step = max((*labels[0], *labels[1]), default=-1) + 1
        left, right = ((step, *text) for text in labels)
        operands = self.batching.repeated(b, first), self.batching.repeated(b, second)
        return b.apply("contract", *operands, a=left, b=right, out=node.attrs["out"])

    def _weight(self, b: Builder, node: Node, first: Batched, second: Batched) -> Node:
        """The weights' gradient of the images of all steps."""
        operands = (self.batching.repeated(b, item) for item in (first, second))
        images = [b.reshape(x, shape=(x.shape[0] * x.shape[1], *x.shape[2:])) for x in operands]
        return b.apply("conv_weight", *images, **node.attrs)

    def _scattered(self, b: Builder, node: Node, index: Batched, updates: Batched) -> Node:
        """The updates of all steps added to one array: the steps are one more axis of indices."""
        places, x = (self.batching.repeated(b, item) for item in (index, updates))
        axis = node.attrs["axis"]
        x = turned(b, x, (*range(1, axis + 1), 0, *range(axis + 1, x.type.rank)))
        return b.apply("scatter_add", places, x, **node.attrs)
