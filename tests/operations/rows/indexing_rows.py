"""The rows of the table for elements chosen by arrays, and for values made from nothing."""

from hashlib import blake2b
from typing import Any

import numpy as np

import diagrad as dg
from diagrad.frontend.operations.indexing import put
from diagrad.runtime.philox import philox

from .operation import Array, Operation
from .rows import MATRIX, moved


def _hashed(text: str) -> np.uint64:
    return np.uint64(int(blake2b(text.encode(), digest_size=8).hexdigest(), 16))


def uniform(count: int, part: str, stream: str, shift: float = 0) -> Array:
    key, number = _hashed("('seed', 0)"), _hashed(f"('stream', '{part}', '{stream}')")
    bits = philox(np.arange(count, dtype=np.int64), key, number)
    return np.asarray(((bits & np.uint32(2**24 - 1)) + shift) * 2.0**-24)


def _normal(count: int, stream: str) -> Array:
    radius = np.sqrt(-2 * np.log(uniform(count, "radius", stream, 1)))
    angle = 2 * np.pi * uniform(count, "angle", stream)
    return np.asarray(radius * np.cos(angle))


def _scatter(
    index: Array, updates: Array, size: int, axis: int, combine: Any = np.add, start: Any = 0
) -> Array:
    moved = np.moveaxis(updates, range(axis, axis + index.ndim), range(index.ndim))
    out = np.full((size, *moved.shape[index.ndim :]), start, updates.dtype)
    inside = (index >= 0) & (index < size)
    combine.at(out, index[inside], moved[inside])
    return np.moveaxis(out, 0, axis)


def _end(x: Array, sign: int) -> Any:
    """What an extremum of nothing is."""
    if x.dtype.kind == "f":
        return sign * np.inf
    limits = np.iinfo(x.dtype)
    return limits.max if sign > 0 else limits.min


def _combined(word: str, i: Array, u: Array, axis: int = 0, size: int = 7) -> Array:
    """The greatest, the least or the product of what goes to each place."""
    if word == "mul":
        return _scatter(i, u, size, axis, np.multiply, 1)
    if u.dtype == bool:
        combine: Any = np.logical_or if word == "max" else np.logical_and
        return _scatter(i, u, size, axis, combine, word == "min")
    combine = np.maximum if word == "max" else np.minimum
    return _scatter(i, u, size, axis, combine, _end(u, -1 if word == "max" else 1))


def _put(x: Array, index: Array, row: Array, axis: int) -> Array:
    out = np.moveaxis(np.array(x), axis, 0)
    if 0 <= index < len(out):
        out[int(index)] = row
    return np.moveaxis(out, 0, axis)


