"""The diagram: what was drawn, checked as a whole, with a name for everything in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..compiler.graph import Graph
from . import lower as lowering
from .blocks import Block
from .errors import (
    CycleError,
    DiagramError,
    DtypeError,
    NameTakenError,
    ShapeError,
    UnusedError,
    raise_together,
)
from .location import user_location, user_run
from .operations.random import KEY
from .variable import (
    Application,
    Variable,
    mark_read,
    mistaken,
    named_outputs,
    shape_text,
    source_text,
    unread_observed,
)

if TYPE_CHECKING:
    import networkx as nx

    from .execution import Target
    from .optimizers import Optimizer
    from .program import Program


class Diagram:
    """A block diagram: outputs, a cost, and everything that they are drawn from.

    Args:
        name: the diagram's name.
        outputs: the variables that `run` returns, by name; or one variable.
        cost: a float variable of shape (), which training makes small.

    Raises:
        DiagramError: a mistake of wiring (ShapeError, DtypeError, NameTakenError, UnusedError,
            CycleError); where there are several independent ones, a DiagramError that lists them.
    """

    def __init__(
        self,
        name: str,
        outputs: Mapping[str, Variable] | Variable | None = None,
        cost: Variable | None = None,
    ) -> None:
        self.name = name
        self.where = user_location()
        self.outputs = named_outputs(outputs)
        self.cost = cost
        wanted = [*self.outputs.values(), *([cost] if cost is not None else [])]
        mark_read(wanted)
        mistakes = _interface_mistakes(self, wanted)
        mistakes += [item for variable in wanted for item in variable.mistakes]
        self.applications: list[Application] = []
        try:
            self.variables = lowering.walk(wanted, self.applications.append)
        except CycleError as error:
            raise_together(f"diagram '{name}' ({self.where})", [*mistakes, error])
        unused = unread_observed(user_run())
        mistakes += [
            UnusedError(
                f"observed variable '{item.name}' ({item.where}) of shape "
                f"{shape_text(item.shape)} is used by nothing: remove it, or connect it"
            )
            for item in unused
        ]
        self.roots = _root_names(self.applications, self.variables, mistakes)
        self.names = _variable_names(self.variables, self.roots, mistakes)
        mark_read(unused)
        raise_together(f"diagram '{name}' ({self.where})", mistakes)

    @property
    def observed(self) -> dict[str, Variable]:
        """The observed variables by name, in the order in which they were drawn."""
        return self._of_kind("observed")

    @property
    def parameters(self) -> dict[str, Variable]:
        """The free parameters by path, in the order in which they were drawn."""
        return self._of_kind("parameter")

    def _of_kind(self, kind: str) -> dict[str, Variable]:
        found = [item for item in self.variables if item.kind == kind and item is not KEY]
        return {self.names[item]: item for item in sorted(found, key=lambda item: item.serial)}

    def lower(
        self,
        outputs: Mapping[str, Variable] | None = None,
        updates: Sequence[tuple[Variable, Variable]] = (),
        names: Mapping[Variable, str] | None = None,
    ) -> Graph:
        """The graph of outputs (by default all, and the cost as "cost") and of state updates.

        `names` names the states that are no parameters of the diagram.
        """
        if outputs is None:
            outputs = dict(self.outputs)
            if self.cost is not None:
                outputs["cost"] = self.cost
        return lowering.lower(
            self.name, outputs, updates, {**self.names, **(names or {})}, self.roots
        )

    def compile(
        self,
        optimizer: Optimizer | None = None,
        target: Target = "cpu",
        dtype: Any = None,
        seed: int = 0,
    ) -> Program:
        """A program of this diagram.

        Args:
            optimizer: what a training step does with the gradients; without one there is no step.
            target: "cpu", or "reference" (NumPy: slow, and the definition of what is right).
            dtype: "float32" or "float64" to compute every float in; by default as drawn.
            seed: of the initial parameters and of random draws; the same seed, the same numbers.
        """
        from .program import Program

        return Program(self, optimizer, target, dtype, seed)

    @property
    def graph(self) -> nx.MultiDiGraph[Any]:
        """What was drawn, as a NetworkX graph: variables and functions, joined by arrows."""
        from .drawn import drawn_graph

        return drawn_graph(self)

    def __repr__(self) -> str:
        return (
            f"<Diagram {self.name}: {len(self.observed)} observed, {len(self.parameters)} "
            f"parameters, outputs {list(self.outputs)}{', cost' if self.cost is not None else ''}>"
        )


def variable(name: str, shape: Any, dtype: Any = "float32") -> Variable:
    """A computed variable drawn before its function: `dg.connect` says later what computes it."""
    from ..compiler.graph import Type
    from .variable import dtype_name, shape_of

    return Variable("computed", Type(dtype_name(dtype), shape_of(shape)), name)


def connect(target: Variable, value: Variable) -> None:
    """Let `value` compute `target`, a variable made by `dg.variable`."""
    if target.kind != "computed" or target.producer is not None:
        raise DiagramError(
            f"connect ({user_location()}) expects a variable of dg.variable that is not connected "
            f"yet, got {source_text(target)}"
        )
    application = Application(
        "connect", (value,), rule=lambda b, node: node, where=user_location(), outputs=(target,)
    )
    if not value.mistakes and value.type != target.type:
        text = (
            f"connect ({application.where}) expects {target.dtype} {shape_text(target.shape)} for "
            f"variable '{target.name}' ({target.where}), got {value.dtype} "
            f"{shape_text(value.shape)} from {source_text(value)}"
        )
        kind = ShapeError if value.shape != target.shape else DtypeError
        application.inputs = (mistaken([kind(text)]),)
    target.mistakes = application.inputs[0].mistakes
    target.producer = application
    mark_read([value])


def _interface_mistakes(diagram: Diagram, wanted: Sequence[Variable]) -> list[DiagramError]:
    """What is wrong with the outputs and the cost themselves."""
    found: list[DiagramError] = []
    if not wanted:
        found.append(DiagramError(f"diagram '{diagram.name}' ({diagram.where}) expects outputs or "
                                  "a cost, got neither"))  # fmt: skip
    for name, item in diagram.outputs.items():
        if not isinstance(item, Variable):
            raise TypeError(f"output '{name}' expects a variable, got {type(item).__name__}")
    cost = diagram.cost
    if cost is not None and not isinstance(cost, Variable):
        raise TypeError(f"the cost expects a variable, got {type(cost).__name__}")
    if cost is not None and not cost.mistakes:
        if cost.shape != ():
            found.append(ShapeError(
                f"the cost of diagram '{diagram.name}' ({diagram.where}) expects shape (), got "
                f"{shape_text(cost.shape)} from {source_text(cost)}: take its mean or sum"
            ))  # fmt: skip
        elif not cost.type.is_float:
            found.append(DtypeError(
                f"the cost of diagram '{diagram.name}' ({diagram.where}) expects a float, got "
                f"{cost.dtype} from {source_text(cost)}"
            ))  # fmt: skip
    if cost is not None and "cost" in diagram.outputs:
        found.append(NameTakenError(
            f"diagram '{diagram.name}' ({diagram.where}) has an output called 'cost' beside its "
            "cost: call the output something else"
        ))  # fmt: skip
    return found


def _root_names(
    applications: Sequence[Application],
    variables: Sequence[Variable],
    mistakes: list[DiagramError],
) -> dict[Block, str]:
    """A name for every outermost block: its own, or its class's, numbered where that is taken."""
    blocks: dict[Block, str] = {}
    for application in applications:
        if application.block is not None and application.block.has_place:
            blocks.setdefault(application.block.root, application.where)
    for item in variables:
        if item.owner is not None:
            blocks.setdefault(item.owner.root, item.where)
    taken: dict[str, str] = {}
    names: dict[Block, str] = {}
    for block, where in blocks.items():
        if block.name is None:
            continue
        if block.name in taken:
            mistakes.append(NameTakenError(
                f"block name '{block.name}' ({where}) is taken by another block "
                f"({taken[block.name]}): give one of them another name="
            ))  # fmt: skip
        taken[block.name] = where
        names[block] = block.name
    for block, where in blocks.items():
        if block.name is not None:
            continue
        name, number = block.default_name, 1
        while name in taken:
            number += 1
            name = f"{block.default_name}_{number}"
        taken[name] = where
        names[block] = name
    return names


def _variable_names(
    variables: Sequence[Variable], roots: Mapping[Block, str], mistakes: list[DiagramError]
) -> dict[Variable, str]:
    names: dict[Variable, str] = {}
    taken: dict[str, Variable] = {}
    for item in variables:
        if item.kind not in ("observed", "parameter"):
            continue
        name = item.name or ""
        if item.owner is not None:
            name = f"{item.owner.path(roots)}/{name}"
        if name in taken:
            mistakes.append(NameTakenError(
                f"name '{name}' of {item.kind} variable ({item.where}) is taken by "
                f"{taken[name].kind} variable ({taken[name].where}): give one another name"
            ))  # fmt: skip
        taken[name] = item
        names[item] = name
    return names
