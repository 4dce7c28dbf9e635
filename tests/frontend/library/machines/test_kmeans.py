"""K-means: against NumPy's loop, the sum that never rises, empty clusters, fit, files."""

import copy
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ...evaluating import TARGETS, Target, check_derivatives

RNG = np.random.default_rng(0)


def clusters(centers: Any, dtype: str = "float64", target: Target = "cpu") -> dg.Program:
    x = dg.observed("x", ("B", np.shape(centers)[1]), dtype)
    cluster, distance = dg.KMeans(centers, dtype, name="kmeans")(x)
    outputs = {"cluster": cluster, "distance": distance}
    return dg.Diagram("clusters", outputs, cost=dg.sum(distance)).compile(target=target)


def lloyd(x: Any, centers: Any) -> tuple[Any, Any, Any]:
    """The nearest centres, the squared distances to them, and the next centres."""
    distances = ((x[:, None] - centers) ** 2).sum(-1)
    cluster = distances.argmin(1)
    after = centers.copy()
    for k in range(len(centers)):
        if (cluster == k).any():
            after[k] = x[cluster == k].mean(0)
    return cluster, distances.min(1), after


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(("samples", "width", "count"), [(1, 1, 1), (31, 2, 3), (60, 5, 7)])
def test_a_step_is_lloyds(samples: int, width: int, count: int, target: Target) -> None:
    x = RNG.normal(size=(samples, width))
    centers = RNG.normal(size=(count, width)) * 2
    program = clusters(centers, target=target)
    for _ in range(4):
        cluster, distance, centers = lloyd(x, centers)
        found = program.run(x=x)
        np.testing.assert_array_equal(found["cluster"], cluster)
        np.testing.assert_allclose(found["distance"], distance, rtol=1e-12)
        np.testing.assert_allclose(program.step(x=x), distance.sum(), rtol=1e-12)
        np.testing.assert_allclose(program.states["kmeans/centers"], centers, rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_sum_never_rises(dtype: Any) -> None:
    """Until nothing moves any more, from eight beginnings."""
    for seed in range(8):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(200, 3)).astype(dtype) + 5 * rng.integers(0, 3, (200, 1))
        x = x.astype(dtype)
        program = clusters(x[:6], dtype)
        before, sums = None, []
        while before is None or not np.array_equal(before, program.states["kmeans/centers"]):
            before = program.states["kmeans/centers"].copy()
            sums.append(program.step(x=x))
            assert len(sums) < 100
        rounding = 1e-6 if dtype == "float32" else 1e-14
        assert all(b <= a * (1 + rounding) for a, b in pairwise(sums)), sums
        assert sums[-1] < 0.9 * sums[0]


@pytest.mark.parametrize("target", TARGETS)
def test_a_centre_without_samples_stays(target: Target) -> None:
    """One far away, one that equals another before it; and all, where there are no samples."""
    centers = np.array([[0.0, 0], [0, 0], [100, 100], [1, 1]])
    program = clusters(centers, target=target)
    x = np.array([[0.1, 0], [0.3, 0], [1, 2]])
    program.step(x=x)
    wanted = np.array([[0.2, 0], [0, 0], [100, 100], [1, 2]])
    np.testing.assert_allclose(program.states["kmeans/centers"], wanted, rtol=1e-15)
    assert program.step(x=x[:0]) == 0
    np.testing.assert_allclose(program.states["kmeans/centers"], wanted, rtol=1e-15)


def test_as_many_clusters_as_samples() -> None:
    x = RNG.normal(size=(5, 2))
    program = clusters(x)
    assert program.step(x=x) == 0
    np.testing.assert_array_equal(program.states["kmeans/centers"], x)


def test_derivatives_of_the_distance() -> None:
    """Twice the way from the nearest centre; the centres count as constants."""
    centers = RNG.normal(size=(3, 2)) * 3
    check_derivatives(lambda x: dg.KMeans(centers, "float64")(x)[1], RNG.normal(size=(5, 2)))


def test_a_run_moves_nothing_and_fit_goes_on_until_it_is_no_better() -> None:
    x = RNG.normal(size=(100, 2)).astype(np.float32)
    program = clusters(x[:4], "float32")
    program.run(x=x)
    np.testing.assert_array_equal(program.states["kmeans/centers"], x[:4])
    history = dg.fit(program, {"x": x}, epochs=20, batch_size=100, progress=False)
    assert len(history.cost) == 20 and history.cost[-1] < history.cost[0]


def test_files_and_copies(tmp_path: Path) -> None:
    x = RNG.normal(size=(40, 3))
    program = clusters(x[:4])
    program.step(x=x)
    program.save(tmp_path / "clusters.safetensors")
    other, twin = clusters(x[4:8]), copy.deepcopy(program)
    other.load(tmp_path / "clusters.safetensors")
    assert program.step(x=x) == other.step(x=x) == twin.step(x=x)
    block = dg.KMeans(x[:4], "float64", name="kmeans")
    observed = dg.observed("x", ("B", 3), "float64")
    distance = copy.deepcopy(block)(observed)[1]
    copied = dg.Diagram("copied", cost=dg.sum(distance)).compile()
    assert copied.step(x=x) == clusters(x[:4]).step(x=x)


def test_centers_that_are_a_state_already_or_none() -> None:
    x = dg.observed("x", ("B", 2))
    mine = dg.state("mine", (2, 2), np.eye(2))
    program = dg.Diagram("mine", cost=dg.sum(dg.KMeans(mine)(x)[1])).compile()
    program.step(x=np.ones((1, 2), np.float32))
    np.testing.assert_array_equal(program.states["mine"], [[1, 1], [0, 1]])
    with pytest.raises(dg.DiagramError, match="make it a state"):
        dg.Diagram("wrong", dg.KMeans(dg.parameter("w", (2, 2)))(x)[1])


@pytest.mark.parametrize("shape", [("B", 3), ("T", "B", 2), (2,)])
def test_x_is_samples_and_features(shape: Any) -> None:
    with pytest.raises(dg.ShapeError, match=re.escape("expects (B, 2), got (")):
        dg.Diagram("wrong", dg.KMeans(np.eye(2))(dg.observed("x", shape))[1])
