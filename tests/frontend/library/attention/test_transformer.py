"""Stacks of layers and the whole Transformer: against PyTorch, counts, uses, kernels."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ...evaluating import TARGETS, Target, assert_close
from .uses import check_bound, check_copies_and_files, check_loop, compare, outputs_for


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("norm", [False, True])
def test_an_encoder_is_pytorchs(norm: bool, first: bool, target: Target) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    layer = torch.nn.TransformerEncoderLayer(
        6, 2, 7, 0.0, norm_first=first, batch_first=True, dtype=torch.float64
    )
    last = torch.nn.LayerNorm(6, dtype=torch.float64) if norm else None
    theirs = torch.nn.TransformerEncoder(layer, 2, last, enable_nested_tensor=False)
    ours = dg.TransformerEncoder(6, 2, 2, 7, norm_first=first, norm=norm, dtype="float64")
    x = np.random.default_rng(0).normal(size=(2, 5, 6))
    ends = np.array([2, 5])
    hidden = torch.tensor(np.arange(5) >= ends[:, None])
    compare(torch, ours, theirs, [x], {"lengths": ends}, {"src_key_padding_mask": hidden}, target)


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")  # PyTorch's, of its own default
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("first", [False, True])
def test_a_transformer_is_pytorchs(first: bool, target: Target) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    theirs = torch.nn.Transformer(
        6, 2, 2, 3, 7, 0.0, norm_first=first, batch_first=True, dtype=torch.float64
    )
    ours = dg.Transformer(6, 2, 2, 3, 7, norm_first=first, dtype="float64")
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(3, 4, 6)), rng.normal(size=(3, 5, 6))]
    ends, ours_seen = np.array([1, 4, 2]), rng.random((3, 5, 4)) > 0.3
    ours_seen[..., 0] = True
    hidden = torch.tensor(np.arange(4) >= ends[:, None])
    each = torch.tensor(~ours_seen).repeat_interleave(2, dim=0)
    compare(
        torch, ours, theirs, arrays,
        {"lengths": ends, "memory_mask": ours_seen},
        {
            "tgt_mask": ~torch.tensor(np.tri(5, dtype=bool)), "memory_mask": each,
            "src_key_padding_mask": hidden, "memory_key_padding_mask": hidden,
        },
        target,
    )  # fmt: skip


def test_the_base_model_has_as_many_parameters_as_pytorchs() -> None:
    torch = pytest.importorskip("torch")
    assert dg.Transformer().parameter_count == 44140544
    theirs = torch.nn.Transformer(batch_first=True)
    assert sum(item.numel() for item in theirs.parameters()) == 44140544


@pytest.mark.parametrize("target", TARGETS)
def test_reading_once_and_writing_is_the_whole(target: Target) -> None:
    model = dg.Transformer(6, 3, 1, 2, 5, dtype="float64", rotary=dg.RotaryEncoding())
    rng = np.random.default_rng(0)
    source, written = rng.normal(size=(2, 3, 6)), rng.normal(size=(2, 4, 6))

    def parts(source: Any, written: Any) -> Any:
        return model.decoder(written, model.encoder(source)) - model(source, written)

    x = [dg.observed(name, (2, n, 6), "float64") for name, n in (("s", 3), ("w", 4))]
    program = dg.Diagram("test", parts(*x)).compile(target=target)
    assert (program.run(s=source, w=written)["output"] == 0).all()


@pytest.mark.parametrize("target", TARGETS)
def test_in_a_loop_and_with_weights_for_each_sample(target: Target) -> None:
    encoder = dg.TransformerEncoder(6, 2, 2, 5, causal=True, activation=dg.gelu, dtype="float64")
    check_loop(encoder, target)
    check_bound(encoder, target)


def test_copies_and_files(tmp_path: Path) -> None:
    check_copies_and_files(dg.TransformerEncoder(6, 2, 2, 5, dtype="float64"), tmp_path)


def test_no_layers() -> None:
    x = np.random.default_rng(0).normal(size=(2, 3, 6))
    nothing = dg.TransformerEncoder(6, 2, 0, norm=False, dtype="float64")
    assert_close(
        outputs_for(dg.Chain(nothing, dg.Linear(6, 6, dtype="float64")), x).shape, (2, 3, 6)
    )


def test_equal_layers_are_equal_kernels() -> None:
    """So that compiling does not take longer for more of them."""

    def kernels(layers: int) -> int:
        net = dg.TransformerEncoder(8, 2, layers, 16, norm_first=True, activation=dg.gelu)
        y = net(dg.observed("x", ("B", "T", 8)))
        program = dg.Diagram("test", cost=dg.mean(y * y)).compile(optimizer=dg.Adam())
        return len(program.kernels)

    assert kernels(3) == kernels(6)
