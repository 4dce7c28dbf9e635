"""Diagrams: what they hold, in which order, and what is found wrong when one is built."""

from typing import Any

import numpy as np
import pytest

import diagrad as dg

from .evaluating import TARGETS, Target
from .source import draw

X = 'x = dg.observed("x", ("B", 4))\n'
Case = tuple[str, type[Exception], str]

NAMES: dict[str, Case] = {
    "two blocks": (
        f'{X}one = dg.Linear(4, 4, name="fc")(x)\n'
        'dg.Diagram("d", {"y": dg.Linear(4, 4, name="fc")(one)})',
        dg.NameTakenError,
        "Linear 'fc' (model.py:3) has the name of Linear 'fc' (model.py:2): give one of them "
        "another name",
    ),
    "two blocks in one": (
        f'{X}net = dg.Chain(dg.Linear(4, 4, name="fc"), dg.Linear(4, 4, name="fc"), name="net")\n'
        'dg.Diagram("d", {"y": net(x)})',
        dg.NameTakenError,
        "Linear 'net/fc' (model.py:3) has the name of Linear 'net/fc' (model.py:3): give one of "
        "them another name",
    ),
    "two observed variables": (
        f'{X}dg.Diagram("d", {{"y": x + dg.observed("x", ("B", 4))}})', dg.NameTakenError,
        "observed 'x' (model.py:2) has the name of observed 'x' (model.py:1): give one of them "
        "another name",
    ),
    "a parameter and an observed variable": (
        f'{X}dg.Diagram("d", {{"y": x + dg.parameter("x", (4,))}})', dg.NameTakenError,
        "parameter 'x' (model.py:2) has the name of observed 'x' (model.py:1): give one of them "
        "another name",
    ),
    "a name that programs have": (
        f'{X}dg.Diagram("d", {{"y": x + dg.parameter("step", (4,))}})', dg.NameTakenError,
        "parameter 'step' (model.py:2) has the name of the count of a program's steps: give it "
        "another name",
    ),
    "a block's name that programs have": (
        f'{X}dg.Diagram("d", {{"y": dg.Linear(4, 4, name="optimizer")(x)}})', dg.NameTakenError,
        "Linear 'optimizer' (model.py:2) has the name of a program's optimizer: give it another "
        "name",
    ),
    "an output called cost": (
        f'{X}dg.Diagram("d", {{"cost": x}}, cost=x.sum())', dg.NameTakenError,
        "diagram 'd' (model.py:2) has an output called 'cost' beside its cost: call the output "
        "something else",
    ),
}  # fmt: skip

INTERFACES: dict[str, Case] = {
    "neither outputs nor cost": (
        'dg.Diagram("d")', dg.DiagramError,
        "diagram 'd' (model.py:1) expects outputs, a cost or updates, got none of them",
    ),
    "a cost that is no scalar": (
        f'{X}dg.Diagram("d", cost=x)', dg.ShapeError,
        "the cost of diagram 'd' (model.py:2) expects shape (), got (B, 4) from observed 'x' "
        "(model.py:1): take its mean or sum",
    ),
    "a cost that is no float": (
        'i = dg.observed("i", ("B",), "int32")\ndg.Diagram("d", cost=i.sum())', dg.DtypeError,
        "the cost of diagram 'd' (model.py:2) expects a float, got int32 from sum (model.py:2): "
        'convert it with .astype("float32")',
    ),
    "a cost that is a number": (
        'dg.Diagram("d", cost=3.0)', TypeError,
        "diagram 'd' (model.py:1) expects a variable as its cost, got float",
    ),
    "an output that is a number": (
        'dg.Diagram("d", {"y": 3.0})', TypeError,
        "diagram 'd' (model.py:1) expects a variable as output 'y', got float",
    ),
    "outputs in a list": (
        f'{X}dg.Diagram("d", [x])', TypeError,
        "diagram 'd' (model.py:2) expects outputs as one variable or a dict of variables by name, "
        "got list",
    ),
    "no name": (
        f"{X}dg.Diagram(x)", TypeError, "Diagram (model.py:2) expects a name first, got Variable",
    ),
    "nothing computes it": (
        f'{X}v = dg.variable("v", ("B", 4))\ndg.Diagram("d", {{"y": x + v}})', dg.DiagramError,
        "variable 'v' (model.py:2) is computed by nothing: dg.connect it",
    ),
    "nothing computes it in a block": (
        f'{X}y = dg.block(lambda x: x + dg.variable("v", ()))(x)\ndg.Diagram("d", y)',
        dg.DiagramError,
        "variable 'v' (model.py:2) is computed by nothing: dg.connect it",
    ),
    "an optimizer without a cost": (
        f'{X}d = dg.Diagram("d", x)\nd.compile(optimizer=dg.SGD(0.1))', dg.DiagramError,
        "compile of 'd' (model.py:3) expects a diagram with a cost for the optimizer to make "
        "small, got one without: Diagram(..., cost=...) (model.py:2)",
    ),
    "another optimizer": (
        f'{X}d = dg.Diagram("d", cost=x.sum())\nd.compile(optimizer="adam")', TypeError,
        "compile of 'd' (model.py:3) expects an optimizer such as dg.Adam(1e-3), got 'adam'",
    ),
    "another target": (
        f'{X}d = dg.Diagram("d", x)\nd.compile(target="abacus")', dg.InputError,
        "compile of 'd' (model.py:3) expects target cpu, cuda or reference, got 'abacus'",
    ),
    "another dtype": (
        f'{X}d = dg.Diagram("d", x)\nd.compile(dtype="int32")', dg.DtypeError,
        "compile of 'd' (model.py:3) expects dtype float32 or float64, got int32",
    ),
}  # fmt: skip

