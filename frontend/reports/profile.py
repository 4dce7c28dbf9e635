"""A profile: where the time of a step went, as tables, and as JSON for the viewers of traces."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ..files import write_atomically
from ..programs.execution import Method
from ..variables.variable import shape_text

if TYPE_CHECKING:
    from ...runtime.tracing import Limits, Trace

Bound = Literal["memory", "arithmetic", "cache", ""]
_WIDEST = 32
"""Characters of a column of names."""
_HEAD = ("time", "share", "kernel", "for", "calls", "threads", "GB/s", "GFLOP/s", "of the limit")
_BLOCK_HEAD = ("time", "share", "block", "forward", "backward", "update")
_LEFT = ("kernel", "for", "block", "of the limit")


@dataclass(frozen=True)
class KernelTime:
    """One row of the program: a kernel with its operands, which a step runs once.

    In a loop it runs once for each turn; the numbers are of all turns together.

    Attributes:
        number: of the row, in the order of the program.
        kernel: the kernel's name, as in `program.kernels`.
        blocks: for whom it computes ("net/0", "net/0 backward", "SGD update"), and the part of its
            time that each is charged: measured where there is one, else shared out by estimated
            work.
        seconds: median time of a step, see `Profile`.
        share: of the measured step, from 0 to 1: see `Profile.parts`.
        calls: of the kernel: the shares into which threads divide it.
        threads: how many were at work in it, on average.
        read: bytes that it must read.
        written: bytes that it must write.
        flops: floating-point operations; functions such as `exp` count as 10.
        memory_share: of the machine's bandwidth.
        arithmetic_share: of the machine's multiply-adds.
        cached: whether its operands lie in a cache: it is faster than memory can be, or all that a
            step touches fits the second-level cache.
    """

    number: int
    kernel: str
    blocks: tuple[tuple[str, float], ...]
    seconds: float
    share: float
    calls: int
    threads: float
    read: int
    written: int
    flops: int
    memory_share: float
    arithmetic_share: float
    cached: bool

    @property
    def bytes_per_s(self) -> float:
        """Bytes read and written in a second; 0 where it took no time."""
        return (self.read + self.written) / self.seconds if self.seconds else 0.0

    @property
    def flops_per_s(self) -> float:
        """Floating-point operations in a second; 0 where it took no time."""
        return self.flops / self.seconds if self.seconds else 0.0

    @property
    def bound(self) -> Bound:
        """The limit that is nearest; "cache" where that would be memory, but is not touched."""
        if not self.memory_share and not self.arithmetic_share:
            return ""
        if self.arithmetic_share >= min(self.memory_share, 1.0):
            return "arithmetic"
        return "cache" if self.cached else "memory"


@dataclass(frozen=True)
class BlockTime:
    """What a step spends for one block of the diagram, in seconds.

    Attributes:
        name: the block's path; an optimizer's name; "diagram" for what is in no block.
        forward: computing its outputs.
        backward: computing its gradients.
        update: changing its states.
        estimated: whether kernels that it shares with others are among them.
    """

    name: str
    forward: float
    backward: float
    update: float
    estimated: bool

    @property
    def seconds(self) -> float:
        """All together."""
        return self.forward + self.backward + self.update


@dataclass(frozen=True)
class Profile:
    """Where the time of a step goes; printed, two tables.

    Attributes:
        name: the diagram's.
        method: "step" or "run".
        shapes: of the inputs, by name.
        repeats: how many steps were measured.
        threads: how many shared them.
        seconds: median time of a step as the caller of Python sees it, without the measuring.
        traced: the same with it.
        between: within the native call while no kernel runs: dispatch, waiting for each other.
        outside: before and after: checks of the inputs' places, new arrays, the call itself.
        rows: the kernels, in the order of the program.
        blocks: the blocks, by their time.
        limits: of the machine, on as many threads.
        trace: what happened in the step whose time is the median.
    """

    name: str
    method: Method
    shapes: Mapping[str, tuple[int, ...]]
    repeats: int
    threads: int
    seconds: float
    traced: float
    between: float
    outside: float
    rows: tuple[KernelTime, ...]
    blocks: tuple[BlockTime, ...]
    limits: Limits
    trace: Trace

    @property
    def in_kernels(self) -> float:
        """Seconds of a step with a kernel running."""
        return sum(row.seconds for row in self.rows)

    @property
    def parts(self) -> float:
        """Seconds in kernels, between and outside: what shares are of.

        They are medians each, so that this is not `traced` where steps differ.
        """
        return self.in_kernels + self.between + self.outside

    def table(self, top: int | None = 12) -> str:
        """The tables as text, with so many lines each; None for all."""
        return _tables(self, top)

    def __str__(self) -> str:
        return self.table()

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from html import escape

        return f"<pre>{escape(str(self))}</pre>"

    def chrome_trace(self, path: str | os.PathLike[str]) -> None:
        """Write the median step for ui.perfetto.dev or chrome://tracing: a track for each thread.

        Raises:
            OSError: the folder does not exist or cannot be written; a file there stays as it is.
        """
        write_atomically(path, _chrome_events(self).encode())


def split_origin(origin: str) -> tuple[str, str]:
    """A block's path, and the direction: "net/0 backward" is ("net/0", "backward")."""
    for direction in ("backward", "update"):
        if origin.endswith(f" {direction}"):
            return origin.removesuffix(f" {direction}"), direction
    return origin, "forward"


