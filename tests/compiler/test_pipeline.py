"""The pipeline's tables, what may stand at which stage, and what a failed check says."""

import importlib
import inspect
import pkgutil
from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from diagrad.compiler import passes
from diagrad.compiler.errors import InvalidGraphError
from diagrad.compiler.graph import Graph, Node, Type
from diagrad.compiler.graphs.verify import verify
from diagrad.compiler.options import Options
from diagrad.compiler.pipeline import (
    BINDING_PASSES,
    GRAPH_PASSES,
    KERNEL_PASSES,
    KernelPass,
    compile_kernels,
    prepare,
)
from diagrad.compiler.primitives.record import PRIMITIVES
from diagrad.compiler.timings import Timings

from ..house import dotted, imports, python_files, shown
from .building import b, given, graph, number, state

TABLE = [*(row[:2] for row in (*GRAPH_PASSES, *KERNEL_PASSES)), *BINDING_PASSES]


def test_the_folder_of_passes_and_the_tables_agree() -> None:
    rooms = {module.name for module in pkgutil.iter_modules(passes.__path__)}
    found = {
        name for name, function in TABLE if function.__module__.startswith(f"{passes.__name__}.")
    }
    assert rooms == found


def test_a_pass_knows_nothing_of_the_others() -> None:
    wrong = []
    for path in python_files("compiler/passes"):
        own = ".".join(dotted(path).split(".")[:4])  # a pass is a file, or a folder of files
        wrong += [
            f"{shown(path)}:{line}: imports {name}"
            for line, name in imports(path, path.read_text())
            if name.startswith(passes.__name__) and f"{name}.".partition(f"{own}.")[0]
        ]
    assert not wrong


@pytest.mark.parametrize(("name", "function"), TABLE)
def test_a_pass_is_the_function_of_its_file(name: str, function: Any) -> None:
    module = importlib.import_module(function.__module__)
    assert module.__name__.endswith(f".{name}")
    assert getattr(module, name) is function and function.__name__ == name
    assert next(iter(inspect.signature(function).parameters)) in (
        "graph", "fusion", "schedule", "template",
    )  # fmt: skip
    assert module.__doc__ is not None and module.__doc__.startswith(f"{name}: ")


def test_every_option_is_the_second_parameter_of_a_pass_of_its_own() -> None:
    rows = [row for row in GRAPH_PASSES if row.option is not None]
    assert [row.option for row in rows] == [field.name for field in fields(Options)]
    for row in rows:
        assert [*inspect.signature(row.function).parameters] == ["graph", row.option]


def test_what_is_gone_stays_gone() -> None:
    gone: frozenset[str] = frozenset()
    for name, _, banned, _ in GRAPH_PASSES:
        assert banned <= PRIMITIVES.keys()
        assert gone <= banned, name
        gone = banned
    structured = {name for name, p in PRIMITIVES.items() if p.kind == "structured"}
    assert structured - {"loop"} <= gone  # loops stay to the end


def test_the_driver_times_and_shows_what_changed() -> None:
    x = given("x", 3)
    unchanged = graph(x, y=b.neg(x))
    seen: list[str] = []
    timings = Timings()
    ready = prepare(unchanged, Options(), timings, lambda name, value: seen.append(name))
    assert ready is unchanged and seen == []
    asked = [row for row in GRAPH_PASSES if row.option != "precision"]
    names = list(dict.fromkeys(row.name for row in asked))
    assert list(timings.seconds) == names
    assert all(seconds >= 0 for seconds in timings.seconds.values())
    compile_kernels(ready, timings, lambda name, value: seen.append(name))
    assert list(timings.seconds) == list(
        dict.fromkeys([*names, *(row.name for row in KERNEL_PASSES)])
    )
    assert seen[-len(KERNEL_PASSES) :] == [row.name for row in KERNEL_PASSES]
    assert "differentiate" not in seen
    gradient = graph(x, g=b.gradient(b.reduce_sum(b.exp(x), axes=(0,)), x))
    prepare(gradient, observe=lambda name, value: seen.append(name))
    assert "differentiate" in seen


