"""Numbers of Python beside variables: integers never wrap around, and mathematics decides."""

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ..frontend.evaluating import text
from .rows.running import TARGETS, Target

INTEGERS = ("int32", "int64", "uint32")
NUMBERS: list[Any] = [
    0, -1, 7, 2**31 - 1, 2**31, -(2**31), -(2**31) - 1, 2**32 - 1, 2**32, 2**40, -(2**40),
    2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 10**30, 1e12, -1e30, np.int64(2**40), np.float64(-5),
]  # fmt: skip
COMPARISONS: dict[str, tuple[Callable[..., Any], Callable[..., bool]]] = {
    "less": (dg.less, operator.lt), "less_equal": (dg.less_equal, operator.le),
    "greater": (dg.greater, operator.gt), "greater_equal": (dg.greater_equal, operator.ge),
    "equal": (dg.equal, operator.eq), "not_equal": (dg.not_equal, operator.ne),
}  # fmt: skip


def run(outputs: dict[str, Any], target: Target = "reference", **arrays: Any) -> dict[str, Any]:
    return dict(dg.Diagram("numbers", outputs).compile(target=target).run(**arrays))


def ends(dtype: str) -> np.ndarray:
    info = np.iinfo(dtype)
    return np.array([info.min, info.min + 1, 0, 5, 7, info.max - 1, info.max], dtype)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", INTEGERS)
def test_comparisons_are_those_of_whole_numbers(dtype: str, target: Target) -> None:
    array = ends(dtype)
    x = dg.observed("x", array.shape, dtype)
    outputs, wanted = {}, {}
    for place, number in enumerate(NUMBERS):
        for name, (ours, pythons) in COMPARISONS.items():
            whole = int(number)
            outputs[f"{name}{place}"] = ours(x, number)
            wanted[f"{name}{place}"] = [pythons(item, whole) for item in array.tolist()]
            outputs[f"{name}{place}_"] = ours(number, x)
            wanted[f"{name}{place}_"] = [pythons(whole, item) for item in array.tolist()]
    found = run(outputs, target, x=array)
    assert {name: value.tolist() for name, value in found.items()} == wanted


@pytest.mark.parametrize("dtype", INTEGERS)
def test_arithmetic_and_extrema_hold_the_number_or_refuse_it(dtype: str) -> None:
    array, info = ends(dtype), np.iinfo(dtype)
    x = dg.observed("x", array.shape, dtype)
    outputs, wanted = {}, {}
    functions: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
        "add": (dg.add, operator.add), "subtract": (dg.subtract, operator.sub),
        "multiply": (dg.multiply, operator.mul), "minimum": (dg.minimum, min),
        "maximum": (dg.maximum, max),
        "where": (lambda x, n: dg.where(x > 5, x, n), lambda x, n: x if x > 5 else n),
    }  # fmt: skip
    for place, number in enumerate(NUMBERS):
        whole = int(number)
        for name, (ours, pythons) in functions.items():
            results = [pythons(item, whole) for item in array.tolist()]
            extremum = name in ("minimum", "maximum")
            inside = info.min <= whole <= info.max
            if inside or (extremum and results == array.tolist()):
                outputs[f"{name}{place}"] = ours(x, number)
                span = info.max - info.min + 1  # of variables, results wrap
                wanted[f"{name}{place}"] = [(v - info.min) % span + info.min for v in results]
                continue
            with pytest.raises(dg.DtypeError) as error:
                ours(x, number)
            other = "int64" if -(2**63) <= whole < 2**63 else "float64"
            shown = number.item() if isinstance(number, np.generic) else number
            assert text(error.value) == (
                f"a number beside {dtype} (m.py:1) expects a value that {dtype} holds, got "
                f'{shown}: convert the variable with .astype("{other}")'
            )
    found = run(outputs, x=array)
    assert {name: value.tolist() for name, value in found.items()} == wanted


