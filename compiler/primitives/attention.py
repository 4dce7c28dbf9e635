"""Scaled dot-product attention, and the products of its way back, without the T x T weights.

    q [..., i, h, d], k [..., j, h, d], v [..., j, h, e]      queries, keys, values of each head h
    s[h, i, j] = scale * sum_d q[i, h, d] k[j, h, d] + bias[h, i, j]
    p[h, i, j] = exp(s - log_sums[h, i])                      0 where query i does not see key j

    attention            sum_j p v                [..., i, h, e]
    attention_log_sums   log sum_j exp(s)         [..., h, i]
    attention_query      scale * sum_j w k        [..., i, h, d]      w = p * (g v' - delta)
    attention_key        scale * sum_i w q        [..., j, h, d]
    attention_value      sum_i p g                [..., j, h, e]

(Vaswani et al., Attention is all you need, 2017; the way back that computes the weights again is
that of Dao et al., FlashAttention, 2022.)  The first two take (q, k, v), the others (q, k, v, g,
log_sums, delta), where g is the cotangent of the attention and delta [..., h, i] the sum over e of
g times the attention.  Behind them may stand what says which keys a query sees:

    limits [..., h, i]      int32: those below this number; it serves causal masks and lengths
    bias [..., h, i, j]     floats that are added; a key with minus infinity is not seen

A key that is not seen is as if it were not there: whatever k and v hold for it, NaN too, it touches
nothing.  So does, in the sums over keys, a key whose weight is 0.  A query that sees no key gives
0, and infinity as its `log_sums`.

The derivative of the first two are the other three, which have kernels that hold a block of the
weights at a time.  The derivative of these three, and that of a bias, is written with the weights
whole: it takes the memory of all i x j of them, several times.  There, what no query sees touches
nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import DtypeRuleError, TypeRuleError
from ..graph import Node, Type
from ..sizes import Dim, floor_divide, product
from .batch import repeated
from .record import Array, Attrs, Builder, Primitive

FORWARD = ("attention", "attention_log_sums")
BACKWARD = ("attention_query", "attention_key", "attention_value")
ATTENTION = (*FORWARD, *BACKWARD)


def seen_by(node: Node) -> tuple[Node | None, Node | None]:
    """The limits and the bias of a node."""
    rest = node.inputs[_fixed(node.op) :]
    limits = next((item for item in rest if not item.type.is_float), None)
    return limits, next((item for item in rest if item.type.is_float), None)


def attention_labels(node: Node) -> list[tuple[int, ...]]:
    """A label for each axis of each operand and of the result, as in a contraction."""
    lead = node.inputs[0].type.rank - 3
    operands = ("ihd", "jhd", "jhe", "ihe", "hi", "hi")[: _fixed(node.op)]
    rest = ["hij" if item.type.is_float else "hi" for item in node.inputs[len(operands) :]]
    results = zip(ATTENTION, ("ihe", "hi", "ihd", "jhd", "jhe"), strict=True)
    return [_labels(lead, text) for text in (*operands, *rest, dict(results)[node.op])]


def kernel_of(node: Node) -> Any:
    """What the nodes that one kernel computes have in common."""
    return node.op in FORWARD, node.inputs, node.attrs["scale"]


def read_in_rows(node: Node) -> tuple[Node, ...]:
    """The operands whose last axis a kernel reads as it lies side by side."""
    vectors = node.inputs[: _fixed(node.op)][: 3 if node.op in FORWARD else 4]
    bias = seen_by(node)[1]
    return vectors if bias is None else (*vectors, bias)


def _fixed(op: str) -> int:
    return 3 if op in FORWARD else 6


def _scores(q: Type, k: Type) -> Type:
    """The type of s."""
    return q.with_shape((*q.shape[:-3], q.shape[-2], q.shape[-3], k.shape[-3]))


def _checked(types: Sequence[Type], op: str) -> tuple[Type, Type]:
    """The types of an attention and of its logarithms of sums."""
    q, k, v = types[:3]
    if not q.is_float or {k.dtype, v.dtype} != {q.dtype}:
        raise DtypeRuleError(f"expected floats of one dtype, got {q}, {k}, {v}")
    if q.rank < 3 or k.rank != q.rank or v.rank != q.rank:
        raise TypeRuleError(f"expected queries, keys and values [..., T, h, d], got {q}, {k}, {v}")
    *lead, count, heads, width = q.shape
    keys = k.shape[-3]
    if k.shape != (*lead, keys, heads, width) or v.shape[:-1] != (*lead, keys, heads):
        raise TypeRuleError(f"expected keys and values that fit queries {q}, got {k}, {v}")
    values = q.with_shape((*lead, count, heads, v.shape[-1]))
    sums = q.with_shape((*lead, heads, count))
    wanted = [values, sums, sums] if op in BACKWARD else []
    if list(types[3 : _fixed(op)]) != wanted:
        raise TypeRuleError(f"expected {wanted}, got {list(types[3 : _fixed(op)])}")
    allowed = [sums.with_dtype("int32"), _scores(q, k)]
    rest = list(types[_fixed(op) :])
    if rest not in ([], allowed[:1], allowed[1:], allowed):
        raise TypeRuleError(f"expected limits {allowed[0]} and a bias {allowed[1]}, got {rest}")
    return values, sums


def _infer(op: str) -> Any:
    def rule(types: Sequence[Type], attrs: Attrs) -> Type:
        values, sums = _checked(types, op)
        results = {"attention": values, "attention_log_sums": sums}
        results.update(zip(BACKWARD, types[:3], strict=False))
        return results[op]

    return rule


def _heads_first(x: Array) -> Array:
    return np.swapaxes(x.astype(np.float64), -3, -2)


def _seen(scores: Array, rest: Sequence[Array]) -> tuple[Array, Array]:
    """The scores with a bias, and which of them count."""
    seen = np.ones(scores.shape, bool)
    for item in rest:
        if item.dtype.kind == "f":
            scores, seen = scores + item, seen & (item != -np.inf)
        else:
            seen &= np.arange(scores.shape[-1]) < item[..., None]
    return np.where(seen, scores, -np.inf), seen


def _weighted(weights: Array, x: Array) -> Array:
    """The sums over j of weights[i, j] x[j], without those whose weight is 0."""
    if np.isfinite(x).all():
        return np.asarray(weights @ x)
    total = np.zeros((*weights.shape[:-1], x.shape[-1]))
    for j in range(x.shape[-2]):
        each = weights[..., j, None]
        total += np.where(each == 0, 0, each * x[..., j, None, :])
    return total


def _reference(op: str) -> Any:
    """All in float64, and rounded once."""

    def rule(result: Type, attrs: Attrs, *arrays: Array) -> Array:
        q, k, v = map(_heads_first, arrays[:3])
        with np.errstate(all="ignore"):
            scores, seen = _seen(
                attrs["scale"] * (q @ np.swapaxes(k, -2, -1)), arrays[_fixed(op) :]
            )
            if op in FORWARD:
                found = _forward(op, scores, v)
            else:
                g, (log_sums, delta) = _heads_first(arrays[3]), arrays[4:6]
                p = np.where(seen, np.exp(scores - log_sums[..., None]), 0)
                w = np.where(p == 0, 0, p * (g @ np.swapaxes(v, -2, -1) - delta[..., None]))
                turned = np.swapaxes(p if op == "attention_value" else w, -2, -1)
                if op == "attention_query":
                    found = attrs["scale"] * _weighted(w, k)
                elif op == "attention_key":
                    found = attrs["scale"] * (turned @ q)
                else:
                    found = turned @ g
        if op != "attention_log_sums":
            found = np.swapaxes(found, -3, -2)
        return np.asarray(found, dtype=result.dtype)

    return rule


def _forward(op: str, scores: Array, v: Array) -> Array:
    most = np.max(scores, axis=-1, initial=-np.inf, keepdims=True)
    p = np.exp(scores - np.where(most == -np.inf, 0, most))
    total = p.sum(-1, keepdims=True)
    if op == "attention_log_sums":
        return np.asarray(np.where(total == 0, np.inf, most + np.log(total))[..., 0])
    return np.where(total == 0, 0, _weighted(p, v) / total)


def _back(b: Builder, n: Node, g: Node, log_sums: Node, delta: Node) -> list[Node]:
    """The cotangents of queries, keys and values."""
    q, k, v, *rest = n.inputs
    return [b.apply(op, q, k, v, g, log_sums, delta, *rest, **n.attrs) for op in BACKWARD]


def _attention_vjp(b: Builder, n: Node, g: Node) -> tuple[Node | None, ...]:
    rank = n.type.rank
    log_sums = b.attention_log_sums(*n.inputs, **n.attrs)
    total = b.reduce_sum(b.mul(g, n), axes=(rank - 1,))
    delta = b.transpose(total, axes=(*range(rank - 3), rank - 2, rank - 3))
    return (*_back(b, n, g, log_sums, delta), *_into_bias(b, n, g, log_sums, delta))


def _log_sums_vjp(b: Builder, n: Node, g: Node) -> tuple[Node | None, ...]:
    """The weights themselves are the derivative by the scores."""
    values = _checked([item.type for item in n.inputs], n.op)[0]
    zeros = b.fill(0, values)
    delta = b.neg(g)
    query, key, _ = _back(b, n, zeros, n, delta)
    return (query, key, None, *_into_bias(b, n, zeros, n, delta))


def _into_bias(
    b: Builder, n: Node, g: Node, log_sums: Node, delta: Node
) -> tuple[Node | None, ...]:
    """Cotangents of what stands behind the operands that all have."""
    if seen_by(n)[1] is None:
        return (None,) * (len(n.inputs) - _fixed(n.op))
    weights = _Weights(b, n, g, log_sums, delta)
    return weights.of_bias(weights.changes)


def _way_back_vjp(b: Builder, n: Node, u: Node) -> tuple[Node | None, ...]:
    """Through the weights whole: of w, or of p for the values, then of p, then of s."""
    q, _, _, g, log_sums, delta = n.inputs[:6]
    x = _Weights(b, n, g, log_sums, delta)
    scale = float(n.attrs["scale"])
    into_q = into_k = into_v = into_delta = None
    if n.op == "attention_value":
        of_p = x.products(g, "ihe", u, "jhe")
        into_g = x.sums(x.p, u, "jhe", "ihe")
    else:
        if n.op == "attention_query":
            of_w = b.scale(x.products(u, "ihd", x.k, "jhd"), scale)
            into_k = b.scale(x.sums(x.changes, u, "ihd", "jhd"), scale)
        else:
            of_w = b.scale(x.products(q, "ihd", u, "jhd"), scale)
            into_q = b.scale(x.sums(x.changes, u, "jhd", "ihd"), scale)
        of_p = b.mul(of_w, x.lifts)
        of_lifts = b.mul(of_w, x.p)
        into_g = x.sums(of_lifts, x.v, "jhe", "ihe")
        into_v = x.sums(of_lifts, g, "ihe", "jhe")
        into_delta = b.neg(b.reduce_sum(of_lifts, axes=(of_lifts.type.rank - 1,)))
    of_s = b.mul(of_p, x.p)
    more_q = b.scale(x.sums(of_s, x.k, "jhd", "ihd"), scale)
    more_k = b.scale(x.sums(of_s, q, "ihd", "jhd"), scale)
    into_q = more_q if into_q is None else b.add(into_q, more_q)
    into_k = more_k if into_k is None else b.add(into_k, more_k)
    into_sums = b.neg(b.reduce_sum(of_s, axes=(of_s.type.rank - 1,)))
    return (into_q, into_k, into_v, into_g, into_sums, into_delta, *x.of_bias(of_s))


class _Weights:
    """The weights of a node, whole, as other primitives make them; [..., h, i, j].

    Attributes:
        k, v: keys and values, with zeros for those that no query sees.
        p: the weights.
        lifts: g v' - delta.
        changes: w.
    """

    def __init__(self, b: Builder, n: Node, g: Node, log_sums: Node, delta: Node) -> None:
        self.b = b
        q, k, v = n.inputs[:3]
        self.limits, self.bias = seen_by(n)
        self.rest = n.inputs[_fixed(n.op) :]
        kind = _scores(q.type, k.type)
        hidden = self.hidden(kind)
        self.k, self.v = (self.seen_at_all(item, hidden) for item in (k, v))
        scores = b.scale(self.products(q, "ihd", self.k, "jhd"), float(n.attrs["scale"]))
        if self.bias is not None:
            scores = b.add(scores, self.bias)
        over = b.sub(scores, self.along_keys(log_sums, kind))
        if hidden is not None:
            # Before the exponential too: what is hidden may be anything.
            over = b.zeros_where(hidden, over)
        self.p = b.exp(over)
        if hidden is not None:
            self.p = b.zeros_where(hidden, self.p)
        self.lifts = b.sub(self.products(g, "ihe", self.v, "jhe"), self.along_keys(delta, kind))
        self.changes = b.mul(self.p, self.lifts)

    def hidden(self, kind: Type) -> Node | None:
        """Which keys a query does not see, where not all of them do."""
        b, found = self.b, None
        if self.bias is not None:
            found = b.eq(self.bias, b.fill(-np.inf, kind))
        if self.limits is not None:
            places = b.iota(shape=kind.shape, axis=kind.rank - 1, dtype="int32")
            beyond = b.ge(places, self.along_keys(self.limits, kind))
            found = beyond if found is None else getattr(b, "or")(found, beyond)
        return found

    def seen_at_all(self, x: Node, hidden: Node | None) -> Node:
        """Keys or values, with zeros for those that no query sees: a product would read them."""
        if hidden is None:
            return x
        b, rank = self.b, hidden.type.rank
        zero, one = (b.fill(number, hidden.type.with_dtype("int32")) for number in (0, 1))
        queries = b.reduce_sum(b.select(hidden, zero, one), axes=(rank - 2,))
        none = b.eq(queries, b.fill(0, queries.type))
        none = b.transpose(none, axes=(*range(rank - 3), rank - 2, rank - 3))
        none = b.broadcast(none, shape=x.shape, axes=tuple(range(rank - 1)))
        node: Node = b.zeros_where(none, x)
        return node

    def along_keys(self, x: Node, kind: Type) -> Node:
        """What there is of each query, repeated for all keys."""
        node: Node = self.b.broadcast(x, shape=kind.shape, axes=tuple(range(kind.rank - 1)))
        return node

    def products(self, x: Node, over_x: str, y: Node, over_y: str) -> Node:
        """The sums of products of queries' and keys' vectors; "hij"."""
        lead = x.type.rank - 3
        node: Node = self.b.contract(
            x, y, a=_labels(lead, over_x), b=_labels(lead, over_y), out=_labels(lead, "hij")
        )
        return node

    def sums(self, weights: Node, x: Node, over_x: str, out: str) -> Node:
        """The sums over queries or keys of weights times their vectors."""
        lead = x.type.rank - 3
        node: Node = self.b.contract(
            weights, x, a=_labels(lead, "hij"), b=_labels(lead, over_x), out=_labels(lead, out)
        )
        return node

    def of_bias(self, of_scores: Node) -> tuple[Node | None, ...]:
        """Cotangents of what stands behind the other operands."""
        return tuple(of_scores if item is self.bias else None for item in self.rest)


def _labels(lead: int, text: str) -> tuple[int, ...]:
    return (*range(lead), *(lead + "ijhde".index(letter) for letter in text))


def _batch(b: Builder, n: Node, operands: Sequence[Node], batched: Sequence[bool]) -> Node:
    return b.apply(n.op, *repeated(b, operands, batched), **n.attrs)


def attention_products(nodes: Sequence[Node]) -> tuple[Dim, Dim]:
    """The pairs of a query and a key, and the multiply-adds for each, of what one kernel computes.

    Pairs that are not seen count, as zeros around an image do.
    """
    q, k, v = (item.type for item in nodes[0].inputs[:3])
    width, depth, ops = q.shape[-1], v.shape[-1], {node.op for node in nodes}
    each = width
    if not ops.isdisjoint(("attention", "attention_query", "attention_key")):
        each = each + depth
    own = {"attention_query": width, "attention_key": width, "attention_value": depth}
    return _scores(q, k).count, sum((n for op, n in own.items() if op in ops), each)


EXPONENTIAL = 10
"""Operations that an exponential counts for."""


def attention_flops(nodes: Sequence[Node]) -> Dim:
    """Two for each multiply-add, and each weight's exponential, of what one kernel computes."""
    if not nodes:
        return 0
    pairs, each = attention_products(nodes)
    return pairs * (each * 2 + EXPONENTIAL)


def attention_work(nodes: Sequence[Node]) -> Dim:
    """An estimate for the nodes of one kernel, in operations on one element."""
    pairs, each = attention_products(nodes)
    reads = product(nodes[0].inputs[0].shape)
    return floor_divide(pairs * each * 2, 32) + pairs + reads


PRIMITIVES = tuple(
    Primitive(
        name=op,
        kind="contraction",
        infer=_infer(op),
        reference=_reference(op),
        vjp=vjp,
        batch=_batch,
    )
    for op, vjp in (
        ("attention", _attention_vjp),
        ("attention_log_sums", _log_sums_vjp),
        *((op, _way_back_vjp) for op in BACKWARD),
    )
)
