"""What a matrix product is called with, as values of the function that is being written."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from ..building.llvm_loops import I64

NO_TAG = I64(0)


@dataclass(frozen=True)
class Product:
    """C[i*c_row + j] = sum over p < k of A[i*a_row + p*a_col] * B[p*b_row + j*b_col], i < m, j < n.

    The fields are in the order of the routine's arguments; strides are in elements.

    Attributes:
        space: the address of memory for what is packed.
        tag: of B, where all of it is packed at once; 0 elsewhere.
    """

    a: Any
    a_row: Any
    a_col: Any
    b: Any
    b_row: Any
    b_col: Any
    c: Any
    c_row: Any
    m: Any
    n: Any
    k: Any
    space: Any
    tag: Any = NO_TAG

    @property
    def arguments(self) -> list[Any]:
        """All values, in order."""
        return [getattr(self, field.name) for field in fields(self)]

    def transposed(self) -> Product:
        """B's transpose times A's; C is as it was, and the tag is gone."""
        return replace(
            self,
            a=self.b, a_row=self.b_col, a_col=self.b_row,
            b=self.a, b_row=self.a_col, b_col=self.a_row,
            m=self.n, n=self.m, tag=NO_TAG,
        )  # fmt: skip
