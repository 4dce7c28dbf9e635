"""Loops that stop by a condition: against loops of as many steps, NumPy loops, and differences."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import diagrad as dg
from diagrad.compiler.graph import Graph
from diagrad.compiler.graphs.loop_bodies import every_node
from diagrad.compiler.pipeline import prepare
from diagrad.compiler.primitives.recurrence import gate_of

from ..evaluating import check_derivatives
from ..looping import TARGETS, Inputs, Target, check, numbers

OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {}, "reversed": {"reverse": True}, "checkpoint": {"checkpoint": 2},
    "truncated": {"truncate": 2},
}  # fmt: skip


def stopping(**options: Any) -> Callable[[Inputs], dict[str, Any]]:
    """A net that stops with the step that `stop` counts; without `stop` it makes all steps."""

    def net(given: Inputs) -> dict[str, Any]:
        t = dg.loop("t", **options)
        x = t.each(given["x"])
        h = t.delay("h", given["h"])
        new = dg.tanh(h @ given["w"] + x @ given["u"])
        t.close(h, new)
        if "stop" in given:
            number = t.delay("number", 0)
            t.close(number, number + 1)
            t.until(number + 1 >= given["stop"])
        rows = t.stack(new * x[:, :1])
        return {
            "rows": rows, "before": t.stack(h), "fixed": t.stack(given["w"] * 1.0 + 0.0 * h[0, 0]),
            "last": t.last(new), "sum": t.sum(dg.cos(x @ given["u"]) + new), "late": t.last(x),
            "count": t.count().astype(dg.float64),
        }  # fmt: skip

    return net


def observed(steps: int | str = "T") -> Inputs:
    shapes = {"x": (steps, "B", 2), "h": ("B", 3), "w": (3, 3), "u": (2, 3)}
    found = {name: dg.observed(name, shape, dg.float64) for name, shape in shapes.items()}
    return {**found, "stop": dg.observed("stop", (), dg.int32)}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("target", TARGETS)
def test_it_is_the_loop_of_the_steps_that_were_made(target: Target, options: Any) -> None:
    """Values and gradients, of all kinds of results, for every place at which it may stop."""
    programs = []
    for given in (observed(), {k: v for k, v in observed().items() if k != "stop"}):
        outputs = stopping(**options)(given)
        cost = dg.sum(outputs["last"] ** 2) + dg.sum(outputs["sum"]) + dg.sum(outputs["late"])
        cost = cost + dg.sum(outputs["rows"] ** 2) + dg.sum(dg.sin(outputs["before"]))
        floats = {name: item for name, item in given.items() if name != "stop"}
        gradients = dg.gradient(cost, floats)
        outputs |= {f"d {name}": item for name, item in gradients.items()}
        programs.append(dg.Diagram("net", outputs).compile(target=target))
    until, whole = programs
    for steps, batch in ((0, 2), (1, 3), (5, 1), (6, 2)):
        arrays = numbers(steps, batch)
        for stop in range(steps + 2):
            made = min(max(stop, 1), steps)
            part = slice(steps - made, steps) if options.get("reverse") else slice(made)
            found = until.run(**arrays, stop=np.int32(stop))
            wanted = whole.run(**{**arrays, "x": arrays["x"][part]})
            for name, value in wanted.items():
                got = found[name]
                if name in ("rows", "before", "fixed", "d x"):
                    rest = np.delete(got, range(steps)[part], axis=0)
                    np.testing.assert_array_equal(rest, np.zeros_like(rest), err_msg=name)
                    got = got[part]
                np.testing.assert_allclose(got, value, rtol=1e-12, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("options", [{}, {"reverse": True}, {"checkpoint": 2}], ids=str)
def test_derivatives_to_the_third_order(options: dict[str, Any]) -> None:
    def net(given: Inputs) -> dict[str, Any]:
        found = stopping(**options)({**given, "stop": dg.observed("stop", (), dg.int32)})
        return {name: found[name] for name in ("rows", "before", "last", "sum")}

    sizes = [(0, 1), (1, 2), (5, 2)]
    for stop in (1, 3, 9):
        check(net, orders=2, sizes=sizes, others=lambda *_, s=stop: {"stop": np.int32(s)})


def newton(a: Any, most: int = 50) -> tuple[Any, Any]:
    """The square root by Newton's iteration, until a step changes little; and its steps."""
    t = dg.loop("t")
    z = t.delay("z", 1.0, dtype=a.dtype)
    new = 0.5 * (z + a / z)
    t.close(z, new)
    t.until(abs(new - z) < 1e-4, most=most)
    return t.last(new), t.count()


