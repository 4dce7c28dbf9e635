"""Optimizers: what a step does with the gradients, drawn like everything else."""

from .accumulation import Accumulate
from .adam import Adam, AdamW, NAdam, RAdam
from .adaptive import Adadelta, Adagrad, RMSprop
from .descent import SGD, Lion
from .groups import ParameterGroups
from .lbfgs import LBFGS
from .optimizer import RATE, Optimizer, State

AnyOptimizer = Optimizer | ParameterGroups | Accumulate | LBFGS
"""What a diagram is compiled with."""

__all__ = [
    "LBFGS",
    "RATE",
    "SGD",
    "Accumulate",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "AnyOptimizer",
    "Lion",
    "NAdam",
    "Optimizer",
    "ParameterGroups",
    "RAdam",
    "RMSprop",
    "State",
]
