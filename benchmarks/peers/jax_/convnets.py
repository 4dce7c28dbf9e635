"""JAX: the convolutional workloads, channels-last, which is its faster layout for all of them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from ...arrays import Arrays
from ...convnets import EPSILON, MOMENTUM, PASSES, PLAIN, RESNETS, SINGLES, WHOLE, Layer
from ..common import Job, repeated
from .jobs import cross_entropy, fed, training


def build(name: str, arrays: Arrays) -> Job:
    """The workload as one jitted step; of a layer, each pass as one function."""
    import jax

    if name in SINGLES:
        return _layer(name, arrays)
    images = _last(arrays["x"])
    state = {key: value for key, value in arrays.items() if key not in "xy"}
    for key in state:
        if key.startswith("c") and key.endswith("weight"):
            state[key] = _taps_first(state[key])
    if name in PLAIN:
        _flattened_last(name, state)
        if PLAIN[name].infer:
            return _infer(name, state, images)
    running = {} if name in PLAIN else _averages(name)

    def cost_of(state: Any, running: Any, x: Any, y: Any) -> Any:
        if name in PLAIN:
            return cross_entropy(_plain(name, state, x), y), running
        scores, running = _resnet(name, state, running, x)
        return cross_entropy(scores, y), running

    def update(held: Any, x: Any, y: Any) -> Any:
        state, running = held
        slopes_of = jax.value_and_grad(cost_of, has_aux=True)
        (cost, running), slopes = slopes_of(state, running, x, y)
        return ({key: state[key] - WHOLE[name].rate * slopes[key] for key in state}, running), cost

    return training(update, (state, running), images, arrays["y"])


def _last(value: Any) -> Any:
    """Channels behind the axes of space."""
    return np.ascontiguousarray(np.moveaxis(value, 1, -1))


def _taps_first(weight: Any) -> Any:
    """A weight (taps, inputs, outputs)."""
    return np.ascontiguousarray(np.moveaxis(weight, (0, 1), (-1, -2)))


def _flattened_last(name: str, state: Any) -> None:
    """The first dense layer's weight for images that are flattened with their channels last."""
    channels = PLAIN[name].layers[-1].outputs
    w = state["d0/weight"]
    state["d0/weight"] = w.reshape(channels, -1, w.shape[1]).swapaxes(0, 1).reshape(w.shape).copy()


def _convolution(x: Any, w: Any, layer: Layer) -> Any:
    from jax.lax import conv_general_dilated

    axes = "DHW"[3 - (x.ndim - 2) :]
    return conv_general_dilated(
        x, w, (layer.stride,) * len(axes), [(layer.padding,) * 2] * len(axes),
        dimension_numbers=(f"N{axes}C", f"{axes}IO", f"N{axes}C"),
        feature_group_count=layer.groups,
    )  # fmt: skip


def _plain(name: str, state: Any, x: Any) -> Any:
    import jax

    net = PLAIN[name]
    for i, layer in enumerate(net.layers):
        x = jax.nn.relu(_convolution(x, state[f"c{i}/weight"], layer) + state[f"c{i}/bias"])
        if layer.pool:
            x = _pool(x)
    x = x.reshape(x.shape[0], -1)
    last = len(net.dense) - 2
    for i, _ in enumerate(pairwise(net.dense)):
        x = x @ state[f"d{i}/weight"] + state[f"d{i}/bias"]
        x = jax.nn.relu(x) if i < last else x
    return x


def _pool(x: Any) -> Any:
    """The maximum of 2x2, as a maximum over axes: its way back is faster than of a window's."""
    n, height, width, channels = x.shape
    return x.reshape(n, height // 2, 2, width // 2, 2, channels).max((2, 4))


def _infer(name: str, state: Any, x: Any) -> Job:
    import jax

    run = jax.jit(lambda state, x: jax.nn.log_softmax(_plain(name, state, x)))
    state, x = jax.device_put(state), fed(x)
    held: list[Any] = []

    def step() -> None:
        held[:] = [np.asarray(run(state, x))]

    def many(count: int) -> None:
        for _ in range(count):
            result = run(state, x)
        jax.block_until_ready(result)

    return Job(step, many, lambda: held[0].ravel().tolist())


def _averages(name: str) -> Any:
    """What batch norm keeps for inference: means of 0 and variances of 1 to begin with."""
    channels = [layer.outputs for layer in RESNETS[name].layers]
    means = {f"m{i}": np.zeros(count, np.float32) for i, count in enumerate(channels)}
    return means | {f"v{i}": np.ones(count, np.float32) for i, count in enumerate(channels)}


def _resnet(name: str, state: Any, running: Any, x: Any) -> Any:
    import jax
    import jax.numpy as jnp

    net = RESNETS[name]
    layers = net.layers
    kept: dict[str, Any] = {}

    def normal(x: Any, i: int) -> Any:
        x = _convolution(x, state[f"c{i}/weight"], layers[i])
        count = x.size // x.shape[-1]
        mean = x.mean((0, 1, 2))
        # As Flax does: `x.var` takes twice as long in all.
        variance = jnp.maximum((x * x).mean((0, 1, 2)) - mean * mean, 0)
        for key, value in ((f"m{i}", mean), (f"v{i}", variance * (count / (count - 1)))):
            kept[key] = running[key] + MOMENTUM * (jax.lax.stop_gradient(value) - running[key])
        x = (x - mean) * (jax.lax.rsqrt(variance + EPSILON) * state[f"n{i}/weight"])
        return x + state[f"n{i}/bias"]

    x = jax.nn.relu(normal(x, 0))
    for k, block in enumerate(net.blocks):
        y = normal(jax.nn.relu(normal(x, 2 * k + 1)), 2 * k + 2)
        if block.stride > 1:
            x = x[:, :: block.stride, :: block.stride]
            x = jnp.pad(x, ((0, 0),) * 3 + ((0, block.outputs - block.inputs),))
        x = jax.nn.relu(x + y)
    return x.mean((1, 2)) @ state["d0/weight"] + state["d0/bias"], kept


def _layer(name: str, arrays: Arrays) -> Job:
    import jax

    layer = SINGLES[name].layer
    x, g = (jax.device_put(_last(arrays[key])) for key in "xg")
    w = jax.device_put(_taps_first(arrays["w"]))
    functions = {
        "y": (lambda x, w: _convolution(x, w, layer), (x, w)),
        "x": (
            lambda g, w: jax.linear_transpose(lambda x: _convolution(x, w, layer), x)(g)[0],
            (g, w),
        ),
        "w": (
            lambda x, g: jax.linear_transpose(lambda w: _convolution(x, w, layer), w)(g)[0],
            (x, g),
        ),
    }
    held: dict[str, Any] = {}

    def timed(key: str) -> Any:
        function, inputs = functions[key]
        run = jax.jit(function)

        def one() -> None:
            held[key] = jax.block_until_ready(run(*inputs))

        return one

    passes = {text: timed(key) for text, key in zip(PASSES, functions, strict=True)}

    def step() -> None:
        for one in passes.values():
            one()

    def result() -> list[float]:
        return [float(np.abs(np.asarray(held[key])).sum()) for key in "yxw"]

    return Job(step, repeated(step), result, passes)
