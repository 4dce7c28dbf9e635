"""Weighted finite-state machines against all of their paths, written out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ...evaluating import TARGETS, Target, check_derivatives, text
from .cases import ABSENT, BEGUN, CASES, COMPLETE, TIED, Array, Case, log_sum


def everything(case: Case, dtype: str = "float64") -> tuple[Any, dict[str, Any]]:
    machine = case.machine(dtype=dtype)
    scores = dg.observed("s", ("T", "B", case.labels), dtype)
    lengths = dg.observed("n", ("B",), "int32")
    best, labels, states = machine.viterbi(scores, lengths)
    total = machine.forward(scores, lengths)
    outputs = {
        "best": best, "labels": labels, "states": states, "total": total,
        "same": machine(scores, lengths),
        "by_scores": dg.gradient(dg.sum(total), scores),
        "best_by_scores": dg.gradient(dg.sum(best), scores),
        "by_weights": dg.gradient(dg.sum(total), machine.weights),
    }  # fmt: skip
    return machine, outputs


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", CASES)
def test_against_all_paths(name: str, target: Target) -> None:
    case = CASES[name]
    _, outputs = everything(case)
    program = dg.Diagram("test", outputs).compile(target=target)
    rng = np.random.default_rng(0)
    weights = rng.normal(size=len(case.arcs))
    program.parameters["m/weights"] = weights
    for steps, samples in [(4, 3), (1, 1), (0, 2), (3, 0)]:
        s = rng.normal(size=(steps, samples, case.labels))
        n = rng.integers(0, steps + 1, samples).astype(np.int32)
        n[:1] = steps
        s[np.arange(steps)[:, None] >= n] = np.nan  # is never read
        found = program.run(s=s, n=n)
        for b in range(samples):
            paths = case.paths(s[: n[b], b], weights)
            values = np.array([path[0] for path in paths])
            np.testing.assert_allclose(found["total"][b], log_sum(values), 1e-12, 1e-12)
            share = np.zeros_like(s[:, b])
            if not paths:
                assert found["best"][b] == -np.inf
                assert (found["labels"][:, b] == -1).all()
                assert (found["states"][:, b] == -1).all()
            else:
                best, labels, states = paths[int(values.argmax())]
                np.testing.assert_allclose(found["best"][b], best, 1e-12, 1e-12)
                np.testing.assert_array_equal(found["labels"][: n[b], b], labels)
                np.testing.assert_array_equal(found["states"][: n[b] + 1, b], states)
                assert (found["labels"][n[b] :, b] == -1).all()
                assert (found["states"][n[b] + 1 :, b] == -1).all()
                for value, labels, _ in paths:
                    share[np.arange(n[b]), labels] += np.exp(value - log_sum(values))
                on_best = np.zeros_like(share)
                on_best[np.arange(n[b]), paths[int(values.argmax())][1]] = 1
                np.testing.assert_array_equal(found["best_by_scores"][:, b], on_best)
            np.testing.assert_allclose(found["by_scores"][:, b], share, 1e-10, 1e-12)
        np.testing.assert_array_equal(found["same"], found["total"])
        assert np.isfinite(found["by_weights"]).all()


@pytest.mark.parametrize("name", ["tied", "complete", "begun", "absent"])
def test_given_paths(name: str) -> None:
    """One path's own score, and that of all paths with the same labels."""
    case = CASES[name]
    machine = case.machine(weights=False)
    s = dg.observed("s", ("T", "B", case.labels), "float64")
    labels = dg.observed("labels", ("T", "B"), "int32")
    states = dg.observed("states", (s.shape[0] + 1, "B"), "int64")
    lengths = dg.observed("n", ("B",), "int64")
    outputs = {
        "own": machine.score(s, labels, states, lengths),
        "all": machine.constrained(s, labels, lengths),
        "cost": machine.cost(s, labels, lengths, reduction="none"),
    }
    outputs["slope"] = dg.gradient(dg.sum(outputs["all"]), s)
    program = dg.Diagram("test", outputs).compile()
    rng = np.random.default_rng(1)
    scores = rng.normal(size=(4, case.labels))
    paths = case.paths(scores[:3])
    total = log_sum([path[0] for path in paths])
    for value, chosen, through in paths:
        label = np.array([*chosen, -7])[:, None].astype(np.int32)  # what is behind is never read
        state = np.array([*through, 99])[:, None]
        found = program.run(s=scores[:, None], labels=label, states=state, n=np.array([3]))
        np.testing.assert_allclose(found["own"], value, 1e-12)
        alike = log_sum([path[0] for path in paths if path[1] == chosen])
        np.testing.assert_allclose(found["all"], alike, 1e-12)
        np.testing.assert_allclose(found["cost"], total - alike, 1e-9, 1e-12)
        assert found["slope"][3].any() == 0 and np.isfinite(found["slope"]).all()


