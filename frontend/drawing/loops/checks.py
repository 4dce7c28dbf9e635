"""What is wrong with the loops of a diagram, said when it is built."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set

from ....compiler.options import Unroll
from ...errors import DiagramError, UnusedError, raise_together
from ...variables.dependencies import dependencies, part_of
from ...variables.kinds import Gradient
from ...variables.loop_parts import Delay, Each, Entry, LoopParts, Result
from ...variables.variable import Application, Variable, application_text, mark_read, source_text


def loop_mistakes(
    wanted: Mapping[str, Variable], applications: Sequence[Application]
) -> list[DiagramError]:
    """The mistakes in the loops that are reached.

    Args:
        wanted: what leaves the diagram, by what it is called in messages.
        applications: all that the diagram depends on, inside of blocks and loops too.
    """
    loops = loops_of(applications)
    found: list[DiagramError] = []
    for loop in loops:
        found += _in_itself(loop)
    for item in applications:
        if isinstance(item, Result):
            found += _of_result(item)
        elif isinstance(item, Gradient):
            found += _of_gradient(item)
        elif item.body is not None:
            drawn = [v for v in item.body.outputs if item.body.inside(v)]
            for entry in _reached(drawn, item.body.first):
                text = f"{application_text(item)} expects its forward to return variables outside"
                found.append(_leak(f"{text} of its loops, got one", entry))
    wrong = {loop for loop in loops if _own(loop, loop.entries) is not None}  # said already
    said = {item for item in applications if isinstance(item, Result) and _of_result(item)}
    for name, variable in wanted.items():
        for entry in _reached([variable], 0):
            if entry.loop in wrong or (said and _results([variable]) & said):
                continue
            mixed = next((r for r in _results([variable]) if _mixes(r, entry)), None)
            text = f"{name} expects a variable outside of loops, got {source_text(variable)}"
            found.append(_leak(text, entry) if mixed is None else _mixture(mixed, entry))
            break
    return list({str(item): item for item in found}.values())


def loops_of(applications: Iterable[Application]) -> list[LoopParts]:
    """The loops that some applications are parts of, in their order."""
    parts = (item for item in applications if isinstance(item, (Entry, Result)))
    return list(dict.fromkeys(item.loop for item in parts))


def check_unroll(subject: str, loops: Iterable[LoopParts], unroll: Unroll) -> Unroll:
    """The option of a program that its loops shall be unrolled, if they can be.

    Raises:
        DiagramError: all steps, and there are loops whose number of steps has a name.
    """
    if unroll == "all":
        raise_together(
            subject,
            [
                DiagramError(
                    f"{subject} with unroll=True expects loops of known numbers of steps, got "
                    f"{loop} of {loop.steps}: give an integer in the place of the name, "
                    "dg.loop(unroll=K), or unroll=K for K steps in one turn of the loop"
                )
                for loop in loops
                if loop.unroll is None and not isinstance(loop.steps, int)
            ],
        )
    return unroll


def _in_itself(loop: LoopParts) -> list[DiagramError]:
    """What was noted when it was drawn, and what is missing by now."""
    found = list(loop.mistakes)
    for entry in loop.entries:
        if isinstance(entry, Delay) and entry.is_first and entry.next is None:
            found.append(
                DiagramError(
                    f"delay '{entry.name}' ({entry.where}) of {loop} is never closed: say with "
                    f"close what goes into it at every step"
                )
            )
    condition = loop.condition
    if condition is not None and all(e.loop is not loop for e in _reached([condition], loop.first)):
        assert loop.gate is not None
        found.append(
            DiagramError(
                f"until ({loop.gate.where}) of {loop} expects a condition that is computed in the "
                f"loop, got {source_text(condition)}, which depends on none of its elements and "
                "delays: it would be the same after every step"
            )
        )
    if _own(loop, loop.entries) is not None:
        for entry in loop.entries:
            other = _own(loop, [entry])
            if other is not None:
                what = "a sequence" if isinstance(entry, Each) else "an initial value"
                text = f"{_entry_text(entry)} expects {what} from outside of its loop, got"
                found.append(_leak(f"{text} {source_text(entry.inputs[0])}", other))
    unread = [item for item in loop.given if not item.is_read]
    for item in unread:
        said = f"delay '{item.name}'" if item.name is not None else "each"
        text = f"{said} ({item.where}) of {loop} is used by nothing: remove it, or use it"
        found.append(UnusedError(text))
    mark_read(unread)
    return found


def _own(loop: LoopParts, entries: Iterable[Entry]) -> Entry | None:
    """The way into a loop on which what enters there itself depends."""
    outer = [item for entry in entries for item in entry.inputs]
    return next((item for item in _reached(outer, loop.first) if item.loop is loop), None)


def _of_result(result: Result) -> list[DiagramError]:
    """Whether what a result is of is in the loop."""
    value, delay = result.inputs[0], result.delay
    entwined = _entwined(result)
    if entwined is not None:
        return [_mixture(result, entwined, False)]
    if delay is not None and not delay.final:
        return []  # what closes a delay may come from anywhere
    own = isinstance(value.producer, Entry) and value.producer.loop is result.loop
    if value.mistakes or own or value in part_of([result]).inside:
        return []
    text = (
        f"{result.label} ({result.where}) of {result.loop} expects a variable of that loop, got "
        f"{source_text(value)}, which depends on none of its elements and delays"
    )
    others = _reached([value], result.loop.first)
    if not others:
        return [DiagramError(f"{text}: use it as it is")]
    name = others[0].loop.name
    return [
        DiagramError(
            f"{text}, but on {_entry_text(others[0])}: take {name}.{result.kind}(...) of it, or "
            "draw both in one loop"
        )
    ]


def _of_gradient(application: Application) -> list[DiagramError]:
    """Whether the cost is of the loop of the variables whose gradient is asked for.

    And whether what is outside of the cost's loop is read in it, not only at its ways in.
    """
    cost, *variables = application.inputs
    around = {entry.loop for entry in _reached([cost], 0)}
    subject = f"gradient ({application.where})"
    for variable in variables:
        for entry in _reached([variable], 0):
            if entry.loop not in around:
                return [
                    DiagramError(
                        f"{subject} expects a cost that is in {entry.loop}, as "
                        f"{source_text(variable)} is, got {source_text(cost)}: a variable of one "
                        "step has gradients of that step's costs; dg.gradient_flow gives those of "
                        "a diagram's cost"
                    )
                ]
        entered = _entered(cost, variable) if around else None
        if entered is not None:
            return [
                DiagramError(
                    f"{subject} expects a variable that one step's cost depends on in that step, "
                    f"got {source_text(variable)}, which only enters through "
                    f"{_entry_text(entered)}: take the gradient by what that gives, or of a cost "
                    "outside of the loop"
                )
            ]
    return []


def _entered(cost: Variable, variable: Variable) -> Entry | None:
    """A way in, if a cost depends on a variable only through such; None if it does otherwise."""
    entries: list[Entry] = []
    found: list[set[Variable]] = []
    for through in (False, True):
        seen = {cost}
        stack = [cost]
        while stack:
            item = stack.pop()
            if isinstance(item.producer, Entry) and not through:
                entries.append(item.producer)
                continue
            new = [other for other in dependencies(item) if other not in seen]
            seen.update(new)
            stack += new
        found.append(seen)
    if variable in found[0] or variable not in found[1]:
        return None
    direct = (item for item in entries if any(given is variable for given in item.inputs))
    return next(direct, entries[0])


def _reached(variables: Iterable[Variable], first: int) -> list[Entry]:
    """The ways into loops that variables depend on without a way out, one for each loop.

    Variables with a serial number below `first` are not looked into.
    """
    found: dict[LoopParts, Entry] = {}
    stack = list(variables)
    seen = set(stack)
    while stack:
        variable = stack.pop()
        if variable.serial < first:
            continue
        if isinstance(variable.producer, Entry):
            found.setdefault(variable.producer.loop, variable.producer)
        for item in dependencies(variable):
            if item not in seen:
                seen.add(item)
                stack.append(item)
    return list(found.values())


def _results(variables: Iterable[Variable]) -> Set[Result]:
    """The ways out of loops that variables depend on."""
    stack = list(variables)
    seen = set(stack)
    found: dict[Result, None] = {}
    while stack:
        variable = stack.pop()
        if isinstance(variable.producer, Result):
            found[variable.producer] = None
        for item in dependencies(variable):
            if item not in seen:
                seen.add(item)
                stack.append(item)
    return found.keys()


def _mixes(result: Result, entry: Entry) -> bool:
    """Whether what leaves a loop depends on a way into another one besides."""
    outer = _reached(part_of([result]).outer, result.loop.first)
    return entry.loop is not result.loop and any(item.loop is entry.loop for item in outer)


def _entwined(result: Result) -> Entry | None:
    """A way into another loop that depends on this one, if what leaves this one depends on it."""
    part = part_of([result])
    stack = list(part.roots)
    seen = set(stack)
    while stack:
        variable = stack.pop()
        if isinstance(variable.producer, Entry):
            if variable.producer.loop is not result.loop and variable in part.inside:
                return variable.producer
        elif variable in part.inside:
            new = [item for item in dependencies(variable) if item not in seen]
            seen.update(new)
            stack += new
    return None


def _mixture(result: Result, entry: Entry, nests: bool = True) -> DiagramError:
    """Two loops in one expression; `nests` if one could be inside of the other."""
    mine, other = result.loop, entry.loop
    text = (
        f"{result.label} ({result.where}) of {mine} expects a variable of that loop alone, got "
        f"{source_text(result.inputs[0])}, which also depends on {_entry_text(entry)}: draw both "
        f"in one loop, by {mine.name}.each(...) and {mine.name}.delay(...)"
    )
    more = (
        f", or take {other.name}.{result.kind}(...) of the result, for a loop '{mine.name}' at "
        f"every step of '{other.name}'"
    )
    return DiagramError(text + more if nests else text)


def _leak(text: str, entry: Entry) -> DiagramError:
    loop = entry.loop
    return DiagramError(
        f"{text}, which depends on {_entry_text(entry)}: take {loop.name}.stack(...), "
        f"{loop.name}.sum(...) or {loop.name}.last(...) of it"
    )


def _entry_text(entry: Entry) -> str:
    name = f" '{entry.name}'" if isinstance(entry, Delay) and entry.is_first else ""
    return f"{entry.label}{name} ({entry.where}) of {entry.loop}"
