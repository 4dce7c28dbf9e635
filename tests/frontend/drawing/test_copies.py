"""Copies: of blocks, whose parameters are new and tied as before, and of programs."""

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ..evaluating import TARGETS, Target
from ..source import draw
from .test_tying import Autoencoder

X = np.random.default_rng(0).normal(size=(5, 4))


def program(net: Any, target: Target = "reference", **options: Any) -> Any:
    x = dg.observed("x", ("B", 4), "float64")
    diagram = dg.Diagram("model", {"y": net(x)}, cost=dg.mean((net(x) - x) ** 2))
    return diagram.compile(target=target, **options)


def test_a_copy_of_a_block_has_new_parameters_tied_as_before() -> None:
    net = Autoencoder()
    twin = copy.deepcopy(net)
    assert list(twin.parameters()) == list(net.parameters()) == ["encoder/weight", "decoder/bias"]
    assert not set(twin.parameters().values()) & set(net.parameters().values())
    assert twin.decoder.parameters()["weight"] is twin.encoder.weight
    assert twin.encoder.path() == "autoencoder/encoder"
    assert twin.encoder.weight.where == net.encoder.weight.where
    assert [n.shape for n in program(twin, optimizer=dg.Adam()).parameters.values()] == [
        (4, 4),
        (4,),
    ]


def test_a_block_and_its_copy_are_trained_apart() -> None:
    net = Autoencoder()
    twin = copy.deepcopy(net)
    x = dg.observed("x", ("B", 4), "float64")
    diagram = dg.Diagram("both", {"y": net(x), "z": twin(x)}, cost=dg.mean(twin(x) ** 2))
    assert list(diagram.parameters) == [
        "autoencoder/encoder/weight", "autoencoder/decoder/bias",
        "autoencoder_2/encoder/weight", "autoencoder_2/decoder/bias",
    ]  # fmt: skip
    both = diagram.compile(optimizer=dg.SGD(0.5), target="reference")
    before = {name: array.copy() for name, array in both.parameters.items()}
    both.step(x=X)
    changed = [n for n, array in both.parameters.items() if not np.array_equal(array, before[n])]
    assert changed == ["autoencoder_2/encoder/weight", "autoencoder_2/decoder/bias"]


@pytest.mark.parametrize("turned", [False, True])
def test_tied_blocks_that_are_copied_together_are_tied(turned: bool) -> None:
    blocks = [dg.Linear(4, 4, bias=False), dg.Linear(4, 4)]
    dg.tie(blocks[0].weight, blocks[1].weight)
    first, second = copy.deepcopy(blocks[::-1] if turned else blocks)
    found = first.parameters()["weight"]
    assert second.parameters()["weight"] is found is not blocks[0].weight


def test_a_block_that_is_copied_without_what_it_is_tied_to_has_its_own() -> None:
    net = Autoencoder()
    twin = copy.deepcopy(net.decoder)
    assert twin.parameters().keys() == {"weight", "bias"}
    assert twin.weight.owner is twin and twin.path() == "linear"
    assert twin.weight is not net.encoder.weight


def test_a_variable_of_nobody_is_copied_with_all_that_hold_it() -> None:
    u = dg.parameter("u", (4, 4))
    net = dg.Chain(dg.Linear(4, 4, weight=u), dg.relu, dg.Linear(4, 4, weight=u), name="net")
    twin: Any = copy.deepcopy(net)
    assert list(twin.parameters()) == ["0/u", "0/bias", "2/bias"]
    assert twin[0].weight is twin[2].weight is not u
    assert twin[1] is dg.relu
    x = dg.observed("x", ("B", 4))
    twin.name = "twin"
    with pytest.raises(dg.NameTakenError, match=r"^parameter 'u' .* the name of parameter 'u' "):
        dg.Diagram("both", net(x) + twin(x))
    twin[0].weight.name = "v"
    assert "v" in dg.Diagram("both", net(x) + twin(x)).parameters


class Positive(dg.Block):
    """A layer whose weight is computed from its own parameter, and one from outside."""

    def __init__(self, outside: Any, scale: Any) -> None:
        self.raw = dg.parameter("raw", (4, 4))
        self.layer = dg.Linear(4, 4, weight=dg.exp(self.raw) * scale, bias=False)
        self.other = dg.Linear(4, 4, weight=outside, bias=False)
        self.memory = dg.state("memory", (2,))

    def forward(self, x: Any) -> Any:
        """Both layers."""
        return self.other(self.layer(x))


