"""Which device is found, and what is said where one cannot be used."""

import re
from collections.abc import Callable
from enum import IntEnum
from typing import Any

import pytest

from diagrad.runtime.cuda.finding import Found, MissingError, Part, find
from diagrad.runtime.cuda.using import device_text, missing, use_device


class Result(IntEnum):
    SUCCESS = 0
    CUDA_ERROR_NO_DEVICE = 100
    CUDA_ERROR_SYSTEM_DRIVER_MISMATCH = 803


WORDS = {
    Result.CUDA_ERROR_NO_DEVICE: b"no CUDA-capable device is detected",
    Result.CUDA_ERROR_SYSTEM_DRIVER_MISMATCH: b"system has unsupported display driver",
}


class Attribute(IntEnum):
    CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR = 75
    CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR = 76


class Driver:
    """The calls of the driver that finding a device takes, with the answers of a machine."""

    CUresult, CUdevice_attribute = Result, Attribute

    def __init__(
        self,
        starts: Result = Result.SUCCESS,
        version: int = 13000,
        capability: tuple[int, int] = (9, 0),
        library: bool = True,
    ) -> None:
        self.starts, self.version, self.capability = starts, version, capability
        self.library = library

    def cuInit(self, flags: int) -> tuple[Result]:  # noqa: N802
        if not self.library:
            raise RuntimeError('"cuda" is an NVIDIA driver library')
        return (self.starts,)

    def cuGetErrorName(self, code: Result) -> tuple[Result, bytes]:  # noqa: N802
        return Result.SUCCESS, code.name.encode()

    def cuGetErrorString(self, code: Result) -> tuple[Result, bytes]:  # noqa: N802
        return Result.SUCCESS, WORDS[code]

    def cuDriverGetVersion(self) -> tuple[Result, int]:  # noqa: N802
        return Result.SUCCESS, self.version

    def cuDeviceGet(self, number: int) -> tuple[Result, int]:  # noqa: N802
        return Result.SUCCESS, number

    def cuDeviceGetName(self, size: int, device: int) -> tuple[Result, bytes]:  # noqa: N802
        return Result.SUCCESS, b"NVIDIA H100 80GB HBM3".ljust(size, b"\0")

    def cuDeviceTotalMem(self, device: int) -> tuple[Result, int]:  # noqa: N802
        return Result.SUCCESS, 79 << 30

    def cuDeviceGetAttribute(self, kind: Attribute, device: int) -> tuple[Result, int]:  # noqa: N802
        return Result.SUCCESS, self.capability[kind - 75]


class Linker:
    def version(self) -> tuple[int, int]:
        return 13, 0


class NoLinker:
    def version(self) -> tuple[int, int]:
        raise RuntimeError("libnvJitLink.so.13 not found")


def machine(linker: Any = None, **answers: Any) -> Callable[[], tuple[Any, Any]]:
    return lambda: (Driver(**answers), linker or Linker())


def no_package() -> tuple[Any, Any]:
    raise ModuleNotFoundError("No module named 'cuda'", name="cuda")


def broken_package() -> tuple[Any, Any]:
    raise ImportError("cannot import name 'driver'")


def test_a_device_is_found() -> None:
    found = find(machine())
    assert found == Found("NVIDIA H100 80GB HBM3", 79 << 30, (9, 0), (13, 0))
    assert str(found) == (
        "NVIDIA H100 80GB HBM3, 79.0 GiB, compute capability 9.0; driver for CUDA 13.0"
    )


CASES: dict[str, tuple[Callable[[], tuple[Any, Any]], Part, str]] = {
    "no package": (
        no_package, "package",
        "the package cuda-bindings is not installed: pip install 'diagrad[cuda]'",
    ),
    "a package that is broken": (
        broken_package, "package",
        "the package cuda-bindings cannot be imported (cannot import name 'driver'): pip install "
        "'diagrad[cuda]'",
    ),
    "no linker": (
        machine(NoLinker()), "package",
        "the package nvidia-nvjitlink is not installed: pip install 'diagrad[cuda]'",
    ),
    "no library": (
        machine(library=False), "library",
        "the driver's library (libcuda) is not found: install NVIDIA's driver 580 or newer; in a "
        "container, let it see the device (docker run --gpus all)",
    ),
    "a driver that does not start": (
        machine(starts=Result.CUDA_ERROR_SYSTEM_DRIVER_MISMATCH), "driver",
        "the driver does not start (CUDA_ERROR_SYSTEM_DRIVER_MISMATCH: system has unsupported "
        "display driver): install NVIDIA's driver 580 or newer",
    ),
    "an old driver": (
        machine(version=12080), "driver",
        "the driver is for CUDA 12.8, expected 13.0 or later: install NVIDIA's driver 580 or newer",
    ),
    "no device": (
        machine(starts=Result.CUDA_ERROR_NO_DEVICE), "device",
        "the driver finds no device (CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected): "
        "look at nvidia-smi and $CUDA_VISIBLE_DEVICES",
    ),
    "an old device": (
        machine(capability=(7, 0)), "device",
        "NVIDIA H100 80GB HBM3 has compute capability 7.0, expected 7.5 or more (Turing, 2018, and "
        "later): choose another device with $CUDA_VISIBLE_DEVICES",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_is_missing_is_said(case: str) -> None:
    packages, part, text = CASES[case]
    with pytest.raises(MissingError, match=f"^{re.escape(text)}$") as error:
        find(packages)
    assert error.value.part == part


def test_a_device_in_the_place_of_the_machines() -> None:
    before = use_device("a simulated device")
    try:
        assert missing() == "" and device_text() == "a simulated device"
        assert use_device(before) == "a simulated device"
    finally:
        use_device(before)
