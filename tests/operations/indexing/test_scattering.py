"""Scatters: ties, zeros among factors, derivatives of every order, loops, samples, and PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ...frontend.evaluating import TARGETS
from ...frontend.source import draw

RNG = np.random.default_rng(0)
INDEX = np.array([2, 0, 2, 2, 3, 0, 2])
TIED = np.array([[1.0, 2.0], [0.5, 0.5], [1.0, -1.0], [0.0, 2.0], [3.0, 3.0], [0.5, 1], [1.0, 2.0]])
ZEROS = np.array([2.0, 0.0, 0.0, 3.0, 5.0, -1.0, 0.0])


@pytest.mark.parametrize("target", TARGETS)
def test_equal_updates_share_the_gradient_evenly(target: Any) -> None:
    u, i = dg.observed("u", (7, 2), "float64"), dg.observed("i", ("N",), "int64")
    u = dg.observed("u", ("N", 2), "float64")
    weights = np.arange(1.0, 11.0).reshape(5, 2)
    given = dg.constant(weights)
    outputs = {}
    for word in ("max", "min"):
        y = getattr(dg, f"scatter_{word}")(i, u, 5)
        kept = dg.where(dg.isfinite(y), y, 0.0)
        outputs[word] = y
        outputs[f"slope {word}"] = dg.gradient(dg.sum(kept * given), u)
    found = dg.Diagram("d", outputs).compile(target=target).run(u=TIED, i=INDEX)
    for word, start, function in (("max", -np.inf, np.maximum), ("min", np.inf, np.minimum)):
        wanted = np.full((5, 2), start)
        function.at(wanted, INDEX, TIED)
        np.testing.assert_array_equal(found[word], wanted)
        reached = wanted[INDEX] == TIED
        count = np.zeros((5, 2))
        np.add.at(count, INDEX, reached * 1.0)
        slope = np.where(reached, (weights / np.maximum(count, 1))[INDEX], 0)
        np.testing.assert_allclose(found[f"slope {word}"], slope, rtol=1e-15)
    assert found["slope max"][[0, 2, 6], 0].tolist() == [5 / 3] * 3


@pytest.mark.parametrize("word", ["amax", "amin", "prod", "sum"])
def test_as_in_pytorch(word: str) -> None:
    torch = pytest.importorskip("torch")
    ours = {"amax": "max", "amin": "min", "prod": "mul", "sum": "add"}[word]
    u, i = dg.observed("u", (7, 2), "float64"), dg.observed("i", (7,), "int64")
    y = getattr(dg, f"scatter_{ours}")(i, u, 4)
    slope = dg.gradient(dg.sum(dg.where(dg.isfinite(y), dg.sin(y), 0.0)), u)
    for values in (TIED, np.stack([ZEROS, ZEROS[::-1]], 1)):
        found = dg.Diagram("d", {"y": y, "slope": slope}).compile().run(u=values, i=INDEX)
        x = torch.tensor(values, requires_grad=True)
        start = {"amax": -torch.inf, "amin": torch.inf, "prod": 1.0, "sum": 0.0}[word]
        place = torch.tensor(INDEX)[:, None].expand(7, 2)
        out = torch.full((4, 2), start, dtype=torch.float64).scatter_reduce(0, place, x, word)
        torch.where(torch.isfinite(out), torch.sin(out), 0.0).sum().backward()
        np.testing.assert_allclose(found["y"], out.detach().numpy(), rtol=1e-14)
        np.testing.assert_allclose(found["slope"], x.grad.numpy(), rtol=1e-12, atol=1e-15)


def _curvature(u: np.ndarray[Any, Any], along: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The second derivative of the sum of all products along a direction, as a sum over pairs."""
    slope = np.zeros(len(u))
    for first in range(len(u)):
        for second in range(len(u)):
            if first != second and INDEX[first] == INDEX[second]:
                others = [
                    u[k] for k in range(len(u))
                    if k not in (first, second) and INDEX[k] == INDEX[first]
                ]  # fmt: skip
                slope[first] += np.prod(others) * along[second]
    return slope


