"""A team of warps on the host, a thread of the system for each lane: what becomes PTX runs here.

The words between lanes are NVVM's intrinsics; here they are functions in which all threads wait for
one another.  So a word that only some lanes reach is found, since the others wait in vain, and so
is a lane that reads what another has yet to write.
"""

import ctypes
import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import llvmlite.binding as llvm

from diagrad.runtime.building.lowering import Lowered, lower_kernel
from diagrad.runtime.building.passes import optimize, parsed
from diagrad.runtime.cpu import host
from diagrad.runtime.cpu.building.natives import Request, obtain
from diagrad.runtime.cuda.building.walk import part, walked
from diagrad.runtime.cuda.routines.routines import lowered_routine
from diagrad.runtime.forking import COMPILING
from diagrad.runtime.program import ROUTINES, Kernel
from diagrad.runtime.words.machine import WARP

PATIENCE = 200_000
"""How often a thread looks whether the others have come: some seconds."""

_INTRINSICS = """
declare i64 @pthread_self()
declare i32 @sched_yield()
@warp.ids = internal global [LANES x i64] zeroinitializer
@warp.seen = internal global [LANES x i64] zeroinitializer
@warp.come = internal global [LANES x i64] zeroinitializer
@block.come = internal global i64 0
@warp.lost = internal global i64 0

define internal void @warp.begin(i64 %lane) {
  %id = call i64 @pthread_self()
  %place = getelementptr i64, ptr @warp.ids, i64 %lane
  store atomic i64 %id, ptr %place release, align 8
  call void @warp.wait(ptr @block.come, i64 LANES)
  ret void
}

define internal i32 @nvvm.read.ptx.sreg.tid.x() {
start:
  %id = call i64 @pthread_self()
  br label %look
look:
  %lane = phi i32 [0, %start], [%next, %look]
  %next = add i32 %lane, 1
  %place = getelementptr i64, ptr @warp.ids, i32 %lane
  %other = load atomic i64, ptr %place acquire, align 8
  %own = icmp eq i64 %other, %id
  br i1 %own, label %found, label %look
found:
  ret i32 %lane
}

define internal i32 @nvvm.read.ptx.sreg.laneid() {
  %thread = call i32 @nvvm.read.ptx.sreg.tid.x()
  %lane = and i32 %thread, 31
  ret i32 %lane
}

define internal i32 @nvvm.read.ptx.sreg.lanemask.lt() {
  %lane = call i32 @nvvm.read.ptx.sreg.laneid()
  %bit = shl i32 1, %lane
  %below = sub i32 %bit, 1
  ret i32 %below
}

define internal void @warp.wait(ptr %come, i64 %all) {
start:
  %before = atomicrmw add ptr %come, i64 1 acq_rel
  %turn = udiv i64 %before, %all
  %following = add i64 %turn, 1
  %wanted = mul i64 %following, %all
  br label %wait
wait:
  %tries = phi i64 [0, %start], [%more, %give]
  %now = load atomic i64, ptr %come acquire, align 8
  %lost = load atomic i64, ptr @warp.lost acquire, align 8
  %here = icmp uge i64 %now, %wanted
  %given_up = icmp ne i64 %lost, 0
  %done = or i1 %here, %given_up
  br i1 %done, label %end, label %give
give:
  call i32 @sched_yield()
  %more = add i64 %tries, 1
  %patient = icmp ult i64 %more, PATIENCE
  br i1 %patient, label %wait, label %lose
lose:
  store atomic i64 1, ptr @warp.lost release, align 8
  br label %end
end:
  ret void
}

define internal void @nvvm.bar.warp.sync(i32 %all) {
  %first = call i32 @warp.first()
  %come = getelementptr i64, ptr @warp.come, i32 %first
  call void @warp.wait(ptr %come, i64 32)
  ret void
}

define internal void @nvvm.barrier.cta.sync.aligned.count(i32 %number, i32 %threads) {
  call void @warp.wait(ptr @block.come, i64 LANES)
  ret void
}

define internal void @nvvm.barrier.cta.sync.aligned.all(i32 %number) {
  call void @warp.wait(ptr @block.come, i64 LANES)
  ret void
}

define internal i32 @warp.first() {
  %thread = call i32 @nvvm.read.ptx.sreg.tid.x()
  %first = and i32 %thread, -32
  ret i32 %first
}

define internal void @warp.show(i64 %own) {
  %thread = call i32 @nvvm.read.ptx.sreg.tid.x()
  %place = getelementptr i64, ptr @warp.seen, i32 %thread
  store i64 %own, ptr %place
  call void @nvvm.bar.warp.sync(i32 -1)
  ret void
}

define internal i32 @warp.equal(i64 %number) {
start:
  %first = call i32 @warp.first()
  %seen = getelementptr i64, ptr @warp.seen, i32 %first
  br label %look
look:
  %lane = phi i32 [0, %start], [%next, %look]
  %found = phi i32 [0, %start], [%more, %look]
  %place = getelementptr i64, ptr %seen, i32 %lane
  %other = load i64, ptr %place
  %same = icmp eq i64 %other, %number
  %one = zext i1 %same to i32
  %bit = shl i32 %one, %lane
  %more = or i32 %found, %bit
  %next = add i32 %lane, 1
  %left = icmp ult i32 %next, 32
  br i1 %left, label %look, label %done
done:
  call void @nvvm.bar.warp.sync(i32 -1)
  ret i32 %more
}

define internal i32 @nvvm.match.any.sync.i64(i32 %all, i64 %own) {
  call void @warp.show(i64 %own)
  %equal = call i32 @warp.equal(i64 %own)
  ret i32 %equal
}

define internal i32 @nvvm.vote.ballot.sync(i32 %all, i1 %bit) {
  %own = zext i1 %bit to i64
  call void @warp.show(i64 %own)
  %set = call i32 @warp.equal(i64 1)
  ret i32 %set
}

define internal i1 @nvvm.vote.any.sync(i32 %all, i1 %bit) {
  %set = call i32 @nvvm.vote.ballot.sync(i32 %all, i1 %bit)
  %some = icmp ne i32 %set, 0
  ret i1 %some
}

define internal i1 @nvvm.vote.all.sync(i32 %all, i1 %bit) {
  %set = call i32 @nvvm.vote.ballot.sync(i32 %all, i1 %bit)
  %every = icmp eq i32 %set, -1
  ret i1 %every
}

define internal i32 @nvvm.shfl.sync.idx.i32(i32 %all, i32 %word, i32 %lane, i32 %clamp) {
  %own = zext i32 %word to i64
  call void @warp.show(i64 %own)
  %first = call i32 @warp.first()
  %thread = add i32 %first, %lane
  %place = getelementptr i64, ptr @warp.seen, i32 %thread
  %other = load i64, ptr %place
  call void @nvvm.bar.warp.sync(i32 -1)
  %found = trunc i64 %other to i32
  ret i32 %found
}

define internal i32 @nvvm.shfl.sync.bfly.i32(i32 %all, i32 %word, i32 %step, i32 %clamp) {
  %lane = call i32 @nvvm.read.ptx.sreg.laneid()
  %other = xor i32 %lane, %step
  %found = call i32 @nvvm.shfl.sync.idx.i32(i32 %all, i32 %word, i32 %other, i32 %clamp)
  ret i32 %found
}
"""


