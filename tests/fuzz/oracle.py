"""The oracle: a diagram's graph, inlined and differentiated alone, by NumPy; and differences of it.

It shares no simplification, no hoisting, no fusion and no kernel with what it judges, but the
passes that say what a diagram means: what a block is, what is computed behind a sample's end, where
random bits come from.  The rules of derivatives, which it shares too, are judged by finite
differences of its own values.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from diagrad.compiler.graph import Graph
from diagrad.compiler.memory.tape import MOVING, emit_tape
from diagrad.compiler.passes.differentiate import differentiate
from diagrad.compiler.passes.inline import inline
from diagrad.compiler.passes.lift_draws import lift_draws
from diagrad.compiler.passes.mask_padding import mask_padding
from diagrad.runtime.reference import ReferenceExecutor

Array = npt.NDArray[Any]
Arrays = Mapping[str, Array]


class Oracle:
    """The values of a lowered graph, and what its updates make of the states."""

    def __init__(self, lowered: Graph) -> None:
        self.graph = differentiate(lift_draws(mask_padding(inline(lowered))))
        self.names = [name for name, _ in self.graph.outputs]
        self.inputs = [n.attrs["name"] for n in self.graph.inputs if n.attrs["role"] in MOVING]
        self.states = [n.attrs["name"] for n in self.graph.inputs if n.attrs["role"] not in MOVING]

    def __call__(
        self, inputs: Arrays, states: Arrays, sizes: Mapping[str, int]
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """The outputs by name, and the states after the updates; the given ones stay as they are.

        Inputs may lie in `states` as well, where a parameter of one program is moved by hand.
        """
        after = {name: np.array(states[name]) for name in self.states}
        executor = ReferenceExecutor(emit_tape(self.graph, sizes), after)
        values = executor([np.asarray(inputs[name]) for name in self.inputs])
        return dict(zip(self.names, values, strict=True)), after


def slopes_differ(
    oracle: Oracle,
    inputs: Arrays,
    states: Arrays,
    sizes: Mapping[str, int],
    value: str,
    slope: float,
    along: Arrays,
    width: float = 1e-5,
) -> tuple[float, float] | None:
    """A derivative and its difference quotient, where they surely differ; else None.

    Two widths are compared: where the quotients of the two are apart, a kink or a steep curve lies
    between, and nothing is said.
    """

    def at(step: float) -> float:
        moved = {
            name: given[name] + step * v
            for given in (inputs, states)
            for name, v in along.items()
            if name in given
        }
        found, _ = oracle({**inputs, **moved}, {**states, **moved}, sizes)
        return float(found[value])

    wide, narrow = (
        (at(step) - at(-step)) / (2 * step) for step in (width, width / 4)
    )  # in float64: an error of about 1e-10
    room = 1e-6 * (1 + abs(slope) + abs(narrow)) + 20 * abs(wide - narrow)
    if not np.isfinite([wide, narrow, slope]).all() or abs(narrow - slope) <= room:
        return None
    return slope, narrow
