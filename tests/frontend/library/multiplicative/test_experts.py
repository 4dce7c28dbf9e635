"""MixtureOfExperts: its formula, k of E, unused experts, the cost of the load, names and files."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ...evaluating import TARGETS, Array, Target, text

RNG = np.random.default_rng(0)


def experts(count: int, dtype: str = "float64", inputs: int = 6, outputs: int = 3) -> list[Any]:
    return [
        dg.Chain(dg.Linear(inputs, 5, dtype=dtype), dg.tanh, dg.Linear(5, outputs, dtype=dtype))
        for _ in range(count)
    ]


def mixture(count: int, k: int | None = None, dtype: str = "float64", **options: Any) -> Any:
    gate = dg.Linear(6, count, dtype=dtype)
    return dg.MixtureOfExperts(experts(count, dtype), gate, k, name="moe", **options)


def softmax(z: Array) -> Array:
    e = np.exp(z - z.max(-1, keepdims=True))
    return np.asarray(e / e.sum(-1, keepdims=True))


def formula(p: Any, x: Array, k: int, normalise: bool) -> Array:
    """The result, sample by sample and expert by expert."""
    w = softmax(x @ p["moe/gate/weight"] + p["moe/gate/bias"])
    rows = []
    for row, share in zip(x, w, strict=True):
        chosen = np.argsort(-share, kind="stable")[:k]
        total = share[chosen].sum() if normalise else 1.0
        row_of = np.zeros(p["moe/expert/2/bias"].shape[1])
        for e in chosen:
            h = np.tanh(row @ p["moe/expert/0/weight"][e] + p["moe/expert/0/bias"][e])
            y = h @ p["moe/expert/2/weight"][e] + p["moe/expert/2/bias"][e]
            row_of += share[e] / total * y
        rows.append(row_of)
    return np.array(rows).reshape(len(x), p["moe/expert/2/bias"].shape[1])


def spread(program: Any) -> None:
    """Biases that tell experts apart."""
    for name, value in program.parameters.items():
        if "bias" in name:
            program.parameters[name] = np.random.default_rng(5).normal(size=value.shape)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("count", [1, 2, 5])
def test_it_is_its_formula(count: int, target: Target) -> None:
    for k in (None, *range(1, count + 1)):
        x = dg.observed("x", ("B", 6), "float64")
        program = dg.Diagram("d", {"y": mixture(count, k)(x)}).compile(target=target)
        spread(program)
        for batch in (0, 1, 13):
            value = RNG.normal(size=(batch, 6)) * 2
            wanted = formula(program.parameters, value, k or count, (k or 2) > 1)
            found = program.run(x=value)["y"]
            np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-12, err_msg=f"k = {k}")


def test_parameters_are_of_all_experts_in_one() -> None:
    moe = mixture(4, 2)
    x = dg.observed("x", ("B", 6), "float64")
    program = dg.Diagram("d", {"y": moe(x)}).compile()
    shapes = {
        "moe/gate/weight": (6, 4), "moe/gate/bias": (4,), "moe/expert/0/weight": (4, 6, 5),
        "moe/expert/0/bias": (4, 5), "moe/expert/2/weight": (4, 5, 3), "moe/expert/2/bias": (4, 3),
    }  # fmt: skip
    assert {name: value.shape for name, value in program.parameters.items()} == shapes
    assert moe.parameter_count == sum(int(np.prod(shape)) for shape in shapes.values())
    weight = program.parameters["moe/expert/0/weight"]
    limit = np.sqrt(3 / 6)
    assert (abs(weight) <= limit).all() and abs(weight.var() * 6 - 1) < 0.3
    assert len({row.tobytes() for row in weight}) == 4


def test_experts_are_products_of_all_at_once() -> None:
    """More of them are no more kernels."""
    x, y = dg.observed("x", ("B", 6), "float64"), dg.observed("y", ("B", 3), "float64")
    calls = []
    for count in (3, 7):
        d = dg.Diagram("d", cost=dg.squared_error(mixture(count)(x), y))
        program = d.compile(optimizer=dg.SGD(0.1))
        arrays = {"x": RNG.normal(size=(5, 6)), "y": RNG.normal(size=(5, 3))}
        program.step(**arrays)
        calls.append(len(program.kernels))
    assert calls[0] == calls[1] < 25


def test_k_of_all_is_dense_and_so_are_its_derivatives() -> None:
    x = dg.observed("x", ("B", 6), "float64")
    value = RNG.normal(size=(7, 6))
    found = []
    for k in (None, 4):
        moe = mixture(4, k)
        y = moe(x)
        of = [x, *moe.parameters().values()]
        slopes = dg.gradient(dg.sum(y**2), of)
        total = dg.sum(dg.stack([dg.sum(g * g) for g in slopes]))
        curves = dg.gradient(total, of)
        outputs = {"y": y, **{f"g{i}": g for i, g in enumerate([*slopes, *curves])}}
        program = dg.Diagram("d", outputs).compile()
        spread(program)
        found.append(program.run(x=value))
    for name, array in found[0].items():
        np.testing.assert_allclose(found[1][name], array, rtol=1e-8, atol=1e-10, err_msg=name)


@pytest.mark.parametrize("k", [None, 1, 2])
def test_derivatives_by_differences(k: int | None) -> None:
    moe = mixture(3, k)
    x = dg.observed("x", ("B", 6), "float64")
    y, load = moe(x, balance=True)
    cost = dg.mean(y**2) + 0.3 * load
    held = moe.parameters()
    slopes = dg.gradient(cost, [x, *held.values()])
    outputs = {"cost_": cost, **{f"g{i}": g for i, g in enumerate(slopes)}}
    program = dg.Diagram("d", outputs).compile()
    spread(program)
    value = np.random.default_rng(3).normal(size=(5, 6)) * 2
    here = program.run(x=value)
    for place, name in enumerate(["x", *(f"moe/{name}" for name in held)]):
        target = value if name == "x" else program.parameters[name]
        step = 1e-6 * np.random.default_rng(place).normal(size=target.shape)
        costs = []
        for sign in (1, -1):
            target += sign * step
            costs.append(program.run(x=value)["cost_"])
            target -= sign * step
        wanted = (here[f"g{place}"] * step).sum()
        np.testing.assert_allclose((costs[0] - costs[1]) / 2, wanted, rtol=1e-4, atol=1e-13)


def test_an_expert_without_a_row_has_no_gradient() -> None:
    moe = mixture(4, 1, normalise=False)
    x = dg.observed("x", ("B", 6), "float64")
    y = moe(x)
    held = moe.parameters()
    slopes = dict(zip(held, dg.gradient(dg.sum(y**2), list(held.values())), strict=True))
    program = dg.Diagram(
        "d", {"y": y, **{f"g{i}": g for i, g in enumerate(slopes.values())}}
    ).compile()
    program.parameters["moe/gate/weight"][...] = 0
    program.parameters["moe/gate/bias"][...] = [1.0, 9.0, 2.0, 0.0]
    found = program.run(x=RNG.normal(size=(5, 6)))
    assert np.isfinite(found["y"]).all()
    for place, name in enumerate(held):
        gradient = found[f"g{place}"]
        assert np.isfinite(gradient).all()
        if name.startswith("expert"):
            assert (gradient[[0, 2, 3]] == 0).all() and (gradient[1] != 0).any(), name


def test_the_cost_of_the_load() -> None:
    x = dg.observed("x", ("B", 6), "float64")
    value = RNG.normal(size=(9, 6)) * 2
    for k in (None, 1, 2, 3):
        program = dg.Diagram("d", {"load": mixture(3, k)(x, balance=True)[1]}).compile()
        p = program.parameters
        w = softmax(value @ p["moe/gate/weight"] + p["moe/gate/bias"])
        chosen = np.argsort(-w, 1)[:, : k or 1]
        share = np.array([(chosen == e).mean() for e in range(3)])
        wanted = 3 * (share * w.mean(0)).sum()
        np.testing.assert_allclose(program.run(x=value)["load"], wanted, rtol=1e-12)
        p["moe/gate/weight"][...] = 0
        p["moe/gate/bias"][...] = 0
        np.testing.assert_allclose(program.run(x=value)["load"], 1.0, rtol=1e-12)


@pytest.mark.parametrize("k", [None, 2])
def test_leading_axes_and_loops(k: int | None) -> None:
    x = dg.observed("x", ("T", "B", 6), "float64")
    moe = mixture(3, k)
    t = dg.loop("t")
    each = t.stack(moe(t.each(x)))
    program = dg.Diagram("d", {"whole": moe(x), "each": each}).compile()
    spread(program)
    value = RNG.normal(size=(4, 5, 6)) * 2
    found = program.run(x=value)
    wanted = formula(program.parameters, value.reshape(20, 6), k or 3, True).reshape(4, 5, 3)
    np.testing.assert_allclose(found["whole"], wanted, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found["each"], wanted, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("k", [None, 2])
def test_images_go_to_experts_that_convolve(k: int | None) -> None:
    def net() -> dg.Chain:
        return dg.Chain(dg.Conv2d(1, 2, 3), dg.relu, dg.Flatten(), dg.Linear(8, 3))

    x = dg.observed("x", ("B", 1, 4, 4))
    gate = dg.Chain(dg.Flatten(), dg.Linear(16, 3))
    moe = dg.MixtureOfExperts([net() for _ in range(3)], gate, k, name="moe")
    y = moe(x)
    single = net()
    p = dg.observed("single", (single.parameter_count,))
    program = dg.Diagram("d", {"y": y, "z": gate(x), "f": dg.bind(single, p)(x)}).compile()
    value = RNG.normal(size=(5, 1, 4, 4)).astype("f")
    held = {name.removeprefix("moe/expert/"): array for name, array in program.parameters.items()}
    answers, z = [], None
    for e in range(3):
        vector = single.flatten({name: held[name][e] for name in single.parameters()})
        found = program.run(x=value, single=vector)
        answers.append(found["f"])
        z = found["z"]
    assert z is not None
    w = softmax(z)
    if k:
        w = np.where(w >= np.sort(w)[:, -k:].min(1, keepdims=True), w, 0)
        w = w / w.sum(1, keepdims=True)
    wanted = np.einsum("be,ebo->bo", w, np.array(answers))
    np.testing.assert_allclose(found["y"], wanted, rtol=1e-4, atol=1e-5)


def test_experts_of_different_form() -> None:
    x = dg.observed("x", ("B", 6))
    shared = dg.Linear(6, 3, name="shared")
    nets = [
        dg.Linear(6, 3, name="a"),
        dg.Chain(shared, dg.tanh, name="b"),
        dg.Chain(shared, name="c"),
    ]
    moe = dg.MixtureOfExperts(nets, dg.Linear(6, 3), name="moe")
    outputs = {"y": moe(x), "z": moe.gate(x), **{f"f{i}": net(x) for i, net in enumerate(nets)}}
    program = dg.Diagram("d", outputs).compile()
    found = program.run(x=RNG.normal(size=(5, 6)).astype("f"))
    w = softmax(found["z"])
    wanted = sum(w[:, [i]] * found[f"f{i}"] for i in range(3))
    np.testing.assert_allclose(found["y"], wanted, rtol=1e-5, atol=1e-6)
    assert sorted(program.parameters) == sorted([
        "moe/gate/weight", "moe/gate/bias", "moe/a/weight", "moe/a/bias", "moe/b/shared/weight",
        "moe/b/shared/bias",
    ])  # fmt: skip


@pytest.mark.parametrize("k", [None, 2])
def test_bound_to_other_weights(k: int | None) -> None:
    moe = mixture(3, k)
    x = dg.observed("x", ("B", 6), "float64")
    one = dg.observed("one", (moe.parameter_count,), "float64")
    each = dg.observed("each", ("B", moe.parameter_count), "float64")
    outputs = {"one": dg.bind(moe, one)(x), "each": dg.bind(moe, each)(x)}
    program = dg.Diagram("d", outputs).compile()
    value = RNG.normal(size=(4, 6))
    weights = RNG.normal(size=(4, moe.parameter_count))
    found = program.run(x=value, one=weights[0], each=weights)
    parts = [{f"moe/{n}": v for n, v in moe.unflatten(row).items()} for row in weights]
    np.testing.assert_allclose(found["one"], formula(parts[0], value, k or 3, True), rtol=1e-9)
    for row in range(4):
        wanted = formula(parts[row], value[row : row + 1], k or 3, True)
        np.testing.assert_allclose(found["each"][row : row + 1], wanted, rtol=1e-9)


@pytest.mark.parametrize("k", [None, 2])
def test_it_learns_is_saved_and_copied(k: int | None, tmp_path: Path) -> None:
    x, y = dg.observed("x", ("B", 6)), dg.observed("y", ("B", 3))
    moe = mixture(3, k, "float32")
    twin = copy.deepcopy(moe)
    value, load = moe(x, balance=True)
    d = dg.Diagram("d", {"y": value}, cost=dg.squared_error(value, y) + 0.01 * load)
    program = d.compile(optimizer=dg.Adam(1e-2))
    arrays = {"x": RNG.normal(size=(32, 6)).astype("f"), "y": RNG.normal(size=(32, 3)).astype("f")}
    costs = [float(program.step(**arrays)) for _ in range(200)]
    assert costs[-1] < 0.5 * costs[0]
    program.save(tmp_path / "moe.npz")
    other = dg.Diagram("d", {"y": twin(x)}).compile()
    other.load(tmp_path / "moe.npz", parameters_only=True)
    np.testing.assert_array_equal(program.run(x=arrays["x"])["y"], other.run(x=arrays["x"])["y"])


@pytest.mark.parametrize("k", [None, 1, 3])
def test_threads_make_no_difference(k: int | None) -> None:
    x, y = dg.observed("x", ("B", 64)), dg.observed("y", ("B",), dg.int32)
    nets = [dg.Chain(dg.Linear(64, 96), dg.relu, dg.Linear(96, 10)) for _ in range(5)]
    value, load = dg.MixtureOfExperts(nets, dg.Linear(64, 5), k, name="moe")(x, balance=True)
    d = dg.Diagram("d", {"y": value}, cost=dg.cross_entropy(value, y) + 0.01 * load)
    arrays = {
        "x": RNG.normal(size=(301, 64)).astype("f"),
        "y": RNG.integers(0, 10, 301).astype("i"),
    }
    found = []
    for threads in (1, 2, 4):
        program = d.compile(optimizer=dg.SGD(0.1), threads=threads)
        costs = [float(program.step(**arrays)) for _ in range(5)]
        found.append((costs, {n: a.tobytes() for n, a in program.parameters.items()}))
    assert found[0] == found[1] == found[2]


def test_errors() -> None:
    x = dg.observed("x", ("B", 6))
    nets = experts(2, "float32")
    cases: list[tuple[type[Exception], Any, str]] = [
        (TypeError, lambda: dg.MixtureOfExperts([dg.relu, 3], dg.Linear(6, 2)),  # type: ignore[list-item]
         "MixtureOfExperts (m.py:1) expects experts to be blocks, got 3"),
        (TypeError, lambda: dg.MixtureOfExperts(nets, "gate"),
         "MixtureOfExperts (m.py:1) expects a block as the gate, got 'gate'"),
        (ValueError, lambda: dg.MixtureOfExperts([], dg.Linear(6, 2)),
         "MixtureOfExperts (m.py:1) expects one expert or more, got a list"),
        (ValueError, lambda: dg.MixtureOfExperts(nets, dg.Linear(6, 2), k=3),
         "MixtureOfExperts (m.py:1) expects k to be at most 2, the number of experts, got 3"),
        (ValueError, lambda: dg.MixtureOfExperts([dg.Linear(6, 3), *nets], dg.Linear(6, 3), k=1),
         "MixtureOfExperts (m.py:1) with k expects experts that differ in the numbers in their "
         "parameters alone: leave out k, which asks all of them"),
    ]  # fmt: skip
    for kind, case, message in cases:
        with pytest.raises(kind) as error:
            case()
        assert message in text(error.value)
    for k in (None, 1):
        moe = dg.MixtureOfExperts(experts(2, "float32"), dg.Linear(6, 3), k)
        with pytest.raises(dg.ShapeError) as wrong:
            dg.Diagram("d", {"y": moe(x)})
        message = "expects a gate with a score for each of 2 experts, got (B, 3)"
        assert message in text(wrong.value)


@pytest.mark.parametrize("k", [1, 2])
def test_experts_without_parameters_or_with_shared_ones(k: int) -> None:
    x = dg.observed("x", ("B", 6), "float64")
    shared = dg.Linear(6, 6, dtype="float64")
    for experts_, function in (([dg.Chain(dg.tanh)] * 2, None), ([shared, shared], shared)):
        moe = dg.MixtureOfExperts(experts_, dg.Linear(6, 2, dtype="float64"), k, normalise=True)
        single = dg.tanh(x) if function is None else function(x)
        program = dg.Diagram("d", {"y": moe(x), "z": single}).compile()
        for batch in (0, 1, 9):
            found = program.run(x=RNG.normal(size=(batch, 6)))
            np.testing.assert_allclose(found["y"], found["z"], rtol=1e-12)


def test_rows_for_experts_that_are_asked_unevenly() -> None:
    """Blocks are as many however the choices fall: on one expert, on the last, on each in turn."""
    x, w = dg.observed("x", ("B", 6), "float64"), dg.observed("w", ("B", 5), "float64")
    moe = dg.MixtureOfExperts(experts(5), lambda value: w, 1, normalise=True, name="moe")
    y = moe(x)
    slopes = dg.gradient(dg.sum(y**2), moe.parameters()["expert/0/weight"])
    program = dg.Diagram("d", {"y": y, "g": slopes}).compile()
    spread(program)
    p = program.parameters
    for batch in (1, 3, 20, 21, 64):
        for chosen in (
            [0] * batch,
            [4] * batch,
            [i % 5 for i in range(batch)],
            [1, *[3] * (batch - 1)],
        ):
            value = RNG.normal(size=(batch, 6))
            found = program.run(x=value, w=50 * np.eye(5)[chosen])
            wanted, slope = [], np.zeros((5, 6, 5))
            for row, e in zip(value, chosen, strict=True):
                first, second = p["moe/expert/0/weight"][e], p["moe/expert/2/weight"][e]
                h = np.tanh(row @ first + p["moe/expert/0/bias"][e])
                wanted.append(h @ second + p["moe/expert/2/bias"][e])
                slope[e] += np.outer(row, (2 * wanted[-1] @ second.T) * (1 - h * h))
            np.testing.assert_allclose(found["y"], wanted, rtol=1e-10, atol=1e-12)
            np.testing.assert_allclose(found["g"], slope, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("batch", [1, 2, 40])
def test_rows_that_nobody_asked_for_compute_nothing_new(batch: int) -> None:
    """The logarithm of a row of zeros would be in no result, but in the gradients as 0 * inf."""
    nets = [dg.Chain(dg.log, layer) for layer in experts(3)]
    moe = dg.MixtureOfExperts(nets, dg.Linear(6, 3, dtype="float64"), 1, normalise=True, name="moe")
    x = dg.observed("x", ("B", 6), "float64")
    held = moe.parameters()
    slopes = dg.gradient(dg.sum(moe(x) ** 2), [x, *held.values()])
    program = dg.Diagram("d", {f"g{i}": g for i, g in enumerate(slopes)}).compile()
    found = program.run(x=RNG.uniform(0.5, 2.0, (batch, 6)))
    assert all(np.isfinite(gradient).all() for gradient in found.values())
