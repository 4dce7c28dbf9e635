"""Quadratic, SigmaPi, ProductUnits, SoftSwitch: formulas, derivatives, in loops, bound, errors."""

import itertools
from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ...evaluating import TARGETS, Target, check_derivatives, run, text

RNG = np.random.default_rng(0)


def compiled(outputs: dict[str, Any], target: Target = "cpu") -> Any:
    return dg.Diagram("test", outputs).compile(target=target)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("batch", [0, 1, 5])
def test_quadratic_is_its_formula(batch: int, target: Target) -> None:
    x, z = dg.observed("x", ("B", 7), "float64"), dg.observed("z", ("B", 3), "float64")
    one = dg.observed("one", (3,), "float64")
    layer = dg.Quadratic(7, 5, 3, bias_init=dg.init.normal(), dtype="float64", name="q")
    program = compiled({"each": layer(x, z), "all": layer(x, one)}, target)
    assert {k: v.shape for k, v in program.parameters.items()} == {
        "q/transform/u": (3, 7, 5), "q/linear/bias": (5,),
    }  # fmt: skip
    u, b = program.parameters.values()
    arrays = {"x": RNG.normal(size=(batch, 7)), "z": RNG.normal(size=(batch, 3)),
              "one": RNG.normal(size=3)}  # fmt: skip
    found = program.run(**arrays)
    wanted = np.einsum("kji,bk,bj->bi", u, arrays["z"], arrays["x"]) + b
    np.testing.assert_allclose(found["each"], wanted, rtol=1e-12)
    wanted = np.einsum("kji,k,bj->bi", u, arrays["one"], arrays["x"]) + b
    np.testing.assert_allclose(found["all"], wanted, rtol=1e-12)


def test_quadratic_of_one_input_has_its_squares() -> None:
    u = np.zeros((2, 2, 3))
    u[0, 0, 0] = u[0, 1, 1] = u[1, 1, 2] = 1
    x = dg.observed("x", ("B", 2), "float64")
    layer = dg.Quadratic(2, 3, 2, bias=False, weight=dg.constant(u), dtype="float64")
    value = RNG.normal(size=(4, 2))
    found = run({"y": layer(x, x)}, x=value)["y"]
    a, b = value.T
    np.testing.assert_allclose(found, np.stack([a * a, a * b, b * b], 1), rtol=1e-12)


def test_quadratic_starts_with_variance_of_one() -> None:
    layer = dg.Quadratic(50, 40, 30, name="q")
    x, z = dg.observed("x", ("B", 50)), dg.observed("z", ("B", 30))
    found = compiled({"y": layer(x, z)}).run(
        x=RNG.normal(size=(100, 50)).astype("f"), z=RNG.normal(size=(100, 30)).astype("f")
    )
    assert 0.8 < found["y"].std() < 1.2


def test_sigma_pi_is_its_formula() -> None:
    conjuncts = [(0,), (1, 2), (0, 0, 1), (), (2, 1, 0, 2)]
    x = dg.observed("x", ("B", 3), "float64")
    layer = dg.SigmaPi(3, conjuncts, 4, bias_init=dg.init.normal(), dtype="float64", name="s")
    program = compiled({"y": layer(x)})
    w, b = program.parameters["s/linear/weight"], program.parameters["s/linear/bias"]
    value = RNG.normal(size=(6, 3))
    value[0] = 0.0
    products = np.stack([np.prod(value[:, list(each)], 1) for each in conjuncts], 1)
    np.testing.assert_allclose(program.run(x=value)["y"], products @ w + b, rtol=1e-12)
    assert w.shape == (5, 4)


def test_sigma_pi_of_all_pairs_is_quadratic() -> None:
    pairs = list(itertools.product(range(3), repeat=2))
    u = RNG.normal(size=(3, 3, 2))
    x = dg.observed("x", ("B", 3), "float64")
    weight = dg.constant(u.reshape(9, 2))
    first = dg.SigmaPi(3, pairs, 2, False, weight=weight, dtype="float64")(x)
    second = dg.Quadratic(3, 2, 3, False, weight=dg.constant(u), dtype="float64")(x, x)
    found = run({"first": first, "second": second}, x=RNG.normal(size=(5, 3)))
    np.testing.assert_allclose(found["first"], found["second"], rtol=1e-12)


def test_sigma_pi_of_no_conjuncts_is_its_bias() -> None:
    x = dg.observed("x", ("B", 3))
    layer = dg.SigmaPi(3, [], 2, bias_init=3.0)
    found = run({"y": layer(x)}, "cpu", x=np.ones((2, 3), np.float32))["y"]
    np.testing.assert_array_equal(found, np.full((2, 2), 3.0))


@pytest.mark.parametrize("target", TARGETS)
def test_product_units_are_real_parts(target: Target) -> None:
    x = dg.observed("x", ("B", 5), "float64")
    program = compiled({"y": dg.ProductUnits(5, 4, dtype="float64", name="p")(x)}, target)
    w = program.parameters["p/weight"]
    value = RNG.normal(size=(7, 5))
    wanted = np.prod(value[:, :, None].astype(complex) ** w, axis=1).real
    np.testing.assert_allclose(program.run(x=value)["y"], wanted, rtol=1e-10, atol=1e-12)
    program.parameters["p/weight"] = powers = np.round(4 * w)
    wanted = np.prod(value[:, :, None] ** powers, axis=1)
    np.testing.assert_allclose(program.run(x=value)["y"], wanted, rtol=1e-10)


