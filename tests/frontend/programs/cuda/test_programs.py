"""What a user does with a program works on a device as it does on the processor."""

import copy
import threading
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import diagrad as dg
from diagrad.frontend.programs.targets import Target
from diagrad.runtime.cuda.using import use_device

from ....runtime.cuda.simulated import SimulatedDevice

Array = npt.NDArray[Any]


def classifier(dropout: bool = False) -> dg.Diagram:
    """A small net with statistics of the batch."""
    x, y = dg.observed("x", ("B", 6)), dg.observed("y", ("B",), dg.int32)
    middle = [dg.Dropout(0.5)] if dropout else []
    # Without a bias: the gradient of one before a BatchNorm is rounding alone.
    first, last = dg.Linear(6, 16, bias=False), dg.Linear(16, 3)
    scores = dg.Chain(first, dg.BatchNorm(16), dg.relu, *middle, last, name="net")(x)
    return dg.Diagram("classifier", {"scores": scores}, cost=dg.cross_entropy(scores, y))


def batch(size: int, seed: int = 0) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(size, 6)).astype(np.float32)
    return {"x": x, "y": rng.integers(0, 3, size).astype(np.int32)}


def pair(diagram: dg.Diagram, **options: Any) -> tuple[dg.Program, dg.Program]:
    """The same program on the processor and on the device."""
    targets: tuple[Target, ...] = ("cpu", "cuda")
    a, b = (diagram.compile(target=target, seed=3, **options) for target in targets)
    return a, b


def agree(a: dg.Program, b: dg.Program) -> None:
    assert list(a.states) == list(b.states)
    for name, array in a.states.items():
        np.testing.assert_allclose(b.states[name], array, rtol=2e-4, atol=2e-5, err_msg=name)


def test_steps_and_runs_at_several_sizes() -> None:
    a, b = pair(classifier(), optimizer=dg.Adam(1e-2))
    for number, size in enumerate((7, 32, 7, 1, 13)):
        given = batch(size, number)
        assert b.step(**given) == pytest.approx(a.step(**given), rel=1e-4)
        for name, found in b.run(**given).items():
            np.testing.assert_allclose(found, a.run(**given)[name], rtol=2e-4, atol=2e-5)
    agree(a, b)
    assert "cuda" in repr(b)
    assert type(b.step(**batch(7))) is float


def test_an_empty_batch() -> None:
    _, b = pair(classifier(), optimizer=dg.SGD(0.1))
    assert b.run(x=np.zeros((0, 6), np.float32))["scores"].shape == (0, 3)


def test_random_draws_are_the_same_bits() -> None:
    x = dg.observed("x", ("B", 6))
    a, b = pair(dg.Diagram("d", {"y": dg.Dropout(0.5)(x)}))
    given = np.ones((50, 6), np.float32)
    for _ in range(2):
        first, second = (p.run("training", x=given)["y"] for p in (a, b))
        np.testing.assert_array_equal(first, second)
        a.redraw()
        b.redraw()


def test_parameters_are_read_and_written_through() -> None:
    a, b = pair(classifier(), optimizer=dg.SGD(0.1))
    name = next(iter(b.parameters))
    b.parameters[name] = np.full(b.parameters[name].shape, 0.25)
    a.parameters[name] = np.full(a.parameters[name].shape, 0.25)
    b.parameters[name][0] = 1.5
    a.parameters[name][0] = 1.5
    a.step(**batch(8))
    b.step(**batch(8))
    agree(a, b)


def test_the_learning_rate_is_set_while_training() -> None:
    a, b = pair(classifier(), optimizer=dg.SGD(0.1))
    for program in (a, b):
        program.step(**batch(8))
        program.learning_rate = 1e-3
        program.step(**batch(8))
    agree(a, b)
    assert b.learning_rate == 1e-3


