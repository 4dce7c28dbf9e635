"""Blocks: what their parameters are called, how they nest and are shared, and their mistakes."""

from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ..evaluating import TARGETS, Target, run
from ..source import draw, mistake_in

RESIDUAL = """
class Residual(dg.Block):
    def __init__(self, width, name=None):
        self.name = name
        self.inner = dg.Linear(width, width)

    def forward(self, x):
        return x + dg.relu(self.inner(x))

"""
SCALED = """
class Scaled(dg.Block):
    def __init__(self, width, name=None):
        self.name = name
        self.scale = dg.parameter("scale", (width,))

    def forward(self, x):
        return x * self.scale

"""
X = 'x = dg.observed("x", ("B", 4))\n'


class Residual(dg.Block):
    """x + relu(inner(x))."""

    def __init__(self, width: int, name: str | None = None) -> None:
        self.name = name
        self.inner = dg.Linear(width, width)

    def forward(self, x: Any) -> Any:
        return x + dg.relu(self.inner(x))


class Many(dg.Block):
    """Blocks and parameters in a list, a dict, and a tuple."""

    def __init__(self) -> None:
        self.layers = [dg.Linear(4, 4, bias=False) for _ in range(2)]
        self.heads = {"left": Residual(4), "right": dg.Linear(4, 4, bias=False, name="other")}
        self.gains = (dg.parameter("gain", ()), dg.parameter("offset", ()))

    def forward(self, x: Any) -> Any:
        for layer in self.layers:
            x = layer(x)
        gain, offset = self.gains
        return {name: gain * head(x) + offset for name, head in self.heads.items()}


def paths(outputs: Any) -> list[str]:
    return list(dg.Diagram("test", outputs).parameters)


def observed() -> Any:
    return dg.observed("x", ("B", 4))


def test_a_parameter_is_called_by_its_path() -> None:
    net = dg.Chain(Residual(4), dg.relu, dg.Linear(4, 1), name="net")
    assert paths(net(observed())) == [
        "net/0/inner/weight", "net/0/inner/bias", "net/2/weight", "net/2/bias",
    ]  # fmt: skip


def test_lists_tuples_and_dicts_of_blocks() -> None:
    outputs = Many()(observed())
    assert list(outputs) == ["left", "right"]
    assert paths(outputs) == [
        "many/layers/0/weight", "many/layers/1/weight", "many/heads/left/inner/weight",
        "many/heads/left/inner/bias", "many/other/weight", "many/gain", "many/offset",
    ]  # fmt: skip


def test_parameters_of_a_block_are_named_below_it() -> None:
    many = Many()
    assert list(many.parameters()) == [
        "layers/0/weight", "layers/1/weight", "heads/left/inner/weight", "heads/left/inner/bias",
        "heads/right/weight", "gains/gain", "gains/offset",
    ]  # fmt: skip
    net = dg.Chain(dg.relu, dg.Linear(4, 2))
    assert {name: item.shape for name, item in net.parameters().items()} == {
        "1/weight": (4, 2), "1/bias": (2,),
    }  # fmt: skip


def test_blocks_without_a_name_are_numbered() -> None:
    x = observed()
    blocks = [dg.Linear(4, 4, bias=False), Residual(4), dg.Linear(4, 4, bias=False), Residual(4)]
    y, z = blocks[2](blocks[1](x)), blocks[3](blocks[0](x))
    assert paths({"z": z, "y": y}) == [  # in the order in which they were applied
        "linear_2/weight", "residual/inner/weight", "residual/inner/bias",
        "linear/weight", "residual_2/inner/weight", "residual_2/inner/bias",
    ]  # fmt: skip


def test_a_number_never_takes_a_name_that_was_given() -> None:
    first = dg.Linear(4, 4, bias=False)
    second = dg.Linear(4, 4, bias=False, name="linear")
    third = dg.Linear(4, 4, bias=False, name="linear_2")
    assert paths(third(second(first(observed())))) == [
        "linear_3/weight", "linear/weight", "linear_2/weight",
    ]  # fmt: skip


@pytest.mark.parametrize("target", TARGETS)
def test_a_shared_block_has_one_set_of_parameters(target: Target) -> None:
    shared = dg.Linear(4, 4, bias=False, name="shared")
    diagram = dg.Diagram("test", {"y": shared(dg.tanh(shared(observed())))})
    program = diagram.compile(target=target)
    assert list(program.parameters) == ["shared/weight"]
    weight = program.parameters["shared/weight"]
    x = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    wanted = np.tanh(x @ weight) @ weight
    np.testing.assert_allclose(program.run(x=x)["y"], wanted, rtol=1e-5, atol=1e-6)


