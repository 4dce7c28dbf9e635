"""Hopfield's memory: patterns as the minima of an energy, in which a state settles."""

from __future__ import annotations

from typing import Any, Literal

from ...arguments import integer, number, one_of
from ...drawing.blocks import Block, block
from ...drawing.loops.loop import loop
from ...drawing.states import memory, update
from ...location import user_location
from ...operations.elementwise import absolute, equal, greater, less_equal, log, sign, tanh, where
from ...operations.reductions import max as greatest
from ...operations.reductions import sum as total
from ...variables.variable import Variable, dtype_name
from .features import features, rate_of
from .sweep import Sweep, couplings


class Hopfield(Block):
    """An associative memory: units with symmetric weights, whose state settles in a stored pattern.

        memory = dg.Hopfield(100)
        memory.store(pattern)                 # pattern (B, 100) of -1 and 1: an update of a step
        diagram = dg.Diagram("memory", {"recalled": memory(probe)})
        program = diagram.compile()
        program.step(pattern=P)
        program.run(probe=noisy)["recalled"]

    Applied to y of shape (..., units) it gives the state in which y settles:

        y_i <- sign(sum_j w_ij y_j)   or   y_i <- tanh(sum_j w_ij y_j)

    unit after unit in their order, each by what the others have by then (where the sum is 0, sign
    leaves a unit as it is), in sweeps over all units until no unit of any sample changes by more
    than `tolerance`.  Updates of all units at once could go to and fro between two states; in turn,
    none of them can make the energy greater, where the weights are symmetric with a diagonal of 0:
    see `energy` and `free_energy`.  A derivative is that of the sweeps that were made.

    Hopfield, Neural networks and physical systems with emergent collective computational abilities,
    1982; for tanh: Neurons with graded response have collective computational properties like those
    of two-state neurons, 1984.

    Args:
        units: how many.
        activation: "sign" or "tanh".
        most: how many sweeps are made at most.
        tolerance: how much a unit of a settled state may still change in a sweep.
        weight: any variable (units, units) in place of the state `weight`, which is 0 at first.
        dtype: of weights and units, float32 or float64.
        name: as for every block.

    Attributes:
        sweep: the block that makes one sweep, (..., units) -> (..., units), for loops of one's own.

    Raises:
        ShapeError, DtypeError: a weight, or when applied a y, of another shape or dtype.
        TypeError, ValueError: arguments of another type, or out of their ranges.
    """

    weight: Variable

    def __init__(
        self,
        units: int,
        activation: Literal["sign", "tanh"] = "sign",
        most: int = 100,
        tolerance: float = 1e-5,
        weight: Variable | None = None,
        dtype: Any = "float32",
        name: str | None = None,
    ) -> None:
        self.name = name
        place = f"Hopfield ({user_location()})"
        self.units = integer(place, "units", units, 1)
        self.activation = one_of(place, "activation", activation, ("sign", "tanh"))
        self.most = integer(place, "most", most, 0)
        self.tolerance = number(place, "tolerance", tolerance, least=0)
        self.dtype = dtype_name(dtype)
        shape = (self.units, self.units)
        if weight is None:
            self.weight = memory("weight", shape, dtype=self.dtype)
        else:
            self._hold("weight", weight, shape, None, self.dtype)
        self.sweep = Sweep(self.weight, None, _RULES[self.activation])

    def forward(self, y: Variable) -> Variable:
        """(..., units) -> (..., units)."""
        y = features(self, y, self.units, self.dtype)
        t = loop("sweep", steps=self.most)
        now = t.delay("y", y)
        after = self.sweep(now)
        t.close(now, after)
        t.until(less_equal(greatest(absolute(after - now)), self.tolerance))
        return t.last(after)

    def energy(self, y: Variable) -> Variable:
        """-sum_ij y_i w_ij y_j: of y (..., units), (...).  Sign updates never make it greater.

        Each pair of units is counted twice, as on the course's slide; Hopfield's has half of it.
        """
        return energy(features(self, y, self.units, self.dtype), self.weight)

    def free_energy(self, y: Variable) -> Variable:
        """What updates by tanh never make greater: of y (..., units) in [-1, 1], (...).

            -sum_ij y_i w_ij y_j + sum_i (1 + y_i) log(1 + y_i) + (1 - y_i) log(1 - y_i)

        It is least in unit i where y_i = tanh(sum_j w_ij y_j); the energy alone may rise.  In
        physics it is twice the mean-field free energy at temperature 1, but for a constant.
        """
        return free_energy(features(self, y, self.units, self.dtype), self.weight)

    def store(self, y: Variable, rate: float | Variable = 1.0) -> None:
        """Let a step store patterns by Hebb's rule: w_ij <- w_ij + rate * sum_b y_bi y_bj, i != j.

        A rate of 1 with patterns of -1 and 1 keeps the weights integers, so that all sums are
        exact.  Updates by tanh want a rate of a few divided by `units`: far above that tanh is a
        sign, and below 1 / units all states fade to 0.

        Args:
            y: (B, units), the patterns.
            rate: eta, a number or a variable of shape ().

        Raises:
            DiagramError: a `weight` that is no state, or one that stores other patterns already.
        """
        rate = rate_of(self, "store", rate, self.dtype)
        y = features(self, y, self.units, self.dtype, rank=2)
        update(self.weight, hebb(y, self.weight, rate))


def _sign(field: Variable, old: Variable) -> Variable:
    return where(equal(field, 0.0), old, sign(field))


def _tanh(field: Variable, old: Variable) -> Variable:
    return tanh(field)


_RULES = {"sign": _sign, "tanh": _tanh}


@block
def energy(y: Variable, weight: Variable) -> Variable:
    """-sum_ij y_i w_ij y_j."""
    return -total(y * (y @ weight), axis=-1)


@block
def free_energy(y: Variable, weight: Variable) -> Variable:
    """The energy, minus twice the entropy of units whose means are y, but for a constant."""
    return energy(y, weight) + total(_x_log_x(1.0 + y) + _x_log_x(1.0 - y), axis=-1)


def _x_log_x(x: Variable) -> Variable:
    some = greater(x, 0.0)
    return where(some, x * log(where(some, x, 1.0)), 0.0)


@block
def hebb(y: Variable, weight: Variable, rate: Variable) -> Variable:
    """The weights after the patterns y."""
    return weight + rate * couplings(y)
