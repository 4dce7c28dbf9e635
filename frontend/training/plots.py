"""Plots of numbers over steps or epochs, with Matplotlib, which is only imported to draw one."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

from ..files import picture_path, write_atomically


class Plot:
    """One diagram of curves, written into a file.

    Args:
        what: who draws it, for messages: "History.plot".
        path: a name that ends in .svg or .png.

    Raises:
        ValueError: another suffix.
        ImportError: Matplotlib is not installed.
    """

    def __init__(self, what: str, path: str | os.PathLike[str]) -> None:
        self.path = picture_path(path)
        self.suffix = self.path.suffix.lower()
        try:
            from matplotlib.figure import Figure
        except ImportError as error:
            raise ImportError(
                f"{what} draws with Matplotlib, which is not installed: "
                "pip install 'diagrad[examples]'"
            ) from error
        self.figure = Figure(figsize=(6.4, 4.0), layout="constrained")
        self.axes: Any = self.figure.add_subplot()

    def write(self, across: str, up: str, whole: bool = True) -> Path:
        """Write the file, the axes called so; an interrupted write leaves an older file.

        With `whole` what is across is counted: epochs.
        """
        from matplotlib.ticker import MaxNLocator

        self.axes.set_xlabel(across)
        self.axes.set_ylabel(up)
        if whole:
            self.axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        self.axes.spines[["top", "right"]].set_visible(False)
        drawn = io.BytesIO()
        self.figure.savefig(drawn, format=self.suffix[1:], dpi=150)
        write_atomically(self.path, drawn.getvalue())
        return self.path