def test_a_path_that_is_none() -> None:
    machine = ABSENT.machine(weights=False)
    s = dg.observed("s", (2, 1, 3), "float64")
    labels = dg.constant(np.array([[1], [0]], np.int32))
    own = machine.score(s, labels, np.array([[0], [1], [0]], np.int32))
    cost = machine.cost(s, labels)
    slope = dg.gradient(cost, s)
    found = (
        dg.Diagram("test", {"own": own, "cost": cost, "slope": slope})
        .compile()
        .run(s=np.zeros((2, 1, 3)))
    )
    assert found["own"] == -np.inf and found["cost"] == np.inf
    assert not found["slope"].any()


@pytest.mark.parametrize("name", ["tied", "complete", "begun", "absent"])
def test_derivatives(name: str) -> None:
    case = CASES[name]
    rng = np.random.default_rng(3)
    scores, weights = rng.normal(size=(4, 2, case.labels)), rng.normal(size=len(case.arcs))
    n = dg.constant(np.array([4, 2], np.int32))

    def total(s: Any, w: Any) -> Any:
        return case.machine(weights=w).forward(s, n)

    check_derivatives(total, scores, weights, width=1e-4)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["tied", "complete", "begun"])
def test_scores_and_weights_of_any_size(name: str, dtype: str) -> None:
    """Of -inf, and so large that exp would overflow or vanish."""
    case = CASES[name]
    _, outputs = everything(case, dtype)
    program = dg.Diagram("test", outputs).compile()
    rng = np.random.default_rng(4)
    close = 1e-5 if dtype == "float32" else 1e-12
    for size in (1.0, 50.0, 1000.0):
        for holes in (False, True):
            s = (size * rng.normal(size=(4, 2, case.labels))).astype(dtype)
            w = (size * rng.normal(size=len(case.arcs))).astype(dtype)
            if holes:
                s[rng.random(s.shape) < 0.3] = -np.inf
                w[rng.random(w.shape) < 0.3] = -np.inf
            program.parameters["m/weights"] = w
            found = program.run(s=s, n=np.array([4, 3], np.int32))
            for b, n in enumerate([4, 3]):
                paths = case.paths(s[:n, b].astype(float), w.astype(float))
                total = log_sum([path[0] for path in paths])
                np.testing.assert_allclose(found["total"][b], total, close)
                best = max((path[0] for path in paths), default=-np.inf)
                np.testing.assert_allclose(found["best"][b], best, close)
            for key in ("by_scores", "by_weights", "best_by_scores"):
                assert np.isfinite(found[key]).all(), key


def test_derivatives_without_nan() -> None:
    """The second derivative too, where arcs, scores and whole samples are impossible."""
    machine = COMPLETE.machine()
    s = dg.observed("s", (3, 2, 3), "float64")
    cost = dg.sum(dg.where(dg.greater(machine(s), -np.inf), machine(s), 0.0))
    first = dg.gradient(cost, s)
    second = dg.gradient(dg.sum(first * first), [s, machine.weights])
    program = dg.Diagram("test", {"a": first, "b": second[0], "c": second[1]}).compile()
    program.parameters["m/weights"] = np.where(np.eye(3).reshape(-1) > 0, -np.inf, 0.3)
    scores = np.random.default_rng(0).normal(size=(3, 2, 3))
    scores[1, 0, :2] = scores[:, 1] = -np.inf
    found = program.run(s=scores)
    assert all(np.isfinite(value).all() for value in found.values())
    assert found["a"][:, 0].sum() == pytest.approx(3) and not found["a"][:, 1].any()


