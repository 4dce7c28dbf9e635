"""One lowering, with or without origins: what is shown of a graph is what runs."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest

import diagrad as dg
from diagrad.compiler.graph import Graph
from diagrad.compiler.graphs.loop_bodies import every_node
from diagrad.compiler.options import Options
from diagrad.compiler.pipeline import prepare
from diagrad.frontend.drawing.drawn import drawn_graph, origins_of

from ...fuzz.growth import NAMES, build
from ...fuzz.plan import random_plan
from ..pictures import recurrent, transforms
from ..pictures.diagrams import DIAGRAMS

DRAWN = [
    *DIAGRAMS,
    *(recurrent.power, recurrent.masked, recurrent.lstm, recurrent.translator, recurrent.nested),
    *(transforms.bound, transforms.hypernetwork_block, transforms.deep, transforms.in_a_loop),
]


class Tenth(dg.Block):
    """A tenth of what it is given, by a number that float32 rounds."""

    def forward(self, x: dg.Variable) -> dg.Variable:
        return 0.1 * x


def tenths() -> dg.Diagram:
    """0.1 in a block, in a loop, and beside both."""
    x, s = dg.observed("x", ("B",)), dg.observed("s", ("T", "B"))
    t = dg.loop("t", "T")
    z = t.delay("z", init=x)
    after = z + 0.3 * t.each(s)
    t.close(z, after)
    block = Tenth()
    return dg.Diagram("tenths", {"y": block(block(x)) + 0.7, "z": t.last(after)})


def without_names(graph: Graph) -> str:
    """A graph as text, without origins and the names of loops' bodies, which begin with them."""
    lines = (line.split("    #")[0].rstrip() for line in str(graph).splitlines())
    return re.sub(r"<[^>]*?(\w+)>", r"<\1>", "\n".join(lines))


def both(diagram: dg.Diagram, precision: str | None) -> tuple[Graph, Graph]:
    """The graph that a program prepares, and the one beside the drawing."""
    origins, options = origins_of(drawn_graph(diagram)), Options(precision=precision)
    beside = prepare(diagram.lower(origins=origins), options)
    return prepare(diagram.lower(), options), beside


@pytest.mark.parametrize("precision", [None, "float32", "float64"])
@pytest.mark.parametrize("draw", [*DRAWN, tenths], ids=lambda draw: draw.__name__)
def test_a_graph_with_origins_is_the_programs(
    draw: Callable[[], dg.Diagram], precision: str | None
) -> None:
    run, beside = both(draw(), precision)
    assert without_names(beside) == without_names(run)


@pytest.mark.parametrize("seed", range(12))
def test_so_is_that_of_a_random_diagram(seed: int) -> None:
    run, beside = both(build(random_plan(seed, NAMES)).diagram, "float64")
    assert without_names(beside) == without_names(run)


def numbers(graph: Graph) -> set[float]:
    """The scalar constants of a graph, in the bodies of loops too."""
    constants = [node.attrs["value"] for node in every_node(graph) if node.op == "constant"]
    return {value.item() for value in constants if value.ndim == 0}


def test_numbers_have_all_their_digits_in_double_precision() -> None:
    """A tenth in float64 is not the float32 one, neither in what runs nor in what is shown."""
    run, beside = both(tenths(), "float64")
    assert numbers(beside) == numbers(run) == {0.1, 0.3, 0.7}
    run, beside = both(tenths(), None)
    rounded = {float(np.float32(value)) for value in (0.1, 0.3, 0.7)}
    assert numbers(beside) == numbers(run) == rounded


def test_origins_know_what_became_of_a_variable() -> None:
    """Two applications of one block are two nodes, each with its own; of a loop, the result."""
    diagram = tenths()
    drawn = drawn_graph(diagram)
    origins = origins_of(drawn)
    graph = diagram.lower(origins=origins)
    assert not any(node.op == "call" for node in every_node(graph))
    found = {
        name: (origins.nodes[item.variable].op, origins.nodes[item.variable].origin.path)
        for name, item in drawn.variables.items()
        if item.variable in origins.nodes and item.kind != "constant"
    }
    assert found == {
        "x": ("input", "x"),
        "s": ("input", "s"),
        "tenth.out": ("mul", "tenth/multiply"),
        "tenth.out 2": ("mul", "tenth 2/multiply"),
        "y": ("add", "add"),
        "z": ("loop", "last"),
    }
    assert dict(graph.outputs) == {name: origins.nodes[diagram.outputs[name]] for name in "yz"}
