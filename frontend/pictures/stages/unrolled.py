"""Stage "unrolled": the drawn graph with a copy of each outermost loop's inside for every step.

A copy reads what the copies before it have computed instead of a delay.  Parameters are shared by
all copies.  Loops within loops stay as they are.  Graph in, graph out: this file makes no picture.
"""

from __future__ import annotations

from dataclasses import replace

from ...drawing.drawn_nodes import (
    ArgumentArrow,
    Arrow,
    DrawnDelay,
    DrawnGraph,
    DrawnNode,
    DrawnStart,
    DrawnVariable,
    ResultArrow,
)
from ...variables.loop_parts import Entry, Result
from .loop_frames import Loop, loops_of
from .symbols import number


def unrolled(graph: DrawnGraph, steps: int | None) -> tuple[DrawnGraph, dict[str, Loop]]:
    """A drawn graph, without masks, whose outermost loops are unrolled; and the copies of loops.

    Args:
        graph: what `without_masks` made; it stays as it is.
        steps: the number of copies; of a loop that has fewer steps, as many as it has.

    Raises:
        ValueError: a loop has a number of steps that is only named, and `steps` is None.
    """
    work = _Unrolling(graph, steps)
    return work.new, work.copies


class _Unrolling:
    def __init__(self, graph: DrawnGraph, steps: int | None) -> None:
        self.graph = graph
        self.nodes = graph.nodes
        self.variables = graph.variables
        self.loops = loops_of(graph)
        self.counts = {
            loop.name: _count(loop, steps) for loop in self.loops.values() if len(loop.chain) == 1
        }
        self.delays = self.find_delays()
        self.new = DrawnGraph(graph.name)
        self.new.cost = graph.cost
        self.copies: dict[str, Loop] = {}
        for loop in self.loops.values():
            for step in range(1, self.counts[loop.chain[0]] + 1):
                self.add_loop(loop, step)
        self.named = self.find_named()
        for node, item in graph.nodes.items():
            self.add(node, item)
        for node in graph.nodes:
            for target, arrow in graph.leaving(node):
                self.link(node, target, arrow)

    def outer(self, node: str) -> str | None:
        """The outermost loop around a node."""
        names = self.nodes[node].loops
        return self.loops[names[0]].chain[0] if names else None

    def find_delays(self) -> dict[str, str]:
        """What comes out of a delay of an outermost loop, and the delay."""
        return {
            self.graph.result(node): node
            for node, item in self.graph.functions.items()
            if isinstance(item, DrawnDelay) and item.loops[-1] in self.counts
        }

    def closed_by(self, node: str) -> list[str]:
        """What comes out of the delays of outermost loops that a variable closes."""
        return [o for o, delay in self.delays.items() if self.graph.argument(delay, 1) == node]

    def find_named(self) -> dict[str, str]:
        """Variables without a name that are only returned as a sequence, and its name."""
        found: dict[str, str] = {}
        for node in self.nodes:
            if not self.is_stack(node):
                continue
            (source,), result = self.graph.predecessors(node), self.graph.result(node)
            plain = self.outer(source) is not None and self.variables[source].name is None
            plain = plain and not self.closed_by(source) and source not in self.delays
            returned = self.variables[result].output
            if plain and returned and not self.graph.is_read(result):
                found.setdefault(source, returned)
        return found

    def is_stack(self, node: str) -> bool:
        """Whether a node stacks a variable of a loop."""
        application = self.graph.application(node)
        return isinstance(application, Result) and application.kind == "stack"

    def time(self, loop: str, step: int) -> str:
        """The index of a step, the first of which is the last in time where a loop is reversed."""
        return number(self.counts[loop] + 1 - step if self.loops[loop].reverse else step)

    def add_loop(self, loop: Loop, step: int) -> None:
        root = loop.chain[0]
        chain = tuple(_copy(name, step) for name in loop.chain)
        index, caption = loop.index, loop.caption
        if loop.name == root:
            index = self.time(root, step)
            named = len(self.counts) > 1 and loop.label != loop.index
            caption = f"{loop.label}:  " if named else ""
            caption += f"{loop.index} = {index}"
            if loop.truncate is not None and step > 1 and (step - 1) % loop.truncate == 0:
                caption += ",  no gradient to before"
        after = _copy(root, step - 1) if loop.name == root and step > 1 else None
        new = Loop(
            chain[-1], index, caption, chain, loop.steps, loop.reverse, loop.label, None, after
        )  # fmt: skip
        self.copies[new.name] = new

    def told(self, node: str) -> bool:
        """Whether a node is a sequence, or makes one, of which the elements alone are drawn."""
        output = self.variables[node].output if node in self.variables else None
        if output and output in self.named.values():
            node = next(iter(self.graph.predecessors(node)), node)
        return self.is_stack(node) and set(self.graph.predecessors(node)) <= set(self.named)

    def add(self, node: str, item: DrawnNode) -> None:
        outer = self.outer(node)
        if self.told(node) or node in self.delays.values():
            return
        if outer is None:
            self.new.add(node, item)
            return
        count = self.counts[outer]
        if node in self.delays:
            late = self.late(node)
            # Without steps, the initial value that comes out last is what the loop gives.
            for step in range(1, min(late, count) + 1) if count else (late,):
                self.add_start(node, step)
            return
        for step in range(1, count + 1):
            loops = tuple(_copy(name, step) for name in self.loops[item.loops[-1]].chain)
            path = tuple(_copy(b, step) if self.nodes[b].loops else b for b in item.path)
            copy = replace(item, loops=loops, path=path, copy_of=node)
            if isinstance(copy, DrawnVariable):
                copy = self.name(node, copy)
            self.new.add(_copy(node, step), copy)

    def name(self, node: str, copy: DrawnVariable) -> DrawnVariable:
        """The copy of a variable with the names that the loop has for it."""
        closed = self.closed_by(node)
        closes = self.variables[closed[0]].name if closed else None
        return replace(copy, name=self.named.get(node, copy.name), closes=closes)

    def late(self, outlet: str) -> int:
        """By how many steps what comes out of a delay is late."""
        item = self.nodes[self.delays[outlet]]
        assert isinstance(item, DrawnDelay)
        return item.steps

    def add_start(self, outlet: str, step: int) -> None:
        """What a step reads of a delay into which nothing has gone: its initial value."""
        delay, late, item = self.delays[outlet], self.late(outlet), self.variables[outlet]
        (outer,) = self.nodes[delay].loops
        name = _copy(outlet, step - late)
        self.new.add(name, replace(item, loops=(), start=self.time(outer, step - late)))
        inits = self.graph.initial_values(delay)
        init = inits[late - step] if len(inits) == late else inits[0]
        enters = f"{name} init"
        start = DrawnStart(name="init", application=None, path=item.path, where=item.where)
        self.new.add(enters, start)
        self.new.join(init, enters, ArgumentArrow(0))
        self.new.join(enters, name, ResultArrow(0))

    def at(self, node: str, step: int) -> str:
        """What stands for a node in the copy of a step: its own copy, or that of a step before."""
        outer, delay = self.outer(node), self.delays.get(node)
        if outer is None:
            return node
        if delay is not None:
            before = step - self.late(node)
            if before < 1:
                return _copy(node, before)
            return self.at(self.graph.argument(delay, 1), before)
        return _copy(node, step)

    def link(self, source: str, target: str, arrow: Arrow) -> None:
        if any(end in self.delays.values() or self.told(end) for end in (source, target)):
            return
        loop = self.outer(target) or self.outer(source)
        if loop is None:
            self.new.join(source, target, arrow)
            return
        count, application = self.counts[loop], self.graph.application(target)
        if self.outer(target) is None:
            steps = range(1, count + 1)
            if isinstance(application, Result) and application.kind == "last":
                if count == 0:
                    for outlet in self.closed_by(source)[:1]:
                        self.new.join(_copy(outlet, 0), target, arrow)
                    return
                steps = range(count, count + 1)
            for step in steps:
                self.new.join(self.at(source, step), target, arrow)
            return
        observed = source in self.variables and self.variables[source].kind == "observed"
        if self.outer(source) is None and isinstance(application, Entry) and observed:
            self.observe(source, target)
            return
        for step in range(1, count + 1):
            self.new.join(self.at(source, step), _copy(target, step), arrow)

    def observe(self, sequence: str, entry: str) -> None:
        """The elements of an observed sequence are observed; the sequence need not be drawn."""
        element = self.graph.result(entry)
        for step in range(1, self.counts[self.nodes[entry].loops[0]] + 1):
            copy = _copy(element, step)
            self.new.nodes[copy] = replace(self.new.variable(copy), element_of=sequence)


def _count(loop: Loop, steps: int | None) -> int:
    """The number of copies of a loop."""
    if isinstance(loop.steps, int):
        return loop.steps if steps is None else min(steps, loop.steps)
    if steps is None:
        raise ValueError(
            f"render expects steps, the number of copies, for the stage 'unrolled' of loop "
            f"'{loop.name}', which has {loop.steps} steps: give render(..., steps=4)"
        )
    return steps


def _copy(node: str, step: int) -> str:
    return f"{node} [{step}]"
