"""What `fit` does with `augment`: which inputs are changed, by what, and with which draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...arguments import function, wrong
from ...errors import InputError
from ...programs.inputs import Expected
from ...variables.variable import shape_text
from .images import Array, Transform, listed

Augment = Transform | Mapping[str, Transform]
_EXAMPLE = "dg.augment.RandomFlip(), of a batch of images and a generator"


class Augmentation:
    """The transforms of some of the inputs of a step.

    Args:
        what: whose they are, in messages.
        expected: the inputs of a step.
        axes: the axis of each that counts samples; a transform has it in front.
        augment: a transform, for the one input that looks like images (floats with four axes); or
            a dict of them by the names of inputs.

    Raises:
        InputError: a name that is no input's; one transform, and not one input like images.
        TypeError: no function.
    """

    def __init__(
        self, what: str, expected: Sequence[Expected], axes: Mapping[str, int], augment: Augment
    ) -> None:
        self.what = what
        self.axes = axes
        self.expected = {item.name: item for item in expected}
        if isinstance(augment, Mapping):
            given = dict(augment)
        elif not callable(augment):
            raise wrong(what, f"augment to be a function, {_EXAMPLE}, or a dict of them", augment)
        else:
            given = {self._images(): augment}
        for name, transform in given.items():
            if name not in self.expected:
                raise InputError(f"{what} expects augment for inputs out of "
                                 f"{', '.join(self.expected)}, got {name!r}")  # fmt: skip
            function(what, f"augment of {name!r}", transform, _EXAMPLE)
        self.transforms: dict[str, Transform] = given

    def _images(self) -> str:
        """The name of the only input that looks like images."""
        found = [
            name
            for name, item in self.expected.items()
            if len(item.shape) == 4 and item.dtype.kind == "f"
        ]
        if len(found) != 1:
            these = "; ".join(item.text() for item in self.expected.values())
            raise InputError(
                f"{self.what} expects one input that looks like images, floats (N, C, H, W), for "
                f"augment, got {len(found)} ({these}): name it, as augment={{"
                f"{next(iter(found or self.expected))!r}: ...}}"
            )
        return found[0]

    def __call__(self, inputs: Mapping[str, Array], seed: Sequence[int]) -> dict[str, Array]:
        """A batch with what is changed; each input has a generator of its own.

        Args:
            inputs: the batch, which is not changed.
            seed: of this batch.

        Raises:
            InputError: what a transform gives is not what the input takes.
        """
        changed = dict(inputs)
        for name, transform in self.transforms.items():
            rng = np.random.default_rng([*seed, *name.encode()])
            axis = self.axes[name]
            batch = np.moveaxis(inputs[name], axis, 0)
            batch.flags.writeable = False  # They may be the user's own: moveaxis gives a view.
            found: Any = transform(batch, rng)
            item = self.expected[name]
            if not isinstance(found, np.ndarray):
                raise self._wrong(name, f"an array, got {type(found).__name__}")
            if found.dtype != item.dtype or found.shape[:1] != batch.shape[:1]:
                raise self._wrong(
                    name,
                    f"{item.dtype} with {len(batch)} samples in front, got {found.dtype} "
                    f"{shape_text(found.shape)}",
                )
            try:
                changed[name] = item.check(np.moveaxis(found, 0, axis))
            except InputError as error:
                raise InputError(f"{self.what}, augment by {listed(transform)}: {error}") from None
        return changed

    def _wrong(self, name: str, text: str) -> InputError:
        return InputError(
            f"{self.what} expects of augment's {listed(self.transforms[name])} for input "
            f"'{name}' ({self.expected[name].variable.where}) {text}"
        )
