"""What a diagram costs, said before anything is compiled: `Diagram.summary()`.

Counted are the links and parameters of the drawing (see `connections`) and the primitives of the
prepared graphs (`counting`), sizes still named; memory is what the compiler plans.  This file runs
nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...compiler.graph import Graph
from ...compiler.sizes import Atom, Dim, Minimum, named, names
from ..drawing.derivatives import gradient
from ..drawing.drawn import drawn_graph, origins_of
from ..errors import InputError
from ..variables.loop_parts import Entry
from ..variables.variable import shape_text
from .connections import connections, count_elements
from .counting import Row, count_flops, count_rows, sum_sizes

if TYPE_CHECKING:
    from ..drawing.drawing import Drawing

_BATCHES = (1, 64)


@dataclass(frozen=True)
class Memory:
    """Bytes that a program needs beside its inputs and outputs, at some sizes.

    Attributes:
        sizes: the named sizes.
        run: temporaries of a run.
        step: temporaries of a training step with plain gradient descent; without parameters to
            train, of a step of the updates alone; None without those.
    """

    sizes: Mapping[str, int]
    run: int
    step: int | None


@dataclass(frozen=True)
class Summary:
    """A diagram in numbers; printed, a table.

    Attributes:
        name: the diagram's.
        rows: one for each block, outermost first, what is in it below it.
        links: connections for a sample: products of a unit with a weight, and biases.
        parameters: free parameters, each counted once.
        frozen: how many of them no training step changes (`dg.freeze`).
        parameter_bytes: the memory they take.
        forward: floating-point operations of a run with its cost.
        step: those of the cost and its gradients, None without a cost or parameters.
        memory: for the sizes that were asked for; none where sizes are missing.
        batch: the named size of samples, or None.
        sizes: the named sizes of the inputs.
        warnings: what `Diagram.check` tells.
    """

    name: str
    rows: tuple[Row, ...]
    links: Dim
    parameters: int
    frozen: int
    parameter_bytes: int
    forward: Dim
    step: Dim | None
    memory: tuple[Memory, ...]
    batch: str | None
    sizes: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def trainable(self) -> int:
        """The free parameters that are not frozen."""
        return self.parameters - self.frozen

    def __str__(self) -> str:
        return _text(self)

    __repr__ = __str__


def summarise(diagram: Drawing, sizes: Mapping[str, int]) -> Summary:
    """The summary of a diagram; its memory at these sizes, or for a batch of 1 and of 64.

    Raises:
        InputError: a size that the diagram does not have, or that is below 1.
    """
    from ...compiler.pipeline import prepare

    extents = [extent for item in diagram.observed.values() for extent in item.shape]
    known = tuple(dict.fromkeys(name for extent in extents for name in sorted(names(extent))))
    _check_sizes(diagram, known, sizes)
    drawn = drawn_graph(diagram)
    graph = prepare(diagram.lower(origins=origins_of(drawn)))
    back = _gradients(diagram)
    batch = _batch(diagram)
    found = connections(diagram, batch)
    flops = count_flops(graph)
    values = diagram.parameters.values()
    return Summary(
        name=diagram.name,
        rows=tuple(count_rows(drawn, found, flops)),
        links=sum_sizes(found.links.values()),
        parameters=sum(count_elements(item.shape) for item in values),
        frozen=sum(count_elements(item.shape) for item in values if item.frozen),
        parameter_bytes=sum(_bytes(item.dtype, item.shape) for item in values),
        forward=sum_sizes(flops.values()),
        step=None if back is None else sum_sizes(count_flops(back).values()),
        memory=tuple(_memories(diagram, known, batch, sizes)),
        batch=batch,
        sizes=known,
        warnings=tuple(map(str, diagram.check())),
    )


def _check_sizes(diagram: Drawing, known: tuple[str, ...], sizes: Mapping[str, Any]) -> None:
    for name, value in sizes.items():
        if name not in known:
            raise InputError(
                f"summary of '{diagram.name}' expects sizes out of {', '.join(known) or 'none'}, "
                f"got {name}"
            )
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise InputError(
                f"summary of '{diagram.name}' expects an integer of 1 or more for {name}, "
                f"got {value!r}"
            )


def _batch(diagram: Drawing) -> str | None:
    """The named size that most observed variables have in front: that of the samples.

    The steps of loops are not samples, so the size after them counts as in front.
    """
    steps = {item.loop.steps for item in diagram.applications if isinstance(item, Entry)}
    fronts = []
    for item in diagram.observed.values():
        shape = item.shape
        while shape and shape[0] in steps:
            shape = shape[1:]
        if shape and names(shape[0]) and shape[0] == named(*names(shape[0])):
            fronts.append(next(iter(names(shape[0]))))
    return max(fronts, key=fronts.count, default=None)


def _gradients(diagram: Drawing) -> Graph | None:
    """The cost and its gradients by the parameters."""
    from ...compiler.pipeline import prepare

    trained = [*diagram.trainable.values()]
    if diagram.cost is None or not trained:
        return None
    found = {str(place): item for place, item in enumerate(gradient(diagram.cost, trained))}
    return prepare(diagram.lower({"cost": diagram.cost, **found}, training=True))


def _step(diagram: Drawing) -> Graph | None:
    """A training step with plain gradient descent, or else one of the updates alone."""
    from ...compiler.pipeline import prepare

    trained = [*diagram.trainable.values()]
    if diagram.cost is None or not trained:
        alone = [*diagram.updates.items()]
        return prepare(diagram.lower({}, alone, training=True)) if alone else None
    slopes = gradient(diagram.cost, trained)
    updates = [(item, item - 0.01 * slope) for item, slope in zip(trained, slopes, strict=True)]
    return prepare(diagram.lower({"cost": diagram.cost}, updates, training=True))


def _memories(
    diagram: Drawing,
    known: tuple[str, ...],
    batch: str | None,
    sizes: Mapping[str, int],
) -> Iterable[Memory]:
    from ...compiler.memory.plan_memory import plan_memory
    from ...compiler.pipeline import compile_kernels, prepare

    missing = [name for name in known if name not in sizes]
    if missing and missing != [batch]:
        return
    run = compile_kernels(prepare(diagram.lower(dict(diagram.outputs) or None)))
    step = _step(diagram)
    trained = None if step is None else compile_kernels(step)
    for count in _BATCHES if missing else (0,):
        bound = {**sizes, **dict.fromkeys(missing, count)}
        yield Memory(
            bound,
            plan_memory(run, bound).arena_bytes,
            None if trained is None else plan_memory(trained, bound).arena_bytes,
        )


def _bytes(dtype: str, shape: tuple[Dim, ...]) -> int:
    import numpy as np

    return count_elements(shape) * np.dtype(dtype).itemsize


def _text(summary: Summary) -> str:
    head = ("block", "class", "output", "links", "free parameters", "FLOPs")
    table = [head]
    for row in summary.rows:
        table.append((
            "  " * row.level + (row.name.rsplit("/", 1)[-1] if row.level else row.name),
            "" if row.is_function else f"{row.kind} {row.details}".strip(),
            ", ".join(map(shape_text, row.outputs)),
            _size_text(row.links) if row.links != 0 else "",
            _shared_text(row),
            _short(row.flops) if row.flops != 0 else "",
        ))  # fmt: skip
    total = (
        "total",
        "",
        "",
        _size_text(summary.links),
        f"{summary.parameters:,}",
        _short(summary.forward),
    )
    widths = [max(len(line[i]) for line in (*table, total)) for i in range(len(head))]
    rule = "─" * (sum(widths) + 2 * (len(widths) - 1))
    lines = [f"{summary.name}", _line(head, widths), rule]
    lines += [_line(line, widths) for line in table[1:]]
    lines += [rule, _line(total, widths), "", *_facts(summary)]
    return "\n".join(lines)


def _shared_text(row: Row) -> str:
    """The parameters of a row, in parentheses those that are counted above it."""
    own, shared = row.parameters - row.shared, f"({row.shared:,})" if row.shared else ""
    text = " + ".join(filter(None, [f"{own:,}" if own else "", shared]))
    if not row.frozen:
        return text
    return f"{text}, {'' if row.frozen == row.parameters else f'{row.frozen:,} '}frozen"


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    left = 3
    parts = [
        cell.ljust(width) if place < left else cell.rjust(width)
        for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(parts).rstrip()


def _facts(summary: Summary) -> list[str]:
    each = f" for each of {summary.batch} samples" if summary.batch else ""
    shared = any(row.shared for row in summary.rows)
    lines = [
        f"links             {_size_text(summary.links)} connections{each}, biases among them",
        f"free parameters   {summary.parameters:,} ({byte_text(summary.parameter_bytes)})"
        + (f", {summary.frozen:,} of them frozen" if summary.frozen else ""),
        *(["in parentheses    shared with a row above, and counted there"] if shared else []),
        f"FLOPs             {_short(summary.forward)} forward"
        + (f", {_short(summary.step)} forward and backward" if summary.step is not None else ""),
    ]
    for item in summary.memory:
        where = ", ".join(f"{name} = {value}" for name, value in item.sizes.items())
        text = f"{byte_text(item.run)} to run"
        if item.step is not None:
            what = "update" if summary.step is None else "train"
            text += f", {byte_text(item.step)} to {what}"
        lines.append(f"memory            {text}{f', where {where}' if where else ''}")
    if not summary.memory:
        wanted = ", ".join(f"{name}=..." for name in summary.sizes)
        lines.append(f"memory            depends on the sizes: summary({wanted})")
    return [*lines, *(f"warning           {text}" for text in summary.warnings)]


def _size_text(size: Dim) -> str:
    """All digits of a size, in groups of three."""
    if isinstance(size, int):
        return f"{size:,}"
    return _terms_text(size, lambda factor: f"{factor:,}")


def _short(size: Dim) -> str:
    """A size to four digits: 407.1k·B."""
    return _short_number(size) if isinstance(size, int) else _terms_text(size, _short_number)


def _terms_text(size: Any, text: Any) -> str:
    parts = []
    for monomial, factor in size.terms:
        body = "·".join(map(_atom_text, monomial))
        parts.append(body if factor == 1 and body else "·".join(filter(None, [text(factor), body])))
    return " + ".join(parts).replace("+ -", "− ")


def _atom_text(atom: Atom) -> str:
    """A name; what is left of a division that does not come out even: ⌊T/10⌋, ⌊(W − 6)/2⌋.

    Or the smaller of a size and a number: min(2·B, 39).
    """
    if isinstance(atom, str):
        return atom
    over = _size_text(atom.inner)
    if isinstance(atom, Minimum):
        return f"min({over}, {atom.bound})"
    return f"⌊{f'({over})' if ' ' in over else over}/{atom.denominator}⌋"


def _short_number(value: int) -> str:
    for limit, letter in ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k")):
        if abs(value) >= limit:
            digits = len(str(abs(value) // limit))
            return f"{value / limit:.{max(0, 4 - digits)}f}{letter}"
    return str(value)


def byte_text(count: int) -> str:
    """Bytes in units of 1024: 795.0 KiB."""
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024 or unit == "GiB":
            break
        value /= 1024
    return f"{count} B" if unit == "B" else f"{value:.1f} {unit}"
