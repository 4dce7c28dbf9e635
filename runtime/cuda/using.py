"""Which device programs run on: the machine's, or one that takes its place.

A simulated device takes the place of the real one by `use_device`; nothing else knows of it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from .device import Device
from .finding import MissingError, find

_instead: Any = None


def use_device(device: Any) -> Any:
    """Let programs that are compiled from now on run on `device`, or on the machine's for None.

    Returns:
        What took the place before, to be put back.
    """
    global _instead
    before, _instead = _instead, device
    return before


def device() -> Device:
    """The device that programs compiled from now on run on; the machine's is one for a process.

    Raises:
        DeviceError: the driver refuses something, where there is a device and nothing is missing.
    """
    found: Device = _machines() if _instead is None else _instead
    return found


@lru_cache(maxsize=1)
def _machines() -> Device:
    from cuda.bindings import driver

    from .building.cubins import obtain
    from .driver import DriverDevice

    return DriverDevice(driver, obtain)


def missing() -> str:
    """What is missing for a device, and what to do; empty where there is one."""
    if _instead is not None:
        return ""
    try:
        find()
    except MissingError as error:
        return str(error)
    return ""


def device_text() -> str:
    """What the device is; MissingError where there is none."""
    return str(find() if _instead is None else _instead)
