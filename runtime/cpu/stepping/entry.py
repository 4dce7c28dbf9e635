"""The native function that Python calls: arguments checked, results made, the driver called.

    entry(owner, inputs) -> a dict of new arrays, or the one scalar as a float; or None
        owner    a tuple; its first item is the int64 array whose words `calls.WORDS` names
        inputs   a dict of arrays by name
        None     nothing was done: an input is missing, too many, or not exactly what the table
                 says; a check failed; or another thread holds the program's mutex

All that Python would do for a call is done here, since its own ways are slower than a small
program: a ctypes call takes 500 ns, `np.empty` 150, looking at dtype, shape and flags 200.

A result may be the memory of an earlier one.  The last two arrays of each output are kept; one that
nobody else refers to is given out again.  A view, a memoryview, a tensor made of it: each holds a
reference, so what anyone can still see is never reused.  New memory costs a page fault for every
4 KiB, often more than the kernel that fills it.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from ..building.build import build_text
from ..building.llvm_loops import I32, I64, loop
from .calls import AXES, BYTES, EXTENTS, KEEP, MADE, NAME, OF_TYPE, PLACE, ROW, WORDS
from .mutex import HELD, WISH
from .objects import COUNT, DATA, DESCR, FLAGS, HEAD, RANK, SHAPE, TYPE, WEAK

READY = 0x101
"""NumPy's flags C_CONTIGUOUS and ALIGNED."""

AS_MADE = 0x505
"""The same with OWNDATA and WRITEABLE."""


def write_entry(symbol: str) -> bytes:
    """Object code of the function."""
    module = ir.Module()
    _Entry(module, symbol).write()
    return build_text(str(module), {symbol})


