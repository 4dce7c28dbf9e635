"""The layers of a Transformer: against PyTorch, what follows from their definition, mistakes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ...evaluating import TARGETS, Target, assert_close, check_derivatives, text
from .uses import (
    CLOSE,
    check_bound,
    check_copies_and_files,
    check_loop,
    compare,
    outputs_for,
    randomise,
)

KINDS: dict[str, dict[str, Any]] = {
    "post": {},
    "pre": {"norm_first": True},
    "gelu": {"norm_first": True, "activation": "gelu"},
    "bare": {"bias": False},
    "narrow": {"hidden": 3, "heads": 1, "epsilon": 0.1},
    "lengths": {"lengths": True, "norm_first": True},
    "causal": {"causal": True},
}


def pair(torch: Any, kind: str, decoder: bool, dtype: str) -> tuple[Any, Any, dict[str, Any]]:
    """A layer, PyTorch's, and which options they are applied with."""
    options: dict[str, Any] = {"heads": 2, "hidden": 10} | KINDS[kind]
    lengths = options.pop("lengths", False)
    ours_only = {"causal": options.pop("causal", decoder)}
    activation = options.pop("activation", "relu")
    word = "Decoder" if decoder else "Encoder"
    ours = getattr(dg, f"Transformer{word}Layer")(
        6, **options, **ours_only, activation=getattr(dg, activation), dtype=dtype, name="net"
    )
    names: dict[str, str] = {
        "heads": "nhead",
        "hidden": "dim_feedforward",
        "epsilon": "layer_norm_eps",
    }
    torch.manual_seed(0)
    theirs = getattr(torch.nn, f"Transformer{word}Layer")(
        6, **{names.get(k, k): v for k, v in options.items()}, activation=activation,
        batch_first=True, dropout=0.0,
    )  # fmt: skip
    return ours, theirs.to(getattr(torch, dtype)), {"lengths": lengths, **ours_only}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("decoder", [False, True])
def test_values_and_gradients_are_pytorchs(decoder: bool, kind: str, target: Target) -> None:
    torch = pytest.importorskip("torch")
    dtype = "float32" if kind == "post" else "float64"
    ours, theirs, how = pair(torch, kind, decoder, dtype)
    rng = np.random.default_rng(0)
    for samples, steps, entries in ((3, 5, 4), (1, 1, 1)):
        arrays = [rng.normal(size=(samples, steps, 6)).astype(dtype)]
        if decoder:
            arrays.append(rng.normal(size=(samples, entries, 6)).astype(dtype))
        options, wanted = {}, {}
        if how["causal"]:
            name = "tgt_mask" if decoder else "src_mask"
            wanted[name] = ~torch.tensor(np.tri(steps, dtype=bool))
        if how["lengths"]:
            ends = rng.integers(1, (entries if decoder else steps) + 1, samples)
            options["memory_lengths" if decoder else "lengths"] = ends
            hidden = np.arange(entries if decoder else steps) >= ends[:, None]
            name = "memory_key_padding_mask" if decoder else "src_key_padding_mask"
            wanted[name] = torch.tensor(hidden)
        compare(torch, ours, theirs, arrays, options, wanted, target)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("mask", ["steps", "samples", "heads", "added"])
@pytest.mark.parametrize("decoder", [False, True])
def test_masks_are_pytorchs(decoder: bool, mask: str, target: Target) -> None:
    """PyTorch's hide where they are True, and have samples and heads in one axis."""
    torch = pytest.importorskip("torch")
    ours, theirs, _ = pair(torch, "pre", decoder, "float64")
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(3, 5, 6)), rng.normal(size=(3, 4, 6))][: 1 + decoder]
    shape = {"samples": (3, 5), "heads": (3, 2, 5)}.get(mask, (5,))
    seen: Any = rng.random((*shape, arrays[-1].shape[1])) > 0.4
    seen[..., 0] = True
    if mask == "added":
        seen = rng.normal(size=seen.shape)
        given = torch.tensor(seen)
    else:
        hidden = ~(seen[:, None].repeat(2, 1) if mask == "samples" else seen)
        given = torch.tensor(hidden.reshape(-1, *hidden.shape[-2:]) if hidden.ndim > 2 else hidden)
    options, wanted = {"memory_mask" if decoder else "mask": seen}, {}
    if decoder:
        wanted = {"tgt_mask": ~torch.tensor(np.tri(5, dtype=bool))}
    wanted["memory_mask" if decoder else "src_mask"] = given
    compare(torch, ours, theirs, arrays, options, wanted, target)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("first", [False, True])