def test_long_sequences_in_float32() -> None:
    """What a step subtracts is added up with care: 5000 steps cost no digits."""
    case = BEGUN
    machine, single = case.machine(), case.machine(dtype="float32", name="single")
    rng = np.random.default_rng(5)
    s = 10 * rng.normal(size=(5000, 1, 2))
    both = {
        "double": machine(dg.observed("x", ("T", "B", 2), "float64")),
        "single": single(dg.observed("y", ("T", "B", 2))),
    }
    single_scores = s.astype(np.float32)
    program = dg.Diagram("test", both).compile()
    found = program.run(x=single_scores.astype(float), y=single_scores)
    np.testing.assert_allclose(found["single"], found["double"], 3e-7)


def test_weights_that_arcs_share() -> None:
    stay, begin = (dg.parameter(n, (), v, "float64") for n, v in [("stay", 0.3), ("begin", -1.0)])
    machine = dg.wfsm(
        ["a", "b"], [("a", "a", "x", stay), ("a", "b", "y", 2.0), ("b", "b", "y", stay)],
        start={"a": begin}, final="b", labels=["x", "y"], dtype="float64", name="m",
    )  # fmt: skip
    assert machine.states == ("a", "b") and machine.labels == ("x", "y")
    assert list(machine.parameters()) == ["stay", "begin"]
    s = dg.observed("s", ("T", "B", 2), "float64")
    total = machine(s)
    slopes = dg.gradient(dg.sum(total), [stay, begin])
    program = dg.Diagram("test", {"total": total, "stay": slopes[0], "begin": slopes[1]}).compile()
    assert set(program.parameters) == {"m/stay", "m/begin"}
    found = program.run(s=np.zeros((3, 1, 2)))
    # Three paths: the arc from a to b at one of three steps, and two that stay.
    np.testing.assert_allclose(found["total"], np.log(3) + 2 * 0.3 + 2.0 - 1.0)
    np.testing.assert_allclose([found["stay"], found["begin"]], [2, 1])


