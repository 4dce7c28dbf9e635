"""The rows of the table for the activations that are not the lectures', and for similarities."""

import numpy as np

import diagrad as dg

from .indexing_rows import uniform
from .operation import Array, Operation
from .rows import AXES, MATRIX, axes, moved, one, sigmoid, softmax

SCALE, ALPHA = 1.0507009873554805, 1.6732632423543772


def below(x: Array) -> Array:
    return np.asarray(np.minimum(x, 0))


def shuffled(x: Array) -> Array:
    """Twice as large: each pixel a square of four channels."""
    *front, channels, height, width = x.shape
    y = np.zeros((*front, channels // 4, 2 * height, 2 * width), x.dtype)
    for i in range(2):
        for j in range(2):
            y[..., i::2, j::2] = x[..., 2 * i + j :: 4, :, :]
    return y


def unshuffled(x: Array) -> Array:
    *front, channels, height, width = x.shape
    stacked = np.stack([x[..., i::2, j::2] for i in range(2) for j in range(2)], -3)
    return stacked.reshape(*front, 4 * channels, height // 2, width // 2)


def length(x: Array) -> Array:
    return np.asarray(np.sqrt((x * x).sum(-1, keepdims=True)))


def gated(x: Array) -> Array:
    value, gate = np.split(x, 2, -1)
    return np.asarray(value * sigmoid(gate))


def gumbel(x: Array) -> Array:
    draws = uniform(x.size, "uniform", "g").reshape(x.shape)
    return softmax((x - np.log(-np.log(1 - draws))) / 0.5, -1)


ACTIVATIONS = [
    one("celu", dg.celu, lambda x: np.where(x > 0, x, np.expm1(below(x)))),
    one("celu 2", lambda x: dg.celu(x, 2.0),
        lambda x: np.where(x > 0, x, 2 * np.expm1(below(x) / 2))),
    one("selu", dg.selu, lambda x: SCALE * np.where(x > 0, x, ALPHA * np.expm1(below(x)))),
    one("relu6", lambda x: dg.relu6(3 * x), lambda x: np.clip(3 * x, 0, 6)),
    one("hard_tanh 2", lambda x: dg.hard_tanh(x, -2.0, 0.5), lambda x: np.clip(x, -2, 0.5)),
    one("hard_sigmoid", lambda x: dg.hard_sigmoid(2 * x), lambda x: np.clip(2 * x + 3, 0, 6) / 6),
    one("hard_swish", lambda x: dg.hard_swish(2 * x),
        lambda x: 2 * x * np.clip(2 * x + 3, 0, 6) / 6),
    one("threshold", lambda x: dg.threshold(x, 0.5, -1.0), lambda x: np.where(x > 0.5, x, -1)),
    one("mish", dg.mish, lambda x: x * np.tanh(np.logaddexp(x, 0))),
    one("softplus 3", lambda x: dg.softplus(x, 3.0), lambda x: np.logaddexp(3 * x, 0) / 3),
    one("log_sigmoid", dg.log_sigmoid, lambda x: -np.logaddexp(-x, 0)),
    one("softsign", dg.softsign, lambda x: x / (1 + abs(x))),
    one("tanh_shrink", dg.tanh_shrink, lambda x: x - np.tanh(x)),
    Operation("glu", dg.glu, gated,
              (((7, 14),), ((2,),), ((0, 4),), ((3, 0),)), named=(("M", 6),)),
    axes("softmin", dg.softmin, lambda x: softmax(-x, -1), shapes=(*AXES, ((0, 5),))),
    Operation("gumbel_softmax", lambda x: dg.gumbel_softmax(x, 0.5, stream="g"), gumbel,
              (((7, 13),), ((1, 1),), ((0, 5),)), smooth=False),
    axes("normalize", dg.normalize, lambda x: x / length(x), shapes=(*AXES, ((0, 5),))),
    Operation("cosine_similarity", dg.cosine_similarity,
              lambda x, y: (x / length(x) * (y / length(y))).sum(-1),
              (((7, 13), (7, 13)), ((7, 13), (13,)), ((0, 3), (0, 3))), named=(MATRIX, MATRIX)),
    Operation("pairwise_distance", dg.pairwise_distance, lambda x, y: length(x - y + 1e-6)[..., 0],
              (((7, 13), (7, 13)), ((7, 1, 5), (3, 5)), ((0, 3), (0, 3))), named=(MATRIX, MATRIX)),
    moved("pixel_shuffle", shuffled, (2, 8, 3, 5), (4, 1, 1), (0, 4, 2, 3),
          ours=lambda x: dg.pixel_shuffle(x, 2), kinds="fi", named=(("M", 4, "N", 3),)),
    moved("pixel_unshuffle", unshuffled, (2, 3, 4, 6), (1, 2, 2), (0, 1, 2, 4),
          ours=lambda x: dg.pixel_unshuffle(x, 2), kinds="fi"),
]  # fmt: skip
