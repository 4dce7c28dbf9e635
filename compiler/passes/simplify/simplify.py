"""simplify: the same values from fewer nodes.

    %3 = mul(%1, broadcast(1.0))           ->   %1                     # algebra
    %4 = add(%1, %2); %5 = add(%1, %2)     ->   %4 for both            # common subexpressions
    %6 = mul(2.0, 3.0)                     ->   6.0                    # constants
    a node that no root depends on         ->   gone                   # dead code
    what no result of a loop needs         ->   gone                   # see `pruning`
    a product with repeated elements       ->   one of the elements    # see `repeats`

One walk, inputs first: each node is rebuilt on its simplified inputs, rewritten by the rule of
its operation as long as a rule applies, and shared with an equal node if there is one.  Rules
keep IEEE meaning: x * 0 stays, for x may be NaN, and x + 0 stays, for x may be -0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ...graph import Graph, Node
from ...graphs.binding import value_of
from ...graphs.rewrite import attributes_key, replace_inputs, rewrite
from ...primitives.contraction import summed_labels
from ...primitives.known import fill_value
from ...primitives.record import Builder, lookup
from ...primitives.structure import slice_extents
from ...primitives.windows import tiles
from .disjoint import join_parts, reshape_parts, sum_of_pad
from .pruning import prune
from .repeats import contract_ones, contract_repeats, reshape_repeats, slice_repeats, sum_products

Rule = Callable[[Builder, Node], "Node | None"]


def simplify(graph: Graph) -> Graph:
    """An equal graph, simplified: Graph -> Graph."""
    graph = _walked(graph)
    while (smaller := sum_products(prune(graph, simplify))) is not graph:
        graph = _walked(smaller)
    return graph


def _walked(graph: Graph) -> Graph:
    shared: dict[Any, Node] = {}
    done: dict[Node, Node] = {}

    def share(node: Node) -> Node:
        return shared.setdefault(_key(node), node)

    def rebuilt(node: Node) -> Node:
        """A node made by a rule, and what it is made of, rewritten and shared in turn."""
        stack = [node]
        while stack:
            item = stack[-1]
            waiting = [part for part in item.inputs if part not in done]
            if item in done or not waiting:
                stack.pop()
                if item not in done:
                    inputs = tuple([done[part] for part in item.inputs])
                    done[item] = finish(replace_inputs(item, inputs))
            stack.extend(waiting)
        return done[node]

    def finish(node: Node) -> Node:
        """A node on simplified inputs, rewritten and shared."""
        builder = Builder(node.origin)
        for rule in (_fold, _on_scalars, *RULES.get(node.op, ())):
            better = rule(builder, node)
            if better is not None and better is not node:
                return rebuilt(better)
        node = share(node)
        done.setdefault(node, node)
        return node

    return rewrite(graph, lambda node, _: done[node] if node in done else finish(node))


def _key(node: Node) -> Any:
    if node.op == "input":
        return node  # two inputs are two values, whatever they are called
    return node.op, node.inputs, attributes_key(node.attrs), node.type


def _fold(b: Builder, n: Node) -> Node | None:
    """A function of known scalars is a known scalar."""
    if lookup(n.op).kind != "elementwise" or n.op in ("copy", "in_range"):
        return None
    if n.op in ("stop_gradient", "composed", "pinv"):
        return n.inputs[0]
    values = [fill_value(item) for item in n.inputs]
    if any(value is None for value in values):
        return None
    scalars = tuple(b.constant(v, item.dtype) for v, item in zip(values, n.inputs, strict=True))
    value = value_of(replace(n, inputs=scalars, type=n.type.with_shape(())), {})
    return b.spread(b.constant(value, n.dtype), n.shape)


def _on_scalars(b: Builder, n: Node) -> Node | None:
    """A function of repeated scalars is the repeated function of the scalars."""
    if lookup(n.op).kind != "elementwise" or n.op == "copy" or n.shape == ():
        return None
    if not all(item.op == "broadcast" and item.inputs[0].shape == () for item in n.inputs):
        return None
    return b.spread(b.apply(n.op, *(item.inputs[0] for item in n.inputs), **n.attrs), n.shape)


def _neutral(right: float, either: bool) -> Rule:
    """An operation whose right operand is neutral; the left one too, where it commutes."""

    def rule(b: Builder, n: Node) -> Node | None:
        x, y = n.inputs
        if fill_value(y) == right:
            return x
        if either and fill_value(x) == right:
            return y
        return None

    return rule


def _minus_one(b: Builder, n: Node) -> Node | None:
    for x, y in (n.inputs, n.inputs[::-1]):
        if fill_value(y) == -1 and n.dtype != "uint32":
            return b.neg(x)
    return None


def _plus_zero(b: Builder, n: Node) -> Node | None:
    """Adding 0 does nothing; to floats, adding -0.0, for -0.0 + 0.0 is 0.0."""
    for x, y in (n.inputs, n.inputs[::-1]):
        value = fill_value(y)
        if value is not None and value == 0 and (not n.type.is_float or np.signbit(value)):
            return x
    return None


def _minus_zero(b: Builder, n: Node) -> Node | None:
    x, y = n.inputs
    value = fill_value(y)
    exact = value is not None and value == 0 and not (n.type.is_float and np.signbit(value))
    return x if exact else None


def _divide_by_fill(b: Builder, n: Node) -> Node | None:
    """Division by a power of two is a product, exactly."""
    value = fill_value(n.inputs[1])
    if value is None or value == 0 or not np.isfinite(value):
        return None
    mantissa, _ = np.frexp(value)
    inverse, limits = 1 / float(value), np.finfo(n.dtype)
    if abs(mantissa) != 0.5 or not limits.tiny <= abs(inverse) <= limits.max:
        return None
    return b.mul(n.inputs[0], b.fill(inverse, n.type))


def _to_the_zero(b: Builder, n: Node) -> Node | None:
    """The power 0 is 1 of every x, of NaN too."""
    return b.fill(1, n.type) if fill_value(n.inputs[1]) == 0 else None


def _negated(b: Builder, n: Node) -> Node | None:
    x, y = n.inputs
    if y.op == "neg":
        return b.sub(x, y.inputs[0])
    if x.op == "neg":
        return b.sub(y, x.inputs[0])
    return None


def _minus_negated(b: Builder, n: Node) -> Node | None:
    x, y = n.inputs
    return b.add(x, y.inputs[0]) if y.op == "neg" else None


def _twice_negated(b: Builder, n: Node) -> Node | None:
    return n.inputs[0].inputs[0] if n.inputs[0].op == "neg" else None


def _same_type(b: Builder, n: Node) -> Node | None:
    return n.inputs[0] if n.type == n.inputs[0].type else None


def _cast_constant(b: Builder, n: Node) -> Node | None:
    """A known array is converted now."""
    known = n.inputs[0].op == "constant"
    return b.constant(value_of(n, {}), n.dtype) if known else None


def _select(b: Builder, n: Node) -> Node | None:
    mask, x, y = n.inputs
    known = fill_value(mask)
    if known is not None:
        return x if known else y
    return x if x is y else None


def _reshape(b: Builder, n: Node) -> Node | None:
    x = n.inputs[0]
    if x.op == "reshape":
        return b.reshape(x.inputs[0], shape=n.shape)
    if x.op == "broadcast" and not x.inputs[0].shape:
        return b.spread(x.inputs[0], n.shape)
    return _same_type(b, n)


def _transpose(b: Builder, n: Node) -> Node | None:
    x, axes = n.inputs[0], n.attrs["axes"]
    if axes == tuple(range(len(axes))):
        return x
    if x.op == "transpose":
        return b.transpose(x.inputs[0], axes=tuple(x.attrs["axes"][axis] for axis in axes))
    if x.op == "broadcast":
        places = [axes.index(axis) for axis in x.attrs["axes"]]
        if places == sorted(places):
            return b.broadcast(x.inputs[0], shape=n.shape, axes=tuple(places))
    return None


def _broadcast(b: Builder, n: Node) -> Node | None:
    x, axes = n.inputs[0], n.attrs["axes"]
    if n.type == x.type:
        return x
    if x.op == "broadcast":
        inner = tuple(axes[axis] for axis in x.attrs["axes"])
        return b.broadcast(x.inputs[0], shape=n.shape, axes=inner)
    return None


def _slice(b: Builder, n: Node) -> Node | None:
    x = n.inputs[0]
    return x if slice_extents(n.attrs) == x.shape and not any(n.attrs["start"]) else None


def _flip(b: Builder, n: Node) -> Node | None:
    x = n.inputs[0]
    if not n.attrs["axes"]:
        return x
    return x.inputs[0] if x.op == "flip" and x.attrs == n.attrs else None


def _windows(b: Builder, n: Node) -> Node | None:
    """Windows side by side move nothing."""
    x = n.inputs[0]
    if x.op == "broadcast" and not x.inputs[0].shape and n.op == "windows":
        return b.spread(x.inputs[0], n.shape)
    return b.reshape(x, shape=n.shape) if tiles(n) else None


def _concatenate(b: Builder, n: Node) -> Node | None:
    axis = n.attrs["axis"]
    parts = [item for item in n.inputs if item.shape[axis] != 0]
    if len(parts) == 1:
        return parts[0]
    return b.concatenate(*parts, axis=axis) if 0 < len(parts) < len(n.inputs) else None


def _pad(b: Builder, n: Node) -> Node | None:
    return n.inputs[0] if n.type == n.inputs[0].type else None


def _no_axes(b: Builder, n: Node) -> Node | None:
    """A reduction over nothing but axes of one element moves nothing."""
    x, axes = n.inputs[0], n.attrs["axes"]
    if n.op in ("argmax", "argmin"):
        return b.fill(0, n.type) if all(x.shape[axis] == 1 for axis in axes) else None
    return b.reshape(x, shape=n.shape) if all(x.shape[axis] == 1 for axis in axes) else None


def _sum_of_sum(b: Builder, n: Node) -> Node | None:
    x = n.inputs[0]
    if x.op != n.op:
        return None
    kept = [axis for axis in range(x.inputs[0].type.rank) if axis not in x.attrs["axes"]]
    axes = sorted({*x.attrs["axes"], *(kept[axis] for axis in n.attrs["axes"])})
    return b.apply(n.op, x.inputs[0], axes=tuple(axes))


def _sum_of_repeats(b: Builder, n: Node) -> Node | None:
    """A sum over repeated elements is a product with their number."""
    x, axes = n.inputs[0], n.attrs["axes"]
    if x.op != "broadcast" or not n.type.is_float:
        return None
    repeated = [axis for axis in axes if axis not in x.attrs["axes"]]
    if not repeated:
        return None
    count: Any = 1
    for axis in repeated:
        count = count * x.shape[axis]
    if count == 0:
        return b.fill(0, n.type)
    kept = [axis for axis in range(x.type.rank) if axis not in repeated]
    shape = tuple(x.shape[axis] for axis in kept)
    less = b.broadcast(
        x.inputs[0], shape=shape, axes=tuple(kept.index(axis) for axis in x.attrs["axes"])
    )
    scaled = b.mul(less, b.spread(b.apply("size", size=count, dtype=n.dtype), shape))
    rest = tuple(kept.index(axis) for axis in axes if axis in kept)
    return b.reduce_sum(scaled, axes=rest) if rest else scaled


def _contract_views(b: Builder, n: Node) -> Node | None:
    """A transposed operand is the operand with its labels in another order."""
    inputs, labels = list(n.inputs), [n.attrs["a"], n.attrs["b"]]
    for i, item in enumerate(inputs):
        if item.op == "transpose":
            back = dict(zip(item.attrs["axes"], labels[i], strict=True))
            inputs[i] = item.inputs[0]
            labels[i] = tuple(back[axis] for axis in range(len(back)))
            return b.contract(*inputs, a=labels[0], b=labels[1], out=n.attrs["out"])
    return None


def _contract_fill(b: Builder, n: Node) -> Node | None:
    """A product with one known number everywhere is a sum of the other operand."""
    for i, item in enumerate(n.inputs):
        if not (item.op == "broadcast" and not item.inputs[0].shape):
            continue
        other = n.inputs[1 - i]
        labels = n.attrs["b" if i == 0 else "a"]
        gone = tuple(axis for axis, label in enumerate(labels) if label in summed_labels(n))
        value = b.reduce_sum(other, axes=gone) if gone else other
        left = [label for label in labels if label not in summed_labels(n)]
        value = b.mul(value, b.spread(item.inputs[0], value.shape))
        order = [label for label in n.attrs["out"] if label in left]
        if order != left:
            value = b.transpose(value, axes=tuple(left.index(label) for label in order))
        places = tuple(n.attrs["out"].index(label) for label in order)
        return b.broadcast(value, shape=n.shape, axes=places)
    return None


def _iota(b: Builder, n: Node) -> Node | None:
    """An index along one axis of many is a line of indices, repeated."""
    if n.type.rank == 1:
        return None
    axis = n.attrs["axis"]
    line = b.apply("iota", axis=0, shape=(n.shape[axis],), dtype=n.dtype)
    return b.broadcast(line, shape=n.shape, axes=(axis,))


def _fixed_size(b: Builder, n: Node) -> Node | None:
    """A size without names is a constant."""
    size = n.attrs["size"]
    return b.constant(size, n.dtype) if isinstance(size, int) else None


RULES: dict[str, tuple[Rule, ...]] = {
    "add": (_plus_zero, _negated, join_parts),
    "sub": (_minus_zero, _minus_negated),
    "mul": (_neutral(1, True), _minus_one),
    "div": (_neutral(1, False), _divide_by_fill),
    "pow": (_neutral(1, False), _to_the_zero),
    "neg": (_twice_negated,),
    "cast": (_same_type, _cast_constant),
    "select": (_select,),
    "reshape": (_reshape, reshape_parts, reshape_repeats),
    "transpose": (_transpose,),
    "broadcast": (_broadcast,),
    "slice": (_slice, slice_repeats),
    "flip": (_flip,),
    "windows": (_windows,),
    "overlap_add": (_windows,),
    "pad": (_pad,),
    "concatenate": (_concatenate,),
    "reduce_sum": (_no_axes, _sum_of_sum, sum_of_pad, _sum_of_repeats),
    "reduce_max": (_no_axes, _sum_of_sum),
    "reduce_min": (_no_axes, _sum_of_sum),
    "argmax": (_no_axes,),
    "argmin": (_no_axes,),
    "contract": (_contract_views, _contract_fill, contract_repeats, contract_ones),
    "iota": (_iota,),
    "size": (_fixed_size,),
}
