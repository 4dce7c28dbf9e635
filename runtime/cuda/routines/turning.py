"""The texts of `turn_f32` and `turn_f64`: a matrix turned, by one warp.

    c[i*c_row + j] = rows[j*apart + i] for n rows of m elements

Lanes write neighbouring elements.  Each reads its own row, element after element, so that what is
fetched for one row of the result serves the next ones too.
"""

from __future__ import annotations

LANES = 32
"""Of a warp."""


def turn_text(kind: str) -> str:
    """The routine for `kind`, "f32" or "f64", as text of the kernel language."""
    return f"""def turn_{kind}(c, c_row, rows, apart, n, m, warp, warps):
    p = {kind}_at(rows)
    q = {kind}_at(c)
    for j in range(0, n, {LANES}):
        some = lanes_below(n - j)
        for i in range(0, m):
            store(q, i * c_row + j, load_strided(p, j * apart + i, apart, some), some)
"""
