"""`python -m diagrad`: what it prints, and what it says to wrong arguments."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import diagrad
from diagrad.frontend.command_line import main

SCRIPT = """
import sys
import diagrad as dg

x = dg.observed("x", ("B", 4))
net = dg.Linear(4, 3, name="net")
d = dg.Diagram("small", {"y": net(x)})

if __name__ == "__main__":
    print("run as main:", sys.argv[1:])
"""
PROGRAM = "python -m diagrad: error: "


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "small.py"
    path.write_text(SCRIPT, encoding="utf-8")
    return path


def written(tmp_path: Path, text: str) -> str:
    path = tmp_path / "other.py"
    path.write_text(text, encoding="utf-8")
    return str(path)


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 2) -> str:
    """The one line that is said."""
    assert main(arguments) == code
    out, err = capsys.readouterr()
    assert out == "" and err.startswith(PROGRAM) and err.count("\n") == 1
    return err.removeprefix(PROGRAM).rstrip("\n")


def test_render(script: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "picture.svg"
    assert main(["render", str(script), "-o", str(output), "--depth", "all"]) == 0
    assert capsys.readouterr().out == f"{output}\n"
    assert "x @ weight" in output.read_text(encoding="utf-8").replace("\u00a0", " ")


def test_render_beside_where_one_stands(
    script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["render", f"{script.name}:d", "--stage", "graph"]) == 0
    assert (tmp_path / "small.svg").exists()


def test_render_by_the_system(
    script: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    output = str(tmp_path / "picture.svg")
    assert main(["render", str(script), "-o", output, "--layout", "system"]) == 1
    assert capsys.readouterr().err == (
        f"{PROGRAM}the layout \"system\" needs Graphviz's program 'dot', which is not on PATH: "
        'install your system\'s graphviz package, or ask for the layout "wasm", which pip has '
        "installed\n"
    )
    said = complaint(capsys, "render", str(script), "--layout", "dot")
    assert said.startswith("argument --layout: invalid choice: 'dot' (choose from ")


def test_summary(script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["summary", str(script), "B=2"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("small\n") and "where B = 2" in out and "run as main" not in out


def test_profile(script: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trace = tmp_path / "trace.json"
    options = ["--repeats", "2", "--top", "1", "--threads", "1", "--trace", str(trace)]
    assert main(["profile", str(script), "B=5", *options]) == 0
    first, second, *rest = capsys.readouterr().out.splitlines()
    assert first == "made-up inputs: x float32 (5, 4)"
    assert second.startswith("run of 'small', x (5, 4): ")
    assert rest[-1] == f"the course of a step is in {trace}: open it in ui.perfetto.dev"
    assert json.loads(trace.read_text(encoding="utf-8"))["traceEvents"]


TRAINED = """
import numpy as np
import diagrad as dg

x = dg.observed("x", ("B", 4))
y = dg.observed("y", ("B",), dtype=dg.int32)
mask = dg.observed("mask", ("B",), dtype=dg.bool_)
net = dg.Linear(4, 3, name="net")
scores = dg.where(mask[:, np.newaxis], net(x), 0.0)
d = dg.Diagram("trained", {"scores": scores}, dg.cross_entropy(scores, y))
"""


def test_profile_of_a_step(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(tmp_path, TRAINED)
    assert main(["profile", file, "--repeats", "1", "--optimizer", "Adam"]) == 0
    first, second, *rest = capsys.readouterr().out.splitlines()
    assert first == ("made-up inputs: x float32 (64, 4), y int32 (64,) in [0, 2], mask bool (64,)")
    assert second.startswith("step of 'trained', x (64, 4), y (64,), mask (64,): ")
    assert any(" Adam" in line for line in rest)
    assert main(["profile", file, "B=3", "--repeats", "1", "--method", "run"]) == 0
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert first == "made-up inputs: x float32 (3, 4), mask bool (3,)"
    assert second.startswith("run of 'trained', x (3, 4), mask (3,): ")


LOOPED = """
import diagrad as dg

