"""The rules of the house: who imports whom, what is installed, and what every file looks like."""

import ast
import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import networkx as nx
import pytest

import diagrad

from .house import ROOMS, ROOT, dotted, imports, inner_imports, python_files, shown

LONGEST = 450

# What a room may import from the package besides itself: a prefix of the dotted name.
MAY_IMPORT = {
    "frontend": ("diagrad.compiler", "diagrad.runtime"),
    "compiler": (
        "diagrad.runtime.outcomes",
        "diagrad.runtime.philox",
        "diagrad.runtime.program",
        "diagrad.runtime.teams",
    ),
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
# The floors: a file or folder imports only what stands before it in the line of its folder, for any
# purpose.  A folder without a line here is one room, whose files may import one another.
FLOORS = {
    "compiler": (
        "errors", "sizes", "dtypes", "graph", "options", "timings", "unwinding",
        "primitives", "graphs", "passes", "scheduling", "emission", "memory",
        "samples", "pipeline",
    ),
    "frontend": (
        "errors", "location", "arguments", "files", "keywords", "sealed", "loading",
        "variables", "operations", "drawing", "library", "programs", "training", "reports",
        "pictures",
        "program", "diagram", "transform_step", "generate", "scripts", "command_line",
    ),
    "frontend/pictures": ("picture", "stages", "layout", "finishing", "export", "notebook"),
    "runtime": (
        "collector", "forking", "mutex", "outcomes", "philox", "program", "fitting", "teams",
        "tracing",
        "words", "building", "cpu", "cuda", "reference",
    ),
    "runtime/cpu": (
        "host", "building", "gemm", "stepping",
        "executor", "limits", "stopwatch", "trace",
    ),
    "runtime/cuda": (
        "code", "routines", "building", "finding", "dlpack", "arrays", "layout", "guards",
        "processor", "shapes", "walks", "plan", "table",
        "device", "memory", "driver", "executor", "trace", "using",
    ),
}  # fmt: skip
MOST_FILES = 20
"""In a folder, of the package and of the tests."""
# What must not be loaded before it is needed.
HEAVY = (
    "cuda", "graphviz", "importlib.metadata", "llvmlite", "matplotlib", "networkx", "numba",
    "numpy.random", "safetensors", "tqdm", "wasmtime",
)  # fmt: skip


def upward_imports(path: Path, source: str) -> list[str]:
    """What a file imports from a later floor than its own, one line for each."""
    wrong = []
    for line, target in inner_imports(path, source):
        for folder, floors in FLOORS.items():
            room = ROOT / folder
            if path.parent == room and path.stem == "__init__":
                continue  # a folder's face shows what is in it
            if path.is_relative_to(room) and target.is_relative_to(room):
                here, there = (p.relative_to(room).with_suffix("").parts[0] for p in (path, target))
                if there != "__init__" and floors.index(there) > floors.index(here):
                    wrong.append(f"{shown(path)}:{line}: {here} stands before {there}")
    return wrong


def circles(graph: nx.DiGraph) -> list[list[str]]:
    """The groups of files that import one another, each sorted."""
    return sorted(
        sorted(map(shown, group))
        for group in nx.strongly_connected_components(graph)
        if len(group) > 1
    )


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


def setuptools_config() -> dict[str, Any]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    config: dict[str, Any] = project["tool"]["setuptools"]
    return config


def test_imports_point_one_way() -> None:
    wrong = []
    for path in python_files(*ROOMS):
        wrong += wrong_imports(path, path.read_text(encoding="utf-8"))
    assert not wrong, "\n".join(wrong)


def test_every_file_and_folder_has_its_floor() -> None:
    for folder, floors in FLOORS.items():
        inside = {path.relative_to(ROOT / folder).parts[0] for path in python_files(folder)}
        assert {Path(name).stem for name in inside} - {"__init__"} == set(floors), folder


def test_no_file_imports_from_a_floor_after_its_own() -> None:
    wrong = []
    for path in python_files(*ROOMS):
        wrong += upward_imports(path, path.read_text(encoding="utf-8"))
    assert not wrong, "\n".join(wrong)


def test_no_files_import_one_another() -> None:
    """Neither when they are loaded, nor in a function, nor for their types."""
    graph = nx.DiGraph()
    for path in python_files("diagrad", *ROOMS):
        for _, target in inner_imports(path, path.read_text(encoding="utf-8")):
            graph.add_edge(path, target)
    assert circles(graph) == []


@pytest.mark.parametrize(
    ("place", "source", "message"),
    [
        ("compiler/graph.py", "from .pipeline import prepare", "graph stands before pipeline"),
        ("compiler/sizes.py", "from . import graph", "sizes stands before graph"),
        (
            "frontend/variables/variable.py",
            "if TYPE_CHECKING:\n    from ..drawing.blocks import Block",
            "variables stands before drawing",
        ),
        (
            "frontend/library/costs/elements.py",
            "def f():\n    from ...pictures import write",
            "library stands before pictures",
        ),
        (
            "runtime/words/lanes.py",
            "from ..building.desugar import desugar",
            "words stands before building",
        ),
    ],
)
def test_an_upward_import_is_seen(place: str, source: str, message: str) -> None:
    (found,) = upward_imports(ROOT / place, source)
    assert found.endswith(message)


def test_a_circle_is_seen() -> None:
    a, b, c = (ROOT / name for name in ("frontend/a.py", "frontend/b.py", "frontend/c.py"))
    assert circles(nx.DiGraph([(a, b), (b, c), (c, a), (a, c)])) == [
        ["frontend/a.py", "frontend/b.py", "frontend/c.py"]
    ]
    assert circles(nx.DiGraph([(a, b), (b, c), (a, c)])) == []


def test_no_folder_is_too_full() -> None:
    counts = Counter(
        path.parent for path in python_files(*ROOMS, "tests", "benchmarks", "examples")
    )
    del counts[ROOT / "examples"]  # a list, in the order of its numbers
    full = {shown(folder): count for folder, count in counts.items() if count > MOST_FILES}
    assert not full, f"more than {MOST_FILES} files; which of them are a room? {full}"


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
    del lengths["diagrad/__init__.py"]  # the list of what there is
    long = {name: length for name, length in lengths.items() if length > LONGEST}
    assert not long, f"more than {LONGEST} lines; what is the second thing in it? {long}"


def test_the_public_surface_is_sorted_and_documented() -> None:
    names: list[str] = diagrad.__all__

    # The linter's order: CONSTANTS, Classes, functions.
    def rank(name: str) -> tuple[int, list[str | int]]:
        case = 0 if name.isupper() and len(name) > 1 else 1 if name[0].isupper() else 2
        parts = re.split(r"(\d+)", name)  # log1p before log10: numbers by their size
        return case, [int(part) if part.isdigit() else part for part in parts]

    assert names == sorted(set(names), key=rank)
    silent = [name for name in names if not getattr(diagrad, name).__doc__]
    assert not silent, f"without a docstring: {silent}"
