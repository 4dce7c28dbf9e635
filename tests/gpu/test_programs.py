"""Programs of target "cuda" on a real device, as users have them: `python -m pytest -m gpu`."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import diagrad as dg

pytestmark = pytest.mark.gpu


def classifier() -> dg.Diagram:
    net = dg.Chain(dg.Linear(7, 33), dg.relu, dg.Linear(33, 5), name="net")
    scores = net(dg.observed("x", ("B", 7)))
    y = dg.observed("y", ("B",), dg.int32)
    return dg.Diagram("classifier", {"scores": scores}, cost=dg.cross_entropy(scores, y))


def data(count: int) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {
        "x": rng.normal(size=(count, 7)).astype(np.float32),
        "y": rng.integers(0, 5, count).astype(np.int32),
    }


def test_training_and_what_is_kept_of_it(tmp_path: Path) -> None:
    programs = {
        target: classifier().compile(dg.Adam(1e-2), target=target, seed=1)
        for target in ("cuda", "reference")
    }
    ours, reference = programs.values()
    for count in (64, 13, 64):
        batch = data(count)
        assert ours.step(**batch) == pytest.approx(reference.step(**batch), rel=1e-4)
    for name, array in reference.parameters.items():
        np.testing.assert_allclose(ours.parameters[name], array, rtol=1e-3, atol=1e-5)
    ours.save(tmp_path / "kept.safetensors")
    again = classifier().compile(dg.Adam(1e-2), target="cuda", seed=2)
    again.load(tmp_path / "kept.safetensors")
    batch = data(20)
    assert again.step(**batch) == ours.step(**batch)


def test_fit() -> None:
    found = {}
    for target in ("cuda", "reference"):
        diagram = classifier()
        program = diagram.compile(dg.SGD(0.1), target=target, seed=1)
        scores, labels = diagram.outputs["scores"], diagram.observed["y"]
        metrics = {"accuracy": dg.metrics.accuracy(scores, labels)}
        history = dg.fit(
            program, data(50), epochs=2, batch_size=16, metrics=metrics, progress=False
        )
        assert len(history["accuracy"]) == 2
        found[target] = {name: np.array(array) for name, array in program.parameters.items()}
    for name, array in found["reference"].items():
        np.testing.assert_allclose(found["cuda"][name], array, rtol=1e-3, atol=1e-5)


def test_results_that_stay_are_inputs() -> None:
    x = dg.observed("x", ("B", 7))
    program = dg.Diagram("double", {"x": x + x}).compile(target="cuda")
    batch = {"x": data(9)["x"]}
    there = program.run(**batch, device=True)
    again = program.run(**there, device=True)
    np.testing.assert_array_equal(np.asarray(again["x"]), 4 * batch["x"])
