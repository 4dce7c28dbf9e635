"""The native functions that let several threads share one step.

The caller of a program and its helpers all walk the same table.  At each instruction a thread
claims chunks until none is left, and goes on to the next; it waits only where an instruction may
not start yet.  Nobody waits for a helper to come: a step is complete when all chunks are done,
whoever did them, so that a caller whose helpers are busy or not scheduled runs alone.

    job       int64[JOB]: the driver's header, then what `field` numbers
    counters  for each instruction a cache line: claimed (generation << 32 | chunks), done
    mailbox   a cache line: a state, the lock that a sleeping helper waits for, whether to end
    calls     addresses: the system's yield, the interpreter's acquire and release of a lock

A claim is a compare-and-swap of the generation and the chunk together.  So a helper that fell
asleep inside a step and wakes up in a later one finds a generation that is not its own and leaves.

A row whose check may leave out rows behind it is one chunk, and they all wait for it: whoever runs
it marks them as claimed and done.
"""

from __future__ import annotations

from functools import lru_cache

from ...outcomes import HOLDS
from .. import host
from ..building.build import build_text
from .driver import FIELDS as HEADER
from .driver import floating_point_mode

JOB, COUNTER, MAILBOX = 24, 8, 8
"""Words of a job, and of the cache lines of one instruction's counters and of one mailbox."""

IDLE, ASLEEP, GONE = 0, 1, 2
"""States of a mailbox; any other is the address of a job, plus 1 once the helper has taken it."""

FIELDS = (
    *HEADER, "counters", "generation", "failed", "mailboxes", "helpers", "wake", "calls", "spins",
)  # fmt: skip
"""Words of a job."""


def field(name: str) -> int:
    """The place of a word in a job."""
    return FIELDS.index(name)


_PAUSE = {
    "x86": """
declare void @llvm.x86.sse2.pause()
define internal void @relax() alwaysinline {
  call void @llvm.x86.sse2.pause()
  ret void
}
""",
    "aarch64": """
declare void @llvm.aarch64.hint(i32)
define internal void @relax() alwaysinline {
  call void @llvm.aarch64.hint(i32 1)
  ret void
}
""",
    "other": """
define internal void @relax() alwaysinline { ret void }
""",
}

_WAIT = """
define internal i64 @rest(ptr %calls, i64 %turn, i64 %spins) alwaysinline {
  ; One turn of a waiting loop: a pause, and from the turn `spins` on a yield as well.
  call void @relax()
  %long = icmp sge i64 %turn, %spins
  br i1 %long, label %give, label %done
give:
  %yield = load ptr, ptr %calls
  call void %yield()
  br label %done
done:
  %next = add i64 %turn, 1
  ret i64 %next
}
"""

