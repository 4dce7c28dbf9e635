"""The array API standard: every name is here or left out, and what is here agrees with NumPy."""

from __future__ import annotations

import re
from typing import Any

import array_api_strict as strict
import numpy as np
import pytest
from hypothesis import given, settings

import diagrad as dg
import tests.array_api as xp

from ..house import ROOT
from .cases import BINARY_KINDS, CASES, UNARY_DTYPES
from .drawing import agree, given_to, same
from .elementwise import BINARY, UNARY
from .left_out import LEFT_OUT

SETTINGS = settings(max_examples=20, deadline=None, derandomize=True)
PAGE = (ROOT / "docs" / "array_api.md").read_text(encoding="utf-8")
NOT_OF_THE_STANDARD = re.compile(
    r"_|Device$|ModuleType|FunctionType|ArrayAPIStrictFlags|(get|set|reset)_array_api"
)
MADE_OF_NUMBERS = {
    "arange", "asarray", "astype", "broadcast_shapes", "can_cast", "empty", "empty_like", "eye",
    "finfo", "from_dlpack", "full", "full_like", "iinfo", "isdtype", "linspace", "ones",
    "result_type", "zeros",
}  # fmt: skip
"""Functions that the standard's own suite compares, and the tests below."""


def names_of(namespace: Any) -> set[str]:
    """The public functions and constants of a namespace."""
    return {n for n in dir(namespace) if not NOT_OF_THE_STANDARD.match(n)}


def of_linalg() -> set[str]:
    return {f"linalg.{name}" for name in strict.linalg.__all__}


def of_arrays() -> set[str]:
    """Methods; `x += y` is `x = x + y` where there is none of its own."""
    methods = vars(strict._array_object.Array).keys() - vars(object).keys()
    in_place = {name for name in methods if f"__{name[3:]}" in methods}
    numpys = {"__buffer__", "__iter__", "__slots__"}
    return {f"Array.{name}" for name in methods - in_place - numpys if name.startswith("__")}


def is_here(name: str) -> bool:
    found: Any = xp
    for part in name.split("."):
        found = getattr(found, part, None)
    return found is not None or name == "newaxis"


def test_every_name_is_here_or_left_out() -> None:
    names = names_of(strict) | of_linalg() | of_arrays()
    assert {name for name in names if not is_here(name)} == LEFT_OUT.keys() & names
    assert not {name for name in LEFT_OUT if is_here(name)}


def test_the_page_names_what_is_not_here_by_its_own_name() -> None:
    renamed, left = PAGE.split("## Under another name")[1].split("## Left out")
    told = set(re.findall(r"`([\w.]+)[(`]", "".join(re.findall(r"^\| (`.*?) \|", renamed, re.M))))
    here = set(re.findall(r"dg\.(\w+)", renamed))
    assert all(hasattr(dg, name) for name in here)
    functions = {*names_of(strict), *of_linalg()} - {
        "ModuleType",
        "newaxis",
        "e",
        "pi",
        "inf",
        "nan",
    }
    own = {name for name in functions if hasattr(dg, name.removeprefix("linalg."))}
    of_dtypes = set(re.findall(r"`np\.(\w+)`", PAGE))
    missing = (
        functions - own - told - of_dtypes - LEFT_OUT.keys() - {"linalg", "linalg.matrix_transpose"}
    )
    assert not missing
    listed = set(re.findall(r"`([\w.]+)`", "".join(re.findall(r"^\| (`.*?) \|", left, re.M))))
    assert listed == LEFT_OUT.keys()


def test_every_function_is_compared() -> None:
    functions = {name for name in names_of(xp) if callable(getattr(xp, name))} & names_of(strict)
    assert functions - MADE_OF_NUMBERS == {name for name in CASES if "." not in name}


@pytest.mark.parametrize("name", CASES)
def test_functions_agree(name: str) -> None:
    @SETTINGS
    @given(CASES[name])
    def check(case: Any) -> None:
        arrays, options = case
        agree(name, arrays, **options)

    check()


SPECIAL = [-np.inf, -3.5, -1.0, -0.5, -0.0, 0.0, 0.25, 1.0, 2.5, 1e30, np.inf, np.nan]
NATIVELY_DIFFERENT = {"floor_divide", "remainder", "signbit"}


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "bool"])
def test_special_cases_in_kernels(dtype: str) -> None:
    """All functions of elements in one native program, of pairs of what is special."""
    numbers = SPECIAL if dtype.startswith("float") else [-3, -1, 0, 1, 2, 7]
    left, right = (
        a.ravel() for a in np.meshgrid(np.array(numbers, dtype), np.array(numbers, dtype))
    )
    x, y = (dg.observed(name, left.shape, dtype) for name in "xy")
    unary = {n: f(x) for n, f in UNARY.items() if dtype in UNARY_DTYPES[n]}
    pairs = [n for n, kinds in BINARY_KINDS.items() if any(dtype in kind for kind in kinds)]
    binary = {
        n: BINARY[n](x, y) for n in pairs if "shift" not in n and (n, dtype) != ("pow", "int32")
    }
    program = dg.Diagram("special", {**unary, **binary}).compile()
    found = program.run(x=left, **({"y": right} if binary else {}))
    for name in (unary.keys() | binary.keys()) - NATIVELY_DIFFERENT:
        operands = [left] if name in unary else [left, right]
        with np.errstate(all="ignore"):
            wanted = getattr(strict, name)(*(given_to(strict, item) for item in operands))
        same(f"{name} of {dtype}", found[name], wanted._array, 16)