def test_a_block_in_two_others_keeps_its_first_place() -> None:
    shared = dg.Linear(4, 4, bias=False)
    first, second = dg.Chain(shared, name="first"), dg.Chain(dg.relu, shared, name="second")
    assert paths(second(first(observed()))) == ["first/0/weight"]
    assert list(second.parameters()) == ["1/weight"]


def test_a_chain_is_a_sequence() -> None:
    layer = dg.Linear(4, 4)
    chain = dg.Chain(layer, dg.relu)
    assert len(chain) == 2 and chain[0] is layer and chain[1] is dg.relu and chain[-1] is dg.relu
    with pytest.raises(IndexError):
        chain[2]


@pytest.mark.parametrize("target", TARGETS)
def test_a_function_as_a_block_with_options(target: Target) -> None:
    @dg.block
    def swish(x: Any, beta: float = 1.0, *, square: bool = False) -> Any:
        """An activation."""
        y = x * dg.sigmoid(beta * x)
        return y * y if square else y

    assert swish.__doc__ == "An activation."
    x = observed()
    value = np.linspace(-2, 2, 8, dtype=np.float32).reshape(2, 4)
    outputs = {"plain": swish(x), "steep": swish(x, beta=3.0), "squared": swish(x, square=True)}
    found = run(outputs, target, x=value)
    plain = value / (1 + np.exp(-value))
    np.testing.assert_allclose(found["plain"], plain, rtol=1e-5)
    np.testing.assert_allclose(found["steep"], value / (1 + np.exp(-3 * value)), rtol=1e-5)
    np.testing.assert_allclose(found["squared"], plain**2, rtol=1e-5)


@pytest.mark.parametrize("target", TARGETS)
def test_several_outputs_keep_their_form(target: Target) -> None:
    @dg.block
    def polar(x: Any, y: Any) -> Any:
        return {"radius": dg.sqrt(x * x + y * y), "parts": [x, (y, "a text")]}

    x, y = observed(), dg.observed("y", ("B", 4))
    found = polar(x, y)
    assert found["parts"][1][1] == "a text"
    outputs = {"radius": found["radius"], "x": found["parts"][0], "y": found["parts"][1][0]}
    values = run(outputs, target, x=np.full((1, 4), 3.0, "f"), y=np.full((1, 4), 4.0, "f"))
    assert [value[0, 0] for value in values.values()] == [5.0, 3.0, 4.0]


@pytest.mark.parametrize("target", TARGETS)
def test_inputs_in_lists_dicts_and_keywords(target: Target) -> None:
    @dg.block
    def weighted(parts: list[Any], by: dict[str, Any], shift: Any) -> Any:
        return parts[0] * by["left"] + parts[1] * by["right"] + shift

    x, y = observed(), dg.observed("y", ("B", 4))
    found = weighted([x, y], {"left": 2.0, "right": y}, shift=x)
    value = run({"z": found}, target, x=np.full((1, 4), 3.0, "f"), y=np.full((1, 4), 5.0, "f"))
    assert value["z"][0, 0] == 3 * 2 + 5 * 5 + 3


@pytest.mark.parametrize("target", TARGETS)
def test_a_block_may_use_variables_from_outside(target: Target) -> None:
    x, scale = observed(), dg.parameter("scale", (4,), init=2.0)
    outer = dg.exp(x) * scale

    @dg.block
    def inner(x: Any) -> Any:
        return x + outer

    diagram = dg.Diagram("test", {"y": inner(inner(x))}, cost=dg.mean(inner(x)))
    assert list(diagram.parameters) == ["scale"]
    program = diagram.compile(optimizer=dg.SGD(1.0), target=target)
    found = program.run(x=np.zeros((1, 4), "f"))
    np.testing.assert_array_equal(found["y"], np.full((1, 4), 4.0))
    program.step(x=np.zeros((1, 4), "f"))  # the gradient reaches what was captured
    np.testing.assert_allclose(program.parameters["scale"], np.full(4, 1.75))


def test_a_block_inside_of_a_function_is_numbered_like_others() -> None:
    @dg.block
    def twice(x: Any) -> Any:
        first = dg.Linear(4, 4, bias=False)
        return dg.Linear(4, 4, bias=False)(first(x))

    assert paths(twice(observed())) == ["linear/weight", "linear_2/weight"]


