"""The native functions that let several threads share one step.

The caller of a program and its helpers all walk the same table.  At each instruction a thread
claims chunks until none is left, and goes on to the next; it waits only where an instruction may
not start yet.  Nobody waits for a helper to come: a step is complete when all chunks are done,
whoever did them, so that a caller whose helpers are busy or not scheduled runs alone.

    lead(job, arrays)           what the caller does: place the addresses, ask for help, walk, wait
        job       int64[JOB]: the driver's header, then what `field` numbers
        returns   the number of the first instruction whose check failed, or -1
    serve(mailbox, calls, spins, number)
        what a helper does: wait for work in its mailbox, a while awake and then asleep
    pause(count)                for measuring how long one pause of a waiting loop takes

    counters  for each instruction a cache line: claimed (generation << 32 | chunks), done
    mailbox   a cache line: a state, the lock that a sleeping helper waits for, whether to end
    calls     addresses: the system's yield, the interpreter's acquire and release of a lock

A claim is a compare-and-swap of the generation and the chunk together.  So a helper that fell
asleep inside a step and wakes up in a later one finds a generation that is not its own and leaves.
"""

from __future__ import annotations

from ..program import HOLDS
from . import host
from .build import build_text
from .driver import HEADER, floating_point_mode, placement

JOB, COUNTER, MAILBOX = 16, 8, 8
"""Words of a job, and of the cache lines of one instruction's counters and of one mailbox."""

IDLE, ASLEEP, GONE = 0, 1, 2
"""States of a mailbox; any other is the address of a job, plus 1 once the helper has taken it."""

FIELDS = (
    "space", "counters", "generation", "failed", "mailboxes", "helpers", "wake", "room", "calls",
    "spins",
)  # fmt: skip
"""Words of a job from the driver's `space` on."""


def field(name: str) -> int:
    """The place of a word in a job."""
    return HEADER - 1 + FIELDS.index(name)


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
  ; Nothing that this thread has put by for another instruction is of use here.
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
  br i1 %holds, label %finished, label %fail

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

