"""Mistakes of loops that stop: each is told with its place, what was expected and what came."""

import pytest

import diagrad as dg

from .test_loop_errors import X, expect_mistake

MISTAKES: dict[str, tuple[str, type[Exception], str]] = {
    "until a number": (
        f'{X}z = t.delay("z", 0.0, shape=("B", 4))\n'
        't.close(z, z + x_t)\n'
        't.until(dg.sum(z))\n'
        'y = t.last(z)',
        dg.DtypeError,
        "until (model.py:6) of loop 't' (model.py:2) expects a condition of dtype bool, got "
        "float32 () from sum (model.py:6): compare it",
    ),
    "until each": (
        f'{X}z = t.delay("z", 0.0, shape=("B", 4))\n'
        't.close(z, z + x_t)\n'
        't.until(z > 1.0)\n'
        'y = t.last(z)',
        dg.ShapeError,
        "until (model.py:6) of loop 't' (model.py:2) expects a condition of shape (), got bool "
        "(B, 4) from greater (model.py:6): for samples that stop one by one, see docs/loops.md",
    ),
    "until outside": (
        f'{X}z = t.delay("z", 0.0, shape=("B", 4))\n'
        't.close(z, z + x_t)\n'
        't.until(dg.sum(x) > 0.0)\n'
        'y = t.last(z)',
        dg.DiagramError,
        "until (model.py:6) of loop 't' (model.py:2) expects a condition that is computed in the "
        "loop, got greater (model.py:6), which depends on none of its elements and delays: it "
        "would be the same after every step",
    ),
    "until twice": (
        f'{X}z = t.delay("z", 0.0, shape=("B", 4))\n'
        't.close(z, z + x_t)\n'
        't.until(dg.sum(z) > 1.0)\n'
        't.until(dg.sum(z) < -1.0)\n'
        'y = t.last(z)',
        dg.DiagramError,
        "until (model.py:7) of loop 't' (model.py:2) has a condition already (model.py:6): join "
        "the two with |",
    ),
    "until with another most": (
        f'{X}z = t.delay("z", 0.0, shape=("B", 4))\n'
        't.close(z, z + x_t)\n'
        't.until(dg.sum(z) > 1.0, most=5)\n'
        'y = t.last(z)',
        dg.ShapeError,
        "until (model.py:6) of loop 't' (model.py:2) expects most to be T, as the loop has so many "
        "steps, got 5: say it once",
    ),
    "until with lengths": (
        'x, n = dg.observed("x", ("T", "B", 4)), dg.observed("n", ("B",), dg.int32)\n'
        't = dg.loop("t", lengths=n)\n'
        'z = t.delay("z", 0.0, shape=("B", 4))\n'
        't.close(z, z + t.each(x))\n'
        't.until(dg.sum(z) > 1.0)\n'
        'y = t.last(z)',
        dg.DiagramError,
        "until (model.py:5) of loop 't' (model.py:2) expects a loop without lengths, whose samples "
        "stop one by one: hold back those that have stopped with dg.where",
    ),
    "until unrolled": (
        'x = dg.observed("x", ("T", "B", 4))\n'
        't = dg.loop("t", unroll=2)\n'
        'z = t.delay("z", 0.0, shape=("B", 4))\n'
        't.close(z, z + t.each(x))\n'
        't.until(dg.sum(z) > 1.0)\n'
        'y = t.last(z)',
        dg.DiagramError,
        "until (model.py:5) of loop 't' (model.py:2) expects a loop without unroll=...: copies of "
        "its steps could not be left out",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake(name: str) -> None:
    expect_mistake(*MISTAKES[name])
