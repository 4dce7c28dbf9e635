"""The rows of the table for matrix products, and for the costs."""

from typing import Any

import numpy as np

import diagrad as dg

from .operation import Array, Operation
from .rows import MATRIX, mean, softmax


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


def logmatmulexp(x: Array, y: Array) -> Array:
    each = x[..., :, :, None] + y[..., None, :, :]
    return np.asarray(np.logaddexp.reduce(each, axis=-2, initial=-np.inf))


PRODUCTS = [
    Operation("matmul", dg.matmul, np.matmul,
              (((7,), (7,)), ((13, 7), (7,)), ((7,), (7, 13)), ((13, 7), (7, 17)), ((1, 7), (7, 1)),
               ((7, 1), (1, 13)), ((0, 3), (3, 5)), ((5, 0), (0, 3)), ((3, 0), (0,)), ((0,), (0,)),
               ((2, 3, 5), (5, 7)), ((2, 3, 5), (5,)), ((5,), (2, 5, 7)), ((2, 3, 5), (2, 5, 7)),
               ((1, 3, 5), (2, 5, 7)), ((3, 5), (2, 5, 7)), ((2, 1, 3, 5), (4, 5, 7)),
               ((0, 3, 5), (0, 5, 7))),
              named=(("M", 3, "N"), ("N", 5))),
    Operation("matmul large", dg.matmul, np.matmul, (((200, 150), (150, 140)),), smooth=False),
    Operation("matmul operator", lambda x, y: x @ y, np.matmul, (((13, 7), (7, 17)),),
              named=(("M", 3), (3, "N"))),
    Operation("matmul turned", lambda x, y: x.T @ y[::-1].T, lambda x, y: x.T @ y[::-1].T,
              (((7, 13), (17, 7)), ((7, 1), (17, 7))), named=(("N", "M"), (3, "N"))),
    Operation("logmatmulexp", dg.logmatmulexp, logmatmulexp,
              (((7, 5), (5, 13)), ((1, 7), (7, 1)), ((7, 1), (1, 17)), ((0, 3), (3, 5)),
               ((5, 0), (0, 3)), ((3, 5), (5, 0)), ((2, 3, 5), (5, 7)), ((3, 5), (2, 5, 7)),
               ((2, 1, 3, 5), (4, 5, 7)), ((0, 3, 5), (0, 5, 7))),
              named=(("M", 3, "N"), ("N", 5))),
    Operation("logmatmulexp turned", lambda x, y: dg.logmatmulexp(x.T, y[::-1].T),
              lambda x, y: logmatmulexp(x.T, y[::-1].T), (((7, 13), (17, 7)), ((7, 1), (17, 7))),
              named=(("N", "M"), (3, "N"))),
    Operation("logmatmulexp far", lambda x, y: dg.logmatmulexp(100.0 * x, 100.0 * y),
              lambda x, y: logmatmulexp(100 * x, 100 * y), (((7, 5), (5, 19)),), smooth=False),
    Operation("solve", dg.solve, np.linalg.solve,
              (((7, 7), (7, 2)), ((17, 17), (17, 17)), ((1, 1), (1, 3)), ((3, 33, 33), (3, 33, 1)),
               ((0, 3, 3), (0, 3, 2))),
              ("regular", "real"), named=(("M", "N", "N"), ("M", "N", 3))),
    Operation("solve shared", dg.solve, np.linalg.solve,
              (((5, 5), (3, 5, 2)), ((1, 5, 5), (3, 5, 2)), ((2, 1, 3, 3), (4, 3, 5)),
               ((3, 5, 5), (5, 2))),
              ("regular", "real"), named=((5, 5), ("M", 5, "N"))),
    Operation("solve vector", dg.solve, np.linalg.solve,
              (((7, 7), (7,)), ((3, 5, 5), (5,)), ((0, 0), (0,)), ((2, 2, 3, 3), (3,))),
              ("regular", "real"), named=(("N", "N"), ("N",))),
    Operation("solve turned", lambda a, b: dg.solve(a.T, b[::-1].T),
              lambda a, b: np.linalg.solve(a.T, b[::-1].T), (((7, 7), (17, 7)),),
              ("regular", "real"), named=(("N", "N"), ("M", "N"))),
    Operation("inverse", dg.inverse, np.linalg.inv,
              (((7, 7),), ((1, 17, 17),), ((3, 2, 5, 5),), ((0, 0),), ((0, 3, 3),)),
              ("regular",), named=(("M", "N", "N"),)),
] + [
    Operation(f"einsum {text}", lambda *v, t=text: dg.einsum(t, *v),
              lambda *v, t=text: np.einsum(t, *v), shapes, named=named)
    for text, shapes, named in (
        ("ij,jk->ik", (((7, 13), (13, 5)),), (("M", 3), (3, "N"))),
        ("ij,kj->ki", (((7, 13), (5, 13)),), (("M", 3), ("N", 3))),
        ("ji,jk->ik", (((7, 13), (7, 5)), ((1, 13), (1, 5))), (("M", "N"), ("M", 3))),
        ("ij,ij->", (((7, 13), (7, 13)), ((0, 3), (0, 3))), (MATRIX, MATRIX)),
        ("ij,ij->i", (((7, 13), (7, 13)),), (MATRIX, MATRIX)),
        ("ij,ij->ji", (((7, 13), (7, 13)),), None),
        ("ij,ji->", (((7, 13), (13, 7)),), (("M", "N"), ("N", "M"))),
        ("i,j->ij", (((7,), (13,)), ((1,), (5,))), (("M",), ("N",))),
        ("i,j->", (((7,), (13,)),), None),
        ("ij,k->i", (((7, 13), (3,)),), None),
        ("ij,->ij", (((7, 13), ()),), None),
        (",->", (((), ()),), None),
        ("bij,bjk->bik", (((3, 7, 5), (3, 5, 2)),), (("M", 3, "N"), ("M", "N", 2))),
        ("bij,bjk->kbi", (((3, 7, 5), (3, 5, 2)),), None),
        ("bihd,bjhd->bhij", (((2, 3, 4, 5), (2, 7, 4, 5)),), (("M", 3, 2, 5), ("M", 4, 2, 5))),
        ("bhij,bjhd->bihd", (((2, 4, 3, 7), (2, 7, 4, 5)),), None),
        ("abc,cbd->ad", (((3, 5, 7), (7, 5, 2)),), (("M", 5, "N"), ("N", 5, 2))),
        ("abc,bcd->ad", (((3, 5, 7), (5, 7, 2)),), None),
        ("ij,jk,kl->il", (((7, 5), (5, 3), (3, 13)),), (("M", 5), (5, 3), (3, "N"))),
        ("ij,ij,ij->j", (((7, 5), (7, 5), (7, 5)),), None),
        ("ij->ji", (((7, 13),),), (MATRIX,)),
        ("ijk->k", (((2, 3, 5),),), None),
        ("ij->", (((7, 13),), ((0, 2),)), None),
    )
]  # fmt: skip
COSTS = [
    *_costs("squared_error", lambda x, y: (x - y) ** 2, ("real",)),
    *_costs("absolute_error", lambda x, y: abs(x - y), ("real",)),
    *_costs("huber", lambda x, y: np.where(abs(x - y) <= 1, (x - y) ** 2 / 2, abs(x - y) - 0.5),
            ("real",)),
    *_costs("huber", lambda x, y: np.where(abs(x - y) <= 2, (x - y) ** 2 / 2, 2 * abs(x - y) - 2),
            ("real",), delta=2.0)[:1],
    *_costs("binary_cross_entropy", lambda x, t: np.logaddexp(x, 0) - x * t, ("real", "share")),
    *_costs("hinge", lambda x, t: np.maximum(1 - t * x, 0), ("real", "sign")),
    *_labels("cross_entropy", lambda x: np.log(softmax(x, -1))),
    *_labels("nll", lambda x: x),
    Operation("info_nce", dg.info_nce, lambda a, b: _info_nce(a, b, 0.1),
              (((7, 5), (7, 5)), ((1, 3), (1, 3)), ((17, 2), (17, 2))), named=(("M", 3), ("M", 3))),
    Operation("info_nce warm", lambda a, b: dg.info_nce(a, b, 0.5),
              lambda a, b: _info_nce(a, b, 0.5), (((7, 13), (7, 13)),)),
    Operation("vicreg", dg.vicreg, _vicreg,
              (((7, 5), (7, 5)), ((2, 3), (2, 3)), ((17, 1), (17, 1))), named=(("M", 3), ("M", 3))),
]  # fmt: skip