LOOP = 'v = dg.variable("v", ("B", 4))\n'
CYCLES: dict[str, Case] = {
    "through blocks and operations": (
        f'{X}{LOOP}fc = dg.Linear(4, 4, name="fc")\nz = fc(v)\ny = dg.relu(z + x)\n'
        'dg.connect(v, y)\ndg.Diagram("d", y)',
        dg.CycleError,
        "variable 'v' (model.py:2) depends on itself without a delay, through relu (model.py:5) <- "
        "add (model.py:5) <- Linear 'fc' (model.py:4): put a delay into the loop, or cut one of "
        "these arrows",
    ),
    "of one arrow": (
        f'{LOOP}dg.connect(v, v)\ndg.Diagram("d", v)', dg.CycleError,
        "variable 'v' (model.py:1) depends on itself without a delay: put a delay into the loop, "
        "or cut one of these arrows",
    ),
    "through what a block captured": (
        f'{X}{LOOP}body = dg.block(lambda x: x + v)\ny = body(x)\ndg.connect(v, y)\n'
        'dg.Diagram("d", y)',
        dg.CycleError,
        "variable 'v' (model.py:2) depends on itself without a delay, through <lambda> (model.py:4)"
        ": put a delay into the loop, or cut one of these arrows",
    ),
    "inside of a block": (
        'def body(x):\n    v = dg.variable("v", ())\n    dg.connect(v, dg.exp(v))\n    return x + v'
        f'\n\n{X}dg.Diagram("d", dg.block(body)(x))',
        dg.CycleError,
        "variable 'v' (model.py:2) depends on itself without a delay, through exp (model.py:3): "
        "put a delay into the loop, or cut one of these arrows",
    ),
    "two of them": (
        f'{X}{LOOP}w = dg.variable("w", ("B", 4))\ndg.connect(v, dg.exp(v))\n'
        'dg.connect(w, dg.tanh(w))\ndg.Diagram("d", {"v": v, "w": w, "x": x})',
        dg.DiagramError,
        "diagram 'd' (model.py:6) has 2 mistakes:\n"
        "  1. CycleError: variable 'v' (model.py:2) depends on itself without a delay, through exp "
        "(model.py:4): put a delay into the loop, or cut one of these arrows\n"
        "  2. CycleError: variable 'w' (model.py:3) depends on itself without a delay, through "
        "tanh (model.py:5): put a delay into the loop, or cut one of these arrows",
    ),
}  # fmt: skip

SEVERAL = f"""{X}u = dg.observed("u", ("B",))
a = dg.Linear(5, 2, name="a")(x)
b = dg.Linear(6, 2, name="b")(x)
c = dg.Linear(2, 2, name="c")(a + b) + a
e = dg.Linear(4, 4, name="e")(dg.Linear(4, 4, name="e")(x))
dg.Diagram("d", {{"c": c, "again": c * a, "e": e}}, cost=x)
"""


