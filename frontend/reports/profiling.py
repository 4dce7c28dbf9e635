"""Where the time of a step goes: `Program.profile`.

The step itself is measured, on copies of the program's arrays: the same kernels, in the same
native call, on the same threads, each share of each with the processor's clock before and after
it.  Time is charged so that it adds up: where kernels run at once, each gets its part of it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...compiler.emission.costs import Cost, row_costs
from ...compiler.graph import Graph
from ...compiler.pipeline import compile_kernels
from ...compiler.scheduling.schedule import Schedule
from ...runtime.program import BoundProgram, Instruction, Target
from ..errors import InputError
from ..programs.execution import Method
from ..programs.inputs import bind_sizes
from ..programs.targets import CompilingEngine
from .profile import BlockTime, KernelTime, Profile, split_origin

if TYPE_CHECKING:
    from ...runtime.tracing import Limits, Trace
    from ..programs.running import Running

_OPTIONS = ("method", "repeats")
_WARM = 3
"""Calls before the measured ones: caches, and helpers awake."""


def profile(
    program: Running, method: Method | None, repeats: int, inputs: Mapping[str, Any]
) -> Profile:
    """Measure a program's step or run; see `Program.profile`."""
    subject = f"profile of '{program.diagram.name}'"
    for name in _OPTIONS:
        if name in inputs and name not in program.diagram.observed:
            raise InputError(
                f"{subject} takes {' and '.join(_OPTIONS)} before the inputs, without names: "
                'program.profile("step", 20, x=...)'
            )
    if method not in (None, "step", "run"):
        raise InputError(f'{subject} expects "step" or "run", got {method!r}')
    if type(repeats) is not int or repeats < 1:
        raise InputError(f"{subject} expects a number of repeats from 1 on, got {repeats!r}")
    engine = program._engine
    if not isinstance(engine, CompilingEngine):
        raise InputError(
            f"{subject} expects target cpu or cuda, got {program.target}: that runs NumPy's "
            "functions one after another, whose times say nothing of the kernels; compile with "
            'target="cpu"'
        )
    nothing_to_run = not program.diagram.outputs and program.diagram.cost is None
    steps = program.optimizer is not None or nothing_to_run
    chosen: Method = method or ("step" if steps else "run")
    program.execution(chosen, inputs).template()  # for the program too, not for its twin alone
    twin = program.on_copies()
    call = twin.step if chosen == "step" else twin.run
    call(**inputs)
    execution = twin.execution(chosen, inputs)
    executor, bound = execution.bound(chosen, inputs)
    arrays = list(bound.values())
    compiled: BoundProgram = executor.program
    tracer = engine.tracer(execution, compiled)
    tracer.trace(arrays, _WARM)
    plain, traces = [], []
    for _ in range(repeats):
        before = time.perf_counter_ns()
        call(**inputs)
        plain.append(time.perf_counter_ns() - before)
        traces += tracer.trace(arrays, 1)
    sizes = bind_sizes(subject, execution.expected, arrays)
    limits = engine.limits(tracer.threads)
    traced = median(trace.wall for trace in traces)
    times = np.array([trace.times(len(compiled.instructions)) for trace in traces])
    spans = [(trace.span, inside) for trace, inside in zip(traces, times.sum(1), strict=True)]
    between = float(median(span - inside for span, inside in spans))
    outside = float(median(trace.wall - trace.span for trace in traces))
    medians = np.median(times, axis=0)
    parts = float(medians.sum()) + between + outside
    costs = row_costs(_schedule_of(execution.graph, compiled.target), sizes)
    rows = _rows(compiled, traces, medians, costs, limits, parts)
    return Profile(
        name=program.diagram.name,
        method=chosen,
        shapes={e.name: a.shape for e, a in zip(execution.expected, arrays, strict=True)},
        repeats=repeats,
        threads=tracer.threads,
        seconds=1e-9 * median(plain),
        traced=1e-9 * traced,
        between=1e-9 * between,
        outside=1e-9 * outside,
        rows=rows,
        blocks=_blocks(rows),
        limits=limits,
        trace=min(traces, key=lambda trace: (abs(trace.wall - traced), trace.wall)),
    )


def _schedule_of(graph: Graph, target: Target) -> Schedule:
    """The schedule of a prepared graph for a target."""
    found: dict[str, Any] = {}
    compile_kernels(graph, observe=found.__setitem__, target=target)
    schedule: Schedule = found["schedule"]
    return schedule


def _rows(
    compiled: BoundProgram,
    traces: Sequence[Trace],
    times: npt.NDArray[np.float64],
    costs: Sequence[Cost],
    limits: Limits,
    parts: float,
) -> tuple[KernelTime, ...]:
    count = len(compiled.instructions)
    busy = np.median([trace.busy(count) for trace in traces], axis=0)
    touched = sum(b.nbytes for b in compiled.buffers if b.role != "temporary")
    resident = touched + compiled.arena_bytes <= limits.cached
    rows = []
    for number, (item, cost) in enumerate(zip(compiled.instructions, costs, strict=True)):
        seconds, turns = 1e-9 * float(times[number]), compiled.times[number]
        moved = turns * (cost.read + cost.written) / limits.bytes_per_s
        computed = turns * cost.flops / limits.flops_per_s[_precision(item, compiled)]
        rows.append(
            KernelTime(
                number=number,
                kernel=compiled.kernels[item.kernel].name,
                blocks=_parts(cost),
                seconds=seconds,
                share=float(times[number]) / parts,
                calls=turns * item.chunks,
                threads=float(busy[number] / times[number]) if seconds else 0.0,
                read=turns * cost.read,
                written=turns * cost.written,
                flops=turns * cost.flops,
                memory_share=moved / seconds if seconds else 0.0,
                arithmetic_share=computed / seconds if seconds else 0.0,
                cached=resident or moved > seconds,
            )
        )
    return tuple(rows)


def _precision(item: Instruction, compiled: BoundProgram) -> str:
    """In what a row computes, told from what it touches."""
    found = {compiled.buffers[number].dtype for number in (*item.reads, *item.writes)}
    return "float64" if "float64" in found else "float32"


def _parts(cost: Cost) -> tuple[tuple[str, float], ...]:
    """The part of a row's time for each block; even parts where none has any work."""
    total = sum(work for _, work in cost.work)
    even = 1 / len(cost.work)
    return tuple((name, work / total if total else even) for name, work in cost.work)


def _blocks(rows: Sequence[KernelTime]) -> tuple[BlockTime, ...]:
    seconds: dict[str, dict[str, float]] = {}
    estimated: set[str] = set()
    for row in rows:
        for origin, part in row.blocks:
            name, direction = split_origin(origin)
            times = seconds.setdefault(name, dict.fromkeys(("forward", "backward", "update"), 0.0))
            times[direction] += part * row.seconds
            if len({split_origin(other)[0] for other, _ in row.blocks}) > 1:
                estimated.add(name)
    found = [
        BlockTime(name, **times, estimated=name in estimated) for name, times in seconds.items()
    ]
    return tuple(sorted(found, key=lambda block: -block.seconds))
