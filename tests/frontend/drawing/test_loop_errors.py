"""Mistakes in loops: each is told with its place, what was expected, what came, and the remedy."""

import re

import numpy as np
import pytest

import diagrad as dg

from ..evaluating import TARGETS, Target
from ..source import draw

X = 'x = dg.observed("x", ("T", "B", 4))\nt = dg.loop("t")\nx_t = t.each(x)\n'

MISTAKES: dict[str, tuple[str, type[Exception], str]] = {
    "never closed": (
        f'{X}z = t.delay("z", 0.0, shape=("B", 4))\n'
        'y = t.stack(z + x_t)',
        dg.DiagramError,
        "delay 'z' (model.py:4) of loop 't' (model.py:2) is never closed: say with close what "
        "goes into it at every step",
    ),
    "closed twice": (
        f'{X}z = t.delay("z", 0.0, shape=("B", 4))\n'
        't.close(z, z + x_t)\n'
        't.close(z, x_t)\n'
        'y = t.stack(z)',
        dg.DiagramError,
        "close (model.py:6) of loop 't' (model.py:2) closes delay 'z' again, closed already "
        "(model.py:5): put one variable into it",
    ),
    "shape": (
        f'{X}z = t.delay("z", 0.0, shape=("B", 3))\n'
        't.close(z, x_t)\n'
        'y = t.stack(z)',
        dg.ShapeError,
        "close (model.py:5) of loop 't' (model.py:2) expects float32 (B, 3) for delay 'z' "
        "(model.py:4), got float32 (B, 4) from each (model.py:3): what goes into a delay has the "
        "type of its init",
    ),
    "dtype": (
        f'{X}z = t.delay("z", 0, shape=("B", 4))\n'
        't.close(z, x_t)\n'
        'y = t.stack(z)',
        dg.DtypeError,
        "close (model.py:5) of loop 't' (model.py:2) expects int32 (B, 4) for delay 'z' "
        "(model.py:4), got float32 (B, 4) from each (model.py:3): what goes into a delay has the "
        "type of its init",
    ),
    "another loop": (
        f'{X}z = t.delay("z", x[0])\n'
        's = dg.loop("s", steps=3)\n'
        's.close(z, z)\n'
        'a = s.delay("a", z)\n'
        's.close(a, a * 2.0)\n'
        't.close(z, x_t * z)\n'
        'y = t.stack(s.last(a * 2.0))',
        dg.DiagramError,
        "close (model.py:6) of loop 's' (model.py:5) expects a delay of this loop, got delay 'z' "
        "(model.py:4): each delay is closed by its own loop",
    ),
    "outside output": (
        f'{X}y = x_t + 1.0',
        dg.DiagramError,
        "output 'y' of diagram 'diagram' (HERE) expects a variable outside of loops, got add "
        "(model.py:4), which depends on each (model.py:3) of loop 't' (model.py:2): take "
        "t.stack(...), t.sum(...) or t.last(...) of it",
    ),
    "in another": (
        f'{X}s = dg.loop("s", steps="T")\n'
        'z = s.delay("z", x[0])\n'
        's.close(z, z + x_t)\n'
        'y = s.stack(z)',
        dg.DiagramError,
        "stack (model.py:7) of loop 's' (model.py:4) expects a variable of that loop alone, got "
        "delay 'z' (model.py:5), which also depends on each (model.py:3) of loop 't' "
        "(model.py:2): draw both in one loop, by s.each(...) and s.delay(...), or take "
        "t.stack(...) of the result, for a loop 's' at every step of 't'",
    ),
    "two loops side by side": (
        f'{X}s = dg.loop("s")\n'
        'y = t.last(x_t + s.each(x))',
        dg.DiagramError,
        "last (model.py:5) of loop 't' (model.py:2) expects a variable of that loop alone, got "
        "add (model.py:5), which also depends on each (model.py:5) of loop 's' (model.py:4): "
        "draw both in one loop, by t.each(...) and t.delay(...), or take s.last(...) of the "
        "result, for a loop 't' at every step of 's'",
    ),
    "two loops entwined": (
        f'{X}s = dg.loop("s", steps="T")\n'
        'z, q = t.delay("z", x[0]), s.delay("q", x[0])\n'
        't.close(z, z + x_t * q)\n'
        's.close(q, q + z)\n'
        'y = t.last(z)',
        dg.DiagramError,
        "last (model.py:8) of loop 't' (model.py:2) expects a variable of that loop alone, got "
        "delay 'z' (model.py:5), which also depends on delay 'q' (model.py:5) of loop 's' "
        "(model.py:4): draw both in one loop, by t.each(...) and t.delay(...)",
    ),
    "stacked by another": (
        f'{X}s = dg.loop("s", steps="T")\n'
        'y = s.stack(x_t)',
        dg.DiagramError,
        "stack (model.py:5) of loop 's' (model.py:4) expects a variable of that loop, got each "
        "(model.py:3), which depends on none of its elements and delays, but on each (model.py:3) "
        "of loop 't' (model.py:2): take t.stack(...) of it, or draw both in one loop",
    ),
    "not inside": (
        f'{X}w = dg.observed("w", ("B", 4))\n'
        'y = t.stack(w) + t.stack(x_t)',
        dg.DiagramError,
        "stack (model.py:5) of loop 't' (model.py:2) expects a variable of that loop, got "
        "observed 'w' (model.py:4), which depends on none of its elements and delays: use it as "
        "it is",
    ),
    "last not inside": (
        f'{X}w = dg.observed("w", ("B", 4))\n'
        'y = t.last(w) + t.last(x_t)',
        dg.DiagramError,
        "last (model.py:5) of loop 't' (model.py:2) expects a variable of that loop, got "
        "observed 'w' (model.py:4), which depends on none of its elements and delays: use it as "
        "it is",
    ),
    "cycle": (
        f'{X}a = dg.variable("a", ("B", 4))\n'
        'b = dg.tanh(a + x_t)\n'
        'dg.connect(a, b * 2.0)\n'
        'y = t.stack(b)',
        dg.CycleError,
        "variable 'a' (model.py:4) depends on itself without a delay, through multiply "
        "(model.py:6) <- tanh (model.py:5) <- add (model.py:5): put a delay into the loop, or "
        "cut one of these arrows",
    ),
    "cycle out": (
        f'{X}z = t.delay("z", x[0])\n'
        'w=dg.variable("w", ("B", 4))\n'
        't.close(z, z * w)\n'
        'last = t.last(z * w)\n'
        'dg.connect(w, last)\n'
        'y = t.stack(z + x_t)',
        dg.CycleError,
        "variable 'w' (model.py:5) depends on itself without a delay, through last (model.py:7): "
        "put a delay into the loop, or cut one of these arrows",
    ),
    "lengths differ": (
        f'{X}y = t.stack(x_t + t.each(dg.observed("v", ("S", "B", 4))))',
        dg.ShapeError,
        "each (model.py:4) of loop 't' (model.py:2) expects T steps along axis 0, got float32 "
        "(S, B, 4) from observed 'v' (model.py:4): all sequences of a loop are as long as it is",
    ),
    "lengths differ int": (
        'x = dg.observed("x", (5, 4))\n'
        't = dg.loop("t", steps=4)\n'
        'y = t.stack(t.each(x))',
        dg.ShapeError,
        "each (model.py:3) of loop 't' (model.py:2) expects 4 steps along axis 0, got float32 "
        "(5, 4) from observed 'x' (model.py:1): all sequences of a loop are as long as it is",
    ),
    "negative": (
        't = dg.loop("t", steps=-1)',
        dg.ShapeError,
        "loop 't' (model.py:1) expects steps to be an integer of 0 or more, a name or None, got "
        "-1",
    ),
    "scalar": (
        f'{X}y = t.stack(x_t * t.each(dg.observed("a")))',
        dg.ShapeError,
        "each (model.py:4) of loop 't' (model.py:2) expects a sequence with an axis 0, got "
        "float32 () from observed 'a' (model.py:4): what has no axis is the same at every step",
    ),
    "lengths dtype": (
        'x = dg.observed("x", ("T", "B", 4))\n'
        't = dg.loop("t", lengths=dg.observed("n", ("B",)))\n'
        'y = t.stack(t.each(x))',
        dg.DtypeError,
        "loop 't' (model.py:2) expects lengths of dtype int32 or int64, got float32 (B,) from "
        "observed 'n' (model.py:2): convert them with .astype(...)",
    ),
    "lengths shape": (
        'x = dg.observed("x", ("T", "B", 4))\n'
        't = dg.loop("t", lengths=dg.observed("n", ("B", 1), dg.int32))\n'
        'y = t.stack(t.each(x))',
        dg.ShapeError,
        "loop 't' (model.py:2) expects lengths of shape (B,), got int32 (B, 1) from observed 'n' "
        "(model.py:2): one length for each sample",
    ),
    "lengths samples": (
        'x = dg.observed("x", ("T", 4))\n'
        't = dg.loop("t", lengths=dg.observed("n", ("B",), dg.int32))\n'
        'y = t.stack(t.each(x))',
        dg.ShapeError,
        "stack (model.py:3) of loop 't' (model.py:2) expects B samples along axis 0, as there "
        "are lengths, got float32 (4,) from each (model.py:3)",
    ),
    "truncate": (
        'dg.loop("t", truncate=0)',
        ValueError,
        "loop 't' (model.py:1) expects truncate to be 1 or more, got 0",
    ),
    "checkpoint": (
        'dg.loop("t", checkpoint=0)',
        ValueError,
        "loop 't' (model.py:1) expects checkpoint to be 1 or more, got 0",
    ),
    "truncate type": (
        'dg.loop("t", truncate=1.5)',
        TypeError,
        "loop 't' (model.py:1) expects truncate to be an integer or None, got 1.5",
    ),
    "unused each": (
        f'{X}v = t.each(x * 2.0)\n'
        'y = t.stack(x_t)',
        dg.UnusedError,
        "each (model.py:4) of loop 't' (model.py:2) is used by nothing: remove it, or use it",
    ),
    "unused delay": (
        f'{X}z = t.delay("z", x[0])\n'
        't.close(z, x_t)\n'
        'y = t.stack(x_t)',
        dg.UnusedError,
        "delay 'z' (model.py:4) of loop 't' (model.py:2) is used by nothing: remove it, or use it",
    ),
    "unused truncated": (
        'x = dg.observed("x", ("T", "B", 4))\n'
        't = dg.loop("t", truncate=2)\n'
        'x_t = t.each(x)\n'
        'z = t.delay("z", x[0])\n'
        't.close(z, x_t)\n'
        'y = t.stack(x_t)',
        dg.UnusedError,
        "delay 'z' (model.py:4) of loop 't' (model.py:2) is used by nothing: remove it, or use it",
    ),
    "steps unknown": (
        't = dg.loop("t")\n'
        'z = t.delay("z", 1.0)\n'
        't.close(z, z * 2.0)\n'
        'y = t.last(z * 2.0)',
        dg.DiagramError,
        "last (model.py:4) of loop 't' (model.py:1) expects the number of steps to be known: "
        "give dg.loop steps=..., or let a sequence enter before",
    ),
    "gradient": (
        f'{X}w = dg.parameter("w", (4,))\n'
        'z = t.delay("z", x[0])\n'
        'z_next = z * w + x_t\n'
        't.close(z, z_next)\n'
        'cost = t.sum(z_next).sum()\n'
        'y = t.stack(dg.gradient(cost, z))',
        dg.DiagramError,
        "gradient (model.py:9) expects a cost that is in loop 't' (model.py:2), as delay 'z' "
        "(model.py:5) is, got sum (model.py:8): a variable of one step has gradients of that "
        "step's costs; dg.gradient_flow gives those of a diagram's cost",
    ),
    "gradient by a sequence": (
        f'{X}cost = (x_t * x_t).sum()\n'
        'y = t.stack(dg.gradient(cost, x))',
        dg.DiagramError,
        "gradient (model.py:5) expects a variable that one step's cost depends on in that step, "
        "got observed 'x' (model.py:1), which only enters through each (model.py:3) of loop 't' "
        "(model.py:2): take the gradient by what that gives, or of a cost outside of the loop",
    ),
    "init in loop": (
        f'{X}z = t.delay("z", x_t)\n'
        't.close(z, z * 2.0)\n'
        'y = t.stack(z)',
        dg.DiagramError,
        "delay 'z' (model.py:4) of loop 't' (model.py:2) expects an initial value from outside "
        "of its loop, got each (model.py:3), which depends on each (model.py:3) of loop 't' "
        "(model.py:2): take t.stack(...), t.sum(...) or t.last(...) of it",
    ),
    "same name": (
        f'{X}z = t.delay("z", x[0])\n'
        'a = t.delay("z", x[0])\n'
        't.close(z, a)\n'
        't.close(a, z + x_t)\n'
        'y = t.stack(z)',
        dg.NameTakenError,
        "delay 'z' (model.py:5) of loop 't' (model.py:2) has the name of another delay of this "
        "loop: give it another name",
    ),
    "bool sum": (
        f'{X}y = t.sum(x_t > 0.0)',
        dg.DtypeError,
        "sum (model.py:4) of loop 't' (model.py:2) expects numbers, got bool from greater "
        "(model.py:4): convert it with .astype(...)",
    ),
    "stack axis": (
        f'{X}y = t.stack(x_t, axis=3)',
        dg.ShapeError,
        "stack (model.py:4) of loop 't' (model.py:2) expects an axis below 3, got 3",
    ),
    "init shape": (
        f'{X}z = t.delay("z", np.zeros((2, 3, 4)), shape=(3,))\n'
        'y = t.stack(x_t + z)',
        dg.ShapeError,
        "delay 'z' (model.py:4) of loop 't' (model.py:2) expects an initial value of shape (3,) "
        "or (1, 3), got float64 (2, 3, 4) from constant (model.py:4)",
    ),
    "init dtype": (
        f'{X}z = t.delay("z", x[0], dtype=dg.int32)\n'
        't.close(z, x_t)\n'
        'y = t.stack(x_t + z)',
        dg.DtypeError,
        "delay 'z' (model.py:4) of loop 't' (model.py:2) expects int32, got float32 from index "
        "(model.py:4): convert it with .astype(...)",
    ),
    "no init": (
        f'{X}z = t.delay("z")',
        TypeError,
        "delay 'z' (model.py:4) of loop 't' (model.py:2) expects either init or state",
    ),
    "steps 0": (
        f'{X}z = t.delay("z", x[0], steps=0)',
        ValueError,
        "delay 'z' (model.py:4) of loop 't' (model.py:2) expects steps to be an integer of 1 or "
        "more, got 0",
    ),
    "block leaks": (
        'x = dg.observed("x", ("T", "B", 4))\n'
        '@dg.block\n'
        'def net(x):\n'
        '    t = dg.loop("t")\n'
        '    return t.each(x) * 2.0\n'
        'y = net(x)',
        dg.DiagramError,
        "net (model.py:6) expects its forward to return variables outside of its loops, got one, "
        "which depends on each (model.py:5) of loop 't' (model.py:4): take t.stack(...), "
        "t.sum(...) or t.last(...) of it",
    ),
    "block calls": (
        'x = dg.observed("x", ("T", "B", 4))\n'
        't = dg.loop("t")\n'
        '@dg.block\n'
        'def cell(x):\n'
        '    z = t.delay("z", 0.0, shape=("B", 4))\n'
        '    t.close(z, z + x)\n'
        '    return z\n'
        'y = t.stack(cell(t.each(x)))',
        dg.DiagramError,
        "delay 'z' (model.py:5) of loop 't' (model.py:2) in cell (model.py:8) expects to be "
        "called where the loop was begun, and not in another block's forward: give the block "
        "variables of the loop, and use what it returns",
    ),
    "block mistake": (
        'x = dg.observed("x", ("T", "B", 4))\n'
        '@dg.block\n'
        'def net(x):\n'
        '    t = dg.loop("t")\n'
        '    z = t.delay("z", 0.0, shape=("B", 3))\n'
        '    t.close(z, t.each(x))\n'
        '    return t.stack(z)\n'
        'y = net(x)',
        dg.ShapeError,
        "close (model.py:6) of loop 't' (model.py:4) in net (model.py:8) expects float32 (B, 3) "
        "for delay 'z' (model.py:5), got float32 (B, 4) from each (model.py:6): what goes into a "
        "delay has the type of its init",
    ),
    "state shape": (
        'dg.state("h", ("B", 4))',
        dg.ShapeError,
        "state 'h' (model.py:1) expects a shape of integers, got (B, 4): the array stays from "
        "step to step, so its batch size is fixed",
    ),
    "state type": (
        'x = dg.observed("x", ("T", 2, 4))\n'
        't = dg.loop("t")\n'
        'z = t.delay("z", state=dg.state("h", (2, 3)))\n'
        't.close(z, t.each(x))\n'
        'y = t.stack(z)',
        dg.ShapeError,
        "close (model.py:4) of loop 't' (model.py:2) expects float32 (2, 3) for delay 'z' "
        "(model.py:3), got float32 (2, 4) from each (model.py:4): what goes into a delay has the "
        "type of its init",
    ),
    "state no next": (
        'y = dg.state("h", (2, 4)) + 1.0',
        dg.DiagramError,
        "state 'h' (model.py:1) has no next value: say it with dg.update",
    ),
    "state twice": (
        'h = dg.state("h", (2, 4))\n'
        'dg.update(h, h + 1.0)\n'
        'dg.update(h, h + 2.0)',
        dg.DiagramError,
        "update (model.py:3) expects a variable of dg.state that has no next value yet, got "
        "state 'h' (model.py:1), which has its next value already",
    ),
    "update no state": (
        'h = dg.observed("h", (2, 4))\n'
        'dg.update(h, h + 1.0)',
        dg.DiagramError,
        "update (model.py:2) expects a variable of dg.state that has no next value yet, got "
        "observed 'h' (model.py:1)",
    ),
    "both": (
        f'{X}z = t.delay("z", 0.0, state=dg.state("h"))',
        TypeError,
        "delay 'z' (model.py:4) of loop 't' (model.py:2) expects either init or state",
    ),
    "last of other samples": (
        'x = dg.observed("x", ("T", "B", 4))\n'
        'n = dg.observed("n", ("N",), dtype=dg.int32)\n'
        't = dg.loop("t", lengths=n)\n'
        'y = t.last(t.each(x))',
        dg.ShapeError,
        "last (model.py:4) of loop 't' (model.py:3) expects N samples along axis 0, as there are "
        "lengths, got float32 (B, 4) from each (model.py:4)",
    ),
    "state named step": (
        'h = dg.state("step")\n'
        'dg.update(h, h + 1.0)\n'
        'y=h',
        dg.NameTakenError,
        "state 'step' (model.py:1) has the name of the count of a program's steps: give it "
        "another name",
    ),}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake(name: str) -> None:
    expect_mistake(*MISTAKES[name])


