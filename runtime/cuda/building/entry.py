"""The function that a launch calls: it asks the checks before it, and deals indices to workers.

    entry(args, lo, hi, guards, guard_count, scratch, bytes)

`args` is the address of the kernel's words, [lo, hi) the indices of this launch; `guards` is the
address of `guard_count` addresses, of an int64 each: unless all of them are HOLDS, the launch does
nothing.  `bytes` is the size of a worker's memory, which lies in dynamic shared memory, or in
global memory from `scratch` on.  All are 64 bits wide.

The worker of a kernel is a warp, or, if its text has the arguments `warp` and `warps`, a block.
Worker w of W gets the indices lo + w, lo + w + W and so on, one at a time.
"""

from __future__ import annotations

from string import Template

from ...building.lowering import Lowered
from ...outcomes import HOLDS

ENTRY = "entry"
"""The name of the function, in every module."""

WARPS = 4
"""Warps that a block has at most where each of them is a worker."""

TEAM = 8
"""Warps that a block has where all of them are one worker."""

TEAM_ARGUMENTS = 6
"""Of the text of a kernel whose worker is a block."""


def threads(arguments: int) -> int:
    """Threads that a block of a kernel has at most, by the number of arguments of its text."""
    return 32 * (TEAM if arguments == TEAM_ARGUMENTS else WARPS)


def entered(lowered: Lowered, shared: bool) -> str:
    """LLVM's text of the function, to stand behind the kernel's.

    Args:
        lowered: the kernel, whose text has 3, 4 or 6 arguments.
        shared: whether a worker's memory is shared memory.
    """
    team = lowered.arguments == TEAM_ARGUMENTS
    given = {3: "", 4: ", i64 %space", TEAM_ARGUMENTS: f", i64 %space, i64 %warp, i64 {TEAM}"}
    return Template(_ENTRY).substitute(
        entry=ENTRY,
        holds=HOLDS,
        bound=f'"nvvm.{"reqntid" if team else "maxntid"}"="{threads(lowered.arguments)}"',
        workers=_TEAM if team else _WARPS,
        space=_SHARED if shared else _SCRATCH,
        kernel=lowered.function,
        given=given[lowered.arguments],
        barrier=_BARRIER if team else "",
        declared=_DECLARED if team else "",
    )


_ENTRY = """
@dynamic_shared = external addrspace(3) global [0 x i8], align 128
declare i32 @llvm.nvvm.read.ptx.sreg.tid.x()
declare i32 @llvm.nvvm.read.ptx.sreg.ntid.x()
declare i32 @llvm.nvvm.read.ptx.sreg.ctaid.x()
declare i32 @llvm.nvvm.read.ptx.sreg.nctaid.x()
$declared
define ptx_kernel void @$entry(ptr addrspace(1) %table, i64 %lo, i64 %hi,
    ptr addrspace(1) %guards, i64 %guard_count, ptr addrspace(1) %scratch, i64 %bytes) $bound {
start:
  %result = alloca ptr
  %args = addrspacecast ptr addrspace(1) %table to ptr
  br label %guard
guard:
  %number = phi i64 [0, %start], [%next_guard, %asked]
  %all_hold = icmp sge i64 %number, %guard_count
  br i1 %all_hold, label %begin, label %asked
asked:
  %guard_place = getelementptr i64, ptr addrspace(1) %guards, i64 %number
  %address = load i64, ptr addrspace(1) %guard_place
  %check = inttoptr i64 %address to ptr addrspace(1)
  %found = load i64, ptr addrspace(1) %check
  %next_guard = add i64 %number, 1
  %holds = icmp eq i64 %found, $holds
  br i1 %holds, label %guard, label %done
begin:
  %thread = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()
  %warp_number = lshr i32 %thread, 5
  %warp = zext i32 %warp_number to i64
  %block_number = call i32 @llvm.nvvm.read.ptx.sreg.ctaid.x()
  %block = zext i32 %block_number to i64
  %block_count = call i32 @llvm.nvvm.read.ptx.sreg.nctaid.x()
  %blocks = zext i32 %block_count to i64
$workers
$space
  %space = ptrtoint ptr %memory to i64
  %first = add i64 %lo, %worker
  br label %deal
deal:
  %index = phi i64 [%first, %begin], [%next, %dealt]
  %more = icmp slt i64 %index, %hi
  br i1 %more, label %dealt, label %done
dealt:
  %after = add i64 %index, 1
  call i32 @"$kernel"(ptr %result, ptr null, ptr %args, i64 %index, i64 %after$given)
$barrier
  %next = add i64 %index, %workers
  br label %deal
done:
  ret void
}
"""

_WARPS = """
  %thread_count = call i32 @llvm.nvvm.read.ptx.sreg.ntid.x()
  %warp_count = lshr i32 %thread_count, 5
  %warps = zext i32 %warp_count to i64
  %before = mul i64 %block, %warps
  %worker = add i64 %before, %warp
  %workers = mul i64 %blocks, %warps
  %room = mul i64 %warp, %bytes"""

_TEAM = """
  %worker = add i64 %block, 0
  %workers = add i64 %blocks, 0
  %room = add i64 0, 0"""

_SHARED = """
  %near = getelementptr i8, ptr addrspace(3) @dynamic_shared, i64 %room
  %memory = addrspacecast ptr addrspace(3) %near to ptr"""

_SCRATCH = """
  %behind = mul i64 %worker, %bytes
  %far = getelementptr i8, ptr addrspace(1) %scratch, i64 %behind
  %memory = addrspacecast ptr addrspace(1) %far to ptr"""

_BARRIER = """
  ; The next index uses the same memory.
  call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 0)"""

_DECLARED = "declare void @llvm.nvvm.barrier.cta.sync.aligned.all(i32)"
