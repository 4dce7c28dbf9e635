"""Loops with several steps in a turn, or without any turn: the values are those of the rolled."""

from typing import Any

import numpy as np
import pytest

import diagrad as dg
from diagrad.frontend.pictures.stages.stages import stage_picture

from ..looping import Net, Target, derivatives, numbers
from .test_loops import NETS, lengths, masked, plain

STEPS = (0, 1, 2, 7, 8)
BATCH = 3


def truncated(v: Any) -> dict[str, Any]:
    return {f"{n} {k}": y for k in (1, 3) for n, y in plain(v, truncate=k, reverse=k == 3).items()}


ALL: dict[str, Net] = {**NETS, "masked": masked, "truncated": truncated}


def others(net: str, steps: int) -> dict[str, Any]:
    return lengths(steps, BATCH) if net == "masked" else {}


def compare(
    net: str, orders: int, target: Target, unrolls: tuple[int | bool, ...], sizes: tuple[int, ...]
) -> None:
    """Outputs and derivatives, of the loops rolled on the reference target and unrolled."""
    _, found = derivatives(ALL[net], orders)
    named = dg.Diagram("net", found)
    rolled = named.compile(target="reference")
    programs = {k: named.compile(target=target, unroll=k) for k in unrolls if k is not True}
    for steps in sizes:
        if True in unrolls:
            _, found = derivatives(ALL[net], orders, steps)
            programs[True] = dg.Diagram("net", found).compile(target=target, unroll=True)
        arrays = {**numbers(steps, BATCH), **others(net, steps)}
        arrays |= {f"v_{name}": v for name, v in numbers(steps, BATCH, seed=1).items()}
        arrays = {name: value for name, value in arrays.items() if name in named.observed}
        wanted = rolled.run(**arrays)
        for unroll, program in programs.items():
            values = program.run(**arrays)
            for name, value in wanted.items():
                scale = 1e-12 * (1 + np.abs(value).max(initial=0))
                place = f"{name} for {steps} steps, unroll={unroll} on {target}"
                np.testing.assert_allclose(
                    values[name], value, rtol=1e-12, atol=scale, err_msg=place
                )


QUICK = [name for name in ALL if name not in ("checkpointed", "fixed")]


@pytest.mark.parametrize("net", QUICK)
def test_the_third_derivative_is_that_of_the_rolled_loops(net: str) -> None:
    compare(net, 3, "reference", (2, 3, 5), STEPS)
    compare(net, 2, "reference", (True,), STEPS)


@pytest.mark.parametrize("net", ["checkpointed", "fixed"])
def test_the_second_derivative_of_segments(net: str) -> None:
    compare(net, 2, "reference", (2, 3), STEPS)
    compare(net, 1, "reference", (True,), STEPS)


@pytest.mark.parametrize("net", ["delayed", "nested", "masked"])
def test_kernels_do_what_the_reference_does(net: str) -> None:
    compare(net, 1, "cpu", (2, 5), STEPS)
    compare(net, 1, "cpu", (True,), (7,))


class Dropout(dg.Block):
    def forward(self, x: Any) -> Any:
        return dg.where(dg.random_uniform(x.shape) < 0.5, 2.0 * x, 0.0)


def elman(steps: int | str = 5, **options: Any) -> tuple[dg.Diagram, Any]:
    """A loop of a dropout and of a state that stays."""
    x = dg.observed("x", (steps, 4, 3))
    t = dg.loop("t", **options)
    z = t.delay("z", state=dg.state("z", (4, 3)))
    w = dg.parameter("w", (3, 3), np.linspace(-0.5, 0.5, 9).reshape(3, 3))
    z_next = dg.tanh(Dropout()(z @ w + t.each(x)))
    t.close(z, z_next)
    y = t.stack(z_next)
    return dg.Diagram("elman", {"y": y}, dg.mean(y * y)), t


@pytest.mark.parametrize("target", ["reference", "cpu"])
@pytest.mark.parametrize("unroll", [2, 3, True])
def test_draws_are_the_same_and_states_stay(unroll: int, target: Target) -> None:
    diagram, _ = elman()
    rolled, found = (
        diagram.compile(dg.SGD(0.1), target=target, seed=3, dtype="float64", unroll=k)
        for k in (1, unroll)
    )
    x = np.random.default_rng(0).normal(size=(5, 4, 3))
    for _ in range(3):
        np.testing.assert_allclose(found.step(x=x), rolled.step(x=x), rtol=1e-12)
        one, other = found.run(x=x)["y"], rolled.run(x=x)["y"]
        np.testing.assert_array_equal(one == 0, other == 0)  # what was dropped
        assert 0 < np.sum(one == 0) < one.size
        np.testing.assert_allclose(one, other, rtol=1e-12)
    for name, value in rolled.states.items():
        np.testing.assert_allclose(found.states[name], value, rtol=1e-12, err_msg=name)


