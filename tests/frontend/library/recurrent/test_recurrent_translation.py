"""Attention, encoder and decoder against NumPy; teacher forcing against greedy decoding."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ...evaluating import TARGETS, Target, check_derivatives, text
from .recurrent_cases import Array, below, gru_step, randomise


def attend(
    p: dict[str, Array], query: Array, memory: Array, lengths: Array | None = None
) -> tuple[Array, Array]:
    """Additive attention, sample by sample."""
    means, weights = [], np.zeros((len(query), len(memory)))
    for b in range(len(query)):
        count = len(memory) if lengths is None else lengths[b]
        entries = memory[:count, b]
        scores = np.tanh(query[b] @ p["query"] + entries @ p["entry"]) @ p["score"]
        share = np.exp(scores - scores.max(initial=-np.inf))
        weights[b, :count] = share / share.sum() if count else share
        means.append(weights[b, :count] @ entries)
    return np.array(means).reshape(len(query), memory.shape[2]), weights


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_attention(dtype: str, target: Target) -> None:
    query, memory = dg.observed("q", ("B", 3), dtype), dg.observed("m", ("S", "B", 4), dtype)
    lengths = dg.observed("lengths", ("B",), dtype=dg.int32)
    attention = dg.AdditiveAttention(3, 4, 5, dtype=dtype, name="attention")
    found = dict(zip(("mean", "weights"), attention(query, memory), strict=True))
    masked = attention(query, memory, lengths=lengths)
    found |= dict(zip(("mean_masked", "weights_masked"), masked, strict=True))
    program = dg.Diagram("test", found).compile(target=target)
    p = below(program, "attention")
    rng = np.random.default_rng(0)
    for entries, samples in [(7, 3), (1, 1), (5, 1), (7, 0)]:
        q = rng.normal(size=(samples, 3)).astype(dtype)
        m = rng.normal(size=(samples, entries, 4)).astype(dtype).swapaxes(0, 1)
        n = rng.integers(0, entries + 1, samples).astype(np.int32)
        result = program.run(q=q, m=m, lengths=n)
        close = 1e-5 if dtype == "float32" else 1e-12
        for more, length in [("", None), ("_masked", n)]:
            mean, weights = attend(p, q, m, length)
            np.testing.assert_allclose(result[f"mean{more}"], mean, close, close)
            np.testing.assert_allclose(result[f"weights{more}"], weights, close, close)


def test_derivatives_of_attention() -> None:
    attention = dg.AdditiveAttention(3, 4, 5, dtype="float64")
    lengths = dg.constant(np.array([3, 1, 0], np.int32))
    rng = np.random.default_rng(0)
    q, m = rng.normal(size=(3, 3)), rng.normal(size=(3, 3, 4))
    check_derivatives(lambda q, m: attention(q, m, lengths=lengths)[0], q, m)


@pytest.mark.parametrize("target", TARGETS)
def test_decoder(target: Target) -> None:
    memory, last = dg.observed("m", ("S", "B", 4), "float64"), dg.observed("h", ("B", 4), "float64")
    symbols = dg.observed("symbols", ("T", "B"), dtype=dg.int64)
    decoder = dg.Decoder(6, 3, 5, 4, start=2, dtype="float64", name="d")
    scores, weights = decoder(memory, last, target=symbols)
    own, looked = decoder(memory, last, steps="T")
    outputs = {"scores": scores, "weights": weights, "own": own, "looked": looked}
    program = dg.Diagram("test", outputs).compile(target=target)
    randomise(program)
    p = program.parameters
    rng = np.random.default_rng(0)
    for steps, entries, samples in [(5, 4, 3), (1, 1, 1), (0, 2, 1), (5, 1, 1)]:
        m, start = rng.normal(size=(entries, samples, 4)), rng.normal(size=(samples, 4))
        right = rng.integers(0, 6, (steps, samples))
        result = program.run(m=m, h=start, symbols=right)
        for name, shown in [("scores", "weights"), ("own", "looked")]:
            h = np.tanh(start @ p["d/bridge/weight"] + p["d/bridge/bias"])
            before = np.full(samples, 2)
            for t in range(steps):
                mean, share = attend(below(program, "d/attention"), h, m)
                x = np.concatenate([p["d/embedding/weight"][before], mean], axis=1)
                (h,) = gru_step(below(program, "d/cell"), x, h)
                y = np.concatenate([h, mean], axis=1) @ p["d/scores/weight"] + p["d/scores/bias"]
                np.testing.assert_allclose(result[name][t], y, rtol=1e-10, atol=1e-12)
                np.testing.assert_allclose(result[shown][t], share, rtol=1e-10)
                before = right[t] if name == "scores" else y.argmax(axis=1)


@pytest.mark.parametrize("target", TARGETS)
def test_encoder_decoder_learns(target: Target) -> None:
    """What it writes by itself becomes what it was trained to write; padding changes nothing."""
    source, wanted = (dg.observed(n, (a, "B"), dtype=dg.int32) for n, a in [("s", "S"), ("t", "T")])
    lengths = dg.observed("lengths", ("B",), dtype=dg.int32)
    model = dg.EncoderDecoder(5, 4, 4, 16, name="model")
    scores, _ = model(source, wanted, lengths=lengths)
    own, weights = model(source, steps=3, lengths=lengths)
    outputs = {"written": dg.argmax(own, -1), "weights": weights}
    diagram = dg.Diagram("test", outputs, cost=dg.cross_entropy(scores, wanted))
    program = diagram.compile(dg.Adam(2e-2), target=target)
    rng = np.random.default_rng(0)
    s, t = rng.integers(0, 5, (4, 6)).astype(np.int32), rng.integers(0, 4, (3, 6)).astype(np.int32)
    n = np.array([4, 2, 3, 1, 4, 4], np.int32)
    s[:, 3] = 0
    for _ in range(150):
        cost = program.step(s=s, t=t, lengths=n)
    assert cost < 0.05
    found = program.run(s=s, lengths=n)
    np.testing.assert_array_equal(found["written"], t)
    padded = np.where(np.arange(7)[:, None] < n, np.concatenate([s, s[:3]]), 3).astype(np.int32)
    again = program.run(s=padded, lengths=n)
    np.testing.assert_array_equal(again["written"], t)
    np.testing.assert_allclose(again["weights"][..., :4], found["weights"], atol=1e-5)
    assert not again["weights"][:, n <= 3, 4:].any()
    with pytest.raises(dg.InputError):
        program.run(s=s + 3, lengths=n)  # symbols that there are not


def message(build: Callable[[], Any]) -> str:
    with pytest.raises((dg.DiagramError, ValueError, TypeError)) as error:
        dg.Diagram("test", {"y": build()[0]})
    return text(error.value)


def test_errors() -> None:
    q, m = dg.observed("q", ("B", 3)), dg.observed("m", ("S", "B", 4))
    h, tokens = dg.observed("h", ("B", 4)), dg.observed("tokens", ("T", "B"), dtype=dg.int32)
    attention = dg.AdditiveAttention(3, 4, 5, name="look")
    decoder = dg.Decoder(6, 3, 5, 4, name="write")
    look, write = "AdditiveAttention 'look' (m.py:1) expects ", "Decoder 'write' (m.py:1) expects "
    assert message(lambda: attention(h, m)) == (
        f"{look}a query of shape (B, 3), got (B, 4) from observed 'h' (m.py:1)"
    )
    assert message(lambda: attention(q, dg.observed("n", ("S", "C", 4)))) == (
        f"{look}a memory of shape (S, B, 4), got (S, C, 4) from observed 'n' (m.py:1)"
    )
    assert message(lambda: attention(q, m.astype("float64"))) == (
        f"{look}dtype float32 like its weights, got float64 from astype float64 (m.py:1): convert "
        'it with .astype("float32")'
    )
    assert message(lambda: attention(q, m, lengths=dg.observed("n", ("S",), "int32"))) == (
        f"{look}lengths of shape (B,), got (S,) from observed 'n' (m.py:1)"
    )
    assert message(lambda: attention(q, m, lengths=dg.observed("n", ("B",)))) == (
        f"{look}lengths of dtype int32 or int64, got float32 from observed 'n' (m.py:1)"
    )
    assert message(lambda: decoder(m, h)) == (
        f"{write}either a target, to be trained, or a number of steps, to write by itself"
    )
    assert message(lambda: decoder(m, h, target=h)) == (
        f"{write}symbols of dtype int32 or int64, got float32 from observed 'h' (m.py:1)"
    )
    assert message(lambda: decoder(m, h, target=tokens[0])) == (
        f"{write}a target of shape (T, B), got (B,) from index (m.py:1)"
    )
    assert message(lambda: (dg.Decoder(6, 3, 5, 4, start=6, name="write"),)) == (
        f"{write}start to be one of its 6 symbols, got 6"
    )
