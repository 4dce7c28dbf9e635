"""Positional encodings: their formulas, rotations by PyTorch, starts, lengths, mistakes."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import diagrad as dg
from diagrad.frontend.library.attention.continuing import continued_by

from ...evaluating import TARGETS, Target, apply, assert_close, check_derivatives, run, text
from .uses import check_bound, check_copies_and_files, check_loop


def formula(steps: int, features: int, base: float = 10000.0, start: int = 0) -> Any:
    """PE(p, 2i) = sin(p / base^(2i/d)), PE(p, 2i + 1) = cos(p / base^(2i/d))."""
    table = np.zeros((steps, features))
    for p in range(steps):
        for j in range(features):
            angle = (p + start) / base ** (j // 2 * 2 / features)
            table[p, j] = np.sin(angle) if j % 2 == 0 else np.cos(angle)
    return table


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(("steps", "features"), [(7, 6), (3, 5), (1, 1), (0, 4), (4, 0)])
def test_the_sinusoidal_encoding(steps: int, features: int, target: Target) -> None:
    outputs = {
        "single": dg.positional_encoding(steps, features),
        "double": dg.positional_encoding(steps, features, dtype=dg.float64),
        "moved": dg.positional_encoding(steps, features, 1000, 50.0, "float64"),
    }
    found = run(outputs, target)
    assert {name: item.dtype.name for name, item in found.items()} == {
        "single": "float32", "double": "float64", "moved": "float64",
    }  # fmt: skip
    assert_close(found["single"], formula(steps, features), atol=1e-7)
    assert_close(found["double"], formula(steps, features), atol=1e-13)
    assert_close(found["moved"], formula(steps, features, 50.0, 1000), atol=1e-12)


@pytest.mark.parametrize("target", TARGETS)
def test_it_is_right_far_away(target: Target) -> None:
    table = dg.positional_encoding(3, 4, start=1_000_000)
    assert_close(run({"y": table}, target)["y"], formula(3, 4, start=1_000_000), atol=1e-7)


@pytest.mark.parametrize("target", TARGETS)
def test_it_is_added(target: Target) -> None:
    x = dg.observed("x", ("B", "T", 4))
    n = dg.observed("n", (), "int32")
    block = dg.SinusoidalEncoding()
    outputs = {"y": block(x), "moved": block(x, start=n)}
    program = dg.Diagram("test", outputs).compile(target=target)
    for steps in (5, 1, 0):
        zeros = np.zeros((2, steps, 4), np.float32)
        found = program.run(x=zeros, n=np.int32(3))
        for name, start in (("y", 0), ("moved", 3)):
            assert_close(found[name], [formula(steps, 4, start=start)] * 2, atol=1e-6)


@pytest.mark.parametrize("target", TARGETS)
def test_learned_positions(target: Target) -> None:
    x = dg.observed("x", ("B", "T", 4))
    n = dg.observed("n", (), "int64")
    block = dg.LearnedEncoding(6, 4)
    y = block(x)
    outputs = {
        "y": y, "slope": dg.gradient(dg.sum(y * y), block.weight), "moved": block(x, start=n),
        "first": block(dg.constant(np.zeros((2, 4), np.float32))),
    }  # fmt: skip
    program = dg.Diagram("test", outputs).compile(target=target)
    weight = program.parameters["learned_encoding/weight"]
    assert 0.005 < weight.std() < 0.05
    for steps in (6, 1, 0):
        given = np.random.default_rng(0).normal(size=(2, steps, 4)).astype(np.float32)
        found = program.run(x=given, n=np.int64(2))
        assert_close(found["y"], given + weight[:steps])
        slope = np.zeros((6, 4))
        slope[:steps] = 2 * (given + weight[:steps]).sum(axis=0)
        assert_close(found["slope"], slope, 1e-5, 1e-6)
        wanted = np.full((6, 4), np.nan)
        wanted[:4] = weight[2:]
        assert_close(found["moved"], given + wanted[:steps])
        assert_close(found["first"], weight[:2])
    with pytest.raises(dg.InputError, match="takes 0:7 of axis 0, which has 6 elements"):
        program.run(x=np.zeros((2, 7, 4), np.float32), n=np.int64(0))


def turned(torch: Any, x: Any, start: int, halves: bool, base: float = 10000.0) -> Any:
    """A rotation by complex numbers, as LLaMA's code has it."""
    steps, features = x.shape[-2:]
    frequency = base ** (-torch.arange(0, features, 2, dtype=torch.float64) / features)
    angle = torch.outer(torch.arange(start, start + steps, dtype=torch.float64), frequency)
    if halves:
        x = x.unflatten(-1, (2, features // 2)).transpose(-1, -2).flatten(-2)
    pairs = torch.view_as_complex(x.unflatten(-1, (features // 2, 2)).contiguous())
    y = torch.view_as_real(pairs * torch.polar(torch.ones_like(angle), angle))
    if halves:
        y = y.transpose(-1, -2)
    return y.flatten(-2)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("halves", [False, True])
@pytest.mark.parametrize("shape", [(2, 3, 5, 6), (1, 2), (7, 8), (2, 0, 4)])
def test_rotations(shape: tuple[int, ...], halves: bool, target: Target) -> None:
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).normal(size=shape)
    block = dg.RotaryEncoding(base=300.0, halves=halves)
    for start in (0, 40):
        found = apply(partial(block, start=start), x, target=target)
        assert_close(found, turned(torch, torch.tensor(x), start, halves, 300.0), 1e-12, 1e-12)
        single = apply(partial(block, start=start), x.astype(np.float32), target=target)
        assert single.dtype == np.float32
        assert_close(single, found, 1e-5, 1e-6)


def test_a_product_of_turned_vectors_depends_on_their_distance() -> None:
    q, k = np.random.default_rng(0).normal(size=(2, 1, 8))
    block = dg.RotaryEncoding()

    def product(p: int, r: int) -> float:
        left = apply(partial(block, start=p), q)
        return float((left * apply(partial(block, start=r), k)).sum())

    assert product(7, 3) == pytest.approx(product(104, 100), rel=1e-9)
    assert product(7, 3) != pytest.approx(product(7, 4), rel=1e-3)


@pytest.mark.parametrize("halves", [False, True])
def test_derivatives_of_rotations(halves: bool) -> None:
    x = np.random.default_rng(0).normal(size=(2, 3, 4))
    check_derivatives(lambda x: dg.RotaryEncoding(halves=halves)(x) ** 3, x)


@pytest.mark.parametrize("target", TARGETS)
def test_rotary_attention_is_that_of_turned_queries_and_keys(target: Target) -> None:
    torch = pytest.importorskip("torch")
    block = dg.MultiHeadAttention(8, 2, causal=True, rotary=True, dtype="float64")
    x = dg.observed("x", (2, 5, 8), "float64")
    program = dg.Diagram("test", {"y": block(x), "weights": block.weights(x)}).compile(
        target=target
    )
    given = np.random.default_rng(0).normal(size=(2, 5, 8))
    p = {name.split("/", 1)[1]: torch.tensor(item) for name, item in program.parameters.items()}
    q, k, v = (
        (torch.tensor(given) @ p[f"{way}/weight"] + p[f"{way}/bias"])
        .unflatten(-1, (2, 4)).transpose(1, 2)
        for way in ("query", "key", "value")
    )  # fmt: skip
    q, k = (turned(torch, item, 0, halves=False) for item in (q, k))
    y = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    wanted = y.transpose(1, 2).flatten(-2) @ p["output/weight"] + p["output/bias"]
    found = program.run(x=given)
    assert_close(found["y"], wanted, 1e-10, 1e-12)
    assert_close(found["weights"] @ v.numpy(), y, 1e-10, 1e-12)


class Kept:
    """Two steps came before, whose keys and values are kept."""

    def __init__(self, k: Any, v: Any) -> None:
        self.start, self.k, self.v = 2, k, v

    def extend(self, attention: Any, k: Any, v: Any) -> Any:
        assert isinstance(attention, dg.MultiHeadAttention)
        k, v = dg.concatenate([self.k, k], axis=-2), dg.concatenate([self.v, v], axis=-2)
        return k, v, {"mask": np.tri(3, 5, 2, dtype=bool)}

    def limit(self, block: Any, positions: int) -> None:
        assert positions == 9

    def before(self, block: Any) -> Any:
        raise AssertionError("attention has no other state")

    def after(self, block: Any, state: Any) -> None:
        raise AssertionError("attention has no other state")


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("kind", ["sinusoidal", "learned", "rotary"])
def test_a_sequence_that_is_continued(kind: str, target: Target) -> None:
    """Steps that continue others give what they give in the whole sequence."""
    attention = dg.MultiHeadAttention(
        8, 2, causal=True, rotary=kind == "rotary", dtype="float64", name="attention"
    )
    positions: Any = {
        "sinusoidal": dg.SinusoidalEncoding(),
        "learned": dg.LearnedEncoding(9, 8, weight_init=dg.init.normal(), dtype="float64"),
        "rotary": lambda x: x,
    }[kind]
    net = dg.Chain(positions, attention)
    x = dg.observed("x", (2, 5, 8), "float64")
    before = positions(x[:, :2])
    kept = Kept(attention.project_key(before), attention.project_value(before))
    whole = net(x)
    with continued_by(kept):
        rest = net(x[:, 2:])
    program = dg.Diagram("test", {"whole": whole, "rest": rest}).compile(target=target)
    found = program.run(x=np.random.default_rng(0).normal(size=(2, 5, 8)))
    assert_close(found["rest"], found["whole"][:, 2:], 1e-10, 1e-12)
    assert_close(run({"y": net(dg.fill(0.0, (1, 1, 8), "float64"))})["y"].shape, (1, 1, 8))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("kind", ["learned", "rotary"])
def test_in_a_loop_and_with_weights_for_each_sample(kind: str, target: Target) -> None:
    block: dg.Block = dg.LearnedEncoding(5, 6, dtype="float64")
    if kind == "rotary":
        block = dg.MultiHeadAttention(6, 1, rotary=dg.RotaryEncoding(halves=True), dtype="float64")
    check_loop(block, target)
    check_bound(block, target)


def test_copies_and_files(tmp_path: Path) -> None:
    check_copies_and_files(dg.LearnedEncoding(5, 6, dtype="float64"), tmp_path)
    block = dg.MultiHeadAttention(6, 1, rotary=True, dtype="float64")
    check_copies_and_files(block, tmp_path)


def test_mistakes() -> None:
    def message(value: Any) -> str:
        with pytest.raises(dg.DiagramError) as error:
            dg.Diagram("test", value)
        return text(error.value)

    x, flat = dg.observed("x", ("B", "T", 5)), dg.observed("flat", (5,))
    assert message(dg.SinusoidalEncoding()(flat)) == (
        "SinusoidalEncoding (m.py:1) expects (..., T, D) with a D that is a "
        "number, got (5,) from observed 'flat' (m.py:1)"
    )
    assert message(dg.RotaryEncoding()(x)) == (
        "RotaryEncoding (m.py:1) expects an even number of features, got "
        "(B, T, 5) from observed 'x' (m.py:1)"
    )
    assert message(dg.LearnedEncoding(3, 4)(x)) == (
        "LearnedEncoding (m.py:1) expects (..., T, 4) of 3 steps or fewer, got "
        "(B, T, 5) from observed 'x' (m.py:1)"
    )
    long = dg.observed("long", (4, 5))
    assert "expects (..., T, 5) of 3 steps or fewer, got (4, 5)" in message(
        dg.LearnedEncoding(3, 5)(long)
    )
    symbols = dg.observed("symbols", ("B", "T", 5), "int32")
    assert "expects floats, got int32 from observed 'symbols'" in message(
        dg.SinusoidalEncoding()(symbols)
    )
    where = dg.observed("where", ("B",), "int32")
    assert "expects a start of shape () and dtype int32 or int64, got int32 (B,) from" in message(
        dg.SinusoidalEncoding()(x, start=where)
    )
    with pytest.raises(ValueError, match="expects base to be a number above 0, got 0"):
        dg.positional_encoding(3, 4, base=0)
    with pytest.raises(ValueError, match="expects start to be an integer of 0 or more, got -1"):
        dg.positional_encoding(3, 4, start=-1)
