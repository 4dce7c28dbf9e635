"""Encoder and decoder: one sequence of symbols read, another one written."""

from __future__ import annotations

from typing import Any

from ....compiler.dtypes import INDICES
from ...arguments import flag, integer
from ...drawing.blocks import Block
from ...drawing.loops.loop import loop
from ...errors import DtypeError, ShapeError
from ...location import user_location
from ...operations.elementwise import as_operands, astype, less, tanh, where
from ...operations.reductions import argmax
from ...operations.source import arange, fill
from ...operations.structure import concatenate, expand_dims, reshape, swapaxes
from ...variables.variable import Variable, dtype_name, shape_text, source_text
from ..embedding import Embedding
from ..layers import Linear
from .attention import AdditiveAttention
from .cells import GRUCell
from .layers import GRU


class Encoder(Block):
    """An embedding, and a GRU over it: what is read, as states that attention can look at.

    Its parameters are those of these blocks; `dg.bind` puts variables in their place.

    Applied as `encoder(source, lengths=None)` to symbols of shape (S, B), of which those behind the
    lengths may be anything, it gives the states, of shape (S, B, features), and the final one,
    (B, features): with bidirectional=True that of both directions side by side,
    features = 2 * hidden, and hidden otherwise.

    Args:
        symbols: how many there are.
        width: how many features the embedding has.
        hidden: how many the GRU has.
        bidirectional: whether it runs in both directions.
        dtype: of the parameters, float32 or float64.
        name: as for every block.
    """

    def __init__(
        self,
        symbols: int,
        width: int,
        hidden: int,
        bidirectional: bool = True,
        dtype: Any = "float32",
        name: str | None = None,
    ) -> None:
        self.name = name
        subject = f"{self._describe()} ({user_location()})"
        hidden = integer(subject, "hidden", hidden, 0)
        bidirectional = flag(subject, "bidirectional", bidirectional)
        self.features = hidden * (2 if bidirectional else 1)
        self.embedding = Embedding(symbols, width, dtype=dtype)
        self.gru = GRU(width, hidden, bidirectional=bidirectional, dtype=dtype)

    def forward(
        self, source: Variable, lengths: Variable | None = None
    ) -> tuple[Variable, Variable]:
        """(S, B) -> (S, B, features) and (B, features)."""
        _expect_symbols(self, "a source of shape (S, B)", source)
        if lengths is not None and lengths.shape == source.shape[1:]:
            places = expand_dims(arange(source.shape[0], dtype=lengths.dtype), 1)
            source = where(less(places, lengths), source, 0)  # what is behind may be no symbol
        states, last = self.gru(self.embedding(source), lengths=lengths)
        return states, reshape(swapaxes(last, 0, 1), (last.shape[1], self.features))


