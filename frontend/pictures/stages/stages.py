"""The stages at which a diagram can be drawn: one table, a picture from each.

``drawn`` is what the user drew; ``unrolled`` the same with a copy of a loop's inside for every
step; ``graph`` what it means, the simplified graph of primitives;
``backward`` the gradients of the cost, under what was drawn; ``kernels`` what is run: the graph
with its gradients, fused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ....compiler.options import Options
from ...arguments import shown, turn
from ...drawing.drawn import drawn_graph, next_values
from ...drawing.loops.checks import check_unroll, loops_of
from ...errors import DiagramError
from ..picture import Picture

if TYPE_CHECKING:
    from ...drawing.drawing import Drawing


@dataclass(frozen=True)
class View:
    """What of a stage is shown.

    Attributes:
        depth: how many levels of blocks are opened; None for all.
        steps: of "unrolled", the number of copies; None for as many as a loop has steps.
        options: of "graph" and "kernels", what the compiler is asked.
    """

    depth: int | None
    steps: int | None
    options: Options


def stage_picture(
    diagram: Drawing,
    stage: str = "drawn",
    depth: int | None = 1,
    steps: int | None = None,
    unroll: int = 1,
) -> Picture:
    """The picture of a diagram at a stage; `steps` is the number of copies of unrolled loops.

    Raises:
        ValueError: an unknown stage, a depth that is no number of levels, a number of steps below
            1, or none for loops whose number of steps has only a name.
        DiagramError: the stage shows gradients, and the diagram has no cost or no parameters;
            unroll=True, and a loop whose number of steps has a name.
    """
    if not isinstance(stage, str) or stage not in STAGES:
        raise ValueError(f"render expects a stage out of {', '.join(STAGES)}, got {shown(stage)}")
    if depth is not None and (isinstance(depth, bool) or not isinstance(depth, int) or depth < 1):
        raise ValueError(f"render expects a depth of 1 or more, or None for all, got {depth!r}")
    if steps is not None and (isinstance(steps, bool) or not isinstance(steps, int) or steps < 1):
        raise ValueError(f"render expects steps to be an integer of 1 or more, got {steps!r}")
    if steps is not None and stage != "unrolled":
        raise ValueError(f"render expects steps only for the stage 'unrolled', got {stage!r}")
    subject = f"render of '{diagram.name}' ({diagram.where})"
    turns = turn(subject, unroll)
    if turns != 1 and stage not in ("graph", "kernels"):
        raise ValueError(
            f"render expects unroll only for the stages 'graph' and 'kernels', got {stage!r}"
        )
    check_unroll(subject, loops_of(diagram.applications), turns)
    return STAGES[stage](diagram, View(depth, steps, Options(unroll=turns)))


def _drawn(diagram: Drawing, view: View) -> Picture:
    from .from_diagram import from_diagram

    return from_diagram(drawn_graph(diagram), view.depth)


def _unrolled(diagram: Drawing, view: View) -> Picture:
    from .from_diagram import Conversion
    from .loop_frames import without_masks
    from .unrolled import unrolled

    copied, loops = unrolled(without_masks(drawn_graph(diagram)), view.steps)
    return Conversion(copied, loops, view.depth).picture()


def _graph(diagram: Drawing, view: View) -> Picture:
    from .from_graph import from_graph
    from .lowered import lower_drawn

    drawn = drawn_graph(diagram)
    outputs, updates = drawn.outputs, next_values(drawn)
    wanted = [*outputs.values(), *updates, *([drawn.cost] if drawn.cost is not None else [])]
    found = lower_drawn(diagram, drawn, wanted, options=view.options)
    values = {name: found.values[node] for name, node in outputs.items()}
    following = {name: found.values[node] for node, name in updates.items()}
    cost = None if drawn.cost is None else found.values[drawn.cost]
    return from_graph(diagram.name, drawn, values, cost, depth=view.depth, updates=following)


def _backward(diagram: Drawing, view: View) -> Picture:
    from .from_gradient import from_gradient

    if diagram.cost is None:
        raise DiagramError(
            f"diagram '{diagram.name}' ({diagram.where}) has no cost whose gradients could be "
            "drawn: give Diagram(..., cost=...)"
        )
    return from_gradient(diagram, view.depth)


def _kernels(diagram: Drawing, view: View) -> Picture:
    from ....compiler.pipeline import KERNEL_PASSES, prepare
    from ....compiler.scheduling.fusion import Fusion
    from ...drawing.derivatives import gradient
    from .from_kernels import from_kernels

    names = {f"output {name}": name for name in diagram.outputs}
    outputs = dict(zip(names, diagram.outputs.values(), strict=True))
    updates = {f"update {diagram.names[s]}": f"next {s.name}" for s in diagram.updates}
    outputs |= dict(zip(updates, diagram.updates.values(), strict=True))
    slopes: dict[str, str] = {}
    if diagram.cost is not None:
        outputs["cost"] = diagram.cost
        every = diagram.parameters.items()
        trained = {name: v for name, v in every if v.type.is_float and not v.frozen}
        slopes = {f"gradient {name}": name for name in trained}
        found = gradient(diagram.cost, list(trained.values()))
        outputs |= dict(zip(slopes, found, strict=True))
    made: Any = prepare(diagram.lower(outputs, training=diagram.cost is not None), view.options)
    for row in KERNEL_PASSES:
        if isinstance(made, Fusion):
            break
        made = row.function(made)
    cost = None if diagram.cost is None else "cost"
    return from_kernels(diagram.name, made, names, slopes, cost, updates)


STAGES: dict[str, Callable[[Drawing, View], Picture]] = {
    "drawn": _drawn,
    "unrolled": _unrolled,
    "graph": _graph,
    "backward": _backward,
    "kernels": _kernels,
}
