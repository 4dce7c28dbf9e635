"""Transformers: stacks of layers that read, that write, and both together."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from ...arguments import flag, integer
from ...location import user_location
from ...operations.elementwise import as_operands
from ...variables.variable import Variable
from ..functions.rectifiers import relu
from ..normalisation import LayerNorm
from ..torch_names import Stored, TorchNamed, under
from .encodings import RotaryEncoding
from .layers import Activation, TransformerDecoderLayer, TransformerEncoderLayer


class _Stack(TorchNamed):
    """Layers of a kind one after another, and a norm behind the last."""

    layers: list[Any]
    norm: LayerNorm | None

    def _set(
        self,
        name: str | None,
        layer: Callable[[], Any],
        layers: int,
        last: Callable[[], Any],
        norm: bool,
    ) -> None:
        self.name = name
        place = f"{self._describe()} ({user_location()})"
        self.layers = [layer() for _ in range(integer(place, "layers", layers, 0))]
        self.norm = last() if flag(place, "norm", norm) else None

    def _torch(self) -> dict[str, Stored]:
        found: dict[str, Stored] = {}
        for index, item in enumerate(self.layers):
            found |= under(f"layers.{index}.", item._torch())
        return found | ({} if self.norm is None else under("norm.", self.norm._torch()))

    def _closed(self, x: Variable) -> Variable:
        return x if self.norm is None else self.norm(x)


class TransformerEncoder(_Stack):
    """`TransformerEncoderLayer`s one after another, and a norm behind the last.

        memory = dg.TransformerEncoder(512, heads=8, layers=6)(x)
        states = dg.TransformerEncoder(128, heads=4, layers=2, causal=True, norm_first=True)(x)

    With causal=True it is the stack of a language model ("decoder-only").

    Applied as `encoder(x, mask=None, lengths=None)` to x of shape (..., T, features) it gives the
    same; mask and lengths are those of `MultiHeadAttention`.

    Vaswani et al., Attention is all you need, 2017.  PyTorch's `nn.TransformerEncoder`, whose
    weights `load_torch` and `torch_weights` exchange.

    Args:
        features: how many features a step has; a multiple of heads.
        heads: how many heads the attention has.
        layers: how many layers there are.
        hidden, norm_first, activation, dropout, causal, rotary, bias, epsilon: as for
            `TransformerEncoderLayer`.
        norm: whether there is a norm behind the last layer, as in PyTorch's `nn.Transformer`.
        dtype: of the parameters, float32 or float64.
        name: as for every block.

    Raises:
        TypeError, ValueError, ShapeError, DtypeError: as `TransformerEncoderLayer`.
    """

    def __init__(
        self,
        features: int,
        heads: int,
        layers: int,
        hidden: int | None = None,
        norm_first: bool = False,
        activation: Activation = relu,
        dropout: float = 0.0,
        causal: bool = False,
        rotary: bool | RotaryEncoding = False,
        norm: bool = True,
        bias: bool = True,
        epsilon: float = 1e-5,
        dtype: Any = "float32",
        name: str | None = None,
    ) -> None:
        layer = partial(
            TransformerEncoderLayer, features, heads, hidden, norm_first, activation, dropout,
            causal, rotary, bias, epsilon, dtype,
        )  # fmt: skip
        last = partial(LayerNorm, features, epsilon, bias=bias, dtype=dtype)
        self._set(name, layer, layers, last, norm)

    def forward(self, x: Variable, mask: Any = None, lengths: Any = None) -> Variable:
        """(..., T, features) -> (..., T, features)."""
        (x,) = as_operands(x)
        for layer in self.layers:
            x = layer(x, mask=mask, lengths=lengths)
        return self._closed(x)


class TransformerDecoder(_Stack):
    """`TransformerDecoderLayer`s one after another, and a norm behind the last.

    Applied as `decoder(x, memory, mask=None, memory_mask=None, lengths=None, memory_lengths=None)`
    to x of shape (..., T, features) and a memory of shape (..., S, features) it gives (..., T,
    features).  Masks and lengths are those of `MultiHeadAttention`, of the steps and of the memory.

    Vaswani et al., Attention is all you need, 2017.  PyTorch's `nn.TransformerDecoder`, whose
    weights `load_torch` and `torch_weights` exchange.

    Args:
        features, heads, layers, hidden, norm_first, activation, dropout, norm: as for
            `TransformerEncoder`.
        causal, rotary: as for `TransformerDecoderLayer`.
        bias, epsilon, dtype, name: as for `TransformerEncoder`.

    Raises:
        TypeError, ValueError, ShapeError, DtypeError: as `TransformerEncoderLayer`.
    """

    def __init__(
        self,
        features: int,
        heads: int,
        layers: int,
        hidden: int | None = None,
        norm_first: bool = False,
        activation: Activation = relu,
        dropout: float = 0.0,
        causal: bool = True,
        rotary: bool | RotaryEncoding = False,
        norm: bool = True,
        bias: bool = True,
        epsilon: float = 1e-5,
        dtype: Any = "float32",
        name: str | None = None,
    ) -> None:
        layer = partial(
            TransformerDecoderLayer, features, heads, hidden, norm_first, activation, dropout,
            causal, rotary, bias, epsilon, dtype,
        )  # fmt: skip
        last = partial(LayerNorm, features, epsilon, bias=bias, dtype=dtype)
        self._set(name, layer, layers, last, norm)

    def forward(
        self,
        x: Variable,
        memory: Variable,
        mask: Any = None,
        memory_mask: Any = None,
        lengths: Any = None,
        memory_lengths: Any = None,
    ) -> Variable:
        """(..., T, features), (..., S, features) -> (..., T, features)."""
        x, memory = as_operands(x, memory)
        seen = {"mask": mask, "memory_mask": memory_mask}
        seen |= {"lengths": lengths, "memory_lengths": memory_lengths}
        for layer in self.layers:
            x = layer(x, memory, **seen)
        return self._closed(x)


class Transformer(TorchNamed):
    """A `TransformerEncoder` that reads, and a `TransformerDecoder` that writes and looks at it.

        y = dg.Transformer(64, heads=4, encoder_layers=2, decoder_layers=2)(source, target)

    Embeddings, positions and the scores of symbols are blocks of their own, before and behind it.
    `model.encoder` and `model.decoder` are blocks too: who writes step by step reads once.

    Applied as `model(source, target, mask=None, target_mask=None, memory_mask=None, lengths=None,
    target_lengths=None)` to a source of shape (..., S, features) and a target of shape (..., T,
    features) it gives (..., T, features).  Masks and lengths are those of `MultiHeadAttention`:
    `mask` and `lengths` of the source, the latter for the decoder's look at it too, `memory_mask`
    for that alone.

    Vaswani et al., Attention is all you need, 2017.  PyTorch's `nn.Transformer` with
    batch_first=True, whose weights `load_torch` and `torch_weights` exchange; but the target's
    steps look at those before them alone without being told.

    Args:
        features: how many features a step has; the paper's base model has 512.
        heads: how many heads the attentions have; in the paper 8.
        encoder_layers, decoder_layers: how many layers there are; in the paper 6 and 6.
        hidden, norm_first, activation, dropout, rotary, bias, epsilon: as for
            `TransformerEncoderLayer`.
        dtype: of the parameters, float32 or float64.
        name: as for every block.

    Raises:
        TypeError, ValueError, ShapeError, DtypeError: as `TransformerEncoderLayer`.
    """

    def __init__(
        self,
        features: int = 512,
        heads: int = 8,
        encoder_layers: int = 6,
        decoder_layers: int = 6,
        hidden: int | None = None,
        norm_first: bool = False,
        activation: Activation = relu,
        dropout: float = 0.0,
        rotary: bool | RotaryEncoding = False,
        bias: bool = True,
        epsilon: float = 1e-5,
        dtype: Any = "float32",
        name: str | None = None,
    ) -> None:
        self.name = name
        options: dict[str, Any] = {"hidden": hidden, "norm_first": norm_first, "rotary": rotary}
        options |= {"activation": activation, "dropout": dropout}
        options |= {"bias": bias, "epsilon": epsilon, "dtype": dtype}
        self.encoder = TransformerEncoder(features, heads, encoder_layers, **options)
        self.decoder = TransformerDecoder(features, heads, decoder_layers, **options)

    def forward(
        self,
        source: Variable,
        target: Variable,
        mask: Any = None,
        target_mask: Any = None,
        memory_mask: Any = None,
        lengths: Any = None,
        target_lengths: Any = None,
    ) -> Variable:
        """(..., S, features), (..., T, features) -> (..., T, features)."""
        source, target = as_operands(source, target)
        memory = self.encoder(source, mask=mask, lengths=lengths)
        seen = {"mask": target_mask, "memory_mask": memory_mask}
        seen |= {"lengths": target_lengths, "memory_lengths": lengths}
        return self.decoder(target, memory, **seen)

    def _torch(self) -> dict[str, Stored]:
        return under("encoder.", self.encoder._torch()) | under("decoder.", self.decoder._torch())
