"""What a text becomes depends on: the versions of the tools, and the engine's own source."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Iterable
from pathlib import Path

_RUNTIME = Path(__file__).resolve().parents[1]


def version_text(package: str) -> str:
    """What a package's own file of its version says: neither it nor `importlib.metadata` is loaded.

    Numba costs 250 ms to import, `importlib.metadata` 13.

    Raises:
        ModuleNotFoundError: there is no such package.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"kernels are built by {package}, which is not installed")
    try:
        return Path(spec.origin).with_name("_version.py").read_text(encoding="utf-8")
    except OSError:
        from importlib.metadata import version

        return version(package)


def surroundings(parts: Iterable[str], target: str) -> bytes:
    """Hash of all that builds a target's kernels: Numba and LLVM, `parts`, and the engine's source.

    Args:
        parts: more that counts, as the processor.
        target: the folder of the runtime that is the target's own.
    """
    total = hashlib.sha256()
    for part in (version_text("numba"), version_text("llvmlite"), *parts):
        total.update(part.encode() + b"\0")
    folders = (_RUNTIME / name for name in (target, "building", "words"))
    files = [path for folder in folders for path in folder.rglob("*.py")]
    for path in sorted(
        [*files, *(_RUNTIME / name for name in ("philox.py", "program.py", "teams.py"))]
    ):
        total.update(path.read_bytes() + b"\0")
    return total.digest()
