"""What Python does with objects and cannot do with variables: each says what to use instead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..location import user_location
from ..variables.variable import Variable, source_text

INSTEAD = {
    "__contains__": ("in", "a list or a set", "use dg.mean(x == y) > 0"),
    "__setitem__": (
        "assignment to elements",
        "an array",
        "a variable never changes; use dg.where(mask, y, x), dg.put_along_axis(x, index, y), or "
        "x + dg.scatter_add(index, y, size)",
    ),
    "__delitem__": ("del", "an array", "a variable never changes; use a slice, or dg.take"),
}
"""By method: how it is written, what it is for, and what to use instead."""

ATTRIBUTES = {
    **dict.fromkeys(
        ("item", "numpy", "tolist", "data", "cpu", "cuda", "to", "tobytes"),
        "it has no value while the diagram is drawn; make it an output, and run a program for it",
    ),
    **dict.fromkeys(
        ("backward", "grad", "requires_grad", "requires_grad_"),
        "the gradient is a variable of its own, dg.gradient(cost, x)",
    ),
    **dict.fromkeys(("size", "nelement", "numel"), "use .shape"),
    **dict.fromkeys(("float", "double", "half", "long", "int", "bool", "type"), "use .astype"),
    "clamp": "use .clip",
    **dict.fromkeys(("mm", "bmm", "dot", "mv"), "use x @ y"),
    "detach": "use dg.stop_gradient(x)",
    "view": "use .reshape",
    "permute": "use .transpose",
    "gather": "use dg.take_along_axis(x, index, axis)",
    "t": "use .T",
    "dim": "use .ndim",
    "unsqueeze": "use dg.expand_dims(x, axis)",
    "pow": "use x ** y",
    **dict.fromkeys(
        ("nonzero", "compress"),
        "its size would depend on values; use dg.where(mask, x, 0), or where=mask in a sum",
    ),
    **dict.fromkeys(("partition", "argpartition"), "use dg.topk(x, k) or dg.sort(x)"),
    **dict.fromkeys(("real", "conj", "conjugate"), "it is real: use it as it is"),
    **dict.fromkeys(
        ("device", "to_device"), "a program has a target: use diagram.compile(target=...)"
    ),
    "choose": "use dg.where, or dg.take_along_axis",
    "resize": "use .reshape, dg.pad or dg.tile",
    "flat": "use .reshape(-1)",
    "fill": "a variable never changes; use dg.full_like(x, value)",
    "put": "a variable never changes; use dg.put_along_axis(x, index, values)",
    "masked_fill": "use dg.where(mask, value, x)",
    "index_select": "use .take(index, axis)",
    "scatter_reduce": "use dg.scatter_add, dg.scatter_mul, dg.scatter_max or dg.scatter_min",
    "copy": "a variable never changes, and needs no copy",
    "clone": "a variable never changes, and needs no copy",
    "fill_": "use dg.fill",
}
"""What to use instead of an attribute that arrays have elsewhere."""


def refusing(method: str) -> Callable[..., Any]:
    """A method of variables that says what to use instead."""
    word, wanted, remedy = INSTEAD[method]

    def refuse(self: Variable, *others: Any) -> Any:
        raise TypeError(
            f"{word} ({user_location()}) expects {wanted}, got {source_text(self)}: {remedy}"
        )

    return refuse


def missing_attribute(functions: frozenset[str]) -> Callable[[Variable, str], Any]:
    """What is asked for attributes that variables do not have; `functions` are those of `dg`."""

    def get(self: Variable, name: str) -> Any:
        remedy = ATTRIBUTES.get(name, f"use dg.{name}(x)" if name in functions else "")
        if name.startswith("_"):  # asked by Python, NumPy and notebooks, never to be shown
            raise AttributeError(name)
        told = f": {remedy}" if remedy else ""
        raise AttributeError(f"{source_text(self)} has no attribute '{name}'{told}")

    return get