def test_training_a_chain() -> None:
    """The cost falls until the best path is the right one: y(t) is x(t) added up, modulo 3."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 3, (12, 40))
    y = (np.cumsum(x, axis=0) % 3).astype(np.int32)
    inputs = dg.observed("x", ("T", "B", 3))
    labels = dg.observed("y", ("T", "B"), "int32")
    n = dg.observed("n", ("B",), "int32")
    chain = [(i, 1 + j, j) for i in range(4) for j in range(3)]
    machine = dg.wfsm(4, chain, start=0, weights=True, name="m")
    # The net sees two steps: with the state before, that is enough.
    features = dg.Linear(3, 3)(inputs)
    cost = machine.cost(features, labels, n)
    diagram = dg.Diagram("test", {"best": machine.viterbi(features, n)[1]}, cost=cost)
    program = diagram.compile(dg.Adam(0.1))
    one_hot = np.eye(3, dtype=np.float32)[x]
    lengths = rng.integers(5, 13, 40).astype(np.int32)
    costs = [program.step(x=one_hot, y=y, n=lengths) for _ in range(60)]
    assert costs[0] > 4 and 0 < costs[-1] < costs[0] - 0.01


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", ["tied", "begun"])
def test_weights_of_each_sample(name: str, target: Target) -> None:
    case = CASES[name]
    machine = case.machine()
    s = dg.observed("s", (4, "B", case.labels), "float64")
    w = dg.observed("w", ("B", len(case.arcs)), "float64")
    total = dg.bind(machine, w)(s)
    best, labels, states = dg.bind(machine.viterbi, w)(s)
    outputs = {"total": total, "best": best, "labels": labels, "states": states,
               "slope": dg.gradient(dg.sum(total), w)}  # fmt: skip
    program = dg.Diagram("test", outputs).compile(target=target)
    rng = np.random.default_rng(6)
    scores, weights = rng.normal(size=(4, 3, case.labels)), rng.normal(size=(3, len(case.arcs)))
    found = program.run(s=scores, w=weights)
    for b in range(3):
        paths = case.paths(scores[:, b], weights[b])
        np.testing.assert_allclose(found["total"][b], log_sum([p[0] for p in paths]), 1e-10)
        best_path = max(paths, key=lambda p: p[0])
        np.testing.assert_allclose(found["best"][b], best_path[0], 1e-10)
        np.testing.assert_array_equal(found["labels"][:, b], best_path[1])
        np.testing.assert_array_equal(found["states"][:, b], best_path[2])
    np.testing.assert_allclose(found["slope"].sum(axis=1), 4)


def test_in_a_loop() -> None:
    """A lattice at every step of another loop, whose weights the step before has changed."""
    s = dg.observed("s", (3, 4, 2, 2), "float64")
    u = dg.loop("u")
    w = u.delay("w", 0.0, shape=(len(TIED.arcs),), dtype="float64")
    machine = TIED.machine(weights=w)
    total = machine(u.each(s))
    u.close(w, w + dg.mean(total) * 0.1)
    found = dg.Diagram("test", {"y": u.stack(total)}).compile()
    scores = np.random.default_rng(7).normal(size=(3, 4, 2, 2))
    values, extra = found.run(s=scores)["y"], np.zeros(len(TIED.arcs))
    for k in range(3):
        wanted = [log_sum([p[0] for p in TIED.paths(scores[k, :, b], extra)]) for b in range(2)]
        np.testing.assert_allclose(values[k], wanted)
        extra += 0.1 * np.mean(wanted)


def test_any_number_of_threads() -> None:
    rng = np.random.default_rng(8)
    states = 40
    arcs = [(int(i), j, int(k)) for j in range(states) for i, k in rng.integers(0, 40, (9, 2))]
    machine: Any = dg.wfsm(states, arcs, labels=40, weights=True, name="m")
    s = dg.observed("s", ("T", "B", 40))
    total = machine(s)
    best, labels, _ = machine.viterbi(s)
    slope = dg.gradient(dg.sum(total), machine.weights)
    diagram = dg.Diagram("test", {"a": total, "b": best, "c": labels, "d": slope})
    scores = rng.normal(size=(30, 16, 40)).astype(np.float32)
    one, two = (diagram.compile(threads=n).run(s=scores) for n in (1, 2))
    for key, value in one.items():
        np.testing.assert_array_equal(value, two[key])


def peers(case: Case, s: Array, w: Array) -> tuple[Any, Any, Any]:
    """PyTorch's loop over the arcs: the total, and its gradient by scores and weights."""
    torch = pytest.importorskip("torch")
    scores = torch.tensor(s, requires_grad=True)
    weights = torch.tensor(w, requires_grad=True)
    alpha = torch.full((s.shape[1], case.states), -torch.inf, dtype=torch.float64)
    for state, value in case.start.items():
        alpha[:, state] = value
    for step in scores:
        into: list[list[Any]] = [[] for _ in range(case.states)]
        for e, (source, target, label, weight) in enumerate(case.arcs):
            into[target].append(alpha[:, source] + weight + weights[e] + step[:, label])
        alpha = torch.stack([torch.logsumexp(torch.stack(rows, 1), 1) for rows in into], 1)
    final = torch.tensor([case.final.get(k, -np.inf) for k in range(case.states)])
    total = torch.logsumexp(alpha + final, 1)
    total.sum().backward()
    return total.detach().numpy(), scores.grad.numpy(), weights.grad.numpy()


def test_against_pytorch() -> None:
    rng = np.random.default_rng(9)
    arcs = [(i, j, int(rng.integers(5)), float(rng.normal())) for i in range(6) for j in range(6)
            if i == (j + 1) % 6 or rng.random() < 0.4]  # fmt: skip
    case = Case(6, 5, arcs, {k: 0.1 * k for k in range(6)}, {0: 0.0, 3: 0.5})
    s, w = rng.normal(size=(17, 3, 5)), rng.normal(size=len(arcs))
    machine = case.machine()
    x = dg.observed("s", ("T", "B", 5), "float64")
    total = machine(x)
    slopes = dg.gradient(dg.sum(total), [x, machine.weights])
    program = dg.Diagram("test", {"a": total, "b": slopes[0], "c": slopes[1]}).compile()
    program.parameters["m/weights"] = w
    for value, wanted in zip(program.run(s=s).values(), peers(case, s, w), strict=True):
        np.testing.assert_allclose(value, wanted, 1e-10, 1e-12)


