"""The table of composed functions is filled here."""

from __future__ import annotations

from . import exponentials, gamma, gaussian, trigonometry
from .composed import FUNCTIONS

for room in (trigonometry, exponentials, gaussian, gamma):
    FUNCTIONS.update(room.FUNCTIONS)