@pytest.mark.parametrize("target", TARGETS)
def test_a_switch_is_a_weighted_mean(target: Target) -> None:
    for lead, rest in (((5,), (4,)), ((2, 3), (4,)), ((3,), (2, 2)), ((), (4,)), ((1,), (0,))):
        z = dg.observed("z", (*lead, 3))
        xs = [dg.observed(f"x{i}", (*lead, *rest)) for i in range(3)]
        values = [RNG.normal(size=(*lead, *rest)).astype("f") for _ in range(3)]
        scores = RNG.normal(size=(*lead, 3)).astype("f") * 3
        found = run({"s": dg.SoftSwitch()(z, *xs)}, target, z=scores,
                    **{f"x{i}": value for i, value in enumerate(values)})["s"]  # fmt: skip
        w = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
        shares = [w[..., i].reshape(*lead, *[1] * len(rest)) for i in range(3)]
        wanted = sum(share * value for share, value in zip(shares, values, strict=True))
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)


def test_a_switch_of_one() -> None:
    z, x = dg.observed("z", ("B", 1)), dg.observed("x", ("B", 4))
    value = RNG.normal(size=(3, 4)).astype("f")
    found = run({"s": dg.SoftSwitch()(z, x)}, z=np.full((3, 1), 50, "f"), x=value)["s"]
    np.testing.assert_allclose(found, value, rtol=1e-6)


def test_derivatives() -> None:
    x, z = RNG.normal(size=(4, 3)), RNG.normal(size=(4, 2))
    u, w = RNG.normal(size=(2, 3, 5)), RNG.normal(size=(3, 4))
    check_derivatives(
        lambda x, z, u: dg.Quadratic(3, 5, 2, False, weight=u, dtype="float64")(x, z), x, z, u
    )
    conjuncts = [(0,), (1, 1, 2), (0, 2)]
    zeros = x * (np.arange(12).reshape(4, 3) % 2)
    check_derivatives(
        lambda x, w: dg.SigmaPi(3, conjuncts, 4, False, weight=w, dtype="float64")(x), zeros, w
    )
    check_derivatives(lambda x, w: dg.ProductUnits(3, 4, weight=w, dtype="float64")(x), x, w)
    parts = [RNG.normal(size=(4, 5)) for _ in range(2)]
    check_derivatives(lambda z, *x: dg.SoftSwitch()(z, *x), z, *parts)


def test_in_a_loop_and_bound_for_each_sample() -> None:
    x = dg.observed("x", ("T", "B", 3), "float64")
    layer = dg.Quadratic(3, 3, 3, dtype="float64", name="q")
    t = dg.loop("t")
    before = t.delay("before", 0.0, shape=("B", 3), dtype="float64")
    now = dg.tanh(layer(before + 1.0, t.each(x)))
    t.close(before, now)
    vectors = dg.observed("w", ("B", layer.parameter_count), "float64")
    first = dg.bind(layer, vectors)(x[0], x[1])
    program = compiled({"states": t.stack(now), "bound": first})
    u, b = (program.parameters[f"q/{n}"] for n in ("transform/u", "linear/bias"))
    value, w = RNG.normal(size=(4, 2, 3)), RNG.normal(size=(2, layer.parameter_count))
    found = program.run(x=value, w=w)
    z = np.zeros((2, 3))
    for step in range(4):
        z = np.tanh(np.einsum("kji,bk,bj->bi", u, value[step], z + 1) + b)
        np.testing.assert_allclose(found["states"][step], z, rtol=1e-10)
    for sample in range(2):
        parts = layer.unflatten(w[sample])
        wanted = np.einsum("kji,k,j->i", parts["transform/u"], value[1, sample], value[0, sample])
        np.testing.assert_allclose(
            found["bound"][sample], wanted + parts["linear/bias"], rtol=1e-10
        )


def test_errors() -> None:
    x, z = dg.observed("x", ("B", 3)), dg.observed("z", ("B", 2))
    c = dg.observed("c", ("C", 2))
    cases = {
        lambda: dg.Quadratic(3, 5, 4)(x, z):
            "Quadratic (m.py:1) expects z of shape (4,) or (B, 4), got (B, 2) from observed "
            "'z' (m.py:1)",
        lambda: dg.Quadratic(3, 5, 2)(x, c):
            "Quadratic (m.py:1) expects x and z of the same samples, got (B, 3) from observed "
            "'x' (m.py:1) and (C, 2) from observed 'c' (m.py:1)",
        lambda: dg.SigmaPi(2, [(0,)], 1)(x):
            "SigmaPi (m.py:1) expects x of shape (..., 2), got (B, 3) from observed 'x' "
            "(m.py:1)",
        lambda: dg.ProductUnits(3, 1, dtype="float64")(x):
            "ProductUnits (m.py:1) expects float64 like its weight, got float32 from observed "
            "'x' (m.py:1): convert it with .astype(\"float64\")",
        lambda: dg.SoftSwitch()(z, x):
            "expects weights for 1 vectors, (..., 1), not (B, 2)",
        lambda: dg.SoftSwitch()(z, x, z):
            "expects vectors of one shape (B, ...), not (B, 3), (B, 2)",
    }  # fmt: skip
    case: Any
    for case, message in cases.items():
        with pytest.raises(dg.DiagramError) as error:
            dg.Diagram("d", {"y": case()})
        assert message in text(error.value)
    with pytest.raises(ValueError, match="expects features of the conjuncts below 2, got 2"):
        dg.SigmaPi(2, [(0, 2)], 1)
    with pytest.raises(TypeError, match="conjuncts to be a list of sets of features"):
        dg.SigmaPi(2, 3, 1)  # type: ignore[arg-type]
