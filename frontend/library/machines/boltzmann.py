"""Boltzmann's machine: units drawn at random by an energy, and the rule that shapes it."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from ...arguments import integer, number, one_of
from ...drawing.blocks import Block, block
from ...drawing.states import memory, update
from ...location import user_location
from ...operations.reductions import mean
from ...operations.reductions import sum as total
from ...operations.source import fill, size
from ...operations.structure import concatenate
from ...variables.variable import Variable, dtype_name
from .. import init
from .features import features, rate_of
from .gibbs import GibbsSweep, Repeated
from .sweep import couplings


class BoltzmannMachine(Block):
    """Units that are -1 or 1 (or 0 or 1) at random, each coupled with each.

        P(y) = exp(-E(y)) / Z,   E(y) = -sum_(i<j) w_ij y_i y_j - sum_i b_i y_i

    so that a unit of -1 or 1 has the mean tanh(sum_j w_ij y_j + b_i) given the others, and one of 0
    or 1 the mean sigmoid(...).  The first units are visible, the others hidden.  A step of `learn`
    makes the data likelier by the contrastive rule

        w_ij <- w_ij + rate * (<y_i y_j> - <y~_i y~_j>),   b_i <- b_i + rate * (<y_i> - <y~_i>)

    in which y has the data for its visible units, and y~ runs freely.  That is the gradient of the
    data's log-likelihood, as far as Gibbs sampling has come to rest.

        machine = dg.BoltzmannMachine(visible=9, hidden=4, chains=100)
        machine.learn(v, rate=0.05, sweeps=5)          # v (B, 9): an update of a step
        diagram = dg.Diagram("machine", {"fantasy": machine.sample(y, sweeps=50)})

    Applied to v (..., visible) it gives hidden units (..., hidden), drawn with v clamped.  Units
    are drawn one after another in their order, for all samples at once.

    Ackley, Hinton and Sejnowski, A learning algorithm for Boltzmann machines, 1985; Geman and
    Geman, Stochastic relaxation, Gibbs distributions, and the Bayesian restoration of images, 1984.

    Args:
        visible: how many units have data.
        hidden: how many have none.
        low: what a unit is that is not 1: -1 or 0.
        chains: how many free states the program keeps and runs on from step to step (Neal,
            Connectionist learning of belief networks, 1992; persistent contrastive divergence:
            Tieleman 2008).  None: in each step they begin at the data (contrastive divergence:
            Hinton, Training products of experts by minimizing contrastive divergence, 2002), which
            follows another slope than that of the likelihood, with less noise.
        deviation: of the first weights, which are normal numbers: hidden units that began alike
            would stay alike. 0.01 is Hinton's (A practical guide to training RBMs, 2010).
        dtype: of weights and units, float32 or float64.
        name: as for every block.

    Attributes:
        weight: the state (N, N), symmetric, with zeros on its diagonal; N = visible + hidden.
        bias: the state (N,), 0 at first.

    Raises:
        ShapeError, DtypeError: when applied, a v of another shape or dtype.
        TypeError, ValueError: arguments of another type, or out of their ranges.
    """

    def __init__(
        self,
        visible: int,
        hidden: int = 0,
        low: Literal[-1, 0] = -1,
        chains: int | None = None,
        deviation: float = 0.01,
        dtype: Any = "float32",
        name: str | None = None,
    ) -> None:
        self.name = name
        place = f"BoltzmannMachine ({user_location()})"
        self.visible = integer(place, "visible", visible, 1)
        self.hidden = integer(place, "hidden", hidden, 0)
        self.units = self.visible + self.hidden
        self.low = one_of(place, "low", low, (-1, 0))
        self.dtype = dtype_name(dtype)
        start = Symmetric(number(place, "deviation", deviation, least=0))
        self.weight = memory("weight", (self.units, self.units), start, self.dtype)
        self.bias = memory("bias", (self.units,), 0.0, self.dtype)
        self.chains = kept_chains(place, chains, self.units, self.dtype)
        held = (self.weight, self.bias, self.low)
        self.gibbs = Repeated(GibbsSweep(*held))
        self.clamped = Repeated(GibbsSweep(*held, first=self.visible))

    def forward(self, v: Variable, sweeps: Any = 1) -> Variable:
        """(..., visible) -> (..., hidden), after as many sweeps over the hidden units."""
        v = features(self, v, self.visible, self.dtype)
        return self._completed(v, sweeps)[..., self.visible :]

    def sample(self, y: Variable, sweeps: Any = 1) -> Variable:
        """All units after sweeps of Gibbs sampling: y (..., units), of any values, the first state.

        Args:
            y: the state to begin with.
            sweeps: how many times each unit is drawn anew, an integer or a name.
        """
        return self.gibbs(features(self, y, self.units, self.dtype), sweeps=sweeps)

    def energy(self, y: Variable) -> Variable:
        """-sum_(i<j) w_ij y_i y_j - sum_i b_i y_i: of y (..., units), (...)."""
        return pair_energy(features(self, y, self.units, self.dtype), self.weight, self.bias)

    def learn(self, v: Variable, rate: float | Variable = 0.1, sweeps: Any = 1) -> Variable:
        """Let a step change weights and biases by the contrastive rule, for a batch of data.

        Args:
            v: (B, visible), of at least one sample.
            rate: eta, a number or a variable of shape (), such as one that falls.
            sweeps: of Gibbs sampling, for the hidden units with the data clamped, and then for all
                units that run freely: an integer or a name.

        Returns:
            The units that ran freely, (chains, units), or (B, units) without chains.

        Raises:
            DiagramError: the machine learns from other data already.
        """
        rate = rate_of(self, "learn", rate, self.dtype)
        v = features(self, v, self.visible, self.dtype, rank=2)
        y = self._completed(v, sweeps)
        free = self.sample(y if self.chains is None else self.chains, sweeps)
        if self.chains is not None:
            update(self.chains, free)
        update(self.weight, contrast(y, free, self.weight, rate))
        update(self.bias, mean_contrast(y, free, self.bias, rate))
        return free

    def _completed(self, v: Variable, sweeps: Any) -> Variable:
        """All units, the visible ones as v has them."""
        unknown = fill(0.0, (*v.shape[:-1], self.hidden), self.dtype)
        y = concatenate([v, unknown], axis=-1)
        return self.clamped(y, sweeps=sweeps)


class Symmetric:
    """Initial weights: normal numbers, as many as there are pairs, and zeros on the diagonal."""

    def __init__(self, deviation: float) -> None:
        self.deviation = deviation

    def __call__(self, rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> init.Array:
        """As every initialiser."""
        upper = np.triu(rng.normal(0.0, self.deviation, shape), 1)
        return (upper + upper.T).astype(dtype)


def kept_chains(place: str, chains: Any, units: int, dtype: str) -> Variable | None:
    """The state of free units that run on; 0 at first, which favours no value."""
    if chains is None:
        return None
    return memory("chains", (integer(place, "chains", chains, 1), units), 0.0, dtype)


@block
def pair_energy(y: Variable, weight: Variable, bias: Variable) -> Variable:
    """-sum_(i<j) w_ij y_i y_j - sum_i b_i y_i, of symmetric weights."""
    return -total(y * (0.5 * (y @ weight) + bias), axis=-1)


@block
def contrast(y: Variable, free: Variable, weight: Variable, rate: Variable) -> Variable:
    """The weights after the contrastive rule."""
    shown = couplings(y) / size(y.shape[0])
    return weight + rate * (shown - couplings(free) / size(free.shape[0]))


@block
def mean_contrast(y: Variable, free: Variable, bias: Variable, rate: Variable) -> Variable:
    """Biases after the contrastive rule."""
    return bias + rate * (mean(y, axis=0) - mean(free, axis=0))
