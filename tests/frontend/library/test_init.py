"""Initialisers: their distributions, that dtypes and neighbours do not matter, and their errors."""

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import diagrad as dg
from diagrad.frontend.library.init import initial_value

from ..evaluating import text

init = dg.init
SHAPE = (300, 200)
SCALED = {
    "kaiming_uniform": (init.kaiming_uniform(), 2 / 300),
    "kaiming_uniform outputs": (init.kaiming_uniform(mode="outputs"), 2 / 200),
    "kaiming_uniform tanh": (init.kaiming_uniform("tanh"), (5 / 3) ** 2 / 300),
    "kaiming_normal": (init.kaiming_normal(), 2 / 300),
    "kaiming_normal fan": (init.kaiming_normal(fan=(50, 1)), 2 / 50),
    "xavier_uniform": (init.xavier_uniform(), 2 / 500),
    "xavier_normal": (init.xavier_normal(), 2 / 500),
    "lecun_uniform": (init.lecun_uniform(), 1 / 300),
    "lecun_normal": (init.lecun_normal(), 1 / 300),
    "uniform": (init.uniform(-2, 1), 9 / 12),
    "normal": (init.normal(3.0, 0.5), 0.25),
}


def draw(initialiser: Any, shape: tuple[int, ...] = SHAPE, dtype: str = "float64") -> Any:
    return initialiser(np.random.default_rng(0), shape, dtype)


@pytest.mark.parametrize("name", SCALED)
def test_variance(name: str) -> None:
    initialiser, variance = SCALED[name]
    value = draw(initialiser)
    assert value.var() == pytest.approx(variance, rel=0.02)
    if "uniform" in name:
        half = math.sqrt(3 * variance)
        assert abs(value - value.mean()).max() == pytest.approx(half, rel=0.02)


@pytest.mark.parametrize("name", SCALED)
def test_every_dtype_sees_the_same_numbers(name: str) -> None:
    initialiser, _ = SCALED[name]
    narrow = draw(initialiser, dtype="float32")
    assert narrow.dtype == np.float32
    np.testing.assert_array_equal(narrow, draw(initialiser).astype(np.float32))


def test_means() -> None:
    assert draw(init.uniform(-2, 1)).mean() == pytest.approx(-0.5, abs=0.01)
    assert draw(init.normal(3.0, 0.5)).mean() == pytest.approx(3.0, abs=0.01)


LAYOUTS: dict[str, tuple[tuple[int, ...], str | None, int, int]] = {
    "a matrix": ((300, 40), None, 300, 40),
    "a matrix turned": ((300, 40), "oi", 40, 300),
    "a convolution": ((30, 40, 5, 5), None, 40 * 25, 30 * 25),
    "a convolution in one dimension": ((30, 40, 9), None, 40 * 9, 30 * 9),
    "channels last": ((5, 3, 20, 30), "kkio", 20 * 15, 30 * 15),
    "heads": ((6, 50, 20), "nio", 50, 20),
    "outputs in two axes": ((50, 4, 20), "ioo", 50, 80),
    "a vector": ((4000,), "i", 4000, 1),
}
"""Shape, layout, and the inputs and outputs in it."""


@pytest.mark.parametrize("name", LAYOUTS)
def test_fans_are_those_of_the_layout(name: str) -> None:
    shape, layout, inputs, outputs = LAYOUTS[name]
    for initialiser, fan in (
        (init.lecun_normal(layout=layout), inputs),
        (init.lecun_uniform(layout=layout), inputs),
        (init.kaiming_uniform("linear", layout=layout), inputs),
        (init.kaiming_normal("linear", mode="outputs", layout=layout), outputs),
        (init.xavier_uniform(layout=layout), (inputs + outputs) / 2),
        (init.xavier_normal(layout=layout), (inputs + outputs) / 2),
    ):
        assert draw(initialiser, shape).var() == pytest.approx(1 / fan, rel=0.06)


