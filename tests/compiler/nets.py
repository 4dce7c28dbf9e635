"""Recurrent nets for the tests of the compiler: bodies built by hand, in float64."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from diagrad.compiler.graph import Graph, Node
from diagrad.compiler.primitives.recurrence import results_of
from diagrad.compiler.sizes import Dim, named

from .building import Array, b, given, graph

T, B = named("T"), named("B")
I, H, O = 4, 3, 2  # noqa: E741 (inputs, hidden units, outputs)

Named = dict[str, Node]


def entry(name: str, *shape: int | str, role: str) -> Node:
    return given(name, *shape, dtype="float64", role=role)


def product(x: Node, w: Node) -> Node:
    """The rows of a node times a matrix."""
    return b.contract(x, w, a=(0, 1), b=(1, 2), out=(0, 2))


def rows(bias: Node) -> Node:
    """A bias for every row of the batch."""
    return b.broadcast(bias, shape=(B, *bias.shape), axes=(1,))


def columns(x: Node, start: int, stop: int) -> Node:
    return b.slice(x, start=(0, start), stop=(B, stop), step=(1, 1))


def total(x: Node) -> Node:
    """The sum of all elements."""
    return b.reduce_sum(x, axes=tuple(range(x.type.rank)))


@dataclass(frozen=True)
class Net:
    """A loop: the inputs that stand outside, and a result of it for the derivatives."""

    outer: Named
    results: Named

    def derivatives(self, order: int = 1) -> Graph:
        """Its results, a cost of them and the gradients of it by all inputs, up to an order."""
        cost = total(next(iter(self.results.values())))
        for name, node in self.results.items():
            if name.startswith(("last", "stack")):
                cost = b.add(cost, total(b.sin(node)))
        outputs = {**self.results, "cost": cost}
        for number in range(1, order + 1):
            found = {name: b.gradient(cost, node) for name, node in self.outer.items()}
            outputs |= {f"{number} {name}": node for name, node in found.items()}
            cost = total(b.sin(next(iter(found.values()))))
            for node in list(found.values())[1:]:
                cost = b.add(cost, total(b.mul(node, node)))
        return graph(*self.outer.values(), outputs=outputs)


def wound(
    body: Graph,
    *results: tuple[str, str],
    steps: Dim = T,
    reverse: bool = False,
    keep: str = "all",
) -> Net:
    """A loop of a body over inputs of the same names."""
    outer = {}
    for node in body.inputs:
        name, role = node.attrs["name"], node.attrs["role"]
        shape = (steps, *node.shape) if role == "sequence" else node.shape
        kind = "parameter" if role == "invariant" else "observed"
        type = node.type.with_shape(shape)
        outer[name] = b.apply("input", name=name, type=type, role=kind)
    found = {
        f"{result} {of}": b.loop(
            *outer.values(), body=body, steps=steps, reverse=reverse, keep=keep,
            result=result, of=of,
        )
        for result, of in results
    }  # fmt: skip
    return Net(outer, found)


def read_out(h: Node, y: Node, v: Node, c: Node) -> tuple[Node, Node]:
    """A linear layer on the state, and its mean squared error."""
    out = b.add(product(h, v), rows(c))
    error = b.sub(out, y)
    return out, b.div(total(b.mul(error, error)), b.size(size=B, dtype="float64"))


def finished(
    name: str, entries: list[Node], states: list[tuple[Node, Node]], **options: Any
) -> Net:
    """A net with a cost at every step, made of its first state."""
    y = entry("y", "B", O, role="sequence")
    v, c = entry("V", H, O, role="invariant"), entry("c", O, role="invariant")
    out, cost = read_out(states[0][1], y, v, c)
    body = Graph(name, (*entries, y, v, c), (("cost", cost), ("out", out)), tuple(states))
    first = states[0][0].attrs["name"]
    return wound(body, ("sum", "cost"), ("stack", "out"), ("last", first), **options)


def elman(**options: Any) -> Net:
    """h(t) = tanh(x(t) W + h(t-1) U + b)."""
    x, h = entry("x", "B", I, role="sequence"), entry("h", "B", H, role="carry")
    w, u = entry("W", I, H, role="invariant"), entry("U", H, H, role="invariant")
    bias = entry("b", H, role="invariant")
    following = b.tanh(b.add(b.add(product(x, w), rows(bias)), product(h, u)))
    return finished("elman", [x, h, w, u, bias], [(h, following)], **options)


def lstm(**options: Any) -> Net:
    """Long short-term memory (Hochreiter and Schmidhuber, 1997; Gers et al., 2000)."""
    x = entry("x", "B", I, role="sequence")
    h, s = entry("h", "B", H, role="carry"), entry("s", "B", H, role="carry")
    w, u = entry("W", I, 4 * H, role="invariant"), entry("U", H, 4 * H, role="invariant")
    bias = entry("b", 4 * H, role="invariant")
    gates = b.add(b.add(product(x, w), product(h, u)), rows(bias))
    i, f, o = (b.sigmoid(columns(gates, k * H, (k + 1) * H)) for k in range(3))
    state = b.add(b.mul(f, s), b.mul(i, b.tanh(columns(gates, 3 * H, 4 * H))))
    following = b.mul(o, b.tanh(state))
    return finished("lstm", [x, h, s, w, u, bias], [(h, following), (s, state)], **options)


def joined(**options: Any) -> Net:
    """A long short-term memory as it is drawn: one weight for input and state together."""
    x = entry("x", "B", I, role="sequence")
    h, s = entry("h", "B", H, role="carry"), entry("s", "B", H, role="carry")
    w, bias = entry("W", I + H, 4 * H, role="invariant"), entry("b", 4 * H, role="invariant")
    gates = b.add(product(b.concatenate(x, h, axis=1), w), rows(bias))
    i, f, o = (b.sigmoid(columns(gates, k * H, (k + 1) * H)) for k in range(3))
    state = b.add(b.mul(f, s), b.mul(i, b.tanh(columns(gates, 3 * H, 4 * H))))
    following = b.mul(o, b.tanh(state))
    return finished("joined", [x, h, s, w, bias], [(h, following), (s, state)], **options)


def gru(**options: Any) -> Net:
    """Gated recurrent unit (Cho et al., 2014)."""
    x, h = entry("x", "B", I, role="sequence"), entry("h", "B", H, role="carry")
    ws = [entry(f"W{k}", I, H, role="invariant") for k in "rzn"]
    us = [entry(f"U{k}", H, H, role="invariant") for k in "rzn"]
    r, z = (b.sigmoid(b.add(product(x, ws[k]), product(h, us[k]))) for k in range(2))
    n = b.tanh(b.add(product(x, ws[2]), product(b.mul(r, h), us[2])))
    following = b.add(b.mul(z, h), b.mul(b.sub(b.fill(1, z.type), z), n))
    return finished("gru", [x, h, *ws, *us], [(h, following)], **options)


def nested(**options: Any) -> Net:
    """A loop inside of a loop, over the columns of each step's input and of the state."""
    column = entry("e", "B", role="sequence")
    state_column = entry("g", "B", role="sequence")
    inner_s = entry("s", "B", role="carry")
    inner_w = entry("w", role="invariant")
    weight = b.broadcast(inner_w, shape=(B,), axes=())
    inner_next = b.tanh(b.add(b.mul(inner_s, weight), b.mul(column, state_column)))
    inner = Graph(
        "columns", (column, state_column, inner_s, inner_w),
        (("s", inner_next), ("p", b.mul(column, weight))), ((inner_s, inner_next),),
    )  # fmt: skip
    x, h = entry("x", "B", I, role="sequence"), entry("h", "B", H, role="carry")
    w, a = entry("W", I, H, role="invariant"), entry("a", role="invariant")
    drive = product(x, w)

    def loop(state: Node, result: str, of: str) -> Node:
        operands = (b.transpose(drive, axes=(1, 0)), b.transpose(state, axes=(1, 0)))
        zero = b.fill(0, inner_s.type)
        found: Node = b.loop(
            *operands, zero, a, body=inner, steps=H, reverse=False, keep="all", result=result,
            of=of,
        )  # fmt: skip
        return found

    following = b.transpose(loop(h, "stack", "s"), axes=(1, 0))
    late = b.broadcast(loop(following, "last", "s"), shape=(B, H), axes=(0,))
    parallel = b.broadcast(loop(drive, "sum", "p"), shape=(B, H), axes=(0,))
    states = [(h, b.add(following, b.mul(late, parallel)))]
    return finished("nested", [x, h, w, a], states, **options)


def arrays(net: Net, steps: int, batch: int) -> dict[str, Array]:
    """Inputs for a net, the same every time."""
    rng = np.random.default_rng(steps * 10 + batch)
    sizes = {"T": steps, "B": batch}
    found = {}
    for name, node in net.outer.items():
        shape = [sizes[str(n)] if not isinstance(n, int) else n for n in node.shape]
        found[name] = rng.normal(size=shape) * 0.7
    return found


def bodies(found: Graph) -> list[Graph]:
    """The bodies of the loops of a graph, in order."""
    return [results[0].attrs["body"] for results in results_of(found.nodes()).values()]


def contractions(found: Graph) -> int:
    """How many contractions a graph has, those of its loops aside."""
    return sum(node.op == "contract" for node in found.nodes())


def text(found: Graph) -> str:
    """A graph and the bodies of its loops."""
    return "\n".join(map(str, [found, *bodies(found)]))
