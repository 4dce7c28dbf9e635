"""What a machine can run: `dg.targets`, and what `compile` says of a target that it cannot."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import diagrad as dg
from diagrad.frontend.command_line import main
from diagrad.frontend.programs.targets import ENGINES
from diagrad.runtime.cuda import using
from diagrad.runtime.cuda.finding import Found, MissingError

MISSING = "the package cuda-bindings is not installed: pip install 'diagrad[cuda]'"


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without a device."""

    def find() -> Found:
        raise MissingError("package", MISSING)

    monkeypatch.setattr(using, "find", find)


def small() -> dg.Diagram:
    return dg.Diagram("d", {"y": dg.Linear(3, 2)(dg.observed("x", ("B", 3)))})


@pytest.mark.usefixtures("bare")
def test_the_table_of_a_machine_without_a_device() -> None:
    found = dg.targets()
    assert list(found) == ["cpu", "cuda", "reference"] and len(found) == 3
    assert found["cpu"].usable and "16 lanes" in found["cpu"].machine
    assert found["reference"].usable and found["reference"].missing == ""
    assert not found["cuda"].usable and found["cuda"].machine == ""
    assert found["cuda"].missing == MISSING
    lines = str(found).splitlines()
    assert lines[0] == "target     usable"
    assert lines[1].startswith("cpu        yes     ")
    assert lines[2] == f"cuda       no      {MISSING}"
    assert repr(found) == str(found)
    assert found._repr_html_().startswith("<pre>target     usable\n")
    with pytest.raises(KeyError, match="no target 'gpu'; there are cpu, cuda, reference"):
        found["gpu"]


def test_the_table_of_a_machine_with_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    device = Found("NVIDIA H100 80GB HBM3", 79 << 30, (9, 0), (13, 0))
    monkeypatch.setattr(using, "find", lambda: device)
    found = dg.targets()["cuda"]
    assert found.usable and found.machine == str(device) and found.missing == ""


@pytest.mark.usefixtures("bare")
def test_no_other_target_takes_the_place_of_one_that_cannot_run() -> None:
    with pytest.raises(dg.TargetError) as error:
        small().compile(target="cuda")
    text = re.sub(r"\(\w+\.py:\d+\)", "(m.py:1)", str(error.value))
    assert text == (
        "compile of 'd' (m.py:1) expects a machine for target cuda, but the package cuda-bindings "
        "is not installed: pip install 'diagrad[cuda]'; dg.targets() lists what this machine can "
        'run, such as target="cpu"'
    )
    assert isinstance(error.value, dg.DiagradError) and isinstance(error.value, RuntimeError)


@pytest.mark.usefixtures("bare")
def test_the_command_prints_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["targets"]) == 0
    assert capsys.readouterr().out == f"{dg.targets()}\n"


def test_every_target_has_a_row_of_its_name() -> None:
    assert {name: engine.name for name, engine in ENGINES.items()} == {n: n for n in ENGINES}


def test_programs_of_the_processor_import_nothing_of_cuda(tmp_path: Path) -> None:
    program = (
        "import sys, numpy as np, diagrad as dg\n"
        "d = dg.Diagram('d', {'y': dg.observed('x', ('B',)) * 2.0})\n"
        "d.compile().run(x=np.ones(3, np.float32))\n"
        "print(*(m for m in sys.modules if m.split('.')[0] == 'cuda' or '.cuda' in m))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.split()) == (0, []), done.stderr
