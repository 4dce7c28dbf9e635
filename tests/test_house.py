"""The rules of the house: who imports whom, what is installed, and what every file looks like."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import diagrad

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("compiler", "frontend", "runtime")
LONGEST = 450

# What a room may import from the package besides itself: a prefix of the dotted name.
MAY_IMPORT = {
    "frontend": ("diagrad.compiler", "diagrad.runtime"),
    "compiler": ("diagrad.runtime.program", "diagrad.runtime.philox"),
    "runtime": (),
}
# What a room may not import from elsewhere.
BANNED = {
    "frontend": {"numba", "llvmlite"},
    "compiler": {
        "numba", "llvmlite", "ctypes", "importlib", "os", "pathlib", "shutil", "subprocess",
        "tempfile",
    },
    "runtime": set(),
}  # fmt: skip
# Calls with which the compiler would touch a file.
FILE_CALLS = {
    "open", "read_text", "read_bytes", "write_text", "write_bytes", "tofile", "fromfile", "memmap",
    "np.load", "np.save", "np.savez", "np.savez_compressed", "np.loadtxt", "np.savetxt",
}  # fmt: skip
# What must not be loaded before it is needed.
HEAVY = (
    "graphviz", "importlib.metadata", "llvmlite", "matplotlib", "networkx", "numba", "numpy.random",
    "safetensors", "tqdm", "wasmtime",
)  # fmt: skip


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


MODULES = {dotted(path) for path in python_files("diagrad", *ROOMS)}


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


def wrong_imports(path: Path, source: str) -> list[str]:
    """What a file of a room imports although it may not, one line for each."""
    room = path.relative_to(ROOT).parts[0]
    allowed = (f"diagrad.{room}", *MAY_IMPORT[room])
    wrong = []
    for line, name in imports(path, source):
        if name.split(".")[0] == "diagrad":
            fine = any(name == prefix or name.startswith(f"{prefix}.") for prefix in allowed)
        else:
            fine = name.split(".")[0] not in BANNED[room]
        if not fine:
            wrong.append(f"{shown(path)}:{line}: {room} may not import {name}")
    return wrong


def file_calls(path: Path, source: str) -> list[str]:
    """The calls of a file that would read or write files, one line for each."""
    wrong = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name in FILE_CALLS or name.rpartition(".")[2] in FILE_CALLS:
                wrong.append(f"{shown(path)}:{node.lineno}: the compiler may not call {name}")
    return wrong


SHOWN = {"label", "name"}
"""What is there to be shown: a name that a user has chosen may be any word."""


def _is_shown(node: ast.expr) -> bool:
    """Whether an expression is the label or the name of something, but for that of a dtype."""
    if isinstance(node, ast.Attribute):
        base = node.value
        named_type = isinstance(base, ast.Attribute) and base.attr == "dtype"
        return node.attr in SHOWN and not named_type
    if isinstance(node, ast.Call):
        method = isinstance(node.func, ast.Attribute) and node.func.attr == "get"
        return method and bool(node.args) and _is_word(node.args[0], SHOWN)
    return isinstance(node, ast.Subscript) and _is_word(node.slice, SHOWN)


def _is_word(node: ast.expr, words: set[str] | None = None) -> bool:
    """Whether an expression is a text, or several: one of these where they are given."""
    if isinstance(node, (ast.Tuple, ast.List, ast.Set)):
        return any(_is_word(item, words) for item in node.elts)
    return (
        isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and (words is None or node.value in words)
    )


def decided_by_text(path: Path, source: str) -> list[str]:
    """Where a file decides by a label or a name what something is, one line for each."""
    wrong = []
    asking = {"startswith", "endswith", "partition", "split", "removeprefix"}
    for node in ast.walk(ast.parse(source, str(path))):
        found, line = False, getattr(node, "lineno", 0)
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            found = any(map(_is_shown, sides)) and any(map(_is_word, sides))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            found = node.func.attr in asking and _is_shown(node.func.value)
        if found:
            wrong.append(f"{shown(path)}:{line}: decided by a text: {ast.unparse(node)}")
    return wrong


def setuptools_config() -> dict[str, Any]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    config: dict[str, Any] = project["tool"]["setuptools"]
    return config


def test_imports_point_one_way() -> None:
    wrong = []
    for path in python_files(*ROOMS):
        wrong += wrong_imports(path, path.read_text(encoding="utf-8"))
    assert not wrong, "\n".join(wrong)


def test_the_compiler_touches_no_file() -> None:
    wrong = []
    for path in python_files("compiler"):
        wrong += file_calls(path, path.read_text(encoding="utf-8"))
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("place", "source", "name"),
    [
        ("runtime/x.py", "from ..compiler import Graph", "diagrad.compiler"),
        ("runtime/cpu/x.py", "from ...frontend.diagram import Diagram", "diagrad.frontend.diagram"),
        ("compiler/x.py", "from ..frontend import Diagram", "diagrad.frontend"),
        ("compiler/x.py", "from ..runtime.cpu import Engine", "diagrad.runtime.cpu"),
        ("compiler/passes/x.py", "from ... import runtime", "diagrad.runtime"),
        ("compiler/__init__.py", "def f():\n    import numba.core", "numba.core"),
        ("compiler/x.py", "from os import path", "os"),
        ("frontend/x.py", "import diagrad as dg", "diagrad"),
        ("frontend/x.py", "from .. import Diagram", "diagrad"),
        ("frontend/__init__.py", "from .. import Diagram", "diagrad"),
    ],
)
def test_a_wrong_import_is_seen(place: str, source: str, name: str) -> None:
    (message,) = wrong_imports(ROOT / place, source)
    room = place.split("/")[0]
    assert message.endswith(f"{room} may not import {name}")


@pytest.mark.parametrize(
    ("place", "source"),
    [
        ("compiler/x.py", "from ..runtime.program import BoundProgram"),
        ("compiler/passes/x.py", "from ...runtime import program"),
        ("compiler/passes/__init__.py", "from . import fuse\nfrom ..graph import Graph"),
        ("frontend/x.py", "from ..compiler.graph import Graph\nfrom ..runtime import cpu"),
        ("runtime/x.py", "import os\nimport numba\nfrom .program import BoundProgram"),
    ],
)
def test_a_right_import_is_let_through(place: str, source: str) -> None:
    assert wrong_imports(ROOT / place, source) == []


@pytest.mark.parametrize("call", ["open('a')", "path.read_text()", "np.load('a')"])
def test_a_file_call_is_seen(call: str) -> None:
    assert len(file_calls(ROOT / "compiler/x.py", call)) == 1
    assert file_calls(ROOT / "compiler/x.py", "emit.load(a)\nnp.sum(a)") == []


def test_nothing_is_decided_by_what_is_only_shown() -> None:
    """What something is says its type: a user's block may be called as one of the house is."""
    wrong = []
    for path in python_files("frontend"):
        wrong += decided_by_text(path, path.read_text(encoding="utf-8"))
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "source",
    [
        'x.producer.label == "connect"', 'data["name"] in ("size", "fill")',
        'data.get("name") != "gradient"', 'entry.name.startswith("last.")',
        'maker.label.split(" ")',
    ],
)  # fmt: skip
def test_a_decision_by_a_text_is_seen(source: str) -> None:
    assert len(decided_by_text(ROOT / "frontend/x.py", source)) == 1
    fine = 'entry.name == other.name\narray.dtype.name == "float32"\nkind == "delay"'
    assert decided_by_text(ROOT / "frontend/x.py", fine) == []


