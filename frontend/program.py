"""A compiled diagram: its parameters, its training step, its inference, and reports on them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .drawing.drawing import Drawing
from .programs.execution import Method
from .programs.running import Running
from .programs.targets import Target

if TYPE_CHECKING:
    from .reports.profile import Profile
    from .training.checkpoints import Loaded
    from .training.optimizers import AnyOptimizer


class Program(Running):
    """A diagram compiled for a target; made by `Diagram.compile`.

    Threads may share it: one step, run, load, save or assignment to `parameters` at a time, so that
    a run sees the parameters between two steps.  Copies by `copy.deepcopy` run at once.

    Args:
        diagram: what to compile.
        optimizer: what a step does with the gradients; without one a step makes the updates of
            states alone, and there is none where there are no updates, or parameters to train.
        target: "cpu", "cuda", or "reference" (NumPy: slow, and what is right).
        dtype: "float32" or "float64" to compute everything in; by default as drawn.
        seed: of the initial parameters and of random draws.
        threads: how many threads may share a step; by default `$DIAGRAD_THREADS` or the cores
            that this process may use.
        unroll: how many steps of a loop are one turn of it, or True for all of them.
    """

    _settable = ("learning_rate",)
    optimizer: AnyOptimizer | None

    def __init__(
        self,
        diagram: Drawing,
        optimizer: AnyOptimizer | None = None,
        target: Target = "cpu",
        dtype: Any = None,
        seed: int = 0,
        threads: int | None = None,
        unroll: int = 1,
    ) -> None:
        super().__init__(diagram, optimizer, target, dtype, seed, threads, unroll)

    @property
    def learning_rate(self) -> Any:
        """The learning rate of the next step, a float, which can be set while training.

        `program.learning_rate = 1e-4` holds from the next step on, in the place of what the
        optimizer was made with, until None brings that back.  A step reads it as it reads
        parameters: nothing is compiled again.  `save` and `load` take it with them where it was
        set; a program whose rate was never set keeps that of its own optimizer.

        Of `dg.ParameterGroups` it is an array of the groups' rates, that cannot be written to; what
        is set is one number for all, or one (or None) for each.

        Raises:
            InputError: the program has no optimizer, or one without a learning rate.
            TypeError, ValueError: something else than a number of 0 or more, or None, is set.
        """
        from .training.rates import rate_of

        return rate_of(self)

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        from .training.rates import set_rate

        set_rate(self, value)

    def profile(self, method: Method | None = None, repeats: int = 20, /, **inputs: Any) -> Profile:
        """Measure where the time of a step or a run goes, kernel by kernel and block by block.

        The native call is the one that `step` makes, with the same threads; the processor's clock
        is read before and after each kernel (20 ns). On target "cuda" each launch is made by
        itself, between two events of the device. It works on copies of the parameters and the
        optimizer's states: nothing of the program changes, whatever happens.

        Args:
            method: "step" or "run"; by default a step where there is an optimizer, or nothing to
                run. It and the next are given by their places, so that an input may have any name.
            repeats: how many calls to measure; times are medians over them.
            **inputs: as for `step` or `run`.

        Returns:
            A `Profile`: printed, tables by kernel and by block; `rows` and `blocks` hold their
            numbers in seconds, bytes and operations, `chrome_trace` writes the course of a step.

        Raises:
            InputError: as `step` or `run`; no optimizer for a step; target "reference".
        """
        from .reports.profiling import profile

        return profile(self, method, repeats, inputs)

    @property
    def kernels(self) -> dict[str, str]:
        """The source of every kernel compiled so far, by name; empty for the reference target."""
        found: dict[str, str] = {}
        for execution in self.executions():
            found.update(execution.kernels())
        return found

    def explain(self) -> str:
        """What was compiled, what came from the cache and why, the passes' times, and memory."""
        from .reports.explaining import explain

        return explain(self)

    def save(self, path: str | Path) -> None:
        """Write all arrays of `states` to a safetensors file, which is whole or not there."""
        from .training.checkpoints import save

        save(self, path)

    def load(
        self,
        path: str | Path,
        parameters_only: bool = False,
        optimizer: bool = True,
        *,
        only: str | Iterable[str] | None = None,
        strict: bool = True,
    ) -> Loaded:
        """Read from a file of `save` what the program has, and leave the rest of the file.

        Args:
            path: the file, of this program or of another one, such as one that trains.
            parameters_only: take the parameters alone; all other arrays stay as they are, which is
                warned of where the file has a state of the diagram.
            optimizer: whether to go on with the file's training: with the optimizer's arrays, the
                count of steps and the key of random draws. Without, parameters and the diagram's
                states are taken, and these stay as they are.
            only: take parameters and states of these paths alone: a path ("encoder", with all below
                it), a pattern ("encoder/*", "*/bias"), or several.
            strict: whether it is an error if the file lacks something or has it in another shape or
                dtype; otherwise the program keeps what it has of it, which is told.

        Returns:
            What was taken, left in the file, and kept by the program.

        Raises:
            CheckpointError: the file lacks something or does not fit (without `strict`: nothing in
                it fits); nothing has changed.
            InputError: something in `only` that the program does not have.
            OSError: the file cannot be read.
        """
        from .training.checkpoints import load

        return load(self, path, parameters_only, optimizer, only, strict)

    def copy_to(
        self, other: Program, *, only: str | Iterable[str] | None = None, strict: bool = True
    ) -> Loaded:
        """Write this program's parameters and states into another one's, by their names.

        The other program takes what it has, as from a file; floats of another precision are
        converted.  Both optimizers' arrays stay as they are.

        Args:
            other: a program of this diagram or of another one.
            only: the paths or patterns of those to write, as for `load`.
            strict: as for `load`.

        Returns:
            What was taken, left in this program, and kept by the other one.

        Raises:
            CheckpointError: this program lacks something that the other one has, or has it in
                another shape or dtype (without `strict`: it has nothing that fits); nothing has
                changed.
            InputError: something in `only` that the other program does not have.
        """
        from .training.checkpoints import copy

        return copy(self, other, only, strict)

    def __repr__(self) -> str:
        count = sum(array.size for array in self.parameters.values())
        precision = self._options.precision
        more = f", {precision}" if precision else ""
        if self.optimizer is not None:
            more += f", {self.optimizer!r}"
        if "step" in self.states:
            steps = int(self.states["step"])
            more += f", {steps} step{'s' if steps != 1 else ''} made"
        return f"<Program {self.diagram.name} on {self.target}: {count} free parameters{more}>"
