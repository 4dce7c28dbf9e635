"""Diagrams drawn by a text that has a file name of its own, so that messages can be compared."""

import textwrap
from typing import Any

import numpy as np
import pytest

import diagrad as dg


def draw(source: str, file: str = "model.py") -> dict[str, Any]:
    """Run a text as the file of this name, `dg` and `np` imported; its variables."""
    names: dict[str, Any] = {"dg": dg, "np": np}
    exec(compile(textwrap.dedent(source).strip("\n"), file, "exec"), names)
    return names


def mistake_in(
    source: str, kind: type[Exception] = dg.DiagradError, file: str = "model.py"
) -> Exception:
    """The error of exactly this class that a text ends in, or that `y` carries."""
    with pytest.raises(kind) as error:
        names = draw(source, file)
        dg.Diagram("diagram", {"y": names["y"]})
    assert type(error.value) is kind
    return error.value
