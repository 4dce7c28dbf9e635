"""dg.generate: what is written is what a model writes that reads the whole text at every step."""

import gc
import threading
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import diagrad as dg
from diagrad.frontend.library.attention.continuing import continuation, continued_by

from .evaluating import TARGETS, Array, Target

V, ROOM = 11, 40


class Layer(dg.Block):
    """A causal layer of a Transformer, the norm first."""

    def __init__(self, features: int, heads: int, **options: Any) -> None:
        self.attention = dg.MultiHeadAttention(
            features, heads, causal=True, dtype="float64", **options
        )
        self.norm = dg.LayerNorm(features, dtype="float64")
        self.linear = dg.Linear(features, features, dtype="float64")

    def forward(self, x: Any) -> Any:
        x = x + self.attention(self.norm(x))
        return x + dg.gelu(self.linear(x))


class Model(dg.Block):
    """Symbols -> scores, float64."""

    def __init__(self, *inner: Any, width: int = 8, batch_first: bool = True) -> None:
        self.name = "model"
        normal = dg.init.normal(0.0, 1.0)
        self.embedding = dg.Embedding(V, width, weight_init=normal, dtype="float64")
        self.inner = inner
        self.output = dg.Linear(width, V, weight_init=normal, dtype="float64")

    def forward(self, symbols: Any) -> Any:
        x = self.embedding(symbols)
        for item in self.inner:
            x = item(x)
        return self.output(x)


class Outputs(dg.Block):
    """A recurrent network without its state."""

    def __init__(self, net: Any) -> None:
        self.net = net

    def forward(self, x: Any) -> Any:
        return self.net(x)[0]


class Whole(dg.Block):
    """A model that keeps nothing but the symbols, and reads all of them at every step."""

    def __init__(self, model: Any, time: int = 1) -> None:
        self.model, self.time = model, time

    def forward(self, symbols: Any) -> Any:
        steps, time = continuation(), self.time
        assert steps is not None
        before: Any = steps.before(self)
        if before is None:
            rest = list(symbols.shape)
            rest[time] = ROOM - symbols.shape[time]
            steps.after(self, (dg.concatenate([symbols, dg.fill(0, tuple(rest), "int32")], time),))
            with continued_by(None):  # type: ignore[arg-type]
                return self.model(symbols)
        at = dg.reshape(
            dg.arange(ROOM, dtype="int32") == steps.start, (ROOM,) if time else (ROOM, 1)
        )
        now = dg.where(at, symbols, before[0])
        steps.after(self, (now,))
        with continued_by(None):  # type: ignore[arg-type]
            scores = self.model(now)
        at = dg.reshape(dg.astype(at, "float64"), (ROOM, 1) if time else (ROOM, 1, 1))
        return dg.sum(scores * at, axis=time, keepdims=True)


def rnn(kind: Any, **options: Any) -> Outputs:
    return Outputs(kind(8, 8, dtype="float64", batch_first=True, **options))


MODELS: dict[str, Any] = {
    "learned": lambda: Model(dg.LearnedEncoding(ROOM, 8, dtype="float64"), Layer(8, 2)),
    "sinusoidal": lambda: Model(dg.SinusoidalEncoding(), Layer(8, 2), Layer(8, 1)),
    "rotary": lambda: Model(Layer(8, 2, rotary=True), Layer(8, 4, rotary=True)),
    "twice": lambda: Model(*[Layer(8, 2, rotary=True)] * 2),
    "elman": lambda: Model(rnn(dg.RNN)),
    "gru": lambda: Model(rnn(dg.GRU, layers=2)),
    "lstm": lambda: Model(rnn(dg.LSTM)),
    "both": lambda: Model(dg.SinusoidalEncoding(), Layer(8, 2), rnn(dg.LSTM)),
}


def compiled(model: Any, target: Target = "cpu", time: int = 1, **options: Any) -> Any:
    symbols = dg.observed("symbols", ("B", "T") if time else ("T", "B"), "int32")
    return dg.Diagram("text", {"scores": model(symbols)}).compile(target=target, seed=1, **options)


