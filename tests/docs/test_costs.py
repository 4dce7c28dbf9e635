"""Every row of docs/costs.md runs: PyTorch's expression and the one here give the same."""

import re
from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ..house import ROOT

RNG = np.random.default_rng(0)
SHAPE = (4, 3)
ARRAYS: dict[str, Any] = {
    "x": RNG.normal(size=SHAPE),
    "y": RNG.normal(size=SHAPE),
    "z": RNG.normal(size=(4, 4)),
    "p": RNG.dirichlet(np.ones(3), 4),
    "q": RNG.dirichlet(np.ones(3), 4),
    "t": RNG.integers(0, 2, SHAPE).astype(float),
    "labels": np.array([2, 0, 1, 1]),
    "side": np.array([1.0, -1.0, -1.0, 1.0]),
    "sides": np.where(RNG.integers(0, 2, SHAPE), 1.0, -1.0),
    "w": np.array([0.5, 1.0, 2.0]),
    "frames": RNG.normal(size=(6, *SHAPE)),
    "text": np.array([[1, 2], [2, 1], [1, 1], [2, 2]]),
}
PAGE = (ROOT / "docs" / "costs.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `(.+?)` \| `(.+?)` \|$", PAGE, re.MULTILINE)


def test_every_row_of_the_tables_is_read() -> None:
    lines = [line for line in PAGE.splitlines() if line.startswith("| `")]
    assert len(ROWS) == len(lines) > 50


def test_both_sides_of_every_row_are_equal() -> None:
    torch = pytest.importorskip("torch")
    variables = {name: dg.observed(name, a.shape, a.dtype) for name, a in ARRAYS.items()}
    outputs = {
        str(place): eval(ours, {"dg": dg, **variables}) for place, (_, ours) in enumerate(ROWS)
    }
    values = dg.Diagram("rows", outputs).compile(target="reference").run(**ARRAYS)
    tensors = {name: torch.tensor(array) for name, array in ARRAYS.items()}
    for place, (theirs, ours) in enumerate(ROWS):
        wanted = eval(theirs, {"F": torch.nn.functional, **tensors}).numpy()
        found = values[str(place)]
        assert found.shape == wanted.shape, ours
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12, err_msg=ours)
