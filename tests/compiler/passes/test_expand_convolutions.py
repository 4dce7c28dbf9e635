"""expand_convolutions: contractions over windows that mean what the convolutions meant."""

from collections.abc import Callable

import numpy as np
import pytest

from diagrad.compiler.graph import Graph, Node
from diagrad.compiler.graphs.verify import verify
from diagrad.compiler.passes.expand_convolutions.beside import neighbours
from diagrad.compiler.passes.expand_convolutions.expand_convolutions import expand_convolutions
from diagrad.compiler.primitives.convolution import CONVOLUTIONS

from ..building import b, given, graph, number, run
from ..convolving import Convolved, attributes, convolved, drawn
from ..nets import H, arrays, entry, wound


def expanded(whole: Graph) -> Graph:
    """After the pass, without a convolution."""
    found = expand_convolutions(whole)
    verify(found)
    assert not {node.op for node in found.nodes()} & {*CONVOLUTIONS}
    return found


def check(case: Convolved, target: str = "reference", close: float = 1e-11) -> None:
    wanted = run(case.graph, case.arrays, sizes=case.sizes)
    found = run(expanded(case.graph), case.arrays, target, case.sizes)
    for name, value in wanted.items():
        assert found[name].shape == value.shape, name
        scale = np.abs(value).max(initial=1)
        np.testing.assert_allclose(found[name], value, atol=close * scale, err_msg=name)


@pytest.mark.parametrize("seed", range(120))
def test_the_meaning_stays(seed: int) -> None:
    check(drawn(seed))


@pytest.mark.parametrize("seed", range(12))
def test_the_meaning_stays_in_kernels(seed: int) -> None:
    check(drawn(seed), "cpu")


def operations(case: Convolved, name: str) -> list[str]:
    """Of one output after the pass, in order, without inputs and slices."""
    found = expanded(case.graph)
    root = dict(found.outputs)[name]
    nodes = Graph("part", found.inputs, (("y", root),)).nodes()
    return [node.op for node in nodes if node.op not in ("input", "slice")]


def test_windows_are_views_of_a_padding() -> None:
    attrs = attributes(2, low=(1, 1), high=(1, 1))
    case = convolved((8, 8), (3, 3), attrs, channels=32, results=32)
    assert operations(case, "y") == ["pad", "windows", "windows", "contract"]
    plain = convolved((8, 8), (3, 3), attributes(2), channels=32, results=32)
    assert operations(plain, "y") == ["windows", "windows", "contract"]
    check(case)


def test_few_results_are_computed_beside_each_other() -> None:
    """Of one result a position, four positions fill more lanes; never where the stride is not 1."""
    case = convolved((6, 8), (3, 3), attributes(2), results=1, channels=5)
    assert dict(case.graph.outputs)["y"].shape == (2, 4, 6, 1)
    assert [neighbours(dict(case.graph.outputs)[name]) for name in ("y", "dw")] == [2, 2]
    wide = convolved((6, 10), (3, 3), attributes(2), results=1, channels=5)
    assert neighbours(dict(wide.graph.outputs)["y"]) == 4
    assert "concatenate" in operations(wide, "y")
    for attrs, results in (
        (attributes(2, stride=(1, 2)), 1), (attributes(2, dilation=(1, 2)), 1),
        (attributes(2), 16), (attributes(2, groups=2), 1),
    ):  # fmt: skip
        other = convolved((6, 11), (3, 3), attrs, results=results, channels=5)
        assert neighbours(dict(other.graph.outputs)["y"]) == 1
        check(other)
    for some in (case, wide):
        check(some)


def test_depthwise_convolutions_have_no_contraction() -> None:
    case = convolved((7, 7), (3, 3), attributes(2, groups=32, low=(1, 1), high=(1, 1)))
    for name in ("y", "dx", "dw"):
        assert "contract" not in operations(case, name)
    check(case)
    few = convolved((7, 7), (3, 3), attributes(2, groups=2))
    assert "contract" in operations(few, "y")