def prompts(samples: int, steps: int) -> Array:
    return np.random.default_rng(samples + steps).integers(0, V, (samples, steps))


def greedy(program: Any, symbols: Array, steps: int) -> Array:
    """What a model writes that reads the whole text at every step."""
    text = symbols.astype(np.int32)
    for _ in range(steps):
        scores = program.run(symbols=text)["scores"]
        text = np.concatenate([text, scores[:, -1].argmax(-1, keepdims=True)], 1, dtype=np.int32)
    return text[:, symbols.shape[1] :]


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("target", TARGETS)
def test_the_whole_text_at_every_step_greedy(kind: str, target: Target) -> None:
    program = compiled(MODELS[kind](), target)
    for samples, read, steps in ((1, 1, 9), (3, 1, 2), (2, 5, 1), (2, 7, 13)):
        symbols = prompts(samples, read)
        found = dg.generate(program, symbols, steps)
        assert found.dtype == np.int32 and found.flags.c_contiguous
        np.testing.assert_array_equal(found, greedy(program, symbols, steps))
        if target == "cpu":
            alone = dg.generate(program, symbols[0], steps)
            np.testing.assert_array_equal(alone, found[0])


@pytest.mark.parametrize("top_k", [None, 1, 4, V])
@pytest.mark.parametrize("kind", ["learned", "rotary", "twice", "lstm", "both"])
def test_the_whole_text_at_every_step_with_a_seed(kind: str, top_k: int | None) -> None:
    model = MODELS[kind]()
    program = compiled(model)
    whole = Whole(model)
    options: Any = {"temperature": 1.3, "top_k": top_k, "seed": 5}
    for samples, read, steps in ((1, 1, 13), (2, 7, 11)):
        symbols = prompts(samples, read)
        found = dg.generate(program, symbols, steps, **options)
        expected = dg.generate(program, symbols, steps, model=whole, **options)
        np.testing.assert_array_equal(found, expected)
        if top_k == 1:
            np.testing.assert_array_equal(found, greedy(program, symbols, steps))
        else:
            assert (found != greedy(program, symbols, steps)).any()


def test_time_first() -> None:
    net = Outputs(dg.GRU(8, 8, dtype="float64"))
    model = Model(net)
    program = compiled(model, time=0)
    symbols = prompts(3, 5).T
    found = dg.generate(program, symbols, 6, batch_first=False)
    text = symbols.astype(np.int32)
    for _ in range(6):
        scores = program.run(symbols=text)["scores"]
        text = np.concatenate([text, scores[-1:].argmax(-1)], 0, dtype=np.int32)
    np.testing.assert_array_equal(found, text[5:])
    one = dg.generate(program, symbols[:, 0], 6, batch_first=False)
    np.testing.assert_array_equal(one, found[:, 0])
    one, other = (
        dg.generate(program, symbols, 6, 1.0, model=item, batch_first=False)
        for item in (model, Whole(model, 0))
    )
    np.testing.assert_array_equal(one, other)
    assert dg.generate(program, symbols, 0, batch_first=False).shape == (0, 3)


def test_seeds_threads_and_longer_texts() -> None:
    model = MODELS["learned"]()
    programs = [compiled(model, threads=threads) for threads in (1, 2)]
    symbols = prompts(2, 3)
    one, two = (dg.generate(item, symbols, 30, 1.0, seed=7) for item in programs)
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(one, dg.generate(programs[0], symbols, 30, 1.0, seed=7))
    np.testing.assert_array_equal(one[:, :9], dg.generate(programs[0], symbols, 9, 1.0, seed=7))
    assert (one != dg.generate(programs[0], symbols, 30, 1.0, seed=8)).any()
    cold = dg.generate(programs[0], symbols, 30, 1e-9, seed=7)
    np.testing.assert_array_equal(cold, dg.generate(programs[0], symbols, 30))