CHOICES = [
    Operation("take", dg.take, lambda x, i: np.take(x, i, 0),
              (((7,), (17,)), ((7, 13), (2, 3)), ((7, 3), ()), ((7, 2), (0,)), ((7, 0), (3,))),
              ("real", "index 7"), "fiub", named=((7, "N"), ("M",))),
    Operation("take 1", lambda x, i: dg.take(x, i, 1), lambda x, i: np.take(x, i, 1),
              (((3, 7), (17,)), ((2, 7, 13), (2, 3)), ((5, 7, 1), (1,))),
              ("real", "signed 7"), "fiub", named=(("M", 7), ("N",))),
    Operation("take -1", lambda x, i: dg.take(x, i, -1), lambda x, i: np.take(x, i, -1),
              (((3, 7), (2, 3)), ((7,), (31,))), ("real", "signed 7"), "fiub"),
    Operation("take turned", lambda x, i: dg.take(x.T, i[::-1]), lambda x, i: x.T[i[::-1]],
              (((3, 7), (17,)),), ("real", "index 7"), "fiub"),
    Operation("take anywhere", lambda x, i: dg.take(x, i + 0),
              lambda x, i: np.where((i < 7)[:, None], x[i % 7], np.nan),
              (((7, 13), (17,)),), ("real", "anywhere 7"), smooth=False),
    Operation("take whole anywhere", lambda x, i: dg.take(x, i + 0),
              lambda x, i: np.where((i < 7)[:, None], x[i % 7], x.dtype.type(0)),
              (((7, 13), (17,)),), ("real", "anywhere 7"), "iub"),
    Operation("scatter_add", lambda i, u: dg.scatter_add(i, u, 7),
              lambda i, u: _scatter(i, u, 7, 0),
              (((17,), (17,)), ((17,), (17, 5)), ((2, 3), (2, 3, 5)), ((2, 3), (2, 3)),
               ((), (5,)), ((0,), (0, 5)), ((3,), (3, 0))),
              ("index 7", "real"), "fiu", named=(("M",), ("M", "N"))),
    Operation("scatter_add 1", lambda i, u: dg.scatter_add(i, u, 7, 1),
              lambda i, u: _scatter(i, u, 7, 1),
              (((17,), (3, 17)), ((17,), (2, 17, 5)), ((2, 3), (5, 2, 3, 1))),
              ("index 7", "real"), "fiu", named=(("N",), ("M", "N"))),
    Operation("scatter_add anywhere", lambda i, u: dg.scatter_add(i + 0, u, 7),
              lambda i, u: _scatter(i, u, 7, 0), (((31,), (31, 3)),), ("anywhere 7", "real"),
              "fiu"),
    *(
        row
        for word, kinds in (("max", "fiub"), ("min", "fiub"), ("mul", "fiu"))
        for row in (
            Operation(f"scatter_{word}",
                      lambda i, u, w=word: getattr(dg, f"scatter_{w}")(i, u, 7),
                      lambda i, u, w=word: _combined(w, i, u),
                      (((17,), (17,)), ((17,), (17, 5)), ((2, 3), (2, 3, 5)), ((2, 3), (2, 3)),
                       ((), (5,)), ((0,), (0, 5)), ((3,), (3, 0))),
                      ("index 7", "real"), kinds, named=(("M",), ("M", "N"))),
            Operation(f"scatter_{word} 1",
                      lambda i, u, w=word: getattr(dg, f"scatter_{w}")(i, u, 7, 1),
                      lambda i, u, w=word: _combined(w, i, u, 1),
                      (((17,), (3, 17)), ((17,), (2, 17, 5)), ((2, 3), (5, 2, 3, 1))),
                      ("index 7", "real"), kinds, word == "mul", named=(("N",), ("M", "N"))),
            Operation(f"scatter_{word} everywhere",  # all is finite
                      lambda i, u, w=word: getattr(dg, f"scatter_{w}")(i, u, 2, 1),
                      lambda i, u, w=word: _combined(w, i, u, 1, 2),
                      (((31,), (3, 31)), ((3, 5), (2, 3, 5, 2))), ("index 2", "real"), kinds),
            Operation(f"scatter_{word} anywhere",
                      lambda i, u, w=word: getattr(dg, f"scatter_{w}")(i + 0, u, 7),
                      lambda i, u, w=word: _combined(w, i, u), (((31,), (31, 3)),),
                      ("anywhere 7", "real"), kinds),
            Operation(f"segment_{'prod' if word == 'mul' else word}",
                      lambda i, x, w=word: getattr(
                          dg, f"segment_{'prod' if w == 'mul' else w}")(x, i, 7),
                      lambda i, x, w=word: _combined(w, i, x), (((17,), (17, 5)),),
                      ("index 7", "real"), kinds),
        )
    ),
    Operation("segment_sum", lambda i, x: dg.segment_sum(x, i, 7),
              lambda i, x: _scatter(i, x, 7, 0), (((17,), (17,)), ((17,), (17, 5))),
              ("index 7", "real"), "fiu", named=(("M",), ("M", "N"))),
    Operation("segment_sum 1", lambda i, x: dg.segment_sum(x, i, 7, 1),
              lambda i, x: _scatter(i, x, 7, 1), (((17,), (3, 17)),), ("index 7", "real"), "fiu",
              named=(("N",), ("M", "N"))),
    Operation("put", put, lambda x, i, r: _put(x, i, r, 0),
              (((7,), (), ()), ((7, 13), (), (13,)), ((7, 3, 17), (), (3, 17)), ((7, 0), (), (0,))),
              ("real", "index 7", "real"), "fiub", named=((7, "N"), (), ("N",))),
    Operation("put 1", lambda x, i, r: put(x, i, r, 1), lambda x, i, r: _put(x, i, r, 1),
              (((3, 7), (), (3,)), ((2, 7, 31), (), (2, 31)), ((17, 7, 1), (), (17, 1))),
              ("real", "index 7", "real"), "fiub"),
    Operation("put turned", lambda x, i, r: put(x.T, i, r[::-1], -1),
              lambda x, i, r: _put(x.T, i, r[::-1], 1), (((7, 13), (), (13,)),),
              ("real", "index 7", "real"), "fi"),
    Operation("put anywhere", lambda x, i, r: put(x, i + 0, r), lambda x, i, r: _put(x, i, r, 0),
              (((7, 5), (), (5,)),), ("real", "anywhere 7", "real"), "fiu"),
    Operation("one_hot", lambda i: dg.one_hot(i, 7), lambda i: np.eye(7)[i],
              (((17,),), ((2, 3),), ((),), ((0,),)), ("index 7",), smooth=False, dtype="float32",
              named=(MATRIX,)),
    Operation("one_hot whole", lambda i: dg.one_hot(i, 7, "int64"), lambda i: np.eye(7)[i],
              (((17,),),), ("index 7",), smooth=False, dtype="int64"),
    Operation("one_hot anywhere", lambda i: dg.one_hot(i + 0, 5), lambda i: np.eye(9)[i + 2, 2:7],
              (((17,),),), ("anywhere 5",), smooth=False, dtype="float32"),
]  # fmt: skip


