"""PyTorch: a text written with keys and values in place, by a step for one symbol.

Eager attention looks at the rows that are filled.  Compiled, it looks at all rows under a mask, so
that one compiled step serves every position.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

from ...arrays import Arrays
from ...generation import EPSILON, FEATURES, HEADS, LAYERS, POSITIONS, PROMPT, STEPS
from ..common import Job, repeated
from .feeding import fed


def build(name: str, arrays: Arrays, compiled: bool) -> Job:
    """The workload; its step compiled or as it is."""
    p = {name: torch.tensor(value) for name, value in arrays.items()}
    for name in [name for name in p if "_w" in name]:  # as nn.Linear keeps them
        p[name] = p[name].T.contiguous()
    keys = torch.zeros(LAYERS, 1, HEADS, POSITIONS, FEATURES // HEADS)
    values = torch.zeros_like(keys)
    every = torch.arange(POSITIONS)

    def norm(x: Any, name: str, layer: Any = "") -> Any:
        return functional.layer_norm(
            x, (FEATURES,), p[f"{name}_g{layer}"], p[f"{name}_b{layer}"], EPSILON
        )

    def linear(x: Any, name: str, layer: Any = "") -> Any:
        return functional.linear(x, p[f"{name}_w{layer}"], p[f"{name}_b{layer}"])

    def read(symbols: Any, places: Any, seen: Any, filled: int) -> Any:
        """Symbols (1, T) at places (T,) -> the next one."""
        count = symbols.shape[1]
        x = p["symbols"][symbols] + p["places"][places]
        for layer in range(LAYERS):
            joined = linear(norm(x, "first", layer), "in", layer)
            q, k, v = joined.view(1, count, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
            keys[layer].index_copy_(2, places, k)
            values[layer].index_copy_(2, places, v)
            found = functional.scaled_dot_product_attention(
                q, keys[layer, :, :, :filled], values[layer, :, :, :filled], attn_mask=seen
            )
            x = x + linear(found.transpose(1, 2).reshape(1, count, FEATURES), "out", layer)
            inner = functional.gelu(linear(norm(x, "second", layer), "up", layer))
            x = x + linear(inner, "down", layer)
        return linear(norm(x[:, -1], "last"), "head").argmax(-1, keepdim=True)

    def one(symbol: Any, place: Any) -> Any:
        return read(symbol, place, (every <= place)[None], POSITIONS)

    step_compiled = torch.compile(one)
    prompt = fed(p["prompt"].long()[None])
    causal = torch.ones(PROMPT, PROMPT, dtype=torch.bool).tril()
    text: list[Any] = []

    def step() -> None:
        with torch.inference_mode():
            symbol = read(*prompt(), every[:PROMPT], causal, PROMPT)
            text[:] = [symbol]
            for place in range(PROMPT, PROMPT + STEPS - 1):
                here = every[place : place + 1]
                if compiled:
                    symbol = step_compiled(symbol, here)
                else:
                    symbol = read(symbol, here, None, place + 1)
                text.append(symbol)

    return Job(step, repeated(step), lambda: torch.cat(text, 1)[0].double().tolist())
