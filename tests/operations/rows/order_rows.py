"""The rows of the table for the order of elements: sorting, the greatest, elements along lines."""

from typing import Any

import numpy as np

import diagrad as dg

from .operation import Array, Operation
from .rows import AXES, axes


def falling(x: Array, axis: int) -> Array:
    """The indices that sort by falling size, equal elements as they stand."""
    order = np.argsort(np.flip(x, axis), axis, kind="stable")
    return np.asarray(np.flip(x.shape[axis] - 1 - order, axis))


def greatest(x: Array, k: int, axis: int) -> tuple[Array, Array]:
    """The k greatest elements and their indices."""
    index = falling(x, axis).take(np.arange(k), axis)
    return np.take_along_axis(x, index, axis), index


def _put(x: Array, index: Array, values: Array, axis: int) -> Array:
    """x with elements replaced, the last of those that go to one place."""
    out = np.array(x)
    np.put_along_axis(out, index, values, axis)
    return out


def _ours(k: int, axis: int, part: int) -> Any:
    return lambda x: dg.topk(x, k, axis)[part]


def _numpys(k: int, axis: int, part: int) -> Any:
    return lambda x: greatest(x, k, axis)[part]


def _numpys_quantile(x: Array, q: float, axis: int | None, keep: bool = False) -> Array:
    """NaN of no elements."""
    if x.size if axis is None else x.shape[axis]:
        return np.asarray(np.quantile(x, q, axis, keepdims=keep))
    return np.full(np.sum(x, axis, keepdims=keep).shape, np.nan)


ORDERS = [
    row
    for axis in (-1, 0)
    for domain in ("real", "level")
    for row in (
        axes(f"argsort {axis} {domain}", lambda x, a=axis: dg.argsort(x, a),
             lambda x, a=axis: np.argsort(x, a, kind="stable"), kinds="fiub", domains=(domain,),
             smooth=False),
        axes(f"argsort {axis} {domain} falling",
             lambda x, a=axis: dg.argsort(x, a, descending=True), lambda x, a=axis: falling(x, a),
             kinds="fiub", domains=(domain,), smooth=False),
        axes(f"sort {axis} {domain}", lambda x, a=axis: dg.sort(x, a),
             lambda x, a=axis: np.sort(x, a), kinds="fiub", domains=(domain,),
             smooth=domain == "real"),
        axes(f"topk {axis} {domain}", _ours(1, axis, 0), _numpys(1, axis, 0), kinds="fiub",
             shapes=(((7, 13),), ((1, 31),), ((31, 1),)), named=None, domains=(domain,),
             smooth=domain == "real"),
    )
] + [
    axes("sort 1", lambda x: dg.sort(x, 1, descending=True), lambda x: -np.sort(-x, 1),
         shapes=(((3, 5, 2),), ((2, 37, 3),))),
    axes("topk 3", _ours(3, -1, 0), _numpys(3, -1, 0), kinds="fi", shapes=(((7, 13),), ((2, 3),)),
         named=(("M", 5),)),
    axes("topk 3 places", _ours(3, 0, 1), _numpys(3, 0, 1), kinds="fi",
         shapes=(((7, 13),), ((3, 2),)), named=((5, "N"),), smooth=False),
    axes("topk least", lambda x: dg.topk(x, 2, descending=False)[0], lambda x: np.sort(x)[:, :2],
         kinds="fi", shapes=(((7, 13),), ((2, 2),)), named=None),
    axes("topk none", _ours(0, -1, 0), _numpys(0, -1, 0), kinds="fi", shapes=(((7, 13),),),
         named=None),
    axes("median", dg.median, lambda x: _numpys_quantile(x, 0.5, None), shapes=AXES),
    axes("median 0", lambda x: dg.median(x, 0), lambda x: _numpys_quantile(x, 0.5, 0),
         shapes=AXES),
    axes("quantile", lambda x: dg.quantile(x, 0.3), lambda x: _numpys_quantile(x, 0.3, None),
         shapes=AXES),
    axes("quantile 0", lambda x: dg.quantile(x, 0.83, 0, True),
         lambda x: _numpys_quantile(x, 0.83, 0, True), shapes=AXES),
    axes("quantile -1", lambda x: dg.quantile(x, 0.1, -1), lambda x: _numpys_quantile(x, 0.1, -1),
         shapes=AXES),
    axes("quantile ends", lambda x: dg.quantile(x, 0, -1) - dg.quantile(x, 1, -1),
         lambda x: x.min(-1) - x.max(-1), shapes=AXES, named=None),
    axes("quantile level", lambda x: dg.quantile(x, 0.4, -1), lambda x: np.quantile(x, 0.4, -1),
         shapes=AXES, named=None, domains=("level",), smooth=False),
    axes("quantile of none", lambda x: dg.quantile(x, 0.4, -1),
         lambda x: _numpys_quantile(x, 0.4, -1), shapes=(((5, 0),), ((0, 5),)), smooth=False),
    Operation("searchsorted", lambda x, y: dg.searchsorted(dg.sort(x), y),
              lambda x, y: np.searchsorted(np.sort(x), y),
              (((7,), (3, 5)), ((31,), ()), ((0,), (5,)), ((17,), (0,))), ("real", "real"), "fiu",
              smooth=False, named=(("M",), ("M", "N"))),
    Operation("searchsorted right", lambda x, y: dg.searchsorted(dg.sort(x), y, "right"),
              lambda x, y: np.searchsorted(np.sort(x), y, "right"),
              (((7,), (3, 5)), ((31,), (31,))), ("level", "level"), "fiub", smooth=False),
    Operation("isin", dg.isin, np.isin,
              (((3, 5), (7,)), ((37,), (3, 2)), ((), (5,)), ((5,), (0,)), ((0, 3), (2,))),
              ("level", "level"), "fiub", smooth=False, named=(("M", "N"), ("N",))),
    Operation("take_along_axis", dg.take_along_axis,
              lambda x, i: np.take_along_axis(x, i, -1),
              (((3, 7), (3, 17)), ((7,), (3,)), ((2, 5, 7), (2, 5, 1)), ((2, 7), (2, 0))),
              ("real", "index 7"), "fiub", named=(("M", 7), ("M", "N"))),
    Operation("take_along_axis 0", lambda x, i: dg.take_along_axis(x, i, 0),
              lambda x, i: np.take_along_axis(x, i, 0), (((7, 3), (2, 3)), ((7, 3, 2), (5, 3, 2))),
              ("real", "signed 7"), "fiub", named=((7, "N"), ("M", "N"))),
    Operation("put_along_axis", dg.put_along_axis, lambda x, i, v: _put(x, i, v, -1),
              (((3, 7), (3, 17), (3, 17)), ((7,), (3,), ()), ((2, 5, 7), (2, 5, 1), (5, 1)),
               ((2, 7), (2, 0), (1,))),
              ("real", "signed 7", "real"), "fiub", named=(("M", 7), ("M", "N"), ("M", "N"))),
    Operation("put_along_axis 0", lambda x, i, v: dg.put_along_axis(x, i, v, 0),
              lambda x, i, v: _put(x, i, v, 0), (((7, 3, 2), (5, 3, 2), (3, 1)),),
              ("real", "signed 7", "real"), "fiub", named=((7, "N"), ("M", "N"), ("N",))),
]  # fmt: skip
