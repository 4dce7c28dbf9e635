"""Stage "unrolled": the drawn graph with a copy of each outermost loop's inside for every step.

A copy reads what the copies before it have computed instead of a delay.  Parameters are shared by
all copies.  Loops within loops stay as they are.  Graph in, graph out: this file makes no picture.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...variables.loop_parts import Entry, Result
from .loop_frames import Loop, loops_of
from .symbols import number

if TYPE_CHECKING:
    import networkx as nx


def unrolled(graph: nx.MultiDiGraph[Any], steps: int | None) -> nx.MultiDiGraph[Any]:
    """A drawn graph, without masks, whose outermost loops are unrolled.

    Args:
        graph: what `without_masks` made; it stays as it is.
        steps: the number of copies; of a loop that has fewer steps, as many as it has.

    Raises:
        ValueError: a loop has a number of steps that is only named, and `steps` is None.
    """
    return _Unrolling(graph, steps).new


class _Unrolling:
    def __init__(self, graph: nx.MultiDiGraph[Any], steps: int | None) -> None:
        import networkx as nx

        self.graph = graph
        self.data: Mapping[str, dict[str, Any]] = graph.nodes
        self.loops = loops_of(graph)
        self.counts = {
            loop.name: _count(loop, steps) for loop in self.loops.values() if len(loop.chain) == 1
        }
        self.delays = self.find_delays()
        self.new: nx.MultiDiGraph[Any] = nx.MultiDiGraph(**graph.graph)
        self.new.graph["loops"] = {}
        for loop in self.loops.values():
            for step in range(1, self.counts[loop.chain[0]] + 1):
                self.add_loop(loop, step)
        self.named = self.find_named()
        for node in graph:
            self.add(node)
        for source, target, key, link in graph.edges(keys=True, data=True):
            self.link(source, target, key, link)

    def outer(self, node: str) -> str | None:
        """The outermost loop around a node."""
        names = self.data[node]["loops"]
        return self.loops[names[0]].chain[0] if names else None

    def find_delays(self) -> dict[str, str]:
        """What comes out of a delay of an outermost loop, and the delay."""
        found = {}
        for node, data in self.data.items():
            if data["kind"] == "delay" and data["loops"][-1] in self.counts:
                (outlet,) = self.graph.successors(node)
                found[outlet] = node
        return found

    def find_named(self) -> dict[str, str]:
        """Variables without a name that are only returned as a sequence, and its name."""
        found: dict[str, str] = {}
        for node, data in self.data.items():
            if not _is_stack(data):
                continue
            ((source,), (result,)) = self.graph.predecessors(node), self.graph.successors(node)
            closing = any(self.argument(delay, 1) == source for delay in self.delays.values())
            plain = self.outer(source) is not None and self.data[source]["name"] is None
            plain = plain and not closing and source not in self.delays
            returned = self.data[result]["output"]
            if plain and returned and self.graph.out_degree(result) == 0:
                found.setdefault(source, returned)
        return found

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
        self.new.graph["loops"][new.name] = {"loop": new}

    def told(self, node: str) -> bool:
        """Whether a node is a sequence, or makes one, of which the elements alone are drawn."""
        if self.data[node].get("output") and self.data[node]["output"] in self.named.values():
            node = next(iter(self.graph.predecessors(node)), node)
        sources = list(self.graph.predecessors(node))
        return _is_stack(self.data[node]) and set(sources) <= set(self.named)

    def add(self, node: str) -> None:
        data, outer = self.data[node], self.outer(node)
        if self.told(node):
            return
        if outer is None:
            self.new.add_node(node, **data)
            return
        delay = self.delays.get(node)
        if delay is not None:
            late, count = _delayed_by(self.data[delay]), self.counts[outer]
            # Without steps, the initial value that comes out last is what the loop gives.
            for step in range(1, min(late, count) + 1) if count else (late,):
                self.add_start(node, delay, step)
            return
        if node in self.delays.values():
            return
        for step in range(1, self.counts[outer] + 1):
            loops = [_copy(name, step) for name in self.loops[data["loops"][-1]].chain]
            path = [
                _copy(block, step) if self.data[block]["loops"] else block for block in data["path"]
            ]
            self.new.add_node(
                _copy(node, step),
                **{**data, "loops": tuple(loops), "path": tuple(path), "copy_of": node},
            )
            if node in self.named:
                self.new.nodes[_copy(node, step)]["name"] = self.named[node]
        for outlet, delay in self.delays.items():
            if self.argument(delay, 1) == node:
                for step in range(1, self.counts[outer] + 1):
                    copied = self.new.nodes[_copy(node, step)]
                    copied.setdefault("closes", self.data[outlet]["name"])

    def add_start(self, outlet: str, delay: str, step: int) -> None:
        """What a step reads of a delay into which nothing has gone: its initial value."""
        (outer,) = self.data[delay]["loops"]
        late = _delayed_by(self.data[delay])
        data = {**self.data[outlet], "loops": (), "at": self.time(outer, step - late)}
        name = _copy(outlet, step - late)
        self.new.add_node(name, **data)
        places = {place: source for source, _, place in self.graph.in_edges(delay, data="argument")}
        inits = [places[place] for place in sorted(places) if place == 0 or place > 1]
        init = inits[late - step] if len(inits) == late else inits[0]
        enters = f"{name} init"
        self.new.add_node(
            enters, kind="init", name="init", label="init", opens=False, path=data["path"],
            loops=(), where=data["where"], application=None,
        )  # fmt: skip
        self.new.add_edge(init, enters, key=0, argument=0, captured=False)
        self.new.add_edge(enters, name, key=0, result=0)

    def argument(self, node: str, place: int) -> str:
        links = self.graph.in_edges(node, data="argument")
        found: str = next(source for source, _, at in links if at == place)
        return found

    def at(self, node: str, step: int) -> str:
        """What stands for a node in the copy of a step: its own copy, or that of a step before."""
        outer, delay = self.outer(node), self.delays.get(node)
        if outer is None:
            return node
        if delay is not None:
            before = step - _delayed_by(self.data[delay])
            return _copy(node, before) if before < 1 else self.at(self.argument(delay, 1), before)
        return _copy(node, step)

    def link(self, source: str, target: str, key: int, link: dict[str, Any]) -> None:
        ends = (source, target)
        if any(end in self.delays.values() or self.told(end) for end in ends):
            return
        loop = self.outer(target) or self.outer(source)
        if loop is None:
            self.new.add_edge(source, target, key=key, **link)
            return
        count = self.counts[loop]
        if self.outer(target) is None:
            application = self.data[target]["application"]
            steps = range(1, count + 1)
            if isinstance(application, Result) and application.kind == "last":
                if count == 0:
                    starts = [o for o, d in self.delays.items() if self.argument(d, 1) == source]
                    if starts:
                        self.new.add_edge(_copy(starts[0], 0), target, key=key, **link)
                    return
                steps = range(count, count + 1)
            for step in steps:
                self.new.add_edge(self.at(source, step), target, key=key, **link)
            return
        application = self.data[target].get("application")
        outside = self.outer(source) is None
        if outside and isinstance(application, Entry) and self.data[source]["kind"] == "observed":
            self.observe(source, target)
            return
        for step in range(1, count + 1):
            self.new.add_edge(self.at(source, step), _copy(target, step), key=key, **link)

    def observe(self, sequence: str, entry: str) -> None:
        """The elements of an observed sequence are observed; the sequence need not be drawn."""
        (element,) = self.graph.successors(entry)
        for step in range(1, self.counts[self.data[entry]["loops"][0]] + 1):
            self.new.nodes[_copy(element, step)].update(element_of=sequence)


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


def _is_stack(data: Mapping[str, Any]) -> bool:
    """Whether a node stacks a variable of a loop."""
    application = data.get("application")
    return isinstance(application, Result) and application.kind == "stack"


def _copy(node: str, step: int) -> str:
    return f"{node} [{step}]"


def _delayed_by(data: Mapping[str, Any]) -> int:
    """By how many steps a delay's node delays."""
    steps: int = data["steps"]
    return steps
