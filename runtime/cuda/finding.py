"""The device that programs run on, and what is missing where there is none.

There is one for a process: the first that the driver shows.  $CUDA_VISIBLE_DEVICES says which of
several that is, before anything has asked for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

LEAST_CAPABILITY = (7, 5)
"""The oldest devices that the linker of the packages (nvJitLink 13.0) writes code for: Turing."""

LEAST_DRIVER = 13000
"""The version of CUDA that a driver must be for, as the driver counts: code of that linker runs on
drivers for CUDA 13.0 and later ones (NVIDIA's minor version compatibility)."""

INSTALL = "pip install 'diagrad[cuda]'"
DRIVER = "install NVIDIA's driver 580 or newer"

Part = Literal["package", "library", "driver", "device"]


class MissingError(Exception):
    """This machine lacks something for target "cuda": which part, and in the text what to do."""

    def __init__(self, part: Part, text: str) -> None:
        super().__init__(text)
        self.part = part


@dataclass(frozen=True)
class Found:
    """A device that can be used.

    Attributes:
        name: as the driver has it.
        memory: bytes.
        capability: its compute capability, (9, 0) for an H100.
        driver: the version of CUDA that its driver is for, (13, 0).
    """

    name: str
    memory: int
    capability: tuple[int, int]
    driver: tuple[int, int]

    def __str__(self) -> str:
        capability, driver = (".".join(map(str, item)) for item in (self.capability, self.driver))
        memory = f"{self.memory / 2**30:.1f} GiB"
        return f"{self.name}, {memory}, compute capability {capability}; driver for CUDA {driver}"


def find(packages: Callable[[], tuple[Any, Any]] | None = None) -> Found:
    """The device.

    Args:
        packages: what gives the bindings of the driver and those of the linker; by default the
            packages' own.

    Raises:
        MissingError: there is none that can be used.
    """
    driver = _bindings(packages or _packages)
    version = _started(driver)
    if version < LEAST_DRIVER:
        raise MissingError(
            "driver",
            f"the driver is for CUDA {'.'.join(map(str, _pair(version)))}, expected "
            f"{'.'.join(map(str, _pair(LEAST_DRIVER)))} or later: {DRIVER}",
        )
    device = _asked(driver, driver.cuDeviceGet(0))
    attribute = driver.CUdevice_attribute
    capability = (
        int(_asked(driver, driver.cuDeviceGetAttribute(kind, device)))
        for kind in (
            attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
            attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
        )
    )
    found = Found(
        _text(_asked(driver, driver.cuDeviceGetName(256, device))),
        int(_asked(driver, driver.cuDeviceTotalMem(device))),
        (next(capability), next(capability)),
        _pair(version),
    )
    if found.capability < LEAST_CAPABILITY:
        least, got = (".".join(map(str, item)) for item in (LEAST_CAPABILITY, found.capability))
        raise MissingError(
            "device",
            f"{found.name} has compute capability {got}, expected {least} or more (Turing, 2018, "
            "and later): choose another device with $CUDA_VISIBLE_DEVICES",
        )
    return found


def _packages() -> tuple[Any, Any]:
    from cuda.bindings import driver, nvjitlink

    return driver, nvjitlink


def _bindings(packages: Callable[[], tuple[Any, Any]]) -> Any:
    """The driver's bindings; MissingError where a package is not there."""
    try:
        driver, linker = packages()
    except ModuleNotFoundError:
        raise MissingError(
            "package", f"the package cuda-bindings is not installed: {INSTALL}"
        ) from None
    except ImportError as error:
        raise MissingError(
            "package", f"the package cuda-bindings cannot be imported ({error}): {INSTALL}"
        ) from None
    try:
        linker.version()
    except RuntimeError:  # It finds no library.
        raise MissingError(
            "package", f"the package nvidia-nvjitlink is not installed: {INSTALL}"
        ) from None
    return driver


def _started(driver: Any) -> int:
    """The version of the driver, which is at work from now on."""
    try:
        (code,) = driver.cuInit(0)
    except RuntimeError:  # The bindings find no library.
        raise MissingError(
            "library",
            f"the driver's library (libcuda) is not found: {DRIVER}; in a container, let it see "
            "the device (docker run --gpus all)",
        ) from None
    words = "" if not code else _words(driver, code)
    if code == driver.CUresult.CUDA_ERROR_NO_DEVICE:
        raise MissingError(
            "device",
            f"the driver finds no device ({words}): look at nvidia-smi and $CUDA_VISIBLE_DEVICES",
        )
    if code:
        raise MissingError("driver", f"the driver does not start ({words}): {DRIVER}")
    return int(_asked(driver, driver.cuDriverGetVersion()))


def _asked(driver: Any, answer: tuple[Any, ...]) -> Any:
    """The value of an answer of the driver; MissingError where it is an error."""
    code, *values = answer
    if code:
        raise MissingError("driver", f"the driver answers {_words(driver, code)}: {DRIVER}")
    return values[0]


def _words(driver: Any, code: Any) -> str:
    """An error in the driver's own words: "CUDA_ERROR_NO_DEVICE: no CUDA-capable device ..."."""
    texts = [ask(code)[1] for ask in (driver.cuGetErrorName, driver.cuGetErrorString)]
    return ": ".join(_text(text) for text in texts if text)


def _text(value: bytes) -> str:
    return value.split(b"\0")[0].decode(errors="replace").strip()


def _pair(version: int) -> tuple[int, int]:
    return version // 1000, version % 1000 // 10
