"""The door: what lies in the cache is run as native code, so nobody else may put it there."""

import os
import stat
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from diagrad.runtime.building import cache_folder
from diagrad.runtime.building.cache import Cache
from diagrad.runtime.building.cache_folder import default_folder, folder_fault, private_folder

ROOT = Path(__file__).resolve().parents[3]
KEY, CODE = bytes(range(32)), b"not really code" * 10
ADVICE = (
    "Its files are run as native code. This process uses a temporary folder of its own; remove "
    "the folder, or let $DIAGRAD_CACHE name one that only you can write to"
)

pytestmark = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="no POSIX rights")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=[0o000, 0o002, 0o022, 0o077, 0o377])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_folders_and_files_are_the_users_alone(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "a" / "b")
    assert cache.put(KEY, CODE) == ""
    assert [mode(tmp_path / "a"), mode(tmp_path / "a" / "b")] == [0o700] * 2
    assert [mode(path) for path in cache.folder.iterdir()] == [0o600]
    assert Cache(tmp_path / "a" / "b").get(KEY)[0] == CODE


def refused(cache: Cache, fault: str) -> None:
    """The cache refuses its folder with one warning, and goes on in a private one."""
    folder = cache.folder
    before = sorted(folder.iterdir())
    with pytest.warns(RuntimeWarning) as warned:
        assert cache.get(KEY)[0] is None
        assert cache.put(KEY, CODE) == ""
        assert cache.get(KEY) == (CODE, f"found in {cache.folder}")
        assert cache.put(bytes(32), CODE) == ""
    assert [str(item.message) for item in warned] == [
        f"diagrad's cache {folder} is refused: {fault}. {ADVICE}"
    ]
    assert cache.folder == private_folder() != folder
    assert mode(cache.folder) == 0o700
    assert sorted(folder.iterdir()) == before


@pytest.fixture(autouse=True)
def empty_private_folder() -> None:
    for path in private_folder().iterdir():
        path.unlink()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A trusted folder with an entry."""
    cache = Cache(tmp_path / "kernels")
    cache.put(KEY, CODE)
    return cache.folder


@pytest.mark.parametrize("rights", [0o777, 0o720, 0o702, 0o1777])
def test_a_folder_that_others_may_write_to(folder: Path, rights: int) -> None:
    folder.chmod(rights)
    refused(Cache(folder), f"others may write to it (mode {rights:04o})")


def test_a_folder_of_another_user(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    me = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: me + 1)
    monkeypatch.setattr("diagrad.runtime.building.cache.entry_fault", lambda status: "")
    fault = f"it belongs to user {me}, not to you ({me + 1})"
    assert folder_fault(folder) == fault
    refused(Cache(folder), fault)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may chown")
def test_a_folder_given_to_another_user(folder: Path) -> None:
    os.chown(folder, 12345, 12345)
    refused(Cache(folder), "it belongs to user 12345, not to you (0)")


def test_a_folder_above_that_others_may_write_to(folder: Path) -> None:
    above = folder.parent
    for rights in (0o777, 0o707):
        above.chmod(rights)
        fault = f"others may write to the folder {above} above it (mode {rights:04o})"
        assert folder_fault(folder) == fault
    above.chmod(0o1777)  # as of /tmp: what is there can be renamed by its owner alone
    assert folder_fault(folder) == ""
    above.chmod(0o770)  # the user's own group
    assert folder_fault(folder) == ""
    above.chmod(0o777)
    refused(Cache(folder), fault.replace("0707", "0777"))


def test_a_link_to_a_folder(folder: Path) -> None:
    link = folder.with_name("link")
    link.symlink_to(folder)
    assert Cache(link).get(KEY)[0] == CODE


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may chown")
def test_a_link_of_another_user(folder: Path) -> None:
    """It leads where he likes."""
    link = folder.with_name("link")
    link.symlink_to(folder)
    os.chown(link, 4242, 4242, follow_symlinks=False)
    refused(Cache(link), f"the link {link} belongs to user 4242")
    beyond = link / "more"
    (folder / "more").mkdir(mode=0o700)
    assert folder_fault(beyond) == f"the link {link} belongs to user 4242"


def place(path: Path, kind: str, elsewhere: Path) -> None:
    """Put something else in the place of an entry."""
    data = path.read_bytes()
    path.unlink()
    if kind == "a link":
        elsewhere.write_bytes(data)
        path.symlink_to(elsewhere)
    elif kind == "a dangling link":
        path.symlink_to(elsewhere)
    elif kind == "a FIFO":
        os.mkfifo(path)
    else:
        path.mkdir()


@pytest.mark.parametrize("kind", ["a link", "a dangling link", "a FIFO", "a folder"])
def test_what_is_no_file_in_an_entrys_place(folder: Path, kind: str, tmp_path: Path) -> None:
    path = next(folder.iterdir())
    place(path, kind, tmp_path / "elsewhere")
    kind = kind.replace("dangling ", "")
    refused(Cache(folder), f"its entry {path.name} is {kind}, not a file")


def test_an_entry_that_others_may_write_to(folder: Path) -> None:
    path = next(folder.iterdir())
    path.chmod(0o622)
    refused(Cache(folder), f"its entry {path.name} may be written by others (mode 0622)")


def test_an_entry_of_another_user(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    me = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: me + 1)
    fault = cache_folder.entry_fault(os.stat(next(folder.iterdir())))
    assert fault == f"belongs to user {me}"


def test_a_refusal_that_is_an_error_stays_refused(folder: Path) -> None:
    """With warnings as errors the first call raises; no later one looks into the folder."""
    folder.chmod(0o777)
    cache = Cache(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RuntimeWarning, match="is refused"):
            cache.get(KEY)
        assert cache.get(KEY) == (None, "not in the cache")
    assert cache.folder == private_folder()


def test_a_folder_that_cannot_be_listed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one of mode 0300, or under an NFS server's rules: entries are read and written."""

    def refuse(path: Path) -> Iterator[Path]:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", refuse)
    cache = Cache(folder, limit=10)
    assert cache.get(KEY)[0] == CODE
    assert cache.put(bytes(32), CODE) == ""
    assert cache.usage() == (0, 0)


