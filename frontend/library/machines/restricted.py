"""The restricted Boltzmann machine: visible and hidden units, coupled between the two alone."""

from __future__ import annotations

from typing import Any, Literal

from ...arguments import integer, one_of
from ...drawing.blocks import Block, block
from ...drawing.states import memory, update
from ...location import user_location
from ...operations.reductions import sum as total
from ...operations.source import size
from ...variables.variable import Variable, dtype_name
from .. import init
from ..functions.smooth import softplus
from .boltzmann import kept_chains, mean_contrast
from .features import features, rate_of
from .gibbs import LayerSweep, Repeated, layer_means


class RestrictedBoltzmannMachine(Block):
    """Boltzmann's machine without couplings inside of a layer, so that a layer is drawn at once.

        P(v, h) = exp(-E(v, h)) / Z,   E(v, h) = -v W h - a v - b h

    The units are -1 or 1, as on the course's slide and in `dg.BoltzmannMachine`; with low=0 they
    are 0 or 1, as in most of the literature.  A step of `learn` makes the data likelier by the
    contrastive rule, W <- W + rate * (<v h> - <v~ h~>), in which h and h~ are means.

        machine = dg.RestrictedBoltzmannMachine(64, 32, low=0)
        machine.learn(v, rate=0.05)            # v (B, 64): an update of a step
        features = machine(v)                  # (B, 32)

    Applied to v (..., visible) it gives the means of the hidden units given v, (..., hidden): for
    -1 and 1 tanh(v W + b), for 0 and 1 sigmoid(v W + b).  Gradients come through it, and through
    `visible_means`, `energy` and `free_energy`.

    Smolensky, Information processing in dynamical systems: foundations of harmony theory, 1986;
    Hinton, Training products of experts by minimizing contrastive divergence, 2002.

    Args:
        visible: how many units have data.
        hidden: how many have none.
        low: what a unit is that is not 1: -1 or 0.
        chains: how many free states the program keeps and runs on from step to step (persistent
            contrastive divergence: Tieleman, Training restricted Boltzmann machines using
            approximations to the likelihood gradient, 2008).  None: in each step they begin at
            the data (contrastive divergence).
        weight_init: the weight's initialiser or array; by default normal numbers of deviation
            0.01, since hidden units that begin alike stay alike.
        dtype: of weights and units, float32 or float64.
        name: as for every block.

    Attributes:
        weight, visible_bias, hidden_bias: the states W, a and b.

    Raises:
        ShapeError, DtypeError: when applied, a v of another shape or dtype.
        TypeError, ValueError: arguments of another type, or out of their ranges.
    """

    def __init__(
        self,
        visible: int,
        hidden: int,
        low: Literal[-1, 0] = -1,
        chains: int | None = None,
        weight_init: Any = None,
        dtype: Any = "float32",
        name: str | None = None,
    ) -> None:
        self.name = name
        place = f"RestrictedBoltzmannMachine ({user_location()})"
        self.visible = integer(place, "visible", visible, 1)
        self.hidden = integer(place, "hidden", hidden, 1)
        self.low = one_of(place, "low", low, (-1, 0))
        self.dtype = dtype_name(dtype)
        start = init.normal(deviation=0.01) if weight_init is None else weight_init
        self.weight = memory("weight", (self.visible, self.hidden), start, self.dtype)
        self.visible_bias = memory("visible_bias", (self.visible,), 0.0, self.dtype)
        self.hidden_bias = memory("hidden_bias", (self.hidden,), 0.0, self.dtype)
        self.chains = kept_chains(place, chains, self.visible, self.dtype)
        held = (self.weight, self.visible_bias, self.hidden_bias, self.low)
        self.gibbs = Repeated(LayerSweep(*held))

    def forward(self, v: Variable) -> Variable:
        """(..., visible) -> (..., hidden): the means of the hidden units."""
        v = features(self, v, self.visible, self.dtype)
        return layer_means(v, self.weight, self.hidden_bias, low=self.low)

    def visible_means(self, h: Variable) -> Variable:
        """(..., hidden) -> (..., visible): the means of the visible units given hidden ones."""
        h = features(self, h, self.hidden, self.dtype)
        return layer_means(h, self.weight.T, self.visible_bias, low=self.low)

    def sample(self, v: Variable, sweeps: Any = 1) -> Variable:
        """Visible units (..., visible) after sweeps of Gibbs sampling that begin with v.

        Args:
            v: the state to begin with.
            sweeps: how many times both layers are drawn anew, an integer or a name.
        """
        return self.gibbs(features(self, v, self.visible, self.dtype), sweeps=sweeps)

    def energy(self, v: Variable, h: Variable) -> Variable:
        """-v W h - a v - b h: of v (..., visible) and h (..., hidden), (...)."""
        v = features(self, v, self.visible, self.dtype)
        h = features(self, h, self.hidden, self.dtype)
        return layer_energy(v, h, self.weight, self.visible_bias, self.hidden_bias)

    def free_energy(self, v: Variable) -> Variable:
        """-log sum_h exp(-E(v, h)), so that P(v) = exp(-F(v)) / Z: of v (..., visible), (...)."""
        v = features(self, v, self.visible, self.dtype)
        biases = (self.visible_bias, self.hidden_bias)
        return marginal_energy(v, self.weight, *biases, low=self.low)

    def learn(self, v: Variable, rate: float | Variable = 0.1, sweeps: Any = 1) -> Variable:
        """Let a step change weights and biases by the contrastive rule, for a batch of data.

        Args:
            v: (B, visible), of at least one sample: units, or the probabilities of such.
            rate: eta, a number or a variable of shape (), such as one that falls.
            sweeps: of Gibbs sampling, an integer or a name: the k of CD-k.

        Returns:
            The visible units that ran freely, (chains, visible), or (B, visible) without chains.

        Raises:
            DiagramError: the machine learns from other data already.
        """
        rate = rate_of(self, "learn", rate, self.dtype)
        v = features(self, v, self.visible, self.dtype, rank=2)
        free = self.sample(v if self.chains is None else self.chains, sweeps)
        if self.chains is not None:
            update(self.chains, free)
        h, free_h = self(v), self(free)
        update(self.weight, layer_contrast(v, h, free, free_h, self.weight, rate))
        update(self.visible_bias, mean_contrast(v, free, self.visible_bias, rate))
        update(self.hidden_bias, mean_contrast(h, free_h, self.hidden_bias, rate))
        return free


@block
def layer_energy(
    v: Variable, h: Variable, weight: Variable, visible_bias: Variable, hidden_bias: Variable
) -> Variable:
    """-v W h - a v - b h."""
    return -total(v * visible_bias, axis=-1) - total(h * (v @ weight + hidden_bias), axis=-1)


@block
def marginal_energy(
    v: Variable, weight: Variable, visible_bias: Variable, hidden_bias: Variable, low: int
) -> Variable:
    """-a v - sum_j log(exp(low f_j) + exp(f_j)), f = v W + b."""
    field = v @ weight + hidden_bias
    hidden = low * field + softplus((1 - low) * field)
    return -total(v * visible_bias, axis=-1) - total(hidden, axis=-1)


@block
def layer_contrast(
    v: Variable, h: Variable, free_v: Variable, free_h: Variable, weight: Variable, rate: Variable
) -> Variable:
    """The weights after the contrastive rule."""
    shown = v.T @ h / size(v.shape[0])
    return weight + rate * (shown - free_v.T @ free_h / size(free_v.shape[0]))