@pytest.mark.parametrize("name", [*NAMES, *INTERFACES, *CYCLES])
def test_a_mistake(name: str) -> None:
    source, kind, expected = {**NAMES, **INTERFACES, **CYCLES}[name]
    with pytest.raises(kind) as error:
        draw(source)
    assert type(error.value) is kind
    assert str(error.value) == expected


def test_independent_mistakes_are_reported_together_and_each_once() -> None:
    with pytest.raises(dg.DiagramError) as error:
        draw(SEVERAL)
    assert str(error.value) == (
        "diagram 'd' (model.py:7) has 4 mistakes:\n"
        "  1. ShapeError: the cost of diagram 'd' (model.py:7) expects shape (), got (B, 4) from "
        "observed 'x' (model.py:1): take its mean or sum\n"
        "  2. ShapeError: Linear 'a' (model.py:3) expects 5 features, got 4 from observed 'x' "
        "(model.py:1)\n"
        "  3. ShapeError: Linear 'b' (model.py:4) expects 6 features, got 4 from observed 'x' "
        "(model.py:1)\n"
        "  4. NameTakenError: Linear 'e' (model.py:6) has the name of Linear 'e' (model.py:6): "
        "give one of them another name"
    )
    kinds = [type(mistake).__name__ for mistake in error.value.mistakes]
    assert kinds == ["ShapeError", "ShapeError", "ShapeError", "NameTakenError"]


def test_a_mistake_behind_a_variable_drawn_before_its_function() -> None:
    source = f'{X}{LOOP}y = dg.relu(v)\ndg.connect(v, x @ x)\ndg.Diagram("d", y)'
    with pytest.raises(dg.ShapeError) as error:
        draw(source)
    assert str(error.value).startswith("matmul (model.py:4) expects as many columns")


def warnings_of(diagram: dg.Diagram) -> list[str]:
    found = diagram.check()
    assert all(type(item) is dg.UnusedWarning for item in found)
    return list(map(str, found))


def test_an_unused_observed_variable_is_no_mistake_but_is_told() -> None:
    names = draw(f'{X}u = dg.observed("u", ("B",))\nd = dg.Diagram("d", {{"y": dg.relu(x)}})')
    text = "observed 'u' (model.py:2) is used by nothing: use it, or remove it"
    assert warnings_of(names["d"]) == [text]
    assert str(names["d"].summary()).splitlines()[-1] == f"warning           {text}"
    dg.relu(names["u"])
    assert warnings_of(names["d"]) == []


def test_what_a_later_diagram_uses_is_not_unused() -> None:
    source = f'{X}m = dg.observed("m", ("B", 4))\na = dg.Diagram("a", x * 2)\n'
    names = draw(f'{source}b = dg.Diagram("b", x * m)')
    assert warnings_of(names["a"]) == warnings_of(names["b"]) == []
    names = draw(f'{source}b = dg.Diagram("b", {{"x": x, "m": m}})')  # only returned
    assert warnings_of(names["a"]) == warnings_of(names["b"]) == []


def test_two_calls_of_a_building_function() -> None:
    """What one call leaves out is neither a mistake nor a warning of the other's diagram."""
    kept: list[dg.Variable] = []

    def net(masked: bool) -> dg.Variable:
        x, m = dg.observed("x", ("B", 3)), dg.observed("m", ("B", 3))
        kept.extend((x, m))
        return dg.tanh(x) * m if masked else dg.tanh(x)

    for masked in (False, True, False, True):
        found = warnings_of(dg.Diagram("d", net(masked)))
        assert len(found) == (0 if masked else 1)


def test_a_cell_that_is_run_again() -> None:
    """In a notebook the old variables live on: in its list of results, in a traceback."""
    names: dict[str, Any] = {"dg": dg}
    cells = (
        'x, m = dg.observed("x", ("B", 4)), dg.observed("m", ("B", 4))',
        'old = [*globals().get("old", []), x, m]',
        'd = dg.Diagram("d", dg.relu(x))',
        'e = dg.Diagram("e", dg.relu(x) * m)',
    )
    for order in ((0, 1, 2), (0, 1, 2, 3), (2,), (0, 1, 3), (1, 0, 3)):
        for cell in order:
            exec(cells[cell], names)
    assert warnings_of(names["e"]) == []