def test_steps_that_see_nothing_look_nowhere(first: bool, target: Target) -> None:
    """PyTorch gives NaN there: here it is as if the memory had no steps, for derivatives too."""
    layer = dg.TransformerDecoderLayer(6, 2, 5, norm_first=first, dtype="float64", name="net")
    rng = np.random.default_rng(0)
    given = {"x": rng.normal(size=(3, 4, 6)), "m": rng.normal(size=(3, 5, 6))}
    masked = rng.random((3, 4, 5)) > 0.3
    masked[2, 1] = False
    x, memory = (dg.observed(name, item.shape, "float64") for name, item in given.items())

    def outputs(y: dg.Variable) -> dict[str, dg.Variable]:
        slopes = dg.gradient(dg.sum(y * y), [x, *layer.parameters().values()])
        return {"y": y} | {f"g{i}": slope for i, slope in enumerate(slopes)}

    whole = layer(x, memory, memory_lengths=[0, 5, 4], memory_mask=masked)
    unread = dg.gradient(dg.sum(whole * whole), memory)[0]
    program = dg.Diagram("test", outputs(whole) | {"unread": unread}).compile(target=target)
    randomise(program)
    found = program.run(**given)
    assert all(np.isfinite(item).all() for item in found.values())
    assert (found["unread"] == 0).all()
    alone = layer(x, dg.fill(0.0, (3, 0, 6), "float64"))
    other = dg.Diagram("test", outputs(alone)).compile(target=target)
    randomise(other)
    wanted = other.run(x=given["x"])
    for name in ("y", "g0"):
        assert_close(found[name][0], wanted[name][0], *CLOSE)
        assert not np.allclose(found[name][1], wanted[name][1])
    assert_close(found["y"][2, 1], wanted["y"][2, 1], *CLOSE)


@pytest.mark.parametrize("decoder", [False, True])
def test_the_base_block_has_as_many_parameters_as_pytorchs(decoder: bool) -> None:
    torch = pytest.importorskip("torch")
    word = "Decoder" if decoder else "Encoder"
    theirs = getattr(torch.nn, f"Transformer{word}Layer")(512, 8, 2048)
    ours = getattr(dg, f"Transformer{word}Layer")(512, 8)
    assert ours.parameter_count == (4204032 if decoder else 3152384)
    assert ours.parameter_count == sum(item.numel() for item in theirs.parameters())


@pytest.mark.parametrize("first", [False, True])
def test_derivatives_to_second_order(first: bool) -> None:
    layer = dg.TransformerDecoderLayer(
        4, 2, 5, norm_first=first, activation=dg.gelu, dtype="float64"
    )
    rng = np.random.default_rng(0)
    x, memory = rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 2, 4))
    check_derivatives(lambda x, m: layer(x, m, memory_lengths=[1, 2]), x, memory)
    check_derivatives(lambda x, m: layer(x, m, memory_lengths=[0, 2]), x, memory)
    encoder = dg.TransformerEncoderLayer(4, 1, 5, first, dg.gelu, dtype="float64")
    check_derivatives(lambda x: encoder(x, mask=np.tri(3, k=-1, dtype=bool)), x)


