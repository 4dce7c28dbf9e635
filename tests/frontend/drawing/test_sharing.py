"""Sharing: w = u[index], what it is drawn with, its gradient, and what is wrong with an index."""

from typing import Any

import numpy as np
import pytest

import diagrad as dg
from diagrad.compiler.pipeline import prepare

from ..evaluating import TARGETS, Target, check_derivatives
from ..source import mistake_in

RNG = np.random.default_rng(0)
TOEPLITZ = np.subtract.outer(np.arange(4), np.arange(3)) + 2
INDICES = {
    "the same at all positions": np.broadcast_to(np.arange(6), (4, 6)),
    "Toeplitz": TOEPLITZ,
    "scattered": np.array([[3, 1, 4], [1, 5, 2]]),
}


def operations(*outputs: Any) -> list[str]:
    """The primitives of a diagram of these outputs, once it is prepared."""
    diagram = dg.Diagram("shared", {f"y{i}": item for i, item in enumerate(outputs)})
    graph = prepare(diagram.lower())
    return [node.op for node in graph.nodes() if node.op not in ("input", "constant")]


@pytest.mark.parametrize(
    ("index", "wanted"),
    [
        (np.arange(24), []),
        (np.arange(24).reshape(2, 3, 4), ["reshape"]),
        (np.arange(24).reshape(4, 6).T, ["reshape", "transpose"]),
        (np.arange(3, 24, 5), ["slice"]),
        (np.arange(24)[::-1], ["flip"]),
        (np.zeros((2, 3), int), ["slice", "reshape", "broadcast"]),
        (np.broadcast_to(np.arange(24), (9, 24)), ["broadcast"]),
        (TOEPLITZ, ["slice", "windows", "flip"]),
        ([[-1, -2], [-3, -4]], ["slice", "flip", "reshape"]),
        ([[0, 1], [10, 11], [20, 21]], ["windows"]),
        ([0, 1, 3], ["gather"]),
    ],
)
def test_even_steps_are_views(index: Any, wanted: list[str]) -> None:
    u = dg.observed("u", (22 if np.shape(index) == (3, 2) else 24,))
    found = operations(dg.share(u, index))
    assert sorted(found) == sorted(wanted)


def test_blocks_have_no_windows_and_a_gradient_that_moves_nothing() -> None:
    u = dg.observed("u", (24,))
    w = dg.share(u, np.arange(24).reshape(2, 3, 4).transpose(1, 0, 2))
    slope = dg.gradient(dg.sum(w * w), [u])[0]
    assert set(operations(slope)) <= {"reshape", "transpose", "add", "mul"}


def test_a_known_index_is_read_through_and_not_checked() -> None:
    u, x = dg.observed("u", (8,)), dg.observed("x", (5,))
    program = dg.Diagram("shared", dg.share(u, [3, 1, 4, 1, 5]) * x).compile()
    values = {"u": np.arange(8, dtype=np.float32), "x": np.full(5, 2, np.float32)}
    np.testing.assert_array_equal(program.run(**values)["output"], [6, 2, 8, 2, 10])
    ((name, source),) = program.kernels.items()
    assert name == "k0_gather_mul"
    assert "<" not in source.partition("gather(")[0].partition("for")[2]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", INDICES)
def test_the_gradient_is_the_sum_over_all_places(name: str, target: Target) -> None:
    index = INDICES[name]
    u, x = dg.observed("u", (6, 2), "float64"), dg.observed("x", (3, *index.shape, 2), "float64")
    w = dg.share(u, index)
    cost = dg.sum(dg.tanh(x * w) ** 2)
    by_u, by_w = dg.gradient(cost, [u, w])
    values = {"u": RNG.normal(size=(6, 2)), "x": RNG.normal(size=(3, *index.shape, 2))}
    program = dg.Diagram("shared", {"u": by_u, "w": by_w}).compile(target=target)
    found = program.run(**values)
    wanted = np.zeros((6, 2))
    np.add.at(wanted, index, found["w"])
    np.testing.assert_allclose(found["u"], wanted, rtol=1e-12)


@pytest.mark.parametrize("name", INDICES)
def test_second_derivatives_of_a_function_of_both(name: str) -> None:
    index = INDICES[name]

    def function(u: Any, x: Any) -> Any:
        return dg.tanh(dg.exp(dg.share(dg.sin(u), index)) * x)

    check_derivatives(function, RNG.normal(size=6), RNG.normal(size=index.shape))


