"""The function of a persistent kernel: one block walks runs of several kernels, in their order.

    entry(table, lo, hi, runs, nothing, scratch, nothing)

[lo, hi) are the numbers of the runs that it makes.  `runs` is the address of RUN int64 for each of
them, by which all warps of the block find it:

    kernel, words, lo, hi, guards, guard count, bytes, nothing

the number of its kernel among those of the function, where its words begin, its indices, where the
addresses of its guards begin, and how many bytes a worker has for itself, from `scratch` on or in
shared memory.  `words` and `guards` are bytes from `table` on.  The arguments are as wide, and as
many, as those of a kernel's own entry.

A warp is a worker, or the whole block is, as in `entry.py`.  Where a run has guards, the block
meets behind them: all warps have looked before any of them writes.  Behind each run the block
meets, so that all see what any has written, and the memory of its workers is the next run's.
"""

from __future__ import annotations

from collections.abc import Sequence
from string import Template

from ...outcomes import HOLDS
from ..code import RUN
from .entry import ENTRY, TEAM, TEAM_ARGUMENTS


def part(number: int) -> str:
    """The name of a kernel's function in the module of a walk."""
    return f"part_{number}"


def walked(parts: Sequence[tuple[int, bool]], team: int = TEAM) -> str:
    """LLVM's text of the function, which calls those that `part` names.

    Args:
        parts: for each kernel how many arguments its text has, and whether a worker's memory is
            shared memory.
        team: warps of the block.
    """
    cases = " ".join(f"i64 {number}, label %begin{number}" for number in range(len(parts)))
    declared, made = [], []
    for number, (arguments, shared) in enumerate(parts):
        kinds = ", ".join(["ptr", "ptr", "ptr"] + ["i64"] * (arguments - 1))
        declared.append(f"declare i32 @{part(number)}({kinds})")
        together = arguments == TEAM_ARGUMENTS
        given = {3: "", 4: f", i64 %space{number}",
                 TEAM_ARGUMENTS: f", i64 %space{number}, i64 %warp, i64 {team}"}  # fmt: skip
        made.append(
            Template(_PART).substitute(
                n=number,
                kernel=part(number),
                worker=0 if together else "%warp",
                workers=1 if together else team,
                space=3 if shared else 1,
                memory="@dynamic_shared" if shared else "%scratch",
                room=0 if together else "%room",
                given=given[arguments],
                barrier=_BARRIER if together else "",
                behind="made" if together else "met",
            )
        )
    return Template(_WALK).substitute(
        entry=ENTRY, threads=32 * team, run=RUN, holds=HOLDS, barrier=_BARRIER, cases=cases,
        declared="\n".join(declared), parts="".join(made),
    )  # fmt: skip


_BARRIER = "call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 0)"

_WALK = """
@dynamic_shared = external addrspace(3) global [0 x i8], align 128
declare i32 @llvm.nvvm.read.ptx.sreg.tid.x()
declare void @llvm.nvvm.barrier.cta.sync.aligned.all(i32)
$declared
define ptx_kernel void @$entry(ptr addrspace(1) %table, i64 %lo, i64 %hi,
    ptr addrspace(1) %runs, i64 %nothing, ptr addrspace(1) %scratch, i64 %none)
    "nvvm.reqntid"="$threads" {
start:
  %result = alloca ptr
  %thread = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()
  %warp_number = lshr i32 %thread, 5
  %warp = zext i32 %warp_number to i64
  br label %walk
walk:
  %number = phi i64 [%lo, %start], [%next_number, %made]
  %more_runs = icmp slt i64 %number, %hi
  br i1 %more_runs, label %read, label %done
read:
  %run = getelementptr [$run x i64], ptr addrspace(1) %runs, i64 %number
  %which = load i64, ptr addrspace(1) %run, !invariant.load !0
  %words_place = getelementptr i64, ptr addrspace(1) %run, i64 1
  %words_at = load i64, ptr addrspace(1) %words_place, !invariant.load !0
  %near_words = getelementptr i8, ptr addrspace(1) %table, i64 %words_at
  %args = addrspacecast ptr addrspace(1) %near_words to ptr
  %first_place = getelementptr i64, ptr addrspace(1) %run, i64 2
  %first = load i64, ptr addrspace(1) %first_place, !invariant.load !0
  %last_place = getelementptr i64, ptr addrspace(1) %run, i64 3
  %last = load i64, ptr addrspace(1) %last_place, !invariant.load !0
  %guards_place = getelementptr i64, ptr addrspace(1) %run, i64 4
  %guards_at = load i64, ptr addrspace(1) %guards_place, !invariant.load !0
  %guards = getelementptr i8, ptr addrspace(1) %table, i64 %guards_at
  %count_place = getelementptr i64, ptr addrspace(1) %run, i64 5
  %guard_count = load i64, ptr addrspace(1) %count_place, !invariant.load !0
  %bytes_place = getelementptr i64, ptr addrspace(1) %run, i64 6
  %bytes = load i64, ptr addrspace(1) %bytes_place, !invariant.load !0
  %room = mul i64 %warp, %bytes
  %guarded = icmp sgt i64 %guard_count, 0
  br i1 %guarded, label %guard, label %begin
guard:
  %guard_number = phi i64 [0, %read], [%next_guard, %holds_so_far]
  %guard_place = getelementptr i64, ptr addrspace(1) %guards, i64 %guard_number
  %address = load i64, ptr addrspace(1) %guard_place, !invariant.load !0
  %flag = inttoptr i64 %address to ptr addrspace(1)
  %found = load i64, ptr addrspace(1) %flag
  %holds = icmp eq i64 %found, $holds
  br i1 %holds, label %holds_so_far, label %asked
holds_so_far:
  %next_guard = add i64 %guard_number, 1
  %more_guards = icmp slt i64 %next_guard, %guard_count
  br i1 %more_guards, label %guard, label %asked
asked:
  $barrier
  br i1 %holds, label %begin, label %made
begin:
  switch i64 %which, label %made [$cases]
$parts
met:
  $barrier
  br label %made
made:
  %next_number = add i64 %number, 1
  br label %walk
done:
  ret void
}
!0 = !{}
"""

_PART = """
begin$n:
  %own$n = getelementptr i8, ptr addrspace($space) $memory, i64 $room
  %memory$n = addrspacecast ptr addrspace($space) %own$n to ptr
  %space$n = ptrtoint ptr %memory$n to i64
  %begin_index$n = add i64 %first, $worker
  br label %deal$n
deal$n:
  %index$n = phi i64 [%begin_index$n, %begin$n], [%next$n, %dealt$n]
  %more$n = icmp slt i64 %index$n, %last
  br i1 %more$n, label %dealt$n, label %$behind
dealt$n:
  %after$n = add i64 %index$n, 1
  call i32 @$kernel(ptr %result, ptr null, ptr %args, i64 %index$n, i64 %after$n$given)
  $barrier
  %next$n = add i64 %index$n, $workers
  br label %deal$n
"""
