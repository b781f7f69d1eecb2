"""Things that are built once and kept: compiled simulators, in a cache directory of the user's.

An entry is a directory named by the hash of everything that its contents depend on. It appears
whole or not at all, and of several processes that want it at once only one builds it.
"""

import fcntl
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

from ..errors import DeviceError

__all__ = [
    "CACHE_VARIABLE",
    "cache_directory",
    "cached_build",
    "cpu_identity",
    "find_tool",
    "run_tool",
    "source_texts",
    "tool_identity",
]

CACHE_VARIABLE = "TILEWRIGHT_CACHE"
_ERROR_LINES = 12
_PACKAGE = __package__.rpartition(".simulator")[0]


def cache_directory() -> Path:
    """``$TILEWRIGHT_CACHE``, else ``tilewright`` in ``$XDG_CACHE_HOME`` or ``~/.cache``; it need not exist yet."""
    if chosen := os.environ.get(CACHE_VARIABLE):
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "tilewright"


def cached_build(key_parts: Iterable[bytes | str], build: Callable[[Path], None], *, name: str = "build") -> Path:
    """The cache entry for `key_parts`; where there is none, `build` makes it.

    Parameters
    ----------
    key_parts
        All that the result depends on: sources, flags, identities of tools and CPU. Order matters.
    build
        Fills the empty directory that it is given. That directory is renamed afterwards: nothing in
        it may rely on its own absolute path. What it raises passes through and leaves no entry.
    name
        What the entry's directory name starts with, for people who look into the cache.

    Raises
    ------
    DeviceError
        The cache directory can't be written.
    """
    cache = cache_directory()
    entry = cache / f"{name}-{_digest(key_parts)}"
    if entry.is_dir():
        return entry
    with _locked(cache, entry.name):
        if not entry.is_dir():
            work = Path(tempfile.mkdtemp(prefix=f".{entry.name}.", dir=cache))
            try:
                build(work)
                work.chmod(0o755)
                work.rename(entry)
            finally:
                shutil.rmtree(work, ignore_errors=True)
    return entry


def source_texts(*places: str) -> Iterator[bytes]:
    """Python files of this package, and those of its folders: part of a key for what is made by running them."""
    for place in places:
        at = resources.files(_PACKAGE).joinpath(place)
        items = [at] if at.is_file() else sorted(at.iterdir(), key=lambda item: item.name)
        yield from (item.read_bytes() for item in items if item.name.endswith(".py"))


def _digest(parts: Iterable[bytes | str]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        digest.update(len(raw).to_bytes(8, "little") + raw)
    return digest.hexdigest()[:24]


@contextmanager
def _locked(cache: Path, name: str) -> Iterator[None]:
    """Hold the lock of one entry. The kernel frees it with its process; the file stays."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        handle = (cache / f".{name}.lock").open("w")
    except OSError as error:
        raise DeviceError(
            f"cache directory {cache} must be writable: {error.strerror} (set {CACHE_VARIABLE} to another one)"
        ) from None
    with handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def find_tool(candidates: Sequence[str], *, purpose: str, package: str) -> str:
    """Path of the first of `candidates` on PATH.

    Raises
    ------
    DeviceError
        There is none; says that `package` has it and what it is needed for (`purpose`).
    """
    for candidate in candidates:
        if path := shutil.which(candidate):
            return path
    raise DeviceError(
        f"{purpose} must have {' or '.join(candidates)} on PATH, and there is none (apt-get install {package})"
    )


@functools.cache
def tool_identity(path: str) -> str:
    """A tool's path and what it answers to ``--version``: part of a key."""
    return f"{path}\n{run_tool([path, '--version'])}"


@functools.cache
def cpu_identity() -> str:
    """This CPU's architecture, model and instruction set extensions: part of a key wherever -march=native is used."""
    wanted = ("model name", "flags", "Features", "CPU part", "CPU implementer", "isa")
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n")[0].splitlines()
    except OSError:
        lines = [platform.processor()]
    return "\n".join([platform.machine(), *(line for line in lines if line.startswith(wanted))])


def run_tool(command: Sequence[str | Path], *, cwd: Path | None = None) -> str:
    """Run a build tool to its end; its standard output.

    Raises
    ------
    DeviceError
        It does not exist or fails; with the last lines of what it said.
    """
    program = Path(command[0]).name
    try:
        done = subprocess.run([*map(str, command)], cwd=cwd, capture_output=True, text=True, errors="replace")
    except OSError as error:
        raise DeviceError(f"{program} must be runnable: {error.strerror}") from None
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-_ERROR_LINES:])
        raise DeviceError(f"{program} must succeed, not exit with status {done.returncode}: {said}")
    return done.stdout