def test_fit_trains_and_validates() -> None:
    diagram = classifier(dropout=True)
    scores, labels = diagram.outputs["scores"], diagram.observed["y"]
    metrics = {"accuracy": dg.metrics.accuracy(scores, labels)}
    a, b = pair(diagram, optimizer=dg.Adam(1e-2))
    histories = [
        dg.fit(
            p, batch(40), epochs=2, batch_size=16, validation=batch(20, 1), seed=1, progress=False,
            metrics=metrics,
        )
        for p in (a, b)
    ]  # fmt: skip
    for name in ("accuracy", "validation_accuracy"):
        assert histories[0][name] == pytest.approx(histories[1][name])
    np.testing.assert_allclose(histories[1].cost, histories[0].cost, rtol=1e-3)
    np.testing.assert_allclose(
        histories[1].validation_cost, histories[0].validation_cost, rtol=1e-3
    )
    agree(a, b)


def test_files_go_from_target_to_target(tmp_path: Path) -> None:
    a, b = pair(classifier(), optimizer=dg.Adam(1e-2))
    for program in (a, b):
        program.step(**batch(8))
    b.save(tmp_path / "b.safetensors")
    a.load(tmp_path / "b.safetensors")
    for name, array in b.states.items():
        np.testing.assert_array_equal(a.states[name], array)
    a.step(**batch(9))
    a.save(tmp_path / "a.safetensors")
    b.load(tmp_path / "a.safetensors")
    for name, array in a.states.items():
        np.testing.assert_array_equal(b.states[name], array)


def test_copies_go_on_by_themselves() -> None:
    _, b = pair(classifier(), optimizer=dg.Adam(1e-2))
    b.step(**batch(8))
    twin, same = copy.deepcopy(b), copy.copy(b)
    before = {name: array.copy() for name, array in b.states.items()}
    twin.step(**batch(8))
    for name, array in b.states.items():
        np.testing.assert_array_equal(array, before[name])
    same.step(**batch(8))
    agree(twin, b)


def test_an_index_out_of_range_updates_nothing() -> None:
    a, b = pair(classifier(), optimizer=dg.Adam(1e-2))
    b.step(**batch(8))
    before = {name: array.copy() for name, array in b.states.items()}
    wrong = batch(8)
    wrong["y"][5] = 3
    texts = []
    for program in (a, b):
        with pytest.raises(dg.InputError, match=r"expects values in \[0, 3\), got 3") as error:
            program.step(**wrong)
        texts.append(str(error.value))
    assert texts[0] == texts[1]
    for name, array in b.states.items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize("index", [4, -1, 2**31 - 1, -(2**31)])
def test_an_index_that_is_far_out_of_range_reads_nothing(index: int) -> None:
    """Neither the row that it asks for, nor what is computed from it."""
    places, y = dg.observed("places", ("B",), dg.int32), dg.observed("y", ("B", 2))
    net = dg.Chain(dg.Embedding(4, 5), dg.Linear(5, 2), name="net")
    diagram = dg.Diagram("words", cost=dg.squared_error(net(places), y))
    program = diagram.compile(dg.SGD(0.1), target="cuda")
    given = {"places": np.array([1, index, 0], np.int32), "y": np.zeros((3, 2), np.float32)}
    before = {name: array.copy() for name, array in program.states.items()}
    with pytest.raises(dg.InputError, match=rf"values in \[0, 4\), got {index} at index \(1,\)"):
        program.step(**given)
    for name, array in program.states.items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize(
    "given",
    [
        {"x": np.zeros((3, 6))},
        {"x": np.zeros((3, 5), np.float32)},
        {"x": np.zeros(6, np.float32)},
        {},
        {"x": np.zeros((3, 6), np.float32), "z": 1},
        {"x": "text"},
    ],
)
def test_wrong_inputs_are_told_as_on_the_processor(given: dict[str, Any]) -> None:
    texts = []
    for program in pair(classifier()):
        with pytest.raises(dg.InputError) as error:
            program.run(**given)
        texts.append(str(error.value))
    assert texts[0] == texts[1]


def test_strided_and_foreign_inputs_are_taken() -> None:
    a, b = pair(classifier())
    x = batch(16)["x"]
    for given in (x[::2], x[:, ::-1], x.tolist(), x.astype(">f4"), np.asfortranarray(x)):
        np.testing.assert_allclose(
            b.run(x=given)["scores"], a.run(x=given)["scores"], rtol=2e-4, atol=2e-5
        )


