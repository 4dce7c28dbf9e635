"""Numbers that are known before a program runs.

`is_known`     scalars made of constants and sizes alone.  They are no values in memory: a kernel
               gets them as words, computed where sizes become integers.  They are asked for often
               and their chains may be long, so what was found is remembered.
`filled_with`  the scalar that every element of an array is.
`fill_value`   its value, if it is a constant.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from ..graph import Node
from .record import lookup

_found: WeakKeyDictionary[Node, bool] = WeakKeyDictionary()


def is_known(node: Node) -> bool:
    """Whether a scalar depends on sizes and constants alone."""
    stack = [node]
    while stack:
        item = stack[-1]
        if item in _found:
            stack.pop()
        elif not _is_function(item):
            _found[item] = item.shape == () and item.op in ("constant", "size")
        elif waiting := [part for part in item.inputs if part not in _found]:
            stack.append(waiting[0])
        else:
            _found[item] = all(_found[part] for part in item.inputs)
    return _found[node]


def _is_function(node: Node) -> bool:
    """Whether a node is a number computed from numbers; a copy has been given a place in memory."""
    computed = node.shape == () and node.op != "copy" and bool(node.inputs)
    return computed and lookup(node.op).kind == "elementwise"


def filled_with(node: Node) -> Node:
    """What is repeated in a node: a scalar, where each of its elements is that scalar."""
    while node.op in ("broadcast", "reshape"):
        node = node.inputs[0]
    return node


def fill_value(node: Node) -> Any:
    """The constant that every element of a node is, or None."""
    scalar, casts = filled_with(node), []
    while scalar.op == "cast":
        casts.append(scalar)
        scalar = filled_with(scalar.inputs[0])
    if scalar.op != "constant" or scalar.shape != ():
        return None
    value = scalar.attrs["value"]
    for cast in reversed(casts):
        rule = lookup("cast").reference
        assert rule is not None
        value = rule(cast.type, cast.attrs, value)
    return value[()]
