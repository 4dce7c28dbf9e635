"""The recipe: which passes turn a graph into a program, and in which order.

    frontend/lower     Diagram -> Graph, blocks as calls         (the frontend's own)
    GRAPH_PASSES       Graph -> Graph
    KERNEL_PASSES      Graph -> Fusion -> Schedule -> Template   (sizes still have names)
    plan_memory        Template, sizes -> BoundProgram           (once for each set of sizes)

The driver verifies the graph after each pass, times it, and hands what changed to an observer;
the passes know nothing of that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ..runtime.program import CPU, Target
from .emission.emit import emit
from .graph import Graph, Node
from .graphs.verify import verify
from .memory.plan_memory import plan_memory
from .options import Options
from .passes.batch_parts.batch_parts import batch_parts
from .passes.checkpoint import checkpoint
from .passes.choose_branches import choose_branches
from .passes.differentiate import differentiate
from .passes.expand_convolutions.expand_convolutions import expand_convolutions
from .passes.expand_pools import expand_pools
from .passes.expand_products import expand_products
from .passes.guard import guard
from .passes.hoist.hoist import hoist
from .passes.inline import inline
from .passes.join_slopes import join_slopes
from .passes.layout import layout
from .passes.lift_draws import lift_draws
from .passes.mask_padding import mask_padding
from .passes.materialise import materialise
from .passes.set_precision import set_precision
from .passes.share_padding import share_padding
from .passes.simplify.simplify import simplify
from .passes.split_products import split_products
from .passes.split_reductions import split_reductions
from .passes.sum_steps import sum_steps
from .passes.take_last import take_last
from .passes.unroll import unroll
from .scheduling.fuse import fuse
from .scheduling.schedule import schedule
from .scheduling.template import Template
from .timings import Timings


class GraphPass(NamedTuple):
    """A row of the table of passes from graph to graph.

    Attributes:
        name: of the pass.
        function: the pass: of the graph, and of its option where it has one.
        gone: the primitives that no graph has after it.
        option: the field of `Options` that the pass takes; it runs only where that is not None.
    """

    name: str
    function: Callable[..., Graph]
    gone: frozenset[str]
    option: str | None = None


GRAPH_PASSES = (
    GraphPass("inline", inline, frozenset({"call"})),
    GraphPass("choose_branches", choose_branches, frozenset({"call"})),
    GraphPass("mask_padding", mask_padding, frozenset({"call"})),
    GraphPass("lift_draws", lift_draws, frozenset({"call"})),
    GraphPass("take_last", take_last, frozenset({"call"})),
    GraphPass("batch_parts", batch_parts, frozenset({"call"})),
    GraphPass("checkpoint", checkpoint, frozenset({"call"})),
    GraphPass("set_precision", set_precision, frozenset({"call"}), option="precision"),
    GraphPass("differentiate", differentiate, frozenset({"call", "gradient"})),
    GraphPass("guard", guard, frozenset({"call", "gradient", "in_range"})),
    GraphPass("simplify", simplify, frozenset({"call", "gradient", "in_range"})),
    GraphPass("hoist", hoist, frozenset({"call", "gradient", "in_range"})),
    GraphPass("simplify", simplify, frozenset({"call", "gradient", "in_range"})),
    GraphPass("unroll", unroll, frozenset({"call", "gradient", "in_range"}), option="unroll"),
    GraphPass("simplify", simplify, frozenset({"call", "gradient", "in_range"})),
)


class KernelPass(NamedTuple):
    """A row of the table of passes from the prepared graph to kernels.

    Attributes:
        name: of the pass.
        function: the pass.
        for_target: whether it takes the target as its second parameter.
    """

    name: str
    function: Callable[..., Any]
    for_target: bool = False


KERNEL_PASSES = (
    KernelPass("layout", layout),
    KernelPass("expand_pools", expand_pools),
    KernelPass("expand_convolutions", expand_convolutions),
    KernelPass("simplify", simplify),
    KernelPass("join_slopes", join_slopes),
    KernelPass("expand_products", expand_products),
    KernelPass("split_products", split_products),
    KernelPass("sum_steps", sum_steps),
    KernelPass("split_reductions", split_reductions),
    KernelPass("share_padding", share_padding),
    KernelPass("materialise", materialise),
    KernelPass("fuse", fuse),
    KernelPass("schedule", schedule),
    KernelPass("emit", emit, for_target=True),
)

BINDING_PASSES = (("plan_memory", plan_memory),)

Observer = Callable[[str, Any], None]


def prepare(
    graph: Graph,
    options: Options = Options(),  # noqa: B008 (frozen)
    timings: Timings | None = None,
    observe: Observer | None = None,
) -> Graph:
    """The graph of primitives alone: what every target starts from.

    Args:
        graph: as lowered from a diagram.
        options: what the program asks of the passes.
        timings: where to note how long each pass took.
        observe: called with a pass's name and result where the pass changed something.
    """
    timings = timings or Timings()
    sound: set[Node] = set()
    verify(graph, sound=sound)
    last_results: dict[str, Graph] = {}
    for name, function, gone, option in GRAPH_PASSES:
        asked = () if option is None else (getattr(options, option),)
        if asked == (None,):
            continue
        if last_results.get(name) is graph:
            continue  # simplify has nothing left to do where hoist or unroll changed nothing
        before = graph
        graph = last_results[name] = timings.run(name, function, graph, *asked)
        verify(graph, gone, sound)
        if observe is not None and graph is not before:
            observe(name, graph)
    return graph


def compile_kernels(
    graph: Graph,
    timings: Timings | None = None,
    observe: Observer | None = None,
    target: Target = CPU,
) -> Template:
    """The kernels and the table of a prepared graph, sizes still named, for a target."""
    timings = timings or Timings()
    value: Any = graph
    sound: set[Node] = set()
    for name, function, for_target in KERNEL_PASSES:
        value = timings.run(name, function, value, *((target,) if for_target else ()))
        if isinstance(value, Graph):
            verify(value, sound=sound)
        if observe is not None:
            observe(name, value)
    template: Template = value
    return template
