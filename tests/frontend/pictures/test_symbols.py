"""How things are called on a slide."""

from __future__ import annotations

import pytest

from diagrad.frontend.pictures.stages.symbols import (
    applied,
    number,
    operation,
    primitive,
    series,
    shown_name,
)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("x", "x"),
        ("x1", "x₁"),
        ("x_12", "x₁₂"),
        ("cross_entropy", "cross entropy"),
        ("linear_2", "linear₂"),
        ("log1p", "log1p"),
        ("0", "0"),
        ("_", "_"),
        ("_hidden", "hidden"),
    ],
)
def test_names(name: str, shown: str) -> None:
    assert shown_name(name) == shown


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.5, "0.5"), (1.0, "1"), (-1.0, "−1"), (1e-5, "1e-05"), (0.123456, "0.123"), (3, "3"),
        (float("inf"), "∞"), (float("-inf"), "−∞"), (float("nan"), "NaN"), (True, "True"),
    ],
)  # fmt: skip
def test_numbers(value: float, text: str) -> None:
    assert number(value) == text


def test_series() -> None:
    assert series("zh", 1, ()) == ["z"]
    assert series("zh", 3, ()) == ["z₁", "z₂", "z₃"]
    assert series("zh", 2, ("z",)) == ["h₁", "h₂"]
    assert series("zh", 2, ("z₂",)) == ["h₁", "h₂"]
    assert series("zh", 0, ()) == []


@pytest.mark.parametrize(
    ("name", "arguments", "text"),
    [
        ("net", ["x", "w"], "net(x, w)"),
        ("net", ["x", "x", "w"], "net(x, w)"),
        ("net", [], "net"),
        ("cross entropy", ["scores", "y"], "cross entropy\n(scores, y)"),
        ("squared error", ["y"], "squared error\n(y)"),
        ("a rather long name", ["reconstruction", "observation"], "a rather long name"),
    ],
)
def test_functions(name: str, arguments: list[str], text: str) -> None:
    assert applied(name, arguments) == text


@pytest.mark.parametrize(
    ("name", "arguments", "fixed", "text"),
    [
        ("add", ["x", "z"], [False, False], "+"),
        ("add", ["x", "1"], [False, True], "x + 1"),
        ("multiply", ["x", "z"], [False, False], "⊙"),
        ("multiply", ["x", "x"], [False, False], "x²"),
        ("multiply", ["x", "0.5"], [False, True], "0.5 · x"),
        ("multiply", ["0.5", "x"], [True, False], "0.5 · x"),
        ("subtract", ["x", "z"], [False, False], "x − z"),
        ("subtract", ["a long name", "another name"], [False, False], "−"),
        ("matmul", ["x", "w"], [False, False], "x @ w"),
        ("matmul", ["representation", "w"], [False, False], "@"),
        ("correlate", ["x", "w"], [False, False], "x ⋆ w"),
        ("convolve", ["x", "w"], [False, False], "x ∗ w"),
        ("conv_transpose", ["z", "w"], [False, False], "z ⋆ᵀ w"),
        ("power", ["x", "-3"], [False, True], "x⁻³"),
        ("power", ["x", "1.5"], [False, True], "power(x, 1.5)"),
        ("floor_divide", ["i", "j"], [False, False], "i // j"),
        ("remainder", ["i", "2"], [False, True], "i mod 2"),
        ("bitwise_and", ["i", "j"], [False, False], "&"),
        ("bitwise_or", ["i", "7"], [False, True], "i | 7"),
        ("bitwise_xor", ["i", "j"], [False, False], "⊕"),
        ("bitwise_left_shift", ["1", "i"], [True, False], "1 << i"),
        ("bitwise_right_shift", ["i", "j"], [False, False], "i >> j"),
        ("bitwise_invert", ["i"], [False], "~i"),
        ("logical_xor", ["m", "n"], [False, False], "xor"),
        ("negative", ["x"], [False], "−x"),
        ("neg", ["x"], [False], "−x"),
        ("abs", ["x"], [False], "|x|"),
        ("transpose", ["x"], [False], "xᵀ"),
        ("index", ["x"], [False], "x[·]"),
        ("maximum", ["x", "0"], [False, True], "max(x, 0)"),
        ("log1p", ["x"], [False], "log1p(x)"),
        ("gradient", ["C", "x"], [False, False], "∂C/∂x"),
        ("gradient", ["C", "x", "w"], [False, False, False], "∇C"),
    ],
)
def test_operations(name: str, arguments: list[str], fixed: list[bool], text: str) -> None:
    assert operation(name, arguments, fixed) == text


@pytest.mark.parametrize(
    ("name", "fixed", "text"),
    [
        ("add", [None, None], "+"),
        ("add", [None, "1"], "+ 1"),
        ("mul", ["0.5", None], "· 0.5"),
        ("sub", ["1", None], "1 − ·"),
        ("sub", [None, "1"], "− 1"),
        ("maximum", [None, "0"], "max(·, 0)"),
        ("select", [None, None, "0"], "select(·, ·, 0)"),
        ("and", [None, None], "and"),
        ("xor", ["1", None], "xor 1"),
        ("reduce_sum", [None], "sum"),
        ("contract", [None, None], "@"),
        ("conv", [None, None], "⋆"),
        ("conv_input", [None, None], "⋆ᵀ"),
        ("neg", [None], "−"),
        ("stop_gradient", [None], "stop gradient"),
    ],
)
def test_primitives(name: str, fixed: list[str | None], text: str) -> None:
    assert primitive(name, fixed) == text


def test_primitives_of_one_value_twice() -> None:
    assert primitive("mul", [None, None], same=True) == "(·)²"
    assert primitive("add", [None, None], same=True) == "2 ·"
    assert primitive("sub", [None, None], same=True) == "−"
