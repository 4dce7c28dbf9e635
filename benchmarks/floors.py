"""What a GPU needs for a step of each workload at least, predicted from what diagrad launches.

    python -m benchmarks.floors [WORKLOAD ...]

Nothing is measured and no GPU is asked: kernels and launch plans of the target "cuda" are plain
data, and made on any machine.  The prediction is

    launches on the longest path x the cost of a graph's node
        + the greater of  bytes moved / bandwidth  and  operations / rate

or, where that is more, the same path with the time of each launch's busiest worker, which no number
of multiprocessors makes shorter, and of all runs of a loop that one block walks; and, for a step
whose batch the host holds, the copies in and out over the bus.  It is a floor: no kernel
reaches the bandwidth and the rate.
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from diagrad.compiler.memory.plan_memory import plan_memory
from diagrad.compiler.pipeline import compile_kernels
from diagrad.runtime.cuda.plan import Plan, Walk, plan_launches
from diagrad.runtime.cuda.processor import Processor, Rates
from diagrad.runtime.cuda.shapes import WARP
from diagrad.runtime.cuda.walks import is_wide, moved
from diagrad.runtime.program import CUDA

from .peers import diagrad_
from .peers.common import Call
from .selection import workloads_for, workloads_named
from .workloads import WORKLOADS


@dataclass(frozen=True)
class Gpu:
    """A GPU in a few numbers.

    Attributes:
        name: of the product.
        rates: those that plans know.
        flops_per_s: of multiply-adds in float32, on its vector units.
        bus_bytes_per_s: between the host's pinned memory and its own.
    """

    name: str
    rates: Rates
    flops_per_s: float
    bus_bytes_per_s: float


H100 = Gpu("H100 SXM", Rates(), 67e12, 55e9)
"""The rate: NVIDIA, H100 data sheet.  The bus: PCIe 5 x16, 64 GB/s, less what its packets take.
The rest: see `runtime/cuda/processor.py`; assumptions here, which nobody of this project has
measured."""


@dataclass(frozen=True)
class Floor:
    """What a step of a workload is on a GPU.

    Attributes:
        workload: its name.
        rows: of the table.
        runs: of all rows, in a step.
        launches: of a step, in which one block may walk many runs.
        depth: launches of the longest chain in which each waits for the one before.
        moved: bytes that the launches read and write.
        copied: bytes between the host and the GPU.
        operations: those of the products, or the compiler's estimate where that is more.
        busiest: seconds of the longest path with each launch's busiest worker, or all of its walk.
        apart: depth and busiest if every run were launched by itself.
        often: the rows that are launched most often: what they compute, and how often.
    """

    workload: str
    rows: int
    runs: int
    launches: int
    depth: int
    moved: int
    copied: int
    operations: float
    busiest: float
    apart: tuple[int, float]
    often: tuple[tuple[str, int], ...]

    def parts(self, gpu: Gpu) -> dict[str, float]:
        """Seconds of launches, of memory or arithmetic, of workers that are alone, of copies."""
        launches = self.depth * gpu.rates.node_s
        work = max(self.moved / gpu.rates.bytes_per_s, self.operations / gpu.flops_per_s)
        return {
            "launches": launches,
            "memory or arithmetic": work,
            "few workers": max(0.0, self.busiest - launches - work),
            "copies": self.copied / gpu.bus_bytes_per_s,
        }

    def seconds(self, gpu: Gpu) -> float:
        """The floor."""
        return sum(self.parts(gpu).values())

    def apart_seconds(self, gpu: Gpu) -> float:
        """The floor if every run were launched by itself."""
        depth, busiest = self.apart
        return replace(self, depth=depth, busiest=busiest).seconds(gpu)


def busiest(plan: Plan, rates: Rates) -> float:
    """Seconds of the longest path: a node and the busiest worker of each launch, or a walk."""
    program = plan.program
    walked: dict[int, float] = {}
    ends: list[float] = []
    for launch in plan.launches:
        spent = rates.node_s
        for run in launch.runs:
            item = program.instructions[run.row]
            if not isinstance(launch, Walk):
                spent += rates.busiest_s(item, run.workers, run.team)
                continue
            if run.row not in walked:
                times = program.times[run.row]
                nbytes = moved(program, item, times) // times
                walked[run.row] = rates.run_work_s(
                    item, nbytes, 1, run.threads // WARP, run.team, is_wide(program, item)
                )
            spent += rates.run_s + walked[run.row]
        ends.append(spent + max((ends[number] for number in launch.after), default=0.0))
    return max(ends, default=0.0)


def plans_of(call: Call, rates: Rates) -> tuple[Plan, Plan]:
    """What a call launches on a GPU, and if no loop were walked; of a program for any target."""
    execution = call.program.execution(call.method, call.inputs)
    sizes = execution.sizes_of(call.method, [call.inputs[e.name] for e in execution.expected])
    program = plan_memory(compile_kernels(execution.graph, target=CUDA), sizes)
    never = replace(rates, run_s=math.inf)
    one, two = (plan_launches(program, Processor(rates=each)) for each in (rates, never))
    return one, two


def floor_of(workload: str, gpu: Gpu = H100) -> Floor:
    """The floor of a step."""
    work = WORKLOADS[workload]
    diagrad_.set_target("reference")
    calls = diagrad_.build(workload, work.make()).calls()
    both = [plans_of(call, gpu.rates) for call in calls]
    plans, apart = [one for one, _ in both], [two for _, two in both]
    programs = [plan.program for plan in plans]
    often: Counter[str] = Counter()
    for program in programs:
        for item, times in zip(program.instructions, program.times, strict=True):
            often[", ".join(item.origins) or program.kernels[item.kernel].name] += times
    return Floor(
        workload,
        sum(len(program.instructions) for program in programs),
        sum(len(plan.runs) for plan in plans),
        sum(len(plan.launches) for plan in plans),
        sum(plan.depth for plan in plans),
        sum(plan.bytes_moved for plan in plans),
        sum(
            plan.bytes_copied for call, plan in zip(calls, plans, strict=True) if not call.resident
        ),
        max(work.flops, sum(program.work for program in programs)),
        sum(busiest(plan, gpu.rates) for plan in plans),
        (sum(plan.depth for plan in apart), sum(busiest(plan, gpu.rates) for plan in apart)),
        tuple(often.most_common(3)),
    )


def floors_text(floors: Sequence[Floor], gpu: Gpu) -> str:
    """The table as Markdown."""
    lines = [
        f"Predicted, not measured: {gpu.name}, {1e6 * gpu.rates.node_s:g} us a node, "
        f"{1e6 * gpu.rates.run_s:g} us a run of a walk, "
        f"{gpu.rates.bytes_per_s / 1e12:g} TB/s, {gpu.flops_per_s / 1e12:g} TFLOP/s in float32, "
        f"{gpu.bus_bytes_per_s / 1e9:g} GB/s to the host.",
        "",
        "| workload | rows | runs | launches | longest path | moved, MB | copied, MB "
        "| operations, M | launches, us | memory or arithmetic, us | few workers, us | copies, us "
        "| floor, us | without walks, us | most of it |",
        "|---|" + "---:|" * 13 + "---|",
    ]
    for one in floors:
        spent = one.parts(gpu)
        seconds = (*spent.values(), one.seconds(gpu), one.apart_seconds(gpu))
        times = " | ".join(f"{1e6 * part:.4g}" for part in seconds)
        most = max(spent, key=lambda part: spent[part])
        lines.append(
            f"| `{one.workload}` | {one.rows} | {one.runs} | {one.launches} | {one.depth} "
            f"| {one.moved / 1e6:.4g} | {one.copied / 1e6:.4g} | {one.operations / 1e6:.4g} "
            f"| {times} | {most} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Print the table, of the workloads that the command line names or of all."""
    named = sys.argv[1:]
    workloads = workloads_named(named, "cuda") if named else workloads_for("cuda")
    print(floors_text([floor_of(workload) for workload in workloads], H100))


if __name__ == "__main__":
    main()
