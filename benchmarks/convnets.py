"""The convolutional workloads: nets, single layers, and their data, the same for every peer.

Images are (batch, channels, height, width) and weights (outputs, inputs / groups, height, width),
as PyTorch has them; dense weights are (inputs, outputs), their inputs flattened in that order.  A
peer holds them in whichever layout it is fastest with.  A step is forward, backward and
SGD; `lenet5_infer` is the forward pass alone, and of a layer each pass is timed by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from .arrays import Arrays, seeded

CLASSES = 10
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Layer:
    """One convolution: its channels, its window of `taps` along each axis, and where it goes."""

    inputs: int
    outputs: int
    taps: int
    padding: int = 0
    stride: int = 1
    groups: int = 1
    pool: bool = False
    """In a net: whether a 2x2 max-pool follows its ReLU."""

    def places(self, space: Shape) -> Shape:
        """The extents of its output, before a pool."""
        return tuple((n + 2 * self.padding - self.taps) // self.stride + 1 for n in space)

    def weight(self, axes: int) -> Shape:
        """The shape of its weight."""
        return (self.outputs, self.inputs // self.groups, *(self.taps,) * axes)

    def flops(self, batch: int, space: Shape) -> float:
        """Those of one pass, which are the same for each of the three; zeros around x count."""
        places = float(np.prod(self.places(space)))
        return 2.0 * batch * places * float(np.prod(self.weight(len(space))))


@dataclass(frozen=True)
class Net:
    """Convolutions with ReLU and some with a 2x2 max-pool, then dense layers with ReLU between."""

    text: str
    batch: int
    space: Shape
    layers: tuple[Layer, ...]
    dense: Shape
    infer: bool = False
    rate: float = 0.1

    @property
    def flops(self) -> float:
        """Those of convolutions and products; the images have no gradient."""
        passes, space, total = 1 if self.infer else 2, self.space, 0.0
        for layer in self.layers:
            total += passes * layer.flops(self.batch, space)
            space = tuple(n // 2 if layer.pool else n for n in layer.places(space))
            passes = 1 if self.infer else 3
        return total + passes * sum(2.0 * self.batch * a * b for a, b in pairwise(self.dense))

    def make(self) -> Arrays:
        """Parameters, `c0/weight` of convolutions and `d0/weight` of dense layers; a batch."""
        rng = seeded()
        arrays: Arrays = {}

        def uniform(inputs: int, *shape: int) -> np.ndarray:
            bound = 1 / np.sqrt(inputs)
            return rng.uniform(-bound, bound, shape).astype(np.float32)

        for i, layer in enumerate(self.layers):
            inputs = int(np.prod(layer.weight(2)[1:]))
            arrays[f"c{i}/weight"] = uniform(inputs, *layer.weight(2))
            arrays[f"c{i}/bias"] = uniform(inputs, layer.outputs)
        for i, (inputs, outputs) in enumerate(pairwise(self.dense)):
            arrays[f"d{i}/weight"] = uniform(inputs, inputs, outputs)
            arrays[f"d{i}/bias"] = uniform(inputs, outputs)
        images = (self.batch, self.layers[0].inputs, *self.space)
        arrays["x"] = rng.normal(size=images).astype(np.float32)
        arrays["y"] = rng.integers(0, CLASSES, self.batch).astype(np.int32)
        return arrays


LENET5 = (Layer(1, 6, 5, 2, pool=True), Layer(6, 16, 5, pool=True), Layer(16, 120, 5))
PLAIN = {
    "lenet5": Net(
        "LeNet-5: 1-6-16-120 of 5x5, 28x28 and 2 zeros around, ReLU, 2x2 max-pools, 84-10, cross "
        "entropy, batch 64, SGD",
        64, (28, 28), LENET5, (120, 84, CLASSES),
    ),
    "conv_cifar": Net(
        "3-32-64 of 3x3, 32x32 and a zero around, ReLU, 2x2 max-pools, 10, cross entropy, batch "
        "32, SGD",
        32, (32, 32), (Layer(3, 32, 3, 1, pool=True), Layer(32, 64, 3, 1, pool=True)),
        (64 * 8 * 8, CLASSES),
    ),
    "lenet5_infer": Net(
        "the logarithms of what LeNet-5 gives each class, one image",
        1, (28, 28), LENET5, (120, 84, CLASSES), infer=True,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Block:
    """Two convolutions of 3x3, the first with the stride, and the way around them."""

    inputs: int
    outputs: int
    stride: int


@dataclass(frozen=True)
class Resnet:
    """He et al., Deep residual learning for image recognition, 2016: the nets for CIFAR.

    A convolution of 16 channels; stages of 16, 32 and 64 channels with so many blocks each; the
    mean over the image; a dense layer.  Each convolution has batch norm in training mode, its
    running averages kept.  Where sizes change, the way around is their option A: every other pixel,
    channels of zeros behind; it has no parameters.
    """

    batch: int = 32
    space: Shape = (32, 32)
    blocks_a_stage: int = 3
    rate: float = 0.01

    @property
    def text(self) -> str:
        """What a step is."""
        depth = len(self.layers) + 1
        return f"ResNet-{depth} on 32x32, option A, cross entropy, batch {self.batch}, SGD"

    @property
    def first(self) -> Layer:
        """The convolution before the blocks."""
        return Layer(3, 16, 3, 1)

    @property
    def blocks(self) -> list[Block]:
        """All blocks in their order."""
        found = []
        inputs = self.first.outputs
        for outputs in (16, 32, 64):
            for _ in range(self.blocks_a_stage):
                found.append(Block(inputs, outputs, outputs // inputs))
                inputs = outputs
        return found

    @property
    def layers(self) -> list[Layer]:
        """All convolutions in their order, two of each block."""
        found = [self.first]
        for block in self.blocks:
            found.append(Layer(block.inputs, block.outputs, 3, 1, block.stride))
            found.append(Layer(block.outputs, block.outputs, 3, 1))
        return found

    @property
    def flops(self) -> float:
        """Those of convolutions and the product; the images have no gradient."""
        passes, space, total = 2, self.space, 0.0
        for layer in self.layers:
            total += passes * layer.flops(self.batch, space)
            space, passes = layer.places(space), 3
        return total + passes * 2.0 * self.batch * self.layers[-1].outputs * CLASSES

    def make(self) -> Arrays:
        """Parameters, `n0/weight` and `n0/bias` of batch norm, `d0/weight` of the end; a batch."""
        rng = seeded()
        arrays: Arrays = {}
        for i, layer in enumerate(self.layers):
            shape = layer.weight(2)
            spread = np.sqrt(2 / np.prod(shape[1:]))
            arrays[f"c{i}/weight"] = rng.normal(0, spread, shape).astype(np.float32)
            arrays[f"n{i}/weight"] = rng.uniform(0.5, 1.5, layer.outputs).astype(np.float32)
            arrays[f"n{i}/bias"] = rng.normal(0, 0.1, layer.outputs).astype(np.float32)
        last = self.layers[-1].outputs
        bound = 1 / np.sqrt(last)
        arrays["d0/weight"] = rng.uniform(-bound, bound, (last, CLASSES)).astype(np.float32)
        arrays["d0/bias"] = np.zeros(CLASSES, np.float32)
        images = (self.batch, self.first.inputs, *self.space)
        arrays["x"] = rng.normal(size=images).astype(np.float32)
        arrays["y"] = rng.integers(0, CLASSES, self.batch).astype(np.int32)
        return arrays


RESNETS = {"resnet20": Resnet()}
WHOLE: dict[str, Net | Resnet] = {**PLAIN, **RESNETS}
MOMENTUM, EPSILON = 0.1, 1e-5
"""Of batch norm: the share of the batch in the running averages; beside the variance."""

PASSES = ("forward", "data gradient", "weight gradient")


@dataclass(frozen=True)
class Single:
    """A layer alone, without bias, on a batch of 32."""

    layer: Layer
    space: Shape
    batch: int = 32
    meant: float | None = 0.8
    """The share of the machine's multiply-adds that each pass is meant to reach."""

    @property
    def text(self) -> str:
        """What a step is."""
        held, extents = self.layer, "x".join(map(str, self.space))
        return (
            f"a convolution {held.inputs}-{held.outputs} alone, {held.taps} taps along each axis "
            f"of {extents}, stride {held.stride}, {held.groups} groups, batch {self.batch}: "
            f"forward, and the gradients of its input and its weight"
        )

    @property
    def pass_flops(self) -> float:
        """Those of one pass, the same for each of the three."""
        return self.layer.flops(self.batch, self.space)

    @property
    def flops(self) -> float:
        """Those of all passes."""
        return len(PASSES) * self.pass_flops

    @property
    def traffic(self) -> float:
        """The bytes that a pass reads or writes at least, the same for each of the three."""
        x, w, y = self.shapes
        return 4.0 * sum(float(np.prod(shape)) for shape in (x, w, y))

    @property
    def shapes(self) -> tuple[Shape, Shape, Shape]:
        """Those of the input, the weight and the output."""
        x = (self.batch, self.layer.inputs, *self.space)
        y = (self.batch, self.layer.outputs, *self.layer.places(self.space))
        return x, self.layer.weight(len(self.space)), y

    def make(self) -> Arrays:
        """An input `x`, a weight `w`, and the gradient `g` that comes back to the output."""
        rng = seeded()
        named = zip("xwg", self.shapes, strict=True)
        return {name: rng.normal(size=shape).astype(np.float32) for name, shape in named}


