"""The sizes by which the matrix product is cut up, for one kind of element and of processor.

A tile is as many rows and vectors of C as the registers hold beside a step's vectors of B.  A panel
of B, `depth` by `width`, is 48 KiB, the first cache of the processors that this was measured on;
`packed_rows` of A by `depth` are 288 KiB, under a third of their second.  They are constants and
not read from the processor, since `depth` decides how a sum is rounded: results are the same on
every processor with the same width of vectors.  What only decides on packing is read (`host`).
"""

from __future__ import annotations

from dataclasses import dataclass

from ...program import GEMM_DEPTH, GEMM_ROWS


@dataclass(frozen=True)
class Blocking:
    """Sizes of one kind of element on one kind of processor."""

    kind: str
    lanes: int
    rows: int
    vectors: int
    packed_rows: int
    depth: int = GEMM_DEPTH
    panels: int = 4

    @property
    def packed_columns(self) -> int:
        """Columns of B that are packed at a time."""
        return self.panels * self.width

    @property
    def width(self) -> int:
        """Columns of a full tile."""
        return self.lanes * self.vectors

    @property
    def size(self) -> int:
        """Bytes of an element."""
        return 4 if self.kind == "f32" else 8

    @property
    def remainders(self) -> list[int]:
        """Heights for the rows that no full tile covers."""
        return [r for r in (8, 4, 2, 1) if r < self.rows]


def blocking(kind: str, vector_bytes: int) -> Blocking:
    """The register block for vectors of that many bytes."""
    size = 4 if kind == "f32" else 8
    lanes, packed = vector_bytes // size, GEMM_ROWS // size
    rows = {64: 12, 32: 6, 16: 4}[vector_bytes]
    return Blocking(kind, lanes, rows, vectors=2, packed_rows=packed // rows * rows)