@pytest.mark.parametrize("target", TARGETS)
def test_a_condition_made_of_the_values(target: Target) -> None:
    a = dg.observed("a", (), dg.float64)
    root, count = newton(a)
    slope = dg.gradient(root, a)
    outputs = {"root": root, "count": count, "slope": slope, "bend": dg.gradient(slope, a)}
    program = dg.Diagram("sqrt", outputs).compile(target=target)
    for value in (1.0, 2.0, 100.0, 1e6):
        z, steps = 1.0, 0
        while True:
            z, before, steps = 0.5 * (z + value / z), z, steps + 1
            if abs(z - before) < 1e-4:
                break
        found = program.run(a=np.float64(value))
        assert found["count"] == steps and found["count"].dtype == np.int32
        np.testing.assert_allclose(found["root"], z, rtol=1e-14)
        np.testing.assert_allclose(found["slope"], 0.5 * value**-0.5, rtol=1e-6)
        if steps > 1:  # the one step from 1 is linear in a
            np.testing.assert_allclose(found["bend"], -0.25 * value**-1.5, rtol=1e-3)


def test_differences_where_the_count_stays() -> None:
    check_derivatives(lambda a: newton(a)[0], np.array(7.3))


@pytest.mark.parametrize("target", TARGETS)
def test_nothing_is_computed_of_steps_that_are_not_made(target: Target) -> None:
    """They would divide by 0 and take roots of negative numbers, on the way back too."""
    x, w = dg.observed("x", ("T",), dg.float64), dg.observed("w", (), dg.float64)
    t = dg.loop("t")
    z = t.delay("z", w)
    new = dg.sqrt(z) - 1.0 + dg.log(t.each(x)) * w
    t.close(z, new)
    t.until(new < 0.5)
    outputs = {"last": t.last(new), "sum": t.sum(1.0 / new), "count": t.count()}
    outputs |= dg.gradient(outputs["last"] + outputs["sum"], {"x": x, "w": w})
    program = dg.Diagram("net", outputs).compile(target=target)
    ones = np.array([1.0, 1.0, np.nan, -1.0, np.inf, 0.0])
    found = program.run(x=ones, w=np.float64(4.1))
    assert found["count"] == 2 and all(np.isfinite(value).all() for value in found.values())
    np.testing.assert_array_equal(found["x"][2:], 0)


def collatz(start: Any, most: Any) -> Any:
    """How many halvings and triplings lead from a number to 1."""
    s = dg.loop("s")
    n = s.delay("n", start)
    half = dg.floor(n / 2.0)
    new = dg.where(half * 2.0 == n, half, 3.0 * n + 1.0)
    s.close(n, new)
    s.until(new == 1.0, most=most)
    return s.count()