def test_a_convolution_starts_as_pytorchs() -> None:
    """Its weight is (out, in, 5, 5) there too: one variance for every initialiser."""
    torch = pytest.importorskip("torch")
    weight = torch.empty(64, 32, 5, 5, dtype=torch.float64)
    pairs: list[tuple[Any, Callable[[Any], Any]]] = [
        (init.kaiming_uniform(), lambda w: torch.nn.init.kaiming_uniform_(w, nonlinearity="relu")),
        (init.kaiming_normal(mode="outputs"),
         lambda w: torch.nn.init.kaiming_normal_(w, mode="fan_out", nonlinearity="relu")),
        (init.xavier_uniform(), torch.nn.init.xavier_uniform_),
        (init.xavier_normal("tanh"), lambda w: torch.nn.init.xavier_normal_(w, 5 / 3)),
    ]  # fmt: skip
    for ours, theirs in pairs:
        theirs(weight)
        assert draw(ours, (64, 32, 5, 5)).std() == pytest.approx(weight.std().item(), rel=0.02)
    default = initial_value(dg.parameter("w", (64, 32, 5, 5)), "w", 0)
    assert default.std() == pytest.approx((32 * 25) ** -0.5, rel=0.02)


def test_blocks_state_the_layout_of_their_weights() -> None:
    """The variance of every weight is 1 / inputs of one output, by the block's own formula."""
    blocks = {
        "linear": (dg.Linear(400, 300), {"weight": 400}),
        "local": (dg.LocallyConnected2d(8, 20, 9, 5), {"weight": 8 * 25}),
        "rnn": (dg.RNNCell(400, 300, recurrent_init=init.lecun_normal()),
                {"weight": 400, "recurrent": 300}),
        "lstm": (dg.LSTMCell(400, 300, recurrent_init=init.lecun_normal()),
                 {"weight": 400, "recurrent": 300}),
        "attention": (dg.AdditiveAttention(400, 300, 5000),
                      {"query": 400, "entry": 300, "score": 5000}),
    }  # fmt: skip
    for name, (block, wanted) in blocks.items():
        parameters = block.parameters()
        for weight, inputs in wanted.items():
            value = initial_value(parameters[weight], weight, 0)
            assert value.var() == pytest.approx(1 / inputs, rel=0.05), (name, weight)
    for fan, start in ((50, init.kaiming_normal()), (300, init.kaiming_normal(fan=(300, 1)))):
        layer = dg.LocallyConnected2d(2, 20, 9, 5, weight_init=start)
        value = initial_value(layer.parameters()["weight"], "w", 0)
        assert value.var() == pytest.approx(2 / fan, rel=0.05)


@pytest.mark.parametrize(
    ("shape", "layout", "rows"),
    [
        ((5, 3), None, (0,)), ((3, 5), None, (0,)), ((4, 4), "oi", (1,)), ((6, 1), None, (0,)),
        ((4, 2, 3), None, (1, 2)), ((8, 3, 2, 2), None, (1, 2, 3)),
        ((2, 2, 3, 7), "kkio", (0, 1, 2)),
    ],
)  # fmt: skip
def test_orthogonal(shape: tuple[int, ...], layout: str | None, rows: tuple[int, ...]) -> None:
    """Columns are the outputs: orthonormal, or else the rows are."""
    value = draw(init.orthogonal(2.0, layout=layout), shape)
    order = [*rows, *(axis for axis in range(len(shape)) if axis not in rows)]
    matrix = value.transpose(order).reshape(math.prod(shape[axis] for axis in rows), -1)
    small = matrix.T @ matrix if matrix.shape[0] >= matrix.shape[1] else matrix @ matrix.T
    np.testing.assert_allclose(small, 4 * np.eye(len(small)), atol=1e-12)