def test_a_diagram_that_failed_may_be_built_again() -> None:
    source = (
        "def build(width):\n"
        '    x, u = dg.observed("x", ("B", 4)), dg.observed("u", (2,))\n'
        "    y = dg.Linear(width, 2)(x)\n    y.shape\n"
        '    return dg.Diagram("d", {"y": y + u})\n'
    )
    build = draw(source)["build"]
    with pytest.raises(dg.ShapeError) as error:
        build(5)
    assert list(build(4).observed) == ["x", "u"] and warnings_of(build(4)) == []
    del error


def test_observed_and_parameters_are_in_the_order_of_the_drawing() -> None:
    a, b = dg.observed("a", ("B",)), dg.observed("b", ("B",))
    v, w = dg.parameter("v"), dg.parameter("w")
    d = dg.Diagram("d", {"late": b * w, "early": a * v}, cost=dg.mean(a * b))
    assert list(d.observed) == ["a", "b"]
    assert list(d.parameters) == ["v", "w"]
    assert list(d.outputs) == ["late", "early"]
    assert d.parameters["w"] is w


def test_one_output_alone() -> None:
    x = dg.observed("x", ("B",))
    assert list(dg.Diagram("d", x).outputs) == ["x"]
    assert list(dg.Diagram("d", dg.relu(x)).outputs) == ["output"]


def test_what_is_shown_of_it() -> None:
    x = dg.observed("x", ("B", 4))
    d = dg.Diagram("d", {"y": dg.Linear(4, 2, name="fc")(x)}, cost=dg.mean(x))
    assert repr(d) == "<Diagram d: 1 observed, 2 parameters, outputs ['y'], cost>"
    names = draw(f'{X}y = x + 1.0\nz = x @ x\nv = dg.variable("v", (2,))')
    assert {name: repr(names[name]) for name in "xyzv"} == {
        "x": "<observed 'x' (model.py:1): float32 (B, 4)>",
        "y": "<add (model.py:2): float32 (B, 4)>",
        "z": "<matmul (model.py:3): mistake: matmul (model.py:3) expects as many columns on the "
        "left as rows on the right, not 4 and B; given (B, 4) float32 from observed 'x' "
        "(model.py:1) and (B, 4) float32 from observed 'x' (model.py:1)>",
        "v": "<variable 'v' (model.py:4): float32 (2,)>",
    }


def test_diagrams_may_share_variables() -> None:
    x = dg.observed("x", ("B", 4))
    fc = dg.Linear(4, 4, bias=False)
    y = fc(x)
    other = dg.Linear(4, 4, bias=False)
    first = dg.Diagram("first", {"y": y})
    second = dg.Diagram("second", {"y": other(x) + y})
    assert list(first.parameters) == ["linear/weight"]
    assert list(second.parameters) == ["linear/weight", "linear_2/weight"]
    assert second.parameters["linear/weight"] is first.parameters["linear/weight"]


@pytest.mark.parametrize("target", TARGETS)
def test_a_variable_drawn_before_its_function(target: Target) -> None:
    x, v = dg.observed("x", ("B",)), dg.variable("v", ("B",))
    y = v * 2.0
    dg.connect(v, x + 1.0)
    found = dg.Diagram("d", {"y": y}).compile(target=target).run(x=np.arange(3, dtype="f"))
    np.testing.assert_array_equal(found["y"], [2, 4, 6])


@pytest.mark.parametrize("target", TARGETS)
def test_a_named_size_is_a_number_in_an_expression(target: Target) -> None:
    x = dg.observed("x", ("B", 2))
    outputs: dict[str, Any] = {"mean": x.sum(axis=0) / x.shape[0], "more": x.shape[0] * 2 + x}
    program = dg.Diagram("d", outputs).compile(target=target)
    for batch in (2, 5):
        found = program.run(x=np.ones((batch, 2), "f"))
        np.testing.assert_array_equal(found["mean"], [1, 1])
        np.testing.assert_array_equal(found["more"], np.full((batch, 2), 2 * batch + 1))
