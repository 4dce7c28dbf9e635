"""Which folder the cache is, and whether it may be trusted: what lies in it is run as native code.

A folder is trusted if nobody but this user (and the system's administrator) can have put anything
there.  Where one is not, a private folder of this process takes its place.  On Windows, whose
rights Python cannot read, a folder in the user's profile is as private as the profile.
"""

from __future__ import annotations

import atexit
import os
import stat
import sys
from functools import lru_cache
from pathlib import Path

_OTHERS = stat.S_IWGRP | stat.S_IWOTH


def default_folder() -> Path:
    """`$DIAGRAD_CACHE`, or the folder for kernels in the user's cache directory.

    Without a home directory it is private to this process and temporary.
    """
    told = os.environ.get("DIAGRAD_CACHE")
    if told:
        return _absolute(told) or private_folder()
    named, default = "XDG_CACHE_HOME", "~/.cache"
    if sys.platform == "win32":
        named, default = "LOCALAPPDATA", "~/AppData/Local"
    elif sys.platform == "darwin":
        named, default = "", "~/Library/Caches"
    base = os.environ.get(named, "")
    if not os.path.isabs(base):  # relative ones are to be ignored, by the XDG specification
        base = default
    folder = _absolute(base)
    return private_folder() if folder is None else folder / "diagrad" / "kernels"


def _absolute(text: str) -> Path | None:
    """A path with the home directory for ~; None where there is no such directory."""
    if not text.startswith("~"):
        return Path(os.path.abspath(text))
    start, _, rest = text.partition("/")
    home = os.path.expanduser(start)  # an empty $HOME becomes the root of all files
    if (start == "~" and os.environ.get("HOME") == "") or not os.path.isabs(home):
        return None
    if not os.path.isdir(home):
        return None
    return Path(home, rest)


@lru_cache(maxsize=1)
def private_folder() -> Path:
    """A new folder that only this user may look into, removed when the process ends."""
    import shutil  # neither is for `import diagrad`
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="diagrad-"))
    owner = os.getpid()

    def remove() -> None:
        if os.getpid() == owner:  # and not a forked child, which only shares it
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    return folder


def make_folder(folder: Path) -> None:
    """Make the folder, and those above it that are missing, with mode 0700 whatever the umask."""
    missing = [folder]
    while not missing[-1].parent.is_dir() and missing[-1].parent != missing[-1]:
        missing.append(missing[-1].parent)
    for place in reversed(missing):
        try:
            place.mkdir(mode=0o700)
        except FileExistsError:
            if not place.is_dir():
                raise
        else:
            place.chmod(0o700)


def folder_fault(folder: Path) -> str:
    """Why a folder that is there may not be trusted; empty if it may."""
    if not hasattr(os, "geteuid"):
        return ""
    me = os.geteuid()
    real = Path(os.path.realpath(folder))
    for place in (folder, *folder.parents):  # a link leads where its owner likes
        if place.is_symlink() and (owner := os.lstat(place).st_uid) not in (0, me):
            return f"the link {place} belongs to user {owner}"
    status = os.stat(real)
    if not stat.S_ISDIR(status.st_mode):
        return "it is not a folder"
    if status.st_uid != me:
        return f"it belongs to user {status.st_uid}, not to you ({me})"
    if status.st_mode & _OTHERS:
        return f"others may write to it (mode {stat.S_IMODE(status.st_mode):04o})"
    for place in real.parents:
        status = os.stat(place)
        if status.st_uid not in (0, me):
            return f"the folder {place} above it belongs to user {status.st_uid}"
        sticky = status.st_mode & stat.S_ISVTX  # nobody may rename what another one owns
        theirs = status.st_mode & (_OTHERS if status.st_gid != os.getegid() else stat.S_IWOTH)
        if theirs and not sticky:
            mode = stat.S_IMODE(status.st_mode)
            return f"others may write to the folder {place} above it (mode {mode:04o})"
    return ""


def entry_fault(status: os.stat_result) -> str:
    """Why a file in the folder may not be trusted; empty if it may."""
    if not stat.S_ISREG(status.st_mode):
        kinds = {
            stat.S_IFLNK: "a link",
            stat.S_IFIFO: "a FIFO",
            stat.S_IFDIR: "a folder",
            stat.S_IFSOCK: "a socket",
        }
        return f"is {kinds.get(stat.S_IFMT(status.st_mode), 'a device')}, not a file"
    if hasattr(os, "geteuid"):
        if status.st_uid != os.geteuid():
            return f"belongs to user {status.st_uid}"
        if status.st_mode & _OTHERS:
            return f"may be written by others (mode {stat.S_IMODE(status.st_mode):04o})"
    return ""
