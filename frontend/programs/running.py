"""A diagram that runs on a target: its arrays, its step, and its inference.

It owns the arrays of parameters and optimizer states, asks the compiler for a program for every
new set of sizes, and hands the calls to the runtime.  `Program` is the user's name for it, and adds
reports, files and a rate that can be set: those are made in later rooms, which know a `Running`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ...compiler.graph import Graph, Type
from ...runtime.collector import collector_paused
from ...runtime.forking import COMPILING
from ...runtime.outcomes import refuse
from ..arguments import flag, integer, wrong
from ..drawing.derivatives import gradient
from ..drawing.drawing import Drawing
from ..drawing.draws import first_key, other_key
from ..errors import InputError
from ..library.init import initial_state, initial_value
from ..location import user_location
from ..operations.random import KEY
from ..sealed import Sealed
from ..variables.dependencies import ordered
from ..variables.variable import Variable
from .execution import MODES, Execution, Method, Mode
from .inputs import Expected, check_names
from .parameters import Parameters, States
from .settings import check_optimizer, check_threads, options_of
from .targets import Target, engine_for

Array = npt.NDArray[Any]


INFERENCE: Mode = "inference"


class Running(Sealed):
    """A diagram compiled for a target.

    Attributes:
        diagram: what was compiled.
        optimizer: what a step does with the gradients, or None.
        target: "cpu", "cuda" or "reference".
        threads: how many may share a step, or None for the default.
        unroll: how many steps are one turn of a loop that says nothing of its own.
        timings: the passes' times.
        workspace: what a call holds, so that there is one at a time.
        states: all arrays that the program goes on with, by name.
        parameters: those of the free parameters, by path.
    """

    _instead = "compile the diagram once more, with another one"

    def __init__(
        self,
        diagram: Drawing,
        optimizer: Any,
        target: Target,
        dtype: Any,
        seed: int,
        threads: int | None,
        unroll: int,
    ) -> None:
        from ...compiler.timings import Timings

        if not isinstance(diagram, Drawing):
            raise wrong("Program", "a diagram", diagram)
        self.diagram = diagram
        self.optimizer = optimizer
        self.target = target
        self.threads = threads
        self.timings = Timings()
        subject = f"compile of '{diagram.name}' ({user_location()})"
        self._engine = engine_for(subject, target)
        self._options = options_of(diagram, dtype, unroll, subject)
        self.unroll = self._options.unroll
        seed = self._seed = integer(subject, "seed", seed, 0)
        check_threads(threads, subject)
        check_optimizer(optimizer, diagram, subject)
        self.workspace = self._engine.workspace()
        self.states = States(self.workspace, self._engine.array)
        for name, item in diagram.parameters.items():
            value = initial_value(item, name, seed).astype(self._dtype(item.dtype))
            self.states.add(name, value)
        self.parameters = Parameters(self.states, list(diagram.parameters), self.workspace)
        if any(item is KEY for item in diagram.variables):
            self.states.add("random_key", np.array(first_key(self._seed), np.int64))
        names = {item: name for name, item in diagram.parameters.items()}
        for name, item in diagram.states.items():
            dtype = self._dtype(item.dtype)
            self.states.add(name, initial_state(item, name, dtype, seed, names))
        self._rules: tuple[list[tuple[Variable, Variable]], dict[Variable, str]] = [], {}
        self._steps = optimizer is not None or (bool(diagram.updates) and not diagram.trainable)
        if self._steps:
            self.states.add("step", np.zeros((), np.int64))
        self._step = self._draw_step(subject) if optimizer is not None else None
        self._measured: dict[Method, tuple[dict[str, Variable], Execution]] = {}
        self._runs: dict[tuple[bool, frozenset[str]], Execution] = {}
        self._evaluation: Execution | None = None
        self._native_run: Callable[[Mapping[str, Any]], Any] = refuse

    def _dtype(self, dtype: str) -> str:
        return self._options.precision or dtype if dtype in ("float32", "float64") else dtype

    def _expected(self, wanted: Sequence[Variable]) -> list[Expected]:
        reached = set(ordered(wanted, {}))
        return [
            Expected(name, item, self._dtype(item.dtype))
            for name, item in self.diagram.observed.items()
            if item in reached
        ]

    def execution_of(
        self,
        outputs: Mapping[str, Variable],
        updates: Sequence[tuple[Variable, Variable]] = (),
        names: Mapping[Variable, str] | None = None,
        rewrite: Callable[[Graph], Graph] | None = None,
        training: bool = False,
        scalar: bool = False,
    ) -> Execution:
        """Outputs and updates of states on this program's arrays, target and precision.

        `names` names the states that are no parameters of the diagram; `rewrite` changes the graph
        before it is compiled; `training` is what `dg.training()` is in it; `scalar` has its calls
        give the only output as a number.
        """
        wanted = [*outputs.values(), *(value for _, value in updates)]
        expected = self._expected(wanted)
        with collector_paused():
            graph = self.diagram.lower(outputs, updates, names, training=training)
            graph = graph if rewrite is None else rewrite(graph)
        return Execution(
            graph, expected, self.states, self.workspace, self._engine, self._options,
            self.timings, self.threads, scalar,
        )  # fmt: skip

    def _draw_step(self, subject: str) -> Execution:
        """Forward, backward and update, as one graph; without an optimizer the updates alone.

        An optimizer whose step is several calls makes them itself.
        """
        if hasattr(self.optimizer, "step_of"):
            return self._several_calls(subject)
        outputs = self._step_outputs()
        step = Variable("parameter", Type("int64"), "step")
        names = {step: "step", KEY: "random_key"}
        with collector_paused():
            trained, states = self._draw_training(subject, step)
        updates = [*trained, *self.diagram.updates.items(), (step, step + 1)]
        for state in states:
            name = state.variable.name or ""
            names[state.variable] = name
            value = state.initial.astype(self._dtype(state.initial.dtype.name))
            self.states.add(name, value)
            if state.next is not None:
                updates.append((state.variable, state.next))
        updates += self.next_key([*outputs.values(), *(value for _, value in updates)])
        scalar = self.diagram.cost is not None
        self._rules = updates, names
        return self.execution_of(outputs, updates, names, training=True, scalar=scalar)

    def _several_calls(
        self, subject: str, values: Mapping[str, Variable] | None = None
    ) -> Execution:
        """A step as its optimizer makes it, which gives these values too."""
        made: Execution = self.optimizer.step_of(self, subject, values)
        return made

    def next_key(self, wanted: Sequence[Variable]) -> list[tuple[Variable, Variable]]:
        """The update of the key of random draws, if a step that computes these has one."""
        if "random_key" not in self.states and any(item is KEY for item in ordered(wanted, {})):
            self.states.add("random_key", np.array(first_key(self._seed), np.int64))
        return [(KEY, KEY + 1)] if "random_key" in self.states else []

    def _draw_training(
        self, subject: str, step: Variable
    ) -> tuple[list[tuple[Variable, Variable]], Sequence[Any]]:
        """What an optimizer makes of the parameters, and its states; nothing without one."""
        cost, optimizer = self.diagram.cost, self.optimizer
        if optimizer is None or cost is None:
            return [], ()
        trained = optimizer.trained.of(self.diagram, subject)
        found = gradient(cost, list(trained.values()))
        following, states = optimizer.draw(trained, dict(zip(trained, found, strict=True)), step)
        return [(item, following[name]) for name, item in trained.items()], states

    def _step_outputs(self) -> dict[str, Variable]:
        """What a step gives: the cost, or else the outputs that need no inputs of their own."""
        cost = self.diagram.cost
        if cost is not None:
            return {"cost": cost}
        given = {item.name for item in self._expected([*self.diagram.updates.values()])}
        return {
            name: output
            for name, output in self.diagram.outputs.items()
            if given.issuperset(item.name for item in self._expected([output]))
        }

    def _stepping(self) -> Execution:
        """What a step runs; of updates alone it is made when it is first asked for."""
        if self._step is None:
            if not self._steps:
                raise self.no_optimizer()
            with COMPILING:  # Another thread may be drawing the same.
                if self._step is None:
                    self._step = self._draw_step(f"step of '{self.diagram.name}'")
        return self._step

    def step(self, /, *unnamed: Any, **inputs: Any) -> Any:
        """One training step: forward, backward and update in one native call.

        A program without an optimizer, of a diagram that has updates of states and no parameter
        for a cost to train, makes the updates alone.  Every batch size is allowed; a new one needs
        memory, but compiles nothing.

        Args:
            *unnamed: none: inputs are given by name.
            **inputs: for every observed variable that the cost or an update depends on, an array of
                its dtype (nothing is converted silently) and shape; or Python's numbers, or lists
                of them.  Arrays are read where they lie, read-only ones too; only those that are
                strided, unaligned or big-endian are copied.

        Returns:
            The cost before the update, a float; NaN where an input has one that the cost depends
            on.  Where the diagram has no cost, a dict as `run("training")` gives, before the
            update: the outputs that need no other inputs than the updates do.

        Raises:
            InputError: an input is missing, unknown, or of another dtype or shape; sizes of one
                name differ; labels or indices lie outside their range; the cost is a mean over no
                samples.  Nothing has changed then.
        """
        execution = self._step or self._stepping()
        if unnamed:
            raise self._by_name("step", execution.expected, len(unnamed))
        answer = execution.native(inputs)
        if answer is None:
            answer = execution.call("step", inputs)
        return answer

    def run(self, mode: Mode = INFERENCE, /, *unnamed: Any, **inputs: Any) -> dict[str, Array]:
        """The outputs, without an update; and "cost", where the inputs that it needs are given.

        Random draws are those of the next step, until there is one, or a `redraw`.

        Args:
            mode: "training" for what the next step computes where that differs (`dg.training()`:
                dropout, statistics of the batch); by its place, so that an input may have any
                name.  Nothing is updated in either.
            *unnamed: none, as for `step`.
            **inputs: for every observed variable that the outputs depend on, as for `step`.  With
                `device=True` beside them, outputs stay on the device of target "cuda", as
                `DeviceArray`, unless there is a variable of that name.

        Returns:
            New arrays, by name; empty ones for an empty batch, where a mean is NaN.

        Raises:
            InputError: as `step`, except that the batch may be empty.
            ValueError: an unknown mode.
        """
        if unnamed or mode is not INFERENCE or "device" in inputs:
            return self._run_as(mode, unnamed, inputs)
        outputs: dict[str, Array] | None = self._native_run(inputs)
        if outputs is None:
            execution = self._run_in(mode, inputs)
            outputs = execution.call("run", inputs)
            self._native_run = execution.native
        return outputs

    def _run_as(
        self, mode: Any, unnamed: Sequence[Any], inputs: Mapping[str, Any]
    ) -> dict[str, Array]:
        """A run in the mode that is asked for."""
        if unnamed or not isinstance(mode, str):
            given = len(unnamed) + (not isinstance(mode, str))
            expected = self._expected([*self.diagram.outputs.values()])
            raise self._by_name("run", expected, given)
        if "device" in inputs and "device" not in self.diagram.observed:
            asked = inputs["device"]
            inputs = {name: value for name, value in inputs.items() if name != "device"}
            if self._stays(asked):
                found: dict[str, Any] = self._run_in(mode, inputs).call("run", inputs, True)
                return found
        execution = self._run_in(mode, inputs)
        outputs: dict[str, Array] | None = execution.native(inputs)
        return execution.call("run", inputs) if outputs is None else outputs

    def _stays(self, device: Any) -> bool:
        """Whether outputs of a run shall stay on the device; InputError where there is none."""
        subject = f"run of '{self.diagram.name}'"
        if flag(subject, "device", device) and not self._engine.has_device:
            raise InputError(
                f"{subject} expects a program of target cuda for device=True, got {self.target}: "
                "its outputs are NumPy's arrays"
            )
        return bool(device)

    def _run_in(self, mode: str, inputs: Mapping[str, Any]) -> Execution:
        """What runs inputs of these names in a mode."""
        if mode not in MODES:
            subject = f"run of '{self.diagram.name}'"
            raise wrong(subject, f"the mode {' or '.join(MODES)}", mode, ValueError)
        key = mode == "training" and self.diagram.has_modes, frozenset(inputs)
        found = self._runs.get(key)
        if found is None:
            with COMPILING:  # Another thread may be drawing the same.
                found = self._runs.get(key) or self._new_run(*key)
        return found

    def _new_run(self, training: bool, given: frozenset[str]) -> Execution:
        outputs = dict(self.diagram.outputs)
        cost = self.diagram.cost
        if cost is not None:
            needed = {item.name for item in self._expected([*outputs.values(), cost])}
            if needed <= given or not outputs:
                outputs["cost"] = cost
        execution = self.execution_of(outputs, training=training)
        check_names(f"run of '{self.diagram.name}'", execution.expected, dict.fromkeys(given))
        self._runs[training, given] = execution
        return execution

    def evaluation(self) -> Execution:
        """The cost alone, without an update: it needs the inputs that a step needs."""
        cost = self.diagram.cost
        if cost is None:
            raise InputError(f"program '{self.diagram.name}' has no cost: Diagram(..., cost=...)")
        with COMPILING:
            if self._evaluation is None:
                self._evaluation = self.execution_of({"cost": cost})
            return self._evaluation

    def measured(self, method: Method, values: Mapping[str, Variable]) -> Execution:
        """What a step or a run does, giving the cost, if there is one, and these values.

        Those of a step are computed before its update.  The last ones are kept.

        Args:
            method: "step", or "run" for inference.
            values: of the diagram's own observed variables, parameters and states.
        """
        with COMPILING:
            kept = self._measured.get(method)
            if kept is not None and _same(kept[0], values):
                return kept[1]
            cost = self.diagram.cost
            outputs = {**({} if cost is None else {"cost": cost}), **values}
            if method == "step":
                self._stepping()
                if hasattr(self.optimizer, "step_of"):
                    execution = self._several_calls(f"step of '{self.diagram.name}'", values)
                else:
                    execution = self.execution_of(outputs, *self._rules, training=True)
            else:
                execution = self.execution_of(outputs)
            self._measured[method] = dict(values), execution
            return execution

    def redraw(self) -> None:
        """Draw other random numbers from now on, as a step does: in runs, and in the next steps.

        A run changes no array of the program, so it repeats its draws: those that the next step
        will make.  The numbers depend on the seed and on the steps and redraws before, in their
        order; `save` and `load` take that along.
        """
        key = self.states.get("random_key")
        if key is not None:
            self.workspace.hold(lambda: np.copyto(key, other_key(int(key))))

    def execution(self, method: Method, inputs: Mapping[str, Any]) -> Execution:
        """The graph that a method runs for inputs of these names; InputError if it cannot."""
        if method == "run":
            return self._run_in("inference", inputs)
        return self._stepping()

    def executions(self) -> list[Execution]:
        """The graphs made so far: the step's, if there is one, the runs', and those of `fit`."""
        measured = [execution for _, execution in self._measured.values()]
        made = [self._step, *self._runs.values(), self._evaluation, *measured]
        return [part for item in made if item is not None for part in (item, *item.parts)]

    def __copy__(self) -> Self:
        """A program on the same arrays: a step of either changes both."""
        twin = self._unsealed()
        twin._seal()
        return twin

    def _unsealed(self) -> Self:
        twin = object.__new__(type(self))
        twin.__dict__.update({name: item for name, item in vars(self).items() if name != "_sealed"})
        return twin

    def __deepcopy__(self, memo: dict[Any, Any]) -> Self:
        """A program of the same diagram that goes on by itself: on copies of all arrays."""
        return self.on_copies()

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError(
            f"program '{self.diagram.name}' cannot be pickled: save its arrays with "
            "program.save(path), and load them into a program compiled from the same diagram"
        )

    def on_copies(self) -> Self:
        """A program like this one, with what it has compiled, on copies of all its arrays."""
        twin = self._unsealed()
        twin.workspace = self._engine.workspace()
        twin.states = States(twin.workspace, self._engine.array)
        arrays = self.workspace.hold(lambda: {n: a.copy() for n, a in self.states.items()})
        for name, array in arrays.items():
            twin.states.add(name, array)
        twin.parameters = Parameters(twin.states, list(self.parameters), twin.workspace)
        held = twin.states, twin.workspace
        twin._step = None if self._step is None else self._step.on_states(*held)
        evaluation = self._evaluation
        twin._evaluation = None if evaluation is None else evaluation.on_states(*held)
        twin._measured = {
            method: (values, execution.on_states(*held))
            for method, (values, execution) in self._measured.items()
        }
        twin._runs = {given: run.on_states(*held) for given, run in list(self._runs.items())}
        twin._native_run = refuse
        twin._seal()
        return twin

    def _by_name(self, method: str, expected: Iterable[Expected], given: int) -> TypeError:
        names = ", ".join(f"{item.name}=..." for item in expected)
        return TypeError(
            f"{method} of '{self.diagram.name}' ({user_location()}) expects inputs by name, got "
            f"{given} without: program.{method}({names})"
        )

    def no_optimizer(self) -> InputError:
        """The error about a program that cannot train."""
        alone = "; a step of the updates alone is that of a diagram without this cost"
        return InputError(
            f"program '{self.diagram.name}' has no optimizer: compile it with "
            f"optimizer=dg.SGD(...) to train it{alone if self.diagram.updates else ''}"
        )


def _same(first: Mapping[str, Variable], second: Mapping[str, Variable]) -> bool:
    """Whether the names and the variables themselves are the same; `==` would draw."""
    return list(first) == list(second) and all(first[name] is second[name] for name in second)
