"""diagrad: a text written by `dg.generate`."""

from __future__ import annotations

from typing import Any

import numpy as np

import diagrad as dg
from diagrad.frontend.generate import _written  # the loop that `dg.generate` makes

from ...arrays import Arrays
from ...generation import FEATURES, HEADS, HIDDEN, LAYERS, POSITIONS, PROMPT, STEPS, SYMBOLS
from ..common import Call, Job, repeated
from .jobs import compiled


def build(name: str, arrays: Arrays) -> Job:
    """The workload as calls of `dg.generate`."""
    encoder = dg.TransformerEncoder(
        FEATURES, HEADS, LAYERS, HIDDEN, norm_first=True, activation=dg.gelu, causal=True
    )
    model = dg.Chain(
        dg.Embedding(SYMBOLS, FEATURES),
        dg.LearnedEncoding(POSITIONS, FEATURES),
        encoder,
        dg.Linear(FEATURES, SYMBOLS),
        name="model",
    )
    symbols = dg.observed("symbols", ("B", "T"), dg.int32)
    program = compiled(dg.Diagram("generate", {"scores": model(symbols)}))
    encoder.load_torch(program, _torch(arrays))
    held = {"0/weight": "symbols", "1/weight": "places", "3/weight": "head_w", "3/bias": "head_b"}
    for name, key in held.items():
        program.parameters[f"model/{name}"] = arrays[key]
    found: list[Any] = []

    def step() -> None:
        found[:] = [dg.generate(program, arrays["prompt"], STEPS)]

    def calls() -> list[Call]:
        dg.generate(program, arrays["prompt"], 1)
        (writer,) = _written[program].values()
        places = np.arange(PROMPT, PROMPT + STEPS - 1, dtype=np.int32)
        inputs = {"prompt": arrays["prompt"][None], "places": places}
        return [Call(writer.program, "run", inputs, False)]

    return Job(step, repeated(step), lambda: found[0].astype(float).tolist(), calls=calls)


def _torch(arrays: Arrays) -> Arrays:
    """The layers' weights by PyTorch's names, which has them (outputs, inputs)."""
    names = {
        "in": ("self_attn.in_proj_weight", "self_attn.in_proj_bias"),
        "out": ("self_attn.out_proj.weight", "self_attn.out_proj.bias"),
        "up": ("linear1.weight", "linear1.bias"), "down": ("linear2.weight", "linear2.bias"),
    }  # fmt: skip
    found: Arrays = {"norm.weight": arrays["last_g"], "norm.bias": arrays["last_b"]}
    for layer in range(LAYERS):
        under = f"layers.{layer}."
        for name, (weight, bias) in names.items():
            found[under + weight] = np.ascontiguousarray(arrays[f"{name}_w{layer}"].T)
            found[under + bias] = arrays[f"{name}_b{layer}"]
        for number, part in enumerate(("first", "second"), 1):
            found[f"{under}norm{number}.weight"] = arrays[f"{part}_g{layer}"]
            found[f"{under}norm{number}.bias"] = arrays[f"{part}_b{layer}"]
    return found
