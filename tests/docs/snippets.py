"""The blocks of Python in a document, and running them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import diagrad as dg

ROOT = Path(__file__).resolve().parent.parent.parent
BLOCK = re.compile(r"^(?:<!-- setup\n(.*?)^-->|```python\n(.*?)^```)$", re.DOTALL | re.MULTILINE)


def blocks(path: Path) -> Iterator[tuple[int, str]]:
    """The code of a document, each block with the line that it begins at."""
    text = path.read_text(encoding="utf-8")
    for found in BLOCK.finditer(text):
        code = found.group(1) or found.group(2)
        yield text.count("\n", 0, found.start(1 if found.group(1) else 2)), code


def mistakes(value: Any) -> list[str]:
    """What is wrong with variables that carry a mistake."""
    if isinstance(value, (list, tuple)):
        return [text for item in value for text in mistakes(item)]
    return [str(item) for item in value.mistakes] if isinstance(value, dg.Variable) else []


def run(*documents: Path) -> None:
    """Run the blocks of documents in their order, in one namespace."""
    space: dict[str, Any] = {"dg": dg, "np": np, "__name__": documents[-1].stem}
    for path in documents:
        for line, code in blocks(path):
            # Empty lines in front, so that a traceback has the document's own lines.
            exec(compile("\n" * line + code, str(path), "exec"), space)
            for name, value in list(space.items()):
                assert not mistakes(value), f"{path.name}:{line}: {name}"
