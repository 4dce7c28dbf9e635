"""The page that groups every public name: `python -m tests.docs.reference` writes it anew.

A name belongs to the first group whose folders or files its own begins with; what it is, the first
line of its docstring says.
"""

from __future__ import annotations

import inspect
from typing import Any

import diagrad as dg

from ..house import ROOT

PAGE = ROOT / "docs" / "reference.md"

GROUPS: dict[str, tuple[str, ...]] = {
    "Variables": ("variables", "operations.source", "operations.random", "drawing.connect"),
    "Diagrams and programs": ("diagram", "program", "transform_step", "generate", "reports"),
    "Drawing": ("drawing", "operations.mode"),
    "Arithmetic and comparisons": ("operations.elementwise", "operations.integers"),
    "Functions of elements": ("operations.functions",),
    "Activations": ("library.functions",),
    "Over axes": ("operations.reductions", "operations.running"),
    "Order": ("operations.ordering",),
    "Indices": ("operations.indexing", "operations.choosing"),
    "Shapes and places": ("operations.structure", "operations.moving", "operations.windows"),
    "Made arrays": ("operations.making",),
    "Products": ("operations.contractions", "operations.products"),
    "Linear algebra": ("operations.linear",),
    "Convolutions and pools": ("operations",),
    "Costs": ("library.costs", "library.joint_embedding"),
    "Layers": (
        "library.layers", "library.embedding", "library.dropout", "library.normalisation",
        "library.weight_norm", "library.local_contrast", "library.hypernetwork",
        "library.moving_average", "library.unit_graph", "library.multiplicative",
    ),
    "Layers of images": (
        "library.convolution", "library.pooling", "library.local", "library.residual",
        "library.resnet",
    ),
    "Recurrent blocks": ("library.recurrent",),
    "Attention": ("library.attention",),
    "Sequences scored": ("library.scoring",),
    "Machines without a gradient": ("library.machines",),
    "Weights of PyTorch": ("library.torch_names",),
    "Optimizers": ("training.optimizers", "training.clipping"),
    "Training": ("training",),
    "Errors": ("errors",),
}  # fmt: skip
"""Where the names of each group are defined, below `frontend`."""

MODULES = ("augment", "init", "metrics", "schedules")
"""Names that hold others."""

INSIDE = {"as_schedule", "initial_state", "initial_value", "not_negative", "with_layout"}
"""What these hold for the library itself."""


def group_of(name: str) -> str:
    """The group of a public name; an empty text for modules and dtypes."""
    where = getattr(dg, name).__module__.removeprefix("diagrad.frontend.")
    for title, places in GROUPS.items():
        if any(where == place or where.startswith(f"{place}.") for place in places):
            return title
    raise LookupError(f"{name}, of {where}, belongs to no group")


def first_line(thing: Any) -> str:
    """What its docstring says first."""
    return (inspect.getdoc(thing) or "").split("\n\n")[0].replace("\n", " ").replace("|", "\\|")


def page() -> str:
    """The whole page."""
    dtypes = ", ".join(f"`dg.{n}`" for n in dg.__all__ if _is_dtype(getattr(dg, n)))
    names = [n for n in dg.__all__ if n not in MODULES and not _is_dtype(getattr(dg, n))]
    lines = [
        "# Reference",
        "",
        "Every public name of `dg`, by what it is for; `help(dg.name)` says the rest.",
        f"Dtypes are NumPy's: {dtypes} ([dtypes.md](dtypes.md)).",
        "",
    ]
    for title in GROUPS:
        lines += [f"## {title}", "", "| | |", "|---|---|"]
        members = sorted((n for n in names if group_of(n) == title), key=str.lower)
        lines += [f"| `dg.{name}` | {first_line(getattr(dg, name))} |" for name in members]
        lines.append("")
    for module in MODULES:
        held = getattr(dg, module)
        lines += [f"## `dg.{module}`", "", first_line(held), "", "| | |", "|---|---|"]
        lines += [
            f"| `dg.{module}.{n}` | {first_line(getattr(held, n))} |" for n in called_in(module)
        ]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _is_dtype(thing: Any) -> bool:
    return getattr(thing, "__module__", "") == "numpy"


def called_in(module: str) -> list[str]:
    """What a user calls in a module."""
    held = getattr(dg, module)
    found = getattr(held, "__all__", [n for n in vars(held) if _is_of(held, getattr(held, n))])
    called = [n for n in found if callable(getattr(held, n)) and n not in INSIDE and n[0] != "_"]
    if module == "init":  # its classes are what its functions give
        called = [n for n in called if n.islower()]
    return sorted(called, key=str.lower)


def _is_of(module: Any, thing: Any) -> bool:
    return bool(getattr(thing, "__module__", "") == module.__name__)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