def expect_mistake(source: str, kind: type[Exception], text: str) -> None:
    """A source whose y carries one mistake, and what is said of it."""
    with pytest.raises(kind) as error:
        dg.Diagram("diagram", {"y": draw(source)["y"]})
    assert type(error.value) is kind
    said = re.sub(
        r"diagram 'diagram' \(\w+\.py:\d+\)", "diagram 'diagram' (HERE)", str(error.value)
    )
    assert said == text


def test_mistakes_are_told_together() -> None:
    source = 'z = t.delay("z", 0.0, shape=("B", 4))\nv = t.each(x)\ny = t.stack(z + x_t) + x_t\n'
    with pytest.raises(dg.DiagramError) as error:
        dg.Diagram("diagram", {"y": draw(X + source)["y"]})
    kinds = [type(item) for item in error.value.mistakes]
    assert kinds == [dg.DiagramError, dg.UnusedError, dg.DiagramError]


def test_a_sequence_of_another_length_is_told_at_the_call() -> None:
    x, v = dg.observed("x", ("T", 2)), dg.observed("v", ("T", 2))
    t = dg.loop("t")
    program = dg.Diagram("d", {"y": t.stack(t.each(x) + t.each(v))}).compile(target="reference")
    with pytest.raises(dg.InputError, match="size T is 3 in input 'x' and 4 in input 'v'"):
        program.run(x=np.zeros((3, 2), np.float32), v=np.zeros((4, 2), np.float32))


