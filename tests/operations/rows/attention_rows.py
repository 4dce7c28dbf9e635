"""The rows of the table for attention, and for the positions that it is told of."""

import numpy as np

import diagrad as dg

from .operation import Array, Operation


def _weights(q: Array, k: Array, seen: Array | bool = True, scale: float | None = None) -> Array:
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    return _softmax(np.where(seen, scale * (q @ np.swapaxes(k, -1, -2)), -np.inf))


def _softmax(scores: Array) -> Array:
    """Over the last axis; 0 where all are minus infinity."""
    highest = np.max(scores, -1, keepdims=True, initial=-np.inf)
    terms = np.exp(scores - np.where(np.isfinite(highest), highest, 0))
    total = terms.sum(-1, keepdims=True)
    return np.asarray(terms / np.where(total == 0, 1, total))


def _causal(q: Array, k: Array) -> Array:
    return np.tri(q.shape[-2], k.shape[-2], dtype=bool)


def _within(k: Array, lengths: Array) -> Array:
    there = np.arange(k.shape[-2]) < lengths[:, None]
    return there.reshape(len(lengths), *(1,) * (k.ndim - 2), k.shape[-2])


def _positions(steps: int, features: int, start: int = 0, base: float = 1e4) -> Array:
    table = [
        [
            (np.cos if i % 2 else np.sin)(p / base ** ((i - i % 2) / features))
            for i in range(features)
        ]
        for p in range(start, start + steps)
    ]
    return np.asarray(table)


ATTENTIONS = [
    Operation("attention", dg.attention, lambda q, k, v: _weights(q, k) @ v,
              (((5, 3), (7, 3), (7, 2)), ((3, 1, 5), (3, 7, 5), (3, 7, 1)),
               ((2, 3, 7, 1), (2, 3, 1, 1), (2, 3, 1, 5)), ((0, 3, 2), (0, 5, 2), (0, 5, 3)),
               ((5, 3), (0, 3), (0, 2)), ((0, 3), (5, 3), (5, 2))),
              named=(("M", 3, 5), ("M", "N", 5), ("M", "N", 2))),
    Operation("attention causal", lambda q, k, v: dg.attention(q, k, v, causal=True, scale=0.3),
              lambda q, k, v: _weights(q, k, _causal(q, k), 0.3) @ v,
              (((5, 3), (5, 3), (5, 2)), ((2, 3, 7, 5), (2, 3, 5, 5), (2, 3, 5, 1))),
              named=(("M", 2, "N", 3), ("M", 2, "N", 3), ("M", 2, "N", 3))),
    Operation("attention lengths", lambda q, k, v, n: dg.attention(q, k, v, lengths=n),
              lambda q, k, v, n: _weights(q, k, _within(k, n)) @ v,
              (((7, 2, 3), (7, 5, 3), (7, 5, 2), (7,)),
               ((3, 2, 5, 1), (3, 2, 6, 1), (3, 2, 6, 3), (3,))),
              ("real", "real", "real", "index 6"),
              named=(("M", "N", 3), ("M", 5, 3), ("M", 5, 2), ("M",))),
    Operation("attention mask", lambda q, k, v, m: dg.attention(q, k, v, m),
              lambda q, k, v, m: _weights(q, k, m) @ v,
              (((2, 5, 3), (2, 7, 3), (2, 7, 2), (5, 7)), ((5, 3), (2, 3), (2, 5), (1, 2))),
              ("real", "real", "real", "mask"),
              named=(("M", 2, 3), ("M", "N", 3), ("M", "N", 2), ("M", 1, "N"))),
    Operation("attention added", lambda q, k, v, s: dg.attention(q, k, v, s),
              lambda q, k, v, s: _softmax(q @ np.swapaxes(k, -1, -2) * q.shape[-1] ** -0.5 + s) @ v,
              (((2, 5, 3), (2, 7, 3), (2, 7, 2), (5, 7)), ((5, 3), (2, 3), (2, 5), (1, 2))),
              named=(("M", 2, 3), ("M", "N", 3), ("M", "N", 2), ("M", 1, "N"))),
    Operation("attention in blocks", dg.attention, lambda q, k, v: _weights(q, k) @ v,
              (((2, 131, 5), (2, 137, 5), (2, 137, 3)),)),
    Operation("attention_weights", dg.attention_weights, _weights,
              (((5, 3), (7, 3)), ((2, 3, 1, 5), (2, 3, 7, 5)), ((5, 3), (0, 3))),
              named=(("M", 3, 5), ("M", "N", 5))),
    Operation("positional_encoding", lambda: dg.positional_encoding(17, 7),
              lambda: _positions(17, 7), ((),), dtype="float32", smooth=False),
    Operation("positional_encoding later",
              lambda: dg.positional_encoding(5, 6, 31, 50.0, "float64"),
              lambda: _positions(5, 6, 31, 50.0), ((),), dtype="float64", smooth=False),
]  # fmt: skip
