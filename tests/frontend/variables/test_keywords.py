"""What a newcomer writes: other libraries' keywords, lists of blocks, blocks with names."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import diagrad as dg
from diagrad.frontend.keywords import ELSEWHERE

from ..source import draw

X = 'x, labels = dg.observed("x", ("B", 3)), dg.observed("labels", ("B",), "int32")\n'
REDUCED = "(model.py:2) expects the arguments x, axis, keepdims"
ERRORS = {
    "dg.sum(x, dim=1)": f"sum {REDUCED}, dtype, where, got dim=: use axis=",
    "dg.mean(x, axis=1, keepdim=True)": f"mean {REDUCED}, where, got keepdim=: use keepdims=",
    "x.sum(dim=1)": f"sum {REDUCED}, dtype, where, got dim=: use axis=",
    "dg.logsumexp(x, keepdim=True)": f"logsumexp {REDUCED}, got keepdim=: use keepdims=",
    "dg.softmax(x, dim=1)": "softmax (model.py:2) expects the arguments x, axis, got dim=: use "
    "axis=",
    "dg.flatten(x, start_dim=1)": "flatten (model.py:2) expects the arguments x, start, end, got "
    "start_dim=: use start=",
    "dg.concatenate([x, x], axs=1)": "concatenate (model.py:2) expects the arguments parts, axis, "
    "got axs=: use axis=",
    "dg.cross_entropy(x, target=labels)": "cross_entropy (model.py:2) expects the arguments "
    "scores, labels, reduction, weight, ignore_index, label_smoothing, axis, got target=: use "
    "labels=",
    "dg.pixel_shuffle(x, upscale_factor=2)": "pixel_shuffle (model.py:2) expects the arguments x, "
    "factor, got upscale_factor=: use factor=",
    "dg.ctc(x, labels, target_lengths=labels)": "ctc (model.py:2) expects the arguments "
    "log_probabilities, labels, lengths, label_lengths, blank, reduction, zero_infinity, got "
    "target_lengths=: use label_lengths=",
    "dg.leaky_relu(x, negative_slope=0.1)": "leaky_relu (model.py:2) expects the arguments x, "
    "slope, got negative_slope=: use slope=",
    'dg.observed("y", requires_grad=True)': "observed (model.py:2) expects the arguments name, "
    "shape, dtype, got requires_grad=: leave it out, dg.gradient takes any variable",
    'dg.parameter("w", device="cuda")': "parameter (model.py:2) expects the arguments name, shape, "
    "init, dtype, got device=: leave it out, a program runs on the processor",
    "dg.Adam(lr=1e-3)": "Adam (model.py:2) expects the arguments learning_rate, betas, epsilon, "
    "weight_decay, clip, parameters, amsgrad, maximize, got lr=: use learning_rate=",
    "dg.RMSprop(0.1, eps=1e-7)": "RMSprop (model.py:2) expects the arguments learning_rate, decay, "
    "epsilon, momentum, weight_decay, clip, parameters, centered, epsilon_in_root, maximize, "
    "got eps=: use epsilon=",
    "dg.Linear(3, out_features=2)": "Linear (model.py:2) expects the arguments inputs, outputs, "
    "bias, weight_init, bias_init, weight, dtype, name, got out_features=: use outputs=",
    "dg.Flatten(colour=2)": "Flatten (model.py:2) expects the arguments start, name, got colour=",
    'dg.Diagram("d", x).compile(lr=0.1)': "compile (model.py:2) expects the arguments optimizer, "
    "target, dtype, seed, threads, unroll, got lr=: use optimizer=",
    "dg.relu()": "relu (model.py:2) expects x, got nothing: where a block is expected, give the "
    "function itself, relu, or lambda x: relu(x, ...) with options",
    "dg.relu(x, 0.1)": "relu (model.py:2) expects x, got 2 arguments: too many positional "
    "arguments",
    "dg.cross_entropy(x)": "cross_entropy (model.py:2) expects scores, labels, reduction, "
    "weight, ignore_index, label_smoothing, axis, got 1 "
    "argument: missing a required argument: 'labels'",
    "dg.Chain(dg.Linear(3, 3), dg.leaky_relu(0.1))": "Chain (model.py:2) expects blocks and "
    "functions of one variable, got leaky_relu (model.py:2) as block 1: give the function itself, "
    "or lambda x: f(x, ...) with options",
    "dg.Chain(dg.Linear)": "Chain (model.py:2) expects blocks and functions of one variable, got "
    "the class Linear as block 0: make a block of it, Linear(...)",
    'dg.Chain(dg.relu, 3, name="net")': "Chain 'net' (model.py:2) expects blocks and functions of "
    "one variable, got int as block 1",
    "dg.Chain([dg.relu], [dg.relu])": "Chain (model.py:2) expects blocks and functions of one "
    "variable, got list as block 0: give one list, or the blocks themselves",
    "dg.Linear(3, 3)(x, training=True)": "Linear (model.py:2) expects the arguments x, got "
    "training=",
    "dg.TransformerDecoderLayer(3, 1)(x, x, memory_key_padding_mask=x)": "TransformerDecoderLayer "
    "(model.py:2) expects the arguments x, memory, mask, memory_mask, lengths, memory_lengths, got "
    "memory_key_padding_mask=: use memory_lengths=",
    "dg.Linear(3, 3, name=3)": "Linear (model.py:2) expects a name that is a text, got 3",
}


@pytest.mark.parametrize("source", ERRORS)
def test_what_is_written_elsewhere(source: str) -> None:
    with pytest.raises(TypeError) as error:
        draw(X + source)
    assert str(error.value) == ERRORS[source]


def test_every_public_function_tells_a_keyword_that_it_does_not_have() -> None:
    for name in dg.__all__:
        function = getattr(dg, name)
        if not inspect.isfunction(function):
            continue
        words = inspect.signature(function).parameters.values()
        if any(item.kind is item.VAR_KEYWORD for item in words):
            continue
        with pytest.raises(TypeError, match=rf"^{name} \(test_keywords.py:\d+\) expects the argum"):
            function(no_such_word=1)


def test_the_table_names_what_functions_have() -> None:
    known: set[str] = set()
    for function in [*vars(dg).values(), *vars(dg.augment).values()]:
        try:
            known |= set(inspect.signature(function).parameters)
            known |= set(inspect.signature(getattr(function, "forward", function)).parameters)
        except (TypeError, ValueError):  # a module, and NumPy's dtypes
            continue
    known |= set(inspect.signature(dg.Diagram.compile).parameters)
    assert {word for words in ELSEWHERE.values() for word in words} <= known


def test_a_list_of_blocks_is_a_chain() -> None:
    blocks = [dg.Linear(3, 4), dg.relu, dg.Linear(4, 2)]
    one, other = dg.Chain(blocks, name="net"), dg.Chain(*blocks)
    assert one.blocks == other.blocks and list(one.parameters()) == list(other.parameters())


class Plain(dg.Block):
    def forward(self, x: dg.Variable) -> dg.Variable:
        return x


class Inner(dg.Block):
    def __init__(self, width: int) -> None:
        self.inner = dg.Linear(width, width)

    def forward(self, x: dg.Variable) -> dg.Variable:
        return self.inner(x)


class Swallowing(Inner):
    def __init__(self, width: int, name: str | None = None) -> None:
        super().__init__(width)


class Square(dg.Linear):
    def __init__(self, width: int, **options: Any) -> None:
        super().__init__(width, width)


class Naming(Inner):
    def __init__(self, width: int, name: str = "own") -> None:
        self.name = f"my_{name}"
        super().__init__(width)


NAMED: list[Any] = [
    lambda name: Plain(name=name),
    lambda name: Inner(3, name=name),  # type: ignore[call-arg]
    lambda name: Swallowing(3, name=name),
    lambda name: Square(3, name=name),
    lambda name: dg.Linear(3, 3, name=name),
    lambda name: dg.Chain(dg.relu, name=name),
    lambda name: dg.Flatten(name=name),
    lambda name: dg.LocallyConnected2d(1, 1, 3, 2, name=name),
    lambda name: dg.Hypernetwork(dg.Linear(3, 12), dg.Linear(3, 3), name=name),
    lambda name: dg.RNN(3, 3, name=name),
    lambda name: dg.GRU(3, 3, name=name),
    lambda name: dg.LSTM(3, 3, name=name),
    lambda name: dg.RNNCell(3, 3, name=name),
    lambda name: dg.GRUCell(3, 3, name=name),
    lambda name: dg.LSTMCell(3, 3, name=name),
    lambda name: dg.LeakyIntegrator(3, 0.1, name=name),
    lambda name: dg.NeuralODE(dg.Linear(3, 3), 0.1, 2, name=name),
    lambda name: dg.AdditiveAttention(3, 3, 3, name=name),
    lambda name: dg.Embedding(3, 3, name=name),
    lambda name: dg.Encoder(3, 3, 3, name=name),
    lambda name: dg.EncoderDecoder(3, 3, 3, 3, name=name),
    lambda name: dg.block(lambda x: x, name=name),
    lambda name: dg.cost(lambda x: dg.mean(x), name=name),
]


@pytest.mark.parametrize("make", NAMED)
def test_every_block_takes_a_name(make: Any) -> None:
    block = make(name="mine")
    assert block.name == "mine" and "mine" in block.describe()
    assert all(isinstance(item, dg.Variable) for item in block.parameters().values())
    assert make(None).name != "mine"


def test_a_name_that_a_block_makes_itself_stays() -> None:
    assert Naming(3, name="b").name == "my_b" and Naming(3).name == "my_own"


def test_the_name_is_known_while_a_block_is_made() -> None:
    with pytest.raises(
        dg.ShapeError, match=r"^Linear 'mine' \(test_keywords.py:\d+\) expects weig"
    ):
        dg.Linear(3, 3, weight=dg.observed("w", (2, 2)), name="mine")


SHOWN = {
    'dg.Linear(64, 10, name="fc")': "<Linear 'fc': inputs=64, outputs=10; weight (64, 10), bias "
    "(10,); 650 parameters>",
    "dg.Linear(2, 1, bias=False)": "<Linear: inputs=2, outputs=1; weight (2, 1); 2 parameters>",
    "dg.Flatten()": "<Flatten: start=1>",
    "dg.relu": "<block relu(x)>",
    "dg.leaky_relu": "<block leaky_relu(x, slope=0.01)>",
    "dg.Chain(dg.Linear(3, 2), dg.relu, dg.tanh)": "<Chain: 8 parameters\n"
    "  0  Linear: inputs=3, outputs=2; weight (3, 2), bias (2,)\n"
    "  1  relu\n"
    "  2  tanh>",
    'dg.LSTM(3, 4, name="l")': "<LSTM 'l': inputs=3, hidden=4; 128 parameters\n"
    "  l0  LSTMCell: inputs=3, hidden=4; weight (3, 16), recurrent (4, 16), bias (16,)>",
    'dg.bind(dg.Linear(3, 2), dg.parameter("v", (8,)))': "<Linear with weight, bias of parameter "
    "'v' (model.py:1)>",
}


@pytest.mark.parametrize("source", SHOWN)
def test_a_block_shows_what_it_is(source: str) -> None:
    assert repr(draw(f"y = {source}")["y"]) == SHOWN[source]


SQUASHED = {
    "dg.cross_entropy(dg.softmax(x), labels)": "cross_entropy (model.py:2) expects scores as they "
    "are, got softmax (model.py:2): leave the softmax out",
    "dg.cross_entropy(dg.Chain(dg.Linear(3, 3), dg.softmax)(x), labels)": "cross_entropy "
    "(model.py:2) expects scores as they are, got softmax (model.py:2): leave the softmax out",
    "dg.nll(dg.softmax(x), labels)": "nll (model.py:2) expects log-probabilities, got softmax "
    "(model.py:2): use dg.log_softmax",
    "dg.binary_cross_entropy(dg.sigmoid(x), x)": "binary_cross_entropy (model.py:2) expects scores "
    "as they are, got sigmoid (model.py:2): leave the sigmoid out",
}


@pytest.mark.parametrize("source", SQUASHED)
def test_scores_that_are_squashed_twice(source: str) -> None:
    with pytest.warns(dg.DiagramWarning) as found:
        draw(X + source)
    assert [str(item.message) for item in found] == [SQUASHED[source]]
    assert found[0].filename == "model.py" and found[0].lineno == 2


def test_scores_that_are_not() -> None:
    draw(X + "dg.cross_entropy(dg.tanh(x), labels); dg.nll(dg.log_softmax(x), labels)")
    draw(X + "dg.cross_entropy(dg.softmax(x) @ np.ones((3, 3), np.float32), labels)")


def test_functions_of_a_list() -> None:
    for function in (dg.softplus, dg.leaky_relu, dg.elu, dg.gelu, dg.silu, dg.softmax, dg.relu):
        found = dg.Diagram("d", function([0.0, 1.0])).compile().run()
        (value,) = found.values()
        assert value.shape == (2,) and np.isfinite(value).all()
