"""What depends on what: through applications, into blocks and loops, and round in a circle."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ...compiler.unwinding import Steps, unwound
from ..errors import CycleError
from .kinds import Connection
from .loop_parts import Entry, LoopParts, Result
from .variable import Application, Body, Variable, application_text, source_text

Cycles = list[CycleError] | None


def ordered(
    wanted: Iterable[Variable], known: Mapping[Variable, object], cycles: Cycles = None
) -> list[Variable]:
    """The variables that `wanted` depend on, beyond the known ones, each after its sources.

    If a variable depends on itself, a CycleError that names the blocks goes into `cycles`, or is
    raised where there is no such list.
    """
    result: dict[Variable, None] = {}
    active: dict[Variable, None] = {}
    complete: set[Application] = set()  # whose inputs are all there
    for root in wanted:
        stack = [(root, False)]
        while stack:
            variable, ready = stack.pop()
            if ready:
                del active[variable]
                result[variable] = None
                if variable.producer is not None:
                    complete.add(variable.producer)
                continue
            if variable in result or variable in known:
                continue
            if variable.producer in complete:
                result[variable] = None
                continue
            if variable in active:
                path = list(active)
                start = next(place for place, item in enumerate(path) if item is variable)
                cycle = _cycle(path[start:])
                if cycles is None:
                    raise cycle
                cycles.append(cycle)
                continue
            active[variable] = None
            stack.append((variable, True))
            stack.extend((item, False) for item in reversed(dependencies(variable)))
    return list(result)


def _cycle(around: list[Variable]) -> CycleError:
    """The mistake in variables of which each is computed from the next, the last from the first."""
    start = next((i for i, item in enumerate(around) if item.name), 0)
    around = [*around[start:], *around[:start]]
    names = [
        application_text(item.producer)
        for item in around
        if item.producer is not None and not isinstance(item.producer, Connection)
    ]
    through = f", through {' <- '.join(names)}" if names else ""
    return CycleError(
        f"{source_text(around[0])} depends on itself without a delay{through}: put a delay into "
        "the loop, or cut one of these arrows"
    )


def dependencies(variable: Variable) -> list[Variable]:
    """The variables that one is computed from.

    Those that a block captures are among them; of a loop's result, what enters the loop for it.
    """
    producer = variable.producer
    if producer is None:
        return []
    if isinstance(producer, Result):
        return _part_of_one(producer).outer
    if producer.body is None:
        return list(producer.inputs)
    return [*producer.inputs, *captured_by(producer.body)]


def resolve_ties(variable: Variable) -> Variable:
    """What a variable is: another one, where it is tied or connected to that."""
    seen: set[Variable] = set()
    while isinstance(producer := variable.producer, Connection):
        if variable in seen:  # a diagram says that this is a cycle
            break
        seen.add(variable)
        variable = producer.inputs[0]
    return variable


def maker_of(variable: Variable) -> Application | None:
    """The innermost function that computes a variable: through ports, ties and blocks."""
    while True:
        variable = resolve_ties(variable)
        producer = variable.producer
        if variable.source is not None:
            variable = variable.source
        elif producer is None or producer.body is None or not _has_place(producer):
            return producer
        else:
            variable = producer.body.outputs[variable.index]


def _has_place(application: Application) -> bool:
    return application.block is not None and application.block._has_place


def captured_by(body: Body) -> list[Variable]:
    """The variables from outside that a body uses besides its ports, parameters included."""
    waiting = [body]
    while waiting:
        inner = _capture(waiting[-1])
        if not inner:
            waiting.pop()
        waiting += inner
    result: list[Variable] = body.__dict__["captured"]
    return result


def _capture(body: Body) -> list[Body]:
    """Note what a body captures; or else the bodies in it of which this must be noted before."""
    if "captured" in body.__dict__:
        return []
    found: dict[Variable, None] = {}
    inner: list[Body] = []
    seen = set(body.ports)
    stack = list(reversed(body.outputs))
    while stack:
        variable = stack.pop()
        if variable in seen or variable.kind == "constant":
            continue
        seen.add(variable)
        if not body.inside(variable):
            found[variable] = None
        elif _is_noted(variable.producer):
            stack.extend(reversed(dependencies(variable)))
        else:
            assert variable.producer is not None and variable.producer.body is not None
            inner.append(variable.producer.body)
            stack.extend(reversed(variable.producer.inputs))
    if not inner:
        body.__dict__["captured"] = list(found)
    return inner


def _is_noted(producer: Application | None) -> bool:
    """Whether it is known what the body of an application captures, if it has one."""
    return producer is None or producer.body is None or "captured" in producer.body.__dict__


@dataclass(frozen=True, eq=False)
class Part:
    """The part of a loop that some of its results need.

    Attributes:
        entries: the ways in that are used.
        roots: what must be computed in it: what is stacked or summed, and what closes a delay.
        inside: the variables in it, entries aside.
        outer: the variables outside that enter it, the entries' own inputs included.
    """

    entries: list[Entry]
    roots: list[Variable]
    inside: set[Variable]
    outer: list[Variable]


def part_of(results: Sequence[Result]) -> Part:
    """The part that these results of one loop need."""
    loop = results[0].loop
    gate = _gate_of(loop)
    inside = _inside(loop, [*(item.root for item in results), *gate])
    entries: list[Entry] = []
    roots = {item.value: None for item in results if item.value is not None}
    outer: dict[Variable, None] = {}
    seen: set[Variable] = set()
    stack = [*gate, *(item.root for item in reversed(results))]
    while stack:
        variable = stack.pop()
        if variable in seen:
            continue
        seen.add(variable)
        producer = variable.producer
        if isinstance(producer, Entry) and producer.loop is loop:
            entries.append(producer)
            outer.update(dict.fromkeys(producer.inputs))
            if producer.next is not None:
                roots[producer.next] = None
                stack.append(producer.next)
        elif variable in inside:
            stack.extend(reversed(dependencies(variable)))
        elif not _made_anywhere(variable):
            outer[variable] = None
    return Part(entries, list(roots), inside, list(outer))


def _part_of_one(result: Result) -> Part:
    """The part for one result, remembered as long as nothing is added to its loop."""
    now = len(result.loop.entries), sum(e.next is not None for e in result.loop.entries)
    known = result.__dict__.get("part")
    if known is None or known[0] != now:
        # Where the loop is in itself by way of another loop, the search comes here again.
        result.__dict__["part"] = now, Part([], [], set(), [])
        known = result.__dict__["part"] = now, part_of([result])
        if any(item.kind == "computed" and item.producer is None for item in known[1].outer):
            del result.__dict__["part"]  # what computes it may still be said, by dg.connect
    part: Part = known[1]
    return part


def _gate_of(loop: LoopParts) -> list[Variable]:
    """What says whether a loop goes on, on which all of its results depend; [] for all steps."""
    return [] if loop.gate is None else [loop.gate.outputs[0]]


def _inside(loop: LoopParts, roots: Sequence[Variable]) -> set[Variable]:
    """Of all that `roots` depend on, the variables that depend on an entry of the loop."""
    readers: dict[Variable, list[Variable]] = {}
    entries = []
    seen = set(roots)
    stack = list(roots)
    while stack:
        variable = stack.pop()
        producer = variable.producer
        if isinstance(producer, Entry) and producer.loop is loop:
            entries.append(variable)
        for item in _sources(variable, loop):
            readers.setdefault(item, []).append(variable)
            if item not in seen:
                seen.add(item)
                stack.append(item)
    found: set[Variable] = set()
    stack = entries
    while stack:
        for reader in readers.get(stack.pop(), ()):
            own = isinstance(reader.producer, Entry) and reader.producer.loop is loop
            if reader not in found and not own:
                found.add(reader)
                stack.append(reader)
    return found


def _sources(variable: Variable, loop: LoopParts) -> list[Variable]:
    """What a variable comes from, through other loops, but not out of this one."""
    producer = variable.producer
    if producer is None or variable.serial < loop.first:
        return []
    if isinstance(producer, Result):
        return [] if producer.loop is loop else [producer.root, *_gate_of(producer.loop)]
    if isinstance(producer, Entry):
        following = [] if producer.next is None else [producer.next]
        return following if producer.loop is loop else [*producer.inputs, *following]
    return dependencies(variable)


def _made_anywhere(variable: Variable) -> bool:
    """Whether a variable depends on nothing, and so need not enter a loop."""
    producer = variable.producer
    plain = producer is not None and producer.rule is not None and not producer.inputs
    return variable.kind == "constant" or plain


def opened(
    wanted: Iterable[Variable], known: Mapping[Variable, object], cycles: Cycles = None
) -> list[Variable]:
    """As `ordered`, with the variables inside of loops, which come before the loops' results.

    What closes a delay comes after it.
    """
    found: dict[Variable, None] = {}
    for variable in ordered(wanted, known, cycles):
        if isinstance(variable.producer, Result):
            part = _part_of_one(variable.producer)
            found.update(dict.fromkeys(entry.outputs[0] for entry in part.entries))
            around = {**dict.fromkeys(part.outer), **found}
            found.update(dict.fromkeys(opened(part.roots, around, cycles)))
        found[variable] = None
    return list(found)


def walk(
    wanted: Sequence[Variable], visit: Callable[[Application], None], cycles: Cycles = None
) -> list[Variable]:
    """Every variable that `wanted` depend on, those inside of loops included.

    `visit` is called for every application, inner ones (the bodies of blocks) included; `cycles`
    are as for `ordered`.
    """
    return unwound(_walk(wanted, {}, visit, set(), cycles))


def _walk(
    wanted: Sequence[Variable],
    known: Mapping[Variable, object],
    visit: Callable[[Application], None],
    seen: set[Application],
    cycles: Cycles,
) -> Steps[list[Variable]]:
    order = opened(wanted, known, cycles)
    for variable in order:
        application = variable.producer
        if application is None or application in seen:
            continue
        seen.add(application)
        visit(application)
        if application.body is not None:
            inner = application.body
            found = {item: None for item in (*inner.ports, *captured_by(inner))}
            yield _walk(inner.outputs, found, visit, seen, cycles)
    return order