def test_draws_have_the_probabilities_of_the_softmax() -> None:
    model = Model()
    program = compiled(model)
    scores = program.run(symbols=np.zeros((1, 1), np.int32))["scores"][0, 0]
    for top_k, temperature in ((None, 0.7), (3, 2.0)):
        found = dg.generate(program, np.zeros((20000, 1), int), 1, temperature, top_k)
        raised = np.exp((scores - scores.max()) / temperature)
        if top_k is not None:
            raised[np.argsort(scores)[:-top_k]] = 0
        expected = raised / raised.sum()
        counts = np.bincount(found[:, 0], minlength=V)
        assert (counts[expected == 0] == 0).all()
        there = expected > 0
        chi = ((counts - 20000 * expected)[there] ** 2 / (20000 * expected[there])).sum()
        assert chi < 35  # one in a thousand is above 29.6 with 10 degrees of freedom


@pytest.mark.parametrize("target", TARGETS)
def test_a_symbol_that_ends_a_text(target: Target) -> None:
    program = compiled(MODELS["rotary"](), target)
    symbols = prompts(3, 4)
    whole = dg.generate(program, symbols, 20, 1.5, seed=3)
    for stop in range(V):
        ends = [int((row == stop).argmax()) + 1 if stop in row else 20 for row in whole]
        found = dg.generate(program, symbols, 20, 1.5, seed=3, stop=stop)
        assert found.shape == (3, max(ends))
        for row, end, text in zip(whole, ends, found, strict=True):
            np.testing.assert_array_equal(text[:end], row[:end])
            assert (text[end:] == stop).all()
    first = int(dg.generate(program, symbols[0], 1)[0])
    np.testing.assert_array_equal(dg.generate(program, symbols[0], 9, stop=first), [first])


def test_nothing_to_write_and_sizes_that_compile_nothing() -> None:
    program = compiled(MODELS["sinusoidal"]())
    assert dg.generate(program, [1, 2], 0).shape == (0,)
    assert dg.generate(program, [[1, 2]], 0).shape == (1, 0)
    lengths = [dg.generate(program, [1, 2], steps) for steps in (1, 2, 3, 30)]
    for text in lengths:
        np.testing.assert_array_equal(text, lengths[-1][: len(text)])


def test_parameters_are_those_of_the_program_now(tmp_path: Path) -> None:
    symbols = dg.observed("symbols", ("B", "T"), "int32")
    targets = dg.observed("targets", ("B", "T"), "int32")
    model = MODELS["learned"]()
    scores = model(symbols)
    cost = dg.cross_entropy(dg.reshape(scores, (-1, V)), dg.reshape(targets, (-1,)))
    program = dg.Diagram("text", {"scores": scores}, cost=cost).compile(dg.Adam(0.03))
    before = dg.generate(program, [0], 12)
    text = np.arange(13, dtype=np.int32)[None] % 5
    for _ in range(120):
        program.step(symbols=text[:, :-1], targets=text[:, 1:])
    after = dg.generate(program, [0], 12)
    assert (before != after).any()
    np.testing.assert_array_equal(after, np.arange(1, 13) % 5)
    program.save(tmp_path / "text.npz")
    again = dg.Diagram("text", {"scores": scores}, cost=cost).compile(dg.Adam(0.03), seed=9)
    assert (dg.generate(again, [0], 12) != after).any()
    again.load(tmp_path / "text.npz")
    np.testing.assert_array_equal(dg.generate(again, [0], 12), after)


def test_a_block_has_its_initial_parameters() -> None:
    model = MODELS["gru"]()
    symbols = dg.observed("symbols", ("B", "T"), "int32")
    program = dg.Diagram("text", {"scores": model(symbols)}).compile()
    np.testing.assert_array_equal(dg.generate(model, [3], 9), dg.generate(program, [3], 9))


def test_a_function_that_is_the_model_and_float64() -> None:
    first, second = dg.Embedding(V, V, name="first"), dg.Linear(V, V, name="second")
    symbols = dg.observed("symbols", ("B", "T"), "int32")
    diagram = dg.Diagram("text", {"scores": second(first(symbols))})
    program = diagram.compile(dtype="float64")
    with pytest.raises(dg.DiagramError, match="one outermost block, the model, got first, second"):
        dg.generate(program, [1], 3)

    def scores(symbols: Any) -> Any:
        return second(first(symbols))

    np.testing.assert_array_equal(
        dg.generate(program, [[1]], 5, model=scores), greedy(program, np.array([[1]]), 5)
    )
    assert dg.generate(program, [1], 5, 0.5, model=scores).shape == (5,)


