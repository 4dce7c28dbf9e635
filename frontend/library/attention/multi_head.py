"""Attention of several heads: each looks with queries, keys and values of its own."""

from __future__ import annotations

from typing import Any

from ...arguments import flag, integer, number
from ...drawing.blocks import block
from ...errors import DiagramError, ShapeError
from ...location import user_location
from ...operations.elementwise import as_operands, where
from ...operations.mode import training
from ...operations.structure import expand_dims, reshape, swapaxes
from ...variables.variable import Variable, dtype_name, shape_text, source_text
from ..dropout import Dropout
from ..layers import Linear
from ..torch_names import Stored, TorchNamed, under
from .attention import attention, attention_up_to, attention_weights, attention_with_dropout
from .continuing import continuation
from .encodings import RotaryEncoding
from .torch_layout import biases, side_by_side


class MultiHeadAttention(TorchNamed):
    """`dg.attention` in several heads at once, between linear layers.

        y = dg.MultiHeadAttention(64, heads=4, causal=True)(x)       self-attention
        y = dg.MultiHeadAttention(64, heads=4)(x, memory)            cross-attention

    Queries, keys and values are linear functions of what it is given; of their features each head
    has its share, features / heads. What the heads find, side by side, goes through one more
    linear layer. Without a mask, without `causal` and without rotary positions, what it gives does
    not depend on the order of the keys, and follows that of the queries.

    Vaswani et al., Attention is all you need, 2017.  PyTorch's is `nn.MultiheadAttention` with
    batch_first=True, whose weights `load_torch` and `torch_weights` exchange.

    Applied as `block(query, key=None, value=None, mask=None, lengths=None)` it gives
    (..., Tq, features).

    Args of the application:
        query: floats of shape (..., Tq, features).
        key: (..., Tk, key_features), with the same leading axes; by default the query.
        value: (..., Tk, value_features); by default the key.
        mask: bools that broadcast to (..., Tq, Tk), True where a key takes part (the opposite of
            PyTorch's masks of this block), or floats that are added to the scores, the same for
            all heads; with one axis more than the query, those of each head, (..., heads, Tq, Tk).
        lengths: how many keys each sample has, as for `dg.attention`.

    Args:
        features: how many the query and the result have; a multiple of heads.
        heads: how many heads there are.
        key_features: how many a key has; by default as the query.
        value_features: how many a value has; by default as the query.
        bias: whether the linear layers have one.
        causal: whether query i sees the keys j <= i alone.
        dropout: the probability with which a training step leaves out a weight, as
            `dg.Dropout` does; if it is not 0, the step keeps all weights, Tq x Tk of each head.
        rotary: whether queries and keys are turned by their positions; or a `dg.RotaryEncoding`.
        weight_init: the initialiser of the linear layers; by default LeCun's uniform.
        dtype: of the parameters, float32 or float64.
        name: as for every block.

    Raises:
        ValueError: features that are no multiple of heads, a dropout that is no probability.
        ShapeError, DtypeError: when applied to other shapes or dtypes.
    """

    def __init__(
        self,
        features: int,
        heads: int,
        key_features: int | None = None,
        value_features: int | None = None,
        bias: bool = True,
        causal: bool = False,
        dropout: float = 0.0,
        rotary: bool | RotaryEncoding = False,
        weight_init: Any = None,
        dtype: Any = "float32",
        name: str | None = None,
    ) -> None:
        self.name = name
        place = self._place()
        self.features = integer(place, "features", features, 1)
        self.heads = integer(place, "heads", heads, 1)
        if features % heads:
            raise ValueError(
                f"{place} expects features to be a multiple of its {heads} heads, got {features}"
            )
        widths = [
            features if width is None else integer(place, what, width, 1)
            for what, width in (("key_features", key_features), ("value_features", value_features))
        ]
        self.key_features, self.value_features = widths
        self.causal = flag(place, "causal", causal)
        bias = flag(place, "bias", bias)
        self.dtype = dtype_name(dtype)

        def layer(inputs: int) -> Linear:
            return Linear(inputs, features, bias, weight_init, dtype=self.dtype)

        self.query = layer(features)
        self.key = layer(self.key_features)
        self.value = layer(self.value_features)
        self.output = layer(features)
        self.dropout = Dropout(number(place, "dropout", dropout, least=0, most=1))
        if isinstance(rotary, RotaryEncoding):
            self.rotary: RotaryEncoding | None = rotary
        else:
            self.rotary = RotaryEncoding() if flag(place, "rotary", rotary) else None

    @property
    def symbol(self) -> str:
        """What its bullet says; nothing where the block has a name of its own."""
        kind = "causal attention" if self.causal else "attention"
        return "" if self.name else f"{kind}, {self.heads} head{'s' if self.heads > 1 else ''}"

    def forward(
        self,
        query: Variable,
        key: Variable | None = None,
        value: Variable | None = None,
        mask: Any = None,
        lengths: Any = None,
    ) -> Variable:
        """(..., Tq, features), (..., Tk, key_features) -> (..., Tq, features)."""
        before = continuation() if key is None else None
        if before is None:
            q, k, v = self.project(query, key, value)
            return self.attend(q, k, v, mask, self.causal, lengths)
        if not self.causal:
            raise DiagramError(
                f"{self._place()} expects causal=True where a sequence is continued, got attention "
                "to later steps"
            )
        if not (mask is None and lengths is None):
            raise TypeError(
                f"{self._place()} expects no mask and no lengths where it continues a sequence"
            )
        q, k, v = self.project(query, start=before.start)
        k, v, seen = before.extend(self, k, v)
        return self.attend(q, k, v, **seen)

    def project(
        self,
        query: Variable,
        key: Variable | None = None,
        value: Variable | None = None,
        start: Variable | int = 0,
    ) -> tuple[Variable, Variable, Variable]:
        """Queries, keys and values of the heads, each (..., heads, T, features / heads).

        `start` is the position of the first query and key, which rotary positions count from.  A
        step that follows others calls the three parts of this for what is new.
        """
        key = query if key is None else key
        value = key if value is None else value
        q, k = self.project_query(query, start), self.project_key(key, start)
        return q, k, self.project_value(value)

    def project_query(self, query: Variable, start: Variable | int = 0) -> Variable:
        """Those of the heads: (..., T, features) -> (..., heads, T, features / heads)."""
        return self._turned(self._split("a query", self.query, query), start)

    def project_key(self, key: Variable, start: Variable | int = 0) -> Variable:
        """Those of the heads: (..., T, key_features) -> (..., heads, T, features / heads)."""
        return self._turned(self._split("a key", self.key, key), start)

    def project_value(self, value: Variable) -> Variable:
        """Those of the heads: (..., T, value_features) -> (..., heads, T, features / heads)."""
        return self._split("a value", self.value, value)

    def attend(
        self,
        q: Variable,
        k: Variable,
        v: Variable,
        mask: Any = None,
        causal: bool = False,
        lengths: Any = None,
        seen: Variable | None = None,
    ) -> Variable:
        """What the heads find with such queries, keys and values, of shape (..., Tq, features).

        `causal` is that of `dg.attention`, whatever the block's own is: a query of a step that
        follows others sees all keys up to now, which are the first `seen` of those there is room
        for.
        """
        options = {"mask": self._beside_heads(mask, q), "causal": causal, "lengths": lengths}
        found = attention(q, k, v, **options) if seen is None else attention_up_to(q, k, v, seen)
        if self.dropout.p and seen is None:
            dropped = attention_with_dropout(q, k, v, self.dropout, **options)
            found = where(training(), dropped, found)
        result: Variable = self.output(join_heads(found))
        return result

    def weights(
        self, query: Variable, key: Variable | None = None, mask: Any = None, lengths: Any = None
    ) -> Variable:
        """The weights with which each head looks, (..., heads, Tq, Tk): to be looked at."""
        q, k = self.project_query(query), self.project_key(query if key is None else key)
        options = {"mask": self._beside_heads(mask, q), "causal": self.causal, "lengths": lengths}
        return attention_weights(q, k, **options)

    def _split(self, what: str, layer: Linear, x: Variable) -> Variable:
        """(..., T, inputs) -> (..., heads, T, features / heads)."""
        (x,) = as_operands(x)
        if x.ndim < 2:
            raise ShapeError(
                f"{self._place()} expects {what} of shape (..., T, {layer.inputs}), got "
                f"{shape_text(x.shape)} from {source_text(x)}"
            )
        found: Variable = split_heads(layer(x), self.heads, self.features // self.heads)
        return found

    def _turned(self, x: Variable, start: Variable | int) -> Variable:
        return x if self.rotary is None else self.rotary(x, start=start)

    def _beside_heads(self, mask: Any, q: Variable) -> Any:
        """A mask of more than two axes with one of heads, unless it has that."""
        if mask is None:
            return None
        (mask,) = as_operands(mask)
        return expand_dims(mask, -3) if 2 < mask.ndim < q.ndim else mask

    def _torch(self) -> dict[str, Stored]:
        layers = (self.query, self.key, self.value)
        if self.key_features == self.value_features == self.features:
            found = {"in_proj_weight": side_by_side(*layers)}
        else:
            names = (f"{letter}_proj_weight" for letter in "qkv")
            found = {name: side_by_side(item) for name, item in zip(names, layers, strict=True)}
        found |= biases("in_proj_bias", *layers)
        return found | under("out_proj.", self.output._torch())

    def _place(self) -> str:
        return f"{self._describe()} ({user_location()})"


@block
def split_heads(x: Variable, heads: int, size: int) -> Variable:
    """(..., T, heads * size) -> (..., heads, T, size)."""
    return swapaxes(reshape(x, (*x.shape[:-1], heads, size)), -2, -3)


@block
def join_heads(x: Variable) -> Variable:
    """(..., heads, T, size) -> (..., T, heads * size)."""
    turned = swapaxes(x, -2, -3)
    return reshape(turned, (*turned.shape[:-2], turned.shape[-2] * turned.shape[-1]))
