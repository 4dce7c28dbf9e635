"""What was drawn, checked as a whole, with a name for everything in it.

`Diagram` is the user's name for it, and adds what makes programs, pictures and tables of it: those
are made in later rooms, which know a `Drawing`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import TYPE_CHECKING, Any, Self

from ...compiler.graph import Graph
from ..errors import (
    CycleError,
    DiagramError,
    DiagramWarning,
    DtypeError,
    NameTakenError,
    ShapeError,
    UnusedWarning,
    raise_together,
)
from ..location import user_location
from ..operations.random import KEY
from ..sealed import Sealed
from ..variables.dependencies import ordered, walk
from ..variables.kinds import Mode
from ..variables.loop_parts import Entry
from ..variables.variable import (
    Application,
    Variable,
    application_text,
    mark_read,
    named_outputs,
    new_serial,
    shape_text,
    source_text,
    unread_observed,
)
from .draws import streams_of
from .loops.checks import loop_mistakes
from .lower import Origins, lower
from .names import name_blocks, name_variables
from .sharing import note_free
from .states import candidates, next_values

if TYPE_CHECKING:
    from fractions import Fraction
    from pathlib import Path

    import networkx as nx


class Drawing(Sealed):
    """Outputs, a cost, and everything that they are drawn from.

    Attributes:
        name: the diagram's name.
        where: the user's line that made it.
        outputs: the variables that `run` returns, by name.
        cost: what training makes small, or None.
        updates: the next values of the states that a step updates.
        applications: every function that is applied, inside of blocks and loops too.
        variables: everything that the outputs, the cost and the next values depend on.
        roots: the outermost blocks, and what each is called.
        names: what every free variable is called.
        streams: the stream of every random draw.
    """

    _instead = "draw another diagram"

    def __init__(
        self,
        name: str,
        outputs: Mapping[str, Variable] | Variable | None,
        cost: Variable | None,
        updates: Sequence[Variable] | None,
    ) -> None:
        self.name = name
        self.where = user_location()
        subject = f"diagram '{name}' ({self.where})"
        _expect_variables(name, subject, outputs, cost)
        self.outputs = named_outputs(outputs)
        self.cost = cost
        wanted = [*self.outputs.values(), *([cost] if cost is not None else [])]
        mark_read(wanted)
        self._serial = new_serial()
        following = self.updates = next_values(wanted, _chosen(subject, updates), self._serial)
        wanted += [*following, *following.values()]
        mistakes = _interface_mistakes(self, subject)
        self.applications: list[Application] = []
        cycles: list[CycleError] = []
        self.variables = walk(wanted, self.applications.append, cycles)
        mistakes += _wiring_mistakes(self.variables, self.applications)
        mistakes += cycles
        leaving = {f"output '{key}' of {subject}": item for key, item in self.outputs.items()}
        leaving |= {f"the cost of {subject}": cost} if cost is not None else {}
        leaving |= {f"the next value of {source_text(s)}": v for s, v in following.items()}
        mistakes += loop_mistakes(leaving, self.applications)
        entries = [item for item in self.applications if isinstance(item, Entry)]
        delayed = {value for entry in entries for value in entry.inputs}
        mistakes += [
            DiagramError(
                f"{application_text(application)} updates {source_text(state)} in a loop, where it "
                "has a value for each step: update it outside, with the loop's `last`"
            )
            for application in self.applications
            for state in application.updates
            if state.kind == "state" and state not in following
        ]
        mistakes += [
            DiagramError(f"{source_text(item)} has no next value: say it with dg.update")
            for item in self.variables
            if item.kind == "state" and item.following is None and not item.stays
            if item not in delayed
        ]
        self.roots, shared = name_blocks(self.applications, self.variables, mistakes)
        self.names = name_variables(self.variables, self.roots, shared, mistakes)
        raise_together(subject, mistakes)
        self.streams = streams_of(wanted, self.applications, self.roots)
        note_free(self.parameters.values(), subject)

    def __deepcopy__(self, memo: dict[Any, Any]) -> Self:
        """Itself: a diagram does not change."""
        return self

    @property
    def wanted(self) -> list[Variable]:
        """All that it is drawn for: its outputs, its cost, and the next values of its states."""
        cost = [] if self.cost is None else [self.cost]
        return [*self.outputs.values(), *cost, *self.updates.values()]

    @property
    def observed(self) -> dict[str, Variable]:
        """The observed variables by name, in the order in which they were drawn."""
        return self._of_kind("observed")

    @property
    def parameters(self) -> dict[str, Variable]:
        """The free parameters by path, in the order in which they were drawn."""
        return self._of_kind("parameter")

    @property
    def states(self) -> dict[str, Variable]:
        """The states (`dg.state`) by path, in the order in which they were drawn."""
        return self._of_kind("state")

    @property
    def trainable(self) -> dict[str, Variable]:
        """The free parameters that a training step may change, by path.

        The cost depends on them, they have gradients, and nobody has frozen them.  Those of a
        storage dtype have gradients too, but a step would round its changes away.
        """
        reached = set(ordered([] if self.cost is None else [self.cost], {}))
        found = self.parameters.items()
        return {n: v for n, v in found if v in reached and v.type.is_float and not v.frozen}

    def _of_kind(self, kind: str) -> dict[str, Variable]:
        found = [item for item in self.variables if item.kind == kind and item is not KEY]
        return {self.names[item]: item for item in sorted(found, key=lambda item: item.serial)}

    def lower(
        self,
        outputs: Mapping[str, Variable] | None = None,
        updates: Sequence[tuple[Variable, Variable]] = (),
        names: Mapping[Variable, str] | None = None,
        origins: Origins | None = None,
        training: bool = False,
    ) -> Graph:
        """The graph of outputs (by default all, and the cost as "cost") and of state updates.

        `names` names the states that are no parameters of the diagram; `origins` is told what
        became of what was drawn; `training` is what `dg.training()` is.
        """
        if outputs is None:
            outputs = dict(self.outputs)
            if self.cost is not None:
                outputs["cost"] = self.cost
        return lower(
            self.name, outputs, updates, {**self.names, **(names or {})}, self.roots, self.streams,
            origins, training,
        )  # fmt: skip

    @property
    def has_modes(self) -> bool:
        """Whether a training step computes something in another way than inference."""
        return any(isinstance(item, Mode) for item in self.applications)

    def cost_growth(self, samples: Set[str]) -> Fraction | None:
        """How the cost grows with the sizes of these names: 0 for a mean, 1 for a sum over them."""
        assert self.cost is not None
        return self.growths({"cost": self.cost}, samples)["cost"]

    def growths(
        self, values: Mapping[str, Variable], samples: Set[str]
    ) -> dict[str, Fraction | None]:
        """How values grow with the sizes of these names, by name: as `cost_growth`."""
        from ...compiler.graphs.growth import growth
        from ...compiler.passes.inline import inline

        graph = inline(self.lower(values))
        return {name: growth(graph, name, samples) for name in values}

    # What `Diagram` makes of it, and says more of.

    def compile(self, *given: Any, **options: Any) -> Any:
        """A program of this diagram."""
        raise NotImplementedError

    def render(self, *given: Any, **options: Any) -> Path:
        """Draw the diagram into a file, and return its path."""
        raise NotImplementedError

    def summary(self, **sizes: int) -> Any:
        """Blocks, shapes, links, free parameters, floating-point operations and memory: a table."""
        raise NotImplementedError

    @property
    def graph(self) -> nx.MultiDiGraph[Any]:
        """What was drawn, as a NetworkX graph."""
        raise NotImplementedError

    def check(self) -> list[DiagramWarning]:
        """What is allowed and seldom meant; nothing where all is well.

        An observed variable that was drawn after the first one of this diagram, and before the
        diagram itself, is told (UnusedWarning) as long as nothing uses it: no function, no loop
        and no diagram.  What another diagram uses is never told.  A state is told that is made from
        what the diagram has, but not from that alone: a step does not update it.
        """
        first = min((item.serial for item in self.observed.values()), default=self._serial)
        found: list[DiagramWarning] = [
            UnusedWarning(f"{source_text(item)} is used by nothing: use it, or remove it")
            for item in unread_observed(first, self._serial)
        ]
        found += [
            UnusedWarning(
                f"{source_text(state)} is not updated by diagram '{self.name}' ({self.where}), "
                f"which has no {source_text(missing[0])}: give Diagram(..., updates=[...])"
            )
            for state, missing in candidates(
                dict.fromkeys(self.variables), self.updates, self._serial
            )
            if missing and state.serial > first
        ]
        return found


def _expect_variables(name: Any, subject: str, outputs: Any, cost: Any) -> None:
    """TypeError for arguments of a diagram that are of another type."""
    if not isinstance(name, str):
        raise TypeError(
            f"Diagram ({user_location()}) expects a name first, got {type(name).__name__}"
        )
    if not (outputs is None or isinstance(outputs, (Mapping, Variable))):
        raise TypeError(
            f"{subject} expects outputs as one variable or a dict of variables by name, got "
            f"{type(outputs).__name__}"
        )
    for key, item in outputs.items() if isinstance(outputs, Mapping) else ():
        if not isinstance(item, Variable):
            raise TypeError(
                f"{subject} expects a variable as output '{key}', got {type(item).__name__}"
            )
    if not (cost is None or isinstance(cost, Variable)):
        raise TypeError(f"{subject} expects a variable as its cost, got {type(cost).__name__}")


def _chosen(subject: str, updates: Any) -> list[Variable] | None:
    """The states that a diagram is told to update; DiagramError where one is none."""
    if updates is None:
        return None
    if isinstance(updates, Variable) or not isinstance(updates, Iterable):
        raise TypeError(f"{subject} expects updates as a list of states, got {updates!r}")
    chosen = list(updates)
    for item in chosen:
        if not isinstance(item, Variable) or item.kind != "state" or item.following is None:
            shown = source_text(item) if isinstance(item, Variable) else repr(item)
            raise DiagramError(
                f"{subject} expects updates of states that have a next value (dg.update), "
                f"got {shown}"
            )
    return chosen


def _interface_mistakes(diagram: Drawing, subject: str) -> list[DiagramError]:
    """What is wrong with the outputs and the cost themselves."""
    found: list[DiagramError] = []
    cost = diagram.cost
    if not (diagram.outputs or cost is not None or diagram.updates):
        found.append(
            DiagramError(f"{subject} expects outputs, a cost or updates, got none of them")
        )
    if cost is not None and not cost.mistakes:
        if cost.shape != ():
            found.append(
                ShapeError(
                    f"the cost of {subject} expects shape (), got {shape_text(cost.shape)} from "
                    f"{source_text(cost)}: take its mean or sum"
                )
            )
        if not cost.type.is_float:
            found.append(
                DtypeError(
                    f"the cost of {subject} expects a float, got {cost.dtype} from "
                    f'{source_text(cost)}: convert it with .astype("float32")'
                )
            )
    if cost is not None and "cost" in diagram.outputs:
        found.append(
            NameTakenError(
                f"{subject} has an output called 'cost' beside its cost: call the output something "
                "else"
            )
        )
    return found


def _wiring_mistakes(
    variables: Sequence[Variable], applications: Sequence[Application]
) -> list[DiagramError]:
    """The mistakes that variables carry, inside of blocks too, and what nothing computes."""
    reached = dict.fromkeys(variables)
    for application in applications:
        reached.update(dict.fromkeys(application.inputs))
        reached.update(dict.fromkeys(application.body.outputs if application.body else ()))
        if isinstance(application, Entry) and application.next is not None:
            reached[application.next] = None
    found: list[DiagramError] = []
    for item in reached:
        found += item.mistakes
        if item.kind == "computed" and item.producer is None and not item.mistakes:
            found.append(DiagramError(f"{source_text(item)} is computed by nothing: dg.connect it"))
    return found
