"""The plainest layers: blocks with a weight.  Each says in `forward` what it computes."""

from __future__ import annotations

from typing import Any

from ..arguments import integer
from ..drawing.blocks import Block
from ..errors import DtypeError, ShapeError
from ..location import user_location
from ..operations import structure
from ..operations.broadcasting import as_variables
from ..variables.variable import Variable, dtype_name, shape_text, source_text
from . import init


class Linear(Block):
    """An affine function of the last axis: x @ weight + bias.

    Applied to x of shape (..., inputs) it gives (..., outputs).

    Args:
        inputs: how many features x has.
        outputs: how many features the result has.
        bias: whether to add a parameter of shape (outputs,); or any variable in its place.
        weight_init: the weight's initialiser, as for `dg.parameter`; by default LeCun's uniform.
        bias_init: the bias's.
        weight: any variable of shape (inputs, outputs) in place of a parameter: one that other
            blocks share, or one that a network computes.
        dtype: of the parameters, float32 or float64.
        name: as for every block.

    Raises:
        ShapeError: a weight or bias of another shape; when applied, another number of features.
        DtypeError: the same for their dtypes.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        bias: bool | Variable = True,
        weight_init: Any = None,
        bias_init: Any = None,
        weight: Variable | None = None,
        dtype: Any = "float32",
        name: str | None = None,
    ) -> None:
        self.name = name
        self.inputs = inputs
        self.outputs = outputs
        self.dtype = dtype_name(dtype)
        start = init.with_layout(weight_init, "io")
        self._hold("weight", weight, (inputs, outputs), start, self.dtype)
        self._hold("bias", bias, (outputs,), bias_init, self.dtype)

    weight: Variable
    bias: Variable | None

    def forward(self, x: Variable) -> Variable:
        """(..., inputs) -> (..., outputs)."""
        (x,) = as_variables(x)
        subject = f"{self._describe()} ({user_location()})"
        if x.ndim == 0 or x.shape[-1] != self.inputs:
            got = x.shape[-1] if x.ndim else "shape ()"
            raise ShapeError(
                f"{subject} expects {self.inputs} features, got {got} from {source_text(x)}"
            )
        if x.dtype != self.dtype:
            raise DtypeError(
                f"{subject} expects {self.dtype} features like its weight, got {x.dtype} from "
                f'{source_text(x)}: convert one with .astype("{self.dtype}")'
            )
        y = x @ self.weight
        return y if self.bias is None else y + self.bias


class Flatten(Block):
    """The axes from `start` on as one: (B, 6, 8, 8) becomes (B, 384).

    Args:
        start: the first axis that is joined, counted from the front.
        name: as for every block.

    Raises:
        ShapeError: when applied to a variable of fewer axes.
        ValueError: a negative `start`.
    """

    def __init__(self, start: int = 1, name: str | None = None) -> None:
        self.name = name
        self.start = integer("Flatten", "start", start, 0)

    def forward(self, x: Variable) -> Variable:
        """(*first, *rest) -> (*first, product of the rest)."""
        if x.ndim <= self.start:
            raise ShapeError(
                f"{self._describe()} ({user_location()}) expects more than {self.start} axes, got "
                f"{shape_text(x.shape)} from {source_text(x)}"
            )
        return structure.flatten(x, self.start)
