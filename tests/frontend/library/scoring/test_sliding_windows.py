"""A convolutional net on wide images: its places are windows cut out, and a machine reads them."""

from __future__ import annotations

import numpy as np
import pytest

import diagrad as dg

from ...evaluating import TARGETS, Target
from .cases import COMPLETE, log_sum


def net() -> dg.Chain:
    """Windows of 10 x 10, one for every second pixel; three labels."""
    return dg.Chain(
        dg.Conv2d(1, 4, 3, dtype="float64"), dg.tanh, dg.MaxPool2d(2),
        dg.Conv2d(4, 5, 4, dtype="float64"), dg.tanh, dg.Conv2d(5, 3, 1, dtype="float64"),
        name="net",
    )  # fmt: skip


@pytest.mark.parametrize("target", TARGETS)
def test_places_are_windows(target: Target) -> None:
    """Scores, those of all paths, and the gradient of the image, of one program and any width."""
    slide, machine = net(), COMPLETE.machine(weights=False)
    x = dg.observed("x", ("B", 1, 10, "W"), "float64")
    lattice = dg.transpose(slide(x)[:, :, 0], (2, 0, 1))
    total = machine(lattice)
    outputs = {"lattice": lattice, "total": total, "slope": dg.gradient(dg.sum(total), x)}
    program = dg.Diagram("test", outputs).compile(target=target)
    rng = np.random.default_rng(0)
    for samples, width in [(2, 18), (1, 10), (3, 11), (0, 14)]:
        images = rng.normal(size=(samples, 1, 10, width))
        found = program.run(x=images)
        places = (width - 10) // 2 + 1
        assert found["lattice"].shape == (places, samples, 3)
        windows = [images[..., 2 * k : 2 * k + 10] for k in range(places)]
        alone = [program.run(x=window) for window in windows]
        for k in range(places):
            np.testing.assert_allclose(found["lattice"][k], alone[k]["lattice"][0], 1e-12, 1e-13)
        for b in range(samples):
            paths = COMPLETE.paths(found["lattice"][:, b])
            np.testing.assert_allclose(found["total"][b], log_sum([p[0] for p in paths]), 1e-12)
            for place in rng.integers(0, (10, width), (3, 2)):
                sides = []
                for step in (1e-6, -1e-6):
                    moved = images.copy()
                    moved[(b, 0, *place)] += step
                    sides.append(program.run(x=moved)["total"][b])
                slope = found["slope"][(b, 0, *place)]
                np.testing.assert_allclose((sides[0] - sides[1]) / 2e-6, slope, 1e-5, 1e-8)