def test_a_model_writes_what_it_writes_on_the_processor() -> None:
    """A native loop in which the keys and values that are kept stay on the device."""
    text, following = (dg.observed(name, ("B", "T"), dg.int32) for name in ("text", "following"))
    encoder = dg.TransformerEncoder(8, heads=2, layers=1, causal=True, norm_first=True)
    writer = dg.Chain(dg.Embedding(16, 8), dg.SinusoidalEncoding(), encoder, dg.Linear(8, 16))
    scores = writer(text)
    learner = dg.Diagram("learner", {"scores": scores}, cost=dg.cross_entropy(scores, following))
    codes = np.random.default_rng(0).integers(0, 16, 61).astype(np.int32)
    given = {"text": codes[:-1].reshape(6, 10), "following": codes[1:].reshape(6, 10)}
    written = []
    for program in pair(learner, optimizer=dg.AdamW(1e-2)):
        for _ in range(3):
            program.step(**given)
        written.append(dg.generate(program, codes[:5], 8))
    np.testing.assert_array_equal(written[1], written[0])


def test_threads_take_turns() -> None:
    _, b = pair(classifier(), optimizer=dg.SGD(1e-2))
    wanted = b.run(x=batch(8)["x"])["scores"]
    found: list[Array] = []

    def work() -> None:
        found.extend(b.run(x=batch(8)["x"])["scores"] for _ in range(5))

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(found) == 20
    for one in found:
        np.testing.assert_array_equal(one, wanted)


def test_reports_tell_of_the_device() -> None:
    _, b = pair(classifier(), optimizer=dg.Adam(1e-2))
    b.step(**batch(8))
    told = b.explain()
    assert "on target cuda" in told
    assert " launches, " in told and " one after another" in told
    assert "lanes_below" in "".join(b.kernels.values())
    assert ", 32)" in "".join(b.kernels.values())
    before = {name: array.copy() for name, array in b.states.items()}
    profile = b.profile("step", 2, **batch(8))
    assert "on simulated device" in str(profile)
    assert len(profile.rows) > 5
    for name, array in b.states.items():
        np.testing.assert_array_equal(array, before[name])


def test_reports_tell_of_walks() -> None:
    """A loop that one block walks is a launch, whose rows have times of their own."""
    states, _ = dg.GRU(3, 4)(dg.observed("x", ("T", "B", 3)))
    a, b = pair(dg.Diagram("walked", {"y": states}))
    x = np.ones((5, 2, 3), np.float32)
    np.testing.assert_allclose(b.run(x=x)["y"], a.run(x=x)["y"], rtol=1e-5)
    assert ", of which 1 walks 10 runs of rows" in b.explain()
    assert sorted(row.calls for row in b.profile("run", 2, x=x).rows)[-2:] == [5, 5]


def test_everything_is_given_back(device: SimulatedDevice) -> None:
    import gc

    _, b = pair(classifier(), optimizer=dg.Adam(1e-2))
    b.step(**batch(8))
    assert device.held > 0
    del b
    gc.collect()
    assert device.held == 0


def test_float64_throughout() -> None:
    a, b = pair(classifier(), optimizer=dg.Adam(1e-2), dtype="float64")
    given = batch(9)
    given["x"] = given["x"].astype(np.float64)
    assert b.step(**given) == pytest.approx(a.step(**given), rel=1e-12)
    for name, array in a.states.items():
        np.testing.assert_allclose(b.states[name], array, rtol=1e-10, atol=1e-12)


def test_the_reference_is_what_both_mean() -> None:
    diagram = classifier()
    program = diagram.compile(dg.SGD(0.1), target="cuda", seed=3)
    meant = diagram.compile(dg.SGD(0.1), target="reference", seed=3)
    for number in range(3):
        given = batch(11, number)
        assert program.step(**given) == pytest.approx(meant.step(**given), rel=1e-4)


def test_without_a_device_there_is_one_error() -> None:
    before = use_device(None)
    try:
        if dg.targets()["cuda"].usable:
            pytest.skip("there is a device")
        with pytest.raises(
            dg.TargetError, match=r"expects a machine for target cuda, but .*targets\(\)"
        ):
            classifier().compile(target="cuda")
    finally:
        use_device(before)
