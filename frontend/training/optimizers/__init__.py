"""Optimizers: what a step does with the gradients, drawn like everything else."""

from .accumulation import Accumulate
from .adam import Adam, AdamW, NAdam, RAdam
from .adaptive import Adadelta, Adagrad, RMSprop
from .descent import SGD, Lion
from .groups import ParameterGroups
from .optimizer import RATE, Optimizer, State

__all__ = [
    "RATE",
    "SGD",
    "Accumulate",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Lion",
    "NAdam",
    "Optimizer",
    "ParameterGroups",
    "RAdam",
    "RMSprop",
    "State",
]
