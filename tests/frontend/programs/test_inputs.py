"""What `step` and `run` do with what they are given, on every target."""

from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ..evaluating import TARGETS, Array, Target

X = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
Y = np.array([0, 1, 2, 0, 1, 2], np.int32)


def classifier(target: Target, **options: Any) -> dg.Program:
    x = dg.observed("x", ("B", 4))
    y = dg.observed("y", ("B",), dtype=dg.int32)
    scores = dg.Linear(4, 3, name="fc")(x)
    diagram = dg.Diagram("classifier", {"scores": scores}, cost=dg.cross_entropy(scores, y))
    return diagram.compile(optimizer=dg.SGD(0.1, momentum=0.9), target=target, **options)


LINE = classifier.__code__.co_firstlineno + 1
PX = f"input 'x' (test_inputs.py:{LINE}) expects float32 (B, 4)"
PY = f"input 'y' (test_inputs.py:{LINE + 1}) expects int32 (B,)"


class Tensor:
    """Something that NumPy reads as an array."""

    def __init__(self, array: Array) -> None:
        self.array = array

    def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
        return self.array


MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "another dtype": (
        {"x": X.astype(np.float64), "y": Y},
        f"{PX}, got float64 (6, 4): convert it with x.astype(np.float32), nothing is converted "
        "silently",
    ),
    "half precision": (
        {"x": X.astype(np.float16), "y": Y},
        f"{PX}, got float16 (6, 4): convert it with x.astype(np.float32), nothing is converted "
        "silently",
    ),
    "wide labels": (
        {"x": X, "y": Y.astype(np.int64)},
        f"{PY}, got int64 (6,): convert it with y.astype(np.int32), nothing is converted silently",
    ),
    "a scalar of NumPy": (
        {"x": X, "y": np.int64(3)},
        f"{PY}, got int64 (): convert it with y.astype(np.int32), nothing is converted silently",
    ),
    "another array-like's dtype": (
        {"x": Tensor(X.astype(np.float64)), "y": Y},
        f"{PX}, got float64 (6, 4): convert it with x.astype(np.float32), nothing is converted "
        "silently",
    ),
    "a list of floats for integers": (
        {"x": X, "y": [0.0, 1.0, 2.0]}, f"{PY}, got list of floats",
    ),
    "a list with too large a number": (
        {"x": X, "y": [0, 2**40]}, f"{PY}, got list with 1099511627776, which int32 cannot hold",
    ),
    "a ragged list": (
        {"x": [[1.0, 2.0], [3.0]], "y": Y},
        f"{PX}, got list: setting an array element with a sequence. The requested array has an "
        "inhomogeneous shape after 1 dimensions. The detected shape was (2,) + inhomogeneous part.",
    ),
    "texts": ({"x": X, "y": ["a", "b"]}, f"{PY}, got list: give it numbers"),
    "a text": ({"x": "digits.npz", "y": Y}, f"{PX}, got str: give it numbers"),
    "nothing": ({"x": None, "y": Y}, f"{PX}, got None: give it numbers"),
    "objects": ({"x": X.astype(object), "y": Y}, f"{PX}, got object: give it numbers"),
    "complex numbers": (
        {"x": X.astype(np.complex64), "y": Y}, f"{PX}, got complex64: give it numbers",
    ),
    "a masked array": (
        {"x": np.ma.masked_array(X, X > 0), "y": Y},
        f"{PX}, got a masked array: fill it first, with x.filled(...)",
    ),
    "one axis too few": (
        {"x": X[0], "y": Y}, f"{PX}, got (4,) with 1 axis, not 2: x[np.newaxis] adds one in front",
    ),
    "two axes too few": ({"x": 3.0, "y": Y}, f"{PX}, got () with 0 axes, not 2"),
    "an axis too many": ({"x": X, "y": Y[:, None]}, f"{PY}, got (6, 1) with 2 axes, not 1"),
    "another size": (
        {"x": X[:, :3], "y": Y}, f"{PX}, got (6, 3): axis 1 has 3 elements, not 4",
    ),
    "two sizes for one name": (
        {"x": X, "y": Y[:4]},
        "step of 'classifier': size B is 6 in input 'x' and 4 in input 'y', expected one size",
    ),
    "a missing input": ({"x": X}, "step of 'classifier' expects inputs x, y; missing y"),
    "an input too many": (
        {"x": X, "y": Y, "z": X}, "step of 'classifier' expects inputs x, y; got unexpected z",
    ),
    "a name that is misspelt": (
        {"x": X, "Y": Y}, "step of 'classifier' expects inputs x, y; missing y; got unexpected Y",
    ),
    "a label above": (
        {"x": X, "y": np.array([0, 1, 2, 12, 0, 3], np.int32)},
        f"step of 'classifier': {PY.replace('int32 (B,)', 'values')} in [0, 3), got 12 at index "
        "(3,): nothing was changed",
    ),
    "a label below": (
        {"x": X, "y": [0, -1, 2, 0, 1, 2]},
        f"step of 'classifier': {PY.replace('int32 (B,)', 'values')} in [0, 3), got -1 at index "
        "(1,): nothing was changed",
    ),
    "an empty batch": (
        {"x": X[:0], "y": Y[:0]},
        "step of 'classifier': the batch is empty: B = 0, and a mean "
        f"(test_inputs.py:{LINE + 3}) is taken over it; give at least one sample",
    ),
}  # fmt: skip


