"""Programs whose inputs, states and parameters are of storage dtypes: read and kept as they lie."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import diagrad as dg
from diagrad.compiler.dtypes import COMPUTED
from diagrad.frontend.programs.execution import Execution

Array = npt.NDArray[Any]
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (64, 6, 6)).astype(np.uint8)
LABELS = (IMAGES[:, 0, 0] // 64).astype(np.uint8)


class Classifier(dg.Block):
    """A layer on pictures whose pixels are of any dtype."""

    def __init__(self) -> None:
        self.layer = dg.Linear(36, 4)

    def forward(self, x: dg.Variable) -> dg.Variable:
        return self.layer(dg.flatten(x).astype("float32") / 255)


def classifier(images: str, labels: str) -> Any:
    x, y = dg.observed("x", ("B", 6, 6), images), dg.observed("y", ("B",), labels)
    return dg.Diagram("pictures", {}, cost=dg.cross_entropy(Classifier()(x), y))


def trained(images: str, labels: str) -> list[float]:
    program = classifier(images, labels).compile(optimizer=dg.Adam(0.01), seed=0)
    data = {"x": IMAGES.astype(images), "y": LABELS.astype(labels)}
    return list(dg.fit(program, data, epochs=3, batch_size=16, progress=False).cost)


def test_pictures_of_bytes_train_to_the_bit_as_those_of_floats() -> None:
    costs = trained("uint8", "uint8")
    assert costs == trained("float32", "int32")
    assert costs[-1] < costs[0]


def test_a_step_reads_bytes_where_they_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    program = classifier("uint8", "int8").compile(optimizer=dg.SGD(0.1), seed=0)
    given = {"x": IMAGES, "y": LABELS.astype(np.int8)}
    first = program.step(**given)

    def refused(*_: Any) -> None:
        raise AssertionError("a copy was asked for")

    monkeypatch.setattr(Execution, "call", refused)
    assert program.step(**given) < first
    held = IMAGES.copy()
    held.flags.writeable = False
    program.step(x=held, y=given["y"])


def test_labels_of_bytes_are_checked() -> None:
    program = classifier("uint8", "uint8").compile(optimizer=dg.SGD(0.1), seed=0)
    wrong = LABELS.copy()
    wrong[3] = 200
    with pytest.raises(dg.InputError, match=r"expects values in \[0, 4\), got 200 at index \(3,\)"):
        program.step(x=IMAGES, y=wrong)


@pytest.mark.parametrize("array", [IMAGES.astype(np.int8), IMAGES.astype(np.float32), IMAGES > 9])
def test_nothing_is_converted_silently(array: Array) -> None:
    program = classifier("uint8", "uint8").compile(optimizer=dg.SGD(0.1), seed=0)
    with pytest.raises(dg.InputError, match=f"expects uint8 .*, got {array.dtype}"):
        program.step(x=array, y=LABELS)


def test_lists_must_fit() -> None:
    x = dg.observed("x", (3,), "int8")
    program = dg.Diagram("list", {"y": x + 1}).compile(target="reference")
    assert program.run(x=[1, -128, 127])["y"].tolist() == [2, -127, 128]
    with pytest.raises(dg.InputError, match="128, which int8 cannot hold"):
        program.run(x=[1, 2, 128])


@pytest.mark.parametrize("dtype", COMPUTED)
def test_states_and_parameters_are_kept_as_they_are(dtype: str, tmp_path: Path) -> None:
    """A state is cast by who updates it; a table of integers stays what it is, in files too."""
    x = dg.observed("x", (4,), "float32")
    table = dg.parameter("table", (5, 4), np.arange(20).reshape(5, 4), dtype)
    seen = dg.state("seen", (4,), dtype=dtype)
    weight = dg.parameter("weight", (4,), 1.0)
    dg.update(seen, (seen + 100).astype(dtype))
    cost = dg.mean((x * weight - table[2].astype("float32")) ** 2)
    program = dg.Diagram("kept", {"seen": seen}, cost=cost).compile(optimizer=dg.SGD(0.1), seed=0)
    for _ in range(3):
        program.step(x=np.ones(4, np.float32))
    assert program.parameters["table"].dtype == program.states["seen"].dtype == np.dtype(dtype)
    wanted = np.array([300]).astype(dtype)
    assert (np.asarray(program.states["seen"]) == wanted).all()
    assert (np.asarray(program.parameters["table"]) == np.arange(20).reshape(5, 4)).all()
    program.save(tmp_path / "kept.safetensors")
    again = dg.Diagram("kept", {"seen": seen}, cost=cost).compile(optimizer=dg.SGD(0.1), seed=9)
    again.load(tmp_path / "kept.safetensors")
    assert (np.asarray(again.states["seen"]) == wanted).all()
    assert again.step(x=np.ones(4, np.float32)) == program.step(x=np.ones(4, np.float32))


def test_the_next_value_of_a_state_is_cast() -> None:
    seen = dg.state("seen", (4,), dtype="uint8")
    with pytest.raises(dg.DtypeError, match="uint8"):
        dg.update(seen, seen + 1)
        dg.Diagram("wider", {"seen": seen})


def test_a_loop_carries_and_reads_them() -> None:
    steps = dg.observed("x", ("T", 3), "uint8")
    t = dg.loop("t")
    element = t.each(steps)
    total = t.delay("total", dg.zeros((3,), "int16"))
    t.close(total, (total + element).astype("int16"))
    sums = t.stack(total)
    program = dg.Diagram("loop", {"y": sums}).compile()
    array = RNG.integers(0, 256, (7, 3)).astype(np.uint8)
    found = program.run(x=array)["y"]
    assert found.dtype == np.int16
    np.testing.assert_array_equal(found, np.cumsum(array, 0, dtype=np.int16) - array)
