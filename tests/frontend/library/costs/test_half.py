"""Costs and activations of float16 are those of the same numbers in float32."""

from collections.abc import Callable
from typing import Any

import numpy as np

import diagrad as dg

from ...evaluating import run

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "cross_entropy": lambda x, t, y: dg.cross_entropy(x, y, weight=[1.0, 2.0, 3.0]),
    "ignored": lambda x, t, y: dg.cross_entropy(x, y, ignore_index=1, label_smoothing=0.1),
    "shares": lambda x, t, y: dg.cross_entropy(x, t, label_smoothing=0.1),
    "multi_margin": lambda x, t, y: dg.multi_margin(x, y),
    "binary": lambda x, t, y: dg.binary_cross_entropy(x, t, weight=2.0, pos_weight=0.5),
    "probabilities": lambda x, t, y: dg.binary_cross_entropy(t, t, "none", from_logits=False),
    "focal": lambda x, t, y: dg.focal(x, t),
    "kl_divergence": lambda x, t, y: dg.kl_divergence(x, t),
    "poisson_nll": lambda x, t, y: dg.poisson_nll(x, t),
    "gaussian_nll": lambda x, t, y: dg.gaussian_nll(x, t, t),
    "cosine": lambda x, t, y: dg.cosine(x, t, t[:, 0]),
    "triplet": lambda x, t, y: dg.triplet(x, t, x),
    "ctc": lambda x, t, y: dg.ctc(x[None], 1 + 0 * y[:, None]),
    "gumbel_softmax": lambda x, t, y: dg.gumbel_softmax(x, stream="same"),
    "mixed": lambda x, t, y: dg.squared_error(x, t.astype("float32")),
    "normalize": lambda x, t, y: dg.normalize(x),
    "hard_swish": lambda x, t, y: dg.hard_swish(x),
}


def test_half_precision_is_for_storage_alone() -> None:
    x = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float16)
    t = np.array([[0.5, 0.25, 0.25], [1e-6, 0.5, 0.5], [1, 0, 0], [0.1, 0.7, 0.2]], np.float16)
    y = dg.observed("y", (4,), "int8")
    half = [dg.observed(name, (4, 3), "float16") for name in "xt"]
    wide = [item.astype("float32") for item in half]
    outputs = {
        f"{name} {kind}": function(*given, y)
        for kind, given in (("half", half), ("wide", wide))
        for name, function in FUNCTIONS.items()
    }
    found = run(outputs, "reference", x=x, t=t, y=np.array([0, 2, 1, 1], np.int8))
    for name in FUNCTIONS:
        narrow = found[f"{name} half"]
        assert narrow.dtype == np.float32, name
        np.testing.assert_array_equal(narrow, found[f"{name} wide"], err_msg=name)
