"""Python's words on variables: each draws what NumPy would compute, or says what to use instead."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ..evaluating import TARGETS, apply
from ..source import draw

X = 'import math; x, v = dg.observed("x", ("B", 3)), dg.observed("v", (4, 3))\n'
BOOL = (
    "use dg.where(condition, a, b) instead of `if`; &, | and ~ instead of `and`, `or` and `not`; "
    "dg.maximum and dg.minimum instead of max and min; and `is` to ask whether it is the same "
    "variable"
)
NUMBER = (
    "observed 'x' (model.py:1) has no value while the diagram is drawn: make it an output, and run "
    "a program for it; functions of it are those of diagrad, as dg.sin for math.sin"
)
NO_LENGTH = (
    "observed 'x' (model.py:1) of shape (B, 3) cannot be counted, it has no fixed length: use "
    "functions over its first axis, such as dg.sum(x, axis=0), not a loop"
)
CHANGE = (
    "expects an array, got observed 'x' (model.py:1): a variable never changes; use "
)  # fmt: skip


def no_value(what: str) -> str:
    return f"{what} (model.py:2) has no value while the diagram is drawn: {BOOL}"


def numbers(word: str, remedy: str) -> str:
    return f"{word} (model.py:2) expects numbers, got observed 'x' (model.py:1): use {remedy}"


REFUSED = {
    "x in [v, x + 1]": no_value("equal"),
    "[v, x].index(x + 0)": no_value("equal"),
    "x in v": "in (model.py:2) expects a list or a set, got observed 'v' (model.py:1): use "
    "dg.mean(x == y) > 0",
    "x if x > 0.0 else v": no_value("greater"),
    "x > 0.0 and v": no_value("greater"),
    "x > 0.0 or v": no_value("greater"),
    "not x > 0.0": no_value("greater"),
    "0.0 < x < 1.0": no_value("greater"),
    "max(x, x + 1.0)": no_value("greater"),
    "min(x, x + 1.0)": no_value("less"),
    "sorted([x, x + 1.0])": no_value("less"),
    "any([x == x])": no_value("equal"),
    "(x, 1) == (x + 0, 1)": no_value("equal"),
    "{'a': x} == {'a': x + 0}": no_value("equal"),
    "len(x)": NO_LENGTH,
    "list(x)": NO_LENGTH,
    "sum(x)": NO_LENGTH,
    "x[0]; x.__setitem__(0, 1.0)": "assignment to elements (model.py:2) " + CHANGE
    + "dg.where(mask, y, x), dg.put_along_axis(x, index, y), or "
    "x + dg.scatter_add(index, y, size)",
    "x.__delitem__(0)": "del (model.py:2) " + CHANGE + "a slice, or dg.take",
    "float(x)": NUMBER,
    "math.sin(x)": NUMBER,
    "range(x)": NUMBER,
    "f'{x:.2f}'": "observed 'x' (model.py:1) has no value while the diagram is drawn: make it an "
    "output, and format what a run gives",
    "__import__('pickle').dumps(x)": "observed 'x' (model.py:1) cannot be pickled or sent to "
    "another process: draw the diagram there, and send arrays, as in program.parameters",
}  # fmt: skip


@pytest.mark.parametrize("source", REFUSED)
def test_what_cannot_be_done_says_what_to_use(source: str) -> None:
    with pytest.raises(TypeError) as error:
        draw(X + source)
    assert str(error.value) == REFUSED[source]


ATTRIBUTES = {
    "x.item()": "item': it has no value while the diagram is drawn; make it an output, and run a "
    "program for it",
    "x.backward()": "backward': the gradient is a variable of its own, dg.gradient(cost, x)",
    "x.exp()": "exp': use dg.exp(x)",
    "x.softmax(1)": "softmax'",
    "x.unsqueeze(0)": "unsqueeze': use dg.expand_dims(x, axis)",
    "x.size()": "size': use .shape",
    "x.colour": "colour'",
    "x.nonzero()": "nonzero': its size would depend on values; use dg.where(mask, x, 0), or "
    "where=mask in a sum",
    "x.put(0, 1.0)": "put': a variable never changes; use dg.put_along_axis(x, index, values)",
    "x.partition(2)": "partition': use dg.topk(x, k) or dg.sort(x)",
}


@pytest.mark.parametrize("source", ATTRIBUTES)
def test_attributes_that_arrays_have_elsewhere(source: str) -> None:
    with pytest.raises(AttributeError) as error:
        draw(X + source)
    assert str(error.value) == f"observed 'x' (model.py:1) has no attribute '{ATTRIBUTES[source]}"


A = np.array([[1.5, -2.0, 0.5], [0.25, 3.0, 1.5]], np.float32)
B = np.array([[1.5, 2.0, -0.5], [0.25, -1.0, 2.0]], np.float32)
WORDS: dict[str, Any] = {
    "==": lambda x, y: x == y,
    "!=": lambda x, y: x != y,
    "array ==": lambda x, y: x == B,
    "== list": lambda x, y: x == [1.5, -2.0, 3.0],
    "== number": lambda x, y: x == 1.5,
    "^ | &": lambda x, y: (x > 0) ^ (y > 0) | (True & (x == y)),
    "+x": lambda x, y: +x,
    "sum of a list": lambda x, y: sum([x, y, x]),
    "sum over the first axis": lambda x, y: sum(x),
    "reversed": lambda x, y: next(reversed(x)),
    "floor": lambda x, y: np.floor(x) if isinstance(x, np.ndarray) else math.floor(x),
    "ceil": lambda x, y: np.ceil(x) if isinstance(x, np.ndarray) else math.ceil(x),
}  # fmt: skip


@pytest.mark.parametrize("name", WORDS)
def test_what_works_is_as_in_numpy(name: str) -> None:
    expected = np.asarray(WORDS[name](A, B))
    x, y = dg.observed("x", A.shape), dg.observed("y", B.shape)
    diagram = dg.Diagram("d", {"value": WORDS[name](x, y), "x": x, "y": y})
    value = diagram.compile().run(x=A, y=B)["value"]
    assert value.dtype == expected.dtype
    np.testing.assert_array_equal(value, expected)


@pytest.mark.parametrize("one", ["int32", "int64", "uint32"])
@pytest.mark.parametrize("other", ["int32", "int64", "uint32"])
def test_integers_of_different_dtypes_are_compared_as_numbers(one: str, other: str) -> None:
    top = {name: np.iinfo(name).max for name in (one, other)}
    x = np.array([0, 1, 2**31 - 1, top[one]], one)
    y = np.array([0, 2, 2**31 - 1, top[other]], other)
    for function in (np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal):
        for target in TARGETS:
            value = apply(function, x, y, target=target)
            np.testing.assert_array_equal(value, function(x.astype(object), y.astype(object)))


def test_floats_beside_integers_are_not_promoted() -> None:
    with pytest.raises(dg.DtypeError) as error:
        draw('dg.Diagram("d", dg.observed("x", (2,)) == dg.observed("i", (2,), "int32"))')
    assert str(error.value).startswith("equal (model.py:1) expects operands of one dtype")


@pytest.mark.parametrize("labels", ["int32", "int64"])
def test_accuracy_in_one_line(labels: str) -> None:
    scores = np.array([[1.0, 2.0], [3.0, 0.0], [0.0, 1.0], [2.0, 1.0]], np.float32)
    right = np.array([1, 0, 0, 0], labels)
    value = apply(lambda s, y: dg.mean(dg.argmax(s, axis=1) == y), scores, right)
    assert value == 0.75 and value.dtype == np.float32


def test_variables_in_sets_and_dicts_are_themselves() -> None:
    x, y = dg.observed("x", ("B",)), dg.observed("y", ("B",))
    twins = [x + 0.0 for _ in range(100)]
    assert len({x, y, *twins, x}) == 102
    places = {item: i for i, item in enumerate(twins)}
    assert [places[item] for item in twins] == list(range(100))
    assert x in {x} and y not in {x} and x in [x, y] and (x, 1) == (x, 1)
    assert copy.copy(x) is x and hash(x) == hash(x)


def test_what_is_no_number_is_compared_as_an_object() -> None:
    x = dg.observed("x", ("B",))
    others: list[Any] = [None, "x", object(), dg.Linear(1, 1), {"x": 1}]
    for other in others:
        assert (x == other) is False and (x != other) is True


def test_a_comparison_with_a_mistake_carries_it() -> None:
    x = dg.observed("x", ("B", 3))
    wrong = (x @ x) == x
    assert len(wrong.mistakes) == 1