def test_a_constant_holds_its_numbers() -> None:
    for value, dtype in (
        (2**31 - 1, "int32"), (2**31, "int64"), (-(2**31) - 1, "int64"), ([1, 2**40], "int64"),
        (0.5, "float32"), (True, "bool"), ([], "float32"), (np.uint32(3), "uint32"),
    ):  # fmt: skip
        found = dg.constant(value)
        assert found.dtype == dtype and found.value is not None
        assert found.value.tolist() == (value.item() if isinstance(value, np.generic) else value)
    for value, wanted in ((2**63 - 1, "int64"), (-(2**31), "int32"), (3.0, "int32")):
        assert dg.constant(value, wanted).value.item() == value  # type: ignore[union-attr]
    assert dg.constant(10**30, "float64").value.item() == 1e30  # type: ignore[union-attr]
    assert dg.fill(7.0, (2,), "int64").dtype == "int64"


REFUSED: list[tuple[Callable[[], Any], str]] = [
    (lambda: dg.constant(2**70),
     "constant (m.py:1) expects numbers that int64 holds, got 1180591620717411303424: float64 "
     "holds it"),
    (lambda: dg.constant([1, 2**40], "int32"),
     "constant (m.py:1) expects numbers that int32 holds, got 1099511627776: int64 holds it"),
    (lambda: dg.constant(-1, "uint32"),
     "constant (m.py:1) expects numbers that uint32 holds, got -1: int64 holds it"),
    (lambda: dg.constant(2.5, "int64"),
     "constant (m.py:1) expects numbers that int64 holds, got 2.5: float64 holds it"),
    (lambda: dg.constant(np.array([1.0, np.nan]), "int32"),
     "constant (m.py:1) expects numbers that int32 holds, got nan: float64 holds it"),
    (lambda: dg.constant(2, "bool"),
     "constant (m.py:1) expects numbers that bool holds, got 2: int64 holds it"),
    (lambda: dg.fill(2**31, (3,), "int32"),
     "fill (m.py:1) expects numbers that int32 holds, got 2147483648: int64 holds it"),
    (lambda: dg.arange(2**31 + 1),
     "arange (m.py:1) expects numbers that int32 holds, got 2147483648: int64 holds it"),
    (lambda: dg.arange(0, -2, -1, dtype="uint8"),
     "arange (m.py:1) expects numbers that uint8 holds, got -1: int64 holds it"),
]  # fmt: skip


def test_numbers_that_a_dtype_does_not_hold() -> None:
    for draw, message in REFUSED:
        with pytest.raises(dg.DtypeError) as error:
            draw()
        assert text(error.value) == message


STEPS: list[tuple[Callable[[], Any], str]] = [
    (lambda: dg.arange(4, "int64"),
     'arange (m.py:1) expects a size or a number to stop at: write dtype="int64", got \'int64\''),
    (lambda: dg.arange(4, 9, 0), "arange (m.py:1) expects a step other than 0, got 0"),
    (lambda: dg.arange(0.0, 1.0, 0.0), "arange (m.py:1) expects a step other than 0, got 0.0"),
    (lambda: dg.arange("N", 0.5), "arange (m.py:1) expects start to be a number, got 'N'"),
]  # fmt: skip


def test_what_arange_refuses() -> None:
    for draw, message in STEPS:
        with pytest.raises((TypeError, ValueError)) as error:
            draw()
        assert text(error.value) == message
    program = dg.Diagram("d", dg.arange(2, "N") + dg.observed("i", ("N",), "int32")[2:]).compile()
    assert program.run(i=np.zeros(3, np.int32)).popitem()[1].tolist() == [2]
    with pytest.raises(dg.InputError, match="N"):
        program.run(i=np.zeros(1, np.int32))


def test_two_numbers_take_the_wider_dtype() -> None:
    mask = dg.observed("m", (2,), "bool")
    chosen = {"y": dg.where(mask, 2**31, 0), "z": dg.where(mask, 1, 0.5), "i": dg.where(mask, 1, 2)}
    assert [item.dtype for item in chosen.values()] == ["int64", "float32", "int32"]
    found = run(chosen, m=np.array([True, False]))
    assert found["y"].tolist() == [2**31, 0] and found["z"].tolist() == [1, 0.5]


def test_starts_of_parameters_and_states_do_not_wrap() -> None:
    for init in (2**40, np.array(2**40)):
        counter = dg.parameter("n", (), init=init, dtype="int32")
        x = dg.observed("x", (), "int32")
        with pytest.raises(dg.DtypeError) as error:
            dg.Diagram("numbers", {"y": counter + x}).compile()
        assert text(error.value) == (
            "parameter 'n' (m.py:1) expects initial values that int32 holds, got 1099511627776: "
            "int64 holds it"
        )
