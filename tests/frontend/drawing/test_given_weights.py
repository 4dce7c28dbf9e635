"""Any variable can be a weight: every block that has parameters takes a variable for each."""

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest

import diagrad as dg

from ..evaluating import Array, Target, text

F64: dict[str, Any] = {"dtype": "float64"}
# A block of given weights, and the shapes of what it is applied to.
BLOCKS: dict[str, tuple[Callable[..., Any], list[tuple[Any, ...]]]] = {
    "Linear": (lambda **w: dg.Linear(4, 5, **F64, **w), [("B", 4)]),
    "LeakyIntegrator": (
        lambda rate=0.3, **w: dg.LeakyIntegrator(5, rate, trained=True, **F64, **w),
        [("B", 5), ("B", 5)],
    ),
    "RNNCell": (lambda **w: dg.RNNCell(4, 5, **F64, **w), [("B", 4), ("B", 5)]),
    "LSTMCell": (lambda **w: dg.LSTMCell(4, 5, **F64, **w), [("B", 4), ("B", 5), ("B", 5)]),
    "GRUCell": (lambda **w: dg.GRUCell(4, 5, **F64, **w), [("B", 4), ("B", 5)]),
    "RNN": (lambda **w: dg.RNN(4, 5, **F64, **w), [("T", "B", 4)]),
    "LSTM": (
        lambda **w: dg.LSTM(4, 5, layers=2, bidirectional=True, **F64, **w), [("T", "B", 4)]
    ),
    "GRU": (lambda **w: dg.GRU(4, 5, layers=2, **F64, **w), [("T", "B", 4)]),
    "AdditiveAttention": (
        lambda **w: dg.AdditiveAttention(4, 5, 3, **F64, **w), [("B", 4), ("S", "B", 5)]
    ),
}  # fmt: skip


def arguments(weights: dict[str, Any]) -> dict[str, Any]:
    """Weights by a block's paths as its arguments: those of several cells in a list."""
    if not any("/" in path for path in weights):
        return weights
    lists: dict[str, list[Any]] = {}
    for path, item in weights.items():
        lists.setdefault(path.rpartition("/")[2], []).append(item)
    return {name: found[0] if len(found) == 1 else found for name, found in lists.items()}


def cost_of(block: Any, inputs: list[Any]) -> Any:
    found = block(*inputs)
    first = found[0] if isinstance(found, tuple) else found
    return dg.sum(dg.sin(first))


def flat(arrays: Any) -> Array:
    return np.concatenate([np.ravel(item) for item in arrays])


@pytest.mark.parametrize(
    ("kind", "target"),
    [*((kind, "reference") for kind in BLOCKS), ("LSTM", "cpu"), ("AdditiveAttention", "cpu")],
)
def test_weights_that_are_computed(kind: str, target: Target) -> None:
    """All weights cut out of one vector: the same values and gradients as of parameters."""
    make, shapes = BLOCKS[kind]
    inputs = [dg.observed(f"x{i}", shape, "float64") for i, shape in enumerate(shapes)]
    plain = make(name="plain")
    parameters = plain.parameters()
    cost = cost_of(plain, inputs)
    slopes = {f"slope_{k.replace('/', '_')}": v for k, v in dg.gradient(cost, parameters).items()}
    expected = dg.Diagram("plain", {"f": cost, **slopes}).compile(target="reference")

    sizes = [int(np.prod(item.shape)) for item in parameters.values()]
    u = dg.parameter("u", (sum(sizes),), dtype="float64")
    starts = np.cumsum([0, *sizes])
    pieces = {
        name: dg.reshape(2 * u[start : start + size], item.shape)
        for (name, item), start, size in zip(parameters.items(), starts, sizes, strict=False)
    }
    given = make(name="given", **arguments(pieces))
    assert given.parameters() == {}
    cost = cost_of(given, inputs)
    program = dg.Diagram("given", {"f": cost, "slope": dg.gradient(cost, u)}).compile(target=target)
    assert list(program.parameters) == ["u"]

    rng = np.random.default_rng(0)
    for name, array in expected.parameters.items():
        expected.parameters[name] = rng.normal(size=array.shape) / 2
    program.parameters["u"] = flat(expected.parameters.values()) / 2
    bound = {"B": 3, "T": 2, "S": 5}
    values = {
        f"x{i}": rng.normal(size=[bound.get(n, n) for n in shape]) for i, shape in enumerate(shapes)
    }
    wanted, found = expected.run(**values), program.run(**values)
    np.testing.assert_allclose(found["f"], wanted["f"], rtol=1e-12)
    slope = 2 * flat(wanted[name] for name in slopes)
    np.testing.assert_allclose(found["slope"], slope, rtol=1e-10, atol=1e-12)


def test_an_embedding_that_is_the_transpose_of_the_scores_weight() -> None:
    """One parameter, held by one block and computed upon for the other."""
    scores = dg.Linear(3, 6, bias=False, name="scores")
    embedding = dg.Embedding(6, 3, weight=dg.transpose(scores.weight), name="embedding")
    symbols = dg.observed("symbols", ("B",), "int32")
    diagram = dg.Diagram("test", {"y": scores(embedding(symbols))})
    assert list(diagram.parameters) == ["scores/weight"]
    program = diagram.compile(target="reference")
    w = program.parameters["scores/weight"]
    y = program.run(symbols=np.array([4, 0], np.int32))["y"]
    np.testing.assert_allclose(y, w.T[[4, 0]] @ w, rtol=1e-6)


