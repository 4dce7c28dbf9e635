"""What the kernels of linear algebra share: matrices of a batch where they lie in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...graph import Node
from ...graphs.views import mergeable, resolve
from ...sizes import Dim, ceil_divide
from ..nest import Places
from ..writer import Writer, decode

RESERVED = 64
"""Bytes at the start of a thread's memory that are not the kernel's: see `GEMM_LEFT`."""

ROWS = 8
"""Rows that are computed together, each in a register, so that what they read is read once.

Half as many where lanes are threads, whose registers hold the addresses of a triangle as well.
"""


@dataclass(frozen=True)
class Matrix:
    """The present matrix of an operand: a pointer, where it begins, and its strides."""

    pointer: str
    begin: str
    down: str
    across: str
    in_rows: bool

    def one(self, row: str, column: str) -> str:
        """An element, in all lanes."""
        return f"load_splat({self.pointer}, {self._place(row, column)})"

    def along_row(self, row: str, column: str, mask: str) -> str:
        """A vector of elements of a row, from a column on."""
        place = self._place(row, column)
        if self.in_rows:
            return f"load({self.pointer}, {place}, {mask})"
        return f"load_strided({self.pointer}, {place}, {self.across}, {mask})"

    def along_column(self, row: str, column: str, mask: str) -> str:
        """A vector of elements of a column, from a row on."""
        return f"load_strided({self.pointer}, {self._place(row, column)}, {self.down}, {mask})"

    def _place(self, row: str, column: str) -> str:
        return f"{self.begin} + {row} * {self.down} + {column} * {self.across}"


def enter_batch(
    writer: Writer, buffers: Places, items: Sequence[Node], panels: Dim | None = None
) -> tuple[list[Matrix], str]:
    """The beginning of the loop over the matrices of a batch; the operands at the present one.

    Where there are `panels`, it goes over those of each matrix too, and the second result is the
    number of the present one.
    """
    views = [resolve(item) for item in items]
    axes = batch_axes(items[0].shape[:-2], [view.strides for view in views])
    extents = [(writer.integer(extent, "n"), extent) for extent, _ in axes]
    if panels is not None:
        extents.append((writer.integer(panels, "n"), panels))
    pointers = [
        writer.pointer(place.buffer, place.offset + view.offset, view.base.dtype)
        for view, place in ((view, buffers[view.base]) for view in views)
    ]
    steps = [[writer.integer(strides[k], "s") for _, strides in axes] for k in range(len(items))]
    strides = [tuple(writer.integer(step, "s") for step in view.strides[-2:]) for view in views]
    writer.enter("for row in range(lo, hi):")
    indices = decode(writer, "row", extents)
    found = []
    for view, pointer, own, (down, across) in zip(views, pointers, steps, strides, strict=True):
        begin = writer.fresh("begin")
        terms = [f"{index} * {step}" for index, step in zip(indices, own, strict=False)]
        writer.line(f"{begin} = {' + '.join(terms)}")
        in_rows = view.strides[-1] == 1 or view.shape[-1] == 1
        found.append(Matrix(pointer, begin, down, across, in_rows))
    return found, indices[-1]


def batch_axes(
    lead: Sequence[Dim], strides: Sequence[Sequence[Dim]]
) -> list[tuple[Dim, tuple[Dim, ...]]]:
    """The axes of the batch, extent and strides in all operands, neighbours as one where they are.

    One axis of one matrix where there are none.
    """
    found: list[tuple[Dim, tuple[Dim, ...]]] = []
    for extent, steps in zip(lead, zip(*strides, strict=False), strict=False):
        if extent == 1:
            continue
        if found:
            outer, apart = found[-1]
            pairs = zip(apart, steps, strict=True)
            if all(mergeable((outer, one), (extent, other)) for one, other in pairs):
                found[-1] = (outer * extent, steps)
                continue
        found.append((extent, steps))
    return found or [(1, (0,) * len(strides))]


def whole(extent: Dim, part: int) -> Dim:
    """As many elements in whole parts, as vectors."""
    return ceil_divide(extent, part) * part


def block_of(rows: Dim, lanes: int) -> int:
    """How many rows are computed together: no more than there are."""
    most = ROWS if lanes <= 16 else ROWS // 2
    return max(1, min(most, rows)) if isinstance(rows, int) else most


def write(writer: Writer, text: str, **names: object) -> None:
    """Lines of a template at the present indentation."""
    for line in text.format(**names).splitlines():
        writer.line(line)
