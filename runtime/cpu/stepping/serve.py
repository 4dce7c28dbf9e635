"""The native functions of a helper.

serve(mailbox, calls, spins, number)    wait for work in a mailbox, a while awake, then asleep
pause(count)                            for measuring how long a pause of a waiting loop takes
"""

from __future__ import annotations

from .walk import text_of

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


def serve_text() -> str:
    """LLVM text of `serve`; the symbol is still to be filled in."""
    return text_of(_SERVE)


def pause_text() -> str:
    """LLVM text of `pause`."""
    return text_of(_COUNT)