_WALK = """
define internal void @walk(ptr %job, i64 %generation, ptr %space) {
start:
  %count = load i64, ptr %job
  %table.p = getelementptr i64, ptr %job, i64 1
  %table = load ptr, ptr %table.p
  %counters.p = getelementptr i64, ptr %job, i64 COUNTERS
  %counters = load ptr, ptr %counters.p
  %calls.p = getelementptr i64, ptr %job, i64 CALLS
  %calls = load ptr, ptr %calls.p
  %spins.p = getelementptr i64, ptr %job, i64 SPINS
  %spins = load i64, ptr %spins.p
  %failed.p = getelementptr i64, ptr %job, i64 FAILED
  %any = icmp sgt i64 %count, 0
  br i1 %any, label %step, label %out

step:
  %i = phi i64 [ 0, %start ], [ %i.next, %next ]
  %front = phi i64 [ 0, %start ], [ %front.last, %next ]
  %i.0 = shl i64 %i, 3
  %row.p = getelementptr i64, ptr %table, i64 %i.0
  %claim.p = getelementptr i64, ptr %counters, i64 %i.0
  %done.p = getelementptr i64, ptr %claim.p, i64 1
  %chunks.p = getelementptr i64, ptr %row.p, i64 5
  %chunks = load i64, ptr %chunks.p
  %first = load atomic i64, ptr %claim.p acquire, align 8
  br label %claim

claim:
  %seen = phi i64 [ %first, %step ], [ %found.claim, %lost ], [ %again, %finished ]
  %front.0 = phi i64 [ %front, %step ], [ %front.1, %lost ], [ %front.1, %finished ]
  %at = phi i64 [ -1, %step ], [ %i, %lost ], [ %i, %finished ]
  %its = lshr i64 %seen, 32
  %mine = icmp eq i64 %its, %generation
  br i1 %mine, label %left, label %out

left:
  %index = and i64 %seen, 4294967295
  %some = icmp slt i64 %index, %chunks
  br i1 %some, label %ready, label %next

ready:
  ; Nothing that this thread has saved for another instruction is of use here.
  %foreign = icmp ne i64 %at, %i
  br i1 %foreign, label %clear, label %cleared
clear:
  store i64 0, ptr %space
  br label %cleared
cleared:
  %wait.p = getelementptr i64, ptr %row.p, i64 6
  %wait = load i64, ptr %wait.p
  br label %look

look:
  %front.1 = phi i64 [ %front.0, %cleared ], [ %front.n, %pass ], [ %front.1, %idle ]
  %turn = phi i64 [ 0, %cleared ], [ 0, %pass ], [ %turn.n, %idle ]
  %behind = icmp slt i64 %front.1, %wait
  br i1 %behind, label %test, label %take

test:
  %f.0 = shl i64 %front.1, 3
  %f.row = getelementptr i64, ptr %table, i64 %f.0
  %f.chunks.p = getelementptr i64, ptr %f.row, i64 5
  %f.chunks = load i64, ptr %f.chunks.p
  %f.claim = getelementptr i64, ptr %counters, i64 %f.0
  %f.done.p = getelementptr i64, ptr %f.claim, i64 1
  %f.done = load atomic i64, ptr %f.done.p acquire, align 8
  %complete = icmp eq i64 %f.done, %f.chunks
  br i1 %complete, label %pass, label %stay

pass:
  %front.n = add i64 %front.1, 1
  br label %look

stay:
  %failed = load atomic i64, ptr %failed.p acquire, align 8
  %fine = icmp eq i64 %failed, HOLDS
  br i1 %fine, label %stay.2, label %out

stay.2:
  %now = load atomic i64, ptr %claim.p acquire, align 8
  %now.its = lshr i64 %now, 32
  %same = icmp eq i64 %now.its, %generation
  br i1 %same, label %idle, label %out

idle:
  %turn.n = call i64 @rest(ptr %calls, i64 %turn, i64 %spins)
  br label %look

take:
  %more = add i64 %seen, 1
  %pair = cmpxchg ptr %claim.p, i64 %seen, i64 %more acq_rel acquire, align 8
  %won = extractvalue { i64, i1 } %pair, 1
  br i1 %won, label %run, label %lost

lost:
  %found.claim = extractvalue { i64, i1 } %pair, 0
  br label %claim

run:
  %kernel = load ptr, ptr %row.p
  %words.p = getelementptr i64, ptr %row.p, i64 1
  %words = load ptr, ptr %words.p
  %extent.p = getelementptr i64, ptr %row.p, i64 2
  %extent = load i64, ptr %extent.p
  %chunk.p = getelementptr i64, ptr %row.p, i64 4
  %chunk = load i64, ptr %chunk.p
  %lo = mul i64 %index, %chunk
  %end = add i64 %lo, %chunk
  %short = icmp slt i64 %extent, %end
  %hi = select i1 %short, i64 %extent, i64 %end
  call void %kernel(ptr %words, i64 %lo, i64 %hi, ptr %space)
  %check.p = getelementptr i64, ptr %row.p, i64 3
  %check = load ptr, ptr %check.p
  %checks = icmp ne ptr %check, null
  br i1 %checks, label %verify, label %finished

verify:
  %result = load i64, ptr %check
  %holds = icmp eq i64 %result, HOLDS
  br i1 %holds, label %finished, label %fails

fails:
  %onward.p = getelementptr i64, ptr %row.p, i64 7
  %onward = load i64, ptr %onward.p
  %skips = icmp ne i64 %onward, 0
  br i1 %skips, label %skip, label %fail

skip:
  ; All that is left out waits for this row, so nobody has claimed any of it, nor can before it is
  ; marked as claimed and done.
  %whole = shl i64 %generation, 32
  br label %leave
leave:
  %k.0 = phi i64 [ %i, %skip ], [ %k, %mark ]
  %k = add i64 %k.0, 1
  %k.more = icmp slt i64 %k, %onward
  br i1 %k.more, label %mark, label %finished
mark:
  %k.8 = shl i64 %k, 3
  %k.row = getelementptr i64, ptr %table, i64 %k.8
  %k.chunks.p = getelementptr i64, ptr %k.row, i64 5
  %k.chunks = load i64, ptr %k.chunks.p
  %k.claim = getelementptr i64, ptr %counters, i64 %k.8
  %k.done = getelementptr i64, ptr %k.claim, i64 1
  %k.full = or i64 %whole, %k.chunks
  store atomic i64 %k.full, ptr %k.claim release, align 8
  store atomic i64 %k.chunks, ptr %k.done release, align 8
  br label %leave

fail:
  %least = atomicrmw umin ptr %failed.p, i64 %i acq_rel
  ; Done, but never complete: what waits for it does not start.
  %far = atomicrmw add ptr %done.p, i64 4294967296 acq_rel
  br label %out

finished:
  %before = atomicrmw add ptr %done.p, i64 1 acq_rel
  %again = load atomic i64, ptr %claim.p acquire, align 8
  br label %claim

next:
  %front.last = phi i64 [ %front.0, %left ]
  %i.next = add i64 %i, 1
  %go.on = icmp slt i64 %i.next, %count
  br i1 %go.on, label %step, label %out

out:
  ret void
}
"""


@lru_cache(maxsize=4)
def text_of(*parts: str) -> str:
    """LLVM text of these parts and of what they build on; the symbol is still to be filled in."""
    kind = "x86" if host.is_x86() else "aarch64" if host.is_aarch64() else "other"
    mode, flush = floating_point_mode()
    text = mode + _PAUSE[kind] + "".join((_WAIT, _WALK, *parts))
    words = {name.upper(): field(name) for name in FIELDS}
    words |= {"IDLE": IDLE, "ASLEEP": ASLEEP, "GONE": GONE}
    words |= {"FLUSH": flush, "HOLDS": HOLDS}
    # Names of variables are in small letters, those of numbers in capitals.
    for name in sorted(words, key=len, reverse=True):
        text = text.replace(f"i64 {name}", f"i64 {words[name]}")
        text = text.replace(f", {name}", f", {words[name]}")
    return text


def build_walk(source: str, symbol: str) -> bytes:
    """Object code of one of the texts."""
    return build_text(source.replace("SYMBOL", symbol), {symbol})