def test_what_is_computed_from_copied_parameters_is_computed_anew() -> None:
    scale, observed = dg.constant(2.0), dg.observed("z", (4, 4))
    net = Positive(dg.tanh(observed), scale)
    twin = copy.deepcopy(net)
    assert twin.layer.weight is not net.layer.weight
    assert twin.other.weight is net.other.weight
    assert twin.memory is not net.memory and twin.memory.owner is twin
    assert twin.raw.serial < twin.layer.weight.serial
    x = dg.observed("x", ("B", 4))
    found = dg.Diagram("both", {"y": net(x), "z_": twin(x)})
    assert list(found.observed) == ["z", "x"]
    assert list(found.parameters) == ["positive/raw", "positive_2/raw"]
    values = found.compile(target="reference")
    values.parameters["positive/raw"][...] = 0
    values.parameters["positive_2/raw"][...] = 1
    one = values.run(x=np.eye(4, dtype=np.float32), z=np.eye(4, dtype=np.float32))
    np.testing.assert_allclose(one["z_"], one["y"] * np.e, rtol=1e-6)


def test_what_a_block_computes_from_a_copied_parameter_cannot_be_copied() -> None:
    source = """
    class Net(dg.Block):
        def __init__(self):
            self.u = dg.parameter("u", (3,))
            self.hyper = dg.Linear(3, 4, bias=False)
            self.weight = self.hyper(self.u)
    net = Net()
    """
    net = draw(source)["net"]
    with pytest.raises(dg.DiagramError) as error:
        copy.deepcopy(net)
    assert str(error.value) == (
        "cannot copy what Linear 'net/hyper' (model.py:5) computes from a parameter that is copied "
        "too: compute it in the forward of the block that uses it"
    )


def test_a_shallow_copy_is_one_more_block_of_the_same_parameters() -> None:
    net = Autoencoder()
    twin, layer = copy.copy(net), copy.copy(net.decoder)
    assert twin.parameters() == net.parameters() and layer.path() == "linear"
    x = dg.observed("x", ("B", 4), "float64")
    found = dg.Diagram("both", net(x) + layer(x))
    assert list(found.parameters) == ["autoencoder/encoder/weight", "autoencoder/decoder/bias"]


def test_copies_of_a_function_a_diagram_and_an_observed_variable_are_themselves() -> None:
    x = dg.observed("x", ("B", 4))
    diagram = dg.Diagram("diagram", dg.relu(x))
    kept = [dg.relu, diagram, x, dg.relu(x), dg.constant(1.0)]
    assert all(a is b for a, b in zip(copy.deepcopy(kept), kept, strict=True))


def states(program: Any) -> dict[str, Any]:
    return {name: array.copy() for name, array in program.states.items()}


def assert_same(left: dict[str, Any], right: dict[str, Any]) -> None:
    assert left.keys() == right.keys()
    for name, array in left.items():
        np.testing.assert_array_equal(array, right[name])


@pytest.mark.parametrize("target", TARGETS)
def test_a_copy_of_a_program_goes_on_by_itself(target: Target) -> None:
    """Weights stay tied, and optimizer states and step count are copied with them."""
    first = program(Autoencoder(), target, optimizer=dg.Adam(0.1, weight_decay=0.1))
    for _ in range(2):
        first.step(x=X)
    second = copy.deepcopy(first)
    assert second.diagram is first.diagram
    before = states(first)
    costs = [second.step(x=X) for _ in range(3)]
    assert_same(states(first), before)
    assert second.states["step"] == 5 and len(second.parameters) == 2
    assert [first.step(x=X) for _ in range(3)] == costs
    assert_same(states(first), states(second))
    first.parameters["autoencoder/decoder/bias"][...] = 7
    assert not np.array_equal(first.run(x=X)["y"], second.run(x=X)["y"])


def test_a_shallow_copy_of_a_program_has_the_same_arrays() -> None:
    first = program(Autoencoder(), optimizer=dg.SGD(0.1))
    second = copy.copy(first)
    second.step(x=X)
    assert first.states["step"] == 1
    assert_same(states(first), states(second))


def test_a_program_cannot_be_pickled() -> None:
    with pytest.raises(TypeError) as error:
        pickle.dumps(program(Autoencoder()))
    assert str(error.value) == (
        "program 'model' cannot be pickled: save its arrays with program.save(path), and load them "
        "into a program compiled from the same diagram"
    )


def test_a_bound_block_is_copied_with_its_weights() -> None:
    u = dg.parameter("u", (20,), dtype="float64")
    net = Autoencoder()
    twin = copy.deepcopy(dg.bind(net, dg.tanh(u)))
    assert twin.block is not net
    x = dg.observed("x", ("B", 4), "float64")
    assert list(dg.Diagram("bound", twin(x)).parameters) == ["u"]
