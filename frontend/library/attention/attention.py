"""Attention: for each query a mean of values, weighted by how well their keys answer it.

`attention` gives the means, `attention_weights` the weights, which nothing else keeps.
"""

from __future__ import annotations

import functools
import math
import string
from collections.abc import Callable
from typing import Any

from ....compiler.dtypes import INDICES
from ....compiler.errors import TypeRuleError
from ....compiler.graph import Node, Type
from ....compiler.primitives.record import Builder
from ....compiler.sizes import named
from ...arguments import flag, number
from ...drawing.blocks import block
from ...errors import DtypeError, ShapeError
from ...location import user_location
from ...operations import reductions
from ...operations.broadcasting import broadcast_shape, spread_to
from ...operations.contractions import einsum
from ...operations.elementwise import (
    add,
    as_operands,
    astype,
    divide,
    equal,
    exp,
    less,
    less_equal,
    logical_and,
    multiply,
    where,
)
from ...operations.places import as_index, expect_within, fixed_value
from ...operations.source import arange
from ...operations.structure import broadcast_to, expand_dims, reshape
from ...variables.applying import apply
from ...variables.variable import Variable, shape_text, source_text
from ..functions.softmaxes import greatest


@block
def attention(
    q: Variable,
    k: Variable,
    v: Variable,
    mask: Any = None,
    causal: bool = False,
    lengths: Any = None,
    scale: float | None = None,
) -> Variable:
    """softmax(scale * q k') v: for each query a mean of the values, weighted by its keys' scores.

        y = dg.attention(q, k, v, causal=True)

    A key takes part for a query unless one of `mask`, `causal` and `lengths` hides it.  A query for
    which none does, or whose every score is -inf, gives 0, and its derivatives are 0, to any order:
    so does every query where Tk is 0.

    No matrix of all pairs is kept: it is computed block by block, and the way back computes the
    weights again, as FlashAttention does (Dao et al., 2022). A mask of the whole shape is kept, and
    second derivatives and that of a mask take the memory of all pairs.

    Vaswani, Shazeer, Parmar, Uszkoreit, Jones, Gomez, Kaiser and Polosukhin, Attention is all you
    need, 2017: scaled dot-product attention.

    Args:
        q: queries, floats of shape (..., Tq, D).
        k: keys, (..., Tk, D), with the same leading axes, such as samples and heads.
        v: values, (..., Tk, Dv), with the same leading axes.
        mask: bools that broadcast to (..., Tq, Tk), True where a key takes part, as in PyTorch's
            `scaled_dot_product_attention` (`nn.MultiheadAttention` means the opposite: there True
            hides); or floats that broadcast to it, which are added to the scores.
        causal: whether query i sees the keys j <= i alone, both counted from the first.
        lengths: int32 or int64 of shape (B,): of each sample, the first axis of q, as many keys
            take part, and the others are not read, nor their values. From 0 to Tk: checked where
            they are fixed, and before a step where they are observed.
        scale: what the scores are multiplied with; by default 1 / sqrt(D).

    Returns:
        Floats of shape (..., Tq, Dv).

    Raises:
        ShapeError: other shapes; a D that has a name, without a scale.
        DtypeError: other dtypes.
        TypeError, ValueError: a scale that is no finite number, a `causal` that is no bool.
    """
    q, k, v = as_operands(q, k, v)
    place = f"attention ({user_location()})"
    _check(place, q, k, v)
    ends = None if lengths is None else _ends(place, as_index(lengths), q, k)
    causal, factor = flag(place, "causal", causal), _factor(place, q, scale)
    return _blockwise(q, k, v, _mask(place, mask, q, k), causal, ends, factor)


@block
def attention_with_dropout(
    q: Variable,
    k: Variable,
    v: Variable,
    dropout: Callable[[Variable], Variable],
    mask: Any = None,
    causal: bool = False,
    lengths: Any = None,
    scale: float | None = None,
) -> Variable:
    """`attention` by weights of which some are left out, by `dropout`: so all of them are kept."""
    place = f"attention ({user_location()})"
    _check(place, q, k, v)
    there = None if lengths is None else _there(place, as_index(lengths), q, k)
    k, v = _kept(k, there), _kept(v, there)
    return _means(dropout(_weights(place, q, k, mask, causal, there, scale)), v)


@block
def attention_weights(
    q: Variable,
    k: Variable,
    mask: Any = None,
    causal: bool = False,
    lengths: Any = None,
    scale: float | None = None,
) -> Variable:
    """softmax(scale * q k'): the weights of `attention`, to be looked at, (..., Tq, Tk).

    Those of a query sum to 1, or are all 0 where no key takes part.  Arguments and errors are those
    of `attention`, which does not keep the weights.
    """
    q, k = as_operands(q, k)
    place = f"attention_weights ({user_location()})"
    _check(place, q, k)
    there = None if lengths is None else _there(place, as_index(lengths), q, k)
    return _weights(place, q, _kept(k, there), mask, causal, there, scale)


