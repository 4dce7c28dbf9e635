"""Kernel text spelled in words: what is accepted, and how a refusal reads."""

import ast

import numpy as np
import pytest

from diagrad.runtime.building.desugar import desugar

from ..engine import run


def spelled(statement: str) -> str:
    tree = desugar(f"def kernel(args, lo, hi):\n    {statement}\n")
    function = tree.body[0]
    assert isinstance(function, ast.FunctionDef)
    return "\n".join(ast.unparse(inner) for inner in function.body)


def test_operators_become_words() -> None:
    assert (
        spelled("x = -a * b[1] + (c & ~d)")
        == "x = _add(_mul(_neg(a), _word(b, 1)), _and(c, _not(d)))"
    )
    assert spelled("x += a < b") == "x = _add(x, _lt(a, b))"
    assert spelled("x = n // 4 % 3") == "x = _remainder(_quotient(n, 4), 3)"
    assert spelled("x = f32(-1.5)") == "x = f32(-1.5)"


def test_loops_become_while() -> None:
    assert spelled("for i in range(a, b, 4):\n        f(i)") == (
        "_i1 = a\n_end1 = b\nwhile _lt(_i1, _end1):\n    i = _i1\n    f(i)\n    _i1 = _add(_i1, 4)"
    )
    assert spelled("for i in range(warp, n, warps):\n        f(i)") == (
        "_i1 = warp\n_end1 = n\nwhile _lt(_i1, _end1):\n    i = _i1\n    f(i)\n"
        "    _i1 = _add(_i1, warps)"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "for i in xs:\n        pass",
            "kernel text, line 2: a loop runs over range(...): for i in xs:",
        ),
        (
            "for i in range(0, n, k):\n        pass",
            "kernel text, line 2: a loop's step is a positive literal, or warps: "
            "for i in range(0, n, k):",
        ),
        (
            "for i in range(n):\n        continue",
            "kernel text, line 2: no continue in a loop: for i in range(n):",
        ),
        ("x = a < b < c", "kernel text, line 2: only single comparisons of numbers: x = a < b < c"),
        ("args[0] = 1", "kernel text, line 2: the row of words is read-only: args[0] = 1"),
    ],
)
def test_refusals(text: str, message: str) -> None:
    with pytest.raises(SyntaxError) as caught:
        spelled(text)
    assert str(caught.value) == message


def test_quotient_and_remainder_of_indices() -> None:
    text = """def kernel(args, lo, hi):
    for i in range(lo, hi):
        store_first(i64_at(args[0]), i, i64(i // 7 * 100 + i % 7))
"""
    out = np.zeros(30, np.int64)
    run(text, [out], extent=30)
    np.testing.assert_array_equal(out, np.arange(30) // 7 * 100 + np.arange(30) % 7)


def test_loops_nest_and_break() -> None:
    text = """def kernel(args, lo, hi):
    p = i64_at(args[0])
    total = 0
    for i in range(lo, hi):
        for j in range(5):
            if j > i:
                break
            total = total + 10 * i + j
    store_first(p, 0, i64(total))
    store_first(p, 1, i64(i))
"""
    out = np.zeros(2, np.int64)
    run(text, [out], extent=3)
    assert out.tolist() == [sum(10 * i + j for i in range(3) for j in range(5) if j <= i), 2]