SINGLES = {
    f"conv_layers_{name}": single
    for name, single in {
        "3x3_16": Single(Layer(16, 16, 3, 1), (32, 32)),
        "3x3_32": Single(Layer(32, 32, 3, 1), (16, 16)),
        "3x3_64": Single(Layer(64, 64, 3, 1), (8, 8)),
        "3x3_128": Single(Layer(128, 128, 3, 1), (8, 8)),
        "3x3_64_56": Single(Layer(64, 64, 3, 1), (56, 56)),
        "3x3_128_56": Single(Layer(128, 128, 3, 1), (56, 56)),
        "3x3_first": Single(Layer(3, 32, 3, 1), (32, 32), meant=None),
        "5x5_6_16": Single(Layer(6, 16, 5), (14, 14), meant=None),
        "1x1_64": Single(Layer(64, 64, 1), (16, 16), meant=None),
        "3x3_stride2": Single(Layer(16, 32, 3, 1, stride=2), (32, 32), meant=None),
        "3x3_depthwise": Single(Layer(64, 64, 3, 1, groups=64), (32, 32), meant=None),
        "1d_64": Single(Layer(64, 64, 3, 1), (1000,), meant=None),
    }.items()
}

CONVNETS: dict[str, Net | Resnet | Single] = {**WHOLE, **SINGLES}
