"""The diagram: what was drawn, and the ways to a program, a picture and a summary."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .drawing.drawing import Drawing
from .keywords import guarded
from .variables.variable import Variable

if TYPE_CHECKING:
    import os
    from pathlib import Path

    import networkx as nx

    from .program import Program
    from .programs.targets import Target
    from .reports.summary import Summary
    from .training.optimizers import AnyOptimizer


class Diagram(Drawing):
    """A block diagram: outputs, a cost, and everything that they are drawn from.

    Args:
        name: the diagram's name.
        outputs: the variables that `run` returns, by name; or one variable.
        cost: a float variable of shape (), which training makes small.
        updates: the states (`dg.state`) that a step updates, besides those that the diagram reads
            or that its blocks update. By default all whose next values are made from its inputs
            and parameters alone, and those made from no input (a count) that were drawn after its
            first variable.

    Raises:
        DiagramError: a mistake of wiring (ShapeError, DtypeError, NameTakenError, UnusedError,
            CycleError); where there are several independent ones, a DiagramError that lists them.
            Variables that it leaves out are no mistake: another diagram may use them.  `check`
            tells of those that nothing uses.
    """

    def __init__(
        self,
        name: str,
        outputs: Mapping[str, Variable] | Variable | None = None,
        cost: Variable | None = None,
        updates: Sequence[Variable] | None = None,
    ) -> None:
        super().__init__(name, outputs, cost, updates)

    @guarded
    def compile(
        self,
        optimizer: AnyOptimizer | None = None,
        target: Target = "cpu",
        dtype: Any = None,
        seed: int = 0,
        threads: int | None = None,
        unroll: int = 1,
    ) -> Program:
        """A program of this diagram.

        Args:
            optimizer: what a training step does with the gradients; without one a step makes the
                updates of states alone, if there are any and the cost has no parameters to train.
            target: "cpu", "cuda" (an NVIDIA device: see `dg.targets`), or "reference" (NumPy:
                slow, and the definition of what is right).
            dtype: "float32" or "float64" to compute every float in; by default as drawn.
            seed: of the initial parameters and of random draws; the same seed, the same numbers.
            threads: how many threads may share a step; by default `$DIAGRAD_THREADS` or the cores
                that this process may use. The numbers do not depend on it.
            unroll: how many steps of a loop are compiled as one turn of it, for every loop that
                says nothing of its own (`dg.loop(unroll=...)` counts more); True for all steps,
                which leaves no loops, and needs known numbers of steps. What K does not divide
                are further steps. The numbers are the same, but for rounding.

        Raises:
            DiagramError: an optimizer, and no cost; unroll=True, and a loop whose number of steps
                has a name.
        """
        from .program import Program

        return Program(self, optimizer, target, dtype, seed, threads, unroll)

    @property
    def graph(self) -> nx.MultiDiGraph[Any]:
        """What was drawn, as a NetworkX graph: variables and functions, joined by arrows."""
        from .drawing.drawn import drawn_graph
        from .drawing.networkx_graph import networkx_graph

        return networkx_graph(drawn_graph(self))

    @guarded
    def render(
        self,
        path: str | os.PathLike[str],
        stage: str = "drawn",
        depth: int | None = 1,
        steps: int | None = None,
        layout: str = "wasm",
        unroll: int = 1,
    ) -> Path:
        """Draw the diagram into a file, and return its path.

        Args:
            path: a name that ends in .svg or .png.
            stage: "drawn", as the user drew it; "unrolled", the same with a copy of what is in a
                loop for every step; "graph", the primitives it means; "backward", the
                gradients of its cost under what was drawn; or "kernels", what is run.
            depth: how many levels of blocks are opened: 1 draws each outermost block as one
                bullet, 2 also what is in it, None everything.
            steps: of "unrolled", the number of copies; by default as many as a loop has steps.
                Loops within loops are not unrolled.
            layout: who finds the coordinates: "wasm", the Graphviz that pip installs and that
                draws the same everywhere; or "system", the program `dot` of your system.
            unroll: of "graph" and "kernels", how many steps of a loop are one turn, as `compile`
                takes it.

        Raises:
            ValueError: another suffix, stage, depth, number of steps or layout; no number of steps
                for a loop whose own is only named.
            DiagramError: the stage "backward" of a diagram without a cost; unroll=True, and a loop
                whose number of steps has a name.
            LayoutError: that Graphviz is not installed; the message says how to.
        """
        from .files import picture_path
        from .pictures import write
        from .pictures.stages.stages import stage_picture

        path = picture_path(path)  # before the work
        return write(stage_picture(self, stage, depth, steps, unroll), path, layout)

    def summary(self, **sizes: int) -> Summary:
        """Blocks, shapes, links, free parameters, floating-point operations and memory: a table.

        Below it stands what `check` tells.

        Args:
            **sizes: values of named sizes, such as B=64, at which memory is planned; by default
                for a batch of 1 and of 64.

        Raises:
            InputError: a size that the diagram does not have.
        """
        from .reports.summary import summarise

        return summarise(self, sizes)

    def _repr_mimebundle_(
        self,
        include: Collection[str] | None = None,
        exclude: Collection[str] | None = None,
    ) -> dict[str, str]:
        """What a notebook shows: the diagram as drawn, and its text."""
        from .pictures import mimebundle
        from .pictures.stages.stages import stage_picture

        return mimebundle(repr(self), lambda: stage_picture(self), include, exclude)

    def __repr__(self) -> str:
        return (
            f"<Diagram {self.name}: {len(self.observed)} observed, {len(self.parameters)} "
            f"parameters, outputs {list(self.outputs)}{', cost' if self.cost is not None else ''}>"
        )