# Where the cache is.


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in ("DIAGRAD_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "linux")
    return tmp_path


def test_the_users_cache_directory(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert default_folder() == home / ".cache" / "diagrad" / "kernels"
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "xdg"))
    assert default_folder() == home / "xdg" / "diagrad" / "kernels"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert default_folder() == home / ".cache" / "diagrad" / "kernels"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert default_folder() == home / "Library" / "Caches" / "diagrad" / "kernels"


def test_the_folder_that_the_user_names(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for told, meant in (("/a/b", Path("/a/b")), ("~/c", home / "c"), ("~", home)):
        monkeypatch.setenv("DIAGRAD_CACHE", told)
        assert default_folder() == meant
    monkeypatch.chdir(home)
    monkeypatch.setenv("DIAGRAD_CACHE", "here")
    assert default_folder() == home / "here"


@pytest.mark.parametrize("value", ["", "relative", "/nowhere/at/all"])
@pytest.mark.parametrize("told", [None, "~/kernels"])
@pytest.mark.usefixtures("home")
def test_without_a_home_directory(
    value: str, told: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", value)
    if told is not None:
        monkeypatch.setenv("DIAGRAD_CACHE", told)
    assert default_folder() == private_folder()


SCRIPT = """
import sys
from pathlib import Path
from diagrad.runtime.building.cache import Cache
cache = Cache()
assert cache.put(bytes(32), b"x") == "" and cache.get(bytes(32))[0] == b"x"
print(cache.folder)
"""


def test_a_private_folder_goes_with_its_process(tmp_path: Path) -> None:
    environment = {**os.environ, "HOME": "", "PYTHONPATH": str(ROOT)}
    for name in ("DIAGRAD_CACHE", "XDG_CACHE_HOME"):
        environment.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert not Path(done.stdout.strip()).exists()
    assert list(tmp_path.iterdir()) == []
