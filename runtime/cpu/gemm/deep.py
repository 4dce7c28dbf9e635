"""A product of great depth: the sum of products of `GEMM_LONG` steps each.

Up to there, a product is made of chains of GEMM_DEPTH multiply-adds, up to 64 of them, added one
after another.  What is rounded away where such parts are added up is kept (Kahan, Further remarks
on reducing truncation errors, 1965; `compiler/emission/compensation.py` says more).  So an element
is off by at most 384 + 64 + 8 roundings, half an eps each, of the sum of its terms' absolute
values, whatever the depth is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ...program import GEMM_DEEP, GEMM_LONG
from ..building.llvm_loops import I64, internal, loop, smaller
from .dot import Sums
from .product import Product


def deep_function(module: Any, element: Any, lanes: int, routine: Any) -> Any:
    """(a, a_row, a_col, b, b_row, b_col, c, c_row, m, n, k, space), words as the routine's own."""
    function, b = internal(module, "deep", [I64] * 12)
    x = Product(*function.args)
    sums, pointer = Sums(module, b, element, lanes), element.as_pointer()
    size = 4 if sums.letter == "f32" else 8
    room = b.add(x.space, I64(GEMM_DEEP))
    part, out = b.inttoptr(room, pointer), b.inttoptr(x.c, pointer)
    lost = b.gep(part, [b.mul(x.m, x.n)])
    with loop(b, I64(0), x.k, GEMM_LONG) as p:
        depth, fresh = smaller(b, b.sub(x.k, p), I64(GEMM_LONG)), b.icmp_signed("==", p, I64(0))
        left = b.add(x.a, b.mul(b.mul(p, x.a_col), I64(size)))
        right = b.add(x.b, b.mul(b.mul(p, x.b_row), I64(size)))
        b.call(routine, replace(x, a=left, b=right, c=room, c_row=x.n, k=depth).arguments)
        with loop(b, I64(0), x.m, 1) as i:
            row = b.mul(i, x.n)
            target = b.gep(out, [b.mul(i, x.c_row)])
            add_row(b, sums, target, b.gep(part, [row]), b.gep(lost, [row]), x.n, fresh)
    b.ret_void()
    return function


def add_row(
    b: Any, sums: Sums, target: Any, part: Any, lost: Any, columns: Any, fresh: Any
) -> None:
    """Add a row of one part of the product; what is rounded away is kept in `lost`.

    Where it is `fresh`, nothing has been added before.
    """
    for j, mask in sums.over(columns):
        gone, total = b.gep(lost, [j]), b.gep(target, [j])
        kept = b.select(fresh, sums.zeros, sums.load(gone, mask))
        old = b.select(fresh, sums.zeros, sums.load(total, mask))
        more = b.fadd(sums.load(b.gep(part, [j]), mask), kept)
        new = b.fadd(old, more)
        finite = b.fcmp_ordered("==", b.fsub(new, new), sums.zeros)
        rest = b.fsub(more, b.fsub(new, old))
        sums.store(b.select(finite, rest, sums.zeros), gone, mask)
        sums.store(new, total, mask)
