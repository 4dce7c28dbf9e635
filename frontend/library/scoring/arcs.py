"""The states and arcs of a weighted finite-state machine, as arrays of numbers.

States and labels may have names; here they become numbers once, and what is wrong is told.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...arguments import integer, items, wrong
from ...operations.indexing import take
from ...operations.structure import stack
from ...variables.constants import constant
from ...variables.variable import Variable, shape_text, source_text

Name = Hashable
Numbers = npt.NDArray[np.int32]

MOST = 2**31 - 1
"""States and labels that numbers in int32 can tell apart."""


@dataclass(frozen=True, eq=False)
class Mixed:
    """A vector of weights, each a fixed number plus, where `which` is not 0, a scalar variable.

    `which` says, for each element, how many of the machine's variables there are up to its own.
    """

    fixed: npt.NDArray[np.float64]
    which: Numbers

    def vector(self, variables: Sequence[Variable], dtype: str) -> Variable:
        """The vector as a variable; `variables` are all that the machine has."""
        fixed = constant(self.fixed.astype(dtype))
        if not self.which.any():
            return fixed
        return fixed + take(stack([constant(np.zeros((), dtype)), *variables]), self.which)


@dataclass(frozen=True, eq=False)
class Arcs:
    """What a machine is made of: arc e goes from `source[e]` to `target[e]` and takes `label[e]`.

    `incoming` has a row for each state, the numbers of the arcs into it, filled up with the number
    of arcs: the place of a weight of -inf.
    """

    states: tuple[Name, ...]
    labels: tuple[Name, ...]
    source: Numbers
    target: Numbers
    label: Numbers
    weight: Mixed
    start: Mixed
    final: Mixed
    incoming: Numbers

    def into(self, values: Numbers) -> Numbers:
        """A number of each arc, in the order of `incoming`; 0 where there is no arc."""
        return np.append(values, np.int32(0))[self.incoming]

    @property
    def complete(self) -> bool:
        """Whether into every state leads one arc from each state, in the states' order."""
        states = np.arange(len(self.states), dtype=np.int32)
        return np.array_equal(self.into(self.source), [states] * len(states))

    @property
    def by_state(self) -> Numbers | None:
        """The label of all arcs into each state, if they have one; else None.

        A state without arcs into it has label 0.
        """
        labels, real = self.into(self.label), self.incoming < len(self.label)
        of_state = labels[:, 0]
        return of_state if (~real | (labels == of_state[:, None])).all() else None


