"""A warning of scores that come out of a softmax or a sigmoid, though the cost has its own."""

from __future__ import annotations

from ...errors import DiagramWarning
from ...location import user_location, warn_user
from ...variables.dependencies import maker_of
from ...variables.kinds import Elementwise
from ...variables.variable import Variable, application_text
from ..functions.softmaxes import softmax


def warn_of(label: str, given: Variable, squash: str, wanted: str, remedy: str) -> None:
    """Warn where `squash` has made what is given; the cost wants something else."""
    maker = maker_of(given)
    if maker is None:
        return
    op = maker.op if isinstance(maker, Elementwise) else None
    if op == squash or (squash == "softmax" and maker.block is softmax):
        subject, got = f"{label} ({user_location()})", application_text(maker)
        warn_user(f"{subject} expects {wanted}, got {got}: {remedy}", DiagramWarning)
