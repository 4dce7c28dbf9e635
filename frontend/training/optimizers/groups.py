"""Groups of parameters, each with an optimizer of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ....compiler.graph import Type
from ...arguments import function, wrong
from ...errors import DiagramError
from ...location import user_location
from ...sealed import Sealed
from ...variables.variable import Variable
from ..clipping import Clip
from ..schedules import Schedule
from .optimizer import RATE, Optimizer, State

if TYPE_CHECKING:
    from ...drawing.drawing import Drawing


class ParameterGroups(Sealed):
    """Several optimizers, each for its own parameters: with its rate, decay, and rule.

        dg.ParameterGroups(
            dg.AdamW(1e-4, weight_decay=0.0, parameters=["*/bias", "encoder/norm"]),
            dg.AdamW(1e-4, parameters=encoder),
            dg.SGD(dg.schedules.cosine(0.1, 1000), momentum=0.9),
        )

    Each says by `parameters` which ones are its group's: variables, blocks, paths or patterns; one
    of them may leave it out and takes all the others.  A parameter that the cost depends on is in
    one group and not in two: what shall stay as it is, is frozen (`dg.freeze`).

    `program.learning_rate` is an array of the groups' rates.

    Args:
        *optimizers: one for each group.
        clip: `dg.clip_norm(...)` or `dg.clip_value(...)`, applied to the gradients of all groups
            together, before an optimizer's own.

    Raises:
        TypeError, ValueError: no optimizers, or two without parameters.  Which parameters there
            are, a diagram says: `compile` raises DiagramError and names those that are in two
            groups or in none.
    """

    _instead = Optimizer._instead

    def __init__(self, *optimizers: Optimizer, clip: Clip | None = None) -> None:
        place = f"ParameterGroups ({user_location()})"
        if not optimizers:
            raise ValueError(f"{place} expects one or more optimizers, got none")
        for item in optimizers:
            if not isinstance(item, Optimizer):
                raise wrong("ParameterGroups", "optimizers such as dg.Adam(1e-3)", item)
        self.optimizers = optimizers
        rest = [item for item in optimizers if item.trained.items is None]
        if len(rest) > 1:
            raise ValueError(
                f"{place} expects parameters= for all of its groups but one, which takes the rest, "
                f"got {len(rest)} without: {', '.join(map(repr, rest))}"
            )
        if clip is not None:
            function("ParameterGroups", "clip", clip, "dg.clip_norm(...) or dg.clip_value(...)")
        self.clip = clip

    @property
    def schedules(self) -> tuple[Schedule, ...]:
        """The rate of each group, as it was made with."""
        return tuple(item.schedule for item in self.optimizers)

    @property
    def trained(self) -> ParameterGroups:
        """What says which parameters a step changes."""
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> ParameterGroups:
        """Itself: it changes the same parameters."""
        return self

    def __repr__(self) -> str:
        parts = [*map(repr, self.optimizers), *([f"clip={self.clip!r}"] if self.clip else [])]
        return f"ParameterGroups({', '.join(parts)})"

    def of(self, diagram: Drawing, subject: str) -> dict[str, Variable]:
        """The parameters of all groups by path, in the diagram's order.

        Raises:
            DiagramError: something that is no parameter of the diagram, a parameter in two groups
                or in none, or none left for the group that takes the rest.
        """
        for optimizer in self.optimizers:
            optimizer.trained.of(diagram, subject)
        free = diagram.trainable
        groups = self._groups(free)
        mistakes: list[str] = []
        for name in free:
            owners = [number for number, group in enumerate(groups) if name in group]
            if not owners:
                mistakes.append(f"'{name}' in none")
            elif len(owners) > 1:
                mistakes.append(f"'{name}' in the groups {' and '.join(map(str, owners))}")
        if mistakes:
            raise DiagramError(
                f"{subject} expects every parameter in one group, got {', '.join(mistakes)}: "
                "a group without parameters= takes the rest, and dg.freeze leaves some as "
                "they are"
            )
        for number, group in enumerate(groups):
            if not group:
                raise DiagramError(
                    f"{subject} expects parameters in every group, got none left for group "
                    f"{number}, {self.optimizers[number]!r}: leave it out"
                )
        return free

    def draw(
        self,
        parameters: Mapping[str, Variable],
        gradients: Mapping[str, Variable],
        step: Variable,
    ) -> tuple[dict[str, Variable], list[State]]:
        """The next value of every parameter, and what is kept; as `Optimizer.draw`."""
        count = len(self.optimizers)
        chosen = Variable("parameter", Type("float64", (count,)), RATE)
        states = [State(chosen, np.full(count, np.nan), None)]
        if self.clip is not None:
            clipped = self.clip([gradients[name] for name in parameters])
            gradients = dict(zip(parameters, clipped, strict=True))
        following: dict[str, Variable] = {}
        for number, group in enumerate(self._groups(parameters)):
            after, kept = self.optimizers[number].updates(
                group, gradients, chosen[number], step, f"optimizer/{number}"
            )
            following |= after
            states += kept
        return following, states

    def _groups(self, parameters: Mapping[str, Variable]) -> list[dict[str, Variable]]:
        """The parameters of each group; the rest go to the one that names none."""
        named = [item.trained.among(parameters) for item in self.optimizers]
        taken = {name for group in named if group is not None for name in group}
        rest = {name: item for name, item in parameters.items() if name not in taken}
        return [rest if group is None else group for group in named]
