"""Ctrl-C ends the command even where Python can't: in the middle of a simulator's or a compiler's native code."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["INTERRUPTED", "end_when_interrupted", "interrupt_seen"]

INTERRUPTED = 130
_GRACE_SECONDS = 3.0
_unwound = threading.Event()


def interrupt_seen() -> None:
    """Python has its KeyboardInterrupt, and may take the time to say what was finished; another Ctrl-C ends that."""
    _unwound.set()


@contextmanager
def end_when_interrupted() -> Iterator[None]:
    """Give Python's own KeyboardInterrupt a moment to unwind; then end the process.

    Python raises it only between two of its own steps. The signal itself is seen at once, and wakes a thread.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    _unwound.clear()
    before = signal.set_wakeup_fd(theirs, warn_on_full_buffer=False)
    watcher = threading.Thread(target=_watch, args=(ours,), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        _unwound.set()
        signal.set_wakeup_fd(before)
        os.close(theirs)
        watcher.join()


def _watch(signals: int) -> None:
    """Until the other end of the pipe is closed."""
    with open(signals, "rb", buffering=0) as stream:
        while number := stream.read(1):
            if number[0] == signal.SIGINT and not _unwound.wait(_GRACE_SECONDS):
                print("tilewright: interrupted", file=sys.stderr, flush=True)
                os._exit(INTERRUPTED)
