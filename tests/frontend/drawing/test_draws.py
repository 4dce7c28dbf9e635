"""Random draws: which are equal and which independent, by place, stream, seed, step and redraw."""

import copy
import itertools
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import diagrad as dg
from diagrad.frontend.drawing.draws import first_key, hashed
from diagrad.runtime.philox import philox

from ..evaluating import TARGETS, Target

Array = npt.NDArray[Any]
N = 4000
ONES = np.ones((5, 8), np.float32)


class Dropout(dg.Block):
    """Half of the elements, doubled."""

    def forward(self, x: Any) -> Any:
        return dg.where(dg.random_uniform(x.shape) < 0.5, 2.0 * x, 0.0)


def independent(draws: Array) -> None:
    """Uniform rows that are spread evenly, alone and in pairs, and do not correlate."""
    count = draws.shape[1]
    assert len(np.unique(draws, axis=0)) == len(draws)
    # Chi-square of 16 bins, and of 4 x 4 bins of pairs: both have 15 degrees of freedom, of which
    # one in a million is above 56.  The seeds are fixed, so it is the same today and tomorrow.
    bins = (draws * 16).astype(int)
    for row in bins:
        assert np.sum((np.bincount(row, minlength=16) - count / 16) ** 2) / (count / 16) < 56
    for one, two in itertools.combinations(bins // 4, 2):
        seen = np.bincount(4 * one + two, minlength=16)
        assert np.sum((seen - count / 16) ** 2) / (count / 16) < 56
    correlated = np.corrcoef(draws) - np.eye(len(draws))
    assert np.abs(correlated).max() < 5 / np.sqrt(count)


@pytest.mark.parametrize("target", TARGETS)
def test_every_draw_is_another(target: Target) -> None:
    class Twice(dg.Block):
        def __init__(self) -> None:
            self.inner = Uniform()

        def forward(self, x: Any) -> Any:
            return self.inner(x), self.inner(x), dg.random_uniform(x.shape)

    class Uniform(dg.Block):
        def forward(self, x: Any) -> Any:
            return dg.random_uniform(x.shape)

    x, again = dg.observed("x", (N,)), Uniform()
    drawn = [Uniform()(x), Uniform()(x), again(x), again(x), *Twice()(x), *Twice()(x)]
    drawn += [
        dg.random_uniform((N,)),
        dg.random_uniform((2, N))[0],
        dg.random_uniform((N, 1))[:, 0],
    ]
    drawn += [dg.random_uniform((N,), stream) for stream in ("a", "b")]
    diagram = dg.Diagram("d", {str(n): u for n, u in enumerate(drawn)}, cost=dg.sum(x))
    found = diagram.compile(target=target).run(x=np.zeros(N, np.float32))
    independent(np.array([found[str(n)] for n in range(len(drawn))]))


@pytest.mark.parametrize("target", TARGETS)
def test_seeds_steps_and_redraws_differ(target: Target) -> None:
    u = dg.random_uniform((N,))
    w = dg.parameter("w", init=1.0)
    diagram = dg.Diagram("d", {"u": u}, cost=w * dg.mean(u))
    rows = []
    for seed in range(4):
        program = diagram.compile(dg.SGD(0.0), target, seed=seed)
        for _ in range(4):
            rows.append(program.run()["u"])
            np.testing.assert_array_equal(program.run()["u"], rows[-1])
            assert np.isclose(program.step(), rows[-1].mean())  # a run draws what a step will
        for _ in range(2):
            program.redraw()
            rows.append(program.run()["u"])
        assert np.isclose(program.step(), rows[-1].mean())
    independent(np.array(rows))


def test_normal_draws() -> None:
    names = {str(n): dg.random_normal((N,)) for n in range(4)}
    named = {"s": dg.random_normal((N,), "s"), "u": dg.random_uniform((N,), "s")}
    found = dg.Diagram("d", names | named).compile().run()
    rows = np.array([found[str(n)] for n in range(4)])
    assert np.abs(np.corrcoef(np.array(list(found.values()))) - np.eye(6)).max() < 5 / N**0.5
    moments = [np.mean(rows**power) for power in (1, 2, 3, 4)]
    # Of the powers' means over 16000 numbers: five of their standard deviations.
    assert np.all(np.abs(np.subtract(moments, (0, 1, 0, 3))) < 5 * np.sqrt([1, 2, 15, 96]) / 126)


def test_a_place_keeps_its_draws_whatever_else_is_drawn() -> None:
    x = dg.observed("x", ("B", 8))
    net = dg.Chain(dg.relu, Dropout(), name="net")
    outputs: dict[str, Any] = {"y": net(x)}
    alone = dg.Diagram("d", outputs).compile().run(x=ONES)["y"]
    more = {"n": dg.random_normal((3,)), "z": dg.Chain(Dropout(), name="other")(x)}
    beside = dg.Diagram("e", more | outputs).compile().run(x=ONES)
    np.testing.assert_array_equal(beside["y"], alone)
    assert not np.array_equal(beside["z"], alone)
    # A run of one output, a step and a run of all have the same mask at the same place.
    first, second = net(x), net(x)
    w = dg.parameter("w", (8,), init=1.0)
    diagram = dg.Diagram("d", {"second": second}, cost=dg.mean(first * w + second))
    program = diagram.compile(dg.SGD(0.0))
    both = dg.Diagram("d", {"first": first, "second": second}).compile().run(x=ONES)
    np.testing.assert_array_equal(program.run(x=ONES)["second"], both["second"])
    assert not np.array_equal(both["first"], both["second"])
    assert np.isclose(program.step(x=ONES), np.mean(both["first"] + both["second"]))


def test_draws_of_one_stream_take_the_same_numbers() -> None:
    draws = {
        "a": dg.random_uniform((2, 3), "s"),
        "b": dg.random_uniform((3,), "s"),
        "wide": dg.random_uniform((3, 3), "s", "float64"),
    }
    found = dg.Diagram("d", draws).compile().run()
    np.testing.assert_array_equal(found["wide"].ravel()[:6], found["a"].ravel())
    np.testing.assert_array_equal(found["b"], found["a"][0])


def test_one_variable_is_one_draw() -> None:
    u = dg.random_uniform((5, 8))
    x = dg.observed("x", (5, 8))
    scale = dg.Chain(lambda x: x * u)
    found = dg.Diagram("d", {"a": scale(x), "b": scale(x), "c": x - u}).compile().run(x=ONES)
    np.testing.assert_array_equal(found["a"], found["b"])
    np.testing.assert_array_equal(found["c"], ONES - found["a"])


SCRIPT = """
import diagrad as dg, numpy as np
x = dg.observed("x", ("B", 8))
class Noise(dg.Block):
    def forward(self, x): return x + dg.random_normal(x.shape)
y = dg.Chain(Noise(), dg.relu, Noise())(x)
p = dg.Diagram("d", {"y": y}).compile(seed=5)
print(p.run(x=np.ones((3, 8), "f4"))["y"].tobytes().hex())
"""


def test_the_same_in_every_process(tmp_path: Path) -> None:
    """Whatever Python's hashes are."""
    found = {
        subprocess.run(
            [sys.executable, "-c", SCRIPT], env={"PYTHONHASHSEED": seed, "HOME": str(tmp_path),
                                                 "PYTHONPATH": ":".join(sys.path)},
            capture_output=True, check=True, text=True, cwd=tmp_path,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(found) == 1 and len(found.pop()) == 3 * 8 * 8 + 1


@pytest.mark.parametrize("options", [{}, {"checkpoint": 2}])
def test_the_same_on_targets_and_threads_in_loops_and_derivatives(options: dict[str, Any]) -> None:
    """One mask a step, and a gradient through the mask of the value."""
    x = dg.observed("x", (6, "B", 8), "float64")
    w = dg.parameter("w", (8,), init=1.0, dtype="float64")
    t = dg.loop("t", **options)
    h = t.delay("h", 0.0, shape=(x.shape[1], 8), dtype="float64")
    block = Dropout()
    mask = block(t.each(x))
    following = h * w + mask
    t.close(h, following)
    cost = dg.sum(t.last(following))
    outputs = {"masks": t.stack(mask), "slope": dg.gradient(cost, w)}
    diagram = dg.Diagram("d", outputs, cost=cost)
    value = np.ones((6, 40, 8))
    wanted = None
    runs: list[tuple[Target, int]] = [("reference", 1), ("cpu", 1), ("cpu", 2)]
    for target, threads in runs:
        found = diagram.compile(target=target, threads=threads, seed=2).run(x=value)
        masks = found["masks"]
        assert len({row.tobytes() for row in masks}) == 6 and set(np.unique(masks)) == {0.0, 2.0}
        np.testing.assert_allclose(found["cost"], masks.sum())
        # At w = 1 the mask of step s is multiplied by w once in every later step.
        by_hand = sum((5 - s) * masks[s].sum(0) for s in range(6))
        np.testing.assert_allclose(found["slope"], by_hand)
        wanted = masks if wanted is None else wanted
        np.testing.assert_array_equal(masks, wanted)


def test_the_same_on_any_number_of_threads() -> None:
    """Sizes that threads share, in kernels of their own and behind a product, and by hand."""
    x, w = dg.observed("x", (257, 65)), dg.parameter("w", (65, 1031))
    u = dg.random_uniform((257, 1031), "a")
    diagram = dg.Diagram("d", {"u": u, "y": x @ w + u, "n": dg.random_normal((1031, 257))})
    value = np.zeros((257, 65), np.float32)
    several = [diagram.compile(threads=threads).run(x=value) for threads in (1, 2, 3)]
    for found in several:
        for name in found:
            np.testing.assert_array_equal(found[name], several[0][name])
        np.testing.assert_array_equal(found["y"], found["u"])
    bits = philox(np.arange(257 * 1031), first_key(0), hashed("stream", "uniform", "a")) % 2**24
    np.testing.assert_array_equal(several[0]["u"].ravel(), bits * np.float32(2**-24))


def test_a_loop_s_copies_draw_what_the_loop_draws() -> None:
    x = dg.observed("x", (4, "B", 8))
    t = dg.loop("t")
    block = Dropout()
    rolled = t.stack(block(t.each(x)))
    found = dg.Diagram("d", {"y": rolled}).compile(seed=1)
    y = found.run(x=np.ones((4, 5, 8), np.float32))["y"]
    (number,) = found.diagram.streams.values()
    bits = philox(np.arange(y.size), first_key(1), number) % 2**24
    np.testing.assert_array_equal(y.ravel(), np.where(bits < 2**23, 2.0, 0.0))


@pytest.mark.parametrize("target", TARGETS)
def test_a_finite_difference_sees_the_same_draws(target: Target) -> None:
    x = dg.observed("x", (5, 8), "float64")
    y = Dropout()(dg.tanh(Dropout()(x) + dg.random_normal((5, 8))))
    cost = dg.sum(y * y)
    program = dg.Diagram("d", {"slope": dg.gradient(cost, x)}, cost=cost).compile(target=target)
    rng = np.random.default_rng(0)
    value, along = rng.normal(size=(2, 5, 8))
    here = program.run(x=value)
    ends = [program.run(x=value + s * 1e-5 * along)["cost"] for s in (1, -1)]
    np.testing.assert_allclose((here["slope"] * along).sum(), (ends[0] - ends[1]) / 2e-5, 1e-7)
    assert here["cost"] != 0.0


def test_samples_with_weights_of_their_own() -> None:
    """Draws with an axis of samples are each sample's own, the numbers of the batch; others one."""

    class Noisy(dg.Block):
        def __init__(self) -> None:
            self.gain = dg.parameter("gain", (3,))

        def forward(self, x: Any) -> Any:
            return self.gain * dg.random_uniform(x.shape), self.gain * dg.random_uniform((3,))

    block = Noisy()
    x, w = dg.observed("x", ("B", 3)), dg.observed("w", ("B", 3))
    value = np.ones((4, 3), np.float32)
    own, one = dg.bind(block, w)(x)
    found = dg.Diagram("d", {"own": own, "one": one}).compile().run(x=value, w=value)
    free, plain = block(x)
    program = dg.Diagram("d", {"own": free, "one": plain}).compile()
    program.parameters["noisy/gain"] = np.ones(3)
    wanted = program.run(x=value)
    np.testing.assert_array_equal(found["own"], wanted["own"])
    np.testing.assert_array_equal(found["one"], np.tile(wanted["one"], (4, 1)))
    assert len(np.unique(found["own"])) == 12


@pytest.mark.parametrize("target", TARGETS)
def test_an_optimizer_may_draw(target: Target) -> None:
    class Langevin(dg.SGD):
        """Descent with noise."""

        def draw(self, parameters: Any, gradients: Any, step: Any) -> Any:
            following, states = super().draw(parameters, gradients, step)
            return {n: w + dg.random_normal(w.shape) for n, w in following.items()}, states

    v, w = dg.parameter("v", (N,), 0.0), dg.parameter("w", (N,), 0.0)
    cost = dg.mean(v) + dg.mean(w)
    program = dg.Diagram("d", cost=cost).compile(Langevin(0.0), target)
    noisy = dg.Diagram("d", cost=cost + dg.random_normal(())).compile(Langevin(0.0), target)
    noisy.step()
    rows = []
    for _ in range(3):
        before = {n: value.copy() for n, value in program.parameters.items()}
        program.step()
        rows += [program.parameters[n] - before[n] for n in before]
    np.testing.assert_array_equal(noisy.parameters["w"], rows[1])  # whatever the diagram draws
    assert np.abs(np.corrcoef(np.array(rows)) - np.eye(6)).max() < 5 / N**0.5


def test_a_redraw_is_repeatable_and_saved(tmp_path: Path) -> None:
    u = dg.random_uniform((3,))
    one, two = (dg.Diagram("d", {"u": u}).compile(seed=1) for _ in range(2))
    one.redraw()
    twin = copy.deepcopy(one)
    two.redraw()
    np.testing.assert_array_equal(one.run()["u"], two.run()["u"])
    twin.redraw()
    assert not np.array_equal(one.run()["u"], twin.run()["u"])
    twin.save(tmp_path / "a.safetensors")
    one.load(tmp_path / "a.safetensors")
    np.testing.assert_array_equal(one.run()["u"], twin.run()["u"])
    still = dg.Diagram("d", {"y": dg.observed("x", (2,)) * 2.0}).compile()
    still.redraw()  # There is nothing to draw.
    assert not still.states


def test_keys_of_seeds_are_far_apart() -> None:
    """No step of one seed is a step of another: each counts its key up, from a place of its own."""
    keys = np.sort(np.array([first_key(seed) for seed in range(-1000, 20000)], np.int64))
    assert np.diff(keys.astype(object)).min() > 2**24


def test_a_seed_compiles_nothing_and_is_in_no_picture(tmp_path: Path) -> None:
    x = dg.observed("x", ("B", 8))
    a, b = Dropout()(x), Dropout()(x)
    diagram = dg.Diagram("d", {"a": a, "b": b}, dg.mean(a * b * dg.parameter("w", (8,))))
    programs = [diagram.compile(seed=seed) for seed in (0, 1)]
    for program in programs:
        program.run(x=ONES)
    assert programs[0].kernels == programs[1].kernels
    for stage in ("drawn", "unrolled", "graph", "backward", "kernels"):
        path = diagram.render(tmp_path / f"{stage}.svg", stage, depth=None)
        text = path.read_text()
        numbers = [str(number) for number in diagram.streams.values()]
        assert "random_key" not in text and not any(n.lstrip("-") in text for n in numbers), stage
    assert "random_key" not in str(diagram.summary())