def _weights(
    place: str,
    q: Variable,
    k: Variable,
    mask: Any,
    causal: bool,
    there: Variable | None,
    scale: float | None,
) -> Variable:
    """The softmax of the scores over the keys that take part; zeros where there are none."""
    lead = LEADING[: q.ndim - 2]
    factor = _factor(place, q, scale)
    scores = einsum(f"{lead}qd,{lead}kd->{lead}qk", multiply(q, factor), k)
    seen: list[Variable] = []
    mask = _mask(place, mask, q, k)
    if mask is not None:
        if mask.dtype == "bool":
            seen.append(mask)
        else:
            scores = add(scores, mask)
    if flag(place, "causal", causal):
        seen.append(less_equal(arange(k.shape[-2]), expand_dims(arange(q.shape[-2]), 1)))
    if there is not None:
        seen.append(reshape(there, (there.shape[0], *(1,) * (q.ndim - 2), there.shape[1])))
    if seen:
        scores = where(functools.reduce(logical_and, seen), scores, -math.inf)
    terms = exp(scores - greatest("attention", scores, -1))
    total = reductions.sum(terms, -1, keepdims=True)
    return divide(terms, where(equal(total, 0.0), 1.0, total))


def _means(weights: Variable, v: Variable) -> Variable:
    lead = LEADING[: v.ndim - 2]
    return einsum(f"{lead}qk,{lead}kd->{lead}qd", weights, v)


def _factor(place: str, q: Variable, scale: float | None) -> float:
    """What the scores are multiplied with."""
    if scale is not None:
        return number(place, "scale", scale)
    features = q.shape[-1]
    if not isinstance(features, int):
        raise ShapeError(
            f"{place} expects a scale where the number of features has a name, {features}, got "
            f"none for {source_text(q)}"
        )
    return 1 / math.sqrt(max(features, 1))


def _ends(place: str, lengths: Variable, q: Variable, k: Variable) -> Variable:
    """How many keys each sample has, checked; (B,)."""
    if q.ndim < 3 or lengths.shape != q.shape[:1]:
        expected = "queries with an axis of samples"
        if q.ndim > 2:
            expected = f"lengths of shape ({q.shape[0]},), one for each sample"
        got = q if q.ndim < 3 else lengths
        raise ShapeError(
            f"{place} expects {expected}, got {shape_text(got.shape)} from {source_text(got)}"
        )
    if lengths.dtype not in INDICES:
        raise DtypeError(
            f"{place} expects lengths of dtype int32 or int64, got {lengths.dtype} from "
            f"{source_text(lengths)}: convert them with .astype"
        )
    keys, fixed = k.shape[-2], fixed_value(lengths)

    def rule(b: Builder, lengths: Node) -> Node:
        if fixed is not None:
            high = keys + 1 if isinstance(keys, int) else keys
            expect_within("lengths", fixed, 0, high, where="lengths")
        return b.widened(b.apply("in_range", lengths, low=0, high=keys + 1))

    result: Variable = apply("lengths", rule, [lengths], as_stored=True)
    return result


def _there(place: str, lengths: Variable, q: Variable, k: Variable) -> Variable:
    """Which keys each sample has, of shape (B, Tk)."""
    ends = _ends(place, lengths, q, k)
    return less(arange(k.shape[-2], dtype=ends.dtype), expand_dims(ends, 1))


@block
def attention_up_to(q: Variable, k: Variable, v: Variable, seen: Variable) -> Variable:
    """`attention` to the first keys alone: `seen` of them, an integer of shape (), not checked."""
    factor = _factor(f"attention ({user_location()})", q, None)
    ends = broadcast_to(astype(seen, "int32"), q.shape[:1])
    return _blockwise(q, k, v, None, False, ends, factor)


def _blockwise(
    q: Variable,
    k: Variable,
    v: Variable,
    mask: Variable | None,
    causal: bool,
    ends: Variable | None,
    scale: float,
) -> Variable:
    """The primitive, whose axes are (..., T, heads, D), around which these are transpositions."""
    given = [item for item in (mask, ends) if item is not None]

    def rule(b: Builder, *nodes: Node) -> Node:
        q, k, v, *rest = nodes
        found = [_heads_behind(b, item) for item in (q, k, v)]
        scores = q.type.with_shape((*q.shape[:-1], k.shape[-2]))
        if q.type.rank == 2:
            scores = scores.with_shape((1, *scores.shape))
        elif q.type.rank == 3:
            scores = scores.with_shape((scores.shape[0], 1, *scores.shape[1:]))
        if causal or ends is not None:
            found.append(_limits(b, scores, causal, None if ends is None else rest[-1]))
        if mask is not None:
            found.append(_bias(b, rest[0], q, k, scores))
        result = b.apply("attention", *found, scale=scale)
        return _heads_before(b, result, q.type.rank)

    result: Variable = apply("attention", rule, [q, k, v, *given])
    return result


