"""Object code into this process: one llvmlite engine, symbols to addresses.

Whatever was linked stays until the process ends, since addresses are handed out.  Nothing here
compiles or reads a file.
"""

from __future__ import annotations

from typing import Any

import llvmlite.binding as llvm

from ..forking import COMPILING
from . import host

_addresses: dict[str, int] = {}
_engine: Any = None


class LinkError(RuntimeError):
    """An object does not define the symbol that it was stored for."""


def linked(symbol: str) -> int | None:
    """The address of a symbol that this process has linked already."""
    return _addresses.get(symbol)


def link(objects: dict[str, bytes]) -> dict[str, int]:
    """Link objects, each under the symbol that it defines, and give the addresses.

    A symbol that is there already is not linked again: equal symbols are equal code.
    """
    global _engine
    with COMPILING:
        if _engine is None:
            host.initialize()
            machine = host.target_machine()
            _engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
        new = {s: code for s, code in objects.items() if s not in _addresses}
        for code in new.values():
            _engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        if new:
            _engine.finalize_object()
        for symbol in new:
            address = _engine.get_function_address(symbol)
            if not address:
                raise LinkError(f"object code without its symbol {symbol}")
            _addresses[symbol] = address
        return {symbol: _addresses[symbol] for symbol in objects}
