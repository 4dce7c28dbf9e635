"""The house as its tests read it: the files of the package, and what each imports."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("compiler", "frontend", "runtime")


def python_files(*folders: str) -> list[Path]:
    """The Python files below folders of the repository, without following the links."""
    found = []
    for folder in folders:
        files = (ROOT / folder).glob("*.py" if folder == "diagrad" else "**/*.py")
        found += [path for path in files if "__pycache__" not in path.parts]
    return sorted(found)


def shown(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def dotted(path: Path) -> str:
    """The module's name once installed: compiler/sizes.py is diagrad.compiler.sizes."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts[:-1] if parts[-1] == "__init__" else parts
    return ".".join(parts if parts[0] == "diagrad" else ("diagrad", *parts))


MODULES = {dotted(path): path for path in python_files("diagrad", *ROOMS)}


def imports(path: Path, source: str) -> Iterator[tuple[int, str]]:
    """Every import of a file as (line, absolute dotted name of what is imported)."""
    name = dotted(path)
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*(above if node.level else ()), *filter(None, [node.module])])
            for alias in node.names:
                module = f"{base}.{alias.name}"
                yield node.lineno, module if module in MODULES else base


def inner_imports(path: Path, source: str) -> Iterator[tuple[int, Path]]:
    """What a file imports from the package, as (line, file): on top, in functions, for types."""
    for line, name in imports(path, source):
        if name in MODULES and MODULES[name] != path:
            yield line, MODULES[name]
