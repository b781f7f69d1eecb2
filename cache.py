"""Things that are built once and kept, such as compiled simulators, in a cache directory of the user's.

An entry is a directory named by the hash of everything that its contents depend on. It appears
whole or not at all, and of several processes that want it at once only one builds it. Code is loaded
from entries, so nobody but the user may have been able to write them.
"""

import fcntl
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import DeviceError

__all__ = ["CACHE_VARIABLE", "cache_directory", "cached_build", "tell_builds"]

CACHE_VARIABLE = "TILEWRIGHT_CACHE"
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
_LEAST_ROOM = 1 << 20  # with less of the disk left, not every tool says that it could not write all of a file


def cache_directory() -> Path:
    """``$TILEWRIGHT_CACHE``, else ``tilewright`` in ``$XDG_CACHE_HOME`` or ``~/.cache``; it need not exist yet."""
    if chosen := os.environ.get(CACHE_VARIABLE):
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "tilewright"


_tell: Callable[[str], object] = str  # nobody asks


@contextmanager
def tell_builds(tell: Callable[[str], object]) -> Iterator[None]:
    """Within it, `tell` is called at the start of each build that takes long, with what is built and for how long."""
    global _tell
    before, _tell = _tell, tell
    try:
        yield
    finally:
        _tell = before


def cached_build(
    key_parts: Iterable[bytes | str], build: Callable[[Path], None], *, name: str = "build", takes: str | None = None
) -> Path:
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
    takes
        For :func:`tell_builds`: what is built and how long that takes, where it is long.

    Raises
    ------
    DeviceError
        The cache directory can't be written, or has no room, or another user could have written it or the entry.
    """
    cache = cache_directory()
    entry = cache / f"{name}-{_digest(key_parts)}"
    if not entry.is_dir():
        with _locked(cache, entry.name):
            if not entry.is_dir():
                if takes:
                    _tell(takes)
                _build(entry, build)
    for path in (cache, entry, *entry.iterdir()):
        _require_own(path)
    return entry


def _build(entry: Path, build: Callable[[Path], None]) -> None:
    work = Path(tempfile.mkdtemp(prefix=f".{entry.name}.", dir=entry.parent))
    try:
        try:
            build(work)
        except Exception:
            _require_room(entry.parent)
            raise
        _require_room(entry.parent)
        for path in work.rglob("*"):
            if not path.is_symlink():
                path.chmod(path.stat().st_mode & ~_WRITABLE_BY_OTHERS)
        work.chmod(0o755)
        work.rename(entry)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _require_room(cache: Path) -> None:
    free = shutil.disk_usage(cache).free
    if free < _LEAST_ROOM:
        raise DeviceError(
            f"cache directory {cache} must have room for what is built, and {_LEAST_ROOM:,} bytes more, but its disk "
            f"has {free:,} left: free some, or set {CACHE_VARIABLE} to another one"
        )


def _require_own(path: Path) -> None:
    found = path.stat()
    if found.st_uid not in (os.geteuid(), 0) or found.st_mode & _WRITABLE_BY_OTHERS:
        raise DeviceError(
            f"cache {path} must be yours, and writable by nobody else: chmod it, remove it, "
            f"or set {CACHE_VARIABLE} to a folder of your own"
        )


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
        cache.parent.mkdir(parents=True, exist_ok=True)
        cache.mkdir(mode=0o755, exist_ok=True)
        _require_own(cache)
        handle = (cache / f".{name}.lock").open("w")
    except OSError as error:
        raise DeviceError(
            f"cache directory {cache} must be writable: {error.strerror} (set {CACHE_VARIABLE} to another one)"
        ) from None
    with handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
