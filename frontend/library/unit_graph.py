"""Units on any graph: a net that is drawn unit by unit, and computed level by level."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...compiler.dtypes import computed
from ..arguments import function, integer, items, wrong
from ..drawing.blocks import Block, block
from ..drawing.loops.loop import loop
from ..errors import CycleError, DtypeError, ShapeError
from ..location import user_location
from ..operations.elementwise import as_operands, tanh
from ..operations.indexing import scatter_add, take
from ..operations.structure import concatenate, expand_dims, reshape, transpose
from ..variables.variable import Variable, dtype_name, shape_text, source_text
from .initialisers import Array, Shape, Uniform

Name = Hashable
Function = Callable[[Variable], Variable]
Edge = tuple[Name, Name, int]
Places = npt.NDArray[np.int32]

SPARSE = 32
"""A level is a product with a matrix if at least one of so many of its elements is an edge.

Measured with 300 and with 2000 units a level and 32 samples, value and gradients: where one in 10
is an edge, sums along the edges take 3.6 times as long as the matrix; where one in 50 is, 0.8
times; and one in 100 of the larger level, 0.37 times.
"""


class UnitGraph(Block):
    """Units on any graph, each with the weighted sum of the units that lead into it.

        s[i] = bias[i] + the sum over j in UP(i) of weight[i, j] * z[j],      z[i] = f(s[i])

    Applied to x of shape (..., inputs) it gives (..., outputs), in the order of `inputs` and
    `outputs`.  A unit's level is one more than the highest among those that lead into it; each
    level is one product, of a matrix or, where few of its elements are edges, along the edges.

    An edge may have a delay of k steps: it leads from z[j](t-k), which is 0 before the first step.
    Then x is a sequence (T, B, inputs), `graph(x, lengths=None)` is a loop over it, and gives
    (T, B, outputs).

    Args:
        edges: pairs (from, to) of names of units, or triples with a delay, 0 or more; or a
            `networkx.DiGraph`, whose edges may have the attribute `delay`.
        inputs: the units whose z is x, by name: nothing leads into them. By default all those that
            no edge leads into.
        outputs: the units whose z is given back; by default those out of which edges
            with a delay lead alone, or none.
        function: f, of one variable, or None for z = s; or a list of one for each level.
        bias: whether there are biases, a parameter of shape (units,), in the order of `units`; or
            any variable in its place.
        weight_init: of the parameter `weight` of shape (edges,), in the order of `edges`; by
            default LeCun's uniform, for as many inputs as each unit has.
        bias_init: the bias's.
        weight: any variable in place of that parameter.
        dtype: of the parameters, float32 or float64.
        name: as for every block.

    Attributes:
        edges: all edges, (from, to, delay).
        inputs, outputs: names.
        units: the names of all units that are no inputs, in the order in which edges name them.
        levels: the names of the units of each level.

    Raises:
        CycleError: edges without a delay that lead round in a circle.
        ValueError: a unit that is not there, an edge into an input or none into a unit, an edge
            twice, another number of functions, or no outputs.
        ShapeError, DtypeError: a variable of another shape or dtype; when applied to such.
    """

    weight: Variable
    bias: Variable | None

    def __init__(
        self,
        edges: Any,
        inputs: Iterable[Name] | None = None,
        outputs: Iterable[Name] | None = None,
        function: Function | Sequence[Function | None] | None = tanh,
        bias: bool | Variable = True,
        weight_init: Any = None,
        bias_init: Any = None,
        weight: Variable | None = None,
        dtype: Any = "float32",
        name: str | None = None,
    ) -> None:
        self.name = name
        self.dtype = dtype_name(dtype)
        subject = self._place()
        self.edges = _edges(subject, edges)
        names = list(dict.fromkeys(end for edge in self.edges for end in edge[:2]))
        order = _in_order(subject, self.edges, names)
        sources = {edge[0] for edge in self.edges if not edge[2]}
        targets = {edge[1] for edge in self.edges}
        free = [item for item in names if item not in targets]
        ends = [item for item in names if item not in sources]
        self.inputs = _chosen(subject, "inputs", inputs, free, names)
        self.outputs = _chosen(subject, "outputs", outputs, ends, names)
        for item in names:
            if (item in self.inputs) == (item in targets):
                more = (
                    "no edges into its inputs, got one"
                    if item in targets
                    else "an edge into every unit that is no input, got none"
                )
                raise ValueError(f"{subject} expects {more} into {item!r}")
        self.units = tuple(item for item in names if item in targets)
        self.levels = _levels(self.edges, order, self.inputs, self.units)
        self._plan = _plan(self.edges, self.inputs, self.units, self.levels)
        self.functions = self._functions(subject, function)
        number = {item: k for k, item in enumerate(self.units)}
        fans = np.bincount([number[edge[1]] for edge in self.edges], minlength=len(self.units))
        each = tuple(int(fans[number[edge[1]]]) for edge in self.edges)
        start = _ByFan(each) if weight_init is None else weight_init
        self._hold("weight", weight, (len(self.edges),), start, self.dtype)
        self._hold("bias", bias, (len(self.units),), bias_init, self.dtype)

    @property
    def delays(self) -> tuple[int, ...]:
        """The delays that edges have, each once, in their order."""
        return tuple(sorted({edge[2] for edge in self.edges if edge[2]}))

    def forward(self, x: Variable, lengths: Variable | None = None) -> Variable:
        """(..., inputs) -> (..., outputs); with delays (T, B, inputs) -> (T, B, outputs)."""
        (x,) = as_operands(x)
        self._check(x, lengths)
        if not self.delays:
            flat = x if x.ndim == 2 else reshape(x, (-1, x.shape[-1]))
            y = self._of(self._through([flat]), self.outputs)
            return y if x.ndim == 2 else reshape(y, (*x.shape[:-1], len(self.outputs)))
        t = loop("t", lengths=lengths)
        values, late = [t.each(x)], []
        for k in self.delays:
            names = _delayed(self.edges, k)
            z = t.delay(f"z{k}", 0.0, k, (x.shape[1], len(names)), self.dtype)
            late.append((names, z))
            values.append(z)
        values = self._through(values)
        for names, z in late:
            t.close(z, self._of(values, names))
        return t.stack(self._of(values, self.outputs))

    def _through(self, values: Sequence[Variable]) -> list[Variable]:
        """The values (B, units) of inputs and delays, and behind them those of each level."""
        found = list(values)
        for level, f in zip(self._plan, self.functions, strict=True):
            before = [found[k] for k in level.reads]
            s = weighted_sums(before, self.weight, self.bias, level=level)
            found.append(s if f is None else f(s))
        return found

    def _of(self, values: Sequence[Variable], names: Sequence[Name]) -> Variable:
        """The values of some units, in their order."""
        groups = [self.inputs, *((),) * len(self.delays), *self.levels]
        place = {item: (k, i) for k, group in enumerate(groups) for i, item in enumerate(group)}
        where = [place[item] for item in names]
        reads = sorted({k for k, _ in where})
        begins = _begins(groups, reads)
        chosen = np.array([begins[k] + i for k, i in where], np.int32)
        if len(reads) == 1 and np.array_equal(chosen, np.arange(len(groups[reads[0]]))):
            return values[reads[0]]
        return units([values[k] for k in reads], chosen=chosen)

    def _functions(self, subject: str, given: Any) -> tuple[Function | None, ...]:
        count = len(self.levels)
        if isinstance(given, (list, tuple)):
            if len(given) != count:
                raise ValueError(
                    f"{subject} expects one function for each of its {count} levels, got "
                    f"{len(given)}"
                )
            found = list(given)
        else:
            found = [given] * count
        for f in found:
            if f is not None:
                function(subject, "function", f, "of one variable")
        return tuple(found)

    def _check(self, x: Variable, lengths: Variable | None) -> None:
        subject, count = self._place(), len(self.inputs)
        came = f"got {shape_text(x.shape)} from {source_text(x)}"
        if self.delays and (x.ndim != 3 or x.shape[2] != count):
            raise ShapeError(
                f"{subject} has delays, and expects x of shape (T, B, {count}), {came}"
            )
        if x.ndim == 0 or x.shape[-1] != count:
            raise ShapeError(f"{subject} expects x of shape (..., {count}), {came}")
        if x.dtype != computed(self.dtype):
            raise DtypeError(
                f"{subject} expects {self.dtype} inputs like its weight, got {x.dtype} from "
                f'{source_text(x)}: convert one with .astype("{self.dtype}")'
            )
        if lengths is not None and not self.delays:
            raise wrong(subject, "no lengths where no edge has a delay", lengths)

    def _place(self) -> str:
        return f"{self._describe()} ({user_location()})"


@dataclass(frozen=True, eq=False)
class _Level:
    """How the units of a level are computed, from the values of those groups that it reads.

    Of these, side by side, there are `width`.  Along the k-th edge into the level the value of
    `source[k]` goes to the unit `target[k]` of the level, with the weight number `edges[k]`;
    `units` are the numbers of its units, those of their biases.
    """

    reads: tuple[int, ...]
    edges: Places
    source: Places
    target: Places
    width: int
    units: Places


@block
def weighted_sums(
    before: Sequence[Variable], weight: Variable, bias: Variable | None, level: _Level
) -> Variable:
    """The sums of a level, (B, units), from values (B, n) that lead into it."""
    # A unit's samples lie side by side: what is summed along edges are rows.
    z = concatenate([transpose(item) for item in before])
    weight, size = take(weight, level.edges), len(level.units)
    if level.width * size > SPARSE * len(level.edges):
        s = scatter_add(level.target, take(z, level.source) * expand_dims(weight, 1), size)
    else:
        place = level.target.astype(np.int64) * level.width + level.source
        s = reshape(scatter_add(place, weight, size * level.width), (size, level.width)) @ z
    if bias is not None:
        s = s + expand_dims(take(bias, level.units), 1)
    return transpose(s)


@block
def units(values: Sequence[Variable], chosen: Places) -> Variable:
    """Of values (B, n) side by side, those of some units."""
    return take(concatenate(values, axis=1), chosen, axis=1)


@dataclass(frozen=True)
class _ByFan:
    """LeCun's uniform for edges, each into a unit with so many edges."""

    fans: tuple[int, ...]

    def __call__(self, rng: np.random.Generator, shape: Shape, dtype: str) -> Array:
        """As every initialiser."""
        drawn = Uniform(-1.0, 1.0)(rng, shape, "float64")
        return np.asarray(drawn * np.sqrt(3.0 / np.array(self.fans)), dtype)


