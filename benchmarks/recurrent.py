"""The recurrent workloads: sizes and data, the same for every peer.

Weights are (inputs, gates * hidden), gates side by side in PyTorch's order; each gate has one bias,
a GRU's new state one more, `c`, inside of the reset gate's product. A step is forward, backward and
SGD with a rate of RATE.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .arrays import Arrays, seeded

RATE = 0.01
CLASSES = 10


@dataclass(frozen=True)
class Recurrent:
    """A recurrent net: its kind, and its sizes."""

    kind: str
    steps: int
    batch: int
    inputs: int
    hidden: int
    every: bool = False
    """Whether there is a cost at every step, or on the last state alone."""
    long: bool = False
    """Too many steps for systems that write each of them out, and compile for minutes."""
    checkpoint: int | None = None
    """Keep every so many states for the way back; systems that cannot say so keep all."""

    @property
    def gates(self) -> int:
        """Products of a step, side by side."""
        return {"elman": 1, "gru": 3, "lstm": 4}[self.kind]

    @property
    def flops(self) -> float:
        """Those of its matrix products; the input has no gradient."""
        step = 2.0 * self.batch * self.gates * self.hidden * (2 * self.inputs + 3 * self.hidden)
        ends = 6.0 * self.batch * self.hidden * CLASSES
        return self.steps * step + ends * (self.steps if self.every else 1)

    def make(self) -> Arrays:
        """The data of a step, and the initial parameters."""
        rng = seeded()
        wide, bound = self.gates * self.hidden, 1 / np.sqrt(self.hidden)

        def uniform(*shape: int) -> np.ndarray:
            return rng.uniform(-bound, bound, shape).astype(np.float32)

        labels = (self.steps, self.batch) if self.every else (self.batch,)
        return {
            "w": uniform(self.inputs, wide),
            "u": uniform(self.hidden, wide),
            "b": uniform(wide),
            **({"c": uniform(self.hidden)} if self.kind == "gru" else {}),
            "v": uniform(self.hidden, CLASSES),
            "a": np.zeros(CLASSES, np.float32),
            "x": rng.normal(size=(self.steps, self.batch, self.inputs)).astype(np.float32),
            "y": rng.integers(0, CLASSES, labels).astype(np.int32),
        }


NETS = {
    "elman_small": Recurrent("elman", 64, 8, 16, 32, every=True),
    "elman_small_b1": Recurrent("elman", 64, 1, 16, 32, every=True),
    "gru": Recurrent("gru", 100, 32, 64, 128),
    "lstm": Recurrent("lstm", 100, 32, 64, 128),
    "lstm_large": Recurrent("lstm", 100, 128, 1024, 1024, long=True),
    **{f"gru_T{t}": Recurrent("gru", t, 8, 32, 32, long=True) for t in (10, 100, 1000, 5000)},
    "lstm_T1000": Recurrent("lstm", 1000, 32, 64, 128, long=True),
    "lstm_T1000_checkpoint": Recurrent("lstm", 1000, 32, 64, 128, long=True, checkpoint=32),
}

ODE_STEPS, ODE_STEP, ODE_SIZE, ODE_HIDDEN = 100, np.float32(0.02), 32, 64


def make_ode() -> Arrays:
    """A field 32-64-32, where a batch of 32 begins, and where it shall end."""
    rng = seeded()
    shapes = {
        "w0": (32, 64),
        "b0": (64,),
        "w1": (64, 32),
        "b1": (32,),
        "x": (32, 32),
        "y": (32, 32),
    }
    return {name: rng.normal(size=s).astype(np.float32) * 0.3 for name, s in shapes.items()}


ODE_FLOPS = 3.0 * ODE_STEPS * 2 * 2 * 32 * ODE_SIZE * ODE_HIDDEN
