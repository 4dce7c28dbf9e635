"""The operations of random diagrams along a sequence: its order, and attention.

Each takes a drawing and returns what it has drawn: a variable, or None where nothing fits.
"""

from __future__ import annotations

from typing import Any

import diagrad as dg

from .drawing import Drawing, named


def order(d: Drawing) -> Any:
    """Elements along an axis in their order, the greatest of them, or those at chosen places."""
    x = d.pick(lambda v: any(not named(n) and n > 0 for n in v.shape))
    if x is None:
        return None
    axes = [axis for axis, n in enumerate(x.shape) if not named(n) and n > 0]
    axis, descending, kind = d.choose(axes), d.flag(), d.number() % 4
    extent = x.shape[axis]
    if kind == 0:
        return dg.sort(x, axis, descending)
    if kind == 1:
        return dg.topk(x, min(extent, d.number() % 4), axis, descending)[0]
    others = dg.argsort(dg.tanh(x) * x, axis, descending)
    if kind == 2:
        return dg.take_along_axis(x, others, axis)
    return x * others.astype(d.plan.dtype) * (0.3 / extent)


def attention(d: Drawing) -> Any:
    """Means of values by queries and keys, some of which are hidden."""
    x = d.pick(lambda v: 1 < v.ndim < 5 and not named(v.shape[-1]))
    if x is None:
        return None
    features = int(x.shape[-1])
    lead = x.shape[:-2]
    q = dg.sin(x) * 1.5
    if d.flag():
        k, v = dg.tanh(x @ d.weight((features, features))), x
    else:
        count = d.choose((1, 2, 5))
        k = dg.broadcast_to(d.weight((count, features)), (*lead, count, features))
        v = dg.broadcast_to(d.weight((count, 3)), (*lead, count, 3))
    options: dict[str, Any] = {"causal": d.flag()}
    kind = d.number() % 4
    keys: Any = k.shape[-2]
    if kind == 1 and not named(keys):
        options["mask"] = d.weight((keys,)) < 0.3
    if kind == 2 and not named(keys):
        options["mask"] = dg.tanh(d.weight((keys,))) * 2.0
    if kind == 3 and lead[:1] == ("B",) and keys in d.plan.extents:
        options["lengths"] = d.index(("B",))
    return dg.attention(q, k, v, **options)