@pytest.mark.parametrize("target", TARGETS)
def test_inside_of_a_loop_each_step_stops_for_itself(target: Target) -> None:
    x = dg.observed("x", ("T",))
    t = dg.loop("t")
    count = collatz(t.each(x), 200)
    total = t.delay("total", 0)
    t.close(total, total + count)
    t.until(total + count > 150)
    d = dg.Diagram("collatz", {"counts": t.stack(count), "made": t.count()})
    wanted = []
    for start in range(2, 12):
        n, steps = start, 0
        while n != 1:
            n, steps = (n // 2 if n % 2 == 0 else 3 * n + 1), steps + 1
        wanted.append(steps)
    found = d.compile(target=target).run(x=np.arange(2.0, 12.0, dtype=np.float32))
    made = int(np.argmax(np.cumsum(wanted) > 150)) + 1 if sum(wanted) > 150 else 10
    assert found["made"] == made
    np.testing.assert_array_equal(found["counts"], [*wanted[:made], *[0] * (10 - made)])
    few = d.compile(target=target).run(x=np.array([27.0, 97.0], np.float32))
    assert few["made"] == 2 and list(few["counts"]) == [111, 118]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("most", [0, 1, "N"])
def test_few_steps(target: Target, most: Any) -> None:
    """No step where none may be made; one, though the condition holds at once."""
    x = dg.observed("x", ("N",))
    t = dg.loop("t", steps=most)
    z = t.delay("z", 3.0)
    t.close(z, z + 1.0)
    t.until(z > 0.0)
    outputs = {"last": t.last(z + 0.0), "count": t.count(), "z": t.stack(z), "x": x}
    outputs["end"] = t.last(z)
    program = dg.Diagram("few", outputs).compile(target=target)
    for n in (0, 1, 3):
        found = program.run(x=np.ones(n, np.float32))
        steps = n if most == "N" else most
        assert found["count"] == min(steps, 1)
        np.testing.assert_array_equal(found["z"], [3.0, 0.0, 0.0][:steps])
        assert found["last"] == (3.0 if steps else 0.0)


def test_threads_agree() -> None:
    """Bit for bit, whoever of them finds out that it is over."""
    rng = np.random.default_rng(0)
    w, x = dg.observed("w", (128, 128)), dg.observed("x", (256, 128))
    stop = dg.observed("stop", (), dg.int32)
    t = dg.loop("t", steps=12)
    z, n = t.delay("z", x), t.delay("n", 0)
    new = dg.tanh(z @ w + x)
    t.close(z, new)
    t.close(n, n + 1)
    t.until(n + 1 >= stop)
    outputs = {"last": t.last(new), "stack": t.stack(new), "count": t.count()}
    outputs["slope"] = dg.gradient(dg.sum(outputs["last"] ** 2), w)
    d = dg.Diagram("net", outputs)
    given = {"w": rng.normal(size=(128, 128)) * 0.1, "x": rng.normal(size=(256, 128))}
    given = {name: value.astype(np.float32) for name, value in given.items()}
    programs = [d.compile(threads=threads) for threads in (1, 2, 3)]
    for made in (1, 5, 12, 3, 7) * 4:
        first, *others = [p.run(**given, stop=np.int32(made)) for p in programs]
        assert first["count"] == made
        for other in others:
            for name, value in first.items():
                assert value.tobytes() == other[name].tobytes(), name


@pytest.mark.parametrize("unroll", [4, True])
def test_it_stays_a_loop_where_others_are_unrolled(unroll: Any) -> None:
    a = dg.observed("a", (), dg.float64)
    root, count = newton(a, most=20)
    d = dg.Diagram("sqrt", {"root": root, "count": count, "slope": dg.gradient(root, a)})
    plain, unrolled = d.compile(), d.compile(unroll=unroll)
    for value in (1.0, 50.0):
        one, other = (p.run(a=np.float64(value)) for p in (plain, unrolled))
        assert all(one[name] == other[name] for name in one)


def test_states_go_on_from_where_it_stopped() -> None:
    add = dg.observed("add", ())
    t = dg.loop("t", steps=10)
    z = t.delay("z", state=dg.state("z", ()))
    new = z + add
    t.close(z, new)
    t.until(new >= 5.0)
    cost = (t.last(new) - dg.parameter("w", ())) ** 2
    program = dg.Diagram("counter", {"count": t.count()}, cost=cost).compile(dg.SGD(0.1))
    program.step(add=np.float32(2.0))
    assert program.states["z"] == 6.0
    program.step(add=np.float32(2.0))
    assert program.states["z"] == 8.0 and program.run(add=np.float32(0.0))["count"] == 1


class Settling(dg.Block):
    """z = tanh(w z + x), as a fixed point."""

    def __init__(self) -> None:
        self.w = dg.parameter("w", (), init=dg.init.constant(0.5))

    def forward(self, x: Any) -> Any:
        t = dg.loop("t", steps=30)
        z = t.delay("z", x)
        new = dg.tanh(self.w * z + x)
        t.close(z, new)
        t.until(dg.max(abs(new - z)) < 1e-3)
        return t.last(new)


@pytest.mark.parametrize("target", TARGETS)
def test_one_set_of_weights_a_sample_stops_each_by_itself(target: Target) -> None:
    x, w = dg.observed("x", ("B",)), dg.observed("w", ("B",))
    y = dg.bind(Settling(), {"w": w})(x)
    outputs = {"y": y, "dw": dg.gradient(dg.sum(y), w)}
    together = dg.Diagram("together", outputs).compile(target=target)
    rng = np.random.default_rng(0)
    xs, ws = (rng.normal(size=5).astype(np.float32) for _ in range(2))
    whole = together.run(x=xs, w=ws)
    for sample in range(5):
        alone = together.run(x=xs[sample : sample + 1], w=ws[sample : sample + 1])
        for name in outputs:
            np.testing.assert_allclose(whole[name][sample], alone[name][0], rtol=1e-5)


@pytest.mark.parametrize("target", TARGETS)
def test_samples_that_stop_one_by_one(target: Target) -> None:
    """The lines of docs/loops.md: a mask that is carried holds back those that have stopped."""
    x = dg.observed("x", ("B",))
    t = dg.loop("t")
    z, going = t.delay("z", x), t.delay("going", True, shape=x.shape)
    new = dg.where(going, 0.5 * z, z)
    goes_on = going & (new >= 1.0)
    t.close(z, new)
    t.close(going, goes_on)
    t.until(dg.sum(goes_on.astype(dg.int32)) == 0, most=20)
    y = t.last(new)
    outputs = {"y": y, "steps": t.sum(going.astype(dg.int32)), "count": t.count()}
    outputs["dx"] = dg.gradient(dg.sum(y), x)
    found = (
        dg.Diagram("net", outputs)
        .compile(target=target)
        .run(x=np.array([1, 8, 100, 3], np.float32))
    )
    assert list(found["steps"]) == [1, 4, 7, 2] and found["count"] == 7
    np.testing.assert_array_equal(found["y"], np.array([0.5, 0.5, 100 / 128, 0.75]))
    np.testing.assert_array_equal(found["dx"], 0.5 ** found["steps"].astype(np.float32))


def gates(graph: Graph) -> int:
    bodies = {id(n.attrs["body"]): n.attrs["body"] for n in every_node(graph) if n.op == "loop"}
    return sum(gate_of(body) is not None for body in bodies.values())


def test_the_way_back_has_a_gate_too() -> None:
    a = dg.observed("a", (), dg.float64)
    root, _ = newton(a)
    d = dg.Diagram("sqrt", {"slope": dg.gradient(root, a)})
    assert gates(prepare(d.lower(dict(d.outputs)))) == 2


def test_count_of_a_loop_without_a_condition() -> None:
    t = dg.loop("t")
    y = t.sum(t.each(dg.observed("x", ("T",))))
    program = dg.Diagram("net", {"y": y, "count": t.count(), "again": t.count()}).compile()
    assert program.run(x=np.ones(4, np.float32))["count"] == 4
