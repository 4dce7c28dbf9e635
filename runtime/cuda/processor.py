"""What plans know of a device: a few numbers, and what they say of the time that a run takes.

The numbers decide which loops one block walks (`walks.py`).  None of them has been measured here.
Rates follow from what the driver states, or are an H100 SXM's by NVIDIA's data sheet and
programming guide: a clock of 1.98 GHz, 128 operations or multiply-adds that a multiprocessor begins
in a cycle, 64 bytes a cycle from the cache that all multiprocessors share.  A node of a graph: as
reported for empty kernels one after another on an H100 (Hazy Research, "Look Ma, No Bubbles!",
2025).  What a run of a walk takes beyond its work: what names it comes from that cache, in some 260
cycles (Luo et al., "Benchmarking and Dissecting the Nvidia Hopper GPU Architecture via
Microbenchmarking", 2024), then the block meets twice; twice as much is reckoned with.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..program import Instruction

CLOCK = 1.98e9
"""Cycles a second."""

MULTIPLY_ADDS = 12.5
"""Of a product, what the compiler's estimate counts as one operation on one element."""


@dataclass(frozen=True, slots=True)
class Rates:
    """How fast a device is.

    Attributes:
        node_s: seconds from the end of a kernel to the beginning of one that waits for it, in a
            graph.
        run_s: seconds from the end of a run of a walk to the beginning of the next.
        bytes_per_s: of the device's memory.
        own_bytes_per_s: that one multiprocessor reads and writes.
        warp_ops_per_s: operations on one element that a warp makes: 32 a cycle.
        team_ops_per_s: multiply-adds of a team of warps, which has a multiprocessor: 128 a cycle.
        double: of these rates, those in float64.
    """

    node_s: float = 1.3e-6
    run_s: float = 0.3e-6
    bytes_per_s: float = 3.35e12
    own_bytes_per_s: float = 64 * CLOCK
    warp_ops_per_s: float = 32 * CLOCK
    team_ops_per_s: float = 128 * CLOCK
    double: float = 0.5

    @staticmethod
    def stated(clock: float, bytes_per_s: float, singles: int, doubles: int) -> Rates:
        """Those of a device by what its driver states, or an H100's where it states nothing.

        Args:
            clock: cycles a second.
            bytes_per_s: of the device's memory.
            singles: multiply-adds that a multiprocessor begins in a cycle, in float32.
            doubles: the same in float64.
        """
        clock = clock or CLOCK
        return Rates(
            bytes_per_s=bytes_per_s or Rates().bytes_per_s,
            own_bytes_per_s=64 * clock,
            warp_ops_per_s=32 * clock,
            team_ops_per_s=singles * clock,
            double=doubles / singles,
        )

    def busiest_s(self, item: Instruction, workers: int, team: bool) -> float:
        """Seconds of the worker that has most to do of a row, whose indices are dealt."""
        share = item.work * -(-item.extent // workers) / item.extent
        return share / (self.team_ops_per_s / MULTIPLY_ADDS if team else self.warp_ops_per_s)

    def run_work_s(
        self, item: Instruction, nbytes: int, blocks: int, warps: int, team: bool, wide: bool
    ) -> float:
        """Seconds of a run of a row, from its first instruction to its last.

        Args:
            item: the row.
            nbytes: that it reads and writes.
            blocks: multiprocessors that have a part of it.
            warps: of each.
            team: whether a worker is a whole block.
            wide: whether it computes in float64.
        """
        moved = nbytes / min(self.bytes_per_s, blocks * self.own_bytes_per_s)
        spent = self.busiest_s(item, blocks if team else blocks * warps, team)
        if not team:
            spent = max(spent, item.work / (blocks * self.team_ops_per_s))
        return max(moved, spent / self.double if wide else spent)


@dataclass(frozen=True, slots=True)
class Processor:
    """What a plan must know of a device.

    Attributes:
        multiprocessors: how many it has.
        shared: bytes of shared memory that a block may ask for.
        rates: how fast it is.
    """

    multiprocessors: int = 132
    shared: int = 200 << 10
    rates: Rates = Rates()


H100 = Processor()
"""An H100 SXM."""
