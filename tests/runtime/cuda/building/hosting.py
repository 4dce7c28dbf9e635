"""The function of a launch on the host, thread by thread: NVVM's intrinsics answer from memory."""

import ctypes
import re

from diagrad.runtime.cpu.building.build import build_text
from diagrad.runtime.cpu.building.link import Linked, link

SHARED = 1 << 40
"""Where shared memory is; nobody may touch it."""


def on_host(text: str, symbol: str, place: "ctypes.Array[ctypes.c_int32]") -> Linked:
    """Native code of LLVM's text with the function `entry`.

    Args:
        text: the module.
        symbol: a name for the function in this process.
        place: the numbers of the thread, of threads, of the block, of blocks; and how often the
            thread has met the others, which it counts.
    """
    address = ctypes.addressof(place)
    for number, name in enumerate(("tid", "ntid", "ctaid", "nctaid")):
        full = f"@llvm.nvvm.read.ptx.sreg.{name}.x()"
        body = f"  %v = load i32, ptr inttoptr (i64 {address + 4 * number} to ptr)\n  ret i32 %v"
        text = text.replace(f"declare i32 {full}", f"define i32 {full} {{\n{body}\n}}")
    meet = "void @llvm.nvvm.barrier.cta.sync.aligned.all(i32"
    count = f"ptr inttoptr (i64 {address + 16} to ptr)"
    body = f"  %v = load i32, {count}\n  %w = add i32 %v, 1\n  store i32 %w, {count}\n  ret void"
    text = text.replace(f"declare {meet})", f"define {meet} %number) {{\n{body}\n}}")
    text = text.replace("llvm.nvvm.", "nvvm.").replace("ptx_kernel ", "")
    text = re.sub(r"@dynamic_shared = .*", "", text)
    text = text.replace("@dynamic_shared", f"inttoptr (i64 {SHARED} to ptr addrspace(3))")
    text = text.replace("@entry", f"@{symbol}")
    return link({symbol: build_text(text, {symbol})})[symbol]