x = dg.observed("x", (5, 3))
t = dg.loop("t")
z = t.delay("z", 0.0, shape=(3,))
h = dg.tanh(t.each(x) + z)
t.close(z, h)
d = dg.Diagram("looped", {"y": t.last(h)})
named = dg.loop("s")
e = dg.Diagram("named", {"y": named.sum(dg.tanh(named.each(dg.observed("x", ("T", 3)))))})
"""


def test_profile_of_unrolled_loops(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(tmp_path, LOOPED)
    for unroll in ("1", "2", "all"):
        assert main(["profile", f"{file}:d", "--repeats", "1", "--unroll", unroll]) == 0
    assert capsys.readouterr().out.count("run of 'looped'") == 3
    text = complaint(capsys, "profile", f"{file}:e", "--unroll", "all", code=1)
    assert " with unroll=True expects loops of known numbers of steps, got loop 's' " in text
    assert complaint(capsys, "profile", file, "--unroll", "0") == (
        "argument --unroll: expected a number of 1 or more, or all, got '0'"
    )


def test_pictures_of_unrolled_loops(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, out = written(tmp_path, LOOPED), tmp_path / "out.svg"
    seen = []
    for unroll in ("1", "2", "all"):
        options = ["-o", str(out), "--stage", "graph", "--unroll", unroll]
        assert main(["render", f"{file}:d", *options]) == 0
        text = out.read_text(encoding="utf-8").replace("\u00a0", " ")
        seen.append(sorted(set(re.findall(r"1 … \d", text))))
    assert seen == [["1 … 5"], ["1 … 2"], []]
    assert capsys.readouterr().out == f"{out}\n" * 3
    text = complaint(capsys, "render", f"{file}:e", "--stage", "graph", "--unroll", "all", code=1)
    assert text.startswith("DiagramError: render of 'named' (")
    assert complaint(capsys, "render", f"{file}:d", "--unroll", "2", code=2) == (
        "render expects unroll only for the stages 'graph' and 'kernels', got 'drawn'"
    )


def test_what_profile_is_told(script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(script)
    assert complaint(capsys, "profile", file, "Q=1") == (
        "profile of 'small' expects sizes out of B, got Q"
    )
    assert complaint(capsys, "profile", file, "--repeats", "0") == (
        "argument --repeats: expected a number of 1 or more, got '0'"
    )
    assert complaint(capsys, "profile", file, "--method", "step") == (
        "diagram 'small' has no cost to make a step for: --method run"
    )
    two = written(script.parent, SCRIPT.replace('("B", 4)', '("B", "T", 4)'))
    assert complaint(capsys, "profile", two, "B=2") == (
        "profile of 'small' needs the sizes B, T: add T=..."
    )
    folder = script.parent.resolve() / "none"
    assert main(["profile", file, "--repeats", "1", "--trace", str(folder / "x.json")]) == 2
    assert capsys.readouterr().err == (
        f"{PROGRAM}cannot write x.json: there is no folder {folder}\n"
    )


def test_run(script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sys.argv[:], sys.path[:]
    assert main(["run", str(script), "one", "--two"]) == 0
    assert capsys.readouterr().out == "run as main: ['one', '--two']\n"
    assert (sys.argv, sys.path) == before


def test_a_script_imports_what_stands_beside_it(tmp_path: Path) -> None:
    (tmp_path / "beside_it.py").write_text(SCRIPT, encoding="utf-8")
    text = written(tmp_path, "from beside_it import d")
    try:
        assert main(["summary", text]) == 0
    finally:
        sys.modules.pop("beside_it", None)


def test_as_a_module(script: Path) -> None:
    root = Path(__file__).resolve().parent.parent
    run = subprocess.run(
        [sys.executable, "-m", "diagrad", "summary", str(script)],
        cwd=root, capture_output=True, text=True, check=False, encoding="utf-8",
        env={"PYTHONIOENCODING": "utf-8", "PATH": ""},
    )  # fmt: skip
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.startswith("small\n")


TRAINING = """
import sys
import numpy as np
import diagrad as dg

x = dg.observed("x", ("B", 4))
d = dg.Diagram("trained", cost=dg.mean(dg.Linear(4, 3, name="net")(x)))
program = d.compile(dg.SGD(0.1), target="reference")
print("compiled")
try:
    TRAIN
except Exception as error:
    print("no error is seen", error)
finally:
    print("tidied up")
