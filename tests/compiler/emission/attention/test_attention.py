"""Attention's kernels: against NumPy's rules, hidden keys, threads, batches, how nodes join."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from diagrad.compiler.emission.attention.sizes import ON_CPU, ON_CUDA
from diagrad.compiler.emission.costs import row_costs
from diagrad.compiler.errors import DtypeRuleError, TypeRuleError
from diagrad.compiler.graph import Graph, Node
from diagrad.compiler.graphs.flops import flops_of, node_flops
from diagrad.compiler.memory.plan_memory import plan_memory
from diagrad.compiler.passes.materialise import materialise
from diagrad.compiler.pipeline import compile_kernels
from diagrad.compiler.primitives.attention import ATTENTION, BACKWARD, FORWARD
from diagrad.compiler.scheduling.fuse import fuse
from diagrad.compiler.scheduling.schedule import schedule
from diagrad.runtime.cpu.executor import Executor
from diagrad.runtime.program import CPU, CUDA

from ...building import Array, b, graph, run, shape_of
from ...building import given as entry

SCALE = 0.3
CLOSE = {"float32": 2e-5, "float64": 1e-12}
Extents = tuple[int | str, ...]


def drawn(
    lead: Extents,
    sizes: Mapping[str, int | str],
    dtype: str = "float32",
    limits: bool = False,
    bias: bool = False,
    scale: float = SCALE,
) -> Graph:
    """All five primitives; `sizes` are those of i, j, h, d and e."""
    i, j, h, d, e = (sizes[letter] for letter in "ijhde")
    shapes: dict[str, Extents] = {"q": (i, h, d), "k": (j, h, d), "v": (j, h, e), "g": (i, h, e)}
    found = {name: entry(name, *lead, *shape, dtype=dtype) for name, shape in shapes.items()}
    rest = []
    if limits:
        rest.append(entry("limits", *lead, h, i, dtype="int32"))
    if bias:
        rest.append(entry("bias", *lead, h, i, j, dtype=dtype))
    q, k, v, g = found.values()
    y = b.attention(q, k, v, *rest, scale=scale)
    log_sums = b.attention_log_sums(q, k, v, *rest, scale=scale)
    rank = y.type.rank
    total = b.reduce_sum(b.mul(g, y), axes=(rank - 1,))
    delta = b.transpose(total, axes=(*range(rank - 3), rank - 2, rank - 3))
    back = {op: b.apply(op, q, k, v, g, log_sums, delta, *rest, scale=scale) for op in BACKWARD}
    outputs = {"attention": y, "attention_log_sums": log_sums, **back}
    return graph(*found.values(), *rest, outputs=outputs)


def arrays(
    source: Graph, sizes: Mapping[str, int] | None = None, seed: int = 0
) -> dict[str, Array]:
    """Numbers for the inputs; some limits see nothing, some all, and a bias hides a third."""
    rng = np.random.default_rng(seed)
    keys = next(n.type.shape[-3] for n in source.inputs if n.attrs["name"] == "k")
    found: dict[str, Array] = {}
    for node in source.inputs:
        name = node.attrs["name"]
        shape = tuple(n if isinstance(n, int) else (sizes or {})[str(n)] for n in node.shape)
        if name == "limits":
            assert isinstance(keys, int)
            found[name] = rng.integers(-1, keys + 2, shape, dtype=np.int32)
        else:
            found[name] = rng.normal(size=shape).astype(node.dtype)
        if name == "bias":
            found[name][rng.random(shape) < 1 / 3] = -np.inf
    return found


def assert_same(found: Mapping[str, Array], wanted: Mapping[str, Array], close: float) -> None:
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, close, close, err_msg=name)


SIZES = st.sampled_from([0, 1, 2, 3, 7, 16, 17, 40, 64])
LONG = st.sampled_from([0, 1, 2, 5, 16, 17, 127, 128, 129, 150, 257])


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    lead=st.sampled_from([(), (1,), (2,), (0,), (2, 3)]),
    sizes=st.fixed_dictionaries(
        {"i": LONG, "j": LONG, "h": st.integers(1, 3), "d": SIZES, "e": SIZES}
    ),
    limits=st.booleans(),
    bias=st.booleans(),
    dtype=st.sampled_from(["float32", "float64"]),
)
def test_any_shapes(
    lead: Any, sizes: dict[str, int | str], limits: bool, bias: bool, dtype: str
) -> None:
    source = drawn(lead, sizes, dtype, limits, bias)
    values = arrays(source)
    assert_same(run(source, values, "cpu"), run(source, values), CLOSE[dtype] * 4)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sizes_with_names(dtype: str) -> None:
    """Of features too; the same program for every size."""
    source = drawn(("B",), {"i": "I", "j": 9, "h": "H", "d": "D", "e": "E"}, dtype, limits=True)
    for sizes in (
        {"B": 2, "I": 5, "H": 2, "D": 3, "E": 20}, {"B": 1, "I": 130, "H": 1, "D": 300, "E": 1},
        {"B": 3, "I": 0, "H": 2, "D": 1, "E": 0},
    ):  # fmt: skip
        values = arrays(source, sizes)
        found = run(source, values, "cpu", sizes)
        assert_same(found, run(source, values, sizes=sizes), CLOSE[dtype] * 4)


def causal(count: int, lead: tuple[int, ...]) -> Array:
    return np.broadcast_to(np.arange(1, count + 1, dtype=np.int32), (*lead, count)).copy()


LENGTH = 2 * ON_CPU.keys + 5
WHOLE: dict[str, int | str] = {"i": LENGTH, "j": LENGTH, "h": 2, "d": 5, "e": 18}


@pytest.mark.parametrize("target", ["reference", "cpu"])
@pytest.mark.parametrize("how", ["limits", "bias", "both"])
@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf, 3e38])
def test_a_hidden_key_touches_nothing(special: float, how: str, target: str) -> None:
    """Not a bit of the results of queries that do not see it, and of other keys."""
    limits, bias = how != "bias", how != "limits"
    source = drawn((), WHOLE, limits=limits, bias=bias)
    values = arrays(source)
    hidden = LENGTH - 3
    if limits:
        values["limits"] = np.minimum(causal(LENGTH, (2,)), hidden if not bias else LENGTH)
    if bias:
        values["bias"][..., hidden:] = -np.inf
    spoilt = {name: value.copy() for name, value in values.items()}
    spoilt["k"][hidden:] = special
    spoilt["v"][hidden:] = special
    wanted, found = (run(source, given, target) for given in (values, spoilt))
    for name, value in wanted.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)
        assert np.isfinite(value).all() or name == "attention_log_sums"


@pytest.mark.parametrize("target", ["reference", "cpu"])
def test_what_is_seen_is_not_hushed(target: str) -> None:
    """NaN in a value reaches the queries behind it, and no other."""
    source = drawn((), WHOLE, limits=True)
    values = arrays(source)
    values["limits"] = causal(LENGTH, (2,))
    place = ON_CPU.keys + 7
    values["v"][place, 0, 3] = np.nan
    values["v"][place, 1, 4] = np.inf
    found = run(source, values, target)["attention"]
    wanted = np.zeros(found.shape, bool)
    wanted[place:, 0, 3] = wanted[place:, 1, 4] = True
    np.testing.assert_array_equal(~np.isfinite(found), wanted)
    assert (found[place:, 1, 4] == np.inf).all()


@pytest.mark.parametrize("target", ["reference", "cpu"])
def test_a_query_that_sees_nothing(target: str) -> None:
    """It gives 0 and takes part in no gradient; beside it the others are what they are alone."""
    source = drawn((2,), {"i": 3, "j": 4, "h": 1, "d": 2, "e": 2}, limits=True)
    values = arrays(source)
    values["limits"][...] = 4
    values["limits"][1, 0, 1] = 0
    values["limits"][0] = -7
    found = run(source, values, target)
    assert (found["attention"][0] == 0).all() and (found["attention"][1, 1] == 0).all()
    assert (found["attention_log_sums"][0] == np.inf).all()
    assert found["attention_log_sums"][1, 0, 1] == np.inf
    for name in BACKWARD:
        assert (found[name][0] == 0).all() and (found[name][1] != 0).any()
    assert (found["attention_query"][1, 1] == 0).all()


def bound(source: Graph, threads: int) -> Executor:
    return Executor(plan_memory(compile_kernels(source), {}), {}, threads)


def given_in_order(source: Graph, values: Mapping[str, Array]) -> list[Array]:
    return [values[node.attrs["name"]] for node in source.inputs]


@pytest.mark.parametrize("bias", [False, True])
def test_the_number_of_threads_changes_no_bit(bias: bool) -> None:
    source = drawn((3,), {"i": 300, "j": 200, "h": 2, "d": 40, "e": 24}, limits=True, bias=bias)
    values = given_in_order(source, arrays(source))
    one, *others = [bound(source, threads)(values) for threads in (1, 2, 3)]
    for other in others:
        for x, y in zip(one, other, strict=True):
            np.testing.assert_array_equal(x, y)


def test_a_sample_is_the_same_whatever_is_beside_it() -> None:
    sizes: dict[str, int | str] = {"i": 140, "j": 260, "h": 2, "d": 33, "e": 17}
    many, one = (drawn((count,), sizes, limits=True) for count in (5, 1))
    values = arrays(many)
    whole = run(many, values, "cpu")
    for sample in range(5):
        alone = run(one, {n: v[sample : sample + 1] for n, v in values.items()}, "cpu")
        for name, value in alone.items():
            np.testing.assert_array_equal(value[0], whole[name][sample], err_msg=name)


def test_scores_of_any_size() -> None:
    """No exponential overflows, though the maximum comes in the last block."""
    source = drawn((), {"i": 2, "j": 2 * ON_CPU.keys, "h": 1, "d": 1, "e": 1}, scale=1.0)
    values = arrays(source)
    values["q"][:, 0, 0] = [1e4, -1e4]
    values["k"][:, 0, 0] = np.linspace(-1, 1, 2 * ON_CPU.keys)
    found = run(source, values, "cpu")
    np.testing.assert_array_equal(found["attention"], values["v"][[-1, 0]])


def groups(source: Graph) -> list[tuple[str, int]]:
    kinds = ("attention", "attention_back")
    found = fuse(materialise(source)).groups
    return [(group.kind, len(group.members)) for group in found if group.kind in kinds]


def test_results_of_one_attention_are_one_kernel() -> None:
    sizes: dict[str, int | str] = {"i": 3, "j": 4, "h": 1, "d": 2, "e": 2}
    assert groups(drawn((2,), sizes)) == [("attention", 2), ("attention_back", 3)]
    q, k, v = (entry(name, 3, 1, 2) for name in "qkv")
    two = graph(q, k, v, x=b.attention(q, k, v, scale=1.0), y=b.attention(q, k, v, scale=2.0))
    assert groups(two) == [("attention", 1), ("attention", 1)]


def test_operands_are_read_where_they_lie() -> None:
    """Slices of one array, also apart; an operand whose features lie apart is copied, once."""
    x = entry("x", 2, 140, 3, 2, 7)
    parts = [
        b.reshape(b.slice_axis(x, 2, part, part + 1), shape=(2, 140, 2, 7)) for part in range(3)
    ]
    y = b.attention(*parts, scale=1.0)
    log_sums = b.attention_log_sums(*parts, scale=1.0)
    source = graph(x, y=y, log_sums=log_sums)
    assert not [node for node in materialise(source).nodes() if node.op == "copy"]
    values = {"x": np.random.default_rng(0).normal(size=(2, 140, 3, 2, 7)).astype(np.float32)}
    assert_same(run(source, values, "cpu"), run(source, values), 1e-5)
    turned = entry("turned", 2, 2, 7, 140)
    parts[1] = b.transpose(turned, axes=(0, 3, 1, 2))
    both = {"y": b.attention(*parts, scale=1.0), "s": b.attention_log_sums(*parts, scale=1.0)}
    source = graph(x, turned, outputs=both)
    assert len([node for node in materialise(source).nodes() if node.op == "copy"]) == 1
    values["turned"] = np.random.default_rng(1).normal(size=(2, 2, 7, 140)).astype(np.float32)
    assert_same(run(source, values, "cpu"), run(source, values), 1e-5)


def test_results_alone() -> None:
    """Each by itself is what it is beside the others."""
    sizes: dict[str, int | str] = {"i": 130, "j": 140, "h": 2, "d": 9, "e": 10}
    source = drawn((), sizes, limits=True)
    values = arrays(source)
    together = run(source, values, "cpu")
    for name, node in source.outputs:
        alone = graph(*source.inputs, outputs={name: node})
        np.testing.assert_array_equal(run(alone, values, "cpu")[name], together[name])


def test_no_weights_are_kept() -> None:
    """The memory of a program grows as its rows do, and the way back as well."""
    taken = []
    for count in (1024, 2048):
        source = drawn((), {"i": count, "j": count, "h": 1, "d": 16, "e": 16}, limits=True)
        taken.append(plan_memory(compile_kernels(source), {}).arena_bytes)
    assert taken[1] - taken[0] < 1024 * 64


def test_operations_are_counted() -> None:
    source = drawn((2,), {"i": 3, "j": 5, "h": 7, "d": 11, "e": 13})
    pairs = 2 * 3 * 5 * 7
    each = [11 + 13, 11, 11 * 2 + 13, 11 * 2 + 13, 11 + 13]
    for (_, node), products in zip(source.outputs, each, strict=True):
        assert node_flops(node) == pairs * (2 * products + 10)


def test_operations_of_one_kernel_are_counted_once() -> None:
    """Scores and exponentials, and the products of cotangents and values."""
    source = drawn((2,), {"i": 3, "j": 5, "h": 7, "d": 11, "e": 13})
    found = [count for _, count in flops_of(node for _, node in source.outputs)]
    pairs = 2 * 3 * 5 * 7
    wanted = [2 * (11 + 13) + 10, 0, 2 * (11 + 13 + 11) + 10, 2 * 11, 2 * 13]
    assert found == [pairs * one for one in wanted]
    costs = row_costs(schedule(fuse(materialise(source))), {})
    forward, back = (cost.flops for cost in costs if cost.flops > pairs * 40)
    assert (forward, back) == (pairs * wanted[0], pairs * sum(wanted[2:]))


def test_blocks_are_whole_vectors() -> None:
    for blocks, target in ((ON_CPU, CPU), (ON_CUDA, CUDA)):
        assert blocks.queries % target.lanes == 0 and blocks.keys % target.lanes == 0
    assert {*ATTENTION} == {*FORWARD, *BACKWARD}


def test_a_warp_of_a_gpu_has_little_memory() -> None:
    """Heads of 64 features: four and three warps lie in the shared memory of a multiprocessor."""
    source = drawn((2,), {"i": 300, "j": 300, "h": 4, "d": 64, "e": 64}, limits=True)
    template = compile_kernels(source, target=CUDA)
    forward, back = (row.space for row in plan_memory(template, {}).instructions if row.space)
    assert 0 < forward <= 48 << 10 < back <= 66 << 10


def types(**changed: Node) -> dict[str, Node]:
    shapes = {"q": (2, 3, 1, 4), "k": (2, 5, 1, 4), "v": (2, 5, 1, 6)}
    return {name: entry(name, *shape) for name, shape in shapes.items()} | changed


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"q": entry("q", 3, 4)}, r"queries, keys and values \[..., T, h, d\], got"),
        ({"k": entry("k", 2, 5, 1, 3)}, "keys and values that fit queries"),
        ({"v": entry("v", 2, 4, 1, 6)}, "keys and values that fit queries"),
        ({"rest": entry("rest", 2, 3, dtype="int32")}, "limits int32.* and a bias"),
        ({"rest": entry("rest", 3, 5)}, "limits int32.* and a bias"),
    ],
)
def test_wrong_shapes(changed: dict[str, Node], message: str) -> None:
    with pytest.raises(TypeRuleError, match=message):
        b.attention(*types(**changed).values(), scale=1.0)
    with pytest.raises(DtypeRuleError, match="floats of one dtype"):
        b.attention(*types(k=entry("k", 2, 5, 1, 4, dtype="float64")).values(), scale=1.0)
    with pytest.raises(TypeRuleError, match=r"expected \[.*\], got \[\]"):
        b.attention_query(*types().values(), scale=1.0)


def test_shapes_are_named_sizes() -> None:
    source = drawn(("B",), {"i": "I", "j": "J", "h": 2, "d": 3, "e": 4})
    shapes = dict(source.outputs)
    assert shapes["attention"].shape == shape_of("B", "I", 2, 4)
    assert shapes["attention_log_sums"].shape == shape_of("B", 2, "I")
    assert shapes["attention_value"].shape == shape_of("B", "J", 2, 4)
