import multiprocessing
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from tilewright.cache import CACHE_VARIABLE, cache_directory, cached_build, tell_builds
from tilewright.errors import DeviceError


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_builds_once_and_finds_it_again(cache: Path) -> None:
    calls = []

    def make(directory: Path) -> None:
        calls.append(directory)
        (directory / "out").write_text("made")

    first = cached_build(["a", b"b"], make, name="thing")
    assert cached_build(["a", b"b"], make, name="thing") == first
    assert len(calls) == 1
    assert (first / "out").read_text() == "made"
    assert first.parent == cache
    assert first.name.startswith("thing-")
    assert not calls[0].exists()


def test_parts_do_not_run_together() -> None:
    def make(directory: Path) -> None:
        pass

    entries = {cached_build(parts, make) for parts in (["ab", "c"], ["a", "bc"], ["abc"], ["abc", ""])}
    assert len(entries) == 4


def test_failed_build_leaves_nothing(cache: Path) -> None:
    def fail(directory: Path) -> None:
        (directory / "half").write_text("x")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        cached_build(["x"], fail)
    assert [path for path in cache.iterdir() if path.is_dir()] == []
    assert cached_build(["x"], lambda directory: None).is_dir()


def test_a_full_disk_is_told_apart(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(directory: Path) -> None:
        (directory / "half").write_text("x")

    def fail(directory: Path) -> None:
        raise OSError("no space")

    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=4096))
    for build in (write, fail):
        with pytest.raises(DeviceError, match=r"^cache directory \S+ must have room .* but its disk has 4,096 left"):
            cached_build(["x"], build)
    assert [path for path in cache.iterdir() if path.is_dir()] == []


def _slow_build(log: Path) -> None:
    def make(directory: Path) -> None:
        with log.open("a") as handle:
            handle.write("built\n")
        for n in range(200):
            (directory / str(n)).write_text("x")

    entry = cached_build(["shared"], make)
    assert len(list(entry.iterdir())) == 200


def test_parallel_processes_build_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_slow_build, args=(tmp_path / "log",)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert (tmp_path / "log").read_text() == "built\n"


def test_unwritable_cache_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv(CACHE_VARIABLE, str(blocked))
    with pytest.raises(DeviceError, match=r"cache directory .*file must be writable: .*set TILEWRIGHT_CACHE"):
        cached_build(["x"], lambda directory: None)


def test_directory_without_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CACHE_VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_directory() == tmp_path / "tilewright"


def test_what_others_could_have_written_is_not_used(cache: Path) -> None:
    def make(directory: Path) -> None:
        (directory / "code.so").write_text("x")
        (directory / "code.so").chmod(0o666)

    entry = cached_build(["x"], make)
    assert (entry / "code.so").stat().st_mode & 0o777 == 0o644
    for path in (cache, entry, entry / "code.so"):
        before = path.stat().st_mode
        path.chmod(before | 0o020)
        with pytest.raises(DeviceError, match=rf"cache {path} must be yours, .*set TILEWRIGHT_CACHE to a folder"):
            cached_build(["x"], make)
        path.chmod(before)
    assert cached_build(["x"], make) == entry


def test_nothing_is_built_where_others_may_write(tmp_path: Path, cache: Path) -> None:
    cache.mkdir()
    cache.chmod(0o777)
    with pytest.raises(DeviceError, match="writable by nobody else"):
        cached_build(["x"], lambda directory: None)
    assert list(cache.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_anothers_entry_is_not_used() -> None:
    entry = cached_build(["x"], lambda directory: None)
    os.chown(entry, 12345, 12345)
    with pytest.raises(DeviceError, match="must be yours"):
        cached_build(["x"], lambda directory: None)


def test_what_takes_long_is_told() -> None:
    told: list[str] = []
    with tell_builds(told.append):
        cached_build(["short"], lambda directory: None)
        for _ in range(2):
            cached_build(["long"], lambda directory: None, takes="Building a thing: a minute")
    cached_build(["later"], lambda directory: None, takes="Building another: a minute")
    assert told == ["Building a thing: a minute"]