@pytest.mark.parametrize("target", TARGETS)
def test_products_with_zeros_have_every_derivative(target: Any) -> None:
    """Two zeros at a place: the slopes there are 0, and what is mixed of the two is not."""
    along = RNG.normal(size=7)
    for extent in (7, "N"):
        u, i = dg.observed("u", (extent,), "float64"), dg.observed("i", (extent,), "int64")
        a = dg.observed("a", (extent,), "float64")
        slope = dg.gradient(dg.sum(dg.scatter_mul(i, u, 4)), u)
        outside = dg.gradient(dg.sum(dg.scatter_mul(i + 2, u, 4)), u)  # a place is beyond the end
        both = {
            "slope": slope, "curvature": dg.gradient(dg.sum(slope * a), u),
            "outside": dg.gradient(dg.sum(outside * a), u),
        }  # fmt: skip
        program = dg.Diagram("d", both).compile(target=target)
        for values in (ZEROS, RNG.normal(size=7)):
            found = program.run(u=values, i=INDEX, a=along)
            slopes = [
                np.prod([values[k] for k in range(7) if k != j and INDEX[k] == INDEX[j]])
                for j in range(7)
            ]
            np.testing.assert_allclose(found["slope"], slopes, rtol=1e-12, atol=1e-15)
            wanted = _curvature(values, along)
            np.testing.assert_allclose(found["curvature"], wanted, rtol=1e-12, atol=1e-14)
            lands = INDEX < 2
            np.testing.assert_allclose(found["outside"], wanted * lands, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("target", TARGETS)
def test_nan_comes_through_and_stays_at_its_place(target: Any) -> None:
    u, i = dg.observed("u", (4,)), dg.observed("i", (4,), "int32")
    outputs = {word: getattr(dg, f"scatter_{word}")(i, u, 3) for word in ("max", "min", "mul")}
    values = np.array([np.nan, 1.0, 2.0, np.nan], np.float32)
    at = np.array([0, 1, 0, 0], np.int32)
    found = dg.Diagram("d", outputs).compile(target=target).run(u=values, i=at)
    np.testing.assert_array_equal(found["max"], [np.nan, 1, -np.inf])
    np.testing.assert_array_equal(found["min"], [np.nan, 1, np.inf])
    np.testing.assert_array_equal(found["mul"], [np.nan, 1, 1])


@pytest.mark.parametrize("target", TARGETS)
def test_each_sample_and_each_step(target: Any) -> None:
    """In a block with weights and places of each sample, and in a loop."""

    class Highest(dg.Block):
        def __init__(self) -> None:
            self.u = dg.parameter("u", (6, 2))
            self.i = dg.parameter("i", (6,))

        def forward(self, x: Any) -> Any:
            at = dg.astype(self.i, "int64")
            rows = dg.put_along_axis(self.u, at[:, None] % 3 + dg.zeros((6, 2), "int64"), 0.5, 0)
            parts = [getattr(dg, f"scatter_{w}")(at, self.u, 3) for w in ("max", "min", "mul")]
            return dg.concatenate([*parts, rows]) + 0.0 * x

    u, i = RNG.normal(size=(4, 6, 2)), RNG.permuted(np.tile([0, 1, 2], (4, 2)), axis=1)
    v = {"u": dg.observed("u", ("B", 6, 2)), "i": dg.observed("i", ("B", 6))}
    y = dg.bind(Highest(), v)(dg.observed("x", ("B", 15, 2)))
    t = dg.loop("t")
    steps, places = t.each(v["u"]), t.each(v["i"])
    z = t.delay("z", dg.zeros((3, 2)))
    after = 0.5 * z + dg.scatter_max(dg.astype(places, "int64"), steps, 3)
    t.close(z, after)
    outputs = {"each": y, "last": t.last(after)}
    given = {"u": u.astype("f4"), "i": i.astype("f4")}
    found = (
        dg.Diagram("d", outputs).compile(target=target).run(x=np.zeros((4, 15, 2), "f4"), **given)
    )
    last = np.zeros((3, 2))
    for sample in range(4):
        wanted = []
        for start, combine in ((-np.inf, np.maximum), (np.inf, np.minimum), (1.0, np.multiply)):
            out = np.full((3, 2), start)
            combine.at(out, i[sample], u[sample])
            wanted.append(out)
        rows = u[sample].copy()
        rows[i[sample] % 3] = 0.5
        np.testing.assert_allclose(
            found["each"][sample], np.concatenate([*wanted, rows]), rtol=1e-5
        )
        last = 0.5 * last + wanted[0]
    np.testing.assert_allclose(found["last"], last, rtol=1e-5)


@pytest.mark.parametrize("target", TARGETS)
def test_what_is_put_has_the_gradient_of_its_place(target: Any) -> None:
    """Of two values at one place the last one; what was there before has none."""
    x, v = dg.observed("x", (3, "N"), "float64"), dg.observed("v", (3, 4), "float64")
    i = dg.observed("i", (3, 4), "int64")
    y = dg.put_along_axis(x, i, v)
    gx, gv = dg.gradient(dg.sum(y**3), [x, v])
    second = dg.gradient(dg.sum(gv), v)
    outputs = {"y": y, "x": gx, "v": gv, "second": second,
               "outside": dg.put_along_axis(x, i + 100, v)}  # fmt: skip
    a, b = RNG.normal(size=(3, 5)), RNG.normal(size=(3, 4))
    at = np.array([[0, -1, 0, 2], [4, 4, 4, 4], [-5, 1, -2, 3]])
    found = dg.Diagram("d", outputs).compile(target=target).run(x=a, v=b, i=at)
    wanted, last = a.copy(), np.full((3, 5), -1)
    np.put_along_axis(wanted, at, b, 1)
    np.put_along_axis(last, at, np.tile(np.arange(4), (3, 1)), 1)
    stays = np.take_along_axis(last, at, 1) == np.arange(4)
    np.testing.assert_array_equal(found["y"], wanted)
    np.testing.assert_allclose(found["x"], np.where(last < 0, 3 * a**2, 0), rtol=1e-12)
    np.testing.assert_allclose(found["v"], np.where(stays, 3 * b**2, 0), rtol=1e-12)
    np.testing.assert_allclose(found["second"], np.where(stays, 6 * b, 0), rtol=1e-12)
    np.testing.assert_array_equal(found["outside"], a)


@pytest.mark.parametrize("target", TARGETS)
def test_indices_and_values_of_storage_dtypes(target: Any) -> None:
    """Indices of a byte go to the same places; what is put keeps its dtype."""
    u, x = dg.observed("u", (7, 2), "float64"), dg.observed("x", (2, 4), "uint8")
    v = dg.observed("v", (2, 2), "uint8")
    outputs: dict[str, Any] = {}
    for kind in ("int64", "int8", "uint8"):
        i, at = dg.observed(f"i_{kind}", (7,), kind), dg.observed(f"at_{kind}", (2, 2), kind)
        for word in ("add", "mul", "max", "min"):
            y = getattr(dg, f"scatter_{word}")(i, u, 5)
            kept = dg.where(dg.isfinite(y), y, 0.0)
            outputs[f"{word} {kind}"] = kept
            outputs[f"slope {word} {kind}"] = dg.gradient(dg.sum(dg.sin(kept)), u)
        outputs[f"put {kind}"] = dg.put_along_axis(x, at, v)
        outputs[f"max of bytes {kind}"] = dg.scatter_max(at[:, 0], v, 4)
    given = {f"i_{k}": INDEX.astype(k) for k in ("int64", "int8", "uint8")}
    places = np.array([[0, 3], [2, 2]])
    given |= {f"at_{k}": places.astype(k) for k in ("int64", "int8", "uint8")}
    bytes_, values = (
        np.arange(8, dtype=np.uint8).reshape(2, 4),
        np.array([[9, 8], [7, 6]], np.uint8),
    )
    found = dg.Diagram("d", outputs).compile(target=target).run(u=TIED, x=bytes_, v=values, **given)
    for name, value in found.items():
        word = name.rpartition(" ")[0]
        np.testing.assert_array_equal(value, found[f"{word} int64"], err_msg=name)
    put = bytes_.copy()
    np.put_along_axis(put, places, values, 1)
    assert found["put int8"].dtype == np.uint8
    np.testing.assert_array_equal(found["put int8"], put)
    least = np.iinfo(np.int32).min
    wanted = [[9, 8], [least, least], [7, 6], [least, least]]
    assert found["max of bytes int8"].dtype == np.int32
    np.testing.assert_array_equal(found["max of bytes int8"], wanted)


def test_observed_places_are_checked() -> None:
    u, i = dg.observed("u", (2,)), dg.observed("i", (2,), "int32")
    for word in ("mul", "max", "min"):
        program = dg.Diagram("d", getattr(dg, f"scatter_{word}")(i, u, 3)).compile()
        for wrong in ([0, 3], [0, -1]):
            with pytest.raises(dg.InputError, match=r"expects values in \[0, 3\), got"):
                program.run(u=np.zeros(2, "f4"), i=np.array(wrong, "i4"))
    program = dg.Diagram("d", dg.put_along_axis(u, i, 1.0)).compile()
    for wrong in ([0, 2], [0, -3]):
        with pytest.raises(dg.InputError, match=r"expects values in \[-2, 2\), got"):
            program.run(u=np.zeros(2, "f4"), i=np.array(wrong, "i4"))


START = 'x, i = dg.observed("x", (4, 3)), dg.observed("i", (4, 2), "int32")\n'
ERRORS = {
    "y = dg.put_along_axis(x, [0], x)": "put_along_axis (model.py:2) expects an index of shape "
    "(4, 3) but for axis 1, not (1,)",
    "y = dg.put_along_axis(x, i, x)": "put_along_axis (model.py:2) expects shapes that broadcast",
    "y = dg.put_along_axis(x, i, i)": "put_along_axis (model.py:2) expects operands of one dtype",
    "y = dg.put_along_axis(x, [[0, 5]] * 4, 0.0)": "put_along_axis (model.py:2) expects places in "
    "[-3, 3) of an axis of 3 elements, not 5 at (0, 1) of the index",
    "y = dg.scatter_max(i, x, 5)": "scatter_max (model.py:2) expects updates for int32[4,2], got ",
    "y = dg.scatter_mul([0, 1, 2, 5], x, 5)": "scatter_mul (model.py:2) expects places in [-5, 5)",
}


@pytest.mark.parametrize("source", ERRORS)
def test_what_is_refused(source: str) -> None:
    with pytest.raises(dg.DiagradError) as error:
        draw(f"{START}{source}\ny.shape")
    assert str(error.value).startswith(ERRORS[source])