@pytest.mark.parametrize("kind", ["attention", "recurrent"])
def test_a_sentence_that_is_translated(kind: str) -> None:
    """What an encoder has read comes in as memory, or as the first state."""
    source = dg.observed("source", ("B", "S", 8), "float64")
    symbols = dg.observed("symbols", ("B", "T"), "int32")
    embedding = dg.Embedding(V, 8, weight_init=dg.init.normal(), dtype="float64", name="embedding")
    head = dg.Linear(8, V, weight_init=dg.init.normal(), dtype="float64", name="head")
    if kind == "attention":
        places = dg.LearnedEncoding(5, 8, dtype="float64", name="places")
        reader: Any = dg.TransformerEncoder(8, 2, 1, dtype="float64", name="reader")
        writer: Any = dg.TransformerDecoder(8, 2, 2, dtype="float64", name="writer")
        positions = dg.SinusoidalEncoding(name="positions")
        memory = reader(places(source))
        inner: Any = lambda z: writer(positions(z), memory)  # noqa: E731
    else:
        reader = dg.GRU(8, 8, bidirectional=True, batch_first=True, dtype="float64", name="reader")
        writer = dg.GRU(8, 8, layers=2, batch_first=True, dtype="float64", name="writer")
        memory = reader(source)[1]
        inner = lambda z: writer(z, memory)[0]  # noqa: E731

    def scores(symbols: Any) -> Any:
        return head(inner(embedding(symbols)))

    program = dg.Diagram("translator", {"scores": scores(symbols)}).compile()
    prompt = prompts(3, 1).astype(np.int32)
    given = np.random.default_rng(1).normal(size=(3, 5, 8))
    found = dg.generate(program, prompt, 9, model=scores, inputs={"source": given})
    text = prompt
    for _ in range(9):
        last = program.run(symbols=text, source=given)["scores"][:, -1]
        text = np.concatenate([text, last.argmax(-1, keepdims=True)], 1, dtype=np.int32)
    np.testing.assert_array_equal(found, text[:, 1:])
    with pytest.raises(dg.InputError, match="source"):
        dg.generate(program, prompt, 9, model=scores)
    with pytest.raises(TypeError, match="inputs to be arrays by name"):
        dg.generate(program, prompt, 9, model=scores, inputs=3)  # type: ignore[arg-type]


def test_parameters_that_are_computed() -> None:
    w = dg.parameter("w", (ROOM, 8), dg.init.normal(), dtype="float64")
    encoding = dg.LearnedEncoding(ROOM, 8, weight=dg.tanh(w), dtype="float64")
    program = compiled(Model(encoding, Layer(8, 2)))
    symbols = prompts(2, 3)
    np.testing.assert_array_equal(dg.generate(program, symbols, 8), greedy(program, symbols, 8))


