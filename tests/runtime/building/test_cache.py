"""The cache on disk: what it refuses, what it survives, and that it stays within its size."""

import gc
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from diagrad.runtime.building.cache import Cache, cache_in_use, use_cache
from diagrad.runtime.cpu.building import build
from diagrad.runtime.cpu.building.natives import Request, key_of, obtain

KEY, OTHER = bytes(range(32)), bytes(32)
CODE = b"not really code" * 100
ROOT = Path(__file__).resolve().parents[3]


def entry(cache: Cache, key: bytes = KEY) -> Path:
    return cache.folder / f"{key.hex()}.kernel"


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "kernels")


def test_keeps_and_finds(cache: Cache) -> None:
    assert cache.get(KEY) == (None, "not in the cache")
    assert cache.put(KEY, CODE) == ""
    assert cache.get(KEY) == (CODE, f"found in {cache.folder}")
    assert cache.get(OTHER)[0] is None
    assert [path.name for path in cache.folder.iterdir()] == [f"{KEY.hex()}.kernel"]


@pytest.mark.parametrize("cut", [0, 5, 80, -1])
def test_truncated(cache: Cache, cut: int) -> None:
    cache.put(KEY, CODE)
    entry(cache).write_bytes(entry(cache).read_bytes()[:cut])
    assert cache.get(KEY) == (None, "the entry in the cache is truncated")
    assert cache.put(KEY, CODE) == ""
    assert cache.get(KEY)[0] == CODE


def test_damaged(cache: Cache) -> None:
    cache.put(KEY, CODE)
    data = bytearray(entry(cache).read_bytes())
    data[-7] ^= 1
    entry(cache).write_bytes(data)
    assert cache.get(KEY) == (None, "the entry in the cache is damaged")


def test_foreign(cache: Cache) -> None:
    cache.put(OTHER, CODE)
    os.replace(entry(cache, OTHER), entry(cache))
    assert cache.get(KEY) == (None, "the entry in the cache belongs to another kernel")
    entry(cache).write_bytes(b"\x80\x04" + bytes(200))
    assert cache.get(KEY) == (None, "the entry in the cache is not a kernel of this version")


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    cache = Cache(tmp_path / "file" / "kernels")
    assert cache.get(KEY)[0] is None
    assert cache.put(KEY, CODE).startswith("kept in memory only: ")


def test_a_folder_that_is_only_read(cache: Cache) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    cache.folder.mkdir()
    cache.folder.chmod(0o500)
    assert cache.put(KEY, CODE).startswith("kept in memory only: ")
    cache.folder.chmod(0o700)


def test_the_least_recently_used_go_first(tmp_path: Path) -> None:
    cache = Cache(tmp_path, limit=5 * len(CODE))
    now = time.time()
    for number in range(10):
        key = bytes([number]) * 32
        cache.put(key, CODE)
        os.utime(entry(cache, key), (now - 1000 + number, now - 1000 + number))
        cache.get(bytes(32))  # Keeps the first one in use.
    kept = {path.name[:2] for path in tmp_path.iterdir()}
    assert kept == {"00", "07", "08", "09"}


def test_leftovers_of_a_crash_are_removed(tmp_path: Path) -> None:
    cache = Cache(tmp_path, limit=10)
    fresh, stale = tmp_path / ".a.1.tmp", tmp_path / ".b.2.tmp"
    for path in (fresh, stale):
        path.write_bytes(b"half")
    os.utime(stale, (0, 0))
    cache.put(KEY, CODE)
    assert fresh.exists()
    assert not stale.exists()


def text(number: int) -> str:
    return f"def kernel(args, lo, hi):\n    store_first(i64_at(args[0]), 0, i64({number}))\n"


def request(number: int) -> Request:
    return Request(f"k{number}", text(number), build.build_kernel)


@pytest.fixture
def other_cache(cache: Cache) -> Iterator[Cache]:
    kept = cache_in_use()
    use_cache(cache)
    yield cache
    use_cache(kept)


def test_built_once_then_from_memory(other_cache: Cache) -> None:
    before = build.compilations
    first, again = obtain([request(1001), request(1001)])
    assert (first.origin, again.origin) == ("compiled", "memory")
    assert first.address == again.address
    assert build.compilations == before + 1


@pytest.mark.parametrize("enabled", [True, False])
def test_the_collector_rests_while_something_is_built(other_cache: Cache, enabled: bool) -> None:
    seen = []

    def build_one(source: str, symbol: str) -> bytes:
        seen.append(gc.isenabled())
        if source == "wrong":
            raise ValueError(source)
        return build.build_kernel(text(1004 + enabled), symbol)

    (gc.enable if enabled else gc.disable)()
    try:
        obtain([Request("k", "right", build_one)])
        assert gc.isenabled() is enabled
        with pytest.raises(ValueError, match="wrong"):
            obtain([Request("k", "wrong", build_one)])
        assert gc.isenabled() is enabled
    finally:
        gc.enable()
    assert seen[-1] is False


def test_a_damaged_entry_is_rebuilt_and_says_so(other_cache: Cache) -> None:
    other_cache.put(key_of(request(1002)), b"x")
    entry(other_cache, key_of(request(1002))).write_bytes(b"DIAGRAD\x01" + bytes(100))
    native = obtain([request(1002)])[0]
    assert native.origin == "compiled"
    assert native.reason == "the entry in the cache belongs to another kernel"


def test_object_code_without_the_symbol_is_rebuilt(other_cache: Cache) -> None:
    wrong = build.build_kernel(text(1003), "another_symbol")
    other_cache.put(key_of(request(1003)), wrong)
    native = obtain([request(1003)])[0]
    assert native.origin == "compiled"
    assert native.reason.startswith("the entry in the cache does not link: ")


CHILD = """
import sys
from diagrad.runtime.cpu.building.build import build_kernel
from diagrad.runtime.cpu.building.natives import Request, obtain
texts = sys.argv[1:]
for native in obtain([Request("k", text, build_kernel) for text in texts]):
    print(native.origin)
print("numba" in sys.modules)
"""


def child(folder: Path, *texts: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, *texts],
        env={**os.environ, "DIAGRAD_CACHE": str(folder), "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_processes_share_the_folder_and_the_second_needs_no_numba(tmp_path: Path) -> None:
    texts = [text(number) for number in range(2000, 2004)]
    both = [child(tmp_path, *texts), child(tmp_path, *texts)]
    for process in both:
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        assert len(output.split()) == 5
    output, _ = child(tmp_path, *texts).communicate(timeout=60)
    assert output.split() == ["cache"] * 4 + ["False"]
