"""The kernel of one query: against NumPy's rules, and keys that it does not see."""

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from diagrad.compiler.emission.attention.query import is_one_query
from diagrad.compiler.graph import Graph
from diagrad.compiler.passes.materialise import materialise
from diagrad.compiler.scheduling.fuse import fuse
from diagrad.runtime.program import GEMM_LONG

from ...building import Array, b, graph, run
from ...building import given as entry

CLOSE = {"float32": 2e-5, "float64": 1e-12}


def drawn(
    lead: Any, j: Any, h: int, d: int, e: int, dtype: str, limits: bool, op: str = ""
) -> Graph:
    shapes = {"q": (1, h, d), "k": (j, h, d), "v": (j, h, e)}
    found = [entry(name, *lead, *shape, dtype=dtype) for name, shape in shapes.items()]
    if limits:
        found.append(entry("limits", *lead, h, 1, dtype="int32"))
    outputs = {"y": b.attention(*found, scale=-0.4)}
    if op:
        outputs["more"] = b.apply(op, *found, scale=-0.4)
    return graph(*found, outputs=outputs)


def groups_of_one(source: Graph) -> int:
    return sum(
        is_one_query(group)
        for group in fuse(materialise(source)).groups
        if group.kind == "attention"
    )


@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    lead=st.sampled_from([(), (1,), (3,), (0,), (2, 3)]),
    j=st.sampled_from([0, 1, 2, 15, 16, 17, 129, 300]),
    h=st.integers(1, 4),
    d=st.sampled_from([0, 1, 3, 16, 17, 32]),
    e=st.sampled_from([0, 1, 5, 16, 32, 33]),
    limits=st.booleans(),
    dtype=st.sampled_from(["float32", "float64"]),
)
def test_any_shapes(lead: Any, j: int, h: int, d: int, e: int, limits: bool, dtype: str) -> None:
    source = drawn(lead, j, h, d, e, dtype, limits)
    assert groups_of_one(source) == 1
    rng = np.random.default_rng(0)
    values: dict[str, Array] = {}
    for node in source.inputs:
        name, shape = node.attrs["name"], [int(str(extent)) for extent in node.shape]
        if name == "limits":
            values[name] = rng.integers(-1, j + 2, shape, dtype=np.int32)
        else:
            values[name] = 3 * rng.normal(size=shape).astype(node.dtype)
    if limits and j:  # what is not seen is not read
        seen = np.arange(j) < np.maximum(values["limits"], 0)
        away = np.moveaxis(~seen, -1, -2)
        values["k"][away], values["v"][away] = np.nan, np.inf
    found, wanted = run(source, values, "cpu")["y"], run(source, values)["y"]
    np.testing.assert_allclose(found, wanted, CLOSE[dtype], CLOSE[dtype])
    assert np.isfinite(found).all()


def test_a_number_of_keys_with_a_name() -> None:
    source = drawn(("B",), "T", 2, 4, 4, "float64", True)
    rng = np.random.default_rng(1)
    for samples, keys in ((1, 5), (3, 0), (2, 130)):
        values: dict[str, Array] = {
            "q": rng.normal(size=(samples, 1, 2, 4)), "k": rng.normal(size=(samples, keys, 2, 4)),
            "v": rng.normal(size=(samples, keys, 2, 4)),
            "limits": rng.integers(0, keys + 1, (samples, 2, 1), dtype=np.int32),
        }  # fmt: skip
        sizes = {"B": samples, "T": keys}
        found, wanted = (
            run(source, values, "cpu", sizes)["y"],
            run(source, values, sizes=sizes)["y"],
        )
        np.testing.assert_allclose(found, wanted, 1e-12, 1e-12)


@pytest.mark.parametrize("keys", ["T", GEMM_LONG + 1])
def test_more_keys_than_a_chain_has_steps(keys: Any) -> None:
    """The product with the values keeps what it rounds away in memory of the thread too."""
    source = drawn((1,), keys, 2, 16, 24, "float32", False)
    rng, extents = np.random.default_rng(2), {"q": (1, 16), "k": (GEMM_LONG + 1, 16)}
    extents["v"] = (GEMM_LONG + 1, 24)
    values = {
        name: rng.normal(size=(1, count, 2, each)).astype(np.float32)
        for name, (count, each) in extents.items()
    }
    sizes = {"T": GEMM_LONG + 1} if keys == "T" else {}
    found, wanted = run(source, values, "cpu", sizes)["y"], run(source, values, sizes=sizes)["y"]
    np.testing.assert_allclose(found, wanted, 2e-5, 1e-6)


def test_scores_that_are_not_finite() -> None:
    source = drawn((), 3, 1, 1, 1, "float32", False)
    values = {name: np.ones((1 if name == "q" else 3, 1, 1), np.float32) for name in "qkv"}
    values["k"][:] = np.inf  # the scale is negative: all scores are minus infinity
    assert run(source, values, "cpu")["y"] == 0 == run(source, values)["y"]
    values["k"][1] = np.nan
    assert np.isnan(run(source, values, "cpu")["y"]) and np.isnan(run(source, values)["y"])


@pytest.mark.parametrize("limits", [True, False])
def test_its_sums_have_the_kernel_of_many_queries(limits: bool) -> None:
    source = drawn((2,), 7, 2, 3, 3, "float64", limits, op="attention_log_sums")
    assert groups_of_one(source) == 0