_NATIVE = re.compile(r"(?m)^declare .*llvm\.nvvm\..*$")


def _meant(text: str) -> str:
    """LLVM's text with the functions above in the place of the intrinsics."""
    called = set(re.findall(r"@\"?llvm\.(nvvm\.[a-z0-9.]+)", text))
    for name in called:
        text = re.sub(rf"@\"?llvm\.{re.escape(name)}\"?(?=\()", f"@{name}", text)
    return text


def build_warp(source: str, symbol: str, warps: int) -> bytes:
    """Object code of `symbol(args, lo, hi, space, thread)`, which all threads call at once.

    The answer is whether they have waited for one another in vain.  They are a team of so many
    warps.
    """
    with COMPILING:
        lowered = lower_kernel(source, symbol, WARP)
        more = {3: "", 4: ", i64 %space", 6: f", i64 %space, i64 %warp, i64 {warps}"}
        text = f"""{lowered.text}
define i64 @{symbol}(ptr %args, i64 %lo, i64 %hi, i64 %space, i64 %thread) {{
  %result = alloca ptr
  %warp = udiv i64 %thread, {WARP.lanes}
  call void @warp.begin(i64 %thread)
  call i32 @"{lowered.function}"(
    ptr %result, ptr null, ptr %args, i64 %lo, i64 %hi{more[lowered.arguments]}
  )
{_ENDING}
}}
"""
        return _object(text, symbol, warps, ())


