"""Products and norms: mistakes word for word, and gradients where a norm is 0."""

import math
from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ..frontend.evaluating import apply, gradients
from ..frontend.source import mistake_in

X = 'x, a = dg.observed("x", ("B", 3)), dg.observed("a", (2, 3))\n'
GIVEN = "given (B, 3) float32 from observed 'x' (model.py:1)"
BOTH = f"{GIVEN} and (2, 3) float32 from observed 'a' (model.py:1)"
ALONE = "given (2, 3) float32 from observed 'a' (model.py:1)"
REFUSED = {
    'dg.einsum("ij", x, a)': "einsum EXPECTS subscripts for 2 operands, such as "
    f"\"ij,jk->ik\", not 'ij'; {BOTH}",
    'dg.einsum("i1", x)': "einsum EXPECTS letters and one ... for an operand, not 'i1'; "
    f"{GIVEN}",
    'dg.einsum("ij->ii", x)': "einsum EXPECTS output letters out of the operands', each once, "
    f"not 'ii'; {GIVEN}",
    'dg.einsum("i", x)': f"einsum EXPECTS 2 letters for float32[B,3], not 'i'; {GIVEN}",
    'dg.einsum("ii", a)': f"einsum EXPECTS one size for the letter i, not 2 and 3; {ALONE}",
    'dg.einsum("i...->i", a)': f"einsum EXPECTS ... in the output too, not 'i'; {ALONE}",
    "dg.tensordot(x, a, 1)": "tensordot EXPECTS axes of one size to sum over, not 3 and 2; "
    f"{BOTH}",
    "dg.tensordot(x, a, ((0, 1), 0))": "tensordot EXPECTS as many axes of both, each once, not "
    f"[0, 1] and [0]; {BOTH}",
    "dg.norm(x, 3, (0, 1))": 'norm EXPECTS "fro", "nuc", 1, -1, 2, -2, inf or -inf for matrices, '
    f"not 3; {GIVEN}: give one axis for vectors",
    'dg.norm(x, "nuc", 0)': 'norm EXPECTS the two axes of matrices for "nuc", not one; ' + GIVEN,
    'dg.norm(x, "fro", 0)': 'norm EXPECTS the two axes of matrices for "fro", not one; ' + GIVEN,
}  # fmt: skip


@pytest.mark.parametrize("source", REFUSED)
def test_shapes_that_do_not_fit(source: str) -> None:
    wanted = REFUSED[source].replace("EXPECTS", "(model.py:2) expects")
    assert str(mistake_in(f"{X}y = {source}", dg.ShapeError)) == wanted


@pytest.mark.parametrize("target", ["reference", "cpu"])
@pytest.mark.parametrize("order", [None, 1, 1.5, 2, 3, math.inf, -math.inf])
def test_the_gradient_of_a_norm_is_0_where_it_is(order: Any, target: Any) -> None:
    rows = np.array([[0.0, 0, 0], [3, 0, 4]])
    (found,) = gradients(lambda x: dg.norm(x, order, axis=1), rows, target=target)
    assert found[0].tolist() == [0, 0, 0]
    assert np.isfinite(found).all()


def test_the_gradient_of_std_is_0_where_all_are_equal() -> None:
    (found,) = gradients(lambda x: dg.std(x, 1), np.array([[2.0, 2, 2], [1, 2, 3]]))
    assert found[0].tolist() == [0, 0, 0] and np.isfinite(found).all()


@pytest.mark.parametrize("target", ["reference", "cpu"])
def test_the_gradient_of_a_product_with_zeros_is_the_product_of_the_others(target: Any) -> None:
    rows = np.array([[2.0, 0, 3], [0, 5, 0], [2, 3, 4]])
    wanted = [[0, 6, 0], [0, 0, 0], [12, 8, 6]]
    (found,) = gradients(lambda x: dg.prod(x, 1), rows, target=target)
    assert found.tolist() == wanted
    x = dg.observed("x", ("M", "N"), "float64")
    slope = dg.gradient(dg.sum(dg.prod(x, 1)), x)
    program = dg.Diagram("products", {"slope": slope}).compile(target=target)
    assert program.run(x=rows)["slope"].tolist() == wanted


@pytest.mark.parametrize("target", ["reference", "cpu"])
def test_running_log_sums_begin_with_nothing(target: Any) -> None:
    x = np.array([-math.inf, -math.inf, 1.0, 1.0, 800.0])
    found = apply(dg.logcumsumexp, x, target=target)
    np.testing.assert_allclose(found, [-math.inf, -math.inf, 1, 1 + math.log(2), 800])


def test_running_sums_of_exponentials_are_of_floats() -> None:
    """Bools and integers are refused there; products count bools as int64, as in NumPy."""
    mask = 'dg.observed("m", (3,), bool)'
    assert str(mistake_in(f"y = dg.logcumsumexp({mask})", dg.DtypeError)) == (
        "logcumsumexp (model.py:1) expects floats, got (3,) bool from observed 'm' (model.py:1): "
        "convert them"
    )
    assert dg.cumprod(dg.observed("m", (3,), bool)).dtype == "int64"
