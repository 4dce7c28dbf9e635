"""The diagrams of a script: FILE, or FILE:diagram, as the command line is told.

What the text of the script shows to be wrong is told before it is run.
"""

from __future__ import annotations

import ast
import runpy
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from .diagram import Diagram
from .loading import until_training

_NAME = "diagrad_script"
"""The `__name__` of a script that is loaded for its diagrams."""


class MisuseError(Exception):
    """A mistake in the arguments of the command line."""


def run_script(file: str, arguments: Sequence[str]) -> None:
    """Run a script as Python does."""
    path = _existing(Path(file))
    with _in_place(path, arguments):
        runpy.run_path(str(path), run_name="__main__")


def find_diagram(text: str) -> Diagram:
    """The diagram that FILE[:diagram] means; MisuseError where there is none, or several."""
    path, name = split(text)
    source = path.read_bytes()
    stored = _stored_names(source, path)
    if name is not None and stored is not None and name not in stored:
        drawn = ", ".join(key for key, is_drawn in stored.items() if is_drawn) or "none"
        raise MisuseError(f"{path} has no diagram called {name}; its diagrams: {drawn}")
    if stored is not None and not stored:
        raise MisuseError(_NONE.format(path=path))
    found = _load(path, source, name)
    named = ", ".join(found) or "none"
    if name is not None:
        if name not in found:
            raise MisuseError(f"{path} has no diagram called {name}; its diagrams: {named}")
        return found[name]
    different = list(dict.fromkeys(found.values()))
    if not different:
        raise MisuseError(_NONE.format(path=path))
    if len(different) > 1:
        first = next(iter(found))
        raise MisuseError(f"{path} has several diagrams ({named}): choose one, as {path}:{first}")
    return different[0]


_NONE = "{path} has no diagram: no global variable of it is a dg.Diagram"


def split(text: str) -> tuple[Path, str | None]:
    """The file, and the name of a diagram in it if there is one."""
    if Path(text).is_file():
        return Path(text), None
    file, colon, name = text.rpartition(":")
    if not colon or not name.isidentifier():
        return _existing(Path(text)), None
    return _existing(Path(file)), name


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise MisuseError(f"there is no file {path}")
    return path


def _load(path: Path, source: bytes, name: str | None) -> dict[str, Diagram]:
    """The global diagrams of a script that is run until it trains, if what is wanted is there."""
    module = ModuleType(_NAME)
    module.__file__ = str(path)
    before = sys.modules.get(_NAME)
    sys.modules[_NAME] = module

    def diagrams() -> dict[str, Diagram]:
        known = vars(module).items()
        return {key: value for key, value in known if isinstance(value, Diagram)}

    def enough() -> bool:
        return name in vars(module) if name is not None else bool(diagrams())

    try:
        with _in_place(path, ()), until_training(enough):
            exec(compile(source, str(path), "exec"), vars(module))
        return diagrams()
    finally:
        del sys.modules[_NAME]
        if before is not None:
            sys.modules[_NAME] = before


@contextmanager
def _in_place(path: Path, arguments: Sequence[str]) -> Iterator[None]:
    """The folder of a script and its arguments are where Python has them."""
    before = sys.path[:], sys.argv[:]
    sys.path.insert(0, str(path.resolve().parent))
    sys.argv[:] = [str(path), *arguments]
    try:
        yield
    finally:
        sys.path[:], sys.argv[:] = before


def _stored_names(source: bytes, path: Path) -> dict[str, bool] | None:
    """The global names that a script may give to a diagram, and whether it plainly draws one.

    None where its text does not tell: `from ... import *`, `exec`, `globals()`.
    """
    try:
        tree = ast.parse(source, str(path))
    except (SyntaxError, ValueError):
        return None  # Running it says what is wrong.
    found: dict[str, bool] = {}
    declared = {name for node in ast.walk(tree) if isinstance(node, ast.Global)
                for name in node.names}  # fmt: skip
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop(0)
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
                continue
            waiting.append(child)
            if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
                found.setdefault(child.id, False)
            elif isinstance(child, ast.ImportFrom):
                found |= {alias.asname or alias.name: False for alias in child.names}
            elif isinstance(child, ast.Assign) and _draws(child.value):
                named = [target for target in child.targets if isinstance(target, ast.Name)]
                found |= {target.id: True for target in named}
    hidden = {"*"} & found.keys() or any(
        isinstance(node, (ast.MatchAs, ast.MatchStar))
        or (isinstance(node, ast.Name) and node.id in _UNSEEN)
        for node in ast.walk(tree)
    )
    return None if hidden else {**dict.fromkeys(sorted(declared), False), **found}


_UNSEEN = ("exec", "globals", "locals", "vars", "setattr")
"""Ways to make a global variable that the text does not show."""


def _draws(value: ast.expr) -> bool:
    """Whether it is a call of something called Diagram."""
    if not isinstance(value, ast.Call):
        return False
    function = value.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return bool(name == "Diagram")
