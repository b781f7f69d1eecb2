"""Ctrl-C ends the command even where Python can't: in the middle of a simulator's or a compiler's native code."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["INTERRUPTED", "end_when_interrupted"]

INTERRUPTED = 130
_GRACE_SECONDS = 3.0


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
    unwound = threading.Event()
    before = signal.set_wakeup_fd(theirs, warn_on_full_buffer=False)
    watcher = threading.Thread(target=_watch, args=(ours, unwound), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        unwound.set()
        signal.set_wakeup_fd(before)
        os.close(theirs)
        watcher.join()


def _watch(signals: int, unwound: threading.Event) -> None:
    """Until the other end of the pipe is closed."""
    with open(signals, "rb", buffering=0) as stream:
        while number := stream.read(1):
            if number[0] == signal.SIGINT and not unwound.wait(_GRACE_SECONDS):
                print("tilewright: interrupted", file=sys.stderr, flush=True)
                os._exit(INTERRUPTED)