def test_orthogonal_copies_are_matrices_of_their_own() -> None:
    value = draw(init.orthogonal(layout="nio"), (3, 5, 4))
    np.testing.assert_allclose(value.swapaxes(1, 2) @ value, [np.eye(4)] * 3, atol=1e-12)
    assert abs(value[0] - value[1]).max() > 0.1


def test_constants() -> None:
    np.testing.assert_array_equal(draw(init.zeros, (2,)), [0, 0])
    np.testing.assert_array_equal(draw(init.ones, (2,)), [1, 1])
    np.testing.assert_array_equal(draw(init.constant(0.5), (2,)), [0.5, 0.5])
    np.testing.assert_array_equal(draw(init.identity(3), (2, 3)), [[3, 0, 0], [0, 3, 0]])


def test_initialisers_are_compared_and_printed_by_what_they_are() -> None:
    assert init.uniform(0, 1) == init.uniform(0, 1) != init.uniform(0, 2)
    assert repr(init.constant(2.0)) == "Constant(value=2.0)"


def test_what_a_parameter_starts_with_depends_on_seed_and_name_alone() -> None:
    weight = dg.parameter("w", (4, 3))
    first = initial_value(weight, "net/w", 0)
    assert first.dtype == np.float32 and first.shape == (4, 3)
    np.testing.assert_array_equal(first, initial_value(weight, "net/w", 0))
    assert (first != initial_value(weight, "net/v", 0)).all()
    assert (first != initial_value(weight, "net/w", 1)).all()
    wide = initial_value(dg.parameter("w", (4, 3), dtype="float64"), "net/w", 0)
    np.testing.assert_array_equal(first, wide.astype(np.float32))


def test_by_default_weights_are_lecuns_and_biases_zero() -> None:
    weight = initial_value(dg.parameter("w", (300, 200)), "w", 0)
    assert np.abs(weight).max() == pytest.approx(math.sqrt(3 / 300), rel=1e-3)
    assert not initial_value(dg.parameter("b", (5,)), "b", 0).any()
    assert initial_value(dg.parameter("s"), "s", 0).shape == ()


def test_numbers_arrays_and_functions() -> None:
    given = np.arange(6.0).reshape(3, 2).T
    cases = [
        (2, np.full((2, 3), 2)),
        (0.5, np.full((2, 3), 0.5)),
        (given, given),
        (given.tolist(), given),
        (lambda rng, shape, dtype: np.ones(shape), np.ones((2, 3))),
    ]
    for value, expected in cases:
        found = initial_value(dg.parameter("w", (2, 3), init=value), "w", 0)
        assert found.dtype == np.float32 and found.flags.c_contiguous and found.flags.writeable
        np.testing.assert_array_equal(found, expected)
        assert found is not value


def test_a_value_that_does_not_fit() -> None:
    weight = dg.parameter("w", (2, 3), init=np.ones((3, 2)))
    with pytest.raises(dg.ShapeError) as error:
        initial_value(weight, "w", 0)
    assert text(error.value) == (
        "parameter 'w' (m.py:1) expects initial values of shape (2, 3), got (3, 2)"
    )
    count = dg.parameter("n", (2,), init=0.5, dtype="int32")
    with pytest.raises(dg.DtypeError) as wrong:
        initial_value(count, "n", 0)
    assert text(wrong.value) == (
        "parameter 'n' (m.py:1) expects initial values that become int32, got float64"
    )


def test_an_initialiser_that_is_none() -> None:
    with pytest.raises(TypeError) as error:
        initial_value(dg.parameter("w", (2, 3), init=init.xavier_normal), "w", 0)
    assert text(error.value) == (
        "parameter 'w' (m.py:1) expects initial values of an initialiser, got the function "
        "xavier_normal: call it, dg.init.xavier_normal()"
    )
    with pytest.raises(TypeError) as error:
        initial_value(dg.parameter("w", (2, 3), init="xavier"), "w", 0)
    assert text(error.value) == (
        "parameter 'w' (m.py:1) expects initial values from an initialiser of dg.init, a number or "
        "an array, got str"
    )