@pytest.mark.parametrize("target", TARGETS)
def test_a_layer_follows_the_order_of_the_steps(target: Target) -> None:
    rng = np.random.default_rng(0)
    x, memory = rng.normal(size=(2, 5, 6)), rng.normal(size=(2, 4, 6))
    order = rng.permutation(5)
    layer = dg.TransformerEncoderLayer(6, 2, 8, dtype="float64")
    y = outputs_for(layer, x, target=target)
    assert_close(outputs_for(layer, x[:, order], target=target), y[:, order], *CLOSE)
    free = dg.TransformerDecoderLayer(6, 2, 8, causal=False, dtype="float64")
    y = outputs_for(free, x, memory, target=target)
    turned = memory[:, ::-1].copy()
    assert_close(outputs_for(free, x[:, order], turned, target=target), y[:, order], *CLOSE)
    causal = dg.TransformerDecoderLayer(6, 2, 8, dtype="float64")
    y = outputs_for(causal, x, memory, target=target)
    assert_close(outputs_for(causal, x[:, :2], memory, target=target), y[:, :2], *CLOSE)


def test_dropout_is_in_a_step_alone() -> None:
    x = np.random.default_rng(0).normal(size=(2, 5, 6))
    layers = [
        dg.TransformerEncoderLayer(6, 2, 8, dropout=p, dtype="float64", name="net")
        for p in (0.0, 0.5)
    ]
    first, second = (outputs_for(layer, x) for layer in layers)
    assert_close(first, second, *CLOSE)
    costs = []
    for layer in layers:
        cost = dg.mean(layer(dg.observed("x", x.shape, "float64")) ** 2)
        program = dg.Diagram("test", cost=cost).compile(optimizer=dg.SGD(0.0), target="reference")
        costs.append([program.step(x=x) for _ in range(3)])
    assert len({*costs[0]}) == 1
    assert len({*costs[1]}) == 3


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("first", [False, True])
def test_in_a_loop_and_with_weights_for_each_sample(first: bool, target: Target) -> None:
    layer = dg.TransformerEncoderLayer(6, 2, 5, first, dg.gelu, rotary=False, dtype="float64")
    check_loop(layer, target)
    check_bound(layer, target)


class Itself(dg.Block):
    """A decoder layer whose memory is what it is given."""

    def __init__(self) -> None:
        self.layer = dg.TransformerDecoderLayer(6, 2, 5, activation=dg.gelu, dtype="float64")

    def forward(self, x: Any) -> Any:
        return self.layer(x, dg.flip(x, -2), memory_mask=np.tri(x.shape[-2], k=1, dtype=bool))


@pytest.mark.parametrize("target", TARGETS)
def test_a_decoder_in_a_loop_and_with_weights_for_each_sample(target: Target) -> None:
    check_loop(Itself(), target)
    check_bound(Itself(), target)


def test_copies_and_files(tmp_path: Path) -> None:
    check_copies_and_files(dg.TransformerEncoderLayer(6, 2, 5, dtype="float64"), tmp_path)


def test_mistakes() -> None:
    with pytest.raises(ValueError, match="expects features to be a multiple of its 4 heads, got 6"):
        dg.TransformerEncoderLayer(6, 4)
    with pytest.raises(TypeError, match=r"activation to be a function, of one variable, .*'gelu'"):
        dg.TransformerEncoderLayer(6, 2, activation="gelu")  # type: ignore[arg-type]
    wrong: dict[str, Any] = {"dim_feedforward": 8}
    with pytest.raises(TypeError, match="got dim_feedforward=: use hidden="):
        dg.TransformerEncoderLayer(6, 2, **wrong)
    layer = dg.TransformerEncoderLayer(6, 2, name="net")
    with pytest.raises(dg.DiagramError) as error:
        dg.Diagram("test", layer(dg.observed("x", ("B", "T", 5))))
    assert "Linear 'net/attention/query' (m.py:1) expects 6 features, got 5 from observed 'x'" in (
        text(error.value)
    )