@pytest.mark.parametrize("target", TARGETS)
def test_a_negative_number_of_steps_is_told_at_the_call(target: Target) -> None:
    x = dg.observed("x", ("T", 2))
    t = dg.loop("t", steps=x.shape[0] - 2)
    z = t.delay("z", 1.0, shape=(2,))
    z_next = z * x.sum(axis=0)
    t.close(z, z_next)
    program = dg.Diagram("d", {"y": t.last(z_next)}).compile(target=target)
    np.testing.assert_array_equal(program.run(x=np.ones((3, 2), np.float32))["y"], [3, 3])
    np.testing.assert_array_equal(program.run(x=np.ones((2, 2), np.float32))["y"], [1, 1])
    with pytest.raises(dg.InputError, match=r"T-2.* negative for T = 1"):
        program.run(x=np.ones((1, 2), np.float32))


@pytest.mark.parametrize("target", TARGETS)
def test_a_length_beyond_the_steps_is_told_at_the_call(target: Target) -> None:
    x, n = dg.observed("x", ("T", "B")), dg.observed("n", ("B",), dg.int32)
    t = dg.loop("t", lengths=n)
    program = dg.Diagram("d", {"y": t.sum(t.each(x))}).compile(target=target)
    with pytest.raises(dg.InputError, match=r"expects values in \[0, 4\), got 4 at index \(1,\)"):
        program.run(x=np.zeros((3, 2), np.float32), n=np.array([3, 4], np.int32))


@pytest.mark.parametrize("target", TARGETS)
def test_a_slice_in_a_loop_is_checked_at_the_call(target: Target) -> None:
    """Sizes inside of the body are looked at like those outside."""
    x = dg.observed("x", ("T", "B"))
    t = dg.loop("t")
    program = dg.Diagram("d", {"y": t.stack(t.each(x)[2:])}).compile(target=target)
    assert program.run(x=np.zeros((3, 2), np.float32))["y"].shape == (3, 0)
    with pytest.raises(dg.InputError, match="B = 1"):
        program.run(x=np.zeros((3, 1), np.float32))


def test_misuse_is_told_at_once() -> None:
    t = dg.loop("t", steps=2)
    with pytest.raises(TypeError, match=r"stack \(.*\) of loop 't' .* expects a variable, got int"):
        t.stack(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="expects lengths to be a variable, got ndarray"):
        dg.loop("t", lengths=np.zeros(3))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="expects reverse to be True or False, got 1"):
        dg.loop("t", reverse=1)  # type: ignore[arg-type]
    with pytest.raises(dg.DiagramError, match="expects a name that is a Python identifier"):
        t.delay("z(t)", 0.0)
    assert repr(t) == "<Loop t: 2 steps>" and t.name == "t"
