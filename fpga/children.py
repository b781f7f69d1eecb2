"""Processes of tools that end when the work they are for is given up."""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from ..errors import DeviceError

__all__ = ["Children"]


class Children:
    """Those that run, started by several threads and ended by one."""

    def __init__(self) -> None:
        self._guard = Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self._stopped = False

    @contextmanager
    def run(self, command: Sequence[str], directory: Path) -> Iterator[subprocess.Popen[str]]:
        """`command` in `directory`, its output and errors together as text; waits for its end, or kills it on an error.

        Raises
        ------
        DeviceError
            All were stopped.
        """
        with self._guard:
            if self._stopped:
                raise DeviceError(f"{Path(command[0]).name} was not started: the work was given up")
            child = subprocess.Popen(
                command,
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            )
            self._running.add(child)
        try:
            with child:
                try:
                    yield child
                except BaseException:
                    child.kill()
                    raise
        finally:
            with self._guard:
                self._running.discard(child)

    @property
    def running(self) -> tuple[subprocess.Popen[str], ...]:
        with self._guard:
            return tuple(self._running)

    @property
    def stopped(self) -> bool:
        """Whether the work was given up."""
        return self._stopped

    def stop(self) -> None:
        """Kill all that run, and start no more."""
        with self._guard:
            self._stopped = True
            for child in self._running:
                child.kill()