@pytest.mark.parametrize("target", TARGETS)
def test_a_mistake_changes_nothing(target: Target) -> None:
    program = classifier(target)
    program.step(x=X, y=Y)
    for name, (inputs, expected) in MISTAKES.items():
        before = {key: array.copy() for key, array in program.states.items()}
        with pytest.raises(dg.InputError) as error:
            program.step(**inputs)
        assert str(error.value) == expected, name
        for key, array in program.states.items():
            assert array.tobytes() == before[key].tobytes(), (name, key)
    assert program.states["step"] == 1
    assert np.isfinite(program.step(x=X, y=Y))


@pytest.mark.parametrize("target", TARGETS)
def test_a_mistake_in_what_run_is_given(target: Target) -> None:
    program = classifier(target)
    line = f"(test_inputs.py:{LINE})"
    cases: list[tuple[dict[str, Any], str]] = [
        ({}, "run of 'classifier' expects inputs x; missing x"),
        ({"y": Y}, "run of 'classifier' expects inputs x; missing x; got unexpected y"),
        ({"x": X, "z": Y}, "run of 'classifier' expects inputs x; got unexpected z"),
        ({"x": X.astype("i4")}, f"{PX}, got int32 (6, 4): convert it with x.astype(np.float32), "
                                "nothing is converted silently"),
        ({"x": program.diagram.observed["x"]},
         f"{PX}, got observed 'x' {line}: give it an array"),
    ]  # fmt: skip
    for inputs, expected in cases:
        with pytest.raises(dg.InputError) as error:
            program.run(**inputs)
        assert str(error.value) == expected


def spread(array: Array) -> Array:
    """The same elements, every second one of a larger array."""
    larger = np.zeros((2 * len(array), *array.shape[1:]), array.dtype)
    larger[::2] = array
    return larger[::2]


def unaligned(array: Array) -> Array:
    """The same elements, one byte off."""
    raw = np.zeros(array.nbytes + 1, np.uint8)
    view = raw[1:].view(array.dtype).reshape(array.shape)
    view[...] = array
    return view


def frozen(array: Array) -> Array:
    """The same elements, not to be written to."""
    copy = array.copy()
    copy.flags.writeable = False
    return copy


FORMS: dict[str, Any] = {
    "lists": lambda array: array.tolist(),
    "tuples": lambda array: tuple(map(tuple, array.tolist())) if array.ndim > 1 else tuple(array),
    "every second element": spread,
    "reversed": lambda array: array[::-1].copy()[::-1],
    "Fortran's order": np.asfortranarray,
    "read-only": frozen,
    "big-endian": lambda array: array.astype(array.dtype.newbyteorder(">")),
    "unaligned": unaligned,
    "a matrix": lambda array: array.view(type("Sub", (np.ndarray,), {})),
    "another array-like": Tensor,
}


@pytest.mark.parametrize("target", TARGETS)
def test_every_form_of_the_same_numbers_gives_the_same(target: Target) -> None:
    program = classifier(target)
    wanted = program.run(x=X, y=Y)
    for name, form in FORMS.items():
        found = program.run(x=form(X), y=form(Y))
        for key, value in wanted.items():
            np.testing.assert_array_equal(found[key], value, err_msg=name)
    costs = [classifier(target).step(x=form(X), y=form(Y)) for form in FORMS.values()]
    assert set(costs) == {classifier(target).step(x=X, y=Y)}


@pytest.mark.parametrize("target", TARGETS)
def test_numbers_of_python(target: Target) -> None:
    rate, count = dg.observed("rate"), dg.observed("count", dtype=dg.uint32)
    flag = dg.observed("flag", (2,), dtype=dg.bool_)
    outputs = {"rate": rate * 2.0, "count": count, "flag": dg.logical_not(flag)}
    program = dg.Diagram("numbers", outputs).compile(target=target)
    found = program.run(rate=3, count=7, flag=[True, False])
    assert found["rate"] == 6.0 and found["count"] == 7 and found["flag"].tolist() == [False, True]
    assert program.run(rate=1e300, count=True, flag=[False, False])["rate"] == np.inf
    for wrong in (-1, 2**32, 0.5):
        with pytest.raises(dg.InputError):
            program.run(rate=1.0, count=wrong, flag=[True, False])
    with pytest.raises(dg.InputError) as error:
        program.run(rate=1.0, count=1, flag=[1, 0])
    assert str(error.value).endswith("expects bool (2,), got list of ints")