def test_precision() -> None:
    x, w = given("x", 3), state("w", 3, dtype="float64")
    half = b.constant(0.5, "float32")
    y = b.mul(x, b.broadcast(half, shape=(3,), axes=()))
    z = b.cast(w, dtype="float32")
    seen: list[str] = []
    ready = prepare(
        graph(x, w, y=y, z=z),
        Options(precision="float64"),
        observe=lambda name, value: seen.append(name),
    )
    assert "set_precision" in seen
    dtypes = {n.dtype for n in (*ready.inputs, *ready.nodes())}
    assert dtypes == {"float64"}
    assert dict(ready.outputs)["z"] is ready.inputs[1]  # a cast of what is that already


def broken(graph: Graph, banned: frozenset[str] = frozenset()) -> str:
    with pytest.raises(InvalidGraphError) as error:
        verify(graph, banned)
    return str(error.value)


def test_a_wrong_type_prints_the_lines_around_it() -> None:
    x = given("x", "B", 3)
    node: Node = x
    for op in ("exp", "tanh", "sin", "cos"):
        node = b.apply(op, node)
    wrong = Node("neg", (node,), {}, Type("float32", (3,)))
    after = Node("exp", (wrong,), {}, wrong.type)
    assert broken(graph(x, y=after)) == (
        "graph test: expected type float32[B,3]\n"
        "  %1: float32[B,3] = exp(%0)\n"
        "  %2: float32[B,3] = tanh(%1)\n"
        "  %3: float32[B,3] = sin(%2)\n"
        "  %4: float32[B,3] = cos(%3)\n"
        "> %5: float32[3] = neg(%4)\n"
        "  %6: float32[3] = exp(%5)"
    )


def test_operands_that_a_primitive_cannot_take() -> None:
    x, y = given("x", 3), given("y", 4)
    wrong = Node("add", (x, y), {}, x.type)
    assert broken(graph(x, y, z=wrong)) == (
        "graph test: expected operands of one type, got float32[3] and float32[4]\n"
        "  %0: float32[3] = input(name=x, type=float32[3], role=observed)\n"
        "  %1: float32[4] = input(name=y, type=float32[4], role=observed)\n"
        "> %2: float32[3] = add(%0, %1)"
    )


def test_what_may_not_stand_at_this_stage() -> None:
    x = given("x")
    slope = b.gradient(b.exp(x), x)
    whole = graph(x, g=slope)
    verify(whole)
    text = broken(whole, frozenset({"gradient"}))
    assert text.startswith("graph test: gradient must be gone by now\n")
    assert text.splitlines()[-1] == "> %2: float32[] = gradient(%1, %0)"


def test_primitives_and_inputs_that_nobody_knows() -> None:
    x, stray = given("x"), given("stray")
    unknown = Node("sinc", (x,), {}, x.type)
    assert broken(graph(x, y=unknown)).startswith("graph test: unknown primitive sinc\n")
    assert broken(graph(x, y=b.add(x, stray))) == (
        "graph test: an input that the graph does not declare\n"
        "  %0: float32[] = input(name=x, type=float32[], role=observed)\n"
        "> %1: float32[] = input(name=stray, type=float32[], role=observed)\n"
        "  %2: float32[] = add(%0, %1)"
    )


def test_updates_fit_their_states() -> None:
    w = state("w", 3)
    total = b.reduce_sum(w, axes=(0,))
    assert broken(graph(w, updates={w: total})) == (
        "graph test: update of w with float32[], expected float32[3]"
    )
    stray = state("v", 3)
    assert broken(graph(w, y=w, updates={stray: w})) == (
        "graph test: update of v with float32[3], expected float32[3]"
    )


def test_every_kernel_pass_verifies(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pass that breaks a graph is found out, whichever it is."""
    x = given("x", 3)
    ready = prepare(graph(x, y=b.exp(x)))
    broken_graph = graph(x, y=Node("exp", (x,), {}, Type("float32", (4,))))
    monkeypatch.setattr(
        "diagrad.compiler.pipeline.KERNEL_PASSES",
        (KernelPass("materialise", lambda graph: broken_graph),),
    )
    with pytest.raises(InvalidGraphError, match=r"expected type float32\[3\]"):
        compile_kernels(ready)


def test_the_builder_makes_what_the_rules_say() -> None:
    x = given("x", "B", 3, dtype="float64")
    assert number(2, x).type == x.type
    assert b.scale(x, 2.0).type == x.type
    array = b.constant(np.arange(3), "int32")
    assert array.type == Type("int32", (3,)) and not array.attrs["value"].flags.writeable
    with pytest.raises(KeyError, match="sinc"):
        b.sinc(x)
