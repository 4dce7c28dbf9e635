"""Which parameters a training step changes: those that an optimizer is given, or all it can.

Frozen ones never: `freeze` says so of the variables, whatever is compiled from then on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...compiler.dtypes import COMPUTED
from ..arguments import wrong
from ..drawing.binding import Bound
from ..drawing.blocks import Block, parameters_of
from ..drawing.sharing import tied_names
from ..errors import DiagramError, DtypeError
from ..location import user_location
from ..programs.patterns import matching
from ..variables.dependencies import ordered, resolve_ties
from ..variables.variable import Variable, source_text

if TYPE_CHECKING:
    from ..drawing.drawing import Drawing

Item = Variable | Block | str
Parameters = Item | Iterable[Item] | Mapping[str, Variable] | None
"""A parameter, a block (all in it), the path of either, or a pattern; several; or None for all."""


def freeze(*parts: Block | Variable) -> None:
    """From now on, no training step changes these parameters.

        dg.freeze(encoder, head.bias)

    A program that is compiled from then on takes no gradient with respect to them and keeps no
    arrays of an optimizer for them; one that was compiled before goes on as it was.  States of the
    blocks, such as running means, are moved on as before.  A picture has a mark across the arrow
    from a frozen parameter: no gradient comes back.

    Args:
        *parts: blocks, with all parameters in them, and parameters.

    Raises:
        TypeError: something else.
        DiagramError: a block without parameters, or a variable that is no parameter.
    """
    for item in _free("freeze", parts):
        item.frozen = True


def unfreeze(*parts: Block | Variable) -> None:
    """Let training steps change these parameters again; arguments and errors as for `freeze`."""
    for item in _free("unfreeze", parts):
        item.frozen = False


def _free(what: str, parts: Sequence[Any]) -> list[Variable]:
    """The parameters of blocks and variables, each the one that it is tied to."""
    subject, found = f"{what} ({user_location()})", list[Variable]()
    if not parts:
        raise TypeError(f"{subject} expects blocks or parameters, got none")
    for part in parts:
        if not isinstance(part, (Block, Variable)):
            raise wrong(what, "blocks or parameters", part)
        items = [resolve_ties(item) for item in _parameters({}, part)]
        fitting = [item for item in items if item.kind == "parameter" and item.bound_to is None]
        if not items or fitting != items:
            got = source_text(part) if isinstance(part, Variable) else part._describe()
            raise DiagramError(f"{subject} expects free parameters, or blocks with some, got {got}")
        found += items
    return found


class Choice:
    """The parameters that an optimizer changes, as it is given them.

    Args:
        label: the optimizer's name, for messages.
        parameters: what it is given.

    Raises:
        TypeError: what is neither a variable, nor a block, nor a path.
        ValueError: no parameters.
    """

    def __init__(self, label: str, parameters: Parameters) -> None:
        self.label = label
        self.items: list[Item] | None = None
        if parameters is None:
            return
        if isinstance(parameters, Mapping):
            parameters = parameters.values()
        elif isinstance(parameters, Item) or not isinstance(parameters, Iterable):
            parameters = [parameters]
        self.items = list(parameters)
        if not self.items:
            raise wrong(label, "one or more parameters", self.items, ValueError)
        for item in self.items:
            if not isinstance(item, Item):
                raise wrong(label, "parameters as variables, blocks or paths", item)

    def __deepcopy__(self, memo: dict[Any, Any]) -> Choice:
        """Itself: the copy of an optimizer changes the same parameters."""
        return self

    def of(self, diagram: Drawing, subject: str) -> dict[str, Variable]:
        """The chosen parameters by path, in the diagram's order.

        Of a block it is those that the cost depends on.

        Args:
            diagram: one with a cost.
            subject: begins the messages.

        Raises:
            DiagramError: something chosen that is no parameter of the diagram, or that the cost
                does not depend on.
            DtypeError: one of a storage dtype.
        """
        free = diagram.trainable
        if self.items is None:
            return _expect_computed(free, subject)
        known = set(free.values())
        for item in self.items:
            found = _parameters(diagram.parameters, item)
            if known.isdisjoint(found):
                raise DiagramError(
                    f"{subject} expects {self.label} to change parameters of the diagram, got "
                    f"{_reason(diagram, item, found)}"
                )
        return _expect_computed(self.among(free) or {}, subject)

    def among(self, parameters: Mapping[str, Variable]) -> dict[str, Variable] | None:
        """Those of some parameters by path that are chosen, in their order; None for all."""
        if self.items is None:
            return None
        chosen = {found for item in self.items for found in _parameters(parameters, item)}
        return {name: item for name, item in parameters.items() if item in chosen}


def _expect_computed(parameters: dict[str, Variable], subject: str) -> dict[str, Variable]:
    """The parameters; DtypeError for one that would round the changes of a step away."""
    for item in parameters.values():
        if item.dtype in COMPUTED:
            raise DtypeError(
                f"{subject} expects parameters of dtype float32 or float64 to change, got "
                f"{item.dtype} from {source_text(item)}: keep it in float32 and cast it where it "
                f'is used, with .astype("{item.dtype}"), or give the optimizer the other parameters'
            )
    return parameters


def _parameters(parameters: Mapping[str, Variable], item: Item) -> list[Variable]:
    """The parameters that one item stands for: of a path among these, otherwise wherever."""
    if isinstance(item, Variable):
        return [item]
    if isinstance(item, Block):
        return list(parameters_of(item).values())
    return [parameters[name] for name in matching(item, parameters)]


def _reason(diagram: Drawing, item: Item, found: Sequence[Variable]) -> str:
    """What an item is, and why a step cannot change it."""
    if isinstance(item, str):
        names = tied_names(diagram.variables, diagram.names, diagram.roots)
        got, tied = f"'{item}'", names.get(item)
        if tied is not None:
            return f"{got}, which is tied to '{tied}': give that"
        if not found:
            return f"{got}: it has {', '.join(diagram.parameters) or 'none'}"
    elif isinstance(item, Block):
        got = item._describe()
        found = found or list(parameters_of(item.block).values() if isinstance(item, Bound) else ())
        if not found:
            return f"{got}, which has no parameters"
    else:
        got = source_text(item)
    first = found[0]
    if resolve_ties(first) is not first:
        return f"{got}, which is tied to {source_text(resolve_ties(first))}: give that"
    if first.kind != "parameter":
        return f"{got}, which is no parameter{_sources(diagram, first)}"
    if first.bound_to is not None:
        bound = source_text(first.bound_to)
        return f"{got}, which is bound to {bound}{_sources(diagram, first.bound_to)}"
    if first not in diagram.names:
        return f"{got}, which is not in it"
    if first.frozen:
        return f"{got}, which is frozen: dg.unfreeze it"
    if not first.type.is_float:
        return f"{got}, which is of dtype {first.dtype}: integers have no gradient"
    return f"{got}, on which the cost does not depend"


def _sources(diagram: Drawing, variable: Variable) -> str:
    """What to give for a variable that is computed from parameters."""
    sources = set(ordered([variable], {}))
    free = [name for name, item in diagram.parameters.items() if item in sources]
    return f": give what it is computed from, {', '.join(free)}" if free else ""
