"""mask_padding: a step that a sample does not have computes what the sample's first step does.

    loop(%mask, %x, %z0; masks)       ->      loop(%mask, select(%mask, %x, %x[first]), %z0)

Where samples have lengths, a loop goes on with a sample behind its end, and masks hide what comes
of it.  They do so by selection, on the way back too; but what a step computes has derivatives, and
0 times one that is infinite is NaN.  So such a step must be one that is finite wherever the steps
that count are: the delays are at their initial values (`frontend/drawing/loops/masks.py`), and the
elements of sequences become those of the first step.  What lies in the padding is never read, in
no order of derivative.  Further,

    a sample without any step takes the values of one that has steps
    without any sample that has steps, no gradient goes to what all steps share
    a sequence that all samples share is read as far as the longest goes; where it meets the
    samples, those behind their end meet its first element

Which axis runs over the samples, `alignment.py` says; a sequence without such an axis is shared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..graph import Graph, Node, Origin, depending, topological
from ..graphs.alignment import aligned_axes
from ..graphs.batching import batch, can_batch
from ..graphs.loop_bodies import each_level
from ..graphs.rewrite import replace_inputs, rewrite, substitute
from ..primitives.known import fill_value
from ..primitives.record import Builder
from ..primitives.recurrence import role_of


@each_level
def mask_padding(graph: Graph) -> Graph:
    """The same graph without `masks` in its loops: Graph -> Graph."""

    def without_masks(results: list[Node], inputs: tuple[Node, ...]) -> dict[Node, Node]:
        if "masks" not in results[0].attrs:
            return {node: replace_inputs(node, inputs) for node in results}
        body, operands = _masked(results[0], inputs)
        found = {}
        for node in results:
            attrs = {name: value for name, value in node.attrs.items() if name != "masks"}
            found[node] = replace(node, inputs=operands, attrs={**attrs, "body": body})
        return found

    return rewrite(graph, loops=without_masks)


def _masked(loop: Node, inputs: Sequence[Node]) -> tuple[Graph, tuple[Node, ...]]:
    """The body of a loop, and its inputs, that read no padding."""
    body: Graph = loop.attrs["body"]
    masks: tuple[str, ...] = loop.attrs["masks"]
    outer = dict(zip(body.inputs, inputs, strict=True))
    mask = next((entry for entry in body.inputs if entry.attrs["name"] == masks[0]), None)
    if mask is None or mask.type.count == 0 or loop.attrs["steps"] == 0:
        return body, tuple(inputs)
    lengths = _Lengths(loop, outer[mask])
    axes = _sample_axes(body, mask)
    registers = {old for old, new in body.updates if new.op == "select" and old is new.inputs[2]}
    for entry, x in outer.items():
        if entry.attrs["name"] in masks or entry in registers or fill_value(x) is not None:
            continue
        if role_of(entry) == "sequence":
            outer[entry] = lengths.sequence(x, axes.get(entry))
        elif entry in axes:
            outer[entry] = lengths.lent(x, axes[entry])
        elif x.type.is_float:
            outer[entry] = lengths.stopped(x)
    body, more = _shared_first(loop, body, mask, axes, outer, lengths)
    return body, (*(outer[entry] for entry in loop.attrs["body"].inputs), *more)


def _sample_axes(body: Graph, mask: Node) -> dict[Node, int]:
    """The axis of samples of each value that has one.

    A sequence that meets no sample has its first axis there, if this has the name of the samples.
    """
    axes = aligned_axes(body, mask, 0)
    for entry in body.inputs:
        named = entry.shape[:1] == mask.shape and not isinstance(mask.shape[0], int)
        if named and role_of(entry) == "sequence":
            axes.setdefault(entry, 0)
    return axes


class _Lengths:
    """What is known of the samples of a loop outside of it.

    Args:
        loop: a result of it.
        mask: which samples have which steps, of shape (steps, samples).
    """

    def __init__(self, loop: Node, mask: Node) -> None:
        self.b = b = Builder(Origin(loop.origin.path, loop.origin.where))
        self.mask, self.reverse = mask, loop.attrs["reverse"]
        steps, samples = mask.shape
        number = b.cast(mask, dtype="int64")
        one = b.fill(1, number.type.with_shape((samples,)))
        self.count = b.reduce_sum(one, axes=(0,))
        self.ends = b.sub(b.reduce_sum(number, axes=(0,)), one)  # the last step of each
        self.end = b.reduce_max(self.ends, axes=(0,))
        line = b.iota(axis=0, shape=(steps,), dtype="int64")
        self.somebody = b.le(line, b.spread(self.end, (steps,)))
        self.anybody = b.ge(self.end, b.constant(0, "int64"))
        # Step 0, but no number that must be a step: a loop may have none.
        self.start = b.argmax(b.cast(self.somebody, dtype="int64"), axes=(0,))
        self.there = b.gather(mask, self.start, axis=0)
        self.lender = b.argmax(b.cast(self.there, dtype="int64"), axes=(0,))

    def sequence(self, x: Node, axis: int | None) -> Node:
        """A sequence whose elements behind the end of a sample are those of its first step.

        `axis` is that of the samples in an element; without, an element is there for all of them.
        """
        b = self.b
        if axis is None:
            steps = b.broadcast(self.somebody, shape=x.shape, axes=(0,))
            return self.selected(steps, x, self.along(self.first_shared(x), x, None))
        mask = b.broadcast(self.mask, shape=x.shape, axes=(0, axis + 1))
        return self.selected(mask, x, self.along(self.first(x, axis), x, None))

    def first(self, x: Node, axis: int) -> Node:
        """The elements of a sequence at the first step of each sample."""
        b = self.b
        if not self.reverse:
            return self.lent(b.gather(x, self.start, axis=0), axis)
        others = [item for item in range(1, x.type.rank) if item != axis + 1]
        rows = b.transpose(x, axes=(0, axis + 1, *others))
        samples = rows.shape[1]
        flat = b.reshape(rows, shape=(rows.shape[0] * samples, *rows.shape[2:]))
        count = b.spread(self.count, (samples,))
        sample = b.iota(axis=0, shape=(samples,), dtype="int64")
        found = b.gather(flat, b.add(b.mul(self.ends, count), sample), axis=0)
        back = (*range(1, axis + 1), 0, *range(axis + 1, found.type.rank))
        return self.lent(b.transpose(found, axes=back), axis)

    def first_shared(self, x: Node) -> Node:
        """The element of a shared sequence at the first step that a sample has."""
        step = self.end if self.reverse else self.start
        found: Node = self.b.gather(x, step, axis=0)
        return found

    def lent(self, x: Node, axis: int) -> Node:
        """Values by sample, of which one without steps has those of one that has some."""
        b = self.b
        there = b.broadcast(self.there, shape=x.shape, axes=(axis,))
        return self.selected(there, x, self.along(b.gather(x, self.lender, axis=axis), x, axis))

    def stopped(self, x: Node) -> Node:
        """A value to which no gradient goes if no sample has a step."""
        return self.selected(self.b.spread(self.anybody, x.shape), x, x)

    def along(self, x: Node, like: Node, axis: int | None) -> Node:
        """A value repeated along an axis, by default the first, of one like another."""
        new = axis or 0
        axes = tuple(i for i in range(like.type.rank) if i != new)
        found: Node = self.b.broadcast(x, shape=like.shape, axes=axes)
        return found

    def selected(self, mask: Node, x: Node, other: Node) -> Node:
        """One value or another one, to which no gradient goes."""
        other = self.b.stop_gradient(other) if x.type.is_float else other
        found: Node = self.b.select(mask, x, other)
        return found


def _shared_first(
    loop: Node,
    body: Graph,
    mask: Node,
    axes: Mapping[Node, int],
    outer: Mapping[Node, Node],
    lengths: _Lengths,
) -> tuple[Graph, list[Node]]:
    """The body in which samples behind their end meet shared elements of their first step.

    That is where something that depends on shared sequences alone is repeated over the samples, or
    meets them in a take, in a product or in a convolution.  Also gives what enters the body for it.
    """
    order = list(topological(body.roots))
    shared = [e for e in body.inputs if role_of(e) == "sequence" and e not in axes]
    shared = [e for e in shared if e.attrs["name"] not in loop.attrs["masks"]]
    moving = depending(order, shared)
    states = depending(order, [e for e in body.inputs if role_of(e) == "carry"])
    parts = {n: _met(n, axes) for n in order if n in axes}
    meeting = {
        n: x for n, x in parts.items()
        if x is not None and x in moving and x not in states
        and all(can_batch(i) and i.op != "gradient" for i in topological([x]))
    }  # fmt: skip
    read = [e for e in shared if any(e in set(topological([x])) for x in meeting.values())]
    b, known, entries, values = lengths.b, {}, [], []
    for number, entry in enumerate(read):
        value = lengths.first_shared(outer[entry])
        if lengths.reverse:
            value = lengths.lent(b.gather(outer[entry], lengths.ends, axis=0), 0)
        name = f"first.{number}"
        known[entry] = b.input(name=name, type=value.type, role="invariant")
        entries.append(known[entry])
        values.append(value)
    done = {entry: entry for entry in body.inputs}
    for node, x in meeting.items():
        axis = axes[node]
        done = substitute(node.inputs, done)
        inputs = tuple(done[item] for item in node.inputs)
        value = replace(node, inputs=inputs)
        if not lengths.reverse:
            first = substitute([x], known)[x]
            pairs = zip(node.inputs, inputs, strict=True)
            other = replace(node, inputs=tuple(first if old is x else new for old, new in pairs))
        elif node.op != "broadcast":
            other = _by_sample(node, inputs, axes, known, b)
        else:
            found = batch([x], {}, known, mask.shape[0])[x].node
            at = (axis, *node.attrs["axes"])
            found = b.transpose(found, axes=tuple(sorted(range(len(at)), key=at.__getitem__)))
            other = b.broadcast(found, shape=node.shape, axes=tuple(sorted(at)))
        there = b.broadcast(mask, shape=node.shape, axes=(axis,))
        done[node] = lengths.selected(there, value, other)
    if not meeting:
        return body, []
    done = substitute(body.roots, done)
    done |= {entry: entry for entry in entries}
    return replace(body, inputs=(*body.inputs, *entries)).rebuilt(done), values


def _met(node: Node, axes: Mapping[Node, int]) -> Node | None:
    """What all samples share of a node's inputs, where it meets the samples there."""
    if node.op == "broadcast":
        return None if axes[node] in node.attrs["axes"] else node.inputs[0]
    alone = [item for item in node.inputs if item not in axes]
    if node.op in ("gather", "contract"):
        return alone[0] if len(alone) == 1 else None
    if node.op in ("conv", "conv_input") and axes[node] == 0:
        return alone[0] if alone == [node.inputs[1]] else None
    return None


