"""Functions beside PyTorch's: values and both derivatives of many cases within one compile."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ..evaluating import TARGETS, Array, Target

TOLERANCE = {"float32": (2e-5, 2e-6), "float64": (1e-11, 1e-13)}


@dataclass(frozen=True, eq=False)
class Case:
    """A function of ours and one of PyTorch's, with the same arguments.

    Attributes:
        ours: of variables.
        theirs: of torch.nn.functional and tensors.
        arrays: the arguments: floats, by which is differentiated, and integers.
        fixed: which of the floats nothing is differentiated by.
    """

    ours: Callable[..., Any]
    theirs: Callable[..., Any]
    arrays: tuple[Array, ...]
    fixed: tuple[int, ...] = ()

    def inputs(self, dtype: str) -> list[Array]:
        return [a.astype(dtype) if a.dtype.kind == "f" else a for a in self.arrays]

    def moving(self) -> list[int]:
        """The arguments by which is differentiated."""
        return [i for i, a in enumerate(self.arrays) if a.dtype.kind == "f" and i not in self.fixed]


def same_as_torch(
    cases: Mapping[str, Case], dtype: str = "float64", targets: tuple[Target, ...] = TARGETS
) -> None:
    """Values and gradients of every case are PyTorch's, in one program for each target."""
    outputs, inputs = _drawn(cases, dtype, second=False)
    for target in targets:
        found = dg.Diagram("cases", outputs).compile(target=target).run(**inputs)
        for number, (name, case) in enumerate(cases.items()):
            value, slopes = _torch(case, dtype)
            pairs = {"value": (f"y{number}", value)}
            for i, slope in slopes.items():
                pairs[f"gradient {i}"] = f"g{number}_{i}", slope
            for what, (key, wanted) in pairs.items():
                rtol, atol = TOLERANCE[dtype]
                np.testing.assert_allclose(
                    found[key], wanted, rtol=rtol, atol=atol,
                    err_msg=f"{name}: {what} on {target} in {dtype}",
                )  # fmt: skip
                assert found[key].shape == wanted.shape, (name, what)


def derivatives_are_differences(cases: Mapping[str, Case], width: float = 1e-5) -> None:
    """First and second derivatives against central differences in float64, along one direction."""
    outputs, inputs = _drawn(cases, "float64", second=True)
    program = dg.Diagram("cases", outputs).compile(target="reference")
    along = {
        f"x{number}_{i}": _direction(case.arrays[i], number)
        for number, case in enumerate(cases.values())
        for i in case.moving()
    }

    def at(step: float) -> Any:
        moved = {k: inputs[k] + step * v for k, v in along.items()}
        return program.run(**{**inputs, **moved})

    before, here, after = at(-width), at(0.0), at(width)
    for number, name in enumerate(cases):
        for value, derivative in (("c", "s"), ("s", "d")):
            difference = (after[f"{value}{number}"] - before[f"{value}{number}"]) / (2 * width)
            np.testing.assert_allclose(
                here[f"{derivative}{number}"], difference, rtol=2e-6, atol=2e-6,
                err_msg=f"{name}: derivative of {value}",
            )  # fmt: skip


def _direction(array: Array, number: int) -> Array:
    return np.random.default_rng(100 + number).normal(size=array.shape)


def _weights(shape: tuple[int, ...]) -> Array:
    """What the elements of a value are multiplied with, so that no two gradients cancel."""
    return np.cos(np.arange(np.prod(shape, dtype=int))).reshape(shape) + 1.5


def _drawn(
    cases: Mapping[str, Case], dtype: str, second: bool
) -> tuple[dict[str, Any], dict[str, Array]]:
    """The outputs of one diagram and its inputs."""
    outputs: dict[str, Any] = {}
    inputs: dict[str, Array] = {}
    for number, case in enumerate(cases.values()):
        arrays = case.inputs(dtype)
        names = [f"x{number}_{i}" for i in range(len(arrays))]
        variables = [
            dg.observed(name, a.shape, a.dtype) for name, a in zip(names, arrays, strict=True)
        ]
        inputs.update(zip(names, arrays, strict=True))
        y = case.ours(*variables)
        cost = dg.sum(y * dg.constant(_weights(y.shape).astype(dtype)))
        outputs[f"y{number}"] = y
        moving = case.moving()
        slopes = dg.gradient(cost, [variables[i] for i in moving]) if moving else []
        outputs.update({f"g{number}_{i}": g for i, g in zip(moving, slopes, strict=True)})
        if second:
            slope = _along(slopes, moving, case, number)
            again = dg.gradient(slope, [variables[i] for i in moving])
            outputs.update({f"c{number}": cost, f"s{number}": slope})
            outputs[f"d{number}"] = _along(again, moving, case, number)
    return outputs, inputs


def _along(slopes: Any, moving: list[int], case: Case, number: int) -> Any:
    """The derivative along the direction of a case."""
    total: Any = None
    for i, slope in zip(moving, slopes, strict=True):
        term = dg.sum(slope * dg.constant(_direction(case.arrays[i], number)))
        total = term if total is None else total + term
    return total


def _torch(case: Case, dtype: str) -> tuple[Any, dict[int, Any]]:
    """PyTorch's value and gradients, as arrays."""
    torch = pytest.importorskip("torch")
    moving = case.moving()
    tensors = [
        torch.tensor(a).long() if a.dtype.kind == "i" else torch.tensor(a)
        for a in case.inputs(dtype)
    ]
    for i in moving:
        tensors[i].requires_grad_()
    value = case.theirs(torch.nn.functional, *tensors)
    if not moving:
        return value.numpy(), {}
    weights = torch.tensor(_weights(tuple(value.shape)).astype(dtype))
    (value * weights).sum().backward()
    return value.detach().numpy(), {
        i: np.zeros(tensors[i].shape) if tensors[i].grad is None else tensors[i].grad.numpy()
        for i in moving
    }
