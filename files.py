"""Files that are written whole or not at all, and errors that name them."""

import hashlib
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from .errors import TilewrightError

__all__ = ["digest_of_files", "require_file", "require_place", "write_file"]


def digest_of_files(folder: Path, patterns: Iterable[str]) -> str:
    """16 hexadecimal digits that stand for the names and contents of files below `folder`."""
    digest = hashlib.sha256()
    for path in sorted(path for pattern in patterns for path in folder.glob(pattern)):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(folder).as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]


def require_file(path: Path, what: str, *, error: type[TilewrightError], way_out: str) -> None:
    """Raise `error` unless `path` is a file; `what` is what it should be, `way_out` what to do."""
    if path.is_dir():
        raise error(f"{what} {path} must be a file, not a folder: {way_out}")
    if not path.is_file():
        raise error(f"{what} {path} does not exist: {way_out}")


def require_place(path: Path, what: str, *, error: type[TilewrightError]) -> None:
    """Raise `error` where no file can be written to `path`, before the work for it is done."""
    if path.is_dir():
        raise error(f"{what} {path} must be writable, but it is a folder: give the name of a file in it")
    if not path.absolute().parent.is_dir():
        raise error(f"{what} {path} must be writable, but folder {path.parent} does not exist: make it first")


def write_file(path: Path, data: bytes, what: str, *, error: type[TilewrightError]) -> None:
    """Write through a temporary file in the same folder, so that no half-written file ever bears the name.

    What is not a regular file (a pipe, a device) is written in place.

    Raises
    ------
    error
        It can't be written; `what` says what it is.
    """
    require_place(path, what, error=error)
    try:
        if path.exists() and not path.is_file():
            with path.open("wb", buffering=0) as stream:
                _write_all(stream.fileno(), data)
        else:
            _replace(path.resolve(), data)
    except OSError as failure:
        raise error(f"{what} {path} must be writable: {failure.strerror}; choose another place") from None


def _replace(path: Path, data: bytes) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=path.name[:40], suffix=".part")
    temporary = Path(name)
    try:
        try:
            _write_all(descriptor, data)
        finally:
            os.close(descriptor)
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _write_all(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]
