"""Object code, cubins and programs on disk: a file for each, named by a hash of what it is made of.

Several processes may share the folder.  A file appears whole or not at all (written beside, then
renamed); one that is damaged or foreign is reported and rebuilt; nothing is unpickled.  A folder
that cannot be used is a reason, never an error.  One that cannot be trusted, by the rules of
`cache_folder.py`, is refused with one warning, and a private folder of this process takes its
place.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import struct
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from ..forking import COMPILING
from .cache_folder import default_folder, entry_fault, folder_fault, make_folder, private_folder

MAGIC = b"DIAGRAD\x01"
LIMIT = 512 << 20
"""Bytes that the folder may hold; the least recently used files go first."""

_HEAD = struct.Struct("<8s32s32sQ")
_cache: Cache | None = None
Kind = Literal["kernel", "cubin", "program"]
_SUFFIXES = (".kernel", ".cubin", ".program")
_TOUCH_AFTER = 600.0
"""Seconds before a use is noted again: a write per use would cost more than the read."""
_STALE = 3600.0


class Cache:
    """A folder of entries: object code of a kernel, its cubin, or the text of a program.

    Attributes:
        folder: where the entries lie; a private one as soon as another was refused.
        refused: which folder was refused and why, or empty.
        limit: the bytes that it may hold.
    """

    def __init__(self, folder: Path | None = None, limit: int = LIMIT) -> None:
        self.folder = folder or default_folder()
        self.refused = ""
        self.limit = limit
        self._trusted = False
        self._written = limit  # So that the first write looks at what is there.

    def _path(self, key: bytes, kind: Kind) -> Path:
        return self.folder / f"{key.hex()}.{kind}"

    def get(self, key: bytes, kind: Kind = "kernel") -> tuple[bytes | None, str]:
        """What was kept, or None; and why."""
        try:
            self._expect_trust()
            path = self._path(key, kind)
            data = self._read(path)
        except FileNotFoundError:
            return None, "not in the cache"
        except OSError as error:
            return None, f"the cache cannot be read: {error}"
        if data is None:
            return None, f"not in the cache, which is {self.folder} since {self.refused}"
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
        """Keep an entry; the answer is why it could not be kept, or empty."""
        data = _HEAD.pack(MAGIC, key, hashlib.sha256(code).digest(), len(code)) + code
        try:
            make_folder(self.folder)
            self._trusted = bool(self.refused)  # Somebody may have made it anew.
            self._expect_trust()
            path = self._path(key, kind)
            beside = self.folder / f".{path.stem}.{os.getpid()}.{secrets.token_hex(4)}.tmp"
            try:
                _write_new(beside, data)
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

    def make(
        self, key: bytes, kind: Kind, build: Callable[[], bytes], why: str
    ) -> tuple[bytes, str]:
        """What `build` gives, kept from now on; and why it was built, and was not kept if so."""
        code = build()
        trouble = self.put(key, code, kind)
        return code, f"{why}; {trouble}" if trouble else why

    def _expect_trust(self) -> None:
        """Look at the folder once; go on in a private one if it cannot be trusted.

        Raises:
            OSError: there is no folder, or it cannot be looked at.
        """
        if not self._trusted:
            fault = folder_fault(self.folder)
            if fault:
                self._refuse(fault)
            self._trusted = True

    def _refuse(self, fault: str) -> None:
        self.refused = f"{self.folder} is refused: {fault}"
        self.folder, self._trusted, self._written = private_folder(), True, self.limit
        warnings.warn(
            f"diagrad's cache {self.refused}. Its files are run as native code. This process "
            "uses a temporary folder of its own; remove the folder, or let $DIAGRAD_CACHE name "
            "one that only you can write to",
            RuntimeWarning,
            stacklevel=2,
        )

    def _read(self, path: Path) -> bytes | None:
        """The bytes of an entry; None if it cannot be trusted, nor then can the folder.

        Raises:
            OSError: there is none, or it cannot be read.
        """
        fault = entry_fault(os.lstat(path))
        if not fault:
            with open(path, "rb", opener=_open_file) as file:
                return file.read()
        self._refuse(f"its entry {path.name} {fault}")
        return None

    def usage(self) -> tuple[int, int]:
        """How many files the folder holds, and their bytes; none where it cannot be read."""
        sizes = []
        for path in self._listed():
            try:
                if path.suffix != ".tmp":
                    sizes.append(path.stat().st_size)
            except OSError:
                continue  # Another process has just removed it.
        return len(sizes), sum(sizes)

    def _listed(self) -> Iterator[Path]:
        """The files of the folder; none where there is no folder, or it cannot be listed."""
        try:
            yield from self.folder.iterdir()
        except OSError:
            return

    def _remove_oldest(self, newest: Path) -> None:
        now, entries = time.time(), []
        for path in self._listed():
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


def _open_file(path: str, flags: int) -> int:
    """Open what is a file still: no link, and no FIFO to wait for."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))


def _write_new(path: Path, data: bytes) -> None:
    """Write a file that is not there yet, of mode 0600 whatever the umask."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        if hasattr(os, "fchmod"):
            os.fchmod(file.fileno(), 0o600)
        file.write(data)


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


def use_cache(cache: Cache | None) -> None:
    """Take another cache from now on; None for the default one, looked up anew."""
    global _cache
    with COMPILING:
        _cache = cache


def cache_in_use() -> Cache:
    """The cache that `obtain` looks into."""
    global _cache
    with COMPILING:
        if _cache is None:
            _cache = Cache()
        return _cache
