"""The rows of the table for linear algebra."""

from typing import Any

import numpy as np

import diagrad as dg

from ..operation import Array, Operation, Shapes


def even(a: Array) -> Array:
    """The symmetric part of matrices."""
    return np.asarray((a + np.swapaxes(a, -1, -2)) / 2)


def flipped(a: Any) -> Any:
    """Matrices with their largest elements on the diagonal, where they are regular."""
    return a[..., ::-1, :]


def expm(a: Array) -> Array:
    """The exponential by its series, of a matrix that is halved ten times."""
    x = a / 1024
    term = total = np.broadcast_to(np.eye(a.shape[-1]), a.shape)
    for k in range(1, 24):
        term = term @ x / k
        total = total + term
    for _ in range(10):
        total = total @ total
    return np.asarray(total)


def triangular(lower: bool, transposed: bool, unit: bool) -> Operation:
    """A row for one kind of system, a small part of whose matrix is read where it is `unit`."""
    share = 0.02 if unit else 1.0

    def ours(a: Any, b: Any) -> Any:
        options = {"lower": lower, "transposed": transposed, "unit_diagonal": unit}
        return dg.triangular_solve(flipped(a) * share, b, **options)

    def numpys(a: Array, b: Array) -> Array:
        a = np.tril(flipped(a)) if lower else np.triu(flipped(a))
        if unit:
            a = a * share * (1 - np.eye(a.shape[-1])) + np.eye(a.shape[-1])
        return np.asarray(np.linalg.solve(np.swapaxes(a, -1, -2) if transposed else a, b))

    words = ("lower" if lower else "upper", *["turned"] * transposed, *["unit"] * unit)
    shapes: tuple[Shapes, ...] = (((17, 17), (17, 19)), ((2, 3, 3), (2, 3, 1)))
    if lower and not (transposed or unit):
        shapes = (
            *shapes, ((1, 1), (1, 3)), ((0, 0), (0, 2)), ((3, 3), (3, 0)), ((0, 3, 3), (0, 3, 2)),
            ((7, 7), (7,)), ((5, 5), (3, 5, 2)), ((2, 1, 3, 3), (4, 3, 5)), ((3, 8, 8), (8, 2)),
        )  # fmt: skip
    return Operation(
        f"triangular_solve {' '.join(words)}", ours, numpys, shapes, ("regular", "real"),
        named=(("M", "N", "N"), ("M", "N", 3)),
    )  # fmt: skip


LINEAR = [
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
    Operation("cholesky", lambda a: dg.cholesky(flipped(a)),
              lambda a: np.linalg.cholesky(even(flipped(a))),
              (((7, 7),), ((1, 17, 17),), ((3, 2, 5, 5),), ((1, 1),), ((0, 0),), ((0, 3, 3),)),
              ("regular",), named=(("M", "N", "N"),)),
    Operation("cholesky upper", lambda a: dg.cholesky(flipped(a).mT, upper=True),
              lambda a: np.linalg.cholesky(even(flipped(a))).swapaxes(-1, -2),
              (((18, 18),), ((2, 8, 8),)), ("regular",), named=(("N", "N"),)),
    Operation("det", lambda a: dg.det(flipped(dg.tanh(a) * 0.05 + dg.matrix_power(a, 0))),
              lambda a: np.linalg.det(flipped(np.tanh(a) * 0.05 + np.eye(a.shape[-1]))),
              (((7, 7),), ((1, 9, 9),), ((3, 2, 5, 5),), ((1, 1),), ((0, 0),), ((0, 3, 3),)),
              ("regular",), named=(("M", "N", "N"),)),
    Operation("slogdet", lambda a: dg.stack(dg.slogdet(a)),
              lambda a: np.stack(np.linalg.slogdet(a)),
              (((7, 7),), ((1, 17, 17),), ((3, 2, 5, 5),), ((1, 1),), ((0, 0),), ((0, 3, 3),)),
              ("regular",), named=(("M", "N", "N"),)),
    Operation("expm", lambda a: dg.expm(a * 0.5), lambda a: expm(a * 0.5),
              (((7, 7),), ((3, 2, 2),), ((1, 1),), ((0, 0),), ((0, 3, 3),)), ("real",)),
    Operation("expm named", lambda a: dg.expm(dg.tanh(a) * 0.1, max_squarings=2),
              lambda a: expm(np.tanh(a) * 0.1), (((4, 4),),), ("real",),
              named=(("M", "N", "N"),)),
    Operation("matrix_power", lambda a: dg.matrix_power(a, 5),
              lambda a: np.linalg.matrix_power(a, 5), (((3, 3),), ((2, 3, 3),)), ("real",)),
    Operation("matrix_power whole", lambda a: dg.matrix_power(a, 3),
              lambda a: np.linalg.matrix_power(a, 3), (((3, 3),), ((2, 3, 3),)), kinds="i"),
    Operation("matrix_power inverse", lambda a: dg.matrix_power(a, -2),
              lambda a: np.linalg.matrix_power(a, -2), (((3, 3),), ((2, 3, 3),)), ("regular",),
              named=(("M", "N", "N"),)),
    Operation("matrix_power none", lambda a: dg.matrix_power(a, 0),
              lambda a: np.linalg.matrix_power(a, 0), (((3, 3),), ((0, 2, 2),)), kinds="fi"),
] + [
    triangular(lower, transposed, unit)
    for lower, transposed, unit in (
        (True, False, False), (False, False, False), (True, True, False), (False, True, True),
    )
]  # fmt: skip