SHARED = 48 << 10
"""Bytes of shared memory of a walk."""


def build_walk(source: str, symbol: str, warps: int) -> bytes:
    """The same of a walk, `symbol(table, lo, hi, runs, scratch, thread)`, of the texts in `source`.

    Each has a letter in front for where a worker's memory is; behind it is a byte of zeros.
    """
    with COMPILING:
        near = [text[0] == "s" for text in source.split("\0")]
        parts = [lower_kernel(text[1:], symbol, WARP) for text in source.split("\0")]
        walk = walked([(p.arguments, own) for p, own in zip(parts, near, strict=True)], warps)
        memory = f"internal addrspace(3) global [{SHARED} x i8] zeroinitializer"
        walk = walk.replace("external addrspace(3) global [0 x i8]", memory)
        text = f"""{walk.replace("ptx_kernel ", "")}
define i64 @{symbol}(ptr addrspace(1) %table, i64 %lo, i64 %hi, ptr addrspace(1) %runs,
    ptr addrspace(1) %scratch, i64 %thread) {{
  call void @warp.begin(i64 %thread)
  call void @entry(ptr addrspace(1) %table, i64 %lo, i64 %hi, ptr addrspace(1) %runs, i64 0,
    ptr addrspace(1) %scratch, i64 0)
{_ENDING}
}}
"""
        return _object(text, symbol, warps, parts)


_ENDING = """
  call void @warp.wait(ptr @block.come, i64 LANES)
  %lost = load atomic i64, ptr @warp.lost acquire, align 8
  ret i64 %lost"""


def _object(text: str, symbol: str, warps: int, parts: Sequence[Lowered]) -> bytes:
    """Object code of LLVM's text, whose intrinsics and routines are added, and a walk's kernels."""
    count = WARP.lanes * warps
    meanings = _INTRINSICS.replace("LANES", str(count)).replace("PATIENCE", str(PATIENCE))
    text = f"""{_meant(_NATIVE.sub("", text)).replace("LANES", str(count))}
{meanings.replace("define internal", "define")}
"""
    target, context = host.target_machine(), llvm.create_context()
    own = set(re.findall(r"(?m)^define .*?@([a-z0-9.]+)\(", meanings)) | {symbol}
    module = parsed(text, target, own, context)
    for number, lowered in enumerate(parts):
        inner = parsed(_meant(lowered.text), target, {lowered.function}, context)
        inner.get_function(lowered.function).name = part(number)
        module.link_in(inner)
    for name in [f.name for f in module.functions if f.is_declaration]:
        if name in ROUTINES:
            routine = _meant(lowered_routine(name, WARP))
            module.link_in(parsed(routine, target, {name}, context))
    for function in module.functions:
        if not function.is_declaration and function.name != symbol:
            function.linkage = "internal"
    optimize(module, target, 2)
    return bytes(target.emit_object(module))


@cache
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads)


class Warp:
    """A kernel that runs as a warp, or as a team of some."""

    build = staticmethod(build_warp)

    def __init__(self, source: str, warps: int = 1) -> None:
        self.threads = WARP.lanes * warps
        self.native = obtain([Request("warp", source, self.build, more=(warps,))])[0]

    def __call__(self, *given: int) -> None:
        """Run it once, with args, lo, hi and space.

        What its threads tell one another is the kernel's, so one runs at a time.
        """
        kinds = [ctypes.c_int64] * (len(given) + 1)
        function = ctypes.CFUNCTYPE(ctypes.c_int64, *kinds)(self.native.address)
        pool = _pool(os.getpid(), self.threads)
        made = [pool.submit(function, *given, number) for number in range(self.threads)]
        assert not any([one.result() for one in made]), "a word that only some lanes reach"


class WarpsOfWalk(Warp):
    """A walk, of so many warps, with table, lo, hi, runs and scratch."""

    build = staticmethod(build_walk)

    def __init__(self, kernels: Sequence[tuple[Kernel, bool]], warps: int) -> None:
        texts = [("s" if near else "g") + kernel.source for kernel, near in kernels]
        super().__init__("\0".join(texts), warps)
