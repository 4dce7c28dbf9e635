"""One graph of a program, on its target: prepared once, bound anew for every set of sizes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from ...compiler.graph import Graph
from ...compiler.graphs.interface import SizeRuleError, check_sizes, interface_of
from ...compiler.options import Options
from ...compiler.sizes import evaluate
from ...runtime.collector import collector_paused
from ...runtime.forking import COMPILING
from ...runtime.mutex import Mutex
from ...runtime.outcomes import CheckFailedError, refuse
from ..errors import InputError
from ..loading import training_begins
from .inputs import Expected, bind_sizes, check_names, outside
from .targets import CompilingEngine, Engine

if TYPE_CHECKING:
    from ...compiler.scheduling.template import Template
    from ...compiler.timings import Timings
    from .program_cache import CachedProgram

Method = Literal["step", "run"]
Mode = Literal["inference", "training"]
MODES = ("inference", "training")
Array = npt.NDArray[Any]
KEPT, KEPT_BYTES = 128, 64 << 20
"""Sets of sizes that stay bound, and the bytes that their tables may have in all; those that have
not been used for longest go first.  Their temporaries share one arena, so that it is as large as
those of one set."""
Shapes = tuple[tuple[int, ...], ...]


class Execution:
    """A graph with its inputs, ready to be called at any sizes.

    Its calls hold the workspace, which belongs to the states: whatever else reads or writes these
    waits for the end of a call.

    With `scalar` the only output, of shape (), is given as a number, and otherwise all in a dict.

    `native` is the native function of the sizes of the last call.  It looks at its inputs itself,
    and answers with a step's cost or a run's outputs; or with None where it has done nothing, for
    whatever reason: `call` finds out.

    `parts` are other graphs that its calls run.
    """

    parts: tuple[Execution, ...] = ()

    def __init__(
        self,
        graph: Graph,
        expected: Sequence[Expected],
        states: Mapping[str, Array],
        workspace: Mutex,
        engine: Engine,
        options: Options,
        timings: Timings,
        threads: int | None = None,
        scalar: bool = False,
    ) -> None:
        self.name = graph.name
        self.engine = engine
        self.timings = timings
        self.threads = threads
        self.expected = list(expected)
        self._by_name = {item.name: item for item in expected}
        self.outputs = [name for name, _ in graph.outputs]
        self.states = states
        self.workspace = workspace
        order = {item.name: place for place, item in enumerate(expected)}
        inputs = sorted(graph.inputs, key=lambda n: order.get(n.attrs["name"], -1))
        self.trains = bool(graph.updates)
        self.scalar = scalar
        self.lowered = Graph(graph.name, tuple(inputs), graph.outputs, graph.updates)
        self._options = options
        self._prepared: Graph | None = None
        self._template: Template | None = None
        self.cached = self._look_up(engine) if isinstance(engine, CompilingEngine) else None
        if self.cached is not None and self.cached.found is not None:
            self.interface, self._template = self.cached.found
        else:
            self.interface = interface_of(self.graph)
        self._bound: dict[Shapes, Any] = {}
        self._last: Any = None
        self._clock = count(1)
        self.native: Callable[[Mapping[str, Any]], Any] = refuse

    def _look_up(self, engine: CompilingEngine) -> CachedProgram:
        """What the cache of programs has for the lowered graph."""
        from .program_cache import look_up

        with collector_paused():
            return look_up(self.lowered, self._options, engine.written_for())

    @property
    def graph(self) -> Graph:
        """The prepared graph; where the program came from the cache, made when it is asked for."""
        if self._prepared is None:
            from ...compiler.pipeline import prepare  # The passes: not for `import diagrad`.

            with collector_paused():
                self._prepared = prepare(self.lowered, self._options, self.timings)
        return self._prepared

    def call(self, what: str, inputs: Mapping[str, Any], on_device: bool = False) -> Any:
        """A step's cost, or the outputs by name; inputs are checked, updates are made.

        They are made what native code takes, and that is asked.  Where it refuses still (an input
        that lies in a state, another thread at work, a check that fails), Python makes the call.
        So it does where outputs stay on the device.
        """
        if self.trains:
            training_begins()
        executor, arrays = self.bound(what, inputs)
        answer = None if on_device else executor.native(arrays)
        if answer is None:
            options = {"on_device": True} if on_device else {}
            answer = self._call_in_python(what, executor, arrays, options)
        self._use(executor)
        return answer

    def _call_in_python(
        self, what: str, executor: Any, arrays: Mapping[str, Array], options: Mapping[str, Any]
    ) -> Any:
        given = list(arrays.values())
        try:
            values = executor(given, **options)  # It holds the workspace by itself.
        except CheckFailedError as failure:
            raise self._explain_check(what, failure, arrays) from None
        return float(values[0]) if self.scalar else dict(zip(self.outputs, values, strict=True))

    def _use(self, executor: Any) -> None:
        """Let `native` be for these sizes; only they keep memory of results for later calls."""
        if executor is self._last and executor.native is self.native:
            return
        executor.used = next(self._clock)
        last, self._last, self.native = self._last, executor, executor.native
        if not (last is None or last is executor):
            last.forget_results()

    def _explain_check(
        self, what: str, failure: CheckFailedError, arrays: Mapping[str, Array]
    ) -> InputError:
        """Which element of which input lies outside its range."""
        check = self.interface.ranges[failure.check]
        item, array = self._by_name[check.name], arrays[check.name]
        sizes = bind_sizes(what, self.expected, list(arrays.values()))
        low, high = evaluate(check.low, sizes), evaluate(check.high, sizes)
        given = np.asarray(array)
        return outside(f"{what} of '{self.name}'", item, low, high, given, failure.index)

    def bound(self, what: str, inputs: Mapping[str, Any]) -> tuple[Any, dict[str, Array]]:
        """What runs these inputs, and the inputs as it takes them; InputError as for `call`."""
        if inputs.keys() != self._by_name.keys():
            check_names(f"{what} of '{self.name}'", self.expected, inputs)
        given = self.engine.given
        arrays = {name: given(item, inputs[name]) for name, item in self._by_name.items()}
        shapes = tuple([array.shape for array in arrays.values()])
        return self._bound.get(shapes) or self._bind(what, shapes, arrays), arrays

    def _bind(self, what: str, shapes: Shapes, arrays: Mapping[str, Array]) -> Any:
        """An executor for inputs of these shapes; new, unless another thread was quicker."""
        with COMPILING:
            executor = self._bound.get(shapes)
            if executor is None:
                executor = self.executor(self.sizes_of(what, list(arrays.values())))
                executor.used = next(self._clock)
                self._bound[shapes] = executor
                self._make_room(shapes)
            return executor

    def _make_room(self, newest: Shapes) -> None:
        """Let go of what has not been used for longest, beyond the bounds."""
        # Others may be at work with it: it goes when they have done.
        taken = sum(executor.nbytes for executor in self._bound.values())
        for shapes, executor in sorted(self._bound.items(), key=lambda item: item[1].used):
            if shapes == newest or (len(self._bound) <= KEPT and taken <= KEPT_BYTES):
                break
            taken -= executor.nbytes
            del self._bound[shapes]

    def sizes_of(self, what: str, arrays: Sequence[Array]) -> dict[str, int]:
        """The value of every named size; InputError where the graph cannot be run at them."""
        what = f"{what} of '{self.name}'"
        sizes = bind_sizes(what, self.expected, arrays)
        unbound = [name for name in self.interface.sizes if name not in sizes]
        if unbound:
            raise InputError(
                f"{what} needs the size {', '.join(unbound)}, which no input has: use an input of "
                "that size, or give the size as an integer"
            )
        try:
            check_sizes(self.interface.rules, sizes, training=self.trains)
        except SizeRuleError as error:
            raise InputError(f"{what}: {error}") from None
        return sizes

    def executor(self, sizes: Mapping[str, int]) -> Any:
        """What runs the graph at these sizes, on the target."""
        return self.engine.executor(self, sizes)

    @property
    def compiled(self) -> bool:
        """Whether the template is there."""
        return self._template is not None

    def template(self) -> Template:
        """The kernels and the table with named sizes; compiled and kept where there is none."""
        if self._template is None:
            from ...compiler.pipeline import compile_kernels

            assert isinstance(self.engine, CompilingEngine)
            target = self.engine.written_for()
            with collector_paused():
                self._template = compile_kernels(self.graph, self.timings, target=target)
                if self.cached is not None:
                    self.cached.keep(self.interface, self._template)
        return self._template

    def kernels(self) -> dict[str, str]:
        """Kernel sources by name, of every set of sizes bound so far."""
        if self._template is None:
            return {}
        return {kernel.name: kernel.source for kernel in self._template.kernels}

    def executors(self) -> Mapping[tuple[tuple[int, ...], ...], Any]:
        """What runs each set of sizes bound so far, by the shapes of the inputs."""
        return self._bound

    def on_states(self, states: Mapping[str, Array], workspace: Mutex) -> Execution:
        """The same graph and kernels, bound to nothing yet, on other arrays for its states."""
        twin = copy.copy(self)
        twin.states, twin.workspace = states, workspace
        twin._bound, twin._last, twin.native = {}, None, refuse
        return twin
