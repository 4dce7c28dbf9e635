"""Vectors for symbols: the rows of a matrix, one for each."""

from __future__ import annotations

from typing import Any

from ..arguments import integer
from ..location import user_location
from ..operations.elementwise import not_equal, where
from ..operations.indexing import gather
from ..operations.structure import expand_dims
from ..variables.variable import Variable, dtype_name
from . import init as initialisers
from .torch_names import Stored, TorchNamed


class Embedding(TorchNamed):
    """A vector of its own for each symbol: rows of a parameter `weight` (symbols, width).

    Applied to symbols, int32 or int64 of any shape, it gives (*shape, width).  The symbols of an
    observed variable are checked to lie in [0, symbols) before a step.

        dg.Embedding(1000, 64, padding=0)

    Args:
        symbols: how many there are.
        width: how many features a vector has.
        padding: a symbol that gives 0, whatever its row holds, and from which no gradient comes,
            such as the one that fills up short sequences. (PyTorch's `padding_idx` gives its row,
            which is 0 at first and gets no gradient, but keeps what is put into it.)
        weight_init: the initialiser; by default normal numbers of variance 1.
        weight: any variable of that shape in place of the parameter.
        dtype: of the parameter, float32 or float64.
        name: as for every block.

    Raises:
        ShapeError, DtypeError: a weight of another shape or dtype.
        TypeError, ValueError: a padding that is no symbol.
    """

    weight: Variable

    def __init__(
        self,
        symbols: int,
        width: int,
        weight_init: Any = None,
        weight: Variable | None = None,
        padding: int | None = None,
        dtype: Any = "float32",
        name: str | None = None,
    ) -> None:
        self.name = name
        self.symbols = symbols
        place = f"{self._describe()} ({user_location()})"
        self.padding = None if padding is None else integer(place, "padding", padding, 0)
        if padding is not None and padding >= symbols:
            raise ValueError(
                f"{place} expects padding to be one of its {symbols} symbols, got {padding}"
            )
        start = initialisers.normal() if weight_init is None else weight_init
        start = initialisers.with_layout(start, "io")
        self._hold("weight", weight, (symbols, width), start, dtype_name(dtype))

    def _torch(self) -> dict[str, Stored]:
        return {"weight": Stored((self.weight,))}

    def forward(self, symbols: Variable) -> Variable:
        """(...) -> (..., width)."""
        found = gather(self.weight, symbols)
        if self.padding is None or found.mistakes:
            return found
        return where(expand_dims(not_equal(symbols, self.padding), -1), found, 0.0)