def _tables(profile: Profile, top: int | None) -> str:
    """Two tables, kernels and blocks, each by time, with `top` lines at most."""
    shapes = ", ".join(f"{name} {shape_text(shape)}" for name, shape in profile.shapes.items())
    where = profile.limits.where
    times = "once" if profile.repeats == 1 else f"median of {profile.repeats}"
    limits = profile.limits
    kernels = sorted(profile.rows, key=lambda row: -row.seconds)
    blocks = profile.blocks
    marked = any(block.estimated for block in blocks)
    parts = [
        (profile.in_kernels, "in kernels", ""),
        (profile.between, "between", "finding the next one, threads that wait for each other"),
        (profile.outside, "outside", "Python, new arrays"),
    ]
    lines = [
        f"{profile.method} of '{profile.name}'{f', {shapes}' if shapes else ''}: "
        f"{time_text(profile.seconds)} on {where}, {times}",
        f"with the clock read around every kernel: {time_text(profile.traced)}",
        *(
            f"  {text:10}  {time_text(seconds):>7}  {seconds / profile.parts:4.0%}  {what}".rstrip()
            for seconds, text, what in parts
        ),
        f"limits of this machine on {where}: {limits.bytes_per_s / 1e9:.3g} GB/s, a copy; "
        f"{limits.flops_per_s['float32'] / 1e9:.3g} GFLOP/s in float32, "
        f"{limits.flops_per_s['float64'] / 1e9:.3g} in float64",
        "",
        *_table(_HEAD, [_kernel_cells(row) for row in kernels], top),
        "",
        *_table(
            _BLOCK_HEAD,
            [
                (
                    time_text(block.seconds),
                    _share(block.seconds / profile.parts),
                    _shortened(block.name) + (" ~" if block.estimated else ""),
                    *(
                        time_text(seconds) if seconds else ""
                        for seconds in (block.forward, block.backward, block.update)
                    ),
                )
                for block in blocks
            ],
            top,
        ),
    ]
    if marked:
        lines += ["", "~ some of its kernels are shared: their time is divided by estimated work"]
    return "\n".join(lines)


def _kernel_cells(row: KernelTime) -> tuple[str, ...]:
    names = list(dict.fromkeys(name for name, _ in row.blocks))
    limit = {
        "arithmetic": f"{row.arithmetic_share:.0%} of arithmetic",
        "memory": f"{row.memory_share:.0%} of memory",
        "cache": "in a cache"
        + (f"; {row.arithmetic_share:.0%} of arithmetic" if row.flops else ""),
        "": "",
    }[row.bound]
    return (
        time_text(row.seconds),
        _share(row.share),
        _shortened(row.kernel),
        _shortened(", ".join(names)),
        str(row.calls),
        f"{row.threads:.1f}",
        f"{row.bytes_per_s / 1e9:.1f}",
        f"{row.flops_per_s / 1e9:.1f}" if row.flops else "",
        limit,
    )


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]], top: int | None) -> list[str]:
    shown = rows if top is None or len(rows) <= top + 1 else rows[:top]
    widths = [max(len(row[i]) for row in (head, *shown)) for i in range(len(head))]
    lines = [_line(row, widths, head) for row in (head, *shown)]
    if len(shown) < len(rows):
        lines.append(f"... and {len(rows) - len(shown)} more")
    return [lines[0], "─" * max(map(len, lines)), *lines[1:]]


def _line(cells: tuple[str, ...], widths: list[int], head: tuple[str, ...]) -> str:
    parts = [
        cell.ljust(width) if name in _LEFT else cell.rjust(width)
        for cell, width, name in zip(cells, widths, head, strict=True)
    ]
    return "  ".join(parts).rstrip()


def _shortened(text: str) -> str:
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"


def _share(share: float) -> str:
    return f"{100 * share:.1f}%"


def time_text(seconds: float) -> str:
    """Three digits and a unit: "12.3 us"."""
    for scale, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")):
        if seconds >= 0.9995 * scale:
            value = seconds / scale
            digits = 2 if value < 9.995 else 1 if value < 99.95 else 0
            return f"{value:.{digits}f} {unit}"
    return f"{1e9 * seconds:.0f} ns"


def _chrome_events(profile: Profile) -> str:
    """The median step in the trace-event format: an event for each share of a kernel.

    Microseconds, as that format has it; a track for each thread, and one event over all.
    """
    trace = profile.trace
    threads = sorted({0, *map(int, trace.threads)})
    events: list[dict[str, object]] = [
        {"ph": "M", "pid": 1, "name": "process_name", "args": {"name": f"diagrad {profile.name}"}}
    ]
    for thread in threads:
        name = "caller" if thread == 0 else f"helper {thread}"
        events.append(
            {"ph": "M", "pid": 1, "tid": thread, "name": "thread_name", "args": {"name": name}}
        )
    whole = {"ph": "X", "pid": 1, "tid": 0, "ts": 0.0, "dur": trace.span / 1e3}
    events.append({**whole, "name": f"{profile.method} of {profile.name}", "cat": "call"})
    for place, number in enumerate(map(int, trace.rows)):
        row = profile.rows[number]
        begin, end = float(trace.begins[place]), float(trace.ends[place])
        directions = dict.fromkeys(split_origin(name)[1] for name, _ in row.blocks)
        events.append({
            "ph": "X", "pid": 1, "tid": int(trace.threads[place]), "name": row.kernel,
            "cat": ",".join(directions), "ts": begin / 1e3, "dur": (end - begin) / 1e3,
            "args": {
                "row": number, "share": int(trace.chunks[place]), "shares": row.calls,
                "for": [name for name, _ in row.blocks],
                "flops": row.flops, "bytes": row.read + row.written,
            },
        })  # fmt: skip
    return json.dumps({"traceEvents": events, "displayTimeUnit": "ns"})