def turns(program: dg.Program) -> list[str]:
    (found,) = program.executions()
    return sorted({str(n.attrs["steps"]) for n in found.graph.nodes() if n.op == "loop"})


def test_a_loop_s_own_counts_more_than_the_program_s() -> None:
    for own, option, wanted in (
        (None, 1, ["8"]),
        (None, 2, ["4"]),
        (None, True, []),
        (4, 2, ["2"]),
        (4, True, ["2"]),
        (1, True, ["8"]),
        (True, 1, []),
    ):
        program = elman(8, unroll=own)[0].compile(dg.SGD(0.1), unroll=option)
        assert turns(program) == wanted, (own, option)


def test_explain_says_it() -> None:
    diagram, t = elman(8)
    line = diagram.compile(dg.SGD(0.1), unroll=2).explain().splitlines()[1]
    assert line == f"{t.parts} is unrolled: 2 steps in a turn"
    line = diagram.compile(dg.SGD(0.1), unroll=True).explain().splitlines()[1]
    assert line == f"{t.parts} is unrolled: all 8 steps"
    assert "unrolled" not in diagram.compile(dg.SGD(0.1)).explain()
    diagram, t = elman("T", unroll=3)
    line = diagram.compile(dg.SGD(0.1), target="reference").explain().splitlines()[1]
    assert line == f"{t.parts} is unrolled: 3 steps in a turn"


@pytest.mark.parametrize("stage", ["graph", "kernels"])
def test_pictures_show_what_a_loop_says(stage: str) -> None:
    def labels(unroll: int | None) -> list[str]:
        picture = stage_picture(elman(6, unroll=unroll)[0], stage, None)
        return [item.label for item in picture.clusters if item.kind == "loop"]

    whole = labels(None)
    assert whole[0] == "t:  1 … 6"
    assert labels(2) == [text.replace("6", "3") for text in whole]
    assert labels(True) == []


def test_an_unrolled_program_is_another_one_in_the_cache() -> None:
    keys = set()
    for own, option in ((None, 1), (None, 2), (None, True), (2, 1), (True, 1)):
        (found,) = elman(8, unroll=own)[0].compile(dg.SGD(0.1), unroll=option).executions()
        assert found.cached is not None
        keys.add(found.cached._key)
    assert len(keys) == 5


def test_all_steps_need_a_known_number() -> None:
    diagram, t = elman("T")
    with pytest.raises(dg.DiagramError) as error:
        diagram.compile(unroll=True)
    place = str(error.value).split(" with ")[0]
    assert place.startswith("compile of 'elman' (test_unrolled_loops.py:")
    assert str(error.value) == (
        f"{place} with unroll=True expects loops of known numbers of steps, got {t.parts} of T: "
        "give an integer in the place of the name, dg.loop(unroll=K), or unroll=K for K steps in "
        "one turn of the loop"
    )
    assert str(t.parts).startswith("loop 't' (test_unrolled_loops.py:")
    elman("T", unroll=2)[0].compile(unroll=True)
    with pytest.raises(dg.ShapeError) as error:
        elman("T", unroll=True)
    assert str(error.value).startswith("loop 't' (test_unrolled_loops.py:")
    assert str(error.value).split(") ", 1)[1] == (
        "expects a known number of steps for unroll=True, got T: give an integer in the place of "
        "the name, or unroll=K for K steps in one turn of the loop"
    )


def test_every_loop_of_an_unknown_number_of_steps_is_told() -> None:
    x = dg.observed("x", ("T",))
    loops = [dg.loop("s"), dg.loop("t"), dg.loop("u", unroll=4)]
    diagram = dg.Diagram("three", {t.name: t.sum(dg.exp(t.each(x))) for t in loops})
    with pytest.raises(dg.DiagramError, match="has 2 mistakes") as error:
        diagram.compile(unroll=True)
    assert [f"loop '{name}'" in str(error.value) for name in "stu"] == [True, True, False]


@pytest.mark.parametrize(
    ("unroll", "kind", "got"),
    [
        (0, ValueError, "0"),
        (-2, ValueError, "-2"),
        (False, TypeError, "False"),
        (2.0, TypeError, "2.0"),
        ("all", TypeError, "'all'"),
    ],
)
def test_what_is_no_number_of_steps(unroll: Any, kind: type[Exception], got: str) -> None:
    wanted = f"expects unroll to be an integer of 1 or more, or True, got {got}"
    with pytest.raises(kind) as error:
        dg.loop("t", unroll=unroll)
    assert str(error.value).startswith("loop 't' (test_unrolled_loops.py:")
    assert str(error.value).endswith(f") {wanted}")
    with pytest.raises(kind) as error:
        elman()[0].compile(unroll=unroll)
    assert str(error.value).startswith("compile of 'elman' (test_unrolled_loops.py:")
    assert str(error.value).endswith(f") {wanted}")
