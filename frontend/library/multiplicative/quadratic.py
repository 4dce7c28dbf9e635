"""The quadratic layer: a linear one whose weight is a linear function of another input."""

from __future__ import annotations

from typing import Any

from ....compiler.dtypes import computed
from ...arguments import integer
from ...drawing.binding import bind
from ...drawing.blocks import Block, parameters_of
from ...errors import DtypeError, ShapeError
from ...location import user_location
from ...operations.contractions import einsum
from ...operations.elementwise import as_operands
from ...variables.variable import Variable, dtype_name, shape_text, source_text
from .. import init
from ..layers import Linear


class WeightOf(Block):
    """The weight that z makes: w_ji = sum_k u_kji z_k, a matrix for each z.

    Applied to z of shape (context,) or (B, context) it gives (inputs, outputs), with the axis of
    samples in front where z has one.
    """

    u: Variable

    def __init__(
        self, context: int, inputs: int, outputs: int, start: Any, u: Variable | None, dtype: str
    ) -> None:
        self._hold("u", u, (context, inputs, outputs), start, dtype)

    def forward(self, z: Variable) -> Variable:
        """(..., context) -> (..., inputs, outputs)."""
        return einsum("k,kji->ji" if z.ndim == 1 else "bk,kji->bji", z, self.u)


class Quadratic(Block):
    """Products of two inputs: s_i = sum_jk u_ijk z_k x_j + b_i.

    It is a parameter transform: a linear layer on x whose weight w_ij = sum_k u_ijk z_k another
    input computes, and is drawn as one.  Applied as `layer(x, z)` to x of shape (B, inputs) and z
    of shape (B, context) it gives (B, outputs); with z of shape (context,) all samples have one
    weight, and x is of shape (..., inputs).  `layer(x, x)` has the squares of x and the products of
    its elements.

    Args:
        inputs: how many features x has.
        outputs: how many features the result has.
        context: how many features z has.
        bias: whether to add a parameter of shape (outputs,); or any variable in its place.
        weight_init: the initialiser of u; by default LeCun's uniform, for as many numbers as one
            output is made of, context * inputs.
        bias_init: the bias's.
        weight: any variable of shape (context, inputs, outputs) in place of u.
        dtype: of the parameters, float32 or float64.
        name: as for every block.

    Raises:
        ShapeError, DtypeError: a variable of another shape or dtype; when applied to such.
    """

    transform: WeightOf
    linear: Linear

    def __init__(
        self,
        inputs: int,
        outputs: int,
        context: int,
        bias: bool | Variable = True,
        weight_init: Any = None,
        bias_init: Any = None,
        weight: Variable | None = None,
        dtype: Any = "float32",
        name: str | None = None,
    ) -> None:
        self.name = name
        for word, value in (("inputs", inputs), ("outputs", outputs), ("context", context)):
            integer("Quadratic", word, value, 0)
        self.context = context
        self.dtype = dtype_name(dtype)
        start = init.with_layout(weight_init, "kio")
        self.transform = WeightOf(context, inputs, outputs, start, weight, self.dtype)
        self.linear = Linear(inputs, outputs, bias, bias_init=bias_init, dtype=self.dtype)

    def parameters(self) -> dict[str, Variable]:
        """Those of the transform, and the bias; the weight is computed."""
        found = {f"transform/{name}": v for name, v in parameters_of(self.transform).items()}
        linear = parameters_of(self.linear).items()
        return found | {f"linear/{name}": v for name, v in linear if name != "weight"}

    def forward(self, x: Variable, z: Variable) -> Variable:
        """(B, inputs), (B, context) -> (B, outputs)."""
        x, z = as_operands(x, z)
        subject = f"{self._describe()} ({user_location()})"
        if z.ndim not in (1, 2) or z.shape[-1] != self.context:
            raise ShapeError(
                f"{subject} expects z of shape ({self.context},) or (B, {self.context}), got "
                f"{shape_text(z.shape)} from {source_text(z)}"
            )
        if z.dtype != computed(self.dtype):
            raise DtypeError(
                f"{subject} expects {self.dtype} for z like its weight, got {z.dtype} from "
                f'{source_text(z)}: convert it with .astype("{self.dtype}")'
            )
        if z.ndim == 2 and x.shape[:1] != z.shape[:1]:
            raise ShapeError(
                f"{subject} expects x and z of the same samples, got {shape_text(x.shape)} from "
                f"{source_text(x)} and {shape_text(z.shape)} from {source_text(z)}"
            )
        return bind(self.linear, {"weight": self.transform(z)})(x)
