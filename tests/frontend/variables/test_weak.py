"""Dtypes that nobody has stated: a float64 diagram is written like a float32 one."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ..evaluating import TARGETS, Target, run, text

X = np.array([[0.1, 0.7, -3.0], [1 / 3, 2.0, 5.0]])
I = np.array([2, 0], np.int32)  # noqa: E741
SOURCES: dict[str, tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]]] = {
    "a number": (lambda x, i: 0.1 * x + 3, lambda x, i: 0.1 * x + 3),
    "constant": (lambda x, i: x * dg.constant(0.1), lambda x, i: x * 0.1),
    "constant int": (lambda x, i: dg.constant(3) * x, lambda x, i: 3 * x),
    "constant list": (lambda x, i: x - dg.constant([0.1, 0.2, 0.3]),
                      lambda x, i: x - [0.1, 0.2, 0.3]),
    "list": (lambda x, i: x * [0.1, 1, 2], lambda x, i: x * [0.1, 1, 2]),
    "list of int": (lambda x, i: [1, 2, 3] * x, lambda x, i: [1, 2, 3] * x),
    "fill": (lambda x, i: dg.fill(0.1, ("B", 3)) + x, lambda x, i: 0.1 + x),
    "size": (lambda x, i: x / dg.size("B"), lambda x, i: x / 2),
    "shape": (lambda x, i: x / x.shape[0], lambda x, i: x / 2),
    "one_hot": (lambda x, i: x + dg.one_hot(i, 3), lambda x, i: x + np.eye(3)[i]),
    "expression": (lambda x, i: x * (2 * dg.one_hot(i, 3) - dg.sqrt(dg.size("B")) * 0.1),
                   lambda x, i: x * (2 * np.eye(3)[i] - math.sqrt(2) * 0.1)),
    "where": (lambda x, i: x * dg.where(i > 1, 0.1, 0.01)[:, None],
              lambda x, i: x * np.where(i > 1, 0.1, 0.01)[:, None]),
    "where beside": (lambda x, i: dg.where(x > 0, x, dg.constant(0.1)),
                     lambda x, i: np.where(x > 0, x, 0.1)),
    "table": (lambda x, i: x * dg.take([0.1, 0.2, 0.3], i)[:, None],
              lambda x, i: x * np.array([0.1, 0.2, 0.3])[i][:, None]),
    "function": (lambda x, i: x + dg.exp(0.1) ** 2, lambda x, i: x + np.exp(0.1) ** 2),
    "matmul": (lambda x, i: x @ dg.constant([[0.1], [0.2], [0.3]]),
               lambda x, i: x @ [[0.1], [0.2], [0.3]]),
    "einsum": (lambda x, i: dg.einsum("bi,bi->b", dg.one_hot(i, 3), x),
               lambda x, i: x[np.arange(2), i]),
    "concatenate": (lambda x, i: dg.concatenate([x, dg.fill(0.1, ("B", 1))], 1),
                    lambda x, i: np.concatenate([x, [[0.1], [0.1]]], 1)),
    "power": (lambda x, i: dg.exp(x) ** dg.constant(0.3), lambda x, i: np.exp(x) ** 0.3),
    "cost": (lambda x, i: dg.squared_error(x, dg.one_hot(i, 3)),
             lambda x, i: ((x - np.eye(3)[i]) ** 2).mean()),
    "whole float": (lambda x, i: i * dg.constant(2.0), lambda x, i: i * 2),
    "arange": (lambda x, i: dg.argmax(x, 1) + dg.arange("B"),
               lambda x, i: x.argmax(1) + np.arange(2)),
}  # fmt: skip


@pytest.mark.parametrize("target", TARGETS)
def test_what_has_no_stated_dtype_takes_that_of_what_it_meets(target: Target) -> None:
    """To all digits: 0.1 beside float64 is not the float32 nearest to 0.1."""
    x, i = dg.observed("x", ("B", 3), "float64"), dg.observed("i", ("B",), "int32")
    outputs = {f"y{n}": ours(x, i) for n, (ours, _) in enumerate(SOURCES.values())}
    found = run(outputs, target, x=X, i=I)
    for n, (name, (_, numpys)) in enumerate(SOURCES.items()):
        wanted = np.asarray(numpys(X, I))
        assert found[f"y{n}"].dtype == wanted.dtype, name
        np.testing.assert_allclose(found[f"y{n}"], wanted, 1e-15, 1e-16, err_msg=name)


def test_beside_float32_and_beside_nothing_it_is_float32() -> None:
    x, i = dg.observed("x", ("B", 3)), dg.observed("i", ("B",), "int32")
    outputs = {f"y{n}": ours(x, i) for n, (ours, _) in enumerate(SOURCES.values())}
    names = list(SOURCES)
    for name, item in outputs.items():
        whole = names[int(name[1:])] in ("whole float", "arange")
        assert item.dtype == "float32" or whole, name
    for alone in (
        dg.constant(0.1), dg.one_hot(i, 3), dg.size("B"), dg.fill(1, (2,)), dg.random_uniform((2,)),
        dg.random_normal((2,)), dg.sqrt(2.0), 2 * dg.one_hot(i, 3) - 1,
    ):  # fmt: skip
        assert alone.dtype == "float32"


def test_one_variable_may_meet_both() -> None:
    wide, narrow = dg.observed("wide", (2,), "float64"), dg.observed("narrow", (2,))
    factor = dg.where(dg.constant([True, False]), 0.1, 0.2)
    found = run({"w": wide * factor, "n": narrow * factor, "f": factor},
                wide=np.ones(2), narrow=np.ones(2, np.float32))  # fmt: skip
    assert found["w"].tolist() == [0.1, 0.2]
    assert found["n"].dtype == found["f"].dtype == np.float32
    assert found["f"].tolist() == np.array([0.1, 0.2], np.float32).tolist()


@pytest.mark.parametrize("target", TARGETS)
def test_a_draw_stays_one_draw(target: Target) -> None:
    x = dg.observed("x", (5,), "float64")
    u, n = dg.random_uniform((5,), "u"), dg.random_normal((5,), "n")
    found = run({"u": u, "wide": x + u, "twice": x * u - u, "n": n, "wide_n": x + n}, target,
                x=np.zeros(5))  # fmt: skip
    np.testing.assert_array_equal(found["wide"], found["u"].astype(np.float64))
    np.testing.assert_array_equal(found["twice"], -found["wide"])
    assert found["u"].dtype == np.float32 and found["wide_n"].dtype == np.float64
    np.testing.assert_allclose(found["wide_n"], found["n"], 1e-5)


def test_blocks_take_it_in_the_dtype_of_their_parameters() -> None:
    i = dg.observed("i", ("B",), "int32")
    layer = dg.Linear(3, 2, dtype="float64")
    y = dg.Chain(layer, dg.tanh, name="net")(dg.one_hot(i, 3))
    assert y.dtype == "float64"
    program = dg.Diagram("d", {"y": y}).compile(target="reference")
    weight = program.parameters["net/0/weight"]
    np.testing.assert_allclose(program.run(i=I)["y"], np.tanh(weight[I]), 1e-15)


def test_what_expects_a_dtype_gets_it() -> None:
    """A state, a delay, a variable that is connected, a weight that is given or bound."""
    x, start = dg.observed("x", ("B", 3), "float64"), dg.fill(0.1, ("B", 2))
    named = dg.variable("v", (), "float64")
    dg.connect(named, dg.constant(0.1))
    total = dg.state("total", (), dtype="float64")
    dg.update(total, dg.constant(0.1) * 2)
    given = dg.Linear(3, 2, weight=dg.fill(0.1, (3, 2)), dtype="float64", name="given")
    plain = dg.Linear(3, 2, dtype="float64", name="plain")
    t = dg.loop("t")
    h = t.delay("h", dg.constant(0.1), shape=("B", 3), dtype="float64")
    t.close(h, dg.fill(0.2, ("B", 3)))
    cell = dg.RNN(3, 2, dtype="float64")
    outputs = {
        "connected": x * named, "given": given(x), "vector": dg.bind(plain, dg.fill(0.1, (8,)))(x),
        "names": dg.bind(plain, {"bias": dg.constant([0.1, 0.2])})(x), "total": total * 1.0,
        "delay": t.stack(h + t.each(dg.stack([x, x]))),
        "state": cell(dg.expand_dims(x, 0), dg.expand_dims(start, 0))[0],
    }  # fmt: skip
    program = dg.Diagram("d", outputs, cost=dg.sum(x)).compile(dg.SGD(0.1), target="reference")
    found = program.run(x=X)
    assert {value.dtype.name for value in found.values()} == {"float64"}
    np.testing.assert_allclose(found["connected"], X * 0.1, 1e-15)
    np.testing.assert_allclose(found["vector"], X.sum(1, keepdims=True) * 0.1 + [[0.1, 0.1]], 1e-14)
    np.testing.assert_allclose(found["delay"], np.stack([X + 0.1, X + 0.2]), 1e-15)


def test_a_program_of_another_precision_has_lists_as_they_were_written() -> None:
    x = dg.observed("x", (2,))
    program = dg.Diagram("d", {"y": x * dg.constant([0.1, 0.2])}).compile(dtype="float64")
    assert program.run(x=np.ones(2))["y"].tolist() == [0.1, 0.2]


STATED: list[Callable[[Any, Any], Any]] = [
    lambda x, i: x + np.ones(3, np.float32),
    lambda x, i: x + dg.constant(np.float32(0.1)),
    lambda x, i: x + dg.constant(0.1, "float32"),
    lambda x, i: x + dg.one_hot(i, 3, "float32"),
    lambda x, i: x + dg.one_hot(i, 3).astype("float32"),
    lambda x, i: x + dg.fill(0.1, ("B", 3), "float32"),
    lambda x, i: x + i[:, None],
    lambda x, i: x * dg.arange(3),
    lambda x, i: i + 0.5,
    lambda x, i: i * dg.constant([1.0, 2.0]),
]


@pytest.mark.parametrize("number", range(len(STATED)))
def test_a_stated_dtype_is_never_converted(number: int) -> None:
    x, i = dg.observed("x", ("B", 3), "float64"), dg.observed("i", ("B",), "int32")
    with pytest.raises(dg.DtypeError) as error:
        _ = STATED[number](x, i).type
    assert "expects operands of one dtype, got" in text(error.value)


def test_a_long_expression_is_drawn_again_once() -> None:
    """Each operation twice at most, however often it is used, and without recursion."""
    x, value = dg.observed("x", (), "float64"), dg.constant(0.5)
    for _ in range(2000):
        value = value + value
        value = value * 0.5
    assert run({"y": x * value}, x=np.ones(()))["y"] == 0.5
