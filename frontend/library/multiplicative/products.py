"""Units that multiply their inputs: sums of given products, and products to learned powers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ....compiler.dtypes import computed
from ...arguments import integer, items, wrong
from ...drawing.blocks import Block
from ...errors import DtypeError, ShapeError
from ...location import user_location
from ...operations.elementwise import absolute, as_operands, cos, exp, log
from ...operations.indexing import take
from ...operations.source import fill
from ...operations.structure import concatenate
from ...variables.variable import Variable, dtype_name, shape_text, source_text
from .. import init
from ..layers import Linear


class SigmaPi(Block):
    """Sums of products: s_i = sum_j w_ij prod_(k in S_j) x_k + b_i.

    Rumelhart, Hinton and McClelland, A general framework for parallel distributed processing, in
    Parallel Distributed Processing, 1986.  Products are multiplied out, so that values and
    derivatives are right where an input is 0.  Applied to x of shape (..., inputs) it gives
    (..., outputs).

        dg.SigmaPi(3, [(0,), (1, 2), (0, 0, 1)], 4)    s = w0 x0 + w1 x1 x2 + w2 x0^2 x1

    Args:
        inputs: how many features x has.
        conjuncts: the sets S_j, each a sequence of features' numbers in [0, inputs); one that
            stands twice is squared, and the product of none is 1.
        outputs: how many features the result has.
        bias, weight_init, bias_init, weight, dtype, name: as for `dg.Linear`, whose inputs are the
            products.

    Raises:
        TypeError, ValueError: conjuncts that are no sequences of such numbers.
        ShapeError, DtypeError: a variable of another shape or dtype; when applied to such.
    """

    linear: Linear

    def __init__(
        self,
        inputs: int,
        conjuncts: Sequence[Sequence[int]],
        outputs: int,
        bias: bool | Variable = True,
        weight_init: Any = None,
        bias_init: Any = None,
        weight: Variable | None = None,
        dtype: Any = "float32",
        name: str | None = None,
    ) -> None:
        self.name = name
        self.inputs = integer("SigmaPi", "inputs", inputs, 0)
        sets = items("SigmaPi", "conjuncts", conjuncts, "sets of features")
        self.conjuncts = tuple(
            tuple(self._feature(k) for k in items("SigmaPi", "a conjunct", each, "features"))
            for each in sets
        )
        self.linear = Linear(
            len(self.conjuncts), outputs, bias, weight_init, bias_init, weight, dtype
        )

    def _feature(self, number: Any) -> int:
        """A feature's number; ValueError where x has no such."""
        found = integer("SigmaPi", "a feature of the conjuncts", number, 0)
        if found >= self.inputs:
            expected = f"features of the conjuncts below {self.inputs}"
            raise wrong("SigmaPi", expected, found, ValueError)
        return found

    def forward(self, x: Variable) -> Variable:
        """(..., inputs) -> (..., outputs)."""
        (x,) = as_operands(x)
        _expect(self, x, self.inputs, self.linear.dtype)
        return self.linear(self._products(x))

    def _products(self, x: Variable) -> Variable:
        """The products, one factor of all at a time; a 1 completes the shorter ones."""
        one = fill(1.0, (*x.shape[:-1], 1), x.dtype)
        padded = concatenate([x, one], -1)
        most = max(map(len, self.conjuncts), default=0)
        table = [(*each, *[self.inputs] * (most - len(each))) for each in self.conjuncts]
        places = np.array(table, np.int64).reshape(len(table), most)
        found: Variable = fill(1.0, (*x.shape[:-1], len(table)), x.dtype)
        for factor in range(most):
            chosen = take(padded, places[:, factor], -1)
            found = chosen if factor == 0 else found * chosen
        return found


class ProductUnits(Block):
    """Products of inputs to learned powers: y_i = prod_j x_j ** w_ij, of each its real part.

    Durbin and Rumelhart, Product units: a computationally powerful and biologically plausible
    extension to backpropagation networks, 1989.  A negative number to a power that is no integer is
    complex; its real part is

        y_i = exp(sum_j w_ij log|x_j|) cos(pi sum_j w_ij [x_j < 0])

    which is the product itself where the powers of negative inputs are integers.  No input may be
    0: log|x| is infinite there, and y is 0, inf or NaN.  Applied to x of shape (..., inputs) it
    gives (..., outputs).

    Args:
        inputs: how many features x has.
        outputs: how many products there are.
        weight_init: the initialiser of the powers; by default LeCun's uniform.
        weight: any variable of shape (inputs, outputs) in place of a parameter.
        dtype: of the parameter, float32 or float64.
        name: as for every block.

    Raises:
        ShapeError, DtypeError: a variable of another shape or dtype; when applied to such.
    """

    weight: Variable

    def __init__(
        self,
        inputs: int,
        outputs: int,
        weight_init: Any = None,
        weight: Variable | None = None,
        dtype: Any = "float32",
        name: str | None = None,
    ) -> None:
        self.name = name
        self.inputs = inputs
        self.dtype = dtype_name(dtype)
        start = init.with_layout(weight_init, "io")
        self._hold("weight", weight, (inputs, outputs), start, self.dtype)

    def forward(self, x: Variable) -> Variable:
        """(..., inputs) -> (..., outputs)."""
        (x,) = as_operands(x)
        _expect(self, x, self.inputs, self.dtype)
        size = exp(log(absolute(x)) @ self.weight)
        return size * cos((x < 0.0).astype(self.dtype) @ self.weight * math.pi)


def _expect(block: Block, x: Variable, inputs: int, dtype: str) -> None:
    """ShapeError or DtypeError unless x has such features."""
    subject = f"{block._describe()} ({user_location()})"
    if x.ndim == 0 or x.shape[-1] != inputs:
        raise ShapeError(
            f"{subject} expects x of shape (..., {inputs}), got {shape_text(x.shape)} from "
            f"{source_text(x)}"
        )
    if x.dtype != computed(dtype):
        raise DtypeError(
            f"{subject} expects {dtype} like its weight, got {x.dtype} from {source_text(x)}: "
            f'convert it with .astype("{dtype}")'
        )