def test_shapes_that_an_initialiser_cannot_take() -> None:
    expected = {
        init.lecun_normal(): "expected a weight of two or more axes to count its inputs, got shape "
        "(5,): give fan=(inputs, outputs)",
        init.lecun_normal(layout="oikk"): "expected a weight of 4 axes for the layout 'oikk', got "
        "shape (5,)",
        init.orthogonal(): "orthogonal expects two or more axes, got (5,)",
        init.identity(): "identity expects two axes, got (5,)",
    }
    for initialiser, message in expected.items():
        with pytest.raises(dg.ShapeError) as error:
            draw(initialiser, (5,))
        assert str(error.value) == message
        with pytest.raises(dg.ShapeError) as error:
            initial_value(dg.parameter("w", (5,), init=initialiser), "w", 0)
        assert text(error.value) == f"parameter 'w' (m.py:1): {message}"


def test_arguments_out_of_range() -> None:
    cases: list[tuple[Callable[[], Any], str]] = [
        (lambda: init.uniform(1, 0), "uniform expects low <= high, got 1.0 and 0.0"),
        (
            lambda: init.normal(0, -1),
            "normal expects deviation to be a number of 0 or more, got -1",
        ),
        (
            lambda: init.kaiming_uniform("relu6"),
            "gain expects nonlinearity to be 'linear', 'sigmoid', 'tanh', 'relu', 'leaky_relu' or "
            "'selu', got 'relu6'",
        ),
        (
            lambda: init.lecun_uniform(layout="xy"),
            'init expects a layout of the letters "i" (inputs), "o" (outputs), "k" (taps) and "n" '
            '(copies), such as "io" or "oikk", got \'xy\'',
        ),
    ]
    for make, message in cases:
        with pytest.raises(ValueError) as error:
            make()
        assert re.sub(r" \(test_init.py:\d+\)", "", str(error.value)) == message


def test_a_state_begins_with_an_initialiser() -> None:
    """By its name and the seed, as a parameter does."""

    def begun(seed: int) -> Any:
        a, b = (dg.state(name, (3, 2), init.normal(1.0, 0.1)) for name in "ab")
        for item in (a, b):
            dg.update(item, item + 1.0)
        return dg.Diagram("d", {"y": a + b}).compile(seed=seed).states

    one, same, other = begun(1), begun(1), begun(2)
    assert abs(one["a"] - 1).max() < 0.5 and one["a"].std() > 0.01
    np.testing.assert_array_equal(one["a"], same["a"])
    assert (one["a"] != one["b"]).all() and (one["a"] != other["a"]).all()


@pytest.mark.parametrize(
    ("low", "high"), [(-2.0, 2.0), (-0.1, 0.2), (1.0, 9.0), (-30.0, -3.0), (4.0, 4.1), (8.0, 90.0)]
)
def test_truncated_normal_has_the_density_within_its_ends(low: float, high: float) -> None:
    """Its distribution function, by numerical integration, at ten of its quantiles."""
    drawn = np.sort(draw(init.truncated_normal(3.0, 0.5, 3 + low / 2, 3 + high / 2)).reshape(-1))
    drawn = (drawn - 3) / 0.5
    assert low <= drawn[0] and drawn[-1] <= high
    grid = np.linspace(low, min(high, low + 12) if low > 0 else high, 400_001)
    if high < 0:
        grid = np.linspace(max(low, high - 12), high, 400_001)
    whole = np.cumsum(np.exp(-(grid**2) / 2 + min(abs(low), abs(high)) ** 2 * (low * high > 0) / 2))
    for share in np.arange(0.05, 1, 0.1):
        at = np.interp(drawn[int(share * drawn.size)], grid, whole / whole[-1])
        assert at == pytest.approx(share, abs=0.008)


