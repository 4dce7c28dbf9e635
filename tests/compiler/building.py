"""What the tests of the compiler share: graphs built by hand, and run on either target."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from diagrad.compiler.graph import Graph, Node, Type
from diagrad.compiler.memory.plan_memory import plan_memory
from diagrad.compiler.memory.tape import emit_tape
from diagrad.compiler.pipeline import compile_kernels
from diagrad.compiler.primitives.record import Builder
from diagrad.compiler.sizes import Dim, named
from diagrad.runtime.cpu.executor import Executor
from diagrad.runtime.reference import ReferenceExecutor

Array = npt.NDArray[Any]
b = Builder()
"""A builder whose nodes come from nowhere."""


def shape_of(*extents: int | str) -> tuple[Dim, ...]:
    """A shape, its names as sizes."""
    return tuple(named(n) if isinstance(n, str) else n for n in extents)


def given(name: str, *extents: int | str, dtype: str = "float32", role: str = "observed") -> Node:
    """An input of a graph."""
    return b.apply("input", name=name, type=Type(dtype, shape_of(*extents)), role=role)


def state(name: str, *extents: int | str, dtype: str = "float32") -> Node:
    """An input that a program keeps and may update."""
    return given(name, *extents, dtype=dtype, role="parameter")


def number(value: float, like: Node) -> Node:
    """A number in every element of the shape of a node."""
    return b.fill(value, like.type)


def graph(
    *inputs: Node,
    updates: Mapping[Node, Node] | None = None,
    outputs: Mapping[str, Node] | None = None,
    **named: Node,
) -> Graph:
    """The graph of outputs by name."""
    found = {**(outputs or {}), **named}
    return Graph("test", inputs, tuple(found.items()), tuple((updates or {}).items()))


def run(
    graph: Graph,
    arrays: Mapping[str, Any],
    target: str = "reference",
    sizes: Mapping[str, int] | None = None,
) -> dict[str, Array]:
    """The outputs of a prepared graph; `arrays` are inputs and states, and states are updated."""
    states = {name: arrays[name] for n in graph.inputs if (name := n.attrs["name"]) in arrays}
    executor: Any
    if target == "reference":
        executor = ReferenceExecutor(emit_tape(graph, sizes or {}), states)
    else:
        executor = Executor(plan_memory(compile_kernels(graph), sizes or {}), states)
    observed = [n.attrs["name"] for n in graph.inputs if n.attrs["role"] == "observed"]
    values = executor([np.asarray(arrays[name]) for name in observed])
    return {name: np.array(v) for (name, _), v in zip(graph.outputs, values, strict=True)}


def numbers(*shape: int, seed: int = 0, dtype: str = "float32") -> Array:
    """Normal numbers, the same every time."""
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def expression(node: Node) -> str:
    """A node as one nested expression; `2.0~` is a number repeated over a shape."""
    if node.op == "input":
        return str(node.attrs["name"])
    if node.op == "constant":
        value = node.attrs["value"]
        return str(value) if value.ndim == 0 else f"<{value.dtype} {value.shape}>"
    if node.op == "broadcast" and node.inputs[0].shape == ():
        return f"{expression(node.inputs[0])}~"
    hidden = {"dtype": node.op != "cast", "value": True}
    words = [expression(item) for item in node.inputs]
    words += [f"{k}={line(v)}" for k, v in node.attrs.items() if not hidden.get(k, False)]
    return f"{node.op}({', '.join(words)})"


def line(value: Any) -> str:
    """An attribute without spaces."""
    if isinstance(value, tuple):
        return "(" + ",".join(map(str, value)) + ")"
    return str(value)
