"""Every row of docs/from_numpy.md runs: NumPy's expression and the one here give the same."""

import re
from typing import Any

import numpy as np

import diagrad as dg

from ..house import ROOT

RNG = np.random.default_rng(0)
ARRAYS: dict[str, Any] = {
    "x": RNG.normal(size=(3, 3)),
    "y": RNG.uniform(0.5, 3, (3, 3)),
    "v": RNG.normal(size=3),
    "w": RNG.normal(size=3),
    "i": RNG.integers(-9, 10, (3, 3)),
    "j": RNG.integers(1, 6, (3, 3)),
    "m": RNG.integers(0, 2, (3, 3)).astype(bool),
    "n": RNG.integers(0, 2, (3, 3)).astype(bool),
    **{name: RNG.integers(-3, 3, 4) for name in "pq"},
}
PAGE = (ROOT / "docs" / "from_numpy.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `(.+?)` \| `(.+?)` \|$", PAGE, re.MULTILINE)


def test_every_row_of_the_tables_is_read() -> None:
    lines = [line for line in PAGE.splitlines() if line.startswith("| `")]
    assert len(ROWS) == len(lines) > 60


def test_both_sides_of_every_row_are_equal() -> None:
    variables = {name: dg.observed(name, a.shape, a.dtype) for name, a in ARRAYS.items()}
    outputs = {
        str(place): eval(ours, {"dg": dg, "np": np, **variables})
        for place, (_, ours) in enumerate(ROWS)
    }
    values = dg.Diagram("rows", outputs).compile(target="cpu").run(**ARRAYS)
    for place, (numpys, ours) in enumerate(ROWS):
        wanted, found = eval(numpys, {"np": np, **ARRAYS}), values[str(place)]
        assert found.dtype == wanted.dtype, ours
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-14, err_msg=ours)
