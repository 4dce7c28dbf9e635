"""Object code and programs on disk: a file for each, named by a hash of all that it depends on.

Several processes may share the folder.  A file appears whole or not at all (written beside, then
renamed); one that is damaged or foreign is reported and rebuilt; nothing is unpickled.  A folder
that cannot be used is a reason, never an error.  Nothing here compiles or links.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import struct
import sys
import time
from pathlib import Path
from typing import Literal

MAGIC = b"DIAGRAD\x01"
LIMIT = 512 << 20
"""Bytes that the folder may hold; the least recently used files go first."""

_HEAD = struct.Struct("<8s32s32sQ")
Kind = Literal["kernel", "program"]
_SUFFIXES = (".kernel", ".program")
_TOUCH_AFTER = 600.0
"""Seconds before a use is noted again: a write per use would cost more than the read."""
_STALE = 3600.0


def default_folder() -> Path:
    """`$DIAGRAD_CACHE`, or the folder for kernels in the user's cache directory."""
    told = os.environ.get("DIAGRAD_CACHE")
    if told:
        return Path(told)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or str(Path("~/AppData/Local"))
    elif sys.platform == "darwin":
        base = "~/Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.path.expanduser(base)) / "diagrad" / "kernels"


class Cache:
    """A folder of entries of two kinds: object code of a kernel, or the text of a program."""

    def __init__(self, folder: Path | None = None, limit: int = LIMIT) -> None:
        self.folder = folder or default_folder()
        self.limit = limit
        self._written = limit  # So that the first write looks at what is there.

    def _path(self, key: bytes, kind: Kind) -> Path:
        return self.folder / f"{key.hex()}.{kind}"

    def get(self, key: bytes, kind: Kind = "kernel") -> tuple[bytes | None, str]:
        """What was kept, or None; and why."""
        path = self._path(key, kind)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None, "not in the cache"
        except OSError as error:
            return None, f"the cache cannot be read: {error}"
        fault = _fault(data, key, kind)
        if fault:
            return None, f"the entry in the cache {fault}"
        try:
            if time.time() - path.stat().st_mtime > _TOUCH_AFTER:
                os.utime(path)
        except OSError:
            pass  # A folder that is only read keeps its dates.
        return data[_HEAD.size :], f"found in {self.folder}"

    def put(self, key: bytes, code: bytes, kind: Kind = "kernel") -> str:
        """Keep object code or a program; the answer is why it could not be kept, or empty."""
        path = self._path(key, kind)
        beside = self.folder / f".{path.stem}.{os.getpid()}.{secrets.token_hex(4)}.tmp"
        data = _HEAD.pack(MAGIC, key, hashlib.sha256(code).digest(), len(code)) + code
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                beside.write_bytes(data)
                os.replace(beside, path)
            finally:
                beside.unlink(missing_ok=True)
        except OSError as error:
            return f"kept in memory only: {error}"
        self._written += len(data)
        if self._written > self.limit // 16:
            self._written = 0
            self._remove_oldest(path)
        return ""

    def usage(self) -> tuple[int, int]:
        """How many files the folder holds, and their bytes; none where it cannot be read."""
        sizes = []
        try:
            for path in self.folder.iterdir():
                if path.suffix != ".tmp":
                    sizes.append(path.stat().st_size)
        except OSError:
            pass  # No folder yet, or a file that another process has just removed.
        return len(sizes), sum(sizes)

    def _remove_oldest(self, newest: Path) -> None:
        now, entries = time.time(), []
        for path in self.folder.iterdir():
            try:
                stat = path.stat()
                if path.suffix == ".tmp" and now - stat.st_mtime > _STALE:
                    path.unlink()
                elif path.suffix in _SUFFIXES:
                    entries.append((stat.st_mtime, stat.st_size, path))
            except OSError:
                continue  # Another process removed it first.
        total = sum(size for _, size, _ in entries)
        for _, size, path in sorted(entries):
            if total <= self.limit:
                return
            if path != newest:
                try:
                    path.unlink()
                except OSError:
                    continue  # As above, or a file in use on Windows.
                total -= size


def _fault(data: bytes, key: bytes, kind: Kind) -> str:
    if len(data) < _HEAD.size:
        return "is truncated"
    magic, held, digest, length = _HEAD.unpack_from(data)
    if magic != MAGIC:
        return f"is not a {kind} of this version"
    if held != key:
        return f"belongs to another {kind}"
    code = data[_HEAD.size :]
    if len(code) != length:
        return "is truncated"
    if hashlib.sha256(code).digest() != digest:
        return "is damaged"
    return ""