def compares_variables(source: str) -> list[str]:
    """The data classes of a file that hold variables and are compared by their fields."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.ClassDef):
            continue
        marks = [ast.unparse(item) for item in node.decorator_list]
        if not any(m.startswith("dataclass") and "eq=False" not in m for m in marks):
            continue
        fields = [ast.unparse(i.annotation) for i in node.body if isinstance(i, ast.AnnAssign)]
        if any("Variable" in field for field in fields):
            found.append(node.name)
    return found


def test_no_data_class_compares_variables() -> None:
    """== on variables is elementwise, and a field of them has no truth."""
    wrong = [
        f"{shown(path)}: {name} needs eq=False"
        for path in python_files("frontend")
        for name in compares_variables(path.read_text(encoding="utf-8"))
    ]
    assert not wrong, "\n".join(wrong)
    bad = "@dataclass(frozen=True)\nclass A:\n    x: dict[str, Variable]\n"
    assert compares_variables(bad) == ["A"]
    assert compares_variables(bad.replace("frozen=True", "eq=False")) == []


def test_the_list_of_packages_is_the_tree() -> None:
    folders = {path.parent for path in python_files(*ROOMS)}
    bare = [shown(folder) for folder in folders if not (folder / "__init__.py").exists()]
    assert not bare, f"without an __init__.py: {sorted(bare)}"
    tree = {"diagrad", *(dotted(folder / "__init__.py") for folder in folders)}
    packages: list[str] = setuptools_config()["packages"]
    wrong = sorted(tree ^ set(packages))
    assert not wrong, f"packages of pyproject.toml and the tree disagree: {wrong}"
    assert packages == sorted(packages)


def test_every_data_file_of_the_package_is_listed() -> None:
    files = {path for room in ROOMS for path in (ROOT / room).rglob("*") if path.is_file()}
    files |= {path for path in (ROOT / "diagrad").glob("*.*") if path.is_file()}
    files = {path for path in files if path.suffix != ".py" and "__pycache__" not in path.parts}
    listed: set[Path] = set()
    for package, patterns in setuptools_config()["package-data"].items():
        folder = ROOT.joinpath(*package.removeprefix("diagrad.").split("."))
        listed |= {path for pattern in patterns for path in folder.glob(pattern)}
    wrong = sorted(shown(path) for path in files ^ listed)
    assert not wrong, f"package-data of pyproject.toml and the tree disagree: {wrong}"


def test_importing_the_package_is_light() -> None:
    program = f"import diagrad, sys; print(*(m for m in {HEAVY!r} if m in sys.modules))"
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == []


def test_every_file_opens_with_a_docstring() -> None:
    files = python_files("diagrad", *ROOMS, "tests", "examples", ".ci")
    bare = [shown(p) for p in files if not ast.get_docstring(ast.parse(p.read_bytes()))]
    assert not bare, f"without a docstring: {bare}"


def test_no_file_is_too_long() -> None:
    lengths = {
        shown(path): len(path.read_text(encoding="utf-8").splitlines())
        for path in python_files("diagrad", *ROOMS)
    }
    long = {name: length for name, length in lengths.items() if length > LONGEST}
    assert not long, f"more than {LONGEST} lines; what is the second thing in it? {long}"


def test_the_public_surface_is_sorted_and_documented() -> None:
    names: list[str] = diagrad.__all__

    # The linter's order: CONSTANTS, Classes, functions.
    def rank(name: str) -> tuple[int, str]:
        return (0 if name.isupper() and len(name) > 1 else 1 if name[0].isupper() else 2, name)

    assert names == sorted(set(names), key=rank)
    silent = [name for name in names if not getattr(diagrad, name).__doc__]
    assert not silent, f"without a docstring: {silent}"
