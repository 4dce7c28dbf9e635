"""RNN, LSTM and GRU: loops over sequences, in layers and in both directions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from ...variables.variable import Variable
from .cells import Cell, GRUCell, LSTMCell, Nonlinearity, RNNCell
from .integrators import LeakyIntegrator
from .sequences import Given, Recurrent


class RNN(Recurrent):
    """Elman's recurrent network, h(t) = f(x(t) W + h(t-1) U + b): see `RNNCell`.

    Applied to x, and optionally an initial state, lengths and probes, it gives Y of shape
    (T, B, hidden * directions), all states of the last layer, and the final state of all layers,
    (layers * directions, B, hidden), in PyTorch's order: forward before reverse, layer by layer.

    Args of the application `rnn(x, state=None, lengths=None, probes=None)`:
        x: floats of shape (T, B, inputs), time first.
        state: the one before the first step, shaped as the final state; by default zeros.
        lengths: int32 or int64 of shape (B,), how many steps each sample has; Y is zero behind
            them, as with PyTorch's packed sequences.
        probes: of `dg.probes`, for `dg.gradient_propagation`.

    Args:
        inputs: how many features x has at each step.
        hidden: how many the state has.
        nonlinearity: f, "tanh" or "relu", or a function of one variable.
        layers: how many there are; each has the states of the one below for its input.
        bidirectional: whether each layer also runs from the last step to the first, with
            parameters of its own; its states come behind the others along the last axis.
        reverse: whether it runs from the last step to the first only.
        bias: whether there is b; or variables, as for weight.
        weight_init: the initialiser of each W; by default LeCun's uniform.
        recurrent_init: that of each U; by default a random orthogonal matrix.
        rate: of a leaky integration, h(t) = h(t-1) + rate (f(...) - h(t-1)): see
            `LeakyIntegrator`.
        weight, recurrent: any variables in place of the parameters W and U: one that all layers and
            directions share, or a list of one for each (None for a parameter), in the order of the
            final states.
        batch_first: x and Y with the samples first, (B, T, ...).
        truncate, checkpoint: as for `dg.loop`.
        dtype: of the parameters, float32 or float64.
        name: as for every block.

    Raises:
        ValueError: a number or a word out of its range; another number of variables.
        ShapeError, DtypeError: a variable of another shape or dtype; when applied to such.
    """

    def __init__(
        self,
        inputs: int,
        hidden: int,
        nonlinearity: Nonlinearity | Callable[[Variable], Variable] = "tanh",
        layers: int = 1,
        bidirectional: bool = False,
        reverse: bool = False,
        bias: bool | Given = True,
        weight_init: Any = None,
        recurrent_init: Any = None,
        rate: float | None = None,
        weight: Given = None,
        recurrent: Given = None,
        batch_first: bool = False,
        truncate: int | None = None,
        checkpoint: int | None = None,
        dtype: Any = "float32",
        name: str | None = None,
    ) -> None:
        def cell(size: int, **given: Any) -> Cell:
            leak = None if rate is None else LeakyIntegrator(hidden, rate)
            return RNNCell(size, hidden, nonlinearity, weight_init=weight_init, leak=leak,
                           recurrent_init=recurrent_init, dtype=dtype, **given)  # fmt: skip

        given = {"weight": weight, "recurrent": recurrent, "bias": bias}
        super().__init__(cell, given, inputs, hidden, layers, bidirectional, reverse, batch_first,
                         truncate, checkpoint, name)  # fmt: skip


class LSTM(Recurrent):
    """Long short-term memory over a sequence: see `LSTMCell` for its formulas.

    Applied as `lstm(x, state=None, lengths=None)` it gives Y, all states h of the last layer, and
    the final states (h, c) of all layers. The initial state is a tuple (h, c) too. Shapes and
    arguments are those of `RNN`; there are no probes, for the state is two variables.

    Args:
        inputs: how many features x has at each step.
        hidden: how many the state has.
        layers, bidirectional, reverse, bias, weight_init, recurrent_init, weight, recurrent,
            batch_first, truncate, checkpoint, dtype, name: as for `RNN`.
        forget_bias: what the bias of the forget gate starts with.

    Raises:
        ValueError: a number or a word out of its range; another number of variables.
        ShapeError, DtypeError: a variable of another shape or dtype; when applied to such.
    """

    def __init__(
        self,
        inputs: int,
        hidden: int,
        layers: int = 1,
        bidirectional: bool = False,
        reverse: bool = False,
        bias: bool | Given = True,
        weight_init: Any = None,
        recurrent_init: Any = None,
        forget_bias: float = 1.0,
        weight: Given = None,
        recurrent: Given = None,
        batch_first: bool = False,
        truncate: int | None = None,
        checkpoint: int | None = None,
        dtype: Any = "float32",
        name: str | None = None,
    ) -> None:
        def cell(size: int, **given: Any) -> Cell:
            return LSTMCell(size, hidden, weight_init=weight_init, recurrent_init=recurrent_init,
                            forget_bias=forget_bias, dtype=dtype, **given)  # fmt: skip

        given = {"weight": weight, "recurrent": recurrent, "bias": bias}
        super().__init__(cell, given, inputs, hidden, layers, bidirectional, reverse, batch_first,
                         truncate, checkpoint, name)  # fmt: skip


class GRU(Recurrent):
    """Gated recurrent units over a sequence: see `GRUCell` for their formulas.

    Applied as `gru(x, state=None, lengths=None, probes=None)` it gives Y and the final state.
    Shapes and arguments are those of `RNN`.

    Args:
        inputs: how many features x has at each step.
        hidden: how many the state has.
        reset_after: whether the reset gate multiplies what U has made of h, as in PyTorch, or h
            itself, as in Cho et al. (2014).
        update: which state the update gate multiplies, "old" as in PyTorch, or "new".
        layers, bidirectional, reverse, bias, weight_init, recurrent_init, weight, recurrent,
            batch_first, truncate, checkpoint, dtype, name: as for `RNN`.
        recurrent_bias: variables in place of the parameters, as for weight.

    Raises:
        ValueError: a number or a word out of its range; another number of variables.
        ShapeError, DtypeError: a variable of another shape or dtype; when applied to such.
    """

    def __init__(
        self,
        inputs: int,
        hidden: int,
        reset_after: bool = True,
        update: Literal["old", "new"] = "old",
        layers: int = 1,
        bidirectional: bool = False,
        reverse: bool = False,
        bias: bool | Given = True,
        weight_init: Any = None,
        recurrent_init: Any = None,
        weight: Given = None,
        recurrent: Given = None,
        recurrent_bias: Given = None,
        batch_first: bool = False,
        truncate: int | None = None,
        checkpoint: int | None = None,
        dtype: Any = "float32",
        name: str | None = None,
    ) -> None:
        def cell(size: int, **given: Any) -> Cell:
            return GRUCell(size, hidden, reset_after, update, weight_init=weight_init,
                           recurrent_init=recurrent_init, dtype=dtype, **given)  # fmt: skip

        given = {"weight": weight, "recurrent": recurrent, "bias": bias,
                 "recurrent_bias": recurrent_bias}  # fmt: skip
        super().__init__(cell, given, inputs, hidden, layers, bidirectional, reverse, batch_first,
                         truncate, checkpoint, name)  # fmt: skip
