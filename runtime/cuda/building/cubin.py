"""PTX to a cubin, the machine code of one architecture, by nvJitLink.

The linker is a library that comes as a wheel (nvidia-nvjitlink); it needs neither a device nor a
driver.  A cubin made by version 13 needs a driver of CUDA 13, R580, or later.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any


class LinkError(RuntimeError):
    """The linker refuses the text, or knows no such architecture."""


@dataclass(frozen=True)
class Resources:
    """What a launch of a cubin's function takes.

    Attributes:
        registers: of a thread.
        stack: bytes of local memory of a thread, spilled registers included.
        spilled: bytes that a thread writes there or reads because registers were short.
        shared: bytes of shared memory of a block, besides what a launch adds.
    """

    registers: int
    stack: int
    spilled: int
    shared: int


def link(ptx: str, architecture: str) -> tuple[bytes, Resources]:
    """The cubin of a module with one entry, and what it takes.

    Raises:
        LinkError: what the linker says.
        ImportError: the linker's wheel, or `cuda-bindings`, which calls it, is not installed.
    """
    from cuda.bindings import nvjitlink

    options = [f"-arch={architecture}", "-O3", "-Xptxas=-v", "-verbose"]
    try:
        handle = nvjitlink.create(len(options), options)
    except nvjitlink.nvJitLinkError as error:
        raise LinkError(f"{error}: no linker for {architecture}") from error
    try:
        data = ptx.encode()
        try:
            nvjitlink.add_data(handle, nvjitlink.InputType.PTX, data, len(data), "kernel")
            nvjitlink.complete(handle)
        except nvjitlink.nvJitLinkError as error:
            size, read = nvjitlink.get_error_log_size, nvjitlink.get_error_log
            raise LinkError(f"{error}: {_text(size, read, handle)}") from error
        code = bytearray(nvjitlink.get_linked_cubin_size(handle))
        nvjitlink.get_linked_cubin(handle, code)
        log = _text(nvjitlink.get_info_log_size, nvjitlink.get_info_log, handle)
    finally:
        nvjitlink.destroy(handle)
    return bytes(code), _resources(log)


def _text(size: Any, read: Any, handle: int) -> str:
    log = bytearray(size(handle))
    read(handle, log)
    return log.decode(errors="replace").rstrip("\0")


def _resources(log: str) -> Resources:
    """What the linker's log says in sentences."""

    def number(pattern: str) -> int:
        found = re.search(pattern, log)
        if found is None:
            raise LinkError(f"nvJitLink's log says nothing of {pattern!r}:\n{log}")
        return int(found.group(1))

    spilled = number(r"(\d+) bytes spill stores") + number(r"(\d+) bytes spill loads")
    return Resources(
        registers=number(r"used (\d+) registers"),
        stack=number(r"(\d+) stack"),
        spilled=spilled,
        shared=number(r"(\d+) bytes smem"),
    )
