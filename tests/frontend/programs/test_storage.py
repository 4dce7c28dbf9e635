"""Programs whose inputs, states and parameters are of storage dtypes: read and kept as they lie."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import diagrad as dg
from diagrad.compiler.dtypes import COMPUTED
from diagrad.frontend.programs.execution import Execution

from ...operations.rows.running import TARGETS, Target

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


@pytest.mark.parametrize("dtype", [name for name in COMPUTED if "int" in name])
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


HALVES = [name for name in COMPUTED if "float" in name]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", HALVES)
def test_rows_of_a_table_of_halves(dtype: str, target: Target) -> None:
    """A table is gathered as it lies: no float32 of it is ever made."""
    rng = np.random.default_rng(0)
    table = dg.parameter("table", (1000, 24), rng.normal(size=(1000, 24)), dtype)
    symbols = dg.observed("symbols", ("B",), "uint16")
    weight = dg.parameter("weight", (24, 3), rng.normal(size=(24, 3)))
    rows = dg.take(table, symbols)
    cost = dg.mean((rows @ weight) ** 2)
    given = np.array([0, 999, 5, 5], np.uint16)
    program = dg.Diagram("table", {"rows": rows, "y": rows @ weight}, cost=cost).compile(
        target=target, optimizer=dg.SGD(0.1, parameters=[weight]), seed=0
    )
    found = program.run(symbols=given)
    held = np.asarray(program.parameters["table"])
    assert held.dtype == found["rows"].dtype == np.dtype(dtype)
    assert found["y"].dtype == np.float32
    np.testing.assert_array_equal(found["rows"], held[given])
    wide = held[given].astype(np.float64)
    wanted = wide @ np.asarray(program.parameters["weight"]).astype(np.float64)
    np.testing.assert_allclose(found["y"], wanted, rtol=1e-5)
    costs = [program.step(symbols=given) for _ in range(20)]
    assert costs[-1] < costs[0] / 2 and (np.asarray(program.parameters["table"]) == held).all()
    if target == "cpu":
        template = program.execution_of({"y": rows @ weight}).template()
        sizes = [item for item in template.storages if item.type.shape[:1] == (1000,)]
        assert [item.type.dtype for item in sizes] == [dtype]


@pytest.mark.parametrize("dtype", HALVES)
def test_a_step_would_round_a_half_away(dtype: str) -> None:
    table = dg.parameter("table", (3,), 1.0, dtype)
    diagram = dg.Diagram("halves", {}, cost=dg.mean(table**2))
    text = f"expects parameters of dtype float32 or float64 to change, got {dtype} from parameter"
    for optimizer in (dg.SGD(0.1), dg.SGD(0.1, parameters=[table])):
        with pytest.raises(dg.DtypeError, match=text):
            diagram.compile(optimizer=optimizer)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", HALVES)
def test_derivatives_go_through_casts(dtype: str, target: Target) -> None:
    """Of the first and second order: a rounding has the derivative 1, as in PyTorch."""
    rng = np.random.default_rng(0)
    y, x = dg.observed("y", ("B", 5)), dg.observed("x", ("B", 5), dtype)
    weight = rng.normal(size=5).astype(np.float32)
    h = (y * weight).astype(dtype)
    cost = dg.sum(h**3 + h * x)
    by_y, by_x = dg.gradient(cost, [y, x])
    again, mixed = dg.gradient(dg.sum(by_y**2), [y, x])
    assert {item.dtype for item in (by_y, by_x, again, mixed)} == {"float32"}
    diagram = dg.Diagram("casts", {"y": by_y, "x": by_x, "yy": again, "yx": mixed})
    given = {"y": rng.normal(size=(4, 5)).astype(np.float32)}
    given["x"] = rng.normal(size=(4, 5)).astype(dtype)
    found = diagram.compile(target=target).run(**given)
    held = (given["y"] * weight).astype(dtype).astype(np.float64)
    w, wide = weight.astype(np.float64), given["x"].astype(np.float64)
    slope = (3 * held**2 + wide) * w
    wanted = {"y": slope, "x": held, "yy": 2 * slope * 6 * held * w * w, "yx": 2 * slope * w}
    for name, array in wanted.items():
        np.testing.assert_allclose(found[name], array, rtol=2e-5, err_msg=name)


@pytest.mark.parametrize("dtype", HALVES)
def test_a_program_of_float64_computes_with_halves_in_it(dtype: str) -> None:
    x, y = dg.observed("x", ("B",), dtype), dg.observed("y", ("B",))
    cost = dg.sum(dg.exp(x * y))
    diagram = dg.Diagram("wide", {"z": dg.exp(x * y), "g": dg.gradient(cost, x)})
    array, other = np.linspace(-1, 1, 9).astype(dtype), np.linspace(0, 1, 9)
    found = diagram.compile(dtype="float64").run(x=array, y=other)
    wide = array.astype(np.float64)
    np.testing.assert_allclose(found["z"], np.exp(wide * other), rtol=1e-15)
    np.testing.assert_allclose(found["g"], other * np.exp(wide * other), rtol=1e-7)


@pytest.mark.parametrize("dtype", HALVES)
def test_blocks_and_costs_take_halves_as_the_floats_that_they_are(dtype: str) -> None:
    """Of blocks whose parameters are float32, and of those that have halves for parameters."""
    rng = np.random.default_rng(0)
    x, pictures = dg.observed("x", (5, 4, 6), dtype), dg.observed("pictures", (2, 3, 8, 8), dtype)
    rows, labels = dg.observed("rows", (4, 6), dtype), dg.observed("labels", (4,), "uint8")
    applied: dict[str, tuple[Callable[..., Any], Sequence[dg.Variable]]] = {
        "linear": (dg.Linear(6, 3), [rows]),
        "linear of halves": (dg.Linear(6, 3, dtype=dtype), [rows]),
        "bilinear": (dg.Bilinear(6, 6, 2), [rows, rows]),
        "prelu": (dg.PReLU(), [rows]),
        "conv": (dg.Conv2d(3, 4, 3), [pictures]),
        "conv of halves": (dg.Conv2d(3, 4, 3, dtype=dtype), [pictures]),
        "batch norm": (dg.BatchNorm(3), [pictures]),
        "layer norm": (dg.LayerNorm(6), [rows]),
        "gru": (dg.GRU(6, 5), [x]),
        "lstm": (dg.LSTM(6, 5), [x]),
        "heads": (dg.MultiHeadAttention(6, 2), [x]),
        "attention": (dg.attention, [x, x, x]),
        "positions": (dg.LearnedEncoding(9, 6), [x]),
        "softmax": (dg.softmax, [rows]),
        "mse": (lambda x, y: dg.squared_error(x, dg.zeros_like(y, "float32")), [rows, rows]),
        "cross entropy": (lambda scores: dg.cross_entropy(scores, labels), [rows]),
        "huber": (dg.huber, [rows, rows]),
    }
    outputs = {}
    for name, (function, given) in applied.items():
        with_halves, with_floats = (
            function(*inputs) for inputs in (given, [item.astype("float32") for item in given])
        )
        for place, found in enumerate((with_halves, with_floats)):
            found = found[0] if isinstance(found, tuple) else found
            assert not found.mistakes and found.dtype == "float32", name
            outputs[f"{name.replace(' ', '_')}_{place}"] = found
    program = dg.Diagram("blocks", outputs).compile(target="reference", seed=0)
    values = {
        str(item.name): rng.normal(size=item.type.extents).astype(dtype)
        for item in (x, pictures, rows)
    }
    found = program.run(labels=np.array([0, 5, 2, 2], np.uint8), **values)
    for name in applied:
        first, second = (found[f"{name.replace(' ', '_')}_{place}"] for place in (0, 1))
        np.testing.assert_array_equal(first, second, err_msg=name)


@pytest.mark.parametrize("dtype", HALVES)
def test_halves_in_files_and_between_steps(dtype: str, tmp_path: Path) -> None:
    """A state of halves is what its update has rounded, in a file too."""
    x = dg.observed("x", (5,), dtype)
    seen = dg.state("seen", (5,), 0.1, dtype)
    dg.update(seen, (seen * 1.7 + x).astype(dtype))
    program = dg.Diagram("kept", {"seen": seen}).compile()
    array = np.random.default_rng(0).normal(size=5).astype(dtype)
    held = np.full(5, 0.1).astype(dtype)
    for _ in range(3):
        program.step(x=array)
        wide = held.astype(np.float32) * np.float32(1.7) + array.astype(np.float32)
        held = wide.astype(dtype)
    assert (np.asarray(program.states["seen"]) == held).all()
    program.save(tmp_path / "kept.safetensors")
    again = dg.Diagram("kept", {"seen": seen}).compile()
    again.load(tmp_path / "kept.safetensors")
    assert (np.asarray(again.states["seen"]) == held).all()
    assert dg.load_state(tmp_path / "kept.safetensors")["seen"].dtype == np.dtype(dtype)


def test_bfloat16_of_pytorch_is_taken() -> None:
    torch = pytest.importorskip("torch")
    x = dg.observed("x", ("B", 3), "bfloat16")
    program = dg.Diagram("torch", {"y": x * 2}).compile()
    tensor = torch.arange(12.0).reshape(4, 3).to(torch.bfloat16)
    for given in (tensor, tensor.T.contiguous().T, tensor[::2]):
        np.testing.assert_array_equal(program.run(x=given)["y"], 2 * given.float().numpy())
    with pytest.raises(dg.InputError, match="expects bfloat16"):
        program.run(x=tensor.half())
    with pytest.raises(dg.InputError, match=r"convert it with x.astype\(ml_dtypes.bfloat16\)"):
        program.run(x=np.ones((2, 3), np.float32))


def test_bfloat16_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    text = (
        r"observed 'x' .* got bfloat16, whose arrays are those of ml_dtypes: pip install ml_dtypes"
    )
    with pytest.raises(dg.DtypeError, match=text):
        dg.observed("x", (3,), "bfloat16")
    with pytest.raises(dg.DtypeError, match="pip install ml_dtypes"):
        dg.constant(1.0).astype("bfloat16")