_LEAD = """
define i64 @SYMBOL(ptr %job, ptr %arrays) {
start:
  call void @place(ptr %job, ptr %arrays)
  %mode = call i64 @get_mode()
  %flush = or i64 %mode, FLUSH
  call void @set_mode(i64 %flush)
  %count = load i64, ptr %job
  %table.p = getelementptr i64, ptr %job, i64 1
  %table = load ptr, ptr %table.p
  %counters.p = getelementptr i64, ptr %job, i64 COUNTERS
  %counters = load ptr, ptr %counters.p
  %generation.p = getelementptr i64, ptr %job, i64 GENERATION
  %old = load i64, ptr %generation.p
  %old.1 = add i64 %old, 1
  %generation = and i64 %old.1, 2147483647
  %fresh = shl i64 %generation, 32
  %failed.p = getelementptr i64, ptr %job, i64 FAILED
  store atomic i64 HOLDS, ptr %failed.p release, align 8
  store atomic i64 %generation, ptr %generation.p release, align 8
  %mailboxes.p = getelementptr i64, ptr %job, i64 MAILBOXES
  %mailboxes = load ptr, ptr %mailboxes.p
  %helpers.p = getelementptr i64, ptr %job, i64 HELPERS
  %helpers = load i64, ptr %helpers.p
  %wake.p = getelementptr i64, ptr %job, i64 WAKE
  %wake = load i64, ptr %wake.p
  %wakes = icmp ne i64 %wake, 0
  %space.p = getelementptr i64, ptr %job, i64 SPACE
  %space = load ptr, ptr %space.p
  %calls.p = getelementptr i64, ptr %job, i64 CALLS
  %calls = load ptr, ptr %calls.p
  %spins.p = getelementptr i64, ptr %job, i64 SPINS
  %spins = load i64, ptr %spins.p
  %posted = ptrtoint ptr %job to i64
  br label %reset

reset:
  ; In order: who sees the claim of one instruction in this generation sees all before it reset.
  %r = phi i64 [ 0, %start ], [ %r.next, %reset.one ]
  %r.more = icmp slt i64 %r, %count
  br i1 %r.more, label %reset.one, label %ask
reset.one:
  %r.0 = shl i64 %r, 3
  %r.claim = getelementptr i64, ptr %counters, i64 %r.0
  %r.done = getelementptr i64, ptr %r.claim, i64 1
  store atomic i64 0, ptr %r.done release, align 8
  store atomic i64 %fresh, ptr %r.claim release, align 8
  %r.next = add i64 %r, 1
  br label %reset

ask:
  %h = phi i64 [ 0, %reset ], [ %h.next, %asked ]
  %h.more = icmp slt i64 %h, %helpers
  br i1 %h.more, label %ask.one, label %walk
ask.one:
  %h.0 = shl i64 %h, 3
  %box = getelementptr i64, ptr %mailboxes, i64 %h.0
  %state = load atomic i64, ptr %box acquire, align 8
  %idle = icmp eq i64 %state, IDLE
  %asleep = icmp eq i64 %state, ASLEEP
  %may.wake = and i1 %asleep, %wakes
  %free = or i1 %idle, %may.wake
  br i1 %free, label %post, label %asked
post:
  %pair = cmpxchg ptr %box, i64 %state, i64 %posted acq_rel acquire, align 8
  %won = extractvalue { i64, i1 } %pair, 1
  %rouse = and i1 %won, %asleep
  br i1 %rouse, label %call, label %asked
call:
  %lock.p = getelementptr i64, ptr %box, i64 1
  %lock = load ptr, ptr %lock.p
  %release.p = getelementptr i64, ptr %calls, i64 2
  %release = load ptr, ptr %release.p
  call void %release(ptr %lock)
  br label %asked
asked:
  %h.next = add i64 %h, 1
  br label %ask

walk:
  call void @walk(ptr %job, i64 %generation, ptr %space)
  br label %gather

gather:
  %g = phi i64 [ 0, %walk ], [ %g.next, %whole ], [ %g, %not.yet ]
  %turn = phi i64 [ 0, %walk ], [ 0, %whole ], [ %turn.n, %not.yet ]
  %g.more = icmp slt i64 %g, %count
  br i1 %g.more, label %gather.one, label %revoke
gather.one:
  %g.0 = shl i64 %g, 3
  %g.row = getelementptr i64, ptr %table, i64 %g.0
  %g.chunks.p = getelementptr i64, ptr %g.row, i64 5
  %g.chunks = load i64, ptr %g.chunks.p
  %g.claim = getelementptr i64, ptr %counters, i64 %g.0
  %g.done.p = getelementptr i64, ptr %g.claim, i64 1
  %g.done = load atomic i64, ptr %g.done.p acquire, align 8
  %g.complete = icmp eq i64 %g.done, %g.chunks
  br i1 %g.complete, label %whole, label %partly
whole:
  %g.next = add i64 %g, 1
  br label %gather
partly:
  %failed.now = load atomic i64, ptr %failed.p acquire, align 8
  %fine = icmp eq i64 %failed.now, HOLDS
  br i1 %fine, label %not.yet, label %close
not.yet:
  %turn.n = call i64 @rest(ptr %calls, i64 %turn, i64 %spins)
  br label %gather

close:
  ; A check failed: nothing more is claimed, and what was claimed is waited for.
  %c = phi i64 [ 0, %partly ], [ %c.next, %closed ]
  %c.more = icmp slt i64 %c, %count
  br i1 %c.more, label %close.one, label %revoke
close.one:
  %c.0 = shl i64 %c, 3
  %c.row = getelementptr i64, ptr %table, i64 %c.0
  %c.chunks.p = getelementptr i64, ptr %c.row, i64 5
  %c.chunks = load i64, ptr %c.chunks.p
  %c.claim = getelementptr i64, ptr %counters, i64 %c.0
  %c.done.p = getelementptr i64, ptr %c.claim, i64 1
  %c.full = or i64 %fresh, %c.chunks
  %c.old = atomicrmw xchg ptr %c.claim, i64 %c.full acq_rel
  %c.taken = and i64 %c.old, 4294967295
  br label %close.wait
close.wait:
  %c.turn = phi i64 [ 0, %close.one ], [ %c.turn.n, %close.rest ]
  %c.done = load atomic i64, ptr %c.done.p acquire, align 8
  %c.low = and i64 %c.done, 4294967295
  %c.high = lshr i64 %c.done, 32
  %c.both = add i64 %c.low, %c.high
  %c.met = icmp eq i64 %c.both, %c.taken
  br i1 %c.met, label %closed, label %close.rest
close.rest:
  %c.turn.n = call i64 @rest(ptr %calls, i64 %c.turn, i64 %spins)
  br label %close.wait
closed:
  %c.next = add i64 %c, 1
  br label %close

revoke:
  ; A helper that has not begun need not begin.
  %v = phi i64 [ 0, %gather ], [ 0, %close ], [ %v.next, %revoke.one ]
  %v.more = icmp slt i64 %v, %helpers
  br i1 %v.more, label %revoke.one, label %done
revoke.one:
  %v.0 = shl i64 %v, 3
  %v.box = getelementptr i64, ptr %mailboxes, i64 %v.0
  %v.pair = cmpxchg ptr %v.box, i64 %posted, i64 IDLE acq_rel acquire, align 8
  %v.next = add i64 %v, 1
  br label %revoke

done:
  call void @set_mode(i64 %mode)
  %found = load atomic i64, ptr %failed.p acquire, align 8
  %none = icmp eq i64 %found, HOLDS
  %answer = select i1 %none, i64 -1, i64 %found
  ret i64 %answer
}
"""