def test_python_threads_share_a_program() -> None:
    program = compiled(MODELS["learned"]())
    expected = [dg.generate(program, [seed], 20, 1.0, seed=seed) for seed in range(6)]
    found: dict[int, Array] = {}

    def write(seed: int) -> None:
        found[seed] = dg.generate(program, [seed], 20, 1.0, seed=seed)

    threads = [threading.Thread(target=write, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed, text in enumerate(expected):
        np.testing.assert_array_equal(found[seed], text)


def test_a_program_is_let_go() -> None:
    program = compiled(MODELS["gru"]())
    dg.generate(program, [1], 3)
    held = weakref.ref(program)
    del program
    gc.collect()
    assert held() is None


def test_refusals_of_prompts() -> None:
    program = compiled(MODELS["learned"]())
    empties: list[Any] = [[], [[]], np.zeros((0, 3), int), np.zeros((2, 2, 2), int), 3]
    for empty in empties:
        with pytest.raises(dg.InputError, match=r"generate of 'text' \(test_generate.py:\d+\) exp"):
            dg.generate(program, empty, 3)
    with pytest.raises(dg.InputError, match="a prompt of one symbol or more"):
        dg.generate(program, [], 3)
    with pytest.raises(dg.InputError, match="prompts of one length, got several"):
        dg.generate(program, [[1, 2], [3]], 3)
    for wrong in ([0.5], ["a"], [True], [None]):
        with pytest.raises(dg.InputError, match="a prompt of integers, got"):
            dg.generate(program, wrong, 3)
    for beyond in ([-1], [2**40]):
        with pytest.raises(dg.InputError, match="symbols from 0 on"):
            dg.generate(program, beyond, 3)
    with pytest.raises(dg.InputError, match="11"):
        dg.generate(program, [V], 3)
    with pytest.raises(dg.InputError, match=r"at most 40 positions .* 3 symbols and 39 steps"):
        dg.generate(program, [1, 2, 3], 39)
    assert dg.generate(program, [1, 2, 3], 38).shape == (38,)


def test_refusals_of_options() -> None:
    program = compiled(MODELS["learned"]())
    with pytest.raises(TypeError, match="steps to be an integer"):
        dg.generate(program, [1], 1.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="temperature"):
        dg.generate(program, [1], 3, temperature=-1.0)
    with pytest.raises(ValueError, match="top_k to be an integer of 1 or more"):
        dg.generate(program, [1], 3, temperature=1.0, top_k=0)
    with pytest.raises(dg.ShapeError, match="k of at most 11"):
        dg.generate(program, [1], 3, temperature=1.0, top_k=V + 1)
    with pytest.raises(TypeError, match="model to be a block or a function"):
        dg.generate(program, [1], 3, model=3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="program to be a program"):
        dg.generate("text", [1], 3)  # type: ignore[arg-type]
    with pytest.raises(dg.DiagramError, match="whose parameters the program has"):
        dg.generate(program, [1], 3, model=MODELS["learned"]())


class Smooth(dg.Block):
    """A convolution that looks back only."""

    def __init__(self) -> None:
        self.conv = dg.Conv1d(8, 8, 3, padding=((2, 0),), dtype="float64")

    def forward(self, x: Any) -> Any:
        return dg.swapaxes(self.conv(dg.swapaxes(x, 1, 2)), 1, 2)


def test_refusals_of_models() -> None:
    ahead = dg.MultiHeadAttention(8, 2, dtype="float64", name="ahead")
    with pytest.raises(dg.DiagramError, match=r"/ahead.* expects causal=True where"):
        dg.generate(compiled(Model(ahead)), [1], 3)
    both = Outputs(dg.GRU(8, 4, bidirectional=True, batch_first=True, dtype="float64"))
    with pytest.raises(TypeError, match="no lengths and one direction"):
        dg.generate(compiled(Model(both)), [1], 3)
    for inner in (Smooth(), lambda x: x - dg.mean(x, axis=1, keepdims=True)):
        program = compiled(Model(inner))
        dg.generate(program, [1, 2], 1)
        for _ in range(2):
            with pytest.raises(dg.DiagramError, match="reads a text symbol by symbol"):
                dg.generate(program, [1, 2], 2)
    symbols = dg.observed("symbols", ("B", "T"), "int32")
    embedding = dg.Embedding(V, 3, name="embedding")
    program = dg.Diagram("text", {"scores": embedding(symbols)}).compile()
    with pytest.raises(dg.ShapeError, match=r"scores of shape \(B, T, V\)"):
        dg.generate(program, [1], 3, model=lambda x: dg.mean(embedding(x), axis=1))
    with pytest.raises(dg.DtypeError, match="gives scores, got int64"):
        dg.generate(program, [1], 3, model=lambda x: dg.astype(embedding(x), "int64"))
    with pytest.raises(TypeError, match="gives scores, got tuple"):
        dg.generate(program, [1], 3, model=lambda x: (embedding(x),))