def _edges(subject: str, given: Any) -> tuple[Edge, ...]:
    """The edges of a list or of a NetworkX graph, with their delays."""
    if hasattr(given, "edges") and hasattr(given, "is_directed"):
        if not given.is_directed():
            raise wrong(subject, "a directed graph", given)
        given = [(a, b, data.get("delay", 0)) for a, b, data in given.edges(data=True)]
    found: list[Edge] = []
    for edge in items(subject, "edges", given, "pairs (from, to)"):
        if not isinstance(edge, (tuple, list)) or len(edge) not in (2, 3):
            raise TypeError(
                f"{subject} expects edges to be pairs (from, to) or triples with a delay, got "
                f"{edge!r}"
            )
        source, target, delay = (*edge, 0)[:3]
        found.append((source, target, integer(subject, "a delay", delay, 0)))
    if not found:
        raise ValueError(f"{subject} expects 1 or more edges, got none")
    seen: set[Edge] = set()
    for item in found:
        if item in seen:
            raise ValueError(f"{subject} expects every edge once, got {_text(item)} twice")
        seen.add(item)
    return tuple(found)


def _text(edge: Edge) -> str:
    return f"{edge[0]} -> {edge[1]}" + (f" with delay {edge[2]}" if edge[2] else "")


def _chosen(
    subject: str, what: str, given: Iterable[Name] | None, default: list[Name], names: list[Name]
) -> tuple[Name, ...]:
    found = default if given is None else items(subject, what, given, "names of units")
    for item in found:
        if item not in names:
            raise ValueError(f"{subject} expects {what} among its units, got {item!r}")
    if len(set(found)) != len(found):
        raise ValueError(f"{subject} expects {what} of different names, got {found!r}")
    if not found:
        edges = "into" if what == "inputs" else "out of"
        raise ValueError(f"{subject} expects {what}, got none: edges lead {edges} every unit")
    return tuple(found)


