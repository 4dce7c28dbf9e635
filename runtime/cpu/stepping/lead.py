"""The native function with which the caller of a program shares a step with its helpers.

lead(job, arrays)     place the addresses, ask for help, walk, wait for what helpers have claimed
returns           the number of the first instruction whose check failed, or -1
"""

from __future__ import annotations

from .driver import placement
from .walk import text_of

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


def lead_text() -> str:
    """LLVM text; the symbol is still to be filled in."""
    return text_of(placement(), _LEAD)
