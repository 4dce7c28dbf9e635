"""Native code stays as long as somebody holds it, and building it keeps no memory."""

import ctypes
import os
import sys
import weakref
from collections import deque
from pathlib import Path

import pytest

from diagrad.runtime.cpu.building import build, link
from diagrad.runtime.cpu.building.natives import Native, Request, key_of, obtain
from diagrad.runtime.cpu.stepping import driver

ADD = "define i64 @SYMBOL(i64 %x) {\n  %y = add i64 %x, NUMBER\n  ret i64 %y\n}\n"


def build_add(text: str, symbol: str) -> bytes:
    return build.build_text(text.replace("SYMBOL", symbol), {symbol})


def request(number: int, stays: bool) -> Request:
    return Request("add", ADD.replace("NUMBER", str(number)), build_add, stays)


def made(*numbers: int) -> list[Native]:
    return obtain([request(number, stays=False) for number in numbers])


def called(native: Native, value: int) -> int:
    function = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(native.address)
    return int(function(value))


def test_what_nobody_holds_is_freed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is linked together goes together; what two hold stays for both."""
    monkeypatch.setattr(link, "_recent", deque(maxlen=1))
    first, other, twice = made(1010, 1011, 1010)
    assert (first.origin == "compiled", twice.origin) == (True, "memory")
    assert first.address == twice.address
    (same,) = made(1010)
    made(1012)  # The last one that is linked stays at hand.
    assert made(1012)[0].origin == "memory"
    seen = [weakref.ref(native.code) for native in (first, other)]
    tracker = weakref.ref(first.code._tracker)
    del first, other, twice
    assert [item() is None for item in seen] == [False, True]
    assert called(same, 5) == 1015
    del same
    assert seen[0]() is None
    assert tracker() is None
    (again,) = made(1010)
    assert again.origin == "cache"
    assert called(again, 5) == 1015


def test_what_stays_is_linked_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "_recent", deque(maxlen=0))
    helper, kernel = obtain([request(1013, stays=True), request(1014, stays=False)])
    tracker, address = weakref.ref(kernel.code._tracker), helper.address
    del helper, kernel
    assert tracker() is None
    held = link.linked(f"diagrad_{key_of(request(1013, stays=True)).hex()[:32]}")
    assert held is not None
    assert held.address == address


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_building_and_linking_keep_no_memory() -> None:
    """LLVM's passes took 90 KiB for each text, for good, and an object that is linked 10."""

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def work(first: int, last: int) -> None:
        for number in range(first, last):
            symbol = f"memory_{number}"
            code = driver.build_driver(driver.text(), symbol)
            link._recent.clear()
            assert link.link({symbol: code})[symbol].address

    work(0, 20)
    before = resident()
    work(20, 80)
    assert (resident() - before) / 60 < 20_000
