"""Windows and their adjoint: what their rules refuse, and that each is the other's transpose."""

from collections.abc import Callable

import numpy as np
import pytest

from diagrad.compiler.errors import DtypeRuleError, TypeRuleError
from diagrad.compiler.graph import Node

from ..building import b, given, graph, numbers, run

X = given("x", 7, 4)
REFUSED: list[tuple[Callable[[], Node], str]] = [
    (lambda: b.windows(X, axis=2, size=1, stride=1, dilation=1), "expected an axis below 2, got 2"),
    (lambda: b.windows(X, axis=0, size=0, stride=1, dilation=1),
     "expected size, stride and dilation of 1 or more, got 0, 1, 1"),
    (lambda: b.windows(X, axis=1, size=3, stride=1, dilation=2),
     "expected 5 or more elements on axis 1, got 4"),
    (lambda: b.overlap_add(X, axis=1, stride=1, dilation=1, extent=9),
     "expected taps behind axis 1, got float32[7,4]"),
    (lambda: b.overlap_add(given("n", 3, "N"), axis=0, stride=1, dilation=1, extent=9),
     "expected taps behind axis 0, got float32[3,N]"),
    (lambda: b.overlap_add(X, axis=0, stride=2, dilation=1, extent=15),
     "expected windows float32[6,4] of 15 elements, got float32[7,4]"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "expected"), REFUSED)
def test_what_the_rules_refuse(make: Callable[[], Node], expected: str) -> None:
    with pytest.raises(TypeRuleError) as error:
        make()
    assert str(error.value) == expected


def test_truths_are_not_added() -> None:
    with pytest.raises(DtypeRuleError, match=r"^expected numbers to add, got bool$"):
        b.overlap_add(given("m", 3, 2, dtype="bool"), axis=0, stride=1, dilation=1, extent=4)


@pytest.mark.parametrize("target", ["reference", "cpu"])
@pytest.mark.parametrize("stride", [1, 2, 5])
@pytest.mark.parametrize("dilation", [1, 3])
def test_one_is_the_transpose_of_the_other(stride: int, dilation: int, target: str) -> None:
    attrs = {"axis": 1, "stride": stride, "dilation": dilation}
    x = given("x", 2, "N", 3, dtype="float64")
    cut = b.windows(x, size=4, **attrs)
    taps = b.sin(cut)
    added = b.overlap_add(taps, extent=x.shape[1], **attrs)
    whole = graph(x, cut=b.neg(cut), taps=taps, added=added)
    for extent in (10, 11, 33):
        value = numbers(2, extent, 3, dtype="float64")
        found = run(whole, {"x": value}, target, {"N": extent})
        np.testing.assert_allclose(
            (found["added"] * value).sum(), -(found["taps"] * found["cut"]).sum(), rtol=1e-12
        )