def _in_order(subject: str, edges: Sequence[Edge], names: Sequence[Name]) -> list[Name]:
    """The units, each behind those that lead into it; CycleError where edges lead round."""
    import networkx as nx

    graph = nx.DiGraph()
    graph.add_nodes_from(names)
    graph.add_edges_from(edge[:2] for edge in edges if not edge[2])
    try:
        return list(nx.topological_sort(graph))
    except nx.NetworkXUnfeasible:
        around = nx.find_cycle(graph)
    circle = " -> ".join(str(item) for item in (around[0][0], *(edge[1] for edge in around)))
    last = around[-1]
    raise CycleError(
        f"{subject} expects edges that do not lead round, got {circle}: give one of them a delay, "
        f"({last[0]!r}, {last[1]!r}, 1), and the units are a loop over steps"
    )


def _levels(
    edges: Sequence[Edge], order: Sequence[Name], inputs: Sequence[Name], units: Sequence[Name]
) -> tuple[tuple[Name, ...], ...]:
    """The units of each level."""
    before: dict[Name, list[Name]] = {item: [] for item in order}
    for source, target, delay in edges:
        if not delay:
            before[target].append(source)
    level = dict.fromkeys(inputs, 0)
    for item in order:
        if item not in level:
            level[item] = 1 + max((level[source] for source in before[item]), default=0)
    found: list[list[Name]] = [[] for _ in range(max(level.values()))]
    for item in units:
        found[level[item] - 1].append(item)
    return tuple(tuple(group) for group in found)


