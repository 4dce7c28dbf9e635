"""Every row of docs/from_pytorch.md runs: PyTorch's expression and the one here give the same."""

import re
from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ..house import ROOT

RNG = np.random.default_rng(0)
ARRAYS: dict[str, Any] = {
    "x": RNG.normal(size=(4, 6)),
    "y": RNG.normal(size=(4, 6)),
    "v": RNG.normal(size=6),
    "s": RNG.normal(size=(4, 4)) + 3 * np.eye(4),
    "i": RNG.integers(0, 4, (4, 6)),
    "m": RNG.integers(0, 2, (4, 6)).astype(bool),
    "image": RNG.normal(size=(2, 3, 8, 8)),
}
PAGE = (ROOT / "docs" / "from_pytorch.md").read_text(encoding="utf-8")
TENSORS, MODULES = (
    re.findall(r"^\| `(.+?)` \| `(.+?)` \|$", part, re.MULTILINE)
    for part in PAGE.split("## Tensors")[1].split("## Modules")
)


def variables() -> dict[str, Any]:
    return {name: dg.observed(name, array.shape, array.dtype) for name, array in ARRAYS.items()}


def test_every_row_of_the_tables_is_read() -> None:
    lines = [line for line in PAGE.split("## Tensors")[1].splitlines() if line.startswith("| `")]
    assert len(TENSORS) + len(MODULES) == len(lines) > 80


def test_the_words_for_training_are_there() -> None:
    part = PAGE.split("## Training")[1].split("## Tensors")[0]
    words = set(re.findall(r"dg\.(\w+)", part))
    assert words and all(hasattr(dg, word) for word in words)
    methods = set(re.findall(r"program\.(\w+)", part))
    program = dg.Diagram("word", {"y": dg.observed("x", (2,)) + 1.0}).compile()
    assert methods and all(hasattr(program, method) for method in methods)


def test_both_sides_of_every_row_of_tensors_are_equal() -> None:
    torch = pytest.importorskip("torch")
    given = variables()
    outputs = {
        str(place): eval(ours, {"dg": dg, **given}) for place, (_, ours) in enumerate(TENSORS)
    }
    values = dg.Diagram("rows", outputs).compile(target="reference").run(**ARRAYS)
    tensors = {name: torch.tensor(array) for name, array in ARRAYS.items()}
    for place, (theirs, ours) in enumerate(TENSORS):
        wanted = eval(theirs, {"torch": torch, **tensors}).numpy()
        found = values[str(place)]
        assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype), ours
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12, err_msg=ours)


def test_modules_and_blocks_with_the_same_weights_give_the_same() -> None:
    torch = pytest.importorskip("torch")
    arrays = {name: ARRAYS[name].astype(np.float32) for name in ("x", "image")}
    given = {name: dg.observed(name, array.shape) for name, array in arrays.items()}
    outputs, pairs = {}, []
    for place, (theirs, ours) in enumerate(MODULES):
        module, block = eval(theirs, {"nn": torch.nn}), eval(ours, {"dg": dg})
        name = "image" if re.search("2d|Norm.(3|3, 3)|Group|Flatten", theirs) else "x"
        outputs[str(place)] = block(given[name])
        pairs.append((module, block, name))
    program = dg.Diagram("modules", outputs).compile(target="reference")
    for module, block, _ in pairs:
        if module.state_dict():
            dg.load_torch(block, program, module.state_dict())
    values = program.run(**arrays)
    for place, (module, _, name) in enumerate(pairs):
        with torch.no_grad():
            wanted = module(torch.tensor(arrays[name])).numpy()
        ours = MODULES[place][1]
        np.testing.assert_allclose(values[str(place)], wanted, 1e-5, 1e-5, err_msg=ours)
