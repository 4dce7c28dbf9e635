"""What a GPU needs for a step of each workload at least, predicted from what diagrad launches.

    python -m benchmarks.floors [WORKLOAD ...]

Nothing is measured and no GPU is asked: kernels and launch plans of the target "cuda" are plain
data, and made on any machine.  The prediction is

    launches on the longest path x the cost of a graph's node
        + the greater of  bytes moved / bandwidth  and  operations / rate

or, where that is more, the same path with the time of each launch's busiest worker, which no number
of multiprocessors makes shorter; and, for a step whose batch the host holds, the copies in and out
over the bus.  It is a floor: no kernel reaches the bandwidth and the rate.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from diagrad.compiler.memory.plan_memory import plan_memory
from diagrad.compiler.pipeline import compile_kernels
from diagrad.runtime.cuda.plan import Plan, plan_launches
from diagrad.runtime.program import CUDA

from .peers import diagrad_
from .peers.common import Call
from .selection import workloads_for, workloads_named
from .workloads import WORKLOADS


@dataclass(frozen=True)
class Gpu:
    """A GPU in four numbers.

    Attributes:
        name: of the product.
        node_s: seconds from the end of a kernel to the beginning of one that waits for it, in a
            graph.
        bytes_per_s: of its memory.
        flops_per_s: of multiply-adds in float32, on its vector units.
        bus_bytes_per_s: between the host's pinned memory and its own.
        warp_ops_per_s: operations on one element that a warp makes: 32 a cycle.
        team_ops_per_s: multiply-adds of a team of warps, which has a multiprocessor: 128 a cycle.
    """

    name: str
    node_s: float
    bytes_per_s: float
    flops_per_s: float
    bus_bytes_per_s: float
    warp_ops_per_s: float
    team_ops_per_s: float


_CLOCK = 1.98e9
H100 = Gpu("H100 SXM", 1.3e-6, 3.35e12, 67e12, 55e9, 32 * _CLOCK, 128 * _CLOCK)
"""Bandwidth and rate: NVIDIA, H100 data sheet.  The bus: PCIe 5 x16, 64 GB/s, less what its packets
take.  A node: as reported for empty kernels in a graph on an H100 (Hazy Research, "Look Ma, No
Bubbles!", 2025); an assumption here, which nobody of this project has measured."""

MULTIPLY_ADDS = 12.5
"""Of a product, what the compiler's estimate counts as one operation on one element."""


@dataclass(frozen=True)
class Floor:
    """What a step of a workload is on a GPU.

    Attributes:
        workload: its name.
        rows: of the table.
        launches: of a step.
        depth: launches of the longest chain in which each waits for the one before.
        moved: bytes that the launches read and write.
        copied: bytes between the host and the GPU.
        operations: those of the products, or the compiler's estimate where that is more.
        busiest: seconds of the longest path with each launch's busiest worker.
        often: the rows that are launched most often: what they compute, and how often.
    """

    workload: str
    rows: int
    launches: int
    depth: int
    moved: int
    copied: int
    operations: float
    busiest: float
    often: tuple[tuple[str, int], ...]

    def parts(self, gpu: Gpu) -> dict[str, float]:
        """Seconds of launches, of memory or arithmetic, of workers that are alone, of copies."""
        launches = self.depth * gpu.node_s
        work = max(self.moved / gpu.bytes_per_s, self.operations / gpu.flops_per_s)
        return {
            "launches": launches,
            "memory or arithmetic": work,
            "few workers": max(0.0, self.busiest - launches - work),
            "copies": self.copied / gpu.bus_bytes_per_s,
        }

    def seconds(self, gpu: Gpu) -> float:
        """The floor."""
        return sum(self.parts(gpu).values())


def busiest(plan: Plan, gpu: Gpu) -> float:
    """Seconds of the longest path, each launch a node and its busiest worker's share."""
    ends: list[float] = []
    for launch in plan.launches:
        item = plan.program.instructions[launch.row]
        share = item.work * -(-item.extent // launch.workers) / item.extent
        rate = gpu.team_ops_per_s / MULTIPLY_ADDS if launch.team else gpu.warp_ops_per_s
        before = max((ends[number] for number in launch.after), default=0.0)
        ends.append(before + gpu.node_s + share / rate)
    return max(ends, default=0.0)


def plan_of(call: Call) -> Plan:
    """What a call launches on a GPU; of a program compiled for any target."""
    execution = call.program.execution(call.method, call.inputs)
    sizes = execution.sizes_of(call.method, [call.inputs[e.name] for e in execution.expected])
    return plan_launches(plan_memory(compile_kernels(execution.graph, target=CUDA), sizes))


def floor_of(workload: str, gpu: Gpu = H100) -> Floor:
    """The floor of a step."""
    work = WORKLOADS[workload]
    diagrad_.set_target("reference")
    calls = diagrad_.build(workload, work.make()).calls()
    plans = [plan_of(call) for call in calls]
    programs = [plan.program for plan in plans]
    often: Counter[str] = Counter()
    for program in programs:
        for item, times in zip(program.instructions, program.times, strict=True):
            often[", ".join(item.origins) or program.kernels[item.kernel].name] += times
    return Floor(
        workload,
        sum(len(program.instructions) for program in programs),
        sum(len(plan.launches) for plan in plans),
        sum(plan.depth for plan in plans),
        sum(plan.bytes_moved for plan in plans),
        sum(
            plan.bytes_copied for call, plan in zip(calls, plans, strict=True) if not call.resident
        ),
        max(work.flops, sum(program.work for program in programs)),
        sum(busiest(plan, gpu) for plan in plans),
        tuple(often.most_common(3)),
    )


def floors_text(floors: Sequence[Floor], gpu: Gpu) -> str:
    """The table as Markdown."""
    lines = [
        f"Predicted, not measured: {gpu.name}, {1e6 * gpu.node_s:g} us a node, "
        f"{gpu.bytes_per_s / 1e12:g} TB/s, {gpu.flops_per_s / 1e12:g} TFLOP/s in float32, "
        f"{gpu.bus_bytes_per_s / 1e9:g} GB/s to the host.",
        "",
        "| workload | rows | launches | longest path | moved, MB | copied, MB | operations, M "
        "| launches, us | memory or arithmetic, us | few workers, us | copies, us | floor, us "
        "| most of it |",
        "|---|" + "---:|" * 11 + "---|",
    ]
    for one in floors:
        spent = one.parts(gpu)
        seconds = (*spent.values(), one.seconds(gpu))
        times = " | ".join(f"{1e6 * part:.4g}" for part in seconds)
        most = max(spent, key=lambda part: spent[part])
        lines.append(
            f"| `{one.workload}` | {one.rows} | {one.launches} | {one.depth} "
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
