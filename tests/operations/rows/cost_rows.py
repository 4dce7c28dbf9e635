"""The rows of the table for the costs."""

from typing import Any

import numpy as np

import diagrad as dg

from .operation import Array, Operation
from .rows import MATRIX, mean, sigmoid, softmax


def _costs(name: str, each: Any, domains: tuple[str, ...], **options: Any) -> list[Operation]:
    """A cost of two operands of one shape, with its three reductions."""
    function = getattr(dg, name)
    rows = {"": mean, "sum": np.sum, "none": lambda v: v}
    return [
        Operation(
            " ".join([name, *map(str, options.values()), word]).strip(),
            lambda *v, w=word: function(*v, **options, **({"reduction": w} if w else {})),
            lambda *a, r=reduce: r(each(*a)),
            (((7, 13), (7, 13)), ((1,), (1,))),
            domains,
            named=(MATRIX, MATRIX),
        )
        for word, reduce in rows.items()
    ]


def _labels(name: str, prepare: Any) -> list[Operation]:
    """A cost of scores and labels, with its three reductions."""
    function = getattr(dg, name)

    def each(x: Array, y: Array) -> Array:
        return np.asarray(-np.take_along_axis(prepare(x), y[..., None], -1)[..., 0])

    rows = {"": mean, "sum": np.sum, "none": lambda v: v}
    return [
        Operation(
            f"{name} {word}".strip(),
            lambda *v, w=word: function(*v, **({"reduction": w} if w else {})),
            lambda *a, r=reduce: r(each(*a)),
            (((17, 7), (17,)), ((2, 3, 7), (2, 3)), ((7,), ())),
            ("real", "index 7"),
            named=(("M", 7), ("M",)),
        )
        for word, reduce in rows.items()
    ]


def _info_nce(a: Array, b: Array, temperature: float) -> Any:
    """The mean of the cross entropies of rows and of columns, of the cosines."""
    a, b = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (a, b))
    scores = a @ b.T / temperature
    both = [np.log(np.exp(s).sum(1)) - np.diag(s) for s in (scores, scores.T)]
    return mean(np.concatenate(both))


def _vicreg(a: Array, b: Array) -> Any:
    """As its paper has it, but for the mean of the two terms of the variance."""
    cost = 25 * mean((a - b) ** 2)
    for z in (a, b):
        centred = z - mean(z, 0, True)
        products = centred.T @ centred / (np.float64(len(z)) - 1)
        variances = np.diag(products)
        cost = cost + 12.5 * mean(np.maximum(0, 1 - np.sqrt(variances + 1e-4)))
        cost = cost + ((products**2).sum() - (variances**2).sum()) / z.shape[1]
    return cost


def _focal(x: Array, t: Array) -> Any:
    p = np.where(t == 1, sigmoid(x), 1 - sigmoid(x))
    return -np.where(t == 1, 0.25, 0.75) * (1 - p) ** 2 * np.log(p)


def _smoothed(x: Array, y: Array, ignored: int, smoothing: float) -> Any:
    """Of maps with their classes on axis 1."""
    scores = np.moveaxis(x, 1, -1).reshape(-1, x.shape[1])
    kept = y.reshape(-1) != ignored
    log_p = np.log(softmax(scores, -1))[kept]
    right = np.take_along_axis(log_p, y.reshape(-1)[kept][:, None], 1)[:, 0]
    return mean(-(1 - smoothing) * right - smoothing * log_p.mean(1))


def _cosine(x: Array, y: Array, t: Array) -> Any:
    cos = (x * y).sum(-1) / np.sqrt(((x * x).sum(-1) + 1e-12) * ((y * y).sum(-1) + 1e-12))
    return mean(np.where(t > 0, 1 - cos, np.maximum(cos, 0)))


def _distance(x: Array, y: Array) -> Any:
    return np.sqrt(((x - y + 1e-6) ** 2).sum(-1))


def _ctc(x: Array, y: Array) -> Any:
    """By the forward algorithm over labels with blanks between them, of probabilities."""
    p, labels = softmax(x, -1), 1 + y
    places = np.zeros((len(y), 2 * y.shape[1] + 1), int)
    places[:, 1::2] = labels
    costs = np.zeros(len(y))
    for b, row in enumerate(places):
        alpha = np.zeros(len(row) + 2)  # behind two zeros
        alpha[2] = 1
        for t in range(len(p)):
            skip = np.array([s > 1 and c != 0 and c != row[s - 2] for s, c in enumerate(row)])
            stay, step, leap = alpha[2:], alpha[1:-1], np.where(skip, alpha[:-2], 0)
            if t == 0:  # from before the first step: the first blank or the first label
                stay, leap = np.eye(len(row))[0], np.zeros(len(row))
                step = np.eye(len(row))[1] if len(row) > 1 else leap
            alpha[2:] = (stay + step + leap) * p[t, b, row]
        costs[b] = -np.log(alpha[-2:].sum() if len(row) > 1 else alpha[-1])
    return costs