def _by_sample(
    node: Node,
    inputs: Sequence[Node],
    axes: Mapping[Node, int],
    known: Mapping[Node, Node],
    b: Builder,
) -> Node:
    """A take or a product whose shared operand is each sample's own, of where the sample ends."""
    if node.op in ("conv", "conv_input"):
        return _convolved(node, inputs, known, b)
    attrs, singles, lined = dict(node.attrs), [], {}
    sample = axes[node]
    for name, old, new in zip("ab", node.inputs, inputs, strict=True):
        if old not in axes:
            singles.append(old)
            continue
        axis = axes[old]
        rest = [i for i in range(old.type.rank) if i != axis]
        one = b.input(name="one", type=old.type.with_shape(old.shape[i] for i in rest))
        singles.append(one)
        lined[one] = b.transpose(new, axes=(axis, *rest))
        if node.op == "contract":
            attrs[name] = _without(attrs[name], axis)
            attrs["out"] = _without(node.attrs["out"], sample)
        elif old is node.inputs[0]:
            attrs["axis"] -= axis < attrs["axis"]
    one = b.apply(node.op, *singles, **attrs)
    found = batch([one], {}, {**known, **lined}, node.shape[sample])[one].node
    back = (*range(1, sample + 1), 0, *range(sample + 1, found.type.rank))
    result: Node = b.transpose(found, axes=back)
    return result


def _convolved(node: Node, inputs: Sequence[Node], known: Mapping[Node, Node], b: Builder) -> Node:
    """A convolution whose weights are each sample's own: one of a single image for each sample."""
    x, samples = inputs[0], node.shape[0]
    image = b.input(name="one", type=x.type.with_shape((1, *x.shape[1:])), role="input")
    one = b.apply(node.op, image, node.inputs[1], **node.attrs)
    lined = {**known, image: b.reshape(x, shape=(samples, 1, *x.shape[1:]))}
    result: Node = b.reshape(batch([one], {}, lined, samples)[one].node, shape=node.shape)
    return result


def _without(labels: Any, axis: int) -> Any:
    """The labels of a product's axes without that of one of them."""
    return (*labels[:axis], *labels[axis + 1 :])