@pytest.mark.parametrize("target", TARGETS)
def test_a_nan_makes_the_cost_nan(target: Target) -> None:
    program = classifier(target)
    x = X.copy()
    x[2, 1] = np.nan
    assert np.isnan(program.run(x=x, y=Y)["cost"])
    assert np.isnan(program.run(x=x, y=Y)["scores"][2]).all()
    assert np.isfinite(program.run(x=x)["scores"][:2]).all()
    assert np.isnan(program.step(x=x, y=Y))
    assert np.isnan(program.parameters["fc/weight"]).any()


@pytest.mark.parametrize("target", TARGETS)
def test_an_empty_batch_can_be_run(target: Target) -> None:
    program = classifier(target)
    found = program.run(x=X[:0])["scores"]
    assert found.shape == (0, 3) and found.dtype == np.float32
    assert np.isnan(program.run(x=X[:0], y=Y[:0])["cost"])


@pytest.mark.parametrize("target", TARGETS)
def test_every_batch_size(target: Target) -> None:
    program = classifier(target)
    weight, bias = program.parameters["fc/weight"], program.parameters["fc/bias"]
    for size in (1, 6, 5, 1, 2):
        found = program.run(x=X[:size])["scores"]
        np.testing.assert_allclose(found, X[:size] @ weight + bias, rtol=1e-5, atol=1e-6)
    costs = {size: float(program.run(x=X[:size], y=Y[:size])["cost"]) for size in (1, 2, 6)}
    for size, cost in costs.items():
        weights = {name: array.copy() for name, array in program.states.items()}
        assert program.step(x=X[:size], y=Y[:size]) == pytest.approx(cost, rel=1e-5)
        for name, array in weights.items():
            program.states[name][...] = array


@pytest.mark.parametrize("target", TARGETS)
def test_sizes_are_bound_by_name(target: Target) -> None:
    x, y = dg.observed("x", ("N", "M")), dg.observed("y", ("M",))
    z = dg.observed("z", (2 * x.shape[1],))
    outputs = {"p": x @ y, "n": dg.size("N"), "z": z}
    program = dg.Diagram("sizes", outputs).compile(target=target)

    def call(**shapes: tuple[int, ...]) -> dict[str, Array]:
        return program.run(**{name: np.ones(shape, np.float32) for name, shape in shapes.items()})

    found = call(x=(3, 2), y=(2,), z=(4,))
    assert found["p"].shape == (3,) and found["n"] == 3
    assert call(x=(2, 3), y=(3,), z=(6,))["p"].shape == (2,)
    with pytest.raises(dg.InputError) as error:
        call(x=(3, 2), y=(3,), z=(4,))
    assert str(error.value) == (
        "run of 'sizes': size M is 2 in input 'x' and 3 in input 'y', expected one size"
    )
    with pytest.raises(dg.InputError) as error:
        call(x=(3, 2), y=(2,), z=(5,))
    line = test_sizes_are_bound_by_name.__code__.co_firstlineno + 3
    assert str(error.value) == (
        f"input 'z' (test_inputs.py:{line}) expects float32 (2*M,), got (5,): axis 0 has 5 "
        "elements, not 2*M = 4"
    )


@pytest.mark.parametrize("target", TARGETS)
def test_an_input_may_have_any_name(target: Target) -> None:
    names = ("self", "step", "random_key", "what", "inputs", "cost")
    variables = [dg.observed(name, ("B",)) for name in names]
    total = variables[0] * 1.0
    for item in variables[1:]:
        total = total + item
    scale = dg.parameter("scale", init=1.0)
    noise = dg.random_uniform(("B",))
    diagram = dg.Diagram("names", {"total": total}, cost=dg.mean(total * scale + 0.0 * noise))
    program = diagram.compile(optimizer=dg.SGD(0.5), target=target)
    values = {name: np.full(3, 2.0**i, np.float32) for i, name in enumerate(names)}
    assert program.step(**values) == 63.0
    assert program.parameters["scale"] == 1.0 - 0.5 * 63
    np.testing.assert_array_equal(program.run(**values)["total"], np.full(3, 63.0))
    key = diagram.compile().states["random_key"]
    assert program.states["step"] == 1 and program.states["random_key"] == key + 1


@pytest.mark.parametrize("target", TARGETS)
def test_a_step_may_count_what_is_empty(target: Target) -> None:
    x, u = dg.observed("x", ("T", 3)), dg.parameter("u", (3,), np.ones(3))
    rows = dg.take_along_axis(x * u, dg.argsort(x, axis=0), axis=0)
    cost = dg.sum(rows) * dg.size("T") + dg.sum(u * u)
    program = dg.Diagram("counts", cost=cost).compile(dg.SGD(0.1), target=target)
    assert program.step(x=X[:0, :3]) == 3
    np.testing.assert_allclose(program.parameters["u"], 0.8, rtol=1e-6)
