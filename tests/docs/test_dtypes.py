"""The tables of docs/dtypes.md: what every pair of dtypes gives is what they say."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import diagrad as dg
from diagrad.compiler.dtypes import COMPUTED
from diagrad.frontend.variables.variable import DTYPES

from ..operations.rows.running import TARGETS, Target

PAGE = Path(__file__).parents[2] / "docs" / "dtypes.md"
INTEGERS = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64")
FLOATS = ("float16", "bfloat16", "float32", "float64")
ORDER = ("bool", *INTEGERS, *FLOATS)
Array = npt.NDArray[Any]


def chosen(x: Array, y: Array) -> Array:
    return np.asarray(np.where([True, False, True], x, y))


def where(x: Any, y: Any) -> dg.Variable:
    return dg.where(dg.constant([True, False, True]), x, y)


PAIRS: dict[str, Sequence[Callable[[Any, Any], dg.Variable]]] = {
    "x + y": (
        dg.add, dg.subtract, dg.multiply, dg.maximum, dg.minimum, dg.floor_divide, dg.remainder,
        dg.fmod,
    ),
    "x == y": (
        dg.equal, dg.not_equal, dg.less, dg.less_equal, dg.greater, dg.greater_equal,
    ),
    "dg.concatenate([x, y])": (lambda x, y: dg.concatenate([x, y]), where),
}  # fmt: skip
"""A table of the page, and the operations of which it is."""

SINGLE: dict[str, Callable[[Any], dg.Variable]] = {
    "x + 1": lambda x: x + 1,
    "x * 0.5": lambda x: x * 0.5,
    "x / x": lambda x: x / x,
    "x // x": lambda x: x // x,
    "x & x": lambda x: x & x,
    "x == 1": lambda x: x == 1,
    "-x": lambda x: -x,
    "dg.exp(x)": dg.exp,
    "x.sum()": lambda x: x.sum(),
    "x.prod()": lambda x: x.prod(),
    "x.cumsum()": lambda x: x.cumsum(),
    "x.mean()": lambda x: x.mean(),
    "x.max()": lambda x: x.max(),
    "x.argmax()": lambda x: x.argmax(),
    "dg.sort(x)": dg.sort,
    "x @ x": lambda x: x @ x,
    "dg.where(m, x, x)": lambda x: where(x, x),
    "dg.where(m, x, 1)": lambda x: where(x, 1),
    "t[x]": lambda x: dg.constant(np.arange(4.0))[x],
    "x[::2], x.T, ...": lambda x: x[::2],
}


def variables(name: str) -> dict[str, dg.Variable]:
    return {dtype: dg.observed(f"{name}_{dtype}", (3,), dtype) for dtype in ORDER}


def result(found: dg.Variable) -> str:
    return "" if found.mistakes else found.dtype


def of_pairs(function: Callable[[Any, Any], dg.Variable]) -> str:
    xs, ys = variables("x"), variables("y")
    lines = [" | ".join(["| x \\ y", *(f"`{dtype}`" for dtype in ORDER)]) + " |"]
    lines.append("|---" * (len(ORDER) + 1) + "|")
    for name, x in xs.items():
        row = (result(function(x, y)) for y in ys.values())
        lines.append("| " + " | ".join([f"`{name}`", *row]) + " |")
    return "\n".join(lines)


def of_one(name: str) -> str:
    row = (result(SINGLE[name](x)) for x in variables("x").values())
    return "| " + " | ".join([f"`{name}`", *row]) + " |"


def test_every_dtype_is_in_the_tables() -> None:
    assert set(ORDER) == set(DTYPES)


@pytest.mark.parametrize("name", PAIRS)
def test_the_page_says_what_two_give(name: str) -> None:
    first, *others = map(of_pairs, PAIRS[name])
    assert first in PAGE.read_text(encoding="utf-8"), f"\n{first}"
    for other in others:
        # Two bools have a greatest one, and are no numbers to add: rule 2 is of what is stored.
        assert re.sub(r"`bool` \| \w* \|", "", other) == re.sub(r"`bool` \| \w* \|", "", first)


@pytest.mark.parametrize("name", SINGLE)
def test_the_page_says_what_one_gives(name: str) -> None:
    assert of_one(name) in PAGE.read_text(encoding="utf-8"), of_one(name)


def values(dtype: str) -> Array:
    """The ends of a dtype of integers; other numbers."""
    if dtype == "bool":
        return np.array([True, False, True])
    if dtype in INTEGERS:
        return np.array([np.iinfo(dtype).max, np.iinfo(dtype).min, 3], dtype)
    return np.array([-1.5, 0.1, 200.0]).astype(dtype)


@pytest.mark.parametrize("target", TARGETS)
def test_values_are_those_of_the_wider_dtype(target: Target) -> None:
    """Of every pair, both converted by NumPy first to the dtype that the table says."""
    xs, ys, outputs, wanted = variables("x"), variables("y"), {}, {}
    functions: dict[str, tuple[Callable[..., dg.Variable], Callable[..., Array]]] = {
        "multiply": (dg.multiply, np.multiply), "less": (dg.less, np.less),
        "where": (where, chosen),
        "concatenate": (lambda x, y: dg.concatenate([x, y]), lambda x, y: np.concatenate([x, y])),
    }  # fmt: skip
    for first, x in xs.items():
        for second, y in ys.items():
            for label, (ours, numpys) in functions.items():
                drawn = ours(x, y)
                if drawn.mistakes:
                    continue
                wide = _compared(first, second) if label == "less" else drawn.dtype
                outputs[f"{label}_{first}_{second}"] = drawn
                pair = values(first).astype(wide), values(second)[::-1].astype(wide)
                with np.errstate(over="ignore"):
                    wanted[f"{label}_{first}_{second}"] = numpys(*pair)
    given = {f"x_{dtype}": values(dtype) for dtype in ORDER}
    given |= {f"y_{dtype}": values(dtype)[::-1].copy() for dtype in ORDER}
    found = dg.Diagram("pairs", outputs).compile(target=target).run(**given)
    assert len(wanted) > 100
    for key, array in wanted.items():
        assert found[key].dtype == array.dtype, key
        np.testing.assert_array_equal(found[key], array, err_msg=key)


def _compared(first: str, second: str) -> str:
    wide = {COMPUTED.get(name, name) for name in (first, second)}
    return wide.pop() if len(wide) == 1 else "int64"


@pytest.mark.parametrize("target", TARGETS)
def test_casts_between_all_dtypes_are_numpys(target: Target) -> None:
    """Integers wrap around; floats go to the nearest end, where NumPy leaves it open."""
    xs, outputs, wanted = variables("x"), {}, {}
    for source, x in xs.items():
        for other in ORDER:
            outputs[f"{source}_{other}"] = x.astype(other)
            array = values(source)
            if source in FLOATS and other in INTEGERS:
                info = np.iinfo(other)
                array = np.trunc(array.astype(np.float64)).clip(info.min, info.max)
            with np.errstate(over="ignore"):
                wanted[f"{source}_{other}"] = array.astype(other)
    given = {f"x_{dtype}": values(dtype) for dtype in ORDER}
    found = dg.Diagram("casts", outputs).compile(target=target).run(**given)
    for key, array in wanted.items():
        assert found[key].dtype == array.dtype, key
        np.testing.assert_array_equal(found[key], array, err_msg=key)


HALVES = [name for name in COMPUTED if "float" in name]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", HALVES)
def test_every_half_is_read_and_written_to_the_bit(dtype: str, target: Target) -> None:
    x, y = dg.observed("x", ("N",), dtype), dg.observed("y", ("N",))
    outputs = {"wide": x.astype("float32"), "back": y.astype(dtype), "same": x[::-1]}
    every = np.arange(1 << 16, dtype=np.uint16).view(dtype)
    wide = every.astype(np.float32)
    found = dg.Diagram("halves", outputs).compile(target=target).run(x=every, y=wide)
    wanted = {"wide": wide, "back": every, "same": every[::-1]}
    for name, array in wanted.items():
        number = ~np.isnan(array.astype(np.float32))  # a NaN stays one, and may become a quiet one
        assert np.isnan(found[name][~number].astype(np.float32)).all()
        bits = f"u{array.itemsize}"
        np.testing.assert_array_equal(found[name][number].view(bits), array[number].view(bits))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", COMPUTED)
def test_what_moves_elements_keeps_their_dtype(dtype: str, target: Target) -> None:
    x = dg.observed("x", ("N", 5), dtype)
    i = dg.observed("i", ("N",), "uint8")
    mask = dg.constant(np.arange(5) % 2 == 0)
    moved: dict[str, tuple[Callable[[Any], dg.Variable], Callable[[Any], Array]]] = {
        "index": (lambda x: x[1:, ::-2], lambda x: x[1:, ::-2]),
        "transpose": (lambda x: x.T, lambda x: x.T),
        "reshape": (lambda x: x.reshape(-1), lambda x: x.reshape(-1)),
        "flip": (dg.flip, np.flip),
        "pad": (lambda x: dg.pad(x, ((1, 2), (0, 1)), value=3),
                lambda x: np.pad(x, ((1, 2), (0, 1)), constant_values=3)),
        "edge": (lambda x: dg.pad(x, 1, "edge"), lambda x: np.pad(x, 1, "edge")),
        "roll": (lambda x: dg.roll(x, 1, 0), lambda x: np.roll(x, 1, 0)),
        "tile": (lambda x: dg.tile(x, (2, 1)), lambda x: np.tile(x, (2, 1))),
        "repeat": (lambda x: dg.repeat(x, 2, 1), lambda x: np.repeat(x, 2, 1)),
        "take": (lambda x: x[i], lambda x: x[[2, 0, 2]]),
        "columns": (lambda x: dg.take(x, [4, -1, 0], axis=1), lambda x: x[:, [4, -1, 0]]),
        "along": (lambda x: dg.take_along_axis(x, dg.argsort(x), 1), lambda x: np.sort(x, 1)),
        "triu": (dg.triu, np.triu),
        "where": (lambda x: dg.where(mask, x, x[:, ::-1]),
                  lambda x: np.where(np.arange(5) % 2 == 0, x, x[:, ::-1])),
        "concatenate": (lambda x: dg.concatenate([x, x], 1),
                        lambda x: np.concatenate([x, x], 1)),
        "ones": (dg.ones_like, np.ones_like),
        "split": (lambda x: dg.split(x, [2, 3], 1)[1], lambda x: x[:, 2:]),
        "windows": (lambda x: dg.windows(x, 2, axis=1),
                    lambda x: np.lib.stride_tricks.sliding_window_view(x, 2, 1)),
        "stop": (dg.stop_gradient, lambda x: x),
    }  # fmt: skip
    outputs = {name: ours(x) for name, (ours, _) in moved.items()}
    program = dg.Diagram("moves", outputs).compile(target=target)
    array = np.resize(values(dtype), (3, 5)) + np.arange(5).astype(dtype)
    found = program.run(x=array, i=np.array([2, 0, 2], np.uint8))
    for name, (_, numpys) in moved.items():
        assert found[name].dtype == array.dtype, name
        np.testing.assert_array_equal(found[name], numpys(array), err_msg=name)