PLACES: dict[str, Any] = {
    "scattered": [[3, 1, 4], [1, 5, 9]],
    "from behind": [-1, -24, 3, -3, -3],
    "one": 5,
    "a column": [[3], [5]],
    "even": np.arange(1, 22, 4, dtype=np.uint32),
    "backwards": np.arange(24)[::-3],
    "at all positions": np.broadcast_to(np.arange(6).reshape(2, 1, 3), (2, 5, 3)),
    "the same": np.zeros((2, 3), np.int16),
    "transposed": np.arange(24).reshape(2, 3, 4).transpose(2, 0, 1),
    "a block": np.arange(24).reshape(2, 3, 4)[:, 1:, ::2],
    "a corner": [[10, 11], [16, 17], [22, 23]],
    "Toeplitz": np.subtract.outer(np.arange(7), np.arange(5)) + 8,
    "overlapping": np.add.outer(np.arange(3) * 2, np.add.outer(np.arange(2), np.arange(4) * 3)),
    "none": [],
    "no rows": np.zeros((3, 0, 2), np.int64),
}
"""Indices into 24 elements."""

SHARED = [
    moved(f"share {name}", lambda u, i=index: u[np.asarray(i, np.int64)], (24,), (24, 5),
          ours=lambda u, i=index: dg.share(u, i), kinds="fi", named=((24, "N"),))
    for name, index in PLACES.items()
] + [
    moved("share nothing", lambda u: u[[]], (0,), (0, 3), (5, 0), ours=lambda u: dg.share(u, [])),
    moved("share turned", lambda u: u.T[[1, 1, 2]], (7, 3), kinds="fiub",
          ours=lambda u: dg.share(u.T, [1, 1, 2])),
]  # fmt: skip


def _zero(x: Any) -> Any:
    """0, so that a program takes the operand and with it the sizes."""
    return dg.astype(dg.sum(0 * x), "int64")


SOURCES = [
    Operation("arange", lambda: dg.arange(17), lambda: np.arange(17), ((),), dtype="int32",
              smooth=False),
    Operation("arange float", lambda: dg.arange(5, dtype="float64"), lambda: np.arange(5.0), ((),),
              dtype="float64", smooth=False),
    Operation("arange from", lambda: dg.arange(3, 20, 4), lambda: np.arange(3, 20, 4), ((),),
              dtype="int32", smooth=False),
    Operation("arange down", lambda: dg.arange(5, -6, -2, dtype="int64"),
              lambda: np.arange(5, -6, -2), ((),), smooth=False),
    Operation("arange empty", lambda: dg.arange(5, 3), lambda: np.arange(0), ((),),
              dtype="int32", smooth=False),
    Operation("arange steps", lambda: dg.arange(0.5, 2, 0.25), lambda: np.arange(0.5, 2, 0.25),
              ((),), dtype="float32", smooth=False),
    Operation("arange bytes", lambda: dg.arange(255, -1, -85, dtype="uint8"),
              lambda: np.arange(255, -1, -85).astype("uint8"), ((),), smooth=False,
              dtype="uint8"),
    moved("arange named from", lambda x: np.arange(-2, x.shape[-1] + 3, 2), (7, 13),
          named=(MATRIX,), kinds="f", smooth=False,
          ours=lambda x: _zero(x) + dg.arange(-2, x.shape[-1] + 3, 2, dtype="int64")),
    moved("arange named down", lambda x: np.arange(x.shape[-1], -1, -3), (7, 13),
          named=(MATRIX,), kinds="f", smooth=False,
          ours=lambda x: _zero(x) + dg.arange(x.shape[-1], -1, -3, dtype="int64")),
    moved("arange named", lambda x: np.arange(x.shape[-1]), (7, 13), named=(MATRIX,), kinds="f",
           ours=lambda x: _zero(x) + dg.arange(x.shape[-1], dtype="int64"), smooth=False),
    Operation("fill", lambda: dg.fill(2.5, (7, 3)), lambda: np.full((7, 3), 2.5), ((),),
              dtype="float32", smooth=False),
    moved("fill named", lambda x: np.full(x.shape, 3), (7, 13), (), named=(MATRIX,), kinds="f",
           ours=lambda x: _zero(x) + dg.fill(3, x.shape, "int64"), smooth=False),
    moved("size", lambda x: np.int64(x.size), (7, 13), named=(MATRIX,), kinds="f", smooth=False,
           ours=lambda x: _zero(x) + dg.size(x.type.count, "int64")),
    Operation("random_uniform", lambda: dg.random_uniform((7, 13), ""),
              lambda: uniform(91, "uniform", "").reshape(7, 13), ((),), dtype="float32",
              smooth=False),
    Operation("random_uniform wide", lambda: dg.random_uniform((31,), "a", "float64"),
              lambda: uniform(31, "uniform", "a"), ((),), dtype="float64", smooth=False),
    Operation("random_normal", lambda: dg.random_normal((7, 13), "b"),
              lambda: _normal(91, "b").reshape(7, 13),
              ((),), dtype="float32", smooth=False),
]  # fmt: skip
