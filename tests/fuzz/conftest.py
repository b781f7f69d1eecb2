"""A process that compiles, watched from outside."""

from __future__ import annotations

import json
import selectors
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

HERE = Path(__file__).parent
MOST_WAITING = 300  # seconds of the wall clock; what is limited is CPU time


@dataclass(frozen=True)
class Outcome:
    """``program``, ``refused`` (with the line) or ``broken`` (with what happened instead)."""

    kind: str
    text: str


class Compiler:
    """Compiles bytes under a file name; a new process takes the place of one that ended."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None

    def __call__(self, data: bytes, name: str, target: str) -> Outcome:
        process = self._running()
        request = json.dumps({"target": target, "name": name, "size": len(data)})
        try:
            process.stdin.write(request.encode() + b"\n" + data)
            process.stdin.flush()
            with selectors.DefaultSelector() as selector:
                selector.register(process.stdout, selectors.EVENT_READ)
                line = process.stdout.readline() if selector.select(MOST_WAITING) else b""
        except BrokenPipeError:
            line = b""
        if not line:
            return Outcome("broken", self._end())
        answer = json.loads(line)
        return Outcome(answer["outcome"], answer["text"])

    def _running(self) -> subprocess.Popen[bytes]:
        if self.process is None:
            seeds = [str(HERE / "corpus" / name) for name in ("quantised_images.onnx", "images.tflite")]
            command = [sys.executable, str(HERE / "worker.py"), *seeds]
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
        return self.process

    def _end(self) -> str:
        """How the process ended; it is made to, if it hangs."""
        process, self.process = self.process, None
        try:
            status = process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            status = process.wait()
        process.stdin.close()
        process.stdout.close()
        name = signal.Signals(-status).name if status < 0 else f"status {status}"
        return f"the compiler ended with {name}" + (", out of time" if name in ("SIGXCPU", "SIGKILL") else "")

    def close(self) -> None:
        if self.process is not None:
            self.process.kill()
            self._end()


@pytest.fixture(scope="session")
def compiler() -> Iterator[Compiler]:
    made = Compiler()
    yield made
    made.close()
