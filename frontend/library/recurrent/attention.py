"""Attention: a mean of a memory's entries, weighted by how well they answer a query."""

from __future__ import annotations

from typing import Any

from ....compiler.dtypes import INDICES, computed
from ...drawing.blocks import Block
from ...errors import DtypeError, ShapeError
from ...location import user_location
from ...operations.contractions import einsum
from ...operations.elementwise import as_operands, less, tanh, where
from ...operations.source import arange
from ...operations.structure import expand_dims, swapaxes
from ...variables.variable import Variable, dtype_name, shape_text, source_text
from .. import init as initialisers
from ..functions.softmaxes import softmax


class AdditiveAttention(Block):
    """Attention with the score v' tanh(query W + entry U), a softmax of it, and a weighted mean.

    Bahdanau, Cho and Bengio, Neural machine translation by jointly learning to align and
    translate, 2015.  Applied as `attention(query, memory, lengths=None)` to a query of shape
    (B, queries) and a memory of shape (S, B, entries), it gives the mean, (B, entries), and the
    weights, (B, S).  In a loop, what depends on the memory alone is computed once before it.

    Args of the application:
        query: floats, one query for each sample.
        memory: floats, S entries for each sample, such as the states of an encoder.
        lengths: int32 or int64 of shape (B,), how many entries each sample has: the others have
            the weight 0, and so has every entry of a sample with none.

    Args:
        queries: how many features a query has.
        entries: how many an entry of the memory has.
        hidden: how many v has.
        weight_init: the initialiser of W and U; by default LeCun's uniform.
        query, entry, score: any variables in place of the parameters W, of shape (queries, hidden),
            U, (entries, hidden), and v, (hidden,).
        dtype: of the parameters, float32 or float64.
        name: as for every block.

    Raises:
        ShapeError, DtypeError: a variable of another shape or dtype; when applied to such.
    """

    query: Variable
    entry: Variable
    score: Variable

    def __init__(
        self,
        queries: int,
        entries: int,
        hidden: int,
        weight_init: Any = None,
        query: Variable | None = None,
        entry: Variable | None = None,
        score: Variable | None = None,
        dtype: Any = "float32",
        name: str | None = None,
    ) -> None:
        self.name = name
        self.queries = queries
        self.entries = entries
        self.dtype = dtype_name(dtype)
        start = initialisers.with_layout(weight_init, "io")
        self._hold("query", query, (queries, hidden), start, self.dtype)
        self._hold("entry", entry, (entries, hidden), start, self.dtype)
        start = initialisers.lecun_uniform(layout="i")
        self._hold("score", score, (hidden,), start, self.dtype)

    def forward(
        self, query: Variable, memory: Variable, lengths: Variable | None = None
    ) -> tuple[Variable, Variable]:
        """(B, queries), (S, B, entries) -> (B, entries) and (B, S)."""
        query, memory = as_operands(query, memory)
        self._check(query, memory, lengths)
        there = None
        if lengths is not None:
            there = less(expand_dims(arange(memory.shape[0], dtype=lengths.dtype), 1), lengths)
            memory = where(expand_dims(there, 2), memory, 0.0)  # 0 times NaN would be NaN
        scores = tanh(memory @ self.entry + query @ self.query) @ self.score
        if there is None:
            weights = softmax(scores, axis=0)
        else:
            weights = where(there, softmax(where(there, scores, -1e30), axis=0), 0.0)
        return einsum("sb,sbk->bk", weights, memory), swapaxes(weights, 0, 1)

    def _check(self, query: Variable, memory: Variable, lengths: Variable | None) -> None:
        subject = f"{self._describe()} ({user_location()})"
        if query.ndim != 2 or query.shape[1] != self.queries:
            raise ShapeError(
                f"{subject} expects a query of shape (B, {self.queries}), got "
                f"{shape_text(query.shape)} from {source_text(query)}"
            )
        if memory.ndim != 3 or memory.shape[1:] != (query.shape[0], self.entries):
            raise ShapeError(
                f"{subject} expects a memory of shape (S, {query.shape[0]}, {self.entries}), got "
                f"{shape_text(memory.shape)} from {source_text(memory)}"
            )
        for item in (query, memory):
            if item.dtype != computed(self.dtype):
                raise DtypeError(
                    f"{subject} expects dtype {self.dtype} like its weights, got {item.dtype} from "
                    f'{source_text(item)}: convert it with .astype("{self.dtype}")'
                )
        if lengths is not None and lengths.shape != query.shape[:1]:
            raise ShapeError(
                f"{subject} expects lengths of shape ({query.shape[0]},), got "
                f"{shape_text(lengths.shape)} from {source_text(lengths)}"
            )
        if lengths is not None and lengths.dtype not in INDICES:
            raise DtypeError(
                f"{subject} expects lengths of dtype int32 or int64, got {lengths.dtype} from "
                f"{source_text(lengths)}"
            )