def _delayed(edges: Sequence[Edge], delay: int) -> list[Name]:
    """The units that edges with this delay lead from."""
    return list(dict.fromkeys(edge[0] for edge in edges if edge[2] == delay))


def _plan(
    edges: Sequence[Edge],
    inputs: Sequence[Name],
    units: Sequence[Name],
    levels: Sequence[Sequence[Name]],
) -> tuple[_Level, ...]:
    """How each level is computed; values are those of inputs, of each delay, and of each level."""
    delays = sorted({edge[2] for edge in edges if edge[2]})
    groups = [inputs, *(_delayed(edges, k) for k in delays), *levels]
    here: dict[tuple[Name, int], tuple[int, int]] = {}
    for k, group in enumerate(groups):
        delay = delays[k - 1] if 1 <= k <= len(delays) else 0
        here |= {(item, delay): (k, place) for place, item in enumerate(group)}
    into: dict[Name, list[int]] = {item: [] for item in units}
    for e, edge in enumerate(edges):
        into[edge[1]].append(e)
    number = {item: k for k, item in enumerate(units)}
    found = []
    for level in levels:
        pairs = [(e, place) for place, item in enumerate(level) for e in into[item]]
        origins = [here[edges[e][0], edges[e][2]] for e, _ in pairs]
        reads = sorted({k for k, _ in origins})
        begins = _begins(groups, reads)
        columns = (
            [e for e, _ in pairs],
            [begins[k] + place for k, place in origins],
            [place for _, place in pairs],
        )
        numbers, source, target = (np.array(column, np.int32) for column in columns)
        width = sum(len(groups[k]) for k in reads)
        own = np.array([number[item] for item in level], np.int32)
        found.append(_Level(tuple(reads), numbers, source, target, width, own))
    return tuple(found)


def _begins(groups: Sequence[Sequence[Name]], reads: Sequence[int]) -> dict[int, int]:
    """Where each group begins that is read, side by side with the others."""
    found, place = {}, 0
    for k in reads:
        found[k] = place
        place += len(groups[k])
    return found
