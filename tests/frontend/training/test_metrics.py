"""Metrics beside the cost: in the steps of `fit`, of validation data, and by `evaluate`."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ..evaluating import Array

COUNT, CLASSES = 23, 4


def data(seed: int = 0, count: int = COUNT) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, count).astype(np.int32)
    return {
        "x": rng.normal(size=(count, CLASSES)), "labels": labels,
        "w": rng.uniform(0.1, 2.0, count), "hit": rng.integers(0, 2, (count, CLASSES)) > 0,
    }  # fmt: skip


def drawn() -> tuple[dg.Diagram, dict[str, Any]]:
    """A diagram in float64 whose cost is a weighted mean, and all metrics of it."""
    x = dg.observed("x", ("B", CLASSES), dg.float64)
    labels = dg.observed("labels", ("B",), dg.int32)
    w = dg.observed("w", ("B",), dg.float64)
    hit = dg.observed("hit", ("B", CLASSES), dg.bool_)
    scale = dg.parameter("scale", (CLASSES,), init=1.0, dtype=dg.float64)
    scores = x * scale
    losses = dg.cross_entropy(scores, labels, reduction="none")
    cost = dg.sum(w * losses) / dg.sum(w)
    outputs = {"scores": scores, "sum": dg.sum(w), "hits": dg.sum(hit.astype(dg.float64))}
    said = (scores > 0.0).astype(dg.float64)
    truth = hit.astype(dg.float64)
    precision = dg.metrics.Metric(
        {"right": dg.sum(said * truth), "said": dg.sum(said)},
        lambda right, said: right.sum() / said.sum(),
    )
    metrics = {
        "accuracy": dg.metrics.accuracy(scores, labels),
        "weighted": dg.metrics.accuracy(scores, labels, weights=w),
        "best two": dg.metrics.top_k(scores, labels, k=2),
        "binary": dg.metrics.binary_accuracy(scores, hit, threshold=0.25),
        "r2": dg.metrics.r2(scores, x * x - 1.0),
        "precision": precision,
        "size": dg.sum(dg.ones_like(w)),
        "largest": dg.max(w),
    }
    return dg.Diagram("measured", outputs, cost=cost), metrics


def by_hand(given: dict[str, Array], scale: float = 1.0) -> dict[str, float]:
    scores, labels, w, hit = given["x"] * scale, given["labels"], given["w"], given["hit"]
    right = scores.argmax(1) == labels
    own = scores[np.arange(len(labels)), labels]
    spread = given["x"] ** 2 - 1.0
    left = ((spread - scores) ** 2).sum(0) / ((spread - spread.mean(0)) ** 2).sum(0)
    losses = np.log(np.exp(scores).sum(1)) - own
    return {
        "cost": float((w * losses).sum() / w.sum()),
        "accuracy": float(right.mean()),
        "weighted": float((w * right).sum() / w.sum()),
        "best two": float(((scores > own[:, None]).sum(1) < 2).mean()),
        "binary": float(((scores >= 0.25) == hit).mean()),
        "r2": float((1 - left).mean()),
        "precision": float(((scores > 0) & hit).sum() / (scores > 0).sum()),
        "size": float(len(w)),
    }


def test_what_evaluate_gives_is_that_of_all_samples_at_once() -> None:
    diagram, metrics = drawn()
    program = diagram.compile()
    given = data()
    expected = by_hand(given)
    whole = dg.evaluate(program, given, metrics)
    assert whole.pop("largest") == pytest.approx(given["w"].max())
    assert whole == pytest.approx(expected, rel=1e-12)
    # Means over samples are exact for a last batch of fewer; those by weights with the weights.
    parts = dg.evaluate(program, given, metrics, batch_size=5)
    for name in ("accuracy", "best two", "binary", "r2", "precision", "size"):
        assert parts[name] == pytest.approx(expected[name], rel=1e-12), name
    by_weight = dg.evaluate(program, given, metrics, batch_size=5, sample_weight="w")
    for name in expected:
        assert by_weight[name] == pytest.approx(expected[name], rel=1e-12), name
    assert abs(parts["cost"] - expected["cost"]) > 1e-4
    assert len(program.executions()) == 1, "the metrics are compiled once"


def test_metrics_stand_in_the_history() -> None:
    diagram, metrics = drawn()
    program = diagram.compile(dg.SGD(0.0))
    given, held = data(), data(1, 7)
    history = dg.fit(
        program, given, 2, 5, validation=held, metrics=metrics, sample_weight="w", progress=False
    )
    expected, validated = by_hand(given), by_hand(held)
    for epoch in history.epochs:
        for name in metrics.keys() - {"largest"}:
            assert epoch.metrics[name] == pytest.approx(expected[name])
            assert epoch.validation_metrics is not None
            assert epoch.validation_metrics[name] == pytest.approx(validated[name])
    assert history["cost"] == history.cost == pytest.approx([expected["cost"]] * 2)
    assert history["validation_cost"] == pytest.approx([validated["cost"]] * 2)
    assert history["validation_r2"] == pytest.approx([validated["r2"]] * 2)
    assert set(history.metrics) == {*metrics, *(f"validation_{name}" for name in metrics)}
    with pytest.raises(KeyError, match="no numbers 'loss'; there are cost, accuracy, weighted"):
        history["loss"]


def test_the_metrics_of_a_step_are_those_before_its_update_and_change_nothing() -> None:
    diagram, metrics = drawn()
    with_them, without = (diagram.compile(dg.Adam(0.1)) for _ in range(2))
    given = data()
    history = dg.fit(with_them, given, 3, 6, metrics=metrics, progress=False)
    needed = {name: given[name] for name in ("x", "labels", "w")}
    plain = dg.fit(without, needed, 3, 6, progress=False)
    assert history.cost == pytest.approx(plain.cost, rel=1e-12) and plain.metrics == {}
    for name, array in without.states.items():
        np.testing.assert_allclose(with_them.states[name], array, rtol=1e-11)
    first = dg.fit(diagram.compile(dg.SGD(5.0)), given, 1, metrics=metrics, progress=False)
    assert first.epochs[0].metrics["accuracy"] == pytest.approx(by_hand(given)["accuracy"])


def test_training_metrics_are_of_training_and_validation_of_inference() -> None:
    x = dg.observed("x", ("B",), dg.float64)
    seen = dg.mean(dg.where(dg.training(), 1.0, 0.0) + 0.0 * x)
    cost = dg.mean(x * dg.parameter("v", (), init=1.0, dtype=dg.float64))
    program = dg.Diagram("modes", {"seen": seen}, cost=cost).compile(
        dg.SGD(0.1), target="reference"
    )
    values = {"x": np.ones(3)}
    history = dg.fit(program, values, 1, metrics={"seen": seen}, validation=values, progress=False)
    assert history["seen"] == [1.0] and history["validation_seen"] == [0.0]
    assert dg.evaluate(program, values, {"seen": seen})["seen"] == 0.0


def test_top_k_and_accuracy_where_scores_are_equal_or_none() -> None:
    scores = np.array([[1.0, 1.0, 0.0], [np.nan, 1.0, 0.0], [0.0, np.nan, 2.0]])
    x, labels = dg.observed("x", ("B", 3), dg.float64), dg.observed("y", ("B",), dg.int64)
    hits = {k: dg.metrics.top_k(x, labels, k=k) for k in (1, 2, 9)}
    program = dg.Diagram("top", {str(k): hit for k, hit in hits.items()}).compile(
        target="reference"
    )
    found = program.run(x=scores[:1], y=np.array([1]))
    assert found == {"1": 1.0, "2": 1.0, "9": 1.0}  # as TensorFlow's `in_top_k`
    assert program.run(x=scores[1:2], y=np.array([0])) == {"1": 0.0, "2": 0.0, "9": 0.0}
    assert program.run(x=scores[2:], y=np.array([0])) == {"1": 0.0, "2": 1.0, "9": 1.0}


def test_r2_is_that_of_scikit_learn_far_from_zero_too() -> None:
    rng = np.random.default_rng(3)
    target = 1e6 + rng.normal(size=50)
    prediction = target + 0.5 * rng.normal(size=50)
    t, p = dg.observed("t", ("B",), dg.float64), dg.observed("p", ("B",), dg.float64)
    program = dg.Diagram("r2", {"sum": dg.sum(t + p)}).compile(target="reference")
    given = {"t": target, "p": prediction}
    found = dg.evaluate(program, given, {"r2": dg.metrics.r2(p, t)}, batch_size=7)["r2"]
    expected = 1 - ((target - prediction) ** 2).sum() / ((target - target.mean()) ** 2).sum()
    assert found == pytest.approx(expected, rel=1e-9)


def line() -> tuple[dg.Program, dg.Variable, dg.Variable]:
    x = dg.observed("x", ("B",), dg.float64)
    w = dg.parameter("w", (), init=1.0, dtype=dg.float64)
    diagram = dg.Diagram("line", {"y": x * w}, cost=dg.mean(x * w))
    return diagram.compile(dg.SGD(0.1), target="reference"), x, w


def test_a_rule_without_a_cost_has_metrics() -> None:
    x, total = dg.observed("x", ("B",), dg.float64), dg.state("total", (), dtype=dg.float64)
    dg.update(total, total + dg.sum(x))
    program = dg.Diagram("sum", {"total": total}).compile(target="reference")
    metrics = {"before": 1.0 * total}
    given = {"x": np.ones(4)}
    history = dg.fit(
        program, given, 3, metrics=metrics, validation=given, progress=False
    )  # of a step before its update, of validation after it
    assert history["before"] == [0.0, 4.0, 8.0]
    assert history["validation_before"] == [4.0, 8.0, 12.0]
    assert np.isnan(history.cost).all() and np.isnan(history.validation_cost).all()


@pytest.mark.parametrize("name", ["cost", "weighted"])
def test_the_picture_of_a_metric(name: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    diagram, metrics = drawn()
    program = diagram.compile(dg.SGD(0.1), target="reference")
    history = dg.fit(program, data(), 2, validation=0.3, metrics=metrics, progress=False)
    path = history.plot(tmp_path / "a.png", name)
    assert path.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(KeyError, match="no numbers 'loss'; there are cost, accuracy"):
        history.plot(tmp_path / "b.png", "loss")


def test_metrics_that_do_not_do() -> None:
    program, x, w = line()
    other = dg.observed("other", ("B",), dg.float64)
    mean = dg.mean(x)
    cases: list[tuple[Any, type[Exception], str]] = [
        ({"all": x * w}, dg.InputError,
         "expects metric 'all' to be of shape (), got "),
        ({"other": dg.mean(other)}, dg.DiagramError,
         "expects metric 'other' to be drawn from what diagram 'line' "),
        ({"noise": dg.mean(dg.random_normal((3,)))}, dg.DiagramError,
         "has, got a random draw, which is not in it"),
        ({"bad": dg.mean(x + dg.observed("z", (3, 4), dg.float64) @ x)}, dg.DiagramError, ""),
        ({"cost": mean}, ValueError, "expects metrics by names beside cost, validation_cost"),
        ({"validation_x": mean}, ValueError, "and validation_..., got 'validation_x'"),
        ({"text": "accuracy"}, TypeError,
         "expects metric 'text' to be a variable or a dg.metrics.Metric, got 'accuracy'"),
        ([mean], TypeError, "expects metrics as a dict, {'accuracy': dg.metrics.accuracy(...)}"),
    ]  # fmt: skip
    for metrics, kind, message in cases:
        for call in (dg.fit, dg.evaluate):
            options: dict[str, Any] = {"epochs": 1, "progress": False} if call is dg.fit else {}
            with pytest.raises(kind) as error:
                call(program, {"x": np.ones(4)}, metrics=metrics, **options)
            assert message in str(error.value)
    whole = dg.metrics.Metric({"all": x}, lambda all: all.mean())
    with pytest.raises(dg.InputError, match="to have shapes that do not depend on the batch"):
        dg.evaluate(program, {"x": np.ones(4)}, {"whole": whole}, batch_size=2)
    assert program.states["step"] == 0


def test_weights_and_programs_that_do_not_do() -> None:
    program, x, _ = line()
    with pytest.raises(dg.InputError, match="an input that holds the weights, one of x, got 'w'"):
        dg.fit(program, {"x": np.ones(4)}, 1, sample_weight="w", progress=False)
    bare = dg.Diagram("bare", {"y": 2.0 * x}).compile(target="reference")
    with pytest.raises(dg.InputError, match="expects a diagram with a cost, or metrics, got neith"):
        dg.evaluate(bare, {"x": np.ones(4)})
    assert dg.evaluate(bare, {"x": np.ones(4)}, {"mean": dg.mean(x)}, 3) == {"mean": 1.0}
    with pytest.raises(TypeError, match=r"expects a program first, got a Diagram: compile it"):
        dg.evaluate(bare.diagram, {"x": np.ones(4)})  # type: ignore[arg-type]


def test_arguments_of_metrics() -> None:
    x, labels = dg.observed("x", ("B", 3)), dg.observed("labels", ("B",), dg.int32)
    with pytest.raises(dg.ShapeError, match=r"expects a label for each sample, of shape \(B,\) "):
        dg.Diagram("d", dg.metrics.accuracy(x, dg.observed("l", ("B", 3), dg.int32)))
    with pytest.raises(dg.DtypeError, match="expects labels of int32 or int64, got observed 'x'"):
        dg.Diagram("d", dg.metrics.top_k(x, x))
    with pytest.raises(ValueError, match="expects k to be an integer of 1 or more, got 0"):
        dg.metrics.top_k(x, labels, k=0)
    with pytest.raises(TypeError, match="expects part 'a' to be a variable, got 1"):
        dg.metrics.Metric({"a": 1}, sum)  # type: ignore[dict-item]
    with pytest.raises(
        dg.ShapeError, match=r"expects target of shape \(B, 3\), got observed 'labels'"
    ):
        dg.metrics.r2(x, labels)
