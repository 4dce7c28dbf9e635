"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path
from typing import BinaryIO

from .arguments import path as path_of


def picture_path(path: str | os.PathLike[str]) -> Path:
    """The path of a picture; ValueError unless its suffix is .svg or .png."""
    target = Path(path_of("render", "path", path))
    if target.suffix.lower() not in (".svg", ".png"):
        raise ValueError(
            f"cannot draw into {target.name!r}: expected a name that ends in .svg or .png, got "
            f"{target.suffix or 'no suffix'}"
        )
    return target


def target_of(path: str | os.PathLike[str]) -> Path:
    """The file that a path means, links followed.

    Raises:
        FileNotFoundError: its folder is not there.
        OSError: what is there is no plain file: a folder, a pipe, a device such as /dev/null,
            in whose place a file would be put.
    """
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise FileNotFoundError(f"cannot write {target.name}: there is no folder {target.parent}")
    refuse_folder("write", target)
    if target.exists() and not target.is_file():
        raise OSError(f"cannot write {target.name}: it is no plain file")
    return target


def refuse_folder(doing: str, path: str | os.PathLike[str]) -> None:
    """IsADirectoryError where a file is expected and there is a folder."""
    if os.path.isdir(path):
        name = os.path.basename(os.path.abspath(path))
        raise IsADirectoryError(f"cannot {doing} {name}: it is a folder, give the path of a file")


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Replace the file `path` by one that holds `data`, or leave it as it is.

    The data is on the disk before the name points to it, and who may read it is as for the file
    that it replaces.  Where the system has files without a name (Linux), not even a killed process
    leaves anything beside the old file.

    Raises:
        OSError: the folder does not exist or cannot be written.
    """
    target = target_of(path)
    beside = target.with_name(f".{target.name}.{os.getpid()}.{threading.get_ident()}.part")
    mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else None
    try:
        if not _write_unnamed(beside, data, mode):
            made = _made_with(mode)
            with open(beside, "wb", opener=lambda path, flags: os.open(path, flags, made)) as file:
                _fill(file, data, mode)
        os.replace(beside, target)
    finally:
        beside.unlink(missing_ok=True)


def _write_unnamed(beside: Path, data: bytes, mode: int | None) -> bool:
    """Fill a file that has no name yet, then call it `beside`; False where that cannot be done."""
    flag = getattr(os, "O_TMPFILE", None)
    if flag is None:
        return False
    try:
        handle = os.open(beside.parent, flag | os.O_WRONLY, _made_with(mode))
    except OSError:
        return False
    with os.fdopen(handle, "wb") as file:
        _fill(file, data, mode)
        folder = os.open(beside.parent, os.O_RDONLY)
        try:
            # Only with the handle of a folder does Python follow the link to the file itself.
            source = f"/proc/self/fd/{handle}"
            os.link(source, beside.name, dst_dir_fd=folder, follow_symlinks=True)
        except OSError:
            return False
        finally:
            os.close(folder)
    return True


def _made_with(mode: int | None) -> int:
    """The mode to make a file with: nobody else's until it has its own."""
    return 0o666 if mode is None else 0o600


def _fill(file: BinaryIO, data: bytes, mode: int | None) -> None:
    if mode is not None and hasattr(os, "fchmod"):
        os.fchmod(file.fileno(), mode)
    file.write(data)
    file.flush()
    os.fsync(file.fileno())
