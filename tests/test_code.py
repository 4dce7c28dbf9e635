"""What the package's code does not do: touch files in the compiler, or decide by a text."""

import ast
from pathlib import Path

import pytest

from .house import ROOT, python_files, shown

# Calls with which the compiler would touch a file.
FILE_CALLS = {
    "open", "read_text", "read_bytes", "write_text", "write_bytes", "tofile", "fromfile", "memmap",
    "np.load", "np.save", "np.savez", "np.savez_compressed", "np.loadtxt", "np.savetxt",
}  # fmt: skip


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


def test_the_compiler_touches_no_file() -> None:
    wrong = []
    for path in python_files("compiler"):
        wrong += file_calls(path, path.read_text(encoding="utf-8"))
    assert not wrong, "\n".join(wrong)


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