def made(*given: Any, **options: Any) -> Any:
    return lambda: dg.wfsm(*given, **options)


def applied(shape: tuple[Any, ...], dtype: str = "float32", **options: Any) -> Any:
    def build() -> Any:
        machine = dg.wfsm(2, [(0, 1, 0), (1, 0, 2)], name="m")
        return machine(dg.observed("s", shape, dtype), **options).shape

    return build


MISTAKES: list[tuple[Any, str]] = [
    (
        made(0, []),
        "wfsm (m.py:1) expects the number of states to be an integer of 1 or more, got 0",
    ),
    (made([], []), "wfsm (m.py:1) expects 1 or more states, got none"),
    (made(["a", "a"], []), "wfsm (m.py:1) expects states of different names, got two 'a'"),
    (
        made([[1]], []),
        "wfsm (m.py:1) expects states with names such as texts and numbers, got a list",
    ),
    (made(2, 5), "wfsm (m.py:1) expects arcs to be a list of tuples, got 5"),
    (
        made(2, [(0, 1)]),
        "wfsm (m.py:1) expects arcs to be tuples (from, to, label) or (from, to, label, weight), "
        "got one of 2",
    ),
    (
        made(2, [(0, 1, None)]),
        "wfsm (m.py:1) expects a label on every arc, got none on (0, 1, None): each arc takes one "
        "step; join what stands before and behind such an arc",
    ),
    (
        made(2, [(0, 2, 0)]),
        "wfsm (m.py:1) expects a state among 0, 1, got 2 in (0, 2, 0, 0.0)",
    ),
    (
        made(2, [(0, 1, 3)], labels=2),
        "wfsm (m.py:1) expects a label among 0, 1, got 3 in (0, 1, 3, 0.0)",
    ),
    (
        made(2, [(0, 1, "x")]),
        "wfsm (m.py:1) expects labels=[...] in the order of the scores where labels have names, "
        "such as 'x'",
    ),
    (
        made(2, [(0, 1, 0, np.nan)]),
        "wfsm (m.py:1) expects the weight of arc (0, 1, 0) to be below infinity, got nan",
    ),
    (
        made(2, [(0, 1, 0, "1")]),
        "wfsm (m.py:1) expects the weight of arc (0, 1, 0) to be a number or a variable, got '1'",
    ),
    (
        made(2, [(0, 1, 0, dg.parameter("w", (1,)))]),
        "wfsm (m.py:1) expects float32 () as the weight of arc (0, 1, 0), got float32 (1,) from "
        "parameter 'w' (m.py:1)",
    ),
    (
        made(2, [(0, 1, 0)], start="a"),
        "wfsm (m.py:1) expects start to be a list of states, or one state, got 'a'",
    ),
    (
        made(2, [(0, 1, 0)], final={3: 0.0}),
        "wfsm (m.py:1) expects a state among 0, 1, got 3 in ('final', 3)",
    ),
    (
        made(2, [(0, 1, 0)], weights=dg.parameter("w", (2,))),
        "WFSM (m.py:1) expects weights of shape (1,), got (2,) from parameter 'w' (m.py:1)",
    ),
    (
        applied(("T", 3)),
        "ForwardScore 'm/total' (m.py:1) expects scores of shape (T, B, 3), "
        "got float32 (T, 3) from observed 's' (m.py:1)",
    ),
    (
        applied(("T", "B", 3), "float64"),
        "ForwardScore 'm/total' (m.py:1) expects float32 scores like the "
        "weights of its machine, got float64 (T, B, 3) from observed 's' (m.py:1): convert them "
        'with .astype("float32")',
    ),
]


@pytest.mark.parametrize(("build", "wanted"), MISTAKES)
def test_mistakes(build: Any, wanted: str) -> None:
    with pytest.raises((ValueError, TypeError, dg.DiagradError)) as caught:
        build()
    assert text(caught.value) == wanted