def test_one_parameter_in_two_layers_in_a_block_applied_twice_and_in_a_loop() -> None:
    u = dg.parameter("u", (4, 4), dtype="float64")
    net = dg.Chain(
        dg.Linear(4, 4, weight=u, dtype="float64"), dg.tanh,
        dg.Linear(4, 4, weight=u, dtype="float64"), name="net",
    )  # fmt: skip
    x = dg.observed("x", ("T", "B", 4), "float64")
    t = dg.loop("t")
    z = t.delay("z", 0.0, shape=("B", 4), dtype="float64")
    t.close(z, dg.tanh(t.each(x) + z @ dg.share(u, [3, 1, 1, 0])))
    cost = dg.sum(net(net(t.last(z))) ** 2)
    diagram = dg.Diagram("shared", {"slope": dg.gradient(cost, [u])[0]}, cost=cost)
    assert list(diagram.parameters) == ["u", "net/0/bias", "net/2/bias"]
    data = RNG.normal(size=(3, 2, 4))
    for target in TARGETS:
        program = diagram.compile(target=target)
        slope, start = program.run(x=data)["slope"], program.parameters["u"].copy()
        along = RNG.normal(size=(4, 4))
        costs = []
        for step in (1e-5, -1e-5):
            program.parameters["u"] = start + step * along
            costs.append(float(program.run(x=data)["cost"]))
        np.testing.assert_allclose(
            (slope * along).sum(), (costs[0] - costs[1]) / 2e-5, rtol=1e-7, err_msg=target
        )


def test_an_index_may_be_a_constant_even_inside_of_a_block() -> None:
    @dg.block
    def chosen(u: Any, index: Any) -> Any:
        return dg.share(u, index)

    u = dg.observed("u", (3, "N"))
    diagram = dg.Diagram("shared", chosen(u, dg.constant([2, 0])))
    values = np.arange(6, dtype=np.float32).reshape(3, 2)
    np.testing.assert_array_equal(diagram.compile().run(u=values)["output"], values[[2, 0]])


@pytest.mark.parametrize(
    ("index", "text"),
    [
        ("[[0, 1, 2], [1, 3, 4]]",
         "share (model.py:2) expects places in [-4, 4) of an axis of 4 elements, not 4 at (1, 2) "
         "of the index; given (4,) float32 from parameter 'u' (model.py:1)"),
        ("[-5]",
         "share (model.py:2) expects places in [-4, 4) of an axis of 4 elements, not -5 at (0,) of "
         "the index; given (4,) float32 from parameter 'u' (model.py:1)"),
        ("np.uint64(2**63)",
         "share (model.py:2) expects places in [-4, 4) of an axis of 4 elements, not "
         "9223372036854775808; given (4,) float32 from parameter 'u' (model.py:1)"),
    ],
)  # fmt: skip
def test_an_index_out_of_range(index: str, text: str) -> None:
    source = f"u = dg.parameter('u', (4,))\ny = dg.share(u, {index})"
    assert str(mistake_in(source, dg.ShapeError)) == text


@pytest.mark.parametrize(
    ("index", "dtype"),
    [("[0.0, 1.0]", "float64"), ("np.ones(4, bool)", "bool"), ("np.zeros(0)", "float64")],
)
def test_an_index_that_is_not_of_integers(index: str, dtype: str) -> None:
    source = f"u = dg.parameter('u', (4,))\ny = dg.share(u, {index})"
    assert str(mistake_in(source, dg.DtypeError)) == (
        f"share (model.py:2) expects integers as its index, not {dtype}; given (4,) float32 from "
        "parameter 'u' (model.py:1): give the places of elements"
    )


def test_an_index_that_changes() -> None:
    source = """
    u = dg.parameter('u', (4,))
    i = dg.observed('i', ('B',), 'int32')
    y = dg.share(u, i)
    """
    assert str(mistake_in(source, dg.DiagramError)) == (
        "share (model.py:3) expects an index that is fixed, got observed 'i' (model.py:2): choose "
        "by a variable with dg.take"
    )


@pytest.mark.parametrize(("shape", "shown"), [("()", "()"), ("('B', 3)", "(B, 3)")])
def test_a_first_axis_of_unknown_size(shape: str, shown: str) -> None:
    source = f"u = dg.observed('u', {shape})\ny = dg.share(u, [0])"
    assert str(mistake_in(source, dg.ShapeError)) == (
        f"share (model.py:2) expects a first axis of fixed size, got {shown} float32 from observed "
        "'u' (model.py:1)"
    )
