"""Loops on the CPU target: the same as the reference, for any number of threads, nested too."""

from typing import Any

import numpy as np
import pytest

from diagrad.compiler.graph import Graph, Node
from diagrad.compiler.memory.plan_memory import plan_memory
from diagrad.compiler.passes.differentiate import differentiate
from diagrad.compiler.passes.simplify.simplify import simplify
from diagrad.compiler.pipeline import compile_kernels
from diagrad.compiler.sizes import named
from diagrad.runtime.cpu import executor
from diagrad.runtime.cpu.executor import Executor

from ..building import b, given, graph, run
from ..graphs.test_loop_bodies import arrays, product, recurrent, total

T, B, S = named("T"), named("B"), named("S")


def recurrent_graph(reverse: bool, keep: str) -> Graph:
    """Results, first and second derivatives."""
    outer, results = recurrent(reverse, keep)
    end = total(b.mul(results["last_z"], results["sum_y"]))
    cost = b.add(total(b.sin(results["stack_y"])), end)
    outputs = {**results, "cost": cost}
    for order in (1, 2):
        found = {name: b.gradient(cost, item) for name, item in outer.items()}
        outputs |= {f"{order} {name}": item for name, item in found.items()}
        cost = b.add(total(b.mul(found["w"], found["w"])), total(b.sin(found["x"])))
    return simplify(differentiate(graph(*outer.values(), outputs=outputs)))


@pytest.mark.parametrize("keep", ["all", "carries"])
@pytest.mark.parametrize("reverse", [False, True])
def test_as_the_reference(reverse: bool, keep: str) -> None:
    whole = recurrent_graph(reverse, keep)
    for steps in (0, 1, 2, 7):
        for batch in (1, 3):
            sizes = {"T": steps, "B": batch}
            values = arrays(steps, batch)
            wanted = run(whole, values, sizes=sizes)
            found = run(whole, values, "cpu", sizes=sizes)
            for name, value in wanted.items():
                np.testing.assert_allclose(found[name], value, rtol=1e-9, atol=1e-9, err_msg=name)


def nested() -> tuple[dict[str, Node], Graph]:
    """An inner loop of S steps in each of T: h moves by the inner loop's last value, in reverse."""
    x = given("x", "B", 3, dtype="float64", role="sequence")
    z = given("z", "B", 3, dtype="float64", role="carry")
    w = given("w", 3, 3, dtype="float64", role="invariant")
    after = b.tanh(b.add(product(z, w), x))
    inner = Graph("inner", (x, z, w), (("z", after),), ((z, after),))
    y = given("y", "S", "B", 3, dtype="float64", role="sequence")
    h = given("h", "B", 3, dtype="float64", role="carry")
    u = given("u", 3, 3, dtype="float64", role="invariant")
    options: dict[str, Any] = {"body": inner, "steps": S, "reverse": True, "keep": "all"}
    last = b.loop(y, h, u, result="last", of="z", **options)
    stack = b.loop(y, h, u, result="stack", of="z", **options)
    mixed = b.add(last, b.mul(h, b.reduce_sum(stack, axes=(0,))))
    body = Graph("outer", (y, h, u), (("mixed", mixed), ("stack", stack)), ((h, mixed),))
    outer = {
        "x": given("x", "T", "S", "B", 3, dtype="float64"),
        "h": given("h", "B", 3, dtype="float64"),
        "w": given("w", 3, 3, dtype="float64"),
    }
    results = {
        f"{result} {of}": b.loop(
            *outer.values(), body=body, steps=T, reverse=False, result=result, of=of, keep="all"
        )
        for result, of in (("stack", "mixed"), ("last", "h"), ("stack", "stack"))
    }
    cost = b.add(total(b.sin(results["stack mixed"])), total(b.cos(results["stack stack"])))
    found = {name: b.gradient(cost, item) for name, item in outer.items()}
    return outer, graph(
        *outer.values(), outputs={**results, **{f"d {n}": g for n, g in found.items()}}
    )


def test_nested_loops() -> None:
    _, drawn = nested()
    whole = simplify(differentiate(drawn))
    rng = np.random.default_rng(0)
    for steps, inner, batch in ((0, 2, 1), (2, 0, 3), (1, 1, 1), (3, 2, 2), (2, 3, 1)):
        sizes = {"T": steps, "S": inner, "B": batch}
        values = {
            "x": rng.normal(size=(steps, inner, batch, 3)),
            "h": rng.normal(size=(batch, 3)) / 2,
            "w": rng.normal(size=(3, 3)) / 2,
        }
        wanted = run(whole, values, sizes=sizes)
        found = run(whole, values, "cpu", sizes=sizes)
        for name, value in wanted.items():
            np.testing.assert_allclose(found[name], value, rtol=1e-9, atol=1e-9, err_msg=name)


def test_the_same_bits_for_any_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diagrad.compiler.memory.plan_memory.CHUNK_WORK", 1)
    monkeypatch.setattr(executor, "SHARE_WORK", 1)
    program = plan_memory(compile_kernels(recurrent_graph(False, "all")), {"T": 9, "B": 70})
    values = arrays(9, 70)
    found = []
    for threads in (1, 2, 4, 2):
        call = Executor(program, {"w": values["w"].copy()}, threads)
        given_arrays = [values[b.name] for b in program.buffers if b.role == "input"]
        for _ in range(3):
            found.append([value.tobytes() for value in call(given_arrays)])
    assert all(item == found[0] for item in found)


def test_a_loop_of_many_steps_makes_no_more_kernels() -> None:
    template = compile_kernels(recurrent_graph(False, "all"))
    few, many = (plan_memory(template, {"T": steps, "B": 2}) for steps in (3, 3000))
    assert len(few.instructions) == len(many.instructions)
    assert few.kernels == many.kernels