class _Entry:
    """Writes the function; every value is a 64-bit integer."""

    def __init__(self, module: Any, symbol: str) -> None:
        kind = ir.FunctionType(I64, [I64, I64])
        self.function = ir.Function(module, kind, symbol)
        self.b = ir.IRBuilder(self.function.append_basic_block("entry"))
        self.owner, self.given = self.function.args
        self.words = self.load(self.load(self.owner, I64(HEAD + 8)), I64(DATA))
        self.answer = self.variable(I64(0))
        self.refused = self.function.append_basic_block("refused")
        self.raised = self.function.append_basic_block("raised")

    def variable(self, value: Any) -> Any:
        """A place on the stack that holds a value for now."""
        b = self.b
        with b.goto_entry_block():
            place = b.alloca(value.type)
        b.store(value, place)
        return place

    def load(self, base: Any, offset: Any, kind: Any = I64) -> Any:
        """What lies `offset` bytes behind an address."""
        b = self.b
        return b.load(b.inttoptr(b.add(base, offset), kind.as_pointer()))

    def store(self, base: Any, offset: Any, value: Any) -> None:
        b = self.b
        b.store(value, b.inttoptr(b.add(base, offset), value.type.as_pointer()))

    def word(self, name: str) -> Any:
        return self.load(self.words, I64(8 * WORDS.index(name)))

    def call(self, name: str, *args: Any, result: Any = I64) -> Any:
        b = self.b
        kind = ir.FunctionType(result, [arg.type for arg in args])
        return b.call(b.inttoptr(self.word(name), kind.as_pointer()), args)

    def row(self, table: str, index: Any) -> Any:
        return self.b.add(self.word(table), self.b.mul(index, I64(8 * ROW)))

    def field(self, row: Any, which: int) -> Any:
        return self.load(row, I64(8 * which))

    def differs(self, x: Any, y: Any) -> Any:
        return self.b.icmp_unsigned("!=", x, y)

    def refuse_unless(self, fine: Any) -> None:
        """Return None unless `fine` holds."""
        self._leave_unless(fine, self.refused)

    def raise_unless(self, fine: Any) -> None:
        """Return NULL, with the exception that Python has set, unless `fine` holds."""
        self._leave_unless(fine, self.raised)

    def _leave_unless(self, fine: Any, block: Any) -> None:
        b = self.b
        go_on = b.append_basic_block("fine")
        b.cbranch(fine, go_on, block)
        b.position_at_end(go_on)

    def _write_exits(self) -> None:
        b = self.b
        for block in (self.refused, self.raised):
            b.position_at_end(block)
            unused = b.load(self.answer)
            with b.if_then(self.differs(unused, I64(0))):
                self.call("Py_DecRef", unused, result=ir.VoidType())
            if block is self.raised:
                b.ret(I64(0))
            else:
                none = self.word("none")
                self.call("Py_IncRef", none, result=ir.VoidType())
                b.ret(none)

    def write(self) -> None:
        """The whole function."""
        b = self.b
        scalar = self.word("scalar")
        many = b.icmp_unsigned("==", scalar, I64(0))
        with b.if_then(many):
            # First of all: it may run the garbage collector, and that any Python.
            b.store(self.call("PyDict_New"), self.answer)
            self.raise_unless(self.differs(b.load(self.answer), I64(0)))
        self._refuse_taken()
        turn = b.add(self.word("turn"), I64(1))
        self.store(self.words, I64(8 * WORDS.index("turn")), turn)
        count = self.word("inputs")
        self.refuse_unless(b.icmp_signed("==", self.call("PyDict_Size", self.given), count))
        with loop(b, I64(0), count, 1) as index:
            self._take_input(index)
        # A key of a class of its own may have compared itself in Python, and called again, or let
        # another thread in.  From here to the run there is no Python.
        self.refuse_unless(b.icmp_signed("==", self.word("turn"), turn))
        self._refuse_taken()
        with b.if_then(many), loop(b, I64(0), self.word("outputs"), 1) as index:
            self._make_output(index)
        holds = b.icmp_signed("<", self._run(), I64(0))
        with b.if_then(b.and_(many, b.not_(holds))):
            self._drop(self.word("outputs"))
        self.refuse_unless(holds)
        with b.if_then(b.not_(many)):
            self._answer_scalar(scalar)
        self._answer_dict()
        self._write_exits()

    def _refuse_taken(self) -> None:
        """Return None while another thread holds the mutex, or has waited for long."""
        b, mutex = self.b, self.word("mutex")
        taken = b.or_(self.load(mutex, I64(8 * HELD)), self.load(mutex, I64(8 * WISH)))
        self.refuse_unless(b.icmp_signed("==", taken, I64(0)))

    def _take_input(self, index: Any) -> None:
        """Compare an input with its row, and note its address."""
        b = self.b
        row = self.row("input_rows", index)
        name = self.field(row, NAME)
        array = self.call("PyDict_GetItem", self.given, name)
        self.refuse_unless(self.differs(array, I64(0)))
        self.refuse_unless(
            b.icmp_unsigned("==", self.load(array, I64(TYPE)), self.word("array_type"))
        )
        flags = b.and_(self.load(array, I64(FLAGS), I32), I32(READY))
        fine = b.and_(self._of_form(array, row), b.icmp_unsigned("==", flags, I32(READY)))
        self.refuse_unless(fine)
        self.refuse_unless(self._same_extents(array, row))
        data = self.load(array, I64(DATA))
        self.store(self.word("addresses"), b.mul(index, I64(8)), data)
        self._refuse_inside_state(data, b.add(data, self.field(row, BYTES)))

    def _of_form(self, array: Any, row: Any) -> Any:
        """Whether an array has the row's dtype and number of axes."""
        b = self.b
        dtype = b.icmp_unsigned("==", self.load(array, I64(DESCR)), self.field(row, OF_TYPE))
        rank = b.sext(self.load(array, I64(RANK), I32), I64)
        return b.and_(dtype, b.icmp_signed("==", rank, self.field(row, AXES)))

    def _same_extents(self, array: Any, row: Any) -> Any:
        """Whether an array of the right number of axes has the row's extents."""
        b = self.b
        found, wanted = self.load(array, I64(SHAPE)), self.field(row, EXTENTS)
        fault = self.variable(I64(0))
        with loop(b, I64(0), self.field(row, AXES), 1) as axis:
            place = b.mul(axis, I64(8))
            wrong = b.xor(self.load(found, place), self.load(wanted, place))
            b.store(b.or_(b.load(fault), wrong), fault)
        return b.icmp_unsigned("==", b.load(fault), I64(0))

    def _refuse_inside_state(self, start: Any, end: Any) -> None:
        """Return None where [start, end) meets a state: a search among sorted stretches."""
        b = self.b
        starts = self.word("starts")
        low, high = self.variable(I64(0)), self.variable(self.word("states"))
        head, body, done = (b.append_basic_block(name) for name in ("seek", "halve", "found"))
        b.branch(head)
        b.position_at_end(head)
        b.cbranch(b.icmp_signed("<", b.load(low), b.load(high)), body, done)
        b.position_at_end(body)
        middle = b.lshr(b.add(b.load(low), b.load(high)), I64(1))
        before = b.icmp_unsigned("<", self.load(starts, b.mul(middle, I64(8))), end)
        b.store(b.select(before, b.add(middle, I64(1)), b.load(low)), low)
        b.store(b.select(before, b.load(high), middle), high)
        b.branch(head)
        b.position_at_end(done)
        # The last state that begins before the end; it alone can reach beyond the start.
        last = b.load(low)
        with b.if_then(b.icmp_signed(">", last, I64(0))):
            reached = self.load(self.word("ends"), b.mul(b.sub(last, I64(1)), I64(8)))
            self.refuse_unless(b.icmp_unsigned("<=", reached, start))

    def _make_output(self, index: Any) -> None:
        """An array for an output: a kept one that is free, else a new one, which is kept."""
        b = self.b
        row = self.row("output_rows", index)
        made, room = self.variable(I64(0)), self.variable(I64(0))
        none = self.word("none")
        first = b.add(self.word("kept"), b.mul(index, I64(8 * KEEP)))
        with loop(b, I64(0), I64(KEEP), 1) as slot:
            place = b.add(first, b.mul(slot, I64(8)))
            array = self.load(place, I64(0))
            empty = b.icmp_unsigned("==", array, none)
            # A count of one is the keeper's own; one that others hold may be forgotten.
            count = self.load(array, I64(COUNT), I32)
            alone = b.and_(b.icmp_unsigned("==", count, I32(1)), b.not_(empty))
            better = b.or_(empty, b.icmp_unsigned("==", b.load(room), I64(0)))
            with b.if_then(b.and_(better, b.not_(alone))):
                b.store(place, room)
            wanted = b.and_(alone, b.icmp_unsigned("==", b.load(made), I64(0)))
            with b.if_then(wanted), b.if_then(self._as_made(array, row)):
                self.call("Py_IncRef", array, result=ir.VoidType())
                b.store(array, made)
        with b.if_then(b.icmp_unsigned("==", b.load(made), I64(0))):
            dtype = self.field(row, OF_TYPE)
            self.call("Py_IncRef", dtype, result=ir.VoidType())
            rank = b.trunc(self.field(row, AXES), I32)
            zero = I64(0)
            array = self.call(
                "PyArray_NewFromDescr", self.word("array_type"), dtype, rank,
                self.field(row, EXTENTS), zero, zero, I32(0), zero,
            )  # fmt: skip
            there = self.differs(array, I64(0))
            with b.if_then(b.not_(there)):
                self._drop(index)
            self.raise_unless(there)
            b.store(array, made)
            place = b.load(room)
            with b.if_then(self.differs(place, I64(0))):
                # Never the last reference, so that nothing is freed and no Python runs here.
                self.call("Py_DecRef", self.load(place, I64(0)), result=ir.VoidType())
                self.call("Py_IncRef", array, result=ir.VoidType())
                self.store(place, I64(0), array)
        array = b.load(made)
        self.store(row, I64(8 * MADE), array)
        number = b.add(self.word("inputs"), index)
        self.store(self.word("addresses"), b.mul(number, I64(8)), self.load(array, I64(DATA)))

    def _as_made(self, array: Any, row: Any) -> Any:
        """Whether a kept array is still as it was made, and no weak reference knows it."""
        b = self.b
        unseen = b.icmp_unsigned("==", self.load(array, I64(WEAK)), I64(0))
        flags = b.and_(self.load(array, I64(FLAGS), I32), I32(AS_MADE))
        whole = b.icmp_unsigned("==", flags, I32(AS_MADE))
        form = b.and_(b.and_(unseen, whole), self._of_form(array, row))
        same = self.variable(form)
        with b.if_then(form):
            b.store(self._same_extents(array, row), same)
        return b.load(same)

    def _run(self) -> Any:
        """The driver's answer; with the interpreter's lock let go where that pays."""
        b, mutex = self.b, self.word("mutex")
        # With the interpreter's lock held nobody else can run.
        releases = self.differs(self.word("releases"), I64(0))
        thread = self.variable(I64(0))
        with b.if_then(releases):
            self.store(mutex, I64(8 * HELD), self.call("PyThread_get_thread_ident"))
            b.store(self.call("PyEval_SaveThread"), thread)
        answer = self.call("run", self.word("header"), self.word("addresses"))
        with b.if_then(releases):
            self.call("PyEval_RestoreThread", b.load(thread), result=ir.VoidType())
            self.store(mutex, I64(8 * HELD), I64(0))
        return answer

    def _drop(self, count: Any) -> None:
        """Let go of the first `count` arrays made for outputs."""
        with loop(self.b, I64(0), count, 1) as index:
            array = self.field(self.row("output_rows", index), MADE)
            self.call("Py_DecRef", array, result=ir.VoidType())

    def _answer_scalar(self, place: Any) -> None:
        b = self.b
        narrow = b.icmp_unsigned("==", self.word("scalar_bytes"), I64(4))
        kind = ir.DoubleType()
        value = self.variable(ir.Constant(kind, 0.0))
        with b.if_else(narrow) as (single, double):
            with single:
                b.store(b.fpext(self.load(place, I64(0), ir.FloatType()), kind), value)
            with double:
                b.store(self.load(place, I64(0), kind), value)
        b.ret(self.call("PyFloat_FromDouble", b.load(value)))

    def _answer_dict(self) -> None:
        """Scalars copied from their fixed places, and all in a dict."""
        b = self.b
        outputs = self.word("outputs")
        with loop(b, I64(0), outputs, 1) as index:
            row = self.row("output_rows", index)
            place = self.field(row, PLACE)
            with b.if_then(self.differs(place, I64(0))):
                data = self.load(self.field(row, MADE), I64(DATA))
                with loop(b, I64(0), self.field(row, BYTES), 1) as byte:
                    self.store(data, byte, self.load(place, byte, ir.IntType(8)))
        answer = b.load(self.answer)
        fault = self.variable(I32(0))
        with loop(b, I64(0), outputs, 1) as index:
            row = self.row("output_rows", index)
            set_ = self.call(
                "PyDict_SetItem", answer, self.field(row, NAME), self.field(row, MADE), result=I32
            )
            b.store(b.or_(b.load(fault), set_), fault)
        self._drop(outputs)
        self.raise_unless(b.icmp_signed("==", b.load(fault), I32(0)))
        b.ret(answer)
