"""How a value grows with the number of samples: whether a cost is a sum over them or a mean.

    growth(cost, {"B"})      0 for a mean over the samples, 1 for a sum, None for what is no power

A value grows as the count to the power p where p times as many samples like these make it
(count ** p) times as large: a sum over an axis of the samples adds 1, dividing by their count
takes 1 away, a product adds the powers of its factors.  Only sizes are looked at, no values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Set
from fractions import Fraction
from typing import Any, Final

import numpy as np

from ..graph import Graph, Node
from ..primitives.contraction import summed_labels
from ..primitives.convolution import CONVOLUTIONS, summed_terms
from ..primitives.pooling import SPREADS
from ..primitives.recurrence import loop_of, result_source
from ..sizes import Dim, Size, names, product

Power = Fraction | str | None
"""The power; ZERO, of the number 0, is any power; None is no power at all."""
ZERO: Final = "zero"

_VIEWS = ("reshape", "transpose", "broadcast", "slice", "flip", "pad", "windows", "concatenate")
_SAME = (
    *_VIEWS, "copy", "cast", "stop_gradient", "in_range", "neg", "abs",
    "reduce_max", "reduce_min", "add", "sub", "maximum", "minimum", "max_pool",
)  # fmt: skip
"""What has the power that all of its operands have."""
_ROOTS = {"sqrt": Fraction(1, 2), "rsqrt": Fraction(-1, 2)}


def growth(graph: Graph, output: str, samples: Set[str]) -> Fraction | None:
    """The power with which an output grows with the sizes of these names, None for no power.

    Args:
        graph: without calls (`passes.inline`).
        output: its name.
        samples: names of sizes that count samples.
    """
    found = _powers(graph, [Fraction(0)] * len(graph.inputs), samples)
    power = found[dict(graph.outputs)[output]]
    return Fraction(0) if power == ZERO else power  # type: ignore[return-value]


def _powers(graph: Graph, entering: Iterable[Power], samples: Set[str]) -> dict[Node, Power]:
    """The power of every node, for given powers of the inputs."""
    found: dict[Node, Power] = dict(zip(graph.inputs, entering, strict=True))
    loops: dict[Any, dict[Node, Power]] = {}
    for node in graph.nodes():
        if node not in found:
            operands = [found[item] for item in node.inputs]
            if node.op == "loop":
                found[node] = _of_loop(node, operands, samples, loops)
            else:
                found[node] = _power(node, operands, samples)
    return found


def _power(node: Node, operands: list[Power], samples: Set[str]) -> Power:
    op = node.op
    if op == "constant":
        return ZERO if not np.any(node.attrs["value"]) else Fraction(0)
    if op == "size":
        return _degree(node.attrs["size"], samples)
    if op == "mul" or op == "contract":
        summed: Dim = 1
        if op == "contract":
            extents = dict(zip(node.attrs["a"], node.inputs[0].shape, strict=True))
            summed = product(extents[label] for label in summed_labels(node))
        return _times(_times(*operands), _degree(summed, samples))
    if op in CONVOLUTIONS:
        return _times(_times(*operands), _degree(summed_terms(node), samples))
    if op == "div":
        return _times(operands[0], _raised(operands[1], Fraction(-1)))
    if op == "reduce_sum":
        summed = product(node.inputs[0].shape[axis] for axis in node.attrs["axes"])
        return _times(operands[0], _degree(summed, samples))
    if op == "cumsum":
        extent = node.inputs[0].shape[node.attrs["axis"]]
        return operands[0] if _degree(extent, samples) == 0 else None
    if op in ("scatter_add", "overlap_add", *SPREADS):
        # On average: as many more terms in each element as there are more updates than elements.
        place = 0 if op in SPREADS else -1
        taps = product(node.attrs["size"]) if op == "sum_spread" else 1
        more = _degree(node.inputs[place].type.count * taps, samples)
        less = _raised(_degree(node.type.count, samples), Fraction(-1))
        return _times(operands[place], _times(more, less))
    if op in ("scatter_max", "scatter_min"):
        return operands[1]
    if op == "sum_pool":
        return _times(operands[0], _degree(product(node.attrs["size"]), samples))
    if op == "max_code":
        return None if operands[0] is None else Fraction(0)
    if op == "gradient":
        cost, variable = operands
        count = _times(variable, _degree(node.type.count, samples))
        return _times(cost, _raised(count, Fraction(-1)))
    if op in _ROOTS:
        return _raised(operands[0], _ROOTS[op])
    if op == "select":
        return _join(operands[1:]) if operands[0] == 0 else None
    if op in ("gather", "pool_take"):
        return operands[0] if _join(operands[1:]) in (0, ZERO) else None
    if op in _SAME:
        return _join(operands)
    if node.dtype == "bool" and operands:  # a comparison: of things that grow alike
        return None if _join(operands) is None else Fraction(0)
    return Fraction(0) if all(item in (0, ZERO) for item in operands) else None


def _of_loop(
    node: Node, operands: list[Power], samples: Set[str], done: dict[Any, dict[Node, Power]]
) -> Power:
    """The power of a loop's result: that of its carries stays from step to step, or is none."""
    body: Graph = node.attrs["body"]
    key = loop_of(node)
    if key not in done:
        entering = list(operands)
        places = {entry: place for place, entry in enumerate(body.inputs)}
        while True:
            inside = _powers(body, entering, samples)
            before = list(entering)
            for carry, value in body.updates:
                place = places[carry]
                entering[place] = _join([entering[place], inside[value]])
            if before == entering:
                break
        done[key] = inside
    power = done[key][result_source(body, node)]
    summed = node.attrs["steps"] if node.attrs["result"] == "sum" else 1
    return _times(power, _degree(summed, samples))


def _degree(size: Dim, samples: Set[str]) -> Power:
    """How often the names stand in each term of a size; None where the terms differ."""
    if not isinstance(size, Size):
        return Fraction(0)
    degrees = set()
    for monomial, _ in size.terms:
        if any(not isinstance(atom, str) and names(atom.inner) & samples for atom in monomial):
            return None
        degrees.add(sum(atom in samples for atom in monomial))
    return Fraction(degrees.pop()) if len(degrees) == 1 else None


def _join(powers: Iterable[Power]) -> Power:
    """The one power that all have, where 0 has any."""
    different = {power for power in powers if power != ZERO}
    return ZERO if not different else different.pop() if len(different) == 1 else None


def _times(left: Power, right: Power) -> Power:
    return _both(left, right, lambda a, b: a + b)


def _raised(power: Power, exponent: Fraction) -> Power:
    return _both(power, exponent, lambda a, b: a * b)


def _both(left: Power, right: Power, combine: Callable[[Fraction, Fraction], Fraction]) -> Power:
    if left is None or right is None:
        return None
    if isinstance(left, str) or isinstance(right, str):
        return ZERO
    return combine(left, right)