def _heads_behind(b: Builder, x: Node) -> Node:
    """(..., heads, T, D) -> (..., T, heads, D); one head where there is no axis of them."""
    *lead, count, width = x.shape
    if len(lead) < 2:
        result: Node = b.reshape(x, shape=(*lead, count, 1, width))
        return result
    rank = x.type.rank
    result = b.transpose(x, axes=(*range(rank - 3), rank - 2, rank - 3, rank - 1))
    return result


def _heads_before(b: Builder, x: Node, rank: int) -> Node:
    """The other way."""
    if rank < 4:
        result: Node = b.reshape(x, shape=(*x.shape[:-2], x.shape[-1]))
        return result
    result = b.transpose(x, axes=(*range(rank - 3), rank - 2, rank - 3, rank - 1))
    return result


def _limits(b: Builder, scores: Type, causal: bool, ends: Node | None) -> Node:
    """How many keys each query sees, from the first on: int32 (..., heads, Tq)."""
    shape = scores.shape[:-1]
    last = len(shape) - 1
    found: Node | None = None
    if ends is not None:
        found = b.cast(ends, dtype="int32") if ends.dtype != "int32" else ends
        if causal:
            found = b.broadcast(found, shape=(shape[0], shape[-1]), axes=(0,))
    if causal:
        some = shape[-1:] if found is None else found.shape
        places = b.iota(shape=some, axis=len(some) - 1, dtype="int32")
        upto = b.add(places, b.fill(1, places.type))
        found = upto if found is None else b.minimum(found, upto)
        axes = (last,) if ends is None else (0, last)
    else:
        axes = (0,)
    assert found is not None
    result: Node = b.broadcast(found, shape=shape, axes=axes)
    return result


def _bias(b: Builder, mask: Node, q: Node, k: Node, scores: Type) -> Node:
    """What is added to the scores: minus infinity for what a mask of bools hides."""
    if mask.dtype == "bool":
        kind = mask.type.with_dtype(scores.dtype)
        mask = b.select(mask, b.fill(0, kind), b.fill(-math.inf, kind))
    full = spread_to(b, mask, (*q.shape[:-1], k.shape[-2]))
    result: Node = b.reshape(full, shape=scores.shape)
    return result


def _kept(x: Variable, there: Variable | None) -> Variable:
    """Keys or values, with zeros for those that are not there: they may hold NaN."""
    if there is None:
        return x
    mask = reshape(there, (there.shape[0], *(1,) * (x.ndim - 3), there.shape[1], 1))
    return where(mask, x, 0.0)


def _check(place: str, q: Variable, k: Variable, v: Variable | None = None) -> None:
    """The mistakes of queries, keys and values."""
    given = [("queries", q), ("keys", k)] + ([] if v is None else [("values", v)])
    for what, item in given:
        if item.ndim < 2:
            raise ShapeError(
                f"{place} expects {what} of shape (..., T, D), got {shape_text(item.shape)} from "
                f"{source_text(item)}"
            )
        if not item.type.is_float or item.dtype != q.dtype:
            like = "" if item is q else " like its queries"
            wanted = q.dtype if q.type.is_float else "float32"
            raise DtypeError(
                f"{place} expects {what} of dtype {wanted}{like}, got {item.dtype} from "
                f'{source_text(item)}: convert them with .astype("{wanted}")'
            )
    if k.shape[:-2] != q.shape[:-2] or k.shape[-1] != q.shape[-1]:
        wanted = shape_text((*q.shape[:-2], named("Tk"), q.shape[-1]))
        raise ShapeError(
            f"{place} expects keys of shape {wanted}, with the leading axes and the features of "
            f"its queries {shape_text(q.shape)}, got {shape_text(k.shape)} from {source_text(k)}"
        )
    if v is not None and v.shape[:-1] != k.shape[:-1]:
        wanted = shape_text((*k.shape[:-1], named("Dv")))
        raise ShapeError(
            f"{place} expects values of shape {wanted}, one for each of its keys "
            f"{shape_text(k.shape)}, got {shape_text(v.shape)} from {source_text(v)}"
        )


def _mask(place: str, mask: Any, q: Variable, k: Variable) -> Variable | None:
    """The mask as a variable, if there is one."""
    if mask is None:
        return None
    variable = as_operands(mask)[0]
    if variable.dtype not in ("bool", q.dtype):
        raise DtypeError(
            f"{place} expects a mask of bools, True where a key takes part, or of {q.dtype}, "
            f"which is added to the scores, got {variable.dtype} from {source_text(variable)}: "
            f'compare it, as in mask != 0, or convert it with .astype("{q.dtype}")'
        )
    shape = (*q.shape[:-1], k.shape[-2])
    try:
        fits = broadcast_shape([variable.shape, shape]) == shape
    except TypeRuleError:
        fits = False
    if not fits:
        raise ShapeError(
            f"{place} expects a mask that broadcasts to {shape_text(shape)}, got "
            f"{shape_text(variable.shape)} from {source_text(variable)}: one of each sample, "
            "(B, Tk), is mask[:, None, None] beside heads"
        )
    return variable


LEADING = string.ascii_uppercase
"""The letters of leading axes in an einsum."""