class Decoder(Block):
    """A GRU that writes one symbol after another, and looks at a memory before each.

        mean, weights = attention(h, memory)
        h' = GRU([embedding of the symbol before, mean], h)
        scores = linear([h', mean])

    Bahdanau, Cho and Bengio (2015), simplified: the scores are linear.  The parameters are those
    of the blocks in it; `dg.bind` puts variables in their place.  Applied as
    `decoder(memory, last, target=None, steps=None, lengths=None)` it gives the scores of all
    symbols at each step, (T, B, symbols), and the weights with which it looked, (T, B, S).

    With `target` the symbol before is the right one (teacher forcing: Williams and Zipser, 1989):
    that is for training.  With `steps` it is the best of the step before, the one that
    `dg.argmax(scores, -1)` has (greedy decoding).

    Args of the application:
        memory: floats, (S, B, entries).
        last: what the first state is computed from, (B, entries).
        target: int32 or int64, (T, B): the symbols to be written.
        steps: T, an integer or a named size.
        lengths: how many entries of the memory each sample has, (B,).

    Args:
        symbols: how many there are.
        width: how many features the embedding has.
        hidden: how many the state and the attention have.
        entries: how many an entry of the memory has.
        start: the symbol before the first.
        dtype: of the parameters, float32 or float64.
        name: as for every block.

    Raises:
        ValueError: `start` is no symbol.
        TypeError: when applied with neither target nor steps, or both.
        ShapeError, DtypeError: when applied to other shapes or dtypes.
    """

    def __init__(
        self,
        symbols: int,
        width: int,
        hidden: int,
        entries: int,
        start: int = 0,
        dtype: Any = "float32",
        name: str | None = None,
    ) -> None:
        self.name = name
        subject = f"{self._describe()} ({user_location()})"
        symbols, start = integer(subject, "symbols", symbols), integer(subject, "start", start)
        if not 0 <= start < symbols:
            raise ValueError(
                f"{self._describe()} ({user_location()}) expects start to be one of its {symbols} "
                f"symbols, got {start}"
            )
        self.start = start
        self.dtype = dtype_name(dtype)
        self.embedding = Embedding(symbols, width, dtype=dtype)
        self.bridge = Linear(entries, hidden, dtype=dtype)
        self.attention = AdditiveAttention(hidden, entries, hidden, dtype=dtype)
        self.cell = GRUCell(width + entries, hidden, dtype=dtype)
        self.scores = Linear(hidden + entries, symbols, dtype=dtype)

    def forward(
        self,
        memory: Variable,
        last: Variable,
        target: Variable | None = None,
        steps: Any = None,
        lengths: Variable | None = None,
    ) -> tuple[Variable, Variable]:
        """(S, B, entries), (B, entries) -> (T, B, symbols) and (T, B, S)."""
        memory, last = as_operands(memory, last)
        if (target is None) == (steps is None):
            raise TypeError(
                f"{self._describe()} ({user_location()}) expects either a target, to be trained, "
                "or a number of steps, to write by itself"
            )
        t = loop("t", steps=steps)
        first = fill(self.start, last.shape[:1], "int32" if target is None else target.dtype)
        if target is None:
            before = t.delay("symbol", first)
        else:
            _expect_symbols(self, "a target of shape (T, B)", target)
            shifted = concatenate([first[None], target])[: target.shape[0]]
            before = t.each(shifted)
        h = t.delay("h", tanh(self.bridge(last)))
        mean, weights = self.attention(h, memory, lengths=lengths)
        following = self.cell(concatenate([self.embedding(before), mean], axis=-1), h)
        scores = self.scores(concatenate([following, mean], axis=-1))
        t.close(h, following)
        if target is None:
            t.close(before, astype(argmax(scores, -1), "int32"))
        return t.stack(scores), t.stack(weights)


class EncoderDecoder(Block):
    """An `Encoder` and a `Decoder` with attention: a sequence of symbols from another one.

        scores, _ = model(source, target)             to be trained
        scores, weights = model(source, steps="T")    to be asked: dg.argmax(scores, -1)

    Its parameters are those of the two; `dg.bind` puts variables in their place.

    Applied as `model(source, target=None, steps=None, lengths=None)` it gives scores of shape
    (T, B, written) and the attention's weights, (T, B, S).  `source` has the shape (S, B), `target`
    (T, B), `lengths` of the source (B,).

    Args:
        read: how many symbols there are to read.
        written: how many there are to write.
        width: how many features the embeddings have.
        hidden: how many the states have.
        start: the symbol that stands before the first one written.
        bidirectional: whether the encoder runs in both directions.
        dtype: of the parameters, float32 or float64.
        name: as for every block.

    Raises:
        ValueError, TypeError, ShapeError, DtypeError: as `Decoder`.
    """

    def __init__(
        self,
        read: int,
        written: int,
        width: int,
        hidden: int,
        start: int = 0,
        bidirectional: bool = True,
        dtype: Any = "float32",
        name: str | None = None,
    ) -> None:
        self.name = name
        self.encoder = Encoder(read, width, hidden, bidirectional, dtype)
        self.decoder = Decoder(written, width, hidden, self.encoder.features, start, dtype)

    def forward(
        self,
        source: Variable,
        target: Variable | None = None,
        steps: Any = None,
        lengths: Variable | None = None,
    ) -> tuple[Variable, Variable]:
        """(S, B), and (T, B) or T -> (T, B, written) and (T, B, S)."""
        memory, last = self.encoder(source, lengths=lengths)
        found: tuple[Variable, Variable] = self.decoder(
            memory, last, target=target, steps=steps, lengths=lengths
        )
        return found


def _expect_symbols(block: Block, what: str, symbols: Variable) -> None:
    """The mistake of symbols that are none."""
    subject = f"{block._describe()} ({user_location()})"
    if symbols.ndim != 2:
        raise ShapeError(
            f"{subject} expects {what}, got {shape_text(symbols.shape)} from {source_text(symbols)}"
        )
    if symbols.dtype not in INDICES:
        raise DtypeError(
            f"{subject} expects symbols of dtype int32 or int64, got {symbols.dtype} from "
            f"{source_text(symbols)}"
        )
