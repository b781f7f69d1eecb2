import multiprocessing
from pathlib import Path

import pytest
from tilewright.errors import DeviceError
from tilewright.simulator import build


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(build.CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_builds_once_and_finds_it_again(cache: Path) -> None:
    calls = []

    def make(directory: Path) -> None:
        calls.append(directory)
        (directory / "out").write_text("made")

    first = build.cached_build(["a", b"b"], make, name="thing")
    assert build.cached_build(["a", b"b"], make, name="thing") == first
    assert len(calls) == 1
    assert (first / "out").read_text() == "made"
    assert first.parent == cache
    assert first.name.startswith("thing-")
    assert not calls[0].exists()


def test_parts_do_not_run_together() -> None:
    def make(directory: Path) -> None:
        pass

    entries = {build.cached_build(parts, make) for parts in (["ab", "c"], ["a", "bc"], ["abc"], ["abc", ""])}
    assert len(entries) == 4


def test_failed_build_leaves_nothing(cache: Path) -> None:
    def fail(directory: Path) -> None:
        (directory / "half").write_text("x")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        build.cached_build(["x"], fail)
    assert [path for path in cache.iterdir() if path.is_dir()] == []
    assert build.cached_build(["x"], lambda directory: None).is_dir()


def _slow_build(log: Path) -> None:
    def make(directory: Path) -> None:
        with log.open("a") as handle:
            handle.write("built\n")
        for n in range(200):
            (directory / str(n)).write_text("x")

    entry = build.cached_build(["shared"], make)
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
    monkeypatch.setenv(build.CACHE_VARIABLE, str(blocked))
    with pytest.raises(DeviceError, match=r"cache directory .*file must be writable: .*set TILEWRIGHT_CACHE"):
        build.cached_build(["x"], lambda directory: None)


def test_directory_without_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(build.CACHE_VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert build.cache_directory() == tmp_path / "tilewright"


def test_missing_tool_says_what_to_install() -> None:
    with pytest.raises(DeviceError, match=r"the thing must have no-such-a or no-such-b on PATH.*apt-get install gcc"):
        build.find_tool(["no-such-a", "no-such-b"], purpose="the thing", package="gcc")


def test_failing_tool_shows_its_words(tmp_path: Path) -> None:
    assert build.run_tool(["echo", "hello"]) == "hello\n"
    with pytest.raises(DeviceError, match=r"ls must succeed, not exit with status 2: .*no-such"):
        build.run_tool(["ls", tmp_path / "no-such"])
    with pytest.raises(DeviceError, match="no-such-tool must be runnable"):
        build.run_tool(["no-such-tool"])


def test_identities_are_not_empty() -> None:
    assert build.cpu_identity()
    assert "echo" in build.tool_identity("echo")
