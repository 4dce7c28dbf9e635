"""The plainest layers: blocks with a weight.  Each says in `forward` what it computes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...compiler.dtypes import computed
from ..arguments import function as checked_function
from ..arguments import integer, number
from ..drawing.blocks import Block
from ..errors import DtypeError, ShapeError
from ..location import user_location
from ..operations import structure
from ..operations.broadcasting import as_variables
from ..operations.contractions import einsum
from ..operations.elementwise import as_operands, where
from ..operations.mode import training
from ..operations.random import random_uniform
from ..variables.variable import Variable, dtype_name, shape_text, source_text
from . import init
from .torch_names import Stored, TorchNamed


class _Weighted(TorchNamed):
    """What both share: PyTorch's names of a weight, whose outputs it has first, and a bias."""

    weight: Variable
    bias: Variable | None

    def _torch(self) -> dict[str, Stored]:
        bias = {} if self.bias is None else {"bias": Stored((self.bias,))}
        return {"weight": Stored((self.weight,), outputs_last=True)} | bias


class Linear(_Weighted):
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
        (x,) = as_operands(x)
        subject = f"{self._describe()} ({user_location()})"
        if x.ndim == 0 or x.shape[-1] != self.inputs:
            got = x.shape[-1] if x.ndim else "shape ()"
            raise ShapeError(
                f"{subject} expects {self.inputs} features, got {got} from {source_text(x)}"
            )
        if x.dtype != computed(self.dtype):
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


class Bilinear(_Weighted):
    """Products of two inputs: y_k = sum_ij x1_i weight_ijk x2_j + bias_k.

    Applied as `layer(x1, x2)` to (..., first) and (..., second) it gives (..., outputs).

    Args:
        first: how many features x1 has.
        second: how many features x2 has.
        outputs: how many features the result has.
        bias: whether to add a parameter of shape (outputs,); or any variable in its place.
        weight_init: the weight's initialiser; by default LeCun's uniform, for as many numbers as
            one output is made of, first * second.
        bias_init: the bias's.
        weight: any variable of shape (first, second, outputs) in place of a parameter.
        dtype: of the parameters, float32 or float64.
        name: as for every block.

    Raises:
        ShapeError, DtypeError: a weight or bias of another shape or dtype; when applied, features
            of another number or dtype, or two inputs of other samples.
    """

    weight: Variable
    bias: Variable | None

    def __init__(
        self,
        first: int,
        second: int,
        outputs: int,
        bias: bool | Variable = True,
        weight_init: Any = None,
        bias_init: Any = None,
        weight: Variable | None = None,
        dtype: Any = "float32",
        name: str | None = None,
    ) -> None:
        self.name = name
        self.first = integer("Bilinear", "first", first, 0)
        self.second = integer("Bilinear", "second", second, 0)
        self.outputs = integer("Bilinear", "outputs", outputs, 0)
        self.dtype = dtype_name(dtype)
        start = init.with_layout(weight_init, "iio")
        shape = (self.first, self.second, self.outputs)
        self._hold("weight", weight, shape, start, self.dtype)
        self._hold("bias", bias, (self.outputs,), bias_init, self.dtype)

    def forward(self, x1: Variable, x2: Variable) -> Variable:
        """(..., first), (..., second) -> (..., outputs)."""
        x1, x2 = as_operands(x1, x2)
        subject = f"{self._describe()} ({user_location()})"
        for given, features in ((x1, self.first), (x2, self.second)):
            if given.ndim == 0 or given.shape[-1] != features:
                got = given.shape[-1] if given.ndim else "shape ()"
                raise ShapeError(
                    f"{subject} expects {features} features, got {got} from {source_text(given)}"
                )
            if given.dtype != computed(self.dtype):
                raise DtypeError(
                    f"{subject} expects {self.dtype} features like its weight, got {given.dtype} "
                    f'from {source_text(given)}: convert one with .astype("{self.dtype}")'
                )
        if x1.shape[:-1] != x2.shape[:-1]:
            raise ShapeError(
                f"{subject} expects two inputs of the same samples, got {shape_text(x1.shape)} "
                f"from {source_text(x1)} and {shape_text(x2.shape)} from {source_text(x2)}"
            )
        y: Variable = einsum("...i,ijk,...j->...k", x1, self.weight, x2)
        return y if self.bias is None else y + self.bias


