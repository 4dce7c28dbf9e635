"""What became of a program, as text: `Program.explain`.

What was compiled, what came from the cache and why; where the cache lies; how long the passes
took; and what each bound graph runs and needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import TYPE_CHECKING, Any

from ...runtime.program import BoundProgram, Instruction
from ..drawing.loops.checks import loops_of
from ..programs.targets import CompilingEngine
from ..variables.variable import shape_text
from .summary import byte_text

if TYPE_CHECKING:
    from ..programs.execution import Execution
    from ..programs.running import Running

Report = tuple[str, str, str, float]
"""A piece of native code: its name, its origin, why that one, and milliseconds."""

_ORIGINS = ("compiled", "cache", "memory")


def explain(program: Running) -> str:
    """The text for a program; see `Program.explain`."""
    executions = program.executions()
    lines = [f"program '{program.diagram.name}' on target {program.target}", *_loops(program)]
    if isinstance(program._engine, CompilingEngine):
        lines += _native_code(executions)
        lines += [_table(execution) for execution in executions]
    lines += _passes(program.timings.seconds)
    for execution in executions:
        lines += _bound(execution)
    shared: Any = program.workspace
    if getattr(shared, "scratch_bytes", 0):
        arena, scratch = byte_text(shared.arena_bytes), byte_text(shared.scratch_bytes)
        lines.append(f"memory that all sizes share: temporaries {arena}, kernels' own {scratch}")
    return "\n".join(lines)


def _loops(program: Running) -> list[str]:
    """The loops with more than one step in a turn."""
    lines = []
    for loop in loops_of(program.diagram.applications):
        unroll = program.unroll if loop.unroll is None else loop.unroll
        if unroll != 1:
            what = f"{unroll} steps in a turn" if unroll != "all" else f"all {loop.steps} steps"
            lines.append(f"{loop} is unrolled: {what}")
    return lines


def _native_code(executions: list[Execution]) -> list[str]:
    """The pieces by their origin, each where it was first needed, and where the cache is."""
    pieces: dict[tuple[int, str], Report] = {}
    for number, execution in enumerate(executions):
        for executor in execution.executors().values():
            for report in executor.report:
                pieces.setdefault((number, report[0]), report)
    if not pieces:
        return ["native code: nothing yet; the first call makes it, when the sizes are known"]
    found = sorted(pieces.values(), key=lambda piece: _ORIGINS.index(piece[1]))
    counts = []
    lines = []
    for origin, group in groupby(found, key=lambda piece: piece[1]):
        held = list(group)
        counts.append(
            f"{len(held)} {_origin_text(origin)} in {sum(item[3] for item in held):.1f} ms"
        )
        if origin == "compiled":
            width = max(len(name) for name, _, _, _ in held)
            lines += [
                f"  compiled  {name:{width}}  {spent:7.1f} ms  {reason}"
                for name, _, reason, spent in sorted(held, key=lambda item: -item[3])
            ]
        else:
            names = ", ".join(dict.fromkeys(name for name, _, _, _ in held))
            lines.append(f"  {_origin_text(origin)}: {names}")
    return [f"native code, {len(found)} pieces: {', '.join(counts)}", *lines, _cache_text()]


def _origin_text(origin: str) -> str:
    return {
        "compiled": "compiled",
        "cache": "from the cache",
        "memory": "linked in this process before",
    }[origin]


def _cache_text() -> str:
    from ...runtime.building.cache import cache_in_use

    cache = cache_in_use()
    files, size = cache.usage()
    why = f"; {cache.refused}" if cache.refused else ""
    return (
        f"cache: {cache.folder}, {files} files, {byte_text(size)} of at most "
        f"{byte_text(cache.limit)} ($DIAGRAD_CACHE names another folder){why}"
    )


def _table(execution: Execution) -> str:
    """Whether the kernels' texts and the table came from the cache, and why not."""
    what, cached = f"table of a {_kind(execution)}", execution.cached
    assert cached is not None, "what is compiled is looked for in the cache"
    looked = f"{cached.reason}; {cached.milliseconds:.1f} ms to look"
    if cached.found is not None:
        return f"{what}: from the cache, where its graph was {looked}"
    if not execution.compiled:
        return f"{what}: nothing yet; the first call compiles it ({looked})"
    return f"{what}: compiled ({looked})"


def _kind(execution: Execution) -> str:
    return "step" if execution.trains else "run"


def _passes(seconds: Mapping[str, float]) -> list[str]:
    each = ", ".join(f"{name} {1e3 * spent:.1f}" for name, spent in seconds.items())
    return [f"passes, {1e3 * sum(seconds.values()):.1f} ms: {each}"]


def _bound(execution: Execution) -> list[str]:
    """For every set of sizes: its rows and its memory; the kernels for the first."""
    lines: list[str] = []
    what, engine = _kind(execution), execution.engine
    for shapes, executor in execution.executors().items():
        pairs = zip(execution.expected, shapes, strict=True)
        inputs = ", ".join(f"{item.name} {shape_text(shape)}" for item, shape in pairs)
        head = f"{what} bound to {inputs or 'no inputs'}: "
        if not isinstance(engine, CompilingEngine):
            lines.append(f"{head}{len(executor.tape.steps)} NumPy functions")
            continue
        compiled: BoundProgram = executor.program
        rows = compiled.instructions
        course, own = engine.course(executor)
        lines.append(f"{head}{len(rows)} rows of {len(compiled.kernels)} kernels {course}")
        lines.append(f"  memory: {_memory(own, compiled)}")
    if isinstance(engine, CompilingEngine) and lines:
        lines += _kernels(compiled.instructions, compiled)
    return lines


def _memory(own: int, compiled: BoundProgram) -> str:
    sizes = dict.fromkeys(("state", "input", "output", "constant"), 0)
    for buffer in compiled.buffers:
        if buffer.role in sizes:
            sizes[buffer.role] += buffer.nbytes
    parts = [("temporaries", compiled.arena_bytes), ("kernels' own", own)]
    parts += [(f"{role}s", size) for role, size in sizes.items()]
    text = ", ".join(f"{name} {byte_text(size)}" for name, size in parts if size)
    return f"{byte_text(sum(size for _, size in parts))} in all ({text or 'none'})"


def _kernels(rows: tuple[Instruction, ...], compiled: BoundProgram) -> list[str]:
    width = max((len(kernel.name) for kernel in compiled.kernels), default=0)
    turns = compiled.times  # those of loops included
    lines = []
    for number, kernel in enumerate(compiled.kernels):
        uses = [place for place, row in enumerate(rows) if row.kernel == number]
        blocks = ", ".join(dict.fromkeys(name for place in uses for name in rows[place].origins))
        count = sum(turns[place] for place in uses)
        times = "once" if count == 1 else f"{count:,} times"
        lines.append(f"  {kernel.name:{width}}  {times:>11}  for {blocks}")
    return lines
