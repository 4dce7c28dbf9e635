"""The native routines `turn_f32` and `turn_f64`: a matrix turned, in squares of registers.

    void(c, c_row, rows, apart, n, m)    all 64-bit integers; strides in elements
    c[i*c_row + j] = rows[j*apart + i] for n rows of m elements

Elements are moved as they are, so that integers of the same size are too.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from .. import host
from ..building.build import build_text
from ..building.llvm_loops import I64
from .blocking import blocking
from .dot import turn_function


def build_turn(name: str, symbol: str) -> bytes:
    """Object code of a routine."""
    text = turn_text(name.removeprefix("turn_"), symbol, host.vector_bytes())
    return build_text(text, {symbol}, speed=0)


def turn_text(kind: str, symbol: str, vector_bytes: int) -> str:
    """LLVM's text of the routine for one size of element."""
    module = ir.Module()
    shape = blocking(kind, vector_bytes)
    element: Any = ir.FloatType() if kind == "f32" else ir.DoubleType()
    turn = turn_function(module, element, shape.lanes)
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [I64] * 6), symbol)
    b = ir.IRBuilder(function.append_basic_block("entry"))
    c, c_row, rows, apart, n, m = function.args
    pointer = element.as_pointer()
    b.call(turn, [b.inttoptr(c, pointer), c_row, b.inttoptr(rows, pointer), apart, n, m])
    b.ret_void()
    return str(module)