def _multi_margin(x: Array, y: Array) -> Any:
    right = np.take_along_axis(x, y[..., None], -1)
    short = np.maximum(1 - right + x, 0).sum(-1) - 1
    return mean(short / x.shape[-1])


COSTS = [
    *_costs("squared_error", lambda x, y: (x - y) ** 2, ("real",)),
    *_costs("absolute_error", lambda x, y: abs(x - y), ("real",)),
    *_costs("huber", lambda x, y: np.where(abs(x - y) <= 1, (x - y) ** 2 / 2, abs(x - y) - 0.5),
            ("real",)),
    *_costs("huber", lambda x, y: np.where(abs(x - y) <= 2, (x - y) ** 2 / 2, 2 * abs(x - y) - 2),
            ("real",), delta=2.0)[:1],
    *_costs("binary_cross_entropy", lambda x, t: np.logaddexp(x, 0) - x * t, ("real", "share")),
    *_costs("hinge", lambda x, t: np.maximum(1 - t * x, 0), ("real", "sign")),
    *_costs("focal", lambda x, t: _focal(x, t), ("real", "level")),
    *_labels("cross_entropy", lambda x: np.log(softmax(x, -1))),
    *_labels("nll", lambda x: x),
    Operation("cross_entropy of maps",
              lambda x, y: dg.cross_entropy(x, y, ignore_index=2, label_smoothing=0.2, axis=1),
              lambda x, y: _smoothed(x, y, 2, 0.2),
              (((3, 7, 5), (3, 5)), ((2, 7, 2, 3), (2, 2, 3))), ("real", "index 7"),
              named=(("M", 7, "N"), ("M", "N"))),
    Operation("multi_margin", dg.multi_margin, _multi_margin,
              (((17, 7), (17,)), ((7,), ())), ("real", "index 7"), named=(("M", 7), ("M",))),
    *_costs("kl_divergence", lambda x, t: t * (np.log(t) - x), ("real", "share")),
    *_costs("poisson_nll", lambda x, t: np.exp(x) - t * x, ("real", "positive"))[:1],
    Operation("gaussian_nll", dg.gaussian_nll,
              lambda x, t, v: mean((np.log(v) + (x - t) ** 2 / v) / 2),
              (((7, 13), (7, 13), (7, 13)), ((3, 5), (3, 5), (3, 1))),
              ("real", "real", "positive"), named=(MATRIX, MATRIX, MATRIX)),
    Operation("cosine", dg.cosine, _cosine, (((7, 13), (7, 13), (7,)), ((1, 2), (1, 2), (1,))),
              ("real", "real", "sign"), named=(MATRIX, MATRIX, ("M",))),
    Operation("margin", lambda x, y, t: dg.margin(x, y, t, 0.3),
              lambda x, y, t: mean(np.maximum(0.3 - t * (x - y), 0)),
              (((7, 13), (7, 13), (7, 13)),), ("real", "real", "sign"),
              named=(MATRIX, MATRIX, MATRIX)),
    Operation("triplet", dg.triplet,
              lambda a, b, c: mean(np.maximum(1 + _distance(a, b) - _distance(a, c), 0)),
              (((7, 13), (7, 13), (7, 13)), ((3, 1), (3, 1), (3, 1))),
              named=(MATRIX, MATRIX, MATRIX)),
    Operation("ctc", lambda x, y: dg.ctc(dg.log_softmax(x), 1 + y, reduction="none"), _ctc,
              (((6, 3, 4), (3, 2)), ((3, 1, 4), (1, 1)), ((5, 2, 4), (2, 0)), ((4, 0, 4), (0, 2))),
              ("real", "index 3"), named=((5, "N", 4), ("N", 2))),
    Operation("info_nce", dg.info_nce, lambda a, b: _info_nce(a, b, 0.1),
              (((7, 5), (7, 5)), ((1, 3), (1, 3)), ((17, 2), (17, 2))), named=(("M", 3), ("M", 3))),
    Operation("info_nce warm", lambda a, b: dg.info_nce(a, b, 0.5),
              lambda a, b: _info_nce(a, b, 0.5), (((7, 13), (7, 13)),)),
    Operation("vicreg", dg.vicreg, _vicreg,
              (((7, 5), (7, 5)), ((2, 3), (2, 3)), ((17, 1), (17, 1))), named=(("M", 3), ("M", 3))),
]  # fmt: skip
