"""What a diagram costs, counted before anything is compiled: `Diagram.summary()`.

Links are connections of a network: a product with a weight in a sum is one, and so is a bias; a
shared weight is one free parameter of many links.  Counted are the primitives of the prepared
graphs, sizes still named.  This file runs nothing and asks no machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..compiler.graph import Graph, Node, topological
from ..compiler.primitives.contraction import contraction_flops
from ..compiler.primitives.registry import lookup
from ..compiler.sizes import Dim, evaluate, exact_divide, named, names, product
from .drawn import drawn_graph
from .errors import InputError
from .variable import shape_text

if TYPE_CHECKING:
    import networkx as nx

    from .diagram import Diagram

_BATCHES = (1, 64)


@dataclass(frozen=True)
class Row:
    """A block of the diagram, with all that is in it.

    Attributes:
        name: its path; a function's own name.
        kind: its class.
        level: how many blocks it is in.
        outputs: the shapes of what it returns.
        links: connections for a sample.
        parameters: free parameters that it reads.
        shared: whether a row above has counted them all.
        flops: floating-point operations, forward.
    """

    name: str
    kind: str
    level: int
    outputs: tuple[tuple[Dim, ...], ...]
    links: Dim
    parameters: int
    shared: bool
    flops: Dim


@dataclass(frozen=True)
class Memory:
    """Bytes that a program needs beside its inputs and outputs, at some sizes.

    Attributes:
        sizes: the named sizes.
        run: temporaries of a run.
        step: temporaries of a training step with plain gradient descent, None without a cost.
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
        links: connections for a sample.
        parameters: free parameters, each counted once.
        parameter_bytes: the memory they take.
        forward: floating-point operations of a run with its cost.
        step: those of the cost and its gradients, None without a cost or parameters.
        memory: for the sizes that were asked for; none where sizes are missing.
        batch: the named size of samples, or None.
        sizes: the named sizes of the inputs.
    """

    name: str
    rows: tuple[Row, ...]
    links: Dim
    parameters: int
    parameter_bytes: int
    forward: Dim
    step: Dim | None
    memory: tuple[Memory, ...]
    batch: str | None
    sizes: tuple[str, ...]

    def __str__(self) -> str:
        return _text(self)

    __repr__ = __str__


def summarise(diagram: Diagram, sizes: Mapping[str, int]) -> Summary:
    """The summary of a diagram; its memory at these sizes, or for a batch of 1 and of 64.

    Raises:
        InputError: a size that the diagram does not have, or that is below 1.
    """
    from .pictures.lowered import lower_drawn

    found = [n for v in diagram.observed.values() for extent in v.shape for n in sorted(names(extent))]
    known = tuple(dict.fromkeys(found))
    _check_sizes(diagram, known, sizes)
    drawn = drawn_graph(diagram)
    results = [node for node, data in drawn.nodes(data=True) if data.get("output")]
    cost = drawn.graph["cost"]
    graph = lower_drawn(diagram, drawn, [*results, *([cost] if cost is not None else [])]).graph
    step = _step(diagram)
    batch = _batch(diagram)
    links = {node: _links(node, batch, graph) for node in graph.nodes()}
    flops = {node: _flops(node) for node in graph.nodes()}
    values = diagram.parameters.values()
    return Summary(
        name=diagram.name,
        rows=tuple(_rows(drawn, links, flops)),
        links=_sum(links.values()),
        parameters=sum(_count(item.shape) for item in values),
        parameter_bytes=sum(_bytes(item.dtype, item.shape) for item in values),
        forward=_sum(flops.values()),
        step=None if step is None else _sum(map(_flops, _without_updates(step).nodes())),
        memory=tuple(_memories(diagram, step, known, batch, sizes)),
        batch=batch,
        sizes=known,
    )


def _check_sizes(diagram: Diagram, known: tuple[str, ...], sizes: Mapping[str, Any]) -> None:
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


def _batch(diagram: Diagram) -> str | None:
    """The named size that most observed variables have in front: that of the samples."""
    fronts = [
        next(iter(names(item.shape[0])))
        for item in diagram.observed.values()
        if item.shape and names(item.shape[0]) and item.shape[0] == named(*names(item.shape[0]))
    ]
    return max(fronts, key=fronts.count, default=None)


def _links(node: Node, batch: str | None, graph: Graph) -> Dim:
    """The connections for a sample that a node makes."""
    total: Dim = 0
    if node.op == "contract" and any(_is_weight(item) for item in node.inputs):
        total = _halved(contraction_flops(node))
    elif node.op in ("add", "sub", "mul", "div"):
        direct = [_base(item).op == "input" and _is_weight(item) for item in node.inputs]
        other = node.inputs[direct.index(False)] if sum(direct) == 1 else None
        if other is not None and _base(other).op not in ("constant", "size"):
            total = node.type.count
    each = None if batch is None else exact_divide(total, named(batch))
    return total if each is None else each


def _base(node: Node) -> Node:
    while lookup(node.op).kind == "view":
        node = node.inputs[0]
    return node


def _is_weight(node: Node) -> bool:
    """Whether a value depends on parameters alone."""
    sources = [item.attrs["role"] for item in topological([node]) if item.op == "input"]
    return bool(sources) and all(role == "parameter" for role in sources)


def _flops(node: Node) -> Dim:
    if node.op == "contract":
        return contraction_flops(node)
    primitive = lookup(node.op)
    worked = node.inputs[0] if primitive.kind == "reduction" else node
    worked = node.inputs[1] if node.op == "scatter_add" else worked
    return worked.type.count * primitive.flops


def _rows(
    drawn: nx.MultiDiGraph[Any], links: Mapping[Node, Dim], flops: Mapping[Node, Dim]
) -> Iterable[Row]:
    data = dict(drawn.nodes(data=True))
    inside: dict[str, list[Node]] = {}
    for node in links:
        if node.op != "input" and node.origin.path in data:
            for block in (*data[node.origin.path]["path"], node.origin.path):
                inside.setdefault(block, []).append(node)
    counted: set[str] = set()
    for block, item in data.items():
        if not item.get("opens"):
            continue
        own = inside.get(block, [])
        read = [node for node in drawn.predecessors(block) if data[node]["kind"] == "parameter"]
        yield Row(
            name=item["name"],
            kind=type(item["application"].block).__name__,
            level=len(item["path"]),
            outputs=tuple(data[node]["shape"] for node in drawn.successors(block)),
            links=_sum(links[node] for node in own),
            parameters=sum(_count(data[node]["shape"]) for node in dict.fromkeys(read)),
            shared=bool(read) and counted >= set(read),
            flops=_sum(flops[node] for node in own),
        )
        if not item["path"]:
            counted |= set(read)


def _step(diagram: Diagram) -> Graph | None:
    """The graph of a training step with plain gradient descent."""
    from ..compiler.pipeline import prepare
    from .derivatives import gradient

    trained = [item for item in diagram.parameters.values() if item.type.is_float]
    if diagram.cost is None or not trained:
        return None
    updates = [
        (item, item - 0.01 * slope)
        for item, slope in zip(trained, gradient(diagram.cost, trained), strict=True)
    ]
    return prepare(diagram.lower({"cost": diagram.cost}, updates))


def _without_updates(step: Graph) -> Graph:
    """The cost and its gradients alone: each update is a parameter minus a scaled gradient."""
    slopes = tuple((str(i), value.inputs[1]) for i, (_, value) in enumerate(step.updates) if value.inputs)
    return Graph(step.name, step.inputs, (*step.outputs, *slopes))


def _memories(
    diagram: Diagram,
    step: Graph | None,
    known: tuple[str, ...],
    batch: str | None,
    sizes: Mapping[str, int],
) -> Iterable[Memory]:
    from ..compiler.passes.plan_memory import plan_memory
    from ..compiler.pipeline import compile_kernels, prepare

    missing = [name for name in known if name not in sizes]
    if missing and missing != [batch]:
        return
    run = compile_kernels(prepare(diagram.lower(dict(diagram.outputs) or None)))
    trained = None if step is None else compile_kernels(step)
    for count in _BATCHES if missing else (0,):
        bound = {**sizes, **dict.fromkeys(missing, count)}
        yield Memory(
            bound,
            plan_memory(run, bound).arena_bytes,
            None if trained is None else plan_memory(trained, bound).arena_bytes,
        )


def _sum(sizes: Iterable[Dim]) -> Dim:
    total: Dim = 0
    for size in sizes:
        total = total + size
    return total


def _halved(size: Dim) -> Dim:
    half = exact_divide(size, 2)
    assert half is not None
    return half


def _count(shape: tuple[Dim, ...]) -> int:
    return evaluate(product(shape), {})


def _bytes(dtype: str, shape: tuple[Dim, ...]) -> int:
    import numpy as np

    return _count(shape) * np.dtype(dtype).itemsize


def _text(summary: Summary) -> str:
    head = ("block", "class", "output", "links", "parameters", "FLOPs")
    table = [head]
    for row in summary.rows:
        count = f"{row.parameters:,}" if row.parameters else ""
        table.append((
            "  " * row.level + (row.name.rsplit("/", 1)[-1] if row.level else row.name),
            "" if row.kind in ("FunctionBlock", "CostFunction") else row.kind,
            ", ".join(map(shape_text, row.outputs)),
            _size_text(row.links) if row.links != 0 else "",
            f"({count})" if row.shared and count else count,
            short(row.flops) if row.flops != 0 else "",
        ))  # fmt: skip
    total = ("total", "", "", _size_text(summary.links), f"{summary.parameters:,}", short(summary.forward))
    widths = [max(len(line[i]) for line in (*table, total)) for i in range(len(head))]
    rule = "─" * (sum(widths) + 2 * (len(widths) - 1))
    lines = [f"{summary.name}", _line(head, widths), rule]
    lines += [_line(line, widths) for line in table[1:]]
    lines += [rule, _line(total, widths), "", *_facts(summary)]
    return "\n".join(lines)


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    left = 3
    parts = [
        cell.ljust(width) if place < left else cell.rjust(width)
        for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(parts).rstrip()


def _facts(summary: Summary) -> list[str]:
    each = f" for each of {summary.batch} samples" if summary.batch else ""
    lines = [
        f"links             {_size_text(summary.links)}{each}",
        f"free parameters   {summary.parameters:,} ({byte_text(summary.parameter_bytes)})",
        f"FLOPs             {short(summary.forward)} forward"
        + (f", {short(summary.step)} forward and backward" if summary.step is not None else ""),
    ]
    for item in summary.memory:
        where = ", ".join(f"{name} = {value}" for name, value in item.sizes.items())
        text = f"memory            {byte_text(item.run)} to run"
        if item.step is not None:
            text += f", {byte_text(item.step)} to train"
        lines.append(text + (f", {where}" if where else ""))
    if not summary.memory:
        wanted = ", ".join(f"{name}=..." for name in summary.sizes)
        lines.append(f"memory            depends on the sizes: summary({wanted})")
    return lines


def _size_text(size: Dim) -> str:
    """All digits of a size, in groups of three."""
    if isinstance(size, int):
        return f"{size:,}"
    return _terms_text(size, lambda factor: f"{factor:,}")


def short(size: Dim) -> str:
    """A size to four digits: 407.1k·B."""
    return _short_number(size) if isinstance(size, int) else _terms_text(size, _short_number)


def _terms_text(size: Any, text: Any) -> str:
    parts = []
    for monomial, factor in size.terms:
        body = "·".join(map(str, monomial))
        parts.append(body if factor == 1 and body else "·".join(filter(None, [text(factor), body])))
    return " + ".join(parts).replace("+ -", "− ")


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