def test_sparse_has_zeros_in_each_column() -> None:
    value = draw(init.sparse(0.75, 2.0), (10, 50))
    assert ((value == 0).sum(0) == 8).all() and len(np.unique(value == 0, axis=1).T) > 20
    assert value[value != 0].std() == pytest.approx(2, rel=0.2)
    assert not draw(init.sparse(1.0)).any() and draw(init.sparse(0.0)).all()


@pytest.mark.parametrize("groups", [1, 2])
def test_dirac_gives_channels_as_they_are(groups: int) -> None:
    value = np.random.default_rng(0).normal(size=(2, 4, 5, 6)).astype(np.float32)
    x = dg.observed("x", (2, 4, 5, 6))
    options: dict[str, Any] = {"padding": 1, "groups": groups, "weight_init": init.dirac()}
    layers = {
        "same": dg.Conv2d(4, 4, 3, **options), "fewer": dg.Conv2d(4, 2, 3, **options),
        "more": dg.Conv2d(4, 6, 3, **options), "back": dg.ConvTranspose2d(4, 4, 3, **options),
    }  # fmt: skip
    diagram = dg.Diagram("test", {k: f(x) for k, f in layers.items()})
    found = diagram.compile(target="reference").run(x=value)
    np.testing.assert_array_equal(found["same"], value)
    np.testing.assert_array_equal(found["back"], value)
    np.testing.assert_array_equal(
        found["fewer"], value[:, :: 4 // 2] if groups == 2 else value[:, :2]
    )
    wanted = np.zeros((2, 6, 5, 6))
    each = 4 // groups
    for group in range(groups):
        wanted[:, group * 6 // groups :][:, :each] = value[:, group * each :][:, :each]
    np.testing.assert_array_equal(found["more"], wanted)


def test_gains_and_slopes_as_numbers() -> None:
    assert init.gain("leaky_relu", 0.2) == pytest.approx(math.sqrt(2 / 1.04))
    assert init.gain("leaky_relu") == init.gain("leaky_relu", slope=0.01)
    assert (init.gain(1.5), init.gain(np.float64(0.5)), init.gain(2)) == (1.5, 0.5, 2)
    for make in (
        init.kaiming_uniform,
        init.kaiming_normal,
        init.xavier_uniform,
        init.xavier_normal,
    ):
        assert make(1.5).gain == 1.5
        assert make("leaky_relu", slope=0.3).gain == init.gain("leaky_relu", 0.3)


NEW: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "slope": (
        lambda: init.gain("relu", 0.2), ValueError,
        "gain expects no slope but of \"leaky_relu\", got 'relu'",
    ),
    "gain": (
        lambda: init.kaiming_uniform(math.nan), ValueError,
        "gain expects nonlinearity to be a number, got nan",
    ),
    "ends": (
        lambda: init.truncated_normal(low=2.0), ValueError,
        "truncated_normal expects low < high, got 2.0 and 2.0",
    ),
    "deviation": (
        lambda: init.truncated_normal(deviation=0), ValueError,
        "truncated_normal expects deviation to be a number above 0, got 0",
    ),
    "share": (
        lambda: init.sparse(1.5), ValueError,
        "sparse expects share to be a number of 0 or more and of 1 or less, got 1.5",
    ),
    "matrix": (
        lambda: draw(init.sparse(0.5), (3,)), dg.ShapeError, "sparse expects two axes, got (3,)",
    ),
    "taps": (
        lambda: draw(init.dirac(), (3, 3)), dg.ShapeError,
        "dirac expects three or more axes, got (3, 3)",
    ),
    "layout": (
        lambda: draw(init.dirac("iio"), (3, 3, 2)), dg.ShapeError,
        "dirac expects one axis of inputs and one of outputs, got 'iio'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NEW)
def test_mistakes_with_them_are_explained(name: str) -> None:
    make, kind, expected = NEW[name]
    with pytest.raises(kind) as error:
        make()
    assert re.sub(r" \(m.py:1\)", "", text(error.value)) == expected
