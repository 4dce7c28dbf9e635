"""PyTorch: the forward score of a chain, step by step."""

from __future__ import annotations

from typing import Any

import torch

from ...arrays import Arrays
from ...scoring import agreeing
from ..common import Job, repeated


def build(name: str, arrays: Arrays, compiled: bool) -> Job:
    """The workload; a step of its loop compiled or as it is.

    The step alone, since the compiler would write all of them out, and compile for minutes.
    """

    def one(alpha: Any, scores: Any, w: Any) -> Any:
        return torch.logsumexp(alpha[:, :, None] + w, 1) + scores

    if compiled:
        one = torch.compile(one)
    x = torch.tensor(arrays["x"], requires_grad=True)
    w = torch.tensor(arrays["w"], requires_grad=True)
    held: list[Any] = []

    def step() -> object:
        alpha = torch.zeros_like(x[0])
        for scores in x.unbind(0):
            alpha = one(alpha, scores, w)
        score = torch.logsumexp(alpha, 1).sum()
        held[:] = [score.detach(), *torch.autograd.grad(score, [x, w])]
        return held

    return Job(step, repeated(step), lambda: agreeing(*(value.cpu() for value in held)))
