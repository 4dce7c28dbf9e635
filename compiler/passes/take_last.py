"""take_last: the last element of a stack of states is the state itself after the last step.

    %5 = loop(...; result=stack, of=y)        y is what carry h becomes
    %6 = slice(%5, start=(T-1,...))     ->    %6 = slice(broadcast(loop(...; result=last, of=h)))

The state stands for the whole stack, repeated over the steps, so that the slice still says that
there must be a step.  The derivative then begins with one state's cotangent instead of a sequence
that is zero but for one step.
"""

from __future__ import annotations

from dataclasses import replace

from ..graph import Graph, Node
from ..graphs.loop_bodies import each_level
from ..graphs.rewrite import replace_inputs, rewrite
from ..primitives.batch import repeat
from ..primitives.record import Builder
from ..primitives.recurrence import gate_of


@each_level
def take_last(graph: Graph) -> Graph:
    """The same graph with last states in the place of stacks: Graph -> Graph."""
    return rewrite(graph, lambda node, _: _of_state(node) if node.op == "slice" else node)


def _of_state(node: Node) -> Node:
    """A slice that takes the last element of a stack, as one of the state; others as they are."""
    stack = node.inputs[0]
    if stack.op != "loop" or stack.attrs["result"] != "stack":
        return node
    body, steps = stack.attrs["body"], stack.attrs["steps"]
    if gate_of(body) is not None:  # which step is the last one is not known
        return node
    last = 0 if stack.attrs["reverse"] else steps - 1
    if node.attrs["start"][0] != last or node.attrs["stop"][0] != last + 1:
        return node
    value = dict(body.outputs)[stack.attrs["of"]]
    carry = next((carry for carry, following in body.updates if following is value), None)
    if carry is None:
        return node
    attrs = {**stack.attrs, "result": "last", "of": carry.attrs["name"]}
    state = replace(stack, attrs=attrs, type=value.type)
    return replace_inputs(node, (repeat(Builder(node.origin), state, steps),))
