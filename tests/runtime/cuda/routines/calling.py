"""Routines called on the host, by as many threads as a team has warps."""

import ctypes
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from diagrad.runtime.cpu.building.natives import Request, obtain
from diagrad.runtime.cuda.routines.routines import routine_text

from ..simulated import FRONT, build_routine

BESIDE = 0xA5


def call(name: str, words: list[int], warps: int, space: int | None = None) -> None:
    """Call a routine with words; `space` is the place of the memory of the team among them.

    The word there says how many bytes of it there are: behind them nothing may be written.
    """
    native = obtain([Request(name, routine_text(name), build_routine)])[0]
    given = list(words)
    size = 0 if space is None else words[space]
    memory = np.full(size + 256, BESIDE, np.uint8)
    first = -(-(memory.ctypes.data + FRONT) // 128) * 128
    begin = first - memory.ctypes.data
    memory[begin - FRONT : begin] = 0
    memory[begin : begin + size] = 0xFF
    if space is not None:
        given[space] = first
    function = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * (len(given) + 2))(native.address)
    with ThreadPoolExecutor(warps) as pool:
        for made in [pool.submit(function, *given, warp, warps) for warp in range(warps)]:
            made.result()
    assert (memory[begin + size :] == BESIDE).all(), "written behind the memory of the team"
