"""Assigning a program's arrays writes into them, where bound and later sizes read them."""

import re
from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ..evaluating import TARGETS, Target

X = np.ones((3, 2), np.float32)


def counting(target: Target = "reference") -> Any:
    """A state that each step adds the mean of x to."""
    h, x = dg.state("h", (2,)), dg.observed("x", ("B", 2))
    following = h + dg.mean(x, axis=0)
    dg.update(h, following)
    cost = dg.sum(following) * 0.0 + dg.sum(dg.parameter("v", (1,)))
    diagram = dg.Diagram("counting", {"n": following}, cost)
    return diagram.compile(dg.SGD(0.1), target)


@pytest.mark.parametrize("target", TARGETS)
def test_an_assigned_state_is_that_of_all_sizes(target: Target) -> None:
    program = counting(target)
    held = program.states["h"]
    for _ in range(2):
        program.step(x=X)
        program.run(x=X)
    program.states["h"] = np.zeros(2, np.float32)
    assert program.states["h"] is held
    program.step(x=X)
    for size in (3, 2, 1):
        np.testing.assert_array_equal(program.run(x=X[:size])["n"], [2.0, 2.0])
    program.states.update(h=[5, 6], step=7)
    np.testing.assert_array_equal(program.run(x=X)["n"], [6.0, 7.0])
    assert program.states["step"] == 7 and held.tolist() == [5, 6]


@pytest.mark.parametrize(
    ("value", "got"),
    [
        (np.zeros(3, np.float32), "float32 (3,)"),
        (np.zeros((1, 2), np.float32), "float32 (1, 2)"),
        (1.0, "float64 ()"),
        (np.zeros(2, np.complex64), "complex64 (2,)"),
        (["a", "b"], "<U1 (2,)"),
        (np.ma.masked_array([5.0, 7.0], [True, False]),
         "a masked array: fill it first, with .filled(...)"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_and_nothing_changed(value: Any, got: str) -> None:
    program = counting()
    with pytest.raises(dg.InputError) as error:
        program.states["h"] = value
    assert str(error.value) == f"state 'h' expects float32 (2,), got {got}"
    assert program.states["h"].tolist() == [0.0, 0.0]
    with pytest.raises(dg.InputError):
        program.parameters["v"] = value


def test_states_are_those_of_the_program() -> None:
    program = counting()
    names = list(program.states)
    with pytest.raises(KeyError, match="no state 'g'; there are v, h, step"):
        program.states["g"] = 0
    for remove in (lambda: program.states.pop("h"), program.states.clear):
        with pytest.raises(TypeError, match="a program's states cannot be removed"):
            remove()
    with pytest.raises(AttributeError):
        program.states = {}
    assert list(program.states) == names == ["v", "h", "step", "optimizer/learning_rate"]
    shown = repr(program.states).splitlines()
    assert shown[:3] == ["States(", "  v: float32 (1,)", "  h: float32 (2,)"]


MASKED = np.ma.masked_array(np.array([1.0, 1e6], np.float32), [False, True])
WHERE = np.ma.masked_array([0, 1], [True, False])


def started(name: str) -> Any:
    """A program with a masked array as the first value of a parameter or state."""
    s = dg.state("s", (2,), MASKED) if name == "s" else dg.parameter("w", (2,), MASKED)
    dg.update(s, s * 2.0) if name == "s" else None
    return dg.Diagram("d", {"y": s * 1.0}).compile()


@pytest.mark.parametrize(
    ("expected", "use"),
    [
        ("constant (test_arrays.py) expects numbers", lambda x: dg.constant(MASKED)),
        ("expects numbers", lambda x: x + MASKED),
        ("parameter 'w' (test_arrays.py) expects initial values", lambda x: started("w")),
        ("state 's' (test_arrays.py) expects a number or an array for its init",
         lambda x: started("s")),
        ("share (test_arrays.py) expects integers as its index",
         lambda x: dg.share(dg.parameter("u", (2,)), WHERE)),
        ("an index (test_arrays.py) expects integers", lambda x: dg.take(x, WHERE, axis=0)),
        ("an index (test_arrays.py) expects integers", lambda x: x[WHERE]),
        ("an index (test_arrays.py) expects integers or bools", lambda x: x[WHERE > 0]),
        ("flatten of Linear (test_arrays.py) expects numbers for 'bias'",
         lambda x: dg.Linear(1, 2).flatten({"weight": np.ones((1, 2)), "bias": MASKED})),
        ("unflatten of Linear (test_arrays.py) expects numbers",
         lambda x: dg.Linear(1, 1).unflatten(MASKED)),
        ("constant (test_arrays.py) expects numbers", lambda x: dg.constant([MASKED, MASKED])),
        ("expects numbers", lambda x: x * [[1.0, np.ma.masked]]),
        ("an index (test_arrays.py) expects integers", lambda x: dg.take(x, [WHERE], axis=0)),
        ("input 'x' (test_arrays.py) expects float32 (2,)",
         lambda x: dg.Diagram("d", x * 1.0).compile().run(x=[1.0, np.ma.masked])),
        ("parameter 'w' expects float32 (2, 2)",
         lambda x: dg.Diagram("d", dg.parameter("w", (2, 2)) * 1.0).compile()
         .parameters.__setitem__("w", [MASKED, MASKED])),
    ],
)  # fmt: skip
def test_masked_arrays_are_taken_nowhere(expected: str, use: Any) -> None:
    """What lies under a mask is not meant to be read, wherever it is given."""
    with pytest.raises((TypeError, dg.InputError)) as error:
        use(dg.observed("x", (2,)))
    text = re.sub(r":\d+\)", ")", str(error.value)).replace("with x.filled", "with .filled")
    assert text.endswith(f"{expected}, got a masked array: fill it first, with .filled(...)")


def test_a_list_that_holds_itself_is_no_array() -> None:
    ring: list[Any] = [MASKED.filled(0.0)]
    ring.append(ring)
    with pytest.raises(TypeError, match=r"constant .* expects numbers, got list"):
        dg.constant(ring)