_SERVE = """
define void @SYMBOL(ptr %box, ptr %calls, i64 %spins, i64 %number) {
start:
  %lock.p = getelementptr i64, ptr %box, i64 1
  %lock = load ptr, ptr %lock.p
  %end.p = getelementptr i64, ptr %box, i64 2
  %mode = call i64 @get_mode()
  %flush = or i64 %mode, FLUSH
  call void @set_mode(i64 %flush)
  br label %look

look:
  %turn = phi i64 [ 0, %start ], [ %turn.n, %rest ], [ 0, %sleep ], [ 0, %served ], [ 0, %take ]
  %state = load atomic i64, ptr %box acquire, align 8
  %ended = load atomic i64, ptr %end.p acquire, align 8
  %ends = icmp ne i64 %ended, 0
  br i1 %ends, label %leave, label %stays
stays:
  %nothing = icmp eq i64 %state, IDLE
  br i1 %nothing, label %idle, label %take

idle:
  %tired = icmp sge i64 %turn, %spins
  br i1 %tired, label %doze, label %rest
rest:
  ; A pause, and now and then a yield: the processor may have another use.
  %low = and i64 %turn, 63
  %odd = sub i64 %low, 63
  %turn.n.0 = call i64 @rest(ptr %calls, i64 %odd, i64 0)
  %turn.n = add i64 %turn, 1
  br label %look
doze:
  %pair = cmpxchg ptr %box, i64 IDLE, i64 ASLEEP acq_rel acquire, align 8
  %won = extractvalue { i64, i1 } %pair, 1
  br i1 %won, label %sleep, label %look.0
look.0:
  br label %served
sleep:
  %acquire.p = getelementptr i64, ptr %calls, i64 1
  %acquire = load ptr, ptr %acquire.p
  %got = call i32 %acquire(ptr %lock, i32 1)
  br label %look

take:
  %taken = or i64 %state, 1
  %take.pair = cmpxchg ptr %box, i64 %state, i64 %taken acq_rel acquire, align 8
  %take.won = extractvalue { i64, i1 } %take.pair, 1
  br i1 %take.won, label %serve, label %look
serve:
  %job = inttoptr i64 %state to ptr
  %generation.p = getelementptr i64, ptr %job, i64 GENERATION
  %generation = load atomic i64, ptr %generation.p acquire, align 8
  %space.p = getelementptr i64, ptr %job, i64 SPACE
  %space.0 = load ptr, ptr %space.p
  %room.p = getelementptr i64, ptr %job, i64 ROOM
  %room = load i64, ptr %room.p
  %apart = mul i64 %room, %number
  %space = getelementptr i8, ptr %space.0, i64 %apart
  call void @walk(ptr %job, i64 %generation, ptr %space)
  store atomic i64 IDLE, ptr %box release, align 8
  br label %served
served:
  br label %look

leave:
  call void @set_mode(i64 %mode)
  store atomic i64 GONE, ptr %box release, align 8
  ret void
}
"""

_COUNT = """
define void @SYMBOL(i64 %count) {
start:
  br label %turn
turn:
  %i = phi i64 [ 0, %start ], [ %i.next, %turn ]
  call void @relax()
  %i.next = add i64 %i, 1
  %more = icmp slt i64 %i.next, %count
  br i1 %more, label %turn, label %done
done:
  ret void
}
"""


def _filled(*parts: str) -> str:
    kind = "x86" if host.is_x86() else "aarch64" if host.is_aarch64() else "other"
    mode, flush = floating_point_mode()
    text = mode + _PAUSE[kind] + "".join(parts)
    words = {name.upper(): field(name) for name in FIELDS}
    words |= {"IDLE": IDLE, "ASLEEP": ASLEEP, "GONE": GONE}
    words |= {"FLUSH": flush, "HOLDS": HOLDS}
    # Names of variables are in small letters, those of numbers in capitals.
    for name in sorted(words, key=len, reverse=True):
        text = text.replace(f"i64 {name}", f"i64 {words[name]}")
        text = text.replace(f", {name}", f", {words[name]}")
    return text


def lead_text() -> str:
    """What the caller of a shared step runs."""
    return _filled(placement(), _WAIT, _WALK, _LEAD)


def serve_text() -> str:
    """What a helper runs."""
    return _filled(_WAIT, _WALK, _SERVE)


def pause_text() -> str:
    """A number of pauses."""
    return _filled(_COUNT)


def build_walk(source: str, symbol: str) -> bytes:
    """Object code of one of the texts."""
    return build_text(source.replace("SYMBOL", symbol), {symbol})
