"""Primitives that hold a graph or stand for one: the loop, the call and the gradient.

A loop is a body run once for each step, with values carried from each step to the next.

    %5: float32[T,B,H] = loop(%x, %h0, %w; body=<rnn>, steps=T, result=stack, of=h)

The body is a graph.  Each of its inputs stands for one input of the loop, by its role:

    sequence   element t of an array whose leading axis has one element for each step
    carry      the loop's input at the first step; then what the step before gave
    invariant  the same at every step

The body's updates, (carry, next value), are the delays; its outputs are what a step gives.  A
node of the loop is one `result` of it: "stack", all steps of the output called `of`; "sum", their
sum; or "last", the value of the carry called `of` after the last step (without steps, the initial
one).  Nodes with the same body and inputs are results of one loop, which runs once.  A reversed
loop goes from the last element of its sequences to the first; so do its stacks.

An entry of type bool[], with the attribute `gate`, says which steps are made.  A step at which it
is false is not made: it leaves all carries as they are, gives zeros to stacks and nothing to sums.
So where it is a carry, the first such step is the end: the loop runs until its condition holds.
The derivative of such a loop has a sequence for its gate, the gate's values on the way there.

`keep` says what its derivative stores of every step: "all" that it needs beyond what is cheaply
recomputed, or only the "carries", from which the rest is computed again.  `unroll`, where a loop
has one, says how many steps are one turn of it; for the others an option of the program says it.

The other two are each gone after the pass that owns it:

    call      a block applied to its inputs; attrs: body (Graph), output (name)     until `inline`
    gradient  d cost / d variable, of a scalar cost; inputs (cost, variable)        until
              `differentiate`
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import TypeRuleError
from ..graph import Graph, Node, Type
from .record import Attrs, Primitive

Role = str
ROLES = ("sequence", "carry", "invariant")


def role_of(entry: Node) -> Role:
    """The role of an input of a body."""
    role: Role = entry.attrs["role"]
    return role


def gate_of(body: Graph) -> Node | None:
    """The entry that says which steps are made, or None where all are."""
    return next((entry for entry in body.inputs if entry.attrs.get("gate")), None)


def inner_type(role: Role, outer: Type) -> Type:
    """The type inside a body of an input of the loop."""
    return outer.with_shape(outer.shape[1:]) if role == "sequence" else outer


def loop_of(node: Node) -> Any:
    """What the results of one loop have in common."""
    return id(node.attrs["body"]), node.inputs, node.attrs["steps"], node.attrs["reverse"]


def results_of(order: Sequence[Node]) -> dict[Any, list[Node]]:
    """The results of every loop among some nodes, in their order."""
    found: dict[Any, list[Node]] = {}
    for node in order:
        if node.op == "loop":
            found.setdefault(loop_of(node), []).append(node)
    return found


def result_source(body: Graph, node: Node) -> Node:
    """What a result of a loop is made of: the node of the body that is stacked, summed or last."""
    if node.attrs["result"] != "last":
        return dict(body.outputs)[node.attrs["of"]]
    return next(value for carry, value in body.updates if carry.attrs["name"] == node.attrs["of"])


def _infer(types: Sequence[Type], attrs: Attrs) -> Type:
    body: Graph = attrs["body"]
    steps, result, of = attrs["steps"], attrs["result"], attrs["of"]
    if len(types) != len(body.inputs):
        raise TypeRuleError(f"expected {len(body.inputs)} inputs, got {len(types)}")
    given_names = [entry.attrs["name"] for entry in body.inputs]
    if len({*given_names}) != len(given_names):
        raise TypeRuleError(f"expected names that differ: {given_names}")
    for entry, outer in zip(body.inputs, types, strict=True):
        role, name = role_of(entry), entry.attrs["name"]
        if role not in ROLES:
            raise TypeRuleError(f"{role} is no role of an input of a loop")
        if role == "sequence":
            fits = bool(outer.shape) and outer.shape[0] == steps
            if not fits:
                raise TypeRuleError(f"expected {steps} steps of sequence {name}, got {outer}")
        inside = inner_type(role, outer)
        if inside != entry.type:
            raise TypeRuleError(f"expected {entry.type} for {role} {name}, got {inside}")
    gates = [entry for entry in body.inputs if entry.attrs.get("gate")]
    if len(gates) > 1 or any(gate.type != Type("bool") for gate in gates):
        raise TypeRuleError(f"expected at most one gate, of type bool[], got {gates}")
    carries = {carry.attrs["name"]: value for carry, value in body.updates}
    named = {entry.attrs["name"] for entry in body.inputs if role_of(entry) == "carry"}
    if named != carries.keys():
        raise TypeRuleError(f"expected one next value for each of {sorted(named)}")
    if result == "last":
        if of not in carries:
            raise TypeRuleError(f"the loop has no carry {of}")
        return carries[of].type
    if result not in ("stack", "sum") or of not in dict(body.outputs):
        raise TypeRuleError(f"no {result} of {of}")
    inside = dict(body.outputs)[of].type
    return inside if result == "sum" else inside.with_shape((steps, *inside.shape))


def _call(types: Sequence[Type], attrs: Attrs) -> Type:
    body = attrs["body"]
    wanted = tuple(item.type for item in body.inputs)
    if tuple(types) != wanted:
        raise TypeRuleError(f"{body.name} expects {wanted}, got {tuple(types)}")
    result: Type = dict(body.outputs)[attrs["output"]].type
    return result


def _gradient(types: Sequence[Type], attrs: Attrs) -> Type:
    cost, variable = types
    if cost.shape != () or not cost.is_float:
        raise TypeRuleError(f"expected a scalar float cost, got {cost}")
    if not variable.is_float:
        raise TypeRuleError(f"expected a float variable, got {variable}")
    return variable.cotangent


PRIMITIVES = (
    Primitive(name="loop", kind="structured", infer=_infer, reference=None, stored=True),
    Primitive(name="call", kind="structured", infer=_call, reference=None, stored=True),
    Primitive(name="gradient", kind="structured", infer=_gradient, reference=None, stored=True),
)
