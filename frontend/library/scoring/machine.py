"""Weighted finite-state machines: which sequences there may be, and how likely each is."""

from __future__ import annotations

from typing import Any

from ...location import user_location
from ...operations.elementwise import equal, where
from ...variables.variable import Variable, dtype_name
from ..costs.reduction import Reduction, cost, reduced
from .arcs import Reader
from .paths import PathScore, Viterbi
from .steps import OfMachine
from .totals import ConstrainedScore, ForwardScore


class WFSM(OfMachine):
    """A weighted finite-state machine over lattices of scores: what `dg.wfsm` makes.

    A path begins in a state, follows one arc at each step, and takes the arc's label there.  Its
    score is the sum of the weights of its arcs, of the weights of its first and last state, and of
    the lattice's scores of its labels.  Applied as `machine(scores, lengths=None)` it gives the
    forward score; its parts are blocks too:

        machine.viterbi(scores, lengths=None)
            the best path: its score (B,), its labels, int32 (T, B), and its states, int32
            (T + 1, B), the first before the first step.  -1 stands behind a sample's end, and
            where a lattice has no path, whose score is -inf.  The score's derivatives are those
            of the path's score.
        machine.forward(scores, lengths=None)
            the log-sum-exp of the scores of all paths, (B,), -inf where there is none.  The
            gradient by the scores is the probability of each label at each step.
        machine.constrained(scores, labels, lengths=None)
            the same of the paths with these labels (T, B).
        machine.score(scores, labels, states, lengths=None)
            that of one path, -inf if the machine does not have it.
        machine.cost(scores, labels, lengths=None, reduction="mean")
            what all paths score more than those with the right labels, to be made small.

    Args of the application:
        scores: floats of shape (T, B, labels), time first; any numbers below infinity, such as
            the result of `dg.log_softmax`.
        lengths: int32 or int64 of shape (B,), how many steps each sample has.

    Raises:
        ShapeError, DtypeError: when applied to scores of another shape or dtype.
    """

    def __init__(
        self,
        states: Any,
        arcs: Any,
        start: Any,
        final: Any,
        labels: Any,
        weights: bool | Variable,
        dtype: Any,
        name: str | None,
    ) -> None:
        self.name = name
        self.dtype = dtype_name(dtype)
        reader = Reader(f"wfsm ({user_location()})", self.dtype)
        self.arcs = reader.arcs(states, arcs, start, final, labels)
        self.scalars = tuple(reader.variables)
        self._hold("weights", weights, (len(self.arcs.label),), 0.0, self.dtype)
        given = (self.arcs, self.weights, self.scalars, self.dtype)
        self.constrained = ConstrainedScore(*given)
        self.viterbi = Viterbi(*given)
        self.score = PathScore(*given)
        self.total = ForwardScore(*given)

    @property
    def states(self) -> tuple[Any, ...]:
        """The names of the states, by number."""
        return self.arcs.states

    @property
    def labels(self) -> tuple[Any, ...]:
        """The names of the labels, by number."""
        return self.arcs.labels

    def forward(self, scores: Variable, lengths: Variable | None = None) -> Variable:
        """(T, B, labels) -> (B,): the log-sum-exp of the scores of all paths."""
        return self.total(scores, lengths=lengths)

    def cost(
        self,
        scores: Variable,
        labels: Variable,
        lengths: Variable | None = None,
        reduction: Reduction = "mean",
    ) -> Variable:
        """The negative logarithm of the probability of the labels, which is 0 or more.

        That of a conditional random field (Lafferty, McCallum and Pereira, Conditional random
        fields, 2001), and of the forward training of LeCun, Bottou, Bengio and Haffner
        (Gradient-based learning applied to document recognition, 1998): the forward score of all
        paths minus that of those with the right labels.  Labels that no path has cost infinity.

        Args:
            scores: as for the machine.
            labels: int32 or int64 of shape (T, B).
            lengths: as for the machine.
            reduction: "mean" or "sum" over the samples, or "none".
        """
        every = self.total(scores, lengths=lengths)
        right = self.constrained(scores, labels, lengths=lengths)
        return path_cost(every, right, reduction=reduction)


@cost
def path_cost(every: Variable, right: Variable, reduction: Reduction = "mean") -> Variable:
    """The log-sum-exp of the scores of all paths, minus that of those which are right."""
    none = equal(right, -float("inf"))
    costs = where(none, float("inf"), where(none, 0.0, every) - where(none, 0.0, right))
    return reduced("path_cost", costs, reduction)


def wfsm(
    states: Any,
    arcs: Any,
    start: Any = None,
    final: Any = None,
    labels: Any = None,
    weights: bool | Variable = False,
    dtype: Any = "float32",
    name: str | None = None,
) -> WFSM:
    """A weighted finite-state machine: a grammar for sequences, see `WFSM` for what it computes.

        machine = dg.wfsm(
            states=["between", "digit"],
            arcs=[
                ("between", "between", "space"),        # from, to, label
                ("between", "digit", "5", -0.7),        # and a weight
                ("digit", "between", "space", change),  # or a scalar variable for one
            ],
            start="between",
            labels=["5", "space"],
        )
        score, labels, states = machine.viterbi(scores)  # scores (T, B, 2)

    Every arc takes one step and its label there; there are no arcs without a label.  Mohri,
    Pereira and Riley, Weighted finite-state transducers in speech recognition, 2002; Viterbi,
    Error bounds for convolutional codes, 1967; Baum's forward recursion as in Rabiner, A tutorial
    on hidden Markov models, 1989, in logarithms, with each step's greatest value taken out.

    Args:
        states: how many there are, or their names.
        arcs: tuples (from, to, label) or (from, to, label, weight): the states and labels by name
            or number, the weight a number, -inf for an arc that is as good as absent, or a
            variable of shape (), such as a parameter.  Several arcs may lead from one state to
            another.
        start: the states in which a path may begin: one, a list, or a dict with a weight for
            each; by default all.
        final: those in which it may end.
        labels: how many there are, or their names, in the order of the scores; by default as many
            as the numbers on the arcs ask for.
        weights: True for a parameter `weights` of shape (arcs,), zeros at first, which is added to
            the weights of the arcs; or any variable in its place.
        dtype: of the weights and scores, float32 or float64.
        name: as for every block.

    Raises:
        ValueError: a state or label that there is not, two of one name, or a weight that is NaN or
            infinity.
        TypeError: arguments of another type.
        ShapeError, DtypeError: a variable of another shape or dtype.
    """
    return WFSM(states, arcs, start, final, labels, weights, dtype, name)
