"""Every row of docs/from_numpy.md runs: NumPy's expression and the one here give the same."""

import ast
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


def of_numpy(expression: str) -> Any:
    """What NumPy's expression gives; of one that changes an array, its first operand, the array."""
    given = {name: a.copy() for name, a in ARRAYS.items()}
    if not re.match(r"np\.(\w+\.at|put_along_axis)\(", expression):
        return eval(expression, {"np": np, **given})
    call: Any = ast.parse(expression, mode="eval").body
    changed = eval(ast.unparse(call.args[0]), {"np": np, **given})
    call.args[0] = ast.Name("changed", ast.Load())
    eval(ast.unparse(call), {"np": np, "changed": changed, **given})
    return changed


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
        wanted, found = of_numpy(numpys), values[str(place)]
        assert found.dtype == wanted.dtype, ours
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-14, err_msg=ours)
