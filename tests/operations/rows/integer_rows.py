"""The rows of the table for what Python does with integers: division, powers, bits, products."""

import numpy as np

import diagrad as dg

from .operation import Operation
from .rows import one, two

DIVISIONS = [
    two("floor_divide", dg.floor_divide, np.floor_divide, kinds="fiu"),
    two("floor_divide operator", lambda x, y: x // y, np.floor_divide, kinds="fiu"),
    one("floor_divide number", lambda x: x // 2 + 7 // x, lambda x: x // 2 + 7 // x, kinds="fiu"),
    two("remainder", dg.remainder, np.remainder, kinds="fiu"),
    two("remainder operator", lambda x, y: x % y, np.remainder, kinds="fiu"),
    one("remainder number", lambda x: x % 2 + 7 % x, lambda x: x % 2 + 7 % x, kinds="fiu"),
    two("divmod", lambda x, y: dg.add(*dg.divmod(x, y)), lambda x, y: np.add(*np.divmod(x, y)),
        kinds="fiu"),
    two("divmod operator", lambda x, y: dg.subtract(*divmod(x, y)),
        lambda x, y: np.subtract(*np.divmod(x, y)), kinds="fiu"),
    two("fmod", dg.fmod, np.fmod, kinds="fiu"),
]  # fmt: skip


POWERS = [
    two("power integers", dg.power, np.power, kinds="iu", domains=("real", "positive")),
    one("power integer", lambda x: x**5 + x**2 + x**3 + x**1 + x**0,
        lambda x: x**5 + x**2 + x**3 + x + x**0, kinds="iu"),
    one("power of integer", lambda x: 3**x, lambda x: 3**x, kinds="iu", domains=("positive",)),
]  # fmt: skip
BITS = [
    two(name, getattr(dg, name), getattr(np, name), kinds="iub")
    for name in ("bitwise_and", "bitwise_or", "bitwise_xor")
] + [
    one("bitwise_invert", dg.bitwise_invert, np.invert, kinds="iub"),
    two("bitwise_left_shift", dg.bitwise_left_shift, np.left_shift, kinds="iu"),
    two("bitwise_right_shift", dg.bitwise_right_shift, np.right_shift, kinds="iu"),
    two("bitwise_and operator", lambda x, y: (x & y) | (x ^ y), lambda x, y: (x & y) | (x ^ y),
        kinds="iub"),
    one("bitwise_left_shift operator", lambda x: ~(x << 3) + (x >> 1) + (1 << x) + (99 >> x),
        lambda x: ~(x << 3) + (x >> 1) + (x.dtype.type(1) << x) + (x.dtype.type(99) >> x),
        kinds="iu"),
    one("bitwise_and number", lambda x: (x & 6) | (1 ^ x), lambda x: (x & 6) | (1 ^ x), kinds="iu"),
]  # fmt: skip
INTEGER_PRODUCTS = [
    Operation("matmul integers", dg.matmul, np.matmul,
              (((7,), (7,)), ((13, 7), (7,)), ((7,), (7, 13)), ((13, 7), (7, 17)), ((1, 7), (7, 1)),
               ((0, 3), (3, 5)), ((5, 0), (0, 3)), ((2, 3, 5), (5, 7)), ((5,), (2, 5, 7)),
               ((2, 1, 3, 5), (4, 5, 7))),
              kinds="iub", named=(("M", 3, "N"), ("N", 5))),
] + [
    Operation(f"einsum integers {text}", lambda *v, t=text: dg.einsum(t, *v),
              lambda *v, t=text: np.einsum(t, *v), shapes, kinds="iub")
    for text, shapes in (
        ("ij,jk->ik", (((7, 13), (13, 5)), ((0, 3), (3, 2)), ((2, 0), (0, 2)))),
        ("ji,jk->ki", (((7, 13), (7, 5)),)),
        ("ij,k->i", (((7, 13), (3,)),)),
        ("bij,bjk->kbi", (((3, 7, 5), (3, 5, 2)),)),
        ("ij,jk,kl->il", (((7, 5), (5, 3), (3, 13)),)),
        ("i,j->ij", (((7,), (13,)),)),
        ("ij->j", (((7, 13),),)),
    )
]  # fmt: skip
INTEGERS = [*POWERS, *BITS, *INTEGER_PRODUCTS]
