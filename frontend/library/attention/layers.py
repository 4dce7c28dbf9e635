"""The layers of a Transformer: attention and a network for each step, with norms and ways around.

A way around is x + f(norm(x)) where the norm comes first, and norm(x + f(x)) where it comes last.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from ...arguments import flag, function, integer, number
from ...drawing.blocks import Block
from ...location import user_location
from ...operations.elementwise import as_operands
from ...variables.variable import Variable
from ..dropout import Dropout
from ..functions.rectifiers import relu
from ..layers import Linear
from ..normalisation import LayerNorm
from ..torch_names import Stored, TorchNamed, under
from .encodings import RotaryEncoding
from .multi_head import MultiHeadAttention

Activation = Callable[[Variable], Variable]


class FeedForward(Block):
    """Two linear layers with a function between them, for each step apart.

    Args:
        features: how many features a step has, before and after.
        hidden: how many it has between the layers.
        activation: the function.
        dropout: the probability with which a training step leaves out what it gives.
        bias: whether the layers have one.
        dtype: of the parameters, float32 or float64.
        name: as for every block.
    """

    def __init__(
        self,
        features: int,
        hidden: int,
        activation: Activation = relu,
        dropout: float = 0.0,
        bias: bool = True,
        dtype: Any = "float32",
        name: str | None = None,
    ) -> None:
        self.name = name
        self.first = Linear(features, hidden, bias, dtype=dtype)
        self.activation = activation
        self.dropout = Dropout(dropout)
        self.second = Linear(hidden, features, bias, dtype=dtype)

    def forward(self, x: Variable) -> Variable:
        """(..., features) -> (..., features)."""
        hidden = self.activation(self.first(x))
        return self.second(self.dropout(hidden) if self.dropout.p else hidden)

    def _torch(self) -> dict[str, Stored]:
        first, second = self.first._torch(), self.second._torch()
        return under("linear1.", first) | under("linear2.", second)


class _Layer(TorchNamed):
    """What the layers share: one step of a stack, of attentions and a network, each with a norm."""

    def _set(
        self,
        features: int,
        heads: int,
        hidden: int | None,
        norm_first: bool,
        activation: Activation,
        dropout: float,
        causal: bool,
        rotary: bool | RotaryEncoding,
        bias: bool,
        epsilon: float,
        dtype: Any,
        name: str | None,
        attentions: int,
    ) -> None:
        self.name = name
        place = f"{self._describe()} ({user_location()})"
        features = integer(place, "features", features, 1)
        hidden = 4 * features if hidden is None else integer(place, "hidden", hidden, 0)
        self.norm_first = flag(place, "norm_first", norm_first)
        function(place, "activation", activation, "of one variable, such as dg.gelu")
        p = number(place, "dropout", dropout, least=0, most=1)
        bias = flag(place, "bias", bias)
        self.attention = MultiHeadAttention(
            features, heads, bias=bias, causal=causal, dropout=p, rotary=rotary, dtype=dtype
        )
        if attentions > 1:
            self.cross_attention = MultiHeadAttention(
                features, heads, bias=bias, dropout=p, dtype=dtype
            )
        self.feed_forward = FeedForward(features, hidden, activation, p, bias, dtype)
        self.norms = [
            LayerNorm(features, epsilon, bias=bias, dtype=dtype) for _ in range(attentions + 1)
        ]
        self.dropout = Dropout(p)

    cross_attention: MultiHeadAttention

    def _around(self, x: Variable, part: int, inner: Callable[..., Variable]) -> Variable:
        """A part with its norm, and the way around it."""
        beside = self.norms[part]
        made = inner(beside(x) if self.norm_first else x)
        total = x + (self.dropout(made) if self.dropout.p else made)
        return total if self.norm_first else beside(total)

    def _torch(self) -> dict[str, Stored]:
        found = under("self_attn.", self.attention._torch())
        if len(self.norms) > 2:
            found |= under("multihead_attn.", self.cross_attention._torch())
        found |= self.feed_forward._torch()
        for place, item in enumerate(self.norms, 1):
            found |= under(f"norm{place}.", item._torch())
        return found


class TransformerEncoderLayer(_Layer):
    """Self-attention, then a network for each step, each with a norm and a way around it.

        y = dg.TransformerEncoderLayer(64, heads=4, norm_first=True, activation=dg.gelu)(x)

    Applied as `layer(x, mask=None, lengths=None)` to x of shape (..., T, features) it gives the
    same; mask and lengths are those of `MultiHeadAttention`.  Without `causal` and rotary positions
    it follows the order of the steps: steps in another order give the same in that order.

    Vaswani et al., Attention is all you need, 2017; with norm_first=True, Xiong et al., On layer
    normalization in the transformer architecture, 2020.  PyTorch's `nn.TransformerEncoderLayer`
    with batch_first=True, whose weights `load_torch` and `torch_weights` exchange.

    Args:
        features: how many features a step has; a multiple of heads.
        heads: how many heads the attention has.
        hidden: how many features the network has inside; by default 4 * features, as in the paper
            (PyTorch's is 2048).
        norm_first: whether a norm comes before what it belongs to, or behind the sum, as in the
            paper.
        activation: the function inside the network.
        dropout: the probability with which a training step leaves out a weight of attention, an
            element inside the network, and one of what comes to a sum. 0 by default: the paper and
            PyTorch have 0.1.
        causal: whether a step looks at itself and those before it alone, as in a language model.
        rotary: as for `MultiHeadAttention`.
        bias: whether linear layers and norms have one.
        epsilon: of the norms.
        dtype: of the parameters, float32 or float64.
        name: as for every block.

    Raises:
        TypeError, ValueError: arguments that are none, such as features that are no multiple of
            heads.
        ShapeError, DtypeError: when applied to other shapes or dtypes.
    """

    def __init__(
        self,
        features: int,
        heads: int,
        hidden: int | None = None,
        norm_first: bool = False,
        activation: Activation = relu,
        dropout: float = 0.0,
        causal: bool = False,
        rotary: bool | RotaryEncoding = False,
        bias: bool = True,
        epsilon: float = 1e-5,
        dtype: Any = "float32",
        name: str | None = None,
    ) -> None:
        self._set(
            features, heads, hidden, norm_first, activation, dropout, causal, rotary, bias,
            epsilon, dtype, name, attentions=1,
        )  # fmt: skip

    def forward(self, x: Variable, mask: Any = None, lengths: Any = None) -> Variable:
        """(..., T, features) -> (..., T, features)."""
        (x,) = as_operands(x)
        x = self._around(x, 0, partial(self.attention, mask=mask, lengths=lengths))
        return self._around(x, 1, self.feed_forward)


class TransformerDecoderLayer(_Layer):
    """Self-attention, attention to a memory, then a network for each step.

        y = dg.TransformerDecoderLayer(64, heads=4)(x, memory)

    Applied as `layer(x, memory, mask=None, memory_mask=None, lengths=None, memory_lengths=None)` to
    x of shape (..., T, features) and a memory of shape (..., S, features) it gives (..., T,
    features).  Masks and lengths are those of `MultiHeadAttention`, of the steps and of the memory.

    Vaswani et al., Attention is all you need, 2017.  PyTorch's `nn.TransformerDecoderLayer` with
    batch_first=True, whose weights `load_torch` and `torch_weights` exchange.

    Args:
        features, heads, hidden, norm_first, activation, dropout: as for `TransformerEncoderLayer`.
        causal: whether a step looks at itself and those before it alone: here it does, unless it
            is told otherwise (PyTorch wants a mask for it).
        rotary: as for `MultiHeadAttention`, of the self-attention alone.
        bias, epsilon, dtype, name: as for `TransformerEncoderLayer`.

    Raises:
        TypeError, ValueError, ShapeError, DtypeError: as `TransformerEncoderLayer`.
    """

    def __init__(
        self,
        features: int,
        heads: int,
        hidden: int | None = None,
        norm_first: bool = False,
        activation: Activation = relu,
        dropout: float = 0.0,
        causal: bool = True,
        rotary: bool | RotaryEncoding = False,
        bias: bool = True,
        epsilon: float = 1e-5,
        dtype: Any = "float32",
        name: str | None = None,
    ) -> None:
        self._set(
            features, heads, hidden, norm_first, activation, dropout, causal, rotary, bias,
            epsilon, dtype, name, attentions=2,
        )  # fmt: skip

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
        x = self._around(x, 0, partial(self.attention, mask=mask, lengths=lengths))
        seen = {"key": memory, "mask": memory_mask, "lengths": memory_lengths}
        x = self._around(x, 1, partial(self.cross_attention, **seen))
        return self._around(x, 2, self.feed_forward)
