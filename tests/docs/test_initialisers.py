"""The tables of docs/initialisers.md are right: of what blocks start with, here and in PyTorch."""

import math
import re
from typing import Any

import numpy as np
import pytest

import diagrad as dg
from diagrad.frontend.library.init import initial_value

from ..house import ROOT

PAGE = (ROOT / "docs" / "initialisers.md").read_text(encoding="utf-8")
INITIALISERS = re.findall(r"^\| `(\w+_\(.+?\))` \| `(init\..+?)` \|$", PAGE, re.MULTILINE)
DEFAULTS = re.findall(r"^\| `(\w+\(.*?\))` \| `(.+?)` \| (.+?) \| (.+?) \|$", PAGE, re.MULTILINE)
SIZES = {"i": 48, "o": 40, "h": 56}
TORCHS = {"BatchNorm": "BatchNorm1d", "MultiHeadAttention": "MultiheadAttention"}
NAMES = {
    "recurrent": "weight_hh", "query/weight": "in_proj_weight", "query/bias": "in_proj_bias",
    "output/weight": "out_proj.weight", "output/bias": "out_proj.bias",
}  # fmt: skip


def test_every_row_of_the_tables_is_read() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| `")]
    assert len(INITIALISERS) + len(DEFAULTS) == len(rows) and len(INITIALISERS) == 15


def fits(value: Any, said: str, parts: int = 1) -> None:
    """An array is as the table says; U and N by their bounds and their deviation."""
    if said.startswith("Q"):
        for part in np.split(value, parts, -1):
            np.testing.assert_allclose(part.T @ part, np.eye(part.shape[1]), atol=1e-5)
    elif said[0] in "UN":
        size = eval(said[2:-1], {"sqrt": math.sqrt, **SIZES})
        deviation = size / math.sqrt(3) if said[0] == "U" else size
        assert value.std() == pytest.approx(deviation, rel=0.3 if value.size < 200 else 0.1)
        assert said[0] == "N" or 0.8 * size < abs(value).max() <= size * (1 + 1e-6)
    elif "forget gate" in said:
        assert sorted(np.unique(value)) == [0, 1] and value.sum() * parts == value.size
    else:
        np.testing.assert_array_equal(value, float(said))


@pytest.mark.parametrize(("made", "name", "ours", "_"), DEFAULTS)
def test_blocks_start_so(made: str, name: str, ours: str, _: str) -> None:
    block = eval(f"dg.{made}", {"dg": dg, **SIZES})
    parts = {"LSTMCell": 4, "GRUCell": 3}.get(made.split("(")[0], 1)
    fits(initial_value(block.parameters()[name], f"block/{name}", 0), ours, parts)


@pytest.mark.parametrize(("made", "name", "_", "theirs"), DEFAULTS)
def test_pytorchs_start_so(made: str, name: str, _: str, theirs: str) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    kind, rest = made.split("(", 1)
    block = eval(f"torch.nn.{TORCHS.get(kind, kind)}({rest}", {"torch": torch, **SIZES})
    cell = kind.endswith("Cell")
    found = f"{name}_ih" if cell and name in ("weight", "bias") else NAMES.get(name, name)
    fits(dict(block.named_parameters())[found].detach().numpy(), theirs)


@pytest.mark.parametrize(("theirs", "ours"), INITIALISERS)
def test_initialisers_are_pytorchs(theirs: str, ours: str) -> None:
    """The same moments and extremes; `sparse` but for the axis of its columns."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    shape = (40, 60, 3) if "dirac" in theirs else (400, 600)
    tensor = torch.empty(shape)  # (outputs, inputs, ...)
    eval(f"torch.nn.init.{theirs}", {"torch": torch, "w": tensor})
    wanted = tensor.numpy()
    here = eval(ours, {"init": dg.init})
    given = shape if "dirac" in theirs else shape[::-1]
    found = here(np.random.default_rng(0), given, "float32")
    if "eye" in theirs or "dirac" in theirs:
        np.testing.assert_array_equal(found, wanted if "dirac" in theirs else wanted.T)
        return
    wanted, found = wanted.astype(np.float64), found.astype(np.float64)
    assert found.mean() == pytest.approx(wanted.mean(), abs=0.02 * (wanted.std() + 1))
    assert found.std() == pytest.approx(wanted.std(), rel=0.02, abs=1e-6)
    assert (found == 0).mean() == pytest.approx((wanted == 0).mean(), abs=0.01)
    if "normal" not in theirs or "trunc" in theirs:
        assert abs(found).max() == pytest.approx(abs(wanted).max(), rel=0.25)