@pytest.mark.parametrize("tied", [False, True])
def test_one_weight_for_all_layers(tied: bool) -> None:
    """A parameter that several cells share keeps its name; None makes one."""
    u, v, other = (dg.parameter(name, (4, 4)) for name in ("u", "v", "other"))
    if tied:
        dg.tie(u, other)
    shared: Any = [u, other] if tied else u
    net = dg.RNN(4, 4, layers=2, weight=[v, None], recurrent=shared, bias=False, name="net")
    x = dg.observed("x", ("T", "B", 4))
    program = dg.Diagram("test", {"y": net(x)[0]}).compile(target="reference")
    assert list(program.parameters) == ["u", "v", "net/l1/weight"]
    weights = net.torch_weights(program)
    np.testing.assert_array_equal(weights["weight_hh_l0"], weights["weight_hh_l1"])
    net.load_torch(program, {name: value + 1 for name, value in weights.items()})
    np.testing.assert_array_equal(program.parameters["u"], weights["weight_hh_l0"].T + 1)
    with pytest.raises(dg.InputError) as error:
        net.load_torch(
            program, {name: value * i for i, (name, value) in enumerate(weights.items())}
        )
    assert text(error.value) == (
        "load_torch of RNN 'net' (m.py:1) expects one value of 'u', which several blocks share, "
        "got two"
    )


def test_weights_that_are_computed_are_not_loaded() -> None:
    u = dg.parameter("u", (5, 5))
    net = dg.RNN(4, 5, recurrent=dg.tanh(u), name="net")
    x = dg.observed("x", ("T", "B", 4))
    program = dg.Diagram("test", {"y": net(x)[0]}).compile(target="reference")
    with pytest.raises(dg.InputError) as error:
        net.torch_weights(program)
    assert text(error.value) == (
        "torch_weights of RNN 'net' (m.py:1) expects weights that are parameters, got one of tanh "
        "(m.py:1): load into the parameters that it depends on"
    )


def test_a_mistake_in_a_weight_is_the_only_one() -> None:
    wrong = dg.observed("u", (4, 3)) @ dg.observed("v", (4, 3))
    net = dg.Chain(dg.Linear(4, 3, weight=wrong), dg.relu, name="net")
    with pytest.raises(dg.ShapeError) as error:
        dg.Diagram("test", {"y": net(dg.observed("x", ("B", 4)))})
    assert text(error.value).startswith("matmul (m.py:1)")


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (
            lambda w: dg.Linear(3, 2, weight=w, name="fc"), dg.ShapeError,
            "Linear 'fc' (m.py:1) expects weight of shape (3, 2), got (2, 3) from observed 'w' "
            "(m.py:1)",
        ),
        (
            lambda w: dg.Linear(3, 2, bias=dg.relu(w)), dg.ShapeError,
            "Linear (m.py:1) expects bias of shape (2,), got (2, 3) from relu (m.py:1)",
        ),
        (
            lambda w: dg.Linear(2, 3, weight=w, dtype="float64"), dg.DtypeError,
            "Linear (m.py:1) expects weight of dtype float64, got float32 from observed 'w' "
            '(m.py:1): convert it with .astype("float64"), or make the block with dtype="float32"',
        ),
        (
            lambda w: dg.Embedding(2, 3, weight=cast(Any, np.ones((2, 3)))), dg.DtypeError,
            "Embedding (m.py:1) expects weight of dtype float32, got float64 from constant "
            '(m.py:1): convert it with .astype("float32"), or make the block with dtype="float64"',
        ),
        (
            lambda w: dg.GRUCell(2, 3, recurrent_bias=w), dg.ShapeError,
            "GRUCell (m.py:1) expects recurrent_bias of shape (3,), got (2, 3) from observed 'w' "
            "(m.py:1)",
        ),
        (
            lambda w: dg.GRUCell(2, 3, reset_after=False, recurrent_bias=w), ValueError,
            "GRUCell (m.py:1) expects no recurrent_bias without a bias and reset_after=True",
        ),
        (
            lambda w: dg.LSTM(2, 3, layers=2, bidirectional=True, weight=[w, w], name="net"),
            ValueError,
            "LSTM 'net' (m.py:1) expects one weight for all or 4, for l0, l0_reverse, l1, "
            "l1_reverse, got 2",
        ),
        (
            lambda w: dg.LeakyIntegrator(3, w), dg.ShapeError,
            "LeakyIntegrator (m.py:1) expects rate of shape (3,), got (2, 3) from observed 'w' "
            "(m.py:1)",
        ),
        (
            lambda w: dg.AdditiveAttention(2, 4, 3, entry=w), dg.ShapeError,
            "AdditiveAttention (m.py:1) expects entry of shape (4, 3), got (2, 3) from observed "
            "'w' (m.py:1)",
        ),
    ],
)  # fmt: skip
def test_errors(make: Callable[[Any], Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind) as error:
        make(dg.observed("w", (2, 3)))
    assert text(error.value) == message
