"""The text that a small Transformer writes: its sizes and its weights, the same for every peer.

Two layers of 128 features, the norm first, 4 heads, 512 inside, GELU; a learned vector for each
position; a norm and a linear layer at the end.  A step writes STEPS symbols after a prompt, one
text at a time, always the symbol with the greatest score.  Every peer keeps keys and values.
"""

from __future__ import annotations

import numpy as np

from .arrays import Arrays, seeded

SYMBOLS, FEATURES, HEADS, HIDDEN, LAYERS = 96, 128, 4, 512, 2
PROMPT, STEPS = 16, 240
POSITIONS = PROMPT + STEPS
EPSILON = 1e-5

LINEAR = {
    "in": (FEATURES, 3 * FEATURES), "out": (FEATURES, FEATURES),
    "up": (FEATURES, HIDDEN), "down": (HIDDEN, FEATURES),
}  # fmt: skip
"""The linear layers of one layer: queries, keys and values side by side; what joins the heads."""

_WEIGHTS = LAYERS * sum(a * b for a, b in LINEAR.values()) + FEATURES * SYMBOLS
_PAIRS = POSITIONS * (POSITIONS - 1) // 2
"""A symbol that is read, and one that it sees, for each head's score and mean."""

GENERATE_FLOPS = 2.0 * (POSITIONS - 1) * _WEIGHTS + 4.0 * LAYERS * _PAIRS * FEATURES


def make_generate() -> Arrays:
    """The model's weights, (inputs, outputs), and the prompt."""
    rng = seeded()

    def normal(*shape: int, scale: float = 1.0) -> np.ndarray:
        return rng.normal(0, scale, shape).astype(np.float32)

    arrays: Arrays = {"symbols": normal(SYMBOLS, FEATURES), "places": normal(POSITIONS, FEATURES)}
    for layer in range(LAYERS):
        for name, (inputs, outputs) in LINEAR.items():
            arrays[f"{name}_w{layer}"] = normal(inputs, outputs, scale=inputs**-0.5)
            arrays[f"{name}_b{layer}"] = normal(outputs, scale=0.1)
        for part in ("first", "second"):
            arrays[f"{part}_g{layer}"] = 1 + normal(FEATURES, scale=0.1)
            arrays[f"{part}_b{layer}"] = normal(FEATURES, scale=0.1)
    arrays["last_g"], arrays["last_b"] = (
        1 + normal(FEATURES, scale=0.1),
        normal(FEATURES, scale=0.1),
    )
    arrays["head_w"] = normal(FEATURES, SYMBOLS, scale=FEATURES**-0.5)
    arrays["head_b"] = normal(SYMBOLS, scale=0.1)
    arrays["prompt"] = rng.integers(0, SYMBOLS, PROMPT).astype(np.int32)
    return arrays