class Reader:
    """Reads the arguments of `dg.wfsm`; `variables` gathers the scalars among the weights."""

    def __init__(self, subject: str, dtype: str) -> None:
        self.subject = subject
        self.dtype = dtype
        self.variables: list[Variable] = []

    def arcs(self, states: Any, arcs: Any, start: Any, final: Any, labels: Any) -> Arcs:
        """All of them as numbers."""
        names = self._names("states", states)
        number = {name: k for k, name in enumerate(names)}
        rows = [self._arc(row) for row in items(self.subject, "arcs", arcs, "tuples")]
        if labels is None:
            labels = self._counted(row[2] for row in rows)
        label_names = self._names("labels", labels)
        label_number = {name: k for k, name in enumerate(label_names)}
        ends = [
            [self._known("state", row[k], number, rows[e]) for e, row in enumerate(rows)]
            for k in (0, 1)
        ]
        taken = [self._known("label", row[2], label_number, row) for row in rows]
        source, target, label = (np.array(column, np.int32) for column in (*ends, taken))
        return Arcs(
            names,
            label_names,
            source,
            target,
            label,
            self._mixed([self._weight(f"arc {row[:3]!r}", row[3]) for row in rows]),
            self._ends("start", start, number),
            self._ends("final", final, number),
            _incoming(target, len(names)),
        )

    def _names(self, what: str, given: Any) -> tuple[Name, ...]:
        if isinstance(given, (int, np.integer)) and not isinstance(given, bool):
            return tuple(range(integer(self.subject, f"the number of {what}", given, 1, MOST)))
        names = tuple(items(self.subject, what, given, "names, or their number"))
        if not names:
            raise ValueError(f"{self.subject} expects 1 or more {what}, got none")
        seen: set[Name] = set()
        for name in names:
            if not isinstance(name, Hashable):
                raise wrong(self.subject, f"{what} with names such as texts and numbers", name)
            if name in seen:
                raise ValueError(
                    f"{self.subject} expects {what} of different names, got two {name!r}"
                )
            seen.add(name)
        return names

    def _arc(self, row: Any) -> tuple[Any, Any, Any, Any]:
        if not isinstance(row, (tuple, list)) or len(row) not in (3, 4):
            got = f"one of {len(row)}" if isinstance(row, (tuple, list)) else repr(row)
            raise TypeError(
                f"{self.subject} expects arcs to be tuples (from, to, label) or (from, to, label, "
                f"weight), got {got}"
            )
        if row[2] is None:
            raise ValueError(
                f"{self.subject} expects a label on every arc, got none on {tuple(row[:3])!r}: "
                "each arc takes one step; join what stands before and behind such an arc"
            )
        return (row[0], row[1], row[2], row[3] if len(row) == 4 else 0.0)

    def _counted(self, taken: Iterable[Any]) -> int:
        found = 0
        for label in taken:
            if isinstance(label, bool) or not isinstance(label, (int, np.integer)):
                raise TypeError(
                    f"{self.subject} expects labels=[...] in the order of the scores where labels "
                    f"have names, such as {label!r}"
                )
            found = max(found, int(label) + 1)
        return found

    def _known(self, what: str, name: Any, number: Mapping[Name, int], row: Any) -> int:
        try:
            return number[name]
        except (KeyError, TypeError):
            known = ", ".join(repr(item) for item in list(number)[:8])
            more = ", ..." if len(number) > 8 else ""
            raise ValueError(
                f"{self.subject} expects a {what} among {known}{more}, got {name!r} in "
                f"{tuple(row)!r}"
            ) from None

    def _weight(self, what: str, given: Any) -> tuple[float, int]:
        if isinstance(given, Variable):
            if not given.mistakes and (given.shape != () or given.dtype != self.dtype):
                raise ValueError(
                    f"{self.subject} expects {self.dtype} () as the weight of {what}, got "
                    f"{given.dtype} {shape_text(given.shape)} from {source_text(given)}"
                )
            place = next((k for k, item in enumerate(self.variables) if item is given), None)
            if place is None:
                place = len(self.variables)
                self.variables.append(given)
            return 0.0, place + 1
        if isinstance(given, bool) or not isinstance(given, (int, float, np.number)):
            raise wrong(self.subject, f"the weight of {what} to be a number or a variable", given)
        found = float(given)
        if math.isnan(found) or found == math.inf:
            raise wrong(
                self.subject, f"the weight of {what} to be below infinity", given, ValueError
            )
        return found, 0

    def _ends(self, what: str, given: Any, number: Mapping[Name, int]) -> Mixed:
        """The weight of each state as a first or last one: -inf where it may not be."""
        if given is None:
            return self._mixed([(0.0, 0)] * len(number))
        if isinstance(given, Mapping):
            pairs: list[tuple[Any, Any]] = list(given.items())
        elif isinstance(given, Hashable) and given in number:
            pairs = [(given, 0.0)]
        else:
            pairs = [
                (name, 0.0) for name in items(self.subject, what, given, "states, or one state")
            ]
        found = [(-math.inf, 0)] * len(number)
        for name, weight in pairs:
            place = self._known("state", name, number, (what, name))
            found[place] = self._weight(f"{what} {name!r}", weight)
        return self._mixed(found)

    def _mixed(self, found: list[tuple[float, int]]) -> Mixed:
        fixed = np.array([pair[0] for pair in found], np.float64)
        return Mixed(fixed, np.array([pair[1] for pair in found], np.int32))


def _incoming(target: Numbers, states: int) -> Numbers:
    """The numbers of the arcs into each state, in their order, filled up with that of all arcs."""
    count = np.bincount(target, minlength=states)
    rows = np.full((states, max(1, count.max(initial=0))), len(target), np.int32)
    order = np.argsort(target, kind="stable")
    begins = np.cumsum(count) - count
    rows[target[order], np.arange(len(target)) - begins[target[order]]] = order
    return rows