def test_a_stride_gives_phases_without_zeros() -> None:
    """Each contraction has the taps of its phase alone: 2 and 1 of 3 along an axis."""
    attrs = attributes(2, stride=(2, 2), low=(1, 1), high=(1, 1))
    case = convolved((16, 16), (3, 3), attrs, channels=32, results=32)
    found = dict(expanded(case.graph).outputs)["dx"]
    part = Graph("part", case.graph.inputs, (("y", found),))
    weights = [n.inputs[1] for n in part.nodes() if n.op == "contract"]
    assert sorted(w.shape[:2] for w in weights) == [(1, 1), (1, 2), (2, 1), (2, 2)]
    check(case)


def test_elements_that_no_tap_reaches_have_no_gradient() -> None:
    case = convolved((9,), (1,), attributes(1, stride=(3,)), channels=32, results=32)
    slope = run(expanded(case.graph), case.arrays)["dx"]
    assert (slope[:, np.arange(9) % 3 != 0] == 0).all() and slope.any()
    check(case)


@pytest.mark.parametrize("groups", [1, 2])
def test_few_results_of_many_elements_are_added_up_where_they_meet(groups: int) -> None:
    """As in a transposed convolution over a frame of zeros: its windows would be mostly zeros."""
    attrs = attributes(1, dilation=(9,), groups=groups)
    case = convolved((30,), (4,), attrs, channels=32, results=32)
    assert "overlap_add" in operations(case, "dx")
    check(case)


@pytest.mark.parametrize("extent", [7, 8, 9, 10, 11, 30])
@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), (3, 2), (2, 2), (4, 3)])
def test_named_extents_of_space(extent: int, stride: int, dilation: int) -> None:
    """One graph for all extents: what must be padded is known without the names."""
    attrs = attributes(1, stride=(stride,), dilation=(dilation,), low=(1,), high=(2,))
    check(convolved((extent,), (3,), attrs, channels=3, results=2, named=2))


def test_a_convolution_in_the_body_of_a_loop_is_expanded() -> None:
    h, x = entry("h", "B", H, role="carry"), entry("x", "B", H, role="sequence")
    w = entry("w", H, H, role="invariant")
    taps = b.reshape(b.slice(w, start=(0, 0), stop=(3, 1), step=(1, 1)), shape=(3, 1, 1))
    lines = b.reshape(h, shape=(*h.shape, 1))
    seen = b.conv(lines, taps, **attributes(1, low=(1,), high=(1,)))
    following = b.tanh(b.add(b.reshape(seen, shape=h.shape), x))
    net = wound(Graph("body", (x, w, h), (), ((h, following),)), ("last", "h"))
    whole = net.derivatives(0)
    found = expand_convolutions(whole)
    verify(found)
    inner = [
        n.op for node in found.nodes() if "body" in node.attrs for n in node.attrs["body"].nodes()
    ]
    assert "contract" in inner and not {*inner} & {*CONVOLUTIONS}
    values, sizes = arrays(net, 3, 2), {"T": 3, "B": 2}
    wanted = run(whole, values, sizes=sizes)
    for name, value in run(found, values, sizes=sizes).items():
        np.testing.assert_allclose(value, wanted[name], atol=1e-12)


C = given("c", 4, dtype="float64")
Following = Callable[[Node], Node]


@pytest.mark.parametrize(
    "following",
    [
        lambda y: b.maximum(y, number(0.0, y)),
        lambda y: b.add(y, b.broadcast(C, shape=y.shape, axes=(2,))),
        lambda y: b.reduce_sum(b.exp(y), axes=(1,)),
        lambda y: b.reduce_sum(b.exp(y), axes=(0, 2)),
        lambda y: b.mul(y, b.exp(y)),
    ],
)
def test_what_follows_groups_has_their_axes(following: Following) -> None:
    """The reshape that makes one axis of groups and results sinks below what is computed."""
    case = convolved((9,), (3,), attributes(1, groups=2), channels=8, results=2)
    y = following(dict(case.graph.outputs)["y"])
    inputs = [*case.graph.inputs, C]
    whole = graph(*inputs, y=y)
    arrays = {**case.arrays, "c": np.arange(4.0)}
    found = expanded(whole)
    root = found.outputs[0][1]
    assert root.op == "reshape" and root.inputs[0].op != "contract"
    nodes = found.nodes()
    assert not any(
        item.op == "reshape" and item.inputs[0].op == "contract" for n in nodes for item in n.inputs
    )
    np.testing.assert_allclose(run(found, arrays)["y"], run(whole, arrays)["y"], atol=1e-12)