print("trained")
again = dg.Diagram("again", {"y": x + 1.0})
"""
FIT = 'dg.fit(program, {"x": np.ones((2, 4), np.float32)}, 3)'
STEP = "program.step(x=np.ones((2, 4), np.float32))"


@pytest.mark.parametrize("train", [FIT, STEP])
def test_looking_at_a_diagram_trains_nothing(
    train: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path, TRAINING.replace("TRAIN", train))
    picture = str(tmp_path / "picture.svg")
    for asked in (file, f"{file}:d"):
        assert main(["render", asked, "-o", picture]) == 0
        out, err = capsys.readouterr()
        assert out == f"compiled\ntidied up\n{picture}\n" and err == ""
    # What stands below the training needs it: it is run as the script has it.
    assert main(["summary", f"{file}:again"]) == 0
    assert capsys.readouterr().out.startswith("compiled\ntidied up\ntrained\nagain\n")
    assert main(["run", file]) == 0
    assert capsys.readouterr().out == "compiled\ntidied up\ntrained\n"


def test_what_can_be_told_is_told_before_the_script_is_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path, TRAINING.replace("TRAIN", FIT))
    assert complaint(capsys, "render", f"{file}:e") == (
        f"{file} has no diagram called e; its diagrams: d, again"
    )
    assert complaint(capsys, "render", file, "-o", "x.gif") == (
        "cannot draw into 'x.gif': expected a name that ends in .svg or .png, got .gif"
    )
    folder = tmp_path.resolve() / "none"
    for command, option, name in (("render", "-o", "x.svg"), ("profile", "--trace", "x.json")):
        assert complaint(capsys, command, file, option, str(folder / name)) == (
            f"cannot write {name}: there is no folder {folder}"
        )
    none = written(tmp_path, "def main():\n    d = 1\nprint('run')\nmain()\n")
    assert complaint(capsys, "summary", none) == (
        f"{none} has no diagram: no global variable of it is a dg.Diagram"
    )


@pytest.mark.parametrize(
    "text",
    [
        "globals()['e'] = d", "from beside_it import *", "if True:\n    e = d", "[e, f] = d, 1",
        "def f():\n    global e\n    e = d\nf()", "with open(__file__) as f:\n    e = d",
        "for e in [d]:\n    pass", "(e := d)", "from beside_it import d as e",
    ],
)  # fmt: skip
def test_names_are_found_however_they_are_given(
    text: str, script: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (script.parent / "beside_it.py").write_text(SCRIPT + "e = d\n", encoding="utf-8")
    file = written(script.parent, f"{SCRIPT}{text}\n")
    try:
        assert main(["summary", f"{file}:e"]) == 0
        capsys.readouterr()
        said = complaint(capsys, "summary", f"{file}:net")
    finally:
        sys.modules.pop("beside_it", None)
    assert said.startswith(f"{file} has no diagram called net; its diagrams: d, e")


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    root = Path(__file__).resolve().parent.parent
    run = subprocess.run(
        [sys.executable, "-m", "diagrad", "--version"],
        cwd=root, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert run.stdout == f"diagrad {diagrad.__version__}\n"


def test_wrong_arguments(script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(script)
    missing = str(script.with_name("none.py"))
    assert complaint(capsys, "render", missing) == f"there is no file {missing}"
    assert complaint(capsys, "run", missing) == f"there is no file {missing}"
    assert complaint(capsys, "render", f"{missing}:d") == f"there is no file {missing}"
    said = complaint(capsys, "render", f"{file}:net")
    assert said == f"{file} has no diagram called net; its diagrams: d"
    assert complaint(capsys, "render", file, "-o", "x.gif") == (
        "cannot draw into 'x.gif': expected a name that ends in .svg or .png, got .gif"
    )
    folder = str(script.parent / "none" / "x.svg")
    said = complaint(capsys, "render", file, "-o", folder)
    assert said == f"cannot write x.svg: there is no folder {script.parent.resolve() / 'none'}"
    said = complaint(capsys, "render", file, "--stage", "rolled")
    assert said.startswith("argument --stage: invalid choice: 'rolled' (choose from ")
    assert complaint(capsys, "render", file, "--depth", "0") == (
        "argument --depth: expected a number of 1 or more, or all, got '0'"
    )
    assert complaint(capsys, "summary", file, "B=many") == (
        "argument NAME=SIZE: expected a size such as B=64, got 'B=many'"
    )
    assert complaint(capsys, "summary", file, "Q=1") == (
        "summary of 'small' expects sizes out of B, got Q"
    )
    assert complaint(capsys).endswith("required: render|summary|profile|run|targets")
    assert "invalid choice: 'draw'" in complaint(capsys, "draw")


def test_none_or_several_diagrams(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    none = written(tmp_path, "x = 1")
    assert complaint(capsys, "summary", none) == (
        f"{none} has no diagram: no global variable of it is a dg.Diagram"
    )
    several = written(tmp_path, SCRIPT + 'e = dg.Diagram("more", {"y": net(x)})\n')
    assert complaint(capsys, "summary", several) == (
        f"{several} has several diagrams (d, e): choose one, as {several}:d"
    )
    one = written(tmp_path, SCRIPT + "e = d\n")
    assert main(["summary", one]) == 0


def test_a_mistake_in_the_diagram(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = written(tmp_path, SCRIPT.replace("4, 3", "5, 3"))
    assert complaint(capsys, "render", wrong, code=1) == (
        "ShapeError: Linear 'net' (other.py:7) expects 5 features, got 4 from observed 'x' "
        "(other.py:5)"
    )


def test_gradients_need_a_cost(script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = complaint(capsys, "render", str(script), "--stage", "backward", code=1)
    assert said == (
        "DiagramError: diagram 'small' (small.py:7) has no cost whose gradients could be drawn: "
        "give Diagram(..., cost=...)"
    )


def test_an_error_of_the_script_is_its_own(tmp_path: Path) -> None:
    broken = written(tmp_path, "1 / 0")
    with pytest.raises(ZeroDivisionError):
        main(["run", broken])