MISTAKES: dict[str, tuple[str, type[Exception], str]] = {
    "a layer": (
        'x = dg.observed("x", ("B", 16, 4, 4))\nflat = dg.Flatten(name="flat")(x)\n'
        'y = dg.Linear(400, 120, name="fc1")(flat)',
        dg.ShapeError,
        "Linear 'fc1' (lenet.py:3) expects 400 features, got 256 from Flatten 'flat' (lenet.py:2)",
    ),
    "a layer in a block": (
        f'{RESIDUAL}{X}body = Residual(5, name="body")\ny = body(x)', dg.ShapeError,
        "Linear 'body/inner' (lenet.py:7) in Residual 'body' (lenet.py:11) expects 5 features, got "
        "4 from observed 'x' (lenet.py:9)",
    ),
    "an operation in a block": (
        f'{SCALED}{X}y = Scaled(5, name="gain")(x)', dg.ShapeError,
        "multiply (lenet.py:7) in Scaled 'gain' (lenet.py:10) expects shapes that broadcast, got "
        "(B, 4) float32 from observed 'x' (lenet.py:9) and (5,) float32 from parameter "
        "'gain/scale' (lenet.py:4): axis -1 has 4 and 5 elements",
    ),
    "a block in a chain": (
        f'{SCALED}{X}y = dg.Chain(dg.relu, Scaled(5), name="net")(x)', dg.ShapeError,
        "multiply (lenet.py:7) in Scaled 'net/1' (lenet.py:10) expects shapes that broadcast, got "
        "(B, 4) float32 from relu (lenet.py:10) and (5,) float32 from parameter 'net/1/scale' "
        "(lenet.py:4): axis -1 has 4 and 5 elements",
    ),
    "an operation in a function": (
        'flag = dg.observed("flag", (), "bool")\ny = dg.relu(flag)', dg.DtypeError,
        "maximum (lenet.py:2) in relu (lenet.py:2) expects operands of one dtype, got () bool from "
        "observed 'flag' (lenet.py:1) and () float32 from constant (lenet.py:2): convert one with "
        ".astype(...), nothing is promoted silently",
    ),
    "a mistake that forward finds": (
        "class Square(dg.Block):\n    def forward(self, x):\n"
        '        raise dg.ShapeError("expects as many rows as columns")\n'
        f'{X}square = Square()\nsquare.name = "sq"\ny = square(x)',
        dg.ShapeError,
        "in Square 'sq' (lenet.py:7): expects as many rows as columns",
    ),
    "a mistake used again": (
        f"{X}\ndef ask(x):\n    y = x @ x\n    return y + y.shape[0]\n\ny = dg.block(ask)(x)",
        dg.ShapeError,
        "matmul (lenet.py:4) in ask (lenet.py:7) expects as many columns on the left as rows on "
        "the right, not 4 and B; given (B, 4) float32 from observed 'x' (lenet.py:1) and (B, 4) "
        "float32 from observed 'x' (lenet.py:1)",
    ),
    "no forward": (
        f"class Empty(dg.Block):\n    pass\n{X}y = Empty()(x)", TypeError,
        "Empty (lenet.py:4) has no forward: write `def forward(self, x): ...` in its class",
    ),
    "forward returns nothing": (
        "class Mute(dg.Block):\n    def forward(self, x):\n        dg.relu(x)\n"
        f"{X}y = dg.Chain(Mute(), name='net')(x)",
        TypeError,
        "Mute 'net/0' (lenet.py:5) expects its forward to return variables, got NoneType",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake(name: str) -> None:
    source, kind, expected = MISTAKES[name]
    assert str(mistake_in(source, kind, "lenet.py")) == expected


def test_the_place_is_said_once() -> None:
    """A mistake that passes through other blocks is not theirs."""
    names = draw(f"{SCALED}{X}y = Scaled(5, name='gain')(x)\nz = Scaled(5, name='next')(y)")
    (mistake,) = names["z"].mistakes
    assert mistake is names["y"].mistakes[0]
    assert str(mistake).startswith("multiply (model.py:7) in Scaled 'gain' (model.py:10) expects")
    captured = draw(f"{X}y = x @ x\nz = dg.block(lambda x: x + y.sum())(x)")
    (mistake,) = captured["z"].mistakes
    assert str(mistake).startswith("matmul (model.py:2) expects")
    asked = draw(f"{X}y = x @ x\nz = dg.block(lambda x: x + y.shape[0])(x)")
    (mistake,) = asked["z"].mistakes
    assert str(mistake).startswith("matmul (model.py:2) expects")
