"""L-BFGS: steps along a direction that the last gradients tell, as long as a search finds good.

A step is several native calls, which read and write the program's states: the cost and its
gradient, the direction that the history gives, and the move along it.  What stands between them,
the search along the line, is a few numbers of Python's.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ....compiler.graph import Type
from ....runtime.mutex import Mutex
from ....runtime.outcomes import refuse
from ...arguments import flag, integer
from ...drawing.derivatives import gradient
from ...drawing.flat_vectors import element_count, split_flat
from ...drawing.loops.loop import loop
from ...errors import DiagramError
from ...operations import reductions
from ...operations.elementwise import absolute, where
from ...operations.structure import concatenate, expand_dims, reshape
from ...programs.execution import Execution
from ...sealed import Sealed
from ...variables.variable import Variable
from ..schedules import Rate, Schedule, as_schedule, not_negative
from ..trained import Choice, Parameters
from .line_search import Point, strong_wolfe
from .optimizer import RATE, OptimizerType

if TYPE_CHECKING:
    from ...programs.running import Running

Array = npt.NDArray[Any]
CURVED = 1e-10
"""A pair of changes joins the history where their product is above this."""


class LBFGS(Sealed, metaclass=OptimizerType):
    """Limited-memory BFGS with a line search, for the whole of the data in every step.

    Liu and Nocedal, On the limited memory BFGS method for large scale optimization, 1989; the
    numbers are those of `torch.optim.LBFGS` with line_search_fn="strong_wolfe".

    A step makes up to `iterations` moves, and computes the cost and its gradient several times for
    each; random draws are the same all along, and the diagram's states are updated once, at the
    end, with the parameters that were found.  What it keeps (the last `history` changes of the
    parameters and of the gradient) is of the whole of the data: steps of mini-batches mislead it.
    While a step is at work, another thread that runs the program may see parameters of a trial.

    Args:
        learning_rate: the length that a move tries first, a number or a schedule of steps.
        iterations: the most moves in a step.
        evaluations: the most costs in a step; by default 5/4 of `iterations`.
        gradient_tolerance: a step ends where no element of the gradient is larger.
        change_tolerance: a step ends where the cost, or no parameter, changes by more.
        history: how many changes are kept.
        parameters: those that it changes, as for `dg.Optimizer`; by default all.
        maximize: make the cost large instead of small.

    Raises:
        TypeError, ValueError: a number out of its range.
    """

    _instead = "make another one; the rate of a program can be set, program.learning_rate = ..."
    _settings = ""

    def __init__(
        self,
        learning_rate: Rate = 1.0,
        iterations: int = 20,
        evaluations: int | None = None,
        gradient_tolerance: float = 1e-7,
        change_tolerance: float = 1e-9,
        history: int = 10,
        parameters: Parameters = None,
        *,
        maximize: bool = False,
    ) -> None:
        self.schedule = as_schedule("LBFGS", learning_rate)
        self.iterations = integer("LBFGS", "iterations", iterations, 1)
        most = self.iterations * 5 // 4 if evaluations is None else evaluations
        self.evaluations = integer("LBFGS", "evaluations", most, 1)
        self.gradient_tolerance = not_negative("LBFGS", "gradient_tolerance", gradient_tolerance)
        self.change_tolerance = not_negative("LBFGS", "change_tolerance", change_tolerance)
        self.history = integer("LBFGS", "history", history, 1)
        self.trained = Choice("LBFGS", parameters)
        self.maximize = flag("LBFGS", "maximize", maximize)

    @property
    def schedules(self) -> tuple[Schedule, ...]:
        """The rate of each group of parameters: it has one."""
        return (self.schedule,)

    def __repr__(self) -> str:
        return f"LBFGS({self._settings})"

    def step_of(
        self, program: Running, subject: str, values: Mapping[str, Variable] | None = None
    ) -> Execution:
        """What a step runs; with some values, it gives them and the cost by name.

        Args:
            program: of a diagram with a cost.
            subject: begins the messages.
            values: computed before the step's first move.

        Raises:
            DiagramError: there are no parameters to change, or the diagram updates states with
                inputs that the cost does not need.
        """
        diagram = program.diagram
        trained = self.trained.of(diagram, subject)
        if not trained or diagram.cost is None:
            raise DiagramError(f"{subject} expects a cost of parameters for LBFGS to change")
        drawn = _Drawn(self, trained)
        for name, start in drawn.starts.items():
            if name not in program.states:
                kept = start.astype(program._dtype(start.dtype.name))
                program.states.add(name, kept)
        outputs, updates = drawn.evaluated(diagram.cost)
        outputs |= {"cost": diagram.cost, **(values or {})}
        step = Variable("parameter", Type("int64"), "step")
        last = [*diagram.updates.items(), (step, step + 1)]
        key = program.next_key([*outputs.values(), *(value for _, value in last)])
        names = drawn.names | {step: "step"} | {item: "random_key" for item, _ in key}
        evaluated = program.execution_of(outputs, updates, names, training=True)
        closing = program.execution_of({}, [*last, *key], names, training=True)
        needed = {item.name for item in evaluated.expected}
        more = [item.name for item in closing.expected if item.name not in needed]
        if more:
            raise DiagramError(
                f"{subject} expects LBFGS to train a diagram whose states are updated with inputs "
                f"of its cost, got updates that need {', '.join(more)} too"
            )
        return _Search(
            self,
            evaluated,
            program.execution_of(*drawn.directed(), names),
            program.execution_of({}, drawn.moved(), names),
            closing,
            None if values is None else ("cost", *values),
        )


class _Drawn:
    """What a step computes on the parameters as one vector, and the states that it keeps.

    Attributes:
        starts: what the states are before the first step, by name.
        names: of the variables that stand for them.
    """

    def __init__(self, optimizer: LBFGS, trained: Mapping[str, Variable]) -> None:
        self.optimizer = optimizer
        self.parameters = list(trained.values())
        dtypes = {item.dtype for item in self.parameters}
        self.dtype = "float64" if "float64" in dtypes else "float32"
        self.count = element_count(trained)
        self.starts: dict[str, Array] = {RATE: np.array(np.nan)}
        self.names: dict[Variable, str] = {}
        many = (optimizer.history, self.count)
        self.gradient = self._state("gradient")
        self.before = self._state("gradient_before")
        self.direction = self._state("direction")
        self.origin = self._state("origin")
        self.gradients = self._state("gradient_changes", many)
        self.moves = self._state("parameter_changes", many)
        self.inverses = self._state("inverse_products", many[:1])
        self.scale = self._state("scale", (), 1.0)
        self.length = self._state("length", ())

    def _state(
        self, name: str, shape: tuple[int, ...] | None = None, value: float = 0.0
    ) -> Variable:
        shape = (self.count,) if shape is None else shape
        path = f"optimizer/{name}"
        self.starts[path] = np.full(shape, value, self.dtype)
        variable = Variable("parameter", Type(self.dtype, shape), path)
        self.names[variable] = path
        return variable

    def _vector(self, items: list[Variable]) -> Variable:
        parts = [reshape(item, (element_count({"": item}),)).astype(self.dtype) for item in items]
        return concatenate(parts, 0)

    def evaluated(self, cost: Variable) -> tuple[dict[str, Variable], list[Any]]:
        """The gradient, and the numbers of it that the search asks for."""
        slopes = self._vector(gradient(cost, self.parameters))
        if self.optimizer.maximize:
            slopes = -slopes
        sizes = absolute(slopes)
        outputs = {
            "optimizer/slope": reductions.sum(slopes * self.direction),
            "optimizer/largest": reductions.max(sizes),
            "optimizer/total": reductions.sum(sizes),
        }
        return outputs, [(self.gradient, slopes)]

    def directed(self) -> tuple[dict[str, Variable], list[Any]]:
        """The history with the last move, and the direction that it gives: two loops over it."""
        change, move = self.gradient - self.before, self.direction * self.length
        product = reductions.sum(change * move)
        joins = product > CURVED

        def kept(rows: Variable, row: Variable) -> Variable:
            return where(joins, concatenate([rows[1:], expand_dims(row, 0)], 0), rows)

        gradients, moves = kept(self.gradients, change), kept(self.moves, move)
        inverses = kept(self.inverses, 1.0 / product)
        scale = where(joins, product / reductions.sum(change * change), self.scale)

        back = loop("newest_first", steps=self.optimizer.history, reverse=True)
        left = back.delay("left", -self.gradient)
        row, by, inverse = (back.each(item) for item in (moves, gradients, inverses))
        share = reductions.sum(row * left) * inverse
        back.close(left, left - share * by)
        shares = back.stack(share)

        forth = loop("oldest_first", steps=self.optimizer.history)
        way = forth.delay("way", back.last(left - share * by) * scale)
        row, by, inverse, share = (
            forth.each(item) for item in (moves, gradients, inverses, shares)
        )
        further = way + row * (share - reductions.sum(by * way) * inverse)
        forth.close(way, further)
        direction = forth.last(further)

        outputs = {
            "slope": reductions.sum(self.gradient * direction),
            "largest": reductions.max(absolute(direction)),
        }
        following = {
            self.gradients: gradients,
            self.moves: moves,
            self.inverses: inverses,
            self.scale: scale,
            self.direction: direction,
            self.before: self.gradient,
            self.origin: self._vector(self.parameters),
        }
        return outputs, [*following.items()]

    def moved(self) -> list[tuple[Variable, Variable]]:
        """The parameters at a length along the direction."""
        parts = split_flat(self.origin + self.length * self.direction, self.parameters)
        return [
            (item, part.astype(item.dtype))
            for item, part in zip(self.parameters, parts, strict=True)
        ]


class _Search(Execution):
    """The calls of a step; as an execution, the one of the cost and its gradient.

    Args:
        optimizer: what says when to stop.
        evaluation: of the cost and its gradient, with the inputs.
        directing: of the history and the direction, without inputs.
        moving: of the parameters, without inputs.
        closing: of what is updated once in a step.
        wanted: the outputs that a step gives by name, or None for the cost alone.
    """

    def __init__(
        self,
        optimizer: LBFGS,
        evaluation: Execution,
        directing: Execution,
        moving: Execution,
        closing: Execution,
        wanted: tuple[str, ...] | None,
    ) -> None:
        vars(self).update(vars(evaluation))
        self.optimizer = optimizer
        self.parts: tuple[Execution, ...] = (directing, moving, closing)
        self._wanted = wanted
        self._own: Callable[[Mapping[str, Any]], Any] = refuse
        self._lock = threading.RLock()

    def _use(self, executor: Any) -> None:
        super()._use(executor)
        self._own, self.native = self.native, refuse  # a step is more than this call

    def on_states(self, states: Mapping[str, Array], workspace: Mutex) -> _Search:
        """The same graphs and kernels, bound to nothing yet, on other arrays for their states."""
        twin = super().on_states(states, workspace)
        assert isinstance(twin, _Search)
        twin.parts = tuple(part.on_states(states, workspace) for part in self.parts)
        twin._own, twin._lock = refuse, threading.RLock()
        return twin

    def call(self, what: str, inputs: Mapping[str, Any], on_device: bool = False) -> Any:
        """The cost before the step, or that and other outputs by name."""
        with self._lock:
            first = self._evaluate(what, inputs)
            self._descend(what, inputs, first)
            closing = self.parts[2]
            _ask(closing, what, {item.name: inputs[item.name] for item in closing.expected})
        if self._wanted is None:
            return float(first["cost"])
        return {name: first[name] for name in self._wanted}

    def _descend(self, what: str, inputs: Mapping[str, Any], found: Mapping[str, Any]) -> None:
        """Move until there is nothing to gain, or enough was done."""
        optimizer, directing = self.optimizer, self.parts[0]
        cost, evaluations = self._signed(found), 1
        for _ in range(optimizer.iterations):
            if float(found["optimizer/largest"]) <= optimizer.gradient_tolerance:
                return
            if evaluations >= optimizer.evaluations:
                return
            first = self._first_length(float(found["optimizer/total"]))
            aim = _ask(directing, what, {})
            slope, size = float(aim["slope"]), float(aim["largest"])
            if not slope <= -optimizer.change_tolerance:
                return
            tried = 0.0

            def value_at(length: float) -> Point:
                nonlocal found, tried
                self._move(what, length)
                found, tried = self._evaluate(what, inputs), length
                return Point(length, self._signed(found), float(found["optimizer/slope"]))

            apart = optimizer.change_tolerance / size
            most = optimizer.evaluations - evaluations
            try:
                best, count = strong_wolfe(value_at, Point(0.0, cost, slope), first, most, apart)
                if best.at != tried:
                    value_at(best.at)
            except BaseException:  # Also Ctrl-C: the parameters are not left at a trial.
                self._move(what, 0.0)
                raise
            evaluations += count
            before, cost = cost, best.value
            if best.at * size <= optimizer.change_tolerance:
                return
            if abs(cost - before) < optimizer.change_tolerance:
                return

    def _evaluate(self, what: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
        answer = self._own(inputs)
        found: dict[str, Any] = super().call(what, inputs) if answer is None else answer
        return found

    def _move(self, what: str, length: float) -> None:
        held = self.states["optimizer/length"]
        self.workspace.hold(lambda: np.copyto(held, length))
        _ask(self.parts[1], what, {})

    def _signed(self, found: Mapping[str, Any]) -> float:
        """What is made small."""
        cost = float(found["cost"])
        return -cost if self.optimizer.maximize else cost

    def _first_length(self, total: float) -> float:
        """The length that is tried first: the rate, and less where there is no history at all."""
        chosen = float(self.states[RATE])
        rate = self.optimizer.schedule(int(self.states["step"])) if np.isnan(chosen) else chosen
        begun = bool(self.states["optimizer/direction"].any())
        return rate if begun else rate * min(1.0, 1.0 / total)


def _ask(execution: Execution, what: str, inputs: Mapping[str, Any]) -> Any:
    answer = execution.native(inputs)
    return execution.call(what, inputs) if answer is None else answer