class Identity(Block):
    """What it is given, unchanged: a place in a chain where nothing is done.

    Args:
        name: as for every block.
    """

    def __init__(self, name: str | None = None) -> None:
        self.name = name

    def forward(self, x: Variable) -> Variable:
        """X -> x."""
        return as_variables(x)[0]


class Lambda(Block):
    """A function of variables as a block, with a name of its own.

        dg.Chain(dg.Linear(4, 6), dg.Lambda(lambda x: x.reshape("B", 2, 3), name="pairs"))

    A chain takes the function itself as well; `dg.block` draws one that many places use.

    Args:
        function: of variables; options by keyword are passed to it when the block is applied.
        name: as for every block.

    Raises:
        TypeError: something that cannot be called.
    """

    def __init__(self, function: Callable[..., Any], name: str | None = None) -> None:
        self.name = name
        self.function = checked_function("Lambda", "its argument", function, "of variables")

    def forward(self, *inputs: Any, **options: Any) -> Any:
        """What the function gives."""
        return self.function(*inputs, **options)


class PReLU(Block):
    """The identity where x is positive, else slope * x, of a slope that is learned.

    Applied to x of any shape it gives the same.  The derivative at 0 is the slope.

    He, Zhang, Ren and Sun, Delving deep into rectifiers, 2015.

    Args:
        channels: how many slopes there are: 1 for all elements, or one for each channel.
        weight_init: what they start with.
        axis: where x has its channels, if there is more than one slope.
        dtype: of the slopes, float32 or float64.
        name: as for every block.

    Raises:
        ShapeError, DtypeError: when applied to another number of channels, or another dtype.
    """

    weight: Variable

    def __init__(
        self,
        channels: int = 1,
        weight_init: Any = 0.25,
        axis: int = 1,
        dtype: Any = "float32",
        name: str | None = None,
    ) -> None:
        self.name = name
        self.channels = integer("PReLU", "channels", channels, 1)
        self.axis = integer("PReLU", "axis", axis)
        self.dtype = dtype_name(dtype)
        self._hold("weight", None, (self.channels,), weight_init, self.dtype)

    def forward(self, x: Variable) -> Variable:
        """X -> x, or slope * x."""
        (x,) = as_operands(x)
        subject = f"{self._describe()} ({user_location()})"
        if x.dtype != computed(self.dtype):
            raise DtypeError(
                f"{subject} expects {self.dtype} like its weight, got {x.dtype} from "
                f'{source_text(x)}: convert one with .astype("{self.dtype}")'
            )
        slope = self.weight
        if self.channels > 1:
            inside = -x.ndim <= self.axis < x.ndim
            if not inside or x.shape[self.axis] != self.channels:
                raise ShapeError(
                    f"{subject} expects {self.channels} channels on axis {self.axis}, got "
                    f"{shape_text(x.shape)} from {source_text(x)}"
                )
            behind = x.ndim - 1 - self.axis % x.ndim
            slope = structure.reshape(slope, (self.channels, *[1] * behind))
        elif x.ndim == 0:
            slope = structure.reshape(slope, ())
        return where(x > 0.0, x, slope * x)


class RReLU(Block):
    """The identity where x is positive, else slope * x, of a slope that is drawn.

    Each element has a slope of its own, which every training step draws anew between two numbers;
    inference takes their mean.  Applied to x of any shape it gives the same.

    Xu, Wang, Chen and Li, Empirical evaluation of rectified activations in convolution network,
    2015.

    Args:
        low: the least slope.
        high: the greatest.
        name: as for every block.

    Raises:
        TypeError, ValueError: slopes that are no numbers, or of which the first is greater.
        DtypeError: when applied to what is no float.
    """

    def __init__(self, low: float = 1 / 8, high: float = 1 / 3, name: str | None = None) -> None:
        self.name = name
        self.low = number("RReLU", "low", low)
        self.high = number("RReLU", "high", high)
        if self.low > self.high:
            subject = f"RReLU ({user_location()})"
            raise ValueError(f"{subject} expects low <= high, got {low:g} and {high:g}")

    def forward(self, x: Variable) -> Variable:
        """X -> x, or slope * x."""
        (x,) = as_operands(x)
        if not x.type.is_float:
            raise DtypeError(
                f"{self._describe()} ({user_location()}) expects floats, got {x.dtype} from "
                f'{source_text(x)}: convert it with .astype("float32")'
            )
        drawn = self.low + (self.high - self.low) * random_uniform(x.shape)
        slope = where(training(), drawn, (self.low + self.high) / 2)
        return where(x > 0.0, x, slope * x)
