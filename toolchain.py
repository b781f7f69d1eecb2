"""The tools of this machine that builds use; what identifies them, sources and the CPU in a key of the cache."""

import functools
import gc
import platform
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

from .errors import DeviceError

__all__ = [
    "COMPILERS",
    "cpu_identity",
    "file_identity",
    "find_c_compiler",
    "find_tool",
    "has_compiler",
    "run_tool",
    "source_texts",
    "tool_identity",
    "without_collection",
]

COMPILERS = ("gcc", "cc", "clang")
_ERROR_LINES = 12


def has_compiler() -> bool:
    """Whether there is a C compiler."""
    return any(shutil.which(compiler) for compiler in COMPILERS)


def source_texts(*places: str) -> Iterator[bytes]:
    """Python files of this package, and those of its folders: part of a key for what is made by running them."""
    for place in places:
        at = resources.files(__package__).joinpath(place)
        items = [at] if at.is_file() else sorted(at.iterdir(), key=lambda item: item.name)
        yield from (item.read_bytes() for item in items if item.name.endswith(".py"))


@contextmanager
def without_collection() -> Iterator[None]:
    """For elaborating hardware: its objects all live to the end, and looking through them takes half as long again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


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


def find_c_compiler(purpose: str) -> str:
    """Path of the C compiler, as :func:`find_tool`."""
    return find_tool(COMPILERS, purpose=purpose, package="gcc")


def file_identity(path: str) -> str:
    """A program's path, and of the file behind it size and time of change: part of a key, without running it."""
    behind = Path(path).resolve()
    found = behind.stat()
    return f"{path} {behind} {found.st_size} {found.st_mtime_ns}"


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
    import subprocess  # many runs find all in the cache

    program = Path(command[0]).name
    try:
        done = subprocess.run([*map(str, command)], cwd=cwd, capture_output=True, text=True, errors="replace")
    except OSError as error:
        raise DeviceError(f"{program} must be runnable: {error.strerror}") from None
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-_ERROR_LINES:])
        raise DeviceError(f"{program} must succeed, not exit with status {done.returncode}: {said}")
    return done.stdout
