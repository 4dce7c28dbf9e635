"""Embedding: rows of a parameter, and a symbol that stands for none."""

from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ..evaluating import TARGETS, Target, assert_close, text


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("padding", [None, 0, 3])
@pytest.mark.parametrize("shape", [(2, 5), (0, 3), (1,), ()])
def test_rows_and_their_gradient_are_pytorchs(
    shape: tuple[int, ...], padding: int | None, target: Target
) -> None:
    torch = pytest.importorskip("torch")
    theirs = torch.nn.Embedding(4, 3, padding_idx=padding)
    block = dg.Embedding(4, 3, padding=padding)
    symbols = dg.observed("symbols", shape, "int64")
    y = block(symbols)
    slope = dg.gradient(dg.sum(y * y), block.weight)
    program = dg.Diagram("test", {"y": y, "slope": slope}).compile(target=target)
    program.parameters["embedding/weight"] = theirs.weight.detach().numpy()
    given = np.random.default_rng(0).integers(0, 4, shape)
    found = program.run(symbols=given)
    wanted = theirs(torch.tensor(given))
    wanted.square().sum().backward()
    assert_close(found["y"], wanted.detach().numpy())
    assert_close(found["slope"], theirs.weight.grad.numpy())


def test_the_padding_gives_0_whatever_its_row_holds() -> None:
    block = dg.Embedding(4, 3, padding=1)
    program = dg.Diagram("test", block(dg.observed("s", (2,), "int32"))).compile(target="reference")
    program.parameters["embedding/weight"] = np.full((4, 3), np.nan)
    program.parameters["embedding/weight"][2] = 1.0
    found = program.run(s=np.array([1, 2], np.int32))["output"]
    assert found.tolist() == [[0.0] * 3, [1.0] * 3]


def test_a_padding_that_is_no_symbol() -> None:
    with pytest.raises(ValueError, match="padding") as error:
        dg.Embedding(4, 3, padding=4)
    assert (
        text(error.value) == "Embedding (m.py:1) expects padding to be one of its 4 symbols, got 4"
    )
    with pytest.raises(ValueError, match="padding to be an integer of 0 or more, got -1"):
        dg.Embedding(4, 3, padding=-1)
    wrong: dict[str, Any] = {"padding_idx": 0}
    with pytest.raises(TypeError, match="got padding_idx=: use padding="):
        dg.Embedding(4, 3, **wrong)
