"""Cells: what a recurrent block computes at one step, drawn once and used at every step.

A cell is a function of the input and of the state of the step before.  Its gates lie side by side
in one weight for the input and one for the state, so that there is one product with each.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ....compiler.dtypes import computed
from ...arguments import flag, integer, number, one_of, wrong
from ...errors import DtypeError, ShapeError
from ...location import user_location
from ...operations.elementwise import as_operands, sigmoid, tanh
from ...operations.structure import split
from ...variables.variable import Variable, dtype_name, shape_text, source_text
from .. import init as initialisers
from ..functions.rectifiers import relu
from ..initialisers import Array, Initialiser, Shape
from ..torch_names import TorchNamed

if TYPE_CHECKING:
    from .integrators import LeakyIntegrator

Nonlinearity = Literal["tanh", "relu"]
NONLINEARITIES: dict[str, Callable[[Variable], Variable]] = {"tanh": tanh, "relu": relu}


@dataclass(frozen=True)
class SideBySide:
    """The weights of several gates in one matrix, each drawn by itself from one initialiser."""

    init: Initialiser
    gates: int

    def __call__(self, rng: np.random.Generator, shape: Shape, dtype: str) -> Array:
        """As every initialiser; the last axis is that of the gates."""
        one = (*shape[:-1], shape[-1] // self.gates)
        return np.concatenate([self.init(rng, one, dtype) for _ in range(self.gates)], axis=-1)


def side_by_side(init: Any, gates: int) -> Any:
    """An initialiser for gates that are side by side, of one for a gate; other things as given."""
    plain = isinstance(init, types.FunctionType) and init.__module__ == initialisers.__name__
    if gates == 1 or plain or not callable(init):
        return init
    return SideBySide(init, gates)


class Cell(TorchNamed):
    """One step of a recurrent block: what RNNCell, LSTMCell and GRUCell have in common.

    Parameters: `weight` of shape (inputs, gates * hidden), `recurrent` of shape
    (hidden, gates * hidden), and `bias` of shape (gates * hidden,).
    """

    gates: int = 1
    """How many lie side by side in the weights."""
    states: tuple[str, ...] = ("h",)
    """The names of the variables that go from step to step, each of shape (..., hidden)."""
    weight: Variable
    recurrent: Variable
    bias: Variable | None

    def __init__(
        self,
        inputs: int,
        hidden: int,
        bias: bool | Variable,
        weight_init: Any,
        recurrent_init: Any,
        bias_init: Any,
        weight: Variable | None,
        recurrent: Variable | None,
        dtype: Any,
        name: str | None,
    ) -> None:
        self.name = name
        subject = f"{self._describe()} ({user_location()})"
        self.inputs = inputs = integer(subject, "inputs", inputs, 0)
        self.hidden = hidden = integer(subject, "hidden", hidden, 0)
        self.dtype = dtype_name(dtype)
        start = initialisers.with_layout(weight_init, "io")
        start, width = side_by_side(start, self.gates), self.gates * hidden
        self._hold("weight", weight, (inputs, width), start, self.dtype)
        start = initialisers.orthogonal() if recurrent_init is None else recurrent_init
        start = side_by_side(initialisers.with_layout(start, "io"), self.gates)
        self._hold("recurrent", recurrent, (hidden, width), start, self.dtype)
        self._hold("bias", bias, (width,), bias_init, self.dtype)

    def enter(self, x: Any, *states: Any) -> list[Variable]:
        """Input and states as variables, of the right size and dtype."""
        found = as_operands(x, *states)
        subject = f"{self._describe()} ({user_location()})"
        sizes = [self.inputs, *[self.hidden] * len(states)]
        for word, item, size in zip(("x", *self.states), found, sizes, strict=True):
            came = f"from {source_text(item)}"
            if item.ndim == 0 or item.shape[-1] != size:
                raise ShapeError(
                    f"{subject} expects {word} of shape (..., {size}), got "
                    f"{shape_text(item.shape)} {came}"
                )
            if item.dtype != computed(self.dtype):
                raise DtypeError(
                    f"{subject} expects {word} of dtype {self.dtype} like its weights, got "
                    f'{item.dtype} {came}: convert one with .astype("{self.dtype}")'
                )
        return found

    def of_input(self, x: Variable) -> Variable:
        """What the input gives to each gate: independent of the state, so for all steps at once."""
        y = x @ self.weight
        return y if self.bias is None else y + self.bias

    # PyTorch has (gates * hidden, inputs) where we have (inputs, gates * hidden), with the gates in
    # the same order, and two biases where one would do.

    def _torch_shapes(self, subject: str) -> dict[str, tuple[int, ...]]:
        rows = self.gates * self.hidden
        shapes: dict[str, tuple[int, ...]] = {
            "weight_ih": (rows, self.inputs),
            "weight_hh": (rows, self.hidden),
        }
        return shapes | ({} if self.bias is None else {"bias_ih": (rows,), "bias_hh": (rows,)})

    def _from_torch(self, given: Mapping[str, Array]) -> list[tuple[Variable, Array]]:
        pairs = [(self.weight, given["weight_ih"].T), (self.recurrent, given["weight_hh"].T)]
        if self.bias is not None:
            pairs.append((self.bias, given["bias_ih"] + given["bias_hh"]))
        return pairs

    def _to_torch(self, arrays: Callable[[Variable], Array]) -> dict[str, Array]:
        weights = {"weight_ih": self.weight, "weight_hh": self.recurrent}
        found = {key: np.ascontiguousarray(arrays(item).T) for key, item in weights.items()}
        if self.bias is not None:
            bias = arrays(self.bias).copy()
            found |= {"bias_ih": bias, "bias_hh": np.zeros_like(bias)}
        return found


class RNNCell(Cell):
    """Elman's recurrence: h' = f(x W + h U + b).

    Elman, Finding structure in time, 1990.  Applied to x of shape (..., inputs) and h of shape
    (..., hidden) it gives h' of shape (..., hidden).

    Args:
        inputs: how many features x has.
        hidden: how many the state has.
        nonlinearity: f, "tanh" or "relu", or a function of one variable.
        bias: whether there is b; or any variable in its place.
        weight_init: the initialiser of W; by default LeCun's uniform.
        recurrent_init: that of U; by default a random orthogonal matrix.
            `dg.init.identity()` with "relu" is the IRNN of Le, Jaitly and Hinton (2015).
        leak: a `LeakyIntegrator(hidden, rate)`, which lets h' go only a part of the way to f.
        weight, recurrent: any variables in place of the parameters W and U.
        dtype: of the parameters, float32 or float64.
        name: as for every block.

    Raises:
        ValueError: another nonlinearity.
        ShapeError, DtypeError: a variable of another shape or dtype; when applied to such.
    """

    def __init__(
        self,
        inputs: int,
        hidden: int,
        nonlinearity: Nonlinearity | Callable[[Variable], Variable] = "tanh",
        bias: bool | Variable = True,
        weight_init: Any = None,
        recurrent_init: Any = None,
        leak: LeakyIntegrator | None = None,
        weight: Variable | None = None,
        recurrent: Variable | None = None,
        dtype: Any = "float32",
        name: str | None = None,
    ) -> None:
        super().__init__(inputs, hidden, bias, weight_init, recurrent_init, None,
                         weight, recurrent, dtype, name)  # fmt: skip
        known = isinstance(nonlinearity, str) and nonlinearity in NONLINEARITIES
        if isinstance(nonlinearity, type) or not (callable(nonlinearity) or known):
            raise wrong(
                f"{self._describe()} ({user_location()})",
                f"nonlinearity {' or '.join(NONLINEARITIES)} or a function",
                nonlinearity,
                ValueError,
            )
        chosen = NONLINEARITIES[nonlinearity] if isinstance(nonlinearity, str) else nonlinearity
        self.nonlinearity: Callable[[Variable], Variable] = chosen
        self.leak = leak

    def forward(self, x: Variable, h: Variable) -> Variable:
        """(..., inputs), (..., hidden) -> (..., hidden)."""
        x, h = self.enter(x, h)
        new = self.nonlinearity(self.of_input(x) + h @ self.recurrent)
        return new if self.leak is None else self.leak(h, new)


class LSTMCell(Cell):
    """Long short-term memory, with the gates i, f, g, o side by side in this order.

        i, f, o = sigmoid(x W + h U + b)      g = tanh(x W + h U + b)     each with its columns
        c' = f c + i g                        h' = o tanh(c')

    Hochreiter and Schmidhuber, Long short-term memory, 1997; the gate f is that of Gers,
    Schmidhuber and Cummins, Learning to forget, 2000.  As PyTorch and cuDNN compute it.  Applied to
    x of shape (..., inputs), and h and c of shape (..., hidden), it gives (h', c').

    Args:
        inputs: how many features x has.
        hidden: how many the state has.
        bias: whether there is b; or any variable in its place.
        weight_init: the initialiser of W, for each gate; by default LeCun's uniform.
        recurrent_init: that of U, for each gate; by default a random orthogonal matrix.
        forget_bias: what b starts with for the gate f, 0 for the others: with 1 the memory lasts
            at first (Jozefowicz, Zaremba and Sutskever, 2015).
        weight, recurrent: any variables in place of the parameters W and U.
        dtype: of the parameters, float32 or float64.
        name: as for every block.

    Raises:
        ShapeError, DtypeError: a variable of another shape or dtype; when applied to such.
    """

    gates = 4
    states = ("h", "c")

    def __init__(
        self,
        inputs: int,
        hidden: int,
        bias: bool | Variable = True,
        weight_init: Any = None,
        recurrent_init: Any = None,
        forget_bias: float = 1.0,
        weight: Variable | None = None,
        recurrent: Variable | None = None,
        dtype: Any = "float32",
        name: str | None = None,
    ) -> None:
        hidden = integer("LSTM", "hidden", hidden, 0)
        opened = number("LSTM", "forget_bias", forget_bias)
        start = np.repeat(np.array([0, opened, 0, 0], np.float64), hidden)
        super().__init__(inputs, hidden, bias, weight_init, recurrent_init, start,
                         weight, recurrent, dtype, name)  # fmt: skip

    def forward(self, x: Variable, h: Variable, c: Variable) -> tuple[Variable, Variable]:
        """(..., inputs), (..., hidden), (..., hidden) -> h' and c', each (..., hidden)."""
        x, h, c = self.enter(x, h, c)
        gates = self.of_input(x) + h @ self.recurrent
        i, f, g, o = split(gates, 4, axis=-1)
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)
        return sigmoid(o) * tanh(c), c


class GRUCell(Cell):
    """The gated recurrent unit, with r, z, n side by side in this order.

        r, z = sigmoid(x W + h U + b)                          each with its columns
        n = tanh(x W + b + r (h U + recurrent_bias))           reset_after=True
        n = tanh(x W + b + (r h) U)                            reset_after=False
        h' = (1 - z) n + z h                                   update="old"
        h' = z n + (1 - z) h                                   update="new"

    With reset_after=True, as PyTorch and cuDNN compute it, a step has one product with U; with
    False, as in Cho et al., Learning phrase representations using RNN encoder-decoder, 2014, two.
    Applied to x of shape (..., inputs) and h of shape (..., hidden) it gives h'.

    Args:
        inputs: how many features x has.
        hidden: how many the state has.
        reset_after: whether r multiplies what U has made of h, or h itself.
        update: which state the gate z multiplies: "old" as Cho et al. (2014) and PyTorch, or
            "new" as Chung et al., Empirical evaluation of gated recurrent neural networks, 2014.
        bias: whether there are b and, with reset_after=True, recurrent_bias, of shape (hidden,);
            or any variable in place of b.
        weight_init: the initialiser of W, for each of the three; by default LeCun's uniform.
        recurrent_init: that of U, for each of the three; by default a random orthogonal matrix.
        weight, recurrent, recurrent_bias: any variables in place of the parameters.
        dtype: of the parameters, float32 or float64.
        name: as for every block.

    Raises:
        ValueError: another `update`; a recurrent_bias where there is none.
        ShapeError, DtypeError: a variable of another shape or dtype; when applied to such.
    """

    gates = 3
    recurrent_bias: Variable | None

    def __init__(
        self,
        inputs: int,
        hidden: int,
        reset_after: bool = True,
        update: Literal["old", "new"] = "old",
        bias: bool | Variable = True,
        weight_init: Any = None,
        recurrent_init: Any = None,
        weight: Variable | None = None,
        recurrent: Variable | None = None,
        recurrent_bias: Variable | None = None,
        dtype: Any = "float32",
        name: str | None = None,
    ) -> None:
        super().__init__(inputs, hidden, bias, weight_init, recurrent_init, None,
                         weight, recurrent, dtype, name)  # fmt: skip
        subject = f"{self._describe()} ({user_location()})"
        self.update = one_of(subject, "update", update, ("old", "new"))
        self.reset_after = reset_after = flag(subject, "reset_after", reset_after)
        there = self.bias is not None and reset_after
        if recurrent_bias is not None and not there:
            raise ValueError(
                f"{subject} expects no recurrent_bias without a bias and reset_after=True"
            )
        given = recurrent_bias if there else False
        self._hold("recurrent_bias", given, (hidden,), None, self.dtype)

    def forward(self, x: Variable, h: Variable) -> Variable:
        """(..., inputs), (..., hidden) -> (..., hidden)."""
        x, h = self.enter(x, h)
        r, z, n = split(self.of_input(x), 3, axis=-1)
        if self.reset_after:
            r_more, z_more, n_more = split(h @ self.recurrent, 3, axis=-1)
            if self.recurrent_bias is not None:
                n_more = n_more + self.recurrent_bias
            n = tanh(n + sigmoid(r + r_more) * n_more)
        else:
            both = 2 * self.hidden
            r_more, z_more = split(h @ self.recurrent[:, :both], 2, axis=-1)
            n = tanh(n + (sigmoid(r + r_more) * h) @ self.recurrent[:, both:])
        gate = sigmoid(z + z_more)
        return n + gate * (h - n) if self.update == "old" else h + gate * (n - h)

    def _torch_shapes(self, subject: str) -> dict[str, tuple[int, ...]]:
        if not (self.reset_after and self.update == "old"):
            raise ValueError(
                f'{subject} expects reset_after=True and update="old", PyTorch\'s formulas, got '
                f'reset_after={self.reset_after} and update="{self.update}"'
            )
        return super()._torch_shapes(subject)

    def _from_torch(self, given: Mapping[str, Array]) -> list[tuple[Variable, Array]]:
        if self.recurrent_bias is None:
            return super()._from_torch(given)
        second, both = np.array(given["bias_hh"]), 2 * self.hidden
        own = second[both:].copy()
        second[both:] = 0
        return [*super()._from_torch({**given, "bias_hh": second}), (self.recurrent_bias, own)]

    def _to_torch(self, arrays: Callable[[Variable], Array]) -> dict[str, Array]:
        found = super()._to_torch(arrays)
        if self.recurrent_bias is not None:
            found["bias_hh"][2 * self.hidden :] = arrays(self.recurrent_bias)
        return found
